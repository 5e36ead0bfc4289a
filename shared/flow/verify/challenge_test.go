package verify_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/verify"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/platform/mail"
)

func TestChallengeIsMailedOnceAndKeepsTheNewestToken(t *testing.T) {
	s := newStand(t)
	id := s.request(dsrtest.Ada, nil)
	for attempt := range 3 { // the machine's retries
		if _, err := s.challenge.Handle(t.Context(), verify.Input{V: 1, RequestID: id, Run: 1, TaskToken: fmt.Sprint("attempt-", attempt)}); err != nil {
			t.Fatal(err)
		}
	}
	all := s.mail.To(dsrtest.Ada.Email)
	if len(all) != 1 || len(s.mail.All()) != 1 {
		t.Fatalf("%d mails, %d to Ada; want one", len(s.mail.All()), len(all))
	}
	if strings.Contains(all[0].Text, s.codes[id]) || strings.Contains(all[0].HTML, s.codes[id]) {
		t.Error("the mail holds the code: who reads the mailbox alone could confirm")
	}
	if !strings.Contains(all[0].Text, "a copy of your data") || !strings.Contains(all[0].Text, "9 November 2026") {
		t.Errorf("the mail does not say what is asked and until when: %s", all[0].Text)
	}
	d, err := dossier.Open(t.Context(), s.ledger, s.keys, id)
	if err != nil {
		t.Fatal(err)
	}
	got, err := dossier.OpenWait(d.Box, id, "challenge", d.Request.SealedWait)
	if err != nil || got != "attempt-2" {
		t.Errorf("the kept token is %q, %v; want the newest", got, err)
	}
	if kinds := s.kinds(id); !slices.Equal(kinds, []dsr.EventKind{dsr.EventReceived, dsr.EventChallenged}) {
		t.Errorf("chain %v", kinds)
	}
	noCanary(t, "the ledger in clear", s.snapshot())
}

func TestChallengeOfAStaleRunWritesNothing(t *testing.T) {
	s := newStand(t)
	id := s.request(dsrtest.Ada, func(r *ledger.Request) { r.Run = 2 })
	before := s.snapshot()
	s.wait(id, 1)
	if s.snapshot() != before || len(s.mail.All()) != 0 {
		t.Error("a stale run wrote or mailed")
	}
}

func TestChallengeOfARequestThatWaitsNoMoreLetsTheMachineGo(t *testing.T) {
	for _, status := range []dsr.Status{dsr.Running, dsr.Disowned, dsr.Unverified, dsr.Merged, dsr.Withdrawn} {
		s := newStand(t)
		id := s.request(dsrtest.Ada, func(r *ledger.Request) { r.Status = status })
		s.wait(id, 1)
		if !slices.Equal(s.machine.released, []string{token(id, 1)}) || len(s.mail.All()) != 0 {
			t.Errorf("%s: released %v, %d mails", status, s.machine.released, len(s.mail.All()))
		}
	}
}

func TestChallengeOverTheCapIsMailedLater(t *testing.T) {
	s := newStand(t)
	id := s.asked(dsrtest.Ada, func(r *ledger.Request) { r.MailAfter = start.Add(time.Hour) })
	if len(s.mail.All()) != 0 {
		t.Fatal("mailed over the cap")
	}
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{59 * time.Minute, 0}, {time.Hour, 1}, {2 * time.Hour, 1}, {80 * time.Hour, 1}, {85 * time.Hour, 2}, {100 * time.Hour, 2}, {proofPeriod + time.Second, 2}} {
		s.now = start.Add(c.after)
		if err := s.challenge.Send(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if n := len(s.mail.All()); n != c.want {
			t.Errorf("after %v: %d mails, want %d", c.after, n, c.want)
		}
	}
	if n := s.count(id, dsr.EventReminded); n != 1 {
		t.Errorf("reminded %d times, want once", n)
	}
	if r := s.confirm(id, s.codes[id]); r.Status != 410 {
		t.Errorf("the reminder's link after its time: status %d, want 410", r.Status)
	}
}

