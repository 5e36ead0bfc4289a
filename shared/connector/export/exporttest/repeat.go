package exporttest

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
	"strings"

	"github.com/writ-dsr/writ/shared/connector/export"
)

// Repeat is an object store that holds one large export without the memory for
// it: its rows are one block, read again and again, and what is written is
// dropped. It is for measuring.
type Repeat struct {
	Rows  int   // of the export
	Bytes int64 // of the export

	small map[string][]byte
	block []byte
	times int // the block's repetitions in each part
}

// rowsObject is the one object of rows that every part names.
const rowsObject = "rows.ndjson"

// NewRepeat returns a store with an export of so many parts below prefix, each
// of about partBytes.
func NewRepeat(prefix string, parts, partBytes int) *Repeat {
	const blockRows = 20_000
	r := &Repeat{small: map[string][]byte{}, block: shopRows(blockRows)}
	r.times = max(1, partBytes/len(r.block))
	sum := sha256.New()
	for range r.times {
		sum.Write(r.block)
	}
	g := export.Group{
		Category: "account", Source: "events", Rows: blockRows * r.times, Bytes: int64(len(r.block) * r.times),
		Object: rowsObject, SHA256: hex.EncodeToString(sum.Sum(nil)), Columns: []string{"id", "at", "email", "name", "amount", "active", "note", "tags"},
	}
	for n := range parts {
		r.Rows += g.Rows
		r.Bytes += g.Bytes
		r.put(fmt.Sprintf("%s/%06d.json", prefix, n), export.Part{V: 1, Number: n, Groups: []export.Group{g}})
	}
	r.put(prefix+"/index.json", export.Index{V: 1, Parts: parts})
	return r
}

func (r *Repeat) put(key string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain structs always marshal
	}
	r.small[key] = body
}

// shopRows makes rows as a shop's database has them: ids, times, words, numbers.
func shopRows(n int) []byte {
	rnd := rand.New(rand.NewPCG(7, 11))
	words := strings.Fields(`course lesson quiz score retry finished started payment invoice refund python loops lists classes grüße note =sum , \" certificate`)
	var out bytes.Buffer
	for id := range n {
		var note strings.Builder
		for range 5 + rnd.IntN(30) {
			note.WriteString(words[rnd.IntN(len(words))])
			note.WriteByte(' ')
		}
		fmt.Fprintf(&out, `{"id":%d,"at":"2026-%02d-%02dT%02d:%02d:00Z","email":"person%d@learner.example","name":"Person %x","amount":%d.%02d,"active":%v,"note":"%s","tags":["%s",%d]}`+"\n",
			id, 1+rnd.IntN(12), 1+rnd.IntN(28), rnd.IntN(24), rnd.IntN(60), rnd.IntN(1e6), rnd.Uint64(), rnd.IntN(500), rnd.IntN(100), rnd.IntN(2) == 0, note.String(), words[rnd.IntN(8)], rnd.IntN(1e6))
	}
	return out.Bytes()
}

// Open reads a small object, or the block again and again.
func (r *Repeat) Open(_ context.Context, key string) (io.ReadCloser, error) {
	if strings.HasSuffix(key, "/"+rowsObject) {
		return io.NopCloser(&repeating{block: r.block, left: r.times}), nil
	}
	body, ok := r.small[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

// Create drops what is written.
func (r *Repeat) Create(context.Context, string) (io.WriteCloser, error) { return dropped{}, nil }

type dropped struct{}

func (dropped) Write(p []byte) (int, error) { return len(p), nil }
func (dropped) Close() error                { return nil }

type repeating struct {
	block []byte
	at    int
	left  int
}

func (r *repeating) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.block[r.at:])
	if r.at += n; r.at == len(r.block) {
		r.at, r.left = 0, r.left-1
	}
	return n, nil
}
