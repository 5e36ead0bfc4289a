package verify

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// AnswerLedger is what the person's answer reads and writes.
type AnswerLedger interface {
	dossier.Ledger
	SaveRequest(ctx context.Context, r ledger.Request) error
	Append(ctx context.Context, e dsr.Event) error
	Token(ctx context.Context, hash string, now time.Time) (ledger.Token, error)
	PutToken(ctx context.Context, t ledger.Token) error
	UseToken(ctx context.Context, hash string, now time.Time) error
	CountAttempt(ctx context.Context, hash string, max int) error
	ClaimIdentity(ctx context.Context, hash string, id dsr.RequestID) (dsr.RequestID, error)
	ReleaseIdentity(ctx context.Context, hash string, id dsr.RequestID) error
	ReplaceSubject(ctx context.Context, s ledger.SealedSubject) error
}

// Hasher makes keyed hashes.
type Hasher interface {
	Hash(ctx context.Context, purpose, value string) (string, error)
}

// Answer takes the person's answer to the challenge.
type Answer struct {
	Company *policy.Company
	Ledger  AnswerLedger
	Keys    dossier.Keys
	Hasher  Hasher
	Machine Releaser
	Now     func() time.Time
	Log     *slog.Logger
	URL     string
	pages   *web.Templates
}

// maxAttempts is how many wrong codes end a link.
const maxAttempts = 5

// answering is longer than this function may run. A link used before that whose
// request still waits belongs to an answer that was cut off: the person types
// the code again and it goes on.
const answering = time.Minute

func spent(t ledger.Token, now time.Time) bool {
	return !t.UsedAt.IsZero() && now.Sub(t.UsedAt) < answering
}

// statusLife is how long a status link works: longer than any request.
const statusLife = 180 * 24 * time.Hour

//go:embed pages/*.html
var pages embed.FS

// NewAnswer parses the pages.
func NewAnswer(a Answer) *Answer {
	a.pages = web.Parse(pages, "pages/*.html").With(web.Site{Company: a.Company.Name, Contact: a.Company.Contacts.Mail})
	return &a
}

// Handle serves /confirm and /not-me. GET shows a page and changes nothing.
func (a *Answer) Handle(ctx context.Context, r web.Request) (web.Response, error) {
	purpose := ledger.TokenConfirm
	if strings.HasSuffix(r.Path, "/not-me") {
		purpose = ledger.TokenDisown
	}
	secret := r.Query.Get("t")
	if r.Method == http.MethodPost {
		secret = r.Form.Get("t")
	}
	token, err := a.Ledger.Token(ctx, ledger.HashSecret(secret), a.Now())
	if err == nil && (token.Purpose != purpose) {
		err = ledger.ErrNotFound
	}
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return a.page(http.StatusNotFound, "message", "This link does not work", "This link is not one of ours; please copy the whole link from the mail.", nil), nil
	case errors.Is(err, ledger.ErrExpired):
		return a.page(http.StatusGone, "message", "This link has expired", "This link has expired; please send your request again.", nil), nil
	case err != nil:
		return web.Response{}, fmt.Errorf("reading the token: %w", err)
	}
	request, err := a.Ledger.Request(ctx, token.RequestID)
	if err != nil {
		return web.Response{}, fmt.Errorf("reading request %s: %w", token.RequestID, err)
	}
	if request.Status != dsr.Verifying || spent(token, a.Now()) {
		return a.used(), nil
	}
	if purpose == ledger.TokenDisown {
		if r.Method != http.MethodPost {
			return a.askDisown(http.StatusOK, secret, request, nil), nil
		}
		return a.disown(ctx, r, secret, token, request)
	}
	d, err := dossier.Open(ctx, a.Ledger, a.Keys, request.ID)
	if err != nil {
		return web.Response{}, err
	}
	p := a.proof(d)
	if r.Method != http.MethodPost {
		return a.ask(http.StatusOK, secret, request, p, nil), nil
	}
	p.read(r.Form)
	return a.confirm(ctx, r, secret, token, request, p)
}

