package fanout

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/notice"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/policy"
)

// acts are what a recipient can be told of, the strongest first, with the
// outcomes that show that it was done.
var acts = []struct {
	said dsr.OutcomeKind
	seen []dsr.OutcomeKind
}{
	{dsr.Erased, []dsr.OutcomeKind{dsr.Erased, dsr.Anonymised}},
	{dsr.Rectified, []dsr.OutcomeKind{dsr.Rectified}},
	{dsr.Restricted, []dsr.OutcomeKind{dsr.Restricted}},
	{dsr.Suppressed, []dsr.OutcomeKind{dsr.Suppressed}},
}

// done says what became of the recipient's categories in our own systems:
// settled is false while one of them is still at work, and what is "" where
// nothing was done of which the recipient must hear. A person's word that it is
// done counts as what the visit was for.
func done(v dsr.Visit, all []dsr.Visit) (what dsr.OutcomeKind, settled bool) {
	seen := map[dsr.OutcomeKind]bool{}
	for _, other := range all {
		if other.Phase != dsr.Act || other.Recipient != "" {
			continue
		}
		shares := slices.ContainsFunc(other.Categories, func(c string) bool { return slices.Contains(v.Categories, c) })
		if shares && !other.Settled() {
			return "", false
		}
		for _, o := range other.Outcomes {
			if !slices.Contains(v.Categories, o.Category) {
				continue
			}
			if seen[o.Kind] = true; o.Kind == dsr.Attested {
				seen[promised(other)] = true
			}
		}
	}
	for _, a := range acts {
		if slices.ContainsFunc(a.seen, func(k dsr.OutcomeKind) bool { return seen[k] }) {
			return a.said, true
		}
	}
	return "", true
}

// promised is what a person who says "done" has done.
func promised(v dsr.Visit) dsr.OutcomeKind {
	switch {
	case slices.Contains(v.Ops, dsr.Erase):
		return dsr.Erased
	case slices.Contains(v.Ops, dsr.Rectify):
		return dsr.Rectified
	case slices.Contains(v.Purposes, dsr.Storage):
		return dsr.Restricted
	}
	return dsr.Suppressed
}

// receiver is the recipient of a visit.
func receiver(c *policy.Company, v dsr.Visit) (policy.Recipient, bool) {
	i := slices.IndexFunc(c.Receivers, func(r policy.Recipient) bool { return r.ID == v.Recipient })
	if i < 0 {
		return policy.Recipient{}, false
	}
	return c.Receivers[i], true
}

// answerTime is how long a recipient has at least to answer.
const answerTime = 14 * 24 * time.Hour

// recipientLetter writes to a recipient what was done to the data it got
// (GDPR Art. 19; 11 CCR 7022(b)). It names the person, for else the recipient
// could do nothing.
func recipientLetter(c *policy.Company, d dossier.Dossier, v dsr.Visit, what dsr.OutcomeKind, now time.Time) (mail.Letter, error) {
	r, ok := receiver(c, v)
	if !ok {
		return mail.Letter{}, fmt.Errorf("writing to a recipient: the pack has no recipient %q any more; answer the task that it is gone", v.Recipient)
	}
	deadline := d.Request.DueAt
	if soonest := now.Add(answerTime); deadline.Before(soonest) {
		deadline = soonest
	}
	values := notice.Values{
		Company: c.Name, Zone: c.Zone, Reference: string(d.Request.ID), Rights: v.Rights, To: r.Name, Action: what,
		SubjectKey: d.Subject.Email(), Deadline: deadline, Callback: c.Contacts.Mail,
	}
	if what == dsr.Rectified {
		for _, change := range c.OwnChanges(d.Request.Plan, d.Subject.Changes) {
			values.Fields = append(values.Fields, fieldName(change.Field)+": "+change.New)
		}
	}
	q := policy.Question{Rights: v.Rights, Place: d.Request.Place(), Events: d.Request.Clock}
	return notice.Write(policy.NoticeRecipient, "en", c.Facts(policy.NoticeRecipient, q), values)
}

