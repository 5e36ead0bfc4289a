package fanout_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
)

func TestVisitGathersThenActs(t *testing.T) {
	s := newStand(t, nil, gather("app"), act("app"))
	s.done(dsr.Gather)
	if v := s.visit("app#gather"); !v.Settled() || kinds(v) != "exported" || s.rows != 2 {
		t.Errorf("gathered %s, %d rows", kinds(v), s.rows)
	}
	s.done(dsr.Act)
	if v := s.visit("app#act"); !v.Settled() || kinds(v) != "erased" || v.Outcomes[0].Count != 2 {
		t.Errorf("acted %+v", v.Outcomes)
	}
	if len(s.vendor.rows) != 1 || s.vendor.rows["r3"] != dsrtest.Ben.Email {
		t.Errorf("left %d rows, want Ben's alone", len(s.vendor.rows))
	}
	if s.request().ErasingAt.IsZero() {
		t.Error("no record that erasing has begun")
	}
	calls := s.vendor.calls
	s.done(dsr.Act) // the machine's state runs twice
	if s.vendor.calls != calls {
		t.Error("a settled visit was visited again")
	}
}

func TestVisitThatMustNotTouchAnything(t *testing.T) {
	for name, change := range map[string]func(*ledger.Request){
		"a stale run":      func(r *ledger.Request) { r.Run = 2 },
		"not proved":       func(r *ledger.Request) { r.VerifiedAt = time.Time{} },
		"withdrawn":        func(r *ledger.Request) { r.Status = dsr.Withdrawn },
		"with its owner":   func(r *ledger.Request) { r.Status = dsr.NeedsAttention },
		"completed":        func(r *ledger.Request) { r.Status = dsr.Completed },
		"disowned":         func(r *ledger.Request) { r.Status = dsr.Disowned },
		"waits for proof":  func(r *ledger.Request) { r.Status, r.VerifiedAt = dsr.Verifying, time.Time{} },
		"merged elsewhere": func(r *ledger.Request) { r.Status = dsr.Merged },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, change, gather("app"), act("app"))
			before := s.snapshot()
			for _, phase := range []dsr.Phase{dsr.Gather, dsr.Act} {
				out, err := s.task.Handle(t.Context(), fanout.Input{V: 1, RequestID: s.id, Run: 1, System: "app", Phase: phase})
				if err != nil || out.Status != string(connector.Done) {
					t.Errorf("%s: %+v, %v", phase, out, err)
				}
			}
			if s.snapshot() != before || s.vendor.calls+s.opened != 0 {
				t.Errorf("%d calls", s.vendor.calls+s.opened)
			}
		})
	}
}

func TestWrongSystemOrPhaseIsAFault(t *testing.T) {
	s := newStand(t, nil, gather("app"))
	for _, in := range []fanout.Input{
		{RequestID: s.id, Run: 1, System: "stripe", Phase: dsr.Gather},
		{RequestID: s.id, Run: 1, System: "app", Phase: "erase"},
		{RequestID: "wbbbbbbbbbbbbbbbbbbbbbbbbb", Run: 1, System: "app", Phase: dsr.Gather},
		{RequestID: s.id, Run: 1, System: "app", Phase: dsr.Act}, // not planned
	} {
		if _, err := s.task.Handle(t.Context(), in); err == nil {
			t.Errorf("%+v is no fault", in)
		}
	}
	if s.vendor.calls != 0 {
		t.Error("the system was called")
	}
}

