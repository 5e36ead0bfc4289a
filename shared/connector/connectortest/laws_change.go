package connectortest

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// onlyNamedCategories: a task that names categories exports, counts and erases
// those alone. A vendor that cannot erase one without another says Unsupported,
// and has changed nothing.
func onlyNamedCategories(t testing.TB, s Suite) {
	w := open(t, s, dsrtest.Ada)
	f := w.found(dsrtest.Ada)
	whole := map[string]int{}
	if s.Descriptor.Can(dsr.Export) {
		out, _, err := w.export(dsrtest.Ada, f)
		if err != nil {
			t.Fatalf("exporting a seeded person: %v", err)
		}
		whole = out.perCategory()
	}
	all := slices.Sorted(maps.Keys(perCategory(w.records(dsrtest.Ada))))
	for _, named := range append(all, "none_such") {
		if s.Descriptor.Can(dsr.Export) {
			w.exportsOnly(named, f, whole)
		}
		if s.Descriptor.Can(dsr.ReadBack) {
			task := w.task(dsr.ReadBack, dsrtest.Ada, f)
			task.Categories = []string{named}
			seen, err := w.conn.ReadBack(t.Context(), task, connector.Receipt{})
			if err != nil {
				t.Errorf("reading back %s alone: %v", named, err)
			}
			for _, counts := range []map[string]int{positive(seen.Remaining), positive(seen.Kept)} {
				delete(counts, named)
				if len(counts) > 0 {
					t.Errorf("reading back %s alone counts %v too", named, counts)
				}
			}
		}
	}
	for _, named := range append(all, "none_such") { // the kit has one store at a time
		if s.Descriptor.Can(dsr.Erase) {
			erasesOnly(t, s, named)
		}
	}
}

// exportsOnly compares the export of one category with what the whole has of it.
func (w *world) exportsOnly(named string, f connector.Footprint, whole map[string]int) {
	w.t.Helper()
	out, task := &sink{}, w.task(dsr.Export, dsrtest.Ada, f)
	task.Categories = []string{named}
	r, err := w.drive(task, w.exporting(out))
	if err != nil {
		w.t.Errorf("exporting %s alone: %v", named, err)
	}
	want := maps.Clone(whole)
	maps.DeleteFunc(want, func(category string, _ int) bool { return category != named })
	if got := out.perCategory(); !maps.Equal(got, want) {
		w.t.Errorf("exporting %s alone writes %v, the whole export has %v of it", named, got, want)
	}
	if got := counted(r, dsr.Exported); !maps.Equal(got, want) {
		w.t.Errorf("exporting %s alone: the receipt counts %v", named, got)
	}
}

// erasesOnly compares the erasure of one category with the records of the others.
func erasesOnly(t testing.TB, s Suite, named string) {
	t.Helper()
	w := open(t, s, dsrtest.Ada)
	task := w.task(dsr.Erase, dsrtest.Ada, w.found(dsrtest.Ada))
	task.Categories = []string{named}
	others := func() string {
		return asJSON(slices.DeleteFunc(slices.Clone(w.records(dsrtest.Person{})), func(r Record) bool { return r.Category == named }))
	}
	before, whole := others(), w.snapshot(dsrtest.Person{})
	r, err := w.drive(task, w.conn.Erase)
	switch {
	case errors.Is(err, connector.Unsupported):
		if w.snapshot(dsrtest.Person{}) != whole {
			t.Errorf("erasing %s alone is called unsupported, and the store changed", named)
		}
		return
	case err != nil:
		t.Errorf("erasing %s alone: %v", named, err)
		return
	}
	if others() != before {
		t.Errorf("erasing %s alone changed records of other categories", named)
	}
	for _, o := range r.Outcomes {
		if o.Category != named && o.Count > 0 {
			t.Errorf("erasing %s alone reports %d records of %s as %s", named, o.Count, o.Category, o.Kind)
		}
	}
	if w.snapshot(dsrtest.Person{}) == whole && len(counted(r, dsr.Erased, dsr.Anonymised)) > 0 {
		t.Errorf("erasing %s alone changed nothing, and the receipt says that it did", named)
	}
}

// correctionReadBack: the read-back of a correction looks at the fields
// themselves, and the receipt proves by keyed prints that something changed.
func correctionReadBack(t testing.TB, s Suite) {
	w := open(t, s, dsrtest.Ada)
	f := w.found(dsrtest.Ada)
	unchanged := func(w *world, f connector.Footprint) int {
		t.Helper()
		task := w.task(dsr.ReadBack, dsrtest.Ada, f)
		task.Changes = []dsr.Change{s.Rectify.Change}
		done := connector.Receipt{Outcomes: []dsr.Outcome{{Category: "any", Kind: dsr.Rectified, Count: 1}}}
		seen, err := w.conn.ReadBack(t.Context(), task, done)
		if err != nil {
			t.Fatalf("reading a correction back: %v", err)
		}
		n := 0
		for _, of := range seen.Unchanged {
			n += of
		}
		return n
	}
	if unchanged(w, f) == 0 {
		t.Error("nothing was corrected, and the read-back finds no record that reads otherwise")
	}
	r, err := w.do(dsr.Rectify, f)
	if err != nil {
		t.Fatalf("rectifying a seeded person: %v", err)
	}
	if len(counted(r, dsr.Rectified)) == 0 {
		t.Error("the receipt of a correction counts no record")
	}
	if n := unchanged(w, f); n > 0 {
		t.Errorf("after the correction the read-back says that %d records read otherwise", n)
	}
	before, after := prints(r)
	if before == "" || after == "" || before == after {
		t.Error("the receipt of a correction lacks the two prints of Task.Changed, or they are the same")
	}
	w = open(t, s, dsrtest.Ada)
	task := w.task(dsr.Rectify, dsrtest.Ada, w.found(dsrtest.Ada))
	task.Pepper = []byte("another pepper")
	if r, err = w.conn.Rectify(t.Context(), task, []dsr.Change{s.Rectify.Change}); err != nil {
		t.Fatalf("rectifying with another pepper: %v", err)
	}
	if b, a := prints(r); b == before || a == after {
		t.Error("the prints of a correction do not depend on the pepper: values can be tried out")
	}
	w = open(t, s, dsrtest.Ada)
	f = w.found(dsrtest.Ada)
	if !w.inject(IgnoreWrites) {
		return
	}
	if _, err := w.do(dsr.Rectify, f); err == nil && unchanged(w, f) == 0 {
		t.Error("the vendor ignored the correction, and the read-back sees it")
	}
}

func prints(r connector.Receipt) (before, after string) {
	for _, ref := range r.Refs {
		if p, ok := strings.CutPrefix(ref, connector.PrintBefore); ok {
			before = p
		}
		if p, ok := strings.CutPrefix(ref, connector.PrintAfter); ok {
			after = p
		}
	}
	return before, after
}
