package notify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/notice"
	"github.com/writ-dsr/writ/shared/policy"
)

func asks(place dsr.Place, rights ...dsr.Right) func(*ledger.Request) {
	return func(r *ledger.Request) {
		r.Rights = rights
		r.Country = place.Country()
		_, r.State, _ = strings.Cut(string(place), "-")
	}
}

func outcome(category string, kind dsr.OutcomeKind) dsr.Outcome {
	return dsr.Outcome{Category: category, Kind: kind, Count: 1}
}

// own is Writ's own records and what was decided without a visit.
func own(outcomes ...dsr.Outcome) dsr.Visit {
	return visit(dsr.Itself, dsr.Act, dsr.VisitSettled, outcomes...)
}

// said returns the notices that a mail was recorded as.
func (s *stand) said(name string) []string {
	s.t.Helper()
	events, err := s.store.Events(s.t.Context(), s.id, dsr.RequestChain)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range events {
		if e.Kind != dsr.EventMailed || e.Detail["notice"] != name {
			continue
		}
		kinds, versions := texts(e.Detail["kinds"]), texts(e.Detail["versions"])
		for i, k := range kinds {
			if versions[i] != notice.Version(k) {
				s.t.Errorf("%s is recorded in version %q", k, versions[i])
			}
		}
		if e.Detail["language"] != "en" {
			s.t.Errorf("recorded in the language %v", e.Detail["language"])
		}
		return kinds
	}
	s.t.Fatalf("no event tells of the mail %s", name)
	return nil
}

func texts(v any) []string {
	switch all := v.(type) {
	case []string:
		return all
	case []any:
		var out []string
		for _, x := range all {
			out = append(out, x.(string))
		}
		return out
	}
	return nil
}

