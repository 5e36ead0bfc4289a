package postgres_test

import (
	"errors"
	"testing"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connectors/postgres"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

const shop = `
CREATE TABLE members (id int PRIMARY KEY, email text, restricted_at timestamptz, no_ads boolean, quiet text);
CREATE TABLE orders (id int PRIMARY KEY, member int REFERENCES members);
CREATE TABLE news (email text PRIMARY KEY, no_ads date);
CREATE TABLE chats (id int PRIMARY KEY, a int REFERENCES members, b int REFERENCES members, quiet_at timestamptz);
INSERT INTO members VALUES (1, 'ada.zq7canary@learner.example', NULL, NULL, NULL), (2, 'ben.xk4canary@learner.example', NULL, NULL, NULL);
INSERT INTO orders VALUES (1, 1), (2, 1), (3, 2);
INSERT INTO news VALUES ('ada.zq7canary@learner.example', NULL), ('ben.xk4canary@learner.example', NULL);
INSERT INTO chats VALUES (1, 1, 2, NULL), (2, 1, NULL, NULL);`

const shopMapping = `
[[table]]
table = "members"
category = "account"
owner = { column = "email", identity = "email" }
columns = ["id"]
action = "anonymise"
null = ["email"]
marks = { storage_only = "restricted_at", marketing = "no_ads", profiling = "quiet" }
[[table]]
table = "orders"
category = "orders"
path = ["member -> members(id)"]
columns = ["id"]
action = "keep"
rule = "books"
[[table]]
table = "news"
category = "news"
owner = { column = "email", identity = "email" }
columns = ["email"]
action = "delete"
marks = { marketing = "no_ads" }
[[table]]
table = "chats"
category = "chats"
path = ["a -> members(id)"]
columns = ["id"]
action = "delete"
rule = "books"
co_owner = [{ path = ["b -> members(id)"] }]
marks = { sale = "quiet_at" }
`

func TestMarks(t *testing.T) {
	for _, c := range []struct {
		name    string
		purpose dsr.Purpose
		says    string
		marked  []string // what the marks read, the instants as their being there
	}{
		// A mark speaks for what a path leads from; news has an owner of its own and
		// no such mark, so it gets no word and a person sees to it.
		{"a restriction", dsr.Storage, "account suppressed 1; orders suppressed 2; chats suppressed 2", []string{"(1,t,,f)", "(2,f,,f)"}},
		{"advertising", dsr.Marketing, "account suppressed 1; orders suppressed 2; news suppressed 1; chats suppressed 2", []string{"(1,f,t,t)", "(2,f,,f)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dsn, conn := database(t, shop)
			d := driver(t, dsn, shopMapping)
			for range 2 {
				r, err := d.Suppress(t.Context(), task(dsrtest.Ada), c.purpose)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "receipt", outcomes(r), sorted(c.says))
				equalRows(t, "marks", rows(t, conn, `SELECT m.id, m.restricted_at IS NOT NULL, m.no_ads, n.no_ads IS NOT NULL FROM members m JOIN news n USING (email) ORDER BY 1`), c.marked)
			}
			before := rows(t, conn, "SELECT * FROM members ORDER BY id")
			if _, err := d.Suppress(t.Context(), task(dsrtest.Ada), c.purpose); err != nil {
				t.Fatal(err)
			}
			equalRows(t, "the day of the first mark", rows(t, conn, "SELECT * FROM members ORDER BY id"), before)
		})
	}
	t.Run("a row that is somebody else's too", func(t *testing.T) {
		dsn, conn := database(t, shop)
		r, err := driver(t, dsn, shopMapping).Suppress(t.Context(), task(dsrtest.Ada), dsr.Sale)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "receipt", outcomes(r), "")
		equalRows(t, "chats", rows(t, conn, "SELECT id, quiet_at IS NOT NULL FROM chats ORDER BY 1"), []string{"(1,f)", "(2,t)"})
	})
	t.Run("a purpose without a mark", func(t *testing.T) {
		d := driver(t, "postgres://nobody@127.0.0.1:1/none?sslmode=disable", shopMapping)
		if _, err := d.Suppress(t.Context(), task(dsrtest.Ada), dsr.Consent); !errors.Is(err, connector.Unsupported) {
			t.Errorf("got %v, want Unsupported, and no connection tried", err)
		}
	})
	t.Run("a column that is no mark", func(t *testing.T) {
		dsn, conn := database(t, shop)
		d := driver(t, dsn, shopMapping)
		before := everything(t, conn)
		_, err := d.Suppress(t.Context(), task(dsrtest.Ada), dsr.Profiling)
		refused(t, err, connector.Invalid, "column quiet", "cannot be a mark")
		refused(t, d.(*postgres.Driver).Check(t.Context()), connector.Invalid, "column quiet")
		equalRows(t, "database", everything(t, conn), before)
	})
	t.Run("a trigger that undoes it", func(t *testing.T) {
		dsn, conn := database(t, shop)
		exec(t, conn, `CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.no_ads = NULL; RETURN NEW; END $$`,
			"CREATE TRIGGER no BEFORE UPDATE ON members FOR EACH ROW EXECUTE FUNCTION no()")
		r, err := driver(t, dsn, shopMapping).Suppress(t.Context(), task(dsrtest.Ada), dsr.Marketing)
		if err != nil {
			t.Fatal(err)
		}
		// What a path leads from to an unmarked row has no mark either.
		equal(t, "receipt", outcomes(r), "news suppressed 1")
	})
}
