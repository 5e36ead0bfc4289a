package postgres_test

import (
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// learning is a company's database as in the README.
const learning = `
CREATE TABLE accounts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE, name text, phone text,
    created_at timestamptz NOT NULL DEFAULT '2026-03-02T09:30:00Z', restricted_at timestamptz, marketing_opt_out_at timestamptz);
CREATE TABLE course_progress (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts (id),
    course text NOT NULL, score integer);
CREATE TABLE answers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, progress_id bigint NOT NULL REFERENCES course_progress (id),
    body text NOT NULL);
CREATE TABLE payments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts (id),
    amount_cents integer NOT NULL, billing_name text);
CREATE TABLE newsletter (email text PRIMARY KEY, city text NOT NULL);
CREATE TABLE study_groups (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text NOT NULL,
    owner_id bigint REFERENCES accounts (id), partner_id bigint REFERENCES accounts (id),
    owner_note text, partner_note text);`

// learningMapping is the mapping of the README, as the loader hands it on.
var learningMapping = mustReadme()

func mustReadme() string {
	text, err := os.ReadFile("README.md")
	if err != nil {
		panic(err)
	}
	_, block, _ := strings.Cut(string(text), "```toml\n")
	block, _, _ = strings.Cut(block, "```")
	return strings.ReplaceAll(block, "[[system.mapping.", "[[")
}

// enrol adds a person with two courses, three answers, two payments and a subscription.
func enrol(t testing.TB, conn *pgx.Conn, p dsrtest.Person) {
	t.Helper()
	var id int64
	if err := conn.QueryRow(t.Context(), `INSERT INTO accounts (email, name, phone) VALUES ($1, $2, $3) RETURNING id`, p.Email, p.Name, p.Phone).Scan(&id); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`WITH c AS (INSERT INTO course_progress (account_id, course, score) VALUES ($1, 'Testing', 71), ($1, 'Data frames', 64) RETURNING id)
		 INSERT INTO answers (progress_id, body) SELECT id, 'written by ' || $2::text FROM c UNION ALL SELECT max(id), 'again ' || $2::text FROM c`,
		`INSERT INTO payments (account_id, amount_cents, billing_name) VALUES ($1, 4900, $2), ($1, 5900, $2)`,
	} {
		if _, err := conn.Exec(t.Context(), sql, id, p.Name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.Exec(t.Context(), `INSERT INTO newsletter VALUES ($1, $2)`, p.Email, p.City); err != nil {
		t.Fatal(err)
	}
}

// study adds a group of two learners.
func study(t testing.TB, conn *pgx.Conn, owner, partner dsrtest.Person) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), `INSERT INTO study_groups (title, owner_id, partner_id, owner_note, partner_note)
		SELECT 'Evenings', o.id, p.id, 'Wednesdays suit ' || o.name, 'Fridays suit ' || p.name
		FROM accounts o LEFT JOIN accounts p ON p.email = $2 WHERE o.email = $1`, owner.Email, partner.Email); err != nil {
		t.Fatal(err)
	}
}

