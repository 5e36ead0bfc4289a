package policy

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// readRegimes reads every regimes/*.toml of fsys.
func (c *Company) readRegimes(fsys fs.FS, problems *Problems) {
	names, err := fs.Glob(fsys, "regimes/*.toml")
	if err != nil || len(names) == 0 {
		*problems = append(*problems, Problem{File: "regimes", Line: 1, Key: "file", Says: "no regime found"})
		return
	}
	for _, name := range names {
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			*problems = append(*problems, Problem{File: name, Line: 1, Key: "file", Says: "cannot be read"})
			continue
		}
		var r Regime
		d := read(name, data, &r, problems)
		if d.broken {
			continue
		}
		if want := strings.TrimSuffix(path.Base(name), ".toml"); r.ID != want {
			d.fault("id", "%q is not the file's name; expected %q", r.ID, want)
		}
		d.text("", "name", r.Name, "complain", r.Complain)
		for i, k := range r.Clocks {
			table := fmt.Sprintf("clock[%d]", i)
			d.text(table, "id", k.ID, "cite", k.Cite, "says", k.Says)
			d.date(table+".valid_from", k.ValidFrom)
			d.oneOf(table+".confidence", k.Confidence, checked, recheck)
			d.oneOf(table+".model", string(k.Model), string(Suspends), string(Stops), string(Runs))
		}
		if len(r.Clocks) == 0 {
			d.fault("clock", "is missing: a regime has at least one clock")
		}
		if len(r.Plain) == 0 {
			d.fault("rights", "is missing or empty")
		}
		if len(r.Residents) == 0 {
			d.fault("residents", "is missing or empty")
		}
		for _, code := range r.Residents {
			if !country.MatchString(string(code)) {
				d.fault("residents", "%q is not a place; expected two capital letters (ISO 3166-1), or a state such as US-CA", code)
			} else if other, taken := c.countries[code]; taken {
				d.fault("residents", "%s belongs to the regime %s already", code, other)
			}
			c.countries[code] = r.ID
		}
		if r.Fallback {
			d.text("", "why", r.Why)
			if c.fallback != "" {
				d.fault("fallback", "the regime %s is the fallback already", c.fallback)
			}
			c.fallback = r.ID
		}
		c.regimes[r.ID] = r
	}
	if c.fallback == "" {
		*problems = append(*problems, Problem{File: "regimes", Line: 1, Key: "fallback", Says: "no regime is the fallback for an unknown country"})
	}
}
