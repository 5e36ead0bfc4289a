package intake_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/intake"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// asks is a form of name-value pairs from Ada.
func asks(pairs ...string) url.Values {
	f := url.Values{"email": {dsrtest.Ada.Email}}
	for i := 0; i+1 < len(pairs); i += 2 {
		f.Add(pairs[i], pairs[i+1])
	}
	return f
}

// send posts a form whose browser may send the opt-out signal.
func (s *stand) send(f url.Values, signal bool) web.Response {
	s.t.Helper()
	r, err := s.stage.Handle(s.t.Context(), web.Request{Method: http.MethodPost, Path: "/", Form: f, Source: "192.0.2.7", OptOut: signal})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// byRight is the recorded requests by their first right; "" for words alone.
func (s *stand) byRight() map[dsr.Right]ledger.Request {
	s.t.Helper()
	all := map[dsr.Right]ledger.Request{}
	for _, r := range s.requests() {
		first := dsr.Right("")
		if len(r.Rights) > 0 {
			first = r.Rights[0]
		}
		all[first] = r
	}
	return all
}

func (s *stand) person(r ledger.Request) dsr.Subject {
	s.t.Helper()
	d, err := dossier.Open(s.t.Context(), s.ledger, s.keys, r.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return d.Subject
}

// load makes a stand of another company.
func load(t testing.TB, company string) *stand {
	t.Helper()
	s := newStand(t)
	pack, err := policy.Load(company)
	if err != nil {
		t.Fatal(err)
	}
	deps := s.stage.Deps
	deps.Company = pack
	s.stage = intake.New(deps)
	return s
}

// CCPA 7026, 7027; GDPR Art. 7(3), 21(2): nobody may ask proof for these.
func TestWhatOnlyStopsWaitsForNoProof(t *testing.T) {
	for _, right := range dsr.Rights() {
		if !right.Proofless() {
			continue
		}
		t.Run(string(right), func(t *testing.T) {
			s := newStand(t)
			page := s.post(asks("rights", string(right), "message", "thank you"))
			all := s.requests()
			if page.Status != http.StatusOK || len(all) != 1 {
				t.Fatalf("status %d, %d requests", page.Status, len(all))
			}
			r := all[0]
			if r.Status != dsr.Running || !r.VerifiedAt.Equal(s.now) || !r.ProofDue.IsZero() || !r.Words || r.Allows(1) {
				t.Errorf("recorded %+v", r)
			}
			if len(s.machine.started) != 1 || !s.machine.started[0].Proved {
				t.Errorf("started %+v", s.machine.started)
			}
			if codeOnPage.Match(page.Body) || !bytes.Contains(page.Body, []byte("need not confirm")) {
				t.Error("the page asks to confirm what needs no proof")
			}
		})
	}
}

func TestTheOptOutDoesNotWaitForTheProofOfTheRest(t *testing.T) {
	s := newStand(t)
	page := s.post(asks("rights", "erasure", "rights", "objection_marketing", "rights", "opt_out_of_sale", "message", "please", "country", "DE"))
	all := s.byRight()
	stop, rest := all[dsr.ObjectionMarketing], all[dsr.Erasure]
	if len(s.requests()) != 2 || !slices.Equal(stop.Rights, []dsr.Right{dsr.ObjectionMarketing, dsr.OptOutOfSale}) || !slices.Equal(rest.Rights, []dsr.Right{dsr.Erasure}) {
		t.Fatalf("recorded %+v", s.requests())
	}
	if stop.Status != dsr.Running || stop.Words || rest.Status != dsr.Verifying || !rest.Words || !rest.VerifiedAt.IsZero() {
		t.Errorf("recorded %+v and %+v", stop, rest)
	}
	if s.person(stop).Message != "" || s.person(rest).Message != "please" {
		t.Error("the words are not with the part that a person reads")
	}
	chain, err := s.ledger.Events(t.Context(), rest.ID, dsr.RequestChain)
	if err != nil || len(chain) != 1 || chain[0].Detail["with"] != string(stop.ID) {
		t.Errorf("the two are not linked: %+v, %v", chain, err)
	}
	code(t, page)
	if !bytes.Contains(page.Body, []byte("What needs no proof")) {
		t.Error("the page does not say that the rest waits")
	}
	want := []run{{stop.ID, 1, true}, {rest.ID, 1, false}}
	if !slices.Equal(s.machine.started, want) {
		t.Errorf("started %+v, want %+v", s.machine.started, want)
	}
}

// Over the cap what needs no proof is recorded and left to the sweep: its mails
// would be at once.
func TestOptOutsOverTheCapWaitForTheSweep(t *testing.T) {
	s := newStand(t)
	s.post(asks("rights", "preferences"))
	s.post(asks("rights", "preferences"))
	if len(s.requests()) != 2 || len(s.machine.started) != 1 {
		t.Errorf("%d recorded, %d started; want 2 and 1", len(s.requests()), len(s.machine.started))
	}
}

// 11 CCR 7025; GDPR Art. 21(5).
func TestOptOutSignal(t *testing.T) {
	for _, c := range []struct {
		name     string
		form     url.Values
		counts   bool
		recorded int
	}{
		{"California", asks("rights", "access", "country", "US", "state", "CA"), true, 2},
		{"a state is enough", asks("rights", "access", "state", "CA"), true, 2},
		{"an opt-out was ticked anywhere", asks("rights", "limit_sensitive", "country", "DE"), true, 1},
		{"Germany: an objection by automated means", asks("rights", "access", "country", "DE"), true, 2},
		{"no place said", asks("rights", "access"), false, 1},
		{"an agent's browser is not the person's", asks("rights", "access", "country", "US", "state", "CA", "by", "agent", "for", dsrtest.Ben.Email, "permission", "a letter", "declared", "Ada"), false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, signal := range []bool{true, false} {
				s := newStand(t)
				page := s.send(c.form, signal)
				if page.Status != http.StatusOK {
					t.Fatalf("status %d: %s", page.Status, page.Body)
				}
				honoured := false
				for _, r := range s.requests() {
					honoured = honoured || slices.Contains(r.Rights, dsr.OptOutOfSale)
				}
				want := c.counts && signal
				if honoured != want || bytes.Contains(page.Body, []byte("Opt-out request honoured")) != want {
					t.Errorf("signal %t: recorded %t, want %t, and the page must say the same", signal, honoured, want)
				}
				if signal && len(s.requests()) != c.recorded {
					t.Errorf("%d requests, want %d", len(s.requests()), c.recorded)
				}
			}
		})
	}
	s := newStand(t)
	for _, signal := range []bool{true, false} {
		r, err := s.stage.Handle(t.Context(), web.Request{Method: http.MethodGet, Path: "/", OptOut: signal})
		if err != nil || bytes.Contains(r.Body, []byte("Opt-out signal read")) != signal {
			t.Errorf("signal %t: the form says otherwise, %v", signal, err)
		}
	}
}

// Who asks for somebody else: whose data are looked for, and where mails go.
func TestSomebodyElseAsks(t *testing.T) {
	more := []string{"for", dsrtest.Ben.Email, "permission", "a signed letter", "declared", "Ada Canary", "country", "DE"}
	for _, c := range []struct {
		by     string
		rights []string
		person string // whose data
		mail   string
		status dsr.Status
	}{
		{"agent", []string{"access", "opt_out_of_sale"}, dsrtest.Ben.Email, dsrtest.Ben.Email, dsr.Verifying},
		{"attorney", []string{"access"}, dsrtest.Ben.Email, dsrtest.Ada.Email, dsr.Verifying},
		{"parent", []string{"erasure"}, dsrtest.Ben.Email, dsrtest.Ada.Email, dsr.Verifying},
		{"school", []string{"erasure"}, dsrtest.Ben.Email, dsrtest.Ada.Email, dsr.Verifying},
		{"successor", []string{"erasure"}, dsrtest.Ben.Email, dsrtest.Ada.Email, dsr.Verifying},
	} {
		t.Run(c.by, func(t *testing.T) {
			s := newStand(t)
			f := asks(append([]string{"by", c.by, "age", "12"}, more...)...)
			f["rights"] = c.rights
			if page := s.post(f); page.Status != http.StatusOK {
				t.Fatalf("status %d: %s", page.Status, page.Body)
			}
			all := s.requests()
			if len(all) != 1 {
				t.Fatalf("%d requests: what somebody asks in another's name is never without proof", len(all))
			}
			r, who := all[0], s.person(all[0])
			if r.Status != c.status || string(r.By) != c.by || r.Facts[policy.FactAge] != "12" || len(r.Rights) != len(c.rights) {
				t.Errorf("recorded %+v", r)
			}
			if who.Email() != c.person || who.MailTo() != c.mail || who.For != dsrtest.Ben.Email || who.Declared != "Ada Canary" || who.Permission != "a signed letter" {
				t.Error("the sealed person is not as asked")
			}
			clear, _ := json.Marshal(r)
			for _, canary := range append(dsrtest.Canaries(), "a signed letter") {
				if bytes.Contains(clear, []byte(canary)) {
					t.Errorf("%q lies in clear", canary)
				}
			}
		})
	}
}

func TestWhoLostTheAddressReachesAPerson(t *testing.T) {
	s := newStand(t)
	page := s.post(asks("rights", "access", "rights", "preferences", "by", "unmailable", "reach", dsrtest.Ben.Email))
	all := s.requests()
	if page.Status != http.StatusOK || len(all) != 1 {
		t.Fatalf("status %d, %d requests", page.Status, len(all))
	}
	r, who := all[0], s.person(all[0])
	if r.Status != dsr.NeedsAttention || r.Owner != ledger.OfficerRole || r.Reason != ledger.ReasonAddressLost || !r.AwaitsProof() || r.DueAt.IsZero() || len(s.machine.started) != 0 {
		t.Errorf("recorded %+v, started %v", r, s.machine.started)
	}
	if who.Email() != dsrtest.Ada.Email || who.MailTo() != dsrtest.Ben.Email {
		t.Error("the person is looked for, or reached, elsewhere")
	}
	if codeOnPage.Match(page.Body) || !bytes.Contains(page.Body, []byte("a person of our team")) {
		t.Error("the page asks to confirm by a mailbox that is lost")
	}
}

func TestReportOfAChild(t *testing.T) {
	for name, f := range map[string]url.Values{
		"by who reports": asks("by", "reporter", "message", "a child of ten plays there"),
		"by the box":     asks("rights", "child_report", "message", "a child of ten plays there"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			if page := s.post(f); page.Status != http.StatusOK || len(s.requests()) != 1 {
				t.Fatalf("status %d: %s", page.Status, page.Body)
			}
			if r := s.requests()[0]; r.By != dsr.Reporter || !slices.Equal(r.Rights, []dsr.Right{dsr.ChildReport}) || !r.Words {
				t.Errorf("recorded %+v", r)
			}
		})
	}
}

