package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/dsr"
)

// takeRows checks the rows that stand for themselves: how to ask, what is
// offered, children, sale, marketing, breaches, changes.
func (c *Company) takeRows(f policyFile, d document) {
	c.takeChannels(f, d)
	c.takeRequests(f, d)
	seen := map[string]bool{}
	for i, m := range f.Minors {
		table := fmt.Sprintf("minor[%d]", i)
		d.unique(table+".id", m.ID, ident, seen)
		d.text(table, "says", m.Says)
		d.oneOf(table+".unless", m.Unless, "", "parent", "school")
		if m.Under < 1 || m.Under > 21 {
			d.fault(table+".under", "is %d; expected an age of 1 to 21", m.Under)
		}
		c.fact(d, table, m.ID, m.Fact)
	}
	clear(seen)
	for i, s := range f.Sales {
		table := fmt.Sprintf("sale[%d]", i)
		d.unique(table+".id", s.ID, ident, seen)
		d.text(table, "says", s.Says)
		d.oneOf(table+".sells", s.Sells, "no", "may", "yes")
		c.fact(d, table, s.ID, s.Fact)
	}
	for i, m := range f.Marketing {
		table := fmt.Sprintf("marketing[%d]", i)
		d.text(table, "stop", m.Stop)
		d.oneOf(table+".channel", m.Channel, "email", "sms", "call", "push", "desktop", "ads", "post", "forms")
		c.fact(d, table, m.Channel, m.Fact)
	}
	clear(seen)
	for i, b := range f.Breaches {
		table := fmt.Sprintf("breach[%d]", i)
		d.unique(table+".id", b.ID, ident, seen)
		d.text(table, "says", b.Says)
		d.oneOf(table+".whom", b.Whom, "authority", "subjects")
		if b.Hours < 1 {
			d.fault(table+".hours", "is %d; expected the hours promised", b.Hours)
		}
		c.fact(d, table, b.ID, b.Fact)
	}
	clear(seen)
	for i, n := range f.Changes {
		table := fmt.Sprintf("change_notice[%d]", i)
		d.unique(table+".id", n.ID, ident, seen)
		d.text(table, "how", n.How)
		d.oneOf(table+".when", n.When, "before", "at", "after")
		c.fact(d, table, n.ID, n.Fact)
	}
	c.Minors, c.Sales, c.Marketing, c.Breaches, c.Changes = f.Minors, f.Sales, f.Marketing, f.Breaches, f.Changes
}

func (c *Company) takeChannels(f policyFile, d document) {
	seen := map[string]bool{}
	for i, ch := range f.Channels {
		table := fmt.Sprintf("channel[%d]", i)
		d.unique(table+".id", ch.ID, ident, seen)
		d.text(table, "where", ch.Where, "says", ch.Says)
		d.oneOf(table+".kind", ch.Kind, "form", "mail", "post", "phone", "account", "page", "message_link", "consent_manager", "browser")
		d.rights(table+".rights", ch.Rights)
		if _, err := dsr.ParseAddress(ch.Where); ch.Kind == "mail" && err != nil {
			d.fault(table+".where", "is no mail address")
		}
		c.fact(d, table, ch.ID, ch.Fact)
	}
	c.Channels = f.Channels
}

func (c *Company) takeRequests(f policyFile, d document) {
	for i, r := range f.Requests {
		table := fmt.Sprintf("request[%d]", i)
		d.text(table, "name", r.Name, "says", r.Says)
		d.rights(table+".right", []dsr.Right{r.Right})
		if slices.ContainsFunc(f.Requests[:i], func(o Request) bool { return o.Name == r.Name }) {
			d.fault(table+".name", "%q is there twice", r.Name)
		}
		if _, ok := c.Assignees[r.By]; r.By != "" && !ok {
			d.fault(table+".by", "there is no role %q in [assignees]", r.By)
		}
		if r.By == "" && r.Right.Means() == dsr.ByPerson {
			d.fault(table+".by", "is missing: a person answers this, expected one of [assignees]")
		}
		c.fact(d, table, r.Name, r.Fact)
	}
	c.Requests = f.Requests
}

func (c *Company) takeRoles(f policyFile, d document) {
	seen := map[string]bool{}
	for i, r := range f.Roles {
		table := fmt.Sprintf("role[%d]", i)
		d.unique(table+".id", r.ID, ident, seen)
		d.text(table, "says", r.Says)
		d.oneOf(table+".role", r.Role, "controller", "processor")
		if r.Role == "processor" {
			d.text(table, "customer", r.Customer)
		}
		d.each(table+".plans", r.Plans, ident.MatchString, "plan")
		d.each(table+".categories", r.Categories, c.isCategory, "category")
		c.fact(d, table, r.ID, r.Fact)
	}
	c.Roles = f.Roles
}

// knownPlans reports plans that no role knows.
func (c *Company) knownPlans(d document, key string, plans []string) {
	d.each(key, plans, func(p string) bool {
		return slices.ContainsFunc(c.Roles, func(r Role) bool { return slices.Contains(r.Plans, p) })
	}, "[[role]] of the plan")
}

