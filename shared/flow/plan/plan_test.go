package plan_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/plan"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/ledger/memory"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
	"github.com/writ-dsr/writ/shared/platform/vault"
	"github.com/writ-dsr/writ/shared/policy"
)

const id = dsr.RequestID("waaaaaaaaaaaaaaaaaaaaaaaaa")

var now = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

type stand struct {
	t *testing.T
	*memory.Store
	*plan.Stage
	keys *vault.Vault
}

func newStand(t *testing.T, change func(*ledger.Request)) *stand {
	t.Helper()
	company, err := policy.Load("pythonmaster")
	if err != nil {
		t.Fatal(err)
	}
	descriptors, err := connectors.Descriptors()
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{t: t, Store: memory.New(), keys: vault.NewLocal("plan")}
	s.Stage = &plan.Stage{Company: company, Descriptors: descriptors, Ledger: s.Store, Keys: s.keys, Hasher: s.keys, Now: func() time.Time { return now }}
	r := ledger.Request{ID: id, Status: dsr.Running, Rights: []dsr.Right{dsr.Access}, Country: "DE", Run: 1, VerifiedAt: now, ProofDue: now.Add(time.Hour),
		Clock: []dsr.ClockEvent{{Kind: dsr.Received, At: now}}}
	if change != nil {
		change(&r)
	}
	sealed, err := dossier.Seal(t.Context(), s.keys, id, dsr.Subject{Language: "en", Identities: []dsr.Identity{{Kind: dsr.Email, Value: dsrtest.Ada.Email, Origin: dsr.SelfAsserted}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateRequest(t.Context(), r, sealed, dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: now}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stand) run(n int) plan.Output {
	s.t.Helper()
	out, err := s.Handle(s.t.Context(), plan.Input{V: 1, RequestID: id, Run: n})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *stand) request() ledger.Request {
	s.t.Helper()
	r, err := s.Request(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// waves writes waves as people read them: "app | stripe files zendesk!".
func waves(all []plan.Wave) string {
	var lines []string
	for _, w := range all {
		var names []string
		for _, v := range w.Visits {
			names = append(names, v.System)
		}
		for _, v := range w.People {
			names = append(names, v.System+"!")
		}
		lines = append(lines, strings.Join(names, " "))
	}
	return strings.Join(lines, " | ")
}

func TestWaves(t *testing.T) {
	const people = "paypal! sendgrid! mailchimp! zendesk! intercom! google_analytics! google_cloud!"
	for _, c := range []struct {
		name        string
		rights      []dsr.Right
		words       bool
		bundle      bool
		gather, act string
	}{
		{"a copy", []dsr.Right{dsr.Access}, false, true, "app | stripe files " + people, ""},
		{"an erasure: people look only when they erase", []dsr.Right{dsr.Erasure}, false, false, "app | stripe files", "stripe files " + people + " | app"},
		{"both", []dsr.Right{dsr.Access, dsr.Erasure}, false, true, "app | stripe files " + people, "stripe files " + people + " | app"},
		{"own words alone", nil, true, false, "officer!", ""},
		{"a copy and own words", []dsr.Right{dsr.Access}, true, true, "app officer! | stripe files " + people, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t, func(r *ledger.Request) { r.Rights, r.Words = c.rights, c.words })
			out := s.run(1)
			if out.Decision != plan.Run || out.Bundle != c.bundle || out.V != 1 {
				t.Errorf("decided %+v", out)
			}
			if got := waves(out.Gather); got != c.gather {
				t.Errorf("gather\n %s, want\n %s", got, c.gather)
			}
			if got := waves(out.Act); got != c.act {
				t.Errorf("act\n %s, want\n %s", got, c.act)
			}
			for _, w := range append(out.Gather, out.Act...) {
				for _, v := range w.People {
					if v.Status != string(connector.Person) || v.Cause != connector.CauseManual {
						t.Errorf("the machine cannot route %+v", v)
					}
				}
			}
			visits, err := s.Visits(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			own := slices.DeleteFunc(slices.Clone(visits), func(v dsr.Visit) bool { return v.System != dsr.Itself })
			visits = slices.DeleteFunc(visits, func(v dsr.Visit) bool { return v.System == dsr.Itself })
			if n := count(out.Gather) + count(out.Act); n != len(visits) {
				t.Errorf("%d visits are run, %d are in the ledger", n, len(visits))
			}
			if c.rights != nil && len(own) == 0 {
				t.Error("nothing says what happens to Writ's own record")
			}
			for _, v := range own {
				if !v.Settled() || len(v.Outcomes) == 0 {
					t.Errorf("Writ's own record: %+v", v)
				}
			}
			for _, v := range visits {
				if v.Status != dsr.VisitPlanned || len(v.Categories) == 0 {
					t.Errorf("planned as %+v", v)
				}
			}
			chain, _ := s.Events(t.Context(), id, dsr.RequestChain)
			if !s.request().Planned || chain[len(chain)-1].Kind != dsr.EventPlanned {
				t.Error("the plan is not recorded")
			}
		})
	}
}

func count(all []plan.Wave) int {
	n := 0
	for _, w := range all {
		n += len(w.Visits) + len(w.People)
	}
	return n
}

func TestDecisionFollowsTheLedger(t *testing.T) {
	for _, c := range []struct {
		name     string
		change   func(*ledger.Request)
		run      int
		decision string
		status   dsr.Status
	}{
		{"proved", nil, 1, plan.Run, dsr.Running},
		{"answered, a follow-up", func(r *ledger.Request) { r.Status = dsr.Answered }, 1, plan.Run, dsr.Answered},
		{"a stale run", func(r *ledger.Request) { r.Run = 2 }, 1, plan.End, dsr.Running},
		{"released without an answer", func(r *ledger.Request) { r.Status, r.VerifiedAt = dsr.Verifying, time.Time{} }, 1, plan.End, dsr.Verifying},
		{"the time to prove has passed", func(r *ledger.Request) {
			r.Status, r.VerifiedAt, r.ProofDue = dsr.Verifying, time.Time{}, now.Add(-time.Second)
		}, 1, plan.Close, dsr.Unverified},
		{"closed by the sweep", func(r *ledger.Request) { r.Status, r.VerifiedAt = dsr.Unverified, time.Time{} }, 1, plan.Close, dsr.Unverified},
		{"disowned", func(r *ledger.Request) { r.Status = dsr.Disowned }, 1, plan.End, dsr.Disowned},
		{"withdrawn", func(r *ledger.Request) { r.Status = dsr.Withdrawn }, 1, plan.End, dsr.Withdrawn},
		{"merged", func(r *ledger.Request) { r.Status = dsr.Merged }, 1, plan.End, dsr.Merged},
		{"completed", func(r *ledger.Request) { r.Status = dsr.Completed }, 1, plan.End, dsr.Completed},
		{"taken back from its owner", func(r *ledger.Request) { r.Status, r.Owner, r.Reason = dsr.NeedsAttention, "privacy_officer", "x" }, 1, plan.Run, dsr.Running},
		{"taken back after an answer", func(r *ledger.Request) { r.Status, r.AnsweredAt = dsr.NeedsAttention, now }, 1, plan.Run, dsr.Answered},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t, c.change)
			before := fmt.Sprintf("%+v", s.Store)
			out := s.run(c.run)
			r := s.request()
			if out.Decision != c.decision || r.Status != c.status {
				t.Errorf("decided %s, the request is %s; want %s, %s", out.Decision, r.Status, c.decision, c.status)
			}
			if r.Status == dsr.Running && c.decision == plan.Run && r.Owner+r.Reason != "" {
				t.Errorf("still with %s for %s", r.Owner, r.Reason)
			}
			if c.decision == plan.End && fmt.Sprintf("%+v", s.Store) != before {
				t.Error("the ledger was changed")
			}
			if c.decision != plan.Run && (len(out.Gather) > 0 || len(out.Act) > 0) {
				t.Error("waves for a machine that has nothing to do")
			}
		})
	}
}

// The proof came between the machine's read and its write: nothing may close
// the request, and above all nobody may be told that it is completed.
func TestProofAtTheLastMoment(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) {
		r.Status, r.VerifiedAt, r.ProofDue = dsr.Verifying, time.Time{}, now.Add(-time.Second)
	})
	s.Stage.Ledger = overtaken{s.Store}
	out := s.run(1)
	chain, _ := s.Events(t.Context(), id, dsr.RequestChain)
	if out.Decision != plan.End || s.request().Status != dsr.Running || len(chain) != 1 {
		t.Errorf("decided %s, the request is %s, %d events", out.Decision, s.request().Status, len(chain))
	}
}

