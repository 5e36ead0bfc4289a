package fanout_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/memory"
)

// A form that is sent twice, or by two people who share the code, is one answer.
func TestAnswersAtOnceAreOne(t *testing.T) {
	for _, v := range []dsr.Visit{byPerson(gather("zendesk")), gather("app"), byPerson(act("zendesk"))} {
		s, to := open(t, v, nil)
		code := s.code(to)
		var wg sync.WaitGroup
		var taken atomic.Int32
		for range 20 {
			wg.Go(func() {
				r, err := s.try(to, "step", "answer", "code", code, "answer", "done")
				switch {
				case err != nil:
					t.Errorf("%s: %v", v.Task(), err)
				case r.Status == http.StatusOK:
					taken.Add(1)
				}
			})
		}
		wg.Wait()
		if n := s.count(v.System, dsr.EventPersonAnswer); taken.Load() != 1 || n != 1 || len(s.machine.released) != 1 {
			t.Errorf("%s: %d answers taken, %d recorded, released %v", v.Task(), taken.Load(), n, s.machine.released)
		}
	}
}

func TestTaskThatWritWorksOnIsNotShown(t *testing.T) {
	s, to := open(t, act("app"), nil)
	code := s.code(to)
	if _, err := s.store.TakeVisit(t.Context(), s.id, "app#act", 1, s.now, s.now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if r := s.post(to, "step", "open", "code", code); r.Status != http.StatusConflict || strings.Contains(string(r.Body), dsrtest.Ada.Email) {
		t.Errorf("status %d", r.Status)
	}
	s.now = s.now.Add(2 * time.Minute)
	if r := s.post(to, "step", "open", "code", code); r.Status != http.StatusOK {
		t.Errorf("the same code afterwards: status %d", r.Status)
	}
}

func TestHoldStopsAPerson(t *testing.T) {
	for _, v := range []dsr.Visit{byPerson(act("zendesk")), act("app")} {
		s, to := open(t, v, nil)
		if err := s.store.PlaceHold(t.Context(), ledger.Hold{Key: ledger.HoldOnRequest(s.id), Reason: "x", By: "y", At: start}); err != nil {
			t.Fatal(err)
		}
		r := s.post(to, "step", "open", "code", s.code(to))
		if r.Status != http.StatusConflict || strings.Contains(string(r.Body), dsrtest.Ada.Email) || !strings.Contains(string(r.Body), "legal hold") {
			t.Errorf("%s: status %d: the person is told whom to erase", v.System, r.Status)
		}
		got := s.visit(v.Task())
		if !got.Settled() || kinds(got) != "retained" || got.Outcomes[0].Validate() != nil || s.count(v.System, dsr.EventHeld) != 1 {
			t.Errorf("%s: settled %v as %s", v.System, got.Settled(), kinds(got))
		}
		if !slices.Equal(s.machine.released, []string{"wait-1 done"}) || !s.request().ErasingAt.IsZero() {
			t.Errorf("%s: released %v", v.System, s.machine.released)
		}
	}
}

func TestPersonsErasureEndsTheRightToWithdraw(t *testing.T) {
	s, to := open(t, byPerson(act("zendesk")), nil)
	code := s.code(to)
	if !s.request().ErasingAt.IsZero() {
		t.Fatal("a mail is no erasure")
	}
	if r := s.post(to, "step", "open", "code", code); r.Status != http.StatusOK || s.request().ErasingAt.IsZero() {
		t.Errorf("status %d, erasing since %v", r.Status, s.request().ErasingAt)
	}
	if r := s.post(to, "step", "answer", "code", code, "answer", "done"); r.Status != http.StatusOK {
		t.Errorf("status %d", r.Status)
	}
}

func TestNothingIsErasedWhileTheRequestIsWithItsOwner(t *testing.T) {
	s, to := open(t, byPerson(act("zendesk")), nil)
	s.change(func(r *ledger.Request) { r.Status = dsr.NeedsAttention })
	r := s.post(to, "step", "open", "code", s.code(to))
	if r.Status != http.StatusConflict || strings.Contains(string(r.Body), dsrtest.Ada.Email) || s.visit("zendesk#act").Settled() {
		t.Errorf("status %d", r.Status)
	}
}

// raised is a ledger in which another person's answer starts the next run
// between this worker's lease and its write.
type raised struct {
	*memory.Store
	runs int
}

func (o *raised) next(ctx context.Context, id dsr.RequestID) error {
	if o.runs == 0 {
		return nil
	}
	o.runs--
	_, err := ledger.NextRun(ctx, o.Store, id)
	return err
}

func (o *raised) SaveVisit(ctx context.Context, v dsr.Visit) error {
	if err := o.next(ctx, v.RequestID); err != nil {
		return err
	}
	return o.Store.SaveVisit(ctx, v)
}

func (o *raised) BeginErasing(ctx context.Context, v dsr.Visit, keys []string, now time.Time) error {
	if err := o.next(ctx, v.RequestID); err != nil {
		return err
	}
	return o.Store.BeginErasing(ctx, v, keys, now)
}

func TestAnswerAndItsPageOutliveANewRun(t *testing.T) {
	for _, v := range []dsr.Visit{byPerson(gather("zendesk")), byPerson(act("zendesk"))} {
		s, to := open(t, v, nil)
		code := s.code(to)
		store := &raised{Store: s.store, runs: 1}
		s.answer.Ledger = store
		if r := s.post(to, "step", "open", "code", code); r.Status != http.StatusOK {
			t.Errorf("%s: opened with %d while a run starts", v.Task(), r.Status)
		}
		store.runs = 2
		if r := s.post(to, "step", "answer", "code", code, "answer", "done"); r.Status != http.StatusOK {
			t.Errorf("%s: answered with %d while runs start", v.Task(), r.Status)
		}
		if got := s.visit(v.Task()); !got.Settled() || len(got.Outcomes) == 0 || got.Outcomes[0].Kind != dsr.Attested {
			t.Errorf("%s: the visit is %s with %v", v.Task(), got.Status, got.Outcomes)
		}
	}
}
