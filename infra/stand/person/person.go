package person

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/writ-dsr/writ/infra/stand/inbox"
)

// Mailbox is where the person's mails arrive.
type Mailbox interface {
	Wait(ctx context.Context, match func(inbox.Message) bool) (inbox.Message, error)
}

// Person has an address, a browser and a mailbox. It reads each mail once.
type Person struct {
	Email   string
	Browser *Browser

	mailbox Mailbox
	read    map[int]bool // by the mail's index
}

// New makes a person who opens their mailbox now: mails that are there already
// are read too.
func New(email string, mailbox Mailbox) *Person {
	return &Person{Email: email, Browser: NewBrowser(), mailbox: mailbox, read: map[int]bool{}}
}

// Request is what a person fills into the form.
type Request struct {
	Rights  []string // wire names of rights, or other
	Name    string
	Country string // ISO 3166-1 alpha-2, or ""
	Message string
	More    map[string][]string // further fields of the form, by name
}

// Ask fills the form at base and returns the code that the answer shows.
func (p *Person) Ask(ctx context.Context, base string, r Request) (code string, err error) {
	answer, err := p.Send(ctx, base, r)
	if err != nil {
		return "", err
	}
	code, ok := answer.Element("code")
	if !ok {
		return "", answer.unexpected("shows no code")
	}
	return code, nil
}

// Send fills the form at base and returns the answer. It shows no code where
// nothing is to be confirmed.
func (p *Person) Send(ctx context.Context, base string, r Request) (*Page, error) {
	page, err := p.Browser.Get(ctx, base+"/")
	if err != nil {
		return nil, err
	}
	form, err := page.Form("email")
	if err != nil {
		return nil, err
	}
	fields := map[string][]string{"email": {p.Email}, "rights": r.Rights}
	for name, value := range map[string]string{"name": r.Name, "country": r.Country, "message": r.Message} {
		if value != "" {
			fields[name] = []string{value}
		}
	}
	maps.Copy(fields, r.More)
	return form.fill(ctx, fields)
}

// Confirm opens the link of a mail, types the code and confirms.
func (p *Person) Confirm(ctx context.Context, link, code string) (*Page, error) {
	return p.Prove(ctx, link, code, nil)
}

// Prove is Confirm with what the page asks for beside the code, by the fields' names.
func (p *Person) Prove(ctx context.Context, link, code string, more map[string][]string) (*Page, error) {
	page, err := p.Browser.Get(ctx, link)
	if err != nil {
		return nil, err
	}
	form, err := page.Form("code")
	if err != nil {
		return nil, err
	}
	fields := map[string][]string{"code": {code}, "confirm": {"yes"}}
	maps.Copy(fields, more)
	return form.fill(ctx, fields)
}

// unlock opens a link whose page mails a code first, types the code and returns
// the answer.
func (p *Person) unlock(ctx context.Context, link string) (*Page, error) {
	page, err := p.Browser.Get(ctx, link)
	if err != nil {
		return nil, err
	}
	form, err := page.Form("step")
	if err != nil {
		return nil, err
	}
	asked, err := form.fill(ctx, map[string][]string{"step": {"send"}})
	if err != nil {
		return nil, err
	}
	code, err := p.Code(ctx)
	if err != nil {
		return nil, err
	}
	if form, err = asked.Form("code"); err != nil {
		return nil, err
	}
	answer, err := form.fill(ctx, map[string][]string{"code": {code}})
	for range patience {
		if err != nil || (answer.Status != http.StatusConflict && answer.Status != http.StatusServiceUnavailable) {
			break
		}
		// The page asks to go back and try again a little later.
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
		answer, err = form.Submit(ctx)
	}
	return answer, err
}

// patience is how often a person tries again when a page says that it is busy.
const patience = 5

// Download opens the link to the bundle, has the second code mailed, types it
// and returns the file.
func (p *Person) Download(ctx context.Context, link string) ([]byte, error) {
	answer, err := p.unlock(ctx, link)
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusSeeOther {
		return nil, answer.unexpected("does not lead to the file")
	}
	location, err := answer.URL.Parse(answer.Header.Get("Location"))
	if err != nil {
		return nil, fmt.Errorf("following the redirect to the bundle: %w", err)
	}
	file, err := p.Browser.Get(ctx, location.String())
	if err != nil {
		return nil, err
	}
	if file.Status != http.StatusOK {
		return nil, fmt.Errorf("downloading the bundle: the storage answered %d", file.Status)
	}
	return file.Body, nil
}

// Mail is the first unread mail to the person that holds a link to the path of the pages, and that link.
func (p *Person) Mail(ctx context.Context, path string) (m inbox.Message, link string, err error) {
	m, err = p.nextMail(ctx, func(m inbox.Message) bool { return Link(m, path) != "" })
	if err != nil {
		return inbox.Message{}, "", fmt.Errorf("a mail with a link to %s: %w", path, err)
	}
	return m, Link(m, path), nil
}

// Next is the first unread mail to the person.
func (p *Person) Next(ctx context.Context) (inbox.Message, error) {
	return p.nextMail(ctx, func(inbox.Message) bool { return true })
}

// Code is the code in the first unread mail to the person that has one.
func (p *Person) Code(ctx context.Context) (string, error) {
	m, err := p.nextMail(ctx, func(m inbox.Message) bool { return codeLine.MatchString(m.Text) })
	if err != nil {
		return "", fmt.Errorf("a mail with a code: %w", err)
	}
	return codeLine.FindStringSubmatch(m.Text)[1], nil
}

func (p *Person) nextMail(ctx context.Context, match func(inbox.Message) bool) (inbox.Message, error) {
	m, err := p.mailbox.Wait(ctx, func(m inbox.Message) bool { return m.To == p.Email && !p.read[m.Index] && match(m) })
	if err != nil {
		return inbox.Message{}, err
	}
	p.read[m.Index] = true
	return m, nil
}

// codeLine is how a letter's text shows a code: alone on an indented line.
var codeLine = regexp.MustCompile(`(?m)^ {4}([0-9A-Z][0-9A-Z -]{3,})$`)

var address = regexp.MustCompile(`https?://\S+`)

// Link is the first link of a mail's text whose path ends in path; "" if there is none.
func Link(m inbox.Message, path string) string {
	for _, found := range address.FindAllString(m.Text, -1) {
		u, err := url.Parse(found)
		if err == nil && strings.HasSuffix(u.Path, path) {
			return found
		}
	}
	return ""
}

// Links are all links of a mail's text.
func Links(m inbox.Message) []string { return address.FindAllString(m.Text, -1) }

// fill sets the fields and sends the form.
func (f *Form) fill(ctx context.Context, fields map[string][]string) (*Page, error) {
	for name, values := range fields {
		if err := f.Set(name, values...); err != nil {
			return nil, err
		}
	}
	return f.Submit(ctx)
}

// unexpected tells what a page lacks, without the values on it.
func (p *Page) unexpected(lacks string) error {
	return fmt.Errorf("the page %q (%d) %s", p.Heading(), p.Status, lacks)
}
