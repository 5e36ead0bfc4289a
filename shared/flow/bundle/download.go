package bundle

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/ledger/passcode"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// DownloadLedger is what a download reads and writes.
type DownloadLedger interface {
	dossier.Ledger
	SaveRequest(ctx context.Context, r ledger.Request) error
	Append(ctx context.Context, e dsr.Event) error
	Token(ctx context.Context, hash string, now time.Time) (ledger.Token, error)
	passcode.Ledger
}

// Mailer sends one message; the same seed makes the same message again.
type Mailer interface {
	Send(ctx context.Context, m mail.Message, seed string) (messageID string, err error)
}

// Presigner makes a link to one object that works for a short time.
type Presigner interface {
	Presign(ctx context.Context, key, filename string, ttl time.Duration) (string, error)
}

// Download serves the bundle to the person it was made for, and to nobody who
// merely holds the link: a second code goes to the proved address.
type Download struct {
	Company *policy.Company
	Ledger  DownloadLedger
	Keys    dossier.Keys
	Hasher  passcode.Hasher
	Mail    Mailer
	Objects Presigner
	Origin  string // of the links Objects makes, for the page's security policy
	Now     func() time.Time
	pages   *web.Templates
}

// The code is short, so it lives ten minutes and takes five tries; the
// presigned link, which works for whoever holds it, lives five minutes.
const (
	codeLife = 10 * time.Minute
	linkLife = 5 * time.Minute
)

//go:embed pages/*.html
var pages embed.FS

// NewDownload parses the pages.
func NewDownload(d Download) *Download {
	d.pages = web.Parse(pages, "pages/*.html").With(web.Site{Company: d.Company.Name, Contact: d.Company.Contacts.Mail})
	return &d
}

// Handle serves /download. GET changes nothing.
func (s *Download) Handle(ctx context.Context, r web.Request) (web.Response, error) {
	secret := r.Query.Get("t")
	if r.Method == http.MethodPost {
		secret = r.Form.Get("t")
	}
	token, err := s.Ledger.Token(ctx, ledger.HashSecret(secret), s.Now())
	if err == nil && token.Purpose != ledger.TokenDownload {
		err = ledger.ErrNotFound
	}
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return s.page(http.StatusNotFound, "gone", "This link does not work", "This link is not one of ours; please copy the whole link from the mail.", secret, nil, nil), nil
	case errors.Is(err, ledger.ErrExpired):
		return s.page(http.StatusGone, "gone", "This link has expired", "The copy is no longer kept; you can send a new request.", secret, nil, nil), nil
	case err != nil:
		return web.Response{}, fmt.Errorf("reading the token: %w", err)
	}
	request, err := s.Ledger.Request(ctx, token.RequestID)
	if err != nil {
		return web.Response{}, fmt.Errorf("reading request %s: %w", token.RequestID, err)
	}
	b := request.Bundle
	if b == nil || !b.DeletedAt.IsZero() || (!b.Due.IsZero() && s.Now().After(b.Due)) {
		return s.page(http.StatusGone, "gone", "This copy is no longer kept", "The copy is no longer kept; you can send a new request.", secret, nil, nil), nil
	}
	if r.Method != http.MethodPost {
		return s.page(http.StatusOK, "download", "Download your data", "Ask for a code, which we mail to you; then you can download your data.", secret, b, nil), nil
	}
	if r.Form.Get("step") == "send" {
		return s.send(ctx, secret, token, request)
	}
	return s.fetch(ctx, r, secret, token, request)
}

func (s *Download) page(status int, name, title, lead, secret string, b *ledger.Bundle, problems []web.Problem) web.Response {
	var parts []int
	if b != nil {
		for n := range b.Files {
			parts = append(parts, n+1)
		}
	}
	v := web.View{Title: title, Lead: lead, Problems: problems, Data: map[string]any{"Token": secret, "Bundle": b, "Parts": parts}}
	if s.Origin != "" {
		v.Targets = []string{s.Origin}
	}
	return s.pages.Page(status, name, v)
}