func TestWhatIsRecordedOfTheRest(t *testing.T) {
	s := newStand(t)
	reference := "w" + strings.Repeat("a", 25)
	page := s.post(asks("rights", "rectification", "rights", "access", "correct_phone", " 555 ", "correct_email", dsrtest.Ben.Email, "point_order_number", "4711", "point_postcode", "00-023",
		"from", "2024-02-29", "to", "2026-11-02", "reference", strings.ToUpper(reference), "state", "CA"))
	if page.Status != http.StatusOK {
		t.Fatalf("status %d: %s", page.Status, page.Body)
	}
	r := s.requests()[0]
	if r.Country != "US" || r.State != "CA" || r.Place() != "US-CA" || r.From != "2024-02-29" || r.To != "2026-11-02" || string(r.Parent) != reference {
		t.Errorf("recorded %+v", r)
	}
	who := s.person(r)
	if want := []dsr.Change{{Field: "email", New: dsrtest.Ben.Email}, {Field: "phone", New: "555"}}; !slices.Equal(who.Changes, want) {
		t.Error("the corrections are not those that were typed")
	}
	if want := []dsr.Point{{Field: "order_number", Value: "4711"}, {Field: "postcode", Value: "00-023"}}; !slices.Equal(who.Points, want) {
		t.Error("the facts are not those that were typed")
	}
}

