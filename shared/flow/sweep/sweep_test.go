package sweep_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/sweep"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
	"github.com/writ-dsr/writ/shared/platform/mail"
)

func TestUnprovedRequestIsRemindedOnceAndEnds(t *testing.T) {
	s := newStand(t, status(dsr.Verifying))
	for _, c := range []struct {
		after    time.Duration
		mails    int
		status   dsr.Status
		released int
	}{{hour, 1, dsr.Verifying, 0}, {2 * hour, 1, dsr.Verifying, 0}, {83 * hour, 1, dsr.Verifying, 0}, {85 * hour, 2, dsr.Verifying, 0}, {100 * hour, 2, dsr.Verifying, 0}, {7 * day, 2, dsr.Verifying, 0}, {7*day + hour, 2, dsr.Unverified, 1}} {
		s.at(c.after)
		if n := len(s.mail.To(dsrtest.Ada.Email)); n != c.mails || s.request().Status != c.status || len(s.machine.released) != c.released {
			t.Errorf("after %v: %d mails, %s, released %v", c.after, n, s.request().Status, s.machine.released)
		}
	}
	if s.count(dsr.EventReminded) != 1 || s.count(dsr.EventUnverified) != 1 || len(s.machine.started) != 0 {
		t.Errorf("started %v", s.machine.started)
	}
	s.change(func(r *ledger.Request) { r.Notices["unverified#1"] = ledger.Notice{SentAt: start} })
	s.at(8 * day)
	if s.count(dsr.EventUnverified) != 1 || len(s.machine.released) != 1 || len(s.machine.started) != 0 {
		t.Error("a request that was told is ended again")
	}
}

// Its machine is gone: the end must be told all the same.
func TestUnprovedRequestWithoutAMachineIsTold(t *testing.T) {
	s := newStand(t, status(dsr.Verifying))
	s.machine.alive[1], s.machine.deaf = false, errors.New("releasing: no such wait")
	s.at(7*day + hour)
	if r := s.request(); r.Status != dsr.Unverified || r.Run != 2 || !slices.Equal(s.machine.started, []int{2}) || s.machine.proved[0] {
		t.Fatalf("%s, run %d, started %v", r.Status, r.Run, s.machine.started)
	}
	for i := range 3 { // those fail too
		s.machine.alive[s.request().Run] = false
		s.at(7*day + time.Duration(i+2)*hour)
	}
	r := s.request()
	if r.Owner == "" || r.Status != dsr.Unverified || r.Run != 4 || len(s.mail.To(officer)) != 1 {
		t.Errorf("owner %q, %s, run %d, %d mails to the officer", r.Owner, r.Status, r.Run, len(s.mail.To(officer)))
	}
	s.at(7*day + 9*hour)
	if len(s.mail.To(officer)) != 1 || len(s.machine.started) != 3 {
		t.Error("the owner is told again, or runs go on beside them")
	}
}

func TestQueuedChallengeIsMailedWhenItsTimeComes(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) { r.Status, r.MailAfter = dsr.Verifying, start.Add(day) })
	s.at(23 * hour)
	if len(s.mail.All()) != 0 {
		t.Error("mailed over the cap")
	}
	s.at(24 * hour)
	if len(s.mail.To(dsrtest.Ada.Email)) != 1 {
		t.Error("not mailed when its time came")
	}
}

func TestPeopleAreRemindedEscalatedAndLetGo(t *testing.T) {
	s := newStand(t, nil, task(27*day))
	for _, c := range []struct {
		after            time.Duration
		support, officer int
		outcomes         int
		released         int
	}{{day, 0, 0, 0, 0}, {13 * day, 0, 0, 0, 0}, {14 * day, 1, 0, 0, 0}, {20 * day, 1, 0, 0, 0}, {s.margin() - 23*hour, 1, 1, 0, 0}, {s.margin() - hour, 1, 1, 0, 0}, {s.margin(), 1, 1, 1, 1}, {s.margin() + hour, 1, 1, 1, 1}} {
		s.at(c.after)
		v := s.visit("zendesk#gather")
		if a, b := s.tasks(support), s.tasks(officer); a != c.support || b != c.officer || len(v.Outcomes) != c.outcomes || len(s.machine.released) != c.released {
			t.Errorf("after %v: %d mails, %d escalations, %d outcomes, released %v", c.after, a, b, len(v.Outcomes), s.machine.released)
		}
	}
	if v := s.visit("zendesk#gather"); v.Settled() || v.Outcomes[0].Kind != dsr.Deferred {
		t.Errorf("left as %+v", v.Outcomes)
	}
}

