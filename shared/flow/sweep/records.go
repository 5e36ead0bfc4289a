package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/policy"
)

// RecordsLedger is what ending Writ's own evidence reads and deletes.
type RecordsLedger interface {
	EndedRequests(ctx context.Context, until time.Time, f func(ledger.Request) error) error
	Holds(ctx context.Context, key string) ([]ledger.Hold, error)
	DeleteRecords(ctx context.Context, id dsr.RequestID) error
}

// Records ends what Writ itself keeps about requests. It is a function of its
// own, for it alone may delete an event.
type Records struct {
	Company *policy.Company
	Ledger  RecordsLedger
	Log     *slog.Logger
}

// leastMonths is how long a record of a request is kept at least (11 CCR 7101).
const leastMonths = 24

// Handle deletes the requests, visits and events of everything that was closed
// longer ago than the pack's [records] says, unless a hold is on the request.
// Tokens have ended long before by themselves; what a person stopped for good
// stays. Its clock is the event's.
func (s *Records) Handle(ctx context.Context, raw json.RawMessage) (Output, error) {
	var e Event
	if err := json.Unmarshal(raw, &e); err != nil || e.Time.IsZero() {
		return Output{}, errors.New("ending records: the event is not one of EventBridge with a time")
	}
	var out Output
	until := e.Time.In(s.Company.Zone).AddDate(0, -max(s.Company.Records.Months, leastMonths), 0)
	err := s.Ledger.EndedRequests(ctx, until, func(r ledger.Request) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		out.Seen++
		if err := s.end(ctx, r); err != nil {
			out.Failed++
			s.Log.Error("ending the records of a request", "request_id", string(r.ID), "error", err.Error())
		}
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("reading what has ended: %w", err)
	}
	s.Log.Info("records ended", "count", out.Seen-out.Failed)
	return out, nil
}

func (s *Records) end(ctx context.Context, r ledger.Request) error {
	for _, id := range []dsr.RequestID{r.ID, r.Parent} {
		if id == "" {
			continue
		}
		holds, err := s.Ledger.Holds(ctx, ledger.HoldOnRequest(id))
		if err != nil {
			return fmt.Errorf("reading the holds: %w", err)
		}
		if len(holds) > 0 {
			return nil
		}
	}
	return s.Ledger.DeleteRecords(ctx, r.ID)
}
