package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connectors/postgres"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

const club = `
CREATE TABLE members (id int PRIMARY KEY, email text, name text, closed_at timestamptz);
CREATE TABLE invoices (id int PRIMARY KEY, member int NOT NULL REFERENCES members, cents int NOT NULL);
CREATE TABLE news (id int PRIMARY KEY, email text NOT NULL, seen_on date);`

const clubMapping = `
[[table]]
table = "members"
category = "account"
owner = { column = "email", identity = "email" }
columns = ["id", "name"]
action = "anonymise"
null = ["email", "name"]
yields = { id = "account_id" }
retain_from = "closed_at"
[[table]]
table = "invoices"
category = "invoices"
path = ["member -> members(id)"]
columns = ["id", "cents"]
action = "keep"
rule = "books"
[[table]]
table = "news"
category = "marketing"
owner = { column = "email", identity = "email" }
columns = ["id"]
action = "delete"
retain_from = "seen_on"
`

// listed asks for every page and returns who is listed, with the latest date.
func listed(t *testing.T, c connector.Connector, category string, before time.Time, page int) []string {
	t.Helper()
	var all []string
	x := connector.Expired{Category: category, Before: before, Limit: page}
	for range 50 {
		f, err := c.Locate(t.Context(), connector.Task{Expired: &x})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range f.People {
			if len(p.Identities) != 1 || p.Identities[0].Origin != dsr.SystemOfRecord {
				t.Fatalf("listed by %v", p.Identities)
			}
			all = append(all, fmt.Sprintf("%s %s", p.Identities[0].Value, p.Since.Format(time.DateOnly)))
		}
		if f.Next == "" {
			return all
		}
		x.After = f.Next
	}
	t.Fatal("the pages never end")
	return nil
}

func TestExpiredAreThoseOfWhomNothingRuns(t *testing.T) {
	dsn, conn := database(t, club)
	before := time.Date(2023, 11, 22, 0, 0, 0, 0, time.UTC)
	local, domain, _ := strings.Cut(dsrtest.Ada.Email, "@")
	exec(t, conn, fmt.Sprintf(`INSERT INTO members VALUES
		(1, '%[1]s', 'long gone', '2019-05-01'), (2, '%[1]s', 'gone', '2023-11-21'),
		(3, '%[2]s', 'gone', '2020-01-01'), (4, '%[2]s', 'still here', NULL),
		(5, '%[3]s', 'on the day itself', '2023-11-22'),
		(6, NULL, 'anonymised', '2000-01-01'), (7, ' ', 'blank', '2000-01-01'), (8, 'no address', 'odd', '2000-01-01')`,
		dsrtest.Ada.Email, dsrtest.Ben.Email, dsrtest.AdaPlus.Email))
	c := driver(t, dsn, clubMapping)
	want := []string{dsrtest.Ada.Email + " 2023-11-21"}
	for _, page := range []int{1, 2, 100} {
		if got := listed(t, c, "account", before, page); !slices.Equal(got, want) {
			t.Errorf("pages of %d: listed are %v, want %v", page, got, want)
		}
	}
	// The same mailbox, its domain in capitals, is one person: the younger row spares both.
	exec(t, conn, fmt.Sprintf(`INSERT INTO members VALUES (9, '%s@%s', 'here', '2026-01-01')`, local, strings.ToUpper(domain)))
	if got := listed(t, c, "account", before, 100); got != nil {
		t.Errorf("listed are %v although a row of the same mailbox runs", got)
	}
	exec(t, conn, fmt.Sprintf(`INSERT INTO news VALUES (1, '%s', '2020-02-03'), (2, '%s', '2026-02-03')`, dsrtest.Ada.Email, dsrtest.Ben.Email))
	if got, want := listed(t, c, "marketing", before, 100), []string{dsrtest.Ada.Email + " 2020-02-03"}; !slices.Equal(got, want) {
		t.Errorf("listed are %v, want %v", got, want)
	}
	if _, err := c.Locate(t.Context(), connector.Task{Expired: &connector.Expired{Category: "invoices", Before: before, Limit: 5}}); connector.KindOf(err) != connector.Unsupported || !strings.Contains(err.Error(), "retain_from") {
		t.Errorf("a category without a date to count from: %v", err)
	}
}

