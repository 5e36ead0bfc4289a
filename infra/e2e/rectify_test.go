//go:build e2e

package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/infra/stand/inbox"
	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

// coolingOff is how long a change of an address waits.
const coolingOff = 7 * 24 * time.Hour

// decide is the officer's word at the desk on what a person gave as proof.
func (s *Suite) decide(t testing.TB, id dsr.RequestID, sufficient bool, reason string) {
	t.Helper()
	s.AwaitRequest(t, id, "the officer to be asked", ledger.Request.AwaitsProof)
	status, answer := s.Desk(t, "proof/decide", map[string]any{"request_id": id, "sufficient": sufficient, "reason": reason})
	if status != http.StatusOK {
		t.Fatalf("deciding on the proof: %d %s", status, answer)
	}
}

// corrects asks for a change of fields, gives two facts, and gets the officer's yes.
func (l *Learner) corrects(t testing.TB, fields map[string][]string) dsr.RequestID {
	t.Helper()
	fields["point_member_since"], fields["point_order_number"] = []string{"March 2026"}, []string{"1042"}
	a := l.Ask(t, person.Request{Rights: []string{"rectification"}, Country: "DE", More: fields})
	l.ConfirmIt(t, a)
	l.suite.decide(t, a.ID, true, "facts_match")
	return a.ID
}

// waitsNoMore lets the seven days of a change pass: for the request, its visits,
// and what they told.
func (s *Suite) waitsNoMore(t testing.TB, id dsr.RequestID) {
	t.Helper()
	by := coolingOff + time.Hour
	s.Backdate(t, id, by)
	for _, v := range s.Visits(t, id) {
		if v.NotBefore.IsZero() || v.Settled() {
			continue
		}
		v.NotBefore = v.NotBefore.Add(-by)
		for i := range v.Outcomes {
			if !v.Outcomes[i].DueAt.IsZero() {
				v.Outcomes[i].DueAt = v.Outcomes[i].DueAt.Add(-by)
			}
		}
		if err := s.Book.SaveVisit(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	s.Sweep(t)
}

// wantWaiting fails unless the change of a visit waits for seven days from the
// receipt, and nothing is changed yet.
func (s *Suite) wantWaiting(t testing.TB, r ledger.Request, task string) {
	t.Helper()
	v := s.Visits(t, r.ID)[task]
	if want := r.Clock[0].At.Add(coolingOff); !v.NotBefore.Equal(want) {
		t.Errorf("%s acts from %s on, want %s", task, v.NotBefore, want)
	}
	for _, o := range v.Outcomes {
		if o.Kind != dsr.Deferred || o.Reason != "cooling_off" || !o.DueAt.Equal(v.NotBefore) {
			t.Errorf("%s: got %+v, want that it waits", task, o)
		}
	}
	if len(v.Outcomes) == 0 {
		t.Errorf("%s says nothing of what waits", task)
	}
}

// A phone number is an address too: its change takes two facts and a person's
// yes, is told, waits seven days, and is then made everywhere and nowhere else.
func TestNameAndPhoneAreCorrectedAfterSevenDays(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("movedphone"), Holdings{Courses: 2, Payments: 1, Newsletter: true, Stripe: true})
	untouched := Untouched(t, suite.Crowd(t)...)
	right := Someone("rightphone")
	before := l.Held(t).String()
	id := l.corrects(t, map[string][]string{"correct_name": {right.Name}, "correct_phone": {right.Phone}})
	r := suite.AwaitStatus(t, id, dsr.Answered)
	suite.wantWaiting(t, r, "app#act")
	suite.wantWaiting(t, r, "stripe#act")
	if after := l.Held(t).String(); after != before {
		t.Errorf("before the seven days are over the systems hold\n%s\nwas\n%s", after, before)
	}
	warned := l.LetterOf(t, "the notice of the change", func(m inbox.Message) bool { return strings.HasPrefix(m.Subject, "An address of your account") })
	if day := r.Clock[0].At.Add(coolingOff).Format("2 January 2006"); !strings.Contains(warned.Text, day) || person.Link(warned, "/status") == "" {
		t.Errorf("the notice does not name %s or the page to stop it:\n%s", day, warned.Text)
	}

	suite.waitsNoMore(t, id)
	suite.AwaitStatus(t, id, dsr.Completed)
	untouched()
	suite.WantOutcome(t, id, "app#act", "account", dsr.Rectified, 1)
	suite.WantOutcome(t, id, "stripe#act", "payment_profile", dsr.Rectified, 1)
	if got := suite.SQL(t, "SELECT name || ' ' || phone || ' ' || email FROM accounts WHERE id = $1", l.Account); !slices.Equal(got, []string{right.Name + " " + right.Phone + " " + l.Email}) {
		t.Error("the database does not hold the right name and phone, or the address was changed with them")
	}
	if l.customer("name") != right.Name || l.customer("phone") != right.Phone || l.customer("email") != l.Email {
		t.Error("Stripe does not hold the right name and phone, or the address was changed with them")
	}
	answer := l.LetterOf(t, "the last answer", func(m inbox.Message) bool {
		return m.Index > warned.Index && strings.HasPrefix(m.Subject, "Our answer") && strings.HasPrefix(m.Text, "We have corrected")
	})
	for _, says := range []string{"What we changed", "name", "phone", ": corrected"} {
		if !strings.Contains(answer.Text, says) {
			t.Errorf("the answer does not say %q:\n%s", says, answer.Text)
		}
	}
}

// A change of the login is told to the old and the new address; whoever reads the
// old one can stop it, and then nothing was changed.
func TestAChangeOfTheLoginCanBeStopped(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("hijacked"), Holdings{Courses: 1, Newsletter: true, Stripe: true})
	thief := suite.Stranger(Someone("hijacker"))
	untouched := Untouched(t, l)
	id := l.corrects(t, map[string][]string{"correct_email": {thief.Email}})
	r := suite.AwaitStatus(t, id, dsr.Answered)
	suite.wantWaiting(t, r, "app#act")
	subject := func(m inbox.Message) bool { return strings.HasPrefix(m.Subject, "An address of your account") }
	old, fresh := l.LetterOf(t, "the notice to the old address", subject), thief.LetterOf(t, "the notice to the new address", subject)
	if link := person.Link(fresh, "/status"); link != "" {
		t.Error("the new address can stop, or see, a request that is not proved to be its own")
	}
	page, err := l.Browser.Get(t.Context(), person.Link(old, "/status"))
	if err != nil {
		t.Fatal(err)
	}
	stopped, err := press(t.Context(), page, "word", map[string]string{"word": "withdraw"})
	if err != nil || stopped.Status != http.StatusOK {
		t.Fatalf("stopping the change: %v %+v", err, stopped)
	}
	suite.AwaitStatus(t, id, dsr.Withdrawn)
	suite.waitsNoMore(t, id)
	untouched()
	for task, v := range suite.Visits(t, id) {
		if v.Steps[dsr.Rectify].Started {
			t.Errorf("%s was begun", task)
		}
	}
}

