package notify

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/notice"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// StatusLedger is what the status page reads and writes.
type StatusLedger interface {
	SubjectLedger
	Token(ctx context.Context, hash string, now time.Time) (ledger.Token, error)
	Hit(ctx context.Context, key string, window time.Duration, limit int, now time.Time) (bool, error)
}

// Stopper ends the running machine of a request.
type Stopper interface {
	StopRun(ctx context.Context, id dsr.RequestID, run int) error
}

// Status serves the status page.
type Status struct {
	Subject // the letters it can send again
	Ledger  StatusLedger
	Machine Stopper
	Log     *slog.Logger
	pages   *web.Templates
}

//go:embed pages/*.html
var pages embed.FS

// NewStatus parses the pages.
func NewStatus(s Status) *Status {
	s.Subject.Ledger = s.Ledger
	s.pages = web.Parse(pages, "pages/*.html").With(web.Site{Company: s.Company.Name, Contact: s.Company.Contacts.Mail})
	return &s
}

// resendsPerDay is how often the copy's link can be mailed again.
const resendsPerDay = 3

// Progress is one system's line on the page.
type Progress struct {
	System, Phase, State string
	Outcomes             []Line
}

// Line is one category's result.
type Line struct{ Category, Result string }

// Handle serves /status: progress, due date, resend, withdraw, how to complain.
// Before the proof it says only that a request waits.
func (s *Status) Handle(ctx context.Context, r web.Request) (web.Response, error) {
	secret := r.Query.Get("t")
	if r.Method == http.MethodPost {
		secret = r.Form.Get("t")
	}
	token, err := s.Ledger.Token(ctx, ledger.HashSecret(secret), s.Now())
	if err == nil && token.Purpose != ledger.TokenStatus {
		err = ledger.ErrNotFound
	}
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return s.plain(http.StatusNotFound, "This link does not work", "This link is not one of ours; please copy the whole link from the mail."), nil
	case errors.Is(err, ledger.ErrExpired):
		return s.plain(http.StatusGone, "This link has expired", "This link has expired; please write to us."), nil
	case err != nil:
		return web.Response{}, fmt.Errorf("reading the token: %w", err)
	}
	request, err := s.Ledger.Request(ctx, token.RequestID)
	if err != nil {
		return web.Response{}, fmt.Errorf("reading request %s: %w", token.RequestID, err)
	}
	if waiting(request) {
		return s.plain(http.StatusOK, "A request waits", "A request waits to be confirmed."), nil
	}
	if r.Method == http.MethodPost {
		switch r.Form.Get("step") {
		case "resend":
			return s.resend(ctx, secret, request)
		case "withdraw":
			return s.withdraw(ctx, r, secret, request)
		case "undo":
			return s.undo(ctx, r, secret, request)
		}
	}
	return s.show(ctx, http.StatusOK, secret, request, "", nil)
}

func (s *Status) plain(status int, title, lead string) web.Response {
	return s.pages.Page(status, "plain_status", web.View{Title: title, Lead: lead})
}

// show is the page itself; news replaces its first sentence after an act.
func (s *Status) show(ctx context.Context, status int, secret string, r ledger.Request, news string, problems []web.Problem) (web.Response, error) {
	visits, err := s.Ledger.Visits(ctx, r.ID)
	if err != nil {
		return web.Response{}, fmt.Errorf("reading the visits of request %s: %w", r.ID, err)
	}
	slices.SortStableFunc(visits, func(a, b dsr.Visit) int { return strings.Compare(string(b.Phase), string(a.Phase)) }) // gather before act
	var progress []Progress
	tell := s.teller(r)
	for _, v := range visits {
		if v.System == dsr.Itself || v.Settled() && len(v.Outcomes) == 0 {
			continue // told by the letter; or looked up, and its result stands with what was done
		}
		p := Progress{System: tell.System(v.System), Phase: phaseName(v), State: stateName(v)}
		for _, o := range v.Outcomes {
			p.Outcomes = append(p.Outcomes, Line{tell.Category(o.Category), notice.Result(r.Language, tell.Row(v.System, o), s.Company.Zone)})
		}
		progress = append(progress, p)
	}
	lead := news
	if lead == "" {
		lead = s.sentence(r)
	}
	return s.pages.Page(status, "status", web.View{
		Title: "Your request", Lead: lead, Problems: problems,
		Data: map[string]any{
			"Token": secret, "Reference": string(r.ID), "Received": received(r), "Due": r.DueAt, "Open": r.Status.Open(),
			"Progress": progress, "Complain": s.complain(r),
			"CanWithdraw": canWithdraw(r, visits), "CanResend": canResend(r, s.Now()),
			"CopyDue": bundleDue(r), "Standing": s.standing(r), "CanUndo": canUndo(r),
		},
	}), nil
}

func bundleDue(r ledger.Request) time.Time {
	if r.Bundle == nil {
		return time.Time{}
	}
	return r.Bundle.Due
}

func received(r ledger.Request) time.Time {
	first := r.Clock[0].At
	for _, e := range r.Clock {
		if e.Kind == dsr.Received && e.At.Before(first) {
			first = e.At
		}
	}
	return first
}

// canResend reports whether there is a copy that a new link would still open.
func canResend(r ledger.Request, now time.Time) bool {
	b := r.Bundle
	return b != nil && !b.DeliveredAt.IsZero() && b.DeletedAt.IsZero() && !now.After(b.Due)
}

