//go:build e2e

package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/writ-dsr/writ/infra/stand"
	"github.com/writ-dsr/writ/shared/connectors/stripe/stripefake"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dynamo"
	"github.com/writ-dsr/writ/shared/platform/machine"
	"github.com/writ-dsr/writ/shared/policy"
)

// Bounds of the suite: a wait is a number of looks, never a guess at how long
// something takes. The bound is far above what a loaded machine needs.
const (
	lookEvery = 50 * time.Millisecond
	looks     = 2400
	mailLooks = looks * lookEvery // for what is awaited by a channel
	together  = "4"               // tests at once; they wait more than they compute
)

// suite is the one stand that all tests of the package share.
var suite *Suite

// Suite is the stand with the operator's way to everything in it.
type Suite struct {
	*stand.Stand
	Pack    *policy.Company
	Book    *dynamo.Store    // the ledger, read and written as root
	Stripe  *stripefake.Fake // the vendor: faults, snapshots, the log of calls
	Machine *machine.Machine // Stop, History, List, Describe
	Staff   *Staff

	mu    sync.Mutex
	asked int
}

func TestMain(m *testing.M) {
	flag.Parse()
	if !slices.ContainsFunc(os.Args, func(a string) bool { return strings.HasPrefix(a, "-test.parallel") }) {
		_ = flag.Set("test.parallel", together)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := runSuite(ctx, m)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// runSuite makes the stand, runs the tests, looks at what they left behind, and
// ends everything.
func runSuite(ctx context.Context, m *testing.M) (code int, err error) {
	pack, err := policy.Load("pythonmaster")
	if err != nil {
		return 1, err
	}
	everybody := []string{officer}
	for _, company := range policy.Companies() {
		other, err := policy.Load(company)
		if err != nil {
			return 1, err
		}
		everybody = slices.AppendSeq(everybody, maps.Values(other.Assignees))
	}
	fake := stripefake.New()
	sink, err := newSink()
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, sink.remove()) }()
	s, err := stand.Start(ctx, stand.Options{
		Company: pack.ID, Officer: officer, WaitScale: "0.001", Learners: crowd(fake),
		Vendors:     map[string]stand.Vendor{"stripe": {Handler: fake, Secrets: map[string]string{"api_key": stripefake.Key}}},
		EmulatorEnv: sink.env(),
		Say:         func(what string) { fmt.Fprintln(os.Stderr, what) },
	})
	if err != nil {
		return 1, fmt.Errorf("making the stand: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	working, rest := context.WithCancel(ctx)
	suite = &Suite{Stand: s, Pack: pack, Book: s.Ledger(), Stripe: fake, Machine: machine.New(s.Config, s.Outputs["MachineArn"], time.Now)}
	suite.Staff = employ(working, s.Inbox, everybody)
	code = m.Run()
	rest()
	err = suite.Staff.wait()
	if ctx.Err() == nil {
		err = errors.Join(err, suite.afterwards(ctx, sink))
	}
	if code != 0 || err != nil {
		err = errors.Join(err, suite.keepLogs(ctx))
	}
	return code, err
}

const officer = "officer@pythonmaster.example"

// Look looks again and again until ok holds, and fails the test after a fixed
// number of looks with what it saw last.
func Look[T any](t testing.TB, what string, see func(context.Context) (T, error), ok func(T) bool) T {
	t.Helper()
	var last T
	var err error
	for range looks {
		if last, err = see(t.Context()); err != nil {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		if ok(last) {
			return last
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("waiting for %s: %v", what, t.Context().Err())
		case <-time.After(lookEvery):
		}
	}
	t.Fatalf("waiting for %s: it did not come in %d looks; last seen: %+v", what, looks, last)
	return last
}

// Request reads a request's record.
func (s *Suite) Request(t testing.TB, id dsr.RequestID) ledger.Request {
	t.Helper()
	r, err := s.Book.Request(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// AwaitRequest waits until a request's record is as wanted.
func (s *Suite) AwaitRequest(t testing.TB, id dsr.RequestID, what string, ok func(ledger.Request) bool) ledger.Request {
	t.Helper()
	return Look(t, what, func(ctx context.Context) (ledger.Request, error) { return s.Book.Request(ctx, id) }, ok)
}

// AwaitStatus waits until a request has one of the statuses.
func (s *Suite) AwaitStatus(t testing.TB, id dsr.RequestID, any ...dsr.Status) ledger.Request {
	t.Helper()
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		visits, err := s.Book.Visits(context.WithoutCancel(t.Context()), id)
		if err != nil {
			t.Log(err)
		}
		for _, v := range visits {
			if !v.Settled() {
				t.Logf("%s is open in %s: %s, %+v", id, v.Task(), v.Status, v.Person)
			}
		}
	})
	return s.AwaitRequest(t, id, fmt.Sprint("status ", any), func(r ledger.Request) bool { return slices.Contains(any, r.Status) })
}

// AwaitEnded waits until the execution of a request's current run has closed.
func (s *Suite) AwaitEnded(t testing.TB, id dsr.RequestID) machine.Execution {
	t.Helper()
	run := s.Request(t, id).Run
	return Look(t, "the end of the execution", func(ctx context.Context) (machine.Execution, error) {
		return s.Machine.Describe(ctx, s.ExecutionOf(id, run))
	}, func(e machine.Execution) bool { return e.Status != machine.Running })
}

// ExecutionOf is the ARN of the execution of one run of a request.
func (s *Suite) ExecutionOf(id dsr.RequestID, run int) string {
	return s.Machine.ExecutionARN(fmt.Sprintf("%s-%d", id, run))
}

// Visits reads all visits of a request by task ("app#gather").
func (s *Suite) Visits(t testing.TB, id dsr.RequestID) map[string]dsr.Visit {
	t.Helper()
	list, err := s.Book.Visits(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	visits := map[string]dsr.Visit{}
	for _, v := range list {
		visits[v.Task()] = v
	}
	return visits
}

// AwaitVisit waits until the visit of a task is as wanted; before it is planned
// it is the zero Visit.
func (s *Suite) AwaitVisit(t testing.TB, id dsr.RequestID, task, what string, ok func(dsr.Visit) bool) dsr.Visit {
	t.Helper()
	return Look(t, what+" at "+task, func(ctx context.Context) (dsr.Visit, error) {
		v, err := s.Book.Visit(ctx, id, task)
		if errors.Is(err, ledger.ErrNotFound) {
			return dsr.Visit{}, nil
		}
		return v, err
	}, ok)
}

// Events reads one chain of a request: dsr.RequestChain, or a system's id.
func (s *Suite) Events(t testing.TB, id dsr.RequestID, chain string) []dsr.Event {
	t.Helper()
	events, err := s.Book.Events(t.Context(), id, chain)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// AllEvents reads the request's own chain and those of its systems, oldest first.
func (s *Suite) AllEvents(t testing.TB, id dsr.RequestID) []dsr.Event {
	t.Helper()
	chains := map[string]bool{dsr.RequestChain: true}
	for _, v := range s.Visits(t, id) {
		chains[v.System] = true
	}
	var all []dsr.Event
	for _, chain := range slices.Sorted(maps.Keys(chains)) {
		all = append(all, s.Events(t, id, chain)...)
	}
	slices.SortStableFunc(all, func(a, b dsr.Event) int { return a.At.Compare(b.At) })
	return all
}

// CountEvents counts the events of a kind in a chain.
func (s *Suite) CountEvents(t testing.TB, id dsr.RequestID, chain string, kind dsr.EventKind) (n int) {
	t.Helper()
	for _, e := range s.Events(t, id, chain) {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// Outcome is what a visit reported for a category; ok says whether there is one.
func Outcome(v dsr.Visit, category string) (o dsr.Outcome, ok bool) {
	i := slices.IndexFunc(v.Outcomes, func(o dsr.Outcome) bool { return o.Category == category })
	if i < 0 {
		return dsr.Outcome{}, false
	}
	return v.Outcomes[i], true
}

// WantOutcome fails the test unless a task reported exactly this kind and count
// for a category.
func (s *Suite) WantOutcome(t testing.TB, id dsr.RequestID, task, category string, kind dsr.OutcomeKind, count int) {
	t.Helper()
	v, ok := s.Visits(t, id)[task]
	if !ok {
		t.Fatalf("there is no visit %s", task)
	}
	if o, ok := Outcome(v, category); !ok || o.Kind != kind || o.Count != count {
		t.Errorf("%s, %s: got %+v, want %s of %d", task, category, v.Outcomes, kind, count)
	}
}

// SQL runs a statement on the company's database and returns its rows as text,
// in the order the statement gives.
func (s *Suite) SQL(t testing.TB, statement string, args ...any) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	rows, err := conn.Query(t.Context(), statement, args...)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		values, err := row.Values()
		return fmt.Sprint(values...), err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
