package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Deadline is when a request must be answered and which rule says so.
type Deadline struct {
	DueAt                time.Time // last second of the due day in the controller's zone, in UTC
	AcknowledgeDueAt     time.Time // zero where no law asks for it
	RefusalDueAt         time.Time // a refusal's own date; no extension moves it
	ExtensionNoticeDueAt time.Time // until when an extension may be told; zero where no law allows one
	LatestDueAt          time.Time // the due date with every extension the laws allow
	Rule                 string    // id of the law's rule or of the company's promise
	Says                 string    // the rule in one plain sentence
	MarginAt             time.Time // open work becomes a partial answer from here on
	StandsSinceAt        time.Time // set while an open question holds the clock of the rule that names the due date: DueAt is then the date if the answer came at once, and moves with it
	Limits               []Limit   // everything that was compared, earliest first
	Explain              []Note    // the limits and what moved or did not move them, in the order of reckoning
}

// Limit is one rule's own due date.
type Limit struct {
	Rule  string    `json:"rule"`
	Says  string    `json:"says"`
	DueAt time.Time `json:"due_at"`
}

// Note is one step of a reckoning, for people.
type Note struct {
	Rule string `json:"rule"`
	Says string `json:"says"`
}

// Due computes the due date from the clock events and the dated rules: the
// earliest of every law that applies and the company's promises. A request that
// was received twice is dated from the first. An event this function does not
// know is an error: a clock that ignores one would be wrong silently. No rights
// stand for the general clocks and all promises.
func (c *Company) Due(rights []dsr.Right, events []dsr.ClockEvent, place dsr.Place) (Deadline, error) {
	r := Reckoning{Events: events, Zone: c.Zone, Calendar: c.calendar(), MarginDays: c.MarginDays}
	received, err := firstReceipt(events)
	if err != nil {
		return Deadline{}, err
	}
	r.Clocks, err = clocks(c.Laws(place), rights, received.In(c.zone()))
	if err != nil {
		return Deadline{}, err
	}
	for _, p := range c.Promises {
		if len(rights) == 0 || len(p.Rights) == 0 || slices.ContainsFunc(rights, func(x dsr.Right) bool { return slices.Contains(p.Rights, x) }) {
			r.Promises = append(r.Promises, p)
		}
	}
	return Reckon(r)
}

// ClocksOf returns the clocks of a right under regimes, named by id, as they
// were in force on a day.
func ClocksOf(regimes []string, right string, on time.Time) ([]Clock, error) {
	if len(regimes) == 0 {
		return nil, errors.New("regimes: none is named")
	}
	r, err := dsr.ParseRight(right)
	if err != nil {
		return nil, fmt.Errorf("right: %w", err)
	}
	book := embeddedLaw()
	if len(book.problems) > 0 {
		return nil, book.problems
	}
	var laws []Regime
	for _, id := range regimes {
		law, ok := book.regimes[id]
		if !ok {
			return nil, fmt.Errorf("regimes: there is no law %q: expected one of %s", id, strings.Join(slices.Sorted(maps.Keys(book.regimes)), ", "))
		}
		laws = append(laws, law)
	}
	return clocks(laws, []dsr.Right{r}, on)
}

// calendar returns the days that move a period. Weekends move everybody's;
// holidays only that of a controller established in the EEA or the UK, whose
// own they are (Regulation 1182/71 Art. 2(1), 3(4); DPA 2018 s.205).
func (c *Company) calendar() Calendar {
	if c.Controller.EstablishedIn == "eea" || c.Controller.EstablishedIn == "uk" {
		if cal, ok := CalendarOf(c.Calendar); ok {
			return cal
		}
	}
	return Weekends()
}

func (c *Company) zone() *time.Location {
	if c.Zone == nil {
		return time.UTC
	}
	return c.Zone
}

// clocks returns the clocks that run for rights under laws, as they were in
// force on the day of receipt, each once. A law that does not give a right
// sets no date for it; where none gives it, the general clock of the first
// stands in. "At once" is a target of ours, not a period of the law: it dates a
// request that asks for nothing else.
func clocks(laws []Regime, rights []dsr.Right, on time.Time) ([]Clock, error) {
	var found []Clock
	take := func(law Regime, id string) error {
		k, ok := law.Clock(id, on)
		if !ok {
			return fmt.Errorf("computing the due date: the law %s has no clock %s in force on %s", law.ID, id, on.Format(time.DateOnly))
		}
		if !slices.ContainsFunc(found, func(f Clock) bool { return f.ID == k.ID }) {
			found = append(found, k)
		}
		return nil
	}
	for _, right := range rights {
		given := false
		for _, law := range laws {
			rule, ok := law.Rule(right, on)
			if !ok || rule.Clock == "" {
				continue
			}
			given = true
			if err := take(law, rule.Clock); err != nil {
				return nil, err
			}
		}
		if !given {
			if err := take(laws[0], laws[0].General); err != nil {
				return nil, err
			}
		}
	}
	if len(rights) == 0 {
		for _, law := range laws {
			if err := take(law, law.General); err != nil {
				return nil, err
			}
		}
	}
	if slices.ContainsFunc(found, func(k Clock) bool { return !k.AtOnce }) {
		found = slices.DeleteFunc(found, func(k Clock) bool { return k.AtOnce })
	}
	return found, nil
}
