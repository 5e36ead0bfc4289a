package sweep_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/flow/sweep"
	"github.com/writ-dsr/writ/shared/flow/verify"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/ledger/memory"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/platform/objects"
	"github.com/writ-dsr/writ/shared/platform/vault"
	"github.com/writ-dsr/writ/shared/policy"
)

const (
	hour    = time.Hour
	day     = 24 * time.Hour
	officer = "officer@company.example"
	support = "support-lead@pythonmaster.example"
)

var start = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

var pack = sync.OnceValues(func() (*policy.Company, error) { return policy.Load("pythonmaster") })

// machine is a state machine whose runs live until they are killed.
type machine struct {
	alive    map[int]bool
	proved   []bool // of each run started
	started  []int
	released []string
	fail     error // of starting
	deaf     error // of releasing
}

func (m *machine) StartRun(_ context.Context, _ dsr.RequestID, run int, proved bool) error {
	if m.fail != nil {
		return m.fail
	}
	m.started, m.proved = append(m.started, run), append(m.proved, proved)
	if _, closed := m.alive[run]; !closed { // a name that was used starts nothing
		m.alive[run] = true
	}
	return nil
}

func (m *machine) Alive(_ context.Context, _ dsr.RequestID, run int) (bool, error) {
	return m.alive[run], nil
}

func (m *machine) Release(_ context.Context, token string, _ any) error {
	if m.deaf == nil {
		m.released = append(m.released, token)
	}
	return m.deaf
}

type counter map[string]int

func (c counter) Count(name string, n int) { c[name] += n }

// stand is one request of Ada's, with the other stages' real parts that the
// sweep calls.
type stand struct {
	t       *testing.T
	id      dsr.RequestID
	store   *memory.Store
	keys    *vault.Vault
	box     dossier.Box
	mail    *mail.Memory
	objects *objects.Memory
	machine *machine
	metric  counter
	log     bytes.Buffer
	days    map[string]string // what the retention machine was started with, by execution name
	stage   *sweep.Stage
}

// Start is the retention machine's: one execution of a name.
func (s *stand) Start(_ context.Context, name string, input any) error {
	doc, err := json.Marshal(input)
	if s.days == nil {
		s.days = map[string]string{}
	}
	if _, there := s.days[name]; !there {
		s.days[name] = string(doc)
	}
	return err
}

func newStand(t *testing.T, change func(*ledger.Request), visits ...dsr.Visit) *stand {
	t.Helper()
	company, err := pack()
	if err != nil {
		t.Fatal(err)
	}
	descriptors, err := connectors.Descriptors()
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{t: t, id: ledger.NewRequestID(), store: memory.New(), keys: vault.NewLocal("sweep"), mail: &mail.Memory{}, objects: &objects.Memory{}, machine: &machine{alive: map[int]bool{1: true}}, metric: counter{}}
	log := slog.New(slog.NewJSONHandler(&s.log, nil))
	s.stage = &sweep.Stage{
		Company: company, Ledger: s.store, Machine: s.machine, Objects: s.objects, Keys: s.keys, Hasher: s.keys, MACer: s.keys, Retention: s, Descriptors: descriptors, Metric: s.metric, Log: log,
		People: func(now func() time.Time) sweep.People {
			return &fanout.Manual{Company: company, Officer: officer, Ledger: s.store, Keys: s.keys, Mail: s.mail, Machine: s.machine, Now: now, Log: log, Metric: s.metric, URL: "https://writ.example"}
		},
		Challenges: func(now func() time.Time) sweep.Challenges {
			return &verify.Challenge{Company: company, Ledger: s.store, Keys: s.keys, Mail: s.mail, Machine: s.machine, Now: now, URL: "https://writ.example"}
		},
	}
	sealed, err := dossier.Seal(t.Context(), s.keys, s.id, dsr.Subject{Name: dsrtest.Ada.Name, Identities: []dsr.Identity{{Kind: dsr.Email, Value: dsrtest.Ada.Email, Origin: dsr.SelfAsserted}}})
	if err != nil {
		t.Fatal(err)
	}
	if s.box, err = s.keys.OpenBox(t.Context(), s.id, sealed.WrappedKey); err != nil {
		t.Fatal(err)
	}
	r := ledger.Request{ID: s.id, Status: dsr.Running, Rights: []dsr.Right{dsr.Erasure}, Country: "DE", Run: 1, VerifiedAt: start, Planned: true, ProofDue: start.Add(7 * day),
		Clock: []dsr.ClockEvent{{Kind: dsr.Received, At: start}}, DueAt: start.AddDate(0, 0, 30)}
	if change != nil {
		change(&r)
	}
	if r.Status == dsr.Verifying || r.Status == dsr.Unverified {
		r.VerifiedAt, r.Planned = time.Time{}, false
		r.SealedWait = dossier.SealWait(s.box, s.id, "challenge", "challenge-token")
	}
	if err := s.store.CreateRequest(t.Context(), r, sealed, dsr.Event{RequestID: s.id, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: start}); err != nil {
		t.Fatal(err)
	}
	for i := range visits {
		visits[i].RequestID, visits[i].Categories = s.id, []string{"account"}
		if p := visits[i].Person; p != nil {
			p.SealedWait = dossier.SealWait(s.box, s.id, visits[i].Task(), "task-token")
		}
	}
	if err := s.store.PlanVisits(t.Context(), visits); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"exports/", "bundles/", "uploads/"} {
		s.objects.Put(folder+string(s.id)+"/x", []byte("x"))
		s.objects.Put(folder+"wbbbbbbbbbbbbbbbbbbbbbbbbb/x", []byte("another request's"))
	}
	t.Cleanup(s.noLeak)
	return s
}

