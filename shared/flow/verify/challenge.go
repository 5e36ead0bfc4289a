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
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/notice"
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
// reminder if half of the time has passed; who lost the mailbox gets the
// confirmation of receipt instead. The sweep calls it too.
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
	case r.Status == dsr.NeedsAttention && r.Reason == ledger.ReasonAddressLost:
		return c.acknowledge(ctx, d)
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
	name, kind, kinds := noticeChallenge, dsr.EventChallenged, []string{policy.NoticeChallenge}
	if remind {
		name, kind, kinds = noticeReminder, dsr.EventReminded, []string{policy.NoticeReminder}
	}
	if k, ok := standIns[r.By]; ok && !remind {
		if err := c.tellAgent(ctx, d, k); err != nil {
			return err
		}
		kinds = append(kinds, k)
	}
	if dsr.Wants(r.Rights, dsr.ByRemoval) && len(c.forecast(d)) > 0 { // else all of it is somebody else's, or refused
		kinds = append(kinds, policy.NoticeEraseConfirm)
	}
	letter, err := c.letter(d, kinds, links)
	if err != nil {
		return err
	}
	return c.post(ctx, d, d.Subject.MailTo(), name, kind, kinds, letter)
}

// post mails a letter to an address, once under its name, and records it.
func (c *Challenge) post(ctx context.Context, d dossier.Dossier, to, name string, kind dsr.EventKind, kinds []string, letter mail.Letter) error {
	id, now := d.Request.ID, c.Now()
	message, err := letter.Message(to)
	if err != nil {
		return fmt.Errorf("writing %s of request %s: %w", name, id, err)
	}
	messageID, err := c.Mail.Send(ctx, message, string(id)+"/"+name)
	if err != nil {
		return fmt.Errorf("mailing %s of request %s: %w", name, id, err)
	}
	if _, err := ledger.Change(ctx, c.Ledger, id, func(r *ledger.Request) error {
		if r.Notices == nil {
			r.Notices = map[string]ledger.Notice{}
		}
		r.Notices[name] = ledger.Notice{SentAt: now, MessageID: messageID}
		if name == noticeReminder {
			r.RemindedAt = now
		}
		return nil
	}); err != nil {
		return fmt.Errorf("recording %s of request %s: %w", name, id, err)
	}
	return c.Ledger.Append(ctx, dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: kind, At: now, Run: d.Request.Run, Detail: mailed(name, kinds, letter.Lang)})
}

// mailed is what the record of a mail says: which notices it is made of, in which
// words.
func mailed(name string, kinds []string, lang string) map[string]any {
	versions := make([]string, len(kinds))
	for i, k := range kinds {
		versions[i] = notice.Version(k)
	}
	return map[string]any{"notice": name, "kinds": kinds, "versions": versions, "language": lang}
}

