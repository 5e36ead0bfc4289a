package notify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/notify"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
	"github.com/writ-dsr/writ/shared/platform/mail"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	erased   = dsr.Outcome{Category: "account", Kind: dsr.Erased, Count: 2}
	deferred = dsr.Outcome{Category: "account", Kind: dsr.Deferred, DueAt: start.Add(48 * time.Hour), Reason: "not_finished"}
	exported = dsr.Outcome{Category: "account", Kind: dsr.Exported, Count: 2}
	nothing  = dsr.Outcome{Category: "account", Kind: dsr.NotHeld}
)

func access(r *ledger.Request) {
	r.Rights = []dsr.Right{dsr.Access}
	r.Bundle = &ledger.Bundle{Files: []ledger.BundleFile{{Key: "bundles/x/copy.zip"}}, BuiltAt: start}
}

func both(r *ledger.Request) {
	access(r)
	r.Rights = append(r.Rights, dsr.Erasure)
}

func TestCopyIsMailedOnce(t *testing.T) {
	s := newStand(t, access, visit("app", dsr.Gather, dsr.VisitSettled, exported))
	if !s.tell("copy") || s.tell("copy") || len(s.mail.All()) != 1 {
		t.Fatalf("%d mails, want one", len(s.mail.All()))
	}
	r := s.request()
	if !r.Bundle.DeliveredAt.Equal(s.now) || !r.Bundle.Due.Equal(s.now.Add(notify.BundleLife)) || r.Status != dsr.Running {
		t.Errorf("delivered as %+v, %s", r.Bundle, r.Status)
	}
	text := s.mail.All()[0].Text
	for _, want := range []string{"https://writ.example/download?t=", "https://writ.example/status?t=", "in your copy: 2 records", "16 November 2026", string(s.id)} {
		if !strings.Contains(text, want) {
			t.Errorf("the mail lacks %q", want)
		}
	}
	if s.count(dsr.EventMailed) != 1 || r.Notices["copy#1"].MessageID == "" {
		t.Error("the mail is not recorded")
	}
	s.change(func(r *ledger.Request) { r.Bundle = &ledger.Bundle{Files: r.Bundle.Files, BuiltAt: s.now} }) // a fuller copy was built
	if !s.tell("copy") || s.request().Notices["copy#2"].MessageID == "" {
		t.Error("the fuller copy is not mailed")
	}
}

func TestFirstSentenceOfACopy(t *testing.T) {
	for _, c := range []struct {
		name   string
		visits []dsr.Visit
		says   string
	}{
		{"all there", []dsr.Visit{visit("app", dsr.Gather, dsr.VisitSettled, exported)}, "is ready; you can download it until"},
		{"a part", []dsr.Visit{visit("app", dsr.Gather, dsr.VisitSettled, exported), visit("zendesk", dsr.Gather, dsr.VisitWithPerson, deferred)}, "A first part"},
		{"an unknown person", []dsr.Visit{visit("app", dsr.Gather, dsr.VisitSettled, nothing)}, "hold no data about you"},
		{"nothing yet, but not all have looked", []dsr.Visit{visit("app", dsr.Gather, dsr.VisitSettled, nothing), visit("zendesk", dsr.Gather, dsr.VisitWithPerson, deferred)}, "A first part"},
	} {
		s := newStand(t, access, c.visits...)
		s.tell("copy")
		if !strings.Contains(s.mail.All()[0].Text, c.says) {
			t.Errorf("%s: %s", c.name, s.mail.All()[0].Text)
		}
	}
}

func TestCopyWithoutABundleIsAFault(t *testing.T) {
	for name, change := range map[string]func(*ledger.Request){
		"none":     func(r *ledger.Request) { r.Rights = []dsr.Right{dsr.Access} },
		"no files": func(r *ledger.Request) { access(r); r.Bundle.Files = nil },
		"deleted":  func(r *ledger.Request) { access(r); r.Bundle.DeletedAt = start },
	} {
		s := newStand(t, change)
		if _, err := s.subject.Handle(t.Context(), notify.Input{V: 1, RequestID: s.id, Run: 1, Notice: "copy"}); err == nil || len(s.mail.All()) != 0 {
			t.Errorf("%s: err %v, %d mails", name, err, len(s.mail.All()))
		}
	}
}

func TestAnswerIsToldOncePerStateOfTheOutcomes(t *testing.T) {
	s := newStand(t, nil, visit("app", dsr.Act, dsr.VisitErasing, deferred))
	if !s.tell("answer") || s.tell("answer") {
		t.Fatal("told never, or twice")
	}
	r := s.request()
	if r.Status != dsr.Answered || !r.AnsweredAt.Equal(s.now) || !r.ClosedAt.IsZero() || s.count(dsr.EventClosed) != 0 {
		t.Errorf("answered is not completed: %s, closed %v", r.Status, r.ClosedAt)
	}
	first := s.now
	s.now = s.now.Add(24 * time.Hour)
	again := deferred
	again.DueAt = s.now.Add(48 * time.Hour)
	s.settle("app#act", dsr.VisitErasing, again)
	if s.tell("answer") {
		t.Error("a new date to try again is told as news")
	}
	s.settle("app#act", dsr.VisitSettled, erased)
	if !s.tell("answer") || s.tell("answer") || len(s.mail.All()) != 2 {
		t.Fatalf("the follow-up: %d mails", len(s.mail.All()))
	}
	r = s.request()
	if r.Status != dsr.Completed || !r.AnsweredAt.Equal(first) || !r.ClosedAt.Equal(s.now) || s.count(dsr.EventClosed) != 1 {
		t.Errorf("%s, answered %v, closed %v", r.Status, r.AnsweredAt, r.ClosedAt)
	}
	if r.Notices["answer#1"].MessageID == r.Notices["answer#2"].MessageID {
		t.Error("two mails with one id: a bounce of the one would be taken for the other's")
	}
}

