package desk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// allow serves stops/lift: the person allows again what was stopped, because it
// was not them who asked, or because they opt in (11 CCR 7028). The systems' own
// marks a person has lifted before; here Writ's own memory of the stop ends.
func (s *Stage) allow(ctx context.Context, actor string, a act) (web.Response, error) {
	d, refused, err := s.open(ctx, a)
	if err != nil || refused != nil {
		return deref(refused), err
	}
	r := d.Request
	undo := r.Status == dsr.NeedsAttention && r.Reason == ledger.ReasonUndo
	purposes, wrong := liftable(r, undo, a.Purpose)
	if wrong != "" {
		return answer(http.StatusConflict, problem(wrong))
	}
	hash, err := s.Hasher.Hash(ctx, "identity", d.Subject.Email())
	if err != nil {
		return web.Response{}, fmt.Errorf("hashing the person of request %s: %w", r.ID, err)
	}
	for _, p := range purposes {
		if err := s.Ledger.Allow(ctx, hash, p); err != nil {
			return web.Response{}, err
		}
		if err := s.note(ctx, r, dsr.EventAllowed, map[string]any{"actor": actor, "purpose": string(p)}); err != nil {
			return web.Response{}, err
		}
	}
	if undo {
		v := s.values(d)
		v.FormLink = s.URL + "/"
		sent, err := s.tell(ctx, d, policy.NoticeWithdrawn, v)
		if err != nil {
			return web.Response{}, err
		}
		if r, err = s.undone(ctx, r, sent); err != nil {
			return web.Response{}, err
		}
		if err := s.note(ctx, r, dsr.EventMailed, map[string]any{"notice": sent.name, "template": sent.version}); err != nil {
			return web.Response{}, err
		}
	}
	return answer(http.StatusOK, map[string]any{"request_id": r.ID, "status": r.Status, "allowed": purposes})
}

// liftable returns what the act allows again, or says why it cannot.
func liftable(r ledger.Request, undo bool, named dsr.Purpose) (purposes []dsr.Purpose, wrong string) {
	switch {
	case undo:
		for _, right := range r.Rights {
			if p := right.Stops(); p != "" && (named == "" || named == p) {
				purposes = append(purposes, p)
			}
		}
		slices.Sort(purposes)
		purposes = slices.Compact(purposes)
	case slices.Contains(r.Rights, dsr.OptIn) && !r.VerifiedAt.IsZero() && r.Status.Open():
		for _, right := range dsr.Rights() {
			if p := right.Stops(); right.Proofless() && p == named && len(purposes) == 0 {
				purposes = append(purposes, p)
			}
		}
	default:
		return nil, "this request asks for nothing to be allowed again: it must be an opt-in that was proved, or one that its person says was not theirs"
	}
	if len(purposes) == 0 {
		return nil, "purpose must be one that the request stopped, or that a person can stop"
	}
	return purposes, ""
}

// undone closes a request whose stop was taken back.
func (s *Stage) undone(ctx context.Context, r ledger.Request, sent *mailed) (ledger.Request, error) {
	r, err := ledger.Change(ctx, s.Ledger, r.ID, func(r *ledger.Request) error {
		if r.Reason != ledger.ReasonUndo {
			return errDecided
		}
		r.Status, r.ClosedAt, r.Owner = dsr.Withdrawn, s.Now(), ""
		sent.record(r)
		return nil
	})
	if err != nil && !errors.Is(err, errDecided) {
		return r, fmt.Errorf("closing request %s: %w", r.ID, err)
	}
	return r, nil
}
