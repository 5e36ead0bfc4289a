package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

//go:embed connector.toml
var descriptor []byte

// Descriptor returns what connector.toml declares.
func Descriptor() (connector.Descriptor, error) { return connector.ParseDescriptor(descriptor) }

// Driver acts on one database. Each operation opens a connection of its own
// and closes it: a driver holds nothing between calls.
type Driver struct {
	mapping   Mapping
	entries   []*entry
	conn      *pgx.ConnConfig
	statement time.Duration // longest statement of a transaction that locks rows
	lock      time.Duration // longest wait for a lock
}

var _ connector.Connector = (*Driver)(nil)

// exportLimit is how long the query of one table may stream: as long as the
// function that runs it may live.
const exportLimit = 15 * time.Minute

// New binds a driver to the system's database and mapping. It connects to nothing.
func New(cfg connector.Config) (connector.Connector, error) {
	d, err := open(cfg)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func open(cfg connector.Config) (*Driver, error) {
	words, err := Descriptor()
	if err != nil {
		return nil, err
	}
	if err := cfg.CheckSettings(words); err != nil {
		return nil, err
	}
	m, err := ParseMapping(cfg.Mapping)
	if err != nil {
		return nil, invalid("", "%s of system %q", err, cfg.System)
	}
	d := &Driver{mapping: m}
	if d.entries, err = compile(m); err != nil {
		return nil, invalid("", "%s of system %q", err, cfg.System)
	}
	if d.statement, err = seconds(cfg, "statement_seconds", 60); err != nil {
		return nil, err
	}
	if d.lock, err = seconds(cfg, "lock_seconds", 5); err != nil {
		return nil, err
	}
	dsn, err := cfg.Secret("dsn")
	if err != nil {
		return nil, err
	}
	if d.conn, err = pgx.ParseConfig(dsn); err != nil {
		// The parser repeats parts of the string, and the string holds a password.
		return nil, invalid("", `reading secret "dsn" of system %q: it is no connection string; store postgres://role:password@host/database?sslmode=verify-full`, cfg.System)
	}
	if err := encrypted(&d.conn.Config); err != nil {
		return nil, invalid("", `reading secret "dsn" of system %q: %w`, cfg.System, err)
	}
	d.conn.DefaultQueryExecMode = pgx.QueryExecModeExec // poolers keep no prepared statement
	d.conn.StatementCacheCapacity, d.conn.DescriptionCacheCapacity = 0, 0
	if d.conn.ConnectTimeout == 0 {
		d.conn.ConnectTimeout = 10 * time.Second
	}
	if d.conn.RuntimeParams["application_name"] == "" {
		d.conn.RuntimeParams["application_name"] = "writ"
	}
	return d, nil
}

func seconds(cfg connector.Config, key string, absent int) (time.Duration, error) {
	text, ok := cfg.Settings[key]
	if !ok {
		return time.Duration(absent) * time.Second, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 900 {
		return 0, invalid("", "reading the settings of system %q: %s must be a number of seconds from 1 to 900", cfg.System, key)
	}
	return time.Duration(n) * time.Second, nil
}

// encrypted refuses a connection that would carry rows in clear over a network.
func encrypted(c *pgconn.Config) error {
	clear := c.TLSConfig == nil && !local(c.Host)
	for _, f := range c.Fallbacks {
		clear = clear || f.TLSConfig == nil && !local(f.Host)
	}
	if clear {
		return errors.New("it allows a connection without encryption; add sslmode=verify-full")
	}
	return nil
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return strings.HasPrefix(host, "/") || host == "localhost" || ip != nil && ip.IsLoopback()
}

// Check compares the mapping with the database: every table and column exists,
// what is overwritten can be, and nothing unmapped hangs on rows that are
// deleted. It changes nothing.
func (d *Driver) Check(ctx context.Context) error {
	return d.read(ctx, dsr.Locate, d.statement, func(ctx context.Context, s *session) error {
		if err := s.checkErasable(); err != nil {
			return err
		}
		for _, p := range dsr.Purposes() {
			if err := s.checkMarks(p); err != nil {
				return err
			}
		}
		return s.checkValues(ctx)
	})
}

// session is one operation's transaction.
type session struct {
	op      dsr.Op
	tx      pgx.Tx
	cat     *catalogue
	entries []*entry
	task    connector.Task     // names the categories that are acted upon
	found   values             // set by match
	known   map[string][]tuple // read back only: keys from the footprint
	named   map[string][]tuple // a correction of an address: the rows it is for
}

// read runs do in a read-only transaction on one snapshot.
func (d *Driver) read(ctx context.Context, op dsr.Op, limit time.Duration, do func(context.Context, *session) error) error {
	return d.transact(ctx, op, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, limit, do)
}

// write runs do in a transaction in which each statement sees what is committed
// when it starts: rows are locked first, so that nothing changes between a
// check and what relies on it.
func (d *Driver) write(ctx context.Context, op dsr.Op, do func(context.Context, *session) error) error {
	return d.transact(ctx, op, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}, d.statement, do)
}

func (d *Driver) transact(ctx context.Context, op dsr.Op, opts pgx.TxOptions, limit time.Duration, do func(context.Context, *session) error) (err error) {
	conn, err := pgx.ConnectConfig(ctx, d.conn.Copy())
	if err != nil {
		return fault(op, "connecting to the database", err)
	}
	defer func() {
		// The context may be over; saying goodbye must not hang either.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(end) // rolls back what is not committed
	}()
	tx, err := conn.BeginTx(ctx, opts)
	if err != nil {
		return fault(op, "beginning a transaction", err)
	}
	s := &session{op: op, tx: tx, entries: d.entries}
	if err := s.prepare(ctx, limit, d.lock, opts.AccessMode == pgx.ReadWrite); err != nil {
		return err
	}
	if err := do(ctx, s); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		failed := fault(op, "committing", err)
		var e *connector.Error
		var server *pgconn.PgError
		if errors.As(failed, &e) && opts.AccessMode == pgx.ReadWrite && !errors.As(err, &server) && !errors.Is(err, pgx.ErrTxCommitRollback) {
			e.Sent = true // the server may have committed before the answer was lost
		}
		return failed
	}
	return nil
}

