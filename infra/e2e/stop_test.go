//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/writ-dsr/writ/infra/stand/inbox"
	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/vault"
)

// stops are the purposes that Writ remembers as stopped for an address.
func (s *Suite) stops(t testing.TB, email string) []dsr.Purpose {
	t.Helper()
	keys := vault.New(kms.NewFromConfig(s.Config), s.Outputs["KeyData"], s.Outputs["KeyMac"])
	hash, err := keys.Hash(t.Context(), "identity", email)
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.Book.Suppressed(t.Context(), hash)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(found))
}

// done waits for the mail that says that something was stopped, and returns it
// with the request it is about.
func (l *Learner) done(t testing.TB) (inbox.Message, dsr.RequestID) {
	t.Helper()
	m, _ := l.Letter(t, "/status")
	id := dsr.RequestID(reference.FindString(m.Text))
	if !strings.HasPrefix(m.Subject, "Our answer") || id == "" {
		t.Errorf("the confirmation is %q of the request %q", m.Subject, id)
	}
	return m, id
}

// sends fills the form and returns the answer.
func (l *Learner) sends(t testing.TB, r person.Request) *person.Page {
	t.Helper()
	page, err := l.Send(t.Context(), l.suite.Front, r)
	if err != nil || page.Status != http.StatusOK {
		t.Fatalf("sending the form: %v, %+v", err, page)
	}
	return page
}

// wantOnlyMarks fails unless a request looked up and stopped, and did nothing else.
func (s *Suite) wantOnlyMarks(t testing.TB, id dsr.RequestID) {
	t.Helper()
	if r := s.Request(t, id); r.Bundle != nil || !r.ErasingAt.IsZero() {
		t.Errorf("a request that only stops made a copy or began to erase: %+v", r)
	}
	for task, v := range s.Visits(t, id) {
		for _, op := range v.Ops {
			if op != dsr.Locate && op != dsr.Suppress && op != dsr.ReadBack {
				t.Errorf("%s has the op %s", task, op)
			}
		}
	}
}

// No more marketing: nobody is asked for anything, all of it is stopped at once
// and stays stopped, nothing goes, and the owner of the mailbox can undo it.
func TestMarketingIsStoppedWithoutProofAndAllowedAgain(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("spammed"), Holdings{Courses: 2, Payments: 1, Newsletter: true, Files: 1})
	untouched := Untouched(t, suite.Crowd(t)...)
	before := l.Held(t)
	page := l.sends(t, person.Request{Rights: []string{"objection_marketing"}, Country: "DE"})
	if _, code := page.Element("code"); code || !strings.Contains(page.Text(), "you need not confirm anything") {
		t.Errorf("the answer asks for a proof: %q", page.Text())
	}
	m, id := l.done(t)
	suite.AwaitStatus(t, id, dsr.Completed)
	untouched()
	suite.wantOnlyMarks(t, id)
	for _, says := range []string{"We have stopped marketing.", "Nothing else changes.", "Your account works as before.", "You can change your mind at any time."} {
		if !strings.Contains(m.Text, says) {
			t.Errorf("the confirmation does not say %q:\n%s", says, m.Text)
		}
	}
	for _, other := range l.Letters(t) {
		if person.Link(other, "/confirm") != "" {
			t.Error("a challenge was mailed")
		}
	}
	marks := suite.SQL(t, "SELECT count(marketing_opt_out_at) FROM accounts WHERE id = $1 UNION ALL SELECT count(marketing_opt_out_at) FROM newsletter WHERE email = $2", l.Account, l.Email)
	if !slices.Equal(marks, []string{"1", "1"}) {
		t.Errorf("the marks of account and newsletter are %v", marks)
	}
	suite.SQL(t, "UPDATE accounts SET marketing_opt_out_at = NULL WHERE id = $1 RETURNING 'x'", l.Account)
	suite.SQL(t, "UPDATE newsletter SET marketing_opt_out_at = NULL WHERE email = $1 RETURNING 'x'", l.Email)
	if after := l.Held(t); after.String() != before.String() {
		t.Errorf("but for the marks the systems hold\n%s\nwas\n%s", after, before)
	}
	if got := suite.stops(t, l.Email); !slices.Equal(got, []dsr.Purpose{dsr.Marketing}) {
		t.Errorf("remembered as stopped is %v, want marketing alone", got)
	}

	status, err := l.Browser.Get(t.Context(), person.Link(m, "/status"))
	if err != nil {
		t.Fatal(err)
	}
	undone, err := press(t.Context(), status, "word", map[string]string{"word": "not me"})
	if err != nil || undone.Status != http.StatusOK {
		t.Fatalf("undoing it: %v %+v", err, undone)
	}
	r := suite.AwaitStatus(t, id, dsr.NeedsAttention)
	if r.Reason != ledger.ReasonUndo || r.Owner == "" {
		t.Errorf("the undoing waits with %q, owned by %q", r.Reason, r.Owner)
	}
	if code, answer := suite.Desk(t, "stops/lift", map[string]any{"request_id": id}); code != http.StatusOK {
		t.Fatalf("allowing it again: %d %s", code, answer)
	}
	suite.AwaitStatus(t, id, dsr.Withdrawn)
	if got := suite.stops(t, l.Email); len(got) != 0 {
		t.Errorf("still remembered as stopped is %v", got)
	}
	l.LetterOf(t, "that it was taken back", func(m inbox.Message) bool { return strings.HasPrefix(m.Subject, "You took back") })
}

