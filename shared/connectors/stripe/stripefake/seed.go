package stripefake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// epoch is when all of the fake's objects were created: 2026-01-05T09:00:00Z.
const epoch = 1767603600

// Charges is how many charges Seed gives a person.
const Charges = 5

// Seed adds all that Stripe may hold about a person: a customer with one card,
// a subscription, an invoice and five charges, a checkout as that customer and
// one as a guest. It returns the customer's id.
func (f *Fake) Seed(p dsrtest.Person) string {
	customer := f.AddCustomer(p)
	f.Add(PaymentMethod, Object{"customer": customer, "billing_details": contact(p.Name, p.Email, p.Phone, p.City)})
	f.Add(Subscription, Object{"customer": customer})
	f.Add(Invoice, Object{
		"customer": customer, "customer_name": p.Name, "customer_email": p.Email, "customer_phone": p.Phone,
		"customer_address": address(p.City),
	})
	for n := range Charges {
		f.Add(Charge, Object{
			"customer": customer, "amount": 1900 + n, "receipt_email": p.Email,
			"billing_details": contact(p.Name, p.Email, p.Phone, p.City),
		})
	}
	f.Add(CheckoutSession, Object{"customer": customer, "customer_details": details(p)})
	f.AddGuest(p)
	return customer
}

// AddCustomer adds a customer and nothing else.
func (f *Fake) AddCustomer(p dsrtest.Person) string {
	return f.Add(Customer, Object{"name": p.Name, "email": p.Email, "phone": p.Phone, "address": address(p.City)})
}

// AddGuest adds a checkout without a customer, with its charge.
func (f *Fake) AddGuest(p dsrtest.Person) string {
	f.mu.Lock()
	intent := f.id("pi_")
	f.mu.Unlock()
	f.Add(Charge, Object{"payment_intent": intent, "receipt_email": p.Email, "billing_details": contact(p.Name, p.Email, p.Phone, p.City)})
	return f.Add(CheckoutSession, Object{"payment_intent": intent, "customer_details": details(p)})
}

// Add adds an object of a kind: its required fields, with set above them. It
// returns the id.
func (f *Fake) Add(kind string, set Object) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.blank(kind)
	maps.Copy(o, set)
	if kind == Subscription {
		for _, item := range o.inner("items")["data"].([]Object) {
			item["subscription"] = o.ID()
		}
	}
	f.objects[kind] = append(f.objects[kind], o)
	return o.ID()
}

// Edit changes fields of an object; it reports whether the object exists.
func (f *Fake) Edit(kind, id string, set Object) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.find(kind, id)
	if o == nil {
		return false
	}
	next := maps.Clone(o)
	maps.Copy(next, set)
	f.replace(kind, next)
	return true
}

// Objects returns copies of all objects of a kind, oldest first.
func (f *Fake) Objects(kind string) []Object {
	f.mu.Lock()
	defer f.mu.Unlock()
	raw, err := json.Marshal(append([]Object{}, f.objects[kind]...))
	if err != nil {
		panic(fmt.Sprintf("stripefake: copying objects: %v", err)) // a bug of the fake
	}
	var out []Object
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&out); err != nil {
		panic(fmt.Sprintf("stripefake: copying objects: %v", err))
	}
	return out
}

// Count returns how many objects of a kind are there; deleted customers and
// detached payment methods do not count.
func (f *Fake) Count(kind string) int {
	n := 0
	for _, o := range f.Objects(kind) {
		if o["deleted"] != true && (kind != PaymentMethod || o["customer"] != nil) {
			n++
		}
	}
	return n
}

// Snapshot is everything the fake holds as bytes: the same state, the same
// bytes.
func (f *Fake) Snapshot() []byte {
	state := map[string][]Object{}
	for _, kind := range Kinds() {
		state[kind] = f.Objects(kind)
	}
	raw, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("stripefake: writing the snapshot: %v", err))
	}
	return raw
}

// id returns the next id: the same calls, the same ids.
func (f *Fake) id(prefix string) string {
	f.counter++
	return fmt.Sprintf("%sFake%010d", prefix, f.counter)
}

