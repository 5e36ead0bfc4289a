package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// erase locates, erases and reads back, and returns the receipt.
func erase(t testing.TB, c connector.Connector, p dsrtest.Person) connector.Receipt {
	t.Helper()
	tk := found(t, c, p)
	r, err := c.Erase(t.Context(), tk)
	if err != nil {
		t.Fatalf("erasing: %v", err)
	}
	seen, err := c.ReadBack(t.Context(), tk, r)
	if err != nil {
		t.Fatalf("reading back: %v", err)
	}
	if !seen.Gone() {
		t.Errorf("after the erasure there remain %v", seen.Remaining)
	}
	return r
}

// TestCirclesAndOddShapes erases Ada from tables that reference each other in
// circles, themselves, over several columns, in a schema and names that need quotes.
func TestCirclesAndOddShapes(t *testing.T) {
	for name, tc := range map[string]struct {
		schema, mapping string
		receipt         string
		left            map[string][]string // query → rows
	}{
		"a circle of two tables": {`
			CREATE TABLE accounts (id int PRIMARY KEY, email text, team int);
			CREATE TABLE teams (id int PRIMARY KEY, founder int NOT NULL REFERENCES accounts ON DELETE RESTRICT);
			ALTER TABLE accounts ADD FOREIGN KEY (team) REFERENCES teams;
			INSERT INTO accounts VALUES (1, 'ada.zq7canary@learner.example'), (2, 'ben.xk4canary@learner.example');
			INSERT INTO teams VALUES (10, 1), (20, 2);
			UPDATE accounts SET team = id * 10;`, `
			[[table]]
			table = "accounts"
			category = "account"
			owner = { column = "email", identity = "email" }
			columns = ["id"]
			action = "delete"
			[[table]]
			table = "teams"
			category = "teams"
			path = ["founder -> accounts(id)"]
			columns = ["id"]
			action = "delete"`,
			"account erased 1; teams erased 1",
			map[string][]string{"SELECT id FROM accounts": {"(2)"}, "SELECT id FROM teams": {"(20)"}}},
		"a key against the path": {`
			CREATE TABLE profiles (id int PRIMARY KEY, bio text);
			CREATE TABLE accounts (id int PRIMARY KEY, email text, profile int REFERENCES profiles);
			INSERT INTO profiles VALUES (7, 'x'), (8, 'y');
			INSERT INTO accounts VALUES (1, 'ada.zq7canary@learner.example', 7), (2, 'ben.xk4canary@learner.example', 8);`, `
			[[table]]
			table = "profiles"
			category = "profile"
			path = ["id -> accounts(profile)"]
			columns = ["bio"]
			action = "delete"
			[[table]]
			table = "accounts"
			category = "account"
			owner = { column = "email", identity = "email" }
			columns = ["id"]
			action = "delete"`,
			"profile erased 1; account erased 1",
			map[string][]string{"SELECT id FROM accounts": {"(2)"}, "SELECT id FROM profiles": {"(8)"}}},
		"a table that references itself": {`
			CREATE TABLE posts (id int PRIMARY KEY, email text, parent int REFERENCES posts ON DELETE RESTRICT);
			INSERT INTO posts VALUES (1, 'ada.zq7canary@learner.example', NULL), (2, 'ada.zq7canary@LEARNER.example', 1), (3, ' ada.zq7canary@learner.example', 2), (4, 'ben.xk4canary@learner.example', NULL);`, `
			[[table]]
			table = "posts"
			category = "posts"
			owner = { column = "email", identity = "email" }
			columns = ["id"]
			action = "delete"`,
			"posts erased 3", map[string][]string{"SELECT id FROM posts": {"(4)"}}},
		"composite keys, schema and quotes": {`
			CREATE SCHEMA app;
			CREATE TABLE app."Members" (org text, "no" int, "E-mail" varchar(80), PRIMARY KEY (org, "no"));
			CREATE TABLE app.visits (at date, org text, member int, n int, PRIMARY KEY (org, at, member), FOREIGN KEY (org, member) REFERENCES app."Members");
			INSERT INTO app."Members" VALUES ('x', 1, 'ada.zq7canary@learner.example'), ('y', 1, 'ben.xk4canary@learner.example'), ('y', 2, 'ada.zq7canary@learner.example');
			INSERT INTO app.visits SELECT '2026-01-01'::date + d, org, "no", d FROM app."Members", generate_series(1, 150) d;`, `
			[[table]]
			table = "app.Members"
			category = "account"
			owner = { column = "E-mail", identity = "email" }
			columns = ["org", "no"]
			action = "anonymise"
			set = { "E-mail" = "erased-{key}@invalid.example" }
			[[table]]
			table = "app.visits"
			category = "usage"
			path = ["org, member -> app.Members(org, no)"]
			columns = ["at", "n"]
			action = "delete"`,
			"account anonymised 2; usage erased 300",
			map[string][]string{
				`SELECT * FROM app."Members"`:                       {"(x,1,erased-x-1@invalid.example)", "(y,1,ben.xk4canary@learner.example)", "(y,2,erased-y-2@invalid.example)"},
				"SELECT org, count(*) FROM app.visits GROUP BY org": {"(y,150)"}}},
		"a partitioned table and a cascade": {`
			CREATE TABLE accounts (id int PRIMARY KEY, email text);
			CREATE TABLE events (id int, account int REFERENCES accounts ON DELETE CASCADE, PRIMARY KEY (id)) PARTITION BY RANGE (id);
			CREATE TABLE events_a PARTITION OF events FOR VALUES FROM (0) TO (5);
			CREATE TABLE events_b PARTITION OF events FOR VALUES FROM (5) TO (100);
			INSERT INTO accounts VALUES (1, 'ada.zq7canary@learner.example'), (2, 'ben.xk4canary@learner.example');
			INSERT INTO events SELECT i, 1 + i % 2 FROM generate_series(0, 9) i;`, `
			[[table]]
			table = "accounts"
			category = "account"
			owner = { column = "email", identity = "email" }
			columns = ["id"]
			action = "delete"
			[[table]]
			table = "events"
			category = "usage"
			path = ["account -> accounts(id)"]
			columns = ["id"]
			action = "delete"`,
			"account erased 1; usage erased 5",
			map[string][]string{"SELECT DISTINCT account FROM events": {"(2)"}, "SELECT count(*) FROM events": {"(5)"}}},
		"shared rows by address, masked or kept": {`
			CREATE TABLE letters (id int PRIMARY KEY, sender text NOT NULL, recipient text, body text NOT NULL);
			CREATE TABLE deals (id int PRIMARY KEY, seller text, buyer text, price int);
			INSERT INTO letters VALUES (1, 'ada.zq7canary@learner.example', 'ben.xk4canary@learner.example', 'hi'), (2, 'ada.zq7canary@learner.example', '', 'note'),
				(3, 'ada.zq7canary@learner.example', 'ada.zq7canary@Learner.Example', 'self'), (4, 'ada.zq7canary@learner.example', NULL, 'draft'), (5, 'ada.zq7canary@learner.example', 'Ada.Zq7canary@learner.example', 'case');
			INSERT INTO deals VALUES (1, 'ada.zq7canary@learner.example', 'ben.xk4canary@learner.example', 5), (2, 'ada.zq7canary@learner.example', NULL, 6);`, `
			[[table]]
			table = "letters"
			category = "letters"
			owner = { column = "sender", identity = "email" }
			columns = ["sender", "recipient", "body"]
			action = "delete"
			co_owner = [{ column = "recipient", identity = "email" }]
			own_columns = ["sender", "body"]
			mask = { sender = "erased", body = "[erased]" }
			[[table]]
			table = "deals"
			category = "deals"
			owner = { column = "seller", identity = "email" }
			columns = ["price"]
			action = "delete"
			co_owner = [{ column = "buyer", identity = "email" }]
			rule = "contract_of_two"`,
			"letters erased 3; letters anonymised 2; deals kept 1 contract_of_two; deals erased 1",
			map[string][]string{
				"SELECT * FROM letters": {"(1,erased,ben.xk4canary@learner.example,[erased])", "(5,erased,Ada.Zq7canary@learner.example,[erased])"},
				"SELECT * FROM deals":   {"(1,ada.zq7canary@learner.example,ben.xk4canary@learner.example,5)"}}},
	} {
		t.Run(name, func(t *testing.T) {
			dsn, conn := database(t, tc.schema)
			c := driver(t, dsn, tc.mapping)
			equal(t, "receipt", outcomes(erase(t, c, dsrtest.Ada)), sorted(tc.receipt))
			for sql, want := range tc.left {
				equalRows(t, sql, rows(t, conn, sql), want)
			}
		})
	}
}

