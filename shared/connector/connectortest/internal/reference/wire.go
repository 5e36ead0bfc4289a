package reference

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/connectortest"
)

// call is one call of the vendor.
type call struct {
	method, target, key string
	body                map[string]string
}

// wire sends a call: over HTTP, or straight into the fake.
type wire func(ctx context.Context, c call, into any) error

func fault(kind connector.Kind, sent bool, why string) error {
	return &connector.Error{Kind: kind, Sent: sent, Err: errors.New(why)}
}

// overHTTP is the wire of the HTTP suite.
func (d *Driver) overHTTP(cfg connector.Config) wire {
	base := cfg.BaseURL
	if base == "" {
		base = "http://api.reference.example"
		if d.has(BugOtherHost) {
			base = "http://metrics.elsewhere.example"
		}
	}
	client := &http.Client{Transport: cfg.Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		if d.has(BugFollowsRedirect) {
			return nil
		}
		return http.ErrUseLastResponse
	}}
	return func(ctx context.Context, c call, into any) error {
		if d.has(BugIgnoresCancel) {
			ctx = context.WithoutCancel(ctx)
		}
		var body io.Reader = http.NoBody
		if c.body != nil {
			text, err := json.Marshal(c.body)
			if err != nil {
				return fault(connector.Invalid, false, "writing a call: its body is no JSON")
			}
			body = strings.NewReader(string(text))
		}
		r, err := http.NewRequestWithContext(ctx, c.method, base+c.target, body)
		if err != nil {
			return fault(connector.Invalid, false, "writing a call: its address is no URL")
		}
		r.Header.Set("Idempotency-Key", c.key)
		write := c.method != http.MethodGet
		resp, err := client.Do(r)
		if err != nil {
			if d.has(BugErrorNamesURL) {
				return &connector.Error{Kind: connector.Unavailable, Sent: write, Err: err}
			}
			return fault(connector.Unavailable, write && !d.has(BugNeverSent), "the connection broke")
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return fault(connector.Unavailable, write && !d.has(BugNeverSent), "the answer broke off")
		}
		return d.read(resp, text, into, cfg.Now(), write)
	}
}

// read turns an answer into a value or a fault.
func (d *Driver) read(resp *http.Response, text []byte, into any, now time.Time, write bool) error {
	why := "status " + strconv.Itoa(resp.StatusCode)
	if d.has(BugErrorHasBody) {
		why += ": " + string(text)
	}
	switch code := resp.StatusCode; {
	case code == http.StatusForbidden && d.has(BugForbiddenIsInvalid):
		return fault(connector.Invalid, false, why)
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fault(connector.Unauthorized, false, why)
	case code == http.StatusNotFound:
		return fault(connector.NotFound, false, why)
	case code == http.StatusTooManyRequests:
		e := &connector.Error{Kind: connector.RateLimited, Err: errors.New(why)}
		after := resp.Header.Get("Retry-After")
		if seconds, err := strconv.Atoi(after); err == nil {
			e.RetryAfter = time.Duration(seconds) * time.Second
		} else if at, err := http.ParseTime(after); err == nil && !d.has(BugIgnoresRetryDate) {
			e.RetryAfter = at.Sub(now)
		}
		return e
	case code >= 500:
		return fault(connector.Unavailable, write, why)
	case code != http.StatusOK:
		return fault(connector.Invalid, false, why)
	}
	return d.decode(text, into)
}

// decode reads an answer that must hold what the call promises.
func (d *Driver) decode(text []byte, into any) error {
	err := json.Unmarshal(text, into)
	if c, ok := into.(interface{ complete() bool }); err == nil && ok && !c.complete() {
		err = errors.New("incomplete")
	}
	if err != nil && !d.has(BugNonsenseIsEmpty) {
		return fault(connector.Invalid, false, "the answer is not what the call promises")
	}
	return nil
}

// straight is the wire of the Direct suite: the fake's faults become kinds.
func (d *Driver) straight(f *Fake) wire {
	return func(ctx context.Context, c call, into any) error {
		if err := ctx.Err(); err != nil && !d.has(BugIgnoresCancel) {
			return &connector.Error{Kind: connector.Unavailable, Err: err}
		}
		write := c.method != http.MethodGet
		switch f.fault {
		case connectortest.Refused:
			return fault(connector.Unauthorized, false, "refused")
		case connectortest.Throttled:
			if d.has(BugThrottledIsDown) {
				return fault(connector.Unavailable, false, "slow down")
			}
			return fault(connector.RateLimited, false, "slow down")
		case connectortest.Down:
			return fault(connector.Unavailable, false, "no network")
		}
		u, err := url.Parse(c.target)
		if err != nil {
			return fault(connector.Invalid, false, "writing a call: its address is no URL")
		}
		status, text := f.answer(c.method, u, c.key, c.body)
		if write && f.fault == connectortest.LoseAnswer {
			return fault(connector.Unavailable, !d.has(BugNeverSent), "the connection broke")
		}
		switch status {
		case http.StatusOK:
			return d.decode(text, into)
		case http.StatusNotFound:
			return fault(connector.NotFound, false, "absent")
		}
		return fault(connector.Invalid, false, "status "+strconv.Itoa(status))
	}
}
