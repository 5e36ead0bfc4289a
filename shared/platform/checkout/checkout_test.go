package checkout_test

import (
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
