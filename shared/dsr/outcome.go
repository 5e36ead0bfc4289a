package dsr

import (
	"fmt"
	"strings"
	"time"
)

// OutcomeKind is the result of one system for one data category. The set is
// closed: what fits none of them is Failed, never success.
type OutcomeKind string

// The closed set of outcomes. There is no "skipped".
const (
	Exported   OutcomeKind = "exported"
	Erased     OutcomeKind = "erased"
	Anonymised OutcomeKind = "anonymised"
	Rectified  OutcomeKind = "rectified"
	Restricted OutcomeKind = "restricted"
	Suppressed OutcomeKind = "suppressed"
	NotHeld    OutcomeKind = "not_held"
	Retained   OutcomeKind = "retained"   // Ground, Until
	Kept       OutcomeKind = "kept"       // Rule: the vendor keeps it; only a pack's ground makes it retained
	Deferred   OutcomeKind = "deferred"   // Due: not before
	Referred   OutcomeKind = "referred"   // To
	Accepted   OutcomeKind = "accepted"   // Due: re-check on; with the vendor's receipt
	Attested   OutcomeKind = "attested"   // By: a person says so
	Refused    OutcomeKind = "refused"    // Reason
	Failed     OutcomeKind = "failed"     // Reason
	Told       OutcomeKind = "told"       // a recipient was told (GDPR Art. 19; 11 CCR 7022)
	Impossible OutcomeKind = "impossible" // Reason: a recipient could not be told, or only with disproportionate effort
)

// Outcome says what happened to one category of data in one system. It holds
// counts and closed words only, so it may be kept after the person is
// forgotten.
type Outcome struct {
	Category string      `json:"category"`
	Kind     OutcomeKind `json:"kind"`
	Count    int         `json:"count,omitempty"`
	Ground   string      `json:"ground,omitempty"` // Retained: id of the ground in the pack
	Until    string      `json:"until,omitempty"`  // Retained: date 2006-01-02, or a closed word such as "hold_lifted"
	Rule     string      `json:"rule,omitempty"`   // Kept: id of the vendor's rule in connector.toml
	DueAt    time.Time   `json:"due_at,omitzero"`  // Deferred, Accepted
	To       string      `json:"to,omitempty"`     // Referred
	By       string      `json:"by,omitempty"`     // Attested: the role that answered, never a name
	Reason   string      `json:"reason,omitempty"` // Refused, Failed, Deferred: a closed word
}

// Validate reports the first field that the kind of outcome needs and lacks.
func (o Outcome) Validate() error {
	need := func(field, value string) error {
		if strings.TrimSpace(value) == "" {
			return fmt.Errorf("checking outcome %s of category %q: %s is missing", o.Kind, o.Category, field)
		}
		return nil
	}
	if o.Category == "" {
		return fmt.Errorf("checking outcome %s: category is missing", o.Kind)
	}
	if o.Count < 0 {
		return fmt.Errorf("checking outcome %s of category %q: count is negative", o.Kind, o.Category)
	}
	switch o.Kind {
	case Exported, Erased, Anonymised, Rectified, Restricted, Suppressed, NotHeld, Told:
		return nil
	case Retained:
		if err := need("ground", o.Ground); err != nil {
			return err
		}
		return need("until", o.Until)
	case Kept:
		return need("rule", o.Rule)
	case Deferred, Accepted:
		if o.DueAt.IsZero() {
			return fmt.Errorf("checking outcome %s of category %q: due date is missing", o.Kind, o.Category)
		}
		return nil
	case Referred:
		return need("to", o.To)
	case Attested:
		return need("by", o.By)
	case Refused, Failed, Impossible:
		return need("reason", o.Reason)
	}
	return fmt.Errorf("checking outcome of category %q: unknown kind %q", o.Category, o.Kind)
}

// Final reports whether the outcome ends its part of the request. Deferred and
// Accepted stay open until a later visit settles them; Failed never counts as
// done.
func (o Outcome) Final() bool {
	switch o.Kind {
	case Deferred, Accepted, Failed:
		return false
	}
	return true
}
