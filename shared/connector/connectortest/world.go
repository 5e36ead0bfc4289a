package connectortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// world is one fresh store with one driver on it.
type world struct {
	t     testing.TB
	s     Suite
	store Store
	conn  connector.Connector
	gate  *gate // nil when the transport is direct
}

// open makes a world in which the vendor knows the people.
func open(t testing.TB, s Suite, people ...dsrtest.Person) *world {
	t.Helper()
	return openAt(t, s, true, people...)
}

// openAt leaves the base URL empty when override is false, so that the driver
// shows which host it calls by itself.
func openAt(t testing.TB, s Suite, override bool, people ...dsrtest.Person) *world {
	t.Helper()
	w := &world{t: t, s: s, store: s.Store(t)}
	cfg := connector.Config{
		System:   "conformance",
		Secrets:  map[string]string{},
		Settings: s.Settings,
		Mapping:  s.Mapping,
		Emulator: true,
		Now:      func() time.Time { return Now },
	}
	for name := range s.Descriptor.Secrets {
		cfg.Secrets[name] = "conformance-" + name
	}
	maps.Copy(cfg.Secrets, s.Secrets)
	if s.Transport == HTTP {
		handler, ok := w.store.(http.Handler)
		if !ok {
			t.Fatalf("the transport is http, but the store %T is no http.Handler", w.store)
		}
		w.gate = newGate(t, handler)
		cfg.Transport = w.gate
		if override {
			cfg.BaseURL = w.gate.server.URL
		}
	}
	w.conn = s.New(t, Env{Config: cfg, Store: w.store})
	w.seed(people...)
	return w
}

func (w *world) seed(people ...dsrtest.Person) {
	w.t.Helper()
	for _, p := range people {
		if err := w.store.Seed(p); err != nil {
			w.t.Fatalf("seeding the store: %v", err)
		}
		if len(w.records(p)) == 0 {
			w.t.Fatal("seeding the store: it holds no record of the person seeded")
		}
	}
}

// records lists what the store holds of p; of everybody for the zero Person.
func (w *world) records(p dsrtest.Person) []Record {
	w.t.Helper()
	all, err := w.store.Records()
	if err != nil {
		w.t.Fatalf("listing the store's records: %v", err)
	}
	if p == (dsrtest.Person{}) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(r Record) bool { return r.Owner != p.Email })
}

// snapshot is the store's records of p as bytes.
func (w *world) snapshot(p dsrtest.Person) string {
	w.t.Helper()
	return asJSON(w.records(p))
}

// inject arms a fault of the store. It reports false when the suite says that
// the store lacks it, and fails the law when that is not so.
func (w *world) inject(f Fault) bool {
	w.t.Helper()
	reason, lacks := w.s.Lacks[Trait(f)]
	err := w.store.Inject(f)
	switch {
	case lacks && err == nil:
		w.t.Fatalf("lack of %s is stale: the store acts it out (%s)", f, reason)
	case lacks:
		w.t.Logf("does not apply: the store lacks %s: %s", f, reason)
		return false
	case err != nil:
		w.t.Fatalf("injecting %s: %v; implement it or name it in Suite.Lacks", f, err)
	}
	return true
}

// task is one op for p, as the runner would call it.
func (w *world) task(op dsr.Op, p dsrtest.Person, f connector.Footprint) connector.Task {
	return connector.Task{
		Key:        fmt.Sprintf("conformance-%s-%d", op, slices.Index(everybody(), p)),
		Identities: w.s.identities(p),
		Pepper:     []byte("conformance"),
		Footprint:  f,
		Progress:   &progress{},
	}
}

// locate finds p and returns the footprint as it comes back from storage.
func (w *world) locate(p dsrtest.Person) (connector.Footprint, error) {
	f, err := w.conn.Locate(w.t.Context(), w.task(dsr.Locate, p, connector.Footprint{}))
	if err != nil {
		return connector.Footprint{}, err
	}
	var stored connector.Footprint
	if err := json.Unmarshal([]byte(asJSON(f)), &stored); err != nil {
		return connector.Footprint{}, err
	}
	return stored, nil
}

// found locates p and fails the law when that fails. Where Locate is not by
// API the footprint is empty.
func (w *world) found(p dsrtest.Person) connector.Footprint {
	w.t.Helper()
	if !w.s.Descriptor.Can(dsr.Locate) {
		return connector.Footprint{}
	}
	f, err := w.locate(p)
	if err != nil {
		w.t.Fatalf("locating a seeded person: %v", err)
	}
	return f
}

// call runs one op of the driver once.
type call func(ctx context.Context, t connector.Task) (connector.Receipt, error)

func (w *world) exporting(to *sink) call {
	return func(ctx context.Context, t connector.Task) (connector.Receipt, error) {
		return w.conn.Export(ctx, t, to)
	}
}

// drive runs an op to its end as the runner does: over pauses with the saved
// cursor, over a vendor's job with its id. Only the last receipt counts, so it
// must speak for the whole op.
func (w *world) drive(t connector.Task, op call) (connector.Receipt, error) {
	for range 1000 {
		r, err := op(w.t.Context(), t)
		var e *connector.Error
		switch p, _ := t.Progress.(*progress); {
		case err == nil:
			return r, nil
		case errors.Is(err, connector.ErrPause) && p != nil:
			t.Cursor = p.cursor
		case errors.Is(err, connector.Pending) && errors.As(err, &e) && e.Job != "" && w.s.FinishJobs != nil:
			t.Job = e.Job
			w.s.FinishJobs(w.t, w.store)
		default:
			return r, err
		}
	}
	return connector.Receipt{}, errors.New("driving the op: it never ended")
}

// export runs a whole export of p.
func (w *world) export(p dsrtest.Person, f connector.Footprint) (*sink, connector.Receipt, error) {
	out := &sink{}
	t := w.task(dsr.Export, p, f)
	t.Progress = &progress{sink: out}
	r, err := w.drive(t, w.exporting(out))
	return out, r, err
}

// erase runs a whole erasure of p.
func (w *world) erase(p dsrtest.Person, f connector.Footprint) (connector.Receipt, error) {
	return w.drive(w.task(dsr.Erase, p, f), w.conn.Erase)
}

// erased erases p and fails the law when that fails.
func (w *world) erased(p dsrtest.Person) connector.Receipt {
	w.t.Helper()
	r, err := w.erase(p, w.found(p))
	if err != nil {
		w.t.Fatalf("erasing a seeded person: %v", err)
	}
	return r
}

// counted sums a receipt's counts per category for the kinds given.
func counted(r connector.Receipt, kinds ...dsr.OutcomeKind) map[string]int {
	n := map[string]int{}
	for _, o := range r.Outcomes {
		if o.Count > 0 && slices.Contains(kinds, o.Kind) {
			n[o.Category] += o.Count
		}
	}
	return n
}

// perCategory counts records.
func perCategory(records []Record) map[string]int {
	n := map[string]int{}
	for _, r := range records {
		n[r.Category]++
	}
	return n
}

// shown leaves out what no call of the vendor shows.
func shown(records []Record) []Record {
	return slices.DeleteFunc(slices.Clone(records), func(r Record) bool { return r.Hidden })
}

func everybody() []dsrtest.Person {
	return append([]dsrtest.Person{dsrtest.Ada, dsrtest.AdaUpper}, dsrtest.LookAlikes()...)
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
