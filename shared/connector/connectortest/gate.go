package connectortest

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"
)

// gate stands between an HTTP driver and its vendor's fake: it is the driver's
// Config.Transport, notes every request with the host the driver meant, and
// acts out what a network and a vendor can do wrong. Nothing leaves the
// process; the server behind the base URL is there for a driver that goes round
// the transport, so that it is seen.
type gate struct {
	server *httptest.Server
	store  http.Handler

	mu       sync.Mutex
	requests []request
	fault    answer
	pages    map[string]page // path → first page, while pages repeat
	waiting  chan struct{}   // closed once a request hangs
	released chan struct{}   // closed to let hanging requests go
	once     sync.Once
}

// tooMany requests for one op are a loop; the gate ends it.
const tooMany = 2000

// request is what the driver sent. Its host is empty when it went round the
// transport.
type request struct {
	method, host, path, query string
}

func (r request) read() bool { return r.method == http.MethodGet || r.method == http.MethodHead }

// answer is a misbehaviour of the HTTP side.
type answer struct {
	mode   mode
	nth    int // only this request, counted from 1; 0 all
	writes bool
	status int
	header http.Header
	body   string
}

type mode int

const (
	honest      mode = iota
	instead          // status, header and body in place of the vendor's
	resetBefore      // connection broken, nothing done
	resetAfter       // done, then the connection broken
	halfBody         // the vendor's answer, cut in the middle
	firstPage        // every page of a list is the first one
	hang             // no answer until the caller gives up
)

func newGate(t testing.TB, store http.Handler) *gate {
	g := &gate{store: store, waiting: make(chan struct{}), released: make(chan struct{})}
	g.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.note(request{r.Method, "", r.URL.EscapedPath(), r.URL.RawQuery})
		g.store.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		g.release()
		g.server.Close()
	})
	return g
}

// misbehave arms a fault and forgets the requests so far.
func (g *gate) misbehave(a answer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fault, g.requests, g.pages = a, nil, map[string]page{}
}

// seen returns the requests since the last misbehave.
func (g *gate) seen() []request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]request(nil), g.requests...)
}

// release ends all requests that hang.
func (g *gate) release() { g.once.Do(func() { close(g.released) }) }

// note counts a request and returns the fault that meets it.
func (g *gate) note(r request) answer {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.requests = append(g.requests, r)
	n, a := len(g.requests), g.fault
	switch {
	case n > tooMany:
		return answer{mode: resetBefore}
	case a.nth != 0 && a.nth != n, a.writes && r.read():
		return answer{}
	}
	return a
}

var (
	errReset error = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	errCut         = io.ErrUnexpectedEOF
)

// RoundTrip answers for the vendor.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	sent := r.Clone(r.Context())
	sent.RequestURI, sent.Body = r.URL.RequestURI(), http.NoBody
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body.Close()
		sent.Body, sent.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	a := g.note(request{r.Method, r.URL.Host, r.URL.EscapedPath(), r.URL.RawQuery})
	switch a.mode {
	case instead:
		return page{a.status, a.header, []byte(a.body)}.response(r), nil
	case resetBefore:
		return nil, errReset
	case resetAfter:
		g.vendor(sent)
		return nil, errReset
	case halfBody:
		rec, ok := g.vendor(sent)
		if !ok {
			return nil, errReset
		}
		resp, body := response(r, rec), rec.Body.Bytes()
		resp.ContentLength = int64(len(body))
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), cutting{}))
		return resp, nil
	case firstPage:
		return g.repeat(r, sent)
	case hang:
		return g.hang(r)
	}
	rec, ok := g.vendor(sent)
	if !ok {
		return nil, errReset
	}
	return response(r, rec), nil
}

// vendor asks the fake. It reports false when the fake breaks the connection,
// as a handler does by panicking with http.ErrAbortHandler.
func (g *gate) vendor(r *http.Request) (rec *httptest.ResponseRecorder, ok bool) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			panic(p)
		}
	}()
	rec = httptest.NewRecorder()
	g.store.ServeHTTP(rec, r)
	return rec, true
}

func response(r *http.Request, rec *httptest.ResponseRecorder) *http.Response {
	resp := rec.Result()
	resp.Request = r
	return resp
}

// cutting is the end of a body that breaks off.
type cutting struct{}

func (cutting) Read([]byte) (int, error) { return 0, errCut }

// repeat answers each list by its first page for ever, as a vendor does that
// ignores the paging parameter.
func (g *gate) repeat(r, sent *http.Request) (*http.Response, error) {
	key := r.URL.EscapedPath()
	g.mu.Lock()
	first, again := g.pages[key]
	g.mu.Unlock()
	if again && r.Method == http.MethodGet && r.URL.RawQuery != "" {
		return first.response(r), nil
	}
	rec, ok := g.vendor(sent)
	if !ok {
		return nil, errReset
	}
	first = page{rec.Code, rec.Header(), rec.Body.Bytes()}
	g.mu.Lock()
	g.pages[key] = first
	g.mu.Unlock()
	return first.response(r), nil
}

// page is an answer to give more than once.
type page struct {
	status int
	header http.Header
	body   []byte
}

func (p page) response(r *http.Request) *http.Response {
	rec := httptest.NewRecorder()
	for k, v := range p.header {
		rec.Header()[k] = v
	}
	rec.WriteHeader(p.status)
	rec.Write(p.body)
	return response(r, rec)
}

// hang gives no answer until the caller gives up or the law does.
func (g *gate) hang(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	select {
	case <-g.waiting:
	default:
		close(g.waiting)
	}
	g.mu.Unlock()
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-g.released:
		return nil, errReset
	}
}