// overtaken lets a proof be recorded just before the stage's own first write.
type overtaken struct{ *memory.Store }

func (o overtaken) SaveRequest(ctx context.Context, r ledger.Request) error {
	current, err := o.Request(ctx, r.ID)
	if err == nil && current.Status == dsr.Verifying {
		current.Status, current.VerifiedAt = dsr.Running, now
		if err := o.Store.SaveRequest(ctx, current); err != nil {
			return err
		}
	}
	return o.Store.SaveRequest(ctx, r)
}

func TestLaterRunLeavesOutWhatIsSettled(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) { r.Rights = []dsr.Right{dsr.Access, dsr.Erasure} })
	first := s.run(1)
	settle(t, s, 1, func(v dsr.Visit) bool { return v.Phase == dsr.Gather && v.System != "zendesk" || v.System == "paypal" })
	if _, err := ledger.NextRun(t.Context(), s.Store, id); err != nil {
		t.Fatal(err)
	}
	s.Company.Systems = s.Company.Systems[:1] // the pack has changed meanwhile: the order is the ledger's
	second := s.run(2)
	if got := waves(second.Gather); got != "zendesk!" {
		t.Errorf("gather %q, want zendesk alone", got)
	}
	if got, want := waves(second.Act), strings.Replace(waves(first.Act), " paypal!", "", 1); !sameWords(got, want) {
		t.Errorf("act\n %s, want\n %s", got, want)
	}
	if again := s.run(1); again.Decision != plan.End {
		t.Errorf("the old run goes on: %+v", again)
	}
	planned := 0
	chain, _ := s.Events(t.Context(), id, dsr.RequestChain)
	for _, e := range chain {
		if e.Kind == dsr.EventPlanned {
			planned++
		}
	}
	if planned != 1 {
		t.Errorf("planned %d times", planned)
	}
}

