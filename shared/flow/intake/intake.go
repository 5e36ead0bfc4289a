// Package intake turns a person's form into a request: recorded in the ledger
// first, then its machine is started. The answer is the same for everybody,
// known or not, and nothing is looked up before it is given.
package intake

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// Ledger is what intake writes.
type Ledger interface {
	CreateRequest(ctx context.Context, r ledger.Request, s ledger.SealedSubject, first dsr.Event) error
	Hit(ctx context.Context, key string, window time.Duration, limit int, now time.Time) (bool, error)
}

// Hasher makes keyed hashes: the only form in which an address or a caller is
// counted.
type Hasher interface {
	Hash(ctx context.Context, purpose, value string) (string, error)
}

// Machine starts the run of a request.
type Machine interface {
	StartRun(ctx context.Context, id dsr.RequestID, run int, proved bool) error
}

// Deps is what the stage needs.
type Deps struct {
	Company *policy.Company
	Ledger  Ledger
	Keys    dossier.Keys
	Hasher  Hasher
	Machine Machine
	Now     func() time.Time
	Log     *slog.Logger
}

// The caps of design section 6. Over a cap the request is recorded all the
// same; only its challenge is mailed later.
const (
	mailsPerAddressAndHour = 1
	formsPerSourceAndDay   = 50
)

// ProofPeriod is how long a person may take to prove a request.
const ProofPeriod = 7 * 24 * time.Hour

// The longest free texts that are taken.
const (
	maxName    = 200
	maxMessage = 4000
)

//go:embed pages/*.html
var pages embed.FS

// Stage is the form.
type Stage struct {
	Deps
	pages     *web.Templates
	countries []Country
}

// New makes the stage.
func New(d Deps) *Stage {
	t := web.Parse(pages, "pages/*.html").With(web.Site{Company: d.Company.Name, Contact: d.Company.Contacts.Mail})
	return &Stage{Deps: d, pages: t, countries: Countries()}
}

// Fields of the form that may have several values.
var Many = []string{"rights"}

// entry is what the form page shows again when something must be mended.
type entry struct {
	Email, Name, Country, Message string
	Rights                        []string
	Countries                     []Country
	MaxMessage                    int
}

// Has reports whether a right is ticked.
func (e entry) Has(right string) bool { return slices.Contains(e.Rights, right) }

// Handle shows the form (GET) or takes it (POST).
func (s *Stage) Handle(ctx context.Context, r web.Request) (web.Response, error) {
	if r.Method != http.MethodPost {
		return s.form(http.StatusOK, entry{}, nil), nil
	}
	e := entry{
		Email: strings.TrimSpace(r.Form.Get("email")), Name: strings.TrimSpace(r.Form.Get("name")),
		Country: strings.TrimSpace(r.Form.Get("country")), Message: strings.TrimSpace(r.Form.Get("message")),
		Rights: r.Form["rights"],
	}
	rights, other, problems := s.check(e)
	if len(problems) > 0 {
		return s.form(http.StatusBadRequest, e, problems), nil
	}
	address, _ := dsr.ParseAddress(e.Email) // checked above
	code, due, err := s.record(ctx, e, address.String(), rights, other, r.Source)
	if err != nil {
		return web.Response{}, err
	}
	return s.pages.Page(http.StatusOK, "received", web.View{
		Title: "We have your request",
		Lead:  "We have your request; it starts when you confirm it with the code below and the link we are mailing you.",
		Data:  map[string]any{"Code": code, "Due": due, "Days": int(ProofPeriod.Hours() / 24)},
	}), nil
}

func (s *Stage) form(status int, e entry, problems []web.Problem) web.Response {
	e.Countries, e.MaxMessage = s.countries, maxMessage
	return s.pages.Page(status, "form", web.View{
		Title:    "Your data at " + s.Company.Name,
		Lead:     "Ask here for a copy of your data, or to have it erased.",
		Problems: problems, Data: e,
	})
}

