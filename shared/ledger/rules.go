package ledger

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// MayErase is BeginErasing's rule about the request: ErrStale where another run
// is the current one, ErrNotReady where Allows says no.
func (r Request) MayErase(run int) error {
	switch {
	case r.Run != run:
		return ErrStale
	case !r.Allows(run):
		return ErrNotReady
	}
	return nil
}

// MayForget is DeleteRecords' rule: ErrNotReady while the request is open or
// its key is there.
func (r Request) MayForget() error {
	if shelf, _ := r.Shelf(); shelf != ShelfEnded {
		return ErrNotReady
	}
	return nil
}

// Expired reports whether the token's due time has passed. At the due time
// itself the token still works.
func (t Token) Expired(now time.Time) bool { return now.After(t.Due) }

// MayUse is UseToken's rule: ErrUsed, then ErrExpired.
func (t Token) MayUse(now time.Time) error {
	switch {
	case !t.UsedAt.IsZero():
		return ErrUsed
	case t.Expired(now):
		return ErrExpired
	}
	return nil
}

// Link seals e as the link after prev. What e.Detail holds is first brought
// into the form in which a store gives it back, so that the hash of a chain
// that was read equals the hash of the chain that was written.
func Link(prev, e dsr.Event) (dsr.Event, error) {
	if e.RequestID == "" || e.Chain == "" {
		return dsr.Event{}, fmt.Errorf("sealing event %s: it names no request or no chain", e.Kind)
	}
	if len(e.Detail) > 0 {
		stored, err := json.Marshal(e.Detail)
		if err != nil {
			return dsr.Event{}, fmt.Errorf("sealing event %s: its detail has no JSON form: %w", e.Kind, err)
		}
		e.Detail = nil
		if err := json.Unmarshal(stored, &e.Detail); err != nil {
			return dsr.Event{}, fmt.Errorf("sealing event %s: %w", e.Kind, err)
		}
	}
	return e.Seal(prev)
}

// FirstLink seals the first event of a new request's own chain.
func FirstLink(r Request, e dsr.Event) (dsr.Event, error) {
	if e.RequestID != r.ID || e.Chain != dsr.RequestChain {
		return dsr.Event{}, fmt.Errorf("creating request %s: its first event belongs to another request or chain", r.ID)
	}
	return Link(dsr.Event{}, e)
}

// Counter names the counter of Hit that holds now, and when its window ends.
// Windows are fixed and count from the zero time, so every caller of one key
// and window length shares them.
func Counter(key string, window time.Duration, now time.Time) (name string, ends time.Time) {
	starts := now.Truncate(window)
	return "HIT#" + key + "#" + window.String() + "#" + strconv.FormatInt(starts.Unix(), 10), starts.Add(window)
}

// HeldError says which kind of hold stopped an erasure; errors.Is finds ErrHeld.
// It leaves out the keyed hash of a hold on a person.
type HeldError struct{ Key string }

// Error names the kind of hold, and the category or the request it is on.
func (e *HeldError) Error() string {
	on, name, _ := strings.Cut(strings.TrimPrefix(e.Key, "HOLD#"), "#")
	if on == "subject" {
		return ErrHeld.Error() + " to the person"
	}
	return ErrHeld.Error() + " to the " + on + " " + name
}

// Unwrap returns ErrHeld.
func (e *HeldError) Unwrap() error { return ErrHeld }