// TestExportWithholdsWhatIsSomebodyElsesToo: of a shared row only own columns
// leave, and none where the mapping names none.
func TestExportWithholdsWhatIsSomebodyElsesToo(t *testing.T) {
	dsn, _ := database(t, `
		CREATE TABLE deals (id int PRIMARY KEY, seller text, buyer text, price int);
		INSERT INTO deals SELECT i, 'ada.zq7canary@learner.example', CASE WHEN i % 2 = 0 THEN 'ben.xk4canary@learner.example' END, i FROM generate_series(1, 300) i`)
	c := driver(t, dsn, `
[[table]]
table = "deals"
category = "deals"
owner = { column = "seller", identity = "email" }
columns = ["buyer", "price"]
action = "keep"
rule = "books"
co_owner = [{ column = "buyer", identity = "email" }]
`)
	s := &sink{}
	r, _ := export(t, c, found(t, c, dsrtest.Ada), s, func(int) bool { return true })
	equal(t, "receipt", outcomes(r), sorted("deals exported 150; deals refused 150 shared_with_another_person"))
	equal(t, "rows", len(s.lines), 150)
}

// TestIdentities: other kinds are compared as they are; what nobody has proved acts on nothing.
func TestIdentities(t *testing.T) {
	dsn, conn := database(t, `CREATE TABLE clicks (id int PRIMARY KEY, customer text); INSERT INTO clicks VALUES (1, 'c-1'), (2, 'C-1'), (3, 'c-2'), (4, NULL)`)
	c := driver(t, dsn, `
[[table]]
table = "clicks"
category = "usage"
owner = { column = "customer", identity = "customer_id" }
columns = ["id"]
action = "delete"
`)
	as := func(o dsr.Origin) connector.Task {
		return connector.Task{Identities: []dsr.Identity{{Kind: "customer_id", Value: "c-1", Origin: o}}}
	}
	for _, o := range []dsr.Origin{dsr.SelfAsserted, dsr.VendorVerified} {
		_, err := c.Erase(t.Context(), as(o))
		refused(t, err, connector.Invalid, "no identifier")
		_, err = c.Export(t.Context(), as(o), &sink{})
		refused(t, err, connector.Invalid, "no identifier")
	}
	_, err := c.Locate(t.Context(), as(dsr.SelfAsserted))
	refused(t, err, connector.Invalid, "no identifier")
	vouched := connector.Task{Identities: []dsr.Identity{{Kind: "stripe_customer", Value: "c-1", Origin: dsr.VendorVerified}}}
	if f, err := c.Locate(t.Context(), vouched); err != nil || !f.Empty() {
		t.Errorf("an identifier of another system: got %d records and %v, want none", len(f.Records), err)
	}
	_, err = c.Locate(t.Context(), task(dsrtest.Ada)) // an address tells nothing here: not "nothing held"
	refused(t, err, connector.Invalid, "no identifier")
	f, err := c.Locate(t.Context(), as(dsr.VendorVerified))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "records for a person to look at", len(f.Records), 1)
	equal(t, "rows", number(t, conn, "SELECT count(*) FROM clicks"), 4)
	r, err := c.Erase(t.Context(), as(dsr.SystemOfRecord))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "receipt", outcomes(r), "usage erased 1")
	equalRows(t, "rows", rows(t, conn, "SELECT id FROM clicks"), []string{"(2)", "(3)", "(4)"})
}

