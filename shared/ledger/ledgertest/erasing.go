package ledgertest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

// holdKeys are the keys that an erasure in the visit's system checks.
func holdKeys(id dsr.RequestID, person, category string) []string {
	return []string{ledger.HoldOnSubject(person), ledger.HoldOnCategory(category), ledger.HoldOnRequest(id)}
}

var erasingRules = map[string]func(*testing.T, ledger.Store){
	"it marks the visit and the request": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		v := take(t, s, plan(t, s, r.ID, "postgres"), 1)
		v.Steps = map[dsr.Op]dsr.Step{dsr.Suppress: {Started: true, Done: true}, dsr.Erase: {Started: true}}
		at := start.Add(time.Second)
		must(t, s.BeginErasing(t.Context(), v, holdKeys(r.ID, newKey(), newKey()), at))
		want := v
		want.Status = dsr.VisitErasing
		same(t, "the visit", visit(t, s, v), want)
		stored := request(t, s, r.ID)
		same(t, "the instant of the first destructive act", stored.ErasingAt, at)

		second := take(t, s, plan(t, s, r.ID, "stripe"), 1)
		must(t, s.BeginErasing(t.Context(), second, nil, at.Add(time.Hour)))
		must(t, s.BeginErasing(t.Context(), want, nil, at.Add(time.Hour)))
		same(t, "the instant after a second system", request(t, s, r.ID).ErasingAt, at)
		must(t, s.SaveVisit(t.Context(), want))
	},
	"a withdrawal decided before it is a conflict after it": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		v := take(t, s, plan(t, s, r.ID, "postgres"), 1)
		withdrawn := request(t, s, r.ID)
		withdrawn.Status = dsr.Withdrawn
		must(t, s.BeginErasing(t.Context(), v, nil, start))
		wantErr(t, s.SaveRequest(t.Context(), withdrawn), ledger.ErrConflict)
		equal(t, "the status", request(t, s, r.ID).Status, dsr.Running)
	},
	"each state that is not ready refuses": func(t *testing.T, s ledger.Store) {
		states := map[string]func(*ledger.Request){
			"of no proof":  func(r *ledger.Request) { r.Rights = []dsr.Right{dsr.OptOutOfSale, dsr.ObjectionMarketing} },
			"not verified": func(r *ledger.Request) { r.VerifiedAt = time.Time{} },
			"restricted":   func(r *ledger.Request) { r.Restricted = true },
		}
		for _, status := range []dsr.Status{dsr.Scheduled, dsr.Verifying, dsr.NeedsAttention, dsr.Completed, dsr.Unverified, dsr.Withdrawn, dsr.Disowned, dsr.Merged, dsr.Denied} {
			states[string(status)] = func(r *ledger.Request) { r.Status = status }
		}
		for name, state := range states {
			t.Run(name, func(t *testing.T) {
				r := create(t, s)
				v := take(t, s, plan(t, s, r.ID, "postgres"), 1)
				stored := change(t, s, r.ID, state)
				wantErr(t, s.BeginErasing(t.Context(), v, nil, start), ledger.ErrNotReady)
				same(t, "the visit", visit(t, s, v), v)
				same(t, "the request", request(t, s, r.ID), stored)
			})
		}
	},
	"each state that is ready allows": func(t *testing.T, s ledger.Store) {
		for _, status := range []dsr.Status{dsr.Running, dsr.Answered} {
			r := create(t, s)
			v := take(t, s, plan(t, s, r.ID, "postgres"), 1)
			change(t, s, r.ID, func(r *ledger.Request) { r.Status = status })
			must(t, s.BeginErasing(t.Context(), v, nil, start))
		}
	},
	"each kind of hold refuses until it is lifted": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		v := take(t, s, plan(t, s, r.ID, "postgres"), 1)
		before := request(t, s, r.ID)
		person, category := newKey(), newKey()
		for _, key := range holdKeys(r.ID, person, category) {
			must(t, s.PlaceHold(t.Context(), ledger.Hold{Key: key, Reason: "litigation", By: "counsel", At: start}))
			err := s.BeginErasing(t.Context(), v, holdKeys(r.ID, person, category), start)
			wantErr(t, err, ledger.ErrHeld)
			if strings.Contains(err.Error(), person) {
				t.Errorf("the error repeats the person's keyed hash: %v", err)
			}
			same(t, "the visit", visit(t, s, v), v)
			same(t, "the request", request(t, s, r.ID), before)
			lift(t, s, key)
		}
		must(t, s.PlaceHold(t.Context(), ledger.Hold{Key: ledger.HoldOnSubject(newKey()), At: start}))
		must(t, s.BeginErasing(t.Context(), v, holdKeys(r.ID, person, category), start))
	},
	"many hold keys, some twice": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		v := take(t, s, plan(t, s, r.ID, "postgres"), 1)
		var keys []string
		for range 40 {
			key := ledger.HoldOnCategory(newKey())
			keys = append(keys, key, key)
		}
		must(t, s.PlaceHold(t.Context(), ledger.Hold{Key: keys[79], At: start}))
		wantErr(t, s.BeginErasing(t.Context(), v, keys, start), ledger.ErrHeld)
		lift(t, s, keys[79])
		must(t, s.BeginErasing(t.Context(), v, keys, start))
	},
	"what is stale is told before what is held": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		v := take(t, s, plan(t, s, r.ID, "postgres"), 1)
		key := ledger.HoldOnRequest(r.ID)
		must(t, s.PlaceHold(t.Context(), ledger.Hold{Key: key, At: start}))
		_, err := s.TakeVisit(t.Context(), r.ID, v.Task(), 1, v.LeaseUntil, v.LeaseUntil.Add(time.Minute))
		must(t, err)
		wantErr(t, s.BeginErasing(t.Context(), v, []string{key}, start), ledger.ErrStale)
	},
	"a hold placed first always wins": func(t *testing.T, s ledger.Store) {
		// Two threads and no order between them: whichever came first, a visit
		// in erasing means that the hold was placed after it, and a refusal
		// means that the hold was there.
		held, erased := 0, 0
		for i := range 300 {
			r := create(t, s)
			v := take(t, s, plan(t, s, r.ID, "postgres"), 1)
			keys := holdKeys(r.ID, newKey(), newKey())
			var begun error
			placedAfter := false
			counts := together(2, func(who int) error {
				if who == 0 {
					begun = s.BeginErasing(t.Context(), v, keys, start)
					return begun
				}
				if err := s.PlaceHold(t.Context(), ledger.Hold{Key: keys[i%3], At: start}); err != nil {
					return err
				}
				// From here on no erasure may begin.
				stored, err := s.Visit(t.Context(), v.RequestID, v.Task())
				placedAfter = stored.Status == dsr.VisitErasing
				return err
			}, ledger.ErrHeld)
			switch {
			case begun == nil:
				erased++
				equal(t, "the erasure was there when the hold was placed", placedAfter, true)
			default:
				held++
				wantErr(t, begun, ledger.ErrHeld)
				equal(t, "the visit is erasing", visit(t, s, v).Status == dsr.VisitErasing, false)
			}
			equal(t, "unforeseen results", counts[""]+counts[ledger.ErrHeld.Error()], 2)
			if begun == nil && i%2 == 0 {
				wantErr(t, s.BeginErasing(t.Context(), v, keys, start), ledger.ErrHeld)
			}
		}
		t.Logf("the hold came first %d times, the erasure %d times", held, erased)
	},
	"systems of one request begin at once": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		const n = 12
		visits := make([]dsr.Visit, n)
		for i := range visits {
			visits[i] = take(t, s, plan(t, s, r.ID, fmt.Sprint("system", i)), 1)
		}
		keys := holdKeys(r.ID, newKey(), newKey())
		counts := together(n, func(i int) error { return s.BeginErasing(t.Context(), visits[i], keys, start) })
		equal(t, "successes", counts[""], n)
		for _, v := range visits {
			equal(t, "the status", visit(t, s, v).Status, dsr.VisitErasing)
		}
	},
	"a withdrawal and an erasure at once: one of them": func(t *testing.T, s ledger.Store) {
		for range 60 {
			r := create(t, s)
			v := take(t, s, plan(t, s, r.ID, "postgres"), 1)
			counts := together(2, func(who int) error {
				if who == 0 {
					return s.BeginErasing(t.Context(), v, nil, start)
				}
				withdrawn := r
				withdrawn.Status = dsr.Withdrawn
				return s.SaveRequest(t.Context(), withdrawn)
			}, ledger.ErrNotReady, ledger.ErrConflict)
			equal(t, "successes", counts[""], 1)
			stored := request(t, s, r.ID)
			erasing := visit(t, s, v).Status == dsr.VisitErasing
			equal(t, "the request is withdrawn", stored.Status == dsr.Withdrawn, !erasing)
			equal(t, "the request says that erasing began", !stored.ErasingAt.IsZero(), erasing)
		}
	},
}