// Which notices an answer is made of follows from what was asked and decided, and
// each says what only it says.
func TestAnswerIsTheNoticesOfWhatWasAsked(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*ledger.Request)
		visits []dsr.Visit
		kinds  []string
		says   []string
		never  []string
	}{
		"erasure": {asks("PL", dsr.Erasure), []dsr.Visit{visit("app", dsr.Act, dsr.VisitSettled, outcome("account", dsr.Erased)), own(dsr.Outcome{Category: dsr.RequestRecord, Kind: dsr.Retained, Ground: policy.GroundAccountability, Until: "2028-11-02"})},
			[]string{policy.NoticeErasure}, []string{"from every system", "UODO", "go to court", "We keep that record until 2 November 2028", "Safety copies"}, []string{"request_record", "except for what"}},
		"rectification": {asks("PL", dsr.Rectification), []dsr.Visit{visit("app", dsr.Act, dsr.VisitSettled, outcome("account", dsr.Rectified))},
			[]string{policy.NoticeRectification}, []string{"We have corrected your data.", "What we changed\n- name", "Where\n- the PythonMaster learning platform"}, nil},
		"nothing to correct": {asks("PL", dsr.Rectification), []dsr.Visit{visit("app", dsr.Act, dsr.VisitSettled, nothing)},
			[]string{policy.NoticeRectification}, []string{"nothing to correct"}, []string{"We have corrected"}},
		"restriction": {asks("PL", dsr.Restriction), []dsr.Visit{visit("app", dsr.Act, dsr.VisitSettled, outcome("account", dsr.Restricted))},
			[]string{policy.NoticeRestriction}, []string{"We keep your data and no longer use it", "before we use it again"}, nil},
		"objection": {asks("PL", dsr.Objection), []dsr.Visit{visit("app", dsr.Act, dsr.VisitSettled, outcome("account", dsr.Suppressed))},
			[]string{policy.NoticeOptOut}, []string{"We have stopped the use that you object to.", "while we weigh your reasons"}, nil},
		"no marketing": {asks("PL", dsr.ObjectionMarketing), []dsr.Visit{visit("app", dsr.Act, dsr.VisitSettled, outcome("marketing", dsr.Suppressed))},
			[]string{policy.NoticeOptOut}, []string{"We have stopped marketing.", "So that it lasts"}, []string{"We do not ask you to change your mind before"}},
		"no sale": {asks("US-CA", dsr.OptOutOfSale), []dsr.Visit{own(outcome(dsr.SuppressionRow, dsr.Suppressed))},
			[]string{policy.NoticeOptOut}, []string{"We do not do what you asked us to stop", "We do not ask you to change your mind before 2 November 2027"}, []string{"We have stopped", "suppression_row"}},
		"recipients": {asks("PL", dsr.Recipients), []dsr.Visit{visit("app", dsr.Gather, dsr.VisitSettled)},
			[]string{policy.NoticeStatement}, []string{"who got your data", "Who gets data from us", "Stripe"}, []string{"hold no data about you"}},
		"a question": {asks("PL", dsr.Inquiry), []dsr.Visit{visit(dsr.Officer, dsr.Gather, dsr.VisitSettled, dsr.Outcome{Category: dsr.Words, Kind: dsr.Attested, By: "privacy_officer"})},
			[]string{policy.NoticeAnswer}, []string{"A person of our team has dealt with your request"}, nil},
		"a question that was not answered": {asks("PL", dsr.Inquiry), []dsr.Visit{visit(dsr.Officer, dsr.Gather, dsr.VisitSettled, dsr.Outcome{Category: dsr.Words, Kind: dsr.Refused, Reason: connector.AnswerCannot})},
			[]string{policy.NoticeAnswer}, []string{"we cannot do what you asked", "go to court"}, []string{"has dealt with"}},
		"two at once": {asks("PL", dsr.ObjectionMarketing, dsr.Erasure), []dsr.Visit{visit("app", dsr.Act, dsr.VisitSettled, outcome("account", dsr.Erased), outcome("marketing", dsr.Suppressed))},
			[]string{policy.NoticeErasure, policy.NoticeOptOut}, []string{"We have erased your data from every system", "We have stopped marketing."}, nil},
		"recipients told": {asks("PL", dsr.Erasure), []dsr.Visit{visit("app", dsr.Act, dsr.VisitSettled, outcome("account", dsr.Erased)),
			visit("stripe", dsr.Act, dsr.VisitSettled, dsr.Outcome{Category: "payments", Kind: dsr.Told}, dsr.Outcome{Category: "account", Kind: dsr.Impossible, Reason: connector.ReasonNoContact})},
			[]string{policy.NoticeErasure}, []string{"Whom we told", "told of it", "could not be told (nobody knows how to reach them)"}, []string{"nobody else whom we had to tell"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, c.change, c.visits...)
			s.subjectHas(func(p *dsr.Subject) { p.Changes = []dsr.Change{{Field: "name", New: "New"}} })
			if !s.tell("answer") || s.tell("answer") || len(s.mail.All()) != 1 {
				t.Fatalf("%d mails, want one", len(s.mail.All()))
			}
			if got := s.said("answer#1"); !slices.Equal(got, c.kinds) {
				t.Errorf("the answer is made of %v, want %v", got, c.kinds)
			}
			text := s.mail.All()[0].Text
			for _, want := range c.says {
				if !strings.Contains(text, want) {
					t.Errorf("the mail lacks %q:\n%s", want, text)
				}
			}
			for _, no := range c.never {
				if strings.Contains(text, no) {
					t.Errorf("the mail says %q", no)
				}
			}
			if s.request().Status != dsr.Completed {
				t.Errorf("the request is %s", s.request().Status)
			}
		})
	}
}

// subjectHas changes what is known of the person.
func (s *stand) subjectHas(change func(*dsr.Subject)) {
	s.t.Helper()
	d, err := dossier.Open(s.t.Context(), s.store, s.keys, s.id)
	if err != nil {
		s.t.Fatal(err)
	}
	change(&d.Subject)
	old, err := s.store.Subject(s.t.Context(), s.id)
	if err != nil {
		s.t.Fatal(err)
	}
	sealed, err := d.Reseal(old.WrappedKey, d.Subject)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.store.ReplaceSubject(s.t.Context(), sealed); err != nil {
		s.t.Fatal(err)
	}
}

