package stripefake

import (
	"maps"
	"net/http"
	"strings"
)

// live returns a customer that is not deleted, or answers the refusal.
func (f *Fake) live(c *call) Object {
	id := c.r.PathValue("id")
	o := f.find(Customer, id)
	if o == nil || o["deleted"] == true {
		c.missing(Customer, id, "id", http.StatusNotFound)
		return nil
	}
	return o
}

// updateCustomer sets the fields that were sent; an empty value unsets one. An
// address replaces the one before as a whole.
func (f *Fake) updateCustomer(c *call) {
	o := f.live(c)
	if o == nil {
		return
	}
	next := maps.Clone(o)
	address := Object{"line1": nil, "line2": nil, "city": nil, "state": nil, "postal_code": nil, "country": nil}
	addressed := false
	metadata := maps.Clone(o.inner("metadata"))
	for name := range c.params {
		value := c.params.Get(name)
		field, key, nested := strings.Cut(strings.TrimSuffix(name, "]"), "[")
		switch {
		case name == "email" && value != "" && (strings.Count(value, "@") != 1 || len(value) > 512):
			c.refuse(http.StatusBadRequest, "invalid_request_error", "email_invalid", "email", "Invalid email address: "+value)
			return
		case len(value) > 5000:
			c.refuse(http.StatusBadRequest, "invalid_request_error", "parameter_invalid_string_too_long", name, "Invalid string.")
			return
		case nested && field == "address":
			address[key], addressed = orNull(value), true
		case nested:
			metadata[key] = value
			if value == "" {
				delete(metadata, key)
			}
		case name == "address":
			if value != "" {
				c.refuse(http.StatusBadRequest, "invalid_request_error", "", "address", "Invalid object")
				return
			}
			next["address"] = nil
		default:
			next[name] = orNull(value)
		}
	}
	if addressed {
		next["address"] = address
	}
	next["metadata"] = metadata
	c.effect(func() { f.replace(Customer, next) })
	c.answer(next)
}

// deleteCustomer removes a customer for good: subscriptions end, payment
// methods go, charges and invoices stay. The id stays readable as deleted.
func (f *Fake) deleteCustomer(c *call) {
	o := f.live(c)
	if o == nil {
		return
	}
	gone := Object{"id": o.ID(), "object": Customer, "deleted": true}
	c.effect(func() {
		f.replace(Customer, gone)
		for _, s := range f.objects[Subscription] {
			if s["customer"] == o.ID() && s["status"] != "canceled" {
				f.replace(Subscription, canceled(s))
			}
		}
		for _, pm := range f.objects[PaymentMethod] {
			if pm["customer"] == o.ID() {
				f.replace(PaymentMethod, detached(pm))
			}
		}
	})
	c.answer(gone)
}

func (f *Fake) cancelSubscription(c *call) {
	id := c.r.PathValue("id")
	o := f.find(Subscription, id)
	if o == nil || o["status"] == "canceled" {
		c.missing(Subscription, id, "id", http.StatusNotFound)
		return
	}
	next := canceled(o)
	c.effect(func() { f.replace(Subscription, next) })
	c.answer(next)
}

// updateMethod empties fields of a payment method that is attached; the fake
// takes no other value.
func (f *Fake) updateMethod(c *call) {
	id := c.r.PathValue("id")
	o := f.find(PaymentMethod, id)
	if o == nil {
		c.missing(PaymentMethod, id, "id", http.StatusNotFound)
		return
	}
	if o["customer"] == nil {
		c.refuse(http.StatusBadRequest, "invalid_request_error", "", "", "You must save this PaymentMethod to a customer before you can update it.")
		return
	}
	next := maps.Clone(o)
	billing := maps.Clone(o.inner("billing_details"))
	for name := range c.params {
		if c.params.Get(name) != "" {
			c.refuse(http.StatusBadRequest, "invalid_request_error", "", name, "The fake only empties this field.")
			return
		}
		if _, key, nested := strings.Cut(strings.TrimSuffix(name, "]"), "["); nested {
			billing[key] = nil
		} else {
			next["metadata"] = Object{}
		}
	}
	next["billing_details"] = billing
	c.effect(func() { f.replace(PaymentMethod, next) })
	c.answer(next)
}

func (f *Fake) detach(c *call) {
	id := c.r.PathValue("id")
	o := f.find(PaymentMethod, id)
	if o == nil {
		c.missing(PaymentMethod, id, "id", http.StatusNotFound)
		return
	}
	if o["customer"] == nil {
		c.refuse(http.StatusBadRequest, "invalid_request_error", "", "", "The payment method you provided is not attached to a customer so detachment is impossible.")
		return
	}
	next := detached(o)
	c.effect(func() { f.replace(PaymentMethod, next) })
	c.answer(next)
}

func canceled(s Object) Object {
	next := maps.Clone(s)
	next["status"], next["canceled_at"], next["ended_at"] = "canceled", epoch, epoch
	return next
}

// detached is a payment method no customer has. What it says about its owner
// stays readable by its id.
func detached(pm Object) Object {
	next := maps.Clone(pm)
	next["customer"] = nil
	return next
}

// effect carries a write out, unless the request is to have none.
func (c *call) effect(write func()) {
	if !c.idle {
		write()
	}
}

// replace puts an object in the place of the one with its id.
func (f *Fake) replace(kind string, next Object) {
	for i, o := range f.objects[kind] {
		if o.ID() == next.ID() {
			f.objects[kind][i] = next
		}
	}
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
