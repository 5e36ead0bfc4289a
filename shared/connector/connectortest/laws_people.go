package connectortest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/export"
	"github.com/writ-dsr/writ/shared/connector/export/exporttest"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// capabilityTruth: what the descriptor offers by API works, and everything else
// answers Unsupported with an instruction or a reason.
func capabilityTruth(t testing.TB, s Suite) {
	for _, op := range dsr.Ops() {
		w := open(t, s, dsrtest.Ada)
		_, err := w.do(op, w.found(dsrtest.Ada))
		switch offered := s.Descriptor.Can(op); {
		case offered && errors.Is(err, connector.Unsupported):
			t.Errorf("%s: the descriptor says %q, the driver answers Unsupported", op, s.Descriptor.Ops[op])
		case offered && err != nil:
			t.Errorf("%s: the descriptor says %q, the driver answers: %v", op, s.Descriptor.Ops[op], err)
		case !offered && !errors.Is(err, connector.Unsupported):
			t.Errorf("%s: the descriptor says %q, the driver must answer Unsupported and answers %v", op, s.Descriptor.Ops[op], err)
		}
	}
}

// do runs one op of any kind for Ada to its end.
func (w *world) do(op dsr.Op, f connector.Footprint) (connector.Receipt, error) {
	w.t.Helper()
	task := w.task(op, dsrtest.Ada, f)
	return w.drive(task, w.op(op, &sink{}))
}

// op is the driver's method for op, with what the suite tries on it.
func (w *world) op(op dsr.Op, to *sink) call {
	switch op {
	case dsr.Locate:
		return func(ctx context.Context, t connector.Task) (connector.Receipt, error) {
			_, err := w.conn.Locate(ctx, t)
			return connector.Receipt{}, err
		}
	case dsr.Export:
		return w.exporting(to)
	case dsr.Erase:
		return w.conn.Erase
	case dsr.Rectify:
		return func(ctx context.Context, t connector.Task) (connector.Receipt, error) {
			var changes []dsr.Change
			if w.s.Rectify != nil {
				changes = append(changes, w.s.Rectify.Change)
			}
			return w.conn.Rectify(ctx, t, changes)
		}
	case dsr.Suppress:
		return func(ctx context.Context, t connector.Task) (connector.Receipt, error) {
			purpose := dsr.AllUse
			if w.s.Suppress != nil {
				purpose = w.s.Suppress.Purpose
			}
			return w.conn.Suppress(ctx, t, purpose)
		}
	}
	return func(ctx context.Context, t connector.Task) (connector.Receipt, error) {
		seen, err := w.conn.ReadBack(ctx, t, connector.Receipt{})
		return connector.Receipt{Refs: seen.Refs}, err
	}
}

// origin: what a person merely claims locates nothing.
func origin(t testing.TB, s Suite) {
	w := open(t, s, dsrtest.Ada)
	task := w.task(dsr.Locate, dsrtest.Ada, connector.Footprint{})
	claimed := slices.Clone(task.Identities)
	for i := range claimed {
		claimed[i].Origin = dsr.SelfAsserted
	}
	task.Identities = claimed
	if f, err := w.conn.Locate(t.Context(), task); err == nil && !f.Empty() {
		t.Errorf("locating by a self-asserted identity found %d records and %d candidates; it must find nothing", len(f.Records), f.Candidates)
	}
}

