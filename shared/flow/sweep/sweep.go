// Package sweep does what the hour brings: it mails what is due, reminds,
// escalates, lets late work go on with the truth, tries deferred work again,
// starts what has no running machine, and destroys what has had its time.
// Its clock is the time of the event that woke it.
package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/policy"
)

// Ledger is what the sweep reads and writes.
type Ledger interface {
	Request(ctx context.Context, id dsr.RequestID) (ledger.Request, error)
	SaveRequest(ctx context.Context, r ledger.Request) error
	CreateRequest(ctx context.Context, r ledger.Request, s ledger.SealedSubject, first dsr.Event) error
	OpenRequests(ctx context.Context, f func(ledger.Request) error) error
	ScheduledRequests(ctx context.Context, until time.Time, f func(ledger.Request) error) error
	Holds(ctx context.Context, key string) ([]ledger.Hold, error)
	Visits(ctx context.Context, id dsr.RequestID) ([]dsr.Visit, error)
	Events(ctx context.Context, id dsr.RequestID, chain string) ([]dsr.Event, error)
	Append(ctx context.Context, e dsr.Event) error
	Subject(ctx context.Context, id dsr.RequestID) (ledger.SealedSubject, error)
	DeleteSubject(ctx context.Context, id dsr.RequestID) error
	ReleaseIdentity(ctx context.Context, hash string, id dsr.RequestID) error
}

// Hasher makes keyed hashes.
type Hasher interface {
	Hash(ctx context.Context, purpose, value string) (string, error)
}

// Machine is what the sweep asks of the state machine.
type Machine interface {
	StartRun(ctx context.Context, id dsr.RequestID, run int, proved bool) error
	// Alive reports whether the run's execution exists and goes on.
	Alive(ctx context.Context, id dsr.RequestID, run int) (bool, error)
}

// People acts on people's tasks.
type People interface {
	Remind(ctx context.Context, id dsr.RequestID, task string, escalate bool) error
	Expire(ctx context.Context, id dsr.RequestID, task string) error
	Attention(ctx context.Context, id dsr.RequestID, run int, cause string) error
	// Warn tells the roles, once for each stage of a due date, that it comes near.
	Warn(ctx context.Context, id dsr.RequestID, stage string, due time.Time, roles []string) error
}

// Challenges acts on requests that wait for their proof.
type Challenges interface {
	Send(ctx context.Context, id dsr.RequestID) error
	// Lapse ends the wait of a request whose time to prove has passed.
	Lapse(ctx context.Context, id dsr.RequestID) error
}

// Objects deletes what lies under a prefix.
type Objects interface {
	Delete(ctx context.Context, prefix string) error
}

// MACer seals the closing heads of the chains.
type MACer interface {
	MAC(ctx context.Context, purpose, message string) (string, error)
}

// Stage sweeps.
type Stage struct {
	Company *policy.Company
	Ledger  Ledger
	Machine Machine
	// People and Challenges are made for the sweep's clock.
	People     func(now func() time.Time) People
	Challenges func(now func() time.Time) Challenges
	Objects    Objects
	Keys       dossier.Keys
	Hasher     Hasher
	MACer      MACer
	Retention  Retention
	// Descriptors are those of the connectors by code: which identifiers a system
	// is asked with, and whether it can tell what has expired.
	Descriptors map[string]connector.Descriptor
	Metric      Counter
	Log         *slog.Logger
}

// Counter writes a metric.
type Counter interface {
	Count(name string, n int)
}

// The metrics that the alarms watch, counted over all open requests each hour.
const (
	needsAttention = "needs_attention"
	dueSoon        = "due_soon"
)

// Event is what wakes the sweep: the hourly rule, or the end of an execution.
type Event struct {
	DetailType string    `json:"detail-type"`
	Time       time.Time `json:"time"`
	Detail     struct {
		Name   string `json:"name"`
		Status string `json:"status"`
	} `json:"detail"`
}

// Output counts.
type Output struct {
	Seen   int `json:"seen"`
	Failed int `json:"failed"`
}

// The times of the sweep.
const (
	maxNewRuns = 3                   // what the sweep starts by itself before a person must look
	keyRest    = 14 * 24 * time.Hour // a bounce or an objection may still come in this time after the end
	startGrace = 5 * time.Minute     // a request this young may be starting right now
	escalation = 24 * time.Hour      // before the margin
)

var runName = regexp.MustCompile(`^(w[a-z2-7]{25})-(\d+)$`)

