package connector_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/memory"
	"github.com/writ-dsr/writ/shared/platform/vault"
)

// vendor is a system in memory that counts its effects. Its answers can be lost
// after the effect, and its writes can be swallowed.
type vendor struct {
	connector.Base
	rows      map[string]string // id → owner's address
	deletions map[string]int    // id → times it was really deleted
	calls     int
	fault     func(call int, after bool) error // nil: none
	swallow   bool
	upper     bool // holds a record whose address differs in case alone
}

func newVendor() *vendor {
	return &vendor{
		rows:      map[string]string{"r1": dsrtest.Ada.Email, "r2": dsrtest.Ada.Email, "r3": dsrtest.Ben.Email},
		deletions: map[string]int{},
	}
}

// guard counts a call and lets the test break it before or after its effect.
func (v *vendor) guard(effect func()) error {
	v.calls++
	call := v.calls
	if v.fault != nil {
		if err := v.fault(call, false); err != nil {
			return err
		}
	}
	effect()
	if v.fault != nil {
		return v.fault(call, true)
	}
	return nil
}

func (v *vendor) mine(t connector.Task) []string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(v.rows)) {
		if slices.ContainsFunc(t.Emails(), func(e string) bool { return dsr.SameAddress(e, v.rows[id]) }) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (v *vendor) Locate(_ context.Context, t connector.Task) (f connector.Footprint, err error) {
	err = v.guard(func() {
		for _, id := range v.mine(t) {
			f.Records = append(f.Records, connector.Record{Kind: "row", ID: id})
		}
		f.Counts = map[string]int{"profile": len(f.Records)}
		if v.upper {
			f.Candidates = 1
		}
	})
	return f, err
}

func (v *vendor) Export(ctx context.Context, t connector.Task, to connector.Sink) (r connector.Receipt, err error) {
	ids := t.Footprint.IDs("row")
	start := 0
	if t.Cursor != "" {
		start = slices.Index(ids, t.Cursor)
	}
	for _, id := range ids[start:] {
		if err := t.Save(ctx, id); err != nil {
			return r, err
		}
		if err := v.guard(func() {}); err != nil {
			return r, err
		}
		if err := to.Row(ctx, "profile", "rows", json.RawMessage(fmt.Sprintf(`{"id":%q}`, id))); err != nil {
			return r, err
		}
	}
	r.Outcomes = []dsr.Outcome{{Category: "profile", Kind: dsr.Exported, Count: len(ids)}}
	return r, nil
}

func (v *vendor) Erase(_ context.Context, t connector.Task) (r connector.Receipt, err error) {
	err = v.guard(func() {
		n := 0
		for _, id := range t.Footprint.IDs("row") {
			if _, ok := v.rows[id]; ok && !v.swallow {
				delete(v.rows, id)
				v.deletions[id]++
			}
			n++
		}
		r.Outcomes = []dsr.Outcome{{Category: "profile", Kind: dsr.Erased, Count: n}}
	})
	return r, err
}

func (v *vendor) ReadBack(_ context.Context, t connector.Task, _ connector.Receipt) (e connector.Evidence, err error) {
	err = v.guard(func() {
		if n := len(v.mine(t)); n > 0 {
			e.Remaining = map[string]int{"profile": n}
		}
	})
	return e, err
}

// parts keeps what an export wrote, by part; an aborted part leaves nothing.
type parts struct {
	sealed map[int][]string
	open   []string
	next   int
}

func (p *parts) Row(_ context.Context, _, _ string, row json.RawMessage) error {
	p.open = append(p.open, string(row))
	return nil
}
func (p *parts) File(context.Context, string, string, string, io.Reader) error { return nil }
func (p *parts) Seal(context.Context) error {
	if len(p.open) > 0 {
		p.sealed[p.next] = p.open
		p.next++
		p.open = nil
	}
	return nil
}
func (p *parts) Next() int { return p.next }
func (p *parts) Abort()    { p.open = nil }

// flaky is the journal with a fault at its n-th write, before or after it.
type flaky struct {
	*memory.Store
	at    int
	after bool
	n     int
}

var errCrash = errors.New("the function was killed")

func (f *flaky) hit(write func() error) error {
	f.n++
	if f.n == f.at && !f.after {
		return errCrash
	}
	err := write()
	if f.n == f.at && err == nil {
		return errCrash
	}
	return err
}

func (f *flaky) SaveVisit(ctx context.Context, v dsr.Visit) error {
	return f.hit(func() error { return f.Store.SaveVisit(ctx, v) })
}
func (f *flaky) BeginErasing(ctx context.Context, v dsr.Visit, keys []string, now time.Time) error {
	return f.hit(func() error { return f.Store.BeginErasing(ctx, v, keys, now) })
}
func (f *flaky) Append(ctx context.Context, e dsr.Event) error {
	return f.hit(func() error { return f.Store.Append(ctx, e) })
}

// bench is one request with one visit on one vendor.
type bench struct {
	t       *testing.T
	store   *memory.Store
	journal connector.Journal
	vendor  *vendor
	sealed  map[int][]string
	box     connector.Box
	now     time.Time
	clock   func() time.Time // the runner's; nil for now
	written *parts           // what the last visit opened
	resend  connector.Resend
	id      dsr.RequestID
}

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, store: memory.New(), vendor: newVendor(), sealed: map[int][]string{}, now: start, resend: connector.ResendSafe, id: ledger.NewRequestID()}
	b.journal = b.store
	box, _, err := vault.NewLocal("runner").NewBox(t.Context(), b.id)
	if err != nil {
		t.Fatal(err)
	}
	b.box = box
	r := ledger.Request{ID: b.id, Company: "c", Status: dsr.Running, Run: 1, VerifiedAt: start, DueAt: start.AddDate(0, 0, 30), Clock: []dsr.ClockEvent{{Kind: dsr.Received, At: start}}}
	first := dsr.Event{RequestID: b.id, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: start}
	if err := b.store.CreateRequest(t.Context(), r, ledger.SealedSubject{RequestID: b.id}, first); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) plan(phase dsr.Phase, ops ...dsr.Op) {
	b.t.Helper()
	v := dsr.Visit{RequestID: b.id, System: "crm", Phase: phase, Ops: ops, Categories: []string{"profile", "orders"}, Status: dsr.VisitPlanned}
	if err := b.store.PlanVisits(b.t.Context(), []dsr.Visit{v}); err != nil {
		b.t.Fatal(err)
	}
}