// A person of ours reads what no machine carries out.
func TestWhatAPersonCarriesOutIsRead(t *testing.T) {
	for _, right := range dsr.Rights() {
		if right.Means() != dsr.ByPerson || right == dsr.ChildReport {
			continue
		}
		s := newStand(t)
		if page := s.post(asks("rights", string(right))); page.Status != http.StatusOK || !s.requests()[0].Words {
			t.Errorf("%s: status %d, or nobody reads it", right, page.Status)
		}
	}
}

func TestOddCombinationsAreExplained(t *testing.T) {
	agent := func(without string) url.Values {
		f := asks("rights", "access", "by", "agent", "for", dsrtest.Ben.Email, "permission", "a letter", "declared", "Ada")
		f.Del(without)
		return f
	}
	for _, c := range []struct {
		name  string
		form  url.Values
		field string
	}{
		{"a state of another country", asks("rights", "access", "country", "DE", "state", "CA"), "state"},
		{"an unknown state", asks("rights", "access", "country", "US", "state", "XX"), "state"},
		{"stop and start again", asks("rights", "opt_in", "rights", "opt_out_of_sale"), "rights"},
		{"correct, and not what", asks("rights", "rectification"), "corrections"},
		{"not correct, and what", asks("rights", "access", "correct_phone", "5"), "rights"},
		{"a correction that is no address", asks("rights", "rectification", "correct_email", "ada"), "correct_email"},
		{"a correction too long", asks("rights", "rectification", "correct_name", strings.Repeat("ä", 301)), "correct_name"},
		{"an agent without the person", agent("for"), "for"},
		{"an agent without a permission", agent("permission"), "permission"},
		{"an agent without a name", agent("declared"), "declared"},
		{"for oneself and for another", agent("by"), "by"},
		{"an unknown requester", asks("rights", "access", "by", "friend"), "by"},
		{"the person is who asks", asks("rights", "access", "by", "agent", "for", dsrtest.Ada.Email, "permission", "x", "declared", "Ada"), "for"},
		{"no other address", asks("rights", "access", "by", "unmailable"), "reach"},
		{"the lost address again", asks("rights", "access", "by", "unmailable", "reach", dsrtest.Ada.Email), "reach"},
		{"another address and nothing lost", asks("rights", "access", "reach", dsrtest.Ben.Email), "by"},
		{"a report and a copy", asks("rights", "child_report", "rights", "access", "message", "x"), "rights"},
		{"a report of nothing", asks("by", "reporter"), "message"},
		{"no age", asks("rights", "access", "age", "ten"), "age"},
		{"no such age", asks("rights", "access", "age", "131"), "age"},
		{"no day", asks("rights", "access", "from", "1.2.2024"), "from"},
		{"no such day", asks("rights", "access", "from", "2025-02-29"), "from"},
		{"a day to come", asks("rights", "access", "to", "2026-11-03"), "to"},
		{"the wrong way round", asks("rights", "access", "from", "2024-03-02", "to", "2024-03-01"), "to"},
		{"before the law's look-back", asks("rights", "access", "country", "US", "state", "CA", "from", "2021-12-31"), "from"},
		{"no reference", asks("rights", "appeal", "reference", "12345"), "reference"},
		{"an unknown plan", asks("rights", "access", "plan", "gold_from_elsewhere"), "plan"},
		{"an answer to no question", asks("rights", "access", "ask", "colour=blue"), "asks"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t)
			page := s.post(c.form)
			if page.Status != http.StatusBadRequest || len(s.requests()) != 0 || len(s.machine.started) != 0 {
				t.Fatalf("status %d, %d requests", page.Status, len(s.requests()))
			}
			if !bytes.Contains(page.Body, []byte(`href="#`+c.field+`"`)) || !bytes.Contains(page.Body, []byte(`id="`+c.field+`"`)) && c.field != "plan" && c.field != "asks" {
				t.Errorf("the page leads to no field %s", c.field)
			}
		})
	}
	s := newStand(t)
	if page := s.post(asks("rights", "access", "country", "US", "state", "CA", "from", "2022-01-01")); page.Status != http.StatusOK {
		t.Errorf("the first day of the look-back: status %d", page.Status)
	}
}

