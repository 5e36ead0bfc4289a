package connectortest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// exportComplete: everything shown is located and exported once, over all
// pages, in the same bytes each time, and the receipt counts it.
func exportComplete(t testing.TB, s Suite) {
	w := open(t, s, dsrtest.Ada)
	f := w.found(dsrtest.Ada)
	out, r, err := w.export(dsrtest.Ada, f)
	if err != nil {
		t.Fatalf("exporting a seeded person: %v", err)
	}
	if want, got := perCategory(shown(w.records(dsrtest.Ada))), out.perCategory(); !maps.Equal(want, got) {
		t.Errorf("the export has %v, the store shows %v", got, want)
	}
	for category, n := range perCategory(shown(w.records(dsrtest.Ada))) {
		if s.Descriptor.Can(dsr.Locate) && f.Counts[category] < n {
			t.Errorf("locating counts %d records of %s, the store shows %d", f.Counts[category], category, n)
		}
	}
	if got, want := counted(r, dsr.Exported), out.perCategory(); !maps.Equal(got, want) {
		t.Errorf("the receipt counts %v, the export has %v", got, want)
	}
	seen := map[string]bool{}
	for _, e := range out.entries {
		if seen[e.String()] {
			t.Errorf("the export holds one record of %s twice", e.category)
		}
		seen[e.String()] = true
	}
	again, _, err := w.export(dsrtest.Ada, f)
	if err != nil {
		t.Fatalf("exporting a second time: %v", err)
	}
	if !bytes.Equal(out.bytes(), again.bytes()) {
		t.Error("two exports of the same data differ")
	}
	w.outcomesValid(r)
}

// outcomesValid checks the form of a receipt's outcomes.
func (w *world) outcomesValid(r connector.Receipt) {
	w.t.Helper()
	for _, o := range r.Outcomes {
		if err := o.Validate(); err != nil {
			w.t.Errorf("the receipt: %v", err)
		}
		if _, known := w.s.Descriptor.Categories[o.Category]; !known && len(w.s.Descriptor.Categories) > 0 {
			w.t.Errorf("the receipt names the category %q, which the descriptor lacks", o.Category)
		}
	}
}

// cutAndResumed: an op that is cut at any Save, or at every Save, ends as the
// uncut one does, and so does an export that dies at any row.
func cutAndResumed(t testing.TB, s Suite) {
	w := open(t, s, dsrtest.Ada)
	f := w.found(dsrtest.Ada)
	whole, uncut := &sink{}, &progress{}
	task := w.task(dsr.Export, dsrtest.Ada, f)
	task.Progress = uncut
	want, err := w.conn.Export(t.Context(), task, whole)
	if err != nil {
		t.Fatalf("exporting uncut: %v", err)
	}
	if uncut.saves < 2 {
		t.Fatalf("exporting saves its progress %d times; the seed must fill three pages, and the driver save after each", uncut.saves)
	}
	cut := func(name string, p *progress, crashAt int) {
		p.sink = &sink{crashAt: crashAt}
		task.Progress, task.Cursor = p, ""
		got, err := w.driveCrash(task, p)
		if err != nil {
			t.Errorf("exporting, %s: %v", name, err)
			return
		}
		if !bytes.Equal(p.sink.bytes(), whole.bytes()) {
			t.Errorf("exporting, %s: the parts together differ from the uncut export", name)
		}
		if !maps.Equal(counted(got, dsr.Exported), counted(want, dsr.Exported)) {
			t.Errorf("exporting, %s: the last receipt counts %v, uncut it counts %v", name, counted(got, dsr.Exported), counted(want, dsr.Exported))
		}
	}
	for n := 1; n <= uncut.saves; n++ {
		cut("cut at one save", &progress{pauseAt: n}, 0)
	}
	cut("cut at every save", &progress{always: true}, 0)
	for n := 1; n <= len(whole.entries); n++ {
		cut("dying at one row", &progress{}, n)
	}
	cutLooks(w, f)
	if s.Descriptor.Can(dsr.Erase) {
		cutErasure(t, s)
	}
}

