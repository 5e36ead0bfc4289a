package policy

import (
	"github.com/writ-dsr/writ/shared/dsr"
)

// Fact ties a row of a pack to the company's own text and to the code: the
// phrases it rests on, and what changes when the row does.
type Fact struct {
	Cites      []Cite   `toml:"cites"`
	EnforcedBy Enforced `toml:"enforced_by"`
	Decision   string   `toml:"decision"` // id of a needs_controller_decision, where the text is silent or contradicts itself; then cites may be empty
}

// Enforced says where a fact bites: a test flips the row and sees that change.
type Enforced string

// What a fact can change. Documentation changes nothing; a pack has at most
// five such rows.
const (
	ByPlan          Enforced = "plan"   // what Resolve answers: decision, proof, tasks, questions, referrals
	ByDue           Enforced = "due"    // a date
	ByNotice        Enforced = "notice" // what a notice says
	ByDocumentation Enforced = "documentation"
)

// Document is one text of the company that the pack cites.
type Document struct {
	ID      string `toml:"id"` // file name
	Title   string `toml:"title"`
	Updated string `toml:"updated"` // 2006-01-02, or "" where the text names no date
}

// Representative acts for the controller where it is not established
// (GDPR Art. 27).
type Representative struct {
	Region string `toml:"region"` // eea, uk, ch, br
	Name   string `toml:"name"`
	Post   string `toml:"post"`
	Fact
}

// Channel is a way the company offers to make a request.
type Channel struct {
	ID      string      `toml:"id"`
	Kind    string      `toml:"kind"`  // form, mail, post, phone, account, page, message_link, consent_manager, browser
	Where   string      `toml:"where"` // address, number or page, plain words
	Rights  []dsr.Right `toml:"rights"`
	Subject string      `toml:"subject"` // words that mark a mail as a request; a request without them is never refused
	Says    string      `toml:"says"`
	Fact
}

// Role says whether the company decides about the data or works for a customer
// who does (GDPR Art. 4(7), (8)).
type Role struct {
	ID         string   `toml:"id"`
	Plans      []string `toml:"plans"`      // subscription plans or standings; empty for all
	Categories []string `toml:"categories"` // data it reaches; empty for all
	Role       string   `toml:"role"`       // controller or processor
	Customer   string   `toml:"customer"`   // processor: who the customer is, plain words: "the school or company that gave you access"
	Says       string   `toml:"says"`
	Fact
}

// Promise is an answer in time that the company owes to everyone, whatever the
// law gives. It never pauses, never moves and never extends.
type Promise struct {
	Rule   string      `toml:"rule"`   // id, for the record
	Rights []dsr.Right `toml:"rights"` // empty for every right
	Days   int         `toml:"days"`
	Says   string      `toml:"says"` // one plain sentence
	Fact
}

// Request is something the company lets people ask for, in its own words.
type Request struct {
	Right dsr.Right `toml:"right"`
	Name  string    `toml:"name"` // as the form shows it
	Says  string    `toml:"says"` // what happens, one plain sentence
	By    string    `toml:"by"`   // role of the person who answers it, for rights that a person carries out
	Fact
}

// Minor is the age under which the company wants no data, and what it does.
type Minor struct {
	ID     string `toml:"id"`
	Under  int    `toml:"under"`
	Unless string `toml:"unless"` // parent, school, or ""
	Says   string `toml:"says"`
	Fact
}

// Sale is what the company says about selling and sharing.
type Sale struct {
	ID    string `toml:"id"`
	Sells string `toml:"sells"` // no, may (what the law may call a sale), yes
	Lost  string `toml:"lost"`  // what stops working after an opt-out, plain words; "" for nothing
	Still string `toml:"still"` // what goes on after an opt-out, plain words; "" for nothing
	Says  string `toml:"says"`
	Fact
}

// Marketing is one channel of marketing and how a person stops it.
type Marketing struct {
	Channel string `toml:"channel"` // email, sms, call, push, desktop, ads, post, forms
	Stop    string `toml:"stop"`    // how, plain words
	Fact
}

