// Package verify proves that the person who asks is the person the data is
// about: a link mailed to the address, and the code that the form's own answer
// page showed. Opening the link changes nothing, because mail scanners open
// links; only the typed code confirms.
package verify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/policy"
)

// Input is what the machine hands to VerifyChallenge.
type Input struct {
	V         int           `json:"v"`
	RequestID dsr.RequestID `json:"request_id"`
	Run       int           `json:"run"`
	TaskToken string        `json:"task_token"`
}

// Output says nothing: the machine waits for the token.
type Output struct{}

// ChallengeLedger is what the challenge reads and writes.
type ChallengeLedger interface {
	dossier.Ledger
	SaveRequest(ctx context.Context, r ledger.Request) error
	PutToken(ctx context.Context, t ledger.Token) error
	Append(ctx context.Context, e dsr.Event) error
}

// Mailer sends one message; the same seed makes the same message again.
type Mailer interface {
	Send(ctx context.Context, m mail.Message, seed string) (messageID string, err error)
}

// Releaser ends a wait of the machine.
type Releaser interface {
	Release(ctx context.Context, taskToken string, output any) error
}

// Challenge mails the link.
type Challenge struct {
	Company *policy.Company
	Ledger  ChallengeLedger
	Keys    dossier.Keys
	Mail    Mailer
	Machine Releaser
	Now     func() time.Time
	URL     string
}

// waitName names the place of the machine's token.
const waitName = "challenge"

// Handle keeps the machine's token sealed on the request, replacing the one of
// an earlier attempt, and mails the challenge once. A request that is no longer
// waiting for its proof releases the machine at once.
func (c *Challenge) Handle(ctx context.Context, in Input) (Output, error) {
	d, err := dossier.Open(ctx, c.Ledger, c.Keys, in.RequestID)
	if err != nil {
		return Output{}, err
	}
	if d.Request.Run != in.Run {
		return Output{}, nil // a stale run writes nothing; its machine times out or is stopped
	}
	if d.Request.Status != dsr.Verifying {
		return Output{}, c.Machine.Release(ctx, in.TaskToken, map[string]any{})
	}
	sealed := dossier.SealWait(d.Box, in.RequestID, waitName, in.TaskToken)
	if _, err := ledger.Change(ctx, c.Ledger, in.RequestID, func(r *ledger.Request) error {
		if r.Run != in.Run {
			return ledger.ErrStale
		}
		r.SealedWait = sealed
		return nil
	}); err != nil {
		return Output{}, fmt.Errorf("keeping the wait of request %s: %w", in.RequestID, err)
	}
	return Output{}, c.Send(ctx, in.RequestID)
}

// Send mails the challenge if it is due and was not mailed, and the one
// reminder if half of the time has passed. The sweep calls it too.
func (c *Challenge) Send(ctx context.Context, id dsr.RequestID) error {
	d, err := dossier.Open(ctx, c.Ledger, c.Keys, id)
	if err != nil {
		return err
	}
	now := c.Now()
	r := d.Request
	_, sent := r.Notices[noticeChallenge]
	remind := sent && r.RemindedAt.IsZero() && now.After(r.ProofDue.Add(-reminderBefore))
	switch {
	case r.Status != dsr.Verifying || now.After(r.ProofDue):
		return nil
	case !sent && now.Before(r.MailAfter):
		return nil
	case sent && !remind:
		return nil
	}
	links, err := c.links(ctx, id, now, r.ProofDue)
	if err != nil {
		return err
	}
	message, err := c.letter(d, links, remind).Message(d.Subject.MailTo())
	if err != nil {
		return fmt.Errorf("writing the challenge of request %s: %w", id, err)
	}
	notice, kind := noticeChallenge, dsr.EventChallenged
	if remind {
		notice, kind = noticeReminder, dsr.EventReminded
	}
	messageID, err := c.Mail.Send(ctx, message, string(id)+"/"+notice)
	if err != nil {
		return fmt.Errorf("mailing %s of request %s: %w", notice, id, err)
	}
	if _, err := ledger.Change(ctx, c.Ledger, id, func(r *ledger.Request) error {
		if r.Notices == nil {
			r.Notices = map[string]ledger.Notice{}
		}
		r.Notices[notice] = ledger.Notice{SentAt: now, MessageID: messageID}
		if remind {
			r.RemindedAt = now
		}
		return nil
	}); err != nil {
		return fmt.Errorf("recording %s of request %s: %w", notice, id, err)
	}
	return c.Ledger.Append(ctx, dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: kind, At: now, Run: r.Run})
}

