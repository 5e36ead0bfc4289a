package stand

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/writ-dsr/writ/shared/platform/pgtest"
)

func TestSeededRowsAreWhatTheLearnersSay(t *testing.T) {
	pg, err := pgtest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pg.Stop() })
	learners := []Learner{
		{Name: "One", Email: "one@learner.example", Courses: 7, Payments: 2, Newsletter: true},
		{Name: "Two", Email: "two@learner.example", Courses: 1, StudiesWith: "one@learner.example", StripeCustomer: "cus_two"},
	}
	accounts, err := seedPostgres(t.Context(), pg.DSN(), learners)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), pg.DSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	for _, c := range []struct {
		sql  string
		args []any
		want int
	}{
		{`SELECT count(*) FROM course_progress WHERE account_id = $1 AND score BETWEEN 0 AND 100`, []any{accounts["one@learner.example"]}, 7},
		{`SELECT count(*) FROM payments WHERE account_id = $1`, []any{accounts["one@learner.example"]}, 2},
		{`SELECT count(*) FROM payments WHERE account_id = $1`, []any{accounts["two@learner.example"]}, 0},
		{`SELECT count(*) FROM newsletter`, nil, 1},
		{`SELECT count(*) FROM study_groups WHERE owner_id = $1 AND partner_id = $2`, []any{accounts["two@learner.example"], accounts["one@learner.example"]}, 1},
		{`SELECT count(*) FROM accounts WHERE stripe_customer IS NULL`, nil, 1},
	} {
		var got int
		if err := conn.QueryRow(t.Context(), c.sql, c.args...).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != c.want {
			t.Errorf("%s: got %d, want %d", c.sql, got, c.want)
		}
	}
}
