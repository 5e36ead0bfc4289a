package connector_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/ledger"
)

func TestRunnerGathersThenErases(t *testing.T) {
	b := newBench(t)
	b.gather()
	b.want(dsr.Gather, dsr.Outcome{Category: "profile", Kind: dsr.Exported, Count: 2}, dsr.Outcome{Category: "orders", Kind: dsr.NotHeld})
	if a, err := b.visit(t.Context(), dsr.Act); err != nil || a.Status != connector.Done {
		t.Fatalf("acting: %+v, %v", a, err)
	}
	b.want(dsr.Act, dsr.Outcome{Category: "profile", Kind: dsr.Erased, Count: 2}, dsr.Outcome{Category: "orders", Kind: dsr.NotHeld})
	if len(b.vendor.rows) != 1 || b.vendor.rows["r3"] != dsrtest.Ben.Email {
		t.Errorf("what is left: %v", b.vendor.rows)
	}
	events, err := b.store.Events(t.Context(), b.id, "crm")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dsr.VerifyChain(events); err != nil {
		t.Error(err)
	}
	intent := slices.IndexFunc(events, func(e dsr.Event) bool { return e.Kind == dsr.EventIntent })
	done := slices.IndexFunc(events, func(e dsr.Event) bool { return e.Kind == dsr.EventOpDone && e.Detail["op"] == "erase" })
	if intent < 0 || done < intent {
		t.Errorf("intent is link %d and the erasure's end link %d", intent, done)
	}
}

// A crash at any point of the ledger's writes, before or after the write, and
// of the vendor's calls, before or after the effect, ends in the same outcomes
// and in one effect for each record.
func TestRunnerSurvivesACrashAtEveryPoint(t *testing.T) {
	points := 0
	run := func(t *testing.T, arrange func(b *bench)) {
		b := newBench(t)
		b.gather()
		arrange(b)
		for range 12 {
			if a, err := b.visit(t.Context(), dsr.Act); err == nil && a.Status == connector.Done {
				break
			}
			b.vendor.fault = nil
		}
		b.journal = b.store
		kinds := map[dsr.OutcomeKind]int{}
		for _, o := range b.outcomes(dsr.Act) {
			kinds[o.Kind] += o.Count
		}
		if kinds[dsr.Erased] != 2 || kinds[dsr.Failed] != 0 {
			t.Errorf("outcomes: %v", kinds)
		}
		for id, n := range b.vendor.deletions {
			if n != 1 {
				t.Errorf("record %s was deleted %d times", id, n)
			}
		}
		if _, ok := b.vendor.rows["r3"]; !ok || len(b.vendor.rows) != 1 {
			t.Errorf("what is left: %v", b.vendor.rows)
		}
		points++
	}
	for at := 1; at <= 8; at++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("ledger write %d, after %t", at, after), func(t *testing.T) {
				run(t, func(b *bench) { b.journal = &flaky{Store: b.store, at: at, after: after} })
			})
		}
	}
	for call := 1; call <= 2; call++ {
		for _, after := range []bool{false, true} {
			for _, err := range []error{errCrash, &connector.Error{Kind: connector.Unavailable, Sent: after, Err: errors.New("no answer")}} {
				t.Run(fmt.Sprintf("vendor call %d, after %t, %v", call, after, err), func(t *testing.T) {
					run(t, func(b *bench) {
						base := b.vendor.calls
						b.vendor.fault = func(n int, isAfter bool) error {
							if n == base+call && isAfter == after {
								return err
							}
							return nil
						}
					})
				})
			}
		}
	}
	if points != 24 {
		t.Errorf("%d crash points were tried, want 24", points)
	}
}

func TestRunnerDoesNotSendTwiceWhatMustNotBeRepeated(t *testing.T) {
	b := newBench(t)
	b.resend = connector.ResendNever
	b.gather()
	b.vendor.swallow = true // the call is lost: no effect, no answer
	base := b.vendor.calls
	b.vendor.fault = func(n int, after bool) error {
		if n == base+1 && after {
			return &connector.Error{Kind: connector.Unavailable, Sent: true, Err: errors.New("no answer")}
		}
		return nil
	}
	if _, err := b.visit(t.Context(), dsr.Act); connector.KindOf(err) != connector.Unavailable {
		t.Fatalf("first try: %v", err)
	}
	a, err := b.visit(t.Context(), dsr.Act)
	if err != nil || a.Status != connector.Person || a.Cause != connector.CauseUnknownEffect {
		t.Errorf("second try: %+v, %v", a, err)
	}
	if b.vendor.calls != base+2 {
		t.Errorf("%d calls after the lost one, want the read-back alone", b.vendor.calls-base-1)
	}
}

func TestRunnerFindsHoldsInTheWriteThatAllowsErasing(t *testing.T) {
	b := newBench(t)
	b.gather()
	if err := b.store.PlaceHold(t.Context(), ledger.Hold{Key: ledger.HoldOnCategory("profile"), Reason: "claim", By: "officer", At: start}); err != nil {
		t.Fatal(err)
	}
	calls := b.vendor.calls
	if a, err := b.visit(t.Context(), dsr.Act); err != nil || a.Status != connector.Done {
		t.Fatalf("acting under a hold: %+v, %v", a, err)
	}
	if b.vendor.calls != calls {
		t.Errorf("the vendor was called %d times under a hold", b.vendor.calls-calls)
	}
	for _, o := range b.outcomes(dsr.Act) {
		if o.Kind != dsr.Retained || o.Ground != connector.GroundHold {
			t.Errorf("outcome under a hold: %+v", o)
		}
	}
}

