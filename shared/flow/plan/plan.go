// Package plan turns a proved request into visits: which system, in which wave,
// with which ops. The visits are written to the ledger once; a later run reads
// them there and leaves out what is settled.
package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/policy"
)

// Input is what the machine hands to PlanRequest.
type Input struct {
	V         int           `json:"v"`
	RequestID dsr.RequestID `json:"request_id"`
	Run       int           `json:"run"`
}

// Output tells the machine what to do: run the waves, close the request with a
// mail, or end without one.
type Output struct {
	V        int    `json:"v"`
	Decision string `json:"decision"` // run, close, end
	Bundle   bool   `json:"bundle"`
	Gather   []Wave `json:"gather"`
	Act      []Wave `json:"act"`
}

// Wave lists what runs side by side: visits by API, and people's tasks.
type Wave struct {
	Visits []Visit `json:"visits"`
	People []Visit `json:"people"`
}

// Visit names one system; a person's carries the fields that the machine's
// routes read.
type Visit struct {
	V           int    `json:"v"`
	System      string `json:"system"`
	Status      string `json:"status"`
	WaitSeconds int    `json:"wait_seconds"`
	Cause       string `json:"cause"`
}

// The decisions.
const (
	Run   = "run"
	Close = "close"
	End   = "end"
)

// Ledger is what planning reads and writes.
type Ledger interface {
	Request(ctx context.Context, id dsr.RequestID) (ledger.Request, error)
	SaveRequest(ctx context.Context, r ledger.Request) error
	PlanVisits(ctx context.Context, visits []dsr.Visit) error
	Visits(ctx context.Context, id dsr.RequestID) ([]dsr.Visit, error)
	Append(ctx context.Context, e dsr.Event) error
}

// Stage plans.
type Stage struct {
	Company     *policy.Company
	Descriptors map[string]connector.Descriptor // by connector code
	Ledger      Ledger
	Now         func() time.Time
}

// Handle decides by what the ledger says, never by what released the machine.
func (s *Stage) Handle(ctx context.Context, in Input) (Output, error) {
	out := Output{V: 1, Decision: End, Gather: []Wave{}, Act: []Wave{}}
	r, err := s.Ledger.Request(ctx, in.RequestID)
	if err != nil {
		return Output{}, fmt.Errorf("reading request %s: %w", in.RequestID, err)
	}
	if r.Run != in.Run {
		return out, nil
	}
	switch r.Status {
	case dsr.Running, dsr.Answered:
	case dsr.NeedsAttention:
		if r.AwaitsProof() {
			return out, nil // a person decides who asks: that starts the next run
		}
		if r, err = s.resume(ctx, r); err != nil {
			return Output{}, err
		}
	case dsr.Verifying:
		if s.Now().Before(r.ProofDue) {
			return out, nil // released without an answer: the sweep starts a new run
		}
		return s.unverified(ctx, r, out)
	case dsr.Unverified:
		out.Decision = Close
		return out, nil
	default:
		return out, nil
	}
	visits, err := s.visits(ctx, r)
	if err != nil {
		return Output{}, err
	}
	out.Gather, out.Act = waves(visits, dsr.Gather), waves(visits, dsr.Act)
	out.Decision, out.Bundle = Run, slices.Contains(r.Rights, dsr.Access)
	if b := r.Bundle; b != nil && !b.DeletedAt.IsZero() && len(out.Gather) == 0 {
		out.Bundle = false // delivered, expired and deleted with its exports: nothing is left to copy
	}
	return out, nil
}

// resume takes a request back from its owner: the run that got here was started
// by the owner's answer or by the sweep.
func (s *Stage) resume(ctx context.Context, r ledger.Request) (ledger.Request, error) {
	return ledger.Change(ctx, s.Ledger, r.ID, func(r *ledger.Request) error {
		r.Status, r.Owner, r.Reason = dsr.Running, "", ""
		if !r.AnsweredAt.IsZero() {
			r.Status = dsr.Answered
		}
		return nil
	})
}

func (s *Stage) unverified(ctx context.Context, r ledger.Request, out Output) (Output, error) {
	now := s.Now()
	_, err := ledger.Change(ctx, s.Ledger, r.ID, func(r *ledger.Request) error {
		if r.Status != dsr.Verifying {
			return ledger.ErrStale
		}
		r.Status, r.ClosedAt, r.Reason = dsr.Unverified, now, "no_proof"
		return nil
	})
	if errors.Is(err, ledger.ErrStale) {
		return out, nil // proved or disowned at the last moment: the sweep sees to the former
	}
	if err != nil {
		return Output{}, fmt.Errorf("closing request %s: %w", r.ID, err)
	}
	if err := s.Ledger.Append(ctx, dsr.Event{RequestID: r.ID, Chain: dsr.RequestChain, Kind: dsr.EventUnverified, At: now, Run: r.Run}); err != nil {
		return Output{}, err
	}
	out.Decision = Close
	return out, nil
}

