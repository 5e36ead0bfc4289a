package connector_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// shop holds two categories and notes what it is asked.
type shop struct {
	connector.Base
	asked   map[dsr.Op][]string // categories, by op
	stopped []dsr.Purpose
	keys    []string
	marks   map[dsr.Purpose][]string // purpose → categories it has a mark for
	writes  []string                 // categories that an export writes, asked or not
	events  []dsr.Event              // of the last visit
	reads   int                      // records that the read-back of a correction finds as before
	changes []dsr.Change             // what that read-back looked for
}

func newShop() *shop { return &shop{asked: map[dsr.Op][]string{}} }

func (s *shop) Export(ctx context.Context, t connector.Task, to connector.Sink) (connector.Receipt, error) {
	s.asked[dsr.Export] = t.Categories
	for _, category := range s.writes {
		if err := to.Row(ctx, category, "rows", json.RawMessage(`{}`)); err != nil {
			return connector.Receipt{}, err
		}
	}
	return connector.Receipt{Outcomes: []dsr.Outcome{{Category: "orders", Kind: dsr.Exported, Count: 3}}}, nil
}

func (s *shop) Erase(_ context.Context, t connector.Task) (connector.Receipt, error) {
	s.asked[dsr.Erase] = t.Categories
	var r connector.Receipt
	for _, category := range []string{"profile", "orders"} {
		if t.Wants(category) {
			r.Outcomes = append(r.Outcomes, dsr.Outcome{Category: category, Kind: dsr.Erased, Count: 1})
		}
	}
	return r, nil
}

func (s *shop) Rectify(_ context.Context, t connector.Task, _ []dsr.Change) (connector.Receipt, error) {
	s.asked[dsr.Rectify] = t.Categories
	return connector.Receipt{Outcomes: []dsr.Outcome{{Category: "profile", Kind: dsr.Rectified, Count: 1}}, Refs: t.Changed([]string{"a"}, []string{"b"})}, nil
}

func (s *shop) Suppress(_ context.Context, t connector.Task, p dsr.Purpose) (connector.Receipt, error) {
	s.keys = append(s.keys, t.Key)
	s.stopped = append(s.stopped, p)
	if _, known := s.marks[p]; !known {
		return connector.Receipt{}, connector.Unsupported
	}
	var r connector.Receipt
	for _, category := range s.marks[p] {
		r.Outcomes = append(r.Outcomes, dsr.Outcome{Category: category, Kind: dsr.Suppressed, Count: 1})
	}
	return r, nil
}

func (s *shop) ReadBack(_ context.Context, t connector.Task, _ connector.Receipt) (connector.Evidence, error) {
	s.asked[dsr.ReadBack], s.changes = t.Categories, t.Changes
	return connector.Evidence{Unchanged: map[string]int{"profile": s.reads}}, nil
}

// silent is a journal that keeps the last visit.
type silent struct {
	last   dsr.Visit
	events []dsr.Event
}

func (j *silent) SaveVisit(_ context.Context, v dsr.Visit) error { j.last = v; return nil }
func (j *silent) BeginErasing(context.Context, dsr.Visit, []string, time.Time) error {
	return nil
}
func (j *silent) Append(_ context.Context, e dsr.Event) error {
	j.events = append(j.events, e)
	return nil
}

type clear struct{}

func (clear) Seal(plain []byte, _ string) []byte           { return plain }
func (clear) Open(sealed []byte, _ string) ([]byte, error) { return sealed, nil }

