package policy

import (
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/dsr"
)

// roleProcessor is the standing in which a customer decides (GDPR Art. 4(8)).
const roleProcessor = "processor"

// ToCustomer is where a [[route]] goes that is the customer's.
const ToCustomer = "customer"

// referable reports whether a right is about data, so that who decides about the
// data answers it. What a company says of itself, and what its people read, it
// answers itself.
func referable(r dsr.Right) bool {
	switch r.Means() {
	case dsr.ByCopy, dsr.ByChange, dsr.ByRemoval, dsr.ByMark, dsr.ByStop:
		return true
	case dsr.ByStatement:
		return slices.Contains(lookers, r)
	}
	return r == dsr.HumanReview || r == dsr.PublicationChange
}

// route hands to the customers what is theirs (rows [[role]] and [[route]]), and
// returns the rights of which something is left.
func (d *decision) route(rights []dsr.Right) []dsr.Right {
	theirs, ours := d.roles()
	var whole []dsr.Right // referable rights
	for _, r := range rights {
		if referable(r) {
			whole = append(whole, r)
		}
	}
	if len(whole) == 0 {
		return rights
	}
	left := rights
	for _, role := range theirs {
		concerned := slices.DeleteFunc(slices.Clone(whole), func(r dsr.Right) bool { return len(ours) > 0 && !d.touches(r, role.categories) })
		if len(concerned) > 0 {
			d.refer(Referral{Role: role.row.ID, Rights: concerned, Categories: role.categories, To: role.row.Customer, Says: role.row.Says}, role.row.Fact)
		}
	}
	if len(theirs) > 0 {
		for _, r := range whole {
			d.narrow(r, func(k Category) bool { return ours[k.ID] })
			if len(d.reached(r)) == 0 {
				left = slices.DeleteFunc(slices.Clone(left), func(x dsr.Right) bool { return x == r })
			}
		}
	} else if role, ok := d.linked(); ok {
		// The mailbox is one of a customer's: beside the person's own account, the
		// customer may hold one of its own.
		d.refer(Referral{Role: role.ID, Rights: whole, To: role.Customer, Says: role.Says}, role.Fact)
	}
	return d.routes(left)
}

// touches reports whether a right does something to one of the categories: what
// stops a purpose concerns only the data that are used for it.
func (d *decision) touches(r dsr.Right, categories []string) bool {
	purpose := r.Stops()
	if purpose == "" {
		return true
	}
	return !d.moot(r) && slices.ContainsFunc(d.Categories, func(k Category) bool { return slices.Contains(categories, k.ID) && d.uses(k, purpose) })
}

// standing is a [[role]] in which the company is a processor for this person,
// and the data that it is about.
type standing struct {
	row        Role
	categories []string
}

// roles splits the categories: those that customers decide about, by role, and
// the company's own. A row that names the data goes before one that names none;
// where rows of both standings fit equally, the data are both's.
func (d *decision) roles() (theirs []standing, ours map[string]bool) {
	ours = map[string]bool{}
	for _, k := range d.Categories {
		var fit []Role
		named := false
		for _, r := range d.Roles {
			if len(r.Plans) > 0 && !slices.Contains(r.Plans, d.q.Plan) || len(r.Categories) > 0 && !slices.Contains(r.Categories, k.ID) {
				continue
			}
			if len(r.Categories) > 0 && !named {
				fit, named = nil, true
			}
			if named == (len(r.Categories) > 0) {
				fit = append(fit, r)
			}
		}
		if len(fit) == 0 {
			ours[k.ID] = true
		}
		for _, r := range fit {
			if r.Role != roleProcessor {
				ours[k.ID] = true
				continue
			}
			i := slices.IndexFunc(theirs, func(s standing) bool { return s.row.ID == r.ID })
			if i < 0 {
				i, theirs = len(theirs), append(theirs, standing{row: r})
			}
			theirs[i].categories = append(theirs[i].categories, k.ID)
		}
	}
	return theirs, ours
}

// linked finds the customer whose mail domain the person's address is of, with
// the role in which the company works for it.
func (d *decision) linked() (Role, bool) {
	i := slices.IndexFunc(d.Roles, func(r Role) bool { return r.Role == roleProcessor })
	if i < 0 {
		return Role{}, false
	}
	for _, id := range d.q.Identities {
		if _, ok := d.customerOf(id); ok {
			return d.Roles[i], true
		}
	}
	return Role{}, false
}

