package dsr

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Status is where a request stands. It moves only by conditional writes.
type Status string

// The life of a request. Verifying, Running, Answered and NeedsAttention are open and carry a
// due date in the ledger's OPEN index; the others are closed.
const (
	Verifying      Status = "verifying"       // received, waits for the person's proof
	Running        Status = "running"         // proved; the machine works
	Answered       Status = "answered"        // the person has an answer, but something is still open
	NeedsAttention Status = "needs_attention" // a person must act
	Completed      Status = "completed"       // a final outcome with evidence for every planned task
	Unverified     Status = "unverified"      // closed: the proof did not come, and the person was told
	Withdrawn      Status = "withdrawn"       // closed by the person
	Disowned       Status = "disowned"        // closed: "this was not me"
	Merged         Status = "merged"          // closed: the same person's earlier request goes on
	Denied         Status = "denied"          // closed by refusal
)

// Open reports whether the request still needs something from us.
func (s Status) Open() bool {
	return slices.Contains([]Status{Verifying, Running, Answered, NeedsAttention}, s)
}

// RequestID names a request in mails, logs and file names: 26 lower-case
// letters and digits that say nothing about the person.
type RequestID string

var requestID = regexp.MustCompile(`^w[a-z2-7]{25}$`)

// ParseRequestID checks the form of an id that came from outside.
func ParseRequestID(s string) (RequestID, error) {
	if !requestID.MatchString(s) {
		return "", fmt.Errorf("reading request id: it is not w and 25 characters of a-z and 2-7")
	}
	return RequestID(s), nil
}

// Subject is the person a request is about, as far as Writ knows them. All of
// it is personal data and lives encrypted.
type Subject struct {
	Name       string     `json:"name,omitempty"`
	Message    string     `json:"message,omitempty"`
	Language   string     `json:"language"` // BCP 47
	Identities []Identity `json:"identities"`
}

// Email returns the person's address: the proved one, else the asserted one.
func (s Subject) Email() string {
	for _, o := range []Origin{Proved, SelfAsserted} {
		for _, i := range s.Identities {
			if i.Kind == Email && i.Origin == o {
				return i.Value
			}
		}
	}
	return ""
}

// ClockEventKind is something that moves or pauses a due date.
type ClockEventKind string

// Received starts the clock. A routine mailbox link is no clock event.
const Received ClockEventKind = "received"

// ClockEvent is one dated fact the due date is computed from.
type ClockEvent struct {
	Kind ClockEventKind `json:"kind"`
	At   time.Time      `json:"at"`
}