// unknownSubject: somebody the vendor does not know gets empty answers, and
// nothing changes.
func unknownSubject(t testing.TB, s Suite) {
	w := open(t, s, dsrtest.Ben)
	before := w.snapshot(dsrtest.Person{})
	f := w.found(dsrtest.Ada)
	if !f.Empty() || len(f.Counts) > 0 || len(f.Yields) > 0 {
		t.Errorf("locating an unknown person: the footprint has %d records, %d counts, %d yields, %d candidates", len(f.Records), len(f.Counts), len(f.Yields), f.Candidates)
	}
	if s.Descriptor.Can(dsr.Export) {
		out, _, err := w.export(dsrtest.Ada, f)
		if err != nil {
			t.Errorf("exporting an unknown person: %v", err)
		}
		if n := len(out.entries); n > 0 {
			t.Errorf("exporting an unknown person: %d rows", n)
		}
	}
	if s.Descriptor.Can(dsr.Erase) {
		r, err := w.erase(dsrtest.Ada, f)
		if err != nil {
			t.Errorf("erasing an unknown person: %v", err)
		}
		if n := counted(r, dsr.Erased, dsr.Anonymised, dsr.Kept); len(n) > 0 {
			t.Errorf("erasing an unknown person: the receipt counts %v", n)
		}
	}
	if w.snapshot(dsrtest.Person{}) != before {
		t.Error("the store changed by a request of an unknown person")
	}
}

// othersUntouched: of two people, nothing of the other is exported, counted or
// changed.
func othersUntouched(t testing.TB, s Suite) { untouched(t, s, dsrtest.Ben) }

// lookAlikes: nobody is taken for somebody with a similar address.
func lookAlikes(t testing.TB, s Suite) {
	for _, p := range dsrtest.LookAlikes() {
		if p != dsrtest.Ben {
			untouched(t, s, p)
		}
	}
}

// untouched runs Ada's request beside another person's records.
func untouched(t testing.TB, s Suite, other dsrtest.Person) {
	t.Helper()
	w := open(t, s, dsrtest.Ada, other)
	before := w.snapshot(other)
	f := w.found(dsrtest.Ada)
	hers := perCategory(w.records(dsrtest.Ada))
	for category, n := range f.Counts {
		if n > hers[category] {
			t.Errorf("locating counts %d records of %s, the person has %d", n, category, hers[category])
		}
	}
	if s.Descriptor.Can(dsr.Export) {
		out, _, err := w.export(dsrtest.Ada, f)
		if err != nil {
			t.Errorf("exporting beside another person: %v", err)
		}
		if v := find(out.text(), valuesOf(other)); v != "" {
			t.Errorf("the export holds a value of another person (%s)", who(v))
		}
	}
	if s.Descriptor.Can(dsr.Erase) {
		if _, err := w.erase(dsrtest.Ada, f); err != nil {
			t.Errorf("erasing beside another person: %v", err)
		}
	}
	if w.snapshot(other) != before {
		t.Error("the records of another person changed")
	}
}

// who names a value of the cast by its owner's name, which only tests see.
func who(value string) string {
	for _, p := range everybody() {
		if slices.Contains(valuesOf(p), value) {
			return p.Name
		}
	}
	return "unknown"
}

// caseOnly: an address that differs in case alone is a person's candidate:
// never a match, never "not held".
func caseOnly(t testing.TB, s Suite) {
	w := open(t, s, dsrtest.AdaUpper)
	f := w.found(dsrtest.Ada)
	if len(f.Records) > 0 {
		t.Errorf("locating matches %d records whose address differs in case", len(f.Records))
	}
	if f.Candidates == 0 {
		t.Error("locating has no candidate for an address that differs in case alone")
	}
	before := w.snapshot(dsrtest.AdaUpper)
	if s.Descriptor.Can(dsr.Export) {
		if out, _, _ := w.export(dsrtest.Ada, f); len(out.entries) > 0 {
			t.Errorf("exporting a candidate: %d rows", len(out.entries))
		}
	}
	if s.Descriptor.Can(dsr.Erase) {
		w.erase(dsrtest.Ada, f)
	}
	if w.snapshot(dsrtest.AdaUpper) != before {
		t.Error("erasing changed a candidate")
	}
}

