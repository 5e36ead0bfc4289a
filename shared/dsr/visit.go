package dsr

import (
	"slices"
	"time"
)

// VisitStatus is where one visit stands in the ledger.
type VisitStatus string

// The life of a visit. Erasing is written, together with the checks that allow
// it, before the first destructive call and never taken back: a visit in
// Erasing reads back before it sends anything again.
const (
	VisitPlanned    VisitStatus = "planned"
	VisitErasing    VisitStatus = "erasing"
	VisitWithPerson VisitStatus = "with_person"
	VisitSettled    VisitStatus = "settled"
)

// Step is the checkpoint of one op of a visit. It holds no personal value.
type Step struct {
	Started  bool      `json:"started,omitempty"` // intent: written before the op's first call
	Unknown  bool      `json:"unknown,omitempty"` // a call went out and no answer came back
	Done     bool      `json:"done,omitempty"`
	Outcomes []Outcome `json:"outcomes,omitempty"` // what the op reported
	Refs     []string  `json:"refs,omitempty"`     // the vendor's references: evidence, impersonal
	Attempts int       `json:"attempts,omitempty"`
}

// Visit is one system in one phase of a request: the unit that is leased,
// checkpointed and settled. Its key in the ledger is (RequestID, System, Phase).
type Visit struct {
	RequestID  RequestID       `json:"request_id"`
	System     string          `json:"system"`
	Phase      Phase           `json:"phase"`
	Wave       int             `json:"wave"`
	Ops        []Op            `json:"ops"`                 // in the order they run
	Categories []string        `json:"categories"`          // the data categories the pack says the system holds
	Manual     bool            `json:"manual"`              // a person's task from the start
	Rights     []Right         `json:"rights,omitempty"`    // what the visit serves
	Purposes   []Purpose       `json:"purposes,omitempty"`  // what its Suppress stops; empty for AllUse
	Recipient  string          `json:"recipient,omitempty"` // id of the recipient who is told; System is RecipientSystem of it
	NotBefore  time.Time       `json:"not_before,omitzero"` // nothing is acted upon before this
	Only       map[Op][]string `json:"only,omitempty"`      // op → its categories, where they are fewer than Categories: one visit may stop one kind of data and erase another
	Status     VisitStatus     `json:"status"`
	Run        int             `json:"run"`   // the run that last held the lease
	Fence      int64           `json:"fence"` // raised by every lease; a write with an older fence fails
	LeaseUntil time.Time       `json:"lease_until,omitzero"`
	Steps      map[Op]Step     `json:"steps,omitempty"`
	Sealed     []byte          `json:"sealed,omitempty"` // ciphertext: footprint, cursors, vendor jobs
	Outcomes   []Outcome       `json:"outcomes,omitempty"`
	SettledAt  time.Time       `json:"settled_at,omitzero"`
	Person     *PersonTask     `json:"person,omitempty"` // set while, and after, a person has it
}

// PersonTask is the part of a visit that a person must do.
type PersonTask struct {
	Assignee    string    `json:"assignee"`        // role in the pack, for example "support_lead"; never an address
	Instruction string    `json:"instruction"`     // key of the pack's or the connector's instruction
	Cause       string    `json:"cause,omitempty"` // closed word: why a person has it
	OpenedAt    time.Time `json:"opened_at"`
	Due         time.Time `json:"due"`
	RemindedAt  time.Time `json:"reminded_at,omitzero"`
	EscalatedAt time.Time `json:"escalated_at,omitzero"`
	SealedWait  []byte    `json:"sealed_wait,omitempty"` // ciphertext of the machine's task token
	Answer      string    `json:"answer,omitempty"`      // nothing_held, done, cannot, uploaded, again
	AnsweredAt  time.Time `json:"answered_at,omitzero"`
	Files       int       `json:"files,omitempty"`
	Reason      string    `json:"reason,omitempty"` // cannot, of a recipient: gone, no_contact, disproportionate
}

// Officer is the system of the visit in which the privacy officer reads what a
// person wrote in their own words; its one category is Words.
const (
	Officer = "officer"
	Words   = "own_words"
)

// Task names the visit in keys and file names: "<system>#<phase>".
func (v Visit) Task() string { return v.System + "#" + string(v.Phase) }

// Settled reports whether nothing more is to be done in this visit.
func (v Visit) Settled() bool { return v.Status == VisitSettled }

// Copies reports whether the visits make a copy for the person.
func Copies(visits []Visit) bool {
	return slices.ContainsFunc(visits, func(v Visit) bool { return v.Phase == Gather && slices.Contains(v.Ops, Export) })
}

// OpenOutcomes returns the outcomes that are not final yet.
func (v Visit) OpenOutcomes() []Outcome {
	var open []Outcome
	for _, o := range v.Outcomes {
		if !o.Final() {
			open = append(open, o)
		}
	}
	return open
}

// For returns the categories that an op of the visit is for.
func (v Visit) For(op Op) []string {
	if only, ok := v.Only[op]; ok {
		return only
	}
	return v.Categories
}

// Erases reports whether the visit has a destructive op.
func (v Visit) Erases() bool { return slices.Contains(v.Ops, Erase) || slices.Contains(v.Ops, Rectify) }

// RecipientSystem names the visit in which a recipient is told.
func RecipientSystem(recipient string) string { return "tell_" + recipient }

// Itself is the system under which Writ's own records of a person are planned
// and told, with their two categories.
const (
	Itself         = "writ"
	RequestRecord  = "request_record"  // that a request was made and how it was answered
	SuppressionRow = "suppression_row" // the keyed hash that makes an opt-out last
)
