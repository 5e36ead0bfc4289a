package stripe

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// otherPerson is the closed word for why a value is withheld from an export: it
// is somebody else's (GDPR Art. 15(4)).
const otherPerson = "other_person"

// shape is what an export takes of one category's objects: an allow-list, so
// that a field Stripe adds one day does not leave before somebody has looked
// at it. A name ending in ".*" takes all below it.
type shape struct {
	fields   []string
	contacts []contact
}

// contact is a block that may speak of somebody else: a friend's card, a gift's
// recipient. Email and name tell whose it is, block is withheld when it is not
// the person's.
type contact struct {
	email, name string
	block       []string
}

var shapes = map[string]shape{
	profile: {
		fields: []string{
			"id", "created", "name", "email", "phone", "address.*", "shipping.*", "description", "preferred_locales.*",
			"currency", "balance", "delinquent", "tax_exempt", "metadata.*",
		},
		contacts: []contact{{"", "shipping.name", []string{"shipping"}}},
	},
	paymentMethod: {
		fields: []string{
			"id", "created", "type", "billing_details.*", "card.brand", "card.country", "card.exp_month", "card.exp_year", "card.funding",
			"card.last4", "sepa_debit.bank_code", "sepa_debit.country", "sepa_debit.last4", "us_bank_account.bank_name",
			"us_bank_account.account_type", "us_bank_account.last4", "bacs_debit.last4", "link.email", "paypal.payer_email", "metadata.*",
		},
		contacts: []contact{
			{"billing_details.email", "billing_details.name", []string{"billing_details"}},
			{"link.email", "", []string{"link"}}, {"paypal.payer_email", "", []string{"paypal"}},
		},
	},
	subscription: {fields: []string{
		"id", "created", "status", "currency", "description", "start_date", "current_period_start", "current_period_end", "cancel_at",
		"canceled_at", "ended_at", "trial_start", "trial_end", "items.data.*.quantity", "items.data.*.price.unit_amount",
		"items.data.*.price.nickname", "items.data.*.price.product", "metadata.*",
	}},
	invoice: {
		fields: []string{
			"id", "number", "created", "status", "currency", "amount_due", "amount_paid", "subtotal", "total", "period_start", "period_end",
			"description", "lines.data.*.description", "lines.data.*.amount", "lines.data.*.quantity", "customer_name", "customer_email",
			"customer_phone", "customer_address.*", "customer_shipping.*", "shipping_details.*", "metadata.*",
		},
		contacts: []contact{
			{"customer_email", "customer_name", []string{"customer_name", "customer_email", "customer_phone", "customer_address"}},
			{"", "customer_shipping.name", []string{"customer_shipping"}}, {"", "shipping_details.name", []string{"shipping_details"}},
		},
	},
	charge: {
		fields: []string{
			"id", "created", "status", "amount", "amount_refunded", "currency", "paid", "refunded", "description", "statement_descriptor",
			"receipt_email", "billing_details.*", "shipping.*", "payment_method_details.type", "payment_method_details.card.brand",
			"payment_method_details.card.country", "payment_method_details.card.exp_month", "payment_method_details.card.exp_year",
			"payment_method_details.card.funding", "payment_method_details.card.last4", "outcome.risk_level", "outcome.seller_message", "metadata.*",
		},
		contacts: []contact{
			{"billing_details.email", "billing_details.name", []string{"billing_details"}},
			{"receipt_email", "", []string{"receipt_email"}}, {"", "shipping.name", []string{"shipping"}},
		},
	},
	checkoutSession: {
		fields: []string{
			"id", "created", "status", "mode", "payment_status", "currency", "amount_total", "locale", "customer_email",
			"customer_details.name", "customer_details.email", "customer_details.phone", "customer_details.address.*",
			"shipping_details.*", "custom_fields.*", "metadata.*",
		},
		contacts: []contact{
			{"customer_details.email", "customer_details.name", []string{"customer_details"}},
			{"customer_email", "", []string{"customer_email"}}, {"", "shipping_details.name", []string{"shipping_details"}},
		},
	},
}

// person is whom an export is for.
type person struct {
	emails []string
	names  []string // as their customers have them
}