// visit takes the lease and lets the runner work once.
func (b *bench) visit(ctx context.Context, phase dsr.Phase) (connector.Answer, error) {
	b.t.Helper()
	b.now = b.now.Add(time.Hour) // past any lease a crash left behind
	v, err := b.store.TakeVisit(ctx, b.id, "crm#"+string(phase), 1, b.now, b.now.Add(time.Minute))
	if errors.Is(err, ledger.ErrSettled) {
		return connector.Answer{Status: connector.Done}, nil
	}
	if err != nil {
		b.t.Fatal(err)
	}
	e := connector.Errand{Visit: v, Identities: []dsr.Identity{dsrtest.Ada.Proved()}, Box: b.box,
		HoldKeys: []string{ledger.HoldOnCategory("profile"), ledger.HoldOnRequest(b.id)},
		Parts: func(next int) connector.Parts {
			b.written = &parts{sealed: b.sealed, next: next}
			return b.written
		}}
	b.written = &parts{}
	clock := b.clock
	if clock == nil {
		clock = func() time.Time { return b.now }
	}
	if phase == dsr.Act {
		g, err := b.store.Visit(ctx, b.id, "crm#gather")
		if err != nil {
			b.t.Fatal(err)
		}
		if e.Found, err = connector.FoundIn(g, b.box); err != nil {
			b.t.Fatal(err)
		}
		e.Located = g.Steps[dsr.Locate].Done
	}
	r := connector.Runner{Connector: b.vendor, Descriptor: descriptor(b.resend), Journal: b.journal, Now: clock}
	return r.Visit(ctx, e)
}

