// Package collect reads the ledger when a run has visited everything and says
// whether the request is complete. It believes no output of the machine.
package collect

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/policy"
)

// Input is what the machine hands to CollectResults.
type Input struct {
	V         int           `json:"v"`
	RequestID dsr.RequestID `json:"request_id"`
	Run       int           `json:"run"`
}

// Output tells the machine whether the person must be written to.
type Output struct {
	V      int  `json:"v"`
	Notify bool `json:"notify"`
	Open   int  `json:"open"`
}

// Ledger is what collecting reads and writes.
type Ledger interface {
	Request(ctx context.Context, id dsr.RequestID) (ledger.Request, error)
	SaveRequest(ctx context.Context, r ledger.Request) error
	Visits(ctx context.Context, id dsr.RequestID) ([]dsr.Visit, error)
	Append(ctx context.Context, e dsr.Event) error
}

// Stage collects.
type Stage struct {
	Company *policy.Company
	Ledger  Ledger
	Now     func() time.Time
}

// Handle judges the visits. A visit without any outcome before the due date's
// margin is a fault that a person must look at; from the margin on the person
// gets the truth as it is.
func (s *Stage) Handle(ctx context.Context, in Input) (Output, error) {
	out := Output{V: 1}
	r, err := s.Ledger.Request(ctx, in.RequestID)
	if err != nil {
		return Output{}, fmt.Errorf("reading request %s: %w", in.RequestID, err)
	}
	if r.Run != in.Run || (r.Status != dsr.Running && r.Status != dsr.Answered) {
		return out, nil
	}
	visits, err := s.Ledger.Visits(ctx, in.RequestID)
	if err != nil {
		return Output{}, fmt.Errorf("reading the visits of request %s: %w", in.RequestID, err)
	}
	deadline, err := s.Company.Due(r.Rights, r.Clock, r.Place())
	if err != nil {
		return Output{}, err
	}
	now := s.Now()
	verdict := dsr.Judge(visits)
	if verdict.Lost > 0 && now.Before(deadline.MarginAt) {
		return Output{}, fmt.Errorf("collecting request %s: %d visits ended without an outcome", in.RequestID, verdict.Lost)
	}
	if err := s.Ledger.Append(ctx, dsr.Event{RequestID: r.ID, Chain: dsr.RequestChain, Kind: dsr.EventCollected, At: now, Run: r.Run,
		Detail: map[string]any{"complete": verdict.Complete, "open": verdict.Open}}); err != nil {
		return Output{}, err
	}
	out.Open = verdict.Open
	acts := slices.ContainsFunc(visits, func(v dsr.Visit) bool { return v.Phase == dsr.Act })
	copied := dsr.Copies(visits)
	if copied && !acts { // the copy's mail was the answer
		return out, s.close(ctx, r, verdict, now)
	}
	out.Notify = verdict.Digest != r.Told
	if !out.Notify && verdict.Complete {
		return out, s.close(ctx, r, verdict, now)
	}
	return out, nil
}

// close ends an access request whose copy is mailed, or leaves it open for what
// is still missing.
func (s *Stage) close(ctx context.Context, r ledger.Request, v dsr.Verdict, now time.Time) error {
	_, err := ledger.Change(ctx, s.Ledger, r.ID, func(r *ledger.Request) error {
		if r.Status != dsr.Running && r.Status != dsr.Answered {
			return nil
		}
		r.Settle(v, now)
		return nil
	})
	if err != nil {
		return fmt.Errorf("closing request %s: %w", r.ID, err)
	}
	if !v.Complete {
		return nil
	}
	return s.Ledger.Append(ctx, dsr.Event{RequestID: r.ID, Chain: dsr.RequestChain, Kind: dsr.EventClosed, At: now, Run: r.Run, Detail: map[string]any{"status": string(dsr.Completed)}})
}
