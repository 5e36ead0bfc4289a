// Package ledgertest is the one suite that every ledger passes: a subtest per
// rule of ledger.Store. A store's own test is the call of Run.
package ledgertest

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

// start is the instant at which every test begins. It has no fraction below a
// microsecond, so that events keep it exactly.
var start = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// Run runs the suite. The store may be shared by all subtests and may hold
// other records: every subtest works on requests and keys of its own.
func Run(t *testing.T, newStore func(t *testing.T) ledger.Store) {
	for _, group := range []struct {
		name  string
		tests map[string]func(*testing.T, ledger.Store)
	}{
		{"requests", requestRules},
		{"visits", visitRules},
		{"erasing", erasingRules},
		{"holds", holdRules},
		{"shelves", shelfRules},
		{"events", eventRules},
		{"tokens", tokenRules},
		{"identities", identityRules},
		{"properties", properties},
	} {
		t.Run(group.name, func(t *testing.T) {
			for name, test := range group.tests {
				t.Run(name, func(t *testing.T) { test(t, newStore(t)) })
			}
		})
	}
}

// newID returns a request id nobody else has, in the form dsr.ParseRequestID wants.
func newID() dsr.RequestID {
	return dsr.RequestID("w" + strings.ToLower(rand.Text())[:25])
}

// newKey returns a string nobody else has, in the place of a keyed hash.
func newKey() string { return "h1:" + rand.Text() }

// running is a verified request in its first run.
func running(id dsr.RequestID) ledger.Request {
	return ledger.Request{
		ID: id, Company: "example", Channel: "form", Status: dsr.Running,
		Rights: []dsr.Right{dsr.Access, dsr.Erasure}, Language: "en",
		Clock: []dsr.ClockEvent{{Kind: dsr.Received, At: start}},
		DueAt: start.AddDate(0, 1, 0), ProofDue: start.AddDate(0, 0, 3),
		Run: 1, VerifiedAt: start.Add(time.Minute),
	}
}

func received(id dsr.RequestID) dsr.Event {
	return dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: start}
}

func sealed(id dsr.RequestID) ledger.SealedSubject {
	return ledger.SealedSubject{RequestID: id, WrappedKey: []byte{0, 1, 2}, Ciphertext: []byte{255, 254, 253}}
}

// actVisit is a planned visit with a destructive op.
func actVisit(id dsr.RequestID, system string) dsr.Visit {
	return dsr.Visit{
		RequestID: id, System: system, Phase: dsr.Act, Wave: 1,
		Ops:        []dsr.Op{dsr.Suppress, dsr.Erase, dsr.ReadBack},
		Categories: []string{"account"}, Status: dsr.VisitPlanned,
	}
}

// create writes a request after the given changes.
func create(t testing.TB, s ledger.Store, changes ...func(*ledger.Request)) ledger.Request {
	t.Helper()
	id := newID()
	r := running(id)
	for _, change := range changes {
		change(&r)
	}
	must(t, s.CreateRequest(t.Context(), r, sealed(id), received(id)))
	return r
}

// plan writes one visit with a destructive op and returns it.
func plan(t testing.TB, s ledger.Store, id dsr.RequestID, system string) dsr.Visit {
	t.Helper()
	v := actVisit(id, system)
	must(t, s.PlanVisits(t.Context(), []dsr.Visit{v}))
	return v
}

// take leases a visit from start for a minute.
func take(t testing.TB, s ledger.Store, v dsr.Visit, run int) dsr.Visit {
	t.Helper()
	taken, err := s.TakeVisit(t.Context(), v.RequestID, v.Task(), run, start, start.Add(time.Minute))
	must(t, err)
	return taken
}

// change applies f to the stored request.
func change(t testing.TB, s ledger.Store, id dsr.RequestID, f func(*ledger.Request)) ledger.Request {
	t.Helper()
	r, err := ledger.Change(t.Context(), s, id, func(r *ledger.Request) error { f(r); return nil })
	must(t, err)
	return r
}

func request(t testing.TB, s ledger.Store, id dsr.RequestID) ledger.Request {
	t.Helper()
	r, err := s.Request(t.Context(), id)
	must(t, err)
	return r
}

func visit(t testing.TB, s ledger.Store, v dsr.Visit) dsr.Visit {
	t.Helper()
	stored, err := s.Visit(t.Context(), v.RequestID, v.Task())
	must(t, err)
	return stored
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

// same compares two records as they are stored.
func same(t testing.TB, what string, got, want any) {
	t.Helper()
	g, err := json.Marshal(got)
	must(t, err)
	w, err := json.Marshal(want)
	must(t, err)
	if string(g) != string(w) {
		t.Fatalf("%s differs\n got %s\nwant %s", what, g, w)
	}
}

func equal[V comparable](t testing.TB, what string, got, want V) {
	t.Helper()
	if got != want {
		t.Fatalf("%s is %v, want %v", what, got, want)
	}
}

// together runs f n times at once and counts its results: "" is success, and
// errors are named by the first of the given ones that they are.
func together(n int, f func(i int) error, known ...error) map[string]int {
	results := make([]string, n)
	gate := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-gate
			results[i] = name(f(i), known)
		})
	}
	close(gate)
	wg.Wait()
	counts := map[string]int{}
	for _, result := range results {
		counts[result]++
	}
	return counts
}

func name(err error, known []error) string {
	if err == nil {
		return ""
	}
	for _, k := range known {
		if errors.Is(err, k) {
			return k.Error()
		}
	}
	return cmp.Or(err.Error(), fmt.Sprintf("%T", err))
}
