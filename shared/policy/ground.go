package policy

import (
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Ground is a reason in law to keep data that a person asked to be erased. It
// holds only for the regimes it names: a duty under one country's tax law is no
// ground under another's (GDPR Art. 17(3)(b) needs Union or member-state law).
type Ground struct {
	ID           string   `toml:"id"`
	Categories   []string `toml:"categories"`
	Kind         string   `toml:"kind"`         // legal_obligation or legal_claims; a business purpose is none
	Jurisdiction string   `toml:"jurisdiction"` // whose law
	Regimes      []string `toml:"regimes"`      // regimes under which it blocks an erasure
	Plain        string   `toml:"plain"`        // one sentence for the person
	Cite         string   `toml:"cite"`         // the law
	Years        int      `toml:"years"`        // how long, from the date of the record
	Months       int      `toml:"months"`       // beside the years: three and a half years are 3 and 6
	YearEnd      bool     `toml:"year_end"`     // counted from the end of the record's year: books are kept by years
	Confidence   string   `toml:"confidence"`   // checked or recheck
	Fact                  // its Decision is the open one for the regimes it does not name
}

// Ground returns the ground on which a category is kept from a person who lives
// in place: every law that gives this person the erasure must know one. Of
// several the one that ends first is returned, for then a law wants the data
// gone. Without one the answer is false: what a system keeps all the same stays
// "kept" and is told as such, never as a legal duty.
func (c *Company) Ground(category string, place dsr.Place) (Ground, bool) {
	return c.ground(category, c.Laws(place))
}

func (c *Company) ground(category string, laws []Regime) (Ground, bool) {
	var first Ground
	found := false
	for _, law := range laws {
		if !law.gives(dsr.Erasure) {
			continue
		}
		i := slices.IndexFunc(c.Grounds, func(g Ground) bool {
			return slices.Contains(g.Categories, category) && slices.Contains(g.Regimes, law.ID)
		})
		if i < 0 {
			return Ground{}, false
		}
		if !found || c.Grounds[i].months() < first.months() {
			first, found = c.Grounds[i], true
		}
	}
	return first, found
}

// months is how long the ground reaches.
func (g Ground) months() int { return 12*g.Years + g.Months }

// Until returns the date, 2006-01-02, to which the ground reaches when counted
// from the date of the record, or from the request where the record's own date
// is not known (never too early, at most late by the record's age).
func (g Ground) Until(from time.Time) string {
	from = from.UTC()
	if g.YearEnd {
		from = time.Date(from.Year(), time.December, 31, 0, 0, 0, 0, time.UTC)
	}
	return monthsLater(from, g.months()).Format(time.DateOnly)
}

// monthsLater is the same-numbered day so many months later, or the last day of
// a month that has no such day.
func monthsLater(t time.Time, months int) time.Time {
	year, month, day := t.Date()
	last := time.Date(year, month+time.Month(months)+1, 0, 0, 0, 0, 0, t.Location())
	return time.Date(last.Year(), last.Month(), min(day, last.Day()), 0, 0, 0, 0, t.Location())
}

// Undecided returns the decision that is still the controller's for a category
// and a person who lives in country. A decision that names categories and no
// regime is for every law under which no ground holds.
func (c *Company) Undecided(category string, place dsr.Place) (Decision, bool) {
	return c.undecided(category, c.Laws(place))
}

func (c *Company) undecided(category string, laws []Regime) (Decision, bool) {
	if _, settled := c.ground(category, laws); settled {
		return Decision{}, false
	}
	i := slices.IndexFunc(c.Decisions, func(d Decision) bool {
		return slices.Contains(d.Categories, category) && slices.ContainsFunc(laws, func(law Regime) bool { return matches(d.Regimes, law.ID) })
	})
	if i < 0 {
		return Decision{}, false
	}
	return c.Decisions[i], true
}
