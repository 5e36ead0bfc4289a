package policy

import (
	"bytes"
	"errors"
	"fmt"
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
	problems *Problems
}

// read decodes a file strictly. What it cannot decode becomes problems; the
// caller goes on with what it has, so that one reading finds as much as it can.
func read(file string, data []byte, into any, problems *Problems) document {
	d := document{file: file, lines: map[string]int{}, problems: problems}
	if err := d.index(data); err != nil {
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
		row, _ := broken.Position()
		d.add(row, strings.Join(broken.Key(), "."), strings.TrimPrefix(broken.Error(), "toml: "))
	default:
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
			d.lines[path] = p.Shape(at).Start.Line
		case unstable.KeyValue:
			path, at := resolve(e.Key(), prefix, counts, false)
			d.lines[path] = p.Shape(at).Start.Line
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
// TOML of their own: other lines are blank, so that line numbers stay those of
// the file, and headers lose the prefix.
func part(data []byte, array, name string) map[int][]byte {
	p := unstable.Parser{}
	p.Reset(data)
	type header struct{ line, index int }
	var headers []header
	index := -1
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.Table && e.Kind != unstable.ArrayTable {
			continue
		}
		var keys []string
		var at unstable.Range
		for it := e.Key(); it.Next(); {
			if keys == nil {
				at = it.Node().Raw
			}
			keys = append(keys, string(it.Node().Data))
		}
		h := header{line: p.Shape(at).Start.Line, index: -1}
		if len(keys) == 1 && keys[0] == array && e.Kind == unstable.ArrayTable {
			index++
		}
		if len(keys) > 1 && keys[0] == array && keys[1] == name {
			h.index = index
		}
		headers = append(headers, h)
	}

	lines := strings.Split(string(data), "\n")
	out := map[int][]byte{}
	for i, h := range headers {
		if h.index < 0 {
			continue
		}
		end := len(lines)
		if i+1 < len(headers) {
			end = headers[i+1].line - 1
		}
		own := strings.Split(string(out[h.index]), "\n")
		for len(own) < h.line {
			own = append(own, "")
		}
		head := lines[h.line-1]
		head = strings.Replace(head, "["+array+"."+name+".", "[", 1)
		if strings.Contains(head, "["+array+"."+name+"]") {
			head = "" // the part's own top-level keys follow
		}
		own[h.line-1] = head
		own = append(own, lines[h.line:end]...)
		out[h.index] = []byte(strings.Join(own, "\n"))
	}
	return out
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
