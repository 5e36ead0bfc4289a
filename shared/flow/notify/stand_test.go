package notify_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/notify"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/ledger/memory"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/platform/vault"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

var start = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

var pack = sync.OnceValues(func() (*policy.Company, error) { return policy.Load("pythonmaster") })

// machine records the runs that were stopped.
type machine struct {
	stopped []int
	fail    error
}

func (m *machine) StopRun(_ context.Context, _ dsr.RequestID, run int) error {
	m.stopped = append(m.stopped, run)
	return m.fail
}

// stand is one request of Ada's with the functions of the stage.
type stand struct {
	t       *testing.T
	id      dsr.RequestID
	store   *memory.Store
	keys    *vault.Vault
	mail    *mail.Memory
	machine *machine
	raised  []string
	now     time.Time
	also    string // another address that mails may go to
	log     bytes.Buffer
	subject *notify.Subject
	status  *notify.Status
	bounce  *notify.Bounce
}

func newStand(t *testing.T, change func(*ledger.Request), visits ...dsr.Visit) *stand {
	t.Helper()
	company, err := pack()
	if err != nil {
		t.Fatal(err)
	}
	keeps, err := connectors.Keeps()
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{t: t, id: ledger.NewRequestID(), store: memory.New(), keys: vault.NewLocal("notify"), mail: &mail.Memory{}, machine: &machine{}, now: start.Add(time.Hour)}
	clock := func() time.Time { return s.now }
	log := slog.New(slog.NewJSONHandler(&s.log, nil))
	s.subject = &notify.Subject{Company: company, Keeps: keeps, Ledger: s.store, Keys: s.keys, Mail: s.mail, Now: clock, URL: "https://writ.example"}
	s.status = notify.NewStatus(notify.Status{Subject: notify.Subject{Company: company, Keeps: keeps, Keys: s.keys, Mail: s.mail, Now: clock, URL: "https://writ.example"}, Ledger: s.store, Machine: s.machine, Log: log})
	s.bounce = &notify.Bounce{Ledger: s.store, Now: clock, Log: log, Attention: func(_ context.Context, id dsr.RequestID, run int, cause string) error {
		s.raised = append(s.raised, fmt.Sprintf("%s/%d/%s", id, run, cause))
		_, err := ledger.Change(context.Background(), s.store, id, func(r *ledger.Request) error { r.Owner, r.Reason = "privacy_officer", cause; return nil })
		return err
	}}
	sealed, err := dossier.Seal(t.Context(), s.keys, s.id, dsr.Subject{Name: dsrtest.Ada.Name, Language: "en", Identities: []dsr.Identity{{Kind: dsr.Email, Value: dsrtest.Ada.Email, Origin: dsr.SelfAsserted}}})
	if err != nil {
		t.Fatal(err)
	}
	r := ledger.Request{ID: s.id, Status: dsr.Running, Rights: []dsr.Right{dsr.Erasure}, Country: "US", Run: 1, VerifiedAt: start, Planned: true,
		Clock: []dsr.ClockEvent{{Kind: dsr.Received, At: start}}, DueAt: start.AddDate(0, 0, 30)}
	if change != nil {
		change(&r)
	}
	if err := s.store.CreateRequest(t.Context(), r, sealed, dsr.Event{RequestID: s.id, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: start}); err != nil {
		t.Fatal(err)
	}
	for i := range visits {
		visits[i].RequestID = s.id
	}
	if err := s.store.PlanVisits(t.Context(), visits); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.noLeak)
	return s
}

// noLeak holds for every test: nothing that lies in clear names the person.
func (s *stand) noLeak() {
	for where, text := range map[string]string{"the ledger in clear": fmt.Sprintf("%+v", s.store), "the log": s.log.String()} {
		for _, canary := range dsrtest.Canaries() {
			if strings.Contains(text, canary) {
				s.t.Errorf("%s holds %q", where, canary)
			}
		}
	}
	for _, m := range s.mail.All() {
		if m.To != dsrtest.Ada.Email && m.To != s.also {
			s.t.Errorf("a mail went to another address")
		}
	}
}

func (s *stand) tell(notice string) bool {
	s.t.Helper()
	out, err := s.subject.Handle(s.t.Context(), notify.Input{V: 1, RequestID: s.id, Run: s.request().Run, Notice: notice})
	if err != nil {
		s.t.Fatal(err)
	}
	return out.Sent
}

func (s *stand) request() ledger.Request {
	s.t.Helper()
	r, err := s.store.Request(s.t.Context(), s.id)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *stand) change(f func(*ledger.Request)) {
	s.t.Helper()
	if _, err := ledger.Change(s.t.Context(), s.store, s.id, func(r *ledger.Request) error { f(r); return nil }); err != nil {
		s.t.Fatal(err)
	}
}

// settle gives a visit other outcomes.
func (s *stand) settle(task string, status dsr.VisitStatus, outcomes ...dsr.Outcome) {
	s.t.Helper()
	v, err := s.store.TakeVisit(s.t.Context(), s.id, task, s.request().Run, s.now, s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	v.Status, v.Outcomes = status, outcomes
	if err := s.store.SaveVisit(s.t.Context(), v); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stand) count(kind dsr.EventKind) int {
	s.t.Helper()
	all, err := s.store.Events(s.t.Context(), s.id, dsr.RequestChain)
	if err != nil {
		s.t.Fatal(err)
	}
	n := 0
	for _, e := range all {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// link makes a working status link.
func (s *stand) link() string {
	s.t.Helper()
	secret, hash := ledger.NewSecret()
	if err := s.store.PutToken(s.t.Context(), ledger.Token{Hash: hash, RequestID: s.id, Purpose: ledger.TokenStatus, Due: s.now.Add(time.Hour)}); err != nil {
		s.t.Fatal(err)
	}
	return secret
}

func (s *stand) page(method, secret string, fields ...string) web.Response {
	s.t.Helper()
	r := web.Request{Method: method, Path: "/status", Query: url.Values{}, Form: url.Values{}}
	values := r.Query
	if method == http.MethodPost {
		values = r.Form
	}
	values.Set("t", secret)
	for i := 0; i+1 < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	out, err := s.status.Handle(s.t.Context(), r)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func visit(system string, phase dsr.Phase, status dsr.VisitStatus, outcomes ...dsr.Outcome) dsr.Visit {
	return dsr.Visit{System: system, Phase: phase, Status: status, Outcomes: outcomes, Ops: []dsr.Op{dsr.Export}}
}