// Breach is a promise about telling of a breach.
type Breach struct {
	ID    string `toml:"id"`
	Whom  string `toml:"whom"` // authority, subjects
	Hours int    `toml:"hours"`
	Says  string `toml:"says"`
	Fact
}

// ChangeNotice is how the company announces a new policy.
type ChangeNotice struct {
	ID   string `toml:"id"`
	When string `toml:"when"` // before, at, after
	How  string `toml:"how"`  // plain words
	Fact
}

// Say is a sentence that notices must carry: an odd promise, a warning, a
// consequence. Empty lists stand for all.
type Say struct {
	ID      string      `toml:"id"`
	Notices []string    `toml:"notices"` // kinds of notice
	Rights  []dsr.Right `toml:"rights"`
	Plans   []string    `toml:"plans"`
	Regimes []string    `toml:"regimes"`
	Text    string      `toml:"text"`
	Fact
}

// Ask is a question that must be answered before a plan runs: what follows is
// hard to undo, or somebody must choose.
type Ask struct {
	ID       string      `toml:"id"`
	Rights   []dsr.Right `toml:"rights"`
	Plans    []string    `toml:"plans"`
	Question string      `toml:"question"`
	Answer   string      `toml:"answer"`  // key of Question.Facts that answers it
	Choices  []string    `toml:"choices"` // closed answers
	Default  string      `toml:"default"` // the safe answer where nobody answers in time
	Offer    bool        `toml:"offer"`   // the form offers it and nobody is asked again: no answer is the default
	Effects  []AskEffect `toml:"effect"`
	Fact
}

// AskEffect is what an answer changes: those categories are left out of what is
// erased or stopped, and that stops working.
type AskEffect struct {
	Choice string   `toml:"choice"`
	Spare  []string `toml:"spare"` // categories left as they are
	Lost   string   `toml:"lost"`  // what stops working with this answer, one plain sentence; "" for nothing
}

// Route sends a part of a request to somebody else: fields that only an
// organisation's administrator may change, content on other people's sites.
type Route struct {
	ID         string      `toml:"id"`
	Rights     []dsr.Right `toml:"rights"`
	Plans      []string    `toml:"plans"`
	Fields     []string    `toml:"fields"`     // of a rectification
	Categories []string    `toml:"categories"` // of the pack
	To         string      `toml:"to"`         // customer, or a role of [assignees]
	Says       string      `toml:"says"`
	Fact
}

// Retain is how long a category is kept when nobody asks, and why.
type Retain struct {
	Years   int    `toml:"years"`
	Months  int    `toml:"months"`
	From    string `toml:"from"`    // closure, inactivity, record, consent_end, or "" for no period given
	Reason  string `toml:"reason"`  // legal_obligation, legal_claims, business_purpose, contract, consent
	Dispose string `toml:"dispose"` // erase or anonymise
	Fact
}

// Recipient is who receives data (GDPR Art. 4(9), 15(1)(c)): a provider, an
// affiliate, a partner. It is read from recipients.toml.
type Recipient struct {
	ID         string   `toml:"id"`
	Name       string   `toml:"name"`     // by name, or the kind of provider where the text names none
	Kind       string   `toml:"kind"`     // payment, support, crm, infrastructure, cloud, analytics, service, survey, advertising, mail, chat, affiliate, …
	Standing   string   `toml:"standing"` // processor, third_party, affiliate
	Systems    []string `toml:"systems"`
	Categories []string `toml:"categories"`
	Told       bool     `toml:"told"` // must be told of a correction, an erasure or a restriction by a task of its own: no system of the plan reaches it
	Mail       string   `toml:"mail"` // where such a notice goes; "" for a person's task
	Where      string   `toml:"where"`
	Fact
}

// Customer is an organisation for which the company works as a processor. It is
// read from customers.toml and named to a person only after proof.
type Customer struct {
	ID      string   `toml:"id"`
	Name    string   `toml:"name"`
	Contact string   `toml:"contact"`
	Domains []string `toml:"domains"` // mail domains of its people
	Plans   []string `toml:"plans"`
}

// Records says how long Writ keeps its own evidence, and on which law.
type Records struct {
	Months int    `toml:"months"` // at least 24 (11 CCR 7101)
	Cite   string `toml:"cite"`
}
