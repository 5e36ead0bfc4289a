package ledgertest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

// properties are rules checked over random histories; rapid shrinks a failing
// one to its shortest form.
var properties = map[string]func(*testing.T, ledger.Store){
	"appends in any order make whole chains": func(t *testing.T, s ledger.Store) {
		rapid.Check(t, func(rt *rapid.T) {
			id := newID()
			chains := rapid.SliceOfN(rapid.SampledFrom([]string{dsr.RequestChain, "postgres", "s3"}), 1, 12).Draw(rt, "chains")
			want := map[string]int{}
			for i, chain := range chains {
				detail := rapid.MapOfN(rapid.String(), rapid.OneOf(
					rapid.Map(rapid.String(), func(s string) any { return s }),
					rapid.Map(rapid.Int64(), func(n int64) any { return n }),
					rapid.Map(rapid.Bool(), func(b bool) any { return b }),
				), 0, 3).Draw(rt, "detail")
				at := start.Add(time.Duration(rapid.Int64Range(0, 1<<50).Draw(rt, "at")))
				if err := s.Append(t.Context(), dsr.Event{RequestID: id, Chain: chain, Kind: dsr.EventOpDone, At: at, Run: i, Detail: detail}); err != nil {
					rt.Fatal(err)
				}
				want[chain]++
			}
			for chain, n := range want {
				events, err := s.Events(t.Context(), id, chain)
				if err != nil {
					rt.Fatal(err)
				}
				if _, err := dsr.VerifyChain(events); err != nil || len(events) != n {
					rt.Fatalf("chain %s has %d of %d links: %v", chain, len(events), n, err)
				}
			}
		})
	},
	"a visit obeys its model": func(t *testing.T, s ledger.Store) {
		rapid.Check(t, func(rt *rapid.T) {
			m := newVisitModel(t, s)
			rt.Repeat(map[string]func(*rapid.T){
				"take":  m.take,
				"save":  m.save,
				"begin": m.begin,
				"hold":  m.hold,
				"lift":  m.lift,
				"steer": m.steer,
				"wait":  func(rt *rapid.T) { m.now = m.now.Add(time.Duration(rapid.IntRange(1, 40).Draw(rt, "s")) * time.Second) },
				"":      m.check,
			})
		})
	},
}

// visitModel is what the contract says of one visit, kept beside the store.
// Workers keep the visit as they last had it and use it however late.
type visitModel struct {
	t       *testing.T
	s       ledger.Store
	now     time.Time
	request ledger.Request
	stored  dsr.Visit
	workers [3]dsr.Visit
	key     string
	held    bool
}

func newVisitModel(t *testing.T, s ledger.Store) *visitModel {
	r := create(t, s)
	v := plan(t, s, r.ID, "postgres")
	return &visitModel{t: t, s: s, now: start, request: r, stored: v, workers: [3]dsr.Visit{v, v, v}, key: ledger.HoldOnRequest(r.ID)}
}

func (m *visitModel) worker(rt *rapid.T) int { return rapid.IntRange(0, 2).Draw(rt, "worker") }

func (m *visitModel) take(rt *rapid.T) {
	run := rapid.IntRange(max(1, m.request.Run-1), m.request.Run).Draw(rt, "run")
	until := m.now.Add(30 * time.Second)
	var want error
	switch {
	case m.stored.Settled():
		want = ledger.ErrSettled
	case run != m.request.Run:
		want = ledger.ErrStale
	case m.stored.LeaseUntil.After(m.now):
		want = ledger.ErrLeased
	}
	got, err := m.s.TakeVisit(m.t.Context(), m.request.ID, m.stored.Task(), run, m.now, until)
	if !errors.Is(err, want) {
		rt.Fatalf("taking for run %d: got %v, want %v", run, err, want)
	}
	if want == nil {
		m.stored.Fence++
		m.stored.Run, m.stored.LeaseUntil = run, until
		m.workers[m.worker(rt)] = got
	}
}

func (m *visitModel) current(v dsr.Visit) bool {
	return v.Fence == m.stored.Fence && v.Run == m.request.Run
}

