package stripe_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connectors/stripe"
	"github.com/writ-dsr/writ/shared/connectors/stripe/stripefake"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// journal, box and parts are the runner's surroundings, without a ledger.
type journal struct{ last dsr.Visit }

func (j *journal) SaveVisit(_ context.Context, v dsr.Visit) error { j.last = v; return nil }
func (j *journal) BeginErasing(_ context.Context, v dsr.Visit, _ []string, _ time.Time) error {
	j.last = v
	return nil
}
func (j *journal) Append(context.Context, dsr.Event) error { return nil }

type box struct{}

func (box) Seal(plain []byte, _ string) []byte           { return plain }
func (box) Open(sealed []byte, _ string) ([]byte, error) { return sealed, nil }

type parts struct{ rows }

func (*parts) Seal(context.Context) error { return nil }
func (*parts) Next() int                  { return 1 }
func (*parts) Abort()                     {}

// TestVisits: both visits of a request, as the runner makes them, end done: what
// the erasure says is kept is what the read-back sees.
func TestVisits(t *testing.T) {
	fake := stripefake.New()
	fake.Seed(dsrtest.Ada)
	fake.Seed(dsrtest.Ben)
	d, err := stripe.Descriptor()
	if err != nil {
		t.Fatal(err)
	}
	var categories []string
	for category := range d.Categories {
		categories = append(categories, category)
	}
	slices.Sort(categories)
	j := &journal{}
	r := connector.Runner{Connector: bind(t, fake, nil), Descriptor: d, Journal: j, Now: time.Now}
	visit := func(phase dsr.Phase, found connector.Footprint, ops ...dsr.Op) connector.Footprint {
		t.Helper()
		answer, err := r.Visit(t.Context(), connector.Errand{
			Visit:      dsr.Visit{RequestID: "waaaaaaaaaaaaaaaaaaaaaaaaa", System: "payments", Phase: phase, Ops: ops, Categories: categories},
			Identities: []dsr.Identity{dsrtest.Ada.Proved()}, Located: true, Found: found, Box: box{},
			Parts: func(int) connector.Parts { return &parts{} },
		})
		if err != nil || answer.Status != connector.Done || !j.last.Settled() {
			t.Fatalf("the %s visit ends %s %s (%v)", phase, answer.Status, answer.Cause, err)
		}
		return answer.Found
	}
	found := visit(dsr.Gather, connector.Footprint{}, dsr.Locate, dsr.Export)
	for _, o := range j.last.Outcomes {
		if o.Kind != dsr.Exported || o.Count == 0 {
			t.Errorf("gathering ends with %s %s %d", o.Category, o.Kind, o.Count)
		}
	}
	visit(dsr.Act, found, dsr.Erase, dsr.ReadBack)
	want := map[string]dsr.OutcomeKind{
		"payment_profile": dsr.Erased, "payment_method": dsr.Erased, "subscription": dsr.Kept, "invoice": dsr.Kept, "charge": dsr.Kept, "checkout_session": dsr.Kept,
	}
	if len(j.last.Outcomes) != len(want) {
		t.Errorf("acting ends with %v", j.last.Outcomes)
	}
	for _, o := range j.last.Outcomes {
		if want[o.Category] != o.Kind {
			t.Errorf("acting ends with %s %s, want %s", o.Category, o.Kind, want[o.Category])
		}
	}
}

// TestCorrectionVisit: a correction is seen in what Stripe holds, a field that
// Stripe has not is a person's, and so is a use that ends.
func TestCorrectionVisit(t *testing.T) {
	fake := stripefake.New()
	fake.Seed(dsrtest.Ada)
	fake.Seed(dsrtest.Ben)
	d, err := stripe.Descriptor()
	if err != nil {
		t.Fatal(err)
	}
	j := &journal{}
	c := bind(t, fake, nil)
	job := task(t, c, "k")
	r := connector.Runner{Connector: c, Descriptor: d, Journal: j, Now: time.Now}
	visit := func(v dsr.Visit, changes ...dsr.Change) connector.Answer {
		t.Helper()
		v.RequestID, v.System, v.Phase = "waaaaaaaaaaaaaaaaaaaaaaaaa", "payments", dsr.Act
		v.Categories = []string{"payment_profile", "charge"}
		answer, err := r.Visit(t.Context(), connector.Errand{
			Visit: v, Identities: job.Identities, Located: true, Found: job.Footprint, Box: box{}, Changes: changes,
			Whole: []string{"payment_profile", "payment_method", "subscription", "invoice", "charge", "checkout_session"},
		})
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	correct := dsr.Visit{Ops: []dsr.Op{dsr.Rectify, dsr.ReadBack}}
	answer := visit(correct, dsr.Change{Field: "email", New: "ada.new@learner.example"}, dsr.Change{Field: "address.city", New: "Newtown"})
	if answer.Status != connector.Done || len(j.last.Outcomes) != 1 || j.last.Outcomes[0] != (dsr.Outcome{Category: "payment_profile", Kind: dsr.Rectified, Count: 1}) {
		t.Errorf("%+v with %+v", answer, j.last.Outcomes)
	}
	if email := fake.Objects(stripefake.Customer)[0]["email"]; email != "ada.new@learner.example" {
		t.Errorf("Stripe holds %v", email)
	}
	if fake.Objects(stripefake.Customer)[1]["email"] != dsrtest.Ben.Email {
		t.Error("somebody else's customer was corrected")
	}
	n := len(writes(fake))
	if answer := visit(correct, dsr.Change{Field: "name", New: "Ada"}, dsr.Change{Field: "birth_date", New: "2000-01-01"}); answer.Status != connector.Person || answer.Cause != connector.CauseUnsupported || len(writes(fake)) != n {
		t.Errorf("a field that Stripe has not ends as %+v, %d writes more", answer, len(writes(fake))-n)
	}
	stop := dsr.Visit{Ops: []dsr.Op{dsr.Suppress}, Purposes: []dsr.Purpose{dsr.Storage}}
	if answer := visit(stop); answer.Status != connector.Person || answer.Cause != connector.CauseNotMarked || len(writes(fake)) != n {
		t.Errorf("a restriction ends as %+v", answer)
	}
	if d.Manual[d.Instruction(dsr.Suppress)] == "" {
		t.Error("nobody tells the person how to restrict")
	}
}

// TestReadBackFindsWhatCameLater: a customer made after the look is still hers.
func TestReadBackFindsWhatCameLater(t *testing.T) {
	fake := stripefake.New()
	fake.AddCustomer(dsrtest.Ada)
	c := bind(t, fake, nil)
	job := task(t, c, "k")
	fake.AddCustomer(dsrtest.Ada)
	r, err := c.Erase(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if seen, err := c.ReadBack(t.Context(), job, r); err != nil || seen.Remaining["payment_profile"] != 1 {
		t.Errorf("%v remain, want one payment_profile (%v)", seen.Remaining, err)
	}
}
