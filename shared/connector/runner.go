package connector

import (
	"context"
	"errors"
	"fmt"
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
	Whole      []string                      // all categories the pack says the system holds: a visit of fewer touches those alone
	Changes    []dsr.Change                  // for rectify
	Ended      bool                          // the ground on which the categories were kept has ended
	Unproved   bool                          // the request asks only for what can be undone and needs no proof: the address somebody gave finds the record
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
	CauseNotChanged    = "not_changed"    // a field still reads otherwise, or no record has it
	CauseInWords       = "in_words"       // what to correct stands in the person's own words alone
	CauseNotMarked     = "not_marked"     // the system holds data that nothing there marks as not to be used
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
	Pepper  []byte            `json:"pepper,omitempty"`
}

// visit is one call of Visit.
type visit struct {
	*Runner
	Errand
	v       dsr.Visit
	secret  private
	stopped bool // the system stopped a purpose
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
	if len(w.secret.Pepper) == 0 {
		w.secret.Pepper = pepper()
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
	if bad := failed(w.v.Outcomes); len(bad) > 0 {
		if err := w.save(ctx); err != nil {
			return Answer{}, err
		}
		return Answer{Status: Person, Cause: bad[0].Reason, Found: w.secret.Found}, nil
	}
	if err := w.settle(ctx); err != nil {
		return Answer{}, err
	}
	return Answer{Status: Done, Found: w.secret.Found}, nil
}

// do runs one op and turns what it returns into a checkpoint and an answer.
func (w *visit) do(ctx context.Context, op dsr.Op) (Answer, error) {
	if !w.Descriptor.Can(op) && op != dsr.Suppress { // without a mark the other ops go on
		return w.stop(ctx, op, Answer{Status: Person, Cause: CauseUnsupported}, nil)
	}
	if op == dsr.Rectify && len(w.Changes) == 0 {
		return w.stop(ctx, op, Answer{Status: Person, Cause: CauseInWords}, nil)
	}
	if op == dsr.Erase || op == dsr.Rectify {
		answer, ready, err := w.allow(ctx, op)
		if err != nil || !ready {
			return answer, err
		}
	}
	receipt, err := w.call(ctx, op, w.task(op))
	if err != nil {
		return w.failed(ctx, op, err)
	}
	step := w.v.Steps[op]
	step.Done, step.Unknown = true, false
	step.Outcomes, step.Refs = receipt.Outcomes, receipt.Refs
	w.v.Steps[op] = step
	delete(w.secret.Cursors, op)
	delete(w.secret.Jobs, op)
	if op != dsr.Suppress || w.stopped || len(receipt.Outcomes) > 0 { // what the system does not know is no event
		if err := w.append(ctx, dsr.EventOpDone, op, counts(receipt.Outcomes)); err != nil {
			return Answer{}, err
		}
	}
	if err := w.checkpoint(ctx); err != nil {
		return Answer{}, err
	}
	return Answer{Status: Done}, nil
}

// task is the op for the connector.
func (w *visit) task(op dsr.Op) Task {
	return Task{
		Key:        string(w.v.RequestID) + "/" + w.v.System + "/" + string(op),
		Identities: w.acting(),
		Categories: w.only(op),
		Ended:      w.Ended,
		Pepper:     w.secret.Pepper,
		Footprint:  w.secret.Found,
		Job:        w.secret.Jobs[op],
		Cursor:     w.secret.Cursors[op],
		Progress:   saver{w: w, op: op},
	}
}

// only are the categories of an op that is for fewer than the system holds; nil
// for all. Locating is for all: one record is the way to another.
func (w *visit) only(op dsr.Op) []string {
	mine := w.v.For(op)
	if op == dsr.ReadBack {
		mine = w.reaches(dsr.Erase, dsr.Rectify)
	}
	if op == dsr.Locate || !slices.ContainsFunc(w.Whole, func(c string) bool { return !slices.Contains(mine, c) }) {
		return nil
	}
	return mine
}

// reaches are the categories of those of the ops that the visit has.
func (w *visit) reaches(ops ...dsr.Op) []string {
	var all []string
	for _, c := range w.v.Categories {
		if slices.ContainsFunc(ops, func(op dsr.Op) bool { return w.has(op) && slices.Contains(w.v.For(op), c) }) {
			all = append(all, c)
		}
	}
	return all
}

func (w *visit) has(op dsr.Op) bool { return slices.Contains(w.v.Ops, op) }

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
		return w.suppress(ctx, t)
	case dsr.ReadBack:
		return w.readBack(ctx, t)
	}
	return Receipt{}, &Error{Kind: Invalid, Op: op, Err: errors.New("the plan names an operation that does not exist")}
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
	t := w.task(dsr.ReadBack)
	t.Job, t.Cursor = "", ""
	seen, err := w.Connector.ReadBack(ctx, t, Receipt{})
	if err != nil {
		answer, err := w.failed(ctx, op, err)
		return answer, false, err
	}
	if op == dsr.Erase && seen.Gone() {
		step := w.v.Steps[op]
		step.Done, step.Unknown = true, false
		step.Outcomes, step.Refs = w.confirmed(seen), seen.Refs
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
