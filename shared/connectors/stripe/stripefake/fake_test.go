package stripefake_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connectors/stripe/stripefake"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// vendor is a fake on a real connection.
type vendor struct {
	*stripefake.Fake
	t    *testing.T
	base string
}

func start(t *testing.T) vendor {
	fake := stripefake.New()
	server := httptest.NewServer(fake.Handler())
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return vendor{fake, t, server.URL}
}

// answer is what came back: the decoded body, or the error of the connection.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
	err    error
}

func (a answer) code() string {
	e, _ := a.body["error"].(map[string]any)
	s, _ := e["code"].(string)
	return s
}

// call sends a request as a well-behaved client does; spoil may change it.
func (v vendor) call(method, target, form string, spoil ...func(*http.Request)) answer {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.base+target, strings.NewReader(form))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+stripefake.Key)
	r.Header.Set("Stripe-Version", stripefake.Version)
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, s := range spoil {
		s(r)
	}
	c := http.Client{Timeout: 300 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	a := answer{status: res.StatusCode, header: res.Header, raw: string(raw), err: err}
	json.Unmarshal(raw, &a.body) //nolint:errcheck // some answers are no JSON on purpose
	return a
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func TestStrictness(t *testing.T) {
	v := start(t)
	id := v.Seed(dsrtest.Ada)
	basic := func(r *http.Request) { r.SetBasicAuth(stripefake.Key, "") }
	for name, c := range map[string]struct {
		method, target, form string
		spoil                func(*http.Request)
		status               int
		code                 string
	}{
		"key":                    {"GET", "/v1/customers", "", nil, 200, ""},
		"basic":                  {"GET", "/v1/customers", "", basic, 200, ""},
		"wrong key":              {"GET", "/v1/customers", "", header("Authorization", "Bearer other"), 401, ""},
		"no key":                 {"GET", "/v1/customers", "", header("Authorization", ""), 401, ""},
		"other version":          {"GET", "/v1/customers", "", header("Stripe-Version", "2024-06-20"), 400, ""},
		"unknown parameter":      {"GET", "/v1/customers?mail=x", "", nil, 400, "parameter_unknown"},
		"repeated parameter":     {"GET", "/v1/customers?email=x&email=y", "", nil, 400, ""},
		"limit 100":              {"GET", "/v1/customers?limit=100", "", nil, 200, ""},
		"limit 0":                {"GET", "/v1/customers?limit=0", "", nil, 400, "parameter_invalid_integer"},
		"limit 101":              {"GET", "/v1/customers?limit=101", "", nil, 400, "parameter_invalid_integer"},
		"limit word":             {"GET", "/v1/customers?limit=all", "", nil, 400, "parameter_invalid_integer"},
		"empty limit":            {"GET", "/v1/customers?limit=", "", nil, 400, "parameter_invalid_integer"},
		"unknown cursor":         {"GET", "/v1/charges?starting_after=ch_no", "", nil, 400, "resource_missing"},
		"unknown customer":       {"GET", "/v1/charges?customer=cus_no", "", nil, 400, "resource_missing"},
		"unknown status":         {"GET", "/v1/subscriptions?status=dead", "", nil, 400, ""},
		"unknown id":             {"GET", "/v1/customers/cus_no", "", nil, 404, "resource_missing"},
		"unknown path":           {"GET", "/v1/clients", "", nil, 404, ""},
		"unknown method":         {"PUT", "/v1/customers/" + id, "", nil, 404, ""},
		"search without query":   {"GET", "/v1/customers/search", "", nil, 400, "parameter_missing"},
		"search by name":         {"GET", "/v1/customers/search?query=" + url.QueryEscape(`name:"x"`), "", nil, 400, ""},
		"correction":             {"POST", "/v1/customers/" + id, "phone=", nil, 200, ""},
		"unknown field":          {"POST", "/v1/customers/" + id, "fone=1", nil, 400, "parameter_unknown"},
		"unknown part":           {"POST", "/v1/customers/" + id, "address[street]=1", nil, 400, "parameter_unknown"},
		"address as text":        {"POST", "/v1/customers/" + id, "address=here", nil, 400, ""},
		"bad address":            {"POST", "/v1/customers/" + id, "email=x", nil, 400, "email_invalid"},
		"long value":             {"POST", "/v1/customers/" + id, "name=" + strings.Repeat("x", 5001), nil, 400, "parameter_invalid_string_too_long"},
		"JSON body":              {"POST", "/v1/customers/" + id, `{"name":"x"}`, header("Content-Type", "application/json"), 400, ""},
		"unknown correction":     {"POST", "/v1/customers/cus_no", "name=x", nil, 404, "resource_missing"},
		"unknown deletion":       {"DELETE", "/v1/customers/cus_no", "", nil, 404, "resource_missing"},
		"unknown subscription":   {"DELETE", "/v1/subscriptions/sub_no", "", nil, 404, "resource_missing"},
		"unknown payment method": {"POST", "/v1/payment_methods/pm_no/detach", "", nil, 404, "resource_missing"},
	} {
		a := v.call(c.method, c.target, c.form, append([]func(*http.Request){}, func(r *http.Request) {
			if c.spoil != nil {
				c.spoil(r)
			}
		})...)
		if a.status != c.status || a.code() != c.code {
			t.Errorf("%s: %d %q, want %d %q", name, a.status, a.code(), c.status, c.code)
		}
		if (a.status != 200) != (a.body["error"] != nil) {
			t.Errorf("%s: the answer to %d is %s", name, a.status, a.raw)
		}
		if !strings.HasPrefix(a.header.Get("Request-Id"), "req_") {
			t.Errorf("%s: the answer has no request id", name)
		}
	}
}

func TestPaging(t *testing.T) {
	v := start(t)
	id := v.Seed(dsrtest.Ada)
	for _, limit := range []string{"1", "2", "3", "100"} {
		seen, pages, after := map[string]bool{}, 0, ""
		for more := true; more; pages++ {
			a := v.call("GET", "/v1/charges?customer="+id+"&limit="+limit+after, "")
			for _, row := range a.body["data"].([]any) {
				after = "&starting_after=" + row.(map[string]any)["id"].(string)
				seen[after] = true
			}
			more = a.body["has_more"].(bool)
		}
		if want := map[string]int{"1": 5, "2": 3, "3": 2, "100": 1}[limit]; len(seen) != stripefake.Charges || pages != want {
			t.Errorf("limit %s: %d charges on %d pages, want %d on %d", limit, len(seen), pages, stripefake.Charges, want)
		}
	}
	v.CapPages(2)
	if a := v.call("GET", "/v1/charges?limit=100", ""); len(a.body["data"].([]any)) != 2 || a.body["has_more"] != true {
		t.Errorf("a capped page is %s", a.raw)
	}
}

// TestFilters: the list's filter knows case, search does not, and neither shows
// a deleted customer.
func TestFilters(t *testing.T) {
	v := start(t)
	v.Seed(dsrtest.Ada)
	v.Seed(dsrtest.AdaUpper)
	v.Seed(dsrtest.Ben)
	ada, upper := url.QueryEscape(dsrtest.Ada.Email), url.QueryEscape(dsrtest.AdaUpper.Email)
	count := func(target string) int {
		t.Helper()
		rows, ok := v.call("GET", target, "").body["data"].([]any)
		if !ok {
			t.Fatalf("%s answers no list", target)
		}
		return len(rows)
	}
	search := "/v1/customers/search?query=" + url.QueryEscape(`email:"`) + ada + "%22"
	for target, want := range map[string]int{
		"/v1/customers": 3, "/v1/customers?email=" + ada: 1, "/v1/customers?email=" + upper: 1, search: 2,
		"/v1/checkout/sessions?customer_details%5Bemail%5D=" + ada: 2, "/v1/subscriptions": 3,
	} {
		if got := count(target); got != want {
			t.Errorf("%s: %d rows, want %d", target, got, want)
		}
	}
	id := v.Objects(stripefake.Customer)[0].ID()
	if a := v.call("DELETE", "/v1/customers/"+id, ""); a.status != 200 || a.body["deleted"] != true || len(a.body) != 3 {
		t.Errorf("deleting answers %s", a.raw)
	}
	for target, want := range map[string]int{
		"/v1/customers": 2, "/v1/customers?email=" + ada: 0, search: 1, "/v1/charges?customer=" + id + "&limit=100": stripefake.Charges,
		"/v1/invoices?customer=" + id: 1, "/v1/payment_methods?customer=" + id: 0, "/v1/subscriptions?customer=" + id: 0,
		"/v1/subscriptions?status=all&customer=" + id: 1,
	} {
		if got := count(target); got != want {
			t.Errorf("after the deletion %s: %d rows, want %d", target, got, want)
		}
	}
	if a := v.call("GET", "/v1/customers/"+id, ""); a.status != 200 || a.body["deleted"] != true || a.body["email"] != nil {
		t.Errorf("a deleted customer reads %s", a.raw)
	}
	for _, again := range []string{"DELETE", "POST"} {
		if a := v.call(again, "/v1/customers/"+id, ""); a.status != 404 {
			t.Errorf("%s of a deleted customer answers %d", again, a.status)
		}
	}
}

func TestIdempotencyKeys(t *testing.T) {
	v := start(t)
	v.Seed(dsrtest.Ada)
	pm := v.Objects(stripefake.PaymentMethod)[0].ID()
	key := header("Idempotency-Key", "k1")
	first := v.call("POST", "/v1/payment_methods/"+pm+"/detach", "", key)
	again := v.call("POST", "/v1/payment_methods/"+pm+"/detach", "", key)
	if first.status != 200 || again.raw != first.raw || again.header.Get("Idempotent-Replayed") != "true" || first.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("the same key answers %d %q, then %d %q", first.status, first.raw, again.status, again.raw)
	}
	if other := v.call("POST", "/v1/payment_methods/"+pm, "metadata=", key); other.status != 400 {
		t.Errorf("the same key for another request answers %d", other.status)
	}
	if bare := v.call("POST", "/v1/payment_methods/"+pm+"/detach", ""); bare.status != 400 {
		t.Errorf("detaching what is detached answers %d", bare.status)
	}
	if long := v.call("POST", "/v1/payment_methods/"+pm, "metadata=", header("Idempotency-Key", strings.Repeat("k", 256))); long.status != 400 {
		t.Errorf("a key of 256 characters answers %d", long.status)
	}
}

