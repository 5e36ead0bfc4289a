package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/mail"
)

// BounceLedger is what a bounce reads and writes.
type BounceLedger interface {
	Request(ctx context.Context, id dsr.RequestID) (ledger.Request, error)
	SaveRequest(ctx context.Context, r ledger.Request) error
	Append(ctx context.Context, e dsr.Event) error
}

// Bounce makes what the mail service says of a mail a state of the request.
type Bounce struct {
	Ledger BounceLedger
	// Attention gives the request its owner and tells them.
	Attention func(ctx context.Context, id dsr.RequestID, run int, cause string) error
	Now       func() time.Time
	Log       *slog.Logger
}

// MailEvent is the mail service's event, as EventBridge delivers it: only what
// is needed, and nothing of the recipient.
type MailEvent struct {
	DetailType string `json:"detail-type"`
	Detail     struct {
		EventType string `json:"eventType"` // Bounce, Complaint, Delivery …
		Bounce    struct {
			Type string `json:"bounceType"` // Permanent, Transient, Undetermined
		} `json:"bounce"`
		Mail struct {
			MessageID string              `json:"messageId"`
			Tags      map[string][]string `json:"tags"`
		} `json:"mail"`
	} `json:"detail"`
}

// Handle takes one event. An unproved request whose challenge bounced needs
// nobody: it ends by itself. An answer that bounced is a legal event: the person
// was not told, so the request gets an owner.
func (b *Bounce) Handle(ctx context.Context, raw json.RawMessage) (Output, error) {
	out := Output{V: 1}
	var e MailEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		return Output{}, errors.New("reading the mail event: it is not JSON of the mail service")
	}
	kind := e.Detail.EventType
	if kind != "Bounce" && kind != "Complaint" || kind == "Bounce" && e.Detail.Bounce.Type == "Transient" {
		return out, nil
	}
	tags := e.Detail.Mail.Tags[mail.TagRequest]
	if len(tags) != 1 {
		return out, nil // a mail to a member of the team, or not ours
	}
	id, err := dsr.ParseRequestID(tags[0])
	if err != nil {
		return Output{}, err
	}
	now := b.Now()
	name, unowned := "", false
	changed, err := ledger.Change(ctx, b.Ledger, id, func(r *ledger.Request) error {
		name = ""
		for n, notice := range r.Notices {
			if notice.MessageID == e.Detail.Mail.MessageID {
				if !notice.BouncedAt.IsZero() {
					unowned = r.Status == dsr.NeedsAttention && r.Owner == ""
					return errAgain
				}
				notice.BouncedAt, name = now, n
				r.Notices[n] = notice
			}
		}
		if name == "" {
			return errAgain
		}
		if r.VerifiedAt.IsZero() || r.Status == dsr.Withdrawn || r.Status == dsr.Merged {
			return nil
		}
		// What bounced was not told: the next run tells it again, and acts on
		// nothing before a copy that was asked is delivered.
		r.Status, r.ClosedAt = dsr.NeedsAttention, time.Time{}
		switch kind, _, _ := strings.Cut(name, "#"); {
		case kind == NoticeCopy && r.Bundle != nil:
			r.Bundle.DeliveredAt = time.Time{}
		case kind == NoticeAnswer:
			r.Told = ""
		}
		return nil
	})
	if unowned { // the event came before, and nobody could be told then
		return out, b.Attention(ctx, id, changed.Run, "mail_bounced")
	}
	if errors.Is(err, errAgain) || errors.Is(err, ledger.ErrNotFound) {
		return out, nil
	}
	if err != nil {
		return Output{}, fmt.Errorf("recording the bounce of request %s: %w", id, err)
	}
	b.Log.Error("a mail bounced", "request_id", string(id), "notice", name)
	if err := b.Ledger.Append(ctx, dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventBounced, At: now, Detail: map[string]any{"notice": name, "kind": kind}}); err != nil {
		return Output{}, err
	}
	if changed.Status != dsr.NeedsAttention {
		return out, nil
	}
	return out, b.Attention(ctx, id, changed.Run, "mail_bounced")
}

// errAgain ends a change that has nothing to change.
var errAgain = errors.New("nothing to record")
