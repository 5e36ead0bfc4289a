package stand

import (
	"maps"
	"strings"
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

func TestRowsAndBystandersSplitASharedRow(t *testing.T) {
	pg, err := pgtest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pg.Stop() })
	accounts, err := seedPostgres(t.Context(), pg.DSN(), []Learner{
		{Name: "One", Email: "one@learner.example", Courses: 1, Payments: 1, Newsletter: true},
		{Name: "Two", Email: "two@learner.example", Courses: 2, Newsletter: true, StudiesWith: "one@learner.example"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &Stand{Postgres: pg.DSN()}
	two, email := accounts["two@learner.example"], "two@learner.example"
	before, err := s.Bystanders(t.Context(), two, email)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(before, "Two") || !strings.Contains(before, "Fridays suit One") {
		t.Errorf("the bystanders are %s, want the rows of One, with One's part of the shared row, and nothing of Two", before)
	}
	rows, err := s.Rows(t.Context(), two, email)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"accounts": 1, "course_progress": 2, "payments": 0, "newsletter": 1, "study_groups": 1}
	if !maps.Equal(rows, want) {
		t.Errorf("got %v, want %v", rows, want)
	}
	exec := func(sql string) {
		t.Helper()
		if err := s.query(t.Context(), func(c *pgx.Conn) error { _, err := c.Exec(t.Context(), sql, two); return err }); err != nil {
			t.Fatal(err)
		}
	}
	exec(`DELETE FROM course_progress WHERE account_id = $1`)
	exec(`UPDATE study_groups SET owner_note = NULL WHERE owner_id = $1`)
	if after, err := s.Bystanders(t.Context(), two, email); err != nil || after != before {
		t.Errorf("an erasure of Two changed the bystanders: %v\n%s\n%s", err, before, after)
	}
	exec(`UPDATE study_groups SET partner_note = 'x' WHERE owner_id = $1`)
	if after, err := s.Bystanders(t.Context(), two, email); err != nil || after == before {
		t.Errorf("a change of One's note went unseen: %v", err)
	}
	if rows, err = s.Rows(t.Context(), two, email); err != nil || rows["course_progress"] != 0 || rows["study_groups"] != 0 || rows["accounts"] != 1 {
		t.Errorf("after the erasure: got %v, %v", rows, err)
	}
}
