package desk

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/web"
)

// Waiting is one request of Writ's own later work: what it waits for and what
// it will be about.
type Waiting struct {
	ID      dsr.RequestID    `json:"id"`
	Channel string           `json:"channel"`
	Parent  dsr.RequestID    `json:"parent,omitempty"` // the person's request that it goes on with
	DueAt   time.Time        `json:"due_at"`
	Held    bool             `json:"held"` // it waits for the end of legal holds, and not for its date
	Scope   []ledger.Portion `json:"scope"`
}

// waiting lists what is scheduled, earliest first; with a request's id only what
// goes on with that request.
func (s *Stage) waiting(ctx context.Context, a act) (web.Response, error) {
	if a.RequestID != "" {
		if _, err := dsr.ParseRequestID(string(a.RequestID)); err != nil {
			return answer(http.StatusBadRequest, problem("request_id is not a request's id"))
		}
	}
	rows := []Waiting{}
	err := s.Ledger.ScheduledRequests(ctx, time.Time{}, func(r ledger.Request) error {
		if a.RequestID == "" || a.RequestID == r.Parent {
			rows = append(rows, Waiting{ID: r.ID, Channel: r.Channel, Parent: r.Parent, DueAt: r.DueAt, Held: len(r.Holds) > 0, Scope: r.Scope})
		}
		return nil
	})
	if err != nil {
		return web.Response{}, fmt.Errorf("reading what is scheduled: %w", err)
	}
	return answer(http.StatusOK, rows)
}