func TestRunnerBelievesTheReadBack(t *testing.T) {
	b := newBench(t)
	b.gather()
	b.vendor.swallow = true
	var a connector.Answer
	var err error
	for range 6 {
		if a, err = b.visit(t.Context(), dsr.Act); err != nil {
			t.Fatal(err)
		}
		if a.Status == connector.Person {
			break
		}
	}
	if a.Status != connector.Person || a.Cause != connector.CauseStillThere {
		t.Errorf("a swallowed write ended as %+v", a)
	}
	v, err := b.store.Visit(t.Context(), b.id, "crm#act")
	if err != nil {
		t.Fatal(err)
	}
	if v.Settled() {
		t.Error("a visit whose data is still there is settled")
	}
}

func TestRunnerStopsForWithdrawnRequests(t *testing.T) {
	b := newBench(t)
	b.gather()
	if _, err := ledger.Change(t.Context(), b.store, b.id, func(r *ledger.Request) error { r.Status = dsr.Withdrawn; return nil }); err != nil {
		t.Fatal(err)
	}
	calls := b.vendor.calls
	a, err := b.visit(t.Context(), dsr.Act)
	if err != nil || a.Status != connector.Stopped {
		t.Errorf("a withdrawn request: %+v, %v", a, err)
	}
	if b.vendor.calls != calls {
		t.Error("the vendor was called for a withdrawn request")
	}
}

func TestRunnerNeverSaysNotHeldWithoutHavingLooked(t *testing.T) {
	b := newBench(t)
	b.plan(dsr.Gather, dsr.Locate)
	b.plan(dsr.Act, dsr.Erase, dsr.ReadBack)
	b.vendor.fault = func(int, bool) error {
		return &connector.Error{Kind: connector.Unauthorized, Err: errors.New("refused")}
	}
	if a, err := b.visit(t.Context(), dsr.Gather); err != nil || a.Cause != connector.CauseUnauthorized {
		t.Fatalf("gathering without a credential: %+v, %v", a, err)
	}
	a, err := b.visit(t.Context(), dsr.Act)
	if err != nil || a.Status != connector.Person || a.Cause != connector.CauseNotLocated {
		t.Errorf("acting where nobody could look: %+v, %v", a, err)
	}
}

func TestRunnerCandidateGoesToAPerson(t *testing.T) {
	b := newBench(t)
	b.vendor.rows, b.vendor.upper = map[string]string{}, true
	b.plan(dsr.Gather, dsr.Locate, dsr.Export)
	a, err := b.visit(t.Context(), dsr.Gather)
	if err != nil || a.Status != connector.Person || a.Cause != connector.CauseCandidate {
		t.Fatalf("an address that differs in case alone: %+v, %v", a, err)
	}
	v, err := b.store.TakeVisit(t.Context(), b.id, "crm#gather", 1, b.now, b.now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	v.Person = &dsr.PersonTask{Assignee: "support", Cause: connector.CauseCandidate, Answer: connector.AnswerDone, AnsweredAt: b.now}
	v.LeaseUntil = time.Time{}
	if err := b.store.SaveVisit(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if a, err := b.visit(t.Context(), dsr.Gather); err != nil || a.Status != connector.Done {
		t.Fatalf("after the person's answer: %+v, %v", a, err)
	}
	for _, o := range b.outcomes(dsr.Gather) {
		if o.Kind != dsr.Attested || o.By != "support" {
			t.Errorf("outcome after the person's answer: %+v", o)
		}
	}
}

// An export that is cut after every row writes the same rows as one that is not.
func TestRunnerGoesOnWhereItWasCut(t *testing.T) {
	whole := newBench(t)
	whole.gather()
	cut := newBench(t)
	cut.plan(dsr.Gather, dsr.Locate, dsr.Export)
	deadline := time.Now().Add(10 * time.Minute)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	cut.clock = func() time.Time { // the time is up as soon as one row is written
		if len(cut.written.open) > 0 {
			return deadline
		}
		return deadline.Add(-time.Hour)
	}
	pauses := 0
	for range 8 {
		a, err := cut.visit(ctx, dsr.Gather)
		if err != nil {
			t.Fatal(err)
		}
		if a.Status == connector.Done {
			break
		}
		if a.Status != connector.Waiting || a.Wait != 0 {
			t.Fatalf("a cut visit answered %+v", a)
		}
		pauses++
	}
	if pauses != 1 {
		t.Errorf("an export of two rows was cut %d times, want once", pauses)
	}
	if got, want := fmt.Sprint(join(cut.sealed)), fmt.Sprint(join(whole.sealed)); got != want || len(join(cut.sealed)) != 2 {
		t.Errorf("cut export %s, whole export %s", got, want)
	}
	if len(cut.sealed) != 2 {
		t.Errorf("the cut export lies in %d parts, want 2", len(cut.sealed))
	}
}

func join(parts map[int][]string) []string {
	var all []string
	for _, n := range slices.Sorted(maps.Keys(parts)) {
		all = append(all, parts[n]...)
	}
	return all
}