// Handle works through all open requests. One that fails is logged, counted and
// tried again at the next hour; it stops no other.
func (s *Stage) Handle(ctx context.Context, raw json.RawMessage) (Output, error) {
	var e Event
	if err := json.Unmarshal(raw, &e); err != nil || e.Time.IsZero() {
		return Output{}, errors.New("sweeping: the event is not one of EventBridge with a time")
	}
	now := e.Time.UTC()
	if m := runName.FindStringSubmatch(e.Detail.Name); m != nil {
		run, err := strconv.Atoi(m[2])
		if err != nil {
			return Output{}, errors.New("sweeping: the execution's name holds no run")
		}
		return Output{Seen: 1}, s.ended(ctx, dsr.RequestID(m[1]), run, now)
	}
	var out Output
	attention, soon := 0, 0
	err := s.Ledger.OpenRequests(ctx, func(r ledger.Request) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		out.Seen++
		if r.Status == dsr.NeedsAttention {
			attention++
		}
		if deadline, err := s.Company.Due(r.Rights, r.Clock, r.Place()); err == nil && r.Status.Open() && !r.VerifiedAt.IsZero() && r.AnsweredAt.IsZero() && now.After(deadline.MarginAt.Add(-escalation)) {
			soon++
		}
		if err := errors.Join(s.one(ctx, r, now), s.warn(ctx, r, now)); err != nil {
			out.Failed++
			s.Log.Error("sweeping a request", "request_id", string(r.ID), "error", err.Error())
		}
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("reading the open requests: %w", err)
	}
	begun, err := s.begin(ctx, now)
	out.Seen, out.Failed = out.Seen+begun.Seen, out.Failed+begun.Failed
	if err != nil {
		return out, err
	}
	if err := s.retain(ctx, now); err != nil {
		out.Failed++
		s.Log.Error("starting the day's retention", "error", err.Error())
	}
	s.Metric.Count(needsAttention, attention)
	s.Metric.Count(dueSoon, soon)
	s.Log.Info("swept", "count", out.Seen)
	return out, nil
}

// ended looks at a request whose execution failed, timed out or was aborted.
func (s *Stage) ended(ctx context.Context, id dsr.RequestID, run int, now time.Time) error {
	r, err := s.Ledger.Request(ctx, id)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading request %s: %w", id, err)
	}
	if r.Run != run {
		return nil
	}
	return s.reconcile(ctx, r, now)
}

// noticeUnverified is the last mail of a request that nobody proved.
const noticeUnverified = "unverified#1"

// owesEnd reports whether a request was closed for want of a proof and its
// person was not told yet.
func owesEnd(r ledger.Request) bool {
	_, told := r.Notices[noticeUnverified]
	return r.Status == dsr.Unverified && !told
}

func (s *Stage) one(ctx context.Context, r ledger.Request, now time.Time) error {
	clock := func() time.Time { return now }
	switch {
	case r.Status == dsr.Verifying && now.After(r.ProofDue), owesEnd(r):
		lapsed := s.Challenges(clock).Lapse(ctx, r.ID)
		if lapsed == nil {
			return nil
		}
		// A wait that cannot be ended may be that of a machine that is gone.
		s.Log.Warn("ending the wait for a proof", "request_id", string(r.ID), "error", lapsed.Error())
		r, err := s.Ledger.Request(ctx, r.ID)
		if err != nil {
			return errors.Join(lapsed, err)
		}
		return s.reconcile(ctx, r, now)
	case r.Status == dsr.Verifying:
		return errors.Join(s.Challenges(clock).Send(ctx, r.ID), s.reconcile(ctx, r, now))
	case r.Status == dsr.NeedsAttention && untold(r):
		// Who lost the mailbox is told that the request came in; nobody else by this.
		return errors.Join(s.Challenges(clock).Send(ctx, r.ID), s.People(clock).Attention(ctx, r.ID, r.Run, r.Reason))
	case r.Status == dsr.Running, r.Status == dsr.NeedsAttention: // the latter: its owner answered, and the run did not start
		return errors.Join(s.people(ctx, r, now), s.reconcile(ctx, r, now), s.expireBundle(ctx, r, now))
	case r.Status == dsr.Answered:
		return errors.Join(s.again(ctx, r, now), s.expireBundle(ctx, r, now))
	}
	if err := errors.Join(s.expireBundle(ctx, r, now), s.later(ctx, r, now)); err != nil {
		return err
	}
	return s.destroyKey(ctx, r.ID, now)
}

// untold reports whether the request has an owner whose mail never went out.
func untold(r ledger.Request) bool {
	_, told := r.Notices[ledger.AttentionNotice(r.Run)]
	return r.Owner != "" && !told
}

