package dsr

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Status is where a request stands. It moves only by conditional writes.
type Status string

// The life of a request. Scheduled, Verifying, Running, Answered and NeedsAttention are open and carry a
// due date in the ledger's OPEN index; the others are closed.
const (
	Scheduled      Status = "scheduled"       // Writ's own later work: waits for its date, or for a hold to be lifted
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
	return slices.Contains([]Status{Scheduled, Verifying, Running, Answered, NeedsAttention}, s)
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
	Changes    []Change   `json:"changes,omitempty"`    // rectification: what the person wants corrected
	Points     []Point    `json:"points,omitempty"`     // facts to compare with what is held
	For        string     `json:"for,omitempty"`        // whom an agent, a parent or a school asks for: that person's mail address
	Declared   string     `json:"declared,omitempty"`   // the name typed under the declaration
	Permission string     `json:"permission,omitempty"` // what an agent says of their permission, or a parent of their standing
	Reach      string     `json:"reach,omitempty"`      // where mails go instead of to Email: a parent's, an attorney's, or the new address of who lost the old one
}

// MailTo returns the address that mails about the request go to. It finds
// nobody: records are looked for by Email and the other identities.
func (s Subject) MailTo() string {
	if s.Reach != "" {
		return s.Reach
	}
	return s.Email()
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

// Point is one fact that a person gives so that it can be compared with what is
// held (11 CCR 7062). It is personal data.
type Point struct {
	Field string `json:"field"` // closed word of the pack, for example "order_number"
	Value string `json:"value"`
}

// Requester says in which capacity somebody asks.
type Requester string

// The requesters.
const (
	Self       Requester = "self"
	Agent      Requester = "agent"      // with a signed permission (11 CCR 7063)
	Attorney   Requester = "attorney"   // with a power of attorney
	Parent     Requester = "parent"     // or guardian, for a child
	School     Requester = "school"     // that consented for its pupils
	Reporter   Requester = "reporter"   // reports a child's data; learns nothing about the child
	Successor  Requester = "successor"  // for a person who died
	Unmailable Requester = "unmailable" // the person, who no longer reads the mailbox on file
)

// ClockEventKind is something that moves, pauses or ends a period.
type ClockEventKind string

// The clock events. A routine mailbox link is none: GDPR Art. 12(6) needs a
// reasonable doubt about this person.
const (
	Received           ClockEventKind = "received" // starts the clock
	IdentityAsked      ClockEventKind = "identity_asked"
	IdentityGiven      ClockEventKind = "identity_given"
	ClarificationAsked ClockEventKind = "clarification_asked"
	ClarificationGiven ClockEventKind = "clarification_given"
	Extended           ClockEventKind = "extended" // By and Reason are needed
	RefusedEvent       ClockEventKind = "refused"
)

// ClockEvent is one dated fact the due date is computed from.
type ClockEvent struct {
	Kind   ClockEventKind `json:"kind"`
	At     time.Time      `json:"at"`
	By     string         `json:"by,omitempty"`     // Extended: who decided it, a role or an IAM name
	Reason string         `json:"reason,omitempty"` // Extended: a word of the regime's closed list
}
