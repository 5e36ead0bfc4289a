package stripefake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// Mode is a way the fake can misbehave.
type Mode string

// The modes. Each one is asked for by Fault.Mode.
const (
	Status     Mode = "status"      // refuse with Fault.Status before any effect
	DropBefore Mode = "drop_before" // break the connection, nothing done
	DropAfter  Mode = "drop_after"  // carry the request out, then break the connection
	HalfBody   Mode = "half_body"   // carry it out and send half of the answer
	HTML       Mode = "html"        // carry it out and answer 200 with a page
	RepeatPage Mode = "repeat_page" // answer each list by its first page for ever
	Ignore     Mode = "ignore"      // answer as if done and change nothing
	Swallow    Mode = "swallow"     // carry it out and never answer
	Slow       Mode = "slow"        // answer after Fault.DelayMS
)

var modes = []Mode{Status, DropBefore, DropAfter, HalfBody, HTML, RepeatPage, Ignore, Swallow, Slow}

// Fault misbehaves for the requests it matches. The first one that matches
// decides.
type Fault struct {
	Mode       Mode   `json:"mode"`
	Method     string `json:"method,omitempty"`      // "" matches all
	Path       string `json:"path,omitempty"`        // as path.Match: "/v1/customers/*"; "" matches all
	Status     int    `json:"status,omitempty"`      // of Status; 500 when zero
	RetryAfter string `json:"retry_after,omitempty"` // header of Status
	DelayMS    int    `json:"delay_ms,omitempty"`    // before anything else
	Skip       int    `json:"skip,omitempty"`        // matching requests to leave alone first
	Times      int    `json:"times,omitempty"`       // how many requests it meets; 0 all
}

// Request is one line of the fake's log.
type Request struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Query     string `json:"query,omitempty"`
	Status    int    `json:"status"` // 0 when no answer was sent
	RequestID string `json:"request_id"`
	Fault     Mode   `json:"fault,omitempty"`
}

// Inject adds a fault.
func (f *Fake) Inject(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, fault)
}

// Heal ends all faults.
func (f *Fake) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults, f.lastPage = nil, map[string][]byte{}
}

// Requests returns the log.
func (f *Fake) Requests() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log)
}

// ServeHTTP answers as Stripe does, or as the faults say.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.mux.ServeHTTP(w, r) }

// due takes the fault that meets a request, none when there is no such fault.
// The lock is held.
func (f *Fake) due(r *http.Request) Fault {
	for i := range f.faults {
		fault := &f.faults[i]
		if fault.Times < 0 || fault.Method != "" && fault.Method != r.Method {
			continue
		}
		if fault.Path != "" {
			if ok, err := path.Match(fault.Path, r.URL.Path); err != nil || !ok {
				continue
			}
		}
		if fault.Skip > 0 {
			fault.Skip--
			continue
		}
		met := *fault
		if fault.Times > 0 {
			if fault.Times--; fault.Times == 0 {
				fault.Times = -1 // spent
			}
		}
		return met
	}
	return Fault{}
}