func TestRetainFromMustBeAbleToTellWhose(t *testing.T) {
	for name, c := range map[string][2]string{
		"on a table with a path":             {"rule = \"books\"\n", "rule = \"books\"\nretain_from = \"paid_on\"\n"},
		"missing in a table of the category": {"category = \"marketing\"", "category = \"account\""},
	} {
		mapping := strings.Replace(clubMapping, c[0], c[1], 1)
		if name == "missing in a table of the category" {
			mapping = strings.Replace(mapping, "retain_from = \"seen_on\"\n", "", 1)
		}
		if _, err := postgres.ParseMapping([]byte(mapping)); err == nil || !strings.Contains(err.Error(), "retain_from") {
			t.Errorf("%s: %v", name, err)
		}
	}
	dsn, _ := database(t, club)
	c := driver(t, dsn, strings.Replace(clubMapping, "seen_on", "unknown", 1))
	if _, err := c.Locate(t.Context(), task(dsrtest.Ada)); err == nil || !strings.Contains(err.Error(), "unknown") {
		t.Errorf("a column that is not there: %v", err)
	}
}

// Years after the account was emptied, its number still leads to what a ground
// had kept; another's, and what came since under the same address, stay.
func TestEndedGroundGivesUpWhatItKept(t *testing.T) {
	dsn, conn := database(t, club)
	exec(t, conn, fmt.Sprintf(`INSERT INTO members VALUES (1, '%s', 'Ada', NULL), (2, '%s', 'Ben', NULL)`, dsrtest.Ada.Email, dsrtest.Ben.Email),
		`INSERT INTO invoices VALUES (1, 1, 100), (2, 1, 200), (3, 2, 300)`)
	c := driver(t, dsn, clubMapping)
	tk := found(t, c, dsrtest.Ada)
	r, err := c.Erase(t.Context(), tk)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "receipt", outcomes(r), sorted("account anonymised 1; invoices kept 2 books"))

	later := connector.Task{Identities: append(slices.Clone(tk.Identities), dsr.Identity{Kind: "account_id", Value: "1", Origin: dsr.SystemOfRecord}), Categories: []string{"invoices"}}
	f, err := c.Locate(t.Context(), later)
	if err != nil || f.Counts["invoices"] != 0 {
		t.Fatalf("without an ended ground the number finds nothing: %v, %v", f.Counts, err)
	}
	later.Ended = true
	if later.Footprint, err = c.Locate(t.Context(), later); err != nil || later.Footprint.Counts["invoices"] != 2 {
		t.Fatalf("located %v, %v", later.Footprint.Counts, err)
	}
	for call, want := range []string{"invoices erased 2", "invoices erased 2"} { // the second counts what the footprint names and is gone
		if r, err = c.Erase(t.Context(), later); err != nil {
			t.Fatal(err)
		}
		r.Outcomes = slices.DeleteFunc(r.Outcomes, func(o dsr.Outcome) bool { return o.Category != "invoices" })
		equal(t, fmt.Sprint("receipt of call ", call+1), outcomes(r), want)
	}
	seen, err := c.ReadBack(t.Context(), later, r)
	if err != nil || seen.Remaining["invoices"] != 0 || seen.Kept["invoices"] != 0 {
		t.Errorf("read back %+v, %v", seen, err)
	}
	equalRows(t, "invoices", rows(t, conn, "SELECT * FROM invoices"), []string{"(3,2,300)"})
	equalRows(t, "members", rows(t, conn, "SELECT id, name FROM members"), []string{"(1,)", "(2,Ben)"})
}
