package ledgertest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

var requestRules = map[string]func(*testing.T, ledger.Store){
	"every field survives": func(t *testing.T, s ledger.Store) {
		r := create(t, s, func(r *ledger.Request) {
			r.Version, r.FailedRuns, r.CodeHash, r.Country = 7, 2, "h1:code", "DE"
			r.RemindedAt, r.ErasingAt, r.AnsweredAt, r.ClosedAt = start.Add(1), start.Add(2), start.Add(3), start.Add(4)
			r.MailAfter, r.KeyDestroyedAt = start.Add(5), start.Add(6)
			r.Restricted, r.MergedInto, r.Owner, r.Reason = true, newID(), "privacy_officer", "bounced"
			r.SealedWait, r.Planned = []byte{0, 255}, true
			r.Bundle = &ledger.Bundle{Files: []ledger.BundleFile{{Key: "bundles/x", Bytes: 1 << 40, SHA256: "ab"}}, Rows: 3, BuiltAt: start}
			r.Notices = map[string]ledger.Notice{"challenge#1": {SentAt: start, MessageID: "m"}}
			r.HeadMACs = map[string]string{"request": "m"}
		})
		same(t, "the request", request(t, s, r.ID), r)
		subject, err := s.Subject(t.Context(), r.ID)
		must(t, err)
		same(t, "the sealed subject", subject, sealed(r.ID))
	},
	"creating writes the first event": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		events, err := s.Events(t.Context(), r.ID, dsr.RequestChain)
		must(t, err)
		equal(t, "the number of events", len(events), 1)
		equal(t, "the first event", events[0].Kind, dsr.EventReceived)
		_, err = dsr.VerifyChain(events)
		must(t, err)
	},
	"creating under a taken id changes nothing": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		second := running(r.ID)
		second.Company = "another"
		other := ledger.SealedSubject{RequestID: r.ID, WrappedKey: []byte{9}, Ciphertext: []byte{9}}
		wantErr(t, s.CreateRequest(t.Context(), second, other, received(r.ID)), ledger.ErrExists)
		same(t, "the request", request(t, s, r.ID), r)
		subject, err := s.Subject(t.Context(), r.ID)
		must(t, err)
		same(t, "the sealed subject", subject, sealed(r.ID))
		events, err := s.Events(t.Context(), r.ID, dsr.RequestChain)
		must(t, err)
		equal(t, "the number of events", len(events), 1)
	},
	"creating is all or nothing": func(t *testing.T, s ledger.Store) {
		id := newID()
		for name, err := range map[string]error{
			"an event of another request": s.CreateRequest(t.Context(), running(id), sealed(id), received(newID())),
			"an event of another chain":   s.CreateRequest(t.Context(), running(id), sealed(id), dsr.Event{RequestID: id, Chain: "postgres", Kind: dsr.EventReceived, At: start}),
			"another subject":             s.CreateRequest(t.Context(), running(id), sealed(newID()), received(id)),
		} {
			if err == nil {
				t.Errorf("%s was accepted", name)
			}
		}
		_, err := s.Request(t.Context(), id)
		wantErr(t, err, ledger.ErrNotFound)
		_, err = s.Subject(t.Context(), id)
		wantErr(t, err, ledger.ErrNotFound)
		events, err := s.Events(t.Context(), id, dsr.RequestChain)
		must(t, err)
		equal(t, "the number of events", len(events), 0)
	},
	"creating at once succeeds once": func(t *testing.T, s ledger.Store) {
		id := newID()
		counts := together(20, func(i int) error {
			r := running(id)
			r.Company = fmt.Sprint("company", i)
			return s.CreateRequest(t.Context(), r, sealed(id), received(id))
		}, ledger.ErrExists)
		equal(t, "successes", counts[""], 1)
		equal(t, "refusals", counts[ledger.ErrExists.Error()], 19)
	},
	"reading what is not there": func(t *testing.T, s ledger.Store) {
		_, err := s.Request(t.Context(), newID())
		wantErr(t, err, ledger.ErrNotFound)
		wantErr(t, s.SaveRequest(t.Context(), running(newID())), ledger.ErrNotFound)
	},
	"saving raises the version": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		r.Owner = "privacy_officer"
		must(t, s.SaveRequest(t.Context(), r))
		stored := request(t, s, r.ID)
		equal(t, "the version", stored.Version, r.Version+1)
		equal(t, "the owner", stored.Owner, "privacy_officer")
	},
	"saving an older version is a conflict": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		must(t, s.SaveRequest(t.Context(), r))
		late := r
		late.Owner = "late"
		wantErr(t, s.SaveRequest(t.Context(), late), ledger.ErrConflict)
		ahead := r
		ahead.Version += 5
		wantErr(t, s.SaveRequest(t.Context(), ahead), ledger.ErrConflict)
		equal(t, "the owner", request(t, s, r.ID).Owner, "")
	},
	"of equal saves at once one wins": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		counts := together(20, func(int) error { return s.SaveRequest(t.Context(), r) }, ledger.ErrConflict)
		equal(t, "successes", counts[""], 1)
		equal(t, "conflicts", counts[ledger.ErrConflict.Error()], 19)
		equal(t, "the version", request(t, s, r.ID).Version, r.Version+1)
	},
	"changes at once are all kept": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		const writers = 6
		counts := together(writers, func(i int) error {
			for { // ErrConflict eight times in a row is an answer too; the caller comes back
				_, err := ledger.Change(t.Context(), s, r.ID, func(r *ledger.Request) error {
					if r.Notices == nil {
						r.Notices = map[string]ledger.Notice{}
					}
					r.Notices[fmt.Sprint("challenge#", i)] = ledger.Notice{SentAt: start}
					return nil
				})
				if !errors.Is(err, ledger.ErrConflict) {
					return err
				}
			}
		})
		equal(t, "successes", counts[""], writers)
		stored := request(t, s, r.ID)
		equal(t, "the number of notices", len(stored.Notices), writers)
		equal(t, "the version", stored.Version, r.Version+writers)
	},
	"listed requests come earliest due first, the others never": func(t *testing.T, s ledger.Store) {
		due := func(days int, status dsr.Status) ledger.Request {
			return create(t, s, func(r *ledger.Request) {
				r.DueAt = start.AddDate(0, 0, days).Add(time.Duration(days) * time.Nanosecond)
				r.Status = status
			})
		}
		forget := func(r *ledger.Request) { r.KeyDestroyedAt = start }
		third := due(30, dsr.NeedsAttention)
		first := due(-3, dsr.Verifying)
		keyed := due(1, dsr.Completed) // closed, but its key is still to be destroyed
		second := due(2, dsr.Answered)
		reopened := due(3, dsr.Withdrawn)
		moved := due(-5, dsr.Running)
		forgotten := due(-4, dsr.Completed)
		created := create(t, s, forget, func(r *ledger.Request) { r.Status = dsr.Completed })
		change(t, s, second.ID, forget)
		change(t, s, forgotten.ID, forget)
		change(t, s, reopened.ID, forget)
		change(t, s, reopened.ID, func(r *ledger.Request) { r.Status = dsr.NeedsAttention })
		change(t, s, moved.ID, func(r *ledger.Request) { r.DueAt = start.AddDate(0, 0, 60) })
		mine := []dsr.RequestID{first.ID, keyed.ID, second.ID, reopened.ID, third.ID, moved.ID}
		var got []dsr.RequestID
		must(t, s.OpenRequests(t.Context(), func(r ledger.Request) error {
			if r.ID == forgotten.ID || r.ID == created.ID || !r.Listed() {
				t.Errorf("request %s was listed: it is %s, its key was destroyed", r.ID, r.Status)
			}
			if slices.Contains(mine, r.ID) {
				got = append(got, r.ID)
			}
			return nil
		}))
		if !slices.Equal(got, mine) {
			t.Fatalf("listed requests are %v, want %v", got, mine)
		}
	},
	"the callback of open requests may write, and its error ends the walk": func(t *testing.T, s ledger.Store) {
		create(t, s)
		create(t, s)
		stop := errors.New("enough")
		calls := 0
		err := s.OpenRequests(t.Context(), func(r ledger.Request) error {
			calls++
			change(t, s, r.ID, func(r *ledger.Request) { r.RemindedAt = start })
			return stop
		})
		wantErr(t, err, stop)
		equal(t, "the number of calls", calls, 1)
	},
	"many open requests are all listed once": func(t *testing.T, s ledger.Store) {
		const n = 130
		ids := map[dsr.RequestID]int{}
		for range n {
			ids[create(t, s).ID] = 0
		}
		must(t, s.OpenRequests(t.Context(), func(r ledger.Request) error {
			if _, mine := ids[r.ID]; mine {
				ids[r.ID]++
			}
			return nil
		}))
		for id, times := range ids {
			if times != 1 {
				t.Fatalf("request %s was listed %d times", id, times)
			}
		}
	},
	"what was read or written is not shared with the caller": func(t *testing.T, s ledger.Store) {
		r := create(t, s, func(r *ledger.Request) { r.Notices = map[string]ledger.Notice{"answer#1": {SentAt: start}} })
		r.Notices["answer#2"] = ledger.Notice{}
		read := request(t, s, r.ID)
		read.Rights[0] = "broken"
		equal(t, "the number of notices", len(request(t, s, r.ID).Notices), 1)
		equal(t, "the first right", request(t, s, r.ID).Rights[0], dsr.Access)
	},
}