const (
	noticeChallenge = "challenge#1"
	noticeReminder  = "reminder#1"
	reminderBefore  = 84 * time.Hour // half of the seven days
)

type links struct{ confirm, disown string }

// links makes fresh secrets: those of an earlier mail stay valid, and none can
// be read back.
func (c *Challenge) links(ctx context.Context, id dsr.RequestID, now, due time.Time) (links, error) {
	make := func(purpose ledger.Purpose, path string) (string, error) {
		secret, hash := ledger.NewSecret()
		err := c.Ledger.PutToken(ctx, ledger.Token{Hash: hash, RequestID: id, Purpose: purpose, CreatedAt: now, Due: due})
		if err != nil {
			return "", fmt.Errorf("recording the %s link of request %s: %w", purpose, id, err)
		}
		return c.URL + path + "?t=" + url.QueryEscape(secret), nil
	}
	confirm, err := make(ledger.TokenConfirm, "/confirm")
	if err != nil {
		return links{}, err
	}
	disown, err := make(ledger.TokenDisown, "/not-me")
	return links{confirm: confirm, disown: disown}, err
}

func (c *Challenge) letter(d dossier.Dossier, l links, remind bool) mail.Letter {
	due := d.Request.ProofDue.UTC().Format("2 January 2006")
	letter := mail.Letter{
		Subject: "Please confirm your request to " + c.Company.Name,
		Lead:    "Somebody asked " + c.Company.Name + " with this address for " + asked(d.Request.Rights, d.Request.Words) + "; please confirm that it was you.",
		Parts: []mail.Part{
			{Text: "Follow the link and type the code that the form showed you. Until then nothing is looked up, sent or erased.", Link: &mail.Link{Label: "Confirm my request", URL: l.confirm}},
			{Text: "The link works until " + due + ". If you confirm, you have our answer by " + d.Request.DueAt.UTC().Format("2 January 2006") + ". You can withdraw on the status page that you reach after confirming."},
			{Heading: "This was not you?", Text: "Then tell us, and the request ends.", Link: &mail.Link{Label: "This was not me", URL: l.disown}},
		},
		Reference: string(d.Request.ID), Footer: footer(c.Company),
	}
	if remind {
		letter.Subject = "Reminder: please confirm your request to " + c.Company.Name
		letter.Lead = "Your request to " + c.Company.Name + " still waits for you to confirm it; it ends unanswered on " + due + " if you do not."
	}
	return letter
}

func footer(c *policy.Company) string {
	return "Sent by " + c.Name + ". Questions? Write to " + c.Contacts.Mail + "."
}

// asked says in words what a request asks for.
func asked(rights []dsr.Right, words bool) string {
	var parts []string
	for _, r := range rights {
		switch r {
		case dsr.Access:
			parts = append(parts, "a copy of your data")
		case dsr.Erasure:
			parts = append(parts, "the erasure of your data")
		}
	}
	if words || len(parts) == 0 {
		parts = append(parts, "what you wrote in your own words")
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

// Lapse closes a request whose time to prove has passed and lets its machine
// send the answer. Called again before that answer is mailed it only lets the
// machine go. The sweep calls it.
func (c *Challenge) Lapse(ctx context.Context, id dsr.RequestID) error {
	now := c.Now()
	r, err := ledger.Change(ctx, c.Ledger, id, func(r *ledger.Request) error {
		if r.Status != dsr.Verifying || !now.After(r.ProofDue) {
			return ledger.ErrStale
		}
		r.Status, r.ClosedAt, r.Reason = dsr.Unverified, now, "no_proof"
		return nil
	})
	switch {
	case errors.Is(err, ledger.ErrStale) && r.Status != dsr.Unverified:
		return nil
	case errors.Is(err, ledger.ErrStale):
	case err != nil:
		return fmt.Errorf("closing request %s: %w", id, err)
	default:
		if err := c.Ledger.Append(ctx, dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventUnverified, At: now, Run: r.Run}); err != nil {
			return err
		}
	}
	d, err := dossier.Open(ctx, c.Ledger, c.Keys, id)
	if err != nil {
		return err
	}
	token, err := dossier.OpenWait(d.Box, id, waitName, r.SealedWait)
	if err != nil {
		return err
	}
	return c.Machine.Release(ctx, token, map[string]any{})
}
