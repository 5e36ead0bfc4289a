package stripe_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/connectortest"
	"github.com/writ-dsr/writ/shared/connectors/stripe"
	"github.com/writ-dsr/writ/shared/connectors/stripe/stripefake"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

func TestConformance(t *testing.T) {
	descriptor, err := stripe.Descriptor()
	if err != nil {
		t.Fatal(err)
	}
	spec := specOf(t)
	connectortest.Run(t, connectortest.Suite{
		Descriptor: descriptor,
		Transport:  connectortest.HTTP,
		Secrets:    map[string]string{"api_key": stripefake.Key},
		Store:      func(t testing.TB) connectortest.Store { return newStore(t, spec) },
		New: func(t testing.TB, env connectortest.Env) connector.Connector {
			c, err := stripe.New(env.Config)
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
		Rectify:   &connectortest.Rectification{Change: dsr.Change{Field: "name", New: "Ada Corrected"}, Touches: []string{"name"}},
		ErrorBody: `{"error":{"type":"api_error","message":"An unknown error occurred."}}`,
		InURL: map[string]string{
			"email":                   "the customer list takes its filter in the query only",
			"customer_details[email]": "the list of checkout sessions takes its filter in the query only",
			"query":                   "search is a GET",
		},
		Lacks: map[connectortest.Trait]string{
			connectortest.Trait(connectortest.SoftDelete): "Stripe has no trash: a deleted customer is an id and nothing else",
		},
	})
}

// store is the fake as the conformance kit drives it. Every exchange goes
// through Stripe's own OpenAPI on its way.
type store struct {
	*stripefake.Fake
	http.Handler
	customers map[string]string // id of customer or guest's payment → whose it is
	byEmail   map[string]string // person → customer
}

func newStore(t testing.TB, s *spec) *store {
	fake := stripefake.New()
	fake.CapPages(2) // five charges fill three pages
	return &store{Fake: fake, Handler: s.handler(t, fake), customers: map[string]string{}, byEmail: map[string]string{}}
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.Handler.ServeHTTP(w, r) }

func (s *store) Seed(p dsrtest.Person) error {
	id := s.Fake.Seed(p)
	s.customers[id], s.byEmail[p.Email] = p.Email, id
	for _, session := range s.Objects(stripefake.CheckoutSession) {
		if intent, ok := session["payment_intent"].(string); ok && s.customers[intent] == "" {
			s.customers[intent] = p.Email
		}
	}
	return nil
}

func (s *store) Annotate(p dsrtest.Person, field, value string) error {
	for _, c := range s.Objects(stripefake.Customer) {
		if c.ID() != s.byEmail[p.Email] {
			continue
		}
		metadata := c["metadata"].(map[string]any)
		metadata[field] = value
		s.Edit(stripefake.Customer, c.ID(), stripefake.Object{"metadata": metadata})
		return nil
	}
	return fmt.Errorf("annotating a person who is not seeded")
}

func (s *store) Inject(f connectortest.Fault) error {
	switch f {
	case connectortest.NoFault:
		s.Heal()
	case connectortest.IgnoreWrites:
		s.Fake.Inject(stripefake.Fault{Mode: stripefake.Ignore})
	default:
		return connectortest.ErrCannot
	}
	return nil
}

var categories = map[string]string{
	stripefake.Customer: "payment_profile", stripefake.PaymentMethod: "payment_method", stripefake.Subscription: "subscription",
	stripefake.Invoice: "invoice", stripefake.Charge: "charge", stripefake.CheckoutSession: "checkout_session",
}

// Records lists all objects. A deleted customer and a detached payment method
// that names nobody are no longer anybody's.
func (s *store) Records() ([]connectortest.Record, error) {
	var all []connectortest.Record
	for _, kind := range stripefake.Kinds() {
		for _, o := range s.Objects(kind) {
			r := connectortest.Record{Category: categories[kind], ID: o.ID(), Fields: map[string]string{}}
			flatten("", map[string]any(o), r.Fields)
			for _, key := range []string{o.ID(), r.Fields["customer"], r.Fields["payment_intent"]} {
				if r.Owner == "" {
					r.Owner = s.customers[key]
				}
			}
			if kind == stripefake.PaymentMethod && r.Owner == "" && r.Fields["billing_details.email"] != "" {
				r.Owner, r.Hidden = r.Fields["billing_details.email"], true
			}
			if o["deleted"] == true {
				r.Owner = ""
			}
			all = append(all, r)
		}
	}
	return all, nil
}

func flatten(prefix string, v any, into map[string]string) {
	switch v := v.(type) {
	case nil:
	case map[string]any:
		for key, inner := range v {
			flatten(strings.TrimPrefix(prefix+"."+key, "."), inner, into)
		}
	case []any:
		for i, inner := range v {
			flatten(fmt.Sprintf("%s.%d", prefix, i), inner, into)
		}
	case json.Number:
		into[prefix] = v.String()
	default:
		into[prefix] = fmt.Sprint(v)
	}
}
