package rest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

var now = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

// vendor is a server that records what reached it.
type vendor struct {
	*httptest.Server
	mu   sync.Mutex
	seen []*http.Request
	body []string
}

func newVendor(t *testing.T, answer http.HandlerFunc) *vendor {
	v := &vendor{}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading a request: %v", err)
		}
		v.mu.Lock()
		v.seen, v.body = append(v.seen, r), append(v.body, string(body))
		v.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(func() {
		v.CloseClientConnections()
		v.Close()
	})
	return v
}

func (v *vendor) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.seen)
}

func client(t *testing.T, base string, o Options) *Client {
	t.Helper()
	cfg := connector.Config{System: "shop", BaseURL: base, Emulator: true, Now: clock}
	c, err := New(cfg, connector.Descriptor{Hosts: []string{"api.vendor.example"}}, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// list and remove are a read and a write as a driver makes them, with personal
// values wherever a call can carry one.
func list() Call {
	return Call{Op: dsr.Locate, Does: "listing records", Path: []string{"v1", "records"}, Query: url.Values{"email": {dsrtest.Ada.Email}}}
}

func remove() Call {
	return Call{Op: dsr.Erase, Does: "deleting a record", Method: http.MethodDelete, Path: []string{"v1", "records", dsrtest.Ada.Email}}
}

func TestSendsWhatWasAsked(t *testing.T) {
	v := newVendor(t, answer(200, "application/json", `{"ok":true}`))
	c := client(t, v.URL+"/base/", Options{Auth: Bearer("key"), Header: map[string]string{"X-Version": "3"}})
	basic := client(t, v.URL, Options{Auth: Basic("name", "word")})
	calls := []struct {
		c                                        *Client
		call                                     Call
		method, uri, auth, contentType, sentBody string
	}{
		{c, Call{Path: []string{"a b", "c/d"}, Query: url.Values{"q": {"x&y"}}}, "GET", "/base/a%20b/c%2Fd?q=x%26y", "Bearer key", "", ""},
		{c, Call{Method: "POST", Path: []string{"x"}, Form: url.Values{"a[b]": {"1&2"}}}, "POST", "/base/x", "Bearer key", "application/x-www-form-urlencoded", "a%5Bb%5D=1%262"},
		{c, Call{Method: "PATCH", Path: []string{"x"}, JSON: map[string]int{"n": 1}}, "PATCH", "/base/x", "Bearer key", "application/json", `{"n":1}`},
		{basic, Call{Method: "DELETE", Path: []string{"x"}}, "DELETE", "/x", "Basic bmFtZTp3b3Jk", "", ""},
	}
	for i, want := range calls {
		want.call.Does = "calling"
		want.call.Header = map[string]string{"Idempotency-Key": "k"}
		var got struct{ OK bool }
		if _, err := want.c.JSON(t.Context(), want.call, &got); err != nil || !got.OK {
			t.Fatalf("call %d: %v", i, err)
		}
		r := v.seen[i]
		for name, pair := range map[string][2]string{
			"method": {r.Method, want.method}, "URI": {r.RequestURI, want.uri}, "body": {v.body[i], want.sentBody},
			"authorization": {r.Header.Get("Authorization"), want.auth}, "content type": {r.Header.Get("Content-Type"), want.contentType},
			"agent": {r.Header.Get("User-Agent"), userAgent}, "key": {r.Header.Get("Idempotency-Key"), "k"},
			"encoding": {r.Header.Get("Accept-Encoding"), ""},
		} {
			if pair[0] != pair[1] {
				t.Errorf("call %d: %s is %q, want %q", i, name, pair[0], pair[1])
			}
		}
	}
	if got := v.seen[0].Header.Get("X-Version"); got != "3" {
		t.Errorf("the vendor's own header is %q", got)
	}
	if _, err := c.Do(t.Context(), Call{Does: "calling", Form: url.Values{}, JSON: 1}); err == nil || v.count() != len(calls) {
		t.Errorf("a call with two bodies was sent (%v)", err)
	}
}

func TestRefusalsHaveTheirKind(t *testing.T) {
	kinds := map[int]connector.Kind{
		301: connector.Invalid, 302: connector.Invalid, 307: connector.Invalid, 400: connector.Invalid, 401: connector.Unauthorized, 402: connector.Invalid,
		403: connector.Unauthorized, 404: connector.NotFound, 405: connector.Invalid, 408: connector.Unavailable, 409: connector.Invalid,
		410: connector.NotFound, 422: connector.Invalid, 425: connector.Unavailable, 429: connector.RateLimited, 500: connector.Unavailable,
		502: connector.Unavailable, 503: connector.Unavailable, 504: connector.Unavailable, 529: connector.Unavailable,
	}
	for status, kind := range kinds {
		v := newVendor(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Location", "https://login.elsewhere.example/")
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			io.WriteString(w, `{"message":"`+dsrtest.Ada.Email+`"}`)
		})
		c := client(t, v.URL, Options{})
		for _, call := range []Call{list(), remove()} {
			_, err := c.Do(t.Context(), call)
			e := failure(t, err, kind)
			if want := call.effect() && kind == connector.Unavailable; e.Sent != want {
				t.Errorf("%d to %s: sent is %v, want %v", status, call.Does, e.Sent, want)
			}
			if hint := kind == connector.RateLimited || kind == connector.Unavailable; (e.RetryAfter == 7*time.Second) != hint {
				t.Errorf("%d: retry after %s", status, e.RetryAfter)
			}
			if e.Op != call.Op {
				t.Errorf("%d: the error is about %q, want %q", status, e.Op, call.Op)
			}
		}
		if v.count() != 2 {
			t.Errorf("%d: the vendor was called %d times for two calls", status, v.count())
		}
	}
}

// failure checks an error's kind and that it holds nothing personal and no URL.
func failure(t *testing.T, err error, kind connector.Kind) *connector.Error {
	t.Helper()
	var e *connector.Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is %v, want %s", err, kind)
	}
	if e.Kind != kind {
		t.Errorf("the kind is %s, want %s (%v)", e.Kind, kind, err)
	}
	text := strings.ToLower(err.Error())
	for _, never := range append(dsrtest.Canaries(), url.QueryEscape(dsrtest.Ada.Email), "http:", "https:", "127.0.0.1", "records/", "<html") {
		if strings.Contains(text, strings.ToLower(never)) {
			t.Errorf("the error tells %q: %v", never, err)
		}
	}
	return e
}

