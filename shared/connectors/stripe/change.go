package stripe

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// Erase ends the subscriptions, blanks and detaches the payment methods and
// deletes each customer. What Stripe does not let go of is counted as kept.
// Deleting a customer ends its subscriptions and its payment methods, so it is
// not done for the profile alone.
func (d driver) Erase(ctx context.Context, t connector.Task) (connector.Receipt, error) {
	c := d.client(dsr.Erase)
	if t.Wants(profile) && !(t.Wants(paymentMethod) && t.Wants(subscription)) {
		return connector.Receipt{}, &connector.Error{Kind: connector.Unsupported, Op: dsr.Erase, Err: errors.New("erasing a customer: Stripe deletes it only with its payment methods and subscriptions")}
	}
	detached, deleted := 0, map[string]bool{}
	for _, id := range t.Footprint.IDs(customerRecord) {
		o, err := ours(ctx, c, t, id)
		if err != nil {
			return connector.Receipt{}, err
		}
		deleted[id] = o.Deleted || t.Wants(profile)
		if o.Deleted {
			continue
		}
		n, err := eraseCustomer(ctx, c, t, id)
		if err != nil {
			return connector.Receipt{}, err
		}
		detached += n
		if err := t.Save(ctx, id); err != nil {
			return connector.Receipt{}, err
		}
	}
	kept, _, err := count(ctx, c, t, t.Footprint.Records, deleted)
	if err != nil {
		return connector.Receipt{}, err
	}
	r := connector.Receipt{Refs: *c.refs}
	report := func(o dsr.Outcome) {
		if o.Count > 0 && t.Wants(o.Category) {
			r.Outcomes = append(r.Outcomes, o)
		}
	}
	report(dsr.Outcome{Category: profile, Kind: dsr.Erased, Count: len(t.Footprint.IDs(customerRecord))})
	// A repeated call finds none attached: the footprint still tells how many.
	report(dsr.Outcome{Category: paymentMethod, Kind: dsr.Erased, Count: max(detached, t.Footprint.Counts[paymentMethod])})
	for _, category := range []string{subscription, invoice, charge, checkoutSession} {
		report(dsr.Outcome{Category: category, Kind: dsr.Kept, Count: kept[category], Rule: keptBy[category]})
	}
	return r, nil
}

// eraseCustomer returns how many payment methods it detached. What stops money
// goes first; a payment method is blanked before, as a detached one stays
// readable by its id.
func eraseCustomer(ctx context.Context, c client, t connector.Task, id string) (int, error) {
	var subscriptions, methods []object
	var err error
	if t.Wants(subscription) {
		if subscriptions, err = c.all(ctx, subscriptionsOf(id)); err != nil {
			return 0, err
		}
	}
	for _, s := range subscriptions {
		if ended(s) {
			continue
		}
		if _, err := c.remove(ctx, "cancelling a subscription", "subscription", "v1", "subscriptions", s.ID); err != nil {
			return 0, err
		}
	}
	if t.Wants(paymentMethod) {
		if methods, err = c.all(ctx, methodsOf(id)); err != nil {
			return 0, err
		}
	}
	for _, m := range methods {
		if _, err := c.post(ctx, t.Key, "blanking a payment method", "payment_method", blank(), "v1", "payment_methods", m.ID); err != nil {
			return 0, err
		}
		if _, err := c.post(ctx, t.Key, "detaching a payment method", "payment_method", url.Values{}, "v1", "payment_methods", m.ID, "detach"); err != nil {
			return 0, err
		}
	}
	if !t.Wants(profile) {
		return len(methods), nil
	}
	gone, err := c.remove(ctx, "deleting a customer", "customer", "v1", "customers", id)
	if err != nil {
		return 0, err
	}
	if !gone.Deleted {
		unsure := c.nonsense("a deleted customer is not called deleted")
		unsure.Sent = true
		return 0, unsure
	}
	return len(methods), nil
}

// Rectify sets the named fields on each of the person's customers and looks
// whether they took.
func (d driver) Rectify(ctx context.Context, t connector.Task, changes []dsr.Change) (connector.Receipt, error) {
	c := d.client(dsr.Rectify)
	var before, after []string
	if _, err := correction(object{}, changes); err != nil {
		return connector.Receipt{}, err
	}
	for _, change := range changes {
		if change.Field == "email" { // a repeated call finds the customer under its new address
			t.Identities = append(slices.Clone(t.Identities), dsr.Identity{Kind: dsr.Email, Value: change.New, Origin: dsr.Proved})
		}
	}
	set := 0
	for _, id := range t.Footprint.IDs(customerRecord) {
		o, err := ours(ctx, c, t, id)
		if err != nil {
			return connector.Receipt{}, err
		}
		if o.Deleted {
			continue
		}
		form, err := correction(o, changes)
		if err != nil {
			return connector.Receipt{}, err
		}
		set++
		for _, change := range changes {
			before, after = append(before, o.field(change.Field)), append(after, change.New)
		}
		if len(form) == 0 {
			continue // it already reads so: an earlier attempt's effect
		}
		if _, err := c.post(ctx, t.Key, "correcting a customer", "customer", form, "v1", "customers", id); err != nil {
			return connector.Receipt{}, err
		}
		if o, err = c.customer(ctx, id); err != nil {
			return connector.Receipt{}, err
		}
		if form, err = correction(o, changes); err != nil || len(form) > 0 {
			return connector.Receipt{}, c.nonsense("a corrected field still reads as before")
		}
	}
	r := connector.Receipt{Refs: append(*c.refs, t.Changed(before, after)...)}
	if set > 0 {
		r.Outcomes = []dsr.Outcome{{Category: profile, Kind: dsr.Rectified, Count: set}}
	}
	return r, nil
}

// field is what a customer says in a field that can be corrected.
func (o object) field(name string) string {
	switch name {
	case "name":
		return o.Name
	case "email":
		return o.Email
	case "phone":
		return o.Phone
	}
	return o.Address[strings.TrimPrefix(name, "address.")]
}

// addressParts are the fields of Stripe's postal address.
var addressParts = []string{"line1", "line2", "city", "state", "postal_code", "country"}

// correction is the form that makes a customer read as the changes say; empty
// when it does already. Fields are name, email, phone and address.<part>. An
// address is sent whole, so that no part is lost whether Stripe merges or
// replaces it.
func correction(o object, changes []dsr.Change) (url.Values, error) {
	form := url.Values{}
	address, moved := fields{}, false
	for _, part := range addressParts {
		address[part] = o.Address[part]
	}
	for _, change := range changes {
		part, ofAddress := strings.CutPrefix(change.Field, "address.")
		switch {
		case ofAddress && slices.Contains(addressParts, part):
			moved = moved || address[part] != change.New
			address[part] = change.New
		case !slices.Contains([]string{"name", "email", "phone"}, change.Field):
			return nil, &connector.Error{Kind: connector.Unsupported, Op: dsr.Rectify, Err: errors.New("correcting a customer: the request names a field other than name, email, phone and address.line1, line2, city, state, postal_code, country")}
		case o.field(change.Field) != change.New:
			form.Set(change.Field, change.New)
		}
	}
	if moved {
		for _, part := range addressParts {
			form.Set("address["+part+"]", address[part])
		}
	}
	return form, nil
}

// blank is the form that empties what a payment method says about its owner.
func blank() url.Values {
	return url.Values{
		"billing_details[name]": {""}, "billing_details[email]": {""}, "billing_details[phone]": {""},
		"billing_details[address]": {""}, "metadata": {""},
	}
}