// noLeak holds for every test: nothing that lies in clear names the person.
func (s *stand) noLeak() {
	texts := map[string]string{"the ledger in clear": fmt.Sprintf("%+v", s.store), "the log": s.log.String()}
	for _, m := range s.mail.All() {
		if m.To != dsrtest.Ada.Email {
			texts["a mail to the team"] += m.Subject + m.Text + m.HTML
		}
	}
	for where, text := range texts {
		for _, canary := range dsrtest.Canaries() {
			if strings.Contains(text, canary) {
				s.t.Errorf("%s holds %q", where, canary)
			}
		}
	}
}

// at is an hourly event some time after the request came.
func (s *stand) at(after time.Duration) sweep.Output {
	s.t.Helper()
	out, err := s.stage.Handle(s.t.Context(), hourly(after))
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func hourly(after time.Duration) json.RawMessage {
	doc, _ := json.Marshal(map[string]any{"version": "0", "detail-type": "Scheduled Event", "time": start.Add(after), "detail": map[string]any{}})
	return doc
}

// ended is the event of an execution that ended badly.
func (s *stand) ended(run int, after time.Duration) {
	s.t.Helper()
	s.machine.alive[run] = false
	doc, _ := json.Marshal(map[string]any{"detail-type": "Step Functions Execution Status Change", "time": start.Add(after), "detail": map[string]any{"name": fmt.Sprintf("%s-%d", s.id, run), "status": "ABORTED"}})
	if _, err := s.stage.Handle(s.t.Context(), doc); err != nil {
		s.t.Fatal(err)
	}
}

// tasks are the mails to an address about a task, and warnings those about a
// due date.
func (s *stand) tasks(to string) int    { return s.letters(to, "please look at") }
func (s *stand) warnings(to string) int { return s.letters(to, "an answer is due on") }

func (s *stand) letters(to, subject string) int {
	n := 0
	for _, m := range s.mail.To(to) {
		if strings.Contains(m.Subject, subject) {
			n++
		}
	}
	return n
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

func (s *stand) visit(task string) dsr.Visit {
	s.t.Helper()
	v, err := s.store.Visit(s.t.Context(), s.id, task)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
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

// left are the folders in which the request still has objects.
func (s *stand) left() string {
	s.t.Helper()
	var folders []string
	for _, folder := range []string{"bundles/", "exports/", "uploads/"} {
		for range s.objects.List(s.t.Context(), folder+string(s.id)+"/") {
			folders = append(folders, folder)
		}
		others := 0
		for range s.objects.List(s.t.Context(), folder+"wbbbbbbbbbbbbbbbbbbbbbbbbb/") {
			others++
		}
		if others != 1 {
			s.t.Errorf("another request's %s is gone", folder)
		}
	}
	return strings.Join(folders, " ")
}

func (s *stand) margin() time.Duration {
	s.t.Helper()
	d, err := s.stage.Company.Due(nil, []dsr.ClockEvent{{Kind: dsr.Received, At: start}}, "DE")
	if err != nil {
		s.t.Fatal(err)
	}
	return d.MarginAt.Sub(start)
}

func status(st dsr.Status) func(*ledger.Request) {
	return func(r *ledger.Request) { r.Status = st }
}

// task is a person's open task.
func task(due time.Duration) dsr.Visit {
	return dsr.Visit{System: "zendesk", Phase: dsr.Gather, Manual: true, Status: dsr.VisitWithPerson, Run: 1, Person: &dsr.PersonTask{Assignee: "support_lead", OpenedAt: start, Due: start.Add(due)}}
}
