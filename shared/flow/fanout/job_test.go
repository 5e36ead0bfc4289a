package fanout_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/policy"
)

func rectify(system string) dsr.Visit {
	return dsr.Visit{System: system, Phase: dsr.Act, Ops: []dsr.Op{dsr.Rectify, dsr.ReadBack}, Categories: []string{"account"}, Rights: []dsr.Right{dsr.Rectification}}
}

func stop(system string, purposes ...dsr.Purpose) dsr.Visit {
	return dsr.Visit{System: system, Phase: dsr.Act, Ops: []dsr.Op{dsr.Suppress}, Categories: []string{"account"}, Purposes: purposes}
}

func tell() dsr.Visit {
	return byPerson(dsr.Visit{System: dsr.RecipientSystem("partner"), Recipient: "partner", Phase: dsr.Act, Wave: 9, Categories: []string{"account"}, Rights: []dsr.Right{dsr.Rectification}})
}

func read(rights ...dsr.Right) dsr.Visit {
	return byPerson(dsr.Visit{System: dsr.Officer, Phase: dsr.Gather, Categories: []string{dsr.Words}, Rights: rights})
}

// located is a gathering that found Ada's rows.
func located() dsr.Visit {
	v := settled(gather("app"))
	v.Ops, v.Steps = []dsr.Op{dsr.Locate}, map[dsr.Op]dsr.Step{dsr.Locate: {Done: true}}
	return v
}

// withPartner gives the company a recipient that no system reaches.
func (s *stand) withPartner(mail string) {
	c := *s.company
	c.Receivers = append(slices.Clone(c.Receivers), policy.Recipient{ID: "partner", Name: "Partner Ltd", Told: true, Mail: mail, Where: "the form on partner.example", Categories: []string{"account"}})
	s.company, s.manual.Company, s.answer.Company, s.task.Company = &c, &c, &c, &c
}

func TestCorrection(t *testing.T) {
	s := newStand(t, nil, located(), rectify("app"))
	s.sealFootprint()
	s.done(dsr.Act)
	v := s.visit("app#act")
	if !v.Settled() || kinds(v) != "rectified" || v.Outcomes[0].Count != 2 || s.vendor.phones["r1"] != dsrtest.Ada.Phone {
		t.Errorf("left as %+v", v.Outcomes)
	}
	refs := v.Steps[dsr.Rectify].Refs
	if len(refs) != 2 || !strings.HasPrefix(refs[0], connector.PrintBefore) || !strings.HasPrefix(refs[1], connector.PrintAfter) {
		t.Errorf("the evidence is %v", refs)
	}
}

