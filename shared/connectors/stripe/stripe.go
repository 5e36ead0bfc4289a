// Package stripe carries out data rights on a Stripe account: customers found
// by address or id, what they paid and with what, and checkouts made as a
// guest. Payments and invoices stay with Stripe and are reported as kept.
package stripe

import (
	"context"
	_ "embed" // connector.toml
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/rest"
	"github.com/writ-dsr/writ/shared/dsr"
)

//go:embed connector.toml
var descriptor []byte

// Descriptor returns the connector's own description.
func Descriptor() (connector.Descriptor, error) { return connector.ParseDescriptor(descriptor) }

// The data categories.
const (
	profile         = "payment_profile"
	paymentMethod   = "payment_method"
	subscription    = "subscription"
	invoice         = "invoice"
	charge          = "charge"
	checkoutSession = "checkout_session"
)

// keptBy names the rule under which a category stays after an erasure.
var keptBy = map[string]string{
	subscription: "subscription_record", invoice: "invoice_record", charge: "charge_record", checkoutSession: "checkout_record",
}

// customerID is the kind of identifier a system of record may hold for Stripe.
const customerID dsr.Kind = "stripe_customer"

// The kinds of records in a footprint.
const (
	customerRecord = "customer"
	guestRecord    = "guest_session"
	intentRecord   = "guest_payment_intent"
)

type driver struct {
	connector.Base
	rest   *rest.Client
	search bool
}

// New binds the driver to one system. It calls nobody.
func New(cfg connector.Config) (connector.Connector, error) {
	d, err := Descriptor()
	if err != nil {
		return nil, err
	}
	if err := cfg.CheckSettings(d); err != nil {
		return nil, err
	}
	search := cfg.Settings["search"]
	if search != "" && search != "off" {
		return nil, &connector.Error{Kind: connector.Invalid, Err: fmt.Errorf("reading the settings of system %q: search may only be off", cfg.System)}
	}
	key, err := cfg.Secret("api_key")
	if err != nil {
		return nil, err
	}
	r, err := rest.New(cfg, d, rest.Options{
		BaseURL: "https://api.stripe.com", Auth: rest.Bearer(key), Refine: refine,
		Header: map[string]string{"Stripe-Version": apiVersion}, RequestIDHeader: "Request-Id",
	})
	if err != nil {
		return nil, err
	}
	return driver{rest: r, search: search == ""}, nil
}

func (d driver) client(op dsr.Op) client { return client{rest: d.rest, op: op, refs: new([]string)} }

// Locate finds the customers that have the person's address or id, and the
// checkouts the person made as a guest, and counts what hangs on them.
func (d driver) Locate(ctx context.Context, t connector.Task) (connector.Footprint, error) {
	c := d.client(dsr.Locate)
	found, err := d.find(ctx, c, t)
	if err != nil {
		return connector.Footprint{}, err
	}
	counts, _, err := count(ctx, c, t, found.Records, nil)
	if err != nil {
		return connector.Footprint{}, err
	}
	if n := len(found.IDs(customerRecord)); n > 0 {
		counts[profile] = n
	}
	if len(counts) > 0 {
		found.Counts = counts
	}
	return found, nil
}

// Export writes every object of the person, customer by customer, then what
// they did as a guest.
func (d driver) Export(ctx context.Context, t connector.Task, to connector.Sink) (connector.Receipt, error) {
	c := d.client(dsr.Export)
	w, err := rest.NewWalk(t.Cursor)
	if err != nil {
		return connector.Receipt{}, err
	}
	who := person{emails: t.Emails()}
	write := func(category string, o object) error {
		row, withheld, err := who.row(category, o.Raw)
		if err != nil {
			return c.nonsense("an object has fields of another form")
		}
		if err := to.Row(ctx, category, o.Object, row); err != nil {
			return err
		}
		w.Tally[category]++
		for reason, n := range withheld {
			w.Tally[category+" "+reason] += n
		}
		return nil
	}
	deleted := map[string]bool{}
	var lists []rest.List
	for _, id := range t.Footprint.IDs(customerRecord) {
		o, err := ours(ctx, c, t, id)
		if err != nil {
			return connector.Receipt{}, err
		}
		deleted[id] = o.Deleted
		who.emails, who.names = append(who.emails, o.Email), append(who.names, o.Name)
		lists = append(lists, single(o, func(o object) error { return write(profile, o) }))
	}
	for _, q := range queries(t, t.Footprint.Records, deleted) {
		lists = append(lists, c.list(q, func(_ context.Context, o object) error { return write(q.category, o) }))
	}
	if err := w.Run(ctx, t, lists); err != nil {
		return connector.Receipt{}, err
	}
	return connector.Receipt{Outcomes: exported(w.Tally)}, nil
}