// A task that is open while the request is with its owner is minded too; a wait
// that cannot be ended keeps its token, and stops nothing else.
func TestOneTroubleStopsNoOther(t *testing.T) {
	s := newStand(t, nil, task(27*day))
	s.machine.deaf = errors.New("releasing: no answer")
	s.machine.alive[1] = false
	if out := s.at(s.margin()); out.Failed != 1 || !slices.Equal(s.machine.started, []int{2}) {
		t.Errorf("%+v, started %v: a dead run must be replaced whatever else fails", out, s.machine.started)
	}
	s.machine.deaf = nil
	if s.at(s.margin() + hour); !slices.Equal(s.machine.released, []string{"task-token"}) {
		t.Errorf("released %v", s.machine.released)
	}
	if !strings.Contains(s.log.String(), string(s.id)) {
		t.Error("the log names no request")
	}
}

func TestReconcileStartsThreeRunsThenAsksAPerson(t *testing.T) {
	for name, kill := range map[string]func(*stand, int, time.Duration){
		"by the hour":      func(s *stand, run int, after time.Duration) { s.machine.alive[run] = false; s.at(after) },
		"by the end event": func(s *stand, run int, after time.Duration) { s.ended(run, after) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, nil)
			for run := 1; run <= 4; run++ {
				kill(s, run, time.Duration(run)*hour)
			}
			r := s.request()
			if !slices.Equal(s.machine.started, []int{2, 3, 4}) || r.Run != 4 || r.FailedRuns != 3 || s.count(dsr.EventRunStarted) != 3 {
				t.Errorf("started %v, run %d, %d failed", s.machine.started, r.Run, r.FailedRuns)
			}
			if r.Status != dsr.NeedsAttention || r.Owner == "" || len(s.mail.To(officer)) != 1 || slices.Contains(s.machine.proved, false) {
				t.Errorf("%s, owner %q, %d mails", r.Status, r.Owner, len(s.mail.To(officer)))
			}
			s.at(9 * hour)
			s.ended(4, 9*hour)
			if len(s.machine.started) != 3 || len(s.mail.To(officer)) != 1 {
				t.Error("a request with its owner is started, or its owner told again")
			}
			if s.metric["needs_attention"] == 0 {
				t.Error("no metric rings")
			}
		})
	}
}

func TestReconcileLeavesAloneWhatGoesOn(t *testing.T) {
	for _, st := range []dsr.Status{dsr.Running, dsr.NeedsAttention, dsr.Verifying} {
		s := newStand(t, status(st))
		s.at(hour)
		if len(s.machine.started) != 0 || s.request().Run != 1 {
			t.Errorf("%s: started %v", st, s.machine.started)
		}
	}
	for _, st := range []dsr.Status{dsr.Withdrawn, dsr.Disowned, dsr.Merged, dsr.Completed} {
		s := newStand(t, status(st))
		s.ended(1, hour)
		if len(s.machine.started) != 0 {
			t.Errorf("%s: started %v", st, s.machine.started)
		}
	}
	s := newStand(t, func(r *ledger.Request) { r.Run = 2 })
	s.machine.alive[2] = true
	s.ended(1, hour)
	if len(s.machine.started) != 0 {
		t.Error("the end of an older run started something")
	}
}

// The form's machine did not start: the sweep starts the same run, and counts
// it as no failure; a machine that starts and dies is one.
func TestRequestThatWasNeverStarted(t *testing.T) {
	s := newStand(t, status(dsr.Verifying))
	delete(s.machine.alive, 1)
	s.at(2 * time.Minute)
	if !slices.Equal(s.machine.started, []int{1}) || s.request().Run != 1 || s.request().FailedRuns != 0 || s.machine.proved[0] {
		t.Errorf("started %v, run %d", s.machine.started, s.request().Run)
	}
	s = newStand(t, status(dsr.Verifying))
	delete(s.machine.alive, 1)
	s.at(hour)
	if !slices.Equal(s.machine.started, []int{2}) || s.machine.proved[0] {
		t.Errorf("started %v", s.machine.started)
	}
}

