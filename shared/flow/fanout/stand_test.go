package fanout_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/ledger/memory"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/platform/vault"
	"github.com/writ-dsr/writ/shared/policy"
)

const (
	officer  = "officer@company.example"
	receiver = "privacy@receiver.example"
)

var start = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

var pack = sync.OnceValues(func() (*policy.Company, error) { return policy.Load("pythonmaster") })

// machine records what it was told.
type machine struct {
	released []string // "<token> <status>"
	started  []int
	fail     error
	failRuns error
}

func (m *machine) Release(_ context.Context, token string, output any) error {
	if m.fail != nil {
		return m.fail
	}
	r, ok := output.(fanout.Released)
	if !ok || r.V != 1 {
		return fmt.Errorf("the machine is told %v", output)
	}
	m.released = append(m.released, token+" "+r.Status)
	return nil
}

func (m *machine) StartRun(_ context.Context, _ dsr.RequestID, run int, proved bool) error {
	if !proved {
		return errors.New("a proved request is asked for its proof again")
	}
	if m.failRuns == nil {
		m.started = append(m.started, run)
	}
	return m.failRuns
}

// vendor is the system "app": rows of accounts by address.
type vendor struct {
	connector.Base
	rows   map[string]string      // id → owner's address
	phones map[string]string      // id → phone, once it was corrected
	marks  map[string]dsr.Purpose // id → what was stopped
	stops  dsr.Purpose            // the one purpose that it has a mark for
	deaf   bool                   // answers success and corrects nothing
	fails  error                  // every call
	calls  int
}

