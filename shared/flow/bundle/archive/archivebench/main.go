// Command archivebench measures how fast a copy of one GiB of rows is built and
// how much memory its process takes, against an object store in the process:
// what is read repeats one block, what is written is counted and dropped. It
// prints "name value unit" lines.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/connector/export"
	"github.com/writ-dsr/writ/shared/flow/bundle/archive"
)

// The input: parts of one category from one source.
const (
	parts     = 8
	partBytes = 128 << 20
	blockRows = 20_000
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "archivebench:", err)
		os.Exit(1)
	}
}

func run() error {
	s, err := newStore("exports/wbench/shop")
	if err != nil {
		return err
	}
	in := archive.Input{
		Reference: "wbench", Prefix: "bundles/wbench", At: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC),
		Systems: []archive.System{{ID: "shop", Name: "The shop", Exports: []string{"exports/wbench/shop"}}},
	}
	start := time.Now()
	r, err := archive.Build(context.Background(), in, s, s)
	if err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	if r.Rows != s.rows {
		return fmt.Errorf("the copy has %d rows, %d were exported", r.Rows, s.rows)
	}
	peak, err := peakMB()
	if err != nil {
		return err
	}
	fmt.Printf("bundle_1gib_mb_per_s %.1f MB/s\n", float64(s.bytes)/1e6/seconds)
	fmt.Printf("bundle_1gib_rss_mb %.1f MB\n", peak)
	return nil
}

// store is the object storage of the measurement.
type store struct {
	small map[string][]byte
	block []byte
	times int   // the block's repetitions in each part
	rows  int   // of all parts
	bytes int64 // of all parts
}

func newStore(prefix string) (*store, error) {
	s := &store{small: map[string][]byte{}, block: block()}
	s.times = partBytes / len(s.block)
	sum := sha256.New()
	for range s.times {
		sum.Write(s.block)
	}
	put := func(name string, v any) error {
		body, err := json.Marshal(v)
		s.small[prefix+"/"+name] = body
		return err
	}
	for n := range parts {
		g := export.Group{
			Category: "account", Source: "events", Rows: blockRows * s.times, Bytes: int64(len(s.block) * s.times),
			Object: "rows.ndjson", SHA256: hex.EncodeToString(sum.Sum(nil)), Columns: []string{"id", "at", "email", "name", "amount", "active", "note", "tags"},
		}
		s.rows += g.Rows
		s.bytes += g.Bytes
		if err := put(fmt.Sprintf("%06d.json", n), export.Part{V: 1, Number: n, Groups: []export.Group{g}}); err != nil {
			return nil, err
		}
	}
	return s, put("index.json", export.Index{V: 1, Parts: parts})
}

// block makes rows as a shop's database has them: ids, times, words, numbers.
func block() []byte {
	rnd := rand.New(rand.NewPCG(7, 11))
	words := strings.Fields("course lesson quiz score retry finished started payment invoice refund python loops lists classes grüße note =sum , \\\" certificate")
	var out bytes.Buffer
	for n := range blockRows {
		var note strings.Builder
		for range 5 + rnd.IntN(30) {
			note.WriteString(words[rnd.IntN(len(words))])
			note.WriteByte(' ')
		}
		fmt.Fprintf(&out, `{"id":%d,"at":"2026-%02d-%02dT%02d:%02d:00Z","email":"person%d@learner.example","name":"Person %x","amount":%d.%02d,"active":%v,"note":"%s","tags":["%s",%d]}`+"\n",
			n, 1+rnd.IntN(12), 1+rnd.IntN(28), rnd.IntN(24), rnd.IntN(60), rnd.IntN(1e6), rnd.Uint64(), rnd.IntN(500), rnd.IntN(100), rnd.IntN(2) == 0, note.String(), words[rnd.IntN(8)], rnd.IntN(1e6))
	}
	return out.Bytes()
}

// Open reads a small object, or the block again and again.
func (s *store) Open(_ context.Context, key string) (io.ReadCloser, error) {
	if strings.HasSuffix(key, "/rows.ndjson") {
		return io.NopCloser(&repeat{block: s.block, left: s.times}), nil
	}
	body, ok := s.small[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

// Create drops what is written.
func (s *store) Create(context.Context, string) (io.WriteCloser, error) { return dropped{}, nil }

type dropped struct{}

func (dropped) Write(p []byte) (int, error) { return len(p), nil }
func (dropped) Close() error                { return nil }

type repeat struct {
	block []byte
	at    int
	left  int
}

func (r *repeat) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.block[r.at:])
	if r.at += n; r.at == len(r.block) {
		r.at, r.left = 0, r.left-1
	}
	return n, nil
}

// peakMB reads the most memory this process ever had resident.
func peakMB() (float64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("reading the peak of memory: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			var n float64
			if _, err := fmt.Sscanf(kb, "%f kB", &n); err != nil {
				return 0, fmt.Errorf("reading the peak of memory: %w", err)
			}
			return n * 1024 / 1e6, nil
		}
	}
	return 0, fmt.Errorf("reading the peak of memory: this system does not tell it")
}
