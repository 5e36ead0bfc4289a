//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/writ-dsr/writ/infra/stand/inbox"
	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/connectors/stripe/stripefake"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/audit"
	"github.com/writ-dsr/writ/shared/platform/vault"
)

// customerPath is where the vendor serves a learner's customer: a fault there
// meets nobody else.
func customerPath(l *Learner) string { return "/v1/customers/" + l.Customer }

// atVendor are the calls of a method that reached a learner's customer.
func atVendor(l *Learner, method string) []stripefake.Request {
	return slices.DeleteFunc(suite.Stripe.Requests(), func(r stripefake.Request) bool {
		return r.Method != method || r.Path != customerPath(l)
	})
}

// statuses are what the vendor answered; 0 is none.
func statuses(calls []stripefake.Request) (all []int) {
	for _, c := range calls {
		all = append(all, c.Status)
	}
	return all
}

// noPerson fails the test if somebody was asked to do a system's work.
func noPerson(t testing.TB, id dsr.RequestID, system string) {
	t.Helper()
	if n := suite.CountEvents(t, id, system, dsr.EventPersonAsked); n != 0 {
		t.Errorf("%d people were asked about %s, want none", n, system)
	}
}

// A vendor that asks to come back later is asked again, later, whichever way it
// says so.
func TestRateLimitIsWaitedOut(t *testing.T) {
	t.Parallel()
	for word, after := range map[string]string{"limitedseconds": "2", "limiteddate": time.Now().Add(4 * time.Second).UTC().Format(http.TimeFormat)} {
		l := suite.Enrol(t, Someone(word), Plenty())
		suite.Stripe.Inject(stripefake.Fault{Mode: stripefake.Status, Status: http.StatusTooManyRequests, RetryAfter: after, Method: http.MethodGet, Path: customerPath(l), Times: 1})
		id := l.Start(t, "SE", "access")
		suite.AwaitStatus(t, id, dsr.Completed)
		if got := statuses(atVendor(l, http.MethodGet)); len(got) < 2 || got[0] != http.StatusTooManyRequests || slices.Contains(got[1:], http.StatusTooManyRequests) {
			t.Errorf("%s: the vendor answered %v, want one refusal and then the customer", word, got)
		}
		if n := suite.CountEvents(t, id, "stripe", dsr.EventWaiting); n != 1 {
			t.Errorf("%s: %d waits are recorded, want 1", word, n)
		}
		suite.WantOutcome(t, id, "stripe#gather", "payment_profile", dsr.Exported, 1)
		noPerson(t, id, "stripe")
	}
}

// A vendor that breaks and recovers within the machine's own retries costs
// nobody anything.
func TestServerErrorsAreTriedAgain(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("brokenvendor"), Plenty())
	suite.Stripe.Inject(stripefake.Fault{Mode: stripefake.Status, Status: http.StatusServiceUnavailable, Method: http.MethodDelete, Path: customerPath(l), Times: 2})
	before := l.Held(t)
	id := l.Start(t, "US", "erasure")
	suite.AwaitStatus(t, id, dsr.Completed)
	if got, want := statuses(atVendor(l, http.MethodDelete)), []int{503, 503, 200}; !slices.Equal(got, want) {
		t.Errorf("the vendor answered the deletions %v, want %v", got, want)
	}
	wantErased(t, l, before)
	noPerson(t, id, "stripe")
}

// The answer to a deletion is lost: it is read back, and not sent again.
func TestLostAnswerHasNoSecondEffect(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("lostanswer"), Plenty())
	suite.Stripe.Inject(stripefake.Fault{Mode: stripefake.DropAfter, Method: http.MethodDelete, Path: customerPath(l), Times: 1})
	before := l.Held(t)
	id := l.Start(t, "US", "erasure")
	suite.AwaitStatus(t, id, dsr.Completed)
	if got := statuses(atVendor(l, http.MethodDelete)); !slices.Equal(got, []int{0}) {
		t.Errorf("the vendor answered the deletions %v, want one call without an answer", got)
	}
	wantErased(t, l, before)
	suite.WantOutcome(t, id, "stripe#act", "payment_profile", dsr.Erased, 1)
	noPerson(t, id, "stripe")
}