// exchange runs one request under the lock and sends the answer.
func (f *Fake) exchange(w http.ResponseWriter, r *http.Request, do func(*call)) {
	f.mu.Lock()
	fault := f.due(r)
	f.mu.Unlock()
	if fault.DelayMS > 0 {
		select {
		case <-time.After(time.Duration(fault.DelayMS) * time.Millisecond):
		case <-r.Context().Done():
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.mu.Lock()
	f.served++
	c := &call{r: r, header: http.Header{}, idle: fault.Mode == Ignore}
	c.header.Set("Content-Type", "application/json")
	c.header.Set("Request-Id", fmt.Sprintf("req_Fake%010d", f.served))
	switch fault.Mode {
	case DropBefore:
	case Status:
		f.refusal(c, fault)
	default:
		do(c)
	}
	if fault.Mode == RepeatPage && r.Method == http.MethodGet && c.status == http.StatusOK {
		key := r.URL.Path
		if first, ok := f.lastPage[key]; ok {
			c.body = first
		}
		f.lastPage[key] = c.body
	}
	line := Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Status: c.status, RequestID: c.header.Get("Request-Id"), Fault: fault.Mode}
	if slices.Contains([]Mode{DropBefore, DropAfter, Swallow}, fault.Mode) {
		line.Status = 0
	}
	f.log = append(f.log, line)
	f.mu.Unlock()
	c.send(w, fault.Mode)
}

// refusal is the error object Stripe sends with a status.
func (f *Fake) refusal(c *call, fault Fault) {
	status, kind, code := fault.Status, "api_error", ""
	if status == 0 {
		status = http.StatusInternalServerError
	}
	switch {
	case status == http.StatusTooManyRequests:
		kind, code = "invalid_request_error", "rate_limit"
	case status == http.StatusNotFound:
		kind, code = "invalid_request_error", "resource_missing"
	case status == http.StatusConflict:
		kind, code = "idempotency_error", "idempotency_key_in_use"
	case status < 500:
		kind = "invalid_request_error"
	}
	if fault.RetryAfter != "" {
		c.header.Set("Retry-After", fault.RetryAfter)
	}
	c.refuse(status, kind, code, "", "Injected by the fake.")
}

func (c *call) send(w http.ResponseWriter, mode Mode) {
	body := c.body
	switch mode {
	case DropBefore, DropAfter:
		panic(http.ErrAbortHandler)
	case Swallow:
		<-c.r.Context().Done()
		panic(http.ErrAbortHandler)
	case HTML:
		c.header.Set("Content-Type", "text/html; charset=utf-8")
		body = []byte("<!doctype html><title>Down for maintenance</title>")
	}
	maps.Copy(w.Header(), c.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(c.status)
	if mode != HalfBody {
		w.Write(body) //nolint:errcheck // the client may be gone
		return
	}
	w.Write(body[:len(body)/2])           //nolint:errcheck // the client may be gone
	http.NewResponseController(w).Flush() //nolint:errcheck // the client may be gone
	panic(http.ErrAbortHandler)
}

// control is the demo's way to look and to misbehave over HTTP:
//
//	GET    /_fake/state     everything held, as Snapshot
//	GET    /_fake/requests  the log
//	POST   /_fake/people    {"name","email","phone","city"}: Seed
//	POST   /_fake/faults    a Fault
//	DELETE /_fake/faults    Heal
//	POST   /_fake/reset     Reset
func (f *Fake) control(w http.ResponseWriter, r *http.Request) {
	read := func(into any) bool {
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
		dec.DisallowUnknownFields()
		if err := dec.Decode(into); err != nil {
			http.Error(w, "the body is not what this path takes", http.StatusBadRequest)
			return false
		}
		return true
	}
	write := func(v any) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v) //nolint:errcheck // the client may be gone
	}
	switch r.Method + " " + strings.TrimPrefix(r.URL.Path, "/_fake") {
	case "GET /state":
		w.Header().Set("Content-Type", "application/json")
		w.Write(f.Snapshot()) //nolint:errcheck // the client may be gone
	case "GET /requests":
		write(f.Requests())
	case "POST /people":
		var p struct{ Name, Email, Phone, City string }
		if read(&p) {
			write(map[string]string{"customer": f.Seed(dsrtest.Person(p))})
		}
	case "POST /faults":
		var fault Fault
		switch {
		case !read(&fault):
		case !slices.Contains(modes, fault.Mode):
			http.Error(w, "the fault's mode is unknown", http.StatusBadRequest)
		default:
			f.Inject(fault)
			write(fault)
		}
	case "DELETE /faults":
		f.Heal()
		write(map[string]string{})
	case "POST /reset":
		f.Reset()
		write(map[string]string{})
	default:
		http.NotFound(w, r)
	}
}