// cutLooks cuts what only looks: Locate and ReadBack.
func cutLooks(w *world, f connector.Footprint) {
	w.t.Helper()
	var saw any
	looks := map[dsr.Op]call{
		dsr.Locate: func(ctx context.Context, t connector.Task) (connector.Receipt, error) {
			t.Footprint = connector.Footprint{}
			found, err := w.conn.Locate(ctx, t)
			saw = found
			return connector.Receipt{}, err
		},
		dsr.ReadBack: func(ctx context.Context, t connector.Task) (connector.Receipt, error) {
			seen, err := w.conn.ReadBack(ctx, t, connector.Receipt{})
			seen.Refs = nil // the vendor numbers each call
			saw = seen
			return connector.Receipt{}, err
		},
	}
	for op, look := range looks {
		if !w.s.Descriptor.Can(op) {
			continue
		}
		run := func(p *progress) string {
			task := w.task(op, dsrtest.Ada, f)
			task.Progress = p
			if _, err := w.drive(task, look); err != nil {
				w.t.Errorf("%s, cut at save %d: %v", op, p.pauseAt, err)
			}
			return asJSON(saw)
		}
		uncut := &progress{}
		want := run(uncut)
		cuts := []*progress{{always: true}}
		for n := 1; n <= uncut.saves; n++ {
			cuts = append(cuts, &progress{pauseAt: n})
		}
		for _, p := range cuts {
			if got := run(p); got != want {
				w.t.Errorf("%s, cut at save %d: %d bytes of result, uncut %d", op, p.pauseAt, len(got), len(want))
			}
		}
	}
}

// driveCrash runs an export whose sink dies once, as a killed worker does: the
// next one starts from the last checkpoint.
func (w *world) driveCrash(task connector.Task, p *progress) (connector.Receipt, error) {
	r, err := w.drive(task, w.exporting(p.sink))
	if p.sink.crashAt == 0 {
		return r, err
	}
	if !errors.Is(err, errCrash) {
		return r, errors.New("the sink refused a row, and the driver did not return its error")
	}
	p.sink.crash()
	task.Cursor = p.cursor
	return w.drive(task, w.exporting(p.sink))
}

// cutErasure cuts an erasure at each Save it makes.
func cutErasure(t testing.TB, s Suite) {
	t.Helper()
	erase := func(p *progress) (connector.Receipt, string, int) {
		w := open(t, s, dsrtest.Ada)
		task := w.task(dsr.Erase, dsrtest.Ada, w.found(dsrtest.Ada))
		task.Progress = p
		r, err := w.drive(task, w.conn.Erase)
		if err != nil {
			t.Errorf("erasing, cut at %d of its saves: %v", p.pauseAt, err)
		}
		return r, w.snapshot(dsrtest.Ada), p.saves
	}
	same := func(r, want connector.Receipt) bool {
		for _, kind := range []dsr.OutcomeKind{dsr.Erased, dsr.Anonymised, dsr.Kept} {
			if !maps.Equal(counted(r, kind), counted(want, kind)) {
				return false
			}
		}
		return true
	}
	want, left, saves := erase(&progress{})
	cuts := []*progress{{always: true}}
	for n := 1; n <= saves; n++ {
		cuts = append(cuts, &progress{pauseAt: n})
	}
	for _, p := range cuts {
		r, after, _ := erase(p)
		if len(after) != len(left) {
			t.Errorf("erasing, cut at save %d: %d bytes of records are left, uncut %d", p.pauseAt, len(after), len(left))
		}
		if !same(r, want) {
			t.Errorf("erasing, cut at save %d: the last receipt says %v, uncut %v", p.pauseAt, r.Outcomes, want.Outcomes)
		}
	}
}

