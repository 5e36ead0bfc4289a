package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connectors/postgres"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// TestFaultsHaveTheirKind acts out what a server can answer.
func TestFaultsHaveTheirKind(t *testing.T) {
	dsn, conn := database(t, members)
	enrolled := membersWith(`action = "delete"`)
	as := func(dsn, role string) string {
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.User(role)
		return u.String()
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closed.Close() }()
	nowhere := "postgres://writ@" + closed.Addr().String() + "/none?sslmode=disable&connect_timeout=1"
	_ = closed.Close()
	exec(t, conn, "CREATE ROLE faults_reader LOGIN", "GRANT SELECT ON members TO faults_reader", "CREATE ROLE faults_nobody LOGIN",
		"CREATE ROLE faults_hidden LOGIN", "GRANT SELECT, UPDATE, DELETE ON members TO faults_hidden",
		"CREATE ROLE faults_full LOGIN CONNECTION LIMIT 0")
	for name, tc := range map[string]struct {
		dsn  string
		op   dsr.Op
		kind connector.Kind
		says string
	}{
		"no such role":      {as(dsn, "faults_stranger"), dsr.Locate, connector.Unauthorized, "28000"},
		"no such database":  {strings.Replace(dsn, conn.Config().Database, "faults_none", 1), dsr.Locate, connector.Invalid, "3D000"},
		"nobody answers":    {nowhere, dsr.Locate, connector.Unavailable, "connecting"},
		"too many":          {as(dsn, "faults_full"), dsr.Locate, connector.Unavailable, "53300"},
		"no right to read":  {as(dsn, "faults_nobody"), dsr.Locate, connector.Unauthorized, "42501"},
		"no right to erase": {as(dsn, "faults_reader"), dsr.Erase, connector.Unauthorized, "42501"},
	} {
		t.Run(name, func(t *testing.T) {
			c := driver(t, tc.dsn, enrolled)
			var err error
			if tc.op == dsr.Locate {
				_, err = c.Locate(t.Context(), task(dsrtest.Ada))
			} else {
				_, err = c.Erase(t.Context(), task(dsrtest.Ada))
			}
			refused(t, err, tc.kind, tc.says)
		})
	}
	equal(t, "rows", number(t, conn, "SELECT count(*) FROM members"), 2)

	exec(t, conn, "ALTER TABLE members ENABLE ROW LEVEL SECURITY", "CREATE POLICY higher ON members USING (id > 1)")
	_, err = driver(t, as(dsn, "faults_hidden"), enrolled).Locate(t.Context(), task(dsrtest.Ada))
	refused(t, err, connector.Unauthorized, "42501") // never "nothing held"
}

// TestLockedAndSlowEndInTime: a lock somebody holds and a statement that takes
// too long are Unavailable, and leave nothing behind.
func TestLockedAndSlowEndInTime(t *testing.T) {
	dsn, conn := database(t, members)
	cfg := config(dsn, membersWith(`action = "delete"`))
	cfg.Settings = map[string]string{"lock_seconds": "1", "statement_seconds": "2"}
	c, err := postgres.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT * FROM members WHERE id = 1 FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	_, err = c.Erase(t.Context(), task(dsrtest.Ada))
	refused(t, err, connector.Unavailable, "55P03", "members")
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	exec(t, conn, `CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN OLD; END $$;
		CREATE TRIGGER wait BEFORE DELETE ON members FOR EACH ROW EXECUTE FUNCTION wait()`)
	_, err = c.Erase(t.Context(), task(dsrtest.Ada))
	refused(t, err, connector.Unavailable, "57014", "members")
	equal(t, "rows", number(t, conn, "SELECT count(*) FROM members"), 2)
}

