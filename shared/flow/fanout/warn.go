package fanout

import (
	"context"
	"fmt"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/policy"
)

// Warn mails the roles that a request's due date comes near, each address once
// for one stage of one due date; the sweep calls it. It moves no date.
func (m *Manual) Warn(ctx context.Context, id dsr.RequestID, stage string, due time.Time, roles []string) error {
	notice := "warned#" + stage + "#" + due.UTC().Format(time.DateOnly)
	r, err := m.Ledger.Request(ctx, id)
	if err != nil {
		return fmt.Errorf("reading request %s: %w", id, err)
	}
	if _, told := r.Notices[notice]; told {
		return nil
	}
	now := m.Now()
	told := map[string]bool{}
	var messageID string
	for _, role := range roles {
		to := address(m.Company, m.Officer, role)
		if told[to] {
			continue
		}
		told[to] = true
		message, err := warningLetter(m.Company, r, due, now).Message(to)
		if err != nil {
			return fmt.Errorf("writing the warning of request %s: %w", id, err)
		}
		if messageID, err = m.Mail.Send(ctx, message, fmt.Sprintf("%s/%s/%s", id, notice, to)); err != nil {
			return fmt.Errorf("mailing the warning of request %s: %w", id, err)
		}
	}
	// After the mails: rather one twice, which has the same message id, than none.
	if _, err := ledger.Change(ctx, m.Ledger, id, func(r *ledger.Request) error {
		if r.Notices == nil {
			r.Notices = map[string]ledger.Notice{}
		}
		r.Notices[notice] = ledger.Notice{SentAt: now, MessageID: messageID}
		return nil
	}); err != nil {
		return fmt.Errorf("recording the warning of request %s: %w", id, err)
	}
	return m.Ledger.Append(ctx, dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventWarned, At: now, Run: r.Run, Detail: map[string]any{"stage": stage, "mails": len(told)}})
}

// warningLetter names the request and the day, and nothing about the person.
func warningLetter(c *policy.Company, r ledger.Request, due, now time.Time) mail.Letter {
	day := due.In(c.Zone).Format("2 January 2006")
	left := int(due.Sub(now).Hours() / 24)
	when := fmt.Sprintf("%d days are left.", left)
	switch {
	case left == 1:
		when = "One day is left."
	case left < 1:
		when = "Less than a day is left."
	}
	says := "It is being worked on."
	if r.Owner != "" {
		says = "It waits for its owner."
	}
	return mail.Letter{
		Subject:   "Data request: an answer is due on " + day,
		Lead:      "A data subject request must be answered by " + day + ". " + when,
		Parts:     []mail.Part{{Text: says + " This mail does not move the date; nothing does but an extension that the law allows."}},
		Reference: string(r.ID), Footer: "Sent by Writ for " + c.Name + ".",
	}
}
