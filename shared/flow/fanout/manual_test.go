package fanout_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
	"github.com/writ-dsr/writ/shared/platform/mail"
)

const (
	support  = "support-lead@pythonmaster.example"
	platform = "platform-lead@pythonmaster.example"
)

// token is the machine's token that the visit keeps, or "".
func (s *stand) token(task string) string {
	s.t.Helper()
	v := s.visit(task)
	if v.Person == nil || len(v.Person.SealedWait) == 0 {
		return ""
	}
	d, err := dossier.Open(s.t.Context(), s.store, s.keys, s.id)
	if err != nil {
		s.t.Fatal(err)
	}
	token, err := dossier.OpenWait(d.Box, s.id, task, v.Person.SealedWait)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

func TestTaskIsOpenedOnce(t *testing.T) {
	s := newStand(t, nil, byPerson(gather("zendesk")))
	for _, token := range []string{"one", "two", "three"} { // the machine's retries
		s.ask("zendesk", dsr.Gather, token)
		if got := s.token("zendesk#gather"); got != token {
			t.Errorf("the kept token is %q, want %q", got, token)
		}
	}
	v := s.visit("zendesk#gather")
	if v.Status != dsr.VisitWithPerson || v.Person.Assignee != "support_lead" || !v.Person.Due.Equal(s.margin()) || v.LeaseUntil.After(s.now) {
		t.Errorf("opened as %+v", v.Person)
	}
	all := s.mail.All()
	if len(all) != 1 || all[0].To != support {
		t.Fatalf("%d mails", len(all))
	}
	for _, want := range []string{"Zendesk", s.margin().Format("2 January 2006"), string(s.id), "https://writ.example/task?t="} {
		if !strings.Contains(all[0].Text, want) {
			t.Errorf("the mail lacks %q", want)
		}
	}
	if s.count("zendesk", dsr.EventPersonAsked) != 1 || len(s.machine.released) != 0 {
		t.Error("asked more than once, or the machine goes on")
	}
	s.change(func(r *ledger.Request) { r.Run = 2 }) // a later run finds the task open
	s.ask("zendesk", dsr.Gather, "four")
	if s.token("zendesk#gather") != "four" || len(s.mail.All()) != 1 {
		t.Error("the later run's token is not kept, or the person was asked again")
	}
}

func TestWhoIsAsked(t *testing.T) {
	for _, c := range []struct{ system, to, says string }{
		{"zendesk", support, "Zendesk"},
		{"app", platform, "learning platform"},
		{dsr.Officer, officer, "own words"},
		{"gone_from_the_pack", officer, "gone_from_the_pack"},
	} {
		s := newStand(t, nil, byPerson(gather(c.system)))
		s.ask(c.system, dsr.Gather, "x")
		if to := s.mail.To(c.to); len(to) != 1 || !strings.Contains(to[0].Text, c.says) {
			t.Errorf("%s: %d mails to %s of %d", c.system, len(to), c.to, len(s.mail.All()))
		}
	}
}

func TestEachCauseIsSaidInASentence(t *testing.T) {
	seen := map[string]bool{}
	for _, cause := range []string{connector.CauseManual, fanout.CauseMissingSecret, connector.CauseUnauthorized, connector.CauseUnsupported, connector.CauseInvalid,
		connector.CauseUnknownEffect, connector.CauseStillThere, connector.CauseNotChanged, connector.CauseNotMarked, connector.CauseInWords, connector.CauseCandidate, connector.CauseNotLocated, connector.CauseFault} {
		s := newStand(t, nil, gather("app"))
		if _, err := s.manual.Handle(t.Context(), fanout.ManualInput{V: 1, RequestID: s.id, Run: 1, System: "app", Phase: dsr.Gather, Cause: cause, TaskToken: "x"}); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(s.mail.All()[0].Text, "\n")
		why := lines[slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "needs you") })+2]
		if seen[why] || len(why) < 30 {
			t.Errorf("%s is said as %q", cause, why)
		}
		seen[why] = true
		if v := s.visit("app#gather"); v.Person.Cause != cause || v.Status != dsr.VisitWithPerson {
			t.Errorf("%s is kept as %+v", cause, v.Person)
		}
	}
}

// A visit in erasing stays so: the next call must read back first.
func TestAskingKeepsErasing(t *testing.T) {
	v := act("app")
	v.Status = dsr.VisitErasing
	s := newStand(t, nil, v)
	s.ask("app", dsr.Act, "x")
	if got := s.visit("app#act").Status; got != dsr.VisitErasing {
		t.Errorf("the visit is %s", got)
	}
}

