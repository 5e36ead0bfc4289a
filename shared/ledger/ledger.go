// Package ledger holds what Writ must not forget: requests, sealed subjects,
// visits, events, holds, tokens and suppressions. The records are here; the
// stores are dynamo (the product's) and memory (for tests of stages), and
// ledgertest is the one suite that both pass. State moves only by conditional
// writes.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// The errors of every store. They are compared with errors.Is.
var (
	ErrNotFound    = errors.New("not found in the ledger")
	ErrExists      = errors.New("already in the ledger")
	ErrConflict    = errors.New("changed in the ledger since it was read")
	ErrStale       = dsr.ErrStale
	ErrLeased      = errors.New("another worker holds the lease")
	ErrSettled     = errors.New("the visit is settled")
	ErrHeld        = dsr.ErrHeld
	ErrNotReady    = dsr.ErrNotReady
	ErrExpired     = errors.New("the token has expired")
	ErrUsed        = errors.New("the token was used before")
	ErrAttempts    = errors.New("too many wrong codes")
	ErrSamePerson  = errors.New("the person who asked for the lifting cannot confirm it")
	ErrNotProposed = errors.New("nobody has asked for the hold to be lifted")
)

// Request is one demand with one clock. It holds nothing that names the
// person: that is in SealedSubject.
type Request struct {
	ID       dsr.RequestID     `json:"id"`
	Version  int64             `json:"version"` // raised by every Save; a Save of an older version is ErrConflict
	Company  string            `json:"company"`
	Channel  string            `json:"channel"` // form
	Status   dsr.Status        `json:"status"`
	Rights   []dsr.Right       `json:"rights"`
	Words    bool              `json:"words,omitempty"` // the person wrote words or chose "something else": a person reads them
	Country  string            `json:"country"`         // ISO 3166-1 alpha-2, or "" for not said
	State    string            `json:"state,omitempty"` // of the country, for example CA; "" for not said
	Plan     string            `json:"plan,omitempty"`  // id of the subscription plan or standing the person says they have; "" for not said
	By       dsr.Requester     `json:"by,omitempty"`    // "" for the person
	Facts    map[string]string `json:"facts,omitempty"` // closed words by closed keys, for the plan; never a personal value
	From     string            `json:"from,omitempty"`  // look-back asked for: dates 2006-01-02
	To       string            `json:"to,omitempty"`
	Scope    []Portion         `json:"scope,omitempty"`  // only these systems and categories: a deferred task, or a retention run
	Holds    []string          `json:"holds,omitempty"`  // Scheduled: it waits until no hold lies under any of these keys
	Parent   dsr.RequestID     `json:"parent,omitempty"` // the request that a deferred task or an appeal follows
	Language string            `json:"language"`
	Clock    []dsr.ClockEvent  `json:"clock"`
	DueAt    time.Time         `json:"due_at"`

	Run        int       `json:"run"`         // the current run; raised by the write before each start
	FailedRuns int       `json:"failed_runs"` // runs that the sweep had to replace; at most three new ones
	ProofDue   time.Time `json:"proof_due"`   // until when the person can prove and confirm
	CodeHash   string    `json:"code_hash"`   // keyed hash of the code that the form's answer page showed
	RemindedAt time.Time `json:"reminded_at,omitzero"`
	VerifiedAt time.Time `json:"verified_at,omitzero"`
	ErasingAt  time.Time `json:"erasing_at,omitzero"` // first destructive act: from here on no withdrawal
	AnsweredAt time.Time `json:"answered_at,omitzero"`
	ClosedAt   time.Time `json:"closed_at,omitzero"`

	MailAfter      time.Time `json:"mail_after,omitzero"`       // over a cap: the challenge is mailed after this, by the sweep
	KeyDestroyedAt time.Time `json:"key_destroyed_at,omitzero"` // nothing of the person can be read any more
	DeferredAt     time.Time `json:"deferred_at,omitzero"`      // what its outcomes leave for later has envelopes of its own

	Restricted bool              `json:"restricted,omitempty"` // nothing destructive while set
	MergedInto dsr.RequestID     `json:"merged_into,omitempty"`
	Owner      string            `json:"owner,omitempty"`       // role that must act while NeedsAttention
	Reason     string            `json:"reason,omitempty"`      // closed word: why it needs attention or was closed
	SealedWait []byte            `json:"sealed_wait,omitempty"` // ciphertext of the machine's task token of VerifyChallenge
	Planned    bool              `json:"planned,omitempty"`     // the visits are written
	Told       string            `json:"told,omitempty"`        // digest of the outcomes the last answer told
	Bundle     *Bundle           `json:"bundle,omitempty"`
	Notices    map[string]Notice `json:"notices,omitempty"`   // by kind and sequence, for example "challenge#1", "answer#1"
	HeadMACs   map[string]string `json:"head_macs,omitempty"` // closing head of each chain, MACed by KMS
}

