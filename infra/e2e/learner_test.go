//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/infra/stand"
	"github.com/writ-dsr/writ/infra/stand/inbox"
	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/connectors/stripe/stripefake"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// Learner is a person of a test: someone the company's systems know, or not.
type Learner struct {
	*person.Person // browser and mailbox
	Who            dsrtest.Person
	Account        int64  // in the company's database; 0 for a stranger
	Customer       string // at Stripe; "" for none

	suite *Suite
}

// Holdings say what the company's systems hold about a learner.
type Holdings struct {
	Courses, Payments, Files int
	Newsletter               bool
	Stripe                   bool   // everything Stripe may hold: see stripefake.Seed
	StudiesWith              string // address of a learner enrolled before
}

// Plenty is something in every system.
func Plenty() Holdings {
	return Holdings{Courses: 4, Payments: 3, Files: 2, Newsletter: true, Stripe: true}
}

// crowd are the people who are there from the start and of whom nobody asks:
// the cast, whose look-alike addresses lie beside Ada's.
func crowd(fake *stripefake.Fake) []stand.Learner {
	var all []stand.Learner
	for _, p := range dsrtest.LookAlikes() {
		all = append(all, stand.Learner{Name: p.Name, Email: p.Email, Phone: p.Phone, Courses: 2, Payments: 2, Files: 1, Newsletter: true, StripeCustomer: fake.Seed(p)})
	}
	return all
}

// Someone makes up a person: every value of them carries the canary that the
// suite's last look finds wherever it must not be. word is lower-case letters
// and unlike that of any other test.
func Someone(word string) dsrtest.Person {
	canary := word + "zq9canary"
	return dsrtest.Person{
		Name: "Given " + strings.ToUpper(word[:1]) + word[1:] + "-Zq9canary", Email: canary + "@learner.example",
		Phone: "+15550" + canary, City: canary + "-Town",
	}
}

// Enrol puts a person into the company's systems.
func (s *Suite) Enrol(t testing.TB, p dsrtest.Person, h Holdings) *Learner {
	t.Helper()
	l := s.Stranger(p)
	if h.Stripe {
		l.Customer = s.Stripe.Seed(p)
	}
	account, err := s.Stand.Enrol(t.Context(), stand.Learner{
		Name: p.Name, Email: p.Email, Phone: p.Phone, Courses: h.Courses, Payments: h.Payments, Files: h.Files, Newsletter: h.Newsletter,
		StripeCustomer: l.Customer, StudiesWith: h.StudiesWith,
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Account = account
	return l
}

// Stranger is a person no system knows.
func (s *Suite) Stranger(p dsrtest.Person) *Learner {
	return &Learner{Person: person.New(p.Email, s.Inbox), Who: p, suite: s}
}

// Asked is a request that waits for its proof.
type Asked struct {
	ID      dsr.RequestID
	Code    string // the form's answer page showed it
	Mail    inbox.Message
	Confirm string // link
	NotMe   string // link
}

// formsBeforeForgetting keeps the forms of all tests below the cap of one
// source and day.
const formsBeforeForgetting = 40

var reference = regexp.MustCompile(`\bw[a-z2-7]{25}\b`)

// Form fills and sends the form and returns the code its answer shows.
func (l *Learner) Form(t testing.TB, r person.Request) (code string) {
	t.Helper()
	s := l.suite
	s.mu.Lock()
	s.asked++
	full := s.asked%formsBeforeForgetting == 0
	s.mu.Unlock()
	if full {
		if err := s.forgetSources(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	code, err := l.Person.Ask(t.Context(), s.Front, r)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// Ask fills the form and waits for the challenge.
func (l *Learner) Ask(t testing.TB, r person.Request) Asked {
	t.Helper()
	code := l.Form(t, r)
	m, confirm := l.Letter(t, "/confirm")
	a := Asked{ID: dsr.RequestID(reference.FindString(m.Text)), Code: code, Mail: m, Confirm: confirm, NotMe: person.Link(m, "/not-me")}
	if a.ID == "" || a.NotMe == "" {
		t.Fatalf("the challenge has no reference or no link to disown: %q", m.Subject)
	}
	return a
}

// ConfirmIt proves a request and returns the page that says so.
func (l *Learner) ConfirmIt(t testing.TB, a Asked) *person.Page {
	t.Helper()
	page, err := l.Person.Confirm(t.Context(), a.Confirm, a.Code)
	if err != nil {
		t.Fatal(err)
	}
	if page.Status != http.StatusOK || !strings.Contains(page.Text(), string(a.ID)) {
		t.Fatalf("the request was not confirmed: %d %q", page.Status, page.Text())
	}
	return page
}

// Start asks, proves and confirms; country is "" or such as "US".
func (l *Learner) Start(t testing.TB, country string, rights ...string) dsr.RequestID {
	t.Helper()
	a := l.Ask(t, person.Request{Rights: rights, Country: country})
	l.ConfirmIt(t, a)
	return a.ID
}

// Letter waits for the next unread mail with a link to a path ("/confirm",
// "/download", "/status") and returns it with that link. Every mail after the
// proof has a link to /status; the copy's has one to /download too.
func (l *Learner) Letter(t testing.TB, path string) (inbox.Message, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), mailLooks)
	defer cancel()
	m, link, err := l.Mail(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	return m, link
}

// LetterOf waits for the next unread mail that match accepts.
func (l *Learner) LetterOf(t testing.TB, what string, match func(inbox.Message) bool) inbox.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), mailLooks)
	defer cancel()
	m, err := l.suite.Inbox.Wait(ctx, func(m inbox.Message) bool { return m.To == l.Email && match(m) })
	if err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
	return m
}

// Letters are all mails to the person so far.
func (l *Learner) Letters(t testing.TB) []inbox.Message {
	t.Helper()
	all, err := l.suite.Inbox.Messages()
	if err != nil {
		t.Fatal(err)
	}
	var mine []inbox.Message
	for _, m := range all {
		if m.To == l.Email {
			mine = append(mine, m)
		}
	}
	return mine
}

// Fetch downloads the bundle behind a link, with the second code.
func (l *Learner) Fetch(t testing.TB, link string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), mailLooks)
	defer cancel()
	file, err := l.Person.Download(ctx, link)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Rows counts what the database holds about the learner, by table.
func (l *Learner) Rows(t testing.TB) map[string]int {
	t.Helper()
	rows, err := l.suite.Stand.Rows(t.Context(), l.Account, l.Email)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// Files counts the versions and delete markers of the learner's files.
func (l *Learner) Files(t testing.TB) int {
	t.Helper()
	n, err := l.suite.FilesOf(t.Context(), l.Account)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// errTask tells of a task's page that is not as a person needs it.
func errTask(p *person.Page, lacks string) error {
	return fmt.Errorf("the task's page %q (%d) %s", p.Heading(), p.Status, lacks)
}