// TestReadBackSeesWhatCameBack: rows found only by the keys of rows that are gone.
func TestReadBackSeesWhatCameBack(t *testing.T) {
	dsn, conn := database(t, `
		CREATE TABLE accounts (id int PRIMARY KEY, ref uuid UNIQUE DEFAULT gen_random_uuid(), email text);
		CREATE TABLE orders (id int PRIMARY KEY, account uuid);
		CREATE TABLE lines (id int PRIMARY KEY, "order" int, body text);
		INSERT INTO accounts (id, email) VALUES (1, 'ada.zq7canary@learner.example'), (2, 'ben.xk4canary@learner.example');
		INSERT INTO orders SELECT id * 10, ref FROM accounts;
		INSERT INTO lines SELECT id + 1, id, 'x' FROM orders`)
	c := driver(t, dsn, `
[[table]]
table = "accounts"
category = "account"
owner = { column = "email", identity = "email" }
columns = ["id"]
action = "delete"
[[table]]
table = "orders"
category = "orders"
path = ["account -> accounts(ref)"]
columns = ["id"]
action = "delete"
[[table]]
table = "lines"
category = "lines"
path = ["order -> orders(id)"]
columns = ["id"]
action = "anonymise"
set = { body = "[erased]" }
null = ["order"]
`)
	ref := rows(t, conn, "SELECT ref FROM accounts WHERE id = 1")[0]
	tk := found(t, c, dsrtest.Ada)
	look := func() connector.Evidence {
		t.Helper()
		seen, err := c.ReadBack(t.Context(), tk, connector.Receipt{})
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	equal(t, "before", len(look().Remaining), 3)
	if _, err := c.Erase(t.Context(), tk); err != nil {
		t.Fatal(err)
	}
	equal(t, "after", len(look().Remaining), 0)
	exec(t, conn, "INSERT INTO orders VALUES (11, '"+ref[1:len(ref)-1]+"')") // by the account's key, which nothing else remembers
	equal(t, "an order came back", look().Remaining["orders"], 1)
	exec(t, conn, "INSERT INTO lines VALUES (99, 10, 'y')") // by the key of an order that is gone
	equal(t, "a line came back", look().Remaining["lines"], 1)
	exec(t, conn, "DELETE FROM lines WHERE id = 99", "UPDATE lines SET body = 'restored' WHERE id = 11")
	equal(t, "a value came back", look().Remaining["lines"], 1)
	equalRows(t, "Ben's", rows(t, conn, "SELECT * FROM lines WHERE id = 21"), []string{"(21,20,x)"})
}

// TestRowsChangeHandsBehindALock: whose a row is counts when it is deleted, not when it was located.
func TestRowsChangeHandsBehindALock(t *testing.T) {
	dsn, conn := database(t, learning)
	enrol(t, conn, dsrtest.Ada)
	enrol(t, conn, dsrtest.Ben)
	c := driver(t, dsn, learningMapping)
	tk := found(t, c, dsrtest.Ada)
	moved := number(t, conn, `SELECT 1 + count(*) FROM answers n JOIN course_progress p ON p.id = n.progress_id JOIN accounts a ON a.id = p.account_id
		WHERE p.course = 'Data frames' AND a.email = $1`, dsrtest.Ada.Email)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `UPDATE course_progress SET account_id = b.id FROM accounts a, accounts b
		WHERE a.email = $1 AND b.email = $2 AND course_progress.account_id = a.id AND course = 'Data frames'`, dsrtest.Ada.Email, dsrtest.Ben.Email); err != nil {
		t.Fatal(err)
	}
	type result struct {
		r   connector.Receipt
		err error
	}
	done := make(chan result, 1)
	go func() {
		r, err := c.Erase(context.WithoutCancel(t.Context()), tk)
		done <- result{r, err}
	}()
	watch, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watch.Close(context.Background()) }()
	for number(t, watch, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'writ' AND datname = current_database() AND wait_event_type = 'Lock'") == 0 {
		select {
		case got := <-done:
			t.Fatalf("the erasure did not wait for the lock: %v", got.err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := <-done
	if got.err != nil {
		t.Fatal(got.err)
	}
	equalRows(t, "courses left, all Ben's", rows(t, conn, "SELECT a.email, p.course FROM course_progress p JOIN accounts a ON a.id = p.account_id"), []string{
		"(" + dsrtest.Ben.Email + `,Testing)`, "(" + dsrtest.Ben.Email + `,"Data frames")`, "(" + dsrtest.Ben.Email + `,"Data frames")`,
	})
	equal(t, "receipt", outcomes(got.r), sorted(fmt.Sprintf("account anonymised 1; course_progress erased %d; payments kept 2 books; marketing erased 1", 5-moved)))
}
