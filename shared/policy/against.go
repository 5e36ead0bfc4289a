package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Capability is what a connector's descriptor says, as far as a pack can be
// wrong about it.
type Capability struct {
	Ops        map[dsr.Op]string // api, async, manual:<key> or none:<why>
	Accepts    []dsr.Kind        // identifiers it can look for
	Yields     []dsr.Kind        // identifiers it may add for the systems that depend on it
	Categories []string          // data categories it can hold; empty where the mapping decides
	Config     []string          // keys of [system.config]
}

// Can reports whether the op goes by API, at once or as a vendor's job.
func (k Capability) Can(op dsr.Op) bool { return k.Ops[op] == "api" || k.Ops[op] == "async" }

// Never reports whether neither API nor person can do the op.
func (k Capability) Never(op dsr.Op) bool { return strings.HasPrefix(k.Ops[op], "none:") }

// CheckAgainst reports, as Problems, every system that its connector cannot
// serve as the pack says: policy knows no connector, so whoever knows both asks.
func (c *Company) CheckAgainst(known map[string]Capability) error {
	var problems Problems
	d := c.systemsFile
	d.problems = &problems
	names := append(slices.Collect(maps.Keys(known)), Manual)
	slices.Sort(names)
	names = slices.Compact(names)
	for i, s := range c.Systems {
		if s.Manual() {
			continue
		}
		table := fmt.Sprintf("system[%d]", i)
		k, ok := known[s.Connector]
		if !ok {
			d.fault(table+".connector", "there is no connector %q; expected one of %s", s.Connector, strings.Join(names, ", "))
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(s.Settings)) {
			if !slices.Contains(k.Config, key) {
				d.fault(table+".config."+key, "the connector %s has no such setting; it has %s", s.Connector, strings.Join(k.Config, ", "))
			}
		}
		for _, category := range s.Categories {
			if len(k.Categories) > 0 && !slices.Contains(k.Categories, category) {
				d.fault(table+".categories", "the connector %s holds no %q; it holds %s", s.Connector, category, strings.Join(k.Categories, ", "))
			}
			if r, ok := c.Category(category); ok && k.Never(dsr.Erase) && r.OnErasure != KeepIt {
				d.fault(table+".connector", "nobody can erase %q there and no ground keeps it; expected connector = %q or a ground", category, Manual)
			}
		}
		if k.Never(dsr.Locate) {
			d.fault(table+".connector", "the connector %s cannot find a person; expected connector = %q", s.Connector, Manual)
		}
		if !c.reaches(s, k, known) {
			d.fault(table+".depends_on", "the connector %s looks for %v, which neither the person's address nor a system it depends on gives", s.Connector, k.Accepts)
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// reaches reports whether a system gets an identifier it can look for: the
// proved address, or what the systems that gather before it yield.
func (c *Company) reaches(s System, k Capability, known map[string]Capability) bool {
	if len(k.Accepts) == 0 || slices.Contains(k.Accepts, dsr.Email) {
		return true
	}
	for _, d := range c.before(&s) {
		for _, kind := range known[d.Connector].Yields {
			if slices.Contains(k.Accepts, kind) {
				return true
			}
		}
	}
	return false
}

// Fault makes the problem of a system's row that somebody outside found, such
// as a connector in its mapping. Line 0 stands for the line of the key.
func (c *Company) Fault(system string, line int, key, says string) Problem {
	i := slices.IndexFunc(c.Systems, func(s System) bool { return s.ID == system })
	key = fmt.Sprintf("system[%d].%s", i, key)
	if line == 0 {
		line = c.systemsFile.line(key)
	}
	return Problem{File: c.systemsFile.file, Line: line, Key: key, Says: says}
}
