package notify_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/web"
)

func TestBeforeTheProofThePageSaysOnlyThatARequestWaits(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) { r.Status, r.VerifiedAt = dsr.Verifying, time.Time{} }, visit("app", dsr.Gather, dsr.VisitPlanned))
	secret := s.link()
	before := fmt.Sprintf("%+v", s.store)
	for _, r := range []web.Response{s.page(http.MethodGet, secret), s.page(http.MethodPost, secret, "step", "withdraw", "word", "withdraw"), s.page(http.MethodPost, secret, "step", "resend")} {
		if r.Status != http.StatusOK || !strings.Contains(string(r.Body), "A request waits to be confirmed.") {
			t.Errorf("status %d", r.Status)
		}
		for _, hidden := range []string{string(s.id), "PythonMaster learning platform", "2 December 2026", "withdraw it"} {
			if strings.Contains(string(r.Body), hidden) {
				t.Errorf("the page tells %q", hidden)
			}
		}
	}
	if fmt.Sprintf("%+v", s.store) != before || len(s.machine.stopped) != 0 || len(s.mail.All()) != 0 {
		t.Error("something happened before the proof")
	}
}

func TestStatusPage(t *testing.T) {
	withPerson := visit("zendesk", dsr.Gather, dsr.VisitWithPerson)
	withPerson.Person = &dsr.PersonTask{Assignee: "support_lead"}
	s := newStand(t, access, visit("app", dsr.Gather, dsr.VisitSettled, exported), withPerson, visit("stripe", dsr.Gather, dsr.VisitErasing, deferred), visit("files", dsr.Gather, dsr.VisitPlanned))
	secret := s.link()
	before := fmt.Sprintf("%+v", s.store)
	page := string(s.page(http.MethodGet, secret).Body)
	for _, want := range []string{"the PythonMaster learning platform", "in your copy: 2 records", "with a person of our team", "not finished; we try again", "not started", "2 December 2026", string(s.id), "privacy@pythonmaster.com", "withdraw"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, dsrtest.Ada.Email) || strings.Contains(page, dsrtest.Ada.Name) {
		t.Error("who holds the link alone reads the person's name")
	}
	s.page(http.MethodPost, secret)
	s.page(http.MethodPost, secret, "step", "nonsense")
	if fmt.Sprintf("%+v", s.store) != before {
		t.Error("looking changed the ledger")
	}
}

func TestStatusSaysWhereTheRequestStands(t *testing.T) {
	for status, want := range map[dsr.Status]string{
		dsr.Running: "We are working on", dsr.NeedsAttention: "A person of our team looks into", dsr.Answered: "a part of it is not finished", dsr.Completed: "is completed",
		dsr.Withdrawn: "You withdrew", dsr.Merged: "goes on as part of an earlier one", dsr.Denied: "is closed",
	} {
		s := newStand(t, func(r *ledger.Request) { r.Status = status })
		if page := s.page(http.MethodGet, s.link()); !strings.Contains(string(page.Body), want) {
			t.Errorf("%s: the page does not say %q", status, want)
		}
	}
}

func TestLinksOfTheStatusPage(t *testing.T) {
	s := newStand(t, nil)
	secret := s.link()
	other, hash := ledger.NewSecret()
	if err := s.store.PutToken(t.Context(), ledger.Token{Hash: hash, RequestID: s.id, Purpose: ledger.TokenDownload, Due: s.now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, secret string
		after        time.Duration
		status       int
	}{{"none", "", 0, 404}, {"of nobody's", "x", 0, 404}, {"to the download", other, 0, 404}, {"works", secret, time.Hour, 200}, {"expired", secret, time.Hour + time.Second, 410}} {
		s.now = start.Add(time.Hour + c.after)
		if r := s.page(http.MethodGet, c.secret); r.Status != c.status {
			t.Errorf("%s: status %d, want %d", c.name, r.Status, c.status)
		}
	}
}

func TestWithdraw(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*ledger.Request)
		word   string
		status int
		ok     bool
	}{
		{"while it runs", nil, "withdraw", 200, true},
		{"in capitals", nil, " Withdraw ", 200, true},
		{"while it is with a person", func(r *ledger.Request) { r.Status = dsr.NeedsAttention }, "withdraw", 200, true},
		{"nothing typed, as scanners do", nil, "", 400, false},
		{"another word", nil, "yes", 400, false},
		{"erasing has begun", func(r *ledger.Request) { r.ErasingAt = start }, "withdraw", 409, false},
		{"completed", func(r *ledger.Request) { r.Status = dsr.Completed }, "withdraw", 409, false},
		{"answered", func(r *ledger.Request) { r.Status = dsr.Answered }, "withdraw", 409, false},
		{"merged", func(r *ledger.Request) { r.Status = dsr.Merged }, "withdraw", 409, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t, c.change)
			was := s.request().Status
			page := s.page(http.MethodPost, s.link(), "step", "withdraw", "word", c.word)
			r := s.request()
			if page.Status != c.status || (r.Status == dsr.Withdrawn) != c.ok || !c.ok && r.Status != was {
				t.Errorf("status %d, the request is %s", page.Status, r.Status)
			}
			if (s.count(dsr.EventWithdrawn) == 1) != c.ok || slices.Equal(s.machine.stopped, []int{1}) != c.ok || c.ok == r.ClosedAt.IsZero() {
				t.Errorf("stopped %v, closed %v", s.machine.stopped, r.ClosedAt)
			}
			if offered := strings.Contains(string(s.page(http.MethodGet, s.link()).Body), `value="withdraw"`); offered != (!c.ok && c.status == 400) {
				t.Errorf("the page offers to withdraw: %v", offered)
			}
		})
	}
}