// A refused deletion goes to a person, is refused again when they let Writ try
// again, and is told as what it is.
func TestRefusedDeletionIsNeverSuccess(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("refuseddelete"), Plenty())
	suite.Stripe.Inject(stripefake.Fault{Mode: stripefake.Status, Status: http.StatusBadRequest, Method: http.MethodDelete, Path: customerPath(l)})
	mine := func(task Task) bool { return task.Email == l.Email && task.API }
	id := l.Start(t, "US", "erasure")
	first := suite.Staff.Await(t, "of a refused deletion", mine)
	if r := suite.Request(t, id); r.Status != dsr.Running || !r.AnsweredAt.IsZero() {
		t.Errorf("with a refused deletion the request is %s", r.Status)
	}
	suite.Staff.Answer(t, first, "again", nil)
	second := suite.Staff.AwaitAll(t, 2, mine)[1]
	suite.Staff.Answer(t, second, "cannot", nil)
	suite.AwaitRequest(t, id, "the answer", func(r ledger.Request) bool { return !r.AnsweredAt.IsZero() })
	suite.WantOutcome(t, id, "stripe#act", "payment_profile", dsr.Refused, 0)
	for _, status := range statuses(atVendor(l, http.MethodDelete)) {
		if status != http.StatusBadRequest {
			t.Errorf("the vendor answered a deletion %d", status)
		}
	}
	for _, o := range suite.Stripe.Objects(stripefake.Customer) {
		if o.ID() == l.Customer && o["email"] != l.Email {
			t.Error("the customer was changed though its deletion was refused")
		}
	}
	letter, _ := l.Letter(t, "/status")
	if strings.HasPrefix(letter.Text, "We have erased your data.") {
		t.Error("the mail opens with a success that there was none of")
	}
}

// late makes a request that is not proved yet one whose answer is due now.
func late(t testing.TB, id dsr.RequestID) {
	t.Helper()
	suite.Change(t, id, func(r *ledger.Request) {
		for i := range r.Clock {
			r.Clock[i].At = r.Clock[i].At.AddDate(0, 0, -29)
		}
		r.DueAt = r.DueAt.AddDate(0, 0, -29)
	})
}

// A vendor is down when the answer is due: the person gets what there is, told
// as a part; when the vendor is back the rest follows.
func TestVendorDownPastTheMargin(t *testing.T) {
	l := suite.Enrol(t, Someone("downvendor"), Plenty())
	suite.Staff.HoldAll(t, l.Email)
	suite.Stripe.Inject(stripefake.Fault{Mode: stripefake.Status, Status: http.StatusBadGateway, Method: http.MethodGet, Path: customerPath(l), Times: 1})
	a := l.Ask(t, person.Request{Rights: []string{"access"}, Country: "SE"})
	late(t, a.ID)
	l.ConfirmIt(t, a)
	r := suite.AwaitStatus(t, a.ID, dsr.Answered, dsr.Completed)
	if r.Status != dsr.Answered || r.AnsweredAt.IsZero() || !r.ClosedAt.IsZero() {
		t.Fatalf("with a vendor down the request is %s", r.Status)
	}
	v := suite.Visits(t, a.ID)["stripe#gather"]
	if v.Settled() || len(v.Outcomes) == 0 {
		t.Errorf("the visit that failed is %s with %d outcomes", v.Status, len(v.Outcomes))
	}
	for _, o := range v.Outcomes {
		if o.Kind != dsr.Deferred || o.DueAt.IsZero() {
			t.Errorf("%s is told as %s, want deferred with a date", o.Category, o.Kind)
		}
	}
	letter, link := l.Letter(t, "/download")
	if !strings.HasPrefix(letter.Text, "A first part of the copy of your data is ready") {
		t.Errorf("the mail does not say that it is a part: %q", firstLine(letter))
	}
	if b := Unpack(t, l.Fetch(t, link)); b.Rows("app", "course_progress") != 4 || b.Rows("stripe", "payment_profile") != 0 {
		t.Error("the first part does not hold what could be gathered, and only that")
	}
	// The vendor is back, and everybody answers.
	suite.AwaitEnded(t, a.ID)
	suite.SweepAt(t, time.Now().Add(25*time.Hour))
	suite.AwaitVisit(t, a.ID, "stripe#gather", "the end", dsr.Visit.Settled)
	answerAll(t, l, a.ID, "nothing_held")
	suite.AwaitStatus(t, a.ID, dsr.Completed)
	suite.WantOutcome(t, a.ID, "stripe#gather", "payment_profile", dsr.Exported, 1)
	rest, link := lastLetter(t, l, "/download", letter)
	if b := Unpack(t, l.Fetch(t, link)); b.Rows("app", "course_progress") != 4 || b.Rows("stripe", "payment_profile") != 1 {
		t.Errorf("the whole copy misses something; its mail opens %q", firstLine(rest))
	}
}

