package export_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/export"
	"github.com/writ-dsr/writ/shared/connector/export/exporttest"
)

const prefix = "exports/w234/shop"

// item is one call of a driver on its sink.
type item struct {
	category, source, row string
	name, body            string // a file when name is set
}

func put(t *testing.T, w *export.Writer, i item) {
	t.Helper()
	var err error
	if i.name != "" {
		err = w.File(context.Background(), i.category, i.source, i.name, strings.NewReader(i.body))
	} else {
		err = w.Row(context.Background(), i.category, i.source, json.RawMessage(i.row))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func seal(t *testing.T, w *export.Writer) {
	t.Helper()
	if err := w.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// content reads an export back, checking every sum on the way: rows and files
// of each category and source, joined over the parts.
func content(t *testing.T, m *exporttest.Memory) map[string]string {
	t.Helper()
	parts, err := export.Read(context.Background(), m, prefix)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	sum := func(name string, size int64, want string) string {
		body := m.Get(export.Key(prefix, name))
		got := sha256.Sum256(body)
		if hex.EncodeToString(got[:]) != want || int64(len(body)) != size {
			t.Errorf("%s is not what its part says", name)
		}
		return string(body)
	}
	for _, p := range parts {
		for _, g := range p.Groups {
			id := g.Category + "/" + g.Source
			if g.Object != "" {
				body := sum(g.Object, g.Bytes, g.SHA256)
				if n := strings.Count(body, "\n"); n != g.Rows {
					t.Errorf("%s has %d rows, its part says %d", g.Object, n, g.Rows)
				}
				all[id] += body
			}
			for _, f := range g.Files {
				all[id+"/files"] += f.Name + "=" + sum(f.Object, f.Bytes, f.SHA256) + "\n"
			}
		}
	}
	return all
}

func items() []item {
	var all []item
	for n := range 60 {
		all = append(all,
			item{category: "account", source: "accounts", row: fmt.Sprintf(`{"id":%d,"name":"n%d"}`, n, n)},
			item{category: "payment.invoice", source: "invoice", row: fmt.Sprintf("{\n \"id\": \"in_%d\", \"lines\": [1, 2]\r\n}", n)})
		if n%7 == 0 {
			all = append(all, item{category: "account", source: "photos", name: fmt.Sprintf("../p%d.jpg", n), body: strings.Repeat("x", n)})
		}
	}
	return all
}

func TestAnyCutsGiveTheSameContent(t *testing.T) {
	all := items()
	var whole exporttest.Memory
	w := export.NewWriter(&whole, prefix, 0)
	for _, i := range all {
		put(t, w, i)
	}
	seal(t, w)
	want := content(t, &whole)
	if want["account/accounts"] == "" || len(want) != 3 {
		t.Fatalf("the uncut export has %d groups", len(want))
	}
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var m exporttest.Memory
		counts := map[string]int{}
		next, done := 0, 0
		for done < len(all) {
			w := export.NewWriter(&m, prefix, next)
			end := min(done+1+rnd.IntN(30), len(all))
			for _, i := range all[done:end] {
				put(t, w, i)
			}
			switch rnd.IntN(3) {
			case 0: // crash before the seal: nothing counts
				w.Abort()
				continue
			case 1: // crash after the seal, before its number was saved: the part is written again
				seal(t, w)
				continue
			}
			seal(t, w)
			for k, n := range w.Counts() {
				counts[k] += n
			}
			next, done = w.Next(), end
		}
		seal(t, export.NewWriter(&m, prefix, next))
		if got := content(t, &m); !maps.Equal(got, want) {
			t.Fatalf("seed %d: the cut export differs from the uncut one", seed)
		}
		parts, err := export.Read(context.Background(), &m, prefix)
		if err != nil || !maps.Equal(export.Counts(parts), counts) || counts["account"] != 60+9 || counts["payment.invoice"] != 60 {
			t.Fatalf("seed %d: counted %v, parts say %v, %v", seed, counts, export.Counts(parts), err)
		}
	}
}

func TestAPartBeyondTheIndexDoesNotCount(t *testing.T) {
	var m exporttest.Memory
	w := export.NewWriter(&m, prefix, 0)
	put(t, w, item{category: "a", source: "s", row: `{"id":1}`})
	seal(t, w)
	put(t, w, item{category: "a", source: "s", row: `{"id":2}`})
	seal(t, w) // its number is never saved, and the second row is gone when the op runs again
	seal(t, export.NewWriter(&m, prefix, 1))
	if got := content(t, &m)["a/s"]; got != "{\"id\":1}\n" {
		t.Errorf("the export reads %q", got)
	}
}

func TestReadFailsClosed(t *testing.T) {
	var m exporttest.Memory
	if _, err := export.Read(context.Background(), &m, prefix); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an export that was never sealed reads as %v", err)
	}
	w := export.NewWriter(&m, prefix, 0)
	put(t, w, item{category: "a", source: "s", row: `{"id":1}`})
	seal(t, w)
	part := m.Get(prefix + "/000000.json")
	for name, body := range map[string]string{"not JSON": "x", "another version": `{"v":2,"number":0,"groups":null}`, "another number": `{"v":1,"number":4,"groups":null}`, "unknown key": `{"v":1,"number":0,"secret":1}`} {
		m.Put(prefix+"/000000.json", []byte(body))
		if _, err := export.Read(context.Background(), &m, prefix); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
	m.Put(prefix+"/000000.json", part)
	m.Delete(prefix + "/000000.json")
	if _, err := export.Read(context.Background(), &m, prefix); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing part reads as %v", err)
	}
}

func TestFailureLeavesTheLastSeal(t *testing.T) {
	down := errors.New("storage down")
	for _, broken := range []string{"000001-00.ndjson", "000001.json", "index.json"} {
		t.Run(broken, func(t *testing.T) {
			var m exporttest.Memory
			w := export.NewWriter(&m, prefix, 0)
			put(t, w, item{category: "a", source: "s", row: `{"id":1}`})
			seal(t, w)
			m.Fail = func(key string) error {
				if strings.HasSuffix(key, "/"+broken) {
					return down
				}
				return nil
			}
			put(t, w, item{category: "a", source: "s", row: `{"id":2}`})
			if err := w.Seal(context.Background()); !errors.Is(err, connector.Unavailable) || !errors.Is(err, down) {
				t.Fatalf("sealing gives %v", err)
			}
			if w.Next() != 1 || w.Counts()["a"] != 1 {
				t.Errorf("next is %d with %d counted", w.Next(), w.Counts()["a"])
			}
			if got := content(t, &m)["a/s"]; got != "{\"id\":1}\n" {
				t.Errorf("the export reads %q", got)
			}
			m.Fail = nil
			put(t, w, item{category: "a", source: "s", row: `{"id":2}`})
			seal(t, w)
			if got := content(t, &m)["a/s"]; got != "{\"id\":1}\n{\"id\":2}\n" {
				t.Errorf("after trying again the export reads %q", got)
			}
		})
	}
}

func TestAbortDropsWhatHasSpilled(t *testing.T) {
	var m exporttest.Memory
	w := export.NewWriter(&m, prefix, 0)
	long := `{"note":"` + strings.Repeat("a", 3<<20) + `"}`
	put(t, w, item{category: "a", source: "s", row: long})
	put(t, w, item{category: "a", source: "t", row: long})
	w.Abort()
	if keys := m.Keys(); len(keys) != 0 {
		t.Errorf("left behind %v", keys)
	}
	broken := errors.New("vendor hung up")
	err := w.File(context.Background(), "a", "s", "x", io.MultiReader(strings.NewReader("half"), iotest.ErrReader(&connector.Error{Kind: connector.Unavailable, Err: broken})))
	if !errors.Is(err, broken) || len(m.Keys()) != 0 {
		t.Errorf("a file cut off by the vendor gives %v and leaves %v", err, m.Keys())
	}
}

func TestRowRefuses(t *testing.T) {
	for name, row := range map[string]string{
		"nothing": "", "array": `[1]`, "text": `"a"`, "half": `{"a":`, "two": `{"a":1}{"b":2}`, "bad escape": `{"a":"\x"}`,
		"deep": `{"a":` + strings.Repeat("[", 5_000_000) + strings.Repeat("]", 5_000_000) + `}`,
		"huge": `{"a":"` + strings.Repeat("a", export.MaxRow) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			var m exporttest.Memory
			err := export.NewWriter(&m, prefix, 0).Row(context.Background(), "a", "s", json.RawMessage(row))
			if !errors.Is(err, connector.Invalid) {
				t.Errorf("taken with %v", err)
			}
		})
	}
	var m exporttest.Memory
	if err := export.NewWriter(&m, prefix, 0).Row(context.Background(), "", "s", json.RawMessage(`{}`)); !errors.Is(err, connector.Invalid) {
		t.Errorf("a row without a category gives %v", err)
	}
}

