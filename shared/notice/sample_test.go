package notice_test

import (
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/notice"
	"github.com/writ-dsr/writ/shared/policy"
)

func date(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 12, 0, 0, 0, time.UTC) }

// facts is everything that law and pack can say.
func facts(kind string) policy.NoticeFacts {
	f := policy.NoticeFacts{
		Kind: kind, Law: "General Data Protection Regulation (GDPR)", Clock: "The law gives us one month from the day we got your request.",
		Controller:     "Acme School Ltd, Long Street 1, Oslo",
		Contacts:       policy.Contacts{Officer: "Our privacy team", Mail: "privacy@acme.example", Phone: "+47 00 00 00 00", Post: "Long Street 1, Oslo", Complain: "Write to our privacy team if you think we got it wrong."},
		Representative: "Acme Belgium, Short Street 2, Leuven", Channels: []string{"You can also use the page in your account."},
		Authority: "Datatilsynet, https://authority.example", Court: "You may go to court.",
		Transfers: "Some data goes to the United States. Contracts with the firms there keep it safe.",
		Rights:    []string{"You may ask for a copy of your data (Art. 15).", "You may ask us to erase your data (Art. 17)."},
		Categories: []policy.CategoryFacts{
			{ID: "account", Name: "Your account", Why: "to let you log in", Basis: "our contract with you", Retention: "while you have the account", Period: "Kept for 3 years after you close your account.", Source: "from you", Recipients: []string{"Cloud Ltd"}},
			{ID: "health", Name: "Your health", Why: "to help you in class", Basis: "you agreed", Retention: "until you take it back", Source: "from you", Recipients: []string{"Help Desk Ltd"}, Sensitive: true},
			{ID: "card", Name: "Your card", Why: "to take a payment", Basis: "our contract with you", Retention: "one day", Source: "from you", Recipients: []string{"Pay Ltd"}, Forbidden: true},
		},
		Recipients: []policy.Recipient{
			{ID: "cloud", Name: "Cloud Ltd", Standing: "processor", Categories: []string{"account"}, Where: "Ireland"},
			{ID: "group", Name: "Acme Belgium", Standing: "affiliate"},
		},
		Says: []string{"We never sell your data."}, Received: date(2026, 11, 2),
	}
	if kind == policy.NoticeOptOut {
		f.Law, f.Appeal = "California Consumer Privacy Act (CCPA)", "You may ask us to look at it again."
		f.Lost, f.Still, f.NextAsk = []string{"The chat window goes away."}, []string{"You still see some ads."}, "2027-11-02"
		f.Stops = []string{"Turn them off in your account."}
	}
	if kind == policy.NoticeEraseConfirm {
		f.Lost = []string{"You can no longer log in."}
	}
	if kind == policy.NoticeBreachSubject || kind == policy.NoticeBreachAuthority {
		f.Hours = 72
	}
	return f
}

var (
	erased   = notice.Row{System: "our app", Data: "Your account", Outcome: dsr.Outcome{Category: "account", Kind: dsr.Erased, Count: 2}}
	retained = notice.Row{System: "Pay Ltd", Data: "Your payments", Why: "Tax law tells us to keep papers of payments for five years.", Cite: "Accounting Act Art. 74",
		Outcome: dsr.Outcome{Category: "payments", Kind: dsr.Retained, Count: 3, Ground: "tax", Until: "2032-01-01"}}
	exported = notice.Row{System: "our app", Data: "Your account", Outcome: dsr.Outcome{Category: "account", Kind: dsr.Exported, Count: 2}}
	told     = notice.Row{System: "Cloud Ltd", Data: "Your account", Outcome: dsr.Outcome{Category: "account", Kind: dsr.Told}}
)