const (
	noticeChallenge = "challenge#1"
	noticeReminder  = "reminder#1"
	noticeAgent     = "agent#1"

	noticeAcknowledge = "acknowledge#1"

	reminderBefore = 84 * time.Hour // half of the seven days
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

// standIns are the notices that tell that somebody asks for somebody else.
var standIns = map[dsr.Requester]string{
	dsr.Agent: policy.NoticeAgent, dsr.Attorney: policy.NoticeAgent, dsr.Successor: policy.NoticeAgent, dsr.Parent: policy.NoticeParent, dsr.School: policy.NoticeParent,
	dsr.Reporter: policy.NoticeChildReport,
}

// letter writes the notices of the kinds as one letter.
func (c *Challenge) letter(d dossier.Dossier, kinds []string, l links) (mail.Letter, error) {
	r, lang := d.Request, d.Request.Language
	by := string(r.By)
	v := notice.Values{
		Company: c.Company.Name, Zone: c.Company.Zone, Reference: string(r.ID), Rights: r.Rights, Words: r.Words, Received: received(r), Due: r.DueAt, Proof: c.proofs(d),
		ConfirmLink: l.confirm, DisownLink: l.disown, LinkDue: r.ProofDue,
		Requester: r.By, Checked: notice.Word(lang, "checked_"+by), Method: notice.Word(lang, "method_"+by),
	}
	if slices.Contains(kinds, policy.NoticeEraseConfirm) {
		v.Rows = c.forecast(d)
	}
	var all []mail.Letter
	for _, kind := range kinds {
		letter, err := notice.Write(kind, lang, c.Company.Facts(kind, d.Question()), v)
		if err != nil {
			return mail.Letter{}, fmt.Errorf("asking the person of request %s for proof: %w", r.ID, err)
		}
		all = append(all, letter)
	}
	return notice.Join(all...), nil
}

// received is when the request came first.
func received(r ledger.Request) time.Time {
	var at time.Time
	for _, e := range r.Clock {
		if e.Kind == dsr.Received && (at.IsZero() || e.At.Before(at)) {
			at = e.At
		}
	}
	return at
}

// forecast is what an erasure should do, so that the person reads it before they
// confirm. It rests on the pack alone: nothing was looked up yet.
func (c *Challenge) forecast(d dossier.Dossier) []notice.Row {
	found, err := c.Company.Resolve(d.Question())
	if err != nil {
		return nil
	}
	tell := notice.Teller{Company: c.Company, Lang: d.Request.Language, Place: d.Request.Place()}
	var rows []notice.Row
	for _, e := range c.Company.Expect(found.Plan, d.Request.Place(), received(d.Request)) {
		if e.System != dsr.Itself && e.Phase == dsr.Act {
			rows = append(rows, tell.Row(e.System, dsr.Outcome{Category: e.Category, Kind: e.Expects, Ground: e.Ground, Until: e.Until}))
		}
	}
	return slices.DeleteFunc(rows, func(r notice.Row) bool {
		return !slices.Contains([]dsr.OutcomeKind{dsr.Erased, dsr.Anonymised, dsr.Attested, dsr.Retained, dsr.Kept}, r.Outcome.Kind)
	})
}

// proofs are how it is checked who asks: the mailbox, which the letter itself
// proves, and what law and pack add.
func (c *Challenge) proofs(d dossier.Dossier) []policy.Proof {
	all := []policy.Proof{policy.Mailbox}
	if d.Request.Reason == ledger.ReasonAddressLost {
		return []policy.Proof{policy.DocumentProof}
	}
	if len(d.Request.Rights) == 0 {
		return all
	}
	found, err := c.Company.Resolve(d.Question())
	if err != nil {
		return all // the page that the link opens asks law and pack again, and a person where they fail
	}
	for _, p := range found.Proof {
		if p != policy.Mailbox {
			all = append(all, p)
		}
	}
	return all
}

// tellAgent tells an agent, who is not the one the challenge goes to, what is
// checked (11 CCR 7063). It is sent once, and holds no link: the person decides.
func (c *Challenge) tellAgent(ctx context.Context, d dossier.Dossier, kind string) error {
	_, told := d.Request.Notices[noticeAgent]
	if told || d.Request.By != dsr.Agent || len(d.Subject.Identities) < 2 {
		return nil
	}
	letter, err := c.letter(d, []string{kind}, links{})
	if err != nil {
		return err
	}
	return c.post(ctx, d, d.Subject.Identities[1].Value, noticeAgent, dsr.EventMailed, []string{kind}, letter)
}

// acknowledge confirms the receipt of a request that no mail can prove, because
// the person lost the mailbox: a person of the company goes on with it.
func (c *Challenge) acknowledge(ctx context.Context, d dossier.Dossier) error {
	if _, sent := d.Request.Notices[noticeAcknowledge]; sent || c.Now().Before(d.Request.MailAfter) {
		return nil
	}
	kinds := []string{policy.NoticeAcknowledge}
	letter, err := c.letter(d, kinds, links{})
	if err != nil {
		return err
	}
	return c.post(ctx, d, d.Subject.MailTo(), noticeAcknowledge, dsr.EventMailed, kinds, letter)
}

// asked says in words what a request asks for.
func asked(rights []dsr.Right, words bool) string { return notice.Asked("en", rights, words) }

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
