//go:build e2e

package e2e

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/writ-dsr/writ/infra/stand/inbox"
	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/dsr"
)

// Task is a person's task as the employee's page shows it after the code.
type Task struct {
	Request  dsr.RequestID
	System   string // the system's plain name, for example "PayPal, our other payment company"
	Email    string // of the data subject; "" where Writ's own trouble is the task
	Erase    bool
	Do       bool // something is to be done and confirmed, so the page offers no "nothing held"
	API      bool // Writ could do it by itself: the page offers "again"
	Own      bool // Writ's own trouble: the page says which step failed
	Page     *person.Page
	Assignee string // the employee's address
	Link     string
}

// Hold is the answer of a rule that leaves a task open.
const Hold = ""

// Rule says how a task is answered: an answer the page offers, Hold to leave
// it, or ok false to let the next rule decide.
type Rule func(Task) (answer string, ok bool)

// Staff are the employees. They answer what a person's work is by themselves
// (nothing held, or erased); a task that Writ could do, or Writ's own trouble,
// they leave to the test.
type Staff struct {
	mail  *inbox.Inbox
	desks map[string]*deskOf
	done  sync.WaitGroup

	mu     sync.Mutex
	rules  []Rule
	tasks  []Task // all that were opened
	failed []error
}

// deskOf is one employee: one thing at a time, as codes come by mail.
type deskOf struct {
	sync.Mutex
	*person.Person
}

// employ lets everybody work until ctx ends.
func employ(ctx context.Context, mail *inbox.Inbox, addresses []string) *Staff {
	s := &Staff{mail: mail, desks: map[string]*deskOf{}}
	for i, address := range addresses {
		if a, err := dsr.ParseAddress(address); err == nil {
			addresses[i] = a.String() // as mails are addressed
		}
	}
	slices.Sort(addresses)
	for _, address := range slices.Compact(addresses) {
		d := &deskOf{Person: person.New(address, mail)}
		s.desks[address] = d
		s.done.Go(func() { s.work(ctx, d) })
	}
	return s
}

// wait waits for the end of everybody's work and tells what went wrong in it.
func (s *Staff) wait() error {
	s.done.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.failed...)
}

// Rule puts a rule before the others until the test ends. A rule looks at
// Task.Email to meet its own test's people only.
func (s *Staff) Rule(t testing.TB, r Rule) {
	s.mu.Lock()
	s.rules = append(s.rules, r)
	at := len(s.rules) - 1
	s.mu.Unlock()
	t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rules[at] = func(Task) (string, bool) { return "", false }
	})
}

// HoldAll leaves all tasks about a person open.
func (s *Staff) HoldAll(t testing.TB, email string) {
	s.Rule(t, func(task Task) (string, bool) { return Hold, task.Email == email })
}

// Await waits until a task that match accepts was opened and left.
func (s *Staff) Await(t testing.TB, what string, match func(Task) bool) Task {
	t.Helper()
	found := Look(t, "the task "+what, func(context.Context) ([]Task, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		var all []Task
		for _, task := range s.tasks {
			if match(task) {
				all = append(all, task)
			}
		}
		return all, nil
	}, func(all []Task) bool { return len(all) > 0 })
	return found[len(found)-1]
}

// Opened are the tasks that match accepts, in the order they were opened.
func (s *Staff) Opened(match func(Task) bool) []Task {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.tasks), func(t Task) bool { return !match(t) })
}

// Answer opens a task that was left, with a fresh code, lets before do
// something on its page (nil for nothing) and gives the answer.
func (s *Staff) Answer(t testing.TB, task Task, answer string, before func(*person.Page)) *person.Page {
	t.Helper()
	d := s.desks[task.Assignee]
	d.Lock()
	defer d.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), mailLooks)
	defer cancel()
	page, err := d.open(ctx, task.Link)
	if err != nil {
		t.Fatal(err)
	}
	if page == nil {
		t.Fatalf("the task for %s is closed already", task.System)
	}
	if before != nil {
		before(page)
	}
	done, err := d.answer(ctx, page, answer)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func (s *Staff) work(ctx context.Context, d *deskOf) {
	for seen := -1; ; {
		m, err := s.mail.Wait(ctx, func(m inbox.Message) bool { return m.To == d.Email && m.Index > seen && person.Link(m, "/task") != "" })
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			seen = m.Index
			err = s.take(ctx, d, person.Link(m, "/task"))
		}
		if err != nil && ctx.Err() == nil {
			s.mu.Lock()
			s.failed = append(s.failed, err)
			s.mu.Unlock()
		}
	}
}

