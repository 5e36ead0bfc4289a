package archive

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzCell holds what a cell must be whatever the value: it reads back as the
// value, or as the value behind an apostrophe; it never starts a formula; and
// the line stays one line of as many cells.
func FuzzCell(f *testing.F) {
	for _, s := range []string{"", "a", "=1", " =1", "\t=1", "＝1", "a,b", `say "hi"`, "a\r\nb", "\x00=1", "\ufeff@x", "-5", "’", "שלום", strings.Repeat("x\n", 100)} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return // an export holds valid UTF-8 only
		}
		table := newTable([]string{key, key + "2"})
		row, err := json.Marshal(map[string]any{key: value, key + "2": 7})
		if err != nil {
			t.Fatal(err)
		}
		text := append(append([]byte{}, table.head()...), table.line(row)...)
		lines, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
		if err != nil || len(lines) != 2 || len(lines[0]) != 2 || len(lines[1]) != 2 || lines[1][1] != "7" {
			t.Fatalf("%q reads as %q, %v", text, lines, err)
		}
		for i, want := range []string{key, value} {
			got := lines[i][0]
			want = strings.ReplaceAll(strings.ReplaceAll(want, "\x00", "\ufffd"), "\r\n", "\n") // the reader's own change
			if plain, marked := strings.CutPrefix(got, "'"); got != want && (!marked || plain != want) {
				t.Fatalf("%q reads back as %q", want, got)
			}
			if computes(got) {
				t.Fatalf("%q would be computed", got)
			}
		}
	})
}

func TestNumbersStayNumbers(t *testing.T) {
	table := newTable([]string{"a", "b", "c", "d"})
	if got := string(table.line([]byte(`{"d":{"x":"=1"},"a":-5,"b":"-5","z":1,"c":true}`))); got != "-5,\"'-5\",true,\"{\"\"x\"\":\"\"=1\"\"}\"\r\n" {
		t.Errorf("the line is %q", got)
	}
	if got := string(table.line([]byte(`{"c":null}`))); got != ",,,\r\n" {
		t.Errorf("a row without values, after one with all, is %q", got)
	}
}

func TestNamesAreOurs(t *testing.T) {
	for word, want := range map[string]string{
		"Users": "users", "../../etc/passwd": "etc-passwd", "": "other", "...": "other", "CON": "x-con", "com1": "x-com1", "grüße 🙂": "gr--e", "-a-": "a",
		strings.Repeat("a", 300): strings.Repeat("a", 60), "payment.invoice": "payment-invoice", `a\b:c*d?"<>|`: "a-b-c-d",
	} {
		if got := safe(word); got != want {
			t.Errorf("%q becomes %q, want %q", word, got, want)
		}
	}
	n := names{}
	if a, b, c := n.take("x"), n.take("x"), n.take("x-2"); a != "x" || b != "x-2" || c == b {
		t.Errorf("took %s, %s, %s", a, b, c)
	}
	for name, want := range map[string]string{"a.PDF": "pdf", "a.html": "bin", "a.svg": "bin", "a.exe": "bin", "a": "png", "a.csv": "bin"} {
		if got, _ := ending(name, []byte("\x89PNG\x0d\x0a\x1a\x0a")); got != want {
			t.Errorf("%s ends in %s, want %s", name, got, want)
		}
	}
}
