//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/writ-dsr/writ/infra/stand/inbox"
	"github.com/writ-dsr/writ/shared/connectors/stripe/stripefake"
	"github.com/writ-dsr/writ/shared/dsr"
)

// What is asked for is gone, what must stay stays, and all others are as they
// were: A1 = A0 - B0, B1 = 0, C1 = C0.
func TestErasure(t *testing.T) {
	t.Parallel()
	partner := suite.Enrol(t, Someone("leaverspartner"), Holdings{Courses: 1, Newsletter: true, Files: 1, Stripe: true})
	h := Plenty()
	h.StudiesWith = partner.Email
	l := suite.Enrol(t, Someone("leaver"), h)
	// An older version and a delete marker are the person's too.
	key := fmt.Sprintf("learners/%d/homework-1.txt", l.Account)
	if _, err := suite.Objects().PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(filesBucket), Key: &key, Body: strings.NewReader("Second version")}); err != nil {
		t.Fatal(err)
	}
	gone := fmt.Sprintf("learners/%d/homework-2.txt", l.Account)
	if _, err := suite.Objects().DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(filesBucket), Key: &gone}); err != nil {
		t.Fatal(err)
	}
	before := l.Held(t)
	if len(before.Rows) != 10 || len(before.Stripe) != 12 || len(before.Files) != 4 {
		t.Fatalf("seeded %d rows, %d objects, %d versions", len(before.Rows), len(before.Stripe), len(before.Files))
	}
	untouched := Untouched(t, append(suite.Crowd(t), partner)...)

	id := l.Start(t, "US", "erasure")
	suite.AwaitStatus(t, id, dsr.Completed)
	untouched()
	wantErased(t, l, before)

	for _, want := range []struct {
		task, category string
		kind           dsr.OutcomeKind
		count          int
	}{
		{"app#act", "account", dsr.Anonymised, 1}, {"app#act", "course_progress", dsr.Erased, 4}, {"app#act", "payments", dsr.Retained, 3},
		{"app#act", "marketing", dsr.Erased, 1}, {"app#act", "study_groups", dsr.Anonymised, 1}, {"files#act", "coursework", dsr.Erased, 3},
		{"stripe#act", "payment_profile", dsr.Erased, 1}, {"stripe#act", "payment_method", dsr.Erased, 1},
		{"stripe#act", "subscription", dsr.Retained, 1}, {"stripe#act", "invoice", dsr.Retained, 1}, {"stripe#act", "charge", dsr.Retained, 6}, {"stripe#act", "checkout_session", dsr.Retained, 2},
		{"paypal#act", "payments", dsr.Retained, 0}, {"zendesk#act", "support", dsr.Attested, 0},
	} {
		suite.WantOutcome(t, id, want.task, want.category, want.kind, want.count)
	}
	for _, system := range []string{"app", "stripe", "files"} {
		wantReadBack(t, id, system)
	}
	letter, _ := l.Letter(t, "/status")
	wantTold(t, id, letter)
	if !strings.Contains(letter.Text, "Tax and accounting law obliges us") {
		t.Error("the mail does not give the ground in words")
	}
	if first, _, _ := strings.Cut(letter.Text, "\n"); first != "We have erased your data, except for what is listed below with the reason why it is kept." {
		t.Errorf("the mail opens with %q", first)
	}
}

// Where no law is known to allow it, what stays is told as kept and no duty.
func TestErasureWithoutAGround(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("european"), Holdings{Courses: 1, Payments: 2})
	id := l.Start(t, "DE", "erasure")
	suite.AwaitStatus(t, id, dsr.Completed)
	suite.WantOutcome(t, id, "app#act", "payments", dsr.Kept, 2)
	letter, _ := l.Letter(t, "/status")
	wantTold(t, id, letter)
	if strings.Contains(letter.Text, "obliges us") || !strings.Contains(letter.Text, "whether a law of your country allows that is not decided yet") {
		t.Errorf("the mail claims a duty that is none:\n%s", letter.Text)
	}
	if n := len(l.Held(t).Rows); n != 3 {
		t.Errorf("%d rows are left, want the empty account and two payments", n)
	}
}

// wantErased fails unless all of a learner that may be erased is gone, and all
// that must stay is as it was.
func wantErased(t testing.TB, l *Learner, before Held) {
	t.Helper()
	after := l.Held(t)
	var kept []string
	for _, row := range before.Rows {
		if strings.HasPrefix(row, "payments ") {
			kept = append(kept, row)
		}
	}
	empty := fmt.Sprintf(`accounts {"id":%d,"email":null,"name":null,"phone":null,"stripe_customer":null,`, l.Account)
	if len(after.Rows) != len(kept)+1 || !strings.HasPrefix(after.Rows[0], empty) || !slices.Equal(after.Rows[1:], kept) {
		t.Errorf("in the database is left:\n%s\nwant an empty account and\n%s", strings.Join(after.Rows, "\n"), strings.Join(kept, "\n"))
	}
	if len(after.Files) > 0 {
		t.Errorf("of the files are left: %s", after.Files)
	}
	kinds := map[string]int{}
	for _, o := range after.Stripe {
		kind, _, _ := strings.Cut(o, " ")
		kinds[kind]++
		switch kind {
		case stripefake.Customer:
			if !strings.Contains(o, `"deleted":true`) || strings.Contains(o, l.Email) {
				t.Errorf("the customer is not deleted: %s", o)
			}
		case stripefake.Subscription:
			if !strings.Contains(o, `"status":"canceled"`) {
				t.Errorf("the subscription goes on: %s", o)
			}
		case stripefake.PaymentMethod:
			t.Errorf("the card is still there: %s", o)
		default:
			if !slices.Contains(before.Stripe, o) {
				t.Errorf("what must be kept was changed: %s", o)
			}
		}
	}
	if len(before.Stripe) > 0 {
		want := map[string]int{stripefake.Customer: 1, stripefake.Subscription: 1, stripefake.Invoice: 1, stripefake.Charge: 6, stripefake.CheckoutSession: 2}
		if !maps.Equal(kinds, want) {
			t.Errorf("at Stripe is left %v, want %v", kinds, want)
		}
	}
}

