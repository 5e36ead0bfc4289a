package policy

import (
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// The decisions of a Resolution.
const (
	DecideRun    = "run"
	DecideRefer  = "refer"  // the company is only a processor: the customer answers
	DecideSplit  = "split"  // a part runs, a part is the customer's
	DecideRefuse = "refuse" // reason, cite, authority, remedy, appeal
	DecideAsk    = "ask"    // something must be answered first
)

// Resolution is what Writ will do about a request, and why. The same question
// gives the same bytes.
type Resolution struct {
	Decision  string     `json:"decision"`
	Laws      []string   `json:"laws"` // ids of the regimes that apply, the most protective first
	Proof     []Proof    `json:"proof"`
	Deadline  Deadline   `json:"-"`
	Plan      Plan       `json:"-"`
	Notices   []string   `json:"notices"` // kinds, in the order they are due
	Refusals  []Refusal  `json:"refusals"`
	Referrals []Referral `json:"referrals"`
	Questions []Query    `json:"questions"`
}

// Refusal is one right that is not carried out. A notice of it needs every
// field (GDPR Art. 12(4)); Appeal where the law gives one.
type Refusal struct {
	Right     dsr.Right `json:"right"`
	Reason    string    `json:"reason"` // closed word
	Says      string    `json:"says"`
	Cite      string    `json:"cite"`
	Authority string    `json:"authority"`
	Remedy    string    `json:"remedy"`
	Appeal    string    `json:"appeal"`
}

// Referral is what goes to somebody else.
type Referral struct {
	Role       string      `json:"role"` // id of the [[role]] or [[route]]
	Rights     []dsr.Right `json:"rights"`
	Categories []string    `json:"categories"`
	To         string      `json:"to"`                 // plain words, before proof
	Customer   string      `json:"customer,omitempty"` // id in customers.toml; only after proof
	Says       string      `json:"says"`
	Source     Cite        `json:"source"`
}

// Query is what must be answered before the plan runs.
type Query struct {
	ID       string   `json:"id"`
	Question string   `json:"question"`
	Answer   string   `json:"answer"` // key of Question.Facts
	Choices  []string `json:"choices"`
	Default  string   `json:"default"`
}

// NoticeFacts is everything a notice can say that rests on law and pack. The
// kinds of notice are those of package notice.
type NoticeFacts struct {
	Kind           string          `json:"kind"`
	Law            string          `json:"law"`
	Clock          string          `json:"clock"` // which rule sets the due date, one sentence
	Controller     string          `json:"controller"`
	Contacts       Contacts        `json:"contacts"`
	Representative string          `json:"representative"`
	Channels       []string        `json:"channels"`
	Authority      string          `json:"authority"`
	Court          string          `json:"court"`
	Appeal         string          `json:"appeal"`
	Transfers      string          `json:"transfers"`
	Rights         []string        `json:"rights"` // the person's rights, plain
	Categories     []CategoryFacts `json:"categories"`
	Recipients     []Recipient     `json:"recipients"`
	Stops          []string        `json:"stops"`    // how to stop each channel of marketing
	Lost           []string        `json:"lost"`     // what stops working
	Still          []string        `json:"still"`    // what goes on after an opt-out
	Says           []string        `json:"says"`     // the pack's own sentences for this notice
	NextAsk        string          `json:"next_ask"` // earliest day to ask for an opt-in again, 2006-01-02
	Hours          int             `json:"hours"`    // breach: within how many hours the company promised to tell; 0 for no promise
	Received       time.Time       `json:"received"`
}

// CategoryFacts is a category as a notice shows it.
type CategoryFacts struct {
	ID, Name, Why, Basis, Retention, Source string
	Period                                  string // how long it is kept when nobody asks, one plain sentence; "" where the pack gives no period
	Recipients                              []string
	Sensitive                               bool
	Forbidden                               bool // its kind may be named; the data never leave
}