// A request that was refused as a whole stays denied and is told once: reason, law,
// authority, court and, in the United States, the appeal.
func TestRefusalGivesItsReasons(t *testing.T) {
	refused := func(r *ledger.Request) {
		asks("PL", dsr.Erasure)(r)
		r.Facts = map[string]string{policy.FactAbusive: policy.ReasonExcessive}
		r.Status, r.ClosedAt, r.Reason = dsr.Denied, start, policy.ReasonExcessive
	}
	s := newStand(t, refused, own(dsr.Outcome{Category: string(dsr.Erasure), Kind: dsr.Refused, Reason: policy.ReasonExcessive}))
	if !s.tell("answer") || !slices.Equal(s.said("answer#1"), []string{policy.NoticeRefusal}) {
		t.Fatalf("told by %v", s.said("answer#1"))
	}
	text := s.mail.All()[0].Text
	for _, want := range []string{"We do not do what you asked", "the erasure of your data", "asks for more than the law gives", "The rule: GDPR Art.", "UODO", "go to court"} {
		if !strings.Contains(text, want) {
			t.Errorf("the refusal lacks %q:\n%s", want, text)
		}
	}
	if r := s.request(); r.Status != dsr.Denied || !r.AnsweredAt.Equal(s.now) || s.count(dsr.EventClosed) != 0 || s.tell("answer") {
		t.Errorf("the request is %s, answered at %v, or it is told twice", r.Status, r.AnsweredAt)
	}
	// A Virginian can appeal, though a company of the EEA owes them the GDPR first.
	for _, name := range []string{"pythonmaster", "wearelearning"} {
		company, err := policy.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		s = newStand(t, asks("US-VA", dsr.ShineTheLight), own(dsr.Outcome{Category: string(dsr.ShineTheLight), Kind: dsr.Refused, Reason: policy.ReasonNotGiven}))
		s.subject.Company = company
		if s.tell("answer"); !strings.Contains(s.mail.All()[0].Text, "You may appeal") {
			t.Errorf("%s does not tell a Virginian of the appeal:\n%s", name, s.mail.All()[0].Text)
		}
	}
}

// A part that is refused stands beside what was done, in one letter.
func TestRefusalOfAPart(t *testing.T) {
	s := newStand(t, asks("PL", dsr.Erasure, dsr.ShineTheLight), visit("app", dsr.Act, dsr.VisitSettled, outcome("account", dsr.Erased)),
		own(dsr.Outcome{Category: string(dsr.ShineTheLight), Kind: dsr.Refused, Reason: policy.ReasonNotGiven}))
	s.tell("answer")
	if kinds := s.said("answer#1"); !slices.Equal(kinds, []string{policy.NoticeErasure, policy.NoticeRefusal}) {
		t.Fatalf("told by %v", kinds)
	}
	text := s.mail.All()[0].Text
	for _, once := range []string{"We have erased your data from every system", "What we do not do: who got your data for their own ads", "We did a part of what you asked", "The rule: Cal. Civ. Code 1798.83", "Who we are"} {
		if strings.Count(text, once) != 1 {
			t.Errorf("%q stands %d times in\n%s", once, strings.Count(text, once), text)
		}
	}
	if s.request().Status != dsr.Completed {
		t.Errorf("the request is %s", s.request().Status)
	}
}

// A visit that came to nothing before the date is told as it is: the letter goes on
// time, and says that it is not finished.
func TestAVisitWithoutAnOutcomeIsToldAsNotFinished(t *testing.T) {
	stuck := visit("app", dsr.Act, dsr.VisitErasing)
	stuck.Categories = []string{"account", "marketing"}
	s := newStand(t, asks("PL", dsr.Erasure), stuck)
	if !s.tell("answer") || s.request().Status != dsr.Answered {
		t.Fatalf("the request is %s", s.request().Status)
	}
	text := s.mail.All()[0].Text
	if !strings.HasPrefix(text, "We have not finished your request yet") || strings.Count(text, "Result: not finished: the system did not answer in time") != 2 {
		t.Errorf("it is told as\n%s", text)
	}
}

