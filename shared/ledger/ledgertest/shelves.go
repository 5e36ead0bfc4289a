package ledgertest

import (
	"slices"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

// scheduled makes a request wait for a day after start.
func scheduled(days int) func(*ledger.Request) {
	return func(r *ledger.Request) {
		r.Channel, r.Status, r.DueAt = ledger.ChannelDeferral, dsr.Scheduled, start.AddDate(0, 0, days)
	}
}

// ended makes a request closed and its key destroyed.
func ended(days int) func(*ledger.Request) {
	return func(r *ledger.Request) {
		r.Status, r.ClosedAt, r.KeyDestroyedAt = dsr.Completed, start.AddDate(0, 0, days), start.AddDate(0, 0, days+14)
	}
}

var shelfRules = map[string]func(*testing.T, ledger.Store){
	"what is scheduled is listed by its date and not among the open": func(t *testing.T, s ledger.Store) {
		late, early, today := create(t, s, scheduled(2000)), create(t, s, scheduled(-3)), create(t, s, scheduled(0))
		begun := create(t, s, scheduled(-2))
		change(t, s, begun.ID, func(r *ledger.Request) { r.Status = dsr.Running })
		must(t, s.OpenRequests(t.Context(), func(r ledger.Request) error {
			if r.Status == dsr.Scheduled {
				t.Errorf("request %s is among the open ones", r.ID)
			}
			return nil
		}))
		walk := func(until time.Time) (got []dsr.RequestID) {
			must(t, s.ScheduledRequests(t.Context(), until, func(r ledger.Request) error {
				if slices.Contains([]dsr.RequestID{late.ID, early.ID, today.ID, begun.ID}, r.ID) {
					got = append(got, r.ID)
				}
				return nil
			}))
			return got
		}
		if got, want := walk(start), []dsr.RequestID{early.ID, today.ID}; !slices.Equal(got, want) {
			t.Errorf("due are %v, want %v", got, want)
		}
		if got, want := walk(time.Time{}), []dsr.RequestID{early.ID, today.ID, late.ID}; !slices.Equal(got, want) {
			t.Errorf("scheduled are %v, want %v", got, want)
		}
	},
	"nothing is erased for what is scheduled": func(t *testing.T, s ledger.Store) {
		r := create(t, s, scheduled(0))
		v := take(t, s, plan(t, s, r.ID, "postgres"), 1)
		wantErr(t, s.BeginErasing(t.Context(), v, nil, start), ledger.ErrNotReady)
	},
	"records are deleted only of what has ended": func(t *testing.T, s ledger.Store) {
		old, young, keyed, open := create(t, s, ended(-800)), create(t, s, ended(-10)), create(t, s, func(r *ledger.Request) { r.Status = dsr.Completed }), create(t, s)
		for _, r := range []ledger.Request{old, young} {
			plan(t, s, r.ID, "postgres")
			for range 30 {
				must(t, s.Append(t.Context(), dsr.Event{RequestID: r.ID, Chain: "postgres", Kind: dsr.EventWaiting, At: start}))
			}
		}
		var got []dsr.RequestID
		must(t, s.EndedRequests(t.Context(), start.AddDate(0, 0, -730), func(r ledger.Request) error {
			if slices.Contains([]dsr.RequestID{old.ID, young.ID, keyed.ID, open.ID}, r.ID) {
				got = append(got, r.ID)
			}
			return nil
		}))
		if !slices.Equal(got, []dsr.RequestID{old.ID}) {
			t.Fatalf("ended long ago are %v, want %v", got, old.ID)
		}
		for _, r := range []ledger.Request{keyed, open} {
			wantErr(t, s.DeleteRecords(t.Context(), r.ID), ledger.ErrNotReady)
			request(t, s, r.ID)
		}
		must(t, s.DeleteRecords(t.Context(), old.ID))
		must(t, s.DeleteRecords(t.Context(), old.ID))
		_, err := s.Request(t.Context(), old.ID)
		wantErr(t, err, ledger.ErrNotFound)
		for _, c := range []struct {
			id   dsr.RequestID
			want int
		}{{old.ID, 0}, {young.ID, 31}} {
			visits, err := s.Visits(t.Context(), c.id)
			must(t, err)
			links := 0
			for _, chain := range []string{dsr.RequestChain, "postgres"} {
				events, err := s.Events(t.Context(), c.id, chain)
				must(t, err)
				links += len(events)
			}
			equal(t, "the number of events", links, c.want)
			equal(t, "the number of visits", len(visits), min(c.want, 1))
		}
	},
}