// row cuts an object to its shape and withholds what is not the person's to
// see. Keys are sorted: the same object is the same bytes. withheld counts the
// values of other people.
func (p person) row(category string, raw json.RawMessage) (row json.RawMessage, withheld int, err error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var o map[string]any
	if err := dec.Decode(&o); err != nil {
		return nil, 0, err
	}
	s := shapes[category]
	cut, _ := take(o, paths(s.fields)).(map[string]any)
	for _, c := range s.contacts {
		if p.is(text(cut, c.email), text(cut, c.name)) {
			continue
		}
		for _, field := range c.block {
			if cut[field] != nil {
				cut[field] = "[another person's data]"
			}
		}
		withheld++
	}
	row, err = json.Marshal(p.clean(cut, &withheld))
	return row, withheld, err
}

// is reports whether contact details are the person's: by the address where
// there is one, else by the name. Details without either are theirs.
func (p person) is(email, name string) bool {
	if email != "" {
		return slices.ContainsFunc(p.emails, func(own string) bool { return dsr.SameAddress(own, email) })
	}
	known := slices.DeleteFunc(slices.Clone(p.names), func(n string) bool { return n == "" })
	return name == "" || len(known) == 0 || slices.ContainsFunc(known, func(own string) bool { return strings.EqualFold(own, name) })
}

// paths splits dotted names.
func paths(names []string) [][]string {
	var all [][]string
	for _, n := range names {
		all = append(all, strings.Split(n, "."))
	}
	return all
}

// take copies the parts of v that the paths name; nil when there are none.
func take(v any, wanted [][]string) any {
	below := func(key string) [][]string {
		var next [][]string
		for _, path := range wanted {
			switch {
			case len(path) == 1 && path[0] == "*":
				next = append(next, path)
			case len(path) > 0 && (path[0] == key || path[0] == "*"):
				next = append(next, path[1:])
			}
		}
		return next
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, inner := range v {
			if next := below(key); len(next) > 0 {
				if part := take(inner, next); part != nil {
					out[key] = part
				}
			}
		}
		return out
	case []any:
		out := []any{}
		for _, inner := range v {
			if part := take(inner, below("*")); part != nil {
				out = append(out, part)
			}
		}
		return out
	}
	if slices.ContainsFunc(wanted, func(path []string) bool { return len(path) == 0 || path[0] == "*" }) {
		return v
	}
	return nil // a path goes deeper than the value: not the form we know
}

// text returns the string at a dotted path, "" when there is none.
func text(o map[string]any, path string) string {
	first, rest, nested := strings.Cut(path, ".")
	if nested {
		inner, _ := o[first].(map[string]any)
		return text(inner, rest)
	}
	s, _ := o[first].(string)
	return s
}

// addressInText is what may be a mail address inside a text.
var addressInText = regexp.MustCompile(`[^\s<>()\[\]"',;:]+@[^\s<>()\[\]"',;:]+`)

// clean takes other people's addresses out of every text of a row; what stands
// under such an address goes with it.
func (p person) clean(v any, withheld *int) any {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = p.clean(inner, withheld)
			if p.clean(key, withheld) != key {
				delete(v, key)
			}
		}
	case []any:
		for i, inner := range v {
			v[i] = p.clean(inner, withheld)
		}
	case string:
		return addressInText.ReplaceAllStringFunc(v, func(hit string) string {
			if p.is(strings.TrimRight(hit, ".!?"), "") {
				return hit
			}
			*withheld++
			return "[another person's address]"
		})
	}
	return v
}

// withheldOf is the key of a tally that counts a category's withheld values.
func withheldOf(category string) string { return category + " " + otherPerson }

// exported are the outcomes of an export from its tally, in a fixed order.
func exported(tally map[string]int) []dsr.Outcome {
	var all []dsr.Outcome
	for _, category := range []string{profile, paymentMethod, subscription, invoice, charge, checkoutSession} {
		if n := tally[category]; n > 0 {
			all = append(all, dsr.Outcome{Category: category, Kind: dsr.Exported, Count: n})
		}
		if n := tally[withheldOf(category)]; n > 0 {
			all = append(all, dsr.Outcome{Category: category, Kind: dsr.Refused, Count: n, Reason: otherPerson})
		}
	}
	return all
}

var _ connector.Connector = driver{}
