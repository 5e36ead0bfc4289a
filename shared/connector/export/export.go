// Package export is how the rows and files of one system lie in object storage
// between the visit that exported them and the bundle that carries them to the
// person.
//
// Everything of a system lies under one prefix, exports/<request>/<system>/:
//
//	000000-00.ndjson    rows of part 0: one object for each category and source
//	000000-00-f000.bin  a file of part 0
//	000000.json         what part 0 holds: Part; written after its content
//	index.json          how many parts count: Index; written last by each Seal
//
// Names depend on nothing but the part's number and the order of what is in
// it, so a part that was cut off by a crash is written over by the next try.
// What lies under a number that the index does not count is of no account.
// However often an export is cut, the rows of one category and source, read
// part after part, are the same bytes.
package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Creator is the object storage that an export is written to. What is written
// becomes visible when Close returns nil, and not at all when ctx is cancelled
// before; Close must be called in both cases.
type Creator interface {
	Create(ctx context.Context, key string) (io.WriteCloser, error)
}

// Opener is the object storage that an export is read from.
type Opener interface {
	Open(ctx context.Context, key string) (io.ReadCloser, error)
}

// version of the layout.
const version = 1

// Index says how many parts an export has.
type Index struct {
	V     int `json:"v"`
	Parts int `json:"parts"`
}

// Part says what one part holds. It is personal data.
type Part struct {
	V      int     `json:"v"`
	Number int     `json:"number"`
	Groups []Group `json:"groups"`
}

// Group is what one part holds of one category from one source.
type Group struct {
	Category string   `json:"category"`
	Source   string   `json:"source"`
	Rows     int      `json:"rows"`
	Object   string   `json:"object,omitempty"` // name of the NDJSON below the prefix; "" without rows
	Bytes    int64    `json:"bytes"`
	SHA256   string   `json:"sha256,omitempty"`
	Columns  []string `json:"columns,omitempty"` // top-level keys in first-seen order, at most MaxColumns
	Uncolumn bool     `json:"uncolumned,omitempty"`
	Files    []File   `json:"files,omitempty"`
	Masked   []Mask   `json:"masked,omitempty"`
}

// File is one copied file.
type File struct {
	Object string `json:"object"`
	Name   string `json:"name"` // the original name: shown, never used as a path
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Mask counts the values of one field that were withheld.
type Mask struct {
	Field  string `json:"field"` // dotted path; list positions are left out
	Reason Reason `json:"reason"`
	Count  int    `json:"count"`
}

func indexKey(prefix string) string        { return prefix + "/index.json" }
func partKey(prefix string, n int) string  { return fmt.Sprintf("%s/%06d.json", prefix, n) }
func rowsName(part, group int) string      { return fmt.Sprintf("%06d-%02d.ndjson", part, group) }
func fileName(part, group, n int) string   { return fmt.Sprintf("%06d-%02d-f%03d.bin", part, group, n) }
func objectKey(prefix, name string) string { return prefix + "/" + name }

// Key returns where an object that a Part names lies.
func Key(prefix, name string) string { return objectKey(prefix, name) }

// Uploads returns the prefix of the files that a person added for a system: they
// lie beside what the system's API gave, so that neither overwrites the other.
func Uploads(prefix string) string { return prefix + "/uploads" }

// Read returns the parts of an export in order. An export that was never
// sealed, a part that is missing or one of another version is an error.
func Read(ctx context.Context, from Opener, prefix string) ([]Part, error) {
	var index Index
	if err := readJSON(ctx, from, indexKey(prefix), &index); err != nil {
		return nil, fmt.Errorf("reading the index of an export: %w", err)
	}
	if index.V != version || index.Parts < 0 {
		return nil, fmt.Errorf("reading the index of an export: version %d with %d parts, known is version %d", index.V, index.Parts, version)
	}
	parts := make([]Part, index.Parts)
	for n := range parts {
		if err := readJSON(ctx, from, partKey(prefix, n), &parts[n]); err != nil {
			return nil, fmt.Errorf("reading part %d of an export: %w", n, err)
		}
		if parts[n].V != version || parts[n].Number != n {
			return nil, fmt.Errorf("reading part %d of an export: it says version %d, number %d", n, parts[n].V, parts[n].Number)
		}
	}
	return parts, nil
}

// Counts adds up rows and files by category.
func Counts(parts []Part) map[string]int {
	counts := map[string]int{}
	for _, p := range parts {
		for _, g := range p.Groups {
			counts[g.Category] += g.Rows + len(g.Files)
		}
	}
	return counts
}

func readJSON(ctx context.Context, from Opener, key string, into any) error {
	r, err := from.Open(ctx, key)
	if err != nil {
		return err
	}
	defer r.Close()
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		// The decoder's text may quote what it read.
		return errors.New("it is not what was written")
	}
	return nil
}
