package connectortest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// gate stands between an HTTP driver and its vendor's fake: it records every
// request with the host the driver meant, and acts out what a network and a
// vendor can do wrong.
type gate struct {
	server *httptest.Server
	store  http.Handler

	mu       sync.Mutex
	requests []request
	fault    answer
	pages    map[string][]byte // path → first page, while pages repeat
	waiting  chan struct{}     // closed once a request hangs
	released chan struct{}     // closed to let hanging requests go
	once     sync.Once
}

// meantHost carries the host a driver asked for to the loopback server; a
// request without it went round Config.Transport.
const meantHost = "X-Conformance-Host"

// tooMany requests for one op are a loop; the gate ends it.
const tooMany = 2000

// request is what the driver sent.
type request struct {
	method, host, path, query string
}

func (r request) read() bool { return r.method == http.MethodGet || r.method == http.MethodHead }

func (r request) String() string { return r.method + " " + r.path }

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
	g := &gate{store: store, pages: map[string][]byte{}, waiting: make(chan struct{}), released: make(chan struct{})}
	g.server = httptest.NewServer(http.HandlerFunc(g.serve))
	t.Cleanup(func() {
		g.release()
		g.server.CloseClientConnections()
		g.server.Close()
	})
	return g
}

// RoundTrip notes the URL the driver asked for and sends the request to the
// fake, whatever its host: nothing leaves the machine.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	target, err := url.Parse(g.server.URL)
	if err != nil {
		return nil, err
	}
	sent := r.Clone(r.Context())
	sent.Header.Set(meantHost, r.URL.Host)
	sent.URL.Scheme, sent.URL.Host = target.Scheme, target.Host
	transport := &http.Transport{DisableKeepAlives: true, Proxy: nil}
	return transport.RoundTrip(sent)
}

// misbehave arms a fault and forgets the requests so far.
func (g *gate) misbehave(a answer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fault, g.requests, g.pages = a, nil, map[string][]byte{}
}

// seen returns the requests since the last misbehave.
func (g *gate) seen() []request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]request(nil), g.requests...)
}

func (g *gate) serve(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.requests = append(g.requests, request{r.Method, r.Header.Get(meantHost), r.URL.EscapedPath(), r.URL.RawQuery})
	a, n := g.fault, len(g.requests)
	g.mu.Unlock()
	r.Header.Del(meantHost)
	if n > tooMany {
		panic(http.ErrAbortHandler)
	}
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	if (a.nth != 0 && a.nth != n) || (a.writes && read) {
		a = answer{}
	}
	switch a.mode {
	case honest:
		g.store.ServeHTTP(w, r)
	case instead:
		for k, v := range a.header {
			w.Header()[k] = v
		}
		w.WriteHeader(a.status)
		fmt.Fprint(w, a.body)
	case resetBefore:
		panic(http.ErrAbortHandler)
	case resetAfter:
		g.store.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case halfBody:
		rec := httptest.NewRecorder()
		g.store.ServeHTTP(rec, r)
		body := rec.Body.Bytes()
		copyHeader(w.Header(), rec.Header())
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(rec.Code)
		w.Write(body[:len(body)/2])
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		panic(http.ErrAbortHandler)
	case firstPage:
		g.repeat(w, r, read)
	case hang:
		g.mu.Lock()
		select {
		case <-g.waiting:
		default:
			close(g.waiting)
		}
		g.mu.Unlock()
		io.Copy(io.Discard, r.Body) // only then does the server see that the caller left
		select {
		case <-r.Context().Done():
		case <-g.released:
			panic(http.ErrAbortHandler)
		}
	}
}

// release ends all requests that hang.
func (g *gate) release() { g.once.Do(func() { close(g.released) }) }

// repeat answers each list by its first page for ever, as a vendor does that
// ignores the paging parameter.
func (g *gate) repeat(w http.ResponseWriter, r *http.Request, read bool) {
	if !read {
		g.store.ServeHTTP(w, r)
		return
	}
	key := r.URL.EscapedPath()
	g.mu.Lock()
	body, again := g.pages[key]
	g.mu.Unlock()
	if again && strings.TrimSpace(r.URL.RawQuery) != "" {
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
		return
	}
	rec := httptest.NewRecorder()
	g.store.ServeHTTP(rec, r)
	g.mu.Lock()
	g.pages[key] = bytes.Clone(rec.Body.Bytes())
	g.mu.Unlock()
	copyHeader(w.Header(), rec.Header())
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
}

func copyHeader(to, from http.Header) {
	for k, v := range from {
		to[k] = v
	}
}