func TestRefineSeesTheBody(t *testing.T) {
	refine := func(status int, body []byte) Verdict {
		if status == 404 && bytes.Contains(body, []byte("busy")) {
			return Verdict{Kind: connector.Unavailable, Word: "busy"}
		}
		return Verdict{}
	}
	for name, c := range map[string]struct {
		contentType string
		kind        connector.Kind
		says        string
	}{
		"JSON":    {"application/json; charset=utf-8", connector.Unavailable, "404 busy"},
		"no JSON": {"text/plain", connector.NotFound, "404"},
	} {
		v := newVendor(t, answer(404, c.contentType, `{"code":"busy"}`))
		_, err := client(t, v.URL, Options{Refine: refine}).Do(t.Context(), list())
		failure(t, err, c.kind)
		if !strings.HasSuffix(err.Error(), c.says) {
			t.Errorf("%s: the error is %q, want it to end in %q", name, err, c.says)
		}
	}
}

// TestAnswersAreStrict: what is not the promised answer, whole, is an error,
// and after a write an unknown effect.
func TestAnswersAreStrict(t *testing.T) {
	half := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "40")
		io.WriteString(w, `{"ok":tr`)
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	chunked := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"ok":true}`)
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	packed := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		answer(200, "application/json", "\x1f\x8b\x08\x00")(w, nil)
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		kind   connector.Kind // "" is accepted
	}{
		"JSON":                    {answer(200, "application/json", `{"ok":true}`), ""},
		"JSON of a vendor's type": {answer(201, "application/vnd.vendor+json;charset=UTF-8", ` {"ok":true,"more":1} `), ""},
		"HTML":                    {answer(200, "text/html", "<html>"+dsrtest.Ada.Email+"</html>"), connector.Invalid},
		"HTML called JSON":        {answer(200, "application/json", "<html>"+dsrtest.Ada.Email+"</html>"), connector.Invalid},
		"JSON called text":        {answer(200, "text/plain", `{"ok":true}`), connector.Invalid},
		"another charset":         {answer(200, "application/json; charset=utf-16", `{"ok":true}`), connector.Invalid},
		"no type":                 {answer(200, "", `{"ok":true}`), connector.Invalid},
		"nothing":                 {answer(200, "application/json", ""), connector.Unavailable},
		"white space":             {answer(200, "application/json", "\n "), connector.Unavailable},
		"no content":              {answer(204, "application/json", ""), connector.Unavailable},
		"half, by its length":     {half, connector.Unavailable},
		"half, by its chunks":     {chunked, connector.Unavailable},
		"half, by its form":       {answer(200, "application/json", `{"ok":tr`), connector.Unavailable},
		"two values":              {answer(200, "application/json", `{"ok":true}{"ok":false}`), connector.Invalid},
		"a list":                  {answer(200, "application/json", `[{"ok":true}]`), connector.Invalid},
		"a text for a boolean":    {answer(200, "application/json", `{"ok":"`+dsrtest.Ada.Email+`"}`), connector.Invalid},
		"broken UTF-8":            {answer(200, "application/json", "{\"ok\":true,\"s\":\"\xff\"}"), connector.Invalid},
		"packed":                  {packed, connector.Invalid},
		"too much":                {answer(200, "application/json", `{"s":"`+strings.Repeat("a", 1<<10)+`"}`), connector.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t, c.answer)
			cl := client(t, v.URL, Options{MaxBytes: 1 << 10})
			for _, call := range []Call{list(), remove()} {
				var got struct{ OK bool }
				_, err := cl.JSON(t.Context(), call, &got)
				if c.kind == "" {
					if err != nil || !got.OK {
						t.Errorf("refused: %v", err)
					}
					continue
				}
				if e := failure(t, err, c.kind); e.Sent != call.effect() {
					t.Errorf("%s: sent is %v", call.Does, e.Sent)
				}
			}
			if v.count() != 2 {
				t.Errorf("the vendor was called %d times for two calls", v.count())
			}
		})
	}
}

func TestLostAnswers(t *testing.T) {
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	search := Call{Op: dsr.Locate, Does: "searching", Method: http.MethodPost, Path: []string{"search"}, JSON: 1, Reads: true}
	for name, a := range map[string]http.HandlerFunc{"reset": abort, "no answer": hang} {
		v := newVendor(t, a)
		c := client(t, v.URL, Options{Timeout: 50 * time.Millisecond})
		for _, call := range []Call{list(), remove(), search} {
			_, err := c.Do(t.Context(), call)
			if e := failure(t, err, connector.Unavailable); e.Sent != call.effect() {
				t.Errorf("%s, %s: sent is %v", name, call.Does, e.Sent)
			}
		}
		if v.count() != 3 {
			t.Errorf("%s: the vendor was called %d times for three calls", name, v.count())
		}
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	_, err := client(t, closed.URL, Options{}).Do(t.Context(), remove())
	if e := failure(t, err, connector.Unavailable); e.Sent {
		t.Error("no connection: the call is said to be sent")
	}
}

// TestSendsOnce: net/http would send again, by itself, what fails on a kept
// connection: reads, and writes with an idempotency key.
func TestSendsOnce(t *testing.T) {
	for _, call := range []Call{list(), remove(), {Op: dsr.Erase, Does: "detaching", Method: http.MethodPost, Path: []string{"x"}, Header: map[string]string{"Idempotency-Key": "k"}}} {
		var first sync.Once
		v := newVendor(t, func(w http.ResponseWriter, r *http.Request) {
			broken := true
			first.Do(func() { broken = false })
			if broken {
				panic(http.ErrAbortHandler)
			}
			answer(200, "application/json", `{}`)(w, r)
		})
		c := client(t, v.URL, Options{})
		if _, err := c.Do(t.Context(), list()); err != nil {
			t.Fatal(err)
		}
		_, err := c.Do(t.Context(), call)
		failure(t, err, connector.Unavailable)
		if v.count() != 2 {
			t.Errorf("%s: the vendor saw it %d times", call.Does, v.count()-1)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := newVendor(t, answer(200, "application/json", `{}`))
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{elsewhere.URL, "/v1/other", "http://169.254.169.254/latest/meta-data"} {
			v := newVendor(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", location)
				w.WriteHeader(status)
			})
			_, err := client(t, v.URL, Options{}).Do(t.Context(), list())
			failure(t, err, connector.Invalid)
			if v.count() != 1 {
				t.Errorf("%d to %s: the vendor was called %d times", status, location, v.count())
			}
		}
	}
	if n := elsewhere.count(); n > 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

func TestCancelled(t *testing.T) {
	v := newVendor(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := client(t, v.URL, Options{})
	_, err := c.Do(ctx, remove())
	if e := failure(t, err, connector.Unavailable); e.Sent || !errors.Is(err, context.Canceled) || v.count() != 0 {
		t.Errorf("cancelled before: sent %v, %d calls, %v", e.Sent, v.count(), err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		for v.count() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err = c.Do(ctx, remove())
	if e := failure(t, err, connector.Unavailable); !e.Sent || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled meanwhile: sent %v, %v", e.Sent, err)
	}
}

// TestRateLimit: calls beyond the vendor's rate wait, and a wait that the
// caller's time does not allow sends nothing.
func TestRateLimit(t *testing.T) {
	v := newVendor(t, answer(200, "application/json", `{}`))
	c, err := New(connector.Config{BaseURL: v.URL, Emulator: true, Now: clock}, connector.Descriptor{PerSecond: 3}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c.limit.Limit() != 3 || c.limit.Burst() != 3 {
		t.Errorf("the limit is %v a second, %d at once; want 3 and 3", c.limit.Limit(), c.limit.Burst())
	}
	c.limit = rate.NewLimiter(rate.Every(time.Hour), 2)
	for range 2 {
		if _, err := c.Do(t.Context(), remove()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = c.Do(ctx, remove())
	if e := failure(t, err, connector.Unavailable); e.Sent || v.count() != 2 {
		t.Errorf("the call beyond the rate: sent is %v, the vendor saw %d calls", e.Sent, v.count())
	}
}

func TestReferences(t *testing.T) {
	for header, want := range map[string]string{
		"req_Ab-9": "req_Ab-9", "": "", "ada@learner.example": "", "a b": "", strings.Repeat("a", 81): "",
	} {
		v := newVendor(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Request-Id", header)
			answer(200, "application/json", `{}`)(w, r)
		})
		a, err := client(t, v.URL, Options{RequestIDHeader: "Request-Id"}).Do(t.Context(), list())
		if err != nil || a.RequestID != want || a.Status != 200 {
			t.Errorf("the reference of %d bytes became %q, want %q (%v)", len(header), a.RequestID, want, err)
		}
	}
}

func TestPathsDoNotClimb(t *testing.T) {
	v := newVendor(t, answer(200, "application/json", `{}`))
	c := client(t, v.URL, Options{})
	for _, id := range []string{"", ".", ".."} {
		_, err := c.Do(t.Context(), Call{Does: "reading", Path: []string{"v1", "records", id}})
		failure(t, err, connector.Invalid)
	}
	if n := v.count(); n > 0 {
		t.Errorf("%d such calls were sent", n)
	}
	for _, id := range []string{"a/../b", "%2e%2e", "a?b=c", "a#b", "ä"} {
		if _, err := c.Do(t.Context(), Call{Does: "reading", Path: []string{"v1", id}}); err != nil {
			t.Fatal(err)
		}
		if r := v.seen[v.count()-1]; r.URL.Path != "/v1/"+id || r.URL.RawQuery != "" {
			t.Errorf("the segment %q arrived as %q", id, r.URL)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 12 ": 12 * time.Second, "86401": 24 * time.Hour, strings.Repeat("9", 40): 24 * time.Hour,
		"-1": 0, "1.5": 0, "soon": 0, "7s": 0,
		now.Add(90 * time.Second).Format(http.TimeFormat):      90 * time.Second,
		now.Add(90 * time.Second).Format(time.RFC850):          90 * time.Second,
		now.Add(90 * time.Second).Format(time.ANSIC):           90 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):            0,
		now.Add(72 * time.Hour).Format(http.TimeFormat):        24 * time.Hour,
		now.Add(90 * time.Second).Format(time.RFC3339):         0,
		strconv.FormatInt(now.Add(time.Minute).Unix(), 10):     24 * time.Hour,
		"Sun, 22 Nov 2026 09:00:60 GMT":                        0,
		"Sun, 22 Nov 2026 09:00:30 GMT, and another thing too": 0,
	} {
		if got := RetryAfter(header, now); got != want {
			t.Errorf("%q is %s, want %s", header, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"7", "-1", "99999999999999999999", "Sun, 22 Nov 2026 09:01:30 GMT", "٣", "\x00", "0x10"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if d := RetryAfter(header, now); d < 0 || d > longestRetry {
			t.Errorf("%q is %s", header, d)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"data":[{"id":"a"}]}`, `{"data":`, `[]`, `null`, "{}{}", "\xff", strings.Repeat("[", 20000)} {
		f.Add("application/json", []byte(s))
	}
	f.Add("text/html", []byte("{}"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		var v any
		err := decode(contentType, body, &v)
		if err == nil {
			if !isJSON(contentType) {
				t.Errorf("%q was taken for JSON", contentType)
			}
			return
		}
		if kind := kindOfDecode(err); kind != connector.Invalid && kind != connector.Unavailable {
			t.Errorf("the kind is %s", kind)
		}
		if len(body) > 24 && strings.Contains(err.Error(), string(body[:24])) {
			t.Error("the error repeats the body")
		}
	})
}
