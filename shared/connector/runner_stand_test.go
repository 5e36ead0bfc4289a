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