// ask shows the page on which a person confirms.
func (a *Answer) ask(status int, secret string, r ledger.Request, p proof, problems []web.Problem) web.Response {
	return a.pages.Page(status, "confirm", web.View{
		Title: "Confirm your request", Lead: "Type the code that the form showed you to confirm your request.", Problems: problems,
		Data: map[string]any{
			"Token": secret, "Asked": asked(r.Rights, r.Words), "Due": r.DueAt, "Erasure": dsr.Wants(r.Rights, dsr.ByRemoval), "Agent": r.By == dsr.Agent,
			"Points": p.open(), "Declare": p.declare && p.given.Declared == "", "Typed": p.typed, "Declared": p.typed["declared"], "Short": p.short,
		},
	})
}

func (a *Answer) askDisown(status int, secret string, r ledger.Request, problems []web.Problem) web.Response {
	return a.pages.Page(status, "disown", web.View{
		Title: "This was not me", Lead: "Tell us that you did not send this request, and it ends.", Problems: problems,
		Data: map[string]any{"Token": secret, "Asked": asked(r.Rights, r.Words)},
	})
}

func (a *Answer) page(status int, page, title, lead string, data any) web.Response {
	return a.pages.Page(status, page, web.View{Title: title, Lead: lead, Data: data})
}

func (a *Answer) confirm(ctx context.Context, r web.Request, secret string, token ledger.Token, request ledger.Request, p proof) (web.Response, error) {
	code := ledger.CleanCode(r.Form.Get("code"))
	var problems []web.Problem
	if strings.TrimSpace(r.Form.Get("code")) == "" {
		problems = append(problems, web.Problem{Field: "code", Text: "Type the code that the form showed you."})
	}
	if r.Form.Get("confirm") != "yes" {
		problems = append(problems, web.Problem{Field: "confirm", Text: "Tick the box to confirm that you ask for this."})
	}
	problems = append(problems, p.problems()...)
	if len(problems) > 0 { // nothing typed is no attempt: scanners submit empty forms
		return a.ask(http.StatusBadRequest, secret, request, p, problems), nil
	}
	hash, err := a.Hasher.Hash(ctx, "code", string(request.ID)+code)
	if err != nil {
		return web.Response{}, fmt.Errorf("hashing the code: %w", err)
	}
	if code == "" || hash != request.CodeHash {
		switch err := a.Ledger.CountAttempt(ctx, token.Hash, maxAttempts); {
		case errors.Is(err, ledger.ErrAttempts):
			return a.page(http.StatusGone, "message", "Too many wrong codes", "The code was wrong too often, so this link no longer works; please send your request again.", nil), nil
		case err != nil:
			return web.Response{}, fmt.Errorf("counting the attempt: %w", err)
		}
		return a.ask(http.StatusBadRequest, secret, request, p, []web.Problem{{Field: "code", Text: "This is not the code of this request; type the one the form showed you."}}), nil
	}
	if token.Attempts >= maxAttempts {
		return a.page(http.StatusGone, "message", "Too many wrong codes", "The code was wrong too often, so this link no longer works; please send your request again.", nil), nil
	}
	d, err := a.open(ctx, token)
	if err == nil {
		err = a.keep(ctx, d, p)
	}
	switch {
	case err != nil:
	case p.person():
		d, err = a.refer(ctx, d, p)
	default:
		d, err = a.prove(ctx, d, p)
	}
	switch {
	case errors.Is(err, ledger.ErrUsed), errors.Is(err, ledger.ErrExpired):
		return a.used(), nil
	case err != nil:
		return web.Response{}, err
	}
	if d.Request.Status == dsr.NeedsAttention {
		return a.page(http.StatusOK, "looked", "A person looks at what you gave us",
			"Thank you: your mail address is confirmed, and a person of our team now looks at the rest.",
			map[string]any{"Reference": string(request.ID), "Due": d.Request.DueAt}), nil
	}
	a.release(ctx, d) // first: the proof is recorded, whatever becomes of the page
	status, err := a.statusLink(ctx, d.Request)
	if err != nil {
		return web.Response{}, err
	}
	return a.page(http.StatusOK, "confirmed", "Your request is confirmed",
		"Thank you: your request is confirmed, and you have our answer by "+d.Request.DueAt.UTC().Format("2 January 2006")+".",
		map[string]any{"Status": status, "Reference": string(request.ID)}), nil
}

