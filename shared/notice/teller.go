package notice

import (
	"slices"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

// Teller gives outcomes the names, reasons and laws of a company's pack, for a
// person who lives in a place.
type Teller struct {
	Company *policy.Company
	Lang    string
	Place   dsr.Place
	Keeps   func(connector, rule string) string // the reason of a vendor's rule, from its descriptor; nil for none
}

// holdLifted is the end of what a legal hold keeps.
const holdLifted = "hold_lifted"

// Row is one outcome as a letter tells it.
func (t Teller) Row(system string, o dsr.Outcome) Row {
	r := Row{System: t.System(system), Data: t.Category(o.Category), Outcome: o}
	switch o.Kind {
	case dsr.Retained:
		r.Hold = o.Until == holdLifted
		r.Why, r.Cite = t.ground(o.Ground)
	case dsr.Deferred:
		r.Why, _ = t.ground(o.Ground)
	case dsr.Kept:
		if open, ok := t.Company.Undecided(o.Category, t.Place); ok && open.Plain != "" {
			r.Why, r.Undecided = open.Plain, true
			break
		}
		if sys, ok := t.Company.System(system); ok && t.Keeps != nil {
			r.Why = t.Keeps(sys.Connector, o.Rule)
		}
		if r.Why == "" {
			r.Why = Word(t.Lang, "cannot_erase")
		}
	case dsr.Referred:
		r.Outcome.To = t.referred(o.To)
	}
	return r
}

// ground is why a ground keeps data, and the law.
func (t Teller) ground(id string) (why, cite string) {
	i := slices.IndexFunc(t.Company.Grounds, func(g policy.Ground) bool { return g.ID == id })
	if i < 0 {
		return "", ""
	}
	return t.Company.Grounds[i].Plain, t.Company.Grounds[i].Cite
}

// referred says in plain words who answers what was referred: a customer by
// name, or the words for the customers of a role.
func (t Teller) referred(to string) string {
	for _, c := range t.Company.Customers {
		if c.ID == to {
			return c.Name
		}
	}
	for _, r := range t.Company.Roles {
		if r.Customer != "" && (r.ID == to || to == policy.ToCustomer) {
			return r.Customer
		}
	}
	return to
}

// System is the plain name of a system.
func (t Teller) System(id string) string {
	switch id {
	case dsr.Officer:
		return Word(t.Lang, "your_message")
	case dsr.Itself:
		return Word(t.Lang, "our_systems")
	}
	if sys, ok := t.Company.System(id); ok {
		return sys.Name
	}
	for _, r := range t.Company.Receivers {
		if dsr.RecipientSystem(r.ID) == id {
			return r.Name
		}
	}
	return id
}

// Category is the plain name of a data category.
func (t Teller) Category(id string) string {
	if id == dsr.Words {
		return Word(t.Lang, "what_you_wrote")
	}
	if c, ok := t.Company.Category(id); ok {
		return c.Name
	}
	return id
}
