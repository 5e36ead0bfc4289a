package policy

import (
	"bytes"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Problem is one fault of a company's or regime's file.
type Problem struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Key  string `json:"key"`
	Says string `json:"says"` // what is wrong and what was expected
}

// Error prints the problem as "file:line: key: what is wrong".
func (p Problem) Error() string {
	return fmt.Sprintf("%s:%d: %s: %s", p.File, p.Line, p.Key, p.Says)
}

// Problems is every fault of a set of files, found in one reading.
type Problems []Problem

// Error prints one problem a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// document is one file being read, with the line of each of its keys.
type document struct {
	file     string
	lines    map[string]int // "category[0].name" → line
	broken   bool           // it could not be decoded to its end: what was read means nothing
	problems *Problems
}

// read decodes a file strictly. What it cannot decode becomes problems. After an
// unknown key the caller can go on, so that one reading finds all there is to
// find; a broken document it must not look at.
func read(file string, data []byte, into any, problems *Problems) document {
	d := document{file: file, lines: map[string]int{}, problems: problems}
	if err := d.index(data); err != nil {
		d.broken = true
		d.add(lineOf(data, err), "file", "not well-formed TOML: "+err.Error())
		return d
	}
	decoder := toml.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	var unknown *toml.StrictMissingError
	var broken *toml.DecodeError
	switch {
	case err == nil:
	case errors.As(err, &unknown):
		for _, e := range unknown.Errors {
			row, _ := e.Position()
			d.add(row, strings.Join(e.Key(), "."), "unknown key")
		}
	case errors.As(err, &broken):
		d.broken = true
		row, _ := broken.Position()
		d.add(row, strings.Join(broken.Key(), "."), strings.TrimPrefix(broken.Error(), "toml: "))
	default:
		d.broken = true
		d.add(1, "file", err.Error())
	}
	return d
}

func (d document) add(line int, key, says string) {
	if key == "" {
		key = "file"
	}
	*d.problems = append(*d.problems, Problem{File: d.file, Line: line, Key: key, Says: says})
}

// fault reports a problem of a key, at the key's line or, where the key is
// missing, at the line of the table that should hold it.
func (d document) fault(key, format string, args ...any) {
	d.add(d.line(key), key, fmt.Sprintf(format, args...))
}

func (d document) line(key string) int {
	for k := key; k != ""; {
		if n, ok := d.lines[k]; ok {
			return n
		}
		i := strings.LastIndexAny(k, ".[")
		if i < 0 {
			break
		}
		k = k[:i]
	}
	return 1
}

// index notes the line of every table and key outside inline values.
func (d document) index(data []byte) error {
	var ends []int // offsets of the line ends; the parser's own Shape counts them from the top for every key
	for i, b := range data {
		if b == '\n' {
			ends = append(ends, i)
		}
	}
	line := func(at unstable.Range) int { return 1 + sort.SearchInts(ends, int(at.Offset)) }
	p := unstable.Parser{}
	p.Reset(data)
	counts := map[string]int{} // array of tables → tables so far
	prefix := ""
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			path, at := resolve(e.Key(), "", counts, e.Kind == unstable.ArrayTable)
			prefix = path
			d.lines[path] = line(at)
		case unstable.KeyValue:
			path, at := resolve(e.Key(), prefix, counts, false)
			d.lines[path] = line(at)
		}
	}
	return p.Error()
}

// resolve joins the parts of a key, naming the last table of every array on the
// way; opening counts a new table of the array itself.
func resolve(parts unstable.Iterator, prefix string, counts map[string]int, opening bool) (string, unstable.Range) {
	path := prefix
	var at unstable.Range
	for parts.Next() {
		n := parts.Node()
		if path != "" {
			path += "."
		}
		path += string(n.Data)
		at = n.Raw
		last := parts.IsLast()
		switch {
		case last && opening:
			counts[path]++
			path = fmt.Sprintf("%s[%d]", path, counts[path]-1)
		case counts[path] > 0:
			path = fmt.Sprintf("%s[%d]", path, counts[path]-1)
		}
	}
	return path, at
}

// part cuts out the tables below "<array>.<name>" of each table of an array, as
// TOML of their own, by the index of the table. Everything else is blank, so
// that line numbers stay those of the file, and headers lose the prefix.
func part(data []byte, array, name string) map[int][]byte {
	p := unstable.Parser{}
	p.Reset(data)
	lines := strings.Split(string(data), "\n")
	own := make([]int, len(lines)) // index of the table a line belongs to, or -1
	index, current, from := -1, -1, 0
	mark := func(to int) {
		for ; from < to; from++ {
			own[from] = current
		}
	}
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.Table && e.Kind != unstable.ArrayTable {
			continue
		}
		var keys []string
		line := 0
		for it := e.Key(); it.Next(); {
			if keys == nil {
				line = p.Shape(it.Node().Raw).Start.Line
			}
			keys = append(keys, string(it.Node().Data))
		}
		mark(line - 1)
		current = -1
		switch {
		case len(keys) == 1 && keys[0] == array:
			index++
		case len(keys) > 1 && keys[0] == array && keys[1] == name:
			current = index
			lines[line-1] = header(keys[2:], e.Kind == unstable.ArrayTable)
		}
	}
	mark(len(lines))

	parts := map[int][]byte{}
	for i := range index + 1 {
		var text strings.Builder
		last := -1
		for n, line := range lines {
			if own[n] == i {
				text.WriteString(strings.Repeat("\n", n-max(last, 0)))
				text.WriteString(line)
				last = n
			}
		}
		if last >= 0 {
			parts[i] = []byte(text.String() + "\n")
		}
	}
	return parts
}

// header writes the header of a table; the part's own keys need none.
func header(keys []string, array bool) string {
	if len(keys) == 0 {
		return ""
	}
	quoted := make([]string, len(keys))
	for i, k := range keys {
		quoted[i] = strconv.Quote(k)
	}
	if array {
		return "[[" + strings.Join(quoted, ".") + "]]"
	}
	return "[" + strings.Join(quoted, ".") + "]"
}

func lineOf(data []byte, err error) int {
	var p *unstable.ParserError
	if !errors.As(err, &p) || len(p.Highlight) == 0 {
		return 1
	}
	at := cap(data) - cap(p.Highlight)
	if at < 0 || at > len(data) {
		return 1
	}
	return 1 + bytes.Count(data[:at], []byte("\n"))
}
