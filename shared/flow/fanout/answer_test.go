package fanout_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/memory"
	"github.com/writ-dsr/writ/shared/platform/web"
)

// get opens the newest link mailed to an address.
func (s *stand) get(to string) web.Response {
	s.t.Helper()
	r, err := s.answer.Handle(s.t.Context(), web.Request{Method: http.MethodGet, Path: "/task", Query: url.Values{"t": {s.newest(to, linkInMail)}}})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// post sends a form of the page behind the newest link mailed to an address.
func (s *stand) post(to string, fields ...string) web.Response {
	s.t.Helper()
	r, err := s.try(to, fields...)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *stand) try(to string, fields ...string) (web.Response, error) {
	form := url.Values{"t": {s.newest(to, linkInMail)}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return s.answer.Handle(context.Background(), web.Request{Method: http.MethodPost, Path: "/task", Form: form})
}

// code asks for a code and reads it in the mail.
func (s *stand) code(to string) string {
	s.t.Helper()
	if r := s.post(to, "step", "send"); r.Status != http.StatusOK {
		s.t.Fatalf("asking for a code: status %d", r.Status)
	}
	return s.newest(to, codeInMail)
}

// say answers the task.
func (s *stand) say(to, answer string) web.Response {
	s.t.Helper()
	return s.post(to, "step", "answer", "code", s.code(to), "answer", answer)
}

// open is a stand with one open task of a person.
func open(t *testing.T, v dsr.Visit, change func(*ledger.Request)) (*stand, string) {
	t.Helper()
	s := newStand(t, change, v)
	s.ask(v.System, v.Phase, "wait-1")
	to := s.mail.All()[0].To
	return s, to
}

func TestTaskShowsThePersonAfterTheCodeOnly(t *testing.T) {
	s, to := open(t, byPerson(gather("zendesk")), nil)
	before := s.snapshot()
	for _, r := range []web.Response{s.get(to), s.post(to), s.post(to, "step", "nonsense"), s.post(to, "step", "open"), s.post(to, "step", "answer", "answer", "done")} {
		if strings.Contains(string(r.Body), dsrtest.Ada.Email) || strings.Contains(string(r.Body), dsrtest.Ada.Name) {
			t.Fatal("the page names the person before the code")
		}
	}
	if s.snapshot() != before {
		t.Error("looking, or an empty form, changed the ledger")
	}
	r := s.post(to, "step", "open", "code", s.code(to))
	for _, want := range []string{dsrtest.Ada.Email, dsrtest.Ada.Name, "search customers for exactly this mail address", "Your account", "https://bucket.example/"} {
		if !strings.Contains(string(r.Body), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(string(r.Body), "my words") {
		t.Error("the person's words are shown to somebody who needs them not")
	}
	if !strings.Contains(r.Header["Content-Security-Policy"], "https://bucket.example") {
		t.Error("the browser would stop the upload")
	}
	if n := len(s.mail.To(to)); n != 2 {
		t.Errorf("%d mails, want the task's and the code's", n)
	}
}

func TestOwnWordsAreShownToTheOfficer(t *testing.T) {
	v := byPerson(gather(dsr.Officer))
	v.Categories = []string{dsr.Words}
	s, to := open(t, v, nil)
	if to != officer {
		t.Fatalf("asked %s", to)
	}
	if r := s.post(to, "step", "open", "code", s.code(to)); !strings.Contains(string(r.Body), "my words") {
		t.Error("the words are not shown")
	}
}

func TestWrongCodes(t *testing.T) {
	s, to := open(t, byPerson(gather("zendesk")), nil)
	if r := s.post(to, "step", "open", "code", "BBBB-BBBB"); r.Status != http.StatusBadRequest {
		t.Errorf("a code before one was mailed: status %d", r.Status)
	}
	right := s.code(to)
	for range 5 {
		if r := s.post(to, "step", "open", "code", "BBBB-BBBB"); r.Status != http.StatusBadRequest {
			t.Fatalf("status %d", r.Status)
		}
	}
	if r := s.post(to, "step", "open", "code", right); r.Status != http.StatusBadRequest {
		t.Errorf("the right code after five wrong ones: status %d", r.Status)
	}
	next := s.code(to)
	if r := s.post(to, "step", "open", "code", right); r.Status != http.StatusBadRequest {
		t.Errorf("an older code: status %d", r.Status)
	}
	s.now = s.now.Add(31 * time.Minute)
	if r := s.post(to, "step", "open", "code", next); r.Status != http.StatusBadRequest {
		t.Errorf("an expired code: status %d", r.Status)
	}
	if r := s.post(to, "step", "open", "code", s.code(to)); r.Status != http.StatusOK {
		t.Errorf("a fresh code: status %d", r.Status)
	}
}

func TestCodesAreCapped(t *testing.T) {
	s, to := open(t, byPerson(gather("zendesk")), nil)
	for range 5 {
		s.code(to)
	}
	if r := s.post(to, "step", "send"); r.Status != http.StatusTooManyRequests || len(s.mail.To(to)) != 6 {
		t.Errorf("the sixth code: status %d, %d mails", r.Status, len(s.mail.To(to)))
	}
	s.now = s.now.Add(time.Hour)
	s.code(to)
}

func TestLinksOfTasks(t *testing.T) {
	s, to := open(t, byPerson(gather("zendesk")), nil)
	secret, hash := ledger.NewSecret()
	if err := s.store.PutToken(t.Context(), ledger.Token{Hash: hash, RequestID: s.id, Purpose: ledger.TokenStatus, Due: s.now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		secret string
		after  time.Duration
		status int
	}{
		"none":              {"", 0, 404},
		"of nobody's":       {"abc", 0, 404},
		"of another thing":  {secret, 0, 404},
		"expired":           {s.newest(to, linkInMail), 121 * 24 * time.Hour, 410},
		"works that longer": {s.newest(to, linkInMail), 119 * 24 * time.Hour, 200},
	} {
		s.now = start.Add(c.after)
		r, err := s.answer.Handle(t.Context(), web.Request{Method: http.MethodGet, Query: url.Values{"t": {c.secret}}})
		if err != nil || r.Status != c.status {
			t.Errorf("%s: status %d, %v; want %d", name, r.Status, err, c.status)
		}
	}
	s.now = start
	s.change(func(r *ledger.Request) { r.Status = dsr.Withdrawn })
	if r := s.get(to); r.Status != http.StatusGone {
		t.Errorf("of a withdrawn request: status %d", r.Status)
	}
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name     string
		visit    dsr.Visit
		answer   string
		files    int
		status   int
		settled  bool
		outcomes string
		released string
	}{
		{"a person's copy: nothing", byPerson(gather("zendesk")), connector.AnswerNothingHeld, 0, 200, true, "not_held", "done"},
		{"a person's copy: done", byPerson(gather("zendesk")), connector.AnswerDone, 0, 200, true, "attested", "done"},
		{"a person's copy: cannot", byPerson(gather("zendesk")), connector.AnswerCannot, 0, 200, true, "refused", "done"},
		{"a person's copy: uploaded", byPerson(gather("zendesk")), connector.AnswerUploaded, 3, 200, true, "attested", "done"},
		{"a person's copy: uploaded, but nothing came", byPerson(gather("zendesk")), connector.AnswerUploaded, 0, 400, false, "", ""},
		{"a person's copy: again is no answer", byPerson(gather("zendesk")), connector.AnswerAgain, 0, 400, false, "", ""},
		{"no answer", byPerson(gather("zendesk")), "", 0, 400, false, "", ""},
		{"an unknown answer", byPerson(gather("zendesk")), "erased", 0, 400, false, "", ""},
		{"a person's erasure: done", byPerson(act("zendesk")), connector.AnswerDone, 0, 200, true, "attested", "done"},
		{"a person's erasure: nothing", byPerson(act("zendesk")), connector.AnswerNothingHeld, 0, 200, true, "not_held", "done"},
		{"a person's erasure: cannot", byPerson(act("zendesk")), connector.AnswerCannot, 0, 200, true, "refused", "done"},
		{"a person's erasure: files are no answer", byPerson(act("zendesk")), connector.AnswerUploaded, 3, 400, false, "", ""},
		{"for an API, copy: again", gather("app"), connector.AnswerAgain, 0, 200, false, "", "again"},
		{"for an API, copy: uploaded", gather("app"), connector.AnswerUploaded, 2, 200, false, "", "again"},
		{"for an API, copy: cannot", gather("app"), connector.AnswerCannot, 0, 200, false, "", "again"},
		{"for an API, erasure: done", act("app"), connector.AnswerDone, 0, 200, false, "", "again"},
		{"for an API, erasure: again", act("app"), connector.AnswerAgain, 0, 200, false, "", "again"},
		{"for an API, erasure: files are no answer", act("app"), connector.AnswerUploaded, 1, 400, false, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, to := open(t, c.visit, nil)
			s.uploads[c.visit.Task()] = c.files
			r := s.say(to, c.answer)
			if r.Status != c.status {
				t.Fatalf("status %d, want %d: %s", r.Status, c.status, r.Body)
			}
			v := s.visit(c.visit.Task())
			if v.Settled() != c.settled || kinds(v) != c.outcomes || v.LeaseUntil.After(s.now) {
				t.Errorf("settled %v as %q", v.Settled(), kinds(v))
			}
			for _, o := range v.Outcomes {
				if err := o.Validate(); err != nil || o.Kind == dsr.Attested && (o.By == "" || o.Count != c.files) {
					t.Errorf("%+v: %v", o, err)
				}
			}
			answered := c.status == 200
			if answered != !v.Person.AnsweredAt.IsZero() || answered && (v.Person.Answer != c.answer || v.Person.Files != c.files) {
				t.Errorf("recorded as %+v", v.Person)
			}
			var want []string
			if answered {
				want = []string{"wait-1 " + c.released}
			}
			if !slices.Equal(s.machine.released, want) {
				t.Errorf("released %v, want %v", s.machine.released, want)
			}
			if (s.count(v.System, dsr.EventPersonAnswer) == 1) != answered {
				t.Error("the answer is not recorded once")
			}
			if again := s.get(to); answered != (again.Status == http.StatusGone) {
				t.Errorf("the link afterwards: status %d", again.Status)
			}
		})
	}
}

// A code that answered cannot answer again, nor can two answers at once.
func TestCodeAnswersOnce(t *testing.T) {
	s, to := open(t, gather("app"), nil)
	code := s.code(to)
	if r := s.post(to, "step", "answer", "code", code, "answer", "again"); r.Status != http.StatusOK {
		t.Fatalf("status %d", r.Status)
	}
	s.vendor.fails = &connector.Error{Kind: connector.Unauthorized}
	if out, err := s.visitApp(dsr.Gather); err != nil || out.Status != string(connector.Person) {
		t.Fatalf("%+v, %v", out, err)
	}
	s.ask("app", dsr.Gather, "wait-2") // asked anew, by a new mail
	if len(s.mail.To(to)) != 3 {
		t.Errorf("%d mails, want task, code, task", len(s.mail.To(to)))
	}
	if r := s.post(to, "step", "answer", "code", code, "answer", "again"); r.Status != http.StatusBadRequest {
		t.Errorf("the old code on the new link: status %d", r.Status)
	}
}

// overtaken is a ledger in which another answer starts the next run just before
// this one takes its visit.
type overtaken struct {
	*memory.Store
	runs int
}

func (o *overtaken) TakeVisit(ctx context.Context, id dsr.RequestID, task string, run int, now, until time.Time) (dsr.Visit, error) {
	if o.runs > 0 {
		o.runs--
		if _, err := ledger.NextRun(ctx, o.Store, id); err != nil {
			return dsr.Visit{}, err
		}
	}
	return o.Store.TakeVisit(ctx, id, task, run, now, until)
}

// Several people answer at once after the partial answer, and each answer
// starts a run: none of them may be lost.
func TestAnswerIsTakenThoughAnotherStartsARun(t *testing.T) {
	s, to := open(t, byPerson(gather("zendesk")), nil)
	s.answer.Ledger = &overtaken{Store: s.store, runs: 2}
	if r := s.say(to, "nothing_held"); r.Status != http.StatusOK {
		t.Errorf("the answer is refused with %d", r.Status)
	}
	if v := s.visit(gather("zendesk").Task()); !v.Settled() || v.Run != 3 {
		t.Errorf("the visit is %s at run %d, want settled at the third", v.Status, v.Run)
	}
}

// robbed is a ledger in which a new run takes the visit over, to leave its own
// wait there, just before an answer is saved, and gives it up a little later.
type robbed struct {
	*memory.Store
	late bool
	done bool
}

func (r *robbed) SaveVisit(ctx context.Context, v dsr.Visit) error {
	if !r.done {
		r.done = true
		taken, err := r.TakeVisit(ctx, v.RequestID, v.Task(), v.Run, start.Add(time.Hour), start.Add(2*time.Hour))
		if err != nil {
			return err
		}
		taken.LeaseUntil = time.Time{}
		if r.late {
			time.AfterFunc(50*time.Millisecond, func() { _ = r.Store.SaveVisit(context.WithoutCancel(ctx), taken) })
		} else if err := r.Store.SaveVisit(ctx, taken); err != nil {
			return err
		}
	}
	return r.Store.SaveVisit(ctx, v)
}

// A code answers once, so an answer whose visit was taken over at the last moment
// is not given up: nobody would ask the person again.
func TestAnswerTakesTheVisitBack(t *testing.T) {
	for _, late := range []bool{false, true} {
		s, to := open(t, byPerson(gather("zendesk")), nil)
		s.answer.Ledger = &robbed{Store: s.store, late: late}
		if r := s.say(to, "nothing_held"); r.Status != http.StatusOK {
			t.Errorf("late %v: the answer is refused with %d", late, r.Status)
		}
		v := s.visit(gather("zendesk").Task())
		if !v.Settled() || v.Person.Answer != "nothing_held" || s.count("zendesk", dsr.EventPersonAnswer) != 1 {
			t.Errorf("late %v: the visit is %s with the answer %q", late, v.Status, v.Person.Answer)
		}
	}
}

// While Writ itself has the visit, an answer is not taken and its code stays good.
func TestAnswerWaitsForTheLease(t *testing.T) {
	s, to := open(t, byPerson(gather("zendesk")), nil)
	code := s.code(to)
	v, err := s.store.TakeVisit(t.Context(), s.id, gather("zendesk").Task(), 1, s.now, s.now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if r := s.post(to, "step", "answer", "code", code, "answer", "nothing_held"); r.Status != http.StatusConflict || !strings.Contains(string(r.Body), "send your answer again") {
		t.Errorf("with the lease elsewhere: status %d", r.Status)
	}
	v.LeaseUntil = time.Time{}
	if err := s.store.SaveVisit(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if r := s.post(to, "step", "answer", "code", code, "answer", "nothing_held"); r.Status != http.StatusOK || !s.visit(gather("zendesk").Task()).Settled() {
		t.Errorf("the same answer again: status %d", r.Status)
	}
}

// Whatever stands in the way of the system, the person's word ends the visit.
func TestPersonsWordSettlesAnAPIVisit(t *testing.T) {
	for _, c := range []struct {
		answer   string
		files    int
		outcomes string
	}{{connector.AnswerNothingHeld, 0, "not_held"}, {connector.AnswerUploaded, 2, "attested"}, {connector.AnswerCannot, 0, "refused"}, {connector.AnswerDone, 0, "attested"}} {
		t.Run(c.answer, func(t *testing.T) {
			s := newStand(t, nil, gather("app"))
			s.openErr = &connector.Error{Kind: connector.Unauthorized, Err: errors.New("parameter is missing")}
			out, err := s.visitApp(dsr.Gather)
			if err != nil {
				t.Fatal(err)
			}
			in := fanout.ManualInput{V: 1, RequestID: s.id, Run: 1, System: "app", Phase: dsr.Gather, Cause: out.Cause, TaskToken: "w"}
			if _, err := s.manual.Handle(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			page := s.post(platform, "step", "open", "code", s.code(platform))
			if !strings.Contains(string(page.Body), "/writ/pythonmaster/app/") {
				t.Error("the page does not name the missing secret")
			}
			s.uploads["app#gather"] = c.files
			if r := s.say(platform, c.answer); r.Status != http.StatusOK {
				t.Fatalf("status %d", r.Status)
			}
			s.done(dsr.Gather) // the secret is still missing
			if v := s.visit("app#gather"); !v.Settled() || kinds(v) != c.outcomes {
				t.Errorf("settled %v as %s", v.Settled(), kinds(v))
			}
		})
	}
}

func TestAgainLetsTheSystemBeTried(t *testing.T) {
	s := newStand(t, nil, gather("app"))
	s.openErr = &connector.Error{Kind: connector.Unauthorized}
	if _, err := s.visitApp(dsr.Gather); err != nil {
		t.Fatal(err)
	}
	s.ask("app", dsr.Gather, "w")
	s.openErr = nil
	if r := s.say(platform, connector.AnswerAgain); r.Status != http.StatusOK {
		t.Fatalf("status %d", r.Status)
	}
	s.done(dsr.Gather)
	if v := s.visit("app#gather"); kinds(v) != "exported" {
		t.Errorf("left as %s", kinds(v))
	}
}

func TestLateAnswerStartsTheNextRun(t *testing.T) {
	s, to := open(t, byPerson(gather("zendesk")), nil)
	s.now = s.margin()
	if err := s.manual.Expire(t.Context(), s.id, "zendesk#gather"); err != nil {
		t.Fatal(err)
	}
	s.change(func(r *ledger.Request) { r.Status, r.AnsweredAt = dsr.Answered, s.now })
	if r := s.say(to, connector.AnswerNothingHeld); r.Status != http.StatusOK {
		t.Fatalf("status %d", r.Status)
	}
	if !slices.Equal(s.machine.started, []int{2}) || s.request().Run != 2 || kinds(s.visit("zendesk#gather")) != "not_held" {
		t.Errorf("started %v, run %d", s.machine.started, s.request().Run)
	}
}

// A wait that cannot be ended must not hold the request: the next run goes on.
func TestAnswerWhoseReleaseFailsStartsTheNextRun(t *testing.T) {
	s, to := open(t, byPerson(gather("zendesk")), nil)
	s.machine.fail = errors.New("releasing: no answer")
	if r := s.say(to, connector.AnswerDone); r.Status != http.StatusOK || !slices.Equal(s.machine.started, []int{2}) {
		t.Errorf("status %d, started %v", r.Status, s.machine.started)
	}
	s, to = open(t, byPerson(gather("zendesk")), nil)
	s.machine.fail, s.machine.failRuns = errors.New("releasing: no answer"), errors.New("starting: no answer")
	if r := s.say(to, connector.AnswerDone); r.Status != http.StatusOK || s.request().Run != 2 || !s.visit("zendesk#gather").Settled() {
		t.Errorf("status %d, run %d: the sweep must find a run that has no machine", r.Status, s.request().Run)
	}
	if !strings.Contains(s.log.String(), string(s.id)) {
		t.Error("the log names no request")
	}
}

func TestOwnerLetsARequestGoOn(t *testing.T) {
	s := newStand(t, nil)
	if err := s.manual.Attention(t.Context(), s.id, 1, "BundleArchive"); err != nil {
		t.Fatal(err)
	}
	code := s.code(officer)
	page := s.post(officer, "step", "open", "code", code)
	if !strings.Contains(string(page.Body), "BundleArchive") || strings.Contains(string(page.Body), dsrtest.Ada.Email) {
		t.Error("the page does not name the step that failed, or names the person")
	}
	if r := s.post(officer, "step", "answer", "code", code, "answer", "done"); r.Status != http.StatusBadRequest {
		t.Errorf("another answer: status %d", r.Status)
	}
	if r := s.post(officer, "step", "answer", "code", code, "answer", "again"); r.Status != http.StatusOK {
		t.Fatalf("status %d", r.Status)
	}
	if r := s.request(); r.Owner != "" || r.Run != 2 || !slices.Equal(s.machine.started, []int{2}) {
		t.Errorf("owner %q, run %d, started %v", r.Owner, r.Run, s.machine.started)
	}
	if r := s.get(officer); r.Status != http.StatusGone {
		t.Errorf("the link afterwards: status %d", r.Status)
	}
}

// The sample beside the function is what API Gateway sends.
func TestSampleEventOfAnAnswer(t *testing.T) {
	doc, err := os.ReadFile("../../../functions/fanout-answer/event.json")
	if err != nil {
		t.Fatal(err)
	}
	var e events.APIGatewayProxyRequest
	if err := json.Unmarshal(doc, &e); err != nil {
		t.Fatal(err)
	}
	s, to := open(t, byPerson(gather("zendesk")), nil)
	secret, _, _ := strings.Cut(strings.TrimPrefix(e.Body, "t="), "&")
	if err := s.store.PutToken(t.Context(), ledger.Token{Hash: ledger.HashSecret(secret), RequestID: s.id, Purpose: ledger.TokenTask, Task: "zendesk#gather", Due: s.now}); err != nil {
		t.Fatal(err)
	}
	answer, err := web.Adapt(s.answer.Handle, slog.New(slog.DiscardHandler))(t.Context(), e)
	if err != nil || answer.StatusCode != http.StatusOK || s.newest(to, codeInMail) == "" {
		t.Errorf("status %d, %v", answer.StatusCode, err)
	}
}