// A browser's opt-out signal is a request of its own that waits for nobody,
// while what was ticked waits for its proof.
func TestTheBrowsersSignalIsHonoured(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("signals"), Holdings{Courses: 1, Newsletter: true})
	l.Browser.OptOut = true
	page := l.sends(t, person.Request{Rights: []string{"erasure"}, Country: "US"})
	if !strings.Contains(page.Text(), "Opt-out request honoured") {
		t.Errorf("the answer does not say that the signal was honoured: %q", page.Text())
	}
	if _, code := page.Element("code"); !code {
		t.Error("the erasure asks for no proof")
	}
	m, id := l.done(t)
	r := suite.AwaitStatus(t, id, dsr.Completed)
	if !slices.Equal(r.Rights, []dsr.Right{dsr.OptOutOfSale}) {
		t.Errorf("the request without proof asks for %v", r.Rights)
	}
	suite.wantOnlyMarks(t, id)
	if got := suite.stops(t, l.Email); !slices.Equal(got, []dsr.Purpose{dsr.Sale}) {
		t.Errorf("remembered as stopped is %v, want the sale alone", got)
	}
	if !strings.Contains(m.Text, "the sale and sharing of your data") {
		t.Errorf("the confirmation does not name what was stopped:\n%s", m.Text)
	}

	// Where no law of the place gives the right and nothing is ticked, it is only read.
	abroad := suite.Stranger(Someone("signalsabroad"))
	abroad.Browser.OptOut = true
	if page := abroad.sends(t, person.Request{Rights: []string{"access"}}); strings.Contains(page.Text(), "honoured") {
		t.Errorf("without a place the signal is said to be honoured: %q", page.Text())
	}
	silent := suite.Stranger(Someone("nosignal"))
	if page := silent.sends(t, person.Request{Rights: []string{"access"}, Country: "US"}); strings.Contains(page.Text(), "honoured") {
		t.Error("a signal that was not sent is said to be honoured")
	}
}

// An opt-out and an erasure on one form are two requests: the one is done before
// the other is proved, and neither does the other's work.
func TestAnOptOutDoesNotWaitForTheErasure(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("leavesads"), Holdings{Courses: 2, Newsletter: true})
	rows := l.Rows(t)
	a := l.Ask(t, person.Request{Rights: []string{"objection_marketing", "erasure"}, Country: "US"})
	_, free := l.done(t)
	if free == a.ID || free == "" {
		t.Fatalf("the form made %s and %s, want two requests", free, a.ID)
	}
	suite.AwaitStatus(t, free, dsr.Completed)
	suite.wantOnlyMarks(t, free)
	if r := suite.Request(t, a.ID); r.Status != dsr.Verifying || !slices.Equal(r.Rights, []dsr.Right{dsr.Erasure}) {
		t.Errorf("the erasure is %s for %v, want that it waits for its proof", r.Status, r.Rights)
	}
	if now := l.Rows(t); fmt.Sprint(now) != fmt.Sprint(rows) {
		t.Errorf("before the proof the database holds %v, was %v", now, rows)
	}
	l.ConfirmIt(t, a)
	suite.AwaitStatus(t, a.ID, dsr.Completed)
	if now := l.Rows(t); now["newsletter"]+now["course_progress"] != 0 {
		t.Errorf("after the erasure the database holds %v", now)
	}
	if got := suite.stops(t, l.Email); !slices.Contains(got, dsr.Marketing) {
		t.Errorf("after the erasure only %v is remembered as stopped", got)
	}
}

// Who asks for a restriction reads that the data stay and are used for nothing else.
func TestARestrictionIsTold(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("contests"), Holdings{Courses: 1, Newsletter: true})
	id := l.Start(t, "DE", "restriction")
	suite.AwaitStatus(t, id, dsr.Completed)
	marks := suite.SQL(t, "SELECT count(restricted_at) FROM accounts WHERE id = $1 UNION ALL SELECT count(restricted_at) FROM newsletter WHERE email = $2", l.Account, l.Email)
	if !slices.Equal(marks, []string{"1", "1"}) {
		t.Errorf("the marks of account and newsletter are %v", marks)
	}
	m := l.LetterOf(t, "the answer", func(m inbox.Message) bool { return strings.HasPrefix(m.Subject, "Our answer") })
	for _, says := range []string{"no longer use it", "kept, but no longer used", "We store your data.", "We write to you before we use it again."} {
		if !strings.Contains(m.Text, says) {
			t.Errorf("the answer does not say %q:\n%s", says, m.Text)
		}
	}
}
