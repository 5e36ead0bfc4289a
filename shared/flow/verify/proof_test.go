package verify_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
)

// californian asks for a copy, which needs three facts and a declaration
// (11 CCR 7060, 7062).
func californian(r *ledger.Request) { r.Country, r.State = "US", "CA" }

// prove confirms with these fields beside the code.
func (s *stand) prove(id dsr.RequestID, fields ...string) (status int, body string) {
	s.t.Helper()
	r := s.do(http.MethodPost, "/confirm", s.link(id, "/confirm"), append([]string{"code", s.codes[id], "confirm", "yes"}, fields...)...)
	return r.Status, string(r.Body)
}

func (s *stand) person(id dsr.RequestID) dsr.Subject {
	s.t.Helper()
	d, err := dossier.Open(s.t.Context(), s.ledger, s.keys, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return d.Subject
}

const (
	factOne, factTwo, factThree = "4711-canary-one", "May 2021-canary-two", "555-canary-three"
)

func TestMailboxIsNotEnoughInCalifornia(t *testing.T) {
	s := newStand(t)
	id := s.asked(dsrtest.Ada, californian)
	page := string(s.do(http.MethodGet, "/confirm", s.link(id, "/confirm")).Body)
	for _, want := range []string{`name="point_order_number"`, `name="declared"`, `name="no_more"`, "Give at least 3", "penalty of perjury"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	before := s.snapshot()
	for name, c := range map[string]struct {
		fields []string
		lacks  string
	}{
		"nothing":         {nil, "Give 3 more"},
		"two facts":       {[]string{"point_order_number", factOne, "point_member_since", factTwo, "declared", "Ada"}, "Give 1 more"},
		"no name":         {[]string{"point_order_number", factOne, "point_member_since", factTwo, "point_phone", factThree}, "Type your full name"},
		"white space":     {[]string{"point_order_number", " ", "point_member_since", factTwo, "point_phone", factThree, "declared", "Ada"}, "Give 1 more"},
		"a fact too long": {[]string{"no_more", "yes", "point_phone", strings.Repeat("5", 301), "declared", "Ada"}, "Shorten this"},
		"a name too long": {[]string{"no_more", "yes", "declared", strings.Repeat("a", 201)}, "Shorten the name"},
	} {
		status, body := s.prove(id, c.fields...)
		if status != http.StatusBadRequest || !strings.Contains(body, c.lacks) {
			t.Errorf("%s: status %d, want 400 with %q", name, status, c.lacks)
		}
		for i := 1; i < len(c.fields); i += 2 {
			if v := strings.TrimSpace(c.fields[i]); len(v) > 5 && len(v) < 200 && !strings.Contains(body, v) {
				t.Errorf("%s: what was typed is lost", name)
			}
		}
	}
	if _, body := s.prove(id, "no_more", "yes"); !strings.Contains(body, `value="yes" checked`) {
		t.Error("the tick is lost")
	}
	if s.snapshot() != before {
		t.Fatal("a page that was not complete changed something")
	}

	status, body := s.prove(id, "point_order_number", factOne, "point_member_since", factTwo, "point_phone", factThree, "declared", "Ada Canary")
	if status != http.StatusOK || !strings.Contains(body, "a person of our team now looks") || strings.Contains(body, "/status?") {
		t.Fatalf("status %d", status)
	}
	r := s.read(id)
	if r.Status != dsr.NeedsAttention || r.Owner != ledger.OfficerRole || r.Reason != ledger.ReasonProof || !r.VerifiedAt.IsZero() || !r.AwaitsProof() || len(s.machine.released) != 0 {
		t.Errorf("recorded %+v, released %v", r, s.machine.released)
	}
	who := s.person(id)
	if want := []dsr.Point{{Field: "order_number", Value: factOne}, {Field: "member_since", Value: factTwo}, {Field: "phone", Value: factThree}}; !slices.Equal(who.Points, want) || who.Declared != "Ada Canary" {
		t.Error("what was typed is not sealed with the person")
	}
	if who.Identities[0].Origin != dsr.SelfAsserted {
		t.Error("the address counts as proved before the decision")
	}
	if s.count(id, dsr.EventMailboxProved) != 1 || s.count(id, dsr.EventVerified) != 0 {
		t.Errorf("events %v", s.kinds(id))
	}
	all := s.snapshot() + s.log.String()
	for _, canary := range []string{factOne, factTwo, factThree, "Ada Canary"} {
		if strings.Contains(all, canary) {
			t.Errorf("%q lies in clear", canary)
		}
	}
	if status, _ := s.prove(id); status != http.StatusGone {
		t.Errorf("the link works twice: status %d", status)
	}
}

// What came with the form is not asked again, and who has no more facts is not
// turned away: a person decides with what there is.
func TestFactsOfTheFormCount(t *testing.T) {
	s := newStand(t)
	id := s.asked(dsrtest.Ada, californian)
	s.reseal(id, func(p *dsr.Subject) {
		p.Points = []dsr.Point{{Field: "order_number", Value: factOne}, {Field: "phone", Value: factThree}}
		p.Declared = "Ada"
	})
	page := string(s.do(http.MethodGet, "/confirm", s.link(id, "/confirm")).Body)
	if !strings.Contains(page, "Give at least 1") || strings.Contains(page, `name="declared"`) {
		t.Error("the page asks for what it has")
	}
	if status, _ := s.prove(id, "no_more", "yes"); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	if r := s.read(id); !r.AwaitsProof() || len(s.person(id).Points) != 2 {
		t.Errorf("recorded %+v", r)
	}
}

// reseal changes the sealed person of a request.
func (s *stand) reseal(id dsr.RequestID, change func(*dsr.Subject)) {
	s.t.Helper()
	d, err := dossier.Open(s.t.Context(), s.ledger, s.keys, id)
	if err != nil {
		s.t.Fatal(err)
	}
	sealed, err := s.ledger.Subject(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	change(&d.Subject)
	if sealed, err = d.Reseal(sealed.WrappedKey, d.Subject); err != nil {
		s.t.Fatal(err)
	}
	if err := s.ledger.ReplaceSubject(s.t.Context(), sealed); err != nil {
		s.t.Fatal(err)
	}
}

// Who asks for somebody else never runs on a mailbox alone.
func TestWhoAsksForAnotherIsAPersonsDecision(t *testing.T) {
	for _, by := range []dsr.Requester{dsr.Agent, dsr.Attorney, dsr.Parent, dsr.School, dsr.Successor} {
		for place, where := range map[string]func(*ledger.Request){"Germany": func(*ledger.Request) {}, "California": californian} {
			t.Run(string(by)+" in "+place, func(t *testing.T) {
				s := newStand(t)
				id := s.asked(dsrtest.Ada, func(r *ledger.Request) {
					where(r)
					r.By, r.Rights = by, []dsr.Right{dsr.Erasure}
				})
				if status, body := s.prove(id, "no_more", "yes", "declared", "Ada"); status != http.StatusOK {
					t.Fatalf("status %d: %s", status, body)
				}
				if r := s.read(id); !r.AwaitsProof() {
					t.Errorf("recorded %+v", r)
				}
			})
		}
	}
}

// An agent's challenge goes to the person, who reads that somebody asks for them
// (11 CCR 7063).
func TestTheAgentsPersonConfirms(t *testing.T) {
	s := newStand(t)
	id := s.request(dsrtest.Ada, func(r *ledger.Request) { r.By = dsr.Agent })
	s.reseal(id, func(p *dsr.Subject) {
		p.Identities = []dsr.Identity{{Kind: dsr.Email, Value: dsrtest.Ben.Email, Origin: dsr.SelfAsserted}, {Kind: dsr.Email, Value: dsrtest.Ada.Email, Origin: dsr.SelfAsserted}}
		p.For = dsrtest.Ben.Email
	})
	s.wait(id, 1)
	if len(s.mail.To(dsrtest.Ben.Email)) == 0 {
		t.Fatal("the person is not asked to confirm")
	}
	for _, m := range s.mail.To(dsrtest.Ada.Email) {
		if strings.Contains(m.Text, "/confirm?") {
			t.Error("the agent got a link to confirm with")
		}
	}
	page := string(s.do(http.MethodGet, "/confirm", s.link(id, "/confirm")).Body)
	if !strings.Contains(page, "Somebody who says that you permitted it") {
		t.Error("the page does not say that somebody else asks")
	}
}

// A law that asks for the mailbox only is served by it.
func TestTheMailboxSufficesElsewhere(t *testing.T) {
	s := newStand(t)
	id := s.asked(dsrtest.Ada, func(r *ledger.Request) { r.Rights = []dsr.Right{dsr.Erasure} })
	page := string(s.do(http.MethodGet, "/confirm", s.link(id, "/confirm")).Body)
	if strings.Contains(page, "point_") || strings.Contains(page, `name="declared"`) {
		t.Error("more is asked than the law needs (GDPR Art. 12(6))")
	}
	if status, _ := s.prove(id, "point_phone", factThree); status != http.StatusOK || s.read(id).Status != dsr.Running {
		t.Errorf("status %d, request %s", status, s.read(id).Status)
	}
	if len(s.person(id).Points) != 0 {
		t.Error("facts that nobody asked for are kept")
	}
}

// What law and pack cannot say is a person's to decide.
func TestUndecidableProofIsAPersons(t *testing.T) {
	s := newStand(t)
	id := s.asked(dsrtest.Ada, func(r *ledger.Request) { r.Plan = "of_an_older_pack" })
	if status, _ := s.prove(id); status != http.StatusOK || !s.read(id).AwaitsProof() {
		t.Errorf("status %d, request %s", status, s.read(id).Status)
	}
	if !strings.Contains(s.log.String(), "a person does it") {
		t.Error("nothing is logged")
	}
	noCanary(t, "the log", s.log.String())
}

// What says more than its rights is not taken for the same as an earlier request.
func TestWhatSaysMoreIsNotMerged(t *testing.T) {
	for name, change := range map[string]func(*ledger.Request, *dsr.Subject){
		"another correction": func(_ *ledger.Request, p *dsr.Subject) { p.Changes = []dsr.Change{{Field: "name", New: "Ada"}} },
		"a time":             func(r *ledger.Request, _ *dsr.Subject) { r.From = "2024-01-01" },
		"an answer":          func(r *ledger.Request, _ *dsr.Subject) { r.Facts = map[string]string{"age": "40"} },
		"an earlier request": func(r *ledger.Request, _ *dsr.Subject) { r.Parent = ledger.NewRequestID() },
		"nothing more":       func(*ledger.Request, *dsr.Subject) {},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			erasure := func(r *ledger.Request) { r.Rights = []dsr.Right{dsr.Erasure} }
			first := s.asked(dsrtest.Ada, erasure)
			s.prove(first)
			second := s.asked(dsrtest.Ada, erasure)
			s.reseal(second, func(p *dsr.Subject) {
				s.change(second, func(r *ledger.Request) { change(r, p) })
			})
			if status, _ := s.prove(second); status != http.StatusOK {
				t.Fatalf("status %d", status)
			}
			want := dsr.Running
			if name == "nothing more" {
				want = dsr.Merged
			}
			if got := s.read(second).Status; got != want {
				t.Errorf("the second request is %s, want %s", got, want)
			}
		})
	}
}