// TestFaults: each mode does what it says to the answer and to the state.
func TestFaults(t *testing.T) {
	for mode, c := range map[stripefake.Mode]struct {
		fault  stripefake.Fault
		status int // 0: no answer
		done   bool
	}{
		"":                    {stripefake.Fault{}, 200, true},
		stripefake.Status:     {stripefake.Fault{Status: 503, RetryAfter: "9"}, 503, false},
		stripefake.DropBefore: {stripefake.Fault{}, 0, false},
		stripefake.DropAfter:  {stripefake.Fault{}, 0, true},
		stripefake.HalfBody:   {stripefake.Fault{}, 0, true},
		stripefake.HTML:       {stripefake.Fault{}, 200, true},
		stripefake.Ignore:     {stripefake.Fault{}, 200, false},
		stripefake.Swallow:    {stripefake.Fault{}, 0, true},
		stripefake.Slow:       {stripefake.Fault{DelayMS: 20}, 200, true},
	} {
		v := start(t)
		id := v.Seed(dsrtest.Ada)
		c.fault.Mode, c.fault.Method, c.fault.Path, c.fault.Times = mode, "DELETE", "/v1/customers/*", 1
		v.Inject(c.fault)
		if a := v.call("GET", "/v1/customers/"+id, ""); a.status != 200 {
			t.Errorf("%s: a request it does not match answers %d", mode, a.status)
		}
		a := v.call("DELETE", "/v1/customers/"+id, "")
		if (a.err != nil) != (c.status == 0) || c.status != 0 && a.status != c.status {
			t.Errorf("%s: status %d, want %d (%v)", mode, a.status, c.status, a.err)
		}
		if mode == stripefake.Status && a.header.Get("Retry-After") != "9" {
			t.Errorf("%s: no Retry-After", mode)
		}
		if html := strings.Contains(a.raw, "<title>"); html != (mode == stripefake.HTML) {
			t.Errorf("%s: the answer is %q", mode, a.raw)
		}
		if gone := v.Count(stripefake.Customer) == 0; gone != c.done {
			t.Errorf("%s: the customer is gone: %v, want %v", mode, gone, c.done)
		}
		if again := v.call("GET", "/v1/customers/"+id, ""); again.status != 200 {
			t.Errorf("%s: spent, and still in force", mode)
		}
	}
	v := start(t)
	v.Seed(dsrtest.Ada)
	v.Inject(stripefake.Fault{Mode: stripefake.RepeatPage})
	first := v.call("GET", "/v1/charges?limit=2", "")
	after := v.Objects(stripefake.Charge)[3].ID()
	if second := v.call("GET", "/v1/charges?limit=2&starting_after="+after, ""); second.raw != first.raw {
		t.Error("the second page is not the first one")
	}
	v.Heal()
	if healed := v.call("GET", "/v1/charges?limit=2&starting_after="+after, ""); healed.raw == first.raw {
		t.Error("healed, and the page still repeats")
	}
}

