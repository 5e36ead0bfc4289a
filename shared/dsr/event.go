package dsr

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// EventKind is a closed word for something that happened.
type EventKind string

// The events of the two kinds of chain: one for the request ("request") and
// one per system, written only by the holder of that system's lease.
const (
	EventReceived      EventKind = "received"
	EventMerged        EventKind = "merged"
	EventChallenged    EventKind = "challenged"
	EventReminded      EventKind = "reminded"
	EventMailboxProved EventKind = "mailbox_proved" // the mailbox is proved; a person decides on the rest
	EventProofShown    EventKind = "proof_shown"    // somebody of the company read what was given as proof
	EventProofDecided  EventKind = "proof_decided"
	EventClockMoved    EventKind = "clock_moved"   // a question asked or answered, or an extension
	EventUndoAsked     EventKind = "undo_asked"    // "this was not me", of what was stopped without proof
	EventAllowed       EventKind = "allowed_again" // a purpose that was stopped
	EventVerified      EventKind = "verified"
	EventUnverified    EventKind = "unverified"
	EventDisowned      EventKind = "disowned"
	EventWithdrawn     EventKind = "withdrawn"
	EventPlanned       EventKind = "planned"
	EventRunStarted    EventKind = "run_started"
	EventAttention     EventKind = "attention"
	EventBundled       EventKind = "bundled"
	EventMailed        EventKind = "mailed"
	EventBounced       EventKind = "bounced"
	EventDownloaded    EventKind = "downloaded"
	EventBundleExpired EventKind = "bundle_expired"
	EventCollected     EventKind = "collected"
	EventClosed        EventKind = "closed"
	EventKeyDestroyed  EventKind = "key_destroyed"
	EventIntent        EventKind = "intent"
	EventOpDone        EventKind = "op_done"
	EventWaiting       EventKind = "waiting"
	EventHeld          EventKind = "held"
	EventHoldPlaced    EventKind = "hold_placed"
	EventLiftProposed  EventKind = "hold_lift_proposed"
	EventHoldLifted    EventKind = "hold_lifted"
	EventDeferred      EventKind = "deferred_planned" // later work of its own waits for a ground or a hold to end
	EventWarned        EventKind = "warned"           // people were told that the due date comes near
	EventPersonAsked   EventKind = "person_asked"
	EventPersonAnswer  EventKind = "person_answered"
	EventSettled       EventKind = "settled"
)

// RequestChain is the name of the chain about the request as a whole; the
// other chains are named after their system.
const RequestChain = "request"

// Event is one link of a chain. Detail holds counts and closed words only.
// Hash covers every other field, Prev is the Hash of the link before, so an
// edit, a gap or a reordering shows.
type Event struct {
	RequestID RequestID      `json:"request_id"`
	Chain     string         `json:"chain"`
	Seq       int            `json:"seq"` // 1, 2, 3 …
	Kind      EventKind      `json:"kind"`
	At        time.Time      `json:"at"`
	Run       int            `json:"run,omitempty"`
	Fence     int64          `json:"fence,omitempty"`
	Detail    map[string]any `json:"detail,omitempty"`
	Prev      string         `json:"prev"`
	Hash      string         `json:"hash"`
}

// Seal returns the event with Prev and Hash set, as the link after prev (the
// zero Event starts a chain).
func (e Event) Seal(prev Event) (Event, error) {
	e.Seq = prev.Seq + 1
	e.Prev = prev.Hash
	e.At = e.At.UTC().Truncate(time.Microsecond)
	sum, err := e.sum()
	if err != nil {
		return Event{}, err
	}
	e.Hash = sum
	return e, nil
}

func (e Event) sum() (string, error) {
	e.Hash = ""
	canonical, err := json.Marshal(e) // struct order is fixed and map keys are sorted
	if err != nil {
		return "", fmt.Errorf("hashing event %d of chain %s: %w", e.Seq, e.Chain, err)
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:]), nil
}

// VerifyChain checks the links of one chain in order and returns the hash of
// its head. The error names the first link that does not hold.
func VerifyChain(events []Event) (string, error) {
	var prev Event
	for i, e := range events {
		sum, err := e.sum()
		switch {
		case err != nil:
			return "", err
		case e.Seq != i+1:
			return "", fmt.Errorf("verifying chain %s: link %d is missing", e.Chain, i+1)
		case e.Prev != prev.Hash:
			return "", fmt.Errorf("verifying chain %s: link %d does not follow the one before", e.Chain, e.Seq)
		case e.Hash != sum:
			return "", fmt.Errorf("verifying chain %s: link %d was changed", e.Chain, e.Seq)
		}
		prev = e
	}
	return prev.Hash, nil
}