// An erasure that was put off is told as put off, until it is done.
func TestDeferredErasureIsNotDone(t *testing.T) {
	l := suite.Enrol(t, Someone("deferred"), Plenty())
	suite.Staff.HoldAll(t, l.Email)
	suite.Stripe.Inject(stripefake.Fault{Mode: stripefake.Status, Status: http.StatusBadGateway, Method: http.MethodDelete, Path: customerPath(l), Times: 1})
	before := l.Held(t)
	a := l.Ask(t, person.Request{Rights: []string{"erasure"}, Country: "US"})
	late(t, a.ID)
	l.ConfirmIt(t, a)
	r := suite.AwaitStatus(t, a.ID, dsr.Answered, dsr.Completed)
	if r.Status != dsr.Answered {
		t.Fatalf("with a deletion put off the request is %s", r.Status)
	}
	for _, o := range suite.Visits(t, a.ID)["stripe#act"].Outcomes {
		if o.Kind != dsr.Deferred {
			t.Errorf("%s is told as %s, want deferred", o.Category, o.Kind)
		}
	}
	letter, _ := l.Letter(t, "/status")
	if strings.HasPrefix(letter.Text, "We have erased your data") || !strings.Contains(letter.Text, "not finished") {
		t.Errorf("the mail does not say that something is left to do:\n%s", letter.Text)
	}
	suite.AwaitEnded(t, a.ID)
	suite.SweepAt(t, time.Now().Add(25*time.Hour))
	suite.AwaitVisit(t, a.ID, "stripe#act", "the end", dsr.Visit.Settled)
	answerAll(t, l, a.ID, "done")
	suite.AwaitStatus(t, a.ID, dsr.Completed)
	wantErased(t, l, before)
	suite.WantOutcome(t, a.ID, "stripe#act", "payment_profile", dsr.Erased, 1)
	if told, _ := lastLetter(t, l, "/status", letter); !strings.HasPrefix(told.Text, "We have erased your data") {
		t.Errorf("the follow-up opens with %q", firstLine(told))
	}
}

// answerAll gives one answer to every task about a learner that was left, one
// after the other: each one's run ends before the next answer.
func answerAll(t testing.TB, l *Learner, id dsr.RequestID, answer string) {
	t.Helper()
	suite.AwaitEnded(t, id)
	for _, held := range suite.Staff.AwaitAll(t, people(t, id), func(task Task) bool { return task.Email == l.Email }) {
		suite.Staff.Answer(t, held, answer, nil)
		suite.AwaitEnded(t, id)
	}
}

// people counts the visits of a request that are a person's from the start.
func people(t testing.TB, id dsr.RequestID) (n int) {
	t.Helper()
	for _, v := range suite.Visits(t, id) {
		if v.Manual {
			n++
		}
	}
	return n
}

func firstLine(m inbox.Message) string {
	line, _, _ := strings.Cut(m.Text, "\n")
	return line
}

