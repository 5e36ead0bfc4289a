package notice

import (
	"slices"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/policy"
)

// kind is one letter: what it cannot be without, and its parts in order. Its
// words are the language file's table notice.<kind>.
type kind struct {
	version string
	needs   []need
	leads   []string            // keys of its opening sentences; none: "lead"
	lead    func(Values) string // which of them
	body    []block
}

// block is one part of a letter. Its words stand under its key, its heading
// under key_head, its link's label under key_link; a shared block's in the
// table part. A block whose text has an empty value in it, or whose list is
// empty, is left out.
type block struct {
	key    string
	shared bool
	says   says
	items  func(*writer) []string
	table  func(*writer) *mail.Table
	link   func(Values) string
	code   bool
	parts  func(*writer) []mail.Part // in place of all that
	when   func(policy.NoticeFacts, Values) bool
}

// says is which words a block has.
type says int

const (
	head says = 1 << iota
	text
)

func (b block) keys() []string {
	var all []string
	if b.says&head != 0 {
		all = append(all, b.key+"_head")
	}
	if b.says&text != 0 {
		all = append(all, b.key)
	}
	if b.link != nil {
		all = append(all, b.key+"_link")
	}
	return all
}

// keys are the words of a kind's own.
func (k kind) keys() []string {
	all := []string{"subject"}
	if all = append(all, k.leads...); len(k.leads) == 0 {
		all = append(all, "lead")
	}
	for _, b := range k.body {
		if !b.shared {
			all = append(all, b.keys()...)
		}
	}
	return all
}

// partKeys are the words that kinds share.
func partKeys() []string {
	all := []string{"footer", "authority", "law"}
	for _, k := range kinds {
		for _, b := range k.body {
			for _, key := range b.keys() {
				if b.shared && !slices.Contains(all, key) {
					all = append(all, key)
				}
			}
		}
	}
	return all
}

// own is a paragraph of a kind's own, with a heading or without.
func own(key string, s says) block { return block{key: key, says: s} }

// join puts parts of letters one after the other.
func join[T any](lists ...[]T) []T { return slices.Concat(lists...) }

// What many kinds cannot be without.
var (
	whose   = always("Company", "Reference", "Facts.Contacts.Mail")
	remedy  = always("Facts.Contacts.Complain", "Facts.Authority")
	asked   = need{path: "Rights", when: func(_ policy.NoticeFacts, v Values) bool { return !v.Words }}
	nextAsk = need{path: "Facts.NextAsk", when: func(f policy.NoticeFacts, v Values) bool {
		return f.Law == californian && (slices.Contains(v.Rights, dsr.OptOutOfSale) || slices.Contains(v.Rights, dsr.LimitSensitive))
	}}
	// Who holds the old address can stop the change by a link; the new one is not
	// proved yet.
	stopLink = need{path: "DisownLink", when: func(_ policy.NoticeFacts, v Values) bool { return v.Address == "old" }}
	// The court is owed with every part that is not done (GDPR Art. 12(4)).
	court = need{path: "Facts.Court", when: func(_ policy.NoticeFacts, v Values) bool {
		return len(rowsOf(v, dsr.Retained, dsr.Kept, dsr.Refused)) > 0
	}}
	// An appeal where the law gives one: the US states' common rule does.
	appeal = need{path: "Refusals[].Appeal", when: func(f policy.NoticeFacts, _ Values) bool { return f.Appeal != "" }}
)

// californian is the name of the law under which nobody may ask for twelve
// months whether a person opts in again (CCPA 1798.135(c)(4)).
const californian = "California Consumer Privacy Act (CCPA)"

