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
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// Ledger is what the desk reads and writes.
type Ledger interface {
	Request(ctx context.Context, id dsr.RequestID) (ledger.Request, error)
	Visits(ctx context.Context, id dsr.RequestID) ([]dsr.Visit, error)
	Events(ctx context.Context, id dsr.RequestID, chain string) ([]dsr.Event, error)
	OpenRequests(ctx context.Context, f func(ledger.Request) error) error
	PlaceHold(ctx context.Context, h ledger.Hold) error
	LiftHold(ctx context.Context, key string) error
	Hold(ctx context.Context, key string) (ledger.Hold, error)
	Append(ctx context.Context, e dsr.Event) error
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
}

// Handle serves the acts: holds/place, holds/lift, holds/show, requests/list,
// requests/show, requests/events.
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
		return answer(http.StatusBadRequest, problem("the body must be JSON with the fields request_id, chain, category, address, reason"))
	}
	_, route, _ := strings.Cut(path.Clean("/"+r.Path), "/desk/")
	switch route {
	case "holds/place":
		return s.place(ctx, r.Actor, a)
	case "holds/lift":
		return s.lift(ctx, r.Actor, a)
	case "holds/show":
		return s.showHold(ctx, a)
	case "requests/list":
		return s.list(ctx)
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

// key is the hold's key; the second result says what is wrong with the act.
func (s *Stage) key(ctx context.Context, a act) (key, wrong string, err error) {
	named := 0
	for _, given := range []bool{a.RequestID != "", a.Category != "", a.Address != ""} {
		if given {
			named++
		}
	}
	if named != 1 {
		return "", "name one of request_id, category and address", nil
	}
	switch {
	case a.RequestID != "":
		if _, err := dsr.ParseRequestID(string(a.RequestID)); err != nil {
			return "", "request_id is not a request's id", nil
		}
		return ledger.HoldOnRequest(a.RequestID), "", nil
	case a.Category != "":
		if _, ok := s.Company.Category(a.Category); !ok {
			return "", "the company's pack has no such category", nil
		}
		return ledger.HoldOnCategory(a.Category), "", nil
	}
	address, err := dsr.ParseAddress(a.Address)
	if err != nil {
		return "", "address is not a mail address", nil
	}
	hash, err := s.Hasher.Hash(ctx, "identity", address.String())
	if err != nil {
		return "", "", fmt.Errorf("hashing the address: %w", err)
	}
	return ledger.HoldOnSubject(hash), "", nil
}

// reasoned is key for an act that must say why.
func (s *Stage) reasoned(ctx context.Context, a act, without string) (key, wrong string, err error) {
	key, wrong, err = s.key(ctx, a)
	if err == nil && wrong == "" && strings.TrimSpace(a.Reason) == "" {
		wrong = without
	}
	return key, wrong, err
}

// refuse answers an act that is not well formed, or passes our own fault on.
func refuse(wrong string, err error) (web.Response, error) {
	if err != nil {
		return web.Response{}, err
	}
	return answer(http.StatusBadRequest, problem(wrong))
}

func (s *Stage) place(ctx context.Context, actor string, a act) (web.Response, error) {
	key, refused, err := s.reasoned(ctx, a, "a hold needs a reason")
	if err != nil || refused != "" {
		return refuse(refused, err)
	}
	if a.RequestID != "" {
		switch _, err := s.Ledger.Request(ctx, a.RequestID); {
		case errors.Is(err, ledger.ErrNotFound):
			return answer(http.StatusNotFound, problem("there is no such request"))
		case err != nil:
			return web.Response{}, fmt.Errorf("reading the request: %w", err)
		}
	}
	h := ledger.Hold{Key: key, Reason: a.Reason, By: actor, At: s.Now()}
	switch err := s.Ledger.PlaceHold(ctx, h); {
	case errors.Is(err, ledger.ErrExists):
		return answer(http.StatusConflict, problem("this hold is placed already"))
	case err != nil:
		return web.Response{}, fmt.Errorf("placing the hold: %w", err)
	}
	if err := s.record(ctx, a, dsr.EventHoldPlaced); err != nil {
		return web.Response{}, err
	}
	return answer(http.StatusCreated, h)
}

func (s *Stage) lift(ctx context.Context, actor string, a act) (web.Response, error) {
	key, refused, err := s.reasoned(ctx, a, "lifting a hold needs a reason")
	if err != nil || refused != "" {
		return refuse(refused, err)
	}
	h, err := s.Ledger.Hold(ctx, key)
	if errors.Is(err, ledger.ErrNotFound) {
		return answer(http.StatusNotFound, problem("there is no such hold"))
	}
	if err != nil {
		return web.Response{}, fmt.Errorf("reading the hold: %w", err)
	}
	if h.By == actor {
		return answer(http.StatusForbidden, problem("another person than the one who placed it must lift a hold"))
	}
	switch err := s.Ledger.LiftHold(ctx, key); {
	case errors.Is(err, ledger.ErrNotFound):
		return answer(http.StatusNotFound, problem("there is no such hold"))
	case err != nil:
		return web.Response{}, fmt.Errorf("lifting the hold: %w", err)
	}
	if err := s.record(ctx, a, dsr.EventHoldLifted); err != nil {
		return web.Response{}, err
	}
	return answer(http.StatusOK, map[string]string{"lifted": h.Key})
}

// record writes an act on a request to the request's own chain.
func (s *Stage) record(ctx context.Context, a act, kind dsr.EventKind) error {
	if a.RequestID == "" {
		return nil
	}
	return s.Ledger.Append(ctx, dsr.Event{RequestID: a.RequestID, Chain: dsr.RequestChain, Kind: kind, At: s.Now()})
}

func (s *Stage) showHold(ctx context.Context, a act) (web.Response, error) {
	key, wrong, err := s.key(ctx, a)
	if err != nil {
		return web.Response{}, err
	}
	if wrong != "" {
		return answer(http.StatusBadRequest, problem(wrong))
	}
	h, err := s.Ledger.Hold(ctx, key)
	if errors.Is(err, ledger.ErrNotFound) {
		return answer(http.StatusNotFound, problem("there is no such hold"))
	}
	if err != nil {
		return web.Response{}, fmt.Errorf("reading the hold: %w", err)
	}
	return answer(http.StatusOK, h)
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