// The kinds that are held and never sent are named in the mail with the copy.
func TestCopyNamesWhatItWithholds(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) { access(r); r.State = "CA" }, visit("app", dsr.Gather, dsr.VisitSettled, exported),
		visit(dsr.Itself, dsr.Gather, dsr.VisitSettled, dsr.Outcome{Category: "payments", Kind: dsr.Refused, Reason: policy.ReasonForbidden},
			dsr.Outcome{Category: "support", Kind: dsr.Refused, Reason: policy.ReasonNoExport}, dsr.Outcome{Category: dsr.RequestRecord, Kind: dsr.Told}))
	s.tell("copy")
	text := s.mail.All()[0].Text
	for _, want := range []string{"What we hold and never send", "- Your payments and invoices", "System: Our systems\n  Data: What you wrote to our support\n  Result: could not be done (the system offers no way to copy it)", "Who gets data from us", "The kinds of data we work with"} {
		if !strings.Contains(text, want) {
			t.Errorf("the mail lacks %q:\n%s", want, text)
		}
	}
	if got := s.said("copy#1"); !slices.Equal(got, []string{policy.NoticeAccess}) {
		t.Errorf("the copy is made of %v", got)
	}
	s = newStand(t, access, visit("stripe", dsr.Gather, dsr.VisitSettled, dsr.Outcome{Category: "payments", Kind: dsr.Refused, Reason: policy.ReasonForbidden}))
	if !s.tell("copy") || !strings.Contains(s.mail.All()[0].Text, "data of this kind is never sent out") {
		t.Error("who has nothing but such data is told nothing of it")
	}
}

func TestPortabilityTellsTheFormOfTheFiles(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) { access(r); asks("PL", dsr.Portability)(r) }, visit("app", dsr.Gather, dsr.VisitSettled, exported))
	s.tell("copy")
	text := s.mail.All()[0].Text
	if got := s.said("copy#1"); !slices.Equal(got, []string{policy.NoticePortability}) || !strings.Contains(text, "JSON") || !strings.Contains(text, "/download?t=") {
		t.Errorf("made of %v:\n%s", got, text)
	}
}

// Writ's own requests are settled by the verdict, and nobody is mailed.
func TestOwnRequestsMailNobody(t *testing.T) {
	for _, channel := range []string{ledger.ChannelDeferral, ledger.ChannelRetention} {
		s := newStand(t, func(r *ledger.Request) { r.Channel = channel }, visit("app", dsr.Act, dsr.VisitErasing, deferred))
		if s.tell("answer") || s.request().Status != dsr.Answered || s.count(dsr.EventClosed) != 0 {
			t.Errorf("%s: half done it is %s", channel, s.request().Status)
		}
		s.settle("app#act", dsr.VisitSettled, erased)
		if s.tell("answer") || len(s.mail.All()) != 0 || s.count(dsr.EventMailed) != 0 {
			t.Errorf("%s: somebody was mailed", channel)
		}
		if r := s.request(); r.Status != dsr.Completed || !r.ClosedAt.Equal(s.now) || s.count(dsr.EventClosed) != 1 {
			t.Errorf("%s: done it is %s, closed %v", channel, r.Status, r.ClosedAt)
		}
	}
	s := newStand(t, func(r *ledger.Request) { r.Channel = ledger.ChannelLifted }, visit("app", dsr.Act, dsr.VisitSettled, erased))
	if !s.tell("answer") || len(s.mail.All()) != 1 {
		t.Error("a person whose hold was lifted is not answered")
	}
}

