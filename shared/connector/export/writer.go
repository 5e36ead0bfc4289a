package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"golang.org/x/sync/errgroup"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// Limits of one export.
const (
	MaxRow     = 16 << 20 // bytes of one row
	MaxColumns = 500      // of one category and source; further keys are in the JSON only
	maxColumn  = 1000     // bytes of a key that can be a column
	spill      = 1 << 20  // bytes of a group kept in memory before its object is opened
	maxMasks   = 200      // fields counted by name; the rest is counted together
	maxGroups  = 100      // of one part: object names have two digits, and each open one costs memory
)

// Writer writes the export of one system: it is the connector.Parts of a
// visit. It is used by one goroutine at a time. After an error nothing of the
// current part is kept, and the Writer is at the state of the last Seal.
type Writer struct {
	store  Creator
	prefix string
	next   int
	counts map[string]int // sealed

	groups []*group
	index  map[[2]string]*group
	part   context.Context // of the objects of the current part; nil before the first
	cancel context.CancelFunc
}

var _ connector.Parts = (*Writer)(nil)

// group is what the current part has of one category and source.
type group struct {
	Group
	number int
	sum    hash.Hash
	buf    []byte
	out    io.WriteCloser // nil until buf has spilled
	seen   map[string]bool
	masked map[Mask]int // Count is zero in the key
}

// NewWriter returns a writer of the parts from number next on, below prefix:
// no slash at its end.
func NewWriter(store Creator, prefix string, next int) *Writer {
	return &Writer{store: store, prefix: prefix, next: next, counts: map[string]int{}, index: map[[2]string]*group{}}
}

// Next returns the number of the part that is written or would be written.
func (w *Writer) Next() int { return w.next }

// Counts returns the rows and files by category that this writer has sealed.
func (w *Writer) Counts() map[string]int { return maps.Clone(w.counts) }

// Row writes one JSON object. What must not leave is masked and counted; text
// that is no UTF-8 has U+FFFD in its place.
func (w *Writer) Row(ctx context.Context, category, source string, row json.RawMessage) error {
	line, err := normal(row)
	if err != nil {
		w.Abort()
		return invalid(err)
	}
	g, err := w.group(category, source)
	if err != nil {
		w.Abort()
		return err
	}
	line = guarded(line, g.mask)
	g.columns(line)
	g.Rows++
	g.Bytes += int64(len(line)) + 1
	g.buf = append(append(g.buf, line...), '\n')
	if len(g.buf) >= spill {
		if err := w.flush(ctx, g); err != nil {
			w.Abort()
			return unavailable("writing rows", err)
		}
	}
	return ctx.Err()
}

// File copies one file into an object of its own.
func (w *Writer) File(ctx context.Context, category, source, name string, r io.Reader) error {
	g, err := w.group(category, source)
	if err != nil {
		w.Abort()
		return err
	}
	f := File{Object: fileName(w.next, g.number, len(g.Files)), Name: strings.ToValidUTF8(name, "\ufffd")}
	if err := w.copy(ctx, &f, r); err != nil {
		w.Abort()
		return err
	}
	g.Files = append(g.Files, f)
	return nil
}

func (w *Writer) copy(ctx context.Context, f *File, r io.Reader) error {
	out, err := w.create(ctx, f.Object)
	if err != nil {
		return unavailable("opening a file", err)
	}
	sum := sha256.New()
	from := &reading{r: r}
	f.Bytes, err = io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(out, sum)}, struct{ io.Reader }{from}, make([]byte, 128<<10))
	if err != nil {
		w.cancel() // drops the object
		_ = out.Close()
		if from.err != nil {
			return from.err // the driver's own error, with its kind
		}
		return unavailable("writing a file", err)
	}
	if err := out.Close(); err != nil {
		return unavailable("writing a file", err)
	}
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// reading tells a reader's error from a writer's.
type reading struct {
	r   io.Reader
	err error
}

func (r *reading) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// Seal completes the current part: its content, then what it holds, then the
// index that makes it count. A part with nothing in it is not written, but the
// index is: it says that the export ends here.
func (w *Writer) Seal(ctx context.Context) error {
	if err := w.seal(ctx); err != nil {
		w.Abort()
		return unavailable("sealing a part", err)
	}
	return nil
}

func (w *Writer) seal(ctx context.Context) error {
	next := w.next
	if len(w.groups) > 0 {
		var all errgroup.Group
		all.SetLimit(4)
		w.open(ctx)
		for _, g := range w.groups {
			if g.Rows > 0 {
				all.Go(func() error { return w.finish(ctx, g) })
			}
		}
		if err := all.Wait(); err != nil {
			return err
		}
		part := Part{V: version, Number: w.next}
		for _, g := range w.groups {
			part.Groups = append(part.Groups, g.Group)
		}
		if err := w.put(ctx, partKey(w.prefix, w.next), part); err != nil {
			return err
		}
		next++
	}
	if err := w.put(ctx, indexKey(w.prefix), Index{V: version, Parts: next}); err != nil {
		return err
	}
	for _, g := range w.groups {
		w.counts[g.Category] += g.Rows + len(g.Files)
	}
	w.next = next
	w.Abort() // nothing is left to drop
	return nil
}

