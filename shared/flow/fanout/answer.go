package fanout

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

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/ledger/passcode"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// AnswerLedger is what a person's answer reads and writes.
type AnswerLedger interface {
	dossier.Ledger
	SaveRequest(ctx context.Context, r ledger.Request) error
	Visit(ctx context.Context, id dsr.RequestID, task string) (dsr.Visit, error)
	Visits(ctx context.Context, id dsr.RequestID) ([]dsr.Visit, error)
	TakeVisit(ctx context.Context, id dsr.RequestID, task string, run int, now, until time.Time) (dsr.Visit, error)
	BeginErasing(ctx context.Context, v dsr.Visit, holdKeys []string, now time.Time) error
	SaveVisit(ctx context.Context, v dsr.Visit) error
	Append(ctx context.Context, e dsr.Event) error
	Token(ctx context.Context, hash string, now time.Time) (ledger.Token, error)
	passcode.Ledger
}

// Upload is a form that sends one file straight to object storage.
type Upload struct {
	Action string // where the form posts to
	Fields []Field
	Origin string // for the page's security policy
}

// Field is one hidden field of an upload's form.
type Field struct{ Name, Value string }

// ErrFileKind says that an uploaded file is of a kind that no copy may hold.
var ErrFileKind = errors.New("a file of this kind is not taken")

// Uploads keeps the files people add to a task. Take copies what was uploaded
// into the request's export and returns how many files there were.
type Uploads interface {
	Form(ctx context.Context, id dsr.RequestID, task, back string) (Upload, error)
	Count(ctx context.Context, id dsr.RequestID, task string) (int, error)
	Take(ctx context.Context, id dsr.RequestID, system, task, category string) (int, error)
}

// Runs starts the next run of a request.
type Runs interface {
	StartRun(ctx context.Context, id dsr.RequestID, run int, proved bool) error
}

// Answer serves the page of a person's task.
type Answer struct {
	Company     *policy.Company
	Descriptors map[string]connector.Descriptor
	Officer     string
	Ledger      AnswerLedger
	Keys        dossier.Keys
	Hasher      Hasher
	Mail        Mailer
	Machine     Releaser
	Runs        Runs
	Uploads     Uploads
	Now         func() time.Time
	Log         *slog.Logger
	URL         string
	pages       *web.Templates
}

// codeLife leaves time to look for a person's data and to add files.
const codeLife = 30 * time.Minute

//go:embed pages/*.html
var pages embed.FS

// NewAnswer parses the pages.
func NewAnswer(a Answer) *Answer {
	a.pages = web.Parse(pages, "pages/*.html").With(web.Site{Company: a.Company.Name})
	return &a
}

// open is one task with what its page needs.
type open struct {
	token   ledger.Token
	secret  string
	request ledger.Request
	visit   dsr.Visit // zero for Writ's own trouble
	role    string
}

// Handle serves /task. GET changes nothing; what to look for is shown only
// after the code that is mailed to the assignee.
func (a *Answer) Handle(ctx context.Context, r web.Request) (web.Response, error) {
	secret := r.Query.Get("t")
	if r.Method == http.MethodPost {
		secret = r.Form.Get("t")
	}
	o, refusal, err := a.find(ctx, secret)
	if err != nil || refusal != nil {
		return deref(refusal), err
	}
	if r.Method != http.MethodPost {
		return a.page(http.StatusOK, "task", "A data request needs you", "Ask for a code, which we mail to you; then this page shows what to do.", o, nil, nil), nil
	}
	switch r.Form.Get("step") {
	case "send":
		return a.send(ctx, o)
	case "open", "answer":
		wrong, err := a.guard().Check(ctx, o.token, r.Form.Get("code"))
		if err != nil {
			return web.Response{}, err
		}
		if wrong != "" {
			return a.wrong(o, wrong), nil
		}
		if r.Form.Get("step") == "answer" {
			return a.answer(ctx, o, r)
		}
		return a.show(ctx, http.StatusOK, o, r.Form.Get("code"), nil)
	}
	return a.page(http.StatusBadRequest, "task", "A data request needs you", "Ask for a code, which we mail to you; then this page shows what to do.", o, nil, nil), nil
}

