package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// minRecordMonths is how long evidence of requests is kept at least (11 CCR 7101).
const minRecordMonths = 24

// takePolicy checks policy.toml and moves it into the company.
func (c *Company) takePolicy(id string, f policyFile, d document) {
	if f.ID != id {
		d.fault("id", "%q is not the folder's name; expected %q", f.ID, id)
	}
	c.ID, c.Name, c.Updated, c.Transfers = f.ID, f.Name, f.Updated, f.Transfers
	d.text("", "name", f.Name, "transfers", f.Transfers)
	d.date("updated", f.Updated)
	c.takeTime(f, d)
	c.takeDocuments(f, d)
	c.takeAssignees(f, d)
	c.takeDecisions(f, d)
	c.takeController(f, d)
	c.takePromises(f, d)
	c.takeRows(f, d)
	c.takeCategories(f, d)
	c.takeGrounds(f, d)
	// These name categories, which are known only now.
	c.takeRoles(f, d)
	c.takeSentences(f, d)
	c.takeAsks(f, d)
	c.takeRoutes(f, d)
	c.Records = f.Records
	d.text("records", "cite", f.Records.Cite)
	if f.Records.Months < minRecordMonths {
		d.fault("records.months", "is %d; expected at least %d (11 CCR 7101)", f.Records.Months, minRecordMonths)
	}
}

// takeTime reads where days are counted, whose holidays count, and how early
// open work becomes a partial answer.
func (c *Company) takeTime(f policyFile, d document) {
	zone, err := time.LoadLocation(f.Zone)
	if err != nil || f.Zone == "" || f.Zone == "Local" {
		d.fault("zone", "%q is no time zone; expected a name such as UTC or Europe/Warsaw", f.Zone)
		zone = time.UTC
	}
	if _, known := CalendarOf(f.Calendar); f.Calendar != "" && !known {
		d.fault("calendar", "%q is no calendar; expected one of %s, or nothing", f.Calendar, strings.Join(Calendars(), ", "))
	}
	// Every law gives at least 15 days: a margin of a week or more would answer
	// in part before the work had a chance.
	if f.MarginDays < 1 || f.MarginDays > 7 {
		d.fault("margin_days", "is %d; expected 1 to 7", f.MarginDays)
	}
	c.Zone, c.Calendar, c.MarginDays = zone, f.Calendar, f.MarginDays
}

func (c *Company) takeDocuments(f policyFile, d document) {
	for i, x := range f.Documents {
		table := fmt.Sprintf("document[%d]", i)
		d.text(table, "id", x.ID, "title", x.Title)
		if slices.ContainsFunc(f.Documents[:i], func(o Document) bool { return o.ID == x.ID }) {
			d.fault(table+".id", "%q is there twice", x.ID)
		}
		if x.Updated != "" {
			d.date(table+".updated", x.Updated)
		}
	}
	c.Documents = f.Documents
}

func (c *Company) takeAssignees(f policyFile, d document) {
	if len(f.Assignees) == 0 {
		d.fault("assignees", "is missing or empty: every task needs somebody")
	}
	for _, role := range slices.Sorted(maps.Keys(f.Assignees)) {
		if !ident.MatchString(role) {
			d.fault("assignees."+role, "is no role; expected %s", ident)
		}
		if _, err := dsr.ParseAddress(f.Assignees[role]); err != nil {
			d.fault("assignees."+role, "is no mail address")
		}
	}
	c.Assignees = f.Assignees
}

func (c *Company) takeDecisions(f policyFile, d document) {
	seen := map[string]bool{}
	for i, x := range f.Decisions {
		table := fmt.Sprintf("needs_controller_decision[%d]", i)
		d.unique(table+".id", x.ID, ident, seen)
		d.text(table, "question", x.Question, "safe_default", x.Default)
		d.each(table+".regimes", x.Regimes, c.isRegime, "regime")
		if len(x.Categories) > 0 {
			d.text(table, "plain", x.Plain)
		}
		d.each(table+".categories", x.Categories, func(id string) bool {
			return slices.ContainsFunc(f.Categories, func(k Category) bool { return k.ID == id })
		}, "category")
	}
	c.Decisions = f.Decisions
}