func TestEraseChangesNobodyElse(t *testing.T) {
	dsn, conn := database(t, learning)
	for _, p := range append(dsrtest.LookAlikes(), dsrtest.Ada, dsrtest.AdaUpper) {
		enrol(t, conn, p)
	}
	study(t, conn, dsrtest.Ada, dsrtest.Ben)
	study(t, conn, dsrtest.Ben, dsrtest.Ada)
	study(t, conn, dsrtest.Ada, dsrtest.Person{})
	study(t, conn, dsrtest.Ada, dsrtest.Ada)
	study(t, conn, dsrtest.Ben, dsrtest.AdaPlus)
	c := driver(t, dsn, learningMapping)
	tk := found(t, c, dsrtest.Ada)
	equal(t, "candidates", tk.Footprint.Candidates, 2) // AdaUpper's account and subscription

	mine := `account_id IN (SELECT id FROM accounts WHERE email = '` + dsrtest.Ada.Email + `')`
	of := map[string]string{ // what an erasure takes, by a query of the test's own
		"accounts":        "SELECT * FROM accounts WHERE email = '" + dsrtest.Ada.Email + "'",
		"course_progress": "SELECT * FROM course_progress WHERE " + mine,
		"answers":         "SELECT * FROM answers WHERE progress_id IN (SELECT id FROM course_progress WHERE " + mine + ")",
		"payments":        "SELECT * FROM payments WHERE false",
		"newsletter":      "SELECT * FROM newsletter WHERE email = '" + dsrtest.Ada.Email + "'",
	}
	want := map[string][]string{}
	for table, sql := range of {
		want[table] = minus(rows(t, conn, "SELECT * FROM "+table), rows(t, conn, sql))
	}
	id := number(t, conn, "SELECT id FROM accounts WHERE email = $1", dsrtest.Ada.Email)

	r, err := c.Erase(t.Context(), tk)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "receipt", outcomes(r), sorted("account anonymised 1; course_progress erased 5; payments kept 2 books; marketing erased 1; study_groups erased 2; study_groups anonymised 2"))
	for table := range of {
		got := rows(t, conn, "SELECT * FROM "+table)
		if table == "accounts" {
			got = rows(t, conn, "SELECT * FROM accounts WHERE id <> $1", id)
		}
		equalRows(t, table, got, want[table])
	}
	equalRows(t, "Ada's account", rows(t, conn, "SELECT email, name, phone FROM accounts WHERE id = $1", id), []string{"(,,)"})
	equalRows(t, "study groups", rows(t, conn, `SELECT g.owner_note, g.partner_note, o.name AS owner, p.name AS partner
		FROM study_groups g LEFT JOIN accounts o ON o.id = g.owner_id LEFT JOIN accounts p ON p.id = g.partner_id`), []string{
		`(,"Fridays suit ` + dsrtest.Ben.Name + `",,"` + dsrtest.Ben.Name + `")`,
		`("Wednesdays suit ` + dsrtest.Ben.Name + `","Fridays suit ` + dsrtest.AdaPlus.Name + `","` + dsrtest.Ben.Name + `","` + dsrtest.AdaPlus.Name + `")`,
		`("Wednesdays suit ` + dsrtest.Ben.Name + `",,"` + dsrtest.Ben.Name + `",)`,
	})

	seen, err := c.ReadBack(t.Context(), tk, r)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "remaining", len(seen.Remaining), 0)
	equal(t, "kept payments", seen.Kept["payments"], 2)
	equal(t, "kept categories", len(seen.Kept), 1)

	before := rows(t, conn, "SELECT * FROM accounts")
	again, err := c.Erase(t.Context(), tk)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "second receipt", outcomes(again), outcomes(r))
	equalRows(t, "accounts after the second call", rows(t, conn, "SELECT * FROM accounts"), before)
	after := found(t, c, dsrtest.Ada)
	equal(t, "records after erasure", len(after.Footprint.Records), 0)
	equal(t, "candidates after erasure", after.Footprint.Candidates, 2)
}

func TestLocateNamesCountsAndYields(t *testing.T) {
	dsn, conn := database(t, learning)
	enrol(t, conn, dsrtest.Ben)
	enrol(t, conn, dsrtest.Ada)
	study(t, conn, dsrtest.Ada, dsrtest.Ben)
	f := found(t, driver(t, dsn, learningMapping), dsrtest.Ada).Footprint
	for category, n := range map[string]int{"account": 1, "course_progress": 5, "payments": 2, "marketing": 1, "study_groups": 1} {
		equal(t, category, f.Counts[category], n)
	}
	equal(t, "categories", len(f.Counts), 5)
	equal(t, "records", len(f.Records), 10)
	equal(t, "yields", len(f.Yields), 1)
	equal(t, "yield", f.Yields[0], dsr.Identity{Kind: "account_id", Value: "2", Origin: dsr.SystemOfRecord})
}