func deref(r *web.Response) web.Response {
	if r == nil {
		return web.Response{}
	}
	return *r
}

// find reads the token and the task it names, or answers the page itself.
func (a *Answer) find(ctx context.Context, secret string) (open, *web.Response, error) {
	refuse := func(status int, title, lead string) (open, *web.Response, error) {
		p := a.pages.Page(status, "closed", web.View{Title: title, Lead: lead})
		return open{}, &p, nil
	}
	token, err := a.Ledger.Token(ctx, ledger.HashSecret(secret), a.Now())
	if err == nil && token.Purpose != ledger.TokenTask {
		err = ledger.ErrNotFound
	}
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return refuse(http.StatusNotFound, "This link does not work", "This link is not one of ours; please copy the whole link from the mail.")
	case errors.Is(err, ledger.ErrExpired):
		return refuse(http.StatusGone, "This link has expired", "This link has expired; the privacy officer has the task now.")
	case err != nil:
		return open{}, nil, fmt.Errorf("reading the token: %w", err)
	}
	o := open{token: token, secret: secret, role: OfficerRole}
	if o.request, err = a.Ledger.Request(ctx, token.RequestID); err != nil {
		return open{}, nil, fmt.Errorf("reading request %s: %w", token.RequestID, err)
	}
	switch own := o.own(); {
	case own && o.request.Owner != "":
		return o, nil, nil
	case !o.request.Status.Open():
		return refuse(http.StatusGone, "This task is closed", "The request is closed, so there is nothing left to do here.")
	case own:
		return refuse(http.StatusGone, "This task is done", "The request goes on already; there is nothing left to do here.")
	}
	if o.visit, err = a.Ledger.Visit(ctx, token.RequestID, token.Task); err != nil {
		return open{}, nil, fmt.Errorf("reading task %s: %w", token.Task, err)
	}
	if o.visit.Settled() || o.visit.Person == nil || !o.visit.Person.AnsweredAt.IsZero() {
		return refuse(http.StatusGone, "This task is done", "This task was answered; there is nothing left to do here.")
	}
	o.role = o.visit.Person.Assignee
	return o, nil, nil
}

// own reports whether the task is about Writ's own trouble.
func (o open) own() bool { return strings.HasPrefix(o.token.Task, Self+"#") }

func (o open) system() string {
	system, _, _ := strings.Cut(o.token.Task, "#")
	return system
}

func (a *Answer) page(status int, name, title, lead string, o open, data map[string]any, problems []web.Problem) web.Response {
	if data == nil {
		data = map[string]any{}
	}
	data["Token"], data["System"], data["Reference"] = o.secret, systemName(a.Company, o.system()), string(o.request.ID)
	if o.visit.Person != nil {
		data["Due"], data["Why"] = o.visit.Person.Due, why(o.visit.Person.Cause)
	} else {
		data["Due"], data["Why"] = o.request.DueAt, why(connector.CauseFault)
	}
	v := web.View{Title: title, Lead: lead, Data: data, Problems: problems}
	if up, ok := data["Upload"].(Upload); ok && up.Origin != "" {
		v.Targets = []string{up.Origin}
	}
	return a.pages.Page(status, name, v)
}

// wrong asks for the code again.
func (a *Answer) wrong(o open, text string) web.Response {
	return a.page(http.StatusBadRequest, "code", "Type the code", "Type the code that we mailed to you.", o, nil, []web.Problem{{Field: "code", Text: text}})
}

