package stripe_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connectors/stripe"
	"github.com/writ-dsr/writ/shared/connectors/stripe/stripefake"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// between answers some requests itself and leaves the rest to the fake.
func between(fake *stripefake.Fake, answer func(r *http.Request) (status int, body string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, body := answer(r)
		if status == 0 {
			fake.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

// TestVendorIgnoresAFilter: a list that holds what was not asked for brings no
// stranger in.
func TestVendorIgnoresAFilter(t *testing.T) {
	for _, filter := range []string{"email", "customer", "customer_details[email]", "payment_intent"} {
		fake := stripefake.New()
		fake.Seed(dsrtest.Ben)
		fake.Seed(dsrtest.Ada)
		honest := bind(t, fake, nil)
		job := task(t, honest, "k")
		c := bind(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			q.Del(filter)
			r.URL.RawQuery = q.Encode()
			fake.ServeHTTP(w, r)
		}), nil)
		out := &rows{}
		_, located := c.Locate(t.Context(), connector.Task{Identities: job.Identities})
		_, exported := c.Export(t.Context(), job, out)
		if holds(out.text.String(), dsrtest.Ben) {
			t.Errorf("without %s a stranger was exported", filter)
		}
		if !errors.Is(located, connector.Invalid) {
			t.Errorf("without %s, locating says %v", filter, located)
		}
		if filter != "email" && !errors.Is(exported, connector.Invalid) {
			t.Errorf("without %s, exporting says %v", filter, exported)
		}
	}
}

func TestPagesThatAreNone(t *testing.T) {
	for path, bodies := range map[string][]string{
		"/v1/charges": {
			`{"object":"list","data":[],"has_more":true,"url":"/v1/charges"}`, `{"object":"list","data":[]}`, `{"object":"list","has_more":false}`,
			`{"object":"search_result","data":[],"has_more":false}`, `{"object":"list","data":[{"object":"charge"}],"has_more":true}`,
			`{"object":"list","data":[{"id":"cus_1","object":"customer"}],"has_more":false}`, `{"object":"list","data":[1],"has_more":false}`,
		},
		"/v1/customers/search": {
			`{"object":"search_result","data":[],"has_more":true,"next_page":null}`, `{"object":"search_result","data":[],"has_more":false,"next_page":"p"}`,
			`{"object":"search_result","data":[]}`, `{"object":"list","data":[],"has_more":false}`,
			`{"object":"search_result","data":[{"id":"ch_1","object":"charge"}],"has_more":false}`,
		},
	} {
		for _, body := range bodies {
			fake := stripefake.New()
			fake.Seed(dsrtest.Ada)
			c := bind(t, between(fake, func(r *http.Request) (int, string) {
				if r.URL.Path != path {
					return 0, ""
				}
				return 200, body
			}), nil)
			if _, err := c.Locate(t.Context(), connector.Task{Identities: []dsr.Identity{dsrtest.Ada.Proved()}}); !errors.Is(err, connector.Invalid) {
				t.Errorf("%s answers %s: %v", path, body, err)
			}
		}
	}
}

// TestSearchFindsSomebodyElse: what search returns counts only by the address
// the customer has.
func TestSearchFindsSomebodyElse(t *testing.T) {
	fake := stripefake.New()
	ben := fake.AddCustomer(dsrtest.Ben)
	c := bind(t, between(fake, func(r *http.Request) (int, string) {
		if r.URL.Path != "/v1/customers/search" {
			return 0, ""
		}
		return 200, `{"object":"search_result","data":[{"id":"` + ben + `","object":"customer"},{"id":"cus_gone","object":"customer"}],"has_more":false}`
	}), nil)
	if f := task(t, c, "k").Footprint; !f.Empty() {
		t.Errorf("somebody else is %d records and %d candidates", len(f.Records), f.Candidates)
	}
}

// TestFilterWithoutCase: should Stripe's filter for checkouts ignore case, a
// session that comes with each spelling of the address is taken once.
func TestFilterWithoutCase(t *testing.T) {
	for _, stored := range []string{dsrtest.AdaUpper.Email, "Ada.Zq7canary@LEARNER.example"} {
		fake := stripefake.New()
		fake.AddGuest(dsrtest.Person{Name: dsrtest.AdaUpper.Name, Email: stored})
		c := bind(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); q.Has("customer_details[email]") {
				q.Set("customer_details[email]", stored)
				r.URL.RawQuery = q.Encode()
			}
			fake.ServeHTTP(w, r)
		}), nil)
		job := connector.Task{Identities: []dsr.Identity{dsrtest.AdaUpper.Proved()}}
		f, err := c.Locate(t.Context(), job)
		if err != nil || f.Counts["checkout_session"] != 1 || f.Candidates != 0 {
			t.Errorf("located %v and %d candidates (%v)", f.Counts, f.Candidates, err)
		}
		job.Footprint = f
		out := &rows{}
		if _, err := c.Export(t.Context(), job, out); err != nil || len(out.all["checkout_session"]) != 1 {
			t.Errorf("exported %d sessions (%v)", len(out.all["checkout_session"]), err)
		}
	}
}