func (a *Answer) used() web.Response {
	return a.page(http.StatusGone, "message", "This link was used", "This request is already confirmed or closed; this link does nothing more.", nil)
}

// open opens the request and spends the link, once; in this order, so that a key
// service that does not answer costs nobody their link.
func (a *Answer) open(ctx context.Context, t ledger.Token) (dossier.Dossier, error) {
	d, err := dossier.Open(ctx, a.Ledger, a.Keys, t.RequestID)
	if err != nil || !t.UsedAt.IsZero() {
		return d, err
	}
	if err := a.Ledger.UseToken(ctx, t.Hash, a.Now()); err != nil {
		return dossier.Dossier{}, fmt.Errorf("using the token: %w", err)
	}
	return d, nil
}

// move changes a request that still waits for its proof; ledger.ErrUsed if it
// does not any more.
func (a *Answer) move(ctx context.Context, id dsr.RequestID, f func(*ledger.Request)) (ledger.Request, error) {
	return ledger.Change(ctx, a.Ledger, id, func(r *ledger.Request) error {
		if r.Status != dsr.Verifying {
			return ledger.ErrUsed
		}
		f(r)
		return nil
	})
}

// prove marks the request verified, or merged into an earlier open one of the
// same person: only among proved requests, so that nobody can block another's
// by asking first.
func (a *Answer) prove(ctx context.Context, d dossier.Dossier, p proof) (dossier.Dossier, error) {
	id := d.Request.ID
	hash, err := a.Hasher.Hash(ctx, "identity", d.Subject.Email())
	if err != nil {
		return dossier.Dossier{}, fmt.Errorf("hashing the identity: %w", err)
	}
	now := a.Now()
	winner, err := a.claim(ctx, hash, id)
	if err != nil {
		return dossier.Dossier{}, err
	}
	if winner.ID != id && plain(d) && covers(winner.Rights, d.Request.Rights) {
		return a.merge(ctx, d, winner.ID, now)
	}
	d.Request, err = a.move(ctx, id, func(r *ledger.Request) { r.Status, r.VerifiedAt = dsr.Running, now })
	if err != nil {
		return dossier.Dossier{}, fmt.Errorf("recording the proof of request %s: %w", id, err)
	}
	err = a.Ledger.Append(ctx, dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventVerified, At: now, Run: d.Request.Run, Detail: map[string]any{"proof": "mailbox_and_code", "declared": p.declare}})
	return d, err
}

// claim makes the request the open one of this person, or returns the one that
// is. A claim left behind by a request that no longer runs is given up first.
func (a *Answer) claim(ctx context.Context, hash string, id dsr.RequestID) (ledger.Request, error) {
	for range 3 {
		winner, err := a.Ledger.ClaimIdentity(ctx, hash, id)
		if err != nil {
			return ledger.Request{}, fmt.Errorf("claiming the identity of request %s: %w", id, err)
		}
		r, err := a.Ledger.Request(ctx, winner)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return ledger.Request{}, fmt.Errorf("reading request %s: %w", winner, err)
		}
		if winner == id || err == nil && (r.Status == dsr.Running || r.Status == dsr.NeedsAttention) {
			return r, nil
		}
		if err := a.Ledger.ReleaseIdentity(ctx, hash, winner); err != nil {
			return ledger.Request{}, fmt.Errorf("giving up the claim of request %s: %w", winner, err)
		}
	}
	return ledger.Request{}, fmt.Errorf("claiming the identity of request %s: %w three times in a row", id, ledger.ErrConflict)
}

