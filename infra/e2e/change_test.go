//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/connectors/stripe/stripefake"
	"github.com/writ-dsr/writ/shared/dsr"
)

// customer is what Stripe holds of a learner in one field.
func (l *Learner) customer(field string) any {
	for _, o := range l.suite.Stripe.Objects(stripefake.Customer) {
		if o.ID() == l.Customer {
			return o[field]
		}
	}
	return nil
}

// A name that is put right reads so in the database and at Stripe, and everybody
// else's is as it was.
func TestCorrection(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("misspelt"), Holdings{Courses: 1, Newsletter: true, Stripe: true})
	right := Someone("spelt").Name
	untouched := Untouched(t, suite.Crowd(t)...)
	r := suite.ends(t, l, person.Request{Rights: []string{"rectification"}, Country: "DE", More: map[string][]string{"correct_name": {right}}})
	untouched()
	suite.WantOutcome(t, r.ID, "app#act", "account", dsr.Rectified, 1)
	suite.WantOutcome(t, r.ID, "stripe#act", "payment_profile", dsr.Rectified, 1)
	if got := suite.SQL(t, "SELECT name FROM accounts WHERE id = $1", l.Account); !slices.Equal(got, []string{right}) {
		t.Error("the database does not hold the right name")
	}
	if l.customer("name") != right {
		t.Error("Stripe does not hold the right name")
	}
	for _, task := range []string{"app#act", "stripe#act"} {
		refs := suite.Visits(t, r.ID)[task].Steps[dsr.Rectify].Refs
		prints := slices.DeleteFunc(slices.Clone(refs), func(ref string) bool { return !strings.HasPrefix(ref, "before:") && !strings.HasPrefix(ref, "after:") })
		if len(prints) != 2 {
			t.Errorf("%s: the evidence of the correction is %v", task, refs)
		}
	}
}

// A restriction is a mark in the company's database and a person's task at
// Stripe, which has none; nothing is erased.
func TestRestriction(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("paused"), Holdings{Courses: 2, Newsletter: true, Stripe: true})
	before := l.Rows(t)
	suite.Staff.Rule(t, func(task Task) (string, bool) { return "done", task.Email == l.Email && task.API })
	r := suite.ends(t, l, person.Request{Rights: []string{"restriction"}, Country: "DE"})
	suite.WantOutcome(t, r.ID, "app#act", "account", dsr.Restricted, 1)
	suite.WantOutcome(t, r.ID, "app#act", "course_progress", dsr.Restricted, 2)
	if got := suite.SQL(t, "SELECT count(*) FROM accounts WHERE id = $1 AND restricted_at IS NOT NULL", l.Account); !slices.Equal(got, []string{"1"}) {
		t.Error("the account has no mark")
	}
	if v := suite.Visits(t, r.ID)["stripe#act"]; v.Person == nil || v.Person.AnsweredAt.IsZero() {
		t.Error("nobody was asked to restrict at Stripe")
	}
	if after := l.Rows(t); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the database holds %v, before it was %v", after, before)
	}
}

// Advertising ends without any proof: the address that was given finds the
// record, and only a mark is set.
func TestAdvertisingEndsWithoutProof(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("unasked"), Holdings{Courses: 1, Newsletter: true})
	before := l.Rows(t)
	if _, err := l.Person.Send(t.Context(), suite.Front, person.Request{Rights: []string{"objection_marketing"}, Country: "DE"}); err != nil {
		t.Fatal(err)
	}
	m, _ := l.Letter(t, "/status")
	id := dsr.RequestID(reference.FindString(m.Text))
	if id == "" {
		t.Fatalf("the mail has no reference: %q", m.Text)
	}
	suite.AwaitStatus(t, id, dsr.Completed)
	suite.WantOutcome(t, id, "app#act", "marketing", dsr.Suppressed, 1)
	if got := suite.SQL(t, "SELECT count(*) FROM newsletter WHERE email = $1 AND marketing_opt_out_at IS NOT NULL", l.Email); !slices.Equal(got, []string{"1"}) {
		t.Error("the newsletter has no mark")
	}
	if after := l.Rows(t); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the database holds %v, before it was %v", after, before)
	}
}
