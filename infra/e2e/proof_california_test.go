//go:build e2e

package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/infra/stand/inbox"
	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

// given is what proof/show shows of what somebody gave.
type given struct {
	By       string
	Needs    []string
	Address  string
	AnswerTo string `json:"answer_to"`
	Declared string
	Points   []dsr.Point `json:"match_points"`
}

// californian is the form of somebody in California with all that a copy needs.
func californian(l *Learner, more map[string][]string) person.Request {
	fields := map[string][]string{
		"state": {"CA"}, "point_phone": {l.Who.Phone}, "point_member_since": {"March 2026"}, "point_last_payment": {"1 March 2026, 49 dollars"}, "declared": {l.Who.Name},
	}
	maps.Copy(fields, more)
	return person.Request{Rights: []string{"access"}, Country: "US", More: fields}
}

// wantUndecided fails unless a request waits for the officer, with nothing looked
// up, and shows to whoever is signed in what was given.
func (s *Suite) wantUndecided(t testing.TB, id dsr.RequestID, reason string) given {
	t.Helper()
	r := s.AwaitRequest(t, id, "the officer to be asked", ledger.Request.AwaitsProof)
	if r.Reason != reason || r.Owner != ledger.OfficerRole || !r.VerifiedAt.IsZero() {
		t.Errorf("the request waits with %q, owned by %q, verified %v; want %q, nobody yet", r.Reason, r.Owner, !r.VerifiedAt.IsZero(), reason)
	}
	if n := len(s.Visits(t, id)); n != 0 {
		t.Errorf("before the decision there are %d visits", n)
	}
	if status, _ := s.desk(t, nil, "proof/show", map[string]any{"request_id": id}); status != http.StatusForbidden {
		t.Errorf("what was given is shown to nobody in particular: %d", status)
	}
	status, answer := s.Desk(t, "proof/show", map[string]any{"request_id": id})
	var shown given
	if err := json.Unmarshal(answer, &shown); status != http.StatusOK || err != nil {
		t.Fatalf("showing the proof: %d, %v", status, err)
	}
	return shown
}

// A copy of the data takes three facts and a signature in California, and a
// person who compares them; then it comes, and the facts are gone.
func TestACopyInCaliforniaTakesThreeFacts(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("golden"), Plenty())
	rows, files := l.Rows(t), l.Files(t)
	a := l.Ask(t, californian(l, nil))
	l.ConfirmIt(t, a)
	shown := suite.wantUndecided(t, a.ID, ledger.ReasonProof)
	if len(shown.Points) != 3 || shown.Declared != l.Who.Name || shown.Address != l.Email || shown.AnswerTo != l.Email || !slices.Contains(shown.Needs, "match_points(3)") || !slices.Contains(shown.Needs, "declaration") {
		t.Errorf("shown to the officer: %d facts, declared %v, needs %v", len(shown.Points), shown.Declared == l.Who.Name, shown.Needs)
	}
	if status, _ := suite.Desk(t, "proof/decide", map[string]any{"request_id": a.ID, "sufficient": true, "reason": "looks fine"}); status != http.StatusBadRequest {
		t.Errorf("a decision with a reason of its own was answered %d", status)
	}
	suite.decide(t, a.ID, true, "facts_match")
	r := suite.AwaitStatus(t, a.ID, dsr.Completed)
	_, link := l.Letter(t, "/download")
	wantWhole(t, Unpack(t, l.Fetch(t, link)), rows, files)

	resolved, _ := suite.forecast(t, r)
	if !r.DueAt.Equal(resolved.Deadline.DueAt) || resolved.Deadline.DueAt.Sub(r.Clock[0].At).Hours() > 45*24 {
		t.Errorf("the request is due %s, by the rows %s", r.DueAt, resolved.Deadline.DueAt)
	}
	if ack := resolved.Deadline.AcknowledgeDueAt; ack.IsZero() || a.Mail.At.After(ack) {
		t.Errorf("the receipt is confirmed at %s, due %s", a.Mail.At, ack)
	}
	for _, act := range []string{"proof/show", "proof/decide"} {
		if status, _ := suite.Desk(t, act, map[string]any{"request_id": a.ID, "sufficient": true, "reason": "facts_match"}); status != http.StatusConflict {
			t.Errorf("%s after the decision was answered %d", act, status)
		}
	}
	for kind, want := range map[dsr.EventKind]int{dsr.EventProofShown: 1, dsr.EventProofDecided: 1, dsr.EventVerified: 1} {
		if n := suite.CountEvents(t, a.ID, dsr.RequestChain, kind); n != want {
			t.Errorf("%d events say %s, want %d", n, kind, want)
		}
	}
}

