package policy

import (
	"github.com/writ-dsr/writ/shared/dsr"
)

// Regime is one body of law as data: whom it protects, and every rule a request
// can meet. It is read from regimes/<id>.toml.
type Regime struct {
	ID          string        `toml:"id"`
	Name        string        `toml:"name"`
	Residents   []dsr.Place   `toml:"residents"`   // whom it protects by where they live: countries, or states of one ("US-CA")
	Established []string      `toml:"established"` // eea, uk, ch, us, br: a controller established there owes it to everyone
	Fallback    bool          `toml:"fallback"`    // the regime of a person whose country is unknown or not said
	Why         string        `toml:"why"`         // why it is the fallback
	General     string        `toml:"general"`     // id of the clock of a right that no rule of this law names
	Rank        int           `toml:"rank"`        // 1 is the most protective: where several laws apply, it comes first
	Complain    string        `toml:"complain"`    // authority and remedy where no [[authority]] fits, one plain sentence
	Court       string        `toml:"court"`       // the judicial remedy, one plain sentence
	Appeal      string        `toml:"appeal"`      // the appeal to the controller, one plain sentence; "" where the law gives none
	Plain       []string      `toml:"rights"`      // the person's rights, one plain sentence each
	Authorities []Authority   `toml:"authority"`
	Ages        []Age         `toml:"age"`
	Clocks      []Clock       `toml:"clock"`
	Rules       []Rule        `toml:"rule"`
	Duties      []Rule        `toml:"duty"` // what comes along with a right, or stands alone: look-back, agents, records …
	Proofs      []ProofRow    `toml:"proof"`
	Grounds     []LegalGround `toml:"ground"`   // the closed list of what may block an erasure
	Keeps       []Keep        `toml:"keep"`     // duties to keep records, on which a ground of kind legal_obligation may rest
	Proposals   []Proposal    `toml:"proposal"` // not law: watched, never applied
	Assumed     bool          `toml:"-"`        // set where the fallback was taken
	Place       dsr.Place     `toml:"-"`        // whose person it was chosen for; rows of other places do not count
}

// Row is what every row of law carries.
type Row struct {
	ID         string `toml:"id"`
	Cite       string `toml:"cite"`
	ValidFrom  string `toml:"valid_from"` // 2006-01-02; rows of one id follow each other without a gap
	ValidTo    string `toml:"valid_to"`   // last day, or "" for still in force
	Confidence string `toml:"confidence"` // checked or recheck
}

// Scope narrows a row to some of the places a law protects, where states of one
// country differ. A row that names the place goes before one that names none.
type Scope struct {
	Places []dsr.Place `toml:"places"` // empty for all
	Except []dsr.Place `toml:"except"` // with no places: all but these
}

// Authority is whom a person may complain to.
type Authority struct {
	Row
	Country dsr.Place `toml:"country"`
	Name    string    `toml:"name"`
	Contact string    `toml:"contact"` // its public web address
}

// Age is from when on somebody may consent to online services themselves
// (GDPR Art. 8).
type Age struct {
	Row
	Country dsr.Place `toml:"country"`
	Years   int       `toml:"years"`
}

// Clock is how a law counts. One of Months, Days and BusinessDays is set, or
// none where it says "at once".
type Clock struct {
	Row
	Model        ClockModel `toml:"model"`
	Months       int        `toml:"months"`
	Days         int        `toml:"days"`
	BusinessDays int        `toml:"business_days"`
	Hours        int        `toml:"hours"`       // never moved by weekends
	AtOnce       bool       `toml:"at_once"`     // the law gives no number: the days are a target of ours
	WorkingDay   bool       `toml:"working_day"` // a period that ends on a weekend or holiday ends on the next working day
	// The receipt is confirmed within so many days; 0 for no such duty.
	AcknowledgeDays         int      `toml:"acknowledge_days"`
	AcknowledgeBusinessDays int      `toml:"acknowledge_business_days"`
	AcknowledgeRule         string   `toml:"acknowledge_rule"` // id of the duty that says so
	ExtendMonths            int      `toml:"extend_months"`    // in addition to the period, counted from where it started
	ExtendDays              int      `toml:"extend_days"`
	ExtendReasons           []string `toml:"extend_reasons"` // closed list
	// A refusal's own date, which nothing extends; both 0 for the clock's first period.
	RefuseMonths int    `toml:"refuse_months"`
	RefuseDays   int    `toml:"refuse_days"`
	Says         string `toml:"says"` // one plain sentence
}