// A vendor that only says so is found out, a person is asked, and once it is
// mended the same visit corrects.
func TestCorrectionThatDidNotTake(t *testing.T) {
	s := newStand(t, nil, located(), rectify("app"))
	s.sealFootprint()
	s.vendor.deaf = true
	var out fanout.Output
	for range 6 { // the read-back is given a little time
		var err error
		if out, err = s.visitApp(dsr.Act); err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(time.Minute)
	}
	if out.Status != string(connector.Person) || out.Cause != connector.CauseNotChanged {
		t.Fatalf("ended as %+v", out)
	}
	s.vendor.deaf = false
	if _, err := s.manual.Handle(t.Context(), fanout.ManualInput{V: 1, RequestID: s.id, Run: 1, System: "app", Phase: dsr.Act, Cause: out.Cause, TaskToken: "w"}); err != nil {
		t.Fatal(err)
	}
	page := string(s.post(platform, "step", "open", "code", s.code(platform)).Body)
	for _, want := range []string{"Correct the person", "phone number", "5550zq7canary1", "looked again that it reads so"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if r := s.say(platform, connector.AnswerAgain); r.Status != http.StatusOK {
		t.Fatalf("status %d", r.Status)
	}
	s.done(dsr.Act)
	if v := s.visit("app#act"); !v.Settled() || kinds(v) != "rectified" {
		t.Errorf("left as %s", kinds(v))
	}
}

func TestChangeOfAddressCoolsOff(t *testing.T) {
	day := start.Add(7 * 24 * time.Hour)
	act, told := rectify("app"), tell()
	act.NotBefore, told.NotBefore = day, day
	s := newStand(t, nil, located(), act, told)
	s.withPartner("")
	s.sealFootprint()
	s.done(dsr.Act)
	s.ask(told.System, dsr.Act, "w")
	for _, task := range []string{"app#act", told.Task()} {
		v := s.visit(task)
		if v.Settled() || kinds(v) != "deferred" || !v.Outcomes[0].DueAt.Equal(day) || v.Outcomes[0].Reason != fanout.CoolingOff || v.Person != nil {
			t.Errorf("%s waits as %+v", task, v.Outcomes)
		}
	}
	if s.vendor.calls+len(s.mail.All()) != 0 || !slices.Equal(s.machine.released, []string{"w done"}) {
		t.Errorf("%d calls, %d mails, released %v", s.vendor.calls, len(s.mail.All()), s.machine.released)
	}
	s.now = day
	s.done(dsr.Act)
	if v := s.visit("app#act"); !v.Settled() || kinds(v) != "rectified" {
		t.Errorf("on its day it is left as %s", kinds(v))
	}
}

func TestStopping(t *testing.T) {
	for _, c := range []struct {
		name     string
		purposes []dsr.Purpose
		stops    dsr.Purpose
		status   string
		outcomes string
	}{
		{"a mark", []dsr.Purpose{dsr.Marketing}, dsr.Marketing, "done", "suppressed"},
		{"a restriction is told as one", []dsr.Purpose{dsr.Storage}, dsr.Storage, "done", "restricted"},
		{"no mark for it", []dsr.Purpose{dsr.Sale}, dsr.Marketing, "person", ""},
		{"a mark for one of two", []dsr.Purpose{dsr.Marketing, dsr.Sale}, dsr.Marketing, "person", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t, nil, located(), stop("app", c.purposes...))
			s.sealFootprint()
			s.vendor.stops = c.stops
			out, err := s.visitApp(dsr.Act)
			if err != nil || out.Status != c.status {
				t.Fatalf("%+v, %v", out, err)
			}
			v := s.visit("app#act")
			if !s.request().ErasingAt.IsZero() {
				t.Error("a mark ends the right to withdraw")
			}
			if c.status == "done" {
				if !v.Settled() || kinds(v) != c.outcomes {
					t.Errorf("left as %s", kinds(v))
				}
				return
			}
			if out.Cause != connector.CauseNotMarked {
				t.Errorf("cause %s", out.Cause)
			}
			s.ask("app", dsr.Act, "w")
			if page := string(s.post(platform, "step", "open", "code", s.code(platform)).Body); !strings.Contains(page, "Do not sell the data") {
				t.Error("the page does not say what must stop")
			}
			s.say(platform, connector.AnswerDone)
			s.done(dsr.Act)
			if v := s.visit("app#act"); !v.Settled() || kinds(v) != "attested" || !s.request().ErasingAt.IsZero() {
				t.Errorf("left as %s", kinds(v))
			}
		})
	}
}

// A mark that was added after a person was asked is set when they say so.
func TestStoppingAgain(t *testing.T) {
	s := newStand(t, nil, located(), stop("app", dsr.Sale))
	s.sealFootprint()
	s.vendor.stops = dsr.Marketing
	if out, err := s.visitApp(dsr.Act); err != nil || out.Cause != connector.CauseNotMarked {
		t.Fatalf("%+v, %v", out, err)
	}
	s.ask("app", dsr.Act, "w")
	s.vendor.stops = dsr.Sale
	s.say(platform, connector.AnswerAgain)
	s.done(dsr.Act)
	if v := s.visit("app#act"); kinds(v) != "suppressed" || s.vendor.marks["r1"] != dsr.Sale {
		t.Errorf("left as %s, marks %v", kinds(v), s.vendor.marks)
	}
}