func TestLeasedVisitWaits(t *testing.T) {
	s := newStand(t, nil, gather("app"))
	if _, err := s.store.TakeVisit(t.Context(), s.id, "app#gather", 1, s.now, s.now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if out, err := s.visitApp(dsr.Gather); err != nil || out.Status != string(connector.Waiting) || out.WaitSeconds <= 0 || s.vendor.calls != 0 {
		t.Errorf("%+v, %v, %d calls", out, err, s.vendor.calls)
	}
	s.now = s.now.Add(2 * time.Minute) // the other worker is dead
	s.done(dsr.Gather)
}

func TestVendorThatLetsUsWait(t *testing.T) {
	s := newStand(t, nil, gather("app"))
	s.vendor.fails = &connector.Error{Kind: connector.RateLimited, RetryAfter: 90*time.Second + time.Millisecond}
	if out, err := s.visitApp(dsr.Gather); err != nil || out.Status != string(connector.Waiting) || out.WaitSeconds != 91 {
		t.Errorf("%+v, %v; want the vendor's 90 s, rounded up", out, err)
	}
	s.now = s.margin().Add(-10 * time.Second)
	if out, err := s.visitApp(dsr.Gather); err != nil || out.Status != string(connector.Waiting) || out.WaitSeconds != 10 {
		t.Errorf("%+v, %v; want no longer than the margin", out, err)
	}
	s.vendor.fails = nil
	s.now = s.margin()
	s.done(dsr.Gather)
	if v := s.visit("app#gather"); !v.Settled() {
		t.Error("a vendor that is back at the margin is not used")
	}
}

func TestVendorThatIsDown(t *testing.T) {
	down := &connector.Error{Kind: connector.Unavailable, Err: errors.New("no answer")}
	for _, c := range []struct {
		name     string
		fails    error
		answered bool
		late     bool
		fault    bool
		status   string
		outcomes string
	}{
		{"in time it is a fault that the machine retries", down, false, false, true, "", ""},
		{"at the margin it was tried once and is deferred", down, false, true, false, "done", "deferred"},
		{"after an answer nobody waits either", down, true, false, false, "done", "deferred"},
		{"a limit at the margin is deferred", &connector.Error{Kind: connector.RateLimited}, false, true, false, "done", "deferred"},
		{"a job at the margin is deferred", &connector.Error{Kind: connector.Pending, Job: "j1", RetryAfter: time.Hour}, false, true, false, "done", "deferred"},
		{"a refusal at the margin goes to a person", &connector.Error{Kind: connector.Unauthorized}, false, true, false, "person", ""},
		{"nonsense at the margin goes to a person", &connector.Error{Kind: connector.Invalid}, false, true, false, "person", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t, func(r *ledger.Request) {
				if c.answered {
					r.Status, r.AnsweredAt = dsr.Answered, start
				}
			}, gather("app"))
			if c.late {
				s.now = s.margin()
			}
			s.vendor.fails = c.fails
			out, err := s.visitApp(dsr.Gather)
			if (err != nil) != c.fault || err == nil && out.Status != c.status {
				t.Fatalf("%+v, %v", out, err)
			}
			if c.fault && connector.KindOf(err) != connector.Unavailable {
				t.Errorf("the machine does not retry a %s", connector.KindOf(err))
			}
			v := s.visit("app#gather")
			if kinds(v) != c.outcomes || v.Settled() || v.LeaseUntil.After(s.now) || s.vendor.calls != 1 {
				t.Errorf("left as %s, settled %v, leased until %v, %d calls", kinds(v), v.Settled(), v.LeaseUntil, s.vendor.calls)
			}
			if c.outcomes == "deferred" && (!v.Outcomes[0].DueAt.After(s.now) || v.Outcomes[0].Validate() != nil) {
				t.Errorf("deferred without a date: %+v", v.Outcomes[0])
			}
		})
	}
}

// Deferred is not lost: the next run goes on and the outcome is replaced.
func TestDeferredVisitGoesOnInTheNextRun(t *testing.T) {
	s := newStand(t, nil, gather("app"))
	s.now = s.margin()
	s.vendor.fails = connector.Unavailable
	s.done(dsr.Gather)
	s.vendor.fails = nil
	s.change(func(r *ledger.Request) { r.Run, r.Status, r.AnsweredAt = 2, dsr.Answered, s.now })
	s.done(dsr.Gather)
	if v := s.visit("app#gather"); !v.Settled() || kinds(v) != "exported" {
		t.Errorf("left as %s", kinds(v))
	}
}

func TestNothingIsErasedTooEarly(t *testing.T) {
	both := func(r *ledger.Request) { r.Rights = []dsr.Right{dsr.Access, dsr.Erasure} }
	delivered := func(r *ledger.Request) { both(r); r.Bundle = &ledger.Bundle{DeliveredAt: start} }
	ready := settled(gather("app"))
	ready.Steps = map[dsr.Op]dsr.Step{dsr.Locate: {Done: true}}
	for _, c := range []struct {
		name   string
		change func(*ledger.Request)
		visits []dsr.Visit
		erased bool
	}{
		{"its own gathering goes on", nil, []dsr.Visit{gather("app")}, false},
		{"another system's gathering needs its rows", nil, []dsr.Visit{ready, gather("stripe")}, false},
		{"a person's gathering needs no rows", nil, []dsr.Visit{ready, byPerson(gather("zendesk"))}, true},
		{"a copy was asked and is not built", both, []dsr.Visit{ready}, false},
		{"it is built and not mailed", func(r *ledger.Request) { both(r); r.Bundle = &ledger.Bundle{} }, []dsr.Visit{ready}, false},
		{"it is mailed", delivered, []dsr.Visit{ready}, true},
		{"everything is gathered", nil, []dsr.Visit{ready, settled(gather("stripe"))}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t, c.change, append(c.visits, act("app"))...)
			if c.erased { // what the gathering found lies sealed in its visit
				s.sealFootprint()
			}
			s.done(dsr.Act)
			v := s.visit("app#act")
			if erased := len(s.vendor.rows) == 1; erased != c.erased || erased != v.Settled() {
				t.Errorf("erased %v, settled %v; want %v", erased, v.Settled(), c.erased)
			}
			if !c.erased && (kinds(v) != "deferred" || s.vendor.calls != 0 || !s.request().ErasingAt.IsZero()) {
				t.Errorf("left as %q, %d calls", kinds(v), s.vendor.calls)
			}
		})
	}
}

