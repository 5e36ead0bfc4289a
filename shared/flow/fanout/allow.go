package fanout

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/platform/web"
)

// allow makes, immediately before a person is shown whom to erase, the write
// that a connector's erasure needs too: it checks proof, run and every hold, and
// ends the person's right to withdraw. What it stops is answered with a page; a
// hold settles the visit.
func (a *Answer) allow(ctx context.Context, o open, d dossier.Dossier) (*web.Response, error) {
	now := a.Now()
	v, err := a.take(ctx, o, now)
	if errors.Is(err, ledger.ErrSettled) {
		p := a.page(http.StatusGone, "closed", "This task is done", "This task was answered; there is nothing left to do here.", o, nil, nil)
		return &p, nil
	}
	if errors.Is(err, ledger.ErrLeased) {
		p := a.busy(o)
		return &p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("taking task %s: %w", o.token.Task, err)
	}
	v.LeaseUntil = time.Time{}
	keys, err := holdKeys(ctx, a.Hasher, d, v)
	if err != nil {
		return nil, errors.Join(err, a.Ledger.SaveVisit(ctx, v))
	}
	var stop web.Response
	v, err = a.through(ctx, v, func(v dsr.Visit) error { return a.Ledger.BeginErasing(ctx, v, keys, now) })
	switch {
	case errors.Is(err, ledger.ErrHeld):
		stop = a.page(http.StatusConflict, "closed", "Change nothing", "A legal hold applies, so nothing may be erased or changed; the task is closed, and the person is told.", o, nil, nil)
		return &stop, a.held(ctx, d, v)
	case errors.Is(err, ledger.ErrNotReady):
		stop = a.page(http.StatusConflict, "closed", "Change nothing now", "The request waits for a person's decision, so nothing may be erased or changed now; please come back later.", o, nil, nil)
		return &stop, a.Ledger.SaveVisit(ctx, v)
	case errors.Is(err, dsr.ErrStale): // another worker took the visit over
		stop = a.busy(o)
		return &stop, nil
	case err != nil:
		return nil, fmt.Errorf("recording the intent of task %s: %w", o.token.Task, err)
	}
	return nil, nil
}

// busy says that a worker of ours has the task at this moment.
func (a *Answer) busy(o open) web.Response {
	return a.page(http.StatusConflict, "closed", "One moment", "Writ is at work on this task just now; please go back and try again in a minute.", o, nil, nil)
}

// held settles the visit with what the hold keeps, and lets the machine go on.
func (a *Answer) held(ctx context.Context, d dossier.Dossier, v dsr.Visit) error {
	now := a.Now()
	wait := v.Person.SealedWait
	v.Person.SealedWait, v.Outcomes = nil, nil
	for _, category := range v.Categories {
		v.Outcomes = append(v.Outcomes, connector.Held(category, 0))
	}
	v.Status, v.SettledAt = dsr.VisitSettled, now
	if err := a.Ledger.SaveVisit(ctx, v); err != nil {
		return fmt.Errorf("recording the hold on task %s: %w", v.Task(), err)
	}
	if err := a.Ledger.Append(ctx, dsr.Event{RequestID: v.RequestID, Chain: v.System, Kind: dsr.EventHeld, At: now, Run: v.Run, Fence: v.Fence, Detail: map[string]any{"phase": string(v.Phase)}}); err != nil {
		return err
	}
	a.release(ctx, d, v, wait, releasedDone)
	return nil
}
