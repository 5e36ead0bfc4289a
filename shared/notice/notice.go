// Package notice writes everything that Writ says to a person, a recipient or
// an authority: one letter for each kind of policy.Notices. What a letter must
// hold stands in the table of kinds, its words in strings/<language>.toml. A
// letter in which a required field is empty is not written.
//
// It is pure: facts of law and pack come as policy.NoticeFacts, facts of the
// request as Values, and the same facts give the same letter.
package notice

import (
	"reflect"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/policy"
)

// NoProof stands in Values.Proof where nobody may ask for proof (CCPA 7026,
// 7027): a letter must say how it is checked who asks, even if it is not.
const NoProof policy.Proof = "none"

// Values is what a letter says of one request. Each kind needs a few of them:
// the table of kinds tells which. Text is plain words in the letter's language; it is
// escaped by the mail, and shown as it is.
type Values struct {
	Company   string         // the company's name as people know it
	Zone      *time.Location // in which dates are told; nil for UTC
	Reference string         // the request's id
	Rights    []dsr.Right    // what was asked
	Words     bool           // the person wrote in their own words as well
	Received  time.Time
	Due       time.Time // until when the answer is due
	OldDue    time.Time // extension: the date before it
	Proof     []policy.Proof

	Rows       []Row    // outcomes, by system and category
	Held       []string // statement: what was found, one line each
	Open       bool     // some of it is not finished: another letter follows
	Withheld   []string // kinds of data that are held and never shown (11 CCR 7024(d))
	Redactions []string // what was left out of a copy, and why
	Searched   bool     // every system was looked in: only then may a letter say that nothing is held
	Format     string   // portability: the form of the files
	Receiver   string   // portability: who got the data in the person's stead; "" for the person
	BundleLink string
	BundleDue  time.Time // the copy can be downloaded until then

	StatusLink  string
	ConfirmLink string
	DisownLink  string
	FormLink    string    // to make a new request
	LinkDue     time.Time // until when ConfirmLink works
	Code        string    // for typing

	Question string // identity question, clarification: the question itself
	WhatIsDoubted,
	LeastData,
	SafeWay,
	IfUnanswered,
	ClockEffect string
	AnswerDue time.Time // until when a question must be answered

	RecordUntil string // 2006-01-02: how long the record of the request is kept
	RecordCite  string // and on which law

	Reason    string           // of an extension, a transfer, a request from outside: one sentence
	Refusals  []policy.Refusal // what is refused; each complete
	Fee       string           // what a repeated request costs; "" for nothing
	To        string           // referral: who answers; agent, recipient: whom the letter is for
	ToContact string           // how to reach them
	PassedOn  string           // referral: what was given to them
	StillOurs string           // referral: what the company answers itself

	Purposes []dsr.Purpose // what was stopped
	Never    bool          // the company does none of it: the wish is written down
	Fields   []string      // what was corrected, in plain words
	Systems  []string      // where, by name
	Address  string        // address_changed: whose letter this is: "old" or "new" address

	Action     dsr.OutcomeKind // recipient: what was done: erased, rectified, restricted, suppressed
	SubjectKey string          // recipient: the key by which they know the person
	Deadline   time.Time       // recipient: until when they must answer
	Callback   string          // recipient: where they answer

	Requester dsr.Requester // agent, parent: in which capacity somebody asks
	Checked   string        // agent, parent: which authority was checked
	Method    string        // and by which method

	Nature, Data, Numbers, Effects, Measures string    // breach
	AwareAt                                  time.Time // breach: since when the company knows
	Late                                     string    // breach: why it is told late; "" if it is not
	Asker, Scope                             string    // legal process: who wants what
	Changes                                  []string  // policy change: what changes
	EffectiveOn                              time.Time // policy change, lifting
	PolicyLink                               string
}

// Row is one outcome as a letter tells it.
type Row struct {
	System  string // plain name
	Data    string // plain name of the category
	Outcome dsr.Outcome
	Why     string // retained, kept, deferred: one plain sentence
	Cite    string // retained: the law
	Hold    bool   // retained by a legal hold: it has no end date yet
	// Undecided: kept, and the controller has not decided on which law; Why says so.
	Undecided bool
}

// Write writes the letter of a kind in a language (BCP 47; one that has no
// file is written in English). The error names the kind and the first field
// that is needed and empty.
func Write(kind, lang string, f policy.NoticeFacts, v Values) (mail.Letter, error) {
	c, err := catalog()
	if err != nil {
		return mail.Letter{}, err
	}
	return c.Write(kind, lang, f, v)
}

// Version is the version of the kind's template, for the record of what was
// sent. It is raised with every change of the table or of the English words.
func Version(kind string) string { return kinds[kind].version }

// Result says one outcome in plain words.
func Result(lang string, row Row, zone *time.Location) string {
	c, err := catalog()
	if err != nil {
		return ""
	}
	return c.language(lang).result(row, zone)
}

// Asked says in words what a request asks for: "a copy of your data and the
// erasure of your data".
func Asked(lang string, rights []dsr.Right, words bool) string {
	c, err := catalog()
	if err != nil {
		return ""
	}
	return c.language(lang).asked(rights, words)
}

// Records says a count of records: "2 records".
func Records(lang string, n int) string {
	c, err := catalog()
	if err != nil {
		return ""
	}
	return c.language(lang).records(n)
}

// Word says one of the words that are no part of a letter: names of Writ's own
// systems and records, and sentences that fill a value. A key that no language
// file has is a fault of the caller and gives "".
func Word(lang, key string) string {
	c, err := catalog()
	if err != nil {
		return ""
	}
	return c.language(lang).Word[key]
}

// Join makes one letter of several to the same person about the same request:
// the first opens it, each other adds its opening sentence and its parts. What
// several say stands once, where it comes last.
func Join(letters ...mail.Letter) mail.Letter {
	joined := letters[0]
	joined.Parts = nil
	var all []mail.Part
	for i, l := range letters {
		if i > 0 {
			all = append(all, mail.Part{Text: l.Lead})
		}
		all = append(all, l.Parts...)
	}
	for i, p := range all {
		if !slices.ContainsFunc(all[i+1:], func(later mail.Part) bool { return reflect.DeepEqual(p, later) }) {
			joined.Parts = append(joined.Parts, p)
		}
	}
	return joined
}