// TestCancelledMidway: an export whose sink cancels, and an erasure cancelled
// while it waits, end with the context's error and change nothing.
func TestCancelledMidway(t *testing.T) {
	dsn, conn := database(t, learning)
	enrol(t, conn, dsrtest.Ada)
	c := driver(t, dsn, learningMapping)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := c.Export(ctx, found(t, c, dsrtest.Ada), &sink{onRow: func(json.RawMessage) { cancel() }})
	refused(t, err, connector.Unavailable, "canceled")
	equal(t, "the context's error", errors.Is(err, context.Canceled), true)

	exec(t, conn, `CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN OLD; END $$;
		CREATE TRIGGER wait BEFORE DELETE ON answers FOR EACH ROW EXECUTE FUNCTION wait()`)
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := c.Erase(ctx, task(dsrtest.Ada))
		done <- err
	}()
	for number(t, conn, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()") == 0 {
		select {
		case err := <-done:
			t.Fatalf("the erasure ended before it was cancelled: %v", err)
		default:
		}
	}
	cancel()
	err = <-done
	refused(t, err, connector.Unavailable, "canceled")
	var e *connector.Error
	equal(t, "sent", errors.As(err, &e) && e.Sent, false)
	exec(t, conn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()")
	equal(t, "answers", number(t, conn, "SELECT count(*) FROM answers"), 3)
}

// TestLostCommitIsSaid: when the answer to the commit is lost, the error says
// that the erasure may have happened; the read back tells that it has.
func TestLostCommitIsSaid(t *testing.T) {
	dsn, conn := database(t, learning)
	enrol(t, conn, dsrtest.Ada)
	over, p := through(t, dsn)
	c := driver(t, over, learningMapping)
	tk := found(t, c, dsrtest.Ada)
	p.loseAnswer.Store(true)
	_, err := c.Erase(t.Context(), tk)
	refused(t, err, connector.Unavailable, "committing")
	var e *connector.Error
	equal(t, "sent", errors.As(err, &e) && e.Sent, true)
	equal(t, "answers lost", p.lost.Load(), 1)
	p.loseAnswer.Store(false)
	seen, err := c.ReadBack(t.Context(), tk, connector.Receipt{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "gone", seen.Gone(), true)
	r, err := c.Erase(t.Context(), tk)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "receipt of the second call", outcomes(r), sorted("account anonymised 1; course_progress erased 5; payments kept 2 books; marketing erased 1"))
}

// TestNewRefuses names what is wrong, and repeats no part of a secret.
func TestNewRefuses(t *testing.T) {
	good := config("postgres://app:hunter2@db.internal/app?sslmode=verify-full", membersWith(`action = "delete"`))
	if _, err := postgres.New(good); err != nil {
		t.Errorf("a sound configuration: %v", err)
	}
	for name, tc := range map[string]struct {
		dsn, mapping, setting string
		kind                  connector.Kind
		says                  string
	}{
		"no secret":          {"", "", "", connector.Unauthorized, `"dsn"`},
		"no connection text": {"postgres://app:hunter2@db:port/x", "", "", connector.Invalid, "no connection string"},
		"in clear":           {"postgres://app:hunter2@db.internal/app?sslmode=disable", "", "", connector.Invalid, "without encryption"},
		"perhaps in clear":   {"postgres://app:hunter2@db.internal/app?sslmode=prefer", "", "", connector.Invalid, "without encryption"},
		"second in clear":    {"postgres://app:hunter2@localhost,db.internal/app?sslmode=disable", "", "", connector.Invalid, "without encryption"},
		"unknown setting":    {"", "", "statement_second", connector.Invalid, "statement_second"},
		"setting no number":  {"", "", "lock_seconds", connector.Invalid, "lock_seconds"},
		"no mapping":         {"", "# nothing", "", connector.Invalid, "no table"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			if tc.dsn != "" || name == "no secret" {
				cfg.Secrets = map[string]string{"dsn": tc.dsn}
			}
			if tc.mapping != "" {
				cfg.Mapping = []byte(tc.mapping)
			}
			if tc.setting != "" {
				cfg.Settings = map[string]string{tc.setting: "soon"}
			}
			_, err := postgres.New(cfg)
			refused(t, err, tc.kind, tc.says)
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the error repeats the password")
			}
		})
	}
}