// lastLetter is the newest mail to a learner with a link to a path, which must
// be another than the earlier one.
func lastLetter(t testing.TB, l *Learner, path string, earlier inbox.Message) (inbox.Message, string) {
	t.Helper()
	all := slices.DeleteFunc(l.Letters(t), func(m inbox.Message) bool { return person.Link(m, path) == "" || m.Index <= earlier.Index })
	if len(all) == 0 {
		t.Fatalf("no further mail with a link to %s came", path)
	}
	last := all[len(all)-1]
	return last, person.Link(last, path)
}

// AwaitAll waits until so many tasks that match accepts were opened and left.
func (s *Staff) AwaitAll(t testing.TB, n int, match func(Task) bool) []Task {
	t.Helper()
	return Look(t, fmt.Sprintf("%d tasks", n), func(context.Context) ([]Task, error) { return s.Opened(match), nil },
		func(all []Task) bool { return len(all) == n })
}

// A run that is stopped is replaced, at most three times; then the request has
// an owner, whose word lets it go on. A stale run writes nothing.
func TestStoppedRunsAreReplaced(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("stopped"), Plenty())
	suite.Staff.HoldAll(t, l.Email)
	id := l.Start(t, "SE", "access")
	const task = "zendesk#gather"
	for run := 1; run <= 4; run++ {
		suite.AwaitVisit(t, id, task, fmt.Sprintf("the person's task of run %d", run), func(v dsr.Visit) bool {
			return v.Run == run && v.Person != nil && len(v.Person.SealedWait) > 0
		})
		if err := suite.Machine.Stop(t.Context(), suite.ExecutionOf(id, run), "stopped by a test"); err != nil {
			t.Fatal(err)
		}
		if run < 4 {
			suite.AwaitRequest(t, id, "a new run", func(r ledger.Request) bool { return r.Run == run+1 && r.FailedRuns == run && r.Status == dsr.Running })
		}
	}
	r := suite.AwaitStatus(t, id, dsr.NeedsAttention)
	if r.Owner == "" || r.Run != 4 || r.FailedRuns != 3 {
		t.Errorf("after four stops the request is with %q at run %d after %d new runs", r.Owner, r.Run, r.FailedRuns)
	}
	if n := suite.CountEvents(t, id, dsr.RequestChain, dsr.EventRunStarted); n != 3 {
		t.Errorf("%d new runs are recorded, want 3", n)
	}
	if asked := suite.CountEvents(t, id, "zendesk", dsr.EventPersonAsked); asked != 1 {
		t.Errorf("the employee was asked %d times, want once over all runs", asked)
	}
	before := suite.AllEvents(t, id)
	if answer, fault := suite.Invoke(t, "fanout-files", map[string]any{"v": 1, "request_id": id, "run": 1, "system": "files", "phase": "gather"}); fault != "" {
		t.Errorf("a stale run failed: %s %s", fault, answer)
	}
	if after := suite.AllEvents(t, id); len(after) != len(before) {
		t.Errorf("a stale run wrote %d events", len(after)-len(before))
	}
	owner := suite.Staff.Await(t, "of the owner", func(task Task) bool { return task.Own && task.Request == id })
	if owner.Assignee != officer {
		t.Errorf("the owner's task went to %s", owner.Assignee)
	}
	suite.Staff.Answer(t, owner, "again", nil)
	suite.AwaitRequest(t, id, "the owner's run", func(r ledger.Request) bool { return r.Run == 5 && r.Status == dsr.Running })
	for _, held := range suite.Staff.AwaitAll(t, people(t, id), func(task Task) bool { return task.Email == l.Email }) {
		suite.Staff.Answer(t, held, "nothing_held", nil)
	}
	suite.AwaitStatus(t, id, dsr.Completed)
	_, link := l.Letter(t, "/download")
	if b := Unpack(t, l.Fetch(t, link)); b.Rows("app", "course_progress") != 4 {
		t.Error("the copy of the last run is not whole")
	}
}