func descriptor(resend connector.Resend) connector.Descriptor {
	d := connector.Descriptor{Code: "crm", Resend: resend, Ops: map[dsr.Op]string{}}
	for _, op := range dsr.Ops() {
		d.Ops[op] = "api"
	}
	return d
}

func (b *bench) outcomes(phase dsr.Phase) []dsr.Outcome {
	b.t.Helper()
	v, err := b.store.Visit(b.t.Context(), b.id, "crm#"+string(phase))
	if err != nil {
		b.t.Fatal(err)
	}
	if !v.Settled() {
		b.t.Fatalf("the %s visit is %s, not settled", phase, v.Status)
	}
	return v.Outcomes
}

func (b *bench) want(phase dsr.Phase, want ...dsr.Outcome) {
	b.t.Helper()
	got := b.outcomes(phase)
	if !slices.EqualFunc(got, want, func(x, y dsr.Outcome) bool { return x == y }) {
		b.t.Errorf("outcomes of the %s visit:\n got %+v\nwant %+v", phase, got, want)
	}
}

func (b *bench) gather() {
	b.t.Helper()
	b.plan(dsr.Gather, dsr.Locate, dsr.Export)
	b.plan(dsr.Act, dsr.Erase, dsr.ReadBack)
	if a, err := b.visit(b.t.Context(), dsr.Gather); err != nil || a.Status != connector.Done {
		b.t.Fatalf("gathering: %+v, %v", a, err)
	}
}

func TestRunnerGathersThenErases(t *testing.T) {
	b := newBench(t)
	b.gather()
	b.want(dsr.Gather, dsr.Outcome{Category: "profile", Kind: dsr.Exported, Count: 2}, dsr.Outcome{Category: "orders", Kind: dsr.NotHeld})
	if a, err := b.visit(t.Context(), dsr.Act); err != nil || a.Status != connector.Done {
		t.Fatalf("acting: %+v, %v", a, err)
	}
	b.want(dsr.Act, dsr.Outcome{Category: "profile", Kind: dsr.Erased, Count: 2}, dsr.Outcome{Category: "orders", Kind: dsr.NotHeld})
	if len(b.vendor.rows) != 1 || b.vendor.rows["r3"] != dsrtest.Ben.Email {
		t.Errorf("what is left: %v", b.vendor.rows)
	}
	events, err := b.store.Events(t.Context(), b.id, "crm")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dsr.VerifyChain(events); err != nil {
		t.Error(err)
	}
	intent := slices.IndexFunc(events, func(e dsr.Event) bool { return e.Kind == dsr.EventIntent })
	done := slices.IndexFunc(events, func(e dsr.Event) bool { return e.Kind == dsr.EventOpDone && e.Detail["op"] == "erase" })
	if intent < 0 || done < intent {
		t.Errorf("intent is link %d and the erasure's end link %d", intent, done)
	}
}

// A crash at any point of the ledger's writes, before or after the write, and
// of the vendor's calls, before or after the effect, ends in the same outcomes
// and in one effect for each record.
func TestRunnerSurvivesACrashAtEveryPoint(t *testing.T) {
	points := 0
	run := func(t *testing.T, arrange func(b *bench)) {
		b := newBench(t)
		b.gather()
		arrange(b)
		for range 12 {
			if a, err := b.visit(t.Context(), dsr.Act); err == nil && a.Status == connector.Done {
				break
			}
			b.vendor.fault = nil
		}
		b.journal = b.store
		kinds := map[dsr.OutcomeKind]int{}
		for _, o := range b.outcomes(dsr.Act) {
			kinds[o.Kind] += o.Count
		}
		if kinds[dsr.Erased] != 2 || kinds[dsr.Failed] != 0 {
			t.Errorf("outcomes: %v", kinds)
		}
		for id, n := range b.vendor.deletions {
			if n != 1 {
				t.Errorf("record %s was deleted %d times", id, n)
			}
		}
		if _, ok := b.vendor.rows["r3"]; !ok || len(b.vendor.rows) != 1 {
			t.Errorf("what is left: %v", b.vendor.rows)
		}
		points++
	}
	for at := 1; at <= 8; at++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("ledger write %d, after %t", at, after), func(t *testing.T) {
				run(t, func(b *bench) { b.journal = &flaky{Store: b.store, at: at, after: after} })
			})
		}
	}
	for call := 1; call <= 2; call++ {
		for _, after := range []bool{false, true} {
			for _, err := range []error{errCrash, &connector.Error{Kind: connector.Unavailable, Sent: after, Err: errors.New("no answer")}} {
				t.Run(fmt.Sprintf("vendor call %d, after %t, %v", call, after, err), func(t *testing.T) {
					run(t, func(b *bench) {
						base := b.vendor.calls
						b.vendor.fault = func(n int, isAfter bool) error {
							if n == base+call && isAfter == after {
								return err
							}
							return nil
						}
					})
				})
			}
		}
	}
	if points != 24 {
		t.Errorf("%d crash points were tried, want 24", points)
	}
}

