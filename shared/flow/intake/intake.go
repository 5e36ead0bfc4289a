// Package intake turns a person's form into a request: recorded in the ledger
// first, then its machine is started. The answer is the same for everybody,
// known or not, and nothing is looked up before it is given.
package intake

import (
	"context"
	"embed"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

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

//go:embed pages/*.html
var pages embed.FS

// Stage is the form.
type Stage struct {
	Deps
	pages     *web.Templates
	groups    []Group
	countries []Country
	states    []Country
	plans     []string
}

// New makes the stage.
func New(d Deps) *Stage {
	t := web.Parse(pages, "pages/*.html").With(web.Site{Company: d.Company.Name, Contact: d.Company.Contacts.Mail})
	s := &Stage{Deps: d, pages: t, groups: offer(d.Company), countries: Countries(), states: States()}
	for _, r := range d.Company.Roles {
		for _, p := range r.Plans {
			if !slices.Contains(s.plans, p) {
				s.plans = append(s.plans, p)
			}
		}
	}
	return s
}

// Many are the fields of the form that may have several values.
var Many = []string{"rights", "ask"}

// sheet is the form as the page shows it.
type sheet struct {
	entry
	Groups     []Group
	Countries  []Country
	States     []Country
	Plans      []Option
	Requesters []Option
	Questions  []Question
	MaxMessage int
	Signal     bool   // the browser sends the opt-out signal
	Today      string // no later day can be asked about
}

// Question is what the company must know before it acts.
type Question struct {
	ID, Text string
	Answers  []Option
}

// Box is one choice and whether it is ticked.
type Box struct {
	Choice
	On bool
}

// Tick is a choice as the page shows it again.
func (s sheet) Tick(k Choice) Box { return Box{k, s.Has(k.Right)} }

// Option is one line of a list.
type Option struct{ Value, Text string }

// Handle shows the form (GET) or takes it (POST).
func (s *Stage) Handle(ctx context.Context, r web.Request) (web.Response, error) {
	if r.Method != http.MethodPost {
		// A status page leads here with what to tick and its reference; nothing else is taken.
		link := url.Values{"rights": r.Query["rights"], "reference": r.Query["reference"]}
		return s.form(http.StatusOK, read(link), r.OptOut, nil), nil
	}
	e := read(r.Form)
	now := s.Now().UTC()
	w, problems := s.understand(e, now)
	if len(problems) > 0 {
		return s.form(http.StatusBadRequest, e, r.OptOut, problems), nil
	}
	signal := r.OptOut && s.signalled(w, now)
	if signal && !slices.Contains(w.rights, dsr.OptOutOfSale) {
		w.rights = append(w.rights, dsr.OptOutOfSale)
		slices.Sort(w.rights)
	}
	done, err := s.record(ctx, w, r.Source, signal)
	if err != nil {
		return web.Response{}, err
	}
	return s.received(w, done, signal), nil
}

// received is the answer page: the same for everybody, known or not.
func (s *Stage) received(w wish, done receipt, signal bool) web.Response {
	lead := "We have your request; it starts when you confirm it with the code below and the link we are mailing you."
	switch {
	case w.by == dsr.Agent:
		lead = "We have your request; it starts when the person you ask for confirms it with the code below and the link we are mailing them."
	case done.lost:
		lead = "We have your request; a person of our team writes to the other address that you gave us."
	case done.code == "":
		lead = "We have your request and carry it out; you need not confirm anything."
	}
	var free []string
	for _, r := range done.free {
		free = append(free, s.name(r))
	}
	return s.pages.Page(http.StatusOK, "received", web.View{
		Title: "We have your request", Lead: lead,
		Data: map[string]any{
			"Code": done.code, "Due": done.due, "Days": int(ProofPeriod.Hours() / 24), "Agent": w.by == dsr.Agent, "Lost": done.lost,
			"Free": free, "End": done.end, "Signal": signal,
		},
	})
}

func (s *Stage) form(status int, e entry, signal bool, problems []web.Problem) web.Response {
	page := sheet{
		entry: e, Groups: s.groups, Countries: s.countries, States: s.states, MaxMessage: maxMessage, Signal: signal,
		Today: s.Now().UTC().Format(time.DateOnly),
	}
	for _, p := range s.plans {
		page.Plans = append(page.Plans, Option{p, human(p)})
	}
	for _, a := range s.Company.Asks {
		q := Question{ID: a.ID, Text: a.Question}
		for _, c := range a.Choices {
			q.Answers = append(q.Answers, Option{a.Answer + "=" + c, human(c)})
		}
		page.Questions = append(page.Questions, q)
	}
	for _, r := range requesters {
		page.Requesters = append(page.Requesters, Option{string(r), standing[r]})
	}
	return s.pages.Page(status, "form", web.View{
		Title:    "Your data at " + s.Company.Name,
		Lead:     "Ask here for a copy of your data, or to have it corrected, erased or no longer used.",
		Problems: problems, Data: page,
	})
}

// standing says who asks, as the form does.
var standing = map[dsr.Requester]string{
	dsr.Agent: "I am their agent, with their signed permission", dsr.Attorney: "I have a power of attorney", dsr.Parent: "I am a parent or guardian",
	dsr.School: "I write for a school, about a pupil", dsr.Successor: "The person has died, and I may act for them",
	dsr.Reporter: "I report data of a child that is not mine", dsr.Unmailable: "It is me, but I no longer have this mail address",
}

// human is a closed word as a person reads it.
func human(word string) string {
	text := strings.NewReplacer("_", " ", "-", " ").Replace(word)
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
