package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
)

// expireBundle deletes the copy when its time has passed, and with it what it
// was made of. While a gathering is still open the exports stay: the copy that
// follows is made of all of them.
func (s *Stage) expireBundle(ctx context.Context, r ledger.Request, now time.Time) error {
	if !kept(r.Bundle) || !now.After(r.Bundle.Due) {
		return nil
	}
	visits, err := s.Ledger.Visits(ctx, r.ID)
	if err != nil {
		return fmt.Errorf("reading the visits: %w", err)
	}
	folders := everything
	if slices.ContainsFunc(visits, func(v dsr.Visit) bool { return v.Phase == dsr.Gather && !v.Settled() }) {
		folders = []string{bundles}
	}
	if err := s.forget(ctx, r.ID, folders); err != nil {
		return err
	}
	if _, err = ledger.Change(ctx, s.Ledger, r.ID, func(r *ledger.Request) error { r.Bundle.DeletedAt = now; return nil }); err != nil {
		return fmt.Errorf("recording the end of the bundle: %w", err)
	}
	return s.Ledger.Append(ctx, dsr.Event{RequestID: r.ID, Chain: dsr.RequestChain, Kind: dsr.EventBundleExpired, At: now})
}

// kept reports whether there is a copy that its person may still download.
func kept(b *ledger.Bundle) bool {
	return b != nil && b.DeletedAt.IsZero() && !b.DeliveredAt.IsZero()
}

// destroyKey ends a closed request when nothing of it can still come in: from
// then on nothing of the person can be read.
func (s *Stage) destroyKey(ctx context.Context, id dsr.RequestID, now time.Time) error {
	r, err := s.Ledger.Request(ctx, id)
	if err != nil {
		return fmt.Errorf("reading request %s: %w", id, err)
	}
	rest := keyRest
	if r.Own() {
		rest = 0 // nobody was written to, so nobody writes back
	}
	if r.Status.Open() || !settled(r) || now.Before(r.ClosedAt.Add(rest)) || kept(r.Bundle) {
		return nil
	}
	if err := s.forget(ctx, r.ID, everything); err != nil {
		return err
	}
	if err := s.giveUpClaim(ctx, r.ID); err != nil {
		return err
	}
	if err := s.Ledger.Append(ctx, dsr.Event{RequestID: r.ID, Chain: dsr.RequestChain, Kind: dsr.EventKeyDestroyed, At: now}); err != nil {
		return err
	}
	heads, err := s.heads(ctx, r.ID)
	if err != nil {
		return err
	}
	if err := s.Ledger.DeleteSubject(ctx, r.ID); err != nil {
		return fmt.Errorf("destroying the key: %w", err)
	}
	_, err = ledger.Change(ctx, s.Ledger, r.ID, func(r *ledger.Request) error {
		r.HeadMACs, r.KeyDestroyedAt = heads, now
		return nil
	})
	if err != nil {
		return fmt.Errorf("closing the chains: %w", err)
	}
	return nil
}

// giveUpClaim takes away the keyed hash by which the person's requests found
// each other: it cannot be made again without the key.
func (s *Stage) giveUpClaim(ctx context.Context, id dsr.RequestID) error {
	d, err := dossier.Open(ctx, s.Ledger, s.Keys, id)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil // the key is gone, and went after the claim
	}
	if err != nil {
		return err
	}
	hash, err := s.Hasher.Hash(ctx, "identity", d.Subject.Email())
	if err != nil {
		return fmt.Errorf("hashing the identity: %w", err)
	}
	if err := s.Ledger.ReleaseIdentity(ctx, hash, id); err != nil {
		return fmt.Errorf("giving up the claim: %w", err)
	}
	return nil
}

// The folders of the bucket, each with one below for each request.
const bundles = "bundles/"

var everything = []string{"exports/", bundles, "uploads/"}

func (s *Stage) forget(ctx context.Context, id dsr.RequestID, folders []string) error {
	for _, prefix := range folders {
		if err := s.Objects.Delete(ctx, prefix+string(id)+"/"); err != nil {
			return fmt.Errorf("deleting %s of the request: %w", prefix, err)
		}
	}
	return nil
}

// heads MACs the last link of each chain, so that a tail cut off later shows.
func (s *Stage) heads(ctx context.Context, id dsr.RequestID) (map[string]string, error) {
	chains := map[string]bool{dsr.RequestChain: true}
	visits, err := s.Ledger.Visits(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading the visits: %w", err)
	}
	for _, v := range visits {
		chains[v.System] = true
	}
	heads := map[string]string{}
	for chain := range chains {
		events, err := s.Ledger.Events(ctx, id, chain)
		if err != nil {
			return nil, fmt.Errorf("reading chain %s: %w", chain, err)
		}
		if len(events) == 0 {
			continue
		}
		head, err := dsr.VerifyChain(events)
		if err != nil {
			return nil, err
		}
		if heads[chain], err = s.MACer.MAC(ctx, ledger.HeadPurpose, ledger.HeadMessage(id, chain, head)); err != nil {
			return nil, fmt.Errorf("sealing chain %s: %w", chain, err)
		}
	}
	return heads, nil
}
