package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// locate keeps the footprint. Records reached only by an identifier that a
// vendor vouches for are a person's candidates: counted, never exported or
// erased.
func (w *visit) locate(ctx context.Context, t Task) error {
	found, err := w.Connector.Locate(ctx, t)
	if err != nil {
		return err
	}
	if weak := vouched(w.Identities); len(weak) > 0 {
		t.Identities = weak
		more, err := w.Connector.Locate(ctx, t)
		if err != nil {
			return err
		}
		for _, rec := range more.Records {
			if !slices.Contains(found.Records, rec) {
				found.Candidates++
			}
		}
	}
	w.secret.Found = found
	return nil
}

func (w *visit) export(ctx context.Context, t Task) (Receipt, error) {
	parts := w.Parts(w.secret.Part)
	progress := saver{w: w, op: dsr.Export, parts: parts}
	t.Progress = progress
	receipt, err := w.Connector.Export(ctx, t, asked{parts, t})
	if err != nil {
		parts.Abort()
		return Receipt{}, err
	}
	if err := parts.Seal(ctx); err != nil {
		return Receipt{}, &Error{Kind: Unavailable, Op: dsr.Export, Err: fmt.Errorf("sealing the export: %w", err)}
	}
	w.secret.Part = parts.Next()
	return receipt, nil
}

// asked is a sink that takes only what was asked for: a driver that forgets to
// look at Task.Categories discloses nothing.
type asked struct {
	Sink
	task Task
}

// Row refuses a category that the task is not for.
func (a asked) Row(ctx context.Context, category, source string, row json.RawMessage) error {
	if !a.task.Wants(category) {
		return unasked(category)
	}
	return a.Sink.Row(ctx, category, source, row)
}

// File refuses a category that the task is not for.
func (a asked) File(ctx context.Context, category, source, name string, r io.Reader) error {
	if !a.task.Wants(category) {
		return unasked(category)
	}
	return a.Sink.File(ctx, category, source, name, r)
}

func unasked(category string) error {
	return &Error{Kind: Invalid, Op: dsr.Export, Err: fmt.Errorf("exporting: the driver writes category %q, which was not asked for", category)}
}

// suppress stops each purpose. The one that only helps an erasure is left out
// where the system has no such thing or keeps other data of the person in use.
// Data that a purpose was asked to end for, and that nothing marks, are a
// person's task.
func (w *visit) suppress(ctx context.Context, t Task) (Receipt, error) {
	purposes := w.v.Purposes
	if len(purposes) == 0 {
		purposes = []dsr.Purpose{dsr.AllUse}
	}
	key, asked, unknown := t.Key, false, false
	var all Receipt
	for _, p := range purposes {
		helps := p == dsr.AllUse && w.has(dsr.Erase)
		asked = asked || !helps
		if helps && w.only(dsr.Erase) != nil {
			continue
		}
		t.Key = key + "/" + string(p)
		var r Receipt
		err := unsupported(dsr.Suppress)
		if w.Descriptor.Can(dsr.Suppress) {
			r, err = w.Connector.Suppress(ctx, t, p)
		}
		switch {
		case errors.Is(err, Unsupported):
			unknown = unknown || !helps
			continue
		case err != nil:
			return Receipt{}, err
		}
		w.stopped = true
		all.Refs = append(all.Refs, r.Refs...)
		if !helps {
			all.Outcomes = join(all.Outcomes, r.Outcomes, p)
		}
	}
	for _, category := range w.v.For(dsr.Suppress) {
		marked := !unknown && slices.ContainsFunc(all.Outcomes, func(o dsr.Outcome) bool { return o.Category == category })
		if n := w.secret.Found.Counts[category]; asked && !marked && n > 0 {
			all.Outcomes = slices.DeleteFunc(all.Outcomes, func(o dsr.Outcome) bool { return o.Category == category })
			all.Outcomes = append(all.Outcomes, dsr.Outcome{Category: category, Kind: dsr.Failed, Count: n, Reason: CauseNotMarked})
		}
	}
	return all, nil
}

// join adds what one more purpose reports: each category has one outcome of a
// kind, however many purposes ended for it. A restriction is told as such.
func join(all, more []dsr.Outcome, p dsr.Purpose) []dsr.Outcome {
	for _, o := range more {
		if o.Kind == dsr.Suppressed && p == dsr.Storage {
			o.Kind = dsr.Restricted
		}
		at := slices.IndexFunc(all, func(a dsr.Outcome) bool { return a.Category == o.Category && a.Kind == o.Kind })
		if at < 0 {
			all = append(all, o)
		} else {
			all[at].Count = max(all[at].Count, o.Count)
		}
	}
	return all
}

// readBack compares what the steps reported with what is there.
func (w *visit) readBack(ctx context.Context, t Task) (Receipt, error) {
	erase, done := w.v.Steps[dsr.Erase], w.v.Steps[dsr.Erase]
	if w.has(dsr.Rectify) && !w.has(dsr.Erase) {
		t.Changes, done = w.Changes, w.v.Steps[dsr.Rectify]
	}
	seen, err := w.Connector.ReadBack(ctx, t, Receipt{Outcomes: done.Outcomes, Refs: done.Refs})
	if err != nil {
		return Receipt{}, err
	}
	var found []dsr.Outcome
	add := func(seen map[string]int, reason string, but func(category string) bool) {
		for _, category := range slices.Sorted(maps.Keys(seen)) {
			if n := seen[category]; n > 0 && t.Wants(category) && !but(category) {
				found = append(found, dsr.Outcome{Category: category, Kind: dsr.Failed, Count: n, Reason: reason})
			}
		}
	}
	if w.has(dsr.Erase) {
		add(seen.Remaining, CauseStillThere, func(category string) bool {
			return !w.erases(category) || pending(erase.Outcomes, category)
		})
		add(seen.Kept, CauseStillThere, func(category string) bool {
			return !w.erases(category) ||
				slices.ContainsFunc(erase.Outcomes, func(o dsr.Outcome) bool { return o.Category == category && o.Kind == dsr.Kept })
		})
	}
	add(seen.Unchanged, CauseNotChanged, func(string) bool { return false })
	if len(found) > 0 && w.v.Steps[dsr.ReadBack].Attempts < quick {
		return Receipt{}, &Error{Kind: Pending, Op: dsr.ReadBack, RetryAfter: 5 * time.Second, Job: "read_back", Err: errors.New("what was done is not to be seen yet")}
	}
	return Receipt{Outcomes: found, Refs: seen.Refs}, nil
}

// erases reports whether the visit's erasure is for a category.
func (w *visit) erases(category string) bool {
	only := w.only(dsr.Erase)
	return w.has(dsr.Erase) && (only == nil || slices.Contains(only, category))
}