func TestRunnerDoesNotSendTwiceWhatMustNotBeRepeated(t *testing.T) {
	b := newBench(t)
	b.resend = connector.ResendNever
	b.gather()
	b.vendor.swallow = true // the call is lost: no effect, no answer
	base := b.vendor.calls
	b.vendor.fault = func(n int, after bool) error {
		if n == base+1 && after {
			return &connector.Error{Kind: connector.Unavailable, Sent: true, Err: errors.New("no answer")}
		}
		return nil
	}
	if _, err := b.visit(t.Context(), dsr.Act); connector.KindOf(err) != connector.Unavailable {
		t.Fatalf("first try: %v", err)
	}
	a, err := b.visit(t.Context(), dsr.Act)
	if err != nil || a.Status != connector.Person || a.Cause != connector.CauseUnknownEffect {
		t.Errorf("second try: %+v, %v", a, err)
	}
	if b.vendor.calls != base+2 {
		t.Errorf("%d calls after the lost one, want the read-back alone", b.vendor.calls-base-1)
	}
}

func TestRunnerFindsHoldsInTheWriteThatAllowsErasing(t *testing.T) {
	b := newBench(t)
	b.gather()
	if err := b.store.PlaceHold(t.Context(), ledger.Hold{Key: ledger.HoldOnCategory("profile"), Reason: "claim", By: "officer", At: start}); err != nil {
		t.Fatal(err)
	}
	calls := b.vendor.calls
	if a, err := b.visit(t.Context(), dsr.Act); err != nil || a.Status != connector.Done {
		t.Fatalf("acting under a hold: %+v, %v", a, err)
	}
	if b.vendor.calls != calls {
		t.Errorf("the vendor was called %d times under a hold", b.vendor.calls-calls)
	}
	for _, o := range b.outcomes(dsr.Act) {
		if o.Kind != dsr.Retained || o.Ground != connector.GroundHold {
			t.Errorf("outcome under a hold: %+v", o)
		}
	}
}

func TestRunnerBelievesTheReadBack(t *testing.T) {
	b := newBench(t)
	b.gather()
	b.vendor.swallow = true
	var a connector.Answer
	var err error
	for range 6 {
		if a, err = b.visit(t.Context(), dsr.Act); err != nil {
			t.Fatal(err)
		}
		if a.Status == connector.Person {
			break
		}
	}
	if a.Status != connector.Person || a.Cause != connector.CauseStillThere {
		t.Errorf("a swallowed write ended as %+v", a)
	}
	v, err := b.store.Visit(t.Context(), b.id, "crm#act")
	if err != nil {
		t.Fatal(err)
	}
	if v.Settled() {
		t.Error("a visit whose data is still there is settled")
	}
}