func TestRowKeepsWhatItIsGiven(t *testing.T) {
	var m exporttest.Memory
	w := export.NewWriter(&m, prefix, 0)
	big := strings.Repeat("ü🙂", 100_000)
	rows := []string{`{"z":1,"a":1.50,"m":-0,"e":1E5}`, `{"text":"<script>=cmd()</script>\u0000שלום","` + "k\u202e" + `":null}`, `{"big":"` + big + `"}`}
	for _, r := range rows {
		put(t, w, item{category: "a", source: "s", row: r})
	}
	put(t, w, item{category: "a", source: "s", row: "{\"bad\":\"\xff\"}"})
	seal(t, w)
	want := strings.Join(append(rows, "{\"bad\":\"\ufffd\"}"), "\n") + "\n"
	if got := content(t, &m)["a/s"]; got != want {
		t.Error("the rows are not the same bytes")
	}
	parts, _ := export.Read(context.Background(), &m, prefix)
	if got := strings.Join(parts[0].Groups[0].Columns, ","); got != "z,a,m,e,text,k\u202e,big,bad" {
		t.Errorf("columns are %q", got)
	}
}

func TestColumnsAreBounded(t *testing.T) {
	var m exporttest.Memory
	w := export.NewWriter(&m, prefix, 0)
	for n := range export.MaxColumns + 5 {
		put(t, w, item{category: "a", source: "s", row: fmt.Sprintf(`{"k%d":1}`, n)})
	}
	put(t, w, item{category: "a", source: "long", row: `{"` + strings.Repeat("k", 1001) + `":1,"a\"b":2}`})
	seal(t, w)
	parts, err := export.Read(context.Background(), &m, prefix)
	if err != nil {
		t.Fatal(err)
	}
	if g := parts[0].Groups[1]; len(g.Columns) != 1 || g.Columns[0] != `a"b` || !g.Uncolumn {
		t.Errorf("columns are %q, beyond %v", g.Columns, g.Uncolumn)
	}
	if g := parts[0].Groups[0]; len(g.Columns) != export.MaxColumns || !g.Uncolumn || g.Rows != export.MaxColumns+5 {
		t.Errorf("%d columns, beyond %v, %d rows", len(g.Columns), g.Uncolumn, g.Rows)
	}
}