// A mail that bounces is a state of the request and has an owner; when they
// have mended the cause, the answer is mailed again.
func TestBouncedAnswerHasAnOwner(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("bounced"), Plenty())
	id := l.Start(t, "US", "erasure")
	suite.AwaitStatus(t, id, dsr.Completed)
	suite.AwaitEnded(t, id)
	letter, _ := l.Letter(t, "/status")
	suite.Bounce(t, id, "answer#1", "Delivery", "")
	suite.Bounce(t, id, "answer#1", "Bounce", "Transient")
	if r := suite.Request(t, id); r.Status != dsr.Completed {
		t.Fatalf("after a delivery and a delay the request is %s", r.Status)
	}
	for range 2 { // the service may tell it twice
		suite.Bounce(t, id, "answer#1", "Bounce", "Permanent")
	}
	r := suite.Request(t, id)
	if r.Status != dsr.NeedsAttention || r.Owner == "" || r.Notices["answer#1"].BouncedAt.IsZero() {
		t.Errorf("after the bounce the request is %s with %q", r.Status, r.Owner)
	}
	if n := suite.CountEvents(t, id, dsr.RequestChain, dsr.EventAttention); n != 1 {
		t.Errorf("the owner was told %d times, want once", n)
	}
	owner := suite.Staff.Await(t, "of the owner", func(task Task) bool { return task.Own && task.Request == id })
	suite.Staff.Answer(t, owner, "again", nil)
	r = suite.AwaitRequest(t, id, "the second answer", func(r ledger.Request) bool { return r.Status == dsr.Completed })
	if r.Notices["answer#2"].SentAt.IsZero() {
		t.Error("the answer was not mailed again")
	}
	lastLetter(t, l, "/status", letter)
	if got := statuses(atVendor(l, http.MethodDelete)); !slices.Equal(got, []int{200}) {
		t.Errorf("the run that mails again deleted anew: %v", got)
	}
}

// When the bundle and the rest of its time have passed, the key is destroyed:
// nothing of the person can be read any more, and the evidence still holds.
func TestKeyIsDestroyedAtTheEnd(t *testing.T) {
	l := suite.Enrol(t, Someone("forgotten"), Plenty())
	id := l.Start(t, "SE", "access")
	suite.AwaitStatus(t, id, dsr.Completed)
	l.Letter(t, "/download")
	if n := objectsOf(t, id); n < 2 {
		t.Fatalf("%d objects of the request are stored, want exports and a bundle", n)
	}
	suite.SweepAt(t, time.Now().Add(13*24*time.Hour))
	if r := suite.Request(t, id); !r.Bundle.DeletedAt.IsZero() || !r.KeyDestroyedAt.IsZero() {
		t.Error("the bundle or the key went before its time")
	}
	after := time.Now().Add(15 * 24 * time.Hour)
	suite.SweepAt(t, after)
	r := suite.Request(t, id)
	if r.Bundle.DeletedAt.IsZero() || r.KeyDestroyedAt.IsZero() || r.Listed() {
		t.Errorf("after its time the bundle went at %s, the key at %s", r.Bundle.DeletedAt, r.KeyDestroyedAt)
	}
	if n := objectsOf(t, id); n != 0 {
		t.Errorf("%d objects of the request are left", n)
	}
	if _, err := suite.Book.Subject(t.Context(), id); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("the sealed person is still there: %v", err)
	}
	keys := vault.New(kms.NewFromConfig(suite.Config), "", suite.Outputs["KeyMac"])
	report, err := audit.New(suite.Book, func(ctx context.Context, message, mac string) (bool, error) {
		err := keys.VerifyMAC(ctx, ledger.HeadPurpose, message, mac)
		return err == nil, err
	}).Verify(t.Context(), id)
	if err != nil || !report.Intact() || !report.Sealed || report.Links() == 0 {
		t.Errorf("the evidence after the end: %+v, %v", report, err)
	}
	suite.SweepAt(t, after.Add(time.Hour)) // and nothing is done twice
	if n := suite.CountEvents(t, id, dsr.RequestChain, dsr.EventKeyDestroyed); n != 1 {
		t.Errorf("the key was destroyed %d times", n)
	}
}
