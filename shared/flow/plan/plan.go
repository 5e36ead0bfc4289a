// Package plan turns a request into visits: which system, in which wave, with
// which ops, and what is refused or somebody else's. The visits are written to
// the ledger once; a later run reads them there and leaves out what is settled.
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
	"github.com/writ-dsr/writ/shared/ledger/dossier"
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
	Subject(ctx context.Context, id dsr.RequestID) (ledger.SealedSubject, error)
	SaveRequest(ctx context.Context, r ledger.Request) error
	Suppress(ctx context.Context, hash string, p dsr.Purpose, at time.Time) error
	PlanVisits(ctx context.Context, visits []dsr.Visit) error
	Visits(ctx context.Context, id dsr.RequestID) ([]dsr.Visit, error)
	Append(ctx context.Context, e dsr.Event) error
}

// Hasher makes keyed hashes.
type Hasher interface {
	Hash(ctx context.Context, purpose, value string) (string, error)
}

// Stage plans.
type Stage struct {
	Company     *policy.Company
	Descriptors map[string]connector.Descriptor // by connector code
	Ledger      Ledger
	Keys        dossier.Keys
	Hasher      Hasher
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
	case dsr.Unverified, dsr.Denied:
		out.Decision = Close
		return out, nil
	default:
		return out, nil
	}
	visits, err := s.visits(ctx, r)
	if err != nil {
		return Output{}, err
	}
	if decided(visits) {
		out.Decision = Close
		return out, s.refused(ctx, r, visits)
	}
	out.Gather, out.Act = waves(visits, dsr.Gather), waves(visits, dsr.Act)
	out.Decision, out.Bundle = Run, dsr.Copies(visits)
	if b := r.Bundle; b != nil && !b.DeletedAt.IsZero() && len(out.Gather) == 0 {
		out.Bundle = false // delivered, expired and deleted with its exports: nothing is left to copy
	}
	return out, nil
}

// decided reports whether everything followed from law and pack, so that there
// is nothing to do but to say so.
func decided(visits []dsr.Visit) bool {
	return len(visits) > 0 && !slices.ContainsFunc(visits, func(v dsr.Visit) bool { return len(v.Ops) > 0 || v.Manual || !v.Settled() })
}

// refused closes a request of which nothing is carried out and nothing is
// referred: the person is told why, and the first reason stands for all.
func (s *Stage) refused(ctx context.Context, r ledger.Request, visits []dsr.Visit) error {
	reason := ""
	for _, v := range visits {
		for _, o := range v.Outcomes {
			switch {
			case o.Category == dsr.RequestRecord || o.Category == dsr.SuppressionRow && o.Kind == dsr.Told:
			case o.Kind != dsr.Refused:
				return nil
			case reason == "":
				reason = o.Reason
			}
		}
	}
	if reason == "" {
		return nil
	}
	now := s.Now()
	if _, err := ledger.Change(ctx, s.Ledger, r.ID, func(r *ledger.Request) error {
		if r.Status == dsr.Running || r.Status == dsr.Answered {
			r.Status, r.ClosedAt, r.Reason = dsr.Denied, now, reason
		}
		return nil
	}); err != nil {
		return fmt.Errorf("refusing request %s: %w", r.ID, err)
	}
	return s.Ledger.Append(ctx, dsr.Event{RequestID: r.ID, Chain: dsr.RequestChain, Kind: dsr.EventClosed, At: now, Run: r.Run,
		Detail: map[string]any{"status": string(dsr.Denied), "reason": reason}})
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