// A function that was killed leaves its lease behind; the person is asked all
// the same, and what the dead one might still write is refused.
func TestLeaseOfADeadFunctionIsVoid(t *testing.T) {
	s := newStand(t, nil, gather("app"))
	dead, err := s.store.TakeVisit(t.Context(), s.id, "app#gather", 1, s.now, s.now.Add(15*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	s.ask("app", dsr.Gather, "x")
	if len(s.mail.All()) != 1 {
		t.Error("nobody was asked")
	}
	dead.Status = dsr.VisitSettled
	if err := s.store.SaveVisit(t.Context(), dead); !errors.Is(err, ledger.ErrStale) {
		t.Errorf("the dead function's write: %v", err)
	}
}

func TestMachineThatNeedNotWaitIsReleased(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*ledger.Request)
		visit  dsr.Visit
	}{
		{"a stale run", func(r *ledger.Request) { r.Run = 2 }, byPerson(gather("zendesk"))},
		{"withdrawn", func(r *ledger.Request) { r.Status = dsr.Withdrawn }, byPerson(gather("zendesk"))},
		{"with its owner", func(r *ledger.Request) { r.Status = dsr.NeedsAttention }, byPerson(gather("zendesk"))},
		{"settled", nil, settled(byPerson(gather("zendesk")))},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t, c.change, c.visit)
			before := s.snapshot()
			in := fanout.ManualInput{V: 1, RequestID: s.id, Run: 1, System: "zendesk", Phase: dsr.Gather, TaskToken: "x"}
			if _, err := s.manual.Handle(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(s.machine.released, []string{"x done"}) || len(s.mail.All()) != 0 || s.snapshot() != before {
				t.Errorf("released %v, %d mails", s.machine.released, len(s.mail.All()))
			}
		})
	}
}

func TestLateTaskIsDeferredAndStaysOpen(t *testing.T) {
	for name, change := range map[string]func(*stand){
		"at the margin":   func(s *stand) { s.now = s.margin() },
		"after an answer": func(s *stand) { s.change(func(r *ledger.Request) { r.Status, r.AnsweredAt = dsr.Answered, start }) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, nil, byPerson(gather("zendesk")))
			change(s)
			s.ask("zendesk", dsr.Gather, "x")
			v := s.visit("zendesk#gather")
			if !slices.Equal(s.machine.released, []string{"x done"}) || kinds(v) != "deferred" || v.Settled() || v.LeaseUntil.After(s.now) {
				t.Errorf("released %v, left as %s", s.machine.released, kinds(v))
			}
			if len(s.mail.To(support)) != 1 || s.token("zendesk#gather") != "" {
				t.Error("nobody was asked, or a spent token is kept")
			}
		})
	}
}

func TestPersonWhoCannotBeMailedIsNoOpenTask(t *testing.T) {
	s := newStand(t, nil, byPerson(gather("zendesk")))
	s.mail.Fail = func(mail.Message) error { return &connector.Error{Kind: connector.Unavailable} }
	in := fanout.ManualInput{V: 1, RequestID: s.id, Run: 1, System: "zendesk", Phase: dsr.Gather, Cause: connector.CauseManual, TaskToken: "x"}
	if _, err := s.manual.Handle(t.Context(), in); connector.KindOf(err) != connector.Unavailable {
		t.Fatalf("the machine does not retry: %v", err)
	}
	s.mail.Fail = nil
	if _, err := s.manual.Handle(t.Context(), in); err != nil || len(s.mail.All()) != 1 || s.token("zendesk#gather") != "x" {
		t.Errorf("the retry: %v, %d mails", err, len(s.mail.All()))
	}
}

func TestAttention(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*ledger.Request)
		run    int
		status dsr.Status
		owned  bool
	}{
		{"running", nil, 1, dsr.NeedsAttention, true},
		{"answered", func(r *ledger.Request) { r.Status = dsr.Answered }, 1, dsr.NeedsAttention, true},
		{"waits for its proof", func(r *ledger.Request) { r.Status, r.VerifiedAt = dsr.Verifying, time.Time{} }, 1, dsr.Verifying, true},
		{"closed for want of a proof, and not told", func(r *ledger.Request) { r.Status, r.VerifiedAt = dsr.Unverified, time.Time{} }, 1, dsr.Unverified, true},
		{"a stale run", func(r *ledger.Request) { r.Run = 2 }, 1, dsr.Running, false},
		{"withdrawn", func(r *ledger.Request) { r.Status = dsr.Withdrawn }, 1, dsr.Withdrawn, false},
		{"completed", func(r *ledger.Request) { r.Status = dsr.Completed }, 1, dsr.Completed, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t, c.change)
			in := fanout.ManualInput{V: 1, RequestID: s.id, Run: c.run, System: fanout.Self, Phase: dsr.Gather, Cause: "PlanRequest", TaskToken: "none"}
			if _, err := s.manual.Handle(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			r := s.request()
			if r.Status != c.status || (r.Owner == fanout.OfficerRole) != c.owned || (r.Reason == "PlanRequest") != c.owned {
				t.Errorf("%s, owner %q, reason %q", r.Status, r.Owner, r.Reason)
			}
			if n := len(s.mail.To(officer)); n != len(s.mail.All()) || (n == 1) != c.owned || (s.metric["needs_attention"] == 1) != c.owned {
				t.Errorf("%d mails, metric %v", n, s.metric)
			}
			if (s.count(dsr.RequestChain, dsr.EventAttention) == 1) != c.owned || len(s.machine.released) != 0 {
				t.Errorf("released %v", s.machine.released)
			}
		})
	}
}

