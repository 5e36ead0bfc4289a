// Package desk takes the acts of the privacy team: POST /desk/*, signed by IAM.
// The actor is the identity that the request context names; nobody else holds
// write access to the tables.
package desk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// Ledger is what the desk reads and writes.
type Ledger interface {
	Request(ctx context.Context, id dsr.RequestID) (ledger.Request, error)
	Visits(ctx context.Context, id dsr.RequestID) ([]dsr.Visit, error)
	Events(ctx context.Context, id dsr.RequestID, chain string) ([]dsr.Event, error)
	OpenRequests(ctx context.Context, f func(ledger.Request) error) error
	ScheduledRequests(ctx context.Context, until time.Time, f func(ledger.Request) error) error
	PlaceHold(ctx context.Context, h ledger.Hold) error
	ProposeLift(ctx context.Context, key, matter string, l ledger.Lift) error
	LiftHold(ctx context.Context, key, matter, by string) error
	Holds(ctx context.Context, key string) ([]ledger.Hold, error)
	MatterHolds(ctx context.Context, matter string) ([]ledger.Hold, error)
	Matters(ctx context.Context) ([]string, error)
	Append(ctx context.Context, e dsr.Event) error
	SaveRequest(ctx context.Context, r ledger.Request) error
	Subject(ctx context.Context, id dsr.RequestID) (ledger.SealedSubject, error)
	ReplaceSubject(ctx context.Context, s ledger.SealedSubject) error
	Allow(ctx context.Context, hash string, p dsr.Purpose) error
}

// Mailer sends one message; the same seed makes the same message again.
type Mailer interface {
	Send(ctx context.Context, m mail.Message, seed string) (messageID string, err error)
}

// Machine starts the run of a request and ends a wait.
type Machine interface {
	StartRun(ctx context.Context, id dsr.RequestID, run int, proved bool) error
	Release(ctx context.Context, taskToken string, output any) error
}

// Hasher makes keyed hashes.
type Hasher interface {
	Hash(ctx context.Context, purpose, value string) (string, error)
}

// Stage is the desk.
type Stage struct {
	Company *policy.Company
	Ledger  Ledger
	Hasher  Hasher
	Keys    dossier.Keys
	Mail    Mailer
	Machine Machine
	URL     string // where the form is
	Now     func() time.Time
	Log     *slog.Logger
}

// act is the body of every act. Exactly one of RequestID, Category and Address
// says what a hold is on; Address is hashed at once and kept nowhere.
type act struct {
	RequestID dsr.RequestID `json:"request_id"`
	Chain     string        `json:"chain"`
	Category  string        `json:"category"`
	Address   string        `json:"address"`
	Reason    string        `json:"reason"`

	Sufficient *bool       `json:"sufficient"` // proof/decide
	Kind       string      `json:"kind"`       // questions: identity or clarification
	Question   string      `json:"question"`   // questions/ask: mailed to the person and kept nowhere
	Purpose    dsr.Purpose `json:"purpose"`    // stops/lift
	Least      string      `json:"least"`      // questions/ask, identity: the least that would settle the doubt
	Matter     string      `json:"matter"`
}