// customerOf returns the customer whose people have mailboxes like this one.
func (c *Company) customerOf(id dsr.Identity) (Customer, bool) {
	if id.Kind != dsr.Email {
		return Customer{}, false
	}
	_, domain, _ := strings.Cut(id.Value, "@")
	i := slices.IndexFunc(c.Customers, func(k Customer) bool {
		return slices.ContainsFunc(k.Domains, func(d string) bool { return strings.EqualFold(d, domain) })
	})
	if i < 0 {
		return Customer{}, false
	}
	return c.Customers[i], true
}

// refer records a referral. The customer is named only to who proved a mailbox
// of it: before, the answer would tell a stranger where somebody works or learns.
func (d *decision) refer(r Referral, source Fact) {
	if len(source.Cites) > 0 {
		r.Source = source.Cites[0]
	}
	if d.q.Proved {
		for _, id := range d.q.Identities {
			if k, ok := d.customerOf(id); ok && id.Origin == dsr.Proved {
				r.Customer = k.ID
			}
		}
	}
	r.Rights, r.Categories = list(r.Rights), list(r.Categories)
	d.out.Referrals = append(d.out.Referrals, r)
	to := r.Customer
	if to == "" {
		to = ToCustomer
	}
	owe := func(system, category string, op dsr.Op) {
		d.work.owed = append(d.work.owed, Owed{System: system, Op: op, Outcome: dsr.Outcome{Category: category, Kind: dsr.Referred, To: to}})
	}
	if len(r.Categories) == 0 { // a field, or an account of the customer's: no data here are named
		for _, right := range r.Rights {
			owe(dsr.Itself, string(right), opOf(right))
		}
	}
	for _, s := range d.Systems {
		for _, id := range s.Categories {
			if slices.Contains(r.Categories, id) {
				owe(s.ID, id, opOf(r.Rights[0]))
			}
		}
	}
}

// routes sends parts of the remaining rights to somebody else: fields that only
// an organisation's administrator may change, content of other people's pages.
func (d *decision) routes(rights []dsr.Right) []dsr.Right {
	left := slices.Clone(rights)
	for _, route := range d.Routes {
		if len(route.Plans) > 0 && !slices.Contains(route.Plans, d.q.Plan) {
			continue
		}
		sent := slices.DeleteFunc(slices.Clone(left), func(r dsr.Right) bool { return !d.follows(route, r) })
		if len(sent) == 0 {
			continue
		}
		d.refer(Referral{Role: route.ID, Rights: sent, Categories: route.Categories, To: route.To, Says: route.Says}, route.Fact)
		others := slices.ContainsFunc(d.q.Fields, func(f string) bool { return !slices.Contains(route.Fields, f) })
		for _, r := range sent {
			rest := len(route.Fields) > 0 && others
			if len(route.Categories) > 0 {
				d.narrow(r, func(k Category) bool { return !slices.Contains(route.Categories, k.ID) })
				rest = rest || len(d.reached(r)) > 0
			}
			if !rest {
				left = slices.DeleteFunc(left, func(x dsr.Right) bool { return x == r })
			}
		}
	}
	return left
}

// follows reports whether something of a right goes the way of a [[route]].
func (d *decision) follows(route Route, r dsr.Right) bool {
	switch {
	case !matches(route.Rights, r) || len(route.Rights) == 0 && !referable(r):
		return false
	case len(route.Categories) > 0 && !d.touches(r, route.Categories):
		return false
	}
	return len(route.Fields) == 0 || slices.ContainsFunc(d.q.Fields, func(f string) bool { return slices.Contains(route.Fields, f) })
}

// OwnChanges are the changes of a correction that are the company's to make: a
// field that a [[route]] hands to somebody else is left to them.
func (c *Company) OwnChanges(plan string, changes []dsr.Change) []dsr.Change {
	return slices.DeleteFunc(slices.Clone(changes), func(change dsr.Change) bool {
		return slices.ContainsFunc(c.Routes, func(route Route) bool {
			return (len(route.Plans) == 0 || slices.Contains(route.Plans, plan)) && matches(route.Rights, dsr.Rectification) && slices.Contains(route.Fields, change.Field)
		})
	})
}
