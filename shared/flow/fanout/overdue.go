package fanout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
)

// Remind mails a person's open task again: to its assignee, or, when escalate is
// set, to the privacy officer. Each happens once. The sweep calls it.
func (m *Manual) Remind(ctx context.Context, id dsr.RequestID, task string, escalate bool) error {
	r, v, err := m.take(ctx, id, task)
	if err != nil || v.Person == nil {
		return err
	}
	now := m.Now()
	role := v.Person.Assignee
	if escalate {
		role = OfficerRole
	}
	link, err := taskLink(ctx, m.Ledger, m.URL, id, task, now)
	if err != nil {
		return err
	}
	message, err := taskLetter(m.Company, id, systemName(m.Company, v.System), v.Person.Cause, v.Person.Due, link, true).Message(address(m.Company, m.Officer, role))
	if err != nil {
		return fmt.Errorf("writing the reminder of task %s: %w", task, err)
	}
	if _, err := m.Mail.Send(ctx, message, fmt.Sprintf("%s/reminder/%s/%t", r.ID, task, escalate)); err != nil {
		return fmt.Errorf("mailing the reminder of task %s: %w", task, err)
	}
	v.Person.RemindedAt = now
	if escalate {
		v.Person.EscalatedAt, v.Person.Assignee = now, OfficerRole
	}
	v.LeaseUntil = time.Time{}
	if err := m.Ledger.SaveVisit(ctx, v); err != nil {
		return fmt.Errorf("recording the reminder of task %s: %w", task, err)
	}
	return m.Ledger.Append(ctx, dsr.Event{RequestID: id, Chain: v.System, Kind: dsr.EventReminded, At: now, Run: v.Run, Fence: v.Fence, Detail: map[string]any{"phase": string(v.Phase), "escalated": escalate}})
}

// Expire lets the machine go on without a person's answer when the due date is
// near: the visit is deferred, and its link keeps working. The sweep calls it.
func (m *Manual) Expire(ctx context.Context, id dsr.RequestID, task string) error {
	_, v, err := m.take(ctx, id, task)
	if err != nil || v.Person == nil {
		return err
	}
	wait := v.Person.SealedWait
	if err := deferVisit(ctx, m.Ledger, v, m.Now()); err != nil {
		return err
	}
	if len(wait) == 0 {
		return nil
	}
	d, err := dossier.Open(ctx, m.Ledger, m.Keys, id)
	if err != nil {
		return err
	}
	token, err := dossier.OpenWait(d.Box, id, task, wait)
	if err != nil {
		return err
	}
	if err := m.Machine.Release(ctx, token, Released{V: 1, Status: releasedDone}); err != nil {
		return err // the token is kept: the next sweep tries again
	}
	if _, v, err = m.take(ctx, id, task); err != nil || v.Person == nil {
		return err
	}
	v.Person.SealedWait, v.LeaseUntil = nil, time.Time{}
	if err := m.Ledger.SaveVisit(ctx, v); err != nil {
		return fmt.Errorf("recording the end of the wait of task %s: %w", task, err)
	}
	return nil
}

// take leases an open person's task; a settled one comes back without a Person.
func (m *Manual) take(ctx context.Context, id dsr.RequestID, task string) (ledger.Request, dsr.Visit, error) {
	r, err := m.Ledger.Request(ctx, id)
	if err != nil {
		return ledger.Request{}, dsr.Visit{}, fmt.Errorf("reading request %s: %w", id, err)
	}
	now := m.Now()
	v, err := m.Ledger.TakeVisit(ctx, id, task, r.Run, now, now.Add(time.Minute))
	if errors.Is(err, ledger.ErrSettled) {
		return r, dsr.Visit{}, nil
	}
	if err != nil {
		return r, dsr.Visit{}, fmt.Errorf("taking task %s: %w", task, err)
	}
	if v.Person != nil && !v.Person.AnsweredAt.IsZero() {
		v.LeaseUntil = time.Time{}
		return r, dsr.Visit{}, m.Ledger.SaveVisit(ctx, v)
	}
	return r, v, nil
}