// TestKeptFailure: Stripe answers a key it failed with the same failure again,
// for a day; the driver is not stuck so long.
func TestKeptFailure(t *testing.T) {
	fake := stripefake.New()
	fake.Seed(dsrtest.Ada)
	now := time.Unix(1795338000, 0)
	failed := map[string]bool{}
	c := bindAt(t, between(fake, func(r *http.Request) (int, string) {
		key := r.Header.Get("Idempotency-Key")
		if r.Method == http.MethodPost && (len(failed) == 0 || failed[key]) {
			failed[key] = true
			return 500, `{"error":{"type":"api_error"}}`
		}
		return 0, ""
	}), nil, func() time.Time { return now })
	job := task(t, c, "k")
	for attempt := range 2 {
		if _, err := c.Erase(t.Context(), job); !errors.Is(err, connector.Unavailable) {
			t.Errorf("attempt %d: %v", attempt+1, err)
		}
	}
	now = now.Add(time.Hour)
	if _, err := c.Erase(t.Context(), job); err != nil || len(failed) != 1 || fake.Count(stripefake.Customer) != 0 {
		t.Errorf("an hour later: %v, after %d keys failed", err, len(failed))
	}
	if failed[""] {
		t.Error("a POST went out without a key")
	}
}

// TestWritesAnsweredByNonsense: a success that is not the object asked for is
// none, at any write.
func TestWritesAnsweredByNonsense(t *testing.T) {
	for _, body := range []string{`{"error":{"type":"api_error"}}`, `{}`, `{"id":"x","object":"customer","deleted":false}`, `{"id":"x","object":"other","deleted":true}`} {
		for n := range 4 {
			fake := stripefake.New()
			fake.Seed(dsrtest.Ada)
			seen := 0
			c := bind(t, between(fake, func(r *http.Request) (int, string) {
				if r.Method == http.MethodGet {
					return 0, ""
				}
				if seen++; seen != n+1 {
					return 0, ""
				}
				return 200, body
			}), nil)
			_, err := c.Erase(t.Context(), task(t, c, "k"))
			var e *connector.Error
			if !errors.As(err, &e) || e.Kind != connector.Invalid || !e.Sent || e.Op != dsr.Erase {
				t.Errorf("write %d answered %s: %v", n+1, body, err)
			}
		}
	}
}

// TestListsOfADeletedCustomer: should Stripe refuse them as missing, they hold
// nothing; of a living customer the same refusal is an error.
func TestListsOfADeletedCustomer(t *testing.T) {
	fake := stripefake.New()
	id := fake.Seed(dsrtest.Ada)
	refuse := false
	c := bind(t, between(fake, func(r *http.Request) (int, string) {
		gone := fake.Objects(stripefake.Customer)[0]["deleted"] == true
		if r.URL.Query().Get("customer") == id && (gone || refuse) {
			return 400, `{"error":{"type":"invalid_request_error","code":"resource_missing"}}`
		}
		return 0, ""
	}), nil)
	job := task(t, c, "k")
	refuse = true
	if _, err := c.Export(t.Context(), job, &rows{}); !errors.Is(err, connector.NotFound) {
		t.Errorf("a living customer's lists are refused: %v", err)
	}
	refuse = false
	if _, err := c.Erase(t.Context(), job); err != nil {
		t.Errorf("erasing: %v", err)
	}
	if seen, err := c.ReadBack(t.Context(), job, connector.Receipt{}); err != nil || !seen.Gone() || seen.Kept["checkout_session"] != 1 {
		t.Errorf("reading back: %v remain, %v kept (%v)", seen.Remaining, seen.Kept, err)
	}
}

func TestErrorsOfStripe(t *testing.T) {
	for _, c := range []struct {
		status     int
		body, word string
		kind       connector.Kind // "" leaves it to the status
	}{
		{404, `{"error":{"type":"invalid_request_error","code":"resource_missing"}}`, "resource_missing", connector.NotFound},
		{400, `{"error":{"type":"invalid_request_error","code":"resource_missing"}}`, "resource_missing", connector.NotFound},
		{404, `{"error":{"type":"invalid_request_error","message":"Unrecognized request URL"}}`, "invalid_request_error", connector.Invalid},
		{409, `{"error":{"type":"idempotency_error","code":"idempotency_key_in_use"}}`, "idempotency_key_in_use", connector.Unavailable},
		{429, `{"error":{"type":"invalid_request_error","code":"lock_timeout"}}`, "lock_timeout", connector.Unavailable},
		{429, `{"error":{"type":"invalid_request_error","code":"rate_limit"}}`, "rate_limit", ""},
		{500, `{"error":{"type":"api_error"}}`, "api_error", ""},
		{400, `{"error":{"type":"` + dsrtest.Ada.Email + `","code":"` + dsrtest.Ada.Name + `"}}`, "", ""},
		{400, `not json`, "", ""},
	} {
		if v := stripe.Refine(c.status, []byte(c.body)); v.Word != c.word || v.Kind != c.kind {
			t.Errorf("%d %s is %q %q, want %q %q", c.status, c.body, v.Kind, v.Word, c.kind, c.word)
		}
	}
}