func (m *visitModel) save(rt *rapid.T) {
	i := m.worker(rt)
	v := m.workers[i]
	switch rapid.IntRange(0, 3).Draw(rt, "what") {
	case 0:
		v.LeaseUntil = time.Time{}
	case 1:
		v.LeaseUntil = m.now.Add(20 * time.Second)
	case 2:
		v.Steps = map[dsr.Op]dsr.Step{dsr.Erase: {Attempts: rapid.IntRange(1, 9).Draw(rt, "attempts")}}
	case 3:
		if rapid.IntRange(0, 4).Draw(rt, "settle") == 0 {
			v.Status, v.SettledAt, v.LeaseUntil = dsr.VisitSettled, m.now, time.Time{}
		}
	}
	err := m.s.SaveVisit(m.t.Context(), v)
	if !m.current(v) {
		if !errors.Is(err, ledger.ErrStale) {
			rt.Fatalf("saving with a stale lease: got %v", err)
		}
		return
	}
	if err != nil {
		rt.Fatal(err)
	}
	m.stored, m.workers[i] = v, v
}

func (m *visitModel) begin(rt *rapid.T) {
	i := m.worker(rt)
	v := m.workers[i]
	var want error
	switch {
	case !m.current(v):
		want = ledger.ErrStale
	case !m.request.Allows(v.Run):
		want = ledger.ErrNotReady
	case m.held:
		want = ledger.ErrHeld
	}
	err := m.s.BeginErasing(m.t.Context(), v, []string{m.key}, m.now)
	if !errors.Is(err, want) {
		rt.Fatalf("beginning to erase: got %v, want %v", err, want)
	}
	if want != nil {
		return
	}
	v.Status = dsr.VisitErasing
	m.stored, m.workers[i] = v, v
	if m.request.ErasingAt.IsZero() {
		m.request.ErasingAt = m.now
		m.request.Version++
	}
}

func (m *visitModel) hold(rt *rapid.T) {
	err := m.s.PlaceHold(m.t.Context(), ledger.Hold{Key: m.key, At: m.now})
	if m.held != errors.Is(err, ledger.ErrExists) || (!m.held && err != nil) {
		rt.Fatalf("placing a hold while held is %v: got %v", m.held, err)
	}
	m.held = true
}

func (m *visitModel) lift(rt *rapid.T) {
	err := m.s.ProposeLift(m.t.Context(), m.key, ledger.DefaultMatter, ledger.Lift{By: "counsel"})
	if err == nil {
		err = m.s.LiftHold(m.t.Context(), m.key, ledger.DefaultMatter, "officer")
	}
	if m.held != (err == nil) || (!m.held && !errors.Is(err, ledger.ErrNotFound)) {
		rt.Fatalf("lifting a hold while held is %v: got %v", m.held, err)
	}
	m.held = false
}

// steer changes the request as other parts of the product do.
func (m *visitModel) steer(rt *rapid.T) {
	r := m.request
	switch rapid.IntRange(0, 3).Draw(rt, "what") {
	case 0:
		r.Run++
	case 1:
		r.Restricted = !r.Restricted
	case 2:
		r.Status = rapid.SampledFrom([]dsr.Status{dsr.Running, dsr.Running, dsr.Answered, dsr.NeedsAttention, dsr.Withdrawn}).Draw(rt, "status")
	case 3:
		r.Version -= int64(rapid.IntRange(0, 1).Draw(rt, "behind"))
	}
	err := m.s.SaveRequest(m.t.Context(), r)
	if r.Version != m.request.Version {
		if !errors.Is(err, ledger.ErrConflict) {
			rt.Fatalf("saving an older version: got %v", err)
		}
		return
	}
	if err != nil {
		rt.Fatal(err)
	}
	r.Version++
	m.request = r
}

func (m *visitModel) check(rt *rapid.T) {
	r, err := m.s.Request(m.t.Context(), m.request.ID)
	if err != nil {
		rt.Fatal(err)
	}
	v, err := m.s.Visit(m.t.Context(), m.request.ID, m.stored.Task())
	if err != nil {
		rt.Fatal(err)
	}
	if got, want := fmt.Sprintf("%+v", r), fmt.Sprintf("%+v", m.request); got != want {
		rt.Fatalf("the request differs from its model\n got %s\nwant %s", got, want)
	}
	if got, want := fmt.Sprintf("%+v", v), fmt.Sprintf("%+v", m.stored); got != want {
		rt.Fatalf("the visit differs from its model\n got %s\nwant %s", got, want)
	}
}
