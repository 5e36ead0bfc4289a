// Package rest is the small HTTP client all vendors share: authentication,
// bodies, the way from status to connector.Kind, strict answers, caps on size
// and time, a rate limit and the egress guard. It sends each call once and
// never retries: the machine does. Its errors hold no URL, no header and no
// text of the vendor.
package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// Caps of one call, where Options sets none.
const (
	defaultTimeout  = 20 * time.Second
	defaultMaxBytes = 8 << 20
	maxErrorBytes   = 64 << 10 // of an error's body, read only to classify it
)

const userAgent = "writ-dsr (+https://github.com/writ-dsr/writ)"

// Options is what a vendor adds to the system's connector.Config.
type Options struct {
	BaseURL         string            // the vendor's own, used when Config has no override
	Auth            Auth              // set on every call
	Header          map[string]string // set on every call, for example the API version
	RequestIDHeader string            // the answer's header that holds the vendor's reference
	Timeout         time.Duration     // of one call, answer included; 20 s when zero
	MaxBytes        int64             // of one answer; 8 MiB when zero

	// Refine reads the body of a refusal and returns a better Kind than the
	// status gives, and a word for the error text. The word must come from the
	// vendor package's own list: the body is not ours to repeat. A zero Verdict
	// keeps the Kind of the status.
	Refine func(status int, body []byte) Verdict
}

// Verdict is what Refine makes of a refusal.
type Verdict struct {
	Kind connector.Kind
	Word string
}

// Auth sets the credential on a request.
type Auth func(*http.Request)

// Bearer authenticates by a token.
func Bearer(token string) Auth {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// Basic authenticates by name and password.
func Basic(name, password string) Auth {
	return func(r *http.Request) { r.SetBasicAuth(name, password) }
}

// Client calls one vendor for one system.
type Client struct {
	base     *url.URL
	http     *http.Client
	limit    *rate.Limiter
	now      func() time.Time
	untraced bool // Config.Transport may not report connections: each call counts as sent
	o        Options
}

// New returns the client of one system. Its base URL must be https and name a
// host of the descriptor; in the emulator it may be http and loopback instead.
func New(cfg connector.Config, d connector.Descriptor, o Options) (*Client, error) {
	raw := o.BaseURL
	if cfg.BaseURL != "" {
		raw = cfg.BaseURL
	}
	base, err := baseURL(raw, d.Hosts, cfg.Emulator)
	if err != nil {
		return nil, &connector.Error{Kind: connector.Invalid, Err: fmt.Errorf("reading the base URL of system %q: %w", cfg.System, err)}
	}
	if cfg.Now == nil {
		return nil, &connector.Error{Kind: connector.Invalid, Err: fmt.Errorf("binding system %q: its configuration has no clock", cfg.System)}
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	c := &Client{base: base, now: cfg.Now, o: o, untraced: cfg.Transport != nil, limit: rate.NewLimiter(rate.Inf, 1)}
	if d.PerSecond > 0 && cfg.Transport == nil { // behind a test's transport nobody needs sparing
		c.limit = rate.NewLimiter(rate.Limit(d.PerSecond), d.PerSecond)
	}
	transport := cfg.Transport
	if transport == nil {
		transport = newTransport(guard{emulator: cfg.Emulator})
	}
	c.http = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Call is one request to the vendor.
type Call struct {
	Op     dsr.Op
	Does   string            // what it does, for errors: "listing customers"
	Method string            // GET when empty
	Path   []string          // segments below the base URL, each escaped here
	Query  url.Values        //
	Form   url.Values        // body, form-encoded
	JSON   any               // body, as JSON
	Header map[string]string // for example an idempotency key
	Reads  bool              // a POST that only searches: it has no effect to be unsure of
}

// effect reports whether the call may change something at the vendor.
func (c Call) effect() bool { return !c.Reads && c.Method != "" && c.Method != http.MethodGet }

// Answer is the vendor's complete answer to a call that succeeded.
type Answer struct {
	Status    int
	RequestID string // the vendor's reference, "" when it has an unexpected form
	Body      []byte
}

// JSON sends the call and decodes the answer into into, strictly as to type
// and completeness; fields that into lacks are ignored, as vendors add them.
func (c *Client) JSON(ctx context.Context, call Call, into any) (Answer, error) {
	a, contentType, err := c.send(ctx, call)
	if err != nil {
		return Answer{}, err
	}
	if err := decode(contentType, a.Body, into); err != nil {
		return Answer{}, c.fail(call, kindOfDecode(err), call.effect(), err)
	}
	return a, nil
}

// Do sends the call and returns the answer as it came.
func (c *Client) Do(ctx context.Context, call Call) (Answer, error) {
	a, _, err := c.send(ctx, call)
	return a, err
}

func (c *Client) send(ctx context.Context, call Call) (Answer, string, error) {
	if err := c.wait(ctx, call); err != nil {
		return Answer{}, "", err
	}
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	var connected atomic.Bool
	sent := func() bool { return c.untraced || connected.Load() }
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// net/http sends some requests again on its own when a kept connection
		// turns out to be closed; once bytes may have left, it must not.
		GetConn: func(string) {
			if connected.Load() {
				cancel()
			}
		},
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	req, err := c.request(ctx, call)
	if err != nil {
		return Answer{}, "", c.fail(call, connector.Invalid, false, err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		kind, cause := networkCause(parent, err, c.o.Timeout)
		return Answer{}, "", c.fail(call, kind, call.effect() && sent(), cause)
	}
	defer res.Body.Close() //nolint:errcheck // read-only: nothing is lost
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return Answer{}, "", c.refusal(call, res)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, c.o.MaxBytes+1))
	if err != nil {
		kind, cause := networkCause(parent, err, c.o.Timeout)
		return Answer{}, "", c.fail(call, kind, call.effect(), cause)
	}
	if int64(len(body)) > c.o.MaxBytes {
		return Answer{}, "", c.fail(call, connector.Invalid, call.effect(), fmt.Errorf("the answer is larger than %d bytes", c.o.MaxBytes))
	}
	return Answer{Status: res.StatusCode, RequestID: c.requestID(res), Body: body}, res.Header.Get("Content-Type"), nil
}

// wait holds the call back to the vendor's rate.
func (c *Client) wait(ctx context.Context, call Call) error {
	if err := ctx.Err(); err != nil {
		return c.fail(call, connector.Unavailable, false, err)
	}
	r := c.limit.Reserve()
	delay := r.Delay()
	if delay == 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		r.Cancel()
		return c.fail(call, connector.Unavailable, false, ctx.Err())
	}
}

func (c *Client) request(ctx context.Context, call Call) (*http.Request, error) {
	target, err := join(c.base, call.Path)
	if err != nil {
		return nil, err
	}
	target.RawQuery = call.Query.Encode()
	method := call.Method
	if method == "" {
		method = http.MethodGet
	}
	var body []byte
	contentType := ""
	switch {
	case call.Form != nil && call.JSON != nil:
		return nil, errors.New("the call has two bodies")
	case call.Form != nil:
		body, contentType = []byte(call.Form.Encode()), "application/x-www-form-urlencoded"
	case call.JSON != nil:
		if body, err = json.Marshal(call.JSON); err != nil {
			return nil, errors.New("the call's body cannot be written as JSON")
		}
		contentType = "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the call is not a well-formed request")
	}
	req.GetBody = nil // a body that cannot be read twice is never sent twice
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Accept", "application/json")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for _, set := range []map[string]string{c.o.Header, call.Header} {
		for name, value := range set {
			req.Header.Set(name, value)
		}
	}
	if c.o.Auth != nil {
		c.o.Auth(req)
	}
	return req, nil
}