// Portion is a part of the company's systems.
type Portion struct {
	System     string   `json:"system"`
	Categories []string `json:"categories"`
	Ground     string   `json:"ground,omitempty"` // the ground that has ended, of a deferred task
}

// The channels by which a request comes. Deferral and retention are Writ's own:
// a task that waited for a ground to end, and data whose retention period is
// over. Nobody is mailed about those, except their owner when something fails.
// Lifted goes on with what a legal hold had stopped, and its person is answered.
const (
	ChannelForm      = "form"
	ChannelLifted    = "lifted"
	ChannelDeferral  = "deferral"
	ChannelRetention = "retention"
)

// Own reports whether the request is Writ's own.
func (r Request) Own() bool { return r.Channel == ChannelDeferral || r.Channel == ChannelRetention }

// Place is where the person lives.
func (r Request) Place() dsr.Place { return dsr.PlaceOf(r.Country, r.State) }

// OfficerRole owns what waits for a decision on proof; every pack has it.
const OfficerRole = "privacy_officer"

// Reasons why a request waits for a decision on proof, taken at the desk.
const (
	ReasonProof       = "proof_decision" // the mailbox is proved, the rest a person compares
	ReasonAddressLost = "address_lost"   // the person no longer reads the mailbox on file
	ReasonDoubt       = "identity_doubt" // a reasoned question about who asks is open
)

// ReasonUndo is why a person must allow again what a request without proof has
// stopped: the owner of the mailbox says that it was not them.
const ReasonUndo = "undo_asked"

// AwaitsProof reports whether a person must decide who asks. Until then nothing
// runs: no answer to a task and no sweep takes such a request up.
func (r Request) AwaitsProof() bool {
	return r.Status == dsr.NeedsAttention && r.VerifiedAt.IsZero() && !r.Own()
}

// Proofless reports whether the request asks only for what nobody may ask proof
// for. Such a request runs at once and can erase nothing.
func (r Request) Proofless() bool {
	return len(r.Rights) > 0 && !slices.ContainsFunc(r.Rights, func(x dsr.Right) bool { return !x.Proofless() })
}

// Allows reports whether destructive work may go on for this run: the rule
// that BeginErasing enforces in one transaction.
func (r Request) Allows(run int) bool {
	return r.Run == run && !r.VerifiedAt.IsZero() && !r.Proofless() && !r.Restricted && (r.Status == dsr.Running || r.Status == dsr.Answered)
}

// Listed reports whether the request is in the OPEN index: while somebody must
// still act on it, or the sweep must still destroy its bundle and key. One that
// is not has ended: only its evidence is left.
func (r Request) Listed() bool { return r.Status.Open() || r.KeyDestroyedAt.IsZero() }

// The shelves of the OPEN index.
const (
	ShelfOpen      = "open"      // something is to be done, in the order of due dates
	ShelfScheduled = "scheduled" // waits, in the order of due dates
	ShelfEnded     = "ended"     // nothing but evidence, in the order in which they were closed
)

