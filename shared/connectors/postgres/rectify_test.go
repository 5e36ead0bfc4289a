package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

const tracks = `
CREATE TABLE runners (id int PRIMARY KEY, email text, name varchar(20), age int CHECK (age > 0), city text);
CREATE TABLE pairs (id int PRIMARY KEY, one int REFERENCES runners, two int REFERENCES runners, one_name text, town text);
INSERT INTO runners VALUES (1, 'ada.zq7canary@learner.example', 'Ada', 36, 'X'), (2, 'ben.xk4canary@learner.example', 'Ben', 40, 'Y');
INSERT INTO pairs VALUES (1, 1, 2, 'Ada', 'T'), (2, 1, NULL, 'Ada', 'T'), (3, 2, NULL, 'Ben', 'T');`

const tracksMapping = `
[[table]]
table = "runners"
category = "account"
owner = { column = "email", identity = "email" }
columns = ["id"]
action = "anonymise"
null = ["email"]
rectify = { name = "name", age = "age" }
[[table]]
table = "pairs"
category = "pairs"
path = ["one -> runners(id)"]
columns = ["one_name"]
action = "delete"
co_owner = [{ path = ["two -> runners(id)"] }]
own_columns = ["one", "one_name"]
rectify = { name = "one_name", town = "town" }
`

func TestRectifyTouchesNamedFieldsOfTheSubjectAlone(t *testing.T) {
	dsn, conn := database(t, tracks)
	c := driver(t, dsn, tracksMapping)
	rectify := func(changes ...dsr.Change) (connector.Receipt, error) {
		return c.Rectify(t.Context(), task(dsrtest.Ada), changes)
	}
	for range 2 {
		r, err := rectify(dsr.Change{Field: "name", New: "Ada L."}, dsr.Change{Field: "town", New: "U"})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "receipt", outcomes(r), sorted("account rectified 1; pairs rectified 2"))
		equalRows(t, "runners", rows(t, conn, "SELECT * FROM runners"), []string{
			`(1,ada.zq7canary@learner.example,"Ada L.",36,X)`, `(2,ben.xk4canary@learner.example,Ben,40,Y)`,
		})
		// The town of the shared pair is not Ada's alone.
		equalRows(t, "pairs", rows(t, conn, "SELECT * FROM pairs"), []string{`(1,1,2,"Ada L.",T)`, `(2,1,,"Ada L.",U)`, `(3,2,,Ben,T)`})
	}
	before := everything(t, conn)
	for name, tc := range map[string]struct {
		changes []dsr.Change
		says    []string
	}{
		"no table names the field": {[]dsr.Change{{Field: "name", New: "A"}, {Field: dsrtest.Ada.Phone, New: "x"}}, []string{"field 2 of 2", "rectify"}},
		"too long":                 {[]dsr.Change{{Field: "name", New: dsrtest.Ada.Name + " the First"}}, []string{"column name", "runners"}},
		"no number":                {[]dsr.Change{{Field: "age", New: dsrtest.Ada.City}}, []string{"column age", "integer"}},
		"against a check":          {[]dsr.Change{{Field: "town", New: "V"}, {Field: "age", New: "-1"}}, []string{"runners_age_check"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rectify(tc.changes...)
			kind := connector.Invalid
			if name == "no table names the field" {
				kind = connector.Unsupported // a person does what the mapping does not know
			}
			refused(t, err, kind, tc.says...)
			equalRows(t, "database", everything(t, conn), before)
		})
	}
}

const logins = `
CREATE TABLE members (id int PRIMARY KEY, email text %s, name text);
CREATE TABLE news (email text PRIMARY KEY, topic text);
CREATE TABLE posts (id int PRIMARY KEY, member int REFERENCES members, author text);
INSERT INTO members VALUES (1, 'ada.zq7canary@learner.example', 'Ada'), (2, 'ben.xk4canary@learner.example', 'Ben');
INSERT INTO news VALUES ('ada.zq7canary@learner.example', 'x'), ('ben.xk4canary@learner.example', 'y');
INSERT INTO posts VALUES (1, 1, 'Ada'), (2, 2, 'Ben');`