// canWithdraw reports whether the person can end the request: nothing was changed
// yet, and it is at work, or waits so that a change of address can be stopped.
func canWithdraw(r ledger.Request, visits []dsr.Visit) bool {
	waits := r.Status == dsr.Answered && !coolingOff(visits).IsZero()
	return r.ErasingAt.IsZero() && r.Reason != ledger.ReasonUndo && (r.Status == dsr.Running || r.Status == dsr.NeedsAttention || waits)
}

func phaseName(v dsr.Visit) string {
	switch {
	case v.Recipient != "":
		return "tell"
	case slices.Contains(v.Ops, dsr.Erase):
		return "erase"
	case slices.Contains(v.Ops, dsr.Rectify):
		return "correct"
	case v.Phase == dsr.Act && len(v.Purposes) > 0:
		return "stop"
	case v.Phase == dsr.Act:
		return "erase" // written by an older plan
	}
	if slices.Contains(v.Ops, dsr.Export) || v.Manual {
		return "copy"
	}
	return "look up"
}

func stateName(v dsr.Visit) string {
	switch {
	case v.Settled():
		return "done"
	case v.Person != nil && v.Person.AnsweredAt.IsZero():
		return "with a person of our team"
	case len(v.OpenOutcomes()) > 0:
		return "not finished; we try again"
	case v.Run > 0:
		return "in progress"
	}
	return "not started"
}

// sentence is the state of the request in one sentence.
func (s *Status) sentence(r ledger.Request) string {
	due := s.day(r.DueAt)
	switch r.Status {
	case dsr.Running:
		return "We are working on your request; you have our answer by " + due + "."
	case dsr.NeedsAttention:
		return "A person of our team looks into your request; you have our answer by " + due + "."
	case dsr.Answered:
		return "We have answered your request, and a part of it is not finished yet."
	case dsr.Completed:
		return "Your request is completed."
	case dsr.Withdrawn:
		return "You withdrew this request; nothing was erased."
	case dsr.Merged:
		return "This request goes on as part of an earlier one of yours."
	}
	return "This request is closed."
}

// resend mails the copy's link again, with a fresh secret.
func (s *Status) resend(ctx context.Context, secret string, r ledger.Request) (web.Response, error) {
	if !canResend(r, s.Now()) {
		return s.show(ctx, http.StatusConflict, secret, r, "There is no copy to send again.", nil)
	}
	ok, err := s.Ledger.Hit(ctx, "resend#"+string(r.ID), 24*time.Hour, resendsPerDay, s.Now())
	if err != nil {
		return web.Response{}, fmt.Errorf("counting resends: %w", err)
	}
	if !ok {
		return s.show(ctx, http.StatusTooManyRequests, secret, r, "We sent the link several times today; please try again tomorrow.", nil)
	}
	d, err := dossier.Open(ctx, s.Ledger, s.Keys, r.ID)
	if err != nil {
		return web.Response{}, err
	}
	if _, err := s.Copy(ctx, d, true); err != nil {
		return web.Response{}, err
	}
	return s.show(ctx, http.StatusOK, secret, r, "We mailed you a new link to your copy.", nil)
}

// withdraw ends the request until the first destructive act. The word is typed,
// because programs that check mail submit forms.
func (s *Status) withdraw(ctx context.Context, r web.Request, secret string, request ledger.Request) (web.Response, error) {
	if strings.ToLower(strings.TrimSpace(r.Form.Get("word"))) != "withdraw" {
		return s.show(ctx, http.StatusBadRequest, secret, request, "", []web.Problem{{Field: "word", Text: "Type the word: withdraw"}})
	}
	now := s.Now()
	visits, err := s.Ledger.Visits(ctx, request.ID)
	if err != nil {
		return web.Response{}, fmt.Errorf("reading the visits of request %s: %w", request.ID, err)
	}
	errLate := errors.New("too late")
	changed, err := ledger.Change(ctx, s.Ledger, request.ID, func(r *ledger.Request) error {
		if !canWithdraw(*r, visits) {
			return errLate
		}
		r.Status, r.ClosedAt = dsr.Withdrawn, now
		return nil
	})
	if errors.Is(err, errLate) {
		return s.show(ctx, http.StatusConflict, secret, request, "The request can no longer be withdrawn, because it is closed or erasing has begun.", nil)
	}
	if err != nil {
		return web.Response{}, fmt.Errorf("withdrawing request %s: %w", request.ID, err)
	}
	if err := s.Ledger.Append(ctx, dsr.Event{RequestID: request.ID, Chain: dsr.RequestChain, Kind: dsr.EventWithdrawn, At: now}); err != nil {
		return web.Response{}, err
	}
	if err := s.Machine.StopRun(ctx, request.ID, request.Run); err != nil {
		s.Log.Warn("stopping the machine: it finds the request withdrawn", "request_id", string(request.ID), "error", err.Error())
	}
	// That it ended is an answer too. The page says it already, so a mail that
	// fails is no reason to say that the withdrawal did.
	d, err := dossier.Open(ctx, s.Ledger, s.Keys, request.ID)
	if err == nil {
		_, err = s.once(ctx, d, policy.NoticeWithdrawn)
	}
	if err != nil {
		s.Log.Error("mailing that the request was withdrawn", "request_id", string(request.ID), "error", err.Error())
	}
	return s.show(ctx, http.StatusOK, secret, changed, "", nil)
}