func (c *Company) takeSentences(f policyFile, d document) {
	seen := map[string]bool{}
	for i, s := range f.Says {
		table := fmt.Sprintf("say[%d]", i)
		d.unique(table+".id", s.ID, ident, seen)
		d.text(table, "text", s.Text)
		d.closed(table+".notices", s.Notices, Notices()...)
		d.rights(table+".rights", s.Rights)
		c.knownPlans(d, table+".plans", s.Plans)
		d.each(table+".regimes", s.Regimes, c.isRegime, "regime")
		c.fact(d, table, s.ID, s.Fact)
	}
	c.Says = f.Says
}

func (c *Company) takeAsks(f policyFile, d document) {
	seen := map[string]bool{}
	for i, a := range f.Asks {
		table := fmt.Sprintf("ask[%d]", i)
		d.unique(table+".id", a.ID, ident, seen)
		d.text(table, "question", a.Question)
		if !ident.MatchString(a.Answer) {
			d.fault(table+".answer", "%q is not a key of the request's facts; expected %s", a.Answer, ident)
		}
		if len(a.Choices) < 2 {
			d.fault(table+".choices", "has %d; expected at least two answers", len(a.Choices))
		}
		d.each(table+".choices", a.Choices, ident.MatchString, "answer of the form "+ident.String()+" in")
		d.oneOf(table+".default", a.Default, a.Choices...)
		d.rights(table+".rights", a.Rights)
		c.knownPlans(d, table+".plans", a.Plans)
		for n, e := range a.Effects {
			effect := fmt.Sprintf("%s.effect[%d]", table, n)
			d.oneOf(effect+".choice", e.Choice, a.Choices...)
			d.each(effect+".spare", e.Spare, c.isCategory, "category")
		}
		c.fact(d, table, a.ID, a.Fact)
	}
	c.Asks = f.Asks
}

func (c *Company) takeRoutes(f policyFile, d document) {
	seen := map[string]bool{}
	for i, r := range f.Routes {
		table := fmt.Sprintf("route[%d]", i)
		d.unique(table+".id", r.ID, ident, seen)
		d.text(table, "says", r.Says)
		d.rights(table+".rights", r.Rights)
		c.knownPlans(d, table+".plans", r.Plans)
		d.each(table+".fields", r.Fields, ident.MatchString, "field")
		d.each(table+".categories", r.Categories, c.isCategory, "category")
		if _, ok := c.Assignees[r.To]; r.To != ToCustomer && !ok {
			d.fault(table+".to", "%q is nobody; expected %s or a role of [assignees]", r.To, ToCustomer)
		}
		c.fact(d, table, r.ID, r.Fact)
	}
	c.Routes = f.Routes
}

// kindsOfRecipient is what a recipient does, in the words of the policies.
var kindsOfRecipient = []string{
	"payment", "support", "crm", "infrastructure", "cloud", "analytics", "service", "survey", "advertising", "marketing", "newsletter", "mail",
	"chat", "affiliate", "customer", "authority", "social", "event", "video", "enrichment", "security", "ai", "partner", "adviser", "acquirer", "public", "staff",
}

// takeRecipients checks recipients.toml and moves it into the company.
func (c *Company) takeRecipients(f recipientsFile, d document) {
	seen := map[string]bool{}
	for i, r := range f.Recipients {
		table := fmt.Sprintf("recipient[%d]", i)
		d.unique(table+".id", r.ID, ident, seen)
		d.text(table, "name", r.Name)
		d.oneOf(table+".kind", r.Kind, kindsOfRecipient...)
		d.oneOf(table+".standing", r.Standing, "processor", "third_party", "affiliate")
		d.each(table+".systems", r.Systems, func(id string) bool { _, ok := c.System(id); return ok }, "system")
		d.list(table+".categories", r.Categories, c.isCategory, "category")
		if _, err := dsr.ParseAddress(r.Mail); r.Mail != "" && err != nil {
			d.fault(table+".mail", "is no mail address")
		}
		if r.Told && len(r.Systems) > 0 {
			d.fault(table+".told", "the recipient is reached through %s; expected told only where no system of the plan reaches it", strings.Join(r.Systems, ", "))
		}
		c.fact(d, table, r.ID, r.Fact)
	}
	c.Receivers = f.Recipients
}

// takeCustomers checks customers.toml and moves it into the company.
func (c *Company) takeCustomers(f customersFile, d document) {
	seen, domains := map[string]bool{}, map[string]bool{}
	for i, k := range f.Customers {
		table := fmt.Sprintf("customer[%d]", i)
		d.unique(table+".id", k.ID, ident, seen)
		d.text(table, "name", k.Name)
		if _, err := dsr.ParseAddress(k.Contact); err != nil {
			d.fault(table+".contact", "is no mail address")
		}
		for _, domain := range k.Domains {
			address, err := dsr.ParseAddress("a@" + domain)
			switch {
			case err != nil || address.Domain != domain:
				d.fault(table+".domains", "%q is no mail domain; expected lower-case letters, such as school.example", domain)
			case domains[domain]:
				d.fault(table+".domains", "%q belongs to another customer already", domain)
			}
			domains[domain] = true
		}
		c.knownPlans(d, table+".plans", k.Plans)
	}
	c.Customers = f.Customers
}