// send mails a fresh code to the assignee, at most a few an hour.
func (a *Answer) send(ctx context.Context, o open) (web.Response, error) {
	code, err := a.guard().New(ctx, o.token)
	if errors.Is(err, passcode.ErrTooMany) {
		return a.page(http.StatusTooManyRequests, "code", "Too many codes", "We mailed several codes already; type the newest, or try again in an hour.", o, nil, nil), nil
	}
	if err != nil {
		return web.Response{}, err
	}
	letter := mail.Letter{
		Subject: "Your code for a data request task", Lead: "Type this code on the page of the task within 30 minutes.",
		Parts: []mail.Part{{Code: code}}, Reference: string(o.request.ID), Footer: "Sent by Writ for " + a.Company.Name + ".",
	}
	message, err := letter.Message(address(a.Company, a.Officer, o.role))
	if err != nil {
		return web.Response{}, fmt.Errorf("writing the code: %w", err)
	}
	if _, err := a.Mail.Send(ctx, message, fmt.Sprintf("%s/task_code/%d", o.request.ID, a.Now().UnixNano())); err != nil {
		return web.Response{}, fmt.Errorf("mailing the code: %w", err)
	}
	return a.page(http.StatusOK, "code", "Type the code", "We mailed a code to you; type it here.", o, nil, nil), nil
}

func (a *Answer) guard() passcode.Guard {
	return passcode.Guard{Ledger: a.Ledger, Hasher: a.Hasher, Now: a.Now, Life: codeLife}
}

// answer records what the person says, then lets the machine go on. The ledger
// is written first: the machine believes nothing it is told.
func (a *Answer) answer(ctx context.Context, o open, r web.Request) (web.Response, error) {
	said := r.Form.Get("answer")
	if o.own() {
		if o.request.AwaitsProof() {
			return a.show(ctx, http.StatusBadRequest, o, r.Form.Get("code"), []web.Problem{{Field: "answer", Text: "Who asks must be decided first: the desk's act proof/decide does that."}})
		}
		if said != connector.AnswerAgain {
			return a.show(ctx, http.StatusBadRequest, o, r.Form.Get("code"), []web.Problem{{Field: "answer", Text: "Choose an answer."}})
		}
		return a.goOn(ctx, o)
	}
	if !slices.Contains(answers(o.visit), said) {
		return a.show(ctx, http.StatusBadRequest, o, r.Form.Get("code"), []web.Problem{{Field: "answer", Text: "Choose an answer."}})
	}
	reason := ""
	if slices.Contains(connector.Reasons(), said) {
		said, reason = connector.AnswerCannot, said
	}
	now := a.Now()
	files := 0
	if said == connector.AnswerUploaded {
		var err error
		files, err = a.Uploads.Take(ctx, o.request.ID, o.system(), o.token.Task, o.visit.Categories[0])
		if errors.Is(err, ErrFileKind) {
			return a.show(ctx, http.StatusBadRequest, o, r.Form.Get("code"), []web.Problem{{Field: "answer", Text: "A file of a kind we do not take was among the uploads, so all were removed; upload them again as PDF, CSV, JSON, text, PNG, JPEG or ZIP."}})
		}
		if err != nil {
			return web.Response{}, fmt.Errorf("taking the uploads of task %s: %w", o.token.Task, err)
		}
		if files == 0 {
			return a.show(ctx, http.StatusBadRequest, o, r.Form.Get("code"), []web.Problem{{Field: "answer", Text: "No file has arrived yet; upload it first."}})
		}
	}
	d, err := dossier.Open(ctx, a.Ledger, a.Keys, o.request.ID)
	if err != nil {
		return web.Response{}, err
	}
	v, err := a.take(ctx, o, now)
	if errors.Is(err, ledger.ErrLeased) { // the code is not spent: the same page can be sent again
		return a.show(ctx, http.StatusConflict, o, r.Form.Get("code"), []web.Problem{{Field: "answer", Text: "Writ is at work on this task just now; send your answer again in a minute."}})
	}
	if errors.Is(err, ledger.ErrSettled) { // by another answer just now
		return a.page(http.StatusGone, "closed", "This task is done", "This task was answered; there is nothing left to do here.", o, nil, nil), nil
	}
	if err != nil {
		return web.Response{}, fmt.Errorf("taking task %s: %w", o.token.Task, err)
	}
	if wrong, err := a.guard().Spend(ctx, o.token); err != nil || wrong != "" {
		v.LeaseUntil = time.Time{}
		return a.wrong(o, wrong), errors.Join(err, a.Ledger.SaveVisit(ctx, v))
	}
	v, wait, err := a.record(ctx, o, v, dsr.PersonTask{Answer: said, AnsweredAt: now, Files: files, Reason: reason})
	if err != nil {
		return web.Response{}, fmt.Errorf("recording the answer to task %s: %w", o.token.Task, err)
	}
	status := releasedAgain
	if v.Manual {
		status = releasedDone
	}
	if err := a.Ledger.Append(ctx, dsr.Event{RequestID: v.RequestID, Chain: v.System, Kind: dsr.EventPersonAnswer, At: now, Run: v.Run, Fence: v.Fence,
		Detail: map[string]any{"phase": string(v.Phase), "answer": said, "files": files, "role": v.Person.Assignee}}); err != nil {
		return web.Response{}, err
	}
	a.release(ctx, d, v, wait, status)
	return a.page(http.StatusOK, "closed", "Thank you", "Your answer is recorded; there is nothing left to do here.", o, nil, nil), nil
}

