// Package reference holds a small vendor and a small driver that the
// conformance kit is tried on: right by default, with one bug per law to switch
// on.
package reference

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/writ-dsr/writ/shared/connector/connectortest"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// pageSize of every list of the vendor.
const pageSize = 3

// item is one object of the vendor: a profile, a note or an invoice.
type item struct {
	ID      string            `json:"id"`
	Profile string            `json:"profile,omitempty"`
	Fields  map[string]string `json:"fields"`
	kind    string
	owner   string
	trashed bool
}

// Fake is the vendor. Its search is loose, as vendors' searches are: it matches
// without regard to case, by prefix, and in the free fields too.
type Fake struct {
	mu         sync.Mutex
	items      []*item
	suppressed []string // hash of an address, once per call that set it
	keys       map[string]bool
	jobs       map[string][]string // job → ids still to erase
	jobsMade   int
	fault      connectortest.Fault
}

// NewFake returns an empty vendor.
func NewFake() *Fake { return &Fake{keys: map[string]bool{}, jobs: map[string][]string{}} }

// Seed adds a profile, seven notes and one in the trash, and two invoices.
func (f *Fake) Seed(p dsrtest.Person) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := "p" + strconv.Itoa(len(f.items)+1)
	add := func(kind string, trashed bool, fields map[string]string) {
		it := &item{ID: kind[:1] + strconv.Itoa(len(f.items)+1), Profile: id, Fields: fields, kind: kind, owner: p.Email, trashed: trashed}
		if kind == "profile" {
			it.ID, it.Profile = id, ""
		}
		f.items = append(f.items, it)
	}
	add("profile", false, map[string]string{"email": p.Email, "name": p.Name, "phone": p.Phone, "city": p.City})
	for n := range 7 {
		add("note", false, map[string]string{"text": fmt.Sprintf("lesson %d of %s", n, p.Name)})
	}
	add("note", true, map[string]string{"text": "thrown away by " + p.Name})
	for n := range 2 {
		add("invoice", false, map[string]string{"to": p.Name, "amount": strconv.Itoa(n + 10)})
	}
	return nil
}

// Annotate writes a free field of the profile.
func (f *Fake) Annotate(p dsrtest.Person, field, value string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, it := range f.items {
		if it.kind == "profile" && it.owner == p.Email {
			if _, taken := it.Fields[field]; taken {
				field = "free_" + field
			}
			it.Fields[field] = value
			return nil
		}
	}
	return connectortest.ErrCannot
}

// Records lists everything, and the suppression list as nobody's.
func (f *Fake) Records() ([]connectortest.Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []connectortest.Record
	for _, it := range f.items {
		all = append(all, connectortest.Record{Owner: it.owner, Category: it.kind, ID: it.ID, Hidden: it.trashed, Fields: maps.Clone(it.Fields)})
	}
	for _, hash := range f.suppressed {
		all = append(all, connectortest.Record{Category: "suppression", ID: hash})
	}
	return all, nil
}

// Inject arms a fault.
func (f *Fake) Inject(fault connectortest.Fault) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
	return nil
}

// Suppressed reports whether p is on the suppression list.
func (f *Fake) Suppressed(p dsrtest.Person) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.suppressed, hash(p.Email))
}

// FinishJobs erases what the jobs in progress are to erase.
func (f *Fake) FinishJobs() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for job, ids := range f.jobs {
		f.items = slices.DeleteFunc(f.items, func(it *item) bool {
			it.trashed = it.trashed || f.fault == connectortest.SoftDelete && it.kind == "note" && slices.Contains(ids, it.ID)
			return f.fault == connectortest.NoFault && slices.Contains(ids, it.ID)
		})
		f.jobs[job] = nil
	}
}

// ServeHTTP answers as the vendor does.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body map[string]string
	if r.ContentLength > 0 {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, `{"error":{"code":"bad_body"}}`, http.StatusBadRequest)
			return
		}
	}
	status, answer := f.answer(r.Method, r.URL, r.Header.Get("Idempotency-Key"), body)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(answer)
}

type page struct {
	Data []*item `json:"data"`
	Next string  `json:"next,omitempty"`
}

