package stripe

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/rest"
	"github.com/writ-dsr/writ/shared/dsr"
)

// forms are the spellings of the person's addresses to ask Stripe for, whose
// filters are case-sensitive: as proved, with the domain in its normal form,
// and all in lower case.
func forms(t connector.Task) []string {
	var all []string
	for _, email := range t.Emails() {
		spellings := []string{email}
		if a, err := dsr.ParseAddress(email); err == nil {
			spellings = append(spellings, a.String(), strings.ToLower(a.String()))
		}
		for _, s := range spellings {
			if !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// match is the best comparison of an address with the person's.
func match(t connector.Task, email string) dsr.AddressMatch {
	best := dsr.Different
	for _, own := range t.Emails() {
		best = max(best, dsr.CompareAddress(email, own))
	}
	return best
}

// owned reports whether a customer is the person's: by an id that may locate,
// else by its address as stored, whatever a search returned.
func owned(o object, t connector.Task) bool {
	return slices.Contains(t.Values(customerID), o.ID) || match(t, o.Email) == dsr.Same
}

// ours reads a customer of the footprint again, right before it is used. One
// that is gone is deleted; one that is no longer the person's is an error.
func ours(ctx context.Context, c client, t connector.Task, id string) (object, error) {
	o, err := c.customer(ctx, id)
	switch {
	case errors.Is(err, connector.NotFound):
		return object{ID: id, Deleted: true}, nil // it was located earlier
	case err != nil:
		return object{}, err
	case !o.Deleted && !owned(o, t):
		return object{}, &connector.Error{Kind: connector.Invalid, Op: c.op, Err: errors.New("reading a customer: since it was located its address was changed to another one")}
	}
	return o, nil
}

// findings are what a find step has seen so far, by id.
type findings struct {
	customers, guests, intents set // the person's
	candidates                 set // a person must look
}

// find is the find step: customers and guest checkouts of the person, and how
// many records a person must look at because their address differs in case
// alone or they hang on another account.
func (d driver) find(ctx context.Context, c client, t connector.Task) (connector.Footprint, error) {
	s := findings{set{}, set{}, set{}, set{}}
	if err := d.findCustomers(ctx, c, t, s); err != nil {
		return connector.Footprint{}, err
	}
	if err := findCheckouts(ctx, c, t, s); err != nil {
		return connector.Footprint{}, err
	}
	return connector.Footprint{
		Records:    slices.Concat(s.customers.records(customerRecord), s.guests.records(guestRecord), s.intents.records(intentRecord)),
		Candidates: len(s.candidates),
	}, nil
}

// findCustomers asks the list, which is current and knows case, then reads each
// further id that the index or a system of record names.
func (d driver) findCustomers(ctx context.Context, c client, t connector.Task, s findings) error {
	sort := func(o object) {
		switch {
		case o.Deleted:
		case owned(o, t):
			s.customers[o.ID] = true
		case match(t, o.Email) == dsr.CaseOnly:
			s.candidates[o.ID] = true
		}
	}
	for _, form := range forms(t) {
		hits, err := c.all(ctx, customersNamed(form))
		if err != nil {
			return err
		}
		for _, o := range hits {
			sort(o)
		}
	}
	more, err := d.indexed(ctx, c, t)
	if err != nil {
		return err
	}
	for _, id := range append(more, t.Values(customerID)...) {
		if s.customers[id] || s.candidates[id] {
			continue
		}
		o, err := c.customer(ctx, id)
		if errors.Is(err, connector.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		sort(o)
	}
	return nil
}

// findCheckouts asks for checkouts under the person's addresses. Those of their
// customers are listed with them; those of a deleted customer are the person's
// as a guest's are; on a living account of another address somebody must look.
func findCheckouts(ctx context.Context, c client, t connector.Task, s findings) error {
	deleted := map[string]bool{} // of the customers read for this
	for _, form := range forms(t) {
		sessions, err := c.all(ctx, sessionsNamed(form))
		if err != nil {
			return err
		}
		for _, o := range sessions {
			if s.customers[o.Customer] {
				continue
			}
			if _, known := deleted[o.Customer]; o.Customer != "" && !known {
				if deleted[o.Customer], err = gone(ctx, c, o.Customer); err != nil {
					return err
				}
			}
			if match(t, o.CustomerDetails.Email) != dsr.Same || o.Customer != "" && !deleted[o.Customer] {
				s.candidates[o.ID] = true
				continue
			}
			s.guests[o.ID] = true
			if o.PaymentIntent != "" {
				s.intents[o.PaymentIntent] = true
			}
		}
	}
	return nil
}

// gone reports whether a customer is deleted or was never there.
func gone(ctx context.Context, c client, id string) (bool, error) {
	o, err := c.customer(ctx, id)
	if errors.Is(err, connector.NotFound) {
		return true, nil
	}
	return o.Deleted, err
}

// indexed asks Stripe's search for ids, which ignores case where the list does
// not. Its index lags behind, so it only ever adds ids to look at.
func (d driver) indexed(ctx context.Context, c client, t connector.Task) ([]string, error) {
	var all []string
	for _, email := range t.Emails() {
		a, err := dsr.ParseAddress(email) // leaves no quote or backslash to escape
		if err != nil || !d.search {
			continue
		}
		ids, err := c.search(ctx, a.String())
		if err != nil {
			return nil, err
		}
		all = append(all, ids...)
	}
	return all, nil
}

type set map[string]bool

// records are the members in a fixed order.
func (s set) records(kind string) []connector.Record {
	var all []connector.Record
	for _, id := range slices.Sorted(maps.Keys(s)) {
		all = append(all, connector.Record{Kind: kind, ID: id})
	}
	return all
}

// queries are the lists below the records of a footprint that the task is for,
// in a fixed order.
func queries(t connector.Task, records []connector.Record, deleted set) []query {
	f := connector.Footprint{Records: records}
	customers, guests := f.IDs(customerRecord), f.IDs(guestRecord)
	alone := func(o object) bool { return !slices.Contains(customers, o.Customer) } // else it is in the customer's lists
	var all []query
	for _, id := range customers {
		for _, of := range []func(string) query{methodsOf, subscriptionsOf, invoicesOf, chargesOf, sessionsOf} {
			q := of(id)
			q.deleted = deleted[id]
			all = append(all, q)
		}
	}
	if len(guests) > 0 {
		spellings := forms(t)
		for i, form := range spellings {
			q := sessionsNamed(form)
			q.only = func(s object) bool {
				// Should the filter ignore case, each session comes with every
				// spelling; it is taken with its own.
				own := max(slices.Index(spellings, s.CustomerDetails.Email), 0)
				return i == own && alone(s) && slices.Contains(guests, s.ID)
			}
			all = append(all, q)
		}
	}
	for _, id := range f.IDs(intentRecord) {
		q := chargesFor(id)
		q.only = alone
		all = append(all, q)
	}
	return slices.DeleteFunc(all, func(q query) bool { return !t.Wants(q.category) })
}

// count reads all lists below the records: objects per data category, and how
// many of the subscriptions still run.
func count(ctx context.Context, c client, t connector.Task, records []connector.Record, deleted set) (counts map[string]int, running int, err error) {
	counts = map[string]int{}
	for _, q := range queries(t, records, deleted) {
		objects, err := c.all(ctx, q)
		if err != nil {
			return nil, 0, err
		}
		for _, o := range objects {
			counts[q.category]++
			if q.category == subscription && !ended(o) {
				running++
			}
		}
	}
	return counts, running, nil
}

// ended reports whether a subscription will never bill again.
func ended(s object) bool { return s.Status == "canceled" || s.Status == "incomplete_expired" }

// single is a list of the one customer itself, empty when it is deleted.
func single(o object, each func(object) error) rest.List {
	return rest.List{
		Fetch: func(context.Context, string) (rest.Page, error) {
			if o.Deleted {
				return rest.Page{}, nil
			}
			return rest.Page{Rows: []json.RawMessage{o.Raw}}, nil
		},
		Each: func(context.Context, json.RawMessage) error { return each(o) },
	}
}