func TestReminderCarriesAWorkingLink(t *testing.T) {
	s := newStand(t)
	id := s.asked(dsrtest.Ada, nil)
	first := s.link(id, "/confirm")
	s.now = start.Add(90 * time.Hour)
	if err := s.challenge.Send(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	second := s.link(id, "/confirm")
	if first == second {
		t.Fatal("the reminder has the first mail's link: its secret must be kept nowhere")
	}
	if r := s.confirm(id, s.codes[id]); r.Status != 200 {
		t.Errorf("status %d", r.Status)
	}
	if r := s.do("POST", "/confirm", first, "code", s.codes[id], "confirm", "yes"); r.Status != 410 {
		t.Errorf("the first link after the confirmation: status %d, want 410", r.Status)
	}
	if n := s.count(id, dsr.EventVerified); n != 1 {
		t.Errorf("verified %d times", n)
	}
}

func TestMailThatFailsIsNotRecordedAsSent(t *testing.T) {
	s := newStand(t)
	id := s.request(dsrtest.Ada, nil)
	s.mail.Fail = func(mail.Message) error { return errors.New("mailing: no answer") }
	_, err := s.challenge.Handle(t.Context(), verify.Input{V: 1, RequestID: id, Run: 1, TaskToken: "a"})
	if err == nil {
		t.Fatal("no error")
	}
	noCanary(t, "the error", err.Error())
	if len(s.read(id).Notices) != 0 {
		t.Error("a mail that did not go is recorded")
	}
	s.mail.Fail = nil
	s.wait(id, 1)
	if len(s.mail.All()) != 1 {
		t.Error("the retry did not mail")
	}
}

func TestLapse(t *testing.T) {
	s := newStand(t)
	id := s.asked(dsrtest.Ada, nil)
	s.now = start.Add(proofPeriod) // the last moment counts
	if err := s.challenge.Lapse(t.Context(), id); err != nil || s.read(id).Status != dsr.Verifying {
		t.Fatalf("at the last moment: %v, %s", err, s.read(id).Status)
	}
	s.now = s.now.Add(time.Second)
	s.machine.fail = errors.New("releasing: no answer")
	if err := s.challenge.Lapse(t.Context(), id); err == nil {
		t.Error("a wait that could not be ended is no error")
	}
	s.machine.fail = nil
	if err := s.challenge.Lapse(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	r := s.read(id)
	if r.Status != dsr.Unverified || r.Reason != "no_proof" || !r.ClosedAt.Equal(s.now) {
		t.Errorf("closed as %+v", r)
	}
	if n := s.count(id, dsr.EventUnverified); n != 1 || !slices.Equal(s.machine.released, []string{token(id, 1)}) {
		t.Errorf("%d events, released %v", n, s.machine.released)
	}
}

func TestLapseLeavesAProvedRequestAlone(t *testing.T) {
	s := newStand(t)
	id := s.asked(dsrtest.Ada, nil)
	if r := s.confirm(id, s.codes[id]); r.Status != 200 {
		t.Fatalf("status %d", r.Status)
	}
	s.now = start.Add(proofPeriod + time.Hour)
	before := s.snapshot()
	if err := s.challenge.Lapse(t.Context(), id); err != nil || s.snapshot() != before {
		t.Errorf("a proved request lapsed: %v", err)
	}
}

// mute refuses every write of a request.
type mute struct{ verify.ChallengeLedger }

func (mute) SaveRequest(context.Context, ledger.Request) error {
	return errors.New("writing: no answer")
}

func TestChallengeThatCannotKeepItsTokenDoesNotMail(t *testing.T) {
	s := newStand(t)
	id := s.request(dsrtest.Ada, nil)
	s.challenge.Ledger = mute{s.ledger}
	if _, err := s.challenge.Handle(t.Context(), verify.Input{V: 1, RequestID: id, Run: 1, TaskToken: "a"}); err == nil || len(s.mail.All()) != 0 {
		t.Errorf("err %v, %d mails", err, len(s.mail.All()))
	}
}
