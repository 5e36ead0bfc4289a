package connector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Journal is the part of the ledger the runner writes. Every write carries the
// lease's fence, so a worker whose lease was taken over writes nothing.
type Journal interface {
	SaveVisit(ctx context.Context, v dsr.Visit) error
	BeginErasing(ctx context.Context, v dsr.Visit, holdKeys []string, now time.Time) error
	Append(ctx context.Context, e dsr.Event) error
}

// Box seals what must not lie in the ledger in clear. About binds the
// ciphertext to its place.
type Box interface {
	Seal(plain []byte, about string) []byte
	Open(sealed []byte, about string) ([]byte, error)
}

// Parts is where an export goes: a sink whose content is kept in numbered
// parts, so that a cut export goes on with the next part and a crashed one
// writes its last part again.
type Parts interface {
	Sink
	// Seal completes the current part.
	Seal(ctx context.Context) error
	// Next is the number of the part that would be written next.
	Next() int
	// Abort drops what was not sealed.
	Abort()
}

// Errand is one visit to do: the leased visit and what it needs.
type Errand struct {
	Visit      dsr.Visit
	Identities []dsr.Identity                // of the person, from the proof and from earlier visits
	Located    bool                          // act: the gather visit looked and could see; else a person decides
	Found      Footprint                     // act: what the gather visit found
	HoldKeys   []string                      // checked in the write that allows the first destructive call
	Box        Box                           // the request's
	Parts      func(next int) Parts          // opens the export from a part number on
	Changes    []dsr.Change                  // for rectify
	Decide     func(dsr.Outcome) dsr.Outcome // the pack: may turn kept into retained
}

// Answer says how a visit ended.
type Answer struct {
	Status Status
	Wait   time.Duration // Waiting: how long at least
	Cause  string        // Person: a closed word
	Found  Footprint     // what the visit knows of the person's records
}

// Status is what the machine does next with the visit.
type Status string

// The statuses a visit can return to the machine.
const (
	Done    Status = "done"
	Waiting Status = "waiting"
	Person  Status = "person"
	Stopped Status = "stopped" // the request is withdrawn, restricted or closed: nothing was sent
)

// The closed words for why a person has a visit.
const (
	CauseUnauthorized  = "unauthorized"   // the credential is missing, wrong or lacks a permission
	CauseUnsupported   = "unsupported"    // the vendor has no such call
	CauseInvalid       = "invalid"        // the vendor refused, or the configuration is wrong
	CauseUnknownEffect = "unknown_effect" // a call may have had its effect, and must not be sent twice
	CauseStillThere    = "still_there"    // the read-back finds what was reported erased
	CauseCandidate     = "candidate"      // a record may be the person's: an address that differs in case alone
	CauseNotLocated    = "not_located"    // the gather visit could not look, so nothing may be called not held
	CauseFault         = "fault"          // our own code or the platform failed
	CauseManual        = "manual"         // the system has no API: a person's task from the start
)

// GroundHold is the ground of an outcome that a legal hold kept.
const GroundHold = "legal_hold"

// quick is how many times an unavailable vendor is tried again by the machine's
// own retries before the visit waits.
const quick = 3

// Runner carries out visits with one connector. It is the only caller of a
// Connector and keeps the promises of design invariants 3 and 4: intent is in
// the ledger before the first destructive call; that write checks run, fence,
// proof and holds; an effect that may have happened is read back before
// anything is sent again.
type Runner struct {
	Connector  Connector
	Descriptor Descriptor
	Journal    Journal
	Now        func() time.Time
	Reserve    time.Duration // time to keep before the context's deadline for sealing and saving
}

// private is what a visit keeps sealed between calls.
type private struct {
	Found   Footprint         `json:"found,omitzero"`
	Cursors map[dsr.Op]string `json:"cursors,omitempty"`
	Jobs    map[dsr.Op]string `json:"jobs,omitempty"`
	Part    int               `json:"part,omitempty"`
}

// visit is one call of Visit.
type visit struct {
	*Runner
	Errand
	v      dsr.Visit
	secret private
}