// Abort drops what was not sealed.
func (w *Writer) Abort() {
	if w.cancel != nil {
		w.cancel()
	}
	for _, g := range w.groups {
		if g.out != nil {
			_ = g.out.Close() // after the cancel: frees what the object held
		}
	}
	w.groups, w.part, w.cancel = nil, nil, nil
	clear(w.index)
}

func (w *Writer) group(category, source string) (*group, error) {
	id := [2]string{category, source}
	if g, ok := w.index[id]; ok {
		return g, nil
	}
	if category == "" || source == "" || !utf8.ValidString(category+source) {
		return nil, invalid(errors.New("a row or file came without a category or source"))
	}
	if len(w.groups) == maxGroups {
		return nil, invalid(fmt.Errorf("an export has more than %d categories and sources", maxGroups))
	}
	g := &group{
		Group: Group{Category: category, Source: source}, number: len(w.groups),
		sum: sha256.New(), seen: map[string]bool{}, masked: map[Mask]int{},
	}
	w.groups = append(w.groups, g)
	w.index[id] = g
	return g, nil
}

// open makes the context of the current part's objects. Cancelling it is what
// drops them, hence it must outlive the call that opened the first.
func (w *Writer) open(ctx context.Context) {
	if w.part == nil {
		w.part, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	}
}

func (w *Writer) create(ctx context.Context, name string) (io.WriteCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w.open(ctx)
	return w.store.Create(w.part, objectKey(w.prefix, name))
}

// flush moves what a group holds in memory to its object.
func (w *Writer) flush(ctx context.Context, g *group) (err error) {
	if g.out == nil {
		g.Object = rowsName(w.next, g.number)
		if g.out, err = w.create(ctx, g.Object); err != nil {
			return err
		}
	}
	g.sum.Write(g.buf) // never fails
	_, err = g.out.Write(g.buf)
	g.buf = g.buf[:0]
	return err
}

func (w *Writer) finish(ctx context.Context, g *group) error {
	if err := w.flush(ctx, g); err != nil {
		return err
	}
	err := g.out.Close()
	g.out = nil
	g.SHA256 = hex.EncodeToString(g.sum.Sum(nil))
	g.Masked = nil
	for m, n := range g.masked {
		m.Count = n
		g.Masked = append(g.Masked, m)
	}
	slices.SortFunc(g.Masked, func(a, b Mask) int {
		return strings.Compare(a.Field+"\x00"+string(a.Reason), b.Field+"\x00"+string(b.Reason))
	})
	return err
}

func (w *Writer) put(ctx context.Context, key string, v any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, err := w.store.Create(ctx, key)
	if err != nil {
		return err
	}
	if _, err := out.Write(body); err != nil {
		cancel()
		_ = out.Close()
		return err
	}
	return out.Close()
}

func (g *group) mask(field string, r Reason) {
	m := Mask{Field: field, Reason: r}
	if _, known := g.masked[m]; !known && len(g.masked) >= maxMasks {
		m.Field = "(other fields)"
	}
	g.masked[m]++
}

// columns notes the row's keys that were not seen before.
func (g *group) columns(row string) {
	gjson.Parse(row).ForEach(func(k, _ gjson.Result) bool {
		if g.seen[k.Str] {
			return true
		}
		if len(g.Columns) == MaxColumns || len(k.Str) > maxColumn {
			g.Uncolumn = true
			return true
		}
		name := strings.Clone(k.Str) // the row must not live as long as its keys
		g.seen[name] = true
		g.Columns = append(g.Columns, name)
		return true
	})
}

// normal returns the row as one line of valid UTF-8.
func normal(row []byte) (string, error) {
	if len(row) > MaxRow {
		return "", fmt.Errorf("a row is longer than %d MiB", MaxRow>>20)
	}
	if tooDeep(row) {
		return "", errDeep
	}
	if !utf8.Valid(row) {
		row = bytes.ToValidUTF8(row, []byte("\ufffd"))
	}
	row = bytes.TrimSpace(row)
	if len(row) == 0 || row[0] != '{' || !gjson.ValidBytes(row) {
		return "", errNotObject
	}
	if bytes.ContainsAny(row, "\r\n") { // between tokens only: inside a string they are escaped
		var line bytes.Buffer
		if err := json.Compact(&line, row); err != nil {
			return "", errNotObject
		}
		row = line.Bytes()
	}
	return string(row), nil
}

func invalid(err error) error {
	return &connector.Error{Kind: connector.Invalid, Op: dsr.Export, Err: fmt.Errorf("writing the export: %w", err)}
}

func unavailable(doing string, err error) error {
	return &connector.Error{Kind: connector.Unavailable, Op: dsr.Export, Err: fmt.Errorf("writing the export: %s: %w", doing, err)}
}
