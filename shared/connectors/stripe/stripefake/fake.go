// Package stripefake is a stateful stand-in for the part of Stripe's API that
// the connector speaks, as strict as the vendor: credential, version header,
// form bodies, paging limits, unknown parameters, error objects, deleted
// customers that stay readable as deleted, charges that nothing removes. It
// serves unit tests, the end-to-end suite and the demo, and misbehaves on
// demand. Its shapes follow API version 2023-08-16.
package stripefake

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Key is the credential the fake accepts. It opens nothing anywhere.
const Key = "rk_fake_writ"

// Version is the API version the fake speaks and demands.
const Version = "2023-08-16"

// The kinds of objects the fake holds, by their "object" field.
const (
	Customer        = "customer"
	PaymentMethod   = "payment_method"
	Subscription    = "subscription"
	Invoice         = "invoice"
	Charge          = "charge"
	CheckoutSession = "checkout.session"
)

// Kinds lists them in a fixed order.
func Kinds() []string {
	return []string{Customer, PaymentMethod, Subscription, Invoice, Charge, CheckoutSession}
}

// Object is one of Stripe's objects as JSON shows it.
type Object map[string]any

// ID returns the object's id.
func (o Object) ID() string { return o.text("id") }

func (o Object) text(field string) string {
	s, _ := o[field].(string)
	return s
}

// inner returns a nested object, nil when there is none.
func (o Object) inner(field string) Object {
	switch v := o[field].(type) {
	case Object:
		return v
	case map[string]any:
		return v
	}
	return nil
}

// Fake is the vendor. It is safe for concurrent use.
type Fake struct {
	mux *http.ServeMux

	mu       sync.Mutex
	objects  map[string][]Object // kind → in order of creation
	answers  map[string]replay   // idempotency key → what was answered
	faults   []Fault
	log      []Request
	lastPage map[string][]byte // path → first page, for RepeatPage
	counter  int               // of objects
	served   int               // of requests
	pageCap  int
}

// replay is a POST that was answered under an idempotency key.
type replay struct {
	request string
	status  int
	body    []byte
}

// New returns an empty fake.
func New() *Fake {
	f := &Fake{}
	f.clear()
	f.mux = http.NewServeMux()
	f.routes()
	return f
}

func (f *Fake) clear() {
	f.objects, f.answers = map[string][]Object{}, map[string]replay{}
	f.faults, f.log, f.lastPage, f.counter, f.served = nil, nil, map[string][]byte{}, 0, 0
}

// Reset forgets everything: objects, faults, the log.
func (f *Fake) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clear()
}

// CapPages lets a page hold at most n objects whatever limit is asked for, as
// only has_more tells whether there is more. Zero lifts the cap.
func (f *Fake) CapPages(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pageCap = n
}

// Handler returns the fake as a handler.
func (f *Fake) Handler() http.Handler { return f }

// routes binds paths to what they do, with the parameters each one takes.
func (f *Fake) routes() {
	paging := []string{"limit", "starting_after", "ending_before"}
	list := func(kind string, filters ...string) {
		path := map[string]string{
			Customer: "customers", PaymentMethod: "payment_methods", Subscription: "subscriptions",
			Invoice: "invoices", Charge: "charges", CheckoutSession: "checkout/sessions",
		}[kind]
		f.handle("GET /v1/"+path, append(paging, filters...), func(c *call) { f.list(c, kind, "/v1/"+path, filters) })
		f.handle("GET /v1/"+path+"/{id}", nil, func(c *call) { f.get(c, kind) })
	}
	list(Customer, "email")
	list(PaymentMethod, "customer", "type")
	list(Subscription, "customer", "status")
	list(Invoice, "customer", "status", "subscription")
	list(Charge, "customer", "payment_intent")
	list(CheckoutSession, "customer", "customer_details[email]", "payment_intent", "subscription")
	f.handle("GET /v1/customers/search", []string{"query", "limit", "page"}, f.search)
	f.handle("POST /v1/customers/{id}", []string{
		"name", "email", "phone", "description", "address", "metadata[*]",
		"address[line1]", "address[line2]", "address[city]", "address[state]", "address[postal_code]", "address[country]",
	}, f.updateCustomer)
	f.handle("DELETE /v1/customers/{id}", nil, f.deleteCustomer)
	f.handle("DELETE /v1/subscriptions/{id}", []string{"invoice_now", "prorate"}, f.cancelSubscription)
	f.handle("POST /v1/payment_methods/{id}", []string{
		"billing_details[name]", "billing_details[email]", "billing_details[phone]", "billing_details[address]", "metadata",
	}, f.updateMethod)
	f.handle("POST /v1/payment_methods/{id}/detach", nil, f.detach)
	f.mux.HandleFunc("/_fake/", f.control)
	f.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		f.exchange(w, r, func(c *call) {
			c.refuse(http.StatusNotFound, "invalid_request_error", "", "", "Unrecognized request URL ("+r.Method+": "+r.URL.Path+").")
		})
	})
}

