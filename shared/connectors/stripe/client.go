package stripe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/rest"
	"github.com/writ-dsr/writ/shared/dsr"
)

// apiVersion pins the shapes this driver knows; without it the account's
// default would decide.
const apiVersion = "2023-08-16"

// pageSize is the most objects Stripe puts on a page.
const pageSize = "100"

// client speaks the part of Stripe's API the driver needs, for one op.
type client struct {
	rest *rest.Client
	now  func() time.Time
	op   dsr.Op
	refs *[]string // Stripe's request ids as evidence: of each write, and of each read that proves an erasure
}

// object is what the driver reads of any of Stripe's objects. Raw is the whole.
type object struct {
	ID              string `json:"id"`
	Object          string `json:"object"`
	Deleted         bool   `json:"deleted"`
	Name            string `json:"name"`
	Email           string `json:"email"`
	Phone           string `json:"phone"`
	Address         fields `json:"address"`
	Customer        string `json:"customer"`
	PaymentIntent   string `json:"payment_intent"`
	Status          string `json:"status"`
	CustomerDetails struct {
		Email string `json:"email"`
	} `json:"customer_details"`
	Raw json.RawMessage `json:"-"`
}

// fields are the parts of a postal address; an absent one is "".
type fields map[string]string

// parse reads one object and refuses any that is not of the kind asked for.
func (c client) parse(kind string, raw json.RawMessage) (object, error) {
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return object{}, c.nonsense("an object has fields of another form")
	}
	if o.Object != kind || o.ID == "" {
		return object{}, c.nonsense("an object is not of the kind asked for")
	}
	o.Raw = raw
	return o, nil
}

// nonsense is the error for an answer that is well-formed and wrong.
func (c client) nonsense(why string) *connector.Error {
	return &connector.Error{Kind: connector.Invalid, Op: c.op, Err: errors.New("reading Stripe's answer: " + why)}
}

// one sends a call and reads the object it answers.
func (c client) one(ctx context.Context, call rest.Call, kind string) (object, error) {
	call.Op = c.op
	var raw json.RawMessage
	answer, err := c.rest.JSON(ctx, call, &raw)
	if err != nil {
		return object{}, err
	}
	write := call.Method != ""
	if answer.RequestID != "" && (write || c.op == dsr.ReadBack) {
		*c.refs = append(*c.refs, answer.RequestID)
	}
	o, err := c.parse(kind, raw)
	var e *connector.Error
	if write && errors.As(err, &e) {
		e.Sent = true // it was answered by something else: whether it was done is unknown
	}
	return o, err
}

// customer returns a customer, deleted ones too.
func (c client) customer(ctx context.Context, id string) (object, error) {
	return c.one(ctx, rest.Call{Does: "reading a customer", Path: []string{"v1", "customers", id}}, "customer")
}

// remove deletes the object at a path; one that is gone already is no error.
func (c client) remove(ctx context.Context, does, kind string, path ...string) (object, error) {
	o, err := c.one(ctx, rest.Call{Does: does, Method: http.MethodDelete, Path: path}, kind)
	if errors.Is(err, connector.NotFound) {
		return object{Deleted: true}, nil
	}
	return o, err
}

// post changes the object at a path. The idempotency key is made of the task's
// key, the path and the form: the same change is made once, another one is not
// mistaken for it. The hour is in it because Stripe keeps a key's first answer
// for a day, failures too: without it a 500 would come back all day. What holds
// over the hour is that the driver looks at the object before it changes it.
func (c client) post(ctx context.Context, key, does, kind string, form url.Values, path ...string) (object, error) {
	hour := c.now().UTC().Format("2006-01-02T15")
	sum := sha256.Sum256([]byte(strings.Join([]string{key, hour, strings.Join(path, "/"), form.Encode()}, "\n")))
	return c.one(ctx, rest.Call{
		Does: does, Method: http.MethodPost, Path: path, Form: form,
		Header: map[string]string{"Idempotency-Key": "writ-" + hex.EncodeToString(sum[:])},
	}, kind)
}

// query is one of Stripe's lists with its filter.
type query struct {
	does, kind string
	category   string // data category of its objects
	path       []string
	filter     url.Values
	fits       func(object) bool // what was asked for: a filter that the vendor ignored must not bring strangers in
	only       func(object) bool // what of it to take; nil takes all
	deleted    bool              // of a deleted customer, for which Stripe may refuse the list as missing
}

// by lists the objects of a customer.
func by(customer, does, kind, category string, filter url.Values, path ...string) query {
	filter.Set("customer", customer)
	return query{
		does: does, kind: kind, category: category, path: append([]string{"v1"}, path...), filter: filter,
		fits: func(o object) bool { return o.Customer == customer },
	}
}

func methodsOf(customer string) query {
	return by(customer, "listing payment methods", "payment_method", paymentMethod, url.Values{}, "payment_methods")
}

func subscriptionsOf(customer string) query {
	return by(customer, "listing subscriptions", "subscription", subscription, url.Values{"status": {"all"}}, "subscriptions")
}

func invoicesOf(customer string) query {
	return by(customer, "listing invoices", "invoice", invoice, url.Values{}, "invoices")
}

func chargesOf(customer string) query {
	return by(customer, "listing charges", "charge", charge, url.Values{}, "charges")
}

func sessionsOf(customer string) query {
	return by(customer, "listing checkout sessions", "checkout.session", checkoutSession, url.Values{}, "checkout", "sessions")
}

