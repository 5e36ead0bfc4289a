package pgtest_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/writ-dsr/writ/shared/platform/pgtest"
)

func TestServerServesAndLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	// The uid that runs the server under root has to pass through it.
	for _, dir := range []string{temp, filepath.Dir(temp)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("TMPDIR", temp)
	ctx := t.Context()
	s, err := pgtest.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Stop() }()

	one, err := s.Database(ctx, "one")
	if err != nil {
		t.Fatal(err)
	}
	two, err := s.Database(ctx, "two")
	if err != nil {
		t.Fatal(err)
	}
	exec(t, one, "CREATE TABLE rows (id int); INSERT INTO rows SELECT generate_series(1, 3)")
	exec(t, two, "CREATE TABLE rows (id int)")
	if a, b := count(t, one), count(t, two); a != 3 || b != 0 {
		t.Errorf("got %d and %d rows, want 3 and 0: databases of one server must not share tables", a, b)
	}

	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("a second Stop: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(temp, "writ-pgdata-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := pgx.Connect(ctx, one); err == nil {
		t.Error("the server still answers after Stop")
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	s, err := pgtest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Stop() }()
	u, err := url.Parse(s.DSN())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	second, err := pgtest.StartOn(t.Context(), port)
	if err == nil {
		_ = second.Stop()
		t.Fatal("two servers on one port")
	}
	if !strings.Contains(err.Error(), u.Port()) {
		t.Errorf("the error %q does not name the port %s", err, u.Port())
	}
}

func exec(t *testing.T, dsn, sql string) {
	t.Helper()
	conn := connect(t, dsn)
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, dsn string) (n int) {
	t.Helper()
	if err := connect(t, dsn).QueryRow(t.Context(), "SELECT count(*) FROM rows").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}