// Visit runs the visit's ops in order from where the last call stopped and
// saves a checkpoint after each. An error is a fault the machine retries:
// Unavailable, or a failure of the ledger itself; everything else is in the
// answer. It gives the lease up in every case but a stale one.
func (r *Runner) Visit(ctx context.Context, e Errand) (Answer, error) {
	w := visit{Runner: r, Errand: e, v: e.Visit}
	if w.v.Steps == nil {
		w.v.Steps = map[dsr.Op]dsr.Step{}
	}
	if err := w.unseal(); err != nil {
		return Answer{}, err
	}
	if w.v.Phase == dsr.Act && len(w.secret.Found.Records) == 0 {
		w.secret.Found = e.Found
	}
	if p := w.v.Person; p != nil && !p.AnsweredAt.IsZero() && p.Answer != AnswerAgain {
		w.v.Outcomes = w.withPersons(w.outcomes())
		return Answer{Status: Done, Found: w.secret.Found}, w.settle(ctx)
	}
	if w.v.Phase == dsr.Act && !e.Located {
		return w.stop(ctx, dsr.Locate, Answer{Status: Person, Cause: CauseNotLocated}, nil)
	}
	for _, op := range w.v.Ops {
		if w.v.Steps[op].Done {
			continue
		}
		if op != dsr.Locate && w.secret.Found.Empty() {
			break
		}
		answer, err := w.do(ctx, op)
		if err != nil || answer.Status != Done {
			answer.Found = w.secret.Found
			return answer, err
		}
		if w.v.Settled() { // a hold ended it
			return Answer{Status: Done, Found: w.secret.Found}, nil
		}
	}
	if w.secret.Found.Candidates > 0 && len(w.v.Ops) > 1 && (w.v.Person == nil || w.v.Person.Cause != CauseCandidate) {
		if err := w.save(ctx); err != nil {
			return Answer{}, err
		}
		return Answer{Status: Person, Cause: CauseCandidate, Found: w.secret.Found}, nil
	}
	w.v.Outcomes = w.outcomes()
	if n := len(failed(w.v.Outcomes)); n > 0 {
		if err := w.save(ctx); err != nil {
			return Answer{}, err
		}
		return Answer{Status: Person, Cause: CauseStillThere, Found: w.secret.Found}, nil
	}
	if err := w.settle(ctx); err != nil {
		return Answer{}, err
	}
	return Answer{Status: Done, Found: w.secret.Found}, nil
}

// do runs one op and turns what it returns into a checkpoint and an answer.
func (w *visit) do(ctx context.Context, op dsr.Op) (Answer, error) {
	if !w.Descriptor.Can(op) {
		return w.stop(ctx, op, Answer{Status: Person, Cause: CauseUnsupported}, nil)
	}
	if op == dsr.Erase || op == dsr.Rectify {
		answer, ready, err := w.allow(ctx, op)
		if err != nil || !ready {
			return answer, err
		}
	}
	t := Task{
		Key:        string(w.v.RequestID) + "/" + w.v.System + "/" + string(op),
		Identities: acting(w.Identities),
		Footprint:  w.secret.Found,
		Job:        w.secret.Jobs[op],
		Cursor:     w.secret.Cursors[op],
		Progress:   saver{w: w, op: op},
	}
	receipt, err := w.call(ctx, op, t)
	if err != nil {
		return w.failed(ctx, op, err)
	}
	step := w.v.Steps[op]
	step.Done, step.Unknown = true, false
	step.Outcomes, step.Refs = receipt.Outcomes, receipt.Refs
	w.v.Steps[op] = step
	delete(w.secret.Cursors, op)
	delete(w.secret.Jobs, op)
	if err := w.append(ctx, dsr.EventOpDone, op, counts(receipt.Outcomes)); err != nil {
		return Answer{}, err
	}
	if err := w.checkpoint(ctx); err != nil {
		return Answer{}, err
	}
	return Answer{Status: Done}, nil
}

// call makes the one call of the connector that op stands for.
func (w *visit) call(ctx context.Context, op dsr.Op, t Task) (Receipt, error) {
	switch op {
	case dsr.Locate:
		return Receipt{}, w.locate(ctx, t)
	case dsr.Export:
		return w.export(ctx, t)
	case dsr.Erase:
		return w.Connector.Erase(ctx, t)
	case dsr.Rectify:
		return w.Connector.Rectify(ctx, t, w.Changes)
	case dsr.Suppress:
		return w.Connector.Suppress(ctx, t, dsr.AllUse)
	case dsr.ReadBack:
		return w.readBack(ctx, t)
	}
	return Receipt{}, &Error{Kind: Invalid, Op: op, Err: errors.New("the plan names an operation that does not exist")}
}

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
	receipt, err := w.Connector.Export(ctx, t, parts)
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

