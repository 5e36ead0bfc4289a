package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/policy"
)

// AttentionLedger is what giving a request an owner reads and writes.
type AttentionLedger interface {
	Request(ctx context.Context, id dsr.RequestID) (ledger.Request, error)
	SaveRequest(ctx context.Context, r ledger.Request) error
	PutToken(ctx context.Context, t ledger.Token) error
	Append(ctx context.Context, e dsr.Event) error
}

// Counter writes a metric.
type Counter interface {
	Count(name string, n int)
}

// Attention gives a request that something stopped an owner and a due date.
// There is no wait: the owner's answer starts the next run.
type Attention struct {
	Company *policy.Company
	Officer string // the privacy officer's address
	Ledger  AttentionLedger
	Mail    Mailer
	Now     func() time.Time
	Log     *slog.Logger
	Metric  Counter
	URL     string
}

// decisions says what the owner must decide, where no step has failed. The desk
// takes the decision, not the task's page.
var decisions = map[string]string{
	ledger.ReasonProof:       "Somebody gave facts or words to show who they are. Read them at the desk with proof/show and decide with proof/decide.",
	ledger.ReasonAddressLost: "The person no longer has the mail address that we know. Ask them at the new one, with questions/ask, and decide at the desk with proof/decide.",
	ledger.ReasonDoubt:       "You asked the person to show who they are. When they have answered, decide at the desk with proof/decide.",
	ledger.ReasonUndo:        "The owner of the mailbox says that they did not ask for this stop. Allow again in the systems what was stopped, then end it at the desk with stops/lift.",
}

// Raise makes the privacy officer the request's owner and mails them. A request
// of another run, or one that is closed, is left alone; one that was closed for
// want of a proof still owes its last mail, so it gets an owner and stays closed.
func (m Attention) Raise(ctx context.Context, id dsr.RequestID, run int, cause string) error {
	now := m.Now()
	r, err := ledger.Change(ctx, m.Ledger, id, func(r *ledger.Request) error {
		if r.Run != run || !r.Status.Open() && r.Status != dsr.Unverified {
			return ledger.ErrStale
		}
		if r.Status != dsr.Verifying && r.Status != dsr.Unverified {
			r.Status = dsr.NeedsAttention
		}
		r.Owner, r.Reason = OfficerRole, cause
		return nil
	})
	if errors.Is(err, ledger.ErrStale) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("giving request %s an owner: %w", id, err)
	}
	m.Log.Error("needs attention", "request_id", string(r.ID), "run", r.Run, "cause", cause)
	m.Metric.Count("needs_attention", 1)
	if err := m.Ledger.Append(ctx, dsr.Event{RequestID: r.ID, Chain: dsr.RequestChain, Kind: dsr.EventAttention, At: now, Run: r.Run, Detail: map[string]any{"cause": cause}}); err != nil {
		return err
	}
	task := Self + "#" + string(dsr.Gather)
	link, err := taskLink(ctx, m.Ledger, m.URL, r.ID, task, now)
	if err != nil {
		return err
	}
	letter := taskLetter(m.Company, r.ID, systemName(m.Company, Self), connector.CauseFault, r.DueAt, link, false)
	text, decision := decisions[cause]
	if !decision {
		text = "The step that failed: " + cause + ". When its cause is mended, answer the task and Writ goes on from where it stopped."
	}
	letter.Parts = append(letter.Parts, mail.Part{Text: text})
	message, err := letter.Message(m.Officer)
	if err != nil {
		return fmt.Errorf("writing the attention mail of request %s: %w", r.ID, err)
	}
	messageID, err := m.Mail.Send(ctx, message, fmt.Sprintf("%s/attention/%d", r.ID, r.Run))
	if err != nil {
		return fmt.Errorf("mailing the owner of request %s: %w", r.ID, err)
	}
	// The sweep raises again what has an owner and no such notice.
	if _, err := ledger.Change(ctx, m.Ledger, id, func(r *ledger.Request) error {
		if r.Notices == nil {
			r.Notices = map[string]ledger.Notice{}
		}
		r.Notices[ledger.AttentionNotice(run)] = ledger.Notice{SentAt: now, MessageID: messageID}
		return nil
	}); err != nil {
		return fmt.Errorf("recording the mail to the owner of request %s: %w", id, err)
	}
	return nil
}