// A change of the login that nobody stops is made in every row that is found by
// the address, and the old one finds nothing any more.
func TestTheLoginIsChangedAfterSevenDays(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("oldlogin"), Holdings{Courses: 1, Newsletter: true, Stripe: true})
	untouched := Untouched(t, suite.Crowd(t)...)
	fresh := Someone("newlogin")
	id := l.corrects(t, map[string][]string{"correct_email": {fresh.Email}})
	suite.AwaitStatus(t, id, dsr.Answered)
	suite.waitsNoMore(t, id)
	suite.AwaitStatus(t, id, dsr.Completed)
	untouched()
	if got := suite.SQL(t, "SELECT email FROM accounts WHERE id = $1", l.Account); !slices.Equal(got, []string{fresh.Email}) {
		t.Error("the account does not have the new address")
	}
	for address, want := range map[string]string{l.Email: "0", fresh.Email: "1"} {
		if got := suite.SQL(t, "SELECT count(*) FROM newsletter WHERE email = $1", address); !slices.Equal(got, []string{want}) {
			t.Errorf("the newsletter has %s rows, want %s", got, want)
		}
	}
	if l.customer("email") != fresh.Email {
		t.Error("Stripe does not have the new address")
	}
}

// Whoever received the data hears of a correction; who cannot be told is said to
// the person with the reason (GDPR Art. 19).
func TestRecipientsHearOfACorrection(t *testing.T) {
	t.Parallel()
	s := suite.Of(t, "learnai")
	l := s.Enrol(t, Someone("renamed"), Holdings{Courses: 1, Newsletter: true})
	right := Someone("newname").Name
	unreachable := func(task Task) bool { return task.Email == l.Email && task.System == "LearnAI Belgium BV" }
	s.Staff.Rule(t, func(task Task) (string, bool) { return "no_contact", unreachable(task) })
	r := s.ends(t, l, person.Request{Rights: []string{"rectification"}, Country: "BE", More: map[string][]string{"plan": {"individual"}, "correct_name": {right}}})
	s.WantOutcome(t, r.ID, "tell_uk_affiliate#act", "account", dsr.Told, 0)
	v := s.Visits(t, r.ID)["tell_be_affiliate#act"]
	if o, ok := Outcome(v, "account"); !ok || o.Kind != dsr.Impossible || o.Reason != "no_contact" {
		t.Errorf("the second recipient: got %+v, want that it could not be told", v.Outcomes)
	}
	for _, task := range s.Staff.Opened(unreachable) {
		if text := task.Page.Text(); !strings.Contains(text, right) || !strings.Contains(text, l.Email) {
			t.Errorf("the task does not hold the notice with the new value: %s", text)
		}
	}
	answer := l.LetterOf(t, "the answer", func(m inbox.Message) bool { return strings.HasPrefix(m.Subject, "Our answer") })
	for _, says := range []string{"Data Science Central UK Ltd.", "told of it", "LearnAI Belgium BV", "nobody knows how to reach them"} {
		if !strings.Contains(answer.Text, says) {
			t.Errorf("the answer does not say %q:\n%s", says, answer.Text)
		}
	}
}