// record writes what the person said and returns the machine's wait. A new run
// may take the visit over meanwhile to leave its own wait there. The person's code
// is spent by then, so the answer takes the visit back instead of being lost.
func (a *Answer) record(ctx context.Context, o open, v dsr.Visit, said dsr.PersonTask) (_ dsr.Visit, wait []byte, err error) {
	for try := 1; ; try++ {
		wait = v.Person.SealedWait
		v.Person.Answer, v.Person.AnsweredAt, v.Person.Files, v.Person.Reason, v.Person.SealedWait = said.Answer, said.AnsweredAt, said.Files, said.Reason, nil
		v.LeaseUntil = time.Time{}
		switch {
		case v.Manual:
			v.Outcomes, v.Status, v.SettledAt = a.kept(o.request, v, said.AnsweredAt), dsr.VisitSettled, said.AnsweredAt
		case said.Answer == connector.AnswerAgain:
			v.Steps = fromTheStart(v.Steps)
		}
		v, err = a.through(ctx, v, func(v dsr.Visit) error { return a.Ledger.SaveVisit(ctx, v) })
		if !errors.Is(err, dsr.ErrStale) || try == runsMeanwhile {
			return v, wait, err
		}
		if v, err = a.takeBack(ctx, o, said.AnsweredAt); err != nil {
			return v, nil, err
		}
	}
}

// A worker that took a visit over to leave a wait has it for a few writes only.
const (
	takeBackEvery = 200 * time.Millisecond
	takeBacks     = 25
)

// takeBack takes a visit that a worker has taken over, as soon as it gives it up.
func (a *Answer) takeBack(ctx context.Context, o open, now time.Time) (dsr.Visit, error) {
	for try := 1; ; try++ {
		v, err := a.take(ctx, o, now)
		if !errors.Is(err, ledger.ErrLeased) || try == takeBacks {
			return v, err
		}
		select {
		case <-ctx.Done():
			return v, errors.Join(err, ctx.Err())
		case <-time.After(takeBackEvery):
		}
	}
}

// runsMeanwhile is how often the request's run may change under an answer: other
// people's answers start runs too.
const runsMeanwhile = 5

// take leases the visit for the request's current run, whichever that is by now.
func (a *Answer) take(ctx context.Context, o open, now time.Time) (dsr.Visit, error) {
	run := o.request.Run
	for try := 1; ; try++ {
		v, err := a.Ledger.TakeVisit(ctx, o.request.ID, o.token.Task, run, now, now.Add(time.Minute))
		if !errors.Is(err, ledger.ErrStale) || try == runsMeanwhile {
			return v, err
		}
		r, err := a.Ledger.Request(ctx, o.request.ID)
		if err != nil {
			return dsr.Visit{}, err
		}
		run = r.Run
	}
}

// through writes with the lease in hand, and again for the request's new run when
// another person's answer raised it meanwhile: the fence is still ours. A lease
// that was itself taken over stays dsr.ErrStale.
func (a *Answer) through(ctx context.Context, v dsr.Visit, write func(dsr.Visit) error) (dsr.Visit, error) {
	for try := 1; ; try++ {
		err := write(v)
		if !errors.Is(err, dsr.ErrStale) || try == runsMeanwhile {
			return v, err
		}
		r, readErr := a.Ledger.Request(ctx, v.RequestID)
		if readErr != nil || r.Run == v.Run {
			return v, errors.Join(err, readErr)
		}
		v.Run = r.Run
	}
}