// ClockModel is what may stop a clock.
type ClockModel string

// The three models of clocks, never one.
const (
	Suspends ClockModel = "suspends" // EU: while a reasoned question about identity or scope is open
	Stops    ClockModel = "stops"    // UK: starts at the latest of receipt and identity; days of clarification are not counted
	Runs     ClockModel = "runs"     // California: starts at receipt and never stops
)

// Rule is one right under one law.
type Rule struct {
	Row
	Scope
	Rights     []dsr.Right `toml:"rights"`
	Every      bool        `toml:"every"`      // a duty that comes along with every right
	Clock      string      `toml:"clock"`      // id of a clock of the regime; "" for none
	Says       string      `toml:"says"`       // one plain sentence
	Basis      []string    `toml:"basis"`      // legal bases of data that the right reaches; empty for all (portability: consent, contract)
	Provided   bool        `toml:"provided"`   // it reaches only what the person provided (GDPR Art. 20)
	Exceptions []string    `toml:"exceptions"` // closed words on which a person may refuse
	Notices    []string    `toml:"notices"`    // notices due, by their kind
	Evidence   []string    `toml:"evidence"`   // what is kept to prove it
	PerYear    int         `toml:"per_year"`   // how often it is free in twelve months; 0 for no limit
	LookBack   string      `toml:"look_back"`  // earliest day a person may ask back to, 2006-01-02; "" for no field
}

// Proof is one thing that shows who asks.
type Proof string

// The proofs. Writ itself asks for mailbox, match points, declaration, and the
// words of an agent or a parent with a person's decision; the others are a
// person's work.
const (
	Mailbox       Proof = "mailbox"
	MatchPoints2  Proof = "match_points(2)"
	MatchPoints3  Proof = "match_points(3)"
	Declaration   Proof = "declaration"
	Permission    Proof = "permission"
	ParentProof   Proof = "parent"
	SchoolProof   Proof = "school"
	AccountLogin  Proof = "account_login"
	DocumentProof Proof = "document"
)

// ProofRow is the least sufficient proof for some rights of some data asked for
// by somebody.
type ProofRow struct {
	Row
	Rights      []dsr.Right     `toml:"rights"`      // empty for every right
	Sensitivity string          `toml:"sensitivity"` // low, high, or "" for both
	Requesters  []dsr.Requester `toml:"requesters"`  // empty for self
	Needs       []Proof         `toml:"needs"`       // all of them; empty for none
	Or          []Proof         `toml:"or"`          // what suffices instead, where the person has it
	Lesser      dsr.Right       `toml:"lesser"`      // what is answered where the proof falls short; "" for a question
	Says        string          `toml:"says"`
}

// LegalGround is one entry of a regime's closed list of reasons to keep what a
// person asked to be erased.
type LegalGround struct {
	Row
	Kind          string   `toml:"kind"`          // legal_obligation, legal_claims, expression, public_health, research, transaction, security …
	Jurisdictions []string `toml:"jurisdictions"` // whose law can be the duty: ISO countries, "EU"; empty for any
	Says          string   `toml:"says"`
}

// Keep is a duty to keep records that a ground of kind legal_obligation may
// rest on. It blocks nothing by itself: the pack's ground names it by its id.
type Keep struct {
	Row
	Jurisdiction string `toml:"jurisdiction"` // ISO country, or EU
	Years        int    `toml:"years"`
	From         string `toml:"from"` // what the years are counted from, plain words
	Says         string `toml:"says"`
}

// Proposal is a change of law that is not in force. It is data so that nobody
// encodes it too early.
type Proposal struct {
	ID       string `toml:"id"`
	Cite     string `toml:"cite"`
	Proposed string `toml:"proposed"` // 2006-01-02
	Says     string `toml:"says"`
}