// tell takes a recipient's visit as far as Writ can without a person: it waits
// until the data are dealt with, ends it where there is nothing to tell, and
// mails the notice where the pack says whereto. It reports false where a person
// must send it.
func (m *Manual) tell(ctx context.Context, d dossier.Dossier, v dsr.Visit) (ended bool, err error) {
	now := m.Now()
	all, err := m.Ledger.Visits(ctx, v.RequestID)
	if err != nil {
		return false, fmt.Errorf("reading the visits of request %s: %w", v.RequestID, err)
	}
	what, settled := done(v, all)
	if !settled {
		return true, deferVisit(ctx, m.Ledger, v, now)
	}
	if what == "" {
		return true, m.settle(ctx, v, dsr.Outcome{Kind: dsr.NotHeld}, nil)
	}
	r, ok := receiver(m.Company, v)
	if !ok || r.Mail == "" {
		return false, nil
	}
	letter, err := recipientLetter(m.Company, d, v, what, now)
	if err != nil { // a person finds the words
		m.Log.Warn("the notice to a recipient cannot be written", "request_id", string(v.RequestID), "system", v.System, "error", err.Error())
		return false, nil
	}
	message, err := letter.Message(r.Mail)
	if err != nil {
		return false, fmt.Errorf("writing to recipient %s: %w", v.Recipient, err)
	}
	// The same seed makes the same message again: a crash before the save tells
	// the recipient twice, and never not at all.
	sent, err := m.Mail.Send(ctx, message, fmt.Sprintf("%s/recipient/%s", v.RequestID, v.Recipient))
	if err != nil {
		return false, fmt.Errorf("mailing recipient %s: %w", v.Recipient, err)
	}
	// A bounce of it then gives the request its owner, like that of an answer.
	if _, err := ledger.Change(ctx, m.Ledger, v.RequestID, func(r *ledger.Request) error {
		if r.Notices == nil {
			r.Notices = map[string]ledger.Notice{}
		}
		r.Notices[policy.NoticeRecipient+"_"+v.Recipient+"#1"] = ledger.Notice{SentAt: now, MessageID: sent}
		return nil
	}); err != nil {
		return false, fmt.Errorf("recording the notice to recipient %s: %w", v.Recipient, err)
	}
	return true, m.settle(ctx, v, dsr.Outcome{Kind: dsr.Told}, []string{sent})
}

// settle ends a recipient's visit with one outcome for each category; refs are
// the mail service's ids.
func (m *Manual) settle(ctx context.Context, v dsr.Visit, o dsr.Outcome, refs []string) error {
	now := m.Now()
	v.Outcomes = nil
	for _, category := range v.Categories {
		o.Category = category
		v.Outcomes = append(v.Outcomes, o)
	}
	detail := map[string]any{"phase": string(v.Phase), string(o.Kind): len(v.Categories)}
	if len(refs) > 0 {
		v.Steps = map[dsr.Op]dsr.Step{StepTell: {Started: true, Done: true, Outcomes: v.Outcomes, Refs: refs}}
		detail["message_id"], detail["template"] = refs[0], notice.Version(policy.NoticeRecipient)
	}
	v.Status, v.SettledAt, v.LeaseUntil = dsr.VisitSettled, now, time.Time{}
	if err := m.Ledger.SaveVisit(ctx, v); err != nil {
		return fmt.Errorf("ending the visit of recipient %s: %w", v.Recipient, err)
	}
	return m.Ledger.Append(ctx, dsr.Event{RequestID: v.RequestID, Chain: v.System, Kind: dsr.EventSettled, At: now, Run: v.Run, Fence: v.Fence, Detail: detail})
}

// StepTell is the step of a recipient's visit: no connector's, so it stands in
// no plan's ops.
const StepTell dsr.Op = "tell"

// tellCause is why a person has a recipient's task.
const tellCause = "recipient"

// readCause is why a person has a task of words or of a right that only a
// person can answer.
const readCause = "own_words"
