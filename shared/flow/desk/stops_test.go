package desk_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/ledger"
)

func (s *proofStand) lift(purpose string, want int) string {
	s.t.Helper()
	_, wrong := s.do("stops/lift", fmt.Sprintf(`{"request_id":"%s","purpose":"%s"}`, id, purpose), want)
	return wrong
}

// stopped are the purposes that are remembered of Ada.
func (s *proofStand) stopped(purposes ...dsr.Purpose) (hash string) {
	s.t.Helper()
	hash, err := s.keys.Hash(s.t.Context(), "identity", dsrtest.Ada.Email)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range purposes {
		if err := s.store.Suppress(s.t.Context(), hash, p, now); err != nil {
			s.t.Fatal(err)
		}
	}
	return hash
}

func TestWhatWasNotTheirsIsAllowedAgain(t *testing.T) {
	s := newProofStand(t, "learnai", func(r *ledger.Request) {
		running("DE")(r)
		r.Status, r.Owner, r.Reason, r.Rights = dsr.NeedsAttention, ledger.OfficerRole, ledger.ReasonUndo, []dsr.Right{dsr.ObjectionMarketing, dsr.OptOutOfSale}
	})
	hash := s.stopped(dsr.Marketing, dsr.Sale, dsr.Profiling)
	s.lift("", http.StatusOK)
	left, err := s.store.Suppressed(t.Context(), hash)
	if _, kept := left[dsr.Profiling]; err != nil || len(left) != 1 || !kept {
		t.Errorf("still stopped: %v, %v; want what another request stopped, alone", left, err)
	}
	if r := s.read(); r.Status != dsr.Withdrawn || r.ClosedAt.IsZero() || r.Owner != "" || len(r.Notices) != 1 {
		t.Errorf("recorded %+v", r)
	}
	if len(s.mail.To(dsrtest.Ada.Email)) != 1 || strings.Count(s.chain(), `"allowed_again"`) != 2 {
		t.Errorf("%d mails, chain %s", len(s.mail.All()), s.chain())
	}
	s.lift("", http.StatusConflict)
}

func TestOptIn(t *testing.T) {
	s := newProofStand(t, "learnai", func(r *ledger.Request) { running("DE")(r); r.Rights = []dsr.Right{dsr.OptIn} })
	hash := s.stopped(dsr.Marketing, dsr.Sale)
	for _, purpose := range []string{"", "gossip", "storage_only"} {
		if wrong := s.lift(purpose, http.StatusConflict); wrong == "" {
			t.Errorf("%q is allowed again", purpose)
		}
	}
	s.lift("sale", http.StatusOK)
	if left, err := s.store.Suppressed(t.Context(), hash); err != nil || len(left) != 1 {
		t.Errorf("still stopped: %v, %v", left, err)
	}
	if r := s.read(); r.Status != dsr.Running || len(s.mail.All()) != 0 {
		t.Errorf("the request moved: %+v", r)
	}
}

func TestNothingElseIsAllowedAgain(t *testing.T) {
	for name, change := range map[string]func(*ledger.Request){
		"an erasure":             func(r *ledger.Request) { r.Rights = []dsr.Right{dsr.Erasure} },
		"an opt-out that stands": func(r *ledger.Request) { r.Rights = []dsr.Right{dsr.OptOutOfSale} },
		"an opt-in not proved": func(r *ledger.Request) {
			r.Rights, r.Status = []dsr.Right{dsr.OptIn}, dsr.Verifying
			r.VerifiedAt = r.ClosedAt
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newProofStand(t, "learnai", func(r *ledger.Request) { running("DE")(r); change(r) })
			hash := s.stopped(dsr.Sale)
			s.lift("sale", http.StatusConflict)
			if left, err := s.store.Suppressed(t.Context(), hash); err != nil || len(left) != 1 {
				t.Errorf("still stopped: %v, %v", left, err)
			}
		})
	}
}