func TestForbiddenKindsNeverLeave(t *testing.T) {
	tests := []struct {
		row, want string
		masked    []export.Mask
	}{
		{`{"note":"pay with 4111 1111 1111 1111, thanks"}`, `{"note":"pay with [withheld: card number], thanks"}`, []export.Mask{{Field: "note", Reason: export.CardNumber, Count: 1}}},
		{`{"n":4242424242424242}`, `{"n":"[withheld: card number]"}`, []export.Mask{{Field: "n", Reason: export.CardNumber, Count: 1}}},
		{`{"a":[{"pan":"3782-822463-10005"},{"pan":"5555555555554444"}]}`, `{"a":[{"pan":"[withheld: card number]"},{"pan":"[withheld: card number]"}]}`, []export.Mask{{Field: "a.pan", Reason: export.CardNumber, Count: 2}}},
		{`{"n":"４２４２４２４２４２４２４２４２ x4000056655665556y"}`, `{"n":"[withheld: card number] x[withheld: card number]y"}`, []export.Mask{{Field: "n", Reason: export.CardNumber, Count: 1}}},
		{`{"n":"4111\u00201111\u00a01111\u20101111"}`, `{"n":"[withheld: card number]"}`, []export.Mask{{Field: "n", Reason: export.CardNumber, Count: 1}}},
		{`{"4111111111111111":"x"}`, `{"[withheld: card number]":"x"}`, []export.Mask{{Field: "[withheld: card number]", Reason: export.CardNumber, Count: 1}}},
		{`{"card":{"CVV":"123","cvc_check":"pass"},"Pass-Word":"x","password_hash":{"alg":1}}`, `{"card":{"CVV":"[withheld: card verification code]","cvc_check":"pass"},"Pass-Word":"[withheld: credential]","password_hash":"[withheld: credential]"}`,
			[]export.Mask{{Field: "Pass-Word", Reason: export.Credential, Count: 1}, {Field: "card.CVV", Reason: export.CardCode, Count: 1}, {Field: "password_hash", Reason: export.Credential, Count: 1}}},
		{`{"ssn":"078-05-1120","passportNumber":"X1","ssn_last":null}`, `{"ssn":"[withheld: government id]","passportNumber":"[withheld: government id]","ssn_last":null}`,
			[]export.Mask{{Field: "passportNumber", Reason: export.GovernmentID, Count: 1}, {Field: "ssn", Reason: export.GovernmentID, Count: 1}}},
		// Look-alikes stay: wrong check digit, no issuer, a fraction, a phone number, a UUID, flags, a time in milliseconds.
		{`{"a":"4111111111111112","b":"9999999999999995","c":0.4111111111111111,"d":"+49 30 901820","e":"41111111-1111-4111-8111-111111111111","password":true,"f":1700000000000,"password_changed_at":"2026-01-01"}`, "", nil},
		{`{"list":"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16","password":"","cvc":null}`, "", nil},
	}
	for _, tt := range tests {
		var m exporttest.Memory
		w := export.NewWriter(&m, prefix, 0)
		put(t, w, item{category: "a", source: "s", row: tt.row})
		seal(t, w)
		want := tt.want
		if want == "" {
			want = tt.row
		}
		if got := content(t, &m)["a/s"]; got != want+"\n" {
			t.Errorf("%s\nbecame %swant   %s", tt.row, got, want)
		}
		parts, _ := export.Read(context.Background(), &m, prefix)
		if got := parts[0].Groups[0].Masked; fmt.Sprint(got) != fmt.Sprint(tt.masked) {
			t.Errorf("%s\nmasked %v, want %v", tt.row, got, tt.masked)
		}
	}
}