// eraseThenLocate: after an erasure nothing of the person is shown but what a
// rule keeps, and receipt, second look and read-back count alike.
func eraseThenLocate(t testing.TB, s Suite) {
	w := open(t, s, dsrtest.Ada)
	before := perCategory(shown(w.records(dsrtest.Ada)))
	f := w.found(dsrtest.Ada)
	r, err := w.erase(dsrtest.Ada, f)
	if err != nil {
		t.Fatalf("erasing a seeded person: %v", err)
	}
	w.outcomesValid(r)
	left := perCategory(shown(w.records(dsrtest.Ada)))
	kept := counted(r, dsr.Kept)
	if !maps.Equal(left, kept) {
		t.Errorf("the store still shows %v, the receipt says kept %v", left, kept)
	}
	for _, o := range r.Outcomes {
		if o.Kind == dsr.Kept && !s.keeps(o.Rule, o.Category) {
			t.Errorf("the receipt keeps %s by the rule %q, which nothing declares", o.Category, o.Rule)
		}
	}
	gone := counted(r, dsr.Erased, dsr.Anonymised)
	for _, category := range slices.Sorted(maps.Keys(before)) {
		if n := before[category] - left[category]; gone[category] < n {
			t.Errorf("%d records of %s went, the receipt counts %d", n, category, gone[category])
		}
	}
	if !s.Descriptor.Can(dsr.Locate) {
		return
	}
	again, err := w.locate(dsrtest.Ada)
	if err != nil {
		t.Fatalf("locating after the erasure: %v", err)
	}
	for category, n := range again.Counts {
		if n > kept[category] {
			t.Errorf("locating after the erasure counts %d of %s, kept are %d", n, category, kept[category])
		}
	}
	if len(kept) == 0 && !again.Empty() {
		t.Errorf("locating after the erasure finds %d records", len(again.Records))
	}
	if !s.Descriptor.Can(dsr.ReadBack) {
		return
	}
	seen, err := w.conn.ReadBack(t.Context(), w.task(dsr.ReadBack, dsrtest.Ada, f), r)
	if err != nil {
		t.Fatalf("reading back after the erasure: %v", err)
	}
	if !seen.Gone() {
		t.Errorf("reading back after the erasure: %v remain", seen.Remaining)
	}
	if !maps.Equal(positive(seen.Kept), kept) {
		t.Errorf("reading back counts as kept %v, the receipt %v", seen.Kept, kept)
	}
}

func positive(n map[string]int) map[string]int {
	n = maps.Clone(n)
	maps.DeleteFunc(n, func(_ string, v int) bool { return v == 0 })
	if n == nil {
		n = map[string]int{}
	}
	return n
}

// softDelete: what is only hidden is not erased: neither what was hidden
// before, nor what the vendor hides instead of erasing.
func softDelete(t testing.TB, s Suite) {
	w := open(t, s, dsrtest.Ada)
	r := w.erased(dsrtest.Ada)
	kept := counted(r, dsr.Kept)
	held := map[string]int{}
	for _, rec := range w.records(dsrtest.Ada) {
		if rec.Hidden {
			held[rec.Category]++
		}
	}
	for _, category := range slices.Sorted(maps.Keys(held)) {
		if held[category] > kept[category] {
			t.Errorf("%d records of %s are only hidden after the erasure, kept are %d", held[category], category, kept[category])
		}
	}
	w = open(t, s, dsrtest.Ada)
	if !w.inject(SoftDelete) {
		return
	}
	f := w.found(dsrtest.Ada)
	r, err := w.erase(dsrtest.Ada, f)
	if err != nil || !s.Descriptor.Can(dsr.ReadBack) {
		return
	}
	seen, err := w.conn.ReadBack(t.Context(), w.task(dsr.ReadBack, dsrtest.Ada, f), r)
	if err == nil && seen.Gone() {
		t.Error("the vendor only hid the records, and the read-back says they are gone")
	}
}

// sameKeyOnce: an op called twice with one key has its effect once.
func sameKeyOnce(t testing.TB, s Suite) {
	for _, op := range []dsr.Op{dsr.Erase, dsr.Rectify, dsr.Suppress} {
		if !s.Descriptor.Can(op) {
			continue
		}
		w := open(t, s, dsrtest.Ada, dsrtest.Ben)
		f := w.found(dsrtest.Ada)
		if _, err := w.do(op, f); err != nil {
			t.Errorf("%s, first call: %v", op, err)
			continue
		}
		once := w.snapshot(dsrtest.Person{})
		if _, err := w.do(op, f); err != nil {
			t.Errorf("%s, second call with the same key: %v", op, err)
		}
		if w.snapshot(dsrtest.Person{}) != once {
			t.Errorf("%s: the second call with the same key changed the store", op)
		}
	}
}