// kinds are the letters, in the order of policy.Notices. Each needs what the
// law asks of it: GDPR Art. 7, 11-22, 33, 34; 11 CCR 7021-7028, 7060-7063; LGPD
// Art. 18, 19; the US states' common rule.
var kinds = map[string]kind{
	// Every intake. How to withdraw is a sentence of the letter, with the
	// company's address.
	policy.NoticeAcknowledge: {
		version: "1",
		needs:   join(whose, []need{asked}, always("Facts.Law", "Received", "Due", "Proof")),
		body:    join([]block{own("due", text), clock, lawOf, checks, own("next", text), own("withdraw", head|text), status}, about),
	},
	policy.NoticeChallenge: {
		version: "1",
		needs:   join(whose, []need{asked}, always("Facts.Law", "Received", "Due", "Proof", "ConfirmLink", "LinkDue", "DisownLink")),
		body:    join(proving, about),
	},
	policy.NoticeReminder: {
		version: "1",
		needs:   join(whose, []need{asked}, always("Facts.Law", "Received", "Due", "Proof", "ConfirmLink", "LinkDue", "DisownLink")),
		body:    join(proving, about),
	},
	policy.NoticeIdentity: {
		version: "1",
		needs:   join(whose, always("WhatIsDoubted", "LeastData", "SafeWay", "ClockEffect", "IfUnanswered")),
		body: join([]block{own("doubted", head|text), own("question", text), own("least", head|text), own("safe", head|text), own("effect", head|text), own("until", text),
			own("unanswered", head|text), status}, about),
	},
	policy.NoticeClarification: {
		version: "1",
		needs:   join(whose, always("Question", "ClockEffect")),
		body:    join([]block{own("question", head|text), own("answer", text), own("until", text), own("effect", head|text), own("unanswered", text), status}, about),
	},
	// The link opens a page with a form; no link acts by itself.
	policy.NoticeEraseConfirm: {
		version: "1",
		needs:   join(whose, always("Rows", "ConfirmLink", "LinkDue")),
		body: join([]block{
			{key: "erased", says: head, items: planned(dsr.Erased, dsr.Anonymised, dsr.Attested)},
			{key: "kept", says: head, items: planned(dsr.Retained, dsr.Kept)},
			lost, {key: "nothing_lost", says: text, when: nothingLost},
			{key: "confirm", says: text, link: func(v Values) string { return v.ConfirmLink }}, code,
			own("expires", text), own("safe", text)}, about),
	},
	// GDPR Art. 12(3): the reason and the new date, inside the first period.
	policy.NoticeExtension: {
		version: "1",
		needs:   join(whose, remedy, always("Reason", "OldDue", "Due")),
		body:    join([]block{own("reason", head|text), own("date", text), own("work", text), disagree, status}, about),
	},
	policy.NoticeAccess: {
		version: "1",
		needs: join(whose, remedy, []need{court}, always("Rows", "BundleLink", "BundleDue", "Facts.Categories", "Facts.Categories[].Name", "Facts.Categories[].Why",
			"Facts.Categories[].Retention", "Facts.Categories[].Source", "Facts.Recipients", "Facts.Recipients[].Name", "Facts.Rights")),
		leads: []string{"lead", "lead_part", "lead_nothing"},
		lead:  found,
		body: join([]block{download, going, {key: "found", says: head, table: all}, withheld, redactions, categories, recipients, transfers, rights,
			own("machines", text)}, record, []block{disagree, status}, about),
	},
	policy.NoticePortability: {
		version: "1",
		needs:   join(whose, remedy, []need{court}, always("Rows", "BundleLink", "BundleDue", "Format")),
		leads:   []string{"lead", "lead_part", "lead_nothing"},
		lead:    found,
		body: join([]block{download, going, own("format", head|text), own("receiver", text), own("limits", text), {key: "found", says: head, table: all}, withheld, redactions,
			disagree, status}, about),
	},
	// Categories, recipients, processors, Shine the Light: told, with no data.
	policy.NoticeStatement: {
		version: "1",
		needs: join(whose, remedy, []need{asked, court}, always("Facts.Categories", "Facts.Categories[].Name", "Facts.Categories[].Why", "Facts.Categories[].Source",
			"Facts.Recipients", "Facts.Recipients[].Name")),
		leads: []string{"lead", "lead_part", "lead_nothing"},
		lead:  found,
		body:  join([]block{going, held}, results, []block{withheld, categories, recipients, transfers, rights}, record, []block{disagree, status}, about),
	},
	policy.NoticeErasure: {
		version: "1",
		needs:   join(whose, remedy, []need{court}, always("Rows")),
		leads:   []string{"lead", "lead_part", "lead_open", "lead_nothing", "lead_kept", "lead_except"},
		lead:    erased,
		body:    join([]block{going}, results, []block{suppression, own("backups", head|text), noOneElse}, record, []block{refusals, disagree, status}, about),
	},
	policy.NoticeRectification: {
		version: "1",
		needs:   join(whose, remedy, []need{court}, always("Rows", "Fields", "Systems")),
		leads:   []string{"lead", "lead_part", "lead_some", "lead_nothing", "lead_cannot"},
		lead:    changed(dsr.Rectified),
		body: join([]block{going, {key: "fields", says: head, items: func(w *writer) []string { return w.values.Fields }}, systems}, results,
			[]block{noOneElse}, record, []block{refusals, disagree, status}, about),
	},
	policy.NoticeAddressChanged: {
		version: "1",
		needs:   join(whose, []need{stopLink}, always("Fields", "Address", "EffectiveOn")),
		body: join([]block{{key: "fields", says: head, items: func(w *writer) []string { return w.values.Fields }}, own("when", text),
			{key: "not_me", says: head | text, link: func(v Values) string { return v.DisownLink }}, own("write", text)}, about),
	},
	policy.NoticeRestriction: {
		version: "1",
		needs:   join(whose, remedy, []need{court}, always("Rows", "Systems")),
		leads:   []string{"lead", "lead_part", "lead_some", "lead_nothing", "lead_cannot"},
		lead:    changed(dsr.Restricted, dsr.Suppressed),
		body:    join([]block{going, systems}, results, []block{own("meaning", head|text), own("lifting", text), noOneElse}, record, []block{refusals, disagree, status}, about),
	},
	// GDPR Art. 18(3): before it is lifted.
	policy.NoticeLifting: {
		version: "1",
		needs:   join(whose, remedy, always("Reason", "EffectiveOn", "Systems")),
		body:    join([]block{own("reason", head|text), systems, own("after", text), disagree, status}, about),
	},
	// CCPA 7026(g): that it was done; CA-ND: which feature is lost.
	policy.NoticeOptOut: {
		version: "1",
		needs:   join(whose, []need{nextAsk}, always("Purposes")),
		leads:   []string{"lead", "lead_part", "lead_some", "lead_nothing", "lead_cannot", "lead_never"},
		lead:    changed(dsr.Suppressed, dsr.Restricted),
		body: join([]block{going, own("scope", head|text), {key: "weigh", says: text, when: weighed}}, results, []block{stops, still, {key: "nothing_else", says: text, when: nothingStill}, lost,
			{key: "nothing_lost", says: text, when: nothingLost}, own("fair", text), own("lasts", head|text), own("next_ask", text)}, record, []block{refusals, disagree, status}, about),
	},
	policy.NoticeAnswer: {
		version: "1",
		needs:   join(whose, remedy, []need{court}),
		leads:   []string{"lead", "lead_part", "lead_cannot"},
		lead:    answered,
		body:    join([]block{going, own("answer", text)}, results, []block{refusals, disagree, status}, about),
	},
	policy.NoticeRefusal: {
		version: "1",
		needs: join(whose, always("Facts.Contacts.Complain", "Refusals", "Refusals[].Right", "Refusals[].Says", "Refusals[].Cite", "Refusals[].Authority",
			"Refusals[].Remedy"), []need{appeal}),
		leads: []string{"lead", "lead_part"},
		lead: func(v Values) string {
			if len(v.Rows) > 0 {
				return "lead_part"
			}
			return "lead"
		},
		body: join([]block{refusals, own("fee", head|text)}, results, []block{{key: "complain", says: head, items: func(w *writer) []string { return []string{w.facts.Contacts.Complain} }}, status}, about),
	},
	policy.NoticeReferral: {
		version: "1",
		needs:   join(whose, always("To", "PassedOn", "StillOurs")),
		body:    join([]block{own("why", text), own("contact", text), own("passed", head|text), own("ours", head|text), disagree, status}, about),
	},
	// GDPR Art. 19; 11 CCR 7022(b): to a recipient, about a person they know by
	// a key.
	policy.NoticeRecipient: {
		version: "1",
		needs:   always("Company", "Reference", "Facts.Contacts.Mail", "To", "Action", "SubjectKey", "Deadline", "Callback"),
		body: []block{own("key", head|text), own("action", head|text), {key: "changed", says: head, items: func(w *writer) []string { return w.values.Fields }},
			own("pass_on", text), own("deadline", head|text), own("impossible", text)},
	},
	policy.NoticeAgent:  inPlaceOf,
	policy.NoticeParent: inPlaceOf,
	// The reporter learns nothing about the child.
	policy.NoticeChildReport: {
		version: "1",
		needs:   join(whose, always("Received", "Due")),
		body:    join([]block{own("next", text), own("nothing", text), own("parent", text)}, about),
	},
	policy.NoticeUnverified: {
		version: "1",
		needs:   join(whose, remedy, always("FormLink")),
		body:    join([]block{{key: "again", says: text, link: func(v Values) string { return v.FormLink }}, own("mailbox", text), own("policy", text), disagree}, about),
	},
	policy.NoticeWithdrawn: {
		version: "1",
		needs:   whose,
		body:    join([]block{own("nothing", text), {key: "again", says: text, link: func(v Values) string { return v.FormLink }}, own("record", text)}, about),
	},
	policy.NoticeBreachSubject: {
		version: "1",
		needs:   always("Company", "Facts.Contacts.Mail", "Nature", "Data", "Effects", "Measures"),
		body:    join([]block{own("nature", head|text), own("aware", text), own("data", head|text), own("effects", head|text), own("measures", head|text), own("ask", text)}, about),
	},
	policy.NoticeBreachAuthority: {
		version: "1",
		needs:   always("Company", "Facts.Controller", "Facts.Contacts.Mail", "AwareAt", "Nature", "Data", "Numbers", "Effects", "Measures"),
		body: join([]block{own("nature", head|text), own("aware", text), own("late", text), own("data", head|text), own("numbers", head|text), own("effects", head|text),
			own("measures", head|text), own("more", text)}, about),
	},
	policy.NoticeLegalProcess: {
		version: "1",
		needs:   always("Company", "Facts.Contacts.Mail", "Asker", "Scope"),
		body:    join([]block{own("asker", head|text), own("scope", head|text), own("deadline", text), own("act", text)}, about),
	},
	policy.NoticePolicyChange: {
		version: "1",
		needs:   always("Company", "Facts.Contacts.Mail", "Changes", "EffectiveOn"),
		body: join([]block{{key: "changes", says: head, items: func(w *writer) []string { return w.values.Changes }},
			{key: "read", says: text, link: func(v Values) string { return v.PolicyLink }}, own("choice", text)}, about),
	},
}

// inPlaceOf tells that somebody asks for somebody else, and how that was
// checked (11 CCR 7063, 7070; GDPR Art. 8).
var inPlaceOf = kind{
	version: "1",
	needs:   join(whose, []need{asked}, always("Requester", "Checked", "Method")),
	body:    join([]block{own("checked", head|text), own("method", text), own("goes", text), own("stop", head|text), status}, about),
}