func (v *vendor) mine(t connector.Task) (ids []string) {
	for _, id := range []string{"r1", "r2", "r3"} {
		if owner, there := v.rows[id]; there && slices.ContainsFunc(t.Emails(), func(e string) bool { return dsr.SameAddress(e, owner) }) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (v *vendor) Locate(_ context.Context, t connector.Task) (connector.Footprint, error) {
	v.calls++
	f := connector.Footprint{Counts: map[string]int{}}
	for _, id := range v.mine(t) {
		f.Records = append(f.Records, connector.Record{Kind: "accounts", ID: id})
		f.Counts["account"]++
	}
	return f, v.fails
}

func (v *vendor) Export(ctx context.Context, t connector.Task, to connector.Sink) (connector.Receipt, error) {
	v.calls++
	ids := t.Footprint.IDs("accounts")
	for _, id := range ids {
		if err := to.Row(ctx, "account", "accounts", json.RawMessage(fmt.Sprintf(`{"id":%q}`, id))); err != nil {
			return connector.Receipt{}, err
		}
	}
	return connector.Receipt{Outcomes: []dsr.Outcome{{Category: "account", Kind: dsr.Exported, Count: len(ids)}}}, v.fails
}

func (v *vendor) Erase(_ context.Context, t connector.Task) (connector.Receipt, error) {
	v.calls++
	if v.fails != nil {
		return connector.Receipt{}, v.fails
	}
	ids := t.Footprint.IDs("accounts")
	for _, id := range ids {
		delete(v.rows, id)
	}
	return connector.Receipt{Outcomes: []dsr.Outcome{{Category: "account", Kind: dsr.Erased, Count: len(ids)}}}, nil
}

func (v *vendor) Rectify(_ context.Context, t connector.Task, changes []dsr.Change) (connector.Receipt, error) {
	v.calls++
	ids := t.Footprint.IDs("accounts")
	for _, c := range changes {
		if c.Field != "phone" {
			return connector.Receipt{}, connector.Unsupported
		}
		for _, id := range ids {
			if !v.deaf {
				v.phones[id] = c.New
			}
		}
	}
	return connector.Receipt{Outcomes: []dsr.Outcome{{Category: "account", Kind: dsr.Rectified, Count: len(ids)}}, Refs: t.Changed([]string{"old"}, []string{"new"})}, v.fails
}

func (v *vendor) Suppress(_ context.Context, t connector.Task, p dsr.Purpose) (connector.Receipt, error) {
	v.calls++
	if p != v.stops {
		return connector.Receipt{}, connector.Unsupported
	}
	ids := t.Footprint.IDs("accounts")
	for _, id := range ids {
		v.marks[id] = p
	}
	return connector.Receipt{Outcomes: []dsr.Outcome{{Category: "account", Kind: dsr.Suppressed, Count: len(ids)}}}, v.fails
}

func (v *vendor) ReadBack(_ context.Context, t connector.Task, _ connector.Receipt) (connector.Evidence, error) {
	v.calls++
	e := connector.Evidence{Remaining: map[string]int{"account": len(v.mine(t))}, Unchanged: map[string]int{}}
	for _, c := range t.Changes {
		for _, id := range t.Footprint.IDs("accounts") {
			if v.phones[id] != c.New {
				e.Unchanged["account"]++
			}
		}
	}
	return e, v.fails
}

// sink counts the rows of an export.
type sink struct {
	rows *int
	next int
}

func (s *sink) Row(context.Context, string, string, json.RawMessage) error { *s.rows++; return nil }
func (s *sink) File(context.Context, string, string, string, io.Reader) error {
	return nil
}
func (s *sink) Seal(context.Context) error { s.next++; return nil }
func (s *sink) Next() int                  { return s.next }
func (s *sink) Abort()                     {}

// uploads are the files of people's tasks, by task.
type uploads map[string]int

func (u uploads) Form(_ context.Context, id dsr.RequestID, task, back string) (fanout.Upload, error) {
	return fanout.Upload{Action: "https://bucket.example/", Origin: "https://bucket.example", Fields: []fanout.Field{{Name: "key", Value: string(id) + "/" + task}, {Name: "back", Value: back}}}, nil
}
func (u uploads) Count(_ context.Context, _ dsr.RequestID, task string) (int, error) {
	return u[task], nil
}
func (u uploads) Take(_ context.Context, _ dsr.RequestID, _, task, _ string) (int, error) {
	return u[task], nil
}

type counter map[string]int

func (c counter) Count(name string, n int) { c[name] += n }

// stand is one proved request of Ada's with the three functions of the stage.
type stand struct {
	t       *testing.T
	id      dsr.RequestID
	store   *memory.Store
	keys    *vault.Vault
	mail    *mail.Memory
	machine *machine
	vendor  *vendor
	uploads uploads
	metric  counter
	openErr error
	opened  int
	rows    int
	now     time.Time
	log     bytes.Buffer
	company *policy.Company
	task    *fanout.Task
	manual  *fanout.Manual
	answer  *fanout.Answer
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
	s := &stand{
		t: t, id: ledger.NewRequestID(), store: memory.New(), keys: vault.NewLocal("fanout"), mail: &mail.Memory{}, machine: &machine{}, uploads: uploads{}, metric: counter{}, now: start, company: company,
		vendor: &vendor{rows: map[string]string{"r1": dsrtest.Ada.Email, "r2": dsrtest.Ada.Email, "r3": dsrtest.Ben.Email}, phones: map[string]string{}, marks: map[string]dsr.Purpose{}},
	}
	clock := func() time.Time { return s.now }
	log := slog.New(slog.NewJSONHandler(&s.log, nil))
	app, _ := company.System("app")
	d := connector.Descriptor{Code: "postgres", Resend: connector.ResendSafe, Ops: map[dsr.Op]string{dsr.Locate: "api", dsr.Export: "api", dsr.Erase: "api", dsr.Rectify: "api", dsr.Suppress: "api", dsr.ReadBack: "api"}}
	s.task = &fanout.Task{
		Company: company, System: app, Descriptor: d, Ledger: s.store, Keys: s.keys, Hasher: s.keys, Now: clock, Reserve: time.Second,
		Open: func(context.Context) (connector.Connector, error) {
			s.opened++
			return s.vendor, s.openErr
		},
		Parts: func(_ dsr.RequestID, _ string, next int) connector.Parts { return &sink{rows: &s.rows, next: next} },
	}
	s.manual = &fanout.Manual{Company: company, Officer: officer, Ledger: s.store, Keys: s.keys, Mail: s.mail, Machine: s.machine, Now: clock, Log: log, Metric: s.metric, URL: "https://writ.example"}
	s.answer = fanout.NewAnswer(fanout.Answer{
		Company: company, Descriptors: descriptors, Officer: officer, Ledger: s.store, Keys: s.keys, Hasher: s.keys, Mail: s.mail, Machine: s.machine, Runs: s.machine,
		Uploads: s.uploads, Now: clock, Log: log, URL: "https://writ.example",
	})
	sealed, err := dossier.Seal(t.Context(), s.keys, s.id, dsr.Subject{Name: dsrtest.Ada.Name, Changes: []dsr.Change{{Field: "phone", New: dsrtest.Ada.Phone}}, Message: "my words " + dsrtest.Ada.City, Identities: []dsr.Identity{{Kind: dsr.Email, Value: dsrtest.Ada.Email, Origin: dsr.SelfAsserted}}})
	if err != nil {
		t.Fatal(err)
	}
	r := ledger.Request{ID: s.id, Status: dsr.Running, Rights: []dsr.Right{dsr.Erasure}, Country: "DE", Run: 1, VerifiedAt: start, Planned: true, Clock: []dsr.ClockEvent{{Kind: dsr.Received, At: start}}, DueAt: start.AddDate(0, 0, 30)}
	if change != nil {
		change(&r)
	}
	if err := s.store.CreateRequest(t.Context(), r, sealed, dsr.Event{RequestID: s.id, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: start}); err != nil {
		t.Fatal(err)
	}
	for i := range visits {
		visits[i].RequestID = s.id
		if visits[i].Status == "" {
			visits[i].Status = dsr.VisitPlanned
		}
	}
	if err := s.store.PlanVisits(t.Context(), visits); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.noLeak)
	return s
}

func gather(system string) dsr.Visit {
	return dsr.Visit{System: system, Phase: dsr.Gather, Ops: []dsr.Op{dsr.Locate, dsr.Export}, Categories: []string{"account"}}
}

func act(system string) dsr.Visit {
	return dsr.Visit{System: system, Phase: dsr.Act, Ops: []dsr.Op{dsr.Erase, dsr.ReadBack}, Categories: []string{"account"}}
}

func byPerson(v dsr.Visit) dsr.Visit { v.Manual = true; return v }

func settled(v dsr.Visit) dsr.Visit {
	v.Status = dsr.VisitSettled
	return v
}

// noLeak holds for every test: nothing that lies in clear names the person.
func (s *stand) noLeak() {
	texts := map[string]string{"the ledger in clear": fmt.Sprintf("%+v", s.store), "the log": s.log.String(), "what the machine hears": fmt.Sprint(s.machine.released, s.machine.started)}
	for _, m := range s.mail.All() {
		if m.To == receiver { // who must act on the person's data has to know whose they are
			continue
		}
		texts["a mail to an assignee"] += m.Subject + m.Text + m.HTML
	}
	for where, text := range texts {
		for _, canary := range append(dsrtest.Canaries(), "my words") {
			if strings.Contains(text, canary) {
				s.t.Errorf("%s holds %q", where, canary)
			}
		}
	}
}

func (s *stand) margin() time.Time {
	s.t.Helper()
	d, err := s.company.Due(nil, []dsr.ClockEvent{{Kind: dsr.Received, At: start}}, "DE")
	if err != nil {
		s.t.Fatal(err)
	}
	return d.MarginAt
}

// visitApp is the machine's call of FanoutTask for the system app.
func (s *stand) visitApp(phase dsr.Phase) (fanout.Output, error) {
	out, err := s.task.Handle(s.t.Context(), fanout.Input{V: 1, RequestID: s.id, Run: s.request().Run, System: "app", Phase: phase})
	if err != nil {
		for _, canary := range dsrtest.Canaries() {
			if strings.Contains(err.Error(), canary) {
				s.t.Errorf("the error names the person: %v", err)
			}
		}
	}
	return out, err
}

func (s *stand) done(phase dsr.Phase) {
	s.t.Helper()
	if out, err := s.visitApp(phase); err != nil || out.Status != string(connector.Done) {
		s.t.Fatalf("visiting app to %s: %+v, %v", phase, out, err)
	}
}

// ask is the machine's call of FanoutManual.
func (s *stand) ask(system string, phase dsr.Phase, token string) {
	s.t.Helper()
	in := fanout.ManualInput{V: 1, RequestID: s.id, Run: s.request().Run, System: system, Phase: phase, Cause: connector.CauseManual, TaskToken: token}
	if _, err := s.manual.Handle(s.t.Context(), in); err != nil {
		s.t.Fatal(err)
	}
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

func (s *stand) count(chain string, kind dsr.EventKind) int {
	s.t.Helper()
	all, err := s.store.Events(s.t.Context(), s.id, chain)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := dsr.VerifyChain(all); err != nil {
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

func (s *stand) snapshot() string { return fmt.Sprintf("%+v", s.store) }

// kinds are the outcomes of a visit: "deferred", "erased not_held".
func kinds(v dsr.Visit) string {
	var all []string
	for _, o := range v.Outcomes {
		all = append(all, string(o.Kind))
	}
	return strings.Join(all, " ")
}

var (
	linkInMail = regexp.MustCompile(`https://writ\.example/task\?t=([A-Za-z0-9_-]+)`)
	codeInMail = regexp.MustCompile(`\b[346789BCDFGHJKMNPQRTVWXY]{4}-[346789BCDFGHJKMNPQRTVWXY]{4}\b`)
)

// newest is the newest match in the mails to an address, or "".
func (s *stand) newest(to string, form *regexp.Regexp) string {
	for _, m := range slices.Backward(s.mail.To(to)) {
		if found := form.FindStringSubmatch(m.Text); found != nil {
			return found[len(found)-1]
		}
	}
	return ""
}