func (c *Company) takeController(f policyFile, d document) {
	c.Controller, c.Contacts = f.Controller, f.Contacts
	d.text("controller", "name", f.Controller.Name)
	if _, ok := c.countries[dsr.Place(f.Controller.Country)]; !ok {
		d.fault("controller.country", "%q is in no regime; expected a country of regimes/*.toml", f.Controller.Country)
	}
	d.oneOf("controller.established_in", f.Controller.EstablishedIn, "eea", "uk", "ch", "us", "br", "other")
	c.fact(d, "controller", f.Controller.Name, f.Controller.Fact)

	d.text("contacts", "officer", f.Contacts.Officer, "post", f.Contacts.Post, "complain", f.Contacts.Complain)
	if _, err := dsr.ParseAddress(f.Contacts.Mail); err != nil {
		d.fault("contacts.mail", "is no mail address")
	}
	c.fact(d, "contacts", f.Contacts.Officer, f.Contacts.Fact)

	for i, r := range f.Representatives {
		table := fmt.Sprintf("representative[%d]", i)
		d.oneOf(table+".region", r.Region, "eea", "uk", "ch", "br")
		d.text(table, "name", r.Name, "post", r.Post)
		if slices.ContainsFunc(f.Representatives[:i], func(o Representative) bool { return o.Region == r.Region }) {
			d.fault(table+".region", "%q has a representative already", r.Region)
		}
		c.fact(d, table, r.Region, r.Fact)
	}
	c.Representatives = f.Representatives
}

func (c *Company) takePromises(f policyFile, d document) {
	seen := map[string]bool{}
	for i, p := range f.Promises {
		table := fmt.Sprintf("promise[%d]", i)
		d.text(table, "rule", p.Rule, "says", p.Says)
		if seen[p.Rule] {
			d.fault(table+".rule", "%q is there twice", p.Rule)
		}
		seen[p.Rule] = true
		d.rights(table+".rights", p.Rights)
		if p.Days < 1 {
			d.fault(table+".days", "is %d; expected the days promised", p.Days)
		} else if over := c.longerThan(p); over != "" && p.Decision == "" {
			d.fault(table+".days", "%s; expected no more, or a decision that says which of them the company tells", over)
		}
		c.fact(d, table, p.Rule, p.Fact)
	}
	c.Promises = f.Promises
}

// lawOfToday is a day on which every row without an end is in force: a loader
// has no clock, and a promise is compared with the law as it stands last.
var lawOfToday = time.Date(9999, time.January, 1, 0, 0, 0, 0, time.UTC)

// longerThan says which law gives less time than a promise; "" for none. What a
// law wants at once is no period to compare with.
func (c *Company) longerThan(p Promise) string {
	rights := p.Rights
	if len(rights) == 0 {
		rights = dsr.Rights()
	}
	for _, id := range c.RegimeIDs() {
		for _, right := range rights {
			k, ok := c.regimes[id].ClockOf(right, lawOfToday)
			if n := k.longest(); ok && n > 0 && p.Days > n {
				return fmt.Sprintf("%d days are longer than the law: %s gives at most %d for %s", p.Days, k.ID, n, right)
			}
		}
	}
	return ""
}

// longest is the most calendar days a period can take, weekends and extensions
// aside; 0 for one that is over at once.
func (k Clock) longest() int {
	return 31*k.Months + k.Days + (k.BusinessDays*7+4)/5
}

// bases are the legal bases of GDPR Art. 6(1) that a company can rest on.
var bases = []string{"consent", "contract", "legitimate_interest", "legal_obligation"}

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
		d.closed(table+".bases", k.Bases, bases...)
		if len(k.Bases) == 0 {
			d.fault(table+".bases", "is missing or empty; expected some of %s", strings.Join(bases, ", "))
		}
		for _, p := range k.Purposes {
			d.oneOf(table+".purposes", string(p), string(dsr.Marketing), string(dsr.Sale), string(dsr.TargetedAds), string(dsr.Profiling))
		}
		grounded := slices.ContainsFunc(f.Grounds, func(g Ground) bool { return slices.Contains(g.Categories, k.ID) })
		switch {
		case k.OnErasure == KeepIt && !grounded:
			d.fault(table+".on_erasure", "category %q is kept without a ground; expected a [[ground]] or another rule", k.ID)
		case k.OnErasure != KeepIt && grounded:
			d.fault(table+".on_erasure", "category %q has a ground and an erase rule; expected one of them", k.ID)
		}
		c.fact(d, table, k.ID, k.Fact)
		c.takeRetain(k, table+".retain", d)
	}
	c.Categories = f.Categories
}

