package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// recorder stands between the functions and the emulator and counts, in the
// units AWS bills, what passes.
type recorder struct {
	prices *priceTable
	proxy  http.Handler

	mu       sync.Mutex
	on       bool
	calls    map[string]int // by "<service> <operation>"
	units    units
	capacity capacity
	errs     []error
}

// newRecorder returns a recorder that counts nothing yet.
func newRecorder(prices *priceTable, emulator *url.URL) *recorder {
	r := &recorder{prices: prices, calls: map[string]int{}, units: units{}}
	r.capacity.items = map[string]stored{}
	r.proxy = &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(emulator)
			p.Out.Host = p.In.Host // it is signed
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
	}
	return r
}

// begin counts from here on. Keys are the primary keys of the stack's tables.
func (r *recorder) begin(keys map[string][]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on, r.capacity.keys = true, keys
}

// end returns what was counted since begin.
func (r *recorder) end() (map[string]int, units, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = false
	return r.calls, r.units, errors.Join(r.errs...)
}

func (r *recorder) counting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.on
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !r.counting() {
		r.proxy.ServeHTTP(w, req)
		return
	}
	service := serviceOf(req)
	var body []byte
	if service != "s3" {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	operation := operationOf(service, req, body)
	if service != "dynamodb" {
		r.proxy.ServeHTTP(w, req)
		r.count(service, operation, nil, nil)
		return
	}
	kept := &keeper{ResponseWriter: w}
	r.proxy.ServeHTTP(kept, req)
	r.count(service, operation, body, kept.body.Bytes())
}

// count adds one call.
func (r *recorder) count(service, operation string, request, response []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := service + " " + operation
	unit, err := r.prices.unit(name)
	n := 1.0
	if err == nil && service == "dynamodb" {
		n, err = r.capacity.count(operation, request, response)
	}
	if err != nil {
		r.errs = append(r.errs, err)
		return
	}
	r.calls[name]++
	r.units[unit] += n
}

// keeper passes an answer on and keeps its body.
type keeper struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (k *keeper) Write(p []byte) (int, error) {
	k.body.Write(p)
	return k.ResponseWriter.Write(p)
}

// Unwrap lets the proxy flush.
func (k *keeper) Unwrap() http.ResponseWriter { return k.ResponseWriter }

// scope is the credential scope of a signature: …/<date>/<region>/<service>/aws4_request.
var scope = regexp.MustCompile(`/\d{8}/[a-z0-9-]+/([a-z0-9-]+)/aws4_request`)

// serviceOf reads the service from the signature; a form that a browser posts to
// object storage is signed in its body, and nothing else comes unsigned.
func serviceOf(req *http.Request) string {
	signed := req.Header.Get("Authorization")
	if signed == "" {
		signed = "/" + req.URL.Query().Get("X-Amz-Credential")
	}
	found := scope.FindStringSubmatch(signed)
	switch {
	case found != nil:
		return found[1]
	case strings.HasPrefix(req.Header.Get("Content-Type"), "multipart/form-data"):
		return "s3"
	}
	return "unsigned"
}

// operationOf names the call as prices.toml does.
func operationOf(service string, req *http.Request, body []byte) string {
	if target := req.Header.Get("X-Amz-Target"); target != "" {
		_, operation, _ := strings.Cut(target, ".")
		return operation
	}
	if service == "s3" {
		return storageClass(req)
	}
	if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") != "" {
		return form.Get("Action")
	}
	return fmt.Sprintf("%s %s", req.Method, req.URL.Path)
}

// storageClass is how object storage bills: listings cost as writes do.
func storageClass(req *http.Request) string {
	q := req.URL.Query()
	bucketOnly := strings.Count(strings.Trim(req.URL.Path, "/"), "/") == 0
	if req.Method == http.MethodGet && (q.Has("list-type") || q.Has("versions") || q.Has("uploads") || q.Has("uploadId") || (bucketOnly && len(q) == 0)) {
		return "LIST"
	}
	return req.Method
}
