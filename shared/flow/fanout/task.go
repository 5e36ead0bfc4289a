// Package fanout carries out the visits: by API through the connector's runner,
// or by a person whose task it opens, serves and closes.
package fanout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/policy"
)

// Input is what the machine hands to FanoutTask.
type Input struct {
	V         int           `json:"v"`
	RequestID dsr.RequestID `json:"request_id"`
	Run       int           `json:"run"`
	System    string        `json:"system"`
	Phase     dsr.Phase     `json:"phase"`
}

// Output tells the machine what to do next with the visit.
type Output struct {
	V           int    `json:"v"`
	System      string `json:"system"`
	Status      string `json:"status"` // done, waiting, person
	WaitSeconds int    `json:"wait_seconds"`
	Cause       string `json:"cause"`
}

// TaskLedger is what a visit reads and writes.
type TaskLedger interface {
	dossier.Ledger
	connector.Journal
	Visits(ctx context.Context, id dsr.RequestID) ([]dsr.Visit, error)
	TakeVisit(ctx context.Context, id dsr.RequestID, task string, run int, now, until time.Time) (dsr.Visit, error)
}

// Hasher makes keyed hashes.
type Hasher interface {
	Hash(ctx context.Context, purpose, value string) (string, error)
}

// Task runs the visits of one system.
type Task struct {
	Company    *policy.Company
	System     policy.System
	Descriptor connector.Descriptor
	// Open makes the system's driver: it reads the secrets, so it may fail, and
	// then the visit goes to a person.
	Open    func(ctx context.Context) (connector.Connector, error)
	Ledger  TaskLedger
	Keys    dossier.Keys
	Hasher  Hasher
	Parts   func(id dsr.RequestID, system string, next int) connector.Parts
	Now     func() time.Time
	Reserve time.Duration // kept before the time limit, for sealing and saving
}

// CauseMissingSecret is why a person has the visit of a system whose secrets
// could not be read; its page names them.
const CauseMissingSecret = "missing_secret"

// deferral is how long work that was deferred waits until the sweep tries again.
const deferral = 24 * time.Hour

// leaseSlack lets a lease outlive its function a little, so that a function that
// is being ended and its successor never both hold one.
const leaseSlack = 5 * time.Second

// Handle does one visit, or as much of it as the time allows.
func (t *Task) Handle(ctx context.Context, in Input) (Output, error) {
	out := Output{V: 1, System: in.System, Status: string(connector.Done)}
	if in.System != t.System.ID {
		return Output{}, fmt.Errorf("visiting system %s: this function serves %s", in.System, t.System.ID)
	}
	if _, err := dsr.ParsePhase(string(in.Phase)); err != nil {
		return Output{}, err
	}
	d, err := dossier.Open(ctx, t.Ledger, t.Keys, in.RequestID)
	if err != nil {
		return Output{}, err
	}
	r := d.Request
	if r.Run != in.Run || r.VerifiedAt.IsZero() && !r.Proofless() || (r.Status != dsr.Running && r.Status != dsr.Answered) {
		return out, nil // stale, withdrawn or closed: nothing is touched, and CollectResults reads the ledger
	}
	now := t.Now()
	until := now.Add(t.Reserve + leaseSlack)
	if deadline, ok := ctx.Deadline(); ok {
		until = deadline.Add(leaseSlack)
	}
	v, err := t.Ledger.TakeVisit(ctx, in.RequestID, dsr.Visit{System: in.System, Phase: in.Phase}.Task(), in.Run, now, until)
	switch {
	case errors.Is(err, ledger.ErrSettled), errors.Is(err, ledger.ErrStale):
		return out, nil
	case errors.Is(err, ledger.ErrLeased):
		out.Status, out.WaitSeconds = string(connector.Waiting), 15
		return out, nil
	case err != nil:
		return Output{}, fmt.Errorf("taking the visit of system %s: %w", in.System, err)
	}
	margin, err := marginOf(t.Company, r)
	if err != nil {
		return Output{}, err
	}
	if in.Phase == dsr.Act {
		if t.Now().Before(v.NotBefore) {
			return out, coolOff(ctx, t.Ledger, v, t.Now())
		}
		ready, err := t.mayAct(ctx, r, v)
		if err != nil {
			return Output{}, err
		}
		if !ready {
			return out, deferVisit(ctx, t.Ledger, v, t.Now())
		}
	}
	answer, err := t.visit(ctx, d, v)
	// Near the due date, and after a partial answer, nobody waits for a vendor:
	// the visit was tried, and the sweep comes back to it.
	patient := r.AnsweredAt.IsZero() && t.Now().Before(margin)
	if !patient && (err != nil && connector.KindOf(err) == connector.Unavailable || answer.Status == connector.Waiting && answer.Wait > 0) {
		return out, t.deferTask(ctx, in, v)
	}
	if err != nil {
		return Output{}, err
	}
	out.Status, out.Cause = string(answer.Status), answer.Cause
	switch answer.Status {
	case connector.Stopped:
		out.Status = string(connector.Done)
	case connector.Waiting:
		wait := answer.Wait
		if patient {
			wait = min(wait, margin.Sub(t.Now()))
		}
		out.WaitSeconds = int((wait + time.Second - 1) / time.Second)
	}
	return out, nil
}