// allow decides what a destructive op may do now. An op that was started before
// and is not known to be done is read back first; then, before each sending, one
// write records the intent and checks run, fence, proof and holds.
func (w *visit) allow(ctx context.Context, op dsr.Op) (answer Answer, ready bool, err error) {
	step := w.v.Steps[op]
	if step.Started && w.secret.Jobs[op] == "" && w.secret.Cursors[op] == "" {
		answer, settled, err := w.lookFirst(ctx, op)
		if err != nil || settled || answer.Status != Done {
			return answer, false, err
		}
	}
	if !step.Started {
		step.Started = true
		w.v.Steps[op] = step
		if err := w.append(ctx, dsr.EventIntent, op, nil); err != nil {
			return Answer{}, false, err
		}
	}
	if w.v.Sealed, err = w.seal(); err != nil {
		return Answer{}, false, err
	}
	err = w.Journal.BeginErasing(ctx, w.v, w.HoldKeys, w.Now())
	switch {
	case errors.Is(err, dsr.ErrHeld):
		return Answer{Status: Done}, false, w.held(ctx)
	case errors.Is(err, dsr.ErrNotReady):
		return Answer{Status: Stopped}, false, w.save(ctx)
	case err != nil:
		return Answer{}, false, fmt.Errorf("recording the intent of %s: %w", op, err)
	}
	w.v.Status = dsr.VisitErasing
	return Answer{}, true, nil
}

// lookFirst reads back an op whose effect may have happened. It reports settled
// when nothing is left to send, and sends a person where the vendor's call must
// not be repeated.
func (w *visit) lookFirst(ctx context.Context, op dsr.Op) (answer Answer, settled bool, err error) {
	t := Task{
		Key:        string(w.v.RequestID) + "/" + w.v.System + "/" + string(dsr.ReadBack),
		Identities: acting(w.Identities), Footprint: w.secret.Found, Progress: saver{w: w, op: dsr.ReadBack},
	}
	seen, err := w.Connector.ReadBack(ctx, t, Receipt{})
	if err != nil {
		answer, err := w.failed(ctx, op, err)
		return answer, false, err
	}
	if op == dsr.Erase && seen.Gone() {
		step := w.v.Steps[op]
		step.Done, step.Unknown = true, false
		step.Outcomes, step.Refs = confirmed(w.secret.Found, seen), seen.Refs
		w.v.Steps[op] = step
		if err := w.append(ctx, dsr.EventOpDone, op, counts(step.Outcomes)); err != nil {
			return Answer{}, false, err
		}
		return Answer{Status: Done}, true, w.checkpoint(ctx)
	}
	if w.Descriptor.Resend == ResendNever {
		answer, err := w.stop(ctx, op, Answer{Status: Person, Cause: CauseUnknownEffect}, nil)
		return answer, false, err
	}
	return Answer{Status: Done}, false, nil
}

// readBack compares what the erase step reported with what is there.
func (w *visit) readBack(ctx context.Context, t Task) (Receipt, error) {
	erase := w.v.Steps[dsr.Erase]
	seen, err := w.Connector.ReadBack(ctx, t, Receipt{Outcomes: erase.Outcomes, Refs: erase.Refs})
	if err != nil {
		return Receipt{}, err
	}
	var found []dsr.Outcome
	for _, category := range slices.Sorted(maps.Keys(seen.Remaining)) {
		n := seen.Remaining[category]
		if n > 0 && !pending(erase.Outcomes, category) {
			found = append(found, dsr.Outcome{Category: category, Kind: dsr.Failed, Count: n, Reason: CauseStillThere})
		}
	}
	for _, category := range slices.Sorted(maps.Keys(seen.Kept)) {
		n := seen.Kept[category]
		if n > 0 && !slices.ContainsFunc(erase.Outcomes, func(o dsr.Outcome) bool { return o.Category == category && o.Kind == dsr.Kept }) {
			found = append(found, dsr.Outcome{Category: category, Kind: dsr.Failed, Count: n, Reason: CauseStillThere})
		}
	}
	if len(found) > 0 && w.v.Steps[dsr.ReadBack].Attempts < quick {
		return Receipt{}, &Error{Kind: Pending, Op: dsr.ReadBack, RetryAfter: 5 * time.Second, Job: "read_back", Err: errors.New("what was erased is still visible")}
	}
	return Receipt{Outcomes: found, Refs: seen.Refs}, nil
}

