package postgres_test

import (
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
			refused(t, err, connector.Invalid, tc.says...)
			equalRows(t, "database", everything(t, conn), before)
		})
	}
}
