package ledgertest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

var eventRules = map[string]func(*testing.T, ledger.Store){
	"a chain reads back as it verifies": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		details := []map[string]any{
			nil,
			{},
			{"count": 3, "big": int64(1) << 60, "ratio": 0.1, "yes": true, "none": nil},
			{"words": []string{"b", "a"}, "at": start, "html": "<a&b>", "bytes": []byte{1, 2}},
			{"outcome": dsr.Outcome{Kind: dsr.Erased, Category: "account", Count: 2}}, // field order differs from key order
			{"nested": map[dsr.Op]int{dsr.Erase: 1, dsr.Export: 2}},
		}
		for i, detail := range details {
			must(t, s.Append(t.Context(), dsr.Event{
				RequestID: r.ID, Chain: "postgres", Kind: dsr.EventOpDone, Run: 1, Fence: int64(i),
				At: start.In(time.FixedZone("", 3600)).Add(time.Duration(i) * time.Nanosecond), Detail: detail,
			}))
		}
		events, err := s.Events(t.Context(), r.ID, "postgres")
		must(t, err)
		equal(t, "the number of events", len(events), len(details))
		_, err = dsr.VerifyChain(events)
		must(t, err)
		for i, e := range events {
			equal(t, "the fence", e.Fence, int64(i))
			equal(t, "the kind", e.Kind, dsr.EventOpDone)
			equal(t, "the number of details", len(e.Detail), len(details[i]))
		}
	},
	"appending goes on after the first event of a request": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		must(t, s.Append(t.Context(), dsr.Event{RequestID: r.ID, Chain: dsr.RequestChain, Kind: dsr.EventVerified, At: start}))
		events, err := s.Events(t.Context(), r.ID, dsr.RequestChain)
		must(t, err)
		equal(t, "the number of events", len(events), 2)
		_, err = dsr.VerifyChain(events)
		must(t, err)
	},
	"chains do not mix": func(t *testing.T, s ledger.Store) {
		a, b := create(t, s), create(t, s)
		for range 3 {
			must(t, s.Append(t.Context(), dsr.Event{RequestID: a.ID, Chain: "s3", Kind: dsr.EventIntent, At: start}))
			must(t, s.Append(t.Context(), dsr.Event{RequestID: b.ID, Chain: "s3", Kind: dsr.EventIntent, At: start}))
		}
		must(t, s.Append(t.Context(), dsr.Event{RequestID: a.ID, Chain: "s", Kind: dsr.EventIntent, At: start}))
		for chain, want := range map[string]int{"s3": 3, "s": 1, dsr.RequestChain: 1, "stripe": 0} {
			events, err := s.Events(t.Context(), a.ID, chain)
			must(t, err)
			equal(t, "the length of chain "+chain, len(events), want)
		}
	},
	"an event of no chain is refused": func(t *testing.T, s ledger.Store) {
		for _, e := range []dsr.Event{
			{Chain: "s3", Kind: dsr.EventIntent, At: start},
			{RequestID: newID(), Kind: dsr.EventIntent, At: start},
			{RequestID: newID(), Chain: "s3", Kind: dsr.EventIntent, At: start, Detail: map[string]any{"f": func() {}}},
		} {
			if s.Append(t.Context(), e) == nil {
				t.Errorf("an event of request %q and chain %q with %d details was accepted", e.RequestID, e.Chain, len(e.Detail))
			}
		}
	},
	"writers at once keep one chain": func(t *testing.T, s ledger.Store) {
		id := newID()
		const writers, each = 6, 8
		counts := together(writers, func(i int) error {
			for n := range each {
				e := dsr.Event{RequestID: id, Chain: "stripe", Kind: dsr.EventOpDone, At: start, Detail: map[string]any{"writer": fmt.Sprint(i), "n": n}}
				for { // ErrConflict means that nothing was written: the writer comes back
					if err := s.Append(t.Context(), e); err == nil {
						break
					} else if !errors.Is(err, ledger.ErrConflict) {
						return err
					}
				}
			}
			return nil
		})
		equal(t, "successes", counts[""], writers)
		events, err := s.Events(t.Context(), id, "stripe")
		must(t, err)
		equal(t, "the number of events", len(events), writers*each)
		_, err = dsr.VerifyChain(events)
		must(t, err)
		next := map[string]int{}
		for _, e := range events {
			writer := e.Detail["writer"].(string)
			equal(t, "the order within writer "+writer, int(e.Detail["n"].(float64)), next[writer])
			next[writer]++
		}
	},
	"equal events at once are all kept": func(t *testing.T, s ledger.Store) {
		e := dsr.Event{RequestID: newID(), Chain: "stripe", Kind: dsr.EventWaiting, At: start}
		counts := together(4, func(int) error { return s.Append(t.Context(), e) })
		equal(t, "successes", counts[""], 4)
		events, err := s.Events(t.Context(), e.RequestID, "stripe")
		must(t, err)
		equal(t, "the number of events", len(events), 4)
	},
	"a long chain is read whole": func(t *testing.T, s ledger.Store) {
		id := newID()
		filler := make([]string, 1500) // 120 links of about 10 KB: more than a page of the product's store
		for i := range filler {
			filler[i] = "word"
		}
		const links = 120
		for range links {
			must(t, s.Append(t.Context(), dsr.Event{RequestID: id, Chain: "s3", Kind: dsr.EventWaiting, At: start, Detail: map[string]any{"words": filler}}))
		}
		events, err := s.Events(t.Context(), id, "s3")
		must(t, err)
		equal(t, "the number of events", len(events), links)
		_, err = dsr.VerifyChain(events)
		must(t, err)
	},
}