// sameWords compares waves whose systems may stand in another order.
func sameWords(a, b string) bool {
	x, y := strings.Split(a, " | "), strings.Split(b, " | ")
	return slices.EqualFunc(x, y, func(p, q string) bool {
		return slices.Equal(slices.Sorted(slices.Values(strings.Fields(p))), slices.Sorted(slices.Values(strings.Fields(q))))
	})
}

func settle(t *testing.T, s *stand, run int, which func(dsr.Visit) bool) {
	t.Helper()
	visits, err := s.Visits(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range visits {
		if !which(v) || v.Settled() {
			continue
		}
		if v, err = s.TakeVisit(t.Context(), id, v.Task(), run, now, now); err != nil {
			t.Fatal(err)
		}
		v.Status, v.SettledAt = dsr.VisitSettled, now
		if err := s.SaveVisit(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
}

// A copy that was delivered, has expired and is deleted with its exports cannot
// be built again; one whose gathering goes on must be.
func TestExpiredCopyIsNotBuiltAgain(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) {
		r.Rights = []dsr.Right{dsr.Access, dsr.Erasure}
		r.Bundle = &ledger.Bundle{DeliveredAt: now, Due: now, DeletedAt: now}
	})
	if !s.run(1).Bundle {
		t.Error("gatherings are open, and no copy of them would be made")
	}
	settle(t, s, 1, func(v dsr.Visit) bool { return v.Phase == dsr.Gather })
	if out := s.run(1); out.Bundle || len(out.Act) == 0 {
		t.Errorf("decided %+v", out)
	}
}

// What nobody can erase is told like any other outcome, with the pack's ground
// where there is one.
func TestOwedOutcomes(t *testing.T) {
	for country, want := range map[string]dsr.OutcomeKind{"US": dsr.Retained, "DE": dsr.Kept} {
		s := newStand(t, func(r *ledger.Request) { r.Rights, r.Country = []dsr.Right{dsr.Erasure}, country })
		stripe := s.Descriptors["stripe"]
		stripe.Ops = map[dsr.Op]string{dsr.Locate: "api", dsr.Export: "api", dsr.Erase: "none:nobody can", dsr.Rectify: "none:x", dsr.Suppress: "none:x", dsr.ReadBack: "none:x"}
		s.Descriptors["stripe"] = stripe
		if out := s.run(1); strings.Contains(waves(out.Act), "stripe") {
			t.Error("a visit that is settled from the start is run")
		}
		v, err := s.Visit(t.Context(), id, "stripe#act")
		if err != nil {
			t.Fatal(err)
		}
		if !v.Settled() || len(v.Outcomes) != 6 {
			t.Fatalf("owed as %+v", v)
		}
		for _, o := range v.Outcomes {
			if o.Category == "invoice" && o.Kind != want {
				t.Errorf("%s: an invoice is %s, want %s", country, o.Kind, want)
			}
			if err := o.Validate(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestUnplannableRequestIsAFault(t *testing.T) {
	for name, change := range map[string]func(*ledger.Request){
		"an unknown right": func(r *ledger.Request) { r.Rights = []dsr.Right{"forget"} },
		"an unknown plan":  func(r *ledger.Request) { r.Plan = "gold" },
		"an unknown fact":  func(r *ledger.Request) { r.Facts = map[string]string{"mood": "good"} },
	} {
		s := newStand(t, change)
		if _, err := s.Handle(t.Context(), plan.Input{V: 1, RequestID: id, Run: 1}); err == nil {
			t.Errorf("%s is no error", name)
		}
		if s.request().Planned {
			t.Errorf("%s: it counts as planned", name)
		}
	}
	s := newStand(t, nil)
	if _, err := s.Handle(t.Context(), plan.Input{V: 1, RequestID: "wbbbbbbbbbbbbbbbbbbbbbbbbb", Run: 1}); err == nil {
		t.Error("a request that is not there is no error")
	}
}

// Every right ends in waves or in a decision, and what it leaves in the ledger
// is well formed.
func TestEveryRight(t *testing.T) {
	for _, right := range dsr.Rights() {
		s := newStand(t, func(r *ledger.Request) { r.Rights = []dsr.Right{right} })
		out := s.run(1)
		if out.Decision == plan.End || out.Decision == plan.Run && count(out.Gather)+count(out.Act) == 0 {
			t.Errorf("%s: decided %+v", right, out)
		}
		if out.Bundle != (right.Means() == dsr.ByCopy && out.Decision == plan.Run) {
			t.Errorf("%s: bundle is %v", right, out.Bundle)
		}
		visits, err := s.Visits(t.Context(), id)
		if err != nil || len(visits) == 0 {
			t.Fatalf("%s: visits %v, error %v", right, visits, err)
		}
		for _, v := range visits {
			for _, o := range v.Outcomes {
				if err := o.Validate(); err != nil {
					t.Errorf("%s: %v", right, err)
				}
			}
		}
		again := s.run(1)
		if again.Decision != out.Decision || !sameWords(waves(again.Gather), waves(out.Gather)) || !sameWords(waves(again.Act), waves(out.Act)) {
			t.Errorf("%s: the second run of the state decides %s, %s / %s", right, again.Decision, waves(again.Gather), waves(again.Act))
		}
	}
}

// What a person stops is remembered by their keyed hash, before any system is
// touched.
func TestStopsAreRemembered(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) {
		r.Rights, r.Country, r.State = []dsr.Right{dsr.OptOutOfSale, dsr.ObjectionMarketing}, "US", "CA"
	})
	s.run(1)
	hash, err := s.keys.Hash(t.Context(), "identity", dsrtest.Ada.Email)
	if err != nil {
		t.Fatal(err)
	}
	stopped, err := s.Suppressed(t.Context(), hash)
	if err != nil || len(stopped) != 2 || !stopped[dsr.Sale].Equal(now) || !stopped[dsr.Marketing].Equal(now) {
		t.Errorf("suppressed %v, error %v", stopped, err)
	}
	s = newStand(t, func(r *ledger.Request) { r.Rights = []dsr.Right{dsr.Access} })
	s.run(1)
	if stopped, _ := s.Suppressed(t.Context(), hash); len(stopped) != 0 {
		t.Errorf("a copy stopped %v", stopped)
	}
}

// A right that neither law nor pack gives is refused: the request is closed as
// denied, with its reason in the ledger, and the person is told.
func TestRefusal(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) { r.Rights = []dsr.Right{dsr.ShineTheLight} })
	out := s.run(1)
	r := s.request()
	if out.Decision != plan.Close || r.Status != dsr.Denied || r.Reason != policy.ReasonNotGiven || !r.ClosedAt.Equal(now) {
		t.Errorf("decided %s; the request is %s, %q", out.Decision, r.Status, r.Reason)
	}
	v, err := s.Visit(t.Context(), id, dsr.Itself+"#gather")
	if err != nil || len(v.Outcomes) != 1 || v.Outcomes[0].Kind != dsr.Refused || v.Outcomes[0].Category != string(dsr.ShineTheLight) {
		t.Errorf("the ledger says %+v, error %v", v, err)
	}
	if again := s.run(1); again.Decision != plan.Close {
		t.Errorf("after a cut mail it decides %s", again.Decision)
	}
	// Proof that fell short is an answer too, where the law knows no lesser one.
	s = newStand(t, func(r *ledger.Request) {
		r.Rights, r.Facts = []dsr.Right{dsr.Erasure}, map[string]string{policy.FactUnfit: "yes"}
	})
	if out := s.run(1); out.Decision != plan.Close || s.request().Status != dsr.Denied || s.request().Reason != policy.ReasonNotVerified {
		t.Errorf("unproved it decides %s; the request is %s, %q", out.Decision, s.request().Status, s.request().Reason)
	}
	// Of two rights that contradict each other the safe one runs.
	s = newStand(t, func(r *ledger.Request) { r.Rights = []dsr.Right{dsr.Erasure, dsr.Restriction} })
	if out := s.run(1); out.Decision != plan.Run {
		t.Errorf("contradicting rights are decided as %s", out.Decision)
	}
	visits, err := s.Visits(t.Context(), id)
	if err != nil || slices.ContainsFunc(visits, func(v dsr.Visit) bool { return slices.Contains(v.Ops, dsr.Erase) }) {
		t.Errorf("something is erased, error %v", err)
	}
	// Beside a right that is carried out, the refusal is one outcome of several.
	s = newStand(t, func(r *ledger.Request) { r.Rights = []dsr.Right{dsr.Erasure, dsr.ShineTheLight} })
	if out := s.run(1); out.Decision != plan.Run || s.request().Status != dsr.Running {
		t.Errorf("with an erasure it decides %s, %s", out.Decision, s.request().Status)
	}
}

// A processor refers: nothing is touched, and the systems say to whom.
func TestReferral(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) { r.Rights, r.Plan = []dsr.Right{dsr.Access}, "business" })
	s.Company.Roles = []policy.Role{{ID: "work", Plans: []string{"business"}, Role: "processor", Customer: "the company you work for", Says: "It decides about these data."}}
	out := s.run(1)
	if out.Decision != plan.Close || s.request().Status != dsr.Running {
		t.Errorf("decided %s; the request is %s", out.Decision, s.request().Status)
	}
	v, err := s.Visit(t.Context(), id, "app#gather")
	if err != nil || !v.Settled() || len(v.Outcomes) == 0 {
		t.Fatalf("the ledger says %+v, error %v", v, err)
	}
	for _, o := range v.Outcomes {
		if o.Kind != dsr.Referred || o.To != policy.ToCustomer || o.Validate() != nil {
			t.Errorf("the outcome is %+v", o)
		}
	}
}

