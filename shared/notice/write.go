package notice

import (
	"fmt"
	"strings"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/policy"
)

// writer is one call of Write.
type writer struct {
	*Language
	kind   kind
	words  texts
	facts  policy.NoticeFacts
	values Values
	fill   map[string]string
}

// Write writes the letter of a kind, as the function of that name does.
func (c *Catalog) Write(name, lang string, f policy.NoticeFacts, v Values) (mail.Letter, error) {
	k, ok := kinds[name]
	if !ok {
		return mail.Letter{}, fmt.Errorf("writing a notice: unknown kind %q", name)
	}
	for _, need := range k.needs {
		if field := need.missing(f, v); field != "" {
			return mail.Letter{}, fmt.Errorf("writing the notice %s: %s is empty, and the letter must say it", name, field)
		}
	}
	for _, r := range v.Rows {
		if field := r.missing(); field != "" {
			return mail.Letter{}, fmt.Errorf("writing the notice %s: Rows[].%s of an outcome %q is empty, and the letter must say it", name, field, r.Outcome.Kind)
		}
	}
	l := c.language(lang)
	w := writer{Language: l, kind: k, words: l.Notice[name], facts: f, values: v}
	w.fill = w.fillings()
	lead := "lead"
	if k.lead != nil {
		lead = k.lead(v)
	}
	letter := mail.Letter{Lang: l.Tag, Subject: fill(w.words["subject"], w.fill), Lead: fill(w.words[lead], w.fill), Reference: v.Reference, Footer: fill(l.Part["footer"], w.fill)}
	if letter.Subject == "" || letter.Lead == "" {
		return mail.Letter{}, fmt.Errorf("writing the notice %s: its subject or its %s has an empty value in it", name, lead)
	}
	for _, b := range k.body {
		if b.parts != nil {
			letter.Parts = append(letter.Parts, b.parts(&w)...)
		} else if p, ok := w.part(b); ok {
			letter.Parts = append(letter.Parts, p)
		}
	}
	return letter, nil
}

// part writes one block; it reports false for one that has nothing to say.
func (w *writer) part(b block) (mail.Part, bool) {
	if b.when != nil && !b.when(w.facts, w.values) {
		return mail.Part{}, false
	}
	from := w.words
	if b.shared {
		from = w.Part
	}
	p := mail.Part{Heading: fill(from[b.key+"_head"], w.fill), Text: fill(from[b.key], w.fill)}
	if b.says&text != 0 && p.Text == "" {
		return mail.Part{}, false
	}
	if b.items != nil {
		if p.Items = filled(b.items(w)); len(p.Items) == 0 {
			return mail.Part{}, false
		}
	}
	if b.table != nil {
		if p.Table = b.table(w); p.Table == nil || len(p.Table.Rows) == 0 {
			return mail.Part{}, false
		}
	}
	if b.link != nil {
		url := b.link(w.values)
		if url == "" {
			return mail.Part{}, false
		}
		p.Link = &mail.Link{Label: from[b.key+"_link"], URL: url}
	}
	if b.code {
		if p.Code = w.values.Code; p.Code == "" {
			return mail.Part{}, false
		}
	}
	return p, true
}

// fillings are the holes that a text may have.
var fillings = []string{
	"company", "rights", "received", "due", "old_due", "law", "clock", "mail", "format", "receiver", "bundle_due", "link_due", "answer_due",
	"question", "doubted", "least_data", "safe_way", "if_unanswered", "clock_effect", "reason", "fee", "to", "to_contact", "passed_on", "still_ours", "purposes",
	"action", "key", "deadline", "callback", "requester", "checked", "method", "nature", "data", "numbers", "effects", "measures", "aware_at", "late", "asker", "scope",
	"effective_on", "next_ask", "transfers", "authority", "count", "records", "why", "cite", "until", "on", "address", "record_until", "record_cite",
}

// fillings are the values for the holes.
func (w *writer) fillings() map[string]string {
	f, v, day := w.facts, w.values, w.day
	stopped := make([]string, len(v.Purposes))
	for i, p := range v.Purposes {
		stopped[i] = w.Purpose[string(p)]
	}
	m := map[string]string{
		"company": v.Company, "rights": w.asked(v.Rights, v.Words), "received": day(v.Received, v.Zone), "due": day(v.Due, v.Zone),
		"old_due": day(v.OldDue, v.Zone), "law": f.Law, "clock": f.Clock, "mail": f.Contacts.Mail, "format": v.Format, "receiver": v.Receiver,
		"bundle_due": day(v.BundleDue, v.Zone), "link_due": day(v.LinkDue, v.Zone), "answer_due": day(v.AnswerDue, v.Zone), "question": v.Question,
		"doubted": v.WhatIsDoubted, "least_data": v.LeastData, "safe_way": v.SafeWay, "if_unanswered": v.IfUnanswered, "clock_effect": v.ClockEffect,
		"reason": v.Reason, "fee": v.Fee, "to": v.To, "to_contact": v.ToContact, "passed_on": v.PassedOn, "still_ours": v.StillOurs, "purposes": w.list(stopped),
		"action": w.Action[string(v.Action)], "key": v.SubjectKey, "deadline": day(v.Deadline, v.Zone), "callback": v.Callback,
		"requester": w.Asker[string(v.Requester)], "checked": v.Checked, "method": v.Method, "nature": v.Nature, "data": v.Data, "numbers": v.Numbers,
		"effects": v.Effects, "measures": v.Measures, "aware_at": day(v.AwareAt, v.Zone), "late": v.Late, "asker": v.Asker, "scope": v.Scope,
		"effective_on": day(v.EffectiveOn, v.Zone), "transfers": f.Transfers, "authority": f.Authority, "address": w.Word[v.Address+"_address"],
	}
	m["next_ask"], m["record_until"], m["record_cite"] = w.date(f.NextAsk), w.date(v.RecordUntil), v.RecordCite
	return m
}

func filled(words []string) []string {
	var out []string
	for _, w := range words {
		if strings.TrimSpace(w) != "" {
			out = append(out, w)
		}
	}
	return out
}

// missing returns the first field that a result cannot be told without: what is
// kept is told with its reason, its law and its end (R5).
func (r Row) missing() string {
	kept := r.Outcome.Kind == dsr.Retained && !r.Hold
	for _, need := range []struct {
		field, value string
		when         bool
	}{
		{"System", r.System, true}, {"Data", r.Data, true}, {"Why", r.Why, kept || r.Outcome.Kind == dsr.Kept}, {"Cite", r.Cite, kept},
		{"Outcome.Until", r.Outcome.Until, kept}, {"Outcome.To", r.Outcome.To, r.Outcome.Kind == dsr.Referred},
	} {
		if need.when && strings.TrimSpace(need.value) == "" {
			return need.field
		}
	}
	return ""
}

// rowsOf are the results of the kinds of outcome, or of all.
func rowsOf(v Values, only ...dsr.OutcomeKind) []Row {
	var out []Row
	for _, r := range v.Rows {
		for _, k := range only {
			if r.Outcome.Kind == k {
				out = append(out, r)
			}
		}
	}
	return out
}