// Shelf is where the request lies in the OPEN index, and the instant by which
// it is ordered there.
func (r Request) Shelf() (shelf string, at time.Time) {
	switch {
	case r.Status == dsr.Scheduled:
		return ShelfScheduled, r.DueAt
	case r.Listed():
		return ShelfOpen, r.DueAt
	}
	return ShelfEnded, r.ClosedAt
}

// Bundle is the archive a person may download.
type Bundle struct {
	Files       []BundleFile `json:"files"`
	Rows        int          `json:"rows"`
	BuiltAt     time.Time    `json:"built_at"`
	DeliveredAt time.Time    `json:"delivered_at,omitzero"` // the 14 days start here
	Due         time.Time    `json:"due,omitzero"`          // deleted after this
	Downloads   int          `json:"downloads"`
	DeletedAt   time.Time    `json:"deleted_at,omitzero"`
}

// BundleFile is one ZIP of the bundle, at most 2 GiB.
type BundleFile struct {
	Key    string `json:"key"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Notice is one mail to the person.
type Notice struct {
	SentAt    time.Time `json:"sent_at"`
	MessageID string    `json:"message_id"` // the mail service's id: a bounce names it
	BouncedAt time.Time `json:"bounced_at,omitzero"`
}

// AttentionNotice names the mail that told the owner of a request's run.
func AttentionNotice(run int) string { return "attention#" + strconv.Itoa(run) }

// SealedSubject is the person of a request: ciphertext and the wrapped data key
// that opens it. Deleting it makes all that was sealed with the key unreadable.
type SealedSubject struct {
	RequestID  dsr.RequestID `json:"request_id"`
	WrappedKey []byte        `json:"wrapped_key"`
	Ciphertext []byte        `json:"ciphertext"`
}

// Purpose binds a token to one thing it can do.
type Purpose string

// The purposes. Confirm and Disown act once; the others open a page and are
// guarded by a mailed code.
const (
	TokenConfirm  Purpose = "confirm"
	TokenDisown   Purpose = "disown"
	TokenStatus   Purpose = "status"
	TokenDownload Purpose = "download"
	TokenTask     Purpose = "task"
)

// Token is a link's secret at rest: only the SHA-256 of the secret is kept.
type Token struct {
	Hash      string        `json:"hash"`
	RequestID dsr.RequestID `json:"request_id"`
	Purpose   Purpose       `json:"purpose"`
	Task      string        `json:"task,omitempty"` // TokenTask: "<system>#<phase>"
	CreatedAt time.Time     `json:"created_at"`
	Due       time.Time     `json:"due"` // checked on every read: the table's own expiry comes late
	UsedAt    time.Time     `json:"used_at,omitzero"`
	CodeHash  string        `json:"code_hash,omitempty"` // keyed hash of a second, mailed code
	CodeDue   time.Time     `json:"code_due,omitzero"`
	Attempts  int           `json:"attempts"` // wrong codes so far
}

// Hold is a legal hold: while it exists nothing under its key is erased. A key
// may be held for several matters; each holds for itself.
type Hold struct {
	Key    string    `json:"key"`
	Matter string    `json:"matter"` // whose case it is: a reference such as 2026-014, never a name
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Lift   *Lift     `json:"lift,omitempty"` // somebody asked for its end; another person confirms it
}

// Lift is the first half of the end of a hold.
type Lift struct {
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// The keys a hold can be placed under. They can be computed from the request
// and the plan alone, so that one transaction can check them all.
func HoldOnSubject(identityHash string) string { return "HOLD#subject#" + identityHash }

// HoldOnCategory is the key of a hold on a data category of all people.
func HoldOnCategory(category string) string { return "HOLD#category#" + category }

// HoldOnRequest is the key of a hold on one request.
func HoldOnRequest(id dsr.RequestID) string { return "HOLD#request#" + string(id) }

// Store names the methods every store has; ledgertest runs on it. Stages
// declare the few they use.
type Store interface {
	// CreateRequest writes the request, its sealed subject and the first event
	// of its chain in one transaction; ErrExists if the id is taken.
	CreateRequest(ctx context.Context, r Request, s SealedSubject, first dsr.Event) error
	// Request reads consistently; ErrNotFound.
	Request(ctx context.Context, id dsr.RequestID) (Request, error)
	// SaveRequest writes r if its Version is the stored one and raises it; ErrConflict.
	SaveRequest(ctx context.Context, r Request) error
	// OpenRequests calls f for every request in the OPEN index, earliest due
	// date first, but for the scheduled ones.
	OpenRequests(ctx context.Context, f func(Request) error) error
	// ScheduledRequests calls f for every scheduled request that is due until the
	// given time, earliest first.
	ScheduledRequests(ctx context.Context, until time.Time, f func(Request) error) error
	// EndedRequests calls f for every request without a key that was closed until
	// the given time, earliest first.
	EndedRequests(ctx context.Context, until time.Time, f func(Request) error) error
	// DeleteRecords deletes a request without a key, with its visits and events:
	// ErrNotReady while its key or its work is there. What was cut goes on when it
	// is called again; a request that is gone is no error.
	DeleteRecords(ctx context.Context, id dsr.RequestID) error

	// Subject reads a sealed subject; ErrNotFound after its key was destroyed.
	Subject(ctx context.Context, id dsr.RequestID) (SealedSubject, error)
	// ReplaceSubject writes new ciphertext under the same key, where there is one
	// still; ErrNotFound after the key was destroyed: nothing brings a person back.
	ReplaceSubject(ctx context.Context, s SealedSubject) error
	// DeleteSubject destroys the wrapped key and the ciphertext. Idempotent.
	DeleteSubject(ctx context.Context, id dsr.RequestID) error
	// ClaimIdentity records that id is the open, verified request of the person
	// with this keyed hash, and returns the request that holds the claim: id
	// itself, or the earlier one.
	ClaimIdentity(ctx context.Context, hash string, id dsr.RequestID) (dsr.RequestID, error)
	// ReleaseIdentity gives the claim up if id holds it. Idempotent.
	ReleaseIdentity(ctx context.Context, hash string, id dsr.RequestID) error

	// PlanVisits writes the visits that are not there yet and leaves the others alone.
	PlanVisits(ctx context.Context, visits []dsr.Visit) error
	// Visits reads all visits of a request, ordered by task.
	Visits(ctx context.Context, id dsr.RequestID) ([]dsr.Visit, error)
	// Visit reads one; ErrNotFound.
	Visit(ctx context.Context, id dsr.RequestID, task string) (dsr.Visit, error)
	// TakeVisit leases the visit until the given time and raises its fence, in
	// one transaction with the check that run is the request's current run:
	// ErrStale, ErrLeased, ErrSettled (with the settled visit), ErrNotFound.
	TakeVisit(ctx context.Context, id dsr.RequestID, task string, run int, now, until time.Time) (dsr.Visit, error)
	// BeginErasing writes VisitErasing with the lease's fence, and ErasingAt on
	// the request, in one transaction that checks: the fence and the run are
	// current, Request.Allows holds, no hold exists under any of holdKeys.
	// ErrStale, ErrNotReady, ErrHeld.
	BeginErasing(ctx context.Context, v dsr.Visit, holdKeys []string, now time.Time) error
	// SaveVisit writes the visit if its Fence is the stored one and its Run is
	// the request's current run; ErrStale. A LeaseUntil of zero gives the lease up.
	SaveVisit(ctx context.Context, v dsr.Visit) error

	// Append seals the event as the next link of its chain and writes it if no
	// other link took the place; it tries again on the new head a few times, then ErrConflict.
	Append(ctx context.Context, e dsr.Event) error
	// Events reads one chain in order.
	Events(ctx context.Context, id dsr.RequestID, chain string) ([]dsr.Event, error)

	// PlaceHold places a hold; ErrExists where its matter holds the key already.
	PlaceHold(ctx context.Context, h Hold) error
	// ProposeLift asks for the end of a matter's hold on a key; ErrNotFound; a
	// later proposal takes the place of the earlier one.
	ProposeLift(ctx context.Context, key, matter string, l Lift) error
	// LiftHold ends a matter's hold on a key when another person than by asked
	// for it: ErrNotFound, ErrNotProposed, ErrSamePerson.
	LiftHold(ctx context.Context, key, matter, by string) error
	// Holds reads the holds under a key, ordered by matter; none is no error.
	Holds(ctx context.Context, key string) ([]Hold, error)
	// MatterHolds reads all holds of a matter, ordered by key; none is no error.
	MatterHolds(ctx context.Context, matter string) ([]Hold, error)
	// Matters lists every matter that ever held something and may still do, in order.
	Matters(ctx context.Context) ([]string, error)

	PutToken(ctx context.Context, t Token) error // ErrExists
	// Token reads one; ErrNotFound; ErrExpired (with the token) after its due time.
	Token(ctx context.Context, hash string, now time.Time) (Token, error)
	// UseToken marks a token used, once: ErrUsed, ErrExpired, ErrNotFound.
	UseToken(ctx context.Context, hash string, now time.Time) error
	// SetCode gives a token a fresh mailed code and sets Attempts to zero.
	SetCode(ctx context.Context, hash, codeHash string, due time.Time) error
	// CountAttempt raises Attempts unless it has reached max: ErrAttempts.
	CountAttempt(ctx context.Context, hash string, max int) error
	// ClearCode removes the mailed code after its use, so that it works once; ErrUsed if it is gone.
	ClearCode(ctx context.Context, hash, codeHash string) error

	// Hit counts one use of key in the window that holds now and reports whether
	// it is within the limit. Counters expire by themselves.
	Hit(ctx context.Context, key string, window time.Duration, limit int, now time.Time) (bool, error)

	// Suppress remembers that a purpose was stopped for the person with this
	// keyed hash; it survives erasure. Idempotent.
	Suppress(ctx context.Context, hash string, p dsr.Purpose, at time.Time) error
	Suppressed(ctx context.Context, hash string) (map[dsr.Purpose]time.Time, error)
	// Allow forgets that the purpose was stopped: the person allows it again. Idempotent.
	Allow(ctx context.Context, hash string, p dsr.Purpose) error
}

// requests is what Change needs.
type requests interface {
	Request(ctx context.Context, id dsr.RequestID) (Request, error)
	SaveRequest(ctx context.Context, r Request) error
}

// Change reads a request, lets f change it and saves it, again from the start
// when somebody else was faster. An error of f ends it and nothing is written;
// f may be called several times.
func Change(ctx context.Context, s requests, id dsr.RequestID, f func(*Request) error) (Request, error) {
	for range 8 {
		r, err := s.Request(ctx, id)
		if err != nil {
			return Request{}, err
		}
		if err := f(&r); err != nil {
			return r, err
		}
		err = s.SaveRequest(ctx, r)
		if err == nil {
			r.Version++
			return r, nil
		}
		if !errors.Is(err, ErrConflict) {
			return r, err
		}
	}
	return Request{}, fmt.Errorf("changing request %s: %w eight times in a row", id, ErrConflict)
}

// HeadPurpose is the purpose under which closing heads are MACed.
const HeadPurpose = "head"

// HeadMessage is what is MACed when a chain is closed: the hash of its last
// link, bound to the chain, so that the MAC of one chain proves no other.
func HeadMessage(id dsr.RequestID, chain, head string) string {
	return string(id) + "/" + chain + "/" + head
}

// NextRun raises the run of a request by a conditional write, before the run is
// started: from here on every lease of an older run writes nothing.
func NextRun(ctx context.Context, s requests, id dsr.RequestID) (Request, error) {
	return Change(ctx, s, id, func(r *Request) error { r.Run++; return nil })
}

// Settle records that the person was answered with this verdict: the request is
// completed, or answered with something still open. Answered is not completed.
func (r *Request) Settle(v dsr.Verdict, now time.Time) {
	if r.AnsweredAt.IsZero() {
		r.AnsweredAt = now
	}
	r.Told, r.Status = v.Digest, dsr.Answered
	if v.Complete {
		r.Status, r.ClosedAt = dsr.Completed, now
	}
}