// takeRetain checks how long a category is kept when nobody asks.
func (c *Company) takeRetain(k Category, table string, d document) {
	r := k.Retain
	if _, there := d.lines[table]; !there && r.Reason == "" && r.From == "" && r.Dispose == "" && r.Years == 0 && r.Months == 0 {
		return
	}
	d.oneOf(table+".reason", r.Reason, slices.Sorted(maps.Keys(retainWhy))...)
	d.oneOf(table+".dispose", r.Dispose, EraseIt, AnonymiseIt)
	switch {
	case r.Years < 0 || r.Months < 0:
		d.fault(table, "counts backwards; expected years and months from 0 up")
	case r.From == "" && r.Years+r.Months > 0:
		d.fault(table+".from", "is missing: expected from when the period counts: %s", strings.Join(slices.Sorted(maps.Keys(retainFrom)), ", "))
	case r.From != "":
		d.oneOf(table+".from", r.From, slices.Sorted(maps.Keys(retainFrom))...)
		if r.Years+r.Months == 0 {
			d.fault(table+".years", "is missing: expected how many years or months the data are kept")
		}
	}
	c.fact(d, table, k.ID+", kept", r.Fact)
}

func (c *Company) takeGrounds(f policyFile, d document) {
	seen := map[string]bool{}
	for i, g := range f.Grounds {
		table := fmt.Sprintf("ground[%d]", i)
		d.unique(table+".id", g.ID, ident, seen)
		d.text(table, "kind", g.Kind, "jurisdiction", g.Jurisdiction, "plain", g.Plain, "cite", g.Cite)
		d.oneOf(table+".confidence", g.Confidence, checked, recheck)
		if g.Years < 1 {
			d.fault(table+".years", "is %d; expected how many years the ground reaches", g.Years)
		}
		d.list(table+".categories", g.Categories, c.isCategory, "category")
		d.list(table+".regimes", g.Regimes, c.isRegime, "regime")
		for _, id := range g.Regimes {
			if r, ok := c.regimes[id]; ok {
				c.onTheList(g, r, table, d)
			}
		}
		c.fact(d, table, g.ID, g.Fact)
	}
	c.Grounds = f.Grounds
	// Where no ground holds, somebody must have said what happens.
	for i, g := range c.Grounds {
		for _, category := range g.Categories {
			for _, r := range c.RegimeIDs() {
				if !c.settled(category, r) {
					d.fault(fmt.Sprintf("ground[%d].regimes", i), "nothing says what happens to %q under %s; expected the ground, another one, or a decision for it", category, r)
				}
			}
		}
	}
}

// onTheList reports a ground that a law does not know: only what is on its
// closed list blocks an erasure, and only under the law of a place it accepts.
func (c *Company) onTheList(g Ground, r Regime, table string, d document) {
	if _, ok := r.LegalGround(g.Kind, g.Jurisdiction); ok {
		return
	}
	var kinds []string
	for _, x := range r.Grounds {
		kinds = append(kinds, x.Kind)
		if x.Kind == g.Kind {
			d.fault(table+".jurisdiction", "a duty under the law of %q is no ground under %s; expected one of %s", g.Jurisdiction, r.ID, strings.Join(x.Jurisdictions, ", "))
			return
		}
	}
	d.fault(table+".kind", "%q blocks no erasure under %s; expected one of %s", g.Kind, r.ID, strings.Join(kinds, ", "))
}

// settled reports whether a ground or an open decision covers a category under a regime.
func (c *Company) settled(category, regime string) bool {
	return slices.ContainsFunc(c.Grounds, func(g Ground) bool {
		return slices.Contains(g.Categories, category) && slices.Contains(g.Regimes, regime)
	}) || slices.ContainsFunc(c.Decisions, func(x Decision) bool {
		return slices.Contains(x.Categories, category) && matches(x.Regimes, regime)
	})
}

func (c *Company) isRegime(id string) bool   { _, ok := c.regimes[id]; return ok }
func (c *Company) isCategory(id string) bool { _, ok := c.Category(id); return ok }