// rectifyNamedFields: a correction sets what it names and nothing else.
func rectifyNamedFields(t testing.TB, s Suite) {
	w := open(t, s, dsrtest.Ada)
	before := w.records(dsrtest.Ada)
	if _, err := w.do(dsr.Rectify, w.found(dsrtest.Ada)); err != nil {
		t.Fatalf("rectifying a seeded person: %v", err)
	}
	after := w.records(dsrtest.Ada)
	if len(after) != len(before) {
		t.Fatalf("the person had %d records, after the correction %d", len(before), len(after))
	}
	set := false
	for i, b := range before {
		for _, field := range slices.Sorted(maps.Keys(merged(b.Fields, after[i].Fields))) {
			switch changed := b.Fields[field] != after[i].Fields[field]; {
			case changed && !slices.Contains(s.Rectify.Touches, field):
				t.Errorf("the correction changed the field %q of a %s record, which it does not name", field, b.Category)
			case after[i].Fields[field] == s.Rectify.Change.New:
				set = true
			}
		}
	}
	if !set {
		t.Errorf("no record has the corrected value in a field it touches (%v)", s.Rectify.Touches)
	}
}

func merged(a, b map[string]string) map[string]string {
	m := maps.Clone(a)
	if m == nil {
		m = map[string]string{}
	}
	maps.Copy(m, b)
	return m
}

// suppressionSurvives: what stops the use of data outlives the data.
func suppressionSurvives(t testing.TB, s Suite) {
	w := open(t, s, dsrtest.Ada)
	f := w.found(dsrtest.Ada)
	if _, err := w.do(dsr.Suppress, f); err != nil {
		t.Fatalf("suppressing a seeded person: %v", err)
	}
	holds := func(when string) {
		t.Helper()
		switch ok, err := s.Suppress.Holds(w.store, dsrtest.Ada); {
		case err != nil:
			t.Fatalf("looking for the suppression %s: %v", when, err)
		case !ok:
			t.Errorf("the suppression does not hold %s", when)
		}
	}
	holds("after it was set")
	if s.Descriptor.Can(dsr.Erase) {
		if _, err := w.erase(dsrtest.Ada, f); err != nil {
			t.Fatalf("erasing after the suppression: %v", err)
		}
		holds("after the erasure")
	}
}

// readBackHonest: the read-back looks for itself: it believes neither a receipt
// nor a vendor that answered success and did nothing.
func readBackHonest(t testing.TB, s Suite) {
	w := open(t, s, dsrtest.Ada)
	f := w.found(dsrtest.Ada)
	lie := connector.Receipt{}
	for category, n := range perCategory(w.records(dsrtest.Ada)) {
		lie.Outcomes = append(lie.Outcomes, dsr.Outcome{Category: category, Kind: dsr.Erased, Count: n})
	}
	for name, r := range map[string]connector.Receipt{"a receipt that lies": lie, "no receipt": {}} {
		seen, err := w.conn.ReadBack(t.Context(), w.task(dsr.ReadBack, dsrtest.Ada, f), r)
		if err == nil && seen.Gone() {
			t.Errorf("reading back with %s: nothing was erased, and it says all is gone", name)
		}
	}
	if !s.Descriptor.Can(dsr.Erase) {
		return
	}
	w = open(t, s, dsrtest.Ada)
	f = w.found(dsrtest.Ada)
	if !w.inject(IgnoreWrites) {
		return
	}
	r, err := w.erase(dsrtest.Ada, f)
	if err != nil {
		return // the driver saw it by itself
	}
	seen, err := w.conn.ReadBack(t.Context(), w.task(dsr.ReadBack, dsrtest.Ada, f), r)
	if err == nil && seen.Gone() {
		t.Error("the vendor ignored the erasure, and the read-back says all is gone")
	}
}