// Every right that a law gives is on every company's form, and every promise of
// its own too (a pack adds to the law and takes nothing from it).
func TestTheFormOffersEveryRight(t *testing.T) {
	onlyPromised := []dsr.Right{dsr.DirectTransfer, dsr.PublicationChange, dsr.ProfilingOff, dsr.Preferences, dsr.WhichProcessors, dsr.BalancingTest, dsr.TransferMechanism, dsr.Inquiry}
	for _, company := range []string{"pythonmaster", "learnai", "learningcart", "wearelearning", "cambridge-ai"} {
		t.Run(company, func(t *testing.T) {
			s := load(t, company)
			page, err := s.stage.Handle(t.Context(), web.Request{Method: http.MethodGet, Path: "/"})
			if err != nil || page.Status != http.StatusOK {
				t.Fatalf("status %d, %v", page.Status, err)
			}
			promised := map[dsr.Right]policy.Request{}
			for _, r := range s.stage.Company.Requests {
				promised[r.Right] = r
			}
			for _, right := range dsr.Rights() {
				_, own := promised[right]
				want := own || !slices.Contains(onlyPromised, right)
				if n := bytes.Count(page.Body, []byte(`value="`+string(right)+`"`)); n != map[bool]int{true: 1}[want] {
					t.Errorf("%s is offered %d times, want it %t", right, n, want)
				}
			}
			for _, r := range slices.Sorted(maps.Keys(promised)) {
				if name := promised[r].Name; name != "" && !strings.Contains(string(page.Body), strings.NewReplacer("&", "&amp;", "'", "&#39;", `"`, "&#34;").Replace(name)) {
					t.Errorf("%s is not called %q, as the pack does", r, name)
				}
			}
			for _, role := range s.stage.Company.Roles {
				for _, plan := range role.Plans {
					if !bytes.Contains(page.Body, []byte(`<option value="`+plan+`"`)) {
						t.Errorf("the plan %s cannot be chosen", plan)
					}
				}
			}
			for _, ask := range s.stage.Company.Asks {
				for _, choice := range ask.Choices {
					if !bytes.Contains(page.Body, []byte(`<option value="`+ask.Answer+`=`+choice+`"`)) {
						t.Errorf("the question %s cannot be answered %s", ask.ID, choice)
					}
				}
				f := asks("rights", "access", "ask", "", "ask", ask.Answer+"="+ask.Choices[0])
				if taken := s.post(f); taken.Status != http.StatusOK {
					t.Errorf("the question %s: an answer is refused", ask.ID)
				}
			}
			for _, r := range s.requests() {
				if len(r.Facts) != 1 {
					t.Errorf("recorded facts %v", r.Facts)
				}
			}
		})
	}
}

// The status page leads here with a box ticked and a reference; nothing else of a
// link is taken.
func TestALinkTicksABox(t *testing.T) {
	s := newStand(t)
	r, err := s.stage.Handle(t.Context(), web.Request{Method: http.MethodGet, Path: "/", Query: url.Values{"rights": {"complaint"}, "reference": {"wref"}, "email": {dsrtest.Ada.Email}}})
	if err != nil || r.Status != http.StatusOK {
		t.Fatal(r.Status, err)
	}
	if !bytes.Contains(r.Body, []byte(`value="complaint" checked`)) || !bytes.Contains(r.Body, []byte(`value="wref"`)) || bytes.Contains(r.Body, []byte(dsrtest.Ada.Email)) {
		t.Error("the form is not filled as the link says")
	}
}

func TestStates(t *testing.T) {
	all := intake.States()
	if len(all) != 51 || !slices.IsSortedFunc(all, func(a, b intake.Country) int { return strings.Compare(a.Name, b.Name) }) {
		t.Errorf("%d states, want the fifty and the district, by name", len(all))
	}
}