// prepare sets what makes answers the same everywhere, then reads and checks
// the catalogue. Tables that will be changed are locked against changes of their
// definition first, so that what is checked stays true.
func (s *session) prepare(ctx context.Context, limit, lock time.Duration, write bool) error {
	var encoding string
	err := s.tx.QueryRow(ctx, `
SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true),
       set_config('idle_in_transaction_session_timeout', $3, true), set_config('row_security', 'off', true),
       set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO, YMD', true), set_config('intervalstyle', 'iso_8601', true),
       set_config('bytea_output', 'hex', true), set_config('extra_float_digits', '1', true), current_setting('server_encoding')`,
		milliseconds(limit), milliseconds(lock), milliseconds(exportLimit)).
		Scan(nil, nil, nil, nil, nil, nil, nil, nil, nil, &encoding)
	if err != nil {
		return fault(s.op, "setting time limits", err)
	}
	if encoding != "UTF8" {
		return invalid(s.op, "reading the database: its encoding is %s and only UTF8 can be copied faithfully", encoding)
	}
	if s.cat, err = readCatalogue(ctx, s.tx, s.entries); err != nil {
		return fault(s.op, "reading the catalogue", err)
	}
	if err := s.checkExists(); err != nil || !write {
		return err
	}
	for _, e := range s.entries {
		if !e.writes() {
			continue
		}
		if _, err := s.tx.Exec(ctx, "LOCK TABLE "+e.name.sql()+" IN ROW EXCLUSIVE MODE"); err != nil {
			return fault(s.op, "locking table "+e.name.String(), err)
		}
	}
	if s.cat, err = readCatalogue(ctx, s.tx, s.entries); err != nil {
		return fault(s.op, "reading the catalogue", err)
	}
	return s.checkExists()
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }
