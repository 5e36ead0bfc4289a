package notice

import (
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/policy"
)

// The parts that several kinds share.
var (
	clock    = block{key: "clock", shared: true, says: text}
	lawOf    = block{key: "which_law", shared: true, says: text}
	checks   = block{key: "proof", shared: true, says: head, items: (*writer).proofs}
	status   = block{key: "status", shared: true, says: text, link: func(v Values) string { return v.StatusLink }}
	going    = block{key: "open", shared: true, says: text, when: func(_ policy.NoticeFacts, v Values) bool { return v.Open }}
	code     = block{key: "code", shared: true, says: text, code: true}
	download = block{key: "download", shared: true, says: text, link: func(v Values) string { return v.BundleLink }}
	systems  = block{key: "systems", shared: true, says: head, items: func(w *writer) []string { return w.values.Systems }}
	withheld = block{key: "withheld", shared: true, says: head | text, items: func(w *writer) []string { return w.values.Withheld }}
	lost     = block{key: "lost", shared: true, says: head, items: func(w *writer) []string { return w.facts.Lost }}
	still    = block{key: "still", shared: true, says: head, items: func(w *writer) []string { return w.facts.Still }}
	stops    = block{key: "stops", shared: true, says: head, items: func(w *writer) []string { return w.facts.Stops }}
	rights   = block{key: "rights", shared: true, says: head, items: func(w *writer) []string { return w.facts.Rights }}

	held        = block{key: "held", shared: true, says: head, items: func(w *writer) []string { return w.values.Held }}
	suppression = block{key: "suppression", shared: true, says: head | text}
	noOneElse   = block{key: "told_nobody", shared: true, says: text, when: toldNobody}

	redactions = block{key: "redactions", shared: true, says: head, items: func(w *writer) []string { return w.values.Redactions }}
	transfers  = block{key: "transfers", shared: true, says: head | text}
	categories = block{key: "categories", shared: true, says: head, table: (*writer).categories}
	recipients = block{key: "recipients", shared: true, says: head, items: (*writer).recipients}
	refusals   = block{key: "refused", shared: true, says: head, parts: (*writer).refusals}
	disagree   = block{key: "disagree", shared: true, says: head, items: (*writer).disagree}
)

// about closes a letter: the pack's own sentences, who the company is, and the
// other ways to reach it.
var about = []block{
	{key: "says", shared: true, says: head, items: func(w *writer) []string { return w.facts.Says }},
	{key: "channels", shared: true, says: head, items: func(w *writer) []string { return w.facts.Channels }},
	{key: "contact", shared: true, says: head, items: (*writer).contact},
}

// proving is the body of the challenge and of its reminder.
var proving = []block{
	{key: "confirm", shared: true, says: text, link: func(v Values) string { return v.ConfirmLink }}, code,
	{key: "confirm_due", shared: true, says: text}, clock, lawOf, checks, {key: "withdraw", shared: true, says: text},
	{key: "not_me", shared: true, says: head | text, link: func(v Values) string { return v.DisownLink }},
}

// record is what Writ itself keeps of a request.
var record = []block{{key: "record", shared: true, says: head | text}, {key: "record_until", shared: true, says: text}}

// results are the outcomes as a person needs them: what was done, what is kept
// and why, what is open (R5: by category and by system, never one flag).
var results = []block{
	{key: "rows_erased", shared: true, says: head, table: only(dsr.Erased, dsr.Anonymised)},
	{key: "rows_changed", shared: true, says: head, table: only(dsr.Rectified)},
	{key: "rows_stopped", shared: true, says: head, table: only(dsr.Restricted, dsr.Suppressed)},
	{key: "rows_kept", shared: true, says: head, table: only(dsr.Retained, dsr.Kept, dsr.Refused)},
	{key: "rows_open", shared: true, says: head, table: only(dsr.Deferred, dsr.Accepted, dsr.Failed)},
	{key: "rows_referred", shared: true, says: head, table: only(dsr.Referred)},
	{key: "rows_person", shared: true, says: head, table: only(dsr.Attested)},
	{key: "rows_told", shared: true, says: head, table: only(dsr.Told, dsr.Impossible)},
	{key: "rows_none", shared: true, says: head, table: only(dsr.NotHeld)},
	{key: "rows_copy", shared: true, says: head, table: only(dsr.Exported)},
}

func only(outcomes ...dsr.OutcomeKind) func(*writer) *mail.Table {
	return func(w *writer) *mail.Table { return w.rows(rowsOf(w.values, outcomes...)) }
}

func all(w *writer) *mail.Table { return w.rows(w.values.Rows) }

func (w *writer) rows(rows []Row) *mail.Table {
	t := &mail.Table{Head: []string{w.Word["system"], w.Word["data"], w.Word["result"]}}
	for _, r := range rows {
		t.Rows = append(t.Rows, []string{r.System, r.Data, w.result(r, w.values.Zone)})
	}
	return t
}

// planned lists what an erasure will do, before it does it.
func planned(outcomes ...dsr.OutcomeKind) func(*writer) []string {
	return func(w *writer) []string {
		var all []string
		for _, r := range rowsOf(w.values, outcomes...) {
			line := r.System + ": " + r.Data
			switch r.Outcome.Kind {
			case dsr.Retained:
				line += ": " + w.result(r, w.values.Zone)
			case dsr.Kept: // nobody counted yet
				line += ": " + r.Why
			}
			all = append(all, line)
		}
		return all
	}
}

func (w *writer) proofs() []string {
	var all []string
	for _, p := range w.values.Proof {
		all = append(all, w.Proof[string(p)])
	}
	return all
}

// categories is what the law asks to be told of each kind of data (GDPR
// Art. 15(1); CCPA 1798.110).
func (w *writer) categories() *mail.Table {
	t := &mail.Table{Head: []string{w.Word["data"], w.Word["why"], w.Word["kept_for"], w.Word["source"], w.Word["recipients"]}}
	for _, c := range w.facts.Categories {
		name := c.Name
		if c.Sensitive {
			name += " (" + w.Word["sensitive"] + ")"
		}
		if c.Forbidden {
			name += " (" + w.Word["withheld"] + ")"
		}
		t.Rows = append(t.Rows, []string{name, sentences(c.Why, c.Basis), sentences(c.Retention, c.Period), c.Source, strings.Join(c.Recipients, ", ")})
	}
	return t
}

// sentences puts texts that may or may not end with a full stop beside each
// other.
func sentences(texts ...string) string {
	all := filled(texts)
	for i := range all[:max(0, len(all)-1)] {
		if !strings.HasSuffix(all[i], ".") {
			all[i] += ";"
		}
	}
	return strings.Join(all, " ")
}

// recipients names who receives data (GDPR Art. 15(1)(c); C-154/21).
func (w *writer) recipients() []string {
	var all []string
	for _, r := range w.facts.Recipients {
		var names []string
		for _, id := range r.Categories {
			if i := slices.IndexFunc(w.facts.Categories, func(c policy.CategoryFacts) bool { return c.ID == id }); i >= 0 {
				names = append(names, w.facts.Categories[i].Name)
			}
		}
		line := strings.Join(filled([]string{r.Name, w.Word[r.Standing], r.Where}), ", ")
		if len(names) > 0 {
			line += ": " + strings.Join(names, "; ")
		}
		all = append(all, line)
	}
	return all
}

// refusals gives each right that is refused its own part, with everything
// that a refusal must say (GDPR Art. 12(4); R10).
func (w *writer) refusals() []mail.Part {
	var all []mail.Part
	for _, r := range w.values.Refusals {
		items := []string{fill(w.Part["law"], map[string]string{"law": r.Cite}), w.authority(r.Authority), r.Remedy, r.Appeal}
		heading := w.Part["refused_head"] + ": " + w.Right[string(r.Right)]
		all = append(all, mail.Part{Heading: heading, Text: r.Says, Items: filled(items)})
	}
	return all
}

// disagree says where a person who disagrees can turn.
func (w *writer) disagree() []string {
	f := w.facts
	return []string{f.Contacts.Complain, f.Appeal, w.authority(f.Authority), f.Court}
}

// authority says whom to complain to: regimes name one, or say it in a
// sentence where the person has to choose.
func (w *writer) authority(who string) string {
	if who == "" || strings.HasSuffix(who, ".") {
		return who
	}
	return fill(w.Part["authority"], map[string]string{"authority": who})
}

func (w *writer) contact() []string {
	f := w.facts
	var all []string
	for _, line := range []struct{ word, value string }{
		{"controller", f.Controller}, {"officer", f.Contacts.Officer}, {"phone", f.Contacts.Phone}, {"post", f.Contacts.Post}, {"representative", f.Representative},
	} {
		if line.value != "" {
			all = append(all, w.Word[line.word]+": "+line.value)
		}
	}
	return all
}

// date tells a date that stands as 2006-01-02.
func (l *Language) date(s string) string {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return ""
	}
	return l.day(t, time.UTC)
}

func nothingLost(f policy.NoticeFacts, _ Values) bool  { return len(filled(f.Lost)) == 0 }
func nothingStill(f policy.NoticeFacts, _ Values) bool { return len(filled(f.Still)) == 0 }

// weighed reports whether something was stopped while reasons are weighed (GDPR
// Art. 21(1), 18(1)(d)).
func weighed(_ policy.NoticeFacts, v Values) bool { return slices.Contains(v.Purposes, dsr.Objected) }

func toldNobody(_ policy.NoticeFacts, v Values) bool {
	return len(rowsOf(v, dsr.Told, dsr.Impossible)) == 0
}

// found chooses the opening of a copy or a statement: nothing is held is only
// said where every system was looked in.
func found(v Values) string {
	switch {
	case v.Open:
		return "lead_part"
	case v.Searched && len(v.Rows) > 0 && len(rowsOf(v, dsr.NotHeld)) == len(v.Rows):
		return "lead_nothing"
	}
	return "lead"
}

// changed chooses the opening of a correction, a mark or a stop, by whether one of
// the outcomes that mean done is there, and whether anything else is.
func changed(done ...dsr.OutcomeKind) func(Values) string {
	return func(v Values) string {
		did := len(rowsOf(v, done...))
		did += len(rowsOf(v, dsr.Attested))
		not := len(rowsOf(v, dsr.Retained, dsr.Kept, dsr.Refused, dsr.Failed, dsr.Referred))
		switch {
		case v.Open:
			return "lead_part"
		case v.Never:
			return "lead_never"
		case did > 0 && not > 0:
			return "lead_some"
		case did > 0:
			return "lead"
		case not > 0:
			return "lead_cannot"
		}
		return "lead_nothing"
	}
}

// erased chooses the opening of an erasure's answer: what is not done is never
// called done.
func erased(v Values) string {
	gone := len(rowsOf(v, dsr.Erased, dsr.Anonymised, dsr.Attested))
	kept := len(rowsOf(v, dsr.Retained, dsr.Kept, dsr.Refused, dsr.Failed, dsr.Referred))
	switch {
	case v.Open && gone == 0:
		return "lead_open"
	case v.Open:
		return "lead_part"
	case gone == 0 && kept == 0:
		return "lead_nothing"
	case kept == 0:
		return "lead"
	case gone == 0:
		return "lead_kept"
	}
	return "lead_except"
}

// answered chooses the opening of a person's answer.
func answered(v Values) string {
	switch {
	case v.Open:
		return "lead_part"
	case len(v.Rows) > 0 && len(rowsOf(v, dsr.Refused)) == len(v.Rows):
		return "lead_cannot"
	}
	return "lead"
}