func FuzzRow(f *testing.F) {
	f.Add([]byte(`{"a":"4111 1111 1111 1111","cvv":1}`))
	f.Add([]byte("{\"a\":\n[1,{\"b\":\"\\ud800\"}]}"))
	f.Fuzz(func(t *testing.T, row []byte) {
		var m exporttest.Memory
		w := export.NewWriter(&m, prefix, 0)
		if err := w.Row(context.Background(), "a", "s", row); err != nil {
			if !errors.Is(err, connector.Invalid) {
				t.Fatal(err)
			}
			return
		}
		seal(t, w)
		line := content(t, &m)["a/s"]
		if strings.Count(line, "\n") != 1 || !json.Valid([]byte(line)) {
			t.Fatalf("%q became %q", row, line)
		}
		var again exporttest.Memory
		w = export.NewWriter(&again, prefix, 0)
		put(t, w, item{category: "a", source: "s", row: strings.TrimSpace(line)})
		seal(t, w)
		if got := content(t, &again)["a/s"]; got != line {
			t.Fatalf("guarding twice changes %q to %q", line, got)
		}
	})
}

func BenchmarkRow(b *testing.B) {
	row := json.RawMessage(`{"id":12345,"email":"someone@learner.example","name":"Some One","course":"python-101","progress":0.4253,"seen_at":"2026-11-22T10:00:00Z","note":"` + strings.Repeat("lorem ipsum ", 20) + `"}`)
	b.SetBytes(int64(len(row)))
	w := export.NewWriter(discard{}, prefix, 0)
	for b.Loop() {
		if err := w.Row(context.Background(), "a", "s", row); err != nil {
			b.Fatal(err)
		}
	}
}

type discard struct{}

func (discard) Create(context.Context, string) (io.WriteCloser, error) {
	return struct {
		io.Writer
		io.Closer
	}{io.Discard, io.NopCloser(bytes.NewReader(nil))}, nil
}
