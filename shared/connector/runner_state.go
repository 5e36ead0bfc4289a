package connector

import (
	"context"
	cryptorand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// saver is the Progress of one op: it cuts the op when the time is nearly up.
type saver struct {
	w     *visit
	op    dsr.Op
	parts Parts // export only
}

// Save checkpoints the cursor and answers ErrPause when the context's deadline
// is near; else it does nothing, because a crashed op starts from its last
// checkpoint anyway.
func (s saver) Save(ctx context.Context, cursor string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	deadline, ok := ctx.Deadline()
	if !ok || deadline.Sub(s.w.Now()) > s.w.Reserve {
		return nil
	}
	if s.parts != nil {
		if err := s.parts.Seal(ctx); err != nil {
			return &Error{Kind: Unavailable, Op: s.op, Err: fmt.Errorf("sealing the export: %w", err)}
		}
		s.w.secret.Part = s.parts.Next()
	}
	if s.w.secret.Cursors == nil {
		s.w.secret.Cursors = map[dsr.Op]string{}
	}
	s.w.secret.Cursors[s.op] = cursor
	if err := s.w.checkpoint(ctx); err != nil {
		return err
	}
	return ErrPause
}

// about binds the sealed part of a visit to its row.
func about(v dsr.Visit) string { return string(v.RequestID) + "/" + v.Task() }

func (w *visit) unseal() error {
	if len(w.v.Sealed) == 0 {
		return nil
	}
	plain, err := w.Box.Open(w.v.Sealed, about(w.v))
	if err != nil {
		return fmt.Errorf("opening what system %s keeps sealed: %w", w.v.System, err)
	}
	if err := json.Unmarshal(plain, &w.secret); err != nil {
		return errors.New("reading what system " + w.v.System + " keeps sealed: it is not what was written")
	}
	return nil
}

func (w *visit) seal() ([]byte, error) {
	plain, err := json.Marshal(w.secret)
	if err != nil {
		return nil, fmt.Errorf("sealing the visit of system %s: %w", w.v.System, err)
	}
	return w.Box.Seal(plain, about(w.v)), nil
}

// checkpoint writes the visit and keeps the lease.
func (w *visit) checkpoint(ctx context.Context) error {
	sealed, err := w.seal()
	if err != nil {
		return err
	}
	w.v.Sealed = sealed
	if err := w.Journal.SaveVisit(ctx, w.v); err != nil {
		return fmt.Errorf("saving the visit of system %s: %w", w.v.System, err)
	}
	return nil
}

// save writes the visit and gives the lease up.
func (w *visit) save(ctx context.Context) error {
	w.v.LeaseUntil = time.Time{}
	return w.checkpoint(ctx)
}

func (w *visit) setJob(op dsr.Op, job string) {
	if w.secret.Jobs == nil {
		w.secret.Jobs = map[dsr.Op]string{}
	}
	w.secret.Jobs[op] = job
}

// FoundIn opens the footprint that a gather visit kept sealed.
func FoundIn(v dsr.Visit, box Box) (Footprint, error) {
	w := visit{v: v, Errand: Errand{Box: box}}
	if err := w.unseal(); err != nil {
		return Footprint{}, err
	}
	return w.secret.Found, nil
}

// pepper is a fresh key for Task.Print.
func pepper() []byte {
	key := make([]byte, 32)
	cryptorand.Read(key) // it never fails
	return key
}

// acting returns the identities that may export and erase. Where the request
// asks only for what can be undone, the address somebody gave stands for a
// proved one: nobody may ask for more, and nothing is shown or changed.
func (w *visit) acting() []dsr.Identity {
	undoable := w.Unproved && !slices.ContainsFunc(w.v.Ops, func(op dsr.Op) bool { return op != dsr.Locate && op != dsr.Suppress })
	var may []dsr.Identity
	for _, i := range w.Identities {
		if i.Origin == dsr.SelfAsserted && undoable {
			i.Origin = dsr.Proved
		}
		if i.MayAct() {
			may = append(may, i)
		}
	}
	return may
}

// vouched returns the identities that may only point at candidates.
func vouched(all []dsr.Identity) []dsr.Identity {
	var weak []dsr.Identity
	for _, i := range all {
		if i.MayLocate() && !i.MayAct() {
			weak = append(weak, i)
		}
	}
	return weak
}

// backoff doubles from two seconds to a day, with full jitter in its upper half
// so that many visits to one vendor spread out.
func backoff(attempt int) time.Duration {
	d := 2 * time.Second << min(max(attempt-1, 0), 16)
	d = min(d, 24*time.Hour)
	return d/2 + rand.N(d/2)
}
