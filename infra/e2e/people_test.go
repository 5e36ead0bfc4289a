//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/writ-dsr/writ/infra/stand/inbox"
	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/vault"
)

// Those whose address looks almost like Ada's are other people: nothing of them
// is shown to her, and her erasure leaves them alone byte for byte.
func TestLookAlikes(t *testing.T) {
	t.Parallel()
	ada := suite.Enrol(t, dsrtest.Ada, Plenty())
	crowd := suite.Crowd(t)
	untouched := Untouched(t, crowd...)
	before, rows, files := ada.Held(t), ada.Rows(t), ada.Files(t)
	id := ada.Start(t, "US", "access", "erasure")
	suite.AwaitStatus(t, id, dsr.Completed)
	untouched()
	wantErased(t, ada, before)
	_, link := ada.Letter(t, "/download")
	b := Unpack(t, ada.Fetch(t, link))
	wantWhole(t, b, rows, files)
	for name, content := range b.Files {
		for _, other := range crowd {
			for _, value := range []string{other.Who.Name, other.Who.Email, other.Who.Phone, other.Who.City} {
				if bytes.Contains(content, []byte(value)) {
					t.Errorf("%s shows Ada something of %s", name, other.Who.Name)
				}
			}
		}
	}
}

// A difference in case alone is a person's task, and never "nothing is held".
func TestLocalPartCaseGoesToAPerson(t *testing.T) {
	t.Parallel()
	who := Someone("caselike")
	upper := Someone("caselike")
	upper.Email = strings.ToUpper(who.Email[:1]) + who.Email[1:]
	other, l := suite.Enrol(t, upper, Holdings{Courses: 2, Payments: 1, Newsletter: true, Stripe: true}), suite.Stranger(who)
	untouched := Untouched(t, other)
	id := l.Start(t, "US", "access")
	for _, system := range []string{"app", "stripe"} {
		v := suite.AwaitVisit(t, id, system+"#gather", "a person's task", func(v dsr.Visit) bool { return v.Person != nil || v.Settled() })
		if v.Person == nil || v.Person.Cause != connector.CauseCandidate || len(v.Outcomes) > 0 {
			t.Errorf("%s: settled %v with %+v, person %+v; want a person's task for a candidate", system, v.Settled(), v.Outcomes, v.Person)
			continue
		}
		plain, _ := suite.Pack.System(system)
		task := suite.Staff.Await(t, "at "+system, func(task Task) bool { return task.Request == id && task.System == plain.Name })
		if !strings.Contains(task.Page.Text(), "capital letters") || strings.Contains(task.Page.Text(), upper.Email) {
			t.Errorf("%s: the task's page does not say why, or shows the other address", system)
		}
		suite.Staff.Answer(t, task, "nothing_held", nil)
	}
	suite.AwaitStatus(t, id, dsr.Completed)
	untouched()
	for _, system := range []string{"app", "stripe"} {
		if n := suite.CountEvents(t, id, system, dsr.EventPersonAnswer); n != 1 {
			t.Errorf("%s: %d answers of a person are in the evidence, want 1", system, n)
		}
	}
	_, link := l.Letter(t, "/download")
	for name, content := range Unpack(t, l.Fetch(t, link)).Files {
		if bytes.Contains(content, []byte(upper.Email)) {
			t.Errorf("%s shows the other person's address", name)
		}
	}
}

// uncap forgets how many challenges went to an address this hour.
func (s *Suite) uncap(t testing.TB, email string) {
	t.Helper()
	keys := vault.New(kms.NewFromConfig(s.Config), s.Outputs["KeyData"], s.Outputs["KeyMac"])
	hash, err := keys.Hash(t.Context(), "mailbox", strings.ToLower(email))
	if err != nil {
		t.Fatal(err)
	}
	name, _ := ledger.Counter("mailbox#"+hash, time.Hour, time.Now())
	gone, err := dynamodb.NewFromConfig(s.Config).DeleteItem(t.Context(), &dynamodb.DeleteItemInput{
		TableName: aws.String(s.Outputs["TableTokens"]), ReturnValues: dynamotypes.ReturnValueAllOld,
		Key: map[string]dynamotypes.AttributeValue{"hash": &dynamotypes.AttributeValueMemberS{Value: name}},
	})
	if err != nil || len(gone.Attributes) == 0 {
		t.Fatalf("no challenge was counted for the address this hour: %v", err)
	}
}