// The proof came, but the word to the machine was lost: it waits for nothing.
func TestProvedRequestWhoseMachineNeverHeardGoesOn(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) { r.Planned, r.VerifiedAt = false, start.Add(hour) })
	s.at(hour + time.Minute)
	if len(s.machine.started) != 0 {
		t.Error("started while the machine may still plan")
	}
	s.at(2 * hour)
	if !slices.Equal(s.machine.started, []int{2}) || !s.machine.proved[0] {
		t.Errorf("started %v", s.machine.started)
	}
}

// Its owner answered, but the run did not start: nobody else would.
func TestRequestTakenBackWithoutARunGoesOn(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) { r.Status, r.Run = dsr.NeedsAttention, 2 })
	s.at(hour)
	if !slices.Equal(s.machine.started, []int{3}) {
		t.Errorf("started %v", s.machine.started)
	}
}

// finishing is a machine that ends well just while the sweep asks for it.
type finishing struct {
	*machine
	s *stand
}

func (f finishing) Alive(context.Context, dsr.RequestID, int) (bool, error) {
	f.s.change(func(r *ledger.Request) { r.Status, r.ClosedAt = dsr.Completed, start })
	return false, nil
}

func TestRequestThatEndsMeanwhileIsNotStarted(t *testing.T) {
	for _, st := range []dsr.Status{dsr.Running, dsr.Answered} {
		s := newStand(t, func(r *ledger.Request) { r.Status, r.Told = st, "something else" })
		s.stage.Machine = finishing{s.machine, s}
		s.at(hour)
		if r := s.request(); r.Run != 1 || len(s.machine.started) != 0 || r.Status != dsr.Completed {
			t.Errorf("%s: run %d, started %v, %s", st, r.Run, s.machine.started, r.Status)
		}
	}
}

func TestOwnerWhoseMailWasLostIsMailedOnce(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) {
		r.Status, r.Owner, r.Reason = dsr.NeedsAttention, "privacy_officer", "mail_bounced"
	})
	s.mail.Fail = func(mail.Message) error { return errors.New("mailing: no answer") }
	if out := s.at(hour); out.Failed != 1 {
		t.Errorf("%+v", out)
	}
	s.mail.Fail = nil
	s.at(2 * hour)
	s.at(3 * hour)
	if r := s.request(); len(s.mail.To(officer)) != 1 || r.Reason != "mail_bounced" || len(s.machine.started) != 0 {
		t.Errorf("%d mails, reason %q, started %v", len(s.mail.To(officer)), r.Reason, s.machine.started)
	}
}

func TestRunThatCannotStartIsTriedAgain(t *testing.T) {
	s := newStand(t, nil)
	s.machine.alive[1], s.machine.fail = false, errors.New("starting: no answer")
	if out := s.at(hour); out.Failed != 1 || s.request().Run != 2 {
		t.Errorf("%+v, run %d", out, s.request().Run)
	}
	s.machine.fail = nil
	s.at(2 * hour)
	if !slices.Equal(s.machine.started, []int{3}) {
		t.Errorf("started %v", s.machine.started)
	}
}

