package policy

import (
	"slices"
	"time"
)

// The dates that a period can count from, of those a system can tell.
const (
	FromClosure    = "closure"
	FromInactivity = "inactivity"
	FromRecord     = "record"
)

// Expiry is a category whose period has an end.
type Expiry struct {
	Category string
	Before   time.Time // what is dated before this has expired
	Ground   string    // the longest ground that reached as far, whose end this is too; "" for none
}

// Expiries are the categories of a system that expire when nobody asks, and
// what has expired by now. No law may ask for longer: a ground of the category
// that reaches further than the period, whoever it holds for, takes its place.
func (c *Company) Expiries(s System, now time.Time) []Expiry {
	var all []Expiry
	for _, id := range s.Categories {
		k, ok := c.Category(id)
		months := 12*k.Retain.Years + k.Retain.Months
		if !ok || months == 0 || !slices.Contains([]string{FromClosure, FromInactivity, FromRecord}, k.Retain.From) {
			continue
		}
		x := Expiry{Category: id}
		for _, g := range c.Grounds {
			if !slices.Contains(g.Categories, id) {
				continue
			}
			longest := g.months()
			if g.YearEnd {
				longest += 12
			}
			if x.Ground == "" || longest > months {
				x.Ground = g.ID
			}
			months = max(months, longest)
		}
		x.Before = now.In(c.Zone).AddDate(0, -months, 0)
		all = append(all, x)
	}
	return all
}
