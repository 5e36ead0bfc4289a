package stripe_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connectors/stripe"
	"github.com/writ-dsr/writ/shared/connectors/stripe/stripefake"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// bind returns the driver on a vendor, over a real connection.
func bind(t *testing.T, vendor http.Handler, settings map[string]string) connector.Connector {
	t.Helper()
	return bindAt(t, vendor, settings, func() time.Time { return time.Unix(1795338000, 0) })
}

func bindAt(t *testing.T, vendor http.Handler, settings map[string]string, now func() time.Time) connector.Connector {
	t.Helper()
	server := httptest.NewServer(vendor)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	c, err := stripe.New(connector.Config{
		System: "payments", BaseURL: server.URL, Emulator: true, Settings: settings, Transport: server.Client().Transport,
		Secrets: map[string]string{"api_key": stripefake.Key}, Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// task is one op for Ada, with what Locate finds as its footprint.
func task(t *testing.T, c connector.Connector, key string) connector.Task {
	t.Helper()
	job := connector.Task{Key: key, Identities: []dsr.Identity{dsrtest.Ada.Proved()}}
	f, err := c.Locate(t.Context(), job)
	if err != nil {
		t.Fatalf("locating: %v", err)
	}
	job.Footprint = f
	return job
}

// rows collects an export.
type rows struct {
	all  map[string][]map[string]any
	text strings.Builder
}

func (r *rows) Row(_ context.Context, category, _ string, row json.RawMessage) error {
	var o map[string]any
	if err := json.Unmarshal(row, &o); err != nil {
		return err
	}
	if r.all == nil {
		r.all = map[string][]map[string]any{}
	}
	r.all[category] = append(r.all[category], o)
	r.text.Write(row)
	r.text.WriteByte('\n')
	return nil
}

func (r *rows) File(context.Context, string, string, string, io.Reader) error {
	return errors.New("Stripe has no files")
}

func outcome(r connector.Receipt, category string, kind dsr.OutcomeKind, reason string) int {
	for _, o := range r.Outcomes {
		if o.Category == category && o.Kind == kind && o.Reason == reason {
			return o.Count
		}
	}
	return 0
}

func holds(text string, p dsrtest.Person) bool {
	return slices.ContainsFunc([]string{p.Name, p.Email, p.Phone, p.City}, func(v string) bool { return strings.Contains(text, v) })
}

// otherDomain is Ada's own address with the domain in capitals, which the list's
// case-sensitive filter does not find and which is the same mailbox.
const otherDomain = "ada.zq7canary@LEARNER.example"

func TestSeveralCustomersOfOneAddress(t *testing.T) {
	fake := stripefake.New()
	first := fake.Seed(dsrtest.Ada)
	second := fake.Seed(dsrtest.Ada)
	third := fake.AddCustomer(dsrtest.Person{Name: dsrtest.Ada.Name, Email: otherDomain})
	fake.Add(stripefake.CheckoutSession, stripefake.Object{"customer": first, "payment_intent": "pi_1", "customer_details": stripefake.Object{"email": dsrtest.Ada.Email}})
	fake.Add(stripefake.Charge, stripefake.Object{"customer": first, "payment_intent": "pi_1"})
	gone := fake.AddCustomer(dsrtest.Ada)
	fake.Edit(stripefake.Customer, gone, stripefake.Object{"deleted": true, "email": nil})
	upper := fake.AddCustomer(dsrtest.AdaUpper)
	for _, p := range dsrtest.LookAlikes() {
		fake.Seed(p)
	}
	c := bind(t, fake, nil)
	job := task(t, c, "k")
	if got := job.Footprint.IDs("customer"); !slices.Equal(got, []string{first, second, third}) {
		t.Errorf("the customers are %v, want %v", got, []string{first, second, third})
	}
	want := map[string]int{"payment_profile": 3, "payment_method": 2, "subscription": 2, "invoice": 2, "charge": 2*stripefake.Charges + 3, "checkout_session": 5}
	if !maps.Equal(job.Footprint.Counts, want) || job.Footprint.Candidates != 1 {
		t.Errorf("counted %v and %d candidates, want %v and 1", job.Footprint.Counts, job.Footprint.Candidates, want)
	}
	out := &rows{}
	receipt, err := c.Export(t.Context(), job, out)
	if err != nil {
		t.Fatal(err)
	}
	for category, n := range want {
		if len(out.all[category]) != n || outcome(receipt, category, dsr.Exported, "") != n {
			t.Errorf("exported %d of %s, the receipt says %d, want %d", len(out.all[category]), category, outcome(receipt, category, dsr.Exported, ""), n)
		}
	}
	if _, err := c.Erase(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	for _, o := range fake.Objects(stripefake.Customer) {
		hers := slices.Contains([]string{first, second, third, gone}, o.ID())
		if (o["deleted"] == true) != hers {
			t.Errorf("customer %s: deleted is %v, hers is %v", o.ID(), o["deleted"], hers)
		}
	}
	seen, err := c.ReadBack(t.Context(), job, connector.Receipt{})
	if err != nil || !seen.Gone() {
		t.Errorf("reading back: %v remain (%v)", seen.Remaining, err)
	}
	again := task(t, c, "k")
	// A new search no longer reaches a deleted customer's lists, but what was
	// bought under the address.
	left := map[string]int{"charge": 3, "checkout_session": 5}
	if len(again.Footprint.IDs("customer")) > 0 || again.Footprint.Candidates != 1 || !maps.Equal(again.Footprint.Counts, left) {
		t.Errorf("afterwards there are %v, %v and %d candidates; the one candidate is %s", again.Footprint.IDs("customer"), again.Footprint.Counts, again.Footprint.Candidates, upper)
	}
	delete(want, "payment_profile")
	delete(want, "payment_method")
	if !maps.Equal(seen.Kept, want) {
		t.Errorf("reading back counts as kept %v, want %v", seen.Kept, want)
	}
}

func TestDeletedCustomerIsNotHeld(t *testing.T) {
	fake := stripefake.New()
	id := fake.AddCustomer(dsrtest.Ada)
	fake.Edit(stripefake.Customer, id, stripefake.Object{"deleted": true})
	c := bind(t, fake, nil)
	job := connector.Task{Key: "k", Identities: []dsr.Identity{dsrtest.Ada.Proved(), {Kind: "stripe_customer", Value: id, Origin: dsr.SystemOfRecord}}}
	if f, err := c.Locate(t.Context(), job); err != nil || !f.Empty() {
		t.Errorf("a deleted customer is located: %d records, %d candidates (%v)", len(f.Records), f.Candidates, err)
	}
}

func TestCustomerOfTheSystemOfRecord(t *testing.T) {
	fake := stripefake.New()
	id := fake.AddCustomer(dsrtest.Person{Name: dsrtest.Ada.Name, Email: "old.zq7canary@learner.example"})
	c := bind(t, fake, nil)
	job := connector.Task{Key: "k", Identities: []dsr.Identity{dsrtest.Ada.Proved(), {Kind: "stripe_customer", Value: id, Origin: dsr.SystemOfRecord}, {Kind: "stripe_customer", Value: "cus_unknown", Origin: dsr.SystemOfRecord}}}
	f, err := c.Locate(t.Context(), job)
	if err != nil || !slices.Equal(f.IDs("customer"), []string{id}) || f.Candidates != 0 {
		t.Fatalf("located %d records, %d candidates (%v)", len(f.Records), f.Candidates, err)
	}
	job.Footprint = f
	out := &rows{}
	if _, err := c.Export(t.Context(), job, out); err != nil {
		t.Fatal(err)
	}
	if got := out.all["payment_profile"][0]["email"]; got != "old.zq7canary@learner.example" {
		t.Errorf("the address of her own record is exported as %v", got)
	}
}

func TestSessionOnAStrangersAccountIsACandidate(t *testing.T) {
	fake := stripefake.New()
	ben := fake.AddCustomer(dsrtest.Ben)
	fake.Add(stripefake.CheckoutSession, stripefake.Object{"customer": ben, "customer_details": stripefake.Object{"email": dsrtest.Ada.Email}})
	c := bind(t, fake, nil)
	job := task(t, c, "k")
	if len(job.Footprint.Records) > 0 || job.Footprint.Candidates != 1 {
		t.Errorf("%d records and %d candidates, want 0 and 1", len(job.Footprint.Records), job.Footprint.Candidates)
	}
	own := fake.AddGuest(dsrtest.Ada)
	beside, out := task(t, c, "k"), &rows{}
	if _, err := c.Export(t.Context(), beside, out); err != nil || len(out.all["checkout_session"]) != 1 || out.all["checkout_session"][0]["id"] != own || beside.Footprint.Counts["checkout_session"] != 1 {
		t.Errorf("beside a checkout of her own, %d are exported and %d counted, want 1 (%v)", len(out.all["checkout_session"]), beside.Footprint.Counts["checkout_session"], err)
	}
	before := string(fake.Snapshot())
	if _, err := c.Erase(t.Context(), job); err != nil || string(fake.Snapshot()) != before {
		t.Errorf("erasing changed the store (%v)", err)
	}
}

// TestOtherPeopleAreMasked: what hangs on the person's account and speaks of
// somebody else is withheld and counted; her own is not.
func TestOtherPeopleAreMasked(t *testing.T) {
	fake := stripefake.New()
	ada := fake.Seed(dsrtest.Ada)
	ben := stripefake.Object{"name": dsrtest.Ben.Name, "email": dsrtest.Ben.Email, "phone": dsrtest.Ben.Phone, "address": stripefake.Object{"city": dsrtest.Ben.City}}
	gift := stripefake.Object{"name": dsrtest.Ben.Name, "phone": dsrtest.Ben.Phone, "address": stripefake.Object{"city": dsrtest.Ben.City}}
	fake.Add(stripefake.Charge, stripefake.Object{"customer": ada, "billing_details": ben, "receipt_email": dsrtest.Ben.Email, "shipping": gift})
	fake.Add(stripefake.PaymentMethod, stripefake.Object{"customer": ada, "billing_details": ben})
	fake.Add(stripefake.Invoice, stripefake.Object{
		"customer": ada, "customer_email": dsrtest.Ben.Email, "customer_name": dsrtest.Ben.Name, "customer_phone": dsrtest.Ben.Phone,
		"customer_address": stripefake.Object{"city": dsrtest.Ben.City}, "description": "for " + dsrtest.Ben.Email + ", not " + dsrtest.Ada.Email + ".",
	})
	fake.Add(stripefake.CheckoutSession, stripefake.Object{"customer": ada, "customer_details": ben, "customer_email": dsrtest.Ben.Email, "shipping_details": gift})
	fake.Edit(stripefake.Customer, ada, stripefake.Object{"metadata": stripefake.Object{dsrtest.Ben.Email: "friend", "invited_by": dsrtest.Ben.Email, "order": "1234567890123456"}})
	c := bind(t, fake, nil)
	out := &rows{}
	receipt, err := c.Export(t.Context(), task(t, c, "k"), out)
	if err != nil {
		t.Fatal(err)
	}
	text := out.text.String()
	if holds(text, dsrtest.Ben) {
		t.Error("the export holds a value of another person")
	}
	for category, want := range map[string]int{"payment_profile": 2, "payment_method": 1, "invoice": 2, "charge": 3, "checkout_session": 3, "subscription": 0} {
		if got := outcome(receipt, category, dsr.Refused, "other_person"); got != want {
			t.Errorf("%s: %d values of others withheld, want %d", category, got, want)
		}
	}
	for _, own := range []string{dsrtest.Ada.Name, dsrtest.Ada.Phone, dsrtest.Ada.City, "not " + dsrtest.Ada.Email + ".", "1234567890123456"} {
		if !strings.Contains(text, own) {
			t.Error("the export lacks a value of her own")
		}
	}
	for _, o := range receipt.Outcomes {
		if err := o.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// TestAddressChangedMeanwhile: between looking and acting the record became
// somebody else's.
func TestAddressChangedMeanwhile(t *testing.T) {
	fake := stripefake.New()
	ada := fake.Seed(dsrtest.Ada)
	c := bind(t, fake, nil)
	job := task(t, c, "k")
	fake.Edit(stripefake.Customer, ada, stripefake.Object{"email": dsrtest.Ben.Email})
	before := string(fake.Snapshot())
	out := &rows{}
	_, exported := c.Export(t.Context(), job, out)
	_, erased := c.Erase(t.Context(), job)
	_, rectified := c.Rectify(t.Context(), job, []dsr.Change{{Field: "name", New: "X"}})
	for op, err := range map[string]error{"export": exported, "erase": erased, "rectify": rectified} {
		if !errors.Is(err, connector.Invalid) {
			t.Errorf("%s: %v", op, err)
		}
	}
	if len(out.all) > 0 || string(fake.Snapshot()) != before {
		t.Errorf("%d categories were exported, or the store changed", len(out.all))
	}
}

// writes are the fake's log without reads.
func writes(fake *stripefake.Fake) []string {
	var all []string
	for _, r := range fake.Requests() {
		if r.Method != http.MethodGet {
			all = append(all, r.Method+" "+r.Path)
		}
	}
	return all
}

func TestEraseInOrderWithReceipts(t *testing.T) {
	fake := stripefake.New()
	ada := fake.Seed(dsrtest.Ada)
	fake.Add(stripefake.Subscription, stripefake.Object{"customer": ada, "status": "canceled"})
	c := bind(t, fake, nil)
	job := task(t, c, "k")
	held, err := c.ReadBack(t.Context(), job, connector.Receipt{})
	still := map[string]int{"payment_profile": 1, "payment_method": 1, "subscription": 1}
	stays := map[string]int{"subscription": 1, "invoice": 1, "charge": stripefake.Charges + 1, "checkout_session": 2}
	if err != nil || !maps.Equal(held.Remaining, still) || !maps.Equal(held.Kept, stays) {
		t.Errorf("before: %v remain and %v are kept, want %v and %v (%v)", held.Remaining, held.Kept, still, stays, err)
	}
	receipt, err := c.Erase(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	sub, pm := fake.Objects(stripefake.Subscription)[0].ID(), fake.Objects(stripefake.PaymentMethod)[0]
	want := []string{
		"DELETE /v1/subscriptions/" + sub, "POST /v1/payment_methods/" + pm.ID(), "POST /v1/payment_methods/" + pm.ID() + "/detach", "DELETE /v1/customers/" + ada,
	}
	if got := writes(fake); !slices.Equal(got, want) {
		t.Errorf("the writes are %v, want %v", got, want)
	}
	if raw, _ := json.Marshal(pm); holds(string(raw), dsrtest.Ada) {
		t.Error("the detached payment method still names her")
	}
	ids := map[string]bool{}
	for _, r := range fake.Requests() {
		ids[r.RequestID] = true
	}
	if len(receipt.Refs) != len(want) || slices.ContainsFunc(receipt.Refs, func(ref string) bool { return !ids[ref] }) {
		t.Errorf("the receipt's references are %v", receipt.Refs)
	}
	wantOutcomes := []dsr.Outcome{
		{Category: "payment_profile", Kind: dsr.Erased, Count: 1}, {Category: "payment_method", Kind: dsr.Erased, Count: 1},
		{Category: "subscription", Kind: dsr.Kept, Count: 2, Rule: "subscription_record"}, {Category: "invoice", Kind: dsr.Kept, Count: 1, Rule: "invoice_record"},
		{Category: "charge", Kind: dsr.Kept, Count: stripefake.Charges + 1, Rule: "charge_record"}, {Category: "checkout_session", Kind: dsr.Kept, Count: 2, Rule: "checkout_record"},
	}
	if !slices.Equal(receipt.Outcomes, wantOutcomes) {
		t.Errorf("the outcomes are %v", receipt.Outcomes)
	}
	seen, err := c.ReadBack(t.Context(), job, receipt)
	if err != nil || len(seen.Refs) != 2 || slices.ContainsFunc(seen.Refs, func(ref string) bool { return slices.Contains(receipt.Refs, ref) }) {
		t.Errorf("the read-back's evidence is %v (%v)", seen.Refs, err)
	}
	again, err := c.Erase(t.Context(), job)
	if err != nil || !slices.Equal(again.Outcomes, wantOutcomes) || len(writes(fake)) != len(want) {
		t.Errorf("a second time: %v, %d writes (%v)", again.Outcomes, len(writes(fake)), err)
	}
}

// once pauses at its first Save.
type once struct{ cursor string }

func (o *once) Save(_ context.Context, cursor string) error {
	o.cursor = cursor
	return connector.ErrPause
}

func TestErasePausesBetweenCustomers(t *testing.T) {
	fake := stripefake.New()
	fake.Seed(dsrtest.Ada)
	fake.Seed(dsrtest.Ada)
	c := bind(t, fake, nil)
	job := task(t, c, "k")
	pause := &once{}
	job.Progress = pause
	if _, err := c.Erase(t.Context(), job); err != connector.ErrPause || fake.Count(stripefake.Customer) != 1 {
		t.Errorf("paused: %v, %d customers are left, want 1", err, fake.Count(stripefake.Customer))
	}
	job.Progress, job.Cursor = nil, pause.cursor
	r, err := c.Erase(t.Context(), job)
	if err != nil || outcome(r, "payment_profile", dsr.Erased, "") != 2 || outcome(r, "payment_method", dsr.Erased, "") != 2 || fake.Count(stripefake.Customer) != 0 {
		t.Errorf("resumed: %v, %d customers are left (%v)", r.Outcomes, fake.Count(stripefake.Customer), err)
	}
}

// TestLostAnswerAtEachWrite: the answer to any one write is lost after its
// effect; the error says sent, and the next attempt ends as if nothing had been.
func TestLostAnswerAtEachWrite(t *testing.T) {
	for _, mode := range []stripefake.Mode{stripefake.DropAfter, stripefake.DropBefore, stripefake.HTML, stripefake.HalfBody} {
		for n, method := range []string{"DELETE", "POST", "POST", "DELETE"} {
			fake := stripefake.New()
			fake.Seed(dsrtest.Ada)
			c := bind(t, fake, nil)
			job := task(t, c, "k")
			skip := map[int]int{0: 0, 1: 0, 2: 1, 3: 1}[n]
			fake.Inject(stripefake.Fault{Mode: mode, Method: method, Skip: skip, Times: 1})
			_, err := c.Erase(t.Context(), job)
			var e *connector.Error
			if !errors.As(err, &e) || !e.Sent {
				t.Errorf("%s at write %d: %v", mode, n+1, err)
			}
			first, err := c.Erase(t.Context(), job)
			if err != nil || outcome(first, "payment_method", dsr.Erased, "") != 1 || outcome(first, "payment_profile", dsr.Erased, "") != 1 {
				t.Errorf("%s at write %d, next attempt: %v (%v)", mode, n+1, first.Outcomes, err)
			}
			if seen, err := c.ReadBack(t.Context(), job, first); err != nil || !seen.Gone() {
				t.Errorf("%s at write %d: %v remain (%v)", mode, n+1, seen.Remaining, err)
			}
		}
	}
}

func TestDeleteThatFindsNothingCountsAsGone(t *testing.T) {
	fake := stripefake.New()
	fake.AddCustomer(dsrtest.Ada)
	c := bind(t, fake, nil)
	job := task(t, c, "k")
	fake.Inject(stripefake.Fault{Mode: stripefake.Status, Method: "DELETE", Status: 404, Times: 1})
	if r, err := c.Erase(t.Context(), job); err != nil || outcome(r, "payment_profile", dsr.Erased, "") != 1 {
		t.Errorf("a 404 to the deletion of a located customer: %v (%v)", r.Outcomes, err)
	}
	if seen, err := c.ReadBack(t.Context(), job, connector.Receipt{}); err != nil || seen.Gone() {
		t.Errorf("the customer is there, and the read-back says gone (%v)", err)
	}
	fake.Inject(stripefake.Fault{Mode: stripefake.Status, Method: "DELETE", Status: 400, Times: 1})
	if _, err := c.Erase(t.Context(), job); !errors.Is(err, connector.Invalid) {
		t.Errorf("a 400 to the deletion: %v", err)
	}
}

func TestRectify(t *testing.T) {
	fake := stripefake.New()
	ada := fake.Seed(dsrtest.Ada)
	c := bind(t, fake, nil)
	job := task(t, c, "k")
	changes := []dsr.Change{{Field: "email", New: "ada.new@learner.example"}, {Field: "phone", New: ""}, {Field: "address.city", New: "Newtown"}}
	for attempt := 1; attempt <= 2; attempt++ {
		r, err := c.Rectify(t.Context(), job, changes)
		if err != nil || outcome(r, "payment_profile", dsr.Rectified, "") != 1 {
			t.Fatalf("attempt %d: %v (%v)", attempt, r.Outcomes, err)
		}
	}
	if n := len(writes(fake)); n != 1 {
		t.Errorf("two attempts sent %d writes", n)
	}
	o := fake.Objects(stripefake.Customer)[0]
	address := o["address"].(map[string]any)
	for field, pair := range map[string][2]any{
		"email": {o["email"], "ada.new@learner.example"}, "phone": {o["phone"], nil}, "city": {address["city"], "Newtown"},
		"name": {o["name"], dsrtest.Ada.Name}, "line1": {address["line1"], "1 Example Street"}, "postal code": {address["postal_code"], "00001"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s of %s is %v, want %v", field, ada, pair[0], pair[1])
		}
	}
	if _, err := c.Rectify(t.Context(), job, []dsr.Change{{Field: "balance", New: "0"}}); !errors.Is(err, connector.Unsupported) || len(writes(fake)) != 1 {
		t.Errorf("a field that is not offered: %v, %d writes", err, len(writes(fake)))
	}
	if _, err := c.Rectify(t.Context(), job, []dsr.Change{changes[0], {Field: "phone", New: "+15550zq7"}}); err != nil || fake.Objects(stripefake.Customer)[0]["phone"] != "+15550zq7" {
		t.Errorf("another correction under the same key: %v", err)
	}
	fake.Inject(stripefake.Fault{Mode: stripefake.Ignore})
	if _, err := c.Rectify(t.Context(), job, []dsr.Change{{Field: "name", New: "Ada New"}, changes[0]}); !errors.Is(err, connector.Invalid) {
		t.Errorf("the vendor ignored the correction: %v", err)
	}
}

func TestSearchOff(t *testing.T) {
	for settings, searches := range map[string]int{"": 1, "off": 0} {
		fake := stripefake.New()
		fake.Seed(dsrtest.AdaUpper)
		given := map[string]string{}
		if settings != "" {
			given["search"] = settings
		}
		f := task(t, bind(t, fake, given), "k").Footprint
		n := 0
		for _, r := range fake.Requests() {
			if r.Path == "/v1/customers/search" {
				n++
			}
		}
		if n != searches || f.Candidates != searches {
			t.Errorf("search %q: %d searches, %d candidates; want %d", settings, n, f.Candidates, searches)
		}
	}
}

// TestLowerCaseForm: even without search, an address proved with capitals is
// also looked for in lower case.
func TestLowerCaseForm(t *testing.T) {
	fake := stripefake.New()
	fake.AddCustomer(dsrtest.Ada)
	c := bind(t, fake, map[string]string{"search": "off"})
	f, err := c.Locate(t.Context(), connector.Task{Identities: []dsr.Identity{dsrtest.AdaUpper.Proved()}})
	if err != nil || len(f.Records) > 0 || f.Candidates != 1 {
		t.Errorf("%d records and %d candidates, want 0 and 1 (%v)", len(f.Records), f.Candidates, err)
	}
}

func TestConfiguration(t *testing.T) {
	good := connector.Config{System: "payments", Secrets: map[string]string{"api_key": "k"}, Now: time.Now}
	if _, err := stripe.New(good); err != nil {
		t.Fatal(err)
	}
	for says, spoil := range map[string]func(*connector.Config){
		`secret "api_key"`:     func(c *connector.Config) { c.Secrets = nil },
		"search may only be":   func(c *connector.Config) { c.Settings = map[string]string{"search": "maybe"} },
		"does not know serach": func(c *connector.Config) { c.Settings = map[string]string{"serach": "off"} },
		"https://":             func(c *connector.Config) { c.BaseURL = "http://api.stripe.com" },
		"connector's hosts":    func(c *connector.Config) { c.BaseURL = "https://api.stripe.example" },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := stripe.New(cfg); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "payments") {
			t.Errorf("the error is %v, it must name the system and say %q", err, says)
		}
	}
}