// call is one request on its way through the fake. Do runs under the lock.
type call struct {
	r      *http.Request
	params url.Values
	status int
	body   []byte
	header http.Header
	idle   bool // answers as if done and changes nothing
}

func (c *call) answer(v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("stripefake: writing an answer: %v", err)) // a bug of the fake
	}
	c.status, c.body = http.StatusOK, body
}

// refuse answers with Stripe's error object.
func (c *call) refuse(status int, kind, code, param, message string) {
	e := map[string]any{"type": kind, "message": message, "request_log_url": "https://dashboard.stripe.example/logs"}
	if code != "" {
		e["code"] = code
	}
	if param != "" {
		e["param"] = param
	}
	c.answer(map[string]any{"error": e})
	c.status = status
}

func (c *call) missing(kind, id, param string, status int) {
	c.refuse(status, "invalid_request_error", "resource_missing", param, "No such "+strings.ReplaceAll(kind, "_", " ")+": '"+id+"'")
}

func (f *Fake) handle(pattern string, params []string, do func(*call)) {
	f.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		f.exchange(w, r, func(c *call) {
			if !f.admit(c) {
				return
			}
			for _, name := range slices.Sorted(maps.Keys(c.params)) {
				if !known(name, params) {
					c.refuse(http.StatusBadRequest, "invalid_request_error", "parameter_unknown", name, "Received unknown parameter: "+name)
					return
				}
				if len(c.params[name]) != 1 {
					c.refuse(http.StatusBadRequest, "invalid_request_error", "", name, "Repeated parameter: "+name)
					return
				}
			}
			if key := r.Header.Get("Idempotency-Key"); key != "" && r.Method == http.MethodPost {
				f.once(c, key, do)
				return
			}
			do(c)
		})
	})
}

func known(name string, params []string) bool {
	return slices.ContainsFunc(params, func(p string) bool {
		prefix, wild := strings.CutSuffix(p, "[*]")
		return name == p || wild && strings.HasPrefix(name, prefix+"[") && strings.HasSuffix(name, "]")
	})
}

// admit checks credential, version and body, and reads the parameters.
func (f *Fake) admit(c *call) bool {
	r := c.r
	user, _, basic := r.BasicAuth()
	if r.Header.Get("Authorization") != "Bearer "+Key && !(basic && user == Key) {
		c.refuse(http.StatusUnauthorized, "invalid_request_error", "", "", "Invalid API Key provided: "+r.Header.Get("Authorization"))
		return false
	}
	if r.Header.Get("Stripe-Version") != Version {
		c.refuse(http.StatusBadRequest, "invalid_request_error", "", "", "Invalid Stripe API version: "+r.Header.Get("Stripe-Version"))
		return false
	}
	if len(r.Header.Get("Idempotency-Key")) > 255 {
		c.refuse(http.StatusBadRequest, "idempotency_error", "", "", "Idempotency keys may hold 255 characters.")
		return false
	}
	c.params = r.URL.Query()
	if r.Method != http.MethodPost {
		return true
	}
	if media := r.Header.Get("Content-Type"); media != "" && media != "application/x-www-form-urlencoded" {
		c.refuse(http.StatusBadRequest, "invalid_request_error", "", "", "Invalid request: bodies must be form-encoded.")
		return false
	}
	if err := r.ParseForm(); err != nil {
		c.refuse(http.StatusBadRequest, "invalid_request_error", "", "", "Invalid request: the body cannot be read.")
		return false
	}
	c.params = r.Form
	return true
}

// once answers a repeated idempotency key with what was answered first.
func (f *Fake) once(c *call, key string, do func(*call)) {
	request := c.r.URL.Path + "?" + c.params.Encode()
	if before, ok := f.answers[key]; ok {
		if before.request != request {
			c.refuse(http.StatusBadRequest, "idempotency_error", "", "", "Keys for idempotent requests can only be used with the same parameters.")
			return
		}
		c.status, c.body = before.status, before.body
		c.header.Set("Idempotent-Replayed", "true")
		return
	}
	do(c)
	f.answers[key] = replay{request: request, status: c.status, body: c.body}
}

// find returns the object of that kind and id, nil when there is none.
func (f *Fake) find(kind, id string) Object {
	for _, o := range f.objects[kind] {
		if o.ID() == id {
			return o
		}
	}
	return nil
}

