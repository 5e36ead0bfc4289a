package ledgertest

import (
	"fmt"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

var visitRules = map[string]func(*testing.T, ledger.Store){
	"every field survives": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		v := actVisit(r.ID, "postgres")
		v.Steps = map[dsr.Op]dsr.Step{dsr.Erase: {Started: true, Unknown: true, Attempts: 2, Refs: []string{"ref"},
			Outcomes: []dsr.Outcome{{Category: "account", Kind: dsr.Erased, Count: 4}}}}
		v.Sealed, v.Manual = []byte{0, 255, 1}, true
		v.Person = &dsr.PersonTask{Assignee: "support_lead", Instruction: "look", OpenedAt: start, Due: start.Add(time.Hour), SealedWait: []byte{3}}
		must(t, s.PlanVisits(t.Context(), []dsr.Visit{v}))
		same(t, "the visit", visit(t, s, v), v)
	},
	"planning leaves existing visits alone": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		taken := take(t, s, plan(t, s, r.ID, "postgres"), 1)
		again := []dsr.Visit{actVisit(r.ID, "postgres"), actVisit(r.ID, "s3")}
		again[0].Wave = 9
		must(t, s.PlanVisits(t.Context(), again))
		must(t, s.PlanVisits(t.Context(), nil))
		same(t, "the existing visit", visit(t, s, taken), taken)
		same(t, "the new visit", visit(t, s, again[1]), again[1])
	},
	"planning many at once keeps all": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		var visits []dsr.Visit
		for i := range 60 {
			visits = append(visits, actVisit(r.ID, fmt.Sprintf("system%02d", i)))
		}
		counts := together(3, func(int) error { return s.PlanVisits(t.Context(), visits) })
		equal(t, "successes", counts[""], 3)
		stored, err := s.Visits(t.Context(), r.ID)
		must(t, err)
		same(t, "the visits", stored, visits)
	},
	"visits come ordered by task, of one request only": func(t *testing.T, s ledger.Store) {
		r, other := create(t, s), create(t, s)
		for _, system := range []string{"stripe", "postgres", "s3"} {
			plan(t, s, r.ID, system)
		}
		gather := actVisit(r.ID, "postgres")
		gather.Phase = dsr.Gather
		must(t, s.PlanVisits(t.Context(), []dsr.Visit{gather}))
		plan(t, s, other.ID, "postgres")
		visits, err := s.Visits(t.Context(), r.ID)
		must(t, err)
		var tasks []string
		for _, v := range visits {
			tasks = append(tasks, v.Task())
		}
		same(t, "the tasks", tasks, []string{"postgres#act", "postgres#gather", "s3#act", "stripe#act"})
		none, err := s.Visits(t.Context(), newID())
		must(t, err)
		equal(t, "the number of visits of nobody", len(none), 0)
	},
	"reading and taking what is not there": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		_, err := s.Visit(t.Context(), r.ID, "postgres#act")
		wantErr(t, err, ledger.ErrNotFound)
		_, err = s.TakeVisit(t.Context(), r.ID, "postgres#act", 1, start, start.Add(time.Minute))
		wantErr(t, err, ledger.ErrNotFound)
	},
	"taking leases and raises the fence": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		v := plan(t, s, r.ID, "postgres")
		taken := take(t, s, v, 1)
		want := v
		want.Run, want.Fence, want.LeaseUntil = 1, 1, start.Add(time.Minute)
		same(t, "the visit taken", taken, want)
		same(t, "the visit stored", visit(t, s, v), want)
	},
	"a lease keeps others out until it ends": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		v := take(t, s, plan(t, s, r.ID, "postgres"), 1)
		until := v.LeaseUntil
		_, err := s.TakeVisit(t.Context(), r.ID, v.Task(), 1, until.Add(-time.Nanosecond), until.Add(time.Minute))
		wantErr(t, err, ledger.ErrLeased)
		same(t, "the visit", visit(t, s, v), v)
		next, err := s.TakeVisit(t.Context(), r.ID, v.Task(), 1, until, until.Add(time.Minute))
		must(t, err)
		equal(t, "the fence", next.Fence, v.Fence+1)
		wantErr(t, s.SaveVisit(t.Context(), v), ledger.ErrStale)
		same(t, "the visit after the takeover", visit(t, s, v), next)
	},
	"a lease can be given up": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		v := take(t, s, plan(t, s, r.ID, "postgres"), 1)
		v.LeaseUntil = time.Time{}
		v.Steps = map[dsr.Op]dsr.Step{dsr.Erase: {Started: true}}
		must(t, s.SaveVisit(t.Context(), v))
		next, err := s.TakeVisit(t.Context(), r.ID, v.Task(), 1, start, start.Add(time.Minute))
		must(t, err)
		equal(t, "the fence", next.Fence, v.Fence+1)
		equal(t, "the step's start", next.Steps[dsr.Erase].Started, true)
	},
	"of takers at once one wins": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		v := plan(t, s, r.ID, "postgres")
		counts := together(20, func(int) error {
			_, err := s.TakeVisit(t.Context(), r.ID, v.Task(), 1, start, start.Add(time.Minute))
			return err
		}, ledger.ErrLeased)
		equal(t, "successes", counts[""], 1)
		equal(t, "refusals", counts[ledger.ErrLeased.Error()], 19)
		equal(t, "the fence", visit(t, s, v).Fence, 1)
	},
	"takers of different visits do not disturb each other": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		const n = 20
		for i := range n {
			plan(t, s, r.ID, fmt.Sprint("system", i))
		}
		counts := together(n, func(i int) error {
			v, err := s.TakeVisit(t.Context(), r.ID, fmt.Sprintf("system%d#act", i), 1, start, start.Add(time.Minute))
			if err != nil {
				return err
			}
			v.LeaseUntil = time.Time{}
			return s.SaveVisit(t.Context(), v)
		})
		equal(t, "successes", counts[""], n)
	},
	"a takeover and the late holder's save never both count": func(t *testing.T, s ledger.Store) {
		for range 50 {
			r := create(t, s)
			v := take(t, s, plan(t, s, r.ID, "postgres"), 1)
			v.Steps = map[dsr.Op]dsr.Step{dsr.Erase: {Started: true}}
			var next dsr.Visit
			counts := together(2, func(i int) (err error) {
				if i == 0 {
					return s.SaveVisit(t.Context(), v)
				}
				next, err = s.TakeVisit(t.Context(), r.ID, v.Task(), 1, v.LeaseUntil, v.LeaseUntil.Add(time.Minute))
				return err
			}, ledger.ErrStale, ledger.ErrLeased)
			saved := counts[ledger.ErrStale.Error()] == 0
			equal(t, "unforeseen results", counts[""]+counts[ledger.ErrStale.Error()], 2)
			equal(t, "the new holder sees the save that counted", next.Steps[dsr.Erase].Started, saved)
			same(t, "the visit", visit(t, s, v), next)
		}
	},
	"a stale run takes nothing and writes nothing": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		v := take(t, s, plan(t, s, r.ID, "postgres"), 1)
		change(t, s, r.ID, func(r *ledger.Request) { r.Run = 2 })
		late := v
		late.Status = dsr.VisitSettled
		wantErr(t, s.SaveVisit(t.Context(), late), ledger.ErrStale)
		wantErr(t, s.BeginErasing(t.Context(), late, nil, start), ledger.ErrStale)
		_, err := s.TakeVisit(t.Context(), r.ID, v.Task(), 1, start, start.Add(time.Minute))
		wantErr(t, err, ledger.ErrStale) // stale, although the lease is still out
		_, err = s.TakeVisit(t.Context(), r.ID, v.Task(), 1, v.LeaseUntil, v.LeaseUntil.Add(time.Minute))
		wantErr(t, err, ledger.ErrStale)
		_, err = s.TakeVisit(t.Context(), r.ID, v.Task(), 3, v.LeaseUntil, v.LeaseUntil.Add(time.Minute))
		wantErr(t, err, ledger.ErrStale)
		same(t, "the visit", visit(t, s, v), v)
		next, err := s.TakeVisit(t.Context(), r.ID, v.Task(), 2, v.LeaseUntil, v.LeaseUntil.Add(time.Minute))
		must(t, err)
		equal(t, "the run", next.Run, 2)
		equal(t, "the fence", next.Fence, v.Fence+1)
	},
	"a run that ends while another begins never takes": func(t *testing.T, s ledger.Store) {
		for range 30 {
			r := create(t, s)
			v := plan(t, s, r.ID, "postgres")
			var before dsr.Visit
			var taken error
			counts := together(2, func(i int) error {
				if i == 0 {
					_, err := ledger.Change(t.Context(), s, r.ID, func(r *ledger.Request) error { r.Run = 2; return nil })
					return err
				}
				before, taken = s.TakeVisit(t.Context(), r.ID, v.Task(), 1, start, start.Add(time.Minute))
				return taken
			}, ledger.ErrStale)
			equal(t, "unforeseen results", counts[""]+counts[ledger.ErrStale.Error()], 2)
			after := visit(t, s, v)
			if taken == nil {
				wantErr(t, s.SaveVisit(t.Context(), before), ledger.ErrStale)
				equal(t, "the fence", after.Fence, 1)
			} else {
				equal(t, "the fence", after.Fence, 0)
			}
		}
	},
	"a settled visit is handed out, not leased": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		v := take(t, s, plan(t, s, r.ID, "postgres"), 1)
		v.Status, v.LeaseUntil, v.SettledAt = dsr.VisitSettled, time.Time{}, start
		v.Outcomes = []dsr.Outcome{{Category: "account", Kind: dsr.Erased, Count: 2}}
		must(t, s.SaveVisit(t.Context(), v))
		got, err := s.TakeVisit(t.Context(), r.ID, v.Task(), 1, start, start.Add(time.Minute))
		wantErr(t, err, ledger.ErrSettled)
		same(t, "the visit handed out", got, v)
		same(t, "the visit stored", visit(t, s, v), v)
	},
	"saving a visit that was never planned": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		v := actVisit(r.ID, "postgres")
		v.Run = 1
		wantErr(t, s.SaveVisit(t.Context(), v), ledger.ErrStale)
		_, err := s.Visit(t.Context(), r.ID, v.Task())
		wantErr(t, err, ledger.ErrNotFound)
	},
	"a save with a fence ahead of the stored one": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		v := take(t, s, plan(t, s, r.ID, "postgres"), 1)
		ahead := v
		ahead.Fence++
		wantErr(t, s.SaveVisit(t.Context(), ahead), ledger.ErrStale)
		wantErr(t, s.BeginErasing(t.Context(), ahead, nil, start), ledger.ErrStale)
		same(t, "the visit", visit(t, s, v), v)
	},
}