// wantReadBack fails unless the evidence of a system says, in this order: what
// was intended, what was done, what was seen when it was read again, the end.
func wantReadBack(t testing.TB, id dsr.RequestID, system string) {
	t.Helper()
	var got []string
	for _, e := range suite.Events(t, id, system) {
		if e.Detail["phase"] == string(dsr.Act) {
			got = append(got, strings.TrimSpace(fmt.Sprint(e.Kind, " ", orNone(e.Detail["op"]))))
		}
	}
	want := []string{"intent erase", "op_done erase", "op_done read_back", "settled"}
	if !slices.Equal(got, want) {
		t.Errorf("the evidence of %s says %q, want %q", system, got, want)
	}
	if step := suite.Visits(t, id)[system+"#act"].Steps[dsr.ReadBack]; !step.Done {
		t.Errorf("%s was not read back", system)
	}
}

func orNone(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// wantTold fails unless a mail tells every outcome of the acts in plain words,
// per system and category.
func wantTold(t testing.TB, id dsr.RequestID, letter inbox.Message) {
	t.Helper()
	words := map[dsr.OutcomeKind]string{
		dsr.Erased: "erased: ", dsr.Anonymised: "made anonymous: ", dsr.Retained: "kept until ", dsr.Kept: "still held, ",
		dsr.Attested: "done by a person of our team", dsr.NotHeld: "nothing is held about you", dsr.Deferred: "not finished: ",
		dsr.Exported: "in your copy: ",
	}
	told := 0
	for task, v := range suite.Visits(t, id) {
		if v.System == dsr.Itself {
			continue // told in sentences of its own
		}
		system, ok := suite.Pack.System(v.System)
		if !ok {
			t.Fatalf("the pack has no system of the visit %s", task)
		}
		for _, o := range v.Outcomes {
			category, _ := suite.Pack.Category(o.Category)
			said, ok := words[o.Kind]
			if line := fmt.Sprintf("- System: %s\n  Data: %s\n  Result: %s", system.Name, category.Name, said); !ok || !strings.Contains(letter.Text, line) {
				t.Errorf("the mail does not tell of %s, %s: %s", task, o.Category, o.Kind)
			}
			told++
		}
	}
	if got := strings.Count(letter.Text, "\n- System: "); got != told || told == 0 {
		t.Errorf("the mail tells %d outcomes, the ledger has %d", got, told)
	}
}

// Who asks for both gets the copy first: it is built, checked and mailed before
// the first intent to erase, and it holds everything.
func TestBoth(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("bothasker"), Plenty())
	before, rows, files := l.Held(t), l.Rows(t), l.Files(t)
	untouched := Untouched(t, suite.Crowd(t)...)
	id := l.Start(t, "US", "access", "erasure")
	r := suite.AwaitStatus(t, id, dsr.Completed)
	untouched()
	wantErased(t, l, before)

	_, link := l.Letter(t, "/download")
	wantWhole(t, Unpack(t, l.Fetch(t, link)), rows, files)

	place := map[string]int{}
	for i, e := range suite.Events(t, id, dsr.RequestChain) {
		name := string(e.Kind)
		if n, ok := e.Detail["notice"].(string); ok {
			name += " " + n
		}
		place[name] = i + 1
	}
	for _, order := range [][2]string{{"verified", "planned"}, {"planned", "bundled"}, {"bundled", "mailed copy#1"}, {"mailed copy#1", "mailed answer#1"}} {
		if place[order[0]] == 0 || place[order[0]] >= place[order[1]] {
			t.Errorf("the evidence does not have %s before %s: %v", order[0], order[1], place)
		}
	}
	var mailed, firstIntent time.Time
	intents := 0
	for _, e := range suite.AllEvents(t, id) {
		switch {
		case e.Kind == dsr.EventMailed && e.Detail["notice"] == "copy#1":
			mailed = e.At
		case e.Kind == dsr.EventIntent:
			intents++
			if firstIntent.IsZero() {
				firstIntent = e.At
			}
		}
	}
	if intents != 3 || mailed.IsZero() || !mailed.Before(firstIntent) {
		t.Errorf("%d intents, the first at %s; the copy was mailed at %s", intents, firstIntent, mailed)
	}
	if r.ErasingAt.Before(mailed) || r.Bundle.DeliveredAt.IsZero() || r.Bundle.DeliveredAt.After(r.ErasingAt) {
		t.Errorf("delivered at %s, erasing since %s", r.Bundle.DeliveredAt, r.ErasingAt)
	}
	var subjects []string
	for _, m := range l.Letters(t) {
		subjects = append(subjects, m.Subject)
	}
	want := []string{"Please confirm your request to PythonMaster", "The copy of your data from PythonMaster", "Our answer to your request to PythonMaster", "Your code to download your data from PythonMaster"}
	if !slices.Equal(subjects, want) {
		t.Errorf("the mails were %q, want %q", subjects, want)
	}
}