func TestDeferredWorkIsTriedWhenItIsDue(t *testing.T) {
	open := func(kind dsr.OutcomeKind) dsr.Visit {
		return dsr.Visit{System: "stripe", Phase: dsr.Act, Status: dsr.VisitErasing, Outcomes: []dsr.Outcome{{Category: "account", Kind: kind, DueAt: start.Add(10 * day), Reason: "not_finished"}}}
	}
	person := task(27 * day)
	person.Outcomes = open(dsr.Deferred).Outcomes
	done := dsr.Visit{System: "app", Phase: dsr.Act, Status: dsr.VisitSettled, Outcomes: []dsr.Outcome{{Category: "account", Kind: dsr.Erased, Count: 1}}}
	for _, c := range []struct {
		name    string
		visit   dsr.Visit
		alive   bool
		told    bool
		after   time.Duration
		started bool
	}{
		{"not due yet", open(dsr.Deferred), false, true, 10*day - hour, false},
		{"due", open(dsr.Deferred), false, true, 10 * day, true},
		{"accepted, the re-check is due", open(dsr.Accepted), false, true, 10 * day, true},
		{"due, but a run goes on", open(dsr.Deferred), true, true, 10 * day, false},
		{"a person has it", person, false, true, 11 * day, false},
		{"nothing is open", done, false, true, 11 * day, false},
		{"what was told is true no more", done, false, false, 11 * day, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t, func(r *ledger.Request) { r.Status, r.AnsweredAt = dsr.Answered, start.Add(day) }, c.visit)
			visits, err := s.store.Visits(t.Context(), s.id)
			if err != nil {
				t.Fatal(err)
			}
			if c.told {
				s.change(func(r *ledger.Request) { r.Told = dsr.Judge(visits).Digest })
			}
			s.machine.alive[1] = c.alive
			s.at(c.after)
			if started := slices.Equal(s.machine.started, []int{2}); started != c.started || s.request().FailedRuns != 0 {
				t.Errorf("started %v, %d counted as failed", s.machine.started, s.request().FailedRuns)
			}
			if c.started && (!s.machine.proved[0] || s.count(dsr.EventRunStarted) != 1) {
				t.Error("the run asks for a proof again, or no event tells of it")
			}
		})
	}
}

// A follow-up run that dies is replaced, three times, like any other.
func TestFollowUpRunThatDiesIsReplaced(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) { r.Status, r.AnsweredAt = dsr.Answered, start })
	for run := 1; run <= 4; run++ {
		s.ended(run, 11*day)
	}
	if r := s.request(); !slices.Equal(s.machine.started, []int{2, 3, 4}) || r.Status != dsr.NeedsAttention || len(s.mail.To(officer)) != 1 {
		t.Errorf("started %v, %s", s.machine.started, r.Status)
	}
}

func TestMetrics(t *testing.T) {
	s := newStand(t, status(dsr.NeedsAttention))
	s.change(func(r *ledger.Request) {
		r.Owner, r.Notices = "privacy_officer", map[string]ledger.Notice{ledger.AttentionNotice(1): {SentAt: start}}
	})
	s.at(hour)
	if s.metric["needs_attention"] != 1 || s.metric["due_soon"] != 0 {
		t.Errorf("metrics %v", s.metric)
	}
	s.at(s.margin() - hour)
	if s.metric["due_soon"] != 1 {
		t.Errorf("metrics %v: due in a few days, and nothing rings", s.metric)
	}
}

func TestOddEvents(t *testing.T) {
	s := newStand(t, nil)
	for _, e := range []string{``, `x`, `{}`, `{"detail-type":"Scheduled Event"}`} {
		if _, err := s.stage.Handle(t.Context(), json.RawMessage(e)); err == nil {
			t.Errorf("%q is taken for an event", e)
		}
	}
	for _, name := range []string{"wbbbbbbbbbbbbbbbbbbbbbbbbb-1", string(s.id) + "-99"} { // nobody's request, and a run that is not the current one
		doc := fmt.Sprintf(`{"time":"2026-11-02T10:00:00Z","detail":{"name":%q,"status":"FAILED"}}`, name)
		if out, err := s.stage.Handle(t.Context(), json.RawMessage(doc)); err != nil || out.Seen != 1 || len(s.machine.started) != 0 {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
}

// The sample beside the function is what EventBridge sends.
func TestSampleEvent(t *testing.T) {
	doc, err := os.ReadFile("../../../functions/sweep/event.json")
	if err != nil {
		t.Fatal(err)
	}
	s := newStand(t, nil)
	out, err := lambdax.Wrap(s.stage.Handle, slog.New(slog.DiscardHandler))(t.Context(), doc)
	if err != nil || out != (sweep.Output{Seen: 1}) {
		t.Errorf("%+v, %v", out, err)
	}
}