var identityRules = map[string]func(*testing.T, ledger.Store){
	"a destroyed subject stays destroyed": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		must(t, s.DeleteSubject(t.Context(), r.ID))
		must(t, s.DeleteSubject(t.Context(), r.ID))
		_, err := s.Subject(t.Context(), r.ID)
		wantErr(t, err, ledger.ErrNotFound)
		same(t, "the request", request(t, s, r.ID), r)
	},
	"a sealed subject is replaced, and not after its key was destroyed": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		other := ledger.SealedSubject{RequestID: r.ID, WrappedKey: []byte{0, 1, 2}, Ciphertext: []byte{7}}
		must(t, s.ReplaceSubject(t.Context(), other))
		subject, err := s.Subject(t.Context(), r.ID)
		must(t, err)
		same(t, "the sealed subject", subject, other)
		must(t, s.DeleteSubject(t.Context(), r.ID))
		wantErr(t, s.ReplaceSubject(t.Context(), other), ledger.ErrNotFound)
		_, err = s.Subject(t.Context(), r.ID)
		wantErr(t, err, ledger.ErrNotFound)
	},
	"the first claim wins": func(t *testing.T, s ledger.Store) {
		hash, first, second := newKey(), newID(), newID()
		for _, claim := range []struct{ by, holder dsr.RequestID }{{first, first}, {second, first}, {first, first}} {
			holder, err := s.ClaimIdentity(t.Context(), hash, claim.by)
			must(t, err)
			equal(t, "the holder", holder, claim.holder)
		}
	},
	"only the holder releases a claim": func(t *testing.T, s ledger.Store) {
		hash, first, second := newKey(), newID(), newID()
		_, err := s.ClaimIdentity(t.Context(), hash, first)
		must(t, err)
		must(t, s.ReleaseIdentity(t.Context(), hash, second))
		holder, err := s.ClaimIdentity(t.Context(), hash, second)
		must(t, err)
		equal(t, "the holder after a stranger's release", holder, first)
		must(t, s.ReleaseIdentity(t.Context(), hash, first))
		must(t, s.ReleaseIdentity(t.Context(), hash, first))
		holder, err = s.ClaimIdentity(t.Context(), hash, second)
		must(t, err)
		equal(t, "the holder after the release", holder, second)
	},
	"claims at once agree on one holder": func(t *testing.T, s ledger.Store) {
		hash := newKey()
		const n = 40
		ids, holders := make([]dsr.RequestID, n), make([]dsr.RequestID, n)
		for i := range ids {
			ids[i] = newID()
		}
		counts := together(n, func(i int) (err error) {
			holders[i], err = s.ClaimIdentity(t.Context(), hash, ids[i])
			return err
		})
		equal(t, "answers without an error", counts[""], n)
		winners := 0
		for i := range n {
			equal(t, "the holder", holders[i], holders[0])
			if holders[i] == ids[i] {
				winners++
			}
		}
		equal(t, "the number of winners", winners, 1)
	},
	"a claim touches no request of the same name": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		_, err := s.ClaimIdentity(t.Context(), string(r.ID), newID())
		must(t, err)
		subject, err := s.Subject(t.Context(), r.ID)
		must(t, err)
		same(t, "the sealed subject", subject, sealed(r.ID))
	},
	"a suppression is kept with its first instant": func(t *testing.T, s ledger.Store) {
		hash := newKey()
		none, err := s.Suppressed(t.Context(), hash)
		must(t, err)
		equal(t, "the number of purposes", len(none), 0)
		must(t, s.Suppress(t.Context(), hash, dsr.AllUse, start))
		must(t, s.Suppress(t.Context(), hash, dsr.AllUse, start.Add(time.Hour)))
		must(t, s.Suppress(t.Context(), hash, dsr.Sale, start.Add(time.Minute)))
		got, err := s.Suppressed(t.Context(), hash)
		must(t, err)
		same(t, "the suppression", got, map[dsr.Purpose]time.Time{dsr.AllUse: start, dsr.Sale: start.Add(time.Minute)})
	},
	"what is allowed again is no longer suppressed, and the rest is": func(t *testing.T, s ledger.Store) {
		hash := newKey()
		must(t, s.Allow(t.Context(), hash, dsr.Sale))
		must(t, s.Suppress(t.Context(), hash, dsr.Sale, start))
		must(t, s.Suppress(t.Context(), hash, dsr.Marketing, start))
		must(t, s.Allow(t.Context(), hash, dsr.Sale))
		must(t, s.Allow(t.Context(), hash, dsr.Sale))
		got, err := s.Suppressed(t.Context(), hash)
		must(t, err)
		same(t, "the suppression", got, map[dsr.Purpose]time.Time{dsr.Marketing: start})
	},
	"a suppression survives the subject": func(t *testing.T, s ledger.Store) {
		r, hash := create(t, s), newKey()
		must(t, s.Suppress(t.Context(), hash, dsr.Marketing, start))
		must(t, s.DeleteSubject(t.Context(), r.ID))
		got, err := s.Suppressed(t.Context(), hash)
		must(t, err)
		equal(t, "the number of purposes", len(got), 1)
	},
}