func (s *Download) guard() passcode.Guard {
	return passcode.Guard{Ledger: s.Ledger, Hasher: s.Hasher, Now: s.Now, Life: codeLife}
}

func (s *Download) send(ctx context.Context, secret string, token ledger.Token, request ledger.Request) (web.Response, error) {
	code, err := s.guard().New(ctx, token)
	if errors.Is(err, passcode.ErrTooMany) {
		return s.page(http.StatusTooManyRequests, "code", "Too many codes", "We mailed several codes already; type the newest, or try again in an hour.", secret, request.Bundle, nil), nil
	}
	if err != nil {
		return web.Response{}, err
	}
	d, err := dossier.Open(ctx, s.Ledger, s.Keys, request.ID)
	if err != nil {
		return web.Response{}, err
	}
	letter := mail.Letter{
		Subject:   "Your code to download your data from " + s.Company.Name,
		Lead:      "Type this code on the download page within ten minutes.",
		Parts:     []mail.Part{{Code: code}, {Text: "If you did not ask for it, somebody else may have the link from our mail; without this code the link gives nothing away."}},
		Reference: string(request.ID), Footer: "Sent by " + s.Company.Name + ". Questions? Write to " + s.Company.Contacts.Mail + ".",
	}
	message, err := letter.Message(d.Subject.MailTo())
	if err != nil {
		return web.Response{}, fmt.Errorf("writing the code: %w", err)
	}
	if _, err := s.Mail.Send(ctx, message, fmt.Sprintf("%s/download_code/%d", request.ID, s.Now().UnixNano())); err != nil {
		return web.Response{}, fmt.Errorf("mailing the code: %w", err)
	}
	return s.page(http.StatusOK, "code", "Type the code", "We mailed a code to you; type it here within ten minutes.", secret, request.Bundle, nil), nil
}

func (s *Download) fetch(ctx context.Context, r web.Request, secret string, token ledger.Token, request ledger.Request) (web.Response, error) {
	wrong := func(text string) (web.Response, error) {
		return s.page(http.StatusBadRequest, "code", "Type the code", "Type the code that we mailed to you.", secret, request.Bundle, []web.Problem{{Field: "code", Text: text}}), nil
	}
	problem, err := s.guard().Check(ctx, token, r.Form.Get("code"))
	if err != nil {
		return web.Response{}, err
	}
	if problem != "" {
		return wrong(problem)
	}
	part := 1
	if n, err := strconv.Atoi(r.Form.Get("part")); err == nil {
		part = n
	}
	if part < 1 || part > len(request.Bundle.Files) {
		return wrong("Choose one of the parts.")
	}
	if problem, err = s.guard().Spend(ctx, token); err != nil {
		return web.Response{}, err
	}
	if problem != "" {
		return wrong(problem)
	}
	location, err := s.Objects.Presign(ctx, request.Bundle.Files[part-1].Key, fileName(s.Company.ID, part, len(request.Bundle.Files)), linkLife)
	if err != nil {
		return web.Response{}, fmt.Errorf("making the link to the bundle: %w", err)
	}
	if _, err := ledger.Change(ctx, s.Ledger, request.ID, func(r *ledger.Request) error {
		if r.Bundle != nil {
			r.Bundle.Downloads++
		}
		return nil
	}); err != nil {
		return web.Response{}, fmt.Errorf("counting the download: %w", err)
	}
	if err := s.Ledger.Append(ctx, dsr.Event{RequestID: request.ID, Chain: dsr.RequestChain, Kind: dsr.EventDownloaded, At: s.Now(), Detail: map[string]any{"part": part}}); err != nil {
		return web.Response{}, err
	}
	return web.Redirect(location), nil
}

func fileName(company string, part, of int) string {
	if of == 1 {
		return company + "-your-data.zip"
	}
	return fmt.Sprintf("%s-your-data-%d-of-%d.zip", company, part, of)
}