// Work that was put off is planned for its systems and categories alone, and
// located first.
func TestScope(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) {
		r.Channel, r.Rights = ledger.ChannelDeferral, []dsr.Right{dsr.Erasure}
		r.Scope = []ledger.Portion{{System: "stripe", Categories: []string{"invoice", "charge"}, Ground: "us_tax_records"}, {System: "paypal", Categories: []string{"payments"}}}
	})
	out := s.run(1)
	if got := waves(out.Gather) + " / " + waves(out.Act); got != "stripe / stripe paypal!" {
		t.Errorf("planned %s", got)
	}
	v, err := s.Visit(t.Context(), id, "stripe#act")
	if err != nil || !slices.Equal(v.Categories, []string{"invoice", "charge"}) || !slices.Contains(v.Ops, dsr.Erase) {
		t.Errorf("planned as %+v, error %v", v, err)
	}
	if _, err := s.Visit(t.Context(), id, dsr.Itself+"#act"); err == nil {
		t.Error("Writ's own record is told of once more")
	}
}

// The sample beside the function is what the machine sends.
func TestSampleEvent(t *testing.T) {
	doc, err := os.ReadFile("../../../functions/plan-request/event.json")
	if err != nil {
		t.Fatal(err)
	}
	var in plan.Input
	if err := json.Unmarshal(doc, &in); err != nil {
		t.Fatal(err)
	}
	s := newStand(t, nil)
	out, err := lambdax.Wrap(s.Handle, slog.New(slog.DiscardHandler))(t.Context(), bytes.ReplaceAll(doc, []byte(in.RequestID), []byte(id)))
	if err != nil || out.(plan.Output).Decision != plan.Run {
		t.Errorf("%+v, %v", out, err)
	}
}