// Handle serves the acts: holds/place, holds/lift, holds/show, holds/list,
// proof/show, proof/decide, questions/ask, questions/given, extend, stops/lift,
// requests/list, requests/show, requests/events.
func (s *Stage) Handle(ctx context.Context, r web.Request) (web.Response, error) {
	if r.Actor == "" {
		return answer(http.StatusForbidden, problem("sign the call with your AWS credentials"))
	}
	if r.Method != http.MethodPost {
		return answer(http.StatusMethodNotAllowed, problem("the desk takes POST"))
	}
	var a act
	dec := json.NewDecoder(bytes.NewReader(r.Body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil {
		return answer(http.StatusBadRequest, problem("the body must be JSON with the fields request_id, chain, category, address, reason, matter, sufficient, kind, question, least, purpose"))
	}
	_, route, _ := strings.Cut(path.Clean("/"+r.Path), "/desk/")
	switch route {
	case "holds/place":
		return s.place(ctx, r.Actor, a)
	case "holds/lift":
		return s.lift(ctx, r.Actor, a)
	case "holds/show":
		return s.showHold(ctx, a)
	case "holds/list":
		return s.listHolds(ctx, a)
	case "proof/show":
		return s.showProof(ctx, r.Actor, a)
	case "proof/decide":
		return s.decide(ctx, r.Actor, a)
	case "questions/ask":
		return s.ask(ctx, r.Actor, a)
	case "questions/given":
		return s.given(ctx, r.Actor, a)
	case "stops/lift":
		return s.allow(ctx, r.Actor, a)
	case "extend":
		return s.extend(ctx, r.Actor, a)
	case "requests/list":
		return s.list(ctx)
	case "requests/scheduled":
		return s.waiting(ctx, a)
	case "requests/show":
		return s.show(ctx, a)
	case "requests/events":
		return s.events(ctx, a)
	}
	return answer(http.StatusNotFound, problem("the desk has no such act"))
}

func problem(text string) map[string]string { return map[string]string{"problem": text} }

func answer(status int, body any) (web.Response, error) {
	doc, err := json.Marshal(body)
	if err != nil {
		return web.Response{}, fmt.Errorf("answering: %w", err)
	}
	return web.Response{Status: status, Header: map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store"}, Body: doc}, nil
}

// Row is one request of the list.
type Row struct {
	ID     dsr.RequestID `json:"id"`
	Status dsr.Status    `json:"status"`
	Rights []dsr.Right   `json:"rights"`
	DueAt  time.Time     `json:"due_at"`
	Owner  string        `json:"owner,omitempty"`
	Reason string        `json:"reason,omitempty"`
}

func (s *Stage) list(ctx context.Context) (web.Response, error) {
	rows := []Row{}
	err := s.Ledger.OpenRequests(ctx, func(r ledger.Request) error {
		rows = append(rows, Row{ID: r.ID, Status: r.Status, Rights: r.Rights, DueAt: r.DueAt, Owner: r.Owner, Reason: r.Reason})
		return nil
	})
	if err != nil {
		return web.Response{}, fmt.Errorf("reading the open requests: %w", err)
	}
	return answer(http.StatusOK, rows)
}

// Shown is one request with its visits: outcomes and counts, nothing sealed.
type Shown struct {
	Row
	Visits []ShownVisit `json:"visits"`
}

// ShownVisit is one visit without what it keeps sealed.
type ShownVisit struct {
	System   string          `json:"system"`
	Phase    dsr.Phase       `json:"phase"`
	Status   dsr.VisitStatus `json:"status"`
	Outcomes []dsr.Outcome   `json:"outcomes"`
}

func (s *Stage) show(ctx context.Context, a act) (web.Response, error) {
	if _, err := dsr.ParseRequestID(string(a.RequestID)); err != nil {
		return answer(http.StatusBadRequest, problem("request_id is not a request's id"))
	}
	r, err := s.Ledger.Request(ctx, a.RequestID)
	if errors.Is(err, ledger.ErrNotFound) {
		return answer(http.StatusNotFound, problem("there is no such request"))
	}
	if err != nil {
		return web.Response{}, fmt.Errorf("reading the request: %w", err)
	}
	visits, err := s.Ledger.Visits(ctx, r.ID)
	if err != nil {
		return web.Response{}, fmt.Errorf("reading the visits of request %s: %w", r.ID, err)
	}
	shown := Shown{Row: Row{ID: r.ID, Status: r.Status, Rights: r.Rights, DueAt: r.DueAt, Owner: r.Owner, Reason: r.Reason}, Visits: []ShownVisit{}}
	for _, v := range visits {
		shown.Visits = append(shown.Visits, ShownVisit{System: v.System, Phase: v.Phase, Status: v.Status, Outcomes: v.Outcomes})
	}
	return answer(http.StatusOK, shown)
}

func (s *Stage) events(ctx context.Context, a act) (web.Response, error) {
	if _, err := dsr.ParseRequestID(string(a.RequestID)); err != nil {
		return answer(http.StatusBadRequest, problem("request_id is not a request's id"))
	}
	chain := a.Chain
	if chain == "" {
		chain = dsr.RequestChain
	}
	events, err := s.Ledger.Events(ctx, a.RequestID, chain)
	if err != nil {
		return web.Response{}, fmt.Errorf("reading chain %s of request %s: %w", chain, a.RequestID, err)
	}
	return answer(http.StatusOK, events)
}
