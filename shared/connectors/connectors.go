// Package connectors is the shelf: the descriptors of all connectors, without
// linking a vendor.
package connectors

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/writ-dsr/writ/shared/connector"
)

//go:generate go run ./internal/gen

//go:embed */connector.toml
var files embed.FS

// Descriptors reads every connector.toml, by code. A descriptor that does not
// parse, or whose code is not its folder's name, is an error.
func Descriptors() (map[string]connector.Descriptor, error) {
	all := map[string]connector.Descriptor{}
	found, err := fs.Glob(files, "*/connector.toml")
	if err != nil {
		return nil, fmt.Errorf("reading the shelf of connectors: %w", err)
	}
	for _, file := range found {
		text, err := files.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		d, err := connector.ParseDescriptor(text)
		if err != nil {
			return nil, err
		}
		if folder := path.Dir(file); d.Code != folder {
			return nil, fmt.Errorf("reading %s: its code is %q, its folder %q", file, d.Code, folder)
		}
		all[d.Code] = d
	}
	return all, nil
}

// Codes lists the shelf in order.
func Codes(all map[string]connector.Descriptor) []string { return slices.Sorted(maps.Keys(all)) }

// Keeps returns the reasons of the vendors' rules, by connector and rule.
func Keeps() (func(code, rule string) string, error) {
	all, err := Descriptors()
	if err != nil {
		return nil, err
	}
	return func(code, rule string) string {
		for _, k := range all[code].Keeps {
			if k.ID == rule {
				return k.Reason
			}
		}
		return ""
	}, nil
}
