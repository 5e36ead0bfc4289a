package audit_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/audit"
	"github.com/writ-dsr/writ/shared/ledger/memory"
)

var start = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// mac stands for the key service: who tampers does not have its key.
func mac(message string) string {
	h := hmac.New(sha256.New, []byte("the key service's key"))
	h.Write([]byte(message))
	return hex.EncodeToString(h.Sum(nil))
}

func checkMAC(_ context.Context, message, m string) (bool, error) { return mac(message) == m, nil }

// records is a ledger's content that can be tampered with.
type records struct {
	request *ledger.Request
	visits  []dsr.Visit
	events  map[string][]dsr.Event
}

func (r records) Request(context.Context, dsr.RequestID) (ledger.Request, error) {
	if r.request == nil {
		return ledger.Request{}, ledger.ErrNotFound
	}
	return *r.request, nil
}

func (r records) Visits(context.Context, dsr.RequestID) ([]dsr.Visit, error) { return r.visits, nil }

func (r records) Events(_ context.Context, _ dsr.RequestID, chain string) ([]dsr.Event, error) {
	return r.events[chain], nil
}

// clone is deep where the tampering reaches.
func (r records) clone() records {
	request := *r.request
	request.HeadMACs = maps.Clone(request.HeadMACs)
	c := records{request: &request, visits: slices.Clone(r.visits), events: map[string][]dsr.Event{}}
	for name, events := range r.events {
		c.events[name] = slices.Clone(events)
		for i := range c.events[name] {
			c.events[name][i].Detail = maps.Clone(events[i].Detail)
		}
	}
	return c
}

var systems = []string{"postgres", "s3", "stripe"}

// history writes a request's life through a store and reads it back.
func history(t *testing.T, closed bool) records {
	t.Helper()
	ctx, s, id := t.Context(), memory.New(), ledger.NewRequestID()
	r := ledger.Request{ID: id, Status: dsr.Completed, Run: 1}
	first := dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: start}
	if err := s.CreateRequest(ctx, r, ledger.SealedSubject{RequestID: id}, first); err != nil {
		t.Fatal(err)
	}
	kinds := []dsr.EventKind{dsr.EventIntent, dsr.EventOpDone, dsr.EventIntent, dsr.EventWaiting, dsr.EventOpDone, dsr.EventSettled}
	content := records{request: &r, events: map[string][]dsr.Event{}}
	for n, chain := range append([]string{dsr.RequestChain}, systems...) {
		for i, kind := range kinds[:len(kinds)-n%2] {
			e := dsr.Event{RequestID: id, Chain: chain, Kind: kind, At: start.Add(time.Duration(i) * time.Minute), Run: 1, Fence: int64(i), Detail: map[string]any{"count": 100*n + i, "op": "erase"}}
			if err := s.Append(ctx, e); err != nil {
				t.Fatal(err)
			}
		}
		events, err := s.Events(ctx, id, chain)
		if err != nil {
			t.Fatal(err)
		}
		content.events[chain] = events
	}
	for _, system := range systems {
		content.visits = append(content.visits, dsr.Visit{RequestID: id, System: system, Phase: dsr.Act, Fence: 1, Status: dsr.VisitSettled})
	}
	if closed {
		r.KeyDestroyedAt, r.HeadMACs = start, map[string]string{}
		for chain, events := range content.events {
			r.HeadMACs[chain] = mac(ledger.HeadMessage(id, chain, events[len(events)-1].Hash))
		}
	}
	return content
}

