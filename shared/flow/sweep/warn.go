package sweep

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

// stage is a point in a request's period at which people are warned.
type stage struct {
	name string
	at   time.Time
}

// stages are the points of a period: its half, and seven, three and one day
// before its end, in order.
func stages(received, due time.Time) []stage {
	all := []stage{
		{"half", received.Add(due.Sub(received) / 2)},
		{"minus_7", due.AddDate(0, 0, -7)},
		{"minus_3", due.AddDate(0, 0, -3)},
		{"minus_1", due.AddDate(0, 0, -1)},
	}
	slices.SortStableFunc(all, func(a, b stage) int { return a.at.Compare(b.at) })
	return all
}

// warn tells people that the due date of a request without an answer comes
// near: its owner and the privacy officer, and towards the end everybody who has
// an open task of it; a task's own half-time is reminded with the task. Only
// the latest stage that has come is told, and nothing moves a date.
func (s *Stage) warn(ctx context.Context, r ledger.Request, now time.Time) error {
	if r.Status != dsr.Running && r.Status != dsr.NeedsAttention || !r.AnsweredAt.IsZero() {
		return nil
	}
	deadline, err := s.Company.Due(r.Rights, r.Clock, r.Place())
	if err != nil {
		return err
	}
	var come *stage
	for _, st := range stages(r.Clock[0].At, deadline.DueAt) {
		if !now.Before(st.at) {
			come = &st
		}
	}
	if come == nil {
		return nil
	}
	roles := []string{ledger.OfficerRole}
	if r.Owner != "" && r.Owner != ledger.OfficerRole {
		roles = append(roles, r.Owner)
	}
	if come.name != "half" {
		visits, err := s.Ledger.Visits(ctx, r.ID)
		if err != nil {
			return fmt.Errorf("reading the visits: %w", err)
		}
		for _, v := range visits {
			if p := v.Person; p != nil && p.AnsweredAt.IsZero() && !v.Settled() && !slices.Contains(roles, p.Assignee) {
				roles = append(roles, p.Assignee)
			}
		}
	}
	return s.People(func() time.Time { return now }).Warn(ctx, r.ID, come.name, deadline.DueAt, roles)
}
