package sweep_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/memory"
)

func delivered(r *ledger.Request) {
	r.Bundle = &ledger.Bundle{Files: []ledger.BundleFile{{Key: "x"}}, DeliveredAt: start.Add(day), Due: start.Add(15 * day)}
}

func TestBundleExpires(t *testing.T) {
	gathering := dsr.Visit{System: "zendesk", Phase: dsr.Gather, Status: dsr.VisitWithPerson, Manual: true}
	gathered := dsr.Visit{System: "app", Phase: dsr.Gather, Status: dsr.VisitSettled}
	for _, c := range []struct {
		name   string
		status dsr.Status
		visit  dsr.Visit
		bundle func(*ledger.Request)
		left   string
	}{
		{"of a completed request", dsr.Completed, gathered, delivered, ""},
		{"of an answered one", dsr.Answered, gathered, delivered, ""},
		{"of one that runs on", dsr.Running, gathered, delivered, ""},
		{"of one with its owner", dsr.NeedsAttention, gathered, delivered, ""},
		{"while a gathering is open the exports stay for the copy that follows", dsr.Answered, gathering, delivered, "exports/ uploads/"},
		{"a copy that bounced was not delivered", dsr.NeedsAttention, gathered, func(r *ledger.Request) { delivered(r); r.Bundle.DeliveredAt = time.Time{} }, "bundles/ exports/ uploads/"},
		{"none", dsr.Running, gathered, func(*ledger.Request) {}, "bundles/ exports/ uploads/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t, func(r *ledger.Request) { r.Status, r.ClosedAt = c.status, start.Add(day); c.bundle(r) }, c.visit)
			s.at(15 * day)
			if s.left() != "bundles/ exports/ uploads/" {
				t.Errorf("deleted before its time: %s is left", s.left())
			}
			if c.status.Open() { // what is closed loses its key soon after, and all with it
				s.at(15*day + hour)
			} else {
				s.change(func(r *ledger.Request) { r.ClosedAt = start.Add(15 * day) })
				s.at(15*day + hour)
			}
			if s.left() != c.left {
				t.Errorf("%q is left, want %q", s.left(), c.left)
			}
			gone := !strings.Contains(c.left, "bundles/")
			if b := s.request().Bundle; gone != (b != nil && !b.DeletedAt.IsZero()) || (s.count(dsr.EventBundleExpired) == 1) != gone {
				t.Errorf("recorded as %+v, %d events", b, s.count(dsr.EventBundleExpired))
			}
			if !s.request().KeyDestroyedAt.IsZero() {
				t.Error("the key went too early")
			}
			s.at(16 * day)
			if n := s.count(dsr.EventBundleExpired); n > 1 {
				t.Errorf("expired %d times", n)
			}
		})
	}
}

func TestKeyIsDestroyedAfterBundleAndRest(t *testing.T) {
	settled := dsr.Visit{System: "app", Phase: dsr.Gather, Status: dsr.VisitSettled}
	for _, c := range []struct {
		name   string
		change func(*ledger.Request)
		from   time.Duration // 0 for never
	}{
		{"a fortnight after it was withdrawn", func(r *ledger.Request) { r.Status, r.ClosedAt = dsr.Withdrawn, start.Add(day) }, 15 * day},
		{"a fortnight after it was disowned", func(r *ledger.Request) {
			r.Status, r.VerifiedAt, r.ClosedAt = dsr.Disowned, time.Time{}, start.Add(day)
		}, 15 * day},
		{"not before its bundle has expired", func(r *ledger.Request) {
			delivered(r)
			r.Status, r.ClosedAt, r.Bundle.Due = dsr.Completed, start.Add(day), start.Add(20*day)
		}, 20*day + hour},
		{"a copy that was never delivered does not hold it", func(r *ledger.Request) {
			r.Status, r.ClosedAt, r.Bundle = dsr.Withdrawn, start.Add(day), &ledger.Bundle{}
		}, 15 * day},
		{"answered is not closed", func(r *ledger.Request) { r.Status = dsr.Answered }, 0},
		{"with its owner is not closed", func(r *ledger.Request) { r.Status, r.Owner = dsr.NeedsAttention, "privacy_officer" }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t, c.change, settled)
			if err := s.store.Append(t.Context(), dsr.Event{RequestID: s.id, Chain: "app", Kind: dsr.EventSettled, At: start}); err != nil {
				t.Fatal(err)
			}
			hash, err := s.keys.Hash(t.Context(), "identity", dsrtest.Ada.Email)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.store.ClaimIdentity(t.Context(), hash, s.id); err != nil {
				t.Fatal(err)
			}
			for _, after := range []time.Duration{14 * day, 15*day - hour, 15 * day, 20 * day, 20*day + hour, 30 * day, 60 * day} {
				s.at(after)
				_, err := s.store.Subject(t.Context(), s.id)
				destroyed := errors.Is(err, ledger.ErrNotFound)
				if want := c.from != 0 && after >= c.from; destroyed != want || s.request().KeyDestroyedAt.IsZero() == want {
					t.Fatalf("after %v: destroyed %v, want %v", after, destroyed, want)
				}
			}
			holder, err := s.store.ClaimIdentity(t.Context(), hash, "wbbbbbbbbbbbbbbbbbbbbbbbbb")
			if err != nil || (holder == s.id) != (c.from == 0) {
				t.Errorf("the claim on the person is %s's, %v", holder, err)
			}
			if c.from == 0 {
				return
			}
			r := s.request()
			if s.left() != "" || r.Listed() || s.count(dsr.EventKeyDestroyed) != 1 {
				t.Errorf("%q is left, listed %v, %d events", s.left(), r.Listed(), s.count(dsr.EventKeyDestroyed))
			}
			if got := slices.Sorted(maps.Keys(r.HeadMACs)); !slices.Equal(got, []string{"app", "request"}) {
				t.Fatalf("heads of %v", got)
			}
			for chain, mac := range r.HeadMACs {
				events, err := s.store.Events(t.Context(), s.id, chain)
				if err != nil {
					t.Fatal(err)
				}
				head, err := dsr.VerifyChain(events)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.keys.VerifyMAC(t.Context(), "head", string(s.id)+"/"+chain+"/"+head, mac); err != nil {
					t.Errorf("chain %s: %v", chain, err)
				}
				cut, _ := dsr.VerifyChain(events[:len(events)-1])
				if s.keys.VerifyMAC(t.Context(), "head", string(s.id)+"/"+chain+"/"+cut, mac) == nil {
					t.Errorf("chain %s: a cut tail is not seen", chain)
				}
			}
		})
	}
}

// torn is a ledger in which somebody edited an event.
type torn struct{ *memory.Store }

func (l torn) Events(ctx context.Context, id dsr.RequestID, chain string) ([]dsr.Event, error) {
	all, err := l.Store.Events(ctx, id, chain)
	if len(all) > 0 {
		all[0].Kind = dsr.EventVerified
	}
	return all, err
}

func TestTornChainIsNeverSealed(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) { r.Status, r.ClosedAt = dsr.Withdrawn, start })
	s.stage.Ledger = torn{s.store}
	if out := s.at(30 * day); out.Failed != 1 || len(s.request().HeadMACs) != 0 {
		t.Errorf("%+v, heads %v", out, s.request().HeadMACs)
	}
}
