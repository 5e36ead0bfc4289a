package archive

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/connector/export"
)

// Manifest says what a copy holds: for a program, and for whoever checks it.
type Manifest struct {
	V          int               `json:"v"`
	Reference  string            `json:"reference"`
	Controller string            `json:"controller"`
	ReceivedAt time.Time         `json:"received_at,omitzero"`
	ReadAt     time.Time         `json:"read_at"`
	Formats    map[string]string `json:"formats"`
	ZIP        int               `json:"zip"`         // number of the ZIP this manifest is in
	Last       bool              `json:"last"`        // this one covers the whole copy; the others what their ZIP holds
	Rows       int               `json:"rows"`        // of the whole copy
	FileCount  int               `json:"files_count"` // of the whole copy
	Page       string            `json:"index_sha256,omitempty"`
	Systems    []ManifestSystem  `json:"systems,omitempty"`
	Files      []*Entry          `json:"files"`
}

// ManifestSystem says how one system took part, whether or not it is in the copy.
type ManifestSystem struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Exported bool              `json:"exported"`
	Outcomes []ManifestOutcome `json:"outcomes"`
	Sets     []ManifestSet     `json:"sets"`
}

// ManifestOutcome is the ledger's outcome of one category.
type ManifestOutcome struct {
	Category string `json:"category"`
	Outcome  string `json:"outcome"`
	Count    int    `json:"count,omitempty"`
	Says     string `json:"says,omitempty"`
}

// ManifestSet is what one system gave of one category from one source.
type ManifestSet struct {
	Category    string        `json:"category"`
	Source      string        `json:"source"`
	Rows        int           `json:"rows"`
	Files       int           `json:"files"`
	Withheld    []export.Mask `json:"withheld,omitempty"`
	MoreColumns bool          `json:"more_columns,omitempty"` // the CSV leaves keys out that the JSON has
}

// Entry is one file of a ZIP.
type Entry struct {
	Name     string `json:"name"`
	ZIP      int    `json:"zip"`
	Kind     string `json:"kind"`
	System   string `json:"system"`
	Category string `json:"category"`
	Source   string `json:"source"`
	Rows     int    `json:"rows"`
	Bytes    int64  `json:"bytes"`
	SHA256   string `json:"sha256"`
	Piece    int    `json:"piece"`                   // 1, 2 … of what goes on in a further ZIP
	Original string `json:"original_name,omitempty"` // of a file, as the system has it
}

func newManifest(in Input) Manifest {
	m := Manifest{
		V: 1, Reference: in.Reference, Controller: in.Company.Name, ReceivedAt: in.ReceivedAt.UTC(), ReadAt: in.At.UTC(),
		Formats: map[string]string{
			KindJSON: "UTF-8, one array, one row a line, keys in the system's order",
			KindCSV:  "UTF-8, RFC 4180, first line names the columns; nested values are JSON; an apostrophe stands before text that a spreadsheet would compute",
			KindFile: "as the system holds it; pieces of one file are joined in the order of their numbers",
		},
	}
	if in.ReceivedAt.IsZero() {
		m.ReceivedAt = time.Time{}
	}
	for _, s := range in.Systems {
		ms := ManifestSystem{ID: s.ID, Name: s.Name, Exported: len(s.Exports) > 0, Outcomes: []ManifestOutcome{}, Sets: []ManifestSet{}}
		for _, o := range s.Outcomes {
			ms.Outcomes = append(ms.Outcomes, ManifestOutcome{Category: o.Category, Outcome: o.Kind, Count: o.Count, Says: o.Says})
		}
		m.Systems = append(m.Systems, ms)
	}
	return m
}

// note records an entry that is complete.
func (m *Manifest) note(e *Entry) { m.Files = append(m.Files, e) }

// add counts a set that is complete. What was written must be what the parts
// say, twice for rows, once for files.
func (m *Manifest) add(system int, s *set) error {
	if n := rowsOf(s.json); n != s.rows {
		return fmt.Errorf("%d rows as JSON, %d in the export: %w", n, s.rows, ErrMismatch)
	}
	if n := rowsOf(s.csv); n != s.rows {
		return fmt.Errorf("%d rows as CSV, %d in the export: %w", n, s.rows, ErrMismatch)
	}
	m.Rows += s.rows
	m.FileCount += len(s.files)
	ms := &m.Systems[system]
	ms.Sets = append(ms.Sets, ManifestSet{
		Category: s.category, Source: s.source, Rows: s.rows, Files: len(s.files), Withheld: s.masked, MoreColumns: s.beyond,
	})
	return nil
}

func rowsOf(pieces []*Entry) int {
	n := 0
	for _, e := range pieces {
		n += e.Rows
	}
	return n
}

// of returns the manifest to put into one ZIP.
func (m *Manifest) of(zip int, last bool) Manifest {
	out := *m
	out.ZIP, out.Last = zip, last
	if !last {
		out.Systems, out.Rows, out.FileCount = nil, 0, 0
		out.Files = slices.DeleteFunc(slices.Clone(m.Files), func(e *Entry) bool { return e.ZIP != zip })
	}
	if out.Files == nil {
		out.Files = []*Entry{}
	}
	return out
}

func (m Manifest) encode() ([]byte, error) {
	body, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, fmt.Errorf("writing the manifest: %w", err)
	}
	return append(body, '\n'), nil
}
