package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
)

// rest is what one system keeps of a closed request on one ground until one day.
type rest struct {
	system, ground, until string
	rights                []dsr.Right
	categories            []string
}

func (r rest) held() bool { return r.ground == connector.GroundHold }

// rests groups what the acting visits kept. Writ's own records end by
// themselves, and a recipient keeps nothing of ours.
func rests(visits []dsr.Visit) []rest {
	var all []rest
	for _, v := range visits {
		if v.Phase != dsr.Act || v.System == dsr.Itself || v.Recipient != "" {
			continue
		}
		for _, o := range v.Outcomes {
			if o.Kind != dsr.Retained {
				continue
			}
			same := func(x rest) bool { return x.system == v.System && x.ground == o.Ground && x.until == o.Until }
			i := slices.IndexFunc(all, same)
			if i < 0 {
				i = len(all)
				all = append(all, rest{system: v.System, ground: o.Ground, until: o.Until, rights: v.Rights})
			}
			if !slices.Contains(all[i].categories, o.Category) {
				all[i].categories = append(all[i].categories, o.Category)
			}
		}
	}
	return all
}

// later gives what the outcomes of a closed request leave for a later day, or
// for the end of a hold, envelopes of their own: a request for each system,
// ground and day, sealed with a key of its own over the identifiers that the
// system needs. It must come before the key of the request is destroyed. The
// ids follow from what is left, so a call that was cut plans nothing twice.
func (s *Stage) later(ctx context.Context, r ledger.Request, now time.Time) error {
	if r.Status.Open() || settled(r) {
		return nil
	}
	visits, err := s.Ledger.Visits(ctx, r.ID)
	if err != nil {
		return fmt.Errorf("reading the visits: %w", err)
	}
	s.stays(r, visits)
	tasks, holds := 0, 0
	left := rests(visits)
	if r.Status != dsr.Completed {
		left = nil // withdrawn, or not theirs: nothing is owed any more
	}
	if len(left) > 0 {
		d, err := dossier.Open(ctx, s.Ledger, s.Keys, r.ID)
		if err != nil {
			return err
		}
		for _, l := range left {
			if err := s.envelope(ctx, d, visits, l, now); err != nil {
				return fmt.Errorf("planning what system %s keeps for later: %w", l.system, err)
			}
			tasks++
			if l.held() {
				holds++
			}
		}
	}
	if tasks > 0 {
		if err := s.Ledger.Append(ctx, dsr.Event{RequestID: r.ID, Chain: dsr.RequestChain, Kind: dsr.EventDeferred, At: now, Run: r.Run,
			Detail: map[string]any{"tasks": tasks, "held": holds}}); err != nil {
			return err
		}
	}
	_, err = ledger.Change(ctx, s.Ledger, r.ID, func(r *ledger.Request) error {
		if settled(*r) {
			return ledger.ErrStale // another sweep was as far
		}
		r.DeferredAt = now
		return nil
	})
	if err != nil && !errors.Is(err, ledger.ErrStale) {
		return fmt.Errorf("recording what is left for later: %w", err)
	}
	return nil
}

// stays rings the alarm where data stay although the ground or the period that
// allowed it has ended: no law is behind them any more, and a person must act.
func (s *Stage) stays(r ledger.Request, visits []dsr.Visit) {
	if !r.Own() {
		return
	}
	for _, v := range visits {
		for _, o := range v.Outcomes {
			if v.Phase == dsr.Act && (o.Kind == dsr.Kept || o.Kind == dsr.Refused) {
				s.Log.Error("data stay after their time", "request_id", string(r.ID), "system", v.System, "status", string(o.Kind))
				s.Metric.Count(needsAttention, 1)
			}
		}
	}
}

// settled reports whether what the request left for later is written. One that
// was taken up again since, and closed anew, may have left more.
func settled(r ledger.Request) bool {
	return !r.DeferredAt.IsZero() && !r.DeferredAt.Before(r.ClosedAt)
}