// mayAct reports whether this system may be acted upon: its own gathering has
// ended; for a system of record, whose rows are the keys to the others, every
// system's has; and where a copy was asked too, it is built and mailed before
// anything in it changes. What may not be acted upon yet is deferred, never
// erased first.
func (t *Task) mayAct(ctx context.Context, r ledger.Request, act dsr.Visit) (bool, error) {
	visits, err := t.Ledger.Visits(ctx, r.ID)
	if err != nil {
		return false, fmt.Errorf("reading the visits of request %s: %w", r.ID, err)
	}
	for _, v := range visits {
		if v.Phase == dsr.Gather && !v.Settled() && (v.System == t.System.ID || t.System.SystemOfRecord && !v.Manual) {
			return false, nil
		}
	}
	if !act.Erases() || !dsr.Wants(r.Rights, dsr.ByCopy) || !dsr.Copies(visits) {
		return true, nil
	}
	return r.Bundle != nil && !r.Bundle.DeliveredAt.IsZero(), nil
}

// deferTask takes the visit again, which its runner gave up, and leaves it open
// for the sweep.
func (t *Task) deferTask(ctx context.Context, in Input, v dsr.Visit) error {
	now := t.Now()
	again, err := t.Ledger.TakeVisit(ctx, in.RequestID, v.Task(), in.Run, now, now.Add(leaseSlack))
	if err != nil {
		return fmt.Errorf("deferring the visit of system %s: %w", in.System, err)
	}
	return deferVisit(ctx, t.Ledger, again, now)
}

// visit gathers what the runner needs and lets it work.
func (t *Task) visit(ctx context.Context, d dossier.Dossier, v dsr.Visit) (connector.Answer, error) {
	all, err := t.Ledger.Visits(ctx, v.RequestID)
	if err != nil {
		return connector.Answer{}, fmt.Errorf("reading the visits of request %s: %w", v.RequestID, err)
	}
	errand := connector.Errand{
		Visit: v, Identities: d.Subject.Identities, Box: d.Box,
		Whole: t.System.Categories, Changes: t.Company.OwnChanges(d.Request.Plan, d.Subject.Changes), Unproved: d.Request.Proofless(),
		Parts:  func(next int) connector.Parts { return t.Parts(v.RequestID, v.System, next) },
		Ended:  d.Request.Ended(v.System),
		Decide: func(o dsr.Outcome) dsr.Outcome { return t.Company.Decide(o, d.Request.Place(), t.Now()) },
	}
	if errand.Ended {
		errand.Decide = nil // the ground has ended: what stays all the same is kept, and on no ground
	}
	for _, other := range all {
		if other.Phase != dsr.Gather || other.Manual || len(other.Sealed) == 0 {
			continue
		}
		found, err := connector.FoundIn(other, d.Box)
		if err != nil {
			return connector.Answer{}, err
		}
		errand.Identities = join(errand.Identities, found.Yields)
		if other.System == v.System && other.Steps[dsr.Locate].Done {
			errand.Located, errand.Found = true, found
		}
	}
	if t.blind(v, all) {
		return t.toPerson(ctx, v, connector.CauseNotLocated)
	}
	if v.Erases() {
		if errand.HoldKeys, err = holdKeys(ctx, t.Hasher, d, v); err != nil {
			return connector.Answer{}, err
		}
	}
	runner := connector.Runner{Descriptor: t.Descriptor, Journal: t.Ledger, Now: t.Now, Reserve: t.Reserve}
	if answered(v) {
		return runner.Visit(ctx, errand) // settled by the person's word: the system need not open
	}
	if runner.Connector, err = t.Open(ctx); err != nil {
		cause := connector.CauseInvalid
		switch connector.KindOf(err) {
		case connector.Unauthorized, connector.NotFound:
			cause = CauseMissingSecret
		case connector.Unavailable, connector.RateLimited:
			v.LeaseUntil = time.Time{}
			return connector.Answer{}, errors.Join(err, t.Ledger.SaveVisit(ctx, v))
		}
		return t.toPerson(ctx, v, cause)
	}
	return runner.Visit(ctx, errand)
}

