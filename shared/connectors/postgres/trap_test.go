package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/connectortest"
	"github.com/writ-dsr/writ/shared/connectors/postgres"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// members is a table with one row for Ada and one for Ben, whom no test may change.
const members = `
CREATE TYPE colour AS ENUM ('red', 'blue');
CREATE TABLE members (
    id int PRIMARY KEY, email text NOT NULL, name varchar(12) NOT NULL CHECK (name <> 'nobody'), nick text UNIQUE,
    age int, shade colour, boss int REFERENCES members, doubled int GENERATED ALWAYS AS (age * 2) STORED);
INSERT INTO members VALUES (1, 'ada.zq7canary@learner.example', 'Ada', 'a', 36, 'red', NULL), (2, 'ben.xk4canary@learner.example', 'Ben', 'b', 40, 'blue', NULL);`

func membersWith(action string) string {
	return `
[[table]]
table = "members"
category = "account"
owner = { column = "email", identity = "email" }
columns = ["id", "name"]
` + action
}

// things is a mapping entry for a table that references members.
func things(action string) string {
	return `
[[table]]
table = "things"
category = "things"
path = ["member -> members(id)"]
columns = ["id"]
` + action
}

// TestEraseRefusesBeforeAnythingChanges sets one trap each: the erasure fails,
// says where, and leaves the database as it was.
func TestEraseRefusesBeforeAnythingChanges(t *testing.T) {
	const anonymise = "action = \"anonymise\"\nset = { email = \"gone-{key}\", "
	for name, tc := range map[string]struct {
		schema  string
		mapping string
		says    []string
	}{
		"missing table":  {"", things(`action = "delete"`) + membersWith(`action = "delete"`), []string{"table things", "does not exist"}},
		"missing column": {"", membersWith("action = \"anonymise\"\nset = { email = \"gone\", town = \"x\" }"), []string{"column town", "members", "does not exist"}},
		"missing join column": {"CREATE TABLE things (id int PRIMARY KEY, member int)",
			strings.Replace(things(`action = "delete"`), "member -> members(id)", "member -> members(no)", 1) + membersWith(`action = "delete"`), []string{"column no", "members", "does not exist"}},
		"not null":            {"", membersWith("action = \"anonymise\"\nset = { email = \"gone\" }\nnull = [\"name\"]"), []string{"column name", "members", "NOT NULL"}},
		"too long":            {"", membersWith(anonymise + `name = "thirteen char" }`), []string{"column name", "members", "12 characters"}},
		"key too long":        {"", membersWith(anonymise + `name = "thirteen-ca-{key}" }`), []string{"column name", "members", "length"}},
		"wrong type":          {"", membersWith(anonymise + `age = "old" }`), []string{"column age", "members", "integer"}},
		"not in enum":         {"", membersWith(anonymise + `shade = "mauve" }`), []string{"column shade", "members", "colour"}},
		"key in a number":     {"", membersWith(anonymise + `age = "{key}" }`), []string{"column age", "members", "text"}},
		"generated":           {"", membersWith(anonymise + `doubled = 3 }`), []string{"column doubled", "members", "database alone"}},
		"primary key":         {"", membersWith(anonymise + `id = 3 }`), []string{"column id", "members", "primary key"}},
		"check":               {"", membersWith(anonymise + `name = "nobody" }`), []string{"members", "members_name_check"}},
		"unique against Ben":  {"", membersWith(anonymise + `nick = "b" }`), []string{"members", "unique", "nick"}},
		"unique among itself": {"INSERT INTO members VALUES (3, 'ada.zq7canary@LEARNER.example', 'Ada', 'c', 1, 'red', NULL)", membersWith(anonymise + `nick = "z" }`), []string{"members", "unique", "nick"}},
		"foreign key":         {"", membersWith(anonymise + `boss = 99 }`), []string{"members", "members_boss_fkey"}},
		"unmapped reference":  {"CREATE TABLE things (id int PRIMARY KEY, member int REFERENCES members)", membersWith(`action = "delete"`), []string{"table things", "not mapped", "things_member_fkey"}},
		"unmapped cascade": {"CREATE TABLE things (id int PRIMARY KEY, member int REFERENCES members ON DELETE CASCADE); INSERT INTO things VALUES (1, 1)",
			membersWith(`action = "delete"`), []string{"table things", "not mapped"}},
		"unmapped set null": {"CREATE TABLE things (id int PRIMARY KEY, member int REFERENCES members ON DELETE SET NULL)", membersWith(`action = "delete"`), []string{"table things", "not mapped"}},
		"kept rows in the way": {"CREATE TABLE things (id int PRIMARY KEY, member int REFERENCES members); INSERT INTO things VALUES (1, 1)",
			things("action = \"keep\"\nrule = \"books\"") + membersWith(`action = "delete"`), []string{"1 rows of table things", "things_member_fkey"}},
		"kept rows cascade": {"CREATE TABLE things (id int PRIMARY KEY, member int REFERENCES members ON DELETE CASCADE); INSERT INTO things VALUES (1, 1)",
			things("action = \"keep\"\nrule = \"books\"") + membersWith(`action = "delete"`), []string{"1 rows of table things", "things_member_fkey"}},
		"somebody else's row in the way": {"UPDATE members SET boss = 1 WHERE id = 2", membersWith(`action = "delete"`), []string{"1 rows of table members", "members_boss_fkey"}},
		"emptied against not null": {"CREATE TABLE things (id int PRIMARY KEY, member int NOT NULL REFERENCES members ON DELETE SET NULL); INSERT INTO things VALUES (1, 1)",
			things("action = \"keep\"\nrule = \"books\"") + membersWith(`action = "delete"`), []string{"1 rows of table things"}},
		"no primary key": {"ALTER TABLE members DROP CONSTRAINT members_pkey CASCADE", membersWith(`action = "delete"`), []string{"members", "no primary key"}},
		"a view": {"CREATE VIEW things AS SELECT id, id AS member FROM members",
			things(`action = "delete"`) + membersWith(`action = "delete"`), []string{"things", "no table"}},
		"a partition": {"CREATE TABLE all_things (id int PRIMARY KEY, member int) PARTITION BY RANGE (id); CREATE TABLE things PARTITION OF all_things FOR VALUES FROM (0) TO (9)",
			things(`action = "delete"`) + membersWith(`action = "delete"`), []string{"things", "partition"}},
		"inheritance": {"CREATE TABLE things (id int PRIMARY KEY, member int); CREATE TABLE more () INHERITS (things)",
			things(`action = "delete"`) + membersWith(`action = "delete"`), []string{"things", "inherit"}},
		"a trigger that hides": {`CREATE FUNCTION hide() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE members SET age = 0 WHERE id = OLD.id; RETURN NULL; END $$;
			CREATE TRIGGER hide BEFORE DELETE ON members FOR EACH ROW EXECUTE FUNCTION hide()`, membersWith(`action = "delete"`), []string{"left 1 rows of table members", "trigger"}},
		"a trigger that puts the value back": {`CREATE FUNCTION back() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := OLD.name; RETURN NEW; END $$;
			CREATE TRIGGER back BEFORE UPDATE ON members FOR EACH ROW EXECUTE FUNCTION back()`, membersWith(anonymise + `name = "nobody's" }`), []string{"left 1 rows of table members", "trigger"}},
		"a rule that hides": {"CREATE RULE hide AS ON DELETE TO members DO INSTEAD NOTHING", membersWith(`action = "delete"`), []string{"members"}},
		"a trigger that quotes the row": {`CREATE FUNCTION quote() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no: %', OLD.email USING DETAIL = OLD.email; END $$;
			CREATE TRIGGER quote BEFORE DELETE ON members FOR EACH ROW EXECUTE FUNCTION quote()`, membersWith(`action = "delete"`), []string{"members", "SQLSTATE P0001"}},
		"a unique expression": {"CREATE UNIQUE INDEX one ON members (lower(nick) text_pattern_ops)", membersWith(anonymise + `nick = "B" }`), []string{"members", "SQLSTATE 23505", "constraint one"}},
	} {
		t.Run(name, func(t *testing.T) {
			dsn, conn := database(t, members)
			if tc.schema != "" {
				exec(t, conn, tc.schema)
			}
			before := everything(t, conn)
			c := driver(t, dsn, tc.mapping)
			_, err := c.Erase(t.Context(), task(dsrtest.Ada))
			refused(t, err, connector.Invalid, tc.says...)
			equalRows(t, "database", everything(t, conn), before)
		})
	}
}