// envelope writes the request that goes on with what is left.
func (s *Stage) envelope(ctx context.Context, d dossier.Dossier, visits []dsr.Visit, l rest, now time.Time) error {
	r := d.Request
	id := ledger.DerivedID("later", string(r.ID), l.system, l.ground, l.until)
	next := ledger.Request{
		ID: id, Company: r.Company, Channel: ledger.ChannelDeferral, Status: dsr.Scheduled, Rights: []dsr.Right{dsr.Erasure},
		Country: r.Country, State: r.State, Plan: r.Plan, By: r.By, Facts: r.Facts, Language: r.Language,
		Parent: r.ID, Scope: []ledger.Portion{{System: l.system, Categories: l.categories, Ground: l.ground}},
		Clock: []dsr.ClockEvent{{Kind: dsr.Received, At: now}}, DueAt: now, Run: 1, VerifiedAt: r.VerifiedAt,
	}
	if ownOrLifted(r) && r.Parent != "" {
		next.Parent = r.Parent // the person's own request, whose holds reach it
	}
	if l.held() {
		var err error
		if next, err = s.heldUp(ctx, next, d, l); err != nil {
			return err
		}
	} else {
		day, err := time.ParseInLocation(time.DateOnly, l.until, s.Company.Zone)
		if err != nil {
			return fmt.Errorf("the ground %s ends on %q, which is no date: 2026-12-31 was expected", l.ground, l.until)
		}
		next.DueAt = day.AddDate(0, 0, 1).UTC() // the ground still holds on its last day
	}
	identities, err := s.identities(d, visits, l.system)
	if err != nil {
		return err
	}
	subject := dsr.Subject{Language: d.Subject.Language, Identities: identities}
	if next.Channel == ledger.ChannelLifted {
		subject.Name, subject.Changes = d.Subject.Name, d.Subject.Changes // its person is answered
	}
	sealed, err := dossier.Seal(ctx, s.Keys, id, subject)
	if err != nil {
		return err
	}
	err = s.Ledger.CreateRequest(ctx, next, sealed, dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: now,
		Detail: map[string]any{"channel": next.Channel, "parent": string(next.Parent)}})
	if errors.Is(err, ledger.ErrExists) {
		return nil
	}
	return err
}

// heldUp makes the request one that waits for the end of the holds. What was
// asked by the person goes on as theirs and is answered to them.
func (s *Stage) heldUp(ctx context.Context, next ledger.Request, d dossier.Dossier, l rest) (ledger.Request, error) {
	r := d.Request
	next.Channel, next.Rights = ledger.ChannelLifted, destructive(l.rights, r.Rights)
	next.Scope[0].Ground = ""
	if r.Own() {
		next.Channel = r.Channel
		for _, p := range r.Scope {
			if p.System == l.system {
				next.Scope[0].Ground = p.Ground
			}
		}
	}
	next.Holds = []string{ledger.HoldOnRequest(r.ID)}
	if next.Parent != r.ID {
		next.Holds = append(next.Holds, ledger.HoldOnRequest(next.Parent))
	}
	if address := d.Subject.Email(); address != "" {
		hash, err := s.Hasher.Hash(ctx, "identity", address)
		if err != nil {
			return next, fmt.Errorf("hashing the identity: %w", err)
		}
		next.Holds = append(next.Holds, ledger.HoldOnSubject(hash))
	}
	for _, category := range l.categories {
		next.Holds = append(next.Holds, ledger.HoldOnCategory(category))
	}
	return next, nil
}

// ownOrLifted reports whether a request goes on with another's work.
func ownOrLifted(r ledger.Request) bool { return r.Own() || r.Channel == ledger.ChannelLifted }

// destructive are the rights that a hold stops: those of the visit, or of the
// request where the visit names none.
func destructive(visit, request []dsr.Right) []dsr.Right {
	for _, rights := range [][]dsr.Right{visit, request} {
		kept := slices.DeleteFunc(slices.Clone(rights), func(r dsr.Right) bool { return r.Means() != dsr.ByRemoval && r.Means() != dsr.ByChange })
		if len(kept) > 0 {
			return kept
		}
	}
	return []dsr.Right{dsr.Erasure}
}

