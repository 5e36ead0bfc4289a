// Package stripe carries out data rights on a Stripe account: customers found
// by address or id, what they paid and with what, and checkouts made as a
// guest. Payments and invoices stay with Stripe and are reported as kept.
package stripe

import (
	"context"
	_ "embed" // connector.toml
	"errors"
	"fmt"
	"slices"
	"time"

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
	now    func() time.Time
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
	return driver{rest: r, now: cfg.Now, search: search == ""}, nil
}

func (d driver) client(op dsr.Op) client {
	return client{rest: d.rest, now: d.now, op: op, refs: new([]string)}
}

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
		w.Tally[withheldOf(category)] += withheld
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
		if t.Wants(profile) {
			lists = append(lists, single(o, func(o object) error { return write(profile, o) }))
		}
	}
	for _, q := range queries(t, t.Footprint.Records, deleted) {
		lists = append(lists, c.list(q, func(_ context.Context, o object) error { return write(q.category, o) }))
	}
	if err := w.Run(ctx, t, lists); err != nil {
		return connector.Receipt{}, err
	}
	return connector.Receipt{Outcomes: exported(w.Tally)}, nil
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
	e := connector.Evidence{Remaining: map[string]int{}, Unchanged: map[string]int{}}
	for _, id := range (connector.Footprint{Records: records}).IDs(customerRecord) {
		o, err := c.customer(ctx, id)
		if err != nil && !errors.Is(err, connector.NotFound) {
			return connector.Evidence{}, err
		}
		deleted[id] = err != nil || o.Deleted
		if deleted[id] {
			continue
		}
		if t.Wants(profile) {
			e.Remaining[profile]++
		}
		form, err := correction(o, t.Changes)
		if err != nil {
			return connector.Evidence{}, err
		}
		if len(form) > 0 {
			e.Unchanged[profile]++
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
	e.Kept, e.Refs = counts, *c.refs
	return e, nil
}
