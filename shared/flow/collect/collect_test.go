package collect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/flow/collect"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/memory"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
	"github.com/writ-dsr/writ/shared/policy"
)

const id = dsr.RequestID("waaaaaaaaaaaaaaaaaaaaaaaaa")

var received = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

var pack = sync.OnceValues(func() (*policy.Company, error) { return policy.Load("pythonmaster") })

type stand struct {
	t testing.TB
	*memory.Store
	*collect.Stage
	now time.Time
}

func newStand(t testing.TB, change func(*ledger.Request), visits ...dsr.Visit) *stand {
	t.Helper()
	company, err := pack()
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{t: t, Store: memory.New(), now: received.Add(time.Hour)}
	s.Stage = &collect.Stage{Company: company, Ledger: s.Store, Now: func() time.Time { return s.now }}
	r := ledger.Request{ID: id, Status: dsr.Running, Rights: []dsr.Right{dsr.Erasure}, Country: "DE", Run: 1, VerifiedAt: received, Planned: true,
		Clock: []dsr.ClockEvent{{Kind: dsr.Received, At: received}}}
	if change != nil {
		change(&r)
	}
	if err := s.CreateRequest(t.Context(), r, ledger.SealedSubject{RequestID: id}, dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: received}); err != nil {
		t.Fatal(err)
	}
	if err := s.PlanVisits(t.Context(), visits); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stand) run() (collect.Output, error) {
	return s.Handle(s.t.Context(), collect.Input{V: 1, RequestID: id, Run: 1})
}

func (s *stand) request() ledger.Request {
	s.t.Helper()
	r, err := s.Request(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *stand) count(kind dsr.EventKind) int {
	n := 0
	chain, _ := s.Events(s.t.Context(), id, dsr.RequestChain)
	for _, e := range chain {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func visit(system string, phase dsr.Phase, status dsr.VisitStatus, outcomes ...dsr.Outcome) dsr.Visit {
	v := dsr.Visit{RequestID: id, System: system, Phase: phase, Status: status, Outcomes: outcomes}
	if phase == dsr.Gather && system != dsr.Officer {
		v.Ops = []dsr.Op{dsr.Locate, dsr.Export}
	}
	return v
}

var (
	erased   = dsr.Outcome{Category: "account", Kind: dsr.Erased, Count: 1}
	exported = dsr.Outcome{Category: "account", Kind: dsr.Exported, Count: 1}
	deferred = dsr.Outcome{Category: "account", Kind: dsr.Deferred, DueAt: received.Add(24 * time.Hour), Reason: "not_finished"}
	accepted = dsr.Outcome{Category: "account", Kind: dsr.Accepted, DueAt: received.Add(24 * time.Hour)}
	failed   = dsr.Outcome{Category: "account", Kind: dsr.Failed, Reason: "still_there"}
	halfKept = dsr.Outcome{Category: "account", Kind: dsr.Retained} // names no ground
)

func TestVerdicts(t *testing.T) {
	access := func(r *ledger.Request) { r.Rights = []dsr.Right{dsr.Access} }
	for _, c := range []struct {
		name   string
		change func(*ledger.Request)
		visits []dsr.Visit
		out    collect.Output
		status dsr.Status
	}{
		{"an erasure is told", nil, []dsr.Visit{{RequestID: id, System: "app", Phase: dsr.Gather, Ops: []dsr.Op{dsr.Locate}, Status: dsr.VisitSettled}, visit("app", dsr.Act, dsr.VisitSettled, erased)}, collect.Output{V: 1, Notify: true}, dsr.Running},
		{"a part is open", nil, []dsr.Visit{visit("app", dsr.Act, dsr.VisitSettled, erased), visit("stripe", dsr.Act, dsr.VisitErasing, deferred)}, collect.Output{V: 1, Notify: true, Open: 1}, dsr.Running},
		{"accepted is not done", nil, []dsr.Visit{visit("app", dsr.Act, dsr.VisitErasing, accepted)}, collect.Output{V: 1, Notify: true, Open: 1}, dsr.Running},
		{"failed is not done", nil, []dsr.Visit{visit("app", dsr.Act, dsr.VisitSettled, failed)}, collect.Output{V: 1, Notify: true, Open: 1}, dsr.Running},
		{"an outcome without its ground is not done", nil, []dsr.Visit{visit("app", dsr.Act, dsr.VisitSettled, halfKept)}, collect.Output{V: 1, Notify: true, Open: 1}, dsr.Running},
		{"a copy was its own answer", access, []dsr.Visit{visit("app", dsr.Gather, dsr.VisitSettled, exported)}, collect.Output{V: 1}, dsr.Completed},
		{"a copy with a part open", access, []dsr.Visit{visit("app", dsr.Gather, dsr.VisitPlanned, deferred)}, collect.Output{V: 1, Open: 1}, dsr.Answered},
		{"own words alone", func(r *ledger.Request) { r.Rights, r.Words = nil, true }, []dsr.Visit{visit(dsr.Officer, dsr.Gather, dsr.VisitSettled, dsr.Outcome{Category: dsr.Words, Kind: dsr.Attested, By: "privacy_officer"})}, collect.Output{V: 1, Notify: true}, dsr.Running},
		{"a stale run", func(r *ledger.Request) { r.Run = 2 }, []dsr.Visit{visit("app", dsr.Act, dsr.VisitPlanned)}, collect.Output{V: 1}, dsr.Running},
		{"withdrawn", func(r *ledger.Request) { r.Status = dsr.Withdrawn }, []dsr.Visit{visit("app", dsr.Act, dsr.VisitPlanned)}, collect.Output{V: 1}, dsr.Withdrawn},
		{"with a person since a mail bounced", func(r *ledger.Request) { r.Status = dsr.NeedsAttention }, []dsr.Visit{visit("app", dsr.Act, dsr.VisitPlanned)}, collect.Output{V: 1}, dsr.NeedsAttention},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t, c.change, c.visits...)
			out, err := s.run()
			if err != nil || out != c.out {
				t.Errorf("got %+v, %v; want %+v", out, err, c.out)
			}
			r := s.request()
			if r.Status != c.status {
				t.Errorf("the request is %s, want %s", r.Status, c.status)
			}
			closed := c.status == dsr.Completed
			if (s.count(dsr.EventClosed) == 1) != closed || !r.ClosedAt.IsZero() != closed {
				t.Errorf("closed at %v, %d events", r.ClosedAt, s.count(dsr.EventClosed))
			}
		})
	}
}