// identities are the ones a system needs to find the person again: the proved
// address, and of those the gathering found the kinds that it takes.
func (s *Stage) identities(d dossier.Dossier, visits []dsr.Visit, system string) ([]dsr.Identity, error) {
	var all []dsr.Identity
	for _, i := range d.Subject.Identities {
		if i.Kind == dsr.Email && i.MayAct() {
			all = append(all, i)
		}
	}
	takes := s.takes(system)
	mine := slices.Clone(d.Subject.Identities)
	for _, v := range visits {
		if v.Phase != dsr.Gather || v.Manual || len(v.Sealed) == 0 {
			continue
		}
		found, err := connector.FoundIn(v, d.Box)
		if err != nil {
			return nil, err
		}
		mine = append(mine, found.Yields...)
	}
	for _, i := range mine {
		if i.Kind != dsr.Email && i.MayAct() && slices.Contains(takes, i.Kind) && !slices.Contains(all, i) {
			all = append(all, i)
		}
	}
	return all, nil
}

// takes are the kinds of identifiers a system can be asked with.
func (s *Stage) takes(system string) []dsr.Kind {
	sys, ok := s.Company.System(system)
	if !ok {
		return nil
	}
	return s.Descriptors[sys.Connector].Accepts
}

// maxStarts bounds how many scheduled requests one hour starts; the rest wait
// for the next one.
const maxStarts = 400

// errEnough ends the walk over what is scheduled.
var errEnough = errors.New("enough for this hour")

// begin starts what was scheduled and is due.
func (s *Stage) begin(ctx context.Context, now time.Time) (out Output, err error) {
	started := 0
	err = s.Ledger.ScheduledRequests(ctx, now, func(r ledger.Request) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if started == maxStarts {
			return errEnough
		}
		out.Seen++
		did, err := s.start(ctx, r, now)
		if err != nil {
			out.Failed++
			s.Log.Error("starting what was scheduled", "request_id", string(r.ID), "error", err.Error())
		}
		if did {
			started++
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	if err != nil {
		return out, fmt.Errorf("reading what is scheduled: %w", err)
	}
	return out, nil
}

// start begins one scheduled request, unless a hold it waits for is there. Its
// clock starts with it.
func (s *Stage) start(ctx context.Context, r ledger.Request, now time.Time) (bool, error) {
	for _, key := range r.Holds {
		holds, err := s.Ledger.Holds(ctx, key)
		if err != nil {
			return false, fmt.Errorf("reading the holds: %w", err)
		}
		if len(holds) > 0 {
			return false, nil
		}
	}
	clock := []dsr.ClockEvent{{Kind: dsr.Received, At: now}}
	deadline, err := s.Company.Due(r.Rights, clock, r.Place())
	if err != nil {
		return false, err
	}
	next, err := ledger.Change(ctx, s.Ledger, r.ID, func(x *ledger.Request) error {
		if x.Status != dsr.Scheduled {
			return errAgain
		}
		x.Status, x.Clock, x.DueAt, x.Holds = dsr.Running, clock, deadline.DueAt, nil
		if x.VerifiedAt.IsZero() {
			x.VerifiedAt = now // the policy is what allows it
		}
		return nil
	})
	if errors.Is(err, errAgain) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("beginning: %w", err)
	}
	if err := s.Ledger.Append(ctx, dsr.Event{RequestID: r.ID, Chain: dsr.RequestChain, Kind: dsr.EventRunStarted, At: now, Run: next.Run,
		Detail: map[string]any{"failed_runs": 0, "ground": cmp.Or(groundOf(next), "none")}}); err != nil {
		return true, err
	}
	return true, s.Machine.StartRun(ctx, r.ID, next.Run, true)
}

// groundOf is the ground that has ended for a request of Writ's own.
func groundOf(r ledger.Request) string {
	for _, p := range r.Scope {
		if p.Ground != "" {
			return p.Ground
		}
	}
	return ""
}