// failed turns a connector's error into the machine's next step.
func (w *visit) failed(ctx context.Context, op dsr.Op, err error) (Answer, error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Kind: KindOf(err), Op: op, Err: err}
	}
	step := w.v.Steps[op]
	step.Attempts++
	w.v.Steps[op] = step
	switch {
	case errors.Is(err, ErrPause):
		return w.stop(ctx, op, Answer{Status: Waiting}, nil)
	case errors.Is(err, dsr.ErrStale):
		return Answer{}, err
	case errors.Is(ctx.Err(), context.Canceled):
		return Answer{}, ctx.Err()
	case e.Kind == Pending:
		if e.Job != "" && op != dsr.ReadBack {
			w.setJob(op, e.Job)
		}
		return w.stop(ctx, op, Answer{Status: Waiting, Wait: max(e.RetryAfter, backoff(step.Attempts))}, nil)
	case e.Kind == RateLimited:
		return w.stop(ctx, op, Answer{Status: Waiting, Wait: max(e.RetryAfter, time.Second)}, nil)
	case e.Kind == Unavailable:
		if e.Sent && (op == dsr.Erase || op == dsr.Rectify || op == dsr.Suppress) {
			step.Unknown = true
			w.v.Steps[op] = step
		}
		if step.Attempts <= quick {
			return w.stop(ctx, op, Answer{}, e)
		}
		return w.stop(ctx, op, Answer{Status: Waiting, Wait: max(e.RetryAfter, backoff(step.Attempts))}, nil)
	case e.Kind == Unauthorized:
		return w.stop(ctx, op, Answer{Status: Person, Cause: CauseUnauthorized}, nil)
	case e.Kind == Unsupported:
		return w.stop(ctx, op, Answer{Status: Person, Cause: CauseUnsupported}, nil)
	}
	return w.stop(ctx, op, Answer{Status: Person, Cause: CauseInvalid}, nil)
}

// stop saves the visit, gives the lease up and returns what was decided.
func (w *visit) stop(ctx context.Context, op dsr.Op, a Answer, fault error) (Answer, error) {
	detail := map[string]any{"status": string(a.Status)}
	if fault != nil {
		detail["status"] = string(KindOf(fault))
	}
	if a.Cause != "" {
		detail["cause"] = a.Cause
	}
	if err := w.append(ctx, dsr.EventWaiting, op, detail); err != nil {
		return Answer{}, err
	}
	if err := w.save(ctx); err != nil {
		return Answer{}, err
	}
	return a, fault
}

// held ends the visit because a hold was found in the very write that would
// have allowed the first destructive call.
func (w *visit) held(ctx context.Context) error {
	for op, step := range w.v.Steps {
		if op == dsr.Erase || op == dsr.Rectify {
			step.Started = false
			w.v.Steps[op] = step
		}
	}
	w.v.Outcomes = nil
	for _, category := range w.categories() {
		w.v.Outcomes = append(w.v.Outcomes, Held(category, w.secret.Found.Counts[category]))
	}
	if err := w.append(ctx, dsr.EventHeld, dsr.Erase, nil); err != nil {
		return err
	}
	return w.settle(ctx)
}

func (w *visit) settle(ctx context.Context) error {
	w.v.Status, w.v.SettledAt = dsr.VisitSettled, w.Now()
	if len(w.v.OpenOutcomes()) > 0 {
		w.v.Status, w.v.SettledAt = dsr.VisitErasing, time.Time{} // a later run re-checks
	}
	if err := w.append(ctx, dsr.EventSettled, "", counts(w.v.Outcomes)); err != nil {
		return err
	}
	return w.save(ctx)
}

func (w *visit) append(ctx context.Context, kind dsr.EventKind, op dsr.Op, detail map[string]any) error {
	if detail == nil {
		detail = map[string]any{}
	}
	detail["phase"] = string(w.v.Phase)
	if op != "" {
		detail["op"] = string(op)
	}
	err := w.Journal.Append(ctx, dsr.Event{
		RequestID: w.v.RequestID, Chain: w.v.System, Kind: kind, At: w.Now(),
		Run: w.v.Run, Fence: w.v.Fence, Detail: detail,
	})
	if err != nil {
		return fmt.Errorf("recording %s of system %s: %w", kind, w.v.System, err)
	}
	return nil
}