// get answers one object by id.
func (f *Fake) get(c *call, kind string) {
	id := c.r.PathValue("id")
	o := f.find(kind, id)
	if o == nil {
		c.missing(kind, id, "id", http.StatusNotFound)
		return
	}
	c.answer(o)
}

// list answers one page, newest first, of the objects that pass the filters.
func (f *Fake) list(c *call, kind, path string, filters []string) {
	limit, ok := f.limit(c)
	if !ok {
		return
	}
	if id := c.params.Get("customer"); id != "" && f.find(Customer, id) == nil {
		c.missing(Customer, id, "customer", http.StatusBadRequest)
		return
	}
	status := c.params.Get("status")
	if kind == Subscription && status != "" && !slices.Contains([]string{"all", "active", "canceled", "ended", "past_due", "trialing", "unpaid"}, status) {
		c.refuse(http.StatusBadRequest, "invalid_request_error", "", "status", "Invalid status")
		return
	}
	var rows []Object
	for _, o := range slices.Backward(f.objects[kind]) {
		if o["deleted"] == true || kind == PaymentMethod && o["customer"] == nil || !f.passes(o, kind, filters, c.params) {
			continue
		}
		rows = append(rows, o)
	}
	start := 0
	if after := c.params.Get("starting_after"); after != "" {
		at := slices.IndexFunc(rows, func(o Object) bool { return o.ID() == after })
		if at < 0 {
			c.missing(kind, after, "starting_after", http.StatusBadRequest)
			return
		}
		start = at + 1
	}
	if c.params.Get("ending_before") != "" {
		c.refuse(http.StatusBadRequest, "invalid_request_error", "", "ending_before", "The fake pages forward only.")
		return
	}
	page := rows[start:min(start+limit, len(rows))]
	c.answer(map[string]any{
		"object": "list", "url": path, "has_more": start+len(page) < len(rows), "data": append([]Object{}, page...),
	})
}

// limit reads the limit parameter: 1 to 100, 10 when absent.
func (f *Fake) limit(c *call) (int, bool) {
	limit := 10
	if s := c.params.Get("limit"); s != "" || c.params.Has("limit") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 100 {
			c.refuse(http.StatusBadRequest, "invalid_request_error", "parameter_invalid_integer", "limit", "This value must be between 1 and 100.")
			return 0, false
		}
		limit = n
	}
	if f.pageCap > 0 {
		limit = min(limit, f.pageCap)
	}
	return limit, true
}

func (f *Fake) passes(o Object, kind string, filters []string, params url.Values) bool {
	for _, filter := range filters {
		want := params.Get(filter)
		switch {
		case kind == Subscription && filter == "status":
			// Without a status Stripe leaves the canceled ones out.
			if want == "" && o["status"] == "canceled" || want != "" && want != "all" && o["status"] != want {
				return false
			}
		case !params.Has(filter):
		case filter == "customer_details[email]":
			if o.inner("customer_details").text("email") != want {
				return false
			}
		case o.text(filter) != want: // email too: Stripe's filter is case-sensitive
			return false
		}
	}
	return true
}

// search answers customers by `email:"…"`, whatever the case of the letters.
func (f *Fake) search(c *call) {
	limit, ok := f.limit(c)
	if !ok {
		return
	}
	if !c.params.Has("query") {
		c.refuse(http.StatusBadRequest, "invalid_request_error", "parameter_missing", "query", "Missing required param: query.")
		return
	}
	email, ok := strings.CutPrefix(c.params.Get("query"), `email:"`)
	email, closed := strings.CutSuffix(email, `"`)
	if !ok || !closed || strings.ContainsAny(email, `"\`) {
		c.refuse(http.StatusBadRequest, "invalid_request_error", "", "query", "We were unable to parse your search query.")
		return
	}
	var rows []Object
	for _, o := range slices.Backward(f.objects[Customer]) {
		if o["deleted"] != true && strings.EqualFold(o.text("email"), email) {
			rows = append(rows, o)
		}
	}
	start := 0
	if page := c.params.Get("page"); page != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(page, "page_"))
		if err != nil || n < 0 || n > len(rows) {
			c.refuse(http.StatusBadRequest, "invalid_request_error", "", "page", "Invalid page.")
			return
		}
		start = n
	}
	end := min(start+limit, len(rows))
	answer := map[string]any{
		"object": "search_result", "url": "/v1/customers/search", "has_more": end < len(rows),
		"data": append([]Object{}, rows[start:end]...), "next_page": nil,
	}
	if end < len(rows) {
		answer["next_page"] = "page_" + strconv.Itoa(end)
	}
	c.answer(answer)
}
