package policy

import (
	"fmt"
	"slices"
)

// takeSystems checks systems.toml against the policy and moves it into the company.
func (c *Company) takeSystems(f systemsFile, mappings map[int][]byte, d document) {
	c.systemsFile = d
	if len(f.Systems) == 0 {
		d.fault("system", "is missing: a company has at least one system")
		return
	}
	seen := map[string]bool{}
	for i, s := range f.Systems {
		table := fmt.Sprintf("system[%d]", i)
		d.unique(table+".id", s.ID, ident, seen)
		if slices.Contains(reserved, s.ID) {
			d.fault(table+".id", "%q is a word of Writ's own", s.ID)
		}
		d.text(table, "name", s.Name, "connector", s.Connector, "source", s.Source)
		c.fact(d, table, s.ID, s.Fact)
		d.list(table+".categories", s.Categories, c.isCategory, "category")
		d.list(table+".recipients", s.Recipients, func(string) bool { return true }, "recipient")
		if _, ok := c.Assignees[s.Assignee]; !ok {
			d.fault(table+".assignee", "there is no role %q in [assignees] of policy.toml", s.Assignee)
		}
		if s.Connector == Manual {
			d.text(table, "instruction", s.Instruction)
			if len(s.Mapping) > 0 || len(s.Config) > 0 || s.VPC != nil || s.MaxParallel != 0 {
				d.fault(table, "a manual system has no mapping, config, vpc or max_parallel")
			}
		}
		if len(s.Mapping) > 0 && len(mappings[i]) == 0 {
			d.fault(table+".mapping", "stands inside the system's table; expected tables of its own: [system.mapping] or [[system.mapping.…]]")
		}
		if s.MaxParallel < 0 {
			d.fault(table+".max_parallel", "is negative; expected a number of calls, or 0 for no limit")
		}
		if v := s.VPC; v != nil && (v.ID == "" || len(v.Subnets) == 0 || len(v.SecurityGroups) == 0) {
			d.fault(table+".vpc", "needs id, subnets and security_groups")
		}
		if s.SystemOfRecord && len(s.DependsOn) > 0 {
			d.fault(table+".depends_on", "a system of record gathers first and acts last, so it depends on no other")
		}
		for _, other := range s.DependsOn {
			if other == s.ID || !slices.ContainsFunc(f.Systems, func(o systemRow) bool { return o.ID == other }) {
				d.fault(table+".depends_on", "there is no other system %q", other)
			}
		}
		c.Systems = append(c.Systems, System{
			ID: s.ID, Name: s.Name, Connector: s.Connector, Categories: s.Categories, Source: s.Source, Recipients: s.Recipients,
			Assignee: s.Assignee, Instruction: s.Instruction, SystemOfRecord: s.SystemOfRecord, DependsOn: s.DependsOn,
			MaxParallel: s.MaxParallel, VPC: s.VPC, Settings: s.Config, Raw: mappings[i], Line: d.line(table),
			Unsearchable: s.Unsearchable, Fact: s.Fact,
		})
	}
	if !slices.ContainsFunc(f.Systems, func(s systemRow) bool { return s.SystemOfRecord }) {
		d.fault("system", "none is the system of record; expected system_of_record = true in the one that knows the person's account")
	}
	for i, k := range c.Categories {
		if !slices.ContainsFunc(f.Systems, func(s systemRow) bool { return slices.Contains(s.Categories, k.ID) }) {
			d.fault("system", "no system holds the category %q (category[%d] of policy.toml)", k.ID, i)
		}
	}
}