func TestUnverifiedIsToldOnce(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) { r.Status, r.VerifiedAt = dsr.Unverified, time.Time{} })
	if !s.tell("answer") || s.tell("answer") || s.tell("copy") || len(s.mail.All()) != 1 {
		t.Fatalf("%d mails, want one", len(s.mail.All()))
	}
	text := s.mail.All()[0].Text
	for _, want := range []string{"could not confirm", "nothing was looked up, sent or erased", "https://writ.example/", "If you disagree"} {
		if !strings.Contains(text, want) {
			t.Errorf("the mail lacks %q", want)
		}
	}
	if strings.Contains(text, "/status?t=") || strings.Contains(text, "/download?t=") {
		t.Error("an unproved person gets a link to the request")
	}
	if s.request().Status != dsr.Unverified {
		t.Error("the mail changed the request")
	}
}

func TestNobodyIsToldOfARequestThatStands(t *testing.T) {
	for name, change := range map[string]func(*ledger.Request){
		"withdrawn":      func(r *ledger.Request) { r.Status = dsr.Withdrawn },
		"disowned":       func(r *ledger.Request) { r.Status, r.VerifiedAt = dsr.Disowned, time.Time{} },
		"merged":         func(r *ledger.Request) { r.Status = dsr.Merged },
		"with its owner": func(r *ledger.Request) { r.Status = dsr.NeedsAttention },
		"verifying":      func(r *ledger.Request) { r.Status, r.VerifiedAt = dsr.Verifying, time.Time{} },
	} {
		s := newStand(t, change, visit("app", dsr.Act, dsr.VisitSettled, erased))
		if s.tell("answer") || s.tell("copy") || len(s.mail.All()) != 0 {
			t.Errorf("%s: a mail went out", name)
		}
	}
	s := newStand(t, func(r *ledger.Request) { r.Run = 2 }, visit("app", dsr.Act, dsr.VisitSettled, erased))
	if out, err := s.subject.Handle(t.Context(), notify.Input{V: 1, RequestID: s.id, Run: 1, Notice: "answer"}); err != nil || out.Sent {
		t.Errorf("a stale run: %+v, %v", out, err)
	}
}

func TestMailThatFailsSettlesNothing(t *testing.T) {
	s := newStand(t, nil, visit("app", dsr.Act, dsr.VisitSettled, erased))
	s.mail.Fail = func(mail.Message) error {
		return &connector.Error{Kind: connector.Unavailable, Err: errors.New("no answer")}
	}
	_, err := s.subject.Handle(t.Context(), notify.Input{V: 1, RequestID: s.id, Run: 1, Notice: "answer"})
	if connector.KindOf(err) != connector.Unavailable {
		t.Errorf("the machine does not retry: %v", err)
	}
	if r := s.request(); r.Status != dsr.Running || r.Told != "" || len(r.Notices) != 0 {
		t.Errorf("settled all the same: %+v", r)
	}
}

// A person who withdraws while the mail goes out stays withdrawn.
func TestAnswerDoesNotReopenAWithdrawnRequest(t *testing.T) {
	s := newStand(t, nil, visit("app", dsr.Act, dsr.VisitSettled, nothing))
	s.mail.Fail = func(mail.Message) error {
		s.change(func(r *ledger.Request) { r.Status = dsr.Withdrawn })
		return nil
	}
	s.tell("answer")
	if got := s.request().Status; got != dsr.Withdrawn {
		t.Errorf("the request is %s", got)
	}
}