// What an opt-out does can be undone, so nobody asks for proof: the address that
// was given finds the record. It finds nothing for any other visit.
func TestStoppingNeedsNoProof(t *testing.T) {
	unproved := func(rights ...dsr.Right) func(*ledger.Request) {
		return func(r *ledger.Request) { r.Rights, r.VerifiedAt = rights, time.Time{} }
	}
	look := gather("app")
	look.Ops = []dsr.Op{dsr.Locate}
	s := newStand(t, unproved(dsr.ObjectionMarketing), look, stop("app", dsr.Marketing))
	s.vendor.stops = dsr.Marketing
	s.done(dsr.Gather)
	s.done(dsr.Act)
	if v := s.visit("app#act"); kinds(v) != "suppressed" || len(s.vendor.marks) != 2 || s.vendor.marks["r3"] != "" {
		t.Errorf("left as %s, marks %v", kinds(v), s.vendor.marks)
	}
	for name, c := range map[string]struct {
		rights []dsr.Right
		visit  dsr.Visit
	}{
		"a copy":                {[]dsr.Right{dsr.ObjectionMarketing}, gather("app")},
		"another right as well": {[]dsr.Right{dsr.ObjectionMarketing, dsr.Erasure}, look},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, unproved(c.rights...), c.visit)
			if _, err := s.visitApp(dsr.Gather); err != nil {
				t.Fatal(err)
			}
			if s.rows != 0 || slices.ContainsFunc(s.visit("app#gather").Outcomes, func(o dsr.Outcome) bool { return o.Count > 0 }) {
				t.Error("an unproved address shows records")
			}
		})
	}
}

func TestRecipientIsTold(t *testing.T) {
	corrected := settled(rectify("app"))
	corrected.Outcomes = []dsr.Outcome{{Category: "account", Kind: dsr.Rectified, Count: 1}}
	t.Run("by mail", func(t *testing.T) {
		s := newStand(t, nil, corrected, tell())
		s.withPartner(receiver)
		s.ask(tell().System, dsr.Act, "w")
		v := s.visit(tell().Task())
		if !v.Settled() || kinds(v) != "told" || len(v.Steps[fanout.StepTell].Refs) != 1 || !slices.Equal(s.machine.released, []string{"w done"}) {
			t.Errorf("left as %s, %+v", kinds(v), v.Steps)
		}
		all := s.mail.All()
		if len(all) != 1 || all[0].To != receiver || !strings.Contains(all[0].Text, dsrtest.Ada.Email) || !strings.Contains(all[0].Text, dsrtest.Ada.Phone) {
			t.Errorf("%d mails", len(all))
		}
		if day := s.request().DueAt.Format("2 January 2006"); !strings.Contains(all[0].Text, day) {
			t.Errorf("the recipient is not told to answer by %s", day)
		}
		if n, ok := s.request().Notices["recipient_partner#1"]; !ok || n.MessageID != v.Steps[fanout.StepTell].Refs[0] {
			t.Errorf("a bounce of the notice finds nothing: %+v", s.request().Notices)
		}
		s.ask(tell().System, dsr.Act, "w2") // the machine's retry
		if len(s.mail.All()) != 1 {
			t.Error("told twice")
		}
	})
	for _, c := range []struct{ answer, outcome, reason string }{
		{connector.AnswerDone, "told", ""}, {connector.ReasonGone, "impossible", "gone"}, {connector.ReasonNoContact, "impossible", "no_contact"}, {connector.ReasonDisproportionate, "impossible", "disproportionate"},
	} {
		t.Run("by a person: "+c.answer, func(t *testing.T) {
			s := newStand(t, nil, corrected, tell())
			s.withPartner("")
			s.ask(tell().System, dsr.Act, "w")
			if m := s.mail.To(officer); len(m) != 1 || !strings.Contains(m[0].Text, "Partner Ltd") {
				t.Fatalf("%d mails to the officer", len(m))
			}
			page := string(s.post(officer, "step", "open", "code", s.code(officer)).Body)
			for _, want := range []string{"Tell a recipient", dsrtest.Ada.Email, "zq7canary1", "form on partner.example", "I sent the notice", "disproportionate effort"} {
				if !strings.Contains(page, want) {
					t.Errorf("the page lacks %q", want)
				}
			}
			for _, no := range []string{connector.AnswerCannot, connector.AnswerNothingHeld, connector.AnswerUploaded} {
				if r := s.say(officer, no); r.Status != http.StatusBadRequest {
					t.Errorf("the answer %s is taken", no)
				}
				s.now = s.now.Add(time.Hour) // so many codes and no more an hour
			}
			if r := s.say(officer, c.answer); r.Status != http.StatusOK {
				t.Fatalf("status %d", r.Status)
			}
			v := s.visit(tell().Task())
			if !v.Settled() || kinds(v) != c.outcome || v.Outcomes[0].Reason != c.reason || v.Outcomes[0].Validate() != nil {
				t.Errorf("left as %+v", v.Outcomes)
			}
		})
	}
	t.Run("not before it is done", func(t *testing.T) {
		s := newStand(t, nil, rectify("app"), tell())
		s.withPartner(receiver)
		s.ask(tell().System, dsr.Act, "w")
		if v := s.visit(tell().Task()); v.Settled() || kinds(v) != "deferred" || len(s.mail.All()) != 0 || len(s.machine.released) != 1 {
			t.Errorf("left as %s, %d mails", kinds(v), len(s.mail.All()))
		}
	})
	t.Run("not of what did not happen", func(t *testing.T) {
		none := settled(rectify("app"))
		none.Outcomes = []dsr.Outcome{{Category: "account", Kind: dsr.NotHeld}}
		s := newStand(t, nil, none, tell())
		s.withPartner(receiver)
		s.ask(tell().System, dsr.Act, "w")
		if v := s.visit(tell().Task()); !v.Settled() || kinds(v) != "not_held" || len(s.mail.All()) != 0 {
			t.Errorf("left as %s, %d mails", kinds(v), len(s.mail.All()))
		}
	})
}