// The same request twice is one, dated from whichever was received first.
func TestSameRequestTwice(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("insistent"), Holdings{Courses: 2, Payments: 1})
	suite.Staff.HoldAll(t, l.Email)
	first := l.Ask(t, person.Request{Rights: []string{"access"}})
	earlier := suite.Backdate(t, first.ID, 5*24*time.Hour)
	suite.uncap(t, l.Email)
	second := l.Ask(t, person.Request{Rights: []string{"access"}})
	if first.ID == second.ID || first.Code == second.Code {
		t.Fatal("two forms made one request before any proof")
	}
	later := suite.Request(t, second.ID)
	if !earlier.DueAt.Before(later.DueAt) {
		t.Fatalf("the first is due %s, the second %s", earlier.DueAt, later.DueAt)
	}
	l.ConfirmIt(t, second)
	suite.AwaitVisit(t, second.ID, "zendesk#gather", "a person's task", func(v dsr.Visit) bool { return v.Person != nil })
	page := l.ConfirmIt(t, first)

	merged := suite.Request(t, first.ID)
	if merged.Status != dsr.Merged || merged.MergedInto != second.ID || merged.ClosedAt.IsZero() {
		t.Errorf("the other one is %s into %q", merged.Status, merged.MergedInto)
	}
	kept := suite.Request(t, second.ID)
	due, err := suite.Pack.Due(earlier.Rights, earlier.Clock, "")
	if err != nil {
		t.Fatal(err)
	}
	if !kept.DueAt.Equal(due.DueAt) || len(kept.Clock) != 2 {
		t.Errorf("the request is due %s by %d clock events, want %s: the date of the first", kept.DueAt, len(kept.Clock), due.DueAt)
	}
	if !strings.Contains(page.Text(), due.DueAt.Format("2 January 2006")) {
		t.Errorf("the page does not say the earlier date: %q", page.Text())
	}
	for _, task := range suite.Staff.Opened(func(task Task) bool { return task.Request == second.ID }) {
		suite.Staff.Answer(t, task, "nothing_held", nil)
	}
	for _, system := range suite.Pack.Systems {
		if system.Manual() {
			task := suite.Staff.Await(t, "at "+system.ID, func(task Task) bool { return task.Request == second.ID && task.System == system.Name })
			if suite.Visits(t, second.ID)[system.ID+"#gather"].Person.AnsweredAt.IsZero() {
				suite.Staff.Answer(t, task, "nothing_held", nil)
			}
		}
	}
	suite.AwaitStatus(t, second.ID, dsr.Completed)
	suite.AwaitEnded(t, first.ID)
	if n := len(suite.Visits(t, first.ID)); n != 0 {
		t.Errorf("the merged request has %d visits", n)
	}
	copies := 0
	for _, m := range l.Letters(t) {
		if strings.HasPrefix(m.Subject, "The copy") {
			copies++
		}
	}
	if copies != 1 {
		t.Errorf("%d copies were mailed, want 1", copies)
	}
}

