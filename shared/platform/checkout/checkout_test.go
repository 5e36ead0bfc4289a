package checkout_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/writ-dsr/writ/shared/platform/checkout"
)

func TestRootIsTheNearestModule(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	deep := filepath.Join(top, "a", "b")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(deep)
	if dir, err := checkout.Root(); !errors.Is(err, checkout.ErrOutside) {
		t.Errorf("without go.mod: got %q, %v, want ErrOutside", dir, err)
	}
	if err := os.WriteFile(filepath.Join(top, "go.mod"), []byte("module x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if dir, err := checkout.Root(); err != nil || dir != top {
		t.Errorf("got %q, %v, want %q", dir, err, top)
	}
}

func TestALockIsOneHolders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := checkout.Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := checkout.TryLock(path); !errors.Is(err, checkout.ErrLocked) {
		t.Errorf("a second holder: got %v, want ErrLocked", err)
	}
	waiting, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := checkout.Lock(waiting, path); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that ends: got %v, want the end of the context", err)
	}
	unlock()
	again, err := checkout.TryLock(path)
	if err != nil {
		t.Fatalf("after the first holder let go: %v", err)
	}
	again()
}
