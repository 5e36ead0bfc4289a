// Package notify writes to the person: the copy, the answer, the end of an
// unproved request; it serves the status page and takes what the mail service
// says of a mail.
package notify

import (
	"context"
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

// Input is what the machine hands to NotifySubject.
type Input struct {
	V         int           `json:"v"`
	RequestID dsr.RequestID `json:"request_id"`
	Run       int           `json:"run"`
	Notice    string        `json:"notice"` // copy, answer
}

// Output says whether a mail went out.
type Output struct {
	V    int  `json:"v"`
	Sent bool `json:"sent"`
}

// What the machine asks for. They name the mails of a request, too; which notices
// of the law a mail is made of follows from what was asked and decided.
const (
	NoticeCopy   = "copy"
	NoticeAnswer = "answer"
)

// BundleLife is how long a person can download: it starts when the mail goes.
const BundleLife = 14 * 24 * time.Hour

// SubjectLedger is what writing to the person reads and writes.
type SubjectLedger interface {
	dossier.Ledger
	SaveRequest(ctx context.Context, r ledger.Request) error
	Visits(ctx context.Context, id dsr.RequestID) ([]dsr.Visit, error)
	PutToken(ctx context.Context, t ledger.Token) error
	Append(ctx context.Context, e dsr.Event) error
}

// Mailer sends one message; the same seed makes the same message again.
type Mailer interface {
	Send(ctx context.Context, m mail.Message, seed string) (messageID string, err error)
}

// Subject writes to the person.
type Subject struct {
	Company *policy.Company
	Keeps   func(connector, rule string) string // the reason of a vendor's rule, from its descriptor
	Ledger  SubjectLedger
	Keys    dossier.Keys
	Mail    Mailer
	Now     func() time.Time
	URL     string
}

// Handle sends the notice that the ledger says is due, once for each state of
// the outcomes: a state of the machine that runs twice mails once.
func (s *Subject) Handle(ctx context.Context, in Input) (Output, error) {
	out := Output{V: 1}
	d, err := dossier.Open(ctx, s.Ledger, s.Keys, in.RequestID)
	if err != nil {
		return Output{}, err
	}
	if d.Request.Run != in.Run {
		return out, nil
	}
	switch {
	case d.Request.Status == dsr.Unverified:
		out.Sent, err = s.unverified(ctx, d)
	case d.Request.Status == dsr.Denied: // nothing of it was carried out: the answer says why
		out.Sent, err = s.answer(ctx, d)
	case d.Request.Status != dsr.Running && d.Request.Status != dsr.Answered:
		return out, nil
	case in.Notice == NoticeCopy:
		out.Sent, err = s.Copy(ctx, d, false)
	default:
		out.Sent, err = s.answer(ctx, d)
	}
	return out, err
}

// send mails a letter to an address and records it as the notice of that name,
// with the kinds it is made of and the version of each one's template.
func (s *Subject) send(ctx context.Context, d dossier.Dossier, to, name string, kinds []string, l mail.Letter, then func(*ledger.Request)) error {
	message, err := l.Message(to)
	if err != nil {
		return fmt.Errorf("writing the notice %s of request %s: %w", name, d.Request.ID, err)
	}
	now := s.Now()
	messageID, err := s.Mail.Send(ctx, message, string(d.Request.ID)+"/"+name)
	if err != nil {
		return fmt.Errorf("mailing the notice %s of request %s: %w", name, d.Request.ID, err)
	}
	if _, err := ledger.Change(ctx, s.Ledger, d.Request.ID, func(r *ledger.Request) error {
		if r.Notices == nil {
			r.Notices = map[string]ledger.Notice{}
		}
		r.Notices[name] = ledger.Notice{SentAt: now, MessageID: messageID}
		then(r)
		return nil
	}); err != nil {
		return fmt.Errorf("recording the notice %s of request %s: %w", name, d.Request.ID, err)
	}
	versions := make([]string, len(kinds))
	for i, k := range kinds {
		versions[i] = notice.Version(k)
	}
	return s.Ledger.Append(ctx, dsr.Event{RequestID: d.Request.ID, Chain: dsr.RequestChain, Kind: dsr.EventMailed, At: now, Run: d.Request.Run,
		Detail: map[string]any{"notice": name, "kinds": kinds, "versions": versions, "language": l.Lang}})
}

// number names the next notice of a kind: answer#1, answer#2 …
func number(r ledger.Request, kind string) string {
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s#%d", kind, n)
		if _, ok := r.Notices[name]; !ok {
			return name
		}
	}
}

func (s *Subject) link(ctx context.Context, id dsr.RequestID, purpose ledger.Purpose, path string, due time.Time) (string, error) {
	secret, hash := ledger.NewSecret()
	if err := s.Ledger.PutToken(ctx, ledger.Token{Hash: hash, RequestID: id, Purpose: purpose, CreatedAt: s.Now(), Due: due}); err != nil {
		return "", fmt.Errorf("recording the %s link of request %s: %w", purpose, id, err)
	}
	return s.URL + path + "?t=" + url.QueryEscape(secret), nil
}

func (s *Subject) statusLink(ctx context.Context, id dsr.RequestID) (string, error) {
	return s.link(ctx, id, ledger.TokenStatus, "/status", s.Now().Add(180*24*time.Hour))
}

