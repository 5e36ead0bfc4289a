package policy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// cite length: longer quotations would be a copy of the text, not evidence.
const maxCiteWords = 12

var (
	word    = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)      // companies
	ident   = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)      // systems, categories, roles, rules of ours
	country = regexp.MustCompile(`^[A-Z]{2}(-[A-Z]{2})?$`) // ISO 3166-1 alpha-2, or a state of it
)

// reserved are words that no system may be called: Writ's own systems, the chain
// of events about a request, and the functions fanout-<word> beside those of
// systems.
var reserved = []string{dsr.Officer, "writ", dsr.RequestChain, "answer", "manual", "task"}

// text reports every named value that is empty.
func (d document) text(table string, named ...string) {
	for i := 0; i < len(named); i += 2 {
		if strings.TrimSpace(named[i+1]) == "" {
			d.fault(join(table, named[i]), "is missing or empty")
		}
	}
}

// oneOf reports a value outside a closed set.
func (d document) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		d.fault(key, "%q is unknown; expected one of %s", value, strings.Join(allowed, ", "))
	}
}

func (d document) date(key, value string) {
	if _, err := time.Parse(time.DateOnly, value); err != nil {
		d.fault(key, "%q is not a date; expected 2006-01-02", value)
	}
}

// unique reports an id that is malformed or was seen before.
func (d document) unique(key, id string, form *regexp.Regexp, seen map[string]bool) {
	switch {
	case !form.MatchString(id):
		d.fault(key, "%q is not an id; expected %s", id, form)
	case seen[id]:
		d.fault(key, "%q is there twice", id)
	}
	seen[id] = true
}

func (d document) cites(table string, cites []Cite) {
	for i, c := range cites {
		key := fmt.Sprintf("%s.cites[%d]", table, i)
		d.text(key, "document", c.Document, "phrase", c.Phrase)
		if n := len(strings.Fields(c.Phrase)); n > maxCiteWords {
			d.fault(key+".phrase", "has %d words; expected at most %d", n, maxCiteWords)
		}
	}
}

func join(table, key string) string {
	if table == "" {
		return key
	}
	return table + "." + key
}

// takePolicy checks policy.toml and moves it into the company.
func (c *Company) takePolicy(id string, f policyFile, d document) {
	if f.ID != id {
		d.fault("id", "%q is not the folder's name; expected %q", f.ID, id)
	}
	d.text("", "name", f.Name, "transfers", f.Transfers)
	d.text("controller", "name", f.Controller.Name)
	d.text("contacts", "officer", f.Contacts.Officer, "post", f.Contacts.Post, "complain", f.Contacts.Complain)
	d.date("updated", f.Updated)
	if _, ok := c.countries[dsr.Place(f.Controller.Country)]; !ok {
		d.fault("controller.country", "%q is in no regime; expected a country of regimes/*.toml", f.Controller.Country)
	}
	d.oneOf("controller.established_in", f.Controller.EstablishedIn, "eea", "uk", "ch", "us", "br", "other")
	if _, err := dsr.ParseAddress(f.Contacts.Mail); err != nil {
		d.fault("contacts.mail", "is no mail address")
	}
	zone, err := time.LoadLocation(f.Zone)
	if err != nil || f.Zone == "" || f.Zone == "Local" {
		d.fault("zone", "%q is no time zone; expected a name such as UTC or Europe/Warsaw", f.Zone)
		zone = time.UTC
	}
	// Every law gives at least 15 days: a margin of a week or more would answer
	// in part before the work had a chance.
	if f.MarginDays < 1 || f.MarginDays > 7 {
		d.fault("margin_days", "is %d; expected 1 to 7", f.MarginDays)
	}
	for i, p := range f.Promises {
		table := fmt.Sprintf("promise[%d]", i)
		d.text(table, "rule", p.Rule, "says", p.Says)
		if p.Days < 1 {
			d.fault(table+".days", "is %d; expected the days promised", p.Days)
		}
		d.cites(table, p.Cites)
		c.Cites = append(c.Cites, p.Cites...)
	}
	if len(f.Assignees) == 0 {
		d.fault("assignees", "is missing or empty: every task needs somebody")
	}
	for role, address := range f.Assignees {
		if !ident.MatchString(role) {
			d.fault("assignees."+role, "is no role; expected %s", ident)
		}
		if _, err := dsr.ParseAddress(address); err != nil {
			d.fault("assignees."+role, "is no mail address")
		}
	}
	c.takeDecisions(f, d)
	c.takeCategories(f, d)
	c.takeGrounds(f, d)
	c.ID, c.Name, c.Updated, c.Controller, c.Contacts = f.ID, f.Name, f.Updated, f.Controller, f.Contacts
	c.Zone, c.Assignees, c.Transfers = zone, f.Assignees, f.Transfers
	c.Calendar, c.MarginDays, c.Documents, c.Representatives = f.Calendar, f.MarginDays, f.Documents, f.Representatives
	c.Channels, c.Roles, c.Promises, c.Requests, c.Minors = f.Channels, f.Roles, f.Promises, f.Requests, f.Minors
	c.Sales, c.Marketing, c.Breaches, c.Changes = f.Sales, f.Marketing, f.Breaches, f.Changes
	c.Says, c.Asks, c.Routes, c.Records = f.Says, f.Asks, f.Routes, f.Records
}