// Over the cap a request is recorded all the same; its challenge waits an hour.
func TestMailCap(t *testing.T) {
	t.Parallel()
	l := suite.Stranger(Someone("impatient"))
	asks := person.Request{Rights: []string{"access"}}
	first := l.Ask(t, asks)
	code := l.Form(t, asks)
	requests := suite.requestsOf(t, l.Email)
	if len(requests) != 2 {
		t.Fatalf("%d requests are recorded, want both", len(requests))
	}
	second := requests[slices.IndexFunc(requests, func(id dsr.RequestID) bool { return id != first.ID })]
	r := suite.Request(t, second)
	if wait := r.MailAfter.Sub(r.Clock[0].At); wait <= 0 || wait > time.Hour {
		t.Errorf("the second challenge waits %s, want up to an hour", wait)
	}
	suite.AwaitRequest(t, second, "the machine's wait", func(r ledger.Request) bool { return len(r.SealedWait) > 0 })
	suite.Sweep(t)
	if n := len(l.Letters(t)); n != 1 {
		t.Fatalf("%d mails went out, want 1", n)
	}
	suite.Change(t, second, func(r *ledger.Request) { r.MailAfter = time.Now().Add(-time.Second) })
	suite.Sweep(t)
	m, confirm := l.Letter(t, "/confirm")
	if reference.FindString(m.Text) != string(second) {
		t.Error("the queued challenge is of another request")
	}
	l.ConfirmIt(t, Asked{ID: second, Code: code, Confirm: confirm})
	suite.AwaitStatus(t, second, dsr.Completed)
	if n := suite.CountEvents(t, second, dsr.RequestChain, dsr.EventChallenged); n != 1 {
		t.Errorf("%d challenges are in the evidence, want 1", n)
	}
}

// What cannot be read is refused with the field named, and nothing is stored.
func TestMalformedForms(t *testing.T) {
	t.Parallel()
	l := suite.Stranger(Someone("malformed"))
	good := func() url.Values { return url.Values{"email": {l.Email}, "rights": {"access"}} }
	with := func(name string, values ...string) string {
		f := good()
		f[name] = values
		return f.Encode()
	}
	const form = "application/x-www-form-urlencoded"
	for what, c := range map[string]struct {
		body, kind string
		status     int
		says       string // on the page; a field's problem is a link to it
	}{
		"a message of 40 KB":     {with("message", strings.Repeat("long ", 8<<10)), form, 413, "too large"},
		"fields without end":     {strings.Repeat("a=b&", 300) + good().Encode(), form, 400, ""},
		"no address":             {with("email", ""), form, 400, `href="#email"`},
		"no mail address":        {with("email", "not an address"), form, 400, `href="#email"`},
		"two mail addresses":     {with("email", l.Email, l.Email), form, 400, "email"},
		"no right":               {with("rights"), form, 400, `href="#rights"`},
		"an unknown right":       {with("rights", "omniscience"), form, 400, `href="#rights"`},
		"other without words":    {with("rights", "other"), form, 400, `href="#message"`},
		"an unknown country":     {with("country", "Atlantis"), form, 400, `href="#country"`},
		"a name of 201 letters":  {with("name", strings.Repeat("é", 201)), form, 400, `href="#name"`},
		"broken escapes":         {"email=%zz&rights=access", form, 400, ""},
		"bytes that are no text": {"email=%ff%fe&rights=access", form, 400, ""},
		"no content type":        {good().Encode(), "", 415, ""},
		"XML":                    {"<x/>", "application/xml", 415, ""},
	} {
		page, err := person.NewBrowser().Post(t.Context(), suite.Front+"/", c.kind, c.body)
		if err != nil {
			t.Fatal(err)
		}
		if page.Status != c.status || !strings.Contains(string(page.Body), c.says) {
			t.Errorf("%s: got %d %q, want %d with %q", what, page.Status, page.Text()[:min(200, len(page.Text()))], c.status, c.says)
		}
		if _, ok := page.Element("code"); ok {
			t.Errorf("%s: the answer shows a code", what)
		}
	}
	if found := suite.requestsOf(t, l.Email); len(found) != 0 {
		t.Errorf("%d requests were stored", len(found))
	}
	if n := len(l.Letters(t)); n != 0 {
		t.Errorf("%d mails went out", n)
	}
}