// Copy mails the link to the bundle. It does nothing if this very bundle was
// mailed, unless again is set because the person asked for it.
func (s *Subject) Copy(ctx context.Context, d dossier.Dossier, again bool) (bool, error) {
	b := d.Request.Bundle
	if b == nil || len(b.Files) == 0 || !b.DeletedAt.IsZero() {
		return false, fmt.Errorf("mailing the copy of request %s: there is no bundle", d.Request.ID)
	}
	if !b.DeliveredAt.IsZero() && !again {
		return false, nil
	}
	visits, err := s.Ledger.Visits(ctx, d.Request.ID)
	if err != nil {
		return false, fmt.Errorf("reading the visits of request %s: %w", d.Request.ID, err)
	}
	found, err := s.decision(d)
	if err != nil {
		return false, err
	}
	acts := slices.ContainsFunc(visits, func(v dsr.Visit) bool { return v.Phase == dsr.Act })
	gathered := slices.DeleteFunc(slices.Clone(visits), func(v dsr.Visit) bool { return v.Phase != dsr.Gather })
	now := s.Now()
	v := s.values(d, gathered)
	s.decided(d.Request.Language, found, &v)
	v.Format = notice.Word(d.Request.Language, "format")
	v.BundleDue = now.Add(BundleLife)
	if again {
		v.BundleDue = b.Due // the fortnight began with the first mail
	}
	if v.BundleLink, err = s.link(ctx, d.Request.ID, ledger.TokenDownload, "/download", v.BundleDue); err != nil {
		return false, err
	}
	if v.StatusLink, err = s.statusLink(ctx, d.Request.ID); err != nil {
		return false, err
	}
	if v.Held, err = s.held(d, visits); err != nil {
		return false, err
	}
	kinds := copies(d.Request, found, acts)
	l, err := s.letter(d, kinds, v)
	if err != nil {
		return false, err
	}
	name := number(d.Request, NoticeCopy)
	return true, s.send(ctx, d, d.Subject.MailTo(), name, kinds, l, func(r *ledger.Request) {
		if r.Bundle != nil {
			if r.Bundle.DeliveredAt.IsZero() {
				r.Bundle.DeliveredAt = now
			}
			r.Bundle.Due = v.BundleDue
		}
	})
}

// answer tells what was done, per system and category, and settles the request
// by what the ledger says. One letter tells each state of the outcomes. A
// request of Writ's own is settled and told to nobody.
func (s *Subject) answer(ctx context.Context, d dossier.Dossier) (bool, error) {
	visits, err := s.Ledger.Visits(ctx, d.Request.ID)
	if err != nil {
		return false, fmt.Errorf("reading the visits of request %s: %w", d.Request.ID, err)
	}
	verdict := dsr.Judge(visits)
	if verdict.Digest == d.Request.Told {
		return false, nil
	}
	now := s.Now()
	if d.Request.Own() {
		_, err := ledger.Change(ctx, s.Ledger, d.Request.ID, func(r *ledger.Request) error { settle(r, verdict, now); return nil })
		if err != nil {
			return false, fmt.Errorf("settling request %s: %w", d.Request.ID, err)
		}
		return false, s.closed(ctx, d.Request, verdict, now)
	}
	found, err := s.decision(d)
	if err != nil {
		return false, err
	}
	v := s.values(d, visits)
	s.decided(d.Request.Language, found, &v)
	if v.StatusLink, err = s.statusLink(ctx, d.Request.ID); err != nil {
		return false, err
	}
	if v.Held, err = s.held(d, visits); err != nil {
		return false, err
	}
	kinds := kinds(d.Request, found)
	l, err := s.letter(d, kinds, v)
	if err != nil {
		return false, err
	}
	if err := s.addressChanged(ctx, d, visits, v.StatusLink); err != nil {
		return false, err
	}
	if err := s.send(ctx, d, d.Subject.MailTo(), number(d.Request, NoticeAnswer), kinds, l, func(r *ledger.Request) { settle(r, verdict, now) }); err != nil {
		return false, err
	}
	return true, s.closed(ctx, d.Request, verdict, now)
}

// settle records the answer, unless the request was withdrawn while the mail
// went out. One that was denied stays so.
func settle(r *ledger.Request, v dsr.Verdict, now time.Time) {
	switch r.Status {
	case dsr.Running, dsr.Answered:
		r.Settle(v, now)
	case dsr.Denied:
		r.Told, r.AnsweredAt = v.Digest, now
	}
}

// closed records that nothing of the request is open.
func (s *Subject) closed(ctx context.Context, r ledger.Request, v dsr.Verdict, now time.Time) error {
	if !v.Complete || r.Status == dsr.Denied { // that it was denied is recorded
		return nil
	}
	return s.Ledger.Append(ctx, dsr.Event{RequestID: r.ID, Chain: dsr.RequestChain, Kind: dsr.EventClosed, At: now, Run: r.Run, Detail: map[string]any{"status": string(dsr.Completed)}})
}

// unverified answers a request that nobody proved: what would suffice, and how
// to complain. It is sent once.
func (s *Subject) unverified(ctx context.Context, d dossier.Dossier) (bool, error) {
	return s.once(ctx, d, policy.NoticeUnverified)
}

// once sends the notice of a kind that a request has at most one of.
func (s *Subject) once(ctx context.Context, d dossier.Dossier, kind string) (bool, error) {
	name := kind + "#1"
	if _, sent := d.Request.Notices[name]; sent {
		return false, nil
	}
	l, err := s.letter(d, []string{kind}, s.values(d, nil))
	if err != nil {
		return false, err
	}
	return true, s.send(ctx, d, d.Subject.MailTo(), name, []string{kind}, l, func(*ledger.Request) {})
}