// Where the facts differ, California's next lesser answer is given: the kinds of
// data, and nothing of the person (11 CCR 7024, 7060).
func TestFactsThatDifferGetTheKindsOfData(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("impostor"), Plenty())
	untouched := Untouched(t, l)
	a := l.Ask(t, californian(l, map[string][]string{"point_phone": {"+1 555 0100"}}))
	l.ConfirmIt(t, a)
	suite.wantUndecided(t, a.ID, ledger.ReasonProof)
	suite.decide(t, a.ID, false, "facts_differ")
	r := suite.AwaitStatus(t, a.ID, dsr.Completed)
	untouched()
	if !r.VerifiedAt.IsZero() || r.Bundle != nil {
		t.Errorf("who is not proved is verified, or gets a copy: %+v", r)
	}
	for task, v := range suite.Visits(t, a.ID) {
		if len(v.Ops) > 0 || len(v.Steps) > 0 || v.Person != nil {
			t.Errorf("%s looked for somebody who is not proved: %+v", task, v)
		}
	}
	m := l.LetterOf(t, "the answer", func(m inbox.Message) bool { return strings.HasPrefix(m.Subject, "Our answer") })
	if person.Link(m, "/download") != "" || !strings.Contains(m.Text, "The kinds of data we work with") {
		t.Errorf("the answer leads to a copy, or does not name the kinds of data:\n%s", m.Text)
	}
	for _, never := range []string{l.Who.Name, l.Who.Phone, l.Who.City, "in your copy"} {
		if strings.Contains(m.Text, never) {
			t.Error("the answer tells something of the person")
		}
	}
}

// An agent shows a permission, the person confirms it, a person of the company
// reads it, and the answer goes to the person alone (11 CCR 7063).
func TestAnAgentInCalifornia(t *testing.T) {
	t.Parallel()
	l, agent := suite.Enrol(t, Someone("principal"), Holdings{Courses: 1}), suite.Stranger(Someone("agency"))
	form := californian(agent, map[string][]string{"by": {"agent"}, "for": {l.Email}, "permission": {"Signed on 1 November 2026."}})
	code := agent.Form(t, form)
	m, confirm := l.Letter(t, "/confirm")
	a := Asked{ID: dsr.RequestID(reference.FindString(m.Text)), Code: code, Mail: m, Confirm: confirm}
	l.ConfirmIt(t, a)
	shown := suite.wantUndecided(t, a.ID, ledger.ReasonProof)
	if shown.By != "agent" || shown.Address != l.Email || shown.AnswerTo != l.Email || !slices.Contains(shown.Needs, "permission") {
		t.Errorf("shown to the officer: by %s, needs %v", shown.By, shown.Needs)
	}
	suite.decide(t, a.ID, true, "permission_confirmed")
	suite.AwaitStatus(t, a.ID, dsr.Completed)
	_, link := l.Letter(t, "/download")
	if rows := Unpack(t, l.Fetch(t, link)).Rows("app", "account"); rows != 1 {
		t.Errorf("the copy has %d accounts", rows)
	}
	for _, m := range agent.Letters(t) {
		if person.Link(m, "/download") != "" || person.Link(m, "/confirm") != "" {
			t.Errorf("the agent got a mail that opens the person's data: %q", m.Subject)
		}
	}
}

// Who lost the mailbox is nobody's to challenge: a person decides, and a no gives
// the kinds of data in California and nothing elsewhere.
func TestALostMailboxGoesToAPerson(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		word, country, state string
		status               dsr.Status
	}{
		{"lostcalifornia", "US", "CA", dsr.Completed}, {"losteurope", "DE", "", dsr.Unverified},
	} {
		l, fresh := suite.Enrol(t, Someone(c.word), Holdings{Courses: 1}), suite.Stranger(Someone(c.word+"fresh"))
		form := californian(l, map[string][]string{"state": {c.state}, "by": {"unmailable"}, "reach": {fresh.Email}})
		form.Country = c.country
		page := l.sends(t, form)
		if _, code := page.Element("code"); code || !strings.Contains(page.Text(), "a person of our team writes to the other address") {
			t.Errorf("%s: the answer is %q", c.word, page.Text())
		}
		ids := suite.requestsOf(t, l.Email)
		if len(ids) != 1 {
			t.Fatalf("%s: %d requests are open", c.word, len(ids))
		}
		shown := suite.wantUndecided(t, ids[0], ledger.ReasonAddressLost)
		if shown.AnswerTo != fresh.Email || len(shown.Points) != 3 {
			t.Errorf("%s: shown are %d facts; the answer goes to the new address: %v", c.word, len(shown.Points), shown.AnswerTo == fresh.Email)
		}
		suite.decide(t, ids[0], false, "facts_differ")
		suite.AwaitStatus(t, ids[0], c.status)
		if c.status == dsr.Completed {
			fresh.LetterOf(t, "the answer", func(m inbox.Message) bool { return strings.HasPrefix(m.Subject, "Our answer") })
		} else {
			fresh.LetterOf(t, "that it ended", func(m inbox.Message) bool { return strings.Contains(m.Subject, "has ended") })
		}
		if n := len(l.Letters(t)); n != 0 {
			t.Errorf("%s: %d mails went to the lost mailbox", c.word, n)
		}
	}
}