// Erase ends the subscriptions, blanks and detaches the payment methods and
// deletes each customer. What Stripe does not let go of is counted as kept.
func (d driver) Erase(ctx context.Context, t connector.Task) (connector.Receipt, error) {
	c := d.client(dsr.Erase)
	detached, deleted := 0, map[string]bool{}
	for _, id := range t.Footprint.IDs(customerRecord) {
		o, err := ours(ctx, c, t, id)
		if err != nil {
			return connector.Receipt{}, err
		}
		if deleted[id] = true; o.Deleted {
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
		if o.Count > 0 {
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
	subscriptions, err := c.all(ctx, subscriptionsOf(id))
	if err != nil {
		return 0, err
	}
	for _, s := range subscriptions {
		if ended(s) {
			continue
		}
		if _, err := c.remove(ctx, "cancelling a subscription", "subscription", "v1", "subscriptions", s.ID); err != nil {
			return 0, err
		}
	}
	methods, err := c.all(ctx, methodsOf(id))
	if err != nil {
		return 0, err
	}
	for _, m := range methods {
		if _, err := c.post(ctx, t.Key, "blanking a payment method", "payment_method", blank(), "v1", "payment_methods", m.ID); err != nil {
			return 0, err
		}
		if _, err := c.post(ctx, t.Key, "detaching a payment method", "payment_method", url.Values{}, "v1", "payment_methods", m.ID, "detach"); err != nil {
			return 0, err
		}
	}
	gone, err := c.remove(ctx, "deleting a customer", "customer", "v1", "customers", id)
	if err != nil {
		return 0, err
	}
	if !gone.Deleted {
		return 0, c.nonsense("a deleted customer is not called deleted")
	}
	return len(methods), nil
}

// Rectify sets the named fields on each of the person's customers and looks
// whether they took.
func (d driver) Rectify(ctx context.Context, t connector.Task, changes []dsr.Change) (connector.Receipt, error) {
	c := d.client(dsr.Rectify)
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
			return connector.Receipt{}, &connector.Error{Kind: connector.Invalid, Op: dsr.Rectify, Err: err}
		}
		set++
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
	if set == 0 {
		return connector.Receipt{}, nil
	}
	return connector.Receipt{Outcomes: []dsr.Outcome{{Category: profile, Kind: dsr.Rectified, Count: set}}, Refs: *c.refs}, nil
}

// ReadBack repeats the find step, and looks at each customer the footprint
// names whatever its address is now.
func (d driver) ReadBack(ctx context.Context, t connector.Task, _ connector.Receipt) (connector.Evidence, error) {
	c := d.client(dsr.ReadBack)
	found, err := d.find(ctx, c, t)
	if err != nil {
		return connector.Evidence{}, err
	}
	records, deleted := slices.Clone(t.Footprint.Records), map[string]bool{}
	for _, r := range found.Records {
		if !slices.Contains(records, r) {
			records = append(records, r)
		}
	}
	e := connector.Evidence{Remaining: map[string]int{}}
	for _, id := range (connector.Footprint{Records: records}).IDs(customerRecord) {
		o, err := c.customer(ctx, id)
		if err != nil && !errors.Is(err, connector.NotFound) {
			return connector.Evidence{}, err
		}
		if deleted[id] = err != nil || o.Deleted; !deleted[id] {
			e.Remaining[profile]++
		}
	}
	counts, running, err := count(ctx, c, t, records, deleted)
	if err != nil {
		return connector.Evidence{}, err
	}
	if n := counts[paymentMethod]; n > 0 {
		e.Remaining[paymentMethod] = n
	}
	if running > 0 {
		e.Remaining[subscription] = running
	}
	counts[subscription] -= running
	delete(counts, paymentMethod)
	e.Kept = counts
	return e, nil
}