var absent = map[string]any{"error": map[string]string{"code": "absent"}}

// answer is the vendor's logic, whatever the transport: a status and JSON.
func (f *Fake) answer(method string, u *url.URL, key string, body map[string]string) (int, []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	status, v := f.route(method, u, key, body)
	text, err := json.Marshal(v)
	if err != nil {
		return http.StatusInternalServerError, nil
	}
	return status, text
}

func (f *Fake) route(method string, u *url.URL, key string, body map[string]string) (int, any) {
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	switch {
	case method == http.MethodGet && parts[0] == "profiles" && len(parts) == 1:
		return f.list(u, func(it *item) bool { return it.kind == "profile" && f.matches(it, u.Query().Get("email")) })
	case method == http.MethodGet && parts[0] == "profiles" && len(parts) == 3:
		kind, trash := strings.TrimSuffix(parts[2], "s"), u.Query().Get("trash") == "1"
		return f.list(u, func(it *item) bool { return it.kind == kind && it.Profile == parts[1] && it.trashed == trash })
	case method == http.MethodPost && parts[0] == "suppressions":
		if !f.keys[key] && f.fault != connectortest.IgnoreWrites {
			f.suppressed = append(f.suppressed, hash(body["email"]))
		}
		f.keys[key] = key != ""
		return http.StatusOK, map[string]any{"id": "s1"}
	case method == http.MethodDelete && parts[0] == "suppressions":
		f.suppressed = nil
		return http.StatusOK, map[string]any{"id": "s1"}
	case method == http.MethodPost && parts[0] == "erasures":
		f.jobsMade++
		job := "job" + strconv.Itoa(f.jobsMade)
		f.jobs[job] = strings.Split(body["ids"], ",")
		return http.StatusOK, map[string]any{"id": job}
	case method == http.MethodGet && parts[0] == "erasures":
		ids, known := f.jobs[parts[1]]
		if !known {
			return http.StatusNotFound, absent
		}
		return http.StatusOK, map[string]any{"id": parts[1], "running": ids != nil}
	}
	i := slices.IndexFunc(f.items, func(it *item) bool { return len(parts) == 2 && it.kind+"s" == parts[0] && it.ID == parts[1] })
	if i < 0 {
		return http.StatusNotFound, absent
	}
	return f.one(method, u, i, body)
}

// one acts on a single object.
func (f *Fake) one(method string, u *url.URL, i int, body map[string]string) (int, any) {
	it := f.items[i]
	deleted := map[string]any{"id": it.ID, "deleted": true}
	switch {
	case method == http.MethodGet:
		return http.StatusOK, it
	case f.fault == connectortest.IgnoreWrites:
		return http.StatusOK, deleted
	case method == http.MethodPatch:
		for field, value := range body {
			it.Fields[field] = value
		}
		return http.StatusOK, it
	case f.fault == connectortest.Partial && it.kind == "note":
		return http.StatusOK, map[string]any{"id": it.ID, "deleted": false}
	case it.kind == "note" && (u.Query().Get("purge") != "1" || f.fault == connectortest.SoftDelete):
		it.trashed = true
		return http.StatusOK, deleted
	}
	f.items = slices.Delete(f.items, i, i+1)
	return http.StatusOK, deleted
}

func (f *Fake) matches(it *item, q string) bool {
	q = strings.ToLower(q)
	for _, v := range it.Fields {
		if q != "" && strings.HasPrefix(strings.ToLower(v), q) {
			return true
		}
	}
	return false
}

func (f *Fake) list(u *url.URL, want func(*item) bool) (int, any) {
	all := []*item{}
	for _, it := range f.items {
		if want(it) {
			all = append(all, it)
		}
	}
	from := 0
	if after := u.Query().Get("after"); after != "" {
		from = slices.IndexFunc(all, func(it *item) bool { return it.ID == after }) + 1
	}
	end := min(from+pageSize, len(all))
	p := page{Data: all[from:end]}
	if end < len(all) {
		p.Next = all[end-1].ID
	}
	return http.StatusOK, p
}

func hash(email string) string {
	sum := sha256.Sum256([]byte(email))
	return hex.EncodeToString(sum[:])
}
