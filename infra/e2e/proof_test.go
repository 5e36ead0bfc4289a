//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/writ-dsr/writ/infra/stand/inbox"
	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/platform/machine"
	"github.com/writ-dsr/writ/shared/platform/vault"
)

// sent fills the form as given and returns the answer's page.
func (l *Learner) sent(t testing.TB, fields map[string][]string) *person.Page {
	t.Helper()
	page, err := l.Browser.Get(t.Context(), suite.Front+"/")
	if err != nil {
		t.Fatal(err)
	}
	form, err := page.Form("email")
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range fields {
		if err := form.Set(name, values...); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := form.Submit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// requestsOf are the open requests of an address, as only who holds the key can
// tell.
func (s *Suite) requestsOf(t testing.TB, email string) []dsr.RequestID {
	t.Helper()
	keys := vault.New(kms.NewFromConfig(s.Config), s.Outputs["KeyData"], s.Outputs["KeyMac"])
	var found []dsr.RequestID
	err := s.Book.OpenRequests(t.Context(), func(r ledger.Request) error {
		d, err := dossier.Open(t.Context(), s.Book, keys, r.ID)
		if err == nil && d.Subject.Email() == email {
			found = append(found, r.ID)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// record is all that the ledger holds of a request but its links, line by line.
func (s *Suite) record(t testing.TB, id dsr.RequestID) []string {
	t.Helper()
	var lines []string
	add := func(v any) {
		doc, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(doc))
	}
	add(s.Request(t, id))
	for _, v := range s.Visits(t, id) {
		add(v)
	}
	for _, e := range s.AllEvents(t, id) {
		add(e)
	}
	slices.Sort(lines)
	return lines
}

// Whoever asks learns from the form nothing about who is known; the mail tells
// the truth to the mailbox alone.
func TestUnknownPerson(t *testing.T) {
	t.Parallel()
	known, stranger := suite.Enrol(t, Someone("familiar"), Plenty()), suite.Stranger(Someone("stranger"))
	suite.Staff.Rule(t, func(task Task) (string, bool) { return "nothing_held", task.Email == stranger.Email && task.Erase })
	fields := func(l *Learner) map[string][]string {
		return map[string][]string{"email": {l.Email}, "rights": {"access", "erasure"}}
	}
	first, second := known.sent(t, fields(known)), stranger.sent(t, fields(stranger))
	var codes []string
	for _, page := range []*person.Page{first, second} {
		code, ok := page.Element("code")
		if !ok {
			t.Fatalf("the answer %q shows no code", page.Heading())
		}
		codes = append(codes, code)
		page.Header.Del("Date")
	}
	neutral := func(p *person.Page, code string) string { return strings.ReplaceAll(string(p.Body), code, "CODE") }
	if codes[0] == codes[1] || first.Status != second.Status || neutral(first, codes[0]) != neutral(second, codes[1]) {
		t.Errorf("the answers differ: %d\n%s\n%d\n%s", first.Status, first.Body, second.Status, second.Body)
	}
	unlike := func(h http.Header) string {
		var names []string
		for name := range h {
			if !strings.HasPrefix(name, "X-Amz") && !strings.HasPrefix(name, "X-Amzn") {
				names = append(names, name+": "+strings.Join(h[name], ","))
			}
		}
		slices.Sort(names)
		return strings.Join(names, "\n")
	}
	if a, b := unlike(first.Header), unlike(second.Header); a != b {
		t.Errorf("the headers differ:\n%s\n\n%s", a, b)
	}

	m, confirm := stranger.Letter(t, "/confirm")
	a := Asked{ID: dsr.RequestID(reference.FindString(m.Text)), Code: codes[1], Confirm: confirm}
	stranger.ConfirmIt(t, a)
	suite.AwaitStatus(t, a.ID, dsr.Completed)
	copied, link := stranger.Letter(t, "/download")
	if !strings.HasPrefix(copied.Text, "We looked in every system and hold no data about you under this address") {
		t.Errorf("the copy's mail opens with %q", copied.Text[:min(120, len(copied.Text))])
	}
	if b := Unpack(t, stranger.Fetch(t, link)); b.Manifest.Rows+b.Manifest.FileCount != 0 || len(b.Manifest.Files) != 0 {
		t.Errorf("a stranger's bundle holds %d rows", b.Manifest.Rows)
	}
	answer := stranger.LetterOf(t, "the answer", func(m inbox.Message) bool { return strings.HasPrefix(m.Subject, "Our answer") })
	if !strings.Contains(answer.Text, "hold no data about you under this address, so there was nothing to erase") {
		t.Errorf("the answer opens with %q", answer.Text[:min(120, len(answer.Text))])
	}
	wantTold(t, a.ID, answer)
	for task, v := range suite.Visits(t, a.ID) {
		for _, o := range v.Outcomes {
			if v.System != dsr.Itself && o.Kind != dsr.NotHeld { // Writ knows of this very request
				t.Errorf("%s: %s is %s, want not_held", task, o.Category, o.Kind)
			}
		}
	}
}

func TestWrongReusedAndExpiredCodes(t *testing.T) {
	t.Parallel()
	l, other := suite.Stranger(Someone("typist")), suite.Stranger(Someone("othertypist"))
	asks := person.Request{Rights: []string{"access"}}
	a, b := l.Ask(t, asks), other.Ask(t, asks)
	confirm := func(link, code string) *person.Page {
		t.Helper()
		page, err := l.Confirm(t.Context(), link, code)
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	for what, code := range map[string]string{"another request's code": b.Code, "an invented one": "AAAA-AAAA", "none": ""} {
		if page := confirm(a.Confirm, code); page.Status != http.StatusBadRequest {
			t.Errorf("%s: got %d, want 400", what, page.Status)
		}
	}
	if r := suite.Request(t, a.ID); r.Status != dsr.Verifying || !r.VerifiedAt.IsZero() {
		t.Fatalf("a wrong code proved the request: %s", r.Status)
	}
	if page := confirm(a.Confirm, strings.ToLower(a.Code)); page.Status != http.StatusOK {
		t.Fatalf("the right code after two wrong ones: got %d", page.Status)
	}
	version := suite.AwaitStatus(t, a.ID, dsr.Completed).Version
	for range 2 {
		if page, err := l.Browser.Get(t.Context(), a.Confirm); err != nil || page.Status != http.StatusGone {
			t.Errorf("the link used again: got %d, %v, want 410", page.Status, err)
		}
	}
	if r := suite.Request(t, a.ID); r.Version != version || r.Run != 1 {
		t.Errorf("the link used again changed the request: version %d, run %d", r.Version, r.Run)
	}

	for n := range 5 {
		if page := confirm(b.Confirm, "AAAA-AAAA"); page.Status != http.StatusBadRequest {
			t.Fatalf("wrong code %d: got %d, want 400", n+1, page.Status)
		}
	}
	page, err := other.Browser.Get(t.Context(), b.Confirm)
	if err != nil {
		t.Fatal(err)
	}
	if form, err := page.Form("code"); err == nil {
		if err := form.Set("code", b.Code); err != nil {
			t.Fatal(err)
		}
		if err := form.Set("confirm", "yes"); err != nil {
			t.Fatal(err)
		}
		if page, err = form.Submit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if page.Status != http.StatusGone || suite.Request(t, b.ID).Status != dsr.Verifying {
		t.Errorf("the right code after five wrong ones: got %d, status %s", page.Status, suite.Request(t, b.ID).Status)
	}

	late := suite.Stranger(Someone("latecomer"))
	c := late.Ask(t, asks)
	suite.Expire(t, c.Confirm)
	for what, get := range map[string]func() (*person.Page, error){
		"opened": func() (*person.Page, error) { return late.Browser.Get(t.Context(), c.Confirm) },
		"posted": func() (*person.Page, error) {
			return post(t.Context(), suite.Front+"/confirm", url.Values{"t": {Secret(t, c.Confirm)}, "code": {c.Code}, "confirm": {"yes"}})
		},
	} {
		if page, err := get(); err != nil || page.Status != http.StatusGone || !strings.Contains(page.Text(), "expired") {
			t.Errorf("an expired link, %s: got %v, %v", what, page, err)
		}
	}
	if status := suite.Request(t, c.ID).Status; status != dsr.Verifying {
		t.Errorf("an expired link proved the request: %s", status)
	}
}

// post sends a form without having opened its page.
func post(ctx context.Context, address string, form url.Values) (*person.Page, error) {
	return person.NewBrowser().Post(ctx, address, "application/x-www-form-urlencoded", form.Encode())
}

// An unproved request is reminded once and ends in an answer. It moves the clock
// of the whole stand, so it runs alone.
func TestUnprovedEndsInAnAnswer(t *testing.T) {
	l := suite.Enrol(t, Someone("forgetful"), Plenty())
	untouched := Untouched(t, l)
	a := l.Ask(t, person.Request{Rights: []string{"access", "erasure"}})
	calls := len(suite.Stripe.Requests())
	began := suite.Request(t, a.ID).Clock[0].At
	subjects := func() (all []string) {
		for _, m := range l.Letters(t) {
			all = append(all, m.Subject)
		}
		return all
	}
	suite.SweepAt(t, began.Add(24*time.Hour))
	if got := subjects(); len(got) != 1 {
		t.Fatalf("after a day there are the mails %q", got)
	}
	suite.SweepAt(t, began.Add(4*24*time.Hour))
	suite.SweepAt(t, began.Add(4*24*time.Hour+time.Hour))
	want := []string{"Please confirm your request to PythonMaster", "Reminder: please confirm your request to PythonMaster"}
	if got := subjects(); !slices.Equal(got, want) {
		t.Fatalf("after four days there are the mails %q, want one reminder", got)
	}
	suite.SweepAt(t, began.Add(7*24*time.Hour+time.Hour))
	end := l.LetterOf(t, "the end", func(m inbox.Message) bool { return strings.HasSuffix(m.Subject, "has ended") })
	for _, said := range []string{"nothing was looked up, sent or erased", "we need the link from our mail together with the code", "If you disagree", suite.Front + "/"} {
		if !strings.Contains(end.Text, said) {
			t.Errorf("the mail does not say %q:\n%s", said, end.Text)
		}
	}
	if e := suite.AwaitEnded(t, a.ID); e.Status != machine.Succeeded {
		t.Errorf("the machine ended %s", e.Status)
	}
	suite.SweepAt(t, began.Add(8*24*time.Hour))
	if got := subjects(); len(got) != 3 {
		t.Errorf("the mails are %q, want three", got)
	}
	r := suite.Request(t, a.ID)
	if r.Status != dsr.Unverified || r.ClosedAt.IsZero() || r.Planned || len(suite.Visits(t, a.ID)) != 0 {
		t.Errorf("the request is %s, planned %v", r.Status, r.Planned)
	}
	if page, err := l.Confirm(t.Context(), a.Confirm, a.Code); err == nil && page.Status == http.StatusOK {
		t.Error("the link still confirms")
	}
	if n := len(suite.Stripe.Requests()); n != calls {
		t.Errorf("%d calls went to Stripe for an unproved request", n-calls)
	}
	untouched()
}

// A program that opens every link of every mail and sends every form as it
// stands changes nothing, and the links work afterwards.
func TestScannerChangesNothing(t *testing.T) {
	t.Parallel()
	// Nothing that a ground keeps: the sweep of another test would plan its later end.
	l := suite.Enrol(t, Someone("scanned"), Holdings{Courses: 4, Files: 2, Newsletter: true})
	asked := l.Ask(t, person.Request{Rights: []string{"access", "erasure"}, Country: "US"})
	scan := func(what string, mails []inbox.Message, atLeast int) {
		t.Helper()
		before, all, links := suite.record(t, asked.ID), len(suite.mailsAbout(t, asked.ID)), 0
		for _, m := range mails {
			for _, link := range person.Links(m) {
				page, err := person.NewBrowser().Get(t.Context(), link)
				if err != nil || page.Status >= 500 {
					t.Fatalf("%s: opening a link: %v, %v", what, page, err)
				}
				links++
				forms, err := page.Forms()
				if err != nil {
					t.Fatal(err)
				}
				for _, form := range forms {
					if strings.TrimSuffix(form.Action().Path, "/") == "" {
						continue // the request form itself, which is empty and says so
					}
					answer, err := form.Submit(t.Context())
					if err != nil || answer.Status >= 500 {
						t.Fatalf("%s: sending an empty form: %v, %v", what, answer, err)
					}
				}
			}
		}
		if links < atLeast {
			t.Fatalf("%s: only %d links were there to scan, want %d", what, links, atLeast)
		}
		for _, line := range suite.record(t, asked.ID) {
			if !slices.Contains(before, line) {
				t.Errorf("%s: the scanner changed the ledger: %s", what, line)
			}
		}
		for _, m := range suite.mailsAbout(t, asked.ID)[all:] {
			t.Errorf("%s: the scanner caused the mail %q", what, m.Subject)
		}
	}
	Look(t, "the challenge in the evidence", func(context.Context) (int, error) {
		return suite.CountEvents(t, asked.ID, dsr.RequestChain, dsr.EventChallenged), nil
	}, func(n int) bool { return n == 1 })
	scan("before the proof", l.Letters(t), 2)

	var waits atomic.Bool
	waits.Store(true)
	suite.Staff.Rule(t, func(task Task) (string, bool) { return Hold, task.Email == l.Email && waits.Load() })
	l.ConfirmIt(t, asked)
	var open []Task
	for _, system := range suite.Pack.Systems {
		if system.Manual() {
			open = append(open, suite.Staff.Await(t, "at "+system.ID, func(task Task) bool { return task.Request == asked.ID && task.System == system.Name }))
			continue
		}
		suite.AwaitVisit(t, asked.ID, system.ID+"#gather", "the look", func(v dsr.Visit) bool { return v.Settled() })
	}
	scan("with the employees", suite.mailsAbout(t, asked.ID), len(open)+2)
	waits.Store(false)
	for _, task := range open {
		suite.Staff.Answer(t, task, "nothing_held", nil)
	}
	suite.AwaitStatus(t, asked.ID, dsr.Completed)
	suite.AwaitEnded(t, asked.ID)
	suite.Sweep(t) // has seen the end, so that no other one writes it while the scanner looks
	scan("after the answer", suite.mailsAbout(t, asked.ID), 2*len(open)+5)
	var download string
	for _, m := range l.Letters(t) {
		if link := person.Link(m, "/download"); link != "" {
			download = link
		}
	}
	Unpack(t, l.Fetch(t, download))
}

// mailsAbout are all mails that name a request, whoever got them.
func (s *Suite) mailsAbout(t testing.TB, id dsr.RequestID) []inbox.Message {
	t.Helper()
	all, err := s.Inbox.Messages()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(m inbox.Message) bool { return !strings.Contains(m.Text, string(id)) })
}

// "This was not me" ends a request; nobody looks anything up.
func TestDisown(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("impersonated"), Plenty())
	untouched := Untouched(t, l)
	a := l.Ask(t, person.Request{Rights: []string{"erasure"}})
	page, err := l.Browser.Get(t.Context(), a.NotMe)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"", "me"} {
		if answer, err := press(t.Context(), page, "word", map[string]string{"word": word}); err != nil || answer.Status != http.StatusBadRequest {
			t.Errorf("the word %q: %v, %v", word, answer, err)
		}
	}
	if status := suite.Request(t, a.ID).Status; status != dsr.Verifying {
		t.Fatalf("a wrong word moved the request to %s", status)
	}
	answer, err := press(t.Context(), page, "word", map[string]string{"word": "Not me"})
	if err != nil || answer.Status != http.StatusOK || !strings.Contains(answer.Text(), "the request has ended") {
		t.Fatalf("disowning: %v, %v", answer, err)
	}
	if e := suite.AwaitEnded(t, a.ID); e.Status != machine.Succeeded {
		t.Errorf("the machine ended %s", e.Status)
	}
	if page, err := l.Confirm(t.Context(), a.Confirm, a.Code); err == nil && page.Status == http.StatusOK {
		t.Error("the disowned request was confirmed")
	}
	r := suite.Request(t, a.ID)
	if r.Status != dsr.Disowned || r.ClosedAt.IsZero() || len(suite.Visits(t, a.ID)) != 0 || len(l.Letters(t)) != 1 {
		t.Errorf("status %s, %d visits, %d mails", r.Status, len(suite.Visits(t, a.ID)), len(l.Letters(t)))
	}
	if n := suite.CountEvents(t, a.ID, dsr.RequestChain, dsr.EventDisowned); n != 1 {
		t.Errorf("%d events tell of it", n)
	}
	untouched()
}

// The status page withdraws a request until erasing begins.
func TestWithdraw(t *testing.T) {
	t.Parallel()
	withdraw := func(l *Learner, confirmed *person.Page, word string) *person.Page {
		t.Helper()
		links := confirmed.Links()
		at := slices.IndexFunc(links, func(link string) bool { return strings.Contains(link, "/status?") })
		if at < 0 {
			t.Fatalf("the page has no link to the status page, only %q", links)
		}
		// A slow reader: the page was opened before, its form is sent now.
		page, err := post(t.Context(), suite.Front+"/status", url.Values{"t": {Secret(t, links[at])}, "step": {"withdraw"}, "word": {word}})
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	l := suite.Enrol(t, Someone("regretful"), Plenty())
	suite.Staff.HoldAll(t, l.Email)
	untouched := Untouched(t, l)
	a := l.Ask(t, person.Request{Rights: []string{"access", "erasure"}})
	confirmed := l.ConfirmIt(t, a)
	task := suite.Staff.Await(t, "at PayPal", func(task Task) bool { return task.Request == a.ID && strings.HasPrefix(task.System, "PayPal") })
	if page := withdraw(l, confirmed, "please"); page.Status != http.StatusBadRequest || suite.Request(t, a.ID).Status != dsr.Running {
		t.Errorf("a wrong word: got %d", page.Status)
	}
	if page := withdraw(l, confirmed, "Withdraw"); page.Status != http.StatusOK || !strings.Contains(page.Text(), "nothing was erased") {
		t.Errorf("withdrawing: got %d %q", page.Status, page.Text())
	}
	if e := suite.AwaitEnded(t, a.ID); e.Status != machine.Aborted && e.Status != machine.Succeeded {
		t.Errorf("the machine ended %s", e.Status)
	}
	if page, err := person.NewBrowser().Get(t.Context(), task.Link); err != nil || page.Status != http.StatusGone {
		t.Errorf("the employee's link still opens the task: %v, %v", page, err)
	}
	suite.Sweep(t)
	suite.ExecutionEnded(t, a.ID, 1, "ABORTED")
	if r := suite.Request(t, a.ID); r.Status != dsr.Withdrawn || r.Run != 1 || !r.ErasingAt.IsZero() {
		t.Errorf("status %s, run %d, erasing since %s", r.Status, r.Run, r.ErasingAt)
	}
	untouched()

	late := suite.Enrol(t, Someone("toolate"), Plenty())
	suite.Staff.HoldAll(t, late.Email)
	b := late.Ask(t, person.Request{Rights: []string{"erasure"}, Country: "US"})
	confirmed = late.ConfirmIt(t, b)
	suite.AwaitRequest(t, b.ID, "the first erasure", func(r ledger.Request) bool { return !r.ErasingAt.IsZero() })
	if page := withdraw(late, confirmed, "withdraw"); page.Status != http.StatusConflict || !strings.Contains(page.Text(), "erasing has begun") {
		t.Errorf("withdrawing too late: got %d %q", page.Status, page.Text())
	}
	if r := suite.Request(t, b.ID); r.Status != dsr.Running {
		t.Errorf("the request is %s", r.Status)
	}
}
