// Package checkout finds the module's own checkout, for the tools and tests
// that keep what they fetch in its ignored folders.
package checkout

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrOutside says that the working directory lies in no Go module.
var ErrOutside = errors.New("the working directory is in no checkout: run it from there")

// Root is the directory of the nearest go.mod, upwards from the working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the checkout: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", ErrOutside
		}
		dir = filepath.Dir(dir)
	}
}
