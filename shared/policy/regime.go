package policy

import (
	"maps"
	"slices"
	"strings"
)

// How far a rule of law has been read: against its text, or not yet.
const (
	checked = "checked"
	recheck = "recheck"
)

// Regime is one body of law: its clock, its authority and its rights in plain
// words.
type Regime struct {
	ID        string   `toml:"id"`
	Name      string   `toml:"name"`
	Countries []string `toml:"countries"` // ISO 3166-1 alpha-2
	Fallback  bool     `toml:"fallback"`  // the regime of a person whose country is unknown or not said
	Why       string   `toml:"why"`       // why it is the fallback
	Clock     Clock    `toml:"clock"`
	Complain  string   `toml:"complain"` // authority and remedy, one plain sentence
	Rights    []string `toml:"rights"`   // the person's rights, one plain sentence each
	Assumed   bool     `toml:"-"`        // set by Company.Regime when the fallback was taken
}

// Clock is how a regime counts to its due date. One of Months and Days is set.
type Clock struct {
	Rule       string `toml:"rule"` // id of the rule
	Cite       string `toml:"cite"`
	Months     int    `toml:"months"`
	Days       int    `toml:"days"`
	WorkingDay bool   `toml:"working_day"` // a period that ends on a weekend ends on the next working day
	Says       string `toml:"says"`        // one plain sentence
	ValidFrom  string `toml:"valid_from"`  // 2006-01-02
	Confidence string `toml:"confidence"`  // checked or recheck
}

// Regime returns the law for a person who lives in country (ISO 3166-1
// alpha-2). A country that no regime names, and one that was not said, get the
// most protective one, with Assumed set.
func (c *Company) Regime(country string) Regime {
	if id, ok := c.countries[strings.ToUpper(strings.TrimSpace(country))]; ok {
		return c.regimes[id]
	}
	r := c.regimes[c.fallback]
	r.Assumed = true
	return r
}

// KnownCountry reports whether a regime names the country. A command refuses
// one that none names; a person's form accepts everything.
func (c *Company) KnownCountry(country string) bool {
	_, ok := c.countries[strings.ToUpper(strings.TrimSpace(country))]
	return ok
}

// Recheck lists the rules that rest on general knowledge or on a tracker: their
// official text must be read before anybody relies on them.
func (c *Company) Recheck() []string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(c.regimes)) {
		if k := c.regimes[id].Clock; k.Confidence == recheck {
			out = append(out, k.Rule+": "+k.Cite)
		}
	}
	for _, g := range c.Grounds {
		if g.Confidence == recheck {
			out = append(out, g.ID+": "+g.Cite)
		}
	}
	return out
}