func (c *Company) takeDecisions(f policyFile, d document) {
	seen := map[string]bool{}
	for i, x := range f.Decisions {
		table := fmt.Sprintf("needs_controller_decision[%d]", i)
		d.unique(table+".id", x.ID, ident, seen)
		d.text(table, "question", x.Question, "safe_default", x.Default)
		for _, r := range x.Regimes {
			if _, ok := c.regimes[r]; !ok {
				d.fault(table+".regimes", "there is no regime %q", r)
			}
		}
		if len(x.Categories) > 0 {
			d.text(table, "plain", x.Plain)
		}
		for _, id := range x.Categories {
			if !slices.ContainsFunc(f.Categories, func(k Category) bool { return k.ID == id }) {
				d.fault(table+".categories", "there is no category %q", id)
			}
		}
	}
	c.Decisions = f.Decisions
}

func (c *Company) takeCategories(f policyFile, d document) {
	seen := map[string]bool{}
	if len(f.Categories) == 0 {
		d.fault("category", "is missing: a company holds at least one category of data")
	}
	for i, k := range f.Categories {
		table := fmt.Sprintf("category[%d]", i)
		d.unique(table+".id", k.ID, ident, seen)
		d.text(table, "name", k.Name, "why", k.Why, "basis", k.Basis, "retention", k.Retention, "source", k.Source)
		d.oneOf(table+".on_erasure", k.OnErasure, EraseIt, AnonymiseIt, KeepIt)
		d.cites(table, k.Cites)
		c.Cites = append(c.Cites, k.Cites...)
		grounded := slices.ContainsFunc(f.Grounds, func(g Ground) bool { return slices.Contains(g.Categories, k.ID) })
		switch {
		case k.OnErasure == KeepIt && !grounded:
			d.fault(table+".on_erasure", "category %q is kept without a ground; expected a [[ground]] or another rule", k.ID)
		case k.OnErasure != KeepIt && grounded:
			d.fault(table+".on_erasure", "category %q has a ground and an erase rule; expected one of them", k.ID)
		}
	}
	c.Categories = f.Categories
}