// people reminds, escalates and lets late tasks go.
func (s *Stage) people(ctx context.Context, r ledger.Request, now time.Time) error {
	deadline, err := s.Company.Due(r.Rights, r.Clock, r.Place())
	if err != nil {
		return err
	}
	visits, err := s.Ledger.Visits(ctx, r.ID)
	if err != nil {
		return fmt.Errorf("reading the visits: %w", err)
	}
	people := s.People(func() time.Time { return now })
	var all error
	for _, v := range visits {
		p := v.Person
		if p == nil || !p.AnsweredAt.IsZero() || v.Settled() {
			continue
		}
		half := p.OpenedAt.Add(p.Due.Sub(p.OpenedAt) / 2)
		var err error
		switch {
		case !now.Before(deadline.MarginAt):
			if len(p.SealedWait) > 0 {
				err = people.Expire(ctx, r.ID, v.Task())
			}
		case p.EscalatedAt.IsZero() && now.After(deadline.MarginAt.Add(-escalation)):
			err = people.Remind(ctx, r.ID, v.Task(), true)
		case p.RemindedAt.IsZero() && now.After(half):
			err = people.Remind(ctx, r.ID, v.Task(), false)
		}
		all = errors.Join(all, err) // one task's trouble is not the others'
	}
	return all
}

// reconcile starts the next run of a request whose machine does not go on: it
// was aborted, failed where no Catch sees, or never started. After three the
// request gets an owner.
func (s *Stage) reconcile(ctx context.Context, r ledger.Request, now time.Time) error {
	if r.Owner != "" || r.Status == dsr.Scheduled || !r.Status.Open() && !owesEnd(r) {
		return nil // closed, or with its owner, whose answer starts the next run
	}
	// Proved a while ago and not planned: its machine waits for a word that was
	// lost, and never hears that the proof came.
	proved := r.VerifiedAt
	if first := r.Clock[0].At; proved.Before(first) {
		proved = first // of later work the proof is as old as the request it follows
	}
	deaf := r.Status == dsr.Running && !r.Planned && now.Sub(proved) > startGrace
	alive, err := s.Machine.Alive(ctx, r.ID, r.Run)
	if err != nil || alive && !deaf {
		return err
	}
	if first := r.Clock[0].At; r.Run == 1 && r.FailedRuns == 0 && now.Sub(first) < startGrace && now.After(first) {
		if err := s.Machine.StartRun(ctx, r.ID, r.Run, !r.VerifiedAt.IsZero()); err == nil {
			if alive, err := s.Machine.Alive(ctx, r.ID, r.Run); err == nil && alive {
				return nil // it had never started
			}
		}
	}
	if r.FailedRuns >= maxNewRuns {
		return s.People(func() time.Time { return now }).Attention(ctx, r.ID, r.Run, "runs_ended")
	}
	s.Log.Warn("starting a new run", "request_id", string(r.ID), "run", r.Run+1)
	return s.startRun(ctx, r, now, func(x *ledger.Request) { x.FailedRuns++ })
}

// startRun raises the run and starts it, unless the request has moved since it
// was read: its machine may have ended well just now.
func (s *Stage) startRun(ctx context.Context, r ledger.Request, now time.Time, change func(*ledger.Request)) error {
	next, err := ledger.Change(ctx, s.Ledger, r.ID, func(x *ledger.Request) error {
		if x.Run != r.Run || x.Status != r.Status || x.Owner != r.Owner {
			return errAgain
		}
		x.Run++
		change(x)
		return nil
	})
	if errors.Is(err, errAgain) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("raising the run: %w", err)
	}
	if err := s.Ledger.Append(ctx, dsr.Event{RequestID: r.ID, Chain: dsr.RequestChain, Kind: dsr.EventRunStarted, At: now, Run: next.Run, Detail: map[string]any{"failed_runs": next.FailedRuns}}); err != nil {
		return err
	}
	return s.Machine.StartRun(ctx, r.ID, next.Run, !next.VerifiedAt.IsZero())
}

// errAgain ends a change that somebody else made already.
var errAgain = errors.New("nothing to change")

// again starts the next run of an answered request when something deferred or
// accepted is due, or the outcomes are no longer those the person was told.
func (s *Stage) again(ctx context.Context, r ledger.Request, now time.Time) error {
	visits, err := s.Ledger.Visits(ctx, r.ID)
	if err != nil {
		return fmt.Errorf("reading the visits: %w", err)
	}
	due := dsr.Judge(visits).Digest != r.Told
	for _, v := range visits {
		if v.Settled() || (v.Manual && v.Person != nil && v.Person.AnsweredAt.IsZero()) {
			continue // a person's own task goes on when the person answers
		}
		for _, o := range v.OpenOutcomes() {
			due = due || !now.Before(o.DueAt)
		}
	}
	if !due {
		return nil
	}
	alive, err := s.Machine.Alive(ctx, r.ID, r.Run)
	if err != nil || alive {
		return err
	}
	return s.startRun(ctx, r, now, func(*ledger.Request) {})
}
