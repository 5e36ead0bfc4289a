// Command exportbench measures how long the export of one person's 100,000 rows
// takes from a real PostgreSQL server, through the runner and the export's
// writer, and how much memory its process takes. What is written is counted and
// dropped. It prints "name value unit" lines.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/export"
	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/connectors/postgres"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/platform/pgtest"
)

// rows of the one person; as many belong to another.
const rows = 100_000

const schema = `
CREATE TABLE accounts (id bigserial PRIMARY KEY, email text, name text);
CREATE TABLE course_progress (
	id bigserial PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts, course text NOT NULL, score int, watched int, updated_at timestamptz NOT NULL
);
CREATE INDEX ON accounts (email);
CREATE INDEX ON course_progress (account_id);`

const mapping = `
[[table]]
table = "accounts"
category = "account"
owner = { column = "email", identity = "email" }
columns = ["id", "email", "name"]
action = "anonymise"
null = ["email", "name"]

[[table]]
table = "course_progress"
category = "course_progress"
path = ["account_id -> accounts(id)"]
columns = ["id", "course", "score", "watched", "updated_at"]
action = "delete"
`

// dsnVariable tells the process that is measured where the server is.
const dsnVariable = "EXPORTBENCH_DSN"

func main() {
	run := serve
	if os.Getenv(dsnVariable) != "" {
		run = measure
	}
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "exportbench:", err)
		os.Exit(1)
	}
}

// serve starts the server, fills it, and starts this program anew to be
// measured without any of that.
func serve(ctx context.Context) (err error) {
	server, err := pgtest.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	conn, err := pgx.Connect(ctx, server.DSN())
	if err != nil {
		return err
	}
	for _, sql := range []string{schema, fill(dsrtest.Ada), fill(dsrtest.Ben), "ANALYZE"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return errors.Join(fmt.Errorf("filling the database: %w", err), conn.Close(ctx))
		}
	}
	if err := conn.Close(ctx); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.CommandContext(ctx, self)
	child.Env = append(os.Environ(), dsnVariable+"="+server.DSN())
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	return child.Run()
}

func fill(p dsrtest.Person) string {
	return fmt.Sprintf(`WITH a AS (INSERT INTO accounts (email, name) VALUES ('%s', '%s') RETURNING id)
		INSERT INTO course_progress (account_id, course, score, watched, updated_at)
		SELECT id, 'Course ' || g, g %% 100, g, timestamptz '2026-03-02 09:30+00' + g * interval '1 minute' FROM a, generate_series(1, %d) AS g`, p.Email, p.Name, rows)
}

func measure(ctx context.Context) error {
	shelf, err := connectors.Descriptors()
	if err != nil {
		return err
	}
	driver, err := postgres.New(connector.Config{
		System: "app", Secrets: map[string]string{"dsn": os.Getenv(dsnVariable)}, Mapping: []byte(mapping), Emulator: true,
	})
	if err != nil {
		return err
	}
	store := &drop{}
	runner := connector.Runner{Connector: driver, Descriptor: shelf["postgres"], Journal: &journal{}, Now: time.Now, Reserve: time.Minute}
	start := time.Now()
	answer, err := runner.Visit(ctx, connector.Errand{
		Visit: dsr.Visit{
			RequestID: "wbench", System: "app", Phase: dsr.Gather, Ops: []dsr.Op{dsr.Locate, dsr.Export}, Categories: []string{"account", "course_progress"},
		},
		Identities: []dsr.Identity{dsrtest.Ada.Proved()},
		Box:        open{},
		Parts:      func(next int) connector.Parts { return export.NewWriter(store, "exports/wbench/app", next) },
		Decide:     func(o dsr.Outcome) dsr.Outcome { return o },
	})
	if err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	if n := answer.Found.Counts["course_progress"]; answer.Status != connector.Done || n != rows || store.bytes < rows*50 {
		return fmt.Errorf("the visit ended %q with %d rows and %d bytes, want done with %d rows", answer.Status, n, store.bytes, rows)
	}
	peak, err := peakMB()
	if err != nil {
		return err
	}
	fmt.Printf("export_100k_rows_s %.2f s\n", seconds)
	fmt.Printf("export_100k_rows_rss_mb %.1f MB\n", peak)
	return nil
}

// drop is an object store that counts what it is given.
type drop struct{ bytes int64 }

func (d *drop) Create(context.Context, string) (io.WriteCloser, error) { return d, nil }

func (d *drop) Write(p []byte) (int, error) {
	d.bytes += int64(len(p))
	return len(p), nil
}

func (d *drop) Close() error { return nil }

// journal takes every checkpoint.
type journal struct{}

func (*journal) SaveVisit(context.Context, dsr.Visit) error                         { return nil }
func (*journal) BeginErasing(context.Context, dsr.Visit, []string, time.Time) error { return nil }
func (*journal) Append(context.Context, dsr.Event) error                            { return nil }

// open is a box without a lock.
type open struct{}

func (open) Seal(plain []byte, _ string) []byte           { return plain }
func (open) Open(sealed []byte, _ string) ([]byte, error) { return sealed, nil }

// peakMB reads the most memory this process ever had resident.
func peakMB() (float64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("reading the peak of memory: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			var n float64
			if _, err := fmt.Sscanf(kb, "%f kB", &n); err != nil {
				return 0, fmt.Errorf("reading the peak of memory: %w", err)
			}
			return n * 1024 / 1e6, nil
		}
	}
	return 0, errors.New("reading the peak of memory: this system does not tell it")
}