// visit lets the runner do one visit on the shop.
func (s *shop) visit(t *testing.T, v dsr.Visit, change func(*connector.Errand)) (connector.Answer, dsr.Visit, *parts) {
	t.Helper()
	j, out := &silent{}, &parts{sealed: map[int][]string{}}
	v.RequestID, v.System = "waaaaaaaaaaaaaaaaaaaaaaaaa", "shop"
	e := connector.Errand{
		Visit: v, Identities: []dsr.Identity{dsrtest.Ada.Proved()}, Box: clear{}, Located: true, Whole: []string{"profile", "orders"},
		Found:   connector.Footprint{Records: []connector.Record{{Kind: "row", ID: "1"}}, Counts: map[string]int{"profile": 1, "orders": 3}},
		Parts:   func(int) connector.Parts { return out },
		Changes: []dsr.Change{{Field: "name", New: "New"}},
	}
	if v.Phase == dsr.Gather { // what was located lies in the visit
		e.Visit.Steps = map[dsr.Op]dsr.Step{dsr.Locate: {Done: true}}
		e.Visit.Sealed, _ = json.Marshal(map[string]any{"found": e.Found})
	}
	if change != nil {
		change(&e)
	}
	r := connector.Runner{Connector: s, Descriptor: descriptor(connector.ResendSafe), Journal: j, Now: func() time.Time { return start }}
	answer, err := r.Visit(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	s.events = j.events
	return answer, j.last, out
}

func outcomesAre(t *testing.T, v dsr.Visit, want ...dsr.Outcome) {
	t.Helper()
	if !v.Settled() || !slices.Equal(v.Outcomes, want) {
		t.Errorf("the visit is %s with\n got %+v\nwant %+v", v.Status, v.Outcomes, want)
	}
}

func TestRunnerKeepsToTheCategoriesOfTheVisit(t *testing.T) {
	act := func(categories []string, ops ...dsr.Op) dsr.Visit {
		return dsr.Visit{Phase: dsr.Act, Ops: ops, Categories: categories}
	}
	erased := func(category string) dsr.Outcome { return dsr.Outcome{Category: category, Kind: dsr.Erased, Count: 1} }
	t.Run("one of two", func(t *testing.T) {
		s := newShop()
		s.marks = map[dsr.Purpose][]string{dsr.AllUse: {"profile", "orders"}}
		_, v, _ := s.visit(t, act([]string{"orders"}, dsr.Suppress, dsr.Erase, dsr.ReadBack), nil)
		outcomesAre(t, v, erased("orders"))
		for _, op := range []dsr.Op{dsr.Erase, dsr.ReadBack} {
			if !slices.Equal(s.asked[op], []string{"orders"}) {
				t.Errorf("%s is asked for %v", op, s.asked[op])
			}
		}
		if len(s.stopped) > 0 {
			t.Error("all use is stopped, though other data of the person go on")
		}
	})
	t.Run("all", func(t *testing.T) {
		s := newShop()
		_, v, _ := s.visit(t, act([]string{"profile", "orders"}, dsr.Suppress, dsr.Erase, dsr.ReadBack), nil)
		outcomesAre(t, v, erased("profile"), erased("orders"))
		if s.asked[dsr.Erase] != nil || !slices.Equal(s.stopped, []dsr.Purpose{dsr.AllUse}) {
			t.Errorf("asked for %v, stopped %v", s.asked[dsr.Erase], s.stopped)
		}
		if slices.ContainsFunc(s.events, func(e dsr.Event) bool { return e.Kind == dsr.EventOpDone && e.Detail["op"] == string(dsr.Suppress) }) {
			t.Error("what the system does not know is recorded as done")
		}
	})
	t.Run("each op its own", func(t *testing.T) {
		s := newShop()
		s.marks = map[dsr.Purpose][]string{dsr.Sale: {"profile", "orders"}}
		v := act([]string{"profile", "orders"}, dsr.Suppress, dsr.Erase, dsr.ReadBack)
		v.Purposes, v.Only = []dsr.Purpose{dsr.Sale, dsr.AllUse}, map[dsr.Op][]string{dsr.Suppress: {"profile"}, dsr.Erase: {"orders"}}
		_, v, _ = s.visit(t, v, nil)
		if !slices.Equal(s.asked[dsr.Erase], []string{"orders"}) || !slices.Equal(s.stopped, []dsr.Purpose{dsr.Sale}) {
			t.Errorf("asked for %v, stopped %v", s.asked[dsr.Erase], s.stopped)
		}
		outcomesAre(t, v, dsr.Outcome{Category: "profile", Kind: dsr.Suppressed, Count: 1}, erased("orders"), dsr.Outcome{Category: "orders", Kind: dsr.Suppressed, Count: 1})
	})
	t.Run("an export that writes more", func(t *testing.T) {
		s := newShop()
		s.writes = []string{"orders", "profile"}
		answer, _, out := s.visit(t, dsr.Visit{Phase: dsr.Gather, Ops: []dsr.Op{dsr.Locate, dsr.Export}, Categories: []string{"orders"}}, nil)
		if answer.Status != connector.Person || answer.Cause != connector.CauseInvalid || len(out.sealed) > 0 || len(out.open) > 0 {
			t.Errorf("%+v, sealed %v", answer, out.sealed)
		}
	})
}

func TestRunnerStopsPurposes(t *testing.T) {
	for _, c := range []struct {
		name     string
		purposes []dsr.Purpose
		marks    map[dsr.Purpose][]string
		held     map[string]int
		cause    string
		want     []dsr.Outcome
	}{
		{"marked everywhere", []dsr.Purpose{dsr.Marketing}, map[dsr.Purpose][]string{dsr.Marketing: {"profile", "orders"}}, nil, "",
			[]dsr.Outcome{{Category: "profile", Kind: dsr.Suppressed, Count: 1}, {Category: "orders", Kind: dsr.Suppressed, Count: 1}}},
		{"two purposes, told once", []dsr.Purpose{dsr.Marketing, dsr.Sale}, map[dsr.Purpose][]string{dsr.Marketing: {"profile", "orders"}, dsr.Sale: {"profile", "orders"}}, nil, "",
			[]dsr.Outcome{{Category: "profile", Kind: dsr.Suppressed, Count: 1}, {Category: "orders", Kind: dsr.Suppressed, Count: 1}}},
		{"a restriction and an opt-out", []dsr.Purpose{dsr.Marketing, dsr.Storage}, map[dsr.Purpose][]string{dsr.Marketing: {"orders"}, dsr.Storage: {"profile", "orders"}}, nil, "",
			[]dsr.Outcome{{Category: "profile", Kind: dsr.Restricted, Count: 1}, {Category: "orders", Kind: dsr.Suppressed, Count: 1}, {Category: "orders", Kind: dsr.Restricted, Count: 1}}},
		{"nothing held", []dsr.Purpose{dsr.Marketing}, map[dsr.Purpose][]string{dsr.Marketing: {"profile"}}, map[string]int{"profile": 1}, "",
			[]dsr.Outcome{{Category: "profile", Kind: dsr.Suppressed, Count: 1}, {Category: "orders", Kind: dsr.NotHeld}}},
		{"a category without a mark", []dsr.Purpose{dsr.Storage}, map[dsr.Purpose][]string{dsr.Storage: {"profile"}}, nil, connector.CauseNotMarked, nil},
		{"a purpose without one", []dsr.Purpose{dsr.Marketing, dsr.Sale}, map[dsr.Purpose][]string{dsr.Marketing: {"profile", "orders"}}, nil, connector.CauseNotMarked, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShop()
			s.marks = c.marks
			answer, v, _ := s.visit(t, dsr.Visit{Phase: dsr.Act, Ops: []dsr.Op{dsr.Suppress}, Categories: []string{"profile", "orders"}, Purposes: c.purposes}, func(e *connector.Errand) {
				if c.held != nil {
					e.Found.Counts = c.held
				}
			})
			if len(slices.Compact(slices.Sorted(slices.Values(s.keys)))) != len(c.purposes) {
				t.Errorf("the keys are %v: two purposes under one key are one call", s.keys)
			}
			if c.cause != "" {
				if answer.Status != connector.Person || answer.Cause != c.cause || v.Settled() {
					t.Errorf("%+v, %s", answer, v.Status)
				}
				return
			}
			outcomesAre(t, v, c.want...)
		})
	}
	t.Run("what is erased needs no mark", func(t *testing.T) {
		s := newShop()
		v := dsr.Visit{Phase: dsr.Act, Ops: []dsr.Op{dsr.Suppress, dsr.Erase, dsr.ReadBack}, Categories: []string{"profile", "orders"}, Purposes: []dsr.Purpose{dsr.Sale, dsr.AllUse}}
		_, v, _ = s.visit(t, v, nil)
		outcomesAre(t, v, dsr.Outcome{Category: "profile", Kind: dsr.Erased, Count: 1}, dsr.Outcome{Category: "orders", Kind: dsr.Erased, Count: 1})
	})
}