// blank is an object of a kind with the fields API version 2023-08-16 requires
// and those the connector reads.
func (f *Fake) blank(kind string) Object {
	o := Object{"object": kind, "created": epoch, "livemode": false, "metadata": Object{}}
	set := func(id string, fields Object) Object {
		o["id"] = f.id(id)
		maps.Copy(o, fields)
		return o
	}
	emptyList := func(url string) Object {
		return Object{"object": "list", "data": []Object{}, "has_more": false, "url": url}
	}
	switch kind {
	case Customer:
		return set("cus_", Object{
			"name": nil, "email": nil, "phone": nil, "address": nil, "shipping": nil, "description": nil, "balance": 0,
			"currency": "usd", "delinquent": false, "preferred_locales": []string{"en"}, "tax_exempt": "none",
		})
	case PaymentMethod:
		return set("pm_", Object{"type": "card", "customer": nil, "billing_details": contact("", "", "", ""), "card": card()})
	case Subscription:
		price := Object{
			"id": "price_Fake", "object": "price", "active": true, "billing_scheme": "per_unit", "created": epoch, "currency": "usd",
			"livemode": false, "metadata": Object{}, "product": "prod_Fake", "type": "recurring", "unit_amount": 1900,
		}
		return set("sub_", Object{
			"status": "active", "currency": "usd", "billing_cycle_anchor": epoch, "start_date": epoch, "current_period_start": epoch,
			"current_period_end": epoch + 30*86400, "cancel_at_period_end": false, "canceled_at": nil, "ended_at": nil,
			"collection_method": "charge_automatically", "automatic_tax": Object{"enabled": false}, "description": nil,
			"items": Object{"object": "list", "has_more": false, "url": "/v1/subscription_items", "data": []Object{
				{"id": "si_Fake", "object": "subscription_item", "created": epoch, "metadata": Object{}, "price": price, "quantity": 1},
			}},
		})
	case Invoice:
		return set("in_", Object{
			"amount_due": 1900, "amount_paid": 1900, "amount_remaining": 0, "amount_shipping": 0, "attempt_count": 1, "attempted": true,
			"automatic_tax": Object{"enabled": false, "status": nil}, "collection_method": "charge_automatically", "currency": "usd",
			"default_tax_rates": []Object{}, "lines": emptyList("/v1/invoices/lines"), "paid": true, "paid_out_of_band": false,
			"payment_settings": Object{}, "period_end": epoch, "period_start": epoch, "post_payment_credit_notes_amount": 0,
			"pre_payment_credit_notes_amount": 0, "starting_balance": 0, "status": "paid", "number": "FAKE-0001",
			"status_transitions": Object{"finalized_at": epoch, "paid_at": epoch}, "subtotal": 1900, "total": 1900, "total_tax_amounts": []Object{},
		})
	case Charge:
		return set("ch_", Object{
			"amount": 1900, "amount_captured": 1900, "amount_refunded": 0, "billing_details": contact("", "", "", ""), "captured": true,
			"currency": "usd", "disputed": false, "paid": true, "refunded": false, "status": "succeeded", "description": nil,
			"payment_intent": nil, "payment_method_details": Object{"type": "card", "card": card()}, "customer": nil,
		})
	case CheckoutSession:
		return set("cs_", Object{
			"automatic_tax": Object{"enabled": false, "status": nil}, "custom_fields": []Object{}, "custom_text": Object{}, "customer": nil,
			"expires_at": epoch + 86400, "mode": "payment", "payment_method_types": []string{"card"}, "payment_status": "paid",
			"shipping_options": []Object{}, "status": "complete", "amount_total": 1900, "currency": "usd", "payment_intent": nil,
		})
	}
	panic("stripefake: no object is called " + kind)
}

func card() Object {
	return Object{"brand": "visa", "country": "US", "exp_month": 8, "exp_year": 2031, "funding": "credit", "last4": "4242", "fingerprint": "FakePrint0001"}
}

func address(city string) Object {
	return Object{"line1": "1 Example Street", "line2": nil, "city": orNull(city), "state": nil, "postal_code": "00001", "country": "US"}
}

func contact(name, email, phone, city string) Object {
	c := Object{"name": orNull(name), "email": orNull(email), "phone": orNull(phone), "address": nil}
	if city != "" {
		c["address"] = address(city)
	}
	return c
}

func details(p dsrtest.Person) Object {
	d := contact(p.Name, p.Email, p.Phone, p.City)
	d["tax_exempt"], d["tax_ids"] = "none", []Object{}
	return d
}
