package connectortest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/writ-dsr/writ/shared/connector"
)

// errCrash is what the sink and the progress answer where a run is to die.
var errCrash = errors.New("crash planted by the conformance kit")

// entry is one thing an export wrote.
type entry struct {
	category, source, name string
	row                    []byte // of a file: its content
	file                   bool
}

func (e entry) String() string {
	if e.file {
		return fmt.Sprintf("%s %s file %s %x", e.category, e.source, e.name, sha256.Sum256(e.row))
	}
	return fmt.Sprintf("%s %s %s", e.category, e.source, e.row)
}

// sink records an export as object storage would hold it: what was written
// since the last Save is lost in a crash.
type sink struct {
	entries []entry
	sealed  int // entries that the last Save made safe
	crashAt int // 1-based number of the write that dies; 0 for none
	writes  int
}

// Row keeps one row.
func (s *sink) Row(_ context.Context, category, source string, row json.RawMessage) error {
	var object map[string]any
	if err := json.Unmarshal(row, &object); err != nil {
		return fmt.Errorf("taking a row of %s: it is not one JSON object", source)
	}
	return s.add(entry{category: category, source: source, row: bytes.Clone(row)})
}

// File keeps one file.
func (s *sink) File(_ context.Context, category, source, name string, r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return s.add(entry{category: category, source: source, name: name, row: content, file: true})
}

func (s *sink) add(e entry) error {
	s.writes++
	if s.writes == s.crashAt {
		return errCrash
	}
	s.entries = append(s.entries, e)
	return nil
}

func (s *sink) seal()  { s.sealed = len(s.entries) }
func (s *sink) crash() { s.entries = s.entries[:s.sealed] }

// bytes is the whole export, for comparison.
func (s *sink) bytes() []byte {
	var b bytes.Buffer
	for _, e := range s.entries {
		fmt.Fprintln(&b, e)
	}
	return b.Bytes()
}

// text is what left: rows and names as written, and the content of files.
func (s *sink) text() []byte {
	var b bytes.Buffer
	for _, e := range s.entries {
		fmt.Fprintf(&b, "%s %s %s %s\n", e.category, e.source, e.name, e.row)
	}
	return b.Bytes()
}

// perCategory counts rows and files.
func (s *sink) perCategory() map[string]int {
	n := map[string]int{}
	for _, e := range s.entries {
		n[e.category]++
	}
	return n
}

// progress records Save and cuts where it is told to.
type progress struct {
	cursor  string
	saves   int
	pauseAt int  // pause at this Save, counted from 1; 0 never
	always  bool // pause at every Save
	sink    *sink
}

// Save seals what the sink holds and pauses when its turn has come.
func (p *progress) Save(_ context.Context, cursor string) error {
	p.saves++
	p.cursor = cursor
	if p.sink != nil {
		p.sink.seal()
	}
	if p.always || p.saves == p.pauseAt {
		return connector.ErrPause
	}
	return nil
}