// merge closes a request as the same as an earlier proved one, which from then
// on is dated from whichever was received first.
func (a *Answer) merge(ctx context.Context, d dossier.Dossier, winner dsr.RequestID, now time.Time) (dossier.Dossier, error) {
	kept, err := ledger.Change(ctx, a.Ledger, winner, func(r *ledger.Request) error {
		r.Clock = append(slices.Clone(r.Clock), d.Request.Clock...)
		deadline, err := a.Company.Due(r.Rights, r.Clock, r.Place())
		if err != nil {
			return err
		}
		r.DueAt = deadline.DueAt
		return nil
	})
	if err != nil {
		return dossier.Dossier{}, fmt.Errorf("merging into request %s: %w", winner, err)
	}
	d.Request, err = a.move(ctx, d.Request.ID, func(r *ledger.Request) {
		r.Status, r.MergedInto, r.VerifiedAt, r.ClosedAt = dsr.Merged, winner, now, now
	})
	if err != nil {
		return dossier.Dossier{}, fmt.Errorf("closing request %s as merged: %w", d.Request.ID, err)
	}
	for _, id := range []dsr.RequestID{winner, d.Request.ID} {
		if err := a.Ledger.Append(ctx, dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventMerged, At: now, Detail: map[string]any{"into": string(winner)}}); err != nil {
			return dossier.Dossier{}, err
		}
	}
	d.Request.DueAt = kept.DueAt
	return d, nil
}

// plain reports whether a request says nothing beside its rights: what an
// earlier one cannot know, such as another correction, must not end in it.
func plain(d dossier.Dossier) bool {
	r := d.Request
	return !r.Words && r.By == "" && r.From == "" && r.To == "" && r.Parent == "" && len(r.Facts) == 0 && len(d.Subject.Changes) == 0
}

// covers reports whether every right asked is among those of the other request.
func covers(have, want []dsr.Right) bool {
	for _, r := range want {
		if !slices.Contains(have, r) {
			return false
		}
	}
	return true
}

func (a *Answer) statusLink(ctx context.Context, r ledger.Request) (string, error) {
	id := r.ID
	if r.MergedInto != "" {
		id = r.MergedInto
	}
	secret, hash := ledger.NewSecret()
	now := a.Now()
	err := a.Ledger.PutToken(ctx, ledger.Token{Hash: hash, RequestID: id, Purpose: ledger.TokenStatus, CreatedAt: now, Due: now.Add(statusLife)})
	if err != nil {
		return "", fmt.Errorf("recording the status link of request %s: %w", id, err)
	}
	return a.URL + "/status?t=" + url.QueryEscape(secret), nil
}

// release ends the machine's wait. The ledger already holds the answer, so a
// wait that is gone is no loss: the sweep starts a new run.
func (a *Answer) release(ctx context.Context, d dossier.Dossier) {
	token, err := dossier.OpenWait(d.Box, d.Request.ID, waitName, d.Request.SealedWait)
	if err == nil {
		err = a.Machine.Release(ctx, token, map[string]any{})
	}
	if err != nil {
		a.Log.Warn("releasing the machine: the sweep will go on", "request_id", string(d.Request.ID), "error", err.Error())
	}
}

func (a *Answer) disown(ctx context.Context, r web.Request, secret string, token ledger.Token, request ledger.Request) (web.Response, error) {
	if typed := strings.ToLower(strings.Join(strings.Fields(r.Form.Get("word")), " ")); typed != "not me" {
		return a.askDisown(http.StatusBadRequest, secret, request, []web.Problem{{Field: "word", Text: "Type the words: not me"}}), nil
	}
	d, err := a.open(ctx, token)
	now := a.Now()
	if err == nil {
		d.Request, err = a.move(ctx, request.ID, func(r *ledger.Request) { r.Status, r.ClosedAt = dsr.Disowned, now })
	}
	switch {
	case errors.Is(err, ledger.ErrUsed), errors.Is(err, ledger.ErrExpired):
		return a.used(), nil
	case err != nil:
		return web.Response{}, fmt.Errorf("closing request %s: %w", request.ID, err)
	}
	if err := a.Ledger.Append(ctx, dsr.Event{RequestID: request.ID, Chain: dsr.RequestChain, Kind: dsr.EventDisowned, At: now}); err != nil {
		return web.Response{}, err
	}
	a.release(ctx, d)
	return a.page(http.StatusOK, "message", "The request has ended", "Thank you: the request has ended, and nothing was looked up, sent or erased.", nil), nil
}