func TestMachineThatDoesNotStopIsNoFailureForThePerson(t *testing.T) {
	s := newStand(t, nil)
	s.machine.fail = errors.New("stopping: no answer")
	if r := s.page(http.MethodPost, s.link(), "step", "withdraw", "word", "withdraw"); r.Status != http.StatusOK || s.request().Status != dsr.Withdrawn {
		t.Errorf("status %d, %s", r.Status, s.request().Status)
	}
	if !strings.Contains(s.log.String(), string(s.id)) {
		t.Error("the log names no request")
	}
}

func TestResend(t *testing.T) {
	s := newStand(t, access, visit("app", dsr.Gather, dsr.VisitSettled, exported))
	secret := s.link()
	if r := s.page(http.MethodPost, secret, "step", "resend"); r.Status != http.StatusConflict || len(s.mail.All()) != 0 {
		t.Errorf("before the copy is delivered: status %d", r.Status)
	}
	s.tell("copy")
	due := s.request().Bundle.Due
	s.now = s.now.Add(30 * time.Minute)
	for i := range 4 {
		want := http.StatusOK
		if i == 3 {
			want = http.StatusTooManyRequests
		}
		if r := s.page(http.MethodPost, secret, "step", "resend"); r.Status != want {
			t.Errorf("resend %d: status %d, want %d", i+1, r.Status, want)
		}
	}
	if len(s.mail.To(dsrtest.Ada.Email)) != 4 || !s.request().Bundle.Due.Equal(due) {
		t.Errorf("%d mails, due %v; the fortnight began with the first", len(s.mail.All()), s.request().Bundle.Due)
	}
	s.change(func(r *ledger.Request) { r.Bundle.Due = s.now.Add(-time.Second) }) // the sweep has not come yet
	if r := s.page(http.MethodPost, secret, "step", "resend"); r.Status != http.StatusConflict || len(s.mail.All()) != 4 {
		t.Errorf("after its time: status %d, %d mails", r.Status, len(s.mail.All()))
	}
	s.change(func(r *ledger.Request) { r.Bundle.Due, r.Bundle.DeletedAt = due, s.now })
	if r := s.page(http.MethodPost, secret, "step", "resend"); r.Status != http.StatusConflict {
		t.Errorf("after it was deleted: status %d", r.Status)
	}
	if strings.Contains(string(s.page(http.MethodGet, secret).Body), `value="resend"`) {
		t.Error("the page offers a copy that is gone")
	}
}

// The sample beside the function is what API Gateway sends.
func TestSampleEventOfTheStatusPage(t *testing.T) {
	doc, err := os.ReadFile("../../../functions/notify-status/event.json")
	if err != nil {
		t.Fatal(err)
	}
	var e events.APIGatewayProxyRequest
	if err := json.Unmarshal(doc, &e); err != nil {
		t.Fatal(err)
	}
	s := newStand(t, nil)
	if err := s.store.PutToken(t.Context(), ledger.Token{Hash: ledger.HashSecret(e.QueryStringParameters["t"]), RequestID: s.id, Purpose: ledger.TokenStatus, Due: s.now}); err != nil {
		t.Fatal(err)
	}
	answer, err := web.Adapt(s.status.Handle, slog.New(slog.DiscardHandler))(t.Context(), e)
	if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(answer.Body, string(s.id)) {
		t.Errorf("status %d, %v", answer.StatusCode, err)
	}
}