// refusal turns an answer that is no success into the driver's error.
func (c *Client) refusal(call Call, res *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBytes)) // what is missing only makes the error less exact
	kind := KindOfStatus(res.StatusCode)
	cause := fmt.Errorf("the vendor answered %d", res.StatusCode)
	if c.o.Refine != nil && isJSON(res.Header.Get("Content-Type")) {
		v := c.o.Refine(res.StatusCode, body)
		if v.Kind != "" {
			kind = v.Kind
		}
		if v.Word != "" {
			cause = fmt.Errorf("the vendor answered %d %s", res.StatusCode, v.Word)
		}
	}
	// A gateway's 5xx may follow an effect that took place.
	err := c.fail(call, kind, call.effect() && kind == connector.Unavailable, cause)
	if kind == connector.RateLimited || kind == connector.Unavailable {
		err.RetryAfter = RetryAfter(res.Header.Get("Retry-After"), c.now())
	}
	return err
}

func (c *Client) fail(call Call, kind connector.Kind, sent bool, cause error) *connector.Error {
	return &connector.Error{Kind: kind, Op: call.Op, Sent: sent, Err: fmt.Errorf("%s: %w", call.Does, cause)}
}

var reference = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// requestID returns the vendor's reference, kept only in a form that cannot
// carry anything else into the ledger.
func (c *Client) requestID(res *http.Response) string {
	id := res.Header.Get(c.o.RequestIDHeader)
	if !reference.MatchString(id) {
		return ""
	}
	return id
}

// join appends escaped segments to the base URL. A segment that would climb or
// vanish is refused: ids come from vendors.
func join(base *url.URL, segments []string) (*url.URL, error) {
	path, raw := strings.TrimSuffix(base.Path, "/"), strings.TrimSuffix(base.EscapedPath(), "/")
	for _, s := range segments {
		if s == "" || s == "." || s == ".." {
			return nil, errors.New("a segment of the path is empty or climbs")
		}
		path += "/" + s
		raw += "/" + url.PathEscape(s)
	}
	target := *base
	target.Path, target.RawPath = path, raw
	return &target, nil
}