func TestRemindAndEscalate(t *testing.T) {
	s := newStand(t, nil, byPerson(gather("zendesk")))
	s.ask("zendesk", dsr.Gather, "x")
	first := s.newest(support, linkInMail)
	s.now = start.Add(14 * 24 * time.Hour)
	if err := s.manual.Remind(t.Context(), s.id, "zendesk#gather", false); err != nil {
		t.Fatal(err)
	}
	v := s.visit("zendesk#gather")
	if len(s.mail.To(support)) != 2 || !v.Person.RemindedAt.Equal(s.now) || !v.Person.EscalatedAt.IsZero() || s.newest(support, linkInMail) == first {
		t.Errorf("reminded as %+v", v.Person)
	}
	if err := s.manual.Remind(t.Context(), s.id, "zendesk#gather", true); err != nil {
		t.Fatal(err)
	}
	v = s.visit("zendesk#gather")
	if len(s.mail.To(officer)) != 1 || v.Person.Assignee != fanout.OfficerRole || v.Person.EscalatedAt.IsZero() || v.LeaseUntil.After(s.now) {
		t.Errorf("escalated as %+v", v.Person)
	}
	if !strings.HasPrefix(s.mail.To(officer)[0].Subject, "Reminder: ") || s.count("zendesk", dsr.EventReminded) != 2 || s.token("zendesk#gather") != "x" {
		t.Error("the reminder does not say so, is not recorded, or the wait is lost")
	}
}

func TestExpireLetsTheMachineGo(t *testing.T) {
	s := newStand(t, nil, byPerson(gather("zendesk")))
	s.ask("zendesk", dsr.Gather, "x")
	s.now = s.margin()
	s.machine.fail = errors.New("releasing: no answer")
	if err := s.manual.Expire(t.Context(), s.id, "zendesk#gather"); err == nil {
		t.Error("a wait that goes on is no error")
	}
	if s.token("zendesk#gather") != "x" || kinds(s.visit("zendesk#gather")) != "deferred" {
		t.Fatal("the token of a wait that goes on is lost")
	}
	s.machine.fail = nil
	for range 2 {
		if err := s.manual.Expire(t.Context(), s.id, "zendesk#gather"); err != nil {
			t.Fatal(err)
		}
	}
	v := s.visit("zendesk#gather")
	if !slices.Equal(s.machine.released, []string{"x done"}) || s.token("zendesk#gather") != "" || v.Settled() || kinds(v) != "deferred" || v.LeaseUntil.After(s.now) {
		t.Errorf("released %v, left as %s", s.machine.released, kinds(v))
	}
	if s.newest(support, linkInMail) == "" || s.get(support).Status != 200 {
		t.Error("the link works no more")
	}
}

func TestAnsweredTaskIsNotRemindedOrExpired(t *testing.T) {
	v := byPerson(gather("zendesk"))
	v.Person = &dsr.PersonTask{Assignee: "support_lead", AnsweredAt: start, Answer: connector.AnswerDone}
	for name, visit := range map[string]dsr.Visit{"answered": v, "settled": settled(v)} {
		s := newStand(t, nil, visit)
		if err := errors.Join(s.manual.Remind(t.Context(), s.id, "zendesk#gather", true), s.manual.Expire(t.Context(), s.id, "zendesk#gather")); err != nil {
			t.Error(err)
		}
		got := s.visit("zendesk#gather")
		if len(s.mail.All()) != 0 || len(s.machine.released) != 0 || len(got.Outcomes) != 0 || got.LeaseUntil.After(s.now) {
			t.Errorf("%s: %d mails, released %v, %+v", name, len(s.mail.All()), s.machine.released, got)
		}
	}
}

// The sample beside the function is what the machine sends.
func TestSampleEventOfAPersonsTask(t *testing.T) {
	doc, err := os.ReadFile("../../../functions/fanout-manual/event.json")
	if err != nil {
		t.Fatal(err)
	}
	var in fanout.ManualInput
	if err := json.Unmarshal(doc, &in); err != nil {
		t.Fatal(err)
	}
	s := newStand(t, nil, byPerson(gather("zendesk")))
	if _, err := lambdax.Wrap(s.manual.Handle, slog.New(slog.DiscardHandler))(t.Context(), bytes.ReplaceAll(doc, []byte(in.RequestID), []byte(s.id))); err != nil || s.token("zendesk#gather") != in.TaskToken {
		t.Errorf("%v, token %q", err, s.token("zendesk#gather"))
	}
}
