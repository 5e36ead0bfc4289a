package sweep

import (
	"context"
	"fmt"
	"time"
)

// Retention is the machine that lists whose records have expired.
type Retention interface {
	// Start starts an execution of that name; one of that name, open or closed,
	// is a success.
	Start(ctx context.Context, name string, input any) error
}

// retentionInput is what the retention machine is started with.
type retentionInput struct {
	V       int               `json:"v"`
	Day     string            `json:"day"`
	Systems []retentionSystem `json:"systems"`
}

type retentionSystem struct {
	System string `json:"system"`
}

// retain starts the day's listing of what has expired. The execution's name
// holds the day, so of all sweeps of a day one starts it.
func (s *Stage) retain(ctx context.Context, now time.Time) error {
	in := retentionInput{V: 1, Day: now.In(s.Company.Zone).Format(time.DateOnly)}
	for _, sys := range s.Company.Systems {
		if s.Descriptors[sys.Connector].Lists && len(s.Company.Expiries(sys, now)) > 0 {
			in.Systems = append(in.Systems, retentionSystem{System: sys.ID})
		}
	}
	if len(in.Systems) == 0 {
		return nil
	}
	if err := s.Retention.Start(ctx, "retention-"+in.Day, in); err != nil {
		return fmt.Errorf("starting the day's retention: %w", err)
	}
	return nil
}