// A hold that comes between the look and the erasure keeps everything. Only
// who may act at the desk places one.
func TestHoldBetweenGatherAndAct(t *testing.T) {
	t.Parallel()
	onRequest, onPerson := suite.Enrol(t, Someone("litigant"), Plenty()), suite.Enrol(t, Someone("claimant"), Plenty())
	for _, l := range []*Learner{onRequest, onPerson} {
		suite.Staff.Rule(t, func(task Task) (string, bool) { return Hold, task.Email == l.Email && !task.Erase })
	}
	untouched := Untouched(t, onRequest, onPerson)
	ids := []dsr.RequestID{onRequest.Start(t, "US", "access", "erasure"), onPerson.Start(t, "US", "access", "erasure")}
	acts := []map[string]any{{"request_id": ids[0], "reason": "a claim is before the court"}, {"address": onPerson.Email, "reason": "a claim is before the court"}}

	nobody := credentials.NewStaticCredentialsProvider("AKIAUNKNOWN000000000", "wrong", "")
	for what, who := range map[string]aws.CredentialsProvider{"unsigned": nil, "signed by a stranger": nobody} {
		if status, _ := suite.desk(t, who, "holds/place", acts[0]); status != http.StatusForbidden {
			t.Errorf("%s: the desk answered %d, want 403", what, status)
		}
	}
	manual := 0
	for _, system := range suite.Pack.Systems {
		if system.Manual() {
			manual++
		}
	}
	for i, id := range ids {
		for _, system := range suite.Pack.Systems {
			if !system.Manual() {
				suite.AwaitVisit(t, id, system.ID+"#gather", "the look", func(v dsr.Visit) bool { return v.Settled() })
			}
		}
		Look(t, "all tasks", func(context.Context) (int, error) {
			return len(suite.Staff.Opened(func(task Task) bool { return task.Request == id })), nil
		}, func(n int) bool { return n == manual })
		if status, answer := suite.Desk(t, "holds/place", acts[i]); status != http.StatusCreated {
			t.Fatalf("placing the hold: %d %s", status, answer)
		}
		for _, task := range suite.Staff.Opened(func(task Task) bool { return task.Request == id }) {
			suite.Staff.Answer(t, task, "nothing_held", nil)
		}
		suite.AwaitStatus(t, id, dsr.Completed)
		for task, v := range suite.Visits(t, id) {
			if v.Phase != dsr.Act || v.System == dsr.Itself {
				continue
			}
			for _, o := range v.Outcomes {
				if o.Kind != dsr.Retained || o.Ground != connector.GroundHold {
					t.Errorf("%s: %s is %s on the ground %q, want retained by the hold", task, o.Category, o.Kind, o.Ground)
				}
			}
			if len(v.Outcomes) == 0 {
				t.Errorf("%s ended without an outcome", task)
			}
		}
	}
	untouched()
	if erase := suite.Staff.Opened(func(task Task) bool { return task.Erase && slices.Contains(ids, task.Request) }); len(erase) != 0 {
		t.Errorf("%d employees were asked to erase what is held", len(erase))
	}
	answer := onPerson.LetterOf(t, "the answer", func(m inbox.Message) bool { return strings.HasPrefix(m.Subject, "Our answer") })
	if !strings.Contains(answer.Text, "a legal hold for possible claims applies") || !strings.HasPrefix(answer.Text, "We could not erase your data") {
		t.Errorf("the answer does not say that a hold applies:\n%s", answer.Text)
	}
	for _, id := range ids {
		if r := suite.Request(t, id); !r.ErasingAt.IsZero() {
			t.Errorf("erasing began at %s", r.ErasingAt)
		}
	}
	if holds, err := suite.Book.Holds(t.Context(), ledger.HoldOnRequest(ids[0])); err != nil || len(holds) != 1 || holds[0].By == "" {
		t.Errorf("the hold names nobody: %+v, %v", holds, err)
	}
	// One person asks for the lifting and cannot confirm it.
	for _, want := range []int{http.StatusAccepted, http.StatusForbidden} {
		if status, answer := suite.Desk(t, "holds/lift", map[string]any{"request_id": ids[0], "reason": "settled"}); status != want {
			t.Errorf("lifting the hold: %d, want %d: %s", status, want, answer)
		}
	}
}