// values is a request of which the kind can be written, and nothing that the
// kind does not need.
func values(kind string) notice.Values {
	v := notice.Values{
		Company: "Acme", Reference: "waaaaaaaaaaaaaaaaaaaaaaaaa", Rights: []dsr.Right{dsr.Access, dsr.Erasure}, Received: date(2026, 11, 2), Due: date(2026, 12, 2),
		StatusLink: "https://writ.example/status?t=SECRET",
	}
	switch kind {
	case policy.NoticeAcknowledge:
		v.Proof = []policy.Proof{notice.NoProof}
	case policy.NoticeChallenge, policy.NoticeReminder:
		v.Proof, v.StatusLink = []policy.Proof{policy.Mailbox, policy.MatchPoints2}, ""
		v.ConfirmLink, v.DisownLink, v.LinkDue = "https://writ.example/confirm?t=SECRET", "https://writ.example/not-me?t=SECRET", date(2026, 11, 9)
	case policy.NoticeIdentity:
		v.WhatIsDoubted, v.Question = "Two people use this address.", "Which name is on the account?"
		v.LeastData, v.SafeWay = "The day on which you opened the account.", "Type it on the status page. Do not send it by mail."
		v.ClockEffect, v.IfUnanswered = "The days until your answer are not counted.", "Then we give you what we can give without it."
		v.AnswerDue = date(2026, 11, 16)
	case policy.NoticeClarification:
		v.Question, v.ClockEffect, v.AnswerDue = "Which years do you mean?", "The days until your answer are not counted.", date(2026, 11, 16)
		v.IfUnanswered = "If you do not answer, we look in all of them."
	case policy.NoticeEraseConfirm:
		v.Rows, v.ConfirmLink, v.LinkDue = []notice.Row{erased, retained}, "https://writ.example/confirm?t=SECRET", date(2026, 11, 9)
	case policy.NoticeExtension:
		v.Reason, v.OldDue, v.Due = "You have data in many systems, and a person must read all of it.", date(2026, 12, 2), date(2027, 2, 2)
	case policy.NoticeAccess:
		v.Rows, v.BundleLink, v.BundleDue = []notice.Row{exported, told}, "https://writ.example/download?t=SECRET", date(2026, 11, 16)
		v.Withheld, v.Redactions = []string{"card numbers"}, []string{"Names of other people, as the data is theirs."}
	case policy.NoticePortability:
		v.Rows, v.BundleLink, v.BundleDue = []notice.Row{exported}, "https://writ.example/download?t=SECRET", date(2026, 11, 16)
		v.Format, v.Receiver = "Lists of records that a program can read (JSON).", "Other School"
	case policy.NoticeStatement:
		v.Rights = []dsr.Right{dsr.KnowCategories, dsr.Recipients}
	case policy.NoticeErasure:
		v.Rows = []notice.Row{erased, retained, told}
	case policy.NoticeRectification:
		v.Rights = []dsr.Right{dsr.Rectification}
		v.Rows = []notice.Row{{System: "our app", Data: "Your account", Outcome: dsr.Outcome{Category: "account", Kind: dsr.Rectified}}, told}
		v.Fields, v.Systems = []string{"Your name"}, []string{"our app"}
	case policy.NoticeAddressChanged:
		v.Fields, v.Address, v.EffectiveOn, v.DisownLink = []string{"Your mail address"}, "old", date(2026, 11, 9), "https://writ.example/not-me?t=SECRET"
	case policy.NoticeRestriction:
		v.Rights = []dsr.Right{dsr.Restriction}
		v.Rows = []notice.Row{{System: "our app", Data: "Your account", Outcome: dsr.Outcome{Category: "account", Kind: dsr.Restricted}}}
		v.Systems = []string{"our app"}
	case policy.NoticeLifting:
		v.Reason, v.EffectiveOn, v.Systems = "We checked your data, and it is right.", date(2026, 12, 12), []string{"our app"}
	case policy.NoticeOptOut:
		v.Rights, v.Purposes = []dsr.Right{dsr.OptOutOfSale}, []dsr.Purpose{dsr.Sale}
		v.Rows = []notice.Row{{System: "our app", Data: "Your account", Outcome: dsr.Outcome{Category: "account", Kind: dsr.Suppressed}}}
	case policy.NoticeAnswer:
		v.Reason = "Your photo is no longer on our page."
		v.Rows = []notice.Row{{System: "Your message", Data: "What you wrote", Outcome: dsr.Outcome{Category: dsr.Words, Kind: dsr.Attested, By: "privacy_officer"}}}
	case policy.NoticeRefusal:
		v.Refusals = []policy.Refusal{{Right: dsr.Erasure, Reason: "excessive", Says: "You asked for the same thing three times this month.", Cite: "GDPR Art. 12(5)",
			Authority: "Datatilsynet, https://authority.example", Remedy: "You may go to court."}}
		v.Fee = "There is no fee."
	case policy.NoticeReferral:
		v.To, v.ToContact, v.PassedOn = "North School", "data@north.example", "We gave them your mail address and what you asked for."
		v.StillOurs = "We answer for your own account."
	case policy.NoticeRecipient:
		v.To, v.Action, v.SubjectKey, v.Deadline, v.Callback = "Cloud Ltd", dsr.Rectified, "cus_0001", date(2026, 12, 2), "https://writ.example/task?t=SECRET"
		v.Fields = []string{"name"}
	case policy.NoticeAgent:
		v.Requester, v.Checked, v.Method = dsr.Agent, "We check that you let them ask for you.", "One of our team reads what you signed."
	case policy.NoticeParent:
		v.Requester, v.Checked, v.Method = dsr.Parent, "We check that they are the parent of the child.", "One of our team calls them."
	case policy.NoticeUnverified, policy.NoticeWithdrawn:
		v.FormLink, v.StatusLink = "https://writ.example/", ""
	case policy.NoticeBreachSubject, policy.NoticeBreachAuthority:
		v.Nature, v.Data, v.Effects = "Somebody read mails of our help desk.", "Names and mail addresses.", "You may get mails that are not from us."
		v.Measures, v.Numbers, v.AwareAt = "We closed the gap. Change your password.", "About 200 people and 300 mails.", date(2026, 11, 20)
		if kind == policy.NoticeBreachAuthority {
			v.Late = "We first had to find out what was read."
		}
	case policy.NoticeLegalProcess:
		v.Asker, v.Scope, v.Deadline = "The police of Oslo.", "The times at which you logged in.", date(2026, 12, 2)
	case policy.NoticePolicyChange:
		v.Changes, v.EffectiveOn, v.PolicyLink = []string{"We use a new firm for payments."}, date(2027, 1, 1), "https://acme.example/privacy"
	}
	return v
}