// answered reports whether a person's word ends the visit.
func answered(v dsr.Visit) bool {
	return v.Person != nil && !v.Person.AnsweredAt.IsZero() && v.Person.Answer != connector.AnswerAgain
}

// blind reports whether the visit gathers without the identifiers it needs: a
// system it depends on could not be looked into. Finding nothing then would say
// nothing.
func (t *Task) blind(v dsr.Visit, all []dsr.Visit) bool {
	if v.Phase != dsr.Gather || answered(v) {
		return false
	}
	for _, other := range all {
		if other.Phase == dsr.Gather && !other.Manual && slices.Contains(t.System.DependsOn, other.System) && !other.Steps[dsr.Locate].Done {
			return true
		}
	}
	return false
}

// toPerson gives the lease up and the visit to a person.
func (t *Task) toPerson(ctx context.Context, v dsr.Visit, cause string) (connector.Answer, error) {
	v.LeaseUntil = time.Time{}
	if err := t.Ledger.SaveVisit(ctx, v); err != nil {
		return connector.Answer{}, fmt.Errorf("saving the visit of system %s: %w", v.System, err)
	}
	return connector.Answer{Status: connector.Person, Cause: cause}, nil
}

// holdKeys are the keys under which a hold can stop this visit.
func holdKeys(ctx context.Context, h Hasher, d dossier.Dossier, v dsr.Visit) ([]string, error) {
	keys := []string{ledger.HoldOnRequest(v.RequestID)}
	if parent := d.Request.Parent; parent != "" {
		keys = append(keys, ledger.HoldOnRequest(parent))
	}
	if address := d.Subject.Email(); address != "" { // Writ's own work may know no address
		hash, err := h.Hash(ctx, "identity", address)
		if err != nil {
			return nil, fmt.Errorf("hashing the identity: %w", err)
		}
		keys = append(keys, ledger.HoldOnSubject(hash))
	}
	for _, category := range v.Categories {
		keys = append(keys, ledger.HoldOnCategory(category))
	}
	return keys, nil
}

// join adds the identities that are not there yet.
func join(have, more []dsr.Identity) []dsr.Identity {
	all := append([]dsr.Identity(nil), have...)
next:
	for _, m := range more {
		for _, h := range all {
			if h.Kind == m.Kind && h.Value == m.Value {
				continue next
			}
		}
		all = append(all, m)
	}
	return all
}

// marginOf is when open work of the request must become a partial answer.
func marginOf(c *policy.Company, r ledger.Request) (time.Time, error) {
	deadline, err := c.Due(r.Rights, r.Clock, r.Place())
	if err != nil {
		return time.Time{}, fmt.Errorf("computing the due date of request %s: %w", r.ID, err)
	}
	return deadline.MarginAt, nil
}

// visitSaver is what deferring needs.
type visitSaver interface {
	SaveVisit(ctx context.Context, v dsr.Visit) error
	Append(ctx context.Context, e dsr.Event) error
}

// CoolingOff is why a change of a login or delivery address waits: whoever reads
// the old address can still stop it.
const CoolingOff = "cooling_off"

// coolOff leaves the visit open until its day; the sweep then starts the run
// that carries it out.
func coolOff(ctx context.Context, l visitSaver, v dsr.Visit, now time.Time) error {
	return deferUntil(ctx, l, v, v.NotBefore, CoolingOff, now)
}

// deferVisit leaves the visit open for the sweep and says so in its outcomes,
// so that the person is told the truth on time.
func deferVisit(ctx context.Context, l visitSaver, v dsr.Visit, now time.Time) error {
	return deferUntil(ctx, l, v, now.Add(deferral), "not_finished", now)
}

func deferUntil(ctx context.Context, l visitSaver, v dsr.Visit, due time.Time, reason string, now time.Time) error {
	v.Outcomes = nil
	for _, category := range v.Categories {
		v.Outcomes = append(v.Outcomes, dsr.Outcome{Category: category, Kind: dsr.Deferred, DueAt: due, Reason: reason})
	}
	v.LeaseUntil = time.Time{}
	if err := l.SaveVisit(ctx, v); err != nil {
		return fmt.Errorf("deferring the visit of system %s: %w", v.System, err)
	}
	return l.Append(ctx, dsr.Event{RequestID: v.RequestID, Chain: v.System, Kind: dsr.EventWaiting, At: now, Run: v.Run, Fence: v.Fence,
		Detail: map[string]any{"phase": string(v.Phase), "status": "deferred", "reason": reason}})
}
