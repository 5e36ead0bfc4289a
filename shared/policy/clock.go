package policy

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Deadline is when a request must be answered and which rule says so.
type Deadline struct {
	DueAt                time.Time // last second of the due day in the controller's zone, in UTC
	AcknowledgeDueAt     time.Time // zero where no law asks for it
	RefusalDueAt         time.Time // a refusal's own date; no extension moves it
	ExtensionNoticeDueAt time.Time // until when an extension may be told
	LatestDueAt          time.Time // the due date with every extension the laws allow
	Rule                 string    // id of the law's rule or of the company's promise
	Says                 string    // the rule in one plain sentence
	MarginAt             time.Time // open work becomes a partial answer from here on
	Limits               []Limit   // everything that was compared, earliest first
}

// Limit is one rule's own due date.
type Limit struct {
	Rule  string    `json:"rule"`
	Says  string    `json:"says"`
	DueAt time.Time `json:"due_at"`
}

// Due computes the due date from the clock events and the dated rules: the
// earliest of every law that applies and the company's promise. A request that
// was received twice is dated from the first. An event this function does not
// know is an error: a clock that ignores one would be wrong silently.
func (c *Company) Due(rights []dsr.Right, events []dsr.ClockEvent, place dsr.Place) (Deadline, error) {
	var received time.Time
	for _, e := range events {
		switch {
		case e.Kind != dsr.Received:
			return Deadline{}, fmt.Errorf("computing the due date: unknown clock event %q: known is %s", e.Kind, dsr.Received)
		case e.At.IsZero():
			return Deadline{}, fmt.Errorf("computing the due date: the event %s has no time", e.Kind)
		case received.IsZero() || e.At.Before(received):
			received = e.At
		}
	}
	if received.IsZero() {
		return Deadline{}, errors.New("computing the due date: no received event, so no clock has started")
	}

	law := c.Regime(place).Clocks[0]
	limits := []Limit{{Rule: law.ID, Says: law.Says, DueAt: law.due(received, c.Zone)}}
	for _, p := range c.Promises {
		limits = append(limits, Limit{Rule: p.Rule, Says: p.Says, DueAt: endOfDay(received, c.Zone, 0, p.Days)})
	}
	// Stable: where law and promise fall on the same day, the law is named.
	slices.SortStableFunc(limits, func(a, b Limit) int { return a.DueAt.Compare(b.DueAt) })
	first := limits[0]
	return Deadline{
		DueAt:    first.DueAt,
		Rule:     first.Rule,
		Says:     first.Says,
		MarginAt: endOfDay(first.DueAt, c.Zone, 0, -c.MarginDays),
		Limits:   limits,
	}, nil
}

// due ends the period on the right local day. Regulation 1182/71 Art. 3: the
// day of the event does not count; a period in months ends with the same-numbered
// day, or the month's last if there is none; one that ends on a Saturday or
// Sunday ends with the next working day. Public holidays would move it further,
// but only a controller established in the EEA or the UK may lean on them;
// without them the date is never late.
func (k Clock) due(received time.Time, zone *time.Location) time.Time {
	at := endOfDay(received, zone, k.Months, k.Days)
	if !k.WorkingDay {
		return at
	}
	switch at.In(zone).Weekday() {
	case time.Saturday:
		return endOfDay(at, zone, 0, 2)
	case time.Sunday:
		return endOfDay(at, zone, 0, 1)
	}
	return at
}

// endOfDay returns the last second of the local day that lies months and days
// after the local day of t. A month without that day gives its last day.
func endOfDay(t time.Time, zone *time.Location, months, days int) time.Time {
	year, month, day := t.In(zone).Date()
	last := time.Date(year, month+time.Month(months)+1, 0, 0, 0, 0, 0, time.UTC)
	return time.Date(last.Year(), last.Month(), min(day, last.Day())+days, 23, 59, 59, 0, zone).UTC()
}
