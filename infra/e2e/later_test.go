//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/writ-dsr/writ/infra/stand/inbox"
	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

// colleague makes a second person who may act at the desk: a user with keys of
// their own, who may call its acts and nothing else.
func (s *Suite) colleague(t testing.TB, name string) aws.CredentialsProvider {
	t.Helper()
	s.iam(t, url.Values{"Action": {"CreateUser"}, "UserName": {name}})
	s.iam(t, url.Values{"Action": {"PutUserPolicy"}, "UserName": {name}, "PolicyName": {"desk"},
		"PolicyDocument": {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}]}`}})
	var made struct {
		ID     string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
		Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
	}
	if err := xml.Unmarshal(s.iam(t, url.Values{"Action": {"CreateAccessKey"}, "UserName": {name}}), &made); err != nil || made.ID == "" {
		t.Fatalf("reading the user's key: %v", err)
	}
	return credentials.NewStaticCredentialsProvider(made.ID, made.Secret, "")
}

// iam makes one call of the identity service as the operator.
func (s *Suite) iam(t testing.TB, call url.Values) []byte {
	t.Helper()
	call.Set("Version", "2010-05-08")
	body := []byte(call.Encode())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.AWS+"/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	keys, err := s.Config.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(t.Context(), keys, req, hex.EncodeToString(sum[:]), "iam", s.Config.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", call.Get("Action"), resp.StatusCode, err)
	}
	return answer
}

// childrenOf are the requests that go on with what another left.
func (s *Suite) childrenOf(t testing.TB, id dsr.RequestID) map[dsr.RequestID]ledger.Request {
	t.Helper()
	all := map[dsr.RequestID]ledger.Request{}
	take := func(r ledger.Request) error {
		if r.Parent == id {
			all[r.ID] = r
		}
		return nil
	}
	if err := s.Book.ScheduledRequests(t.Context(), time.Now().AddDate(100, 0, 0), take); err != nil {
		t.Fatal(err)
	}
	if err := s.Book.OpenRequests(t.Context(), take); err != nil {
		t.Fatal(err)
	}
	return all
}

// A hold that was there before the erasure keeps everything, until two people have
// lifted it; then what it stopped is erased by itself, and the person is told.
func TestALiftedHoldErasesWhatItStopped(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("sued"), Holdings{Courses: 2, Files: 1, Newsletter: true})
	untouched, others := Untouched(t, l), Untouched(t, suite.Crowd(t)...)
	hold := map[string]any{"address": l.Email, "matter": "case-2026-17", "reason": "a claim is before the court"}
	if status, answer := suite.Desk(t, "holds/place", hold); status != http.StatusCreated {
		t.Fatalf("placing the hold: %d %s", status, answer)
	}
	id := l.Start(t, "US", "erasure")
	suite.AwaitStatus(t, id, dsr.Completed)
	untouched()
	kept := l.LetterOf(t, "the answer", func(m inbox.Message) bool { return strings.HasPrefix(m.Subject, "Our answer") })
	if !strings.Contains(kept.Text, "a legal hold for possible claims applies") {
		t.Errorf("the answer does not say that a hold applies:\n%s", kept.Text)
	}
	for task, v := range suite.Visits(t, id) {
		for _, o := range v.Outcomes {
			held := o.Kind == dsr.Retained && o.Ground == connector.GroundHold
			if v.Phase == dsr.Act && v.System != dsr.Itself && !held && o.Kind != dsr.NotHeld {
				t.Errorf("%s: %+v, want retained by the hold", task, o)
			}
		}
	}
	suite.Sweep(t)
	waiting := suite.childrenOf(t, id)
	if len(waiting) == 0 {
		t.Fatal("nothing waits for the end of the hold")
	}
	suite.Sweep(t)
	for child := range waiting {
		if r := suite.Request(t, child); r.Status != dsr.Scheduled {
			t.Errorf("while the hold lasts, what it stopped is %s", r.Status)
		}
	}
	lift := map[string]any{"address": l.Email, "matter": "case-2026-17", "reason": "the case was settled"}
	if status, answer := suite.Desk(t, "holds/lift", lift); status != http.StatusAccepted {
		t.Fatalf("asking for the end of the hold: %d %s", status, answer)
	}
	if status, _ := suite.Desk(t, "holds/lift", lift); status != http.StatusForbidden {
		t.Errorf("one person alone lifted a hold: %d", status)
	}
	suite.Sweep(t)
	untouched()
	delete(lift, "address") // all that the matter holds
	if status, answer := suite.desk(t, suite.colleague(t, "olga"), "holds/lift", lift); status != http.StatusOK {
		t.Fatalf("confirming the end of the hold: %d %s", status, answer)
	}
	suite.Sweep(t)
	for child := range waiting {
		suite.AwaitStatus(t, child, dsr.Completed)
	}
	others()
	left := l.Held(t)
	if len(left.Files) != 0 || len(left.Rows) != 1 || strings.Contains(left.String(), l.Email) {
		t.Errorf("after the hold the systems hold\n%s", left)
	}
	erased := l.LetterOf(t, "that it is erased now", func(m inbox.Message) bool {
		return m.Index > kept.Index && strings.Contains(m.Text, "erased") && strings.HasPrefix(m.Subject, "Our answer")
	})
	if strings.Contains(erased.Text, "a legal hold for possible claims applies") {
		t.Errorf("the last answer still tells of a hold:\n%s", erased.Text)
	}
	matter, err := suite.Book.MatterHolds(t.Context(), "case-2026-17")
	if err != nil || len(matter) != 0 {
		t.Errorf("the matter still holds %d things: %v", len(matter), err)
	}
	var kinds []dsr.EventKind
	for _, e := range suite.Events(t, ledger.HoldsRequest, "case-2026-17") {
		kinds = append(kinds, e.Kind)
	}
	if want := []dsr.EventKind{dsr.EventHoldPlaced, dsr.EventLiftProposed, dsr.EventHoldLifted}; !slices.Equal(kinds, want) {
		t.Errorf("the chain of the matter tells %v, want %v", kinds, want)
	}
}

// atWork starts a copy and proves it as far as the pack asks; its people leave
// all tasks open.
func (s *Suite) atWork(t *testing.T, l *Learner, ask person.Request) ledger.Request {
	t.Helper()
	s.Staff.HoldAll(t, l.Email)
	compared := s.compares(t, ask)
	if compared {
		ask.More = maps.Clone(ask.More)
		ask.More["point_member_since"], ask.More["point_phone"] = []string{"March 2026"}, []string{l.Who.Phone}
	}
	a := l.Ask(t, ask)
	l.ConfirmIt(t, a)
	if compared {
		s.decide(t, a.ID, true, "facts_match")
	}
	return s.AwaitRequest(t, a.ID, "a plan", func(r ledger.Request) bool { return r.Planned })
}

// moved is the desk's answer to an act on the clock.
type moved struct {
	Status dsr.Status
	DueAt  time.Time `json:"due_at"`
}

// act signs an act at the desk that must succeed.
func (s *Suite) act(t testing.TB, act string, body map[string]any) (m moved) {
	t.Helper()
	status, answer := s.Desk(t, act, body)
	if err := json.Unmarshal(answer, &m); status != http.StatusOK || err != nil {
		t.Fatalf("%s: %d %s %v", act, status, answer, err)
	}
	return m
}

// More time needs a reason of the law's list, is taken once, moves the date and is
// told; what the company promised is neither extended nor paused.
func TestAnExtensionMovesTheDateAndIsTold(t *testing.T) {
	t.Parallel()
	s := suite.Of(t, "learnai")
	l := s.Enrol(t, Someone("complexity"), Holdings{Courses: 1})
	r := s.atWork(t, l, person.Request{Rights: []string{"access"}, Country: "BE", More: map[string][]string{"plan": {"individual"}}})
	day := func(at time.Time) string { return at.In(s.Pack.Zone).Format("2 January 2006") }
	if status, _ := s.Desk(t, "extend", map[string]any{"request_id": r.ID, "reason": "the vendor is slow"}); status != http.StatusConflict {
		t.Errorf("a reason that is not on the law's list was answered %d", status)
	}
	m := s.act(t, "extend", map[string]any{"request_id": r.ID, "reason": "complexity"})
	if got := s.Request(t, r.ID).DueAt; !got.Equal(m.DueAt) || m.DueAt.Sub(r.DueAt) < 59*24*time.Hour || m.DueAt.Sub(r.DueAt) > 68*24*time.Hour {
		t.Errorf("the date moved from %s to %s, want two months", day(r.DueAt), day(got))
	}
	told := l.LetterOf(t, "the notice of the extension", func(m inbox.Message) bool { return strings.HasPrefix(m.Subject, "We need more time") })
	for _, says := range []string{day(r.DueAt), day(m.DueAt), "Your request is complex"} {
		if !strings.Contains(told.Text, says) {
			t.Errorf("the notice does not say %q:\n%s", says, told.Text)
		}
	}
	if status, _ := s.Desk(t, "extend", map[string]any{"request_id": r.ID, "reason": "complexity"}); status != http.StatusConflict {
		t.Errorf("a second extension was answered %d", status)
	}

	promised := suite.Enrol(t, Someone("promised"), Holdings{Courses: 1})
	p := suite.atWork(t, promised, person.Request{Rights: []string{"access"}, Country: "US"})
	status, answer := suite.Desk(t, "extend", map[string]any{"request_id": p.ID, "reason": "complexity"})
	if status != http.StatusConflict || !strings.Contains(string(answer), "a promise is never extended") || !suite.Request(t, p.ID).DueAt.Equal(p.DueAt) {
		t.Errorf("extending a promised date: %d %s", status, answer)
	}
	if m := suite.act(t, "questions/ask", map[string]any{"request_id": p.ID, "kind": "clarification", "question": "Which course do you mean?"}); !m.DueAt.Equal(p.DueAt) {
		t.Errorf("a question moved a promised date from %s to %s", p.DueAt, m.DueAt)
	}
	asked := promised.LetterOf(t, "the question", func(m inbox.Message) bool { return strings.HasPrefix(m.Subject, "A question about") })
	if !strings.Contains(asked.Text, "does not change by this: it is "+p.DueAt.Format("2 January 2006")) {
		t.Errorf("the mail does not say that a promised date stands:\n%s", asked.Text)
	}
}

// A question about what is meant, and a doubt about who asks, stop the clock of the
// GDPR until they are answered; a doubt stops the work too.
func TestQuestionsAndTheClock(t *testing.T) {
	t.Parallel()
	s := suite.Of(t, "learnai")
	l := s.Enrol(t, Someone("doubtful"), Holdings{Courses: 1})
	r := s.atWork(t, l, person.Request{Rights: []string{"access"}, Country: "BE", More: map[string][]string{"plan": {"individual"}}})

	m := s.act(t, "questions/ask", map[string]any{"request_id": r.ID, "kind": "clarification", "question": "Which of your two courses do you mean?"})
	if !m.DueAt.Equal(r.DueAt) || m.Status != dsr.Running {
		t.Errorf("a question of meaning: %s, due %s, was %s", m.Status, m.DueAt, r.DueAt)
	}
	asked := l.LetterOf(t, "the question", func(m inbox.Message) bool { return strings.HasPrefix(m.Subject, "A question about") })
	if !strings.Contains(asked.Text, "Which of your two courses do you mean?") || !strings.Contains(asked.Text, "stands still until you answer") {
		t.Errorf("the mail does not ask, or does not say what it means for the date:\n%s", asked.Text)
	}
	s.act(t, "questions/given", map[string]any{"request_id": r.ID, "kind": "clarification"})

	doubt := map[string]any{"request_id": r.ID, "kind": "identity", "question": "The address was used from two countries on one day."}
	if status, _ := s.Desk(t, "questions/ask", doubt); status != http.StatusBadRequest {
		t.Errorf("a doubt that does not name the least was answered %d", status)
	}
	doubt["least"] = "The month in which you opened your account."
	if m := s.act(t, "questions/ask", doubt); m.Status != dsr.NeedsAttention {
		t.Errorf("with a doubt the request is %s", m.Status)
	}
	mail := l.LetterOf(t, "the doubt", func(m inbox.Message) bool { return strings.HasPrefix(m.Subject, "A question before") })
	for _, says := range []string{"two countries on one day", "The month in which you opened", "stands still until you answer"} {
		if !strings.Contains(mail.Text, says) {
			t.Errorf("the mail does not say %q:\n%s", says, mail.Text)
		}
	}
	if x := s.Request(t, r.ID); !x.VerifiedAt.IsZero() || x.Run <= r.Run {
		t.Error("what was at work with a doubted proof may still write")
	}
	// The question stood for ten days.
	s.Change(t, r.ID, func(r *ledger.Request) {
		for i := range r.Clock {
			if r.Clock[i].Kind == dsr.IdentityAsked || r.Clock[i].Kind == dsr.Received {
				r.Clock[i].At = r.Clock[i].At.Add(-10 * 24 * time.Hour)
			}
		}
	})
	s.decide(t, r.ID, true, "known_otherwise")
	after := s.Request(t, r.ID)
	if after.Status != dsr.Running || after.VerifiedAt.IsZero() {
		t.Errorf("after the decision the request is %s", after.Status)
	}
	// Received ten days earlier and stopped for ten: the date is as before, but for a weekend or a holiday.
	if by := after.DueAt.Sub(r.DueAt).Abs(); by > 4*24*time.Hour {
		t.Errorf("ten days of waiting moved the date from %s to %s", r.DueAt, after.DueAt)
	}
	if want, err := s.Pack.Due(after.Rights, after.Clock, after.Place()); err != nil || !after.DueAt.Equal(want.DueAt) {
		t.Errorf("the request is due %s, by its clock %s, %v", after.DueAt, want.DueAt, err)
	}
}

// As the due date comes near, its people are warned at half-time and seven, three
// and one days before, once each; the date stays.
func TestPeopleAreWarnedOnceAtEachStage(t *testing.T) {
	t.Parallel()
	l := suite.Stranger(Someone("overlooked"))
	a := l.Ask(t, californian(l, nil))
	l.ConfirmIt(t, a)
	suite.AwaitRequest(t, a.ID, "the officer to be asked", ledger.Request.AwaitsProof)
	warnings := func(context.Context) (n int, err error) {
		all, err := suite.Inbox.Messages()
		for _, m := range all {
			if strings.HasPrefix(m.Subject, "Data request: an answer is due on") && strings.Contains(m.Text, string(a.ID)) {
				n++
			}
		}
		return n, err
	}
	// In whole days, by which the clock counts; 30 were promised.
	gone := 0
	for i, stage := range []struct {
		name string
		days int
	}{{"half", 16}, {"minus_7", 24}, {"minus_3", 28}, {"minus_1", 30}} {
		suite.Backdate(t, a.ID, time.Duration(stage.days-gone)*24*time.Hour)
		gone = stage.days
		before := suite.Request(t, a.ID).DueAt
		for range 2 {
			suite.Sweep(t)
		}
		if n, err := warnings(t.Context()); err != nil || n != i+1 {
			t.Errorf("at %s people have %d warnings, want %d: %v", stage.name, n, i+1, err)
		}
		if now := suite.Request(t, a.ID); !now.DueAt.Equal(before) {
			t.Errorf("a warning moved the date from %s to %s", before, now.DueAt)
		}
	}
	if n := suite.CountEvents(t, a.ID, dsr.RequestChain, dsr.EventWarned); n != 4 {
		t.Errorf("%d events tell of warnings, want 4", n)
	}
}