// The whole answer, word for word: what each kind of outcome says, what comes
// first, and that nobody is told something is done that is not.
func TestWordsOfTheAnswers(t *testing.T) {
	every := []dsr.Outcome{
		{Category: "account", Kind: dsr.Exported, Count: 1},
		{Category: "account", Kind: dsr.Erased, Count: 2},
		{Category: "account", Kind: dsr.Anonymised, Count: 1},
		{Category: "marketing", Kind: dsr.Rectified, Count: 1},
		{Category: "marketing", Kind: dsr.Restricted, Count: 1},
		{Category: "marketing", Kind: dsr.Suppressed, Count: 1},
		{Category: "study_groups", Kind: dsr.NotHeld},
		{Category: "payments", Kind: dsr.Retained, Count: 3, Ground: "us_tax_records", Until: "2033-11-02"},
		{Category: "payments", Kind: dsr.Retained, Count: 3, Ground: connector.GroundHold, Until: "hold_lifted"},
		{Category: "account", Kind: dsr.Kept, Count: 1, Rule: "read_back"},
		{Category: "course_progress", Kind: dsr.Deferred, DueAt: start.AddDate(0, 0, 1), Reason: "not_finished"},
		{Category: "course_progress", Kind: dsr.Accepted, DueAt: start.AddDate(0, 0, 9)},
		{Category: "course_progress", Kind: dsr.Referred, To: "the bank"},
		{Category: "course_progress", Kind: dsr.Refused, Reason: connector.AnswerCannot},
		{Category: "course_progress", Kind: dsr.Refused, Reason: "no_export"},
		{Category: "course_progress", Kind: dsr.Refused, Reason: "anything"},
		{Category: "course_progress", Kind: dsr.Failed, Reason: "still_there"},
	}
	people := []dsr.Outcome{{Category: "support", Kind: dsr.Attested, By: "support_lead"}, {Category: "support", Kind: dsr.Attested, By: "support_lead", Count: 2}}
	done := visit("app", dsr.Act, dsr.VisitSettled, erased)
	words := visit(dsr.Officer, dsr.Gather, dsr.VisitSettled, dsr.Outcome{Category: dsr.Words, Kind: dsr.Attested, By: "privacy_officer"})
	var out bytes.Buffer
	for _, c := range []struct {
		name   string
		change func(*ledger.Request)
		visits []dsr.Visit
	}{
		{"every kind of outcome", nil, []dsr.Visit{visit("app", dsr.Act, dsr.VisitErasing, every...), visit("zendesk", dsr.Act, dsr.VisitSettled, people...)}},
		{"everything erased", nil, []dsr.Visit{done}},
		{"an unknown person", nil, []dsr.Visit{visit("app", dsr.Act, dsr.VisitSettled, nothing)}},
		{"erased and kept", nil, []dsr.Visit{visit("app", dsr.Act, dsr.VisitSettled, erased, every[7])}},
		{"kept alone", nil, []dsr.Visit{visit("app", dsr.Act, dsr.VisitSettled, every[7])}},
		{"erased in part", nil, []dsr.Visit{done, visit("stripe", dsr.Act, dsr.VisitErasing, deferred)}},
		{"nothing erased yet", nil, []dsr.Visit{visit("app", dsr.Act, dsr.VisitErasing, deferred)}},
		{"payments of a person in Germany", func(r *ledger.Request) { r.Country = "DE" }, []dsr.Visit{visit("app", dsr.Act, dsr.VisitSettled, dsr.Outcome{Category: "payments", Kind: dsr.Kept, Count: 1, Rule: "us_tax_records"})}},
		{"kept by a vendor", nil, []dsr.Visit{visit("stripe", dsr.Act, dsr.VisitSettled, dsr.Outcome{Category: "charge", Kind: dsr.Kept, Count: 1, Rule: "charge_record"})}},
		{"a copy and an erasure", both, []dsr.Visit{visit("app", dsr.Gather, dsr.VisitSettled, exported), done}},
		{"own words answered", func(r *ledger.Request) { r.Rights, r.Words = nil, true }, []dsr.Visit{words}},
		{"own words open", func(r *ledger.Request) { r.Rights, r.Words = nil, true }, []dsr.Visit{visit(dsr.Officer, dsr.Gather, dsr.VisitWithPerson, dsr.Outcome{Category: dsr.Words, Kind: dsr.Deferred, DueAt: start, Reason: "not_finished"})}},
	} {
		s := newStand(t, c.change, c.visits...)
		if !s.tell("answer") {
			t.Fatalf("%s: nothing was told", c.name)
		}
		m := s.mail.All()[0]
		text := regexp.MustCompile(`\?t=[A-Za-z0-9_-]+`).ReplaceAllString(strings.ReplaceAll(m.Text, string(s.id), "REFERENCE"), "?t=SECRET")
		out.WriteString("=== " + c.name + "\n" + m.Subject + "\n\n" + text + "\n")
		if strings.Contains(text, "from every system") != (c.name == "everything erased" || c.name == "a copy and an erasure") {
			t.Errorf("%s: says that everything is gone: %s", c.name, text)
		}
	}
	const golden = "testdata/answers.txt"
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("the words changed (run with -update after reading them):\n%s", diff)
	}
}

// The sample beside the function is what the machine sends.
func TestSampleEventOfAnAnswer(t *testing.T) {
	doc, err := os.ReadFile("../../../functions/notify-subject/event.json")
	if err != nil {
		t.Fatal(err)
	}
	var in notify.Input
	if err := json.Unmarshal(doc, &in); err != nil {
		t.Fatal(err)
	}
	s := newStand(t, nil, visit("app", dsr.Act, dsr.VisitSettled, erased))
	out, err := lambdax.Wrap(s.subject.Handle, slog.New(slog.DiscardHandler))(t.Context(), bytes.ReplaceAll(doc, []byte(in.RequestID), []byte(s.id)))
	if err != nil || !out.(notify.Output).Sent || len(s.mail.To(dsrtest.Ada.Email)) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
}