// everything lists all rows of all tables.
func everything(t testing.TB, conn *pgx.Conn) []string {
	t.Helper()
	var all []string
	for _, table := range rows(t, conn, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')") {
		table = strings.Trim(table, "()")
		for _, r := range rows(t, conn, "SELECT * FROM "+table) {
			all = append(all, table+r)
		}
	}
	return all
}

// refused checks kind and words of an error, and that no value of anybody is in it.
func refused(t testing.TB, err error, kind connector.Kind, says ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("it went through, want %s", kind)
	}
	equal(t, "kind", connector.KindOf(err), kind)
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("the error does not say %q: %v", s, err)
		}
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if v := connectortest.FindCanary([]byte(e.Error())); v != "" {
			t.Errorf("the error holds a person's value")
		}
	}
}

// TestMissingTableIsNeverNothingHeld: each operation fails, and so does Check.
func TestMissingTableIsNeverNothingHeld(t *testing.T) {
	dsn, _ := database(t, members)
	c := driver(t, dsn, things(`action = "delete"`)+membersWith(`action = "delete"`))
	_, err := c.Locate(t.Context(), task(dsrtest.Ada))
	refused(t, err, connector.Invalid, "table things")
	_, err = c.Export(t.Context(), task(dsrtest.Ada), &sink{})
	refused(t, err, connector.Invalid, "table things")
	_, err = c.ReadBack(t.Context(), task(dsrtest.Ada), connector.Receipt{})
	refused(t, err, connector.Invalid, "table things")
	refused(t, c.(*postgres.Driver).Check(t.Context()), connector.Invalid, "table things")
}

// TestCheckNeedsNobody finds in advance what would fail for every person.
func TestCheckNeedsNobody(t *testing.T) {
	dsn, conn := database(t, members)
	check := func(mapping string) error { return driver(t, dsn, mapping).(*postgres.Driver).Check(t.Context()) }
	if err := check(membersWith(`action = "delete"`)); err != nil {
		t.Errorf("a sound mapping: %v", err)
	}
	refused(t, check(membersWith("action = \"anonymise\"\nset = { email = \"gone\", shade = \"mauve\" }")), connector.Invalid, "column shade")
	exec(t, conn, "CREATE TABLE things (id int PRIMARY KEY, member int REFERENCES members)")
	refused(t, check(membersWith(`action = "delete"`)), connector.Invalid, "table things")
}