// kept is what a person's answer leaves: what the pack keeps on a ground stays
// kept when the rest is done. Of later work the ground has ended.
func (a *Answer) kept(r ledger.Request, v dsr.Visit, now time.Time) []dsr.Outcome {
	var over []string
	for _, p := range r.Scope {
		if p.System == v.System && p.Ground != "" {
			over = append(over, p.Categories...)
		}
	}
	return a.Company.Answered(v, connector.Answered(v), r.Place(), now, over)
}

// fromTheStart lets every step that failed, or that the read-back contradicted,
// be tried again. A step that was started stays started: it is read back first.
func fromTheStart(steps map[dsr.Op]dsr.Step) map[dsr.Op]dsr.Step {
	contradicted := false
	for _, o := range steps[dsr.ReadBack].Outcomes {
		contradicted = contradicted || o.Kind == dsr.Failed
	}
	for op, s := range steps {
		s.Attempts = 0
		unmarked := op == dsr.Suppress && slices.ContainsFunc(s.Outcomes, func(o dsr.Outcome) bool { return o.Kind == dsr.Failed })
		if unmarked || contradicted && (op == dsr.ReadBack || op == dsr.Erase || op == dsr.Rectify) {
			s.Done, s.Outcomes = false, nil
		}
		steps[op] = s
	}
	return steps
}

// release ends the machine's wait. Where there is none any more, because the
// person answered after the partial answer, the next run takes the answer up.
func (a *Answer) release(ctx context.Context, d dossier.Dossier, v dsr.Visit, wait []byte, status string) {
	var err error
	if len(wait) > 0 {
		var token string
		if token, err = dossier.OpenWait(d.Box, v.RequestID, v.Task(), wait); err == nil {
			err = a.Machine.Release(ctx, token, Released{V: 1, Status: status})
		}
		if err == nil {
			return
		}
	}
	// The machine waits for a token that it will not get, or it has ended.
	if d.Request.Status == dsr.Answered || d.Request.Status == dsr.Running && len(wait) > 0 {
		if err = a.startRun(ctx, v.RequestID); err == nil {
			return
		}
	}
	if err != nil {
		a.Log.Warn("going on after an answer: the sweep will do it", "request_id", string(v.RequestID), "system", v.System, "error", err.Error())
	}
}

func (a *Answer) startRun(ctx context.Context, id dsr.RequestID) error {
	r, err := ledger.NextRun(ctx, a.Ledger, id)
	if err != nil {
		return err
	}
	return a.Runs.StartRun(ctx, id, r.Run, !r.VerifiedAt.IsZero())
}

// goOn starts the next run of a request that a fault had stopped.
func (a *Answer) goOn(ctx context.Context, o open) (web.Response, error) {
	if wrong, err := a.guard().Spend(ctx, o.token); err != nil || wrong != "" {
		return a.wrong(o, wrong), err
	}
	now := a.Now()
	if _, err := ledger.Change(ctx, a.Ledger, o.request.ID, func(r *ledger.Request) error { r.Owner, r.Reason = "", ""; return nil }); err != nil {
		return web.Response{}, fmt.Errorf("taking request %s back: %w", o.request.ID, err)
	}
	if err := a.Ledger.Append(ctx, dsr.Event{RequestID: o.request.ID, Chain: dsr.RequestChain, Kind: dsr.EventPersonAnswer, At: now, Detail: map[string]any{"answer": connector.AnswerAgain, "role": OfficerRole}}); err != nil {
		return web.Response{}, err
	}
	if err := a.startRun(ctx, o.request.ID); err != nil {
		return web.Response{}, fmt.Errorf("starting the next run of request %s: %w", o.request.ID, err)
	}
	return a.page(http.StatusOK, "closed", "Thank you", "Writ goes on with the request from where it stopped.", o, nil, nil), nil
}
