// Package notify writes to the person: the copy, the answer, the end of an
// unproved request; it serves the status page and takes what the mail service
// says of a mail.
package notify

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
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

// The notices.
const (
	NoticeCopy       = "copy"
	NoticeAnswer     = "answer"
	NoticeUnverified = "unverified"
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
	case d.Request.Status != dsr.Running && d.Request.Status != dsr.Answered:
		return out, nil
	case in.Notice == NoticeCopy:
		out.Sent, err = s.Copy(ctx, d, false)
	default:
		out.Sent, err = s.answer(ctx, d)
	}
	return out, err
}

// send mails a letter and records it as the notice of that name.
func (s *Subject) send(ctx context.Context, d dossier.Dossier, notice string, l mail.Letter, then func(*ledger.Request)) error {
	l.Reference = string(d.Request.ID)
	l.Footer = "Sent by " + s.Company.Name + ". Questions? Write to " + s.Company.Contacts.Mail + "."
	message, err := l.Message(d.Subject.MailTo())
	if err != nil {
		return fmt.Errorf("writing the notice %s of request %s: %w", notice, d.Request.ID, err)
	}
	now := s.Now()
	messageID, err := s.Mail.Send(ctx, message, string(d.Request.ID)+"/"+notice)
	if err != nil {
		return fmt.Errorf("mailing the notice %s of request %s: %w", notice, d.Request.ID, err)
	}
	if _, err := ledger.Change(ctx, s.Ledger, d.Request.ID, func(r *ledger.Request) error {
		if r.Notices == nil {
			r.Notices = map[string]ledger.Notice{}
		}
		r.Notices[notice] = ledger.Notice{SentAt: now, MessageID: messageID}
		then(r)
		return nil
	}); err != nil {
		return fmt.Errorf("recording the notice %s of request %s: %w", notice, d.Request.ID, err)
	}
	return s.Ledger.Append(ctx, dsr.Event{RequestID: d.Request.ID, Chain: dsr.RequestChain, Kind: dsr.EventMailed, At: now, Run: d.Request.Run, Detail: map[string]any{"notice": notice}})
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

func (s *Subject) statusPart(ctx context.Context, id dsr.RequestID) (mail.Part, error) {
	link, err := s.link(ctx, id, ledger.TokenStatus, "/status", s.Now().Add(180*24*time.Hour))
	if err != nil {
		return mail.Part{}, err
	}
	return mail.Part{Text: "The status page shows where your request stands.", Link: &mail.Link{Label: "See the status of my request", URL: link}}, nil
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
	var gathered []dsr.Visit
	for _, v := range visits {
		if v.Phase == dsr.Gather {
			gathered = append(gathered, v)
		}
	}
	now := s.Now()
	due := now.Add(BundleLife)
	if again {
		due = b.Due // the fortnight began with the first mail
	}
	download, err := s.link(ctx, d.Request.ID, ledger.TokenDownload, "/download", due)
	if err != nil {
		return false, err
	}
	status, err := s.statusPart(ctx, d.Request.ID)
	if err != nil {
		return false, err
	}
	verdict := dsr.Judge(gathered)
	l := mail.Letter{Subject: "The copy of your data from " + s.Company.Name, Lead: "The copy of your data is ready; you can download it until " + day(due) + "."}
	switch {
	case held(gathered) == 0 && verdict.Complete:
		l.Lead = "We looked in every system and hold no data about you under this address; the archive says where we looked."
	case !verdict.Complete:
		l.Lead = "A first part of the copy of your data is ready; you can download it until " + day(due) + ", and the rest follows."
	}
	l.Parts = []mail.Part{
		{Text: "The page mails you a second code before it lets you download.", Link: &mail.Link{Label: "Download my data", URL: download}},
		{Heading: "What we found", Table: s.table(d.Request.Place(), gathered)},
		s.complain(d.Request), status,
	}
	notice := number(d.Request, NoticeCopy)
	return true, s.send(ctx, d, notice, l, func(r *ledger.Request) {
		if r.Bundle != nil {
			if r.Bundle.DeliveredAt.IsZero() {
				r.Bundle.DeliveredAt = now
			}
			r.Bundle.Due = due
		}
	})
}

// answer tells what was done, per system and category, and settles the request
// by what the ledger says.
func (s *Subject) answer(ctx context.Context, d dossier.Dossier) (bool, error) {
	visits, err := s.Ledger.Visits(ctx, d.Request.ID)
	if err != nil {
		return false, fmt.Errorf("reading the visits of request %s: %w", d.Request.ID, err)
	}
	verdict := dsr.Judge(visits)
	if verdict.Digest == d.Request.Told {
		return false, nil
	}
	status, err := s.statusPart(ctx, d.Request.ID)
	if err != nil {
		return false, err
	}
	l := mail.Letter{Subject: "Our answer to your request to " + s.Company.Name, Lead: lead(d.Request, visits, verdict)}
	l.Parts = append(s.told(d.Request.Place(), visits), s.complain(d.Request), status)
	if !verdict.Complete {
		l.Parts = append([]mail.Part{{Text: "What is not finished we go on with, and we write to you again when it is."}}, l.Parts...)
	}
	now := s.Now()
	if err := s.send(ctx, d, number(d.Request, NoticeAnswer), l, func(r *ledger.Request) {
		if r.Status == dsr.Running || r.Status == dsr.Answered { // not withdrawn while the mail went out
			r.Settle(verdict, now)
		}
	}); err != nil {
		return false, err
	}
	if !verdict.Complete {
		return true, nil
	}
	return true, s.Ledger.Append(ctx, dsr.Event{RequestID: d.Request.ID, Chain: dsr.RequestChain, Kind: dsr.EventClosed, At: now, Run: d.Request.Run, Detail: map[string]any{"status": string(dsr.Completed)}})
}

// unverified answers a request that nobody proved: what would suffice, and how
// to complain. It is sent once.
func (s *Subject) unverified(ctx context.Context, d dossier.Dossier) (bool, error) {
	notice := NoticeUnverified + "#1"
	if _, sent := d.Request.Notices[notice]; sent {
		return false, nil
	}
	l := mail.Letter{
		Subject: "Your request to " + s.Company.Name + " has ended",
		Lead:    "We could not confirm that the request came from you, so it has ended and nothing was looked up, sent or erased.",
		Parts: []mail.Part{
			{Text: "To confirm a request we need the link from our mail together with the code that the form shows. You can send a new request at any time; if you can no longer read this mailbox, write to us and a person helps you.", Link: &mail.Link{Label: "Send a new request", URL: s.URL + "/"}},
			s.complain(d.Request),
		},
	}
	return true, s.send(ctx, d, notice, l, func(*ledger.Request) {})
}