func TestToldOutcomesAreNotToldAgain(t *testing.T) {
	open := []dsr.Visit{visit("app", dsr.Act, dsr.VisitErasing, deferred)}
	s := newStand(t, func(r *ledger.Request) {
		r.Status, r.Told, r.AnsweredAt = dsr.Answered, dsr.Judge(open).Digest, received
	}, open...)
	if out, err := s.run(); err != nil || out.Notify || out.Open != 1 || s.request().Status != dsr.Answered {
		t.Errorf("told twice: %+v, %v, %s", out, err, s.request().Status)
	}
	done := []dsr.Visit{visit("app", dsr.Act, dsr.VisitSettled, erased)}
	s = newStand(t, func(r *ledger.Request) { r.Status, r.Told = dsr.Answered, dsr.Judge(open).Digest }, done...)
	if out, err := s.run(); err != nil || !out.Notify {
		t.Errorf("the follow-up is not told: %+v, %v", out, err)
	}
	s = newStand(t, func(r *ledger.Request) { r.Status, r.Told = dsr.Answered, dsr.Judge(done).Digest }, done...)
	if out, err := s.run(); err != nil || out.Notify || s.request().Status != dsr.Completed {
		t.Errorf("told and complete, but %+v, %v, %s", out, err, s.request().Status)
	}
}

func TestLostVisitIsAFaultUntilTheMargin(t *testing.T) {
	s := newStand(t, nil, visit("app", dsr.Act, dsr.VisitSettled, erased), visit("stripe", dsr.Act, dsr.VisitPlanned))
	if _, err := s.run(); err == nil || !strings.Contains(err.Error(), "1 visits") {
		t.Errorf("a visit without an outcome: %v", err)
	}
	if s.count(dsr.EventCollected) != 0 {
		t.Error("collected all the same")
	}
	deadline, err := s.Company.Due(nil, s.request().Clock, "DE")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		now time.Time
		ok  bool
	}{{deadline.MarginAt.Add(-time.Second), false}, {deadline.MarginAt, true}} {
		s.now = c.now
		out, err := s.run()
		if (err == nil) != c.ok || c.ok && (!out.Notify || out.Open != 1) {
			t.Errorf("at %v: %+v, %v", c.now, out, err)
		}
	}
}

// Whatever subset of the systems fails, and however, the request is complete
// only if none did (invariant 2).
func TestNoSubsetOfFailingSystemsCompletes(t *testing.T) {
	systems := []string{"app", "files", "paypal", "stripe", "zendesk"} // in the ledger's order
	for kind, bad := range map[string]func(system string) dsr.Visit{
		"failed":    func(x string) dsr.Visit { return visit(x, dsr.Act, dsr.VisitSettled, failed) },
		"deferred":  func(x string) dsr.Visit { return visit(x, dsr.Act, dsr.VisitErasing, deferred) },
		"accepted":  func(x string) dsr.Visit { return visit(x, dsr.Act, dsr.VisitSettled, accepted) },
		"malformed": func(x string) dsr.Visit { return visit(x, dsr.Act, dsr.VisitSettled, erased, halfKept) },
		"unsettled": func(x string) dsr.Visit { return visit(x, dsr.Act, dsr.VisitErasing, erased) },
		"lost":      func(x string) dsr.Visit { return visit(x, dsr.Act, dsr.VisitPlanned) },
	} {
		for subset := range 1 << len(systems) {
			var visits []dsr.Visit
			for i, system := range systems {
				if subset&(1<<i) != 0 {
					visits = append(visits, bad(system))
				} else {
					visits = append(visits, visit(system, dsr.Act, dsr.VisitSettled, erased))
				}
			}
			told := func(r *ledger.Request) { r.Told = dsr.Judge(visits).Digest } // so that collecting may close it
			s := newStand(t, told, visits...)
			_, err := s.run()
			if complete := s.request().Status == dsr.Completed; complete != (subset == 0) {
				t.Errorf("%s, subset %05b: completed %v (%v)", kind, subset, complete, err)
			}
			if (err != nil) != (kind == "lost" && subset != 0) {
				t.Errorf("%s, subset %05b: err = %v", kind, subset, err)
			}
		}
	}
}

// The sample beside the function is what the machine sends.
func TestSampleEvent(t *testing.T) {
	doc, err := os.ReadFile("../../../functions/collect-results/event.json")
	if err != nil {
		t.Fatal(err)
	}
	var in collect.Input
	if err := json.Unmarshal(doc, &in); err != nil {
		t.Fatal(err)
	}
	s := newStand(t, nil, visit("app", dsr.Act, dsr.VisitSettled, erased))
	out, err := lambdax.Wrap(s.Handle, slog.New(slog.DiscardHandler))(t.Context(), bytes.ReplaceAll(doc, []byte(in.RequestID), []byte(id)))
	if err != nil || fmt.Sprint(out) != fmt.Sprint(collect.Output{V: 1, Notify: true}) {
		t.Errorf("%+v, %v", out, err)
	}
}