// chargesFor lists the charges of a payment intent, as a guest's have no
// customer.
func chargesFor(intent string) query {
	return query{
		does: "listing a guest's charges", kind: "charge", category: charge, path: []string{"v1", "charges"},
		filter: url.Values{"payment_intent": {intent}},
		fits:   func(o object) bool { return o.PaymentIntent == intent },
	}
}

// customersNamed and sessionsNamed list by address. The rows may differ from it
// in case; the driver compares each one.
func customersNamed(email string) query {
	return query{
		does: "listing customers", kind: "customer", category: profile, path: []string{"v1", "customers"},
		filter: url.Values{"email": {email}},
		fits:   func(o object) bool { return dsr.CompareAddress(o.Email, email) != dsr.Different },
	}
}

func sessionsNamed(email string) query {
	return query{
		does: "listing checkout sessions by address", kind: "checkout.session", category: checkoutSession,
		path: []string{"v1", "checkout", "sessions"}, filter: url.Values{"customer_details[email]": {email}},
		fits: func(o object) bool { return dsr.CompareAddress(o.CustomerDetails.Email, email) != dsr.Different },
	}
}

// list makes a query a list to walk; each takes its objects.
func (c client) list(q query, each func(context.Context, object) error) rest.List {
	return rest.List{
		Fetch: func(ctx context.Context, after string) (rest.Page, error) {
			params := url.Values{"limit": {pageSize}}
			for name, values := range q.filter {
				params[name] = values
			}
			if after != "" {
				params.Set("starting_after", after)
			}
			var page struct {
				Object  string            `json:"object"`
				Data    []json.RawMessage `json:"data"`
				HasMore *bool             `json:"has_more"`
			}
			_, err := c.rest.JSON(ctx, rest.Call{Op: c.op, Does: q.does, Path: q.path, Query: params}, &page)
			if q.deleted && errors.Is(err, connector.NotFound) {
				return rest.Page{}, nil
			}
			if err != nil {
				return rest.Page{}, err
			}
			if page.Object != "list" || page.HasMore == nil || page.Data == nil || *page.HasMore && len(page.Data) == 0 {
				return rest.Page{}, c.nonsense("a page is not a list")
			}
			next := ""
			if *page.HasMore {
				last, err := c.parse(q.kind, page.Data[len(page.Data)-1])
				if err != nil {
					return rest.Page{}, err
				}
				next = last.ID
			}
			return rest.Page{Rows: page.Data, Next: next}, nil
		},
		Each: func(ctx context.Context, raw json.RawMessage) error {
			o, err := c.parse(q.kind, raw)
			if err != nil {
				return err
			}
			if !q.fits(o) {
				return c.nonsense("a list holds an object that was not asked for")
			}
			if q.only != nil && !q.only(o) {
				return nil
			}
			return each(ctx, o)
		},
	}
}

// all reads a whole query.
func (c client) all(ctx context.Context, q query) ([]object, error) {
	var objects []object
	err := rest.Pages(ctx, c.list(q, func(_ context.Context, o object) error {
		objects = append(objects, o)
		return nil
	}), "", nil)
	return objects, err
}

// search returns the ids of the customers that Stripe's index has under an
// address, whatever its case. The index lags, so each id is read again.
func (c client) search(ctx context.Context, email string) ([]string, error) {
	var ids []string
	err := rest.Pages(ctx, rest.List{
		Fetch: func(ctx context.Context, after string) (rest.Page, error) {
			params := url.Values{"limit": {pageSize}, "query": {`email:"` + email + `"`}}
			if after != "" {
				params.Set("page", after)
			}
			var page struct {
				Object   string            `json:"object"`
				Data     []json.RawMessage `json:"data"`
				HasMore  *bool             `json:"has_more"`
				NextPage string            `json:"next_page"`
			}
			call := rest.Call{Op: c.op, Does: "searching customers", Path: []string{"v1", "customers", "search"}, Query: params}
			if _, err := c.rest.JSON(ctx, call, &page); err != nil {
				return rest.Page{}, err
			}
			if page.Object != "search_result" || page.HasMore == nil || *page.HasMore != (page.NextPage != "") {
				return rest.Page{}, c.nonsense("a page is not a search result")
			}
			return rest.Page{Rows: page.Data, Next: page.NextPage}, nil
		},
		Each: func(_ context.Context, raw json.RawMessage) error {
			o, err := c.parse("customer", raw)
			ids = append(ids, o.ID)
			return err
		},
	}, "", nil)
	return ids, err
}

// words are the types and codes of Stripe's errors that may stand in an error
// text; anything else the vendor says stays out of it.
var words = []string{
	"api_error", "card_error", "idempotency_error", "invalid_request_error",
	"email_invalid", "idempotency_key_in_use", "lock_timeout", "parameter_invalid_integer", "parameter_missing",
	"parameter_unknown", "rate_limit", "resource_missing", "secret_key_required",
}

// refine reads Stripe's error object: its code is more exact than the status.
func refine(status int, body []byte) rest.Verdict {
	var answer struct {
		Error struct{ Type, Code string } `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return rest.Verdict{}
	}
	var v rest.Verdict
	for _, word := range []string{answer.Error.Code, answer.Error.Type} {
		if v.Word == "" && slices.Contains(words, word) {
			v.Word = word
		}
	}
	switch code := answer.Error.Code; {
	case code == "resource_missing" && (status == http.StatusBadRequest || status == http.StatusNotFound):
		v.Kind = connector.NotFound
	case status == http.StatusNotFound:
		v.Kind = connector.Invalid // the path, not the object, is unknown
	case status == http.StatusConflict, code == "lock_timeout":
		v.Kind = connector.Unavailable // another request holds the object or the key
	}
	return v
}
