package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connectors/postgres"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/platform/pgtest"
)

// server is the real PostgreSQL server of this package's tests.
var server *pgtest.Server

func TestMain(m *testing.M) {
	var err error
	if server, err = pgtest.Start(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// databases are those that tests have given back, and how many there are:
// emptying one is many times faster than making one.
var databases struct {
	sync.Mutex
	free []string
	made int
}

// emptied drops all that a test made in a database.
const emptied = `
DO $$ DECLARE s text; BEGIN
    FOR s IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', s);
    END LOOP;
END $$;
CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC`

// database gives an empty database, runs the statements in it, and returns its
// connection string and a connection of the test's own.
func database(t testing.TB, statements ...string) (string, *pgx.Conn) {
	t.Helper()
	databases.Lock()
	defer databases.Unlock()
	var dsn string
	var err error
	if n := len(databases.free); n > 0 {
		dsn, databases.free = databases.free[n-1], databases.free[:n-1]
	} else {
		databases.made++
		if dsn, err = server.Database(t.Context(), fmt.Sprintf("test_%d", databases.made)); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer func() { _ = conn.Close(context.Background()) }()
		_, err := conn.Exec(context.Background(), emptied+"; ALTER DATABASE "+conn.Config().Database+" RESET ALL")
		if err != nil {
			t.Errorf("emptying the database: %v", err)
			return
		}
		databases.Lock()
		defer databases.Unlock()
		databases.free = append(databases.free, dsn)
	})
	exec(t, conn, statements...)
	return dsn, conn
}

func exec(t testing.TB, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := conn.Exec(t.Context(), s); err != nil {
			t.Fatalf("%v in %s", err, s)
		}
	}
}

// number runs a query that answers one number.
func number(t testing.TB, conn *pgx.Conn, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%v in %s", err, sql)
	}
	return n
}

// rows lists what a query answers, each row as text, sorted.
func rows(t testing.TB, conn *pgx.Conn, sql string, args ...any) []string {
	t.Helper()
	r, err := conn.Query(t.Context(), "SELECT q::text FROM ("+sql+") AS q", args...)
	if err != nil {
		t.Fatalf("%v in %s", err, sql)
	}
	all, err := pgx.CollectRows(r, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%v in %s", err, sql)
	}
	slices.Sort(all)
	return all
}

// minus is a without the elements of b, each taken out once.
func minus(a, b []string) []string {
	out := slices.Clone(a)
	for _, x := range b {
		if i := slices.Index(out, x); i >= 0 {
			out = slices.Delete(out, i, i+1)
		}
	}
	return out
}

func config(dsn, mapping string) connector.Config {
	return connector.Config{System: "app", Secrets: map[string]string{"dsn": dsn}, Mapping: []byte(mapping), Emulator: true}
}

func driver(t testing.TB, dsn, mapping string) connector.Connector {
	t.Helper()
	c, err := postgres.New(config(dsn, mapping))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func task(p dsrtest.Person) connector.Task {
	return connector.Task{Key: "w1/app/test", Identities: []dsr.Identity{p.Proved()}}
}

// found is task with the footprint that Locate gives, as it comes back from storage.
func found(t testing.TB, c connector.Connector, p dsrtest.Person) connector.Task {
	t.Helper()
	out := task(p)
	f, err := c.Locate(t.Context(), out)
	if err != nil {
		t.Fatalf("locating: %v", err)
	}
	stored, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(stored, &out.Footprint); err != nil {
		t.Fatal(err)
	}
	return out
}

// outcomes prints a receipt: "category kind count" and the rule or reason, sorted.
func outcomes(r connector.Receipt) string {
	var all []string
	for _, o := range r.Outcomes {
		s := fmt.Sprintf("%s %s %d", o.Category, o.Kind, o.Count)
		if o.Rule+o.Reason != "" {
			s += " " + o.Rule + o.Reason
		}
		all = append(all, s)
	}
	return sorted(strings.Join(all, "; "))
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func equalRows(t testing.TB, what string, got, want []string) {
	t.Helper()
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %d rows, want %d; too many: %v; missing: %v", what, len(got), len(want), minus(got, want), minus(want, got))
	}
}

// sorted orders the parts of a printed receipt.
func sorted(receipt string) string {
	return strings.Join(slices.Sorted(strings.SplitSeq(receipt, "; ")), "; ")
}