// strangerAddress: an address that somebody wrote into a profile proves
// nothing, neither about its owner nor about the profile.
func strangerAddress(t testing.TB, s Suite) {
	w := open(t, s, dsrtest.Ada, dsrtest.Ben)
	if err := w.store.Annotate(dsrtest.Ada, "email", dsrtest.Ben.Email); err != nil {
		t.Fatalf("writing a stranger's address into a profile: %v", err)
	}
	f := w.found(dsrtest.Ada)
	for _, y := range f.Yields {
		if dsr.CompareAddress(y.Value, dsrtest.Ben.Email) != dsr.Different && y.Origin != dsr.SelfAsserted {
			t.Errorf("locating yields a stranger's address as %s", y.Origin)
		}
	}
	strangers, hers := w.snapshot(dsrtest.Ben), w.snapshot(dsrtest.Ada)
	theirs := w.found(dsrtest.Ben)
	if s.Descriptor.Can(dsr.Export) {
		if out, _, _ := w.export(dsrtest.Ben, theirs); find(out.text(), []string{dsrtest.Ada.Name, dsrtest.Ada.Phone, dsrtest.Ada.City}) != "" {
			t.Error("the address in a profile exported the profile to the stranger")
		}
		if out, _, _ := w.export(dsrtest.Ada, f); find(out.text(), []string{dsrtest.Ben.Name, dsrtest.Ben.Phone, dsrtest.Ben.City}) != "" {
			t.Error("the address in a profile exported the stranger's records")
		}
	}
	if !s.Descriptor.Can(dsr.Erase) {
		return
	}
	if _, err := w.erase(dsrtest.Ben, theirs); err != nil {
		t.Errorf("erasing the stranger: %v", err)
	}
	if w.snapshot(dsrtest.Ada) != hers {
		t.Error("the stranger's request changed the profile that names their address")
	}
	w = open(t, s, dsrtest.Ada, dsrtest.Ben)
	if err := w.store.Annotate(dsrtest.Ada, "email", dsrtest.Ben.Email); err != nil {
		t.Fatalf("writing a stranger's address into a profile: %v", err)
	}
	if _, err := w.erase(dsrtest.Ada, w.found(dsrtest.Ada)); err != nil {
		t.Errorf("erasing a profile that names a stranger's address: %v", err)
	}
	if w.snapshot(dsrtest.Ben) != strangers {
		t.Error("erasing a profile changed the records of the stranger it names")
	}
}

// forbiddenKinds: card numbers, card codes, passwords and government ids never
// leave. The writer of exports withholds them for every driver; the law is that
// a driver gives it rows it can look into.
func forbiddenKinds(t testing.TB, s Suite) {
	w := open(t, s, dsrtest.Ada)
	for _, field := range slices.Sorted(maps.Keys(Forbidden())) {
		if err := w.store.Annotate(dsrtest.Ada, field, Forbidden()[field]); err != nil {
			t.Fatalf("writing %s into a record: %v", field, err)
		}
	}
	var stored exporttest.Memory
	out := export.NewWriter(&stored, "conformance", 0)
	task := w.task(dsr.Export, dsrtest.Ada, w.found(dsrtest.Ada))
	_, err := w.drive(task, func(ctx context.Context, t connector.Task) (connector.Receipt, error) {
		return w.conn.Export(ctx, t, out)
	})
	if err != nil {
		t.Fatalf("exporting: %v", err)
	}
	if err := out.Seal(t.Context()); err != nil {
		t.Fatalf("sealing the export: %v", err)
	}
	for _, key := range stored.Keys() {
		for _, field := range slices.Sorted(maps.Keys(Forbidden())) {
			if find(stored.Get(key), []string{Forbidden()[field]}) != "" {
				t.Errorf("the export holds the value of %s", field)
			}
		}
	}
}

// Forbidden are synthetic values that no export may hold: field → value. The
// card number lies in a free text, where only its check digit tells it.
func Forbidden() map[string]string {
	return map[string]string{
		"note":            "4242 4242 4242 4242",
		"cvv":             "9417",
		"password":        "correct-horse-zq7",
		"ssn":             "078-05-1120",
		"passport_number": "X1234567Z",
	}
}
