//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/connectors/stripe/stripefake"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// filesBucket is the company's bucket of handed-in files.
const filesBucket = "pythonmaster-files"

// rowsOf is every row that is a learner's, and of a row that two own the
// learner's part.
const rowsOf = `
SELECT 'accounts ' || row_to_json(r)::text FROM accounts r WHERE id = $1
UNION ALL SELECT 'course_progress ' || row_to_json(r)::text FROM course_progress r WHERE account_id = $1
UNION ALL SELECT 'payments ' || row_to_json(r)::text FROM payments r WHERE account_id = $1
UNION ALL SELECT 'newsletter ' || row_to_json(r)::text FROM newsletter r WHERE email = $2
UNION ALL SELECT 'study_groups ' || json_build_array(id, title, owner_id, owner_note)::text FROM study_groups WHERE owner_id = $1
UNION ALL SELECT 'study_groups ' || json_build_array(id, title, partner_id, partner_note)::text FROM study_groups WHERE partner_id = $1
ORDER BY 1`

// Held is all that the company's systems hold about a learner, byte for byte.
type Held struct {
	Rows   []string // of the database
	Stripe []string // objects
	Files  []string // versions and delete markers
}

// String is the whole of it, to be compared.
func (h Held) String() string {
	return strings.Join(slices.Concat(h.Rows, h.Stripe, h.Files), "\n")
}

// Held reads all systems.
func (l *Learner) Held(t testing.TB) Held {
	t.Helper()
	h := Held{Rows: l.suite.SQL(t, rowsOf, l.Account, l.Email)}
	for _, kind := range stripefake.Kinds() {
		for _, o := range l.suite.Stripe.Objects(kind) {
			doc, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			if text := string(doc); strings.Contains(text, `"`+l.Email+`"`) || l.Customer != "" && strings.Contains(text, `"`+l.Customer+`"`) {
				h.Stripe = append(h.Stripe, kind+" "+text)
			}
		}
	}
	pages := s3.NewListObjectVersionsPaginator(l.suite.Objects(), &s3.ListObjectVersionsInput{
		Bucket: aws.String(filesBucket), Prefix: aws.String(fmt.Sprintf("learners/%d/", l.Account)),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page.Versions {
			h.Files = append(h.Files, fmt.Sprint(aws.ToString(v.Key), " ", aws.ToString(v.VersionId), " ", aws.ToString(v.ETag), " ", aws.ToInt64(v.Size), " ", v.LastModified))
		}
		for _, v := range page.DeleteMarkers {
			h.Files = append(h.Files, fmt.Sprint(aws.ToString(v.Key), " ", aws.ToString(v.VersionId), " deleted"))
		}
	}
	return h
}

// Crowd are the cast of dsrtest but Ada, whom everybody's erasure must leave
// alone.
func (s *Suite) Crowd(t testing.TB) []*Learner {
	t.Helper()
	var all []*Learner
	for _, p := range dsrtest.LookAlikes() {
		account, err := s.AccountOf(t.Context(), p.Email)
		if err != nil {
			t.Fatal(err)
		}
		l := &Learner{Person: person.New(p.Email, s.Inbox), Who: p, Account: account, suite: s}
		ids := s.SQL(t, `SELECT stripe_customer FROM accounts WHERE id = $1`, account)
		l.Customer = ids[0]
		if h := l.Held(t); len(h.Rows) != 6 || len(h.Stripe) != 12 || len(h.Files) != 1 {
			t.Fatalf("a bystander holds %d rows, %d objects and %d files", len(h.Rows), len(h.Stripe), len(h.Files))
		}
		all = append(all, l)
	}
	return all
}

// Untouched fails the test at its end unless everybody given is held as at the
// call, byte for byte.
func Untouched(t testing.TB, who ...*Learner) (check func()) {
	t.Helper()
	before := make([]string, len(who))
	for i, l := range who {
		before[i] = l.Held(t).String()
		if before[i] == "" {
			t.Fatal("nothing is held about a bystander: there is nothing to compare")
		}
	}
	return func() {
		t.Helper()
		for i, l := range who {
			if after := l.Held(t).String(); after != before[i] {
				t.Errorf("bystander %d was touched:\n%s\nwas\n%s", i, after, before[i])
			}
		}
	}
}