func TestControl(t *testing.T) {
	v := start(t)
	seed := v.call("POST", "/_fake/people", `{"name":"Ada","email":"ada@learner.example","phone":"1","city":"X"}`)
	if seed.status != 200 || seed.body["customer"] != v.Objects(stripefake.Customer)[0].ID() {
		t.Fatalf("seeding answers %d %s", seed.status, seed.raw)
	}
	if state := v.call("GET", "/_fake/state", ""); state.raw != string(v.Snapshot()) || !bytes.Equal(v.Snapshot(), v.Snapshot()) {
		t.Error("the state is not the snapshot")
	}
	v.call("POST", "/_fake/faults", `{"mode":"status","status":503}`)
	if a := v.call("GET", "/v1/customers", ""); a.status != 503 {
		t.Errorf("with a fault the vendor answers %d", a.status)
	}
	v.call("DELETE", "/_fake/faults", "")
	if a := v.call("GET", "/v1/customers?limit=3", ""); a.status != 200 {
		t.Errorf("healed it answers %d", a.status)
	}
	log := v.Requests()
	if len(log) != 2 || log[0].Status != 503 || log[0].Fault != stripefake.Status || log[1].Query != "limit=3" || log[1].RequestID == log[0].RequestID {
		t.Errorf("the log is %v", log)
	}
	var listed []stripefake.Request
	if err := json.Unmarshal([]byte(v.call("GET", "/_fake/requests", "").raw), &listed); err != nil || len(listed) != 2 {
		t.Errorf("the log over HTTP has %d lines (%v)", len(listed), err)
	}
	for _, c := range []struct{ method, path, body string }{{"POST", "/_fake/faults", `{"mod":"status"}`}, {"POST", "/_fake/faults", `{"mode":"stauts"}`}, {"POST", "/_fake/people", `[]`}, {"GET", "/_fake/people", ""}, {"POST", "/_fake/other", ""}} {
		if a := v.call(c.method, c.path, c.body); a.status < 400 {
			t.Errorf("%s %s %s answers %d", c.method, c.path, c.body, a.status)
		}
	}
	v.call("POST", "/_fake/reset", "")
	if v.Count(stripefake.Customer) != 0 || len(v.Requests()) != 0 {
		t.Error("reset, and something is left")
	}
}
