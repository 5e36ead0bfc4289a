//go:build e2e

package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// afterwards looks at what all tests left behind.
func (s *Suite) afterwards(ctx context.Context) error {
	return nil
}

// keepLogs saves what the functions logged beside the test's binary's folder,
// for whoever looks for the cause.
func (s *Suite) keepLogs(ctx context.Context) error {
	f, err := os.Create(filepath.Join(os.TempDir(), "writ-e2e-functions.log"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return errors.Join(s.Logs(ctx, f), f.Close())
}
