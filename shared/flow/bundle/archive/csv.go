package archive

import (
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// table turns rows into lines of CSV (RFC 4180), one column for each key of
// the set. Nested values are their JSON; null is an empty cell.
type table struct {
	columns []string
	at      map[string]int
	cells   []gjson.Result
	out     []byte // the line that is made; used again for the next
}

func newTable(columns []string) *table {
	t := &table{columns: columns, at: make(map[string]int, len(columns)), cells: make([]gjson.Result, len(columns))}
	for i, c := range columns {
		t.at[c] = i
	}
	return t
}

func (t *table) head() []byte {
	out := []byte{}
	for i, c := range t.columns {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendCell(out, c, true)
	}
	if len(out) == 0 {
		out = append(out, `""`...)
	}
	return append(out, "\r\n"...)
}

// line returns one row; it is valid until the next call. Keys that are no
// column are left out: the JSON has them.
func (t *table) line(row []byte) []byte {
	clear(t.cells)
	next := 0 // rows of one source mostly have the same keys in the same order
	gjson.Parse(string(row)).ForEach(func(k, v gjson.Result) bool {
		i := next
		if i >= len(t.columns) || t.columns[i] != k.Str {
			found, ok := t.at[k.Str]
			if !ok {
				return true
			}
			i = found
		}
		t.cells[i] = v
		next = i + 1
		return true
	})
	out := t.out[:0]
	for i, v := range t.cells {
		if i > 0 {
			out = append(out, ',')
		}
		switch v.Type {
		case gjson.Null:
		case gjson.String:
			out = appendCell(out, v.Str, true)
		default: // numbers, true, false, nested JSON: nothing a spreadsheet computes
			out = appendCell(out, v.Raw, false)
		}
	}
	if len(out) == 0 {
		out = append(out, `""`...) // one empty cell must not become an empty line
	}
	t.out = append(out, "\r\n"...)
	return t.out
}

// appendCell adds one cell, quoted where it must be. Text that a spreadsheet
// would compute gets an apostrophe in front, which shows it as text.
func appendCell(out []byte, s string, text bool) []byte {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\ufffd") // many readers end the cell, or the file, there
	}
	formula := text && computes(s)
	if !formula && !needsQuotes(s) {
		return append(out, s...)
	}
	out = append(out, '"')
	if formula {
		out = append(out, '\'')
	}
	for {
		i := strings.IndexByte(s, '"')
		if i < 0 {
			break
		}
		out = append(append(out, s[:i+1]...), '"')
		s = s[i+1:]
	}
	return append(append(out, s...), '"')
}

func needsQuotes(s string) bool {
	if s == "" {
		return false
	}
	// One fast search a byte: long cells are the ones that cost.
	return strings.IndexByte(s, ',') >= 0 || strings.IndexByte(s, '"') >= 0 || strings.IndexByte(s, '\n') >= 0 ||
		strings.IndexByte(s, '\r') >= 0 || strings.IndexByte(s, ';') >= 0 || strings.IndexByte(s, '\t') >= 0 ||
		s[0] == ' ' || s[len(s)-1] == ' '
}

// computes reports text that a spreadsheet might take for a formula: it starts,
// after blanks that programs skip, with = + - @ in half or full width, or it
// starts with a tab, a line break or a NUL, which some programs drop before
// they look.
func computes(s string) bool {
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		switch r {
		case '=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n', '\ufffd':
			return true
		case ' ', '\u00a0', '\u2007', '\u202f', '\u3000', '\u200b', '\u200c', '\u200d', '\u2060', '\ufeff', '\u200e', '\u200f':
			s = s[n:]
		default:
			return false
		}
	}
	return false
}