func verify(t *testing.T, r records) audit.Report {
	t.Helper()
	report, err := audit.New(r, checkMAC).Verify(t.Context(), r.events[dsr.RequestChain][0].RequestID)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestUntouched(t *testing.T) {
	for _, closed := range []bool{false, true} {
		r := history(t, closed)
		report := verify(t, r)
		if !report.Intact() || report.Sealed != closed || len(report.Chains) != 4 || report.Links() != 7+5+6+5 {
			t.Errorf("closed %v: %+v", closed, report)
		}
	}
}

// relink seals the links from i on anew, as somebody who knows the format can.
func relink(events []dsr.Event, from int) []dsr.Event {
	for i := from; i < len(events); i++ {
		var prev dsr.Event
		if i > 0 {
			prev = events[i-1]
		}
		link, err := events[i].Seal(prev)
		if err != nil {
			panic(err)
		}
		events[i] = link
	}
	return events
}

// edits change one field of a link, and nothing else.
var edits = []func(*rand.Rand, *dsr.Event){
	func(r *rand.Rand, e *dsr.Event) { e.At = e.At.Add(time.Duration(1+r.IntN(1e6)) * time.Microsecond) },
	func(_ *rand.Rand, e *dsr.Event) { e.Kind += "x" },
	func(_ *rand.Rand, e *dsr.Event) { e.Kind = dsr.EventBounced },
	func(r *rand.Rand, e *dsr.Event) { e.Run += 1 + r.IntN(9) },
	func(r *rand.Rand, e *dsr.Event) { e.Fence += 1 + r.Int64N(9) },
	func(r *rand.Rand, e *dsr.Event) { e.Detail = map[string]any{"count": 1000 + r.IntN(1000)} },
	func(_ *rand.Rand, e *dsr.Event) { e.Detail = map[string]any{"count": 0, "op": "erase", "more": true} },
	func(_ *rand.Rand, e *dsr.Event) { e.RequestID = ledger.NewRequestID() },
	func(_ *rand.Rand, e *dsr.Event) { e.Chain += "2" },
}

// tampering is every way to falsify the content that the audit must find. Each
// gets a copy and the name of the chain to work on.
var tampering = map[string]func(*rand.Rand, *records, string){
	"an edit": func(r *rand.Rand, c *records, chain string) {
		edits[r.IntN(len(edits))](r, &c.events[chain][r.IntN(len(c.events[chain]))])
	},
	"an edited hash": func(r *rand.Rand, c *records, chain string) {
		e := &c.events[chain][r.IntN(len(c.events[chain]))]
		at := r.IntN(len(e.Hash))
		digit := strings.Trim("0123456789abcdef", e.Hash[at:at+1])
		e.Hash = e.Hash[:at] + digit[:1] + e.Hash[at+1:]
		if r.IntN(2) == 0 {
			e.Seq += 1 + r.IntN(3)
		}
	},
	"an edit, sealed anew alone": func(r *rand.Rand, c *records, chain string) {
		events := c.events[chain]
		i := r.IntN(len(events))
		edits[r.IntN(len(edits))](r, &events[i])
		relink(events[:i+1], i)
	},
	"an edit, all sealed anew": func(r *rand.Rand, c *records, chain string) {
		events := c.events[chain]
		i := r.IntN(len(events))
		edits[r.IntN(len(edits))](r, &events[i])
		relink(events, i)
	},
	"a deletion": func(r *rand.Rand, c *records, chain string) {
		i := r.IntN(len(c.events[chain]))
		c.events[chain] = slices.Delete(c.events[chain], i, i+1)
	},
	"a deletion, sealed anew": func(r *rand.Rand, c *records, chain string) {
		i := r.IntN(len(c.events[chain]))
		c.events[chain] = relink(slices.Delete(c.events[chain], i, i+1), i)
	},
	"a swap": func(r *rand.Rand, c *records, chain string) {
		events := c.events[chain]
		i := r.IntN(len(events) - 1)
		j := i + 1 + r.IntN(len(events)-1-i)
		events[i], events[j] = events[j], events[i]
	},
	"a swap, sealed anew": func(r *rand.Rand, c *records, chain string) {
		events := c.events[chain]
		i := r.IntN(len(events) - 1)
		events[i], events[i+1] = events[i+1], events[i]
		relink(events, i)
	},
	"a cut tail": func(r *rand.Rand, c *records, chain string) {
		events := c.events[chain]
		c.events[chain] = events[:r.IntN(len(events))]
	},
	"an added tail": func(r *rand.Rand, c *records, chain string) {
		events := c.events[chain]
		added := slices.Clone(events[r.IntN(len(events)):])
		c.events[chain] = relink(slices.Concat(events, added), len(events))
	},
	"an insertion": func(r *rand.Rand, c *records, chain string) {
		events := c.events[chain]
		i := r.IntN(len(events))
		c.events[chain] = slices.Insert(events, i, events[r.IntN(len(events))])
	},
	"another chain in its place": func(r *rand.Rand, c *records, chain string) {
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(c.events)), func(name string) bool { return name == chain })
		c.events[chain] = c.events[names[r.IntN(len(names))]]
	},
	"another chain's links under its name": func(r *rand.Rand, c *records, chain string) {
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(c.events)), func(name string) bool { return name == chain })
		copied := slices.Clone(c.events[names[r.IntN(len(names))]])
		for i := range copied {
			copied[i].Chain = chain
		}
		c.events[chain] = relink(copied, 0)
	},
	"a cut tail and no closing head": func(r *rand.Rand, c *records, chain string) {
		delete(c.request.HeadMACs, chain)
		events := c.events[chain]
		c.events[chain] = events[:r.IntN(len(events))]
	},
	"the closing head of another chain": func(_ *rand.Rand, c *records, chain string) {
		other := dsr.RequestChain
		if chain == other {
			other = systems[0]
		}
		c.request.HeadMACs[chain] = c.request.HeadMACs[other]
	},
}

func TestTamperingIsFound(t *testing.T) {
	const rounds = 10_000
	r := rand.New(rand.NewPCG(2026, 11))
	content := history(t, true)
	names := slices.Sorted(maps.Keys(tampering))
	done := map[string]int{}
	for round := range rounds {
		c := content.clone()
		chain := append([]string{dsr.RequestChain}, systems...)[r.IntN(4)]
		name := names[r.IntN(len(names))]
		tampering[name](r, &c, chain)
		done[name]++
		report, err := audit.New(c, checkMAC).Verify(t.Context(), content.request.ID)
		if err != nil {
			t.Fatal(err)
		}
		if report.Intact() {
			t.Fatalf("round %d: %s in chain %s was not found:\n%+v", round, name, chain, c.events[chain])
		}
		for _, c := range report.Chains {
			if c.Name != chain && len(c.Problems) > 0 {
				t.Fatalf("round %d: %s in chain %s shows in chain %s: %v", round, name, chain, c.Name, c.Problems)
			}
		}
	}
	for _, name := range names {
		if done[name] < rounds/len(names)/2 {
			t.Errorf("%s was tried %d times only", name, done[name])
		}
	}
	if !verify(t, content).Intact() {
		t.Error("the rounds tampered with the original")
	}
}