const loginsMapping = `
[[table]]
table = "members"
category = "account"
owner = { column = "email", identity = "email" }
columns = ["id"]
action = "anonymise"
null = ["email"]
rectify = { email = "email", name = "name" }
[[table]]
table = "news"
category = "marketing"
owner = { column = "email", identity = "email" }
columns = ["email"]
action = "delete"
[[table]]
table = "posts"
category = "posts"
path = ["member -> members(id)"]
columns = ["id"]
action = "delete"
rectify = { name = "author" }
`

// A person's address is also what their rows are found by: the correction is
// for the rows that were located, and is seen again after a lost answer.
func TestRectifyOfTheAddressThatFindsTheRows(t *testing.T) {
	const moved = "ada.new.zq7canary@learner.example"
	dsn, conn := database(t, fmt.Sprintf(logins, "UNIQUE"))
	d := driver(t, dsn, loginsMapping)
	work := task(dsrtest.Ada)
	work.Pepper = []byte("pepper")
	var err error
	if work.Footprint, err = d.Locate(t.Context(), work); err != nil {
		t.Fatal(err)
	}
	changes := []dsr.Change{{Field: "email", New: moved}, {Field: "name", New: "Ada L."}}
	look := work
	look.Changes = changes
	seen, err := d.ReadBack(t.Context(), look, connector.Receipt{})
	if err != nil || seen.Unchanged["account"] != 1 || seen.Unchanged["posts"] != 1 {
		t.Errorf("before the correction: %v, %v", seen.Unchanged, err)
	}
	for range 2 { // the second call finds the rows under the new address
		r, err := d.Rectify(t.Context(), work, changes)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "receipt", outcomes(r), sorted("account rectified 1; posts rectified 1"))
		if len(r.Refs) != 2 || strings.Contains(strings.Join(r.Refs, " "), "Ada") {
			t.Errorf("references %v", r.Refs)
		}
	}
	equalRows(t, "members", rows(t, conn, "SELECT * FROM members ORDER BY id"), []string{`(1,ada.new.zq7canary@learner.example,"Ada L.")`, "(2,ben.xk4canary@learner.example,Ben)"})
	equalRows(t, "posts", rows(t, conn, "SELECT * FROM posts ORDER BY id"), []string{`(1,1,"Ada L.")`, "(2,2,Ben)"})
	if seen, err = d.ReadBack(t.Context(), look, connector.Receipt{}); err != nil || len(seen.Unchanged) != 0 {
		t.Errorf("after the correction: %v, %v", seen.Unchanged, err)
	}
	before := everything(t, conn)
	for name, to := range map[string]string{"an address somebody has": dsrtest.Ben.Email, "no address": "ada at learner"} {
		work := work
		work.Identities = []dsr.Identity{{Kind: dsr.Email, Value: moved, Origin: dsr.Proved}}
		_, err := d.Rectify(t.Context(), work, []dsr.Change{{Field: "email", New: to}})
		refused(t, err, connector.Invalid, "address")
		equalRows(t, name, everything(t, conn), before)
	}
}

// Without a unique key the database would let two people have one address.
func TestRectifyGivesNobodyTheAddressOfAnother(t *testing.T) {
	dsn, conn := database(t, fmt.Sprintf(logins, ""))
	d := driver(t, dsn, loginsMapping)
	work := task(dsrtest.Ada)
	var err error
	if work.Footprint, err = d.Locate(t.Context(), work); err != nil {
		t.Fatal(err)
	}
	before := everything(t, conn)
	_, err = d.Rectify(t.Context(), work, []dsr.Change{{Field: "email", New: dsrtest.Ben.Email}, {Field: "name", New: "Ada L."}})
	refused(t, err, connector.Invalid, "another record has the new address")
	equalRows(t, "database", everything(t, conn), before)
}