// take opens the task of a mail and answers it by the rules.
func (s *Staff) take(ctx context.Context, d *deskOf, link string) error {
	d.Lock()
	defer d.Unlock()
	page, err := d.open(ctx, link)
	if page == nil || err != nil {
		return err // closed meanwhile: a reminder, or a request that ended
	}
	task := taskOn(page)
	task.Assignee, task.Link = d.Email, link
	answer := s.decide(task)
	if answer != Hold {
		if _, err := d.answer(ctx, page, answer); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tasks = append(s.tasks, task)
	return nil
}

func (s *Staff) decide(task Task) string {
	s.mu.Lock()
	rules := slices.Clone(s.rules)
	s.mu.Unlock()
	for _, rule := range slices.Backward(rules) {
		if answer, ok := rule(task); ok {
			return answer
		}
	}
	switch {
	case task.Own || task.API:
		return Hold
	case task.Erase, task.Do:
		return "done"
	}
	return "nothing_held"
}

// open goes through the code to the task; no page if the task is closed.
func (d *deskOf) open(ctx context.Context, link string) (*person.Page, error) {
	ctx, cancel := context.WithTimeout(ctx, mailLooks)
	defer cancel()
	page, err := d.Browser.Get(ctx, link)
	if err == nil && page.Status == http.StatusGone { // a mail can be faster than the task's record
		if err = rest(ctx); err == nil {
			page, err = d.Browser.Get(ctx, link)
		}
	}
	if err != nil {
		return nil, err
	}
	if page.Status == http.StatusGone {
		return nil, nil
	}
	asked, err := press(ctx, page, "step", map[string]string{"step": "send"})
	if err != nil || asked.Status == http.StatusGone {
		return nil, err
	}
	if asked.Status != http.StatusOK {
		return nil, errTask(asked, "mails no code")
	}
	code, err := d.Code(ctx)
	if err != nil {
		return nil, err
	}
	task, err := press(ctx, asked, "code", map[string]string{"code": code})
	for try := 1; err == nil && task.Status == http.StatusConflict && task.Heading() == "One moment" && try < patience; try++ {
		if err = rest(ctx); err != nil { // the page asks to try again a little later
			return nil, err
		}
		task, err = press(ctx, asked, "code", map[string]string{"code": code})
	}
	if err != nil || task.Status == http.StatusGone || task.Status == http.StatusConflict {
		return nil, err // 409: a hold came, and the page says to erase nothing
	}
	if task.Status != http.StatusOK {
		return nil, errTask(task, "does not take the code")
	}
	return task, nil
}

// patience is how often an employee tries what a page says to try again.
const patience = 90

// rest is how long an employee waits before looking again.
func rest(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Second):
		return nil
	}
}

// answer gives an answer; a task that was closed meanwhile takes none.
func (d *deskOf) answer(ctx context.Context, task *person.Page, answer string) (*person.Page, error) {
	done, err := press(ctx, task, "answer", map[string]string{"answer": answer})
	for try := 1; err == nil && done.Status == http.StatusConflict && strings.Contains(done.Text(), "send your answer again") && try < patience; try++ {
		if err = rest(ctx); err == nil {
			done, err = press(ctx, task, "answer", map[string]string{"answer": answer})
		}
	}
	if err != nil {
		return nil, err
	}
	if done.Status != http.StatusOK && done.Status != http.StatusGone {
		return nil, errTask(done, "does not take the answer "+answer)
	}
	return done, nil
}

// press fills the first form of a page with the field and sends it.
func press(ctx context.Context, page *person.Page, field string, values map[string]string) (*person.Page, error) {
	form, err := page.Form(field)
	if err != nil {
		return nil, err
	}
	for name, value := range values {
		if err := form.Set(name, value); err != nil {
			return nil, err
		}
	}
	return form.Submit(ctx)
}

// taskOn reads a task's page.
func taskOn(page *person.Page) Task {
	facts := page.Facts()
	t := Task{
		Request: dsr.RequestID(facts["Reference"]), System: facts["System"], Email: facts["The person's mail address"],
		Erase: strings.HasPrefix(page.Heading(), "Erase"), Page: page,
	}
	_, t.Own = facts["The step that failed"]
	if form, err := page.Form("answer"); err == nil && !t.Own {
		t.API = form.Set("answer", "again") == nil
		t.Do = form.Set("answer", "nothing_held") != nil
	}
	return t
}