// check reads the fields; each problem names its field.
func (s *Stage) check(e entry) (rights []dsr.Right, other bool, problems []web.Problem) {
	add := func(field, text string) { problems = append(problems, web.Problem{Field: field, Text: text}) }
	switch address, err := dsr.ParseAddress(e.Email); {
	case err != nil:
		add("email", "Enter your mail address, for example name@example.org.")
	case !mailable(address):
		add("email", "We cannot send mail to this address; enter one with plain letters before the @, or write to us.")
	}
	for _, v := range e.Rights {
		if v == "other" {
			other = true
			continue
		}
		right, err := dsr.ParseRight(v)
		if err != nil {
			add("rights", "Choose from the list what you ask for.")
			break
		}
		if !slices.Contains(rights, right) {
			rights = append(rights, right)
		}
	}
	if len(e.Rights) == 0 {
		add("rights", "Choose what you ask for.")
	}
	if other && e.Message == "" {
		add("message", "Tell us in your own words what you ask for.")
	}
	if utf8.RuneCountInString(e.Name) > maxName {
		add("name", fmt.Sprintf("Shorten the name to %d characters.", maxName))
	}
	if utf8.RuneCountInString(e.Message) > maxMessage {
		add("message", fmt.Sprintf("Shorten the message to %d characters.", maxMessage))
	}
	if e.Country != "" && !slices.ContainsFunc(s.countries, func(c Country) bool { return c.Code == e.Country }) {
		add("country", "Choose a country from the list, or \"Other or not sure\".")
	}
	slices.Sort(rights)
	return rights, other, problems
}

// mailable reports whether the mail service can send to the address: its part
// before the @ is ASCII, and it is no longer than an address may be once its
// domain is written in ASCII.
func mailable(a dsr.Address) bool {
	_, err := dsr.ParseAddress(a.String())
	return err == nil && !strings.ContainsFunc(a.Local, func(r rune) bool { return r > unicode.MaxASCII })
}

// record writes the request and starts its machine. A machine that does not
// start is no failure for the person: the request is in the ledger, and the
// sweep starts what has no execution.
func (s *Stage) record(ctx context.Context, e entry, address string, rights []dsr.Right, other bool, source string) (code string, due time.Time, err error) {
	now := s.Now().UTC()
	id := ledger.NewRequestID()
	clock := []dsr.ClockEvent{{Kind: dsr.Received, At: now}}
	deadline, err := s.Company.Due(rights, clock, dsr.Place(e.Country))
	if err != nil {
		return "", time.Time{}, err
	}
	code = ledger.NewCode()
	codeHash, err := s.Hasher.Hash(ctx, "code", string(id)+code)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("hashing the code: %w", err)
	}
	after, err := s.mailAfter(ctx, address, source, now)
	if err != nil {
		return "", time.Time{}, err
	}
	sealed, err := dossier.Seal(ctx, s.Keys, id, dsr.Subject{
		Name: e.Name, Message: e.Message, Language: "en",
		Identities: []dsr.Identity{{Kind: dsr.Email, Value: address, Origin: dsr.SelfAsserted}},
	})
	if err != nil {
		return "", time.Time{}, err
	}
	request := ledger.Request{
		ID: id, Company: s.Company.ID, Channel: "form", Status: dsr.Verifying, Rights: rights, Words: other || e.Message != "",
		Country: e.Country, Language: "en", Clock: clock, DueAt: deadline.DueAt,
		Run: 1, ProofDue: now.Add(ProofPeriod), CodeHash: codeHash, MailAfter: after,
	}
	first := dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: now, Run: 1,
		Detail: map[string]any{"channel": "form", "rights": len(rights), "queued": !after.IsZero()}}
	if err := s.Ledger.CreateRequest(ctx, request, sealed, first); err != nil {
		return "", time.Time{}, fmt.Errorf("recording request %s: %w", id, err)
	}
	if err := s.Machine.StartRun(ctx, id, 1, false); err != nil {
		s.Log.Warn("starting the machine: the sweep will do it", "request_id", string(id), "error", err.Error())
	}
	return code, deadline.DueAt, nil
}

// mailAfter counts the form against the caps. It never refuses one.
func (s *Stage) mailAfter(ctx context.Context, address, source string, now time.Time) (time.Time, error) {
	mailbox, err := s.Hasher.Hash(ctx, "mailbox", strings.ToLower(address))
	if err != nil {
		return time.Time{}, fmt.Errorf("hashing the address: %w", err)
	}
	caller, err := s.Hasher.Hash(ctx, "source", source)
	if err != nil {
		return time.Time{}, fmt.Errorf("hashing the caller: %w", err)
	}
	byCaller, err := s.Ledger.Hit(ctx, "source#"+caller, 24*time.Hour, formsPerSourceAndDay, now)
	if err != nil {
		return time.Time{}, fmt.Errorf("counting the caller's forms: %w", err)
	}
	byAddress, err := s.Ledger.Hit(ctx, "mailbox#"+mailbox, time.Hour, mailsPerAddressAndHour, now)
	if err != nil {
		return time.Time{}, fmt.Errorf("counting the address's mails: %w", err)
	}
	switch {
	case !byCaller:
		return now.Add(24 * time.Hour), nil
	case !byAddress:
		return now.Add(time.Hour), nil
	}
	return time.Time{}, nil
}