func TestRightsThatAPersonAnswers(t *testing.T) {
	for right, says := range map[dsr.Right]string{
		dsr.HumanReview: "decision that a computer made", dsr.Appeal: "give this task to a colleague", dsr.ChildReport: "data of a child", dsr.BalancingTest: "outweighs",
		dsr.OptOutOfSale: "Do not sell the data",
	} {
		t.Run(string(right), func(t *testing.T) {
			s, to := open(t, read(right), nil)
			page := string(s.post(to, "step", "open", "code", s.code(to)).Body)
			for _, want := range []string{says, "my words", "I answered the person"} {
				if !strings.Contains(page, want) {
					t.Errorf("the page lacks %q", want)
				}
			}
			if r := s.say(to, connector.AnswerNothingHeld); r.Status != http.StatusBadRequest {
				t.Error("that nothing is held is taken for an answer to words")
			}
			if r := s.say(to, connector.AnswerDone); r.Status != http.StatusOK || kinds(s.visit(read().Task())) != "attested" {
				t.Errorf("status %d, left as %s", r.Status, kinds(s.visit(read().Task())))
			}
		})
	}
	for _, r := range dsr.Rights() {
		if r.Means() != dsr.ByPerson {
			continue
		}
		s, to := open(t, read(r), nil)
		if page := string(s.post(to, "step", "open", "code", s.code(to)).Body); !strings.Contains(page, "<li>") {
			t.Errorf("the task of %s does not say what to do", r)
		}
	}
}

// An appeal goes to another role than the one that answered first.
func TestAppealHasASecondReader(t *testing.T) {
	first := ledger.NewRequestID()
	s := newStand(t, func(r *ledger.Request) { r.Parent, r.Rights = first, []dsr.Right{dsr.Appeal} }, read(dsr.Appeal))
	c := *s.company
	c.Requests = []policy.Request{{Right: dsr.Appeal, By: "support_lead"}}
	s.manual.Company = &c
	if err := s.store.CreateRequest(t.Context(), ledger.Request{ID: first}, ledger.SealedSubject{RequestID: first}, dsr.Event{RequestID: first, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: start}); err != nil {
		t.Fatal(err)
	}
	answered := byPerson(act("zendesk"))
	answered.RequestID, answered.Status, answered.Person = first, dsr.VisitSettled, &dsr.PersonTask{Assignee: "support_lead", AnsweredAt: start}
	if err := s.store.PlanVisits(t.Context(), []dsr.Visit{answered}); err != nil {
		t.Fatal(err)
	}
	s.ask(dsr.Officer, dsr.Gather, "w")
	if got := s.visit(read().Task()).Person.Assignee; got != fanout.OfficerRole {
		t.Errorf("the appeal is with %s, who answered first", got)
	}
	s = newStand(t, func(r *ledger.Request) { r.Rights = []dsr.Right{dsr.Appeal} }, read(dsr.Appeal))
	s.manual.Company = &c
	s.ask(dsr.Officer, dsr.Gather, "w")
	if got := s.visit(read().Task()).Person.Assignee; got != "support_lead" {
		t.Errorf("an appeal whose first answer nobody knows is with %s, want the pack's role", got)
	}
}