func TestRunnerStopsForWithdrawnRequests(t *testing.T) {
	b := newBench(t)
	b.gather()
	if _, err := ledger.Change(t.Context(), b.store, b.id, func(r *ledger.Request) error { r.Status = dsr.Withdrawn; return nil }); err != nil {
		t.Fatal(err)
	}
	calls := b.vendor.calls
	a, err := b.visit(t.Context(), dsr.Act)
	if err != nil || a.Status != connector.Stopped {
		t.Errorf("a withdrawn request: %+v, %v", a, err)
	}
	if b.vendor.calls != calls {
		t.Error("the vendor was called for a withdrawn request")
	}
}

func TestRunnerNeverSaysNotHeldWithoutHavingLooked(t *testing.T) {
	b := newBench(t)
	b.plan(dsr.Gather, dsr.Locate)
	b.plan(dsr.Act, dsr.Erase, dsr.ReadBack)
	b.vendor.fault = func(int, bool) error {
		return &connector.Error{Kind: connector.Unauthorized, Err: errors.New("refused")}
	}
	if a, err := b.visit(t.Context(), dsr.Gather); err != nil || a.Cause != connector.CauseUnauthorized {
		t.Fatalf("gathering without a credential: %+v, %v", a, err)
	}
	a, err := b.visit(t.Context(), dsr.Act)
	if err != nil || a.Status != connector.Person || a.Cause != connector.CauseNotLocated {
		t.Errorf("acting where nobody could look: %+v, %v", a, err)
	}
}

func TestRunnerCandidateGoesToAPerson(t *testing.T) {
	b := newBench(t)
	b.vendor.rows, b.vendor.upper = map[string]string{}, true
	b.plan(dsr.Gather, dsr.Locate, dsr.Export)
	a, err := b.visit(t.Context(), dsr.Gather)
	if err != nil || a.Status != connector.Person || a.Cause != connector.CauseCandidate {
		t.Fatalf("an address that differs in case alone: %+v, %v", a, err)
	}
	v, err := b.store.TakeVisit(t.Context(), b.id, "crm#gather", 1, b.now, b.now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	v.Person = &dsr.PersonTask{Assignee: "support", Cause: connector.CauseCandidate, Answer: connector.AnswerDone, AnsweredAt: b.now}
	v.LeaseUntil = time.Time{}
	if err := b.store.SaveVisit(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if a, err := b.visit(t.Context(), dsr.Gather); err != nil || a.Status != connector.Done {
		t.Fatalf("after the person's answer: %+v, %v", a, err)
	}
	for _, o := range b.outcomes(dsr.Gather) {
		if o.Kind != dsr.Attested || o.By != "support" {
			t.Errorf("outcome after the person's answer: %+v", o)
		}
	}
}

// An export that is cut after every row writes the same rows as one that is not.
func TestRunnerGoesOnWhereItWasCut(t *testing.T) {
	whole := newBench(t)
	whole.gather()
	cut := newBench(t)
	cut.plan(dsr.Gather, dsr.Locate, dsr.Export)
	deadline := time.Now().Add(10 * time.Minute)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	cut.clock = func() time.Time { // the time is up as soon as one row is written
		if len(cut.written.open) > 0 {
			return deadline
		}
		return deadline.Add(-time.Hour)
	}
	pauses := 0
	for range 8 {
		a, err := cut.visit(ctx, dsr.Gather)
		if err != nil {
			t.Fatal(err)
		}
		if a.Status == connector.Done {
			break
		}
		if a.Status != connector.Waiting || a.Wait != 0 {
			t.Fatalf("a cut visit answered %+v", a)
		}
		pauses++
	}
	if pauses != 1 {
		t.Errorf("an export of two rows was cut %d times, want once", pauses)
	}
	if got, want := fmt.Sprint(join(cut.sealed)), fmt.Sprint(join(whole.sealed)); got != want || len(join(cut.sealed)) != 2 {
		t.Errorf("cut export %s, whole export %s", got, want)
	}
	if len(cut.sealed) != 2 {
		t.Errorf("the cut export lies in %d parts, want 2", len(cut.sealed))
	}
}

func join(parts map[int][]string) []string {
	var all []string
	for _, n := range slices.Sorted(maps.Keys(parts)) {
		all = append(all, parts[n]...)
	}
	return all
}