// A change of address is told to the old and the new one, and the old one can stop it.
func TestChangeOfAddressIsToldAndCanBeStopped(t *testing.T) {
	on := start.Add(7 * 24 * time.Hour)
	waits := visit("app", dsr.Act, dsr.VisitPlanned, dsr.Outcome{Category: "account", Kind: dsr.Deferred, DueAt: on, Reason: "cooling_off"})
	waits.Ops = []dsr.Op{dsr.Rectify}
	s := newStand(t, asks("PL", dsr.Rectification), waits)
	s.also = dsrtest.Ben.Email
	s.subjectHas(func(p *dsr.Subject) { p.Changes = []dsr.Change{{Field: "email", New: s.also}} })
	if !s.tell("answer") || s.tell("answer") {
		t.Fatal("told never, or twice")
	}
	old, fresh := s.mail.To(dsrtest.Ada.Email), s.mail.To(dsrtest.Ben.Email)
	if len(old) != 2 || len(fresh) != 1 {
		t.Fatalf("%d mails to the old address, %d to the new", len(old), len(fresh))
	}
	if !strings.Contains(old[0].Text, "9 November 2026") || !strings.Contains(old[0].Text, "your old address") || !strings.Contains(old[0].Text, "/status?t=") {
		t.Errorf("the old address reads:\n%s", old[0].Text)
	}
	if !strings.Contains(fresh[0].Text, "your new address") || strings.Contains(fresh[0].Text, "?t=") {
		t.Errorf("the new address, which nobody proved, reads:\n%s", fresh[0].Text)
	}
	if !strings.Contains(old[1].Text, "an address changes only after seven days") {
		t.Errorf("the answer does not say why it waits:\n%s", old[1].Text)
	}
	if r := s.request(); r.Status != dsr.Answered {
		t.Fatalf("the request is %s", r.Status)
	}
	if page := s.page("POST", s.link(), "step", "withdraw", "word", "withdraw"); page.Status != 200 || s.request().Status != dsr.Withdrawn {
		t.Errorf("it cannot be stopped: %d, %s", page.Status, s.request().Status)
	}
	if all := s.mail.To(dsrtest.Ada.Email); len(all) != 3 || !strings.Contains(all[2].Subject, "You took back your request") || !slices.Equal(s.said("withdrawn#1"), []string{policy.NoticeWithdrawn}) {
		t.Errorf("that it ended is not told: %d mails", len(all))
	}
}

// A pack's role in which a customer decides gives a referral, with the customer by
// name only where the pack knows it.
func TestReferralNamesWhoAnswers(t *testing.T) {
	company, err := policy.Load("learnai")
	if err != nil {
		t.Fatal(err)
	}
	s := newStand(t, func(r *ledger.Request) {
		asks("PL", dsr.Erasure)(r)
		r.Plan = "business"
	}, visit("app", dsr.Act, dsr.VisitSettled, dsr.Outcome{Category: "account", Kind: dsr.Referred, To: policy.ToCustomer}))
	s.subject.Company = company
	d, err := dossier.Open(t.Context(), s.store, s.keys, s.id)
	if err != nil {
		t.Fatal(err)
	}
	found, err := company.Resolve(d.Question())
	if err != nil || found.Decision != policy.DecideRefer {
		t.Fatalf("decided %s, %v", found.Decision, err)
	}
	if !s.tell("answer") || !slices.Contains(s.said("answer#1"), policy.NoticeReferral) {
		t.Fatalf("told by %v", s.said("answer#1"))
	}
	text := s.mail.All()[0].Text
	for _, want := range []string{found.Referrals[0].To, "What we passed on", "What we answer ourselves"} {
		if !strings.Contains(text, want) {
			t.Errorf("the referral lacks %q:\n%s", want, text)
		}
	}
}

// The due day is told in the company's zone: its last second is the next day in UTC.
func TestDatesAreTheCompanys(t *testing.T) {
	company, err := pack()
	if err != nil {
		t.Fatal(err)
	}
	zoned := *company
	if zoned.Zone, err = time.LoadLocation("America/New_York"); err != nil {
		t.Fatal(err)
	}
	s := newStand(t, func(r *ledger.Request) { r.Status, r.VerifiedAt = dsr.Running, start }, visit("app", dsr.Act, dsr.VisitErasing, dsr.Outcome{Category: "account", Kind: dsr.Accepted, DueAt: time.Date(2026, 12, 3, 4, 59, 59, 0, time.UTC)}))
	s.subject.Company = &zoned
	s.tell("answer")
	if text := s.mail.All()[0].Text; !strings.Contains(text, "we check on 2 December 2026") {
		t.Errorf("the date is that of another zone:\n%s", text)
	}
}