// sealFootprint makes a gathering look as one that found Ada's rows.
func (s *stand) sealFootprint() {
	s.t.Helper()
	box, err := s.keys.OpenBox(s.t.Context(), s.id, s.wrapped())
	if err != nil {
		s.t.Fatal(err)
	}
	found, err := json.Marshal(map[string]any{"found": connector.Footprint{Records: []connector.Record{{Kind: "accounts", ID: "r1"}, {Kind: "accounts", ID: "r2"}}, Counts: map[string]int{"account": 2}}})
	if err != nil {
		s.t.Fatal(err)
	}
	v := s.visit("app#gather")
	v.Run, v.Sealed = 1, box.Seal(found, string(s.id)+"/app#gather")
	if err := s.store.SaveVisit(s.t.Context(), v); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stand) wrapped() []byte {
	s.t.Helper()
	sealed, err := s.store.Subject(s.t.Context(), s.id)
	if err != nil {
		s.t.Fatal(err)
	}
	return sealed.WrappedKey
}

func TestHoldStopsAVisit(t *testing.T) {
	hash := func(s *stand) string {
		h, _ := s.keys.Hash(context.Background(), "identity", dsrtest.Ada.Email)
		return h
	}
	for name, key := range map[string]func(*stand) string{
		"on the request":  func(s *stand) string { return ledger.HoldOnRequest(s.id) },
		"on the person":   func(s *stand) string { return ledger.HoldOnSubject(hash(s)) },
		"on the category": func(*stand) string { return ledger.HoldOnCategory("account") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, nil, gather("app"), act("app"))
			s.done(dsr.Gather)
			if err := s.store.PlaceHold(t.Context(), ledger.Hold{Key: key(s), Reason: "x", By: "y", At: start}); err != nil {
				t.Fatal(err)
			}
			s.done(dsr.Act)
			if v := s.visit("app#act"); !v.Settled() || kinds(v) != "retained" || len(s.vendor.rows) != 3 {
				t.Errorf("left as %s, %d rows", kinds(v), len(s.vendor.rows))
			}
		})
	}
}

func TestSystemThatCannotBeOpened(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		fault bool
		cause string
	}{
		{"a secret is missing", &connector.Error{Kind: connector.Unauthorized, Err: errors.New("parameter is missing")}, false, fanout.CauseMissingSecret},
		{"the configuration is wrong", &connector.Error{Kind: connector.Invalid}, false, connector.CauseInvalid},
		{"an error of no kind", errors.New("a bug"), false, connector.CauseInvalid},
		{"the parameter store is away", &connector.Error{Kind: connector.Unavailable}, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t, nil, gather("app"))
			s.openErr = c.err
			out, err := s.visitApp(dsr.Gather)
			if (err != nil) != c.fault || err == nil && (out.Status != string(connector.Person) || out.Cause != c.cause) {
				t.Errorf("%+v, %v", out, err)
			}
			if v := s.visit("app#gather"); v.LeaseUntil.After(s.now) || s.vendor.calls != 0 {
				t.Error("the lease is kept, or the system was called")
			}
		})
	}
}

// The sample beside the function is what the machine sends.
func TestSampleEventOfATask(t *testing.T) {
	doc, err := os.ReadFile("../../../functions/fanout-task/event.json")
	if err != nil {
		t.Fatal(err)
	}
	var in fanout.Input
	if err := json.Unmarshal(doc, &in); err != nil {
		t.Fatal(err)
	}
	s := newStand(t, nil, gather("app"))
	out, err := lambdax.Wrap(s.task.Handle, slog.New(slog.DiscardHandler))(t.Context(), bytes.ReplaceAll(doc, []byte(in.RequestID), []byte(s.id)))
	if err != nil || out.(fanout.Output).Status != string(connector.Done) || s.rows != 2 {
		t.Errorf("%+v, %v, %d rows", out, err, s.rows)
	}
}
