package policy

import (
	"maps"
	"slices"

	"github.com/writ-dsr/writ/shared/dsr"
)

// How far a rule of law has been read: against its text, or not yet.
const (
	checked = "checked"
	recheck = "recheck"
)

// Regime returns the law for a person who lives in country (ISO 3166-1
// alpha-2). A country that no regime names, and one that was not said, get the
// most protective one, with Assumed set.
func (c *Company) Regime(place dsr.Place) Regime {
	for _, p := range []dsr.Place{place, dsr.Place(place.Country())} {
		if id, ok := c.countries[p]; ok {
			return c.regimes[id]
		}
	}
	r := c.regimes[c.fallback]
	r.Assumed = true
	return r
}

// KnownPlace reports whether a regime names the country. A command refuses
// one that none names; a person's form accepts everything.
func (c *Company) KnownPlace(place dsr.Place) bool {
	_, ok := c.countries[place]
	return ok
}

// Recheck lists the rules that rest on general knowledge or on a tracker: their
// official text must be read before anybody relies on them.
func (c *Company) Recheck() []string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(c.regimes)) {
		for _, k := range c.regimes[id].Clocks {
			if k.Confidence == recheck {
				out = append(out, k.ID+": "+k.Cite)
			}
		}
	}
	for _, g := range c.Grounds {
		if g.Confidence == recheck {
			out = append(out, g.ID+": "+g.Cite)
		}
	}
	return out
}