// visits returns the request's visits, planning them the first time. The wave
// numbers are kept with them, so that a later run keeps the order even if the
// pack has changed.
func (s *Stage) visits(ctx context.Context, r ledger.Request) ([]dsr.Visit, error) {
	if r.Planned {
		return s.Ledger.Visits(ctx, r.ID)
	}
	planned, err := s.plan(r)
	if err != nil {
		return nil, fmt.Errorf("planning request %s: %w", r.ID, err)
	}
	if err := s.Ledger.PlanVisits(ctx, planned); err != nil {
		return nil, fmt.Errorf("writing the plan of request %s: %w", r.ID, err)
	}
	if err := s.Ledger.Append(ctx, dsr.Event{RequestID: r.ID, Chain: dsr.RequestChain, Kind: dsr.EventPlanned, At: s.Now(), Run: r.Run,
		Detail: map[string]any{"visits": len(planned), "policy": s.Company.Updated}}); err != nil {
		return nil, err
	}
	if _, err := ledger.Change(ctx, s.Ledger, r.ID, func(r *ledger.Request) error { r.Planned = true; return nil }); err != nil {
		return nil, fmt.Errorf("recording the plan of request %s: %w", r.ID, err)
	}
	return planned, nil
}

func (s *Stage) plan(r ledger.Request) ([]dsr.Visit, error) {
	var visits []dsr.Visit
	waves := 0
	if len(r.Rights) > 0 {
		p, err := s.Company.Plan(policy.Question{Rights: r.Rights, Place: r.Place(), Can: s.can, Never: s.never})
		if err != nil {
			return nil, err
		}
		for n, w := range p.Waves {
			for _, v := range w.Visits {
				visits = append(visits, dsr.Visit{
					RequestID: r.ID, System: v.System, Phase: w.Phase, Wave: n, Ops: v.Ops, Categories: v.Categories,
					Manual: v.Manual, Status: dsr.VisitPlanned,
				})
			}
		}
		waves = len(p.Waves)
		for _, o := range p.Owed {
			visits = s.owe(visits, r, o, waves)
		}
	}
	if r.Words {
		visits = append(visits, dsr.Visit{RequestID: r.ID, System: dsr.Officer, Phase: dsr.Gather, Wave: 0, Categories: []string{dsr.Words}, Manual: true, Status: dsr.VisitPlanned})
	}
	return visits, nil
}

// owe adds an outcome that follows from the pack alone, as a visit that is
// settled from the start, so that the person is told of it like of any other.
func (s *Stage) owe(visits []dsr.Visit, r ledger.Request, o policy.Owed, wave int) []dsr.Visit {
	phase := dsr.Act
	if o.Op == dsr.Export || o.Op == dsr.Locate {
		phase = dsr.Gather
	}
	outcome := s.Company.Decide(o.Outcome, r.Place(), s.Now())
	for i, v := range visits {
		if v.System == o.System && v.Phase == phase && v.Status == dsr.VisitSettled {
			visits[i].Outcomes = append(visits[i].Outcomes, outcome)
			return visits
		}
		if v.System == o.System && v.Phase == phase {
			return visits // a visit is planned there: it reports itself
		}
	}
	return append(visits, dsr.Visit{
		RequestID: r.ID, System: o.System, Phase: phase, Wave: wave, Categories: []string{outcome.Category},
		Status: dsr.VisitSettled, Outcomes: []dsr.Outcome{outcome}, SettledAt: s.Now(),
	})
}

func (s *Stage) can(sys policy.System, op dsr.Op) bool {
	d, ok := s.Descriptors[sys.Connector]
	return ok && d.Can(op)
}

func (s *Stage) never(sys policy.System, op dsr.Op) bool {
	d, ok := s.Descriptors[sys.Connector]
	return ok && !d.Can(op) && d.Instruction(op) == ""
}

// waves groups what is not settled by wave, in order.
func waves(visits []dsr.Visit, phase dsr.Phase) []Wave {
	byWave := map[int]*Wave{}
	var order []int
	for _, v := range visits {
		if v.Phase != phase || v.Settled() {
			continue
		}
		w, ok := byWave[v.Wave]
		if !ok {
			w = &Wave{Visits: []Visit{}, People: []Visit{}}
			byWave[v.Wave] = w
			order = append(order, v.Wave)
		}
		visit := Visit{V: 1, System: v.System}
		if v.Manual {
			visit.Status, visit.Cause = string(connector.Person), connector.CauseManual
			w.People = append(w.People, visit)
		} else {
			w.Visits = append(w.Visits, visit)
		}
	}
	slices.Sort(order)
	all := make([]Wave, 0, len(order))
	for _, n := range order {
		all = append(all, *byWave[n])
	}
	return all
}