func TestRunnerLooksAtWhatItCorrected(t *testing.T) {
	act := dsr.Visit{Phase: dsr.Act, Ops: []dsr.Op{dsr.Rectify, dsr.ReadBack}, Categories: []string{"profile", "orders"}}
	s := newShop()
	_, v, _ := s.visit(t, act, nil)
	outcomesAre(t, v, dsr.Outcome{Category: "profile", Kind: dsr.Rectified, Count: 1}) // orders have no name: no word about them
	if !slices.Equal(s.changes, []dsr.Change{{Field: "name", New: "New"}}) || len(v.Steps[dsr.Rectify].Refs) != 2 {
		t.Errorf("looked for %v, evidence %v", s.changes, v.Steps[dsr.Rectify].Refs)
	}
	s = newShop()
	if answer, v, _ := s.visit(t, act, func(e *connector.Errand) { e.Changes = nil }); answer.Cause != connector.CauseInWords || v.Settled() || s.asked[dsr.Rectify] != nil {
		t.Errorf("nothing to correct ends as %+v", answer)
	}
	s = newShop()
	s.reads = 1
	tried := act
	tried.Steps = map[dsr.Op]dsr.Step{dsr.ReadBack: {Attempts: 9}}
	if answer, v, _ := s.visit(t, tried, nil); answer.Status != connector.Person || answer.Cause != connector.CauseNotChanged || v.Settled() {
		t.Errorf("a field that still reads as before ends as %+v", answer)
	}
}