// Before it is closed, a chain shows everything but a tail that was cut off or
// all written anew by somebody who can write the table.
func TestOpenRequestShowsWhatBreaksLinks(t *testing.T) {
	r := rand.New(rand.NewPCG(2026, 12))
	content := history(t, false)
	for _, name := range []string{"an edit", "an edited hash", "a swap", "an insertion", "another chain in its place"} {
		for range 200 {
			c := content.clone()
			chain := systems[r.IntN(3)]
			tampering[name](r, &c, chain)
			if verify(t, c).Intact() {
				t.Fatalf("%s in chain %s was not found", name, chain)
			}
		}
	}
}

func TestWhatIsSaid(t *testing.T) {
	for want, change := range map[string]func(*records){
		"link 3 is missing":  func(c *records) { c.events["s3"] = slices.Delete(c.events["s3"], 2, 3) },
		"link 2 was changed": func(c *records) { c.events["s3"][1].Run = 9 },
		"2 links were added after it was closed": func(c *records) {
			c.events["s3"] = relink(slices.Concat(c.events["s3"], c.events["s3"][:2]), len(c.events["s3"]))
		},
		"it was cut off or written anew":          func(c *records) { c.events["s3"] = c.events["s3"][:4] },
		"no link is there":                        func(c *records) { c.request.HeadMACs["crm"] = "m" },
		"it has no link, although a visit":        func(c *records) { c.events["s3"] = nil },
		"does not begin with the receipt":         func(c *records) { c.events[dsr.RequestChain] = nil },
		"this chain's closing head is not sealed": func(c *records) { delete(c.request.HeadMACs, "s3") },
		"no closing head is sealed": func(c *records) {
			c.request.KeyDestroyedAt, c.request.HeadMACs = time.Time{}, nil
			c.events[dsr.RequestChain][6].Kind = dsr.EventKeyDestroyed
			relink(c.events[dsr.RequestChain], 6)
		},
	} {
		content := history(t, true)
		id := content.request.ID
		change(&content)
		report, err := audit.New(content, checkMAC).Verify(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if said := fmt.Sprintf("%+v", report); !strings.Contains(said, want) {
			t.Errorf("want %q, got %s", want, said)
		}
	}
}

func TestWhatIsGone(t *testing.T) {
	content := history(t, true)
	id := content.request.ID
	content.request = nil
	if _, err := audit.New(content, checkMAC).Verify(t.Context(), id); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("a request nobody knows: %v", err)
	}
	report, err := audit.New(content, checkMAC).Verify(t.Context(), id, dsr.RequestChain, "s3")
	if err != nil || report.Intact() || !strings.Contains(report.Problems[0], "record is gone") {
		t.Errorf("events without a request: %+v, %v", report, err)
	}
}

// The chains of matters belong to no request; what is done to their links shows
// all the same.
func TestHoldsAreChecked(t *testing.T) {
	store := memory.New()
	for _, matter := range []string{"2026-014", dsr.RequestChain} { // a matter may have any word
		for _, kind := range []dsr.EventKind{dsr.EventHoldPlaced, dsr.EventLiftProposed, dsr.EventHoldLifted} {
			if err := store.Append(t.Context(), dsr.Event{RequestID: ledger.HoldsRequest, Chain: matter, Kind: kind, At: start}); err != nil {
				t.Fatal(err)
			}
		}
	}
	report, err := audit.New(store, checkMAC).Verify(t.Context(), ledger.HoldsRequest, "2026-014", dsr.RequestChain)
	if err != nil || !report.Intact() || report.Links() != 6 {
		t.Fatalf("%+v, %v", report, err)
	}
	events, err := store.Events(t.Context(), ledger.HoldsRequest, "2026-014")
	if err != nil {
		t.Fatal(err)
	}
	events[1].Detail = map[string]any{"by": "somebody else"}
	report, err = audit.New(records{events: map[string][]dsr.Event{"2026-014": events}}, checkMAC).Verify(t.Context(), ledger.HoldsRequest, "2026-014")
	if err != nil || report.Intact() {
		t.Errorf("who asked for the lifting was changed, and the report is %+v, %v", report, err)
	}
}

func TestUncheckedIsNoAnswer(t *testing.T) {
	down := errors.New("the key service is down")
	content := history(t, true)
	a := audit.New(content, func(context.Context, string, string) (bool, error) { return false, down })
	if _, err := a.Verify(t.Context(), content.request.ID); !errors.Is(err, down) {
		t.Errorf("got %v, want the key service's error", err)
	}
}