func (c *Company) takeGrounds(f policyFile, d document) {
	seen := map[string]bool{}
	for i, g := range f.Grounds {
		table := fmt.Sprintf("ground[%d]", i)
		d.unique(table+".id", g.ID, ident, seen)
		d.text(table, "jurisdiction", g.Jurisdiction, "plain", g.Plain, "cite", g.Cite)
		d.oneOf(table+".kind", g.Kind, "legal_obligation", "legal_claims")
		d.oneOf(table+".confidence", g.Confidence, checked, recheck)
		d.cites(table, g.Cites)
		c.Cites = append(c.Cites, g.Cites...)
		if g.Years < 1 {
			d.fault(table+".years", "is %d; expected how many years the ground reaches", g.Years)
		}
		d.list(table+".categories", g.Categories, func(id string) bool { _, ok := c.Category(id); return ok }, "category")
		d.list(table+".regimes", g.Regimes, func(id string) bool { _, ok := c.regimes[id]; return ok }, "regime")
		if g.Decision != "" && !slices.ContainsFunc(f.Decisions, func(x Decision) bool { return x.ID == g.Decision }) {
			d.fault(table+".decision", "there is no [[needs_controller_decision]] %q", g.Decision)
		}
	}
	c.Grounds = f.Grounds
	// Where no ground holds, somebody must have said what happens.
	for i, g := range c.Grounds {
		for _, category := range g.Categories {
			for _, r := range slices.Sorted(maps.Keys(c.regimes)) {
				if !c.settled(category, r) {
					d.fault(fmt.Sprintf("ground[%d].regimes", i), "nothing says what happens to %q under %s; expected the ground, another one, or a decision for it", category, r)
				}
			}
		}
	}
}

// settled reports whether a ground or an open decision covers a category under a regime.
func (c *Company) settled(category, regime string) bool {
	return slices.ContainsFunc(c.Grounds, func(g Ground) bool {
		return slices.Contains(g.Categories, category) && slices.Contains(g.Regimes, regime)
	}) || slices.ContainsFunc(c.Decisions, func(x Decision) bool {
		return slices.Contains(x.Categories, category) && matches(x.Regimes, regime)
	})
}

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
		d.cites(table, s.Cites)
		c.Cites = append(c.Cites, s.Cites...)
		d.list(table+".categories", s.Categories, func(id string) bool { _, ok := c.Category(id); return ok }, "category")
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
	if len(*d.problems) == 0 {
		c.tryOrders(d)
	}
}

// list reports an empty list, an entry that is there twice and one that is not known.
func (d document) list(key string, values []string, known func(string) bool, noun string) {
	if len(values) == 0 {
		d.fault(key, "is missing or empty")
	}
	for i, v := range values {
		switch {
		case strings.TrimSpace(v) == "" || !known(v):
			d.fault(key, "there is no %s %q", noun, v)
		case slices.Contains(values[:i], v):
			d.fault(key, "%q is there twice", v)
		}
	}
}

// takeRecipients checks recipients.toml and moves it into the company.
func (c *Company) takeRecipients(f recipientsFile, d document) {
	seen := map[string]bool{}
	for i, r := range f.Recipients {
		table := fmt.Sprintf("recipient[%d]", i)
		d.unique(table+".id", r.ID, ident, seen)
		d.text(table, "name", r.Name, "kind", r.Kind)
		d.oneOf(table+".standing", r.Standing, "processor", "third_party", "affiliate")
		d.cites(table, r.Cites)
		c.Cites = append(c.Cites, r.Cites...)
		for _, id := range r.Systems {
			if _, ok := c.System(id); !ok {
				d.fault(table+".systems", "there is no system %q", id)
			}
		}
		for _, id := range r.Categories {
			if _, ok := c.Category(id); !ok {
				d.fault(table+".categories", "there is no category %q", id)
			}
		}
	}
	c.Receivers = f.Recipients
}

// takeCustomers checks customers.toml and moves it into the company.
func (c *Company) takeCustomers(f customersFile, d document) {
	seen := map[string]bool{}
	for i, k := range f.Customers {
		table := fmt.Sprintf("customer[%d]", i)
		d.unique(table+".id", k.ID, ident, seen)
		d.text(table, "name", k.Name, "contact", k.Contact)
	}
	c.Customers = f.Customers
}
