package dossier_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/ledger/memory"
	"github.com/writ-dsr/writ/shared/platform/vault"
)

var now = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

func ada() dsr.Subject {
	return dsr.Subject{Name: dsrtest.Ada.Name, Message: "hello", Language: "en", Identities: []dsr.Identity{
		{Kind: dsr.Email, Value: dsrtest.Ada.Email, Origin: dsr.SelfAsserted},
		{Kind: "phone", Value: dsrtest.Ada.Phone, Origin: dsr.SelfAsserted},
		{Kind: dsr.Email, Value: dsrtest.Ben.Email, Origin: dsr.SelfAsserted},
	}}
}

func store(t *testing.T, keys dossier.Keys, id dsr.RequestID, verifiedAt time.Time) *memory.Store {
	t.Helper()
	s := memory.New()
	sealed, err := dossier.Seal(t.Context(), keys, id, ada())
	if err != nil {
		t.Fatal(err)
	}
	for _, canary := range dsrtest.Canaries() {
		if strings.Contains(string(sealed.Ciphertext), canary) || strings.Contains(string(sealed.WrappedKey), canary) {
			t.Fatal("the sealed person can be read")
		}
	}
	r := ledger.Request{ID: id, Run: 1, Status: dsr.Verifying, VerifiedAt: verifiedAt, Clock: []dsr.ClockEvent{{Kind: dsr.Received, At: now}}}
	if err := s.CreateRequest(t.Context(), r, sealed, dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: now}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOpen(t *testing.T) {
	keys := vault.NewLocal("dossier")
	for _, c := range []struct {
		name       string
		verifiedAt time.Time
		origin     dsr.Origin
	}{
		{"before the proof the address only asserts", time.Time{}, dsr.SelfAsserted},
		{"after it the first address is proved", now, dsr.Proved},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := ledger.NewRequestID()
			d, err := dossier.Open(t.Context(), store(t, keys, id, c.verifiedAt), keys, id)
			if err != nil {
				t.Fatal(err)
			}
			if d.Subject.Email() != dsrtest.Ada.Email || d.Subject.Name != dsrtest.Ada.Name || d.Request.ID != id {
				t.Error("the dossier is not Ada's")
			}
			for i, want := range []dsr.Origin{c.origin, dsr.SelfAsserted, dsr.SelfAsserted} {
				if got := d.Subject.Identities[i].Origin; got != want {
					t.Errorf("identity %d is %s, want %s", i, got, want)
				}
			}
		})
	}
}

// moved gives a sealed person to another request.
type moved struct {
	*memory.Store
	from dsr.RequestID
}

func (m moved) Subject(ctx context.Context, id dsr.RequestID) (ledger.SealedSubject, error) {
	return m.Store.Subject(ctx, m.from)
}

func TestOpenRefuses(t *testing.T) {
	keys := vault.NewLocal("dossier")
	id, other := ledger.NewRequestID(), ledger.NewRequestID()
	s := store(t, keys, id, now)
	gone := store(t, keys, id, now)
	if err := gone.DeleteSubject(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		ledger dossier.Ledger
		keys   dossier.Keys
		id     dsr.RequestID
		want   error
	}{
		{"no such request", s, keys, other, ledger.ErrNotFound},
		{"the key was destroyed", gone, keys, id, ledger.ErrNotFound},
		{"another company's key", s, vault.NewLocal("other"), id, nil},
		{"a person moved here from another request", moved{store(t, keys, other, now), id}, keys, other, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if m, ok := c.ledger.(moved); ok {
				sealed, err := dossier.Seal(t.Context(), keys, id, ada())
				if err != nil {
					t.Fatal(err)
				}
				if err := m.CreateRequest(t.Context(), ledger.Request{ID: id}, sealed, dsr.Event{RequestID: id, Chain: dsr.RequestChain}); err != nil {
					t.Fatal(err)
				}
			}
			_, err := dossier.Open(t.Context(), c.ledger, c.keys, c.id)
			if err == nil {
				t.Fatal("it opened")
			}
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("err = %v, want %v", err, c.want)
			}
			for _, canary := range dsrtest.Canaries() {
				if strings.Contains(err.Error(), canary) {
					t.Error("the error names the person")
				}
			}
		})
	}
}

func TestWaitOpensInItsOwnPlaceOnly(t *testing.T) {
	keys := vault.NewLocal("dossier")
	id, other := ledger.NewRequestID(), ledger.NewRequestID()
	box, _, err := keys.NewBox(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	sealed := dossier.SealWait(box, id, "challenge", "token-1")
	if got, err := dossier.OpenWait(box, id, "challenge", sealed); err != nil || got != "token-1" {
		t.Fatalf("OpenWait = %q, %v", got, err)
	}
	for _, c := range []struct {
		name   string
		id     dsr.RequestID
		what   string
		sealed []byte
	}{
		{"another request", other, "challenge", sealed},
		{"another place", id, "app#gather", sealed},
		{"none kept", id, "challenge", nil},
		{"changed", id, "challenge", append([]byte{sealed[0]}, sealed[2:]...)},
	} {
		if got, err := dossier.OpenWait(box, c.id, c.what, c.sealed); err == nil {
			t.Errorf("%s: it opened as %q", c.name, got)
		}
	}
}
