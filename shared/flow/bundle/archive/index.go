package archive

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// What is shown on the page itself; everything is in the files.
const (
	sampleRows  = 25        // a set with more rows is linked, not shown
	sampleBytes = 256 << 10 // of all rows shown, before markup
	sampleCell  = 400       // runes of one value
	wide        = 6         // columns from which rows are shown one below the other
	listedFiles = 100       // files linked for each set
)

//go:embed index.html style.css
var pageFiles embed.FS

var (
	pageStyle = mustRead("style.css")
	page      = template.Must(template.New("index.html").Funcs(template.FuncMap{"day": day, "plural": plural, "inc": func(n int) int { return n + 1 }}).ParseFS(pageFiles, "index.html"))
)

func mustRead(name string) string {
	b, err := pageFiles.ReadFile(name)
	if err != nil {
		panic(err) // the file is part of the program
	}
	return string(b)
}

// pageData is what the template shows.
type pageData struct {
	Input
	Style     template.CSS
	StyleHash template.HTMLAttr
	Lead      string
	Rows      int
	Files     int
	ZIPs      int
	Kinds     []kindData
	Missing   []missingData
	Withheld  []withheldData
	Nothing   []string // systems that hold nothing
}

// kindData is one data category that the copy has something of.
type kindData struct {
	Category
	Anchor string
	Sets   []setData
}

type setData struct {
	System  string
	From    string // where the system's data come from
	Source  string
	Rows    int
	JSON    []linkData
	CSV     []linkData
	Files   []linkData
	More    int // files that are not listed
	Columns []string
	Table   [][]string // rows of at most `wide` columns
	Cards   [][]cell   // rows of more
	Remark  []string
}

type linkData struct {
	Label string
	Href  string
	ZIP   int // 0 when the copy is one ZIP
}

type cell struct{ Name, Value string }

type missingData struct{ System, Category, Says string }

type withheldData struct {
	System, Field, What string
	Count               int
}

// index writes the page that a person reads.
func (b *builder) index() ([]byte, error) {
	sum := sha256.Sum256([]byte(pageStyle))
	d := pageData{
		Input: b.Input, Rows: b.result.Rows, Files: b.result.Files, ZIPs: b.number,
		Style:     template.CSS(pageStyle),
		StyleHash: template.HTMLAttr("content=\"default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'\""),
	}
	for _, c := range b.kinds() {
		d.Kinds = append(d.Kinds, b.kind(c))
	}
	for _, s := range b.Systems {
		quiet := len(s.Outcomes) > 0
		for _, o := range s.Outcomes {
			if o.Kind != "not_held" {
				quiet = false
			}
			if o.Says != "" {
				d.Missing = append(d.Missing, missingData{System: s.Name, Category: b.categoryName(o.Category), Says: o.Says})
			}
		}
		if quiet {
			d.Nothing = append(d.Nothing, s.Name)
		}
	}
	for _, s := range b.sets {
		for _, m := range s.masked {
			d.Withheld = append(d.Withheld, withheldData{System: s.system.Name, Field: m.Field, What: strings.ReplaceAll(string(m.Reason), "_", " "), Count: m.Count})
		}
	}
	d.Lead = b.lead(d)
	var out bytes.Buffer
	if err := page.Execute(&out, d); err != nil {
		return nil, fmt.Errorf("writing the page: %w", err)
	}
	return out.Bytes(), nil
}

func (b *builder) lead(d pageData) string {
	if d.Rows == 0 && d.Files == 0 {
		if len(d.Missing) > 0 {
			return fmt.Sprintf("We found no data about you that we could copy at %s; what could not be read is listed below.", b.Company.Name)
		}
		return fmt.Sprintf("%s holds no data about you in the systems that were searched.", b.Company.Name)
	}
	systems := map[string]bool{}
	for _, s := range b.sets {
		systems[s.system.ID] = true
	}
	lead := fmt.Sprintf("This is the copy of your data that %s holds: %s", b.Company.Name, plural(d.Rows, "record"))
	if d.Files > 0 {
		lead += " and " + plural(d.Files, "file")
	}
	lead += " from " + plural(len(systems), "system")
	if len(d.Missing) > 0 {
		lead += "; what is not in it is listed below"
	}
	return lead + "."
}

// kinds lists the categories with content: those of the pack in its order, then
// any other in the order they came.
func (b *builder) kinds() []Category {
	var all []Category
	has := func(id string) bool {
		return slices.ContainsFunc(b.sets, func(s *set) bool { return s.category == id })
	}
	for _, c := range b.Categories {
		if has(c.ID) {
			all = append(all, c)
		}
	}
	for _, s := range b.sets {
		if !slices.ContainsFunc(all, func(c Category) bool { return c.ID == s.category }) {
			all = append(all, Category{ID: s.category, Name: b.categoryName(s.category)})
		}
	}
	return all
}

func (b *builder) categoryName(id string) string {
	for _, c := range b.Categories {
		if c.ID == id {
			return c.Name
		}
	}
	return strings.ReplaceAll(id, "_", " ")
}

func (b *builder) kind(c Category) kindData {
	k := kindData{Category: c, Anchor: "data-" + safe(c.ID)}
	for _, s := range b.sets {
		if s.category == c.ID {
			k.Sets = append(k.Sets, b.set(s))
		}
	}
	return k
}

func (b *builder) set(s *set) setData {
	d := setData{System: s.system.Name, From: s.system.Source, Source: s.source, Rows: s.rows, JSON: b.links(s.json), CSV: b.links(s.csv)}
	files := b.links(s.copies)
	for i := range files {
		if name := s.copies[i].Original; name != "" {
			files[i].Label = cut(name)
		}
	}
	d.Files, d.More = files[:min(len(files), listedFiles)], max(0, len(files)-listedFiles)
	for _, o := range s.system.Outcomes {
		if o.Category == s.category && o.Kind == "attested" {
			d.Remark = append(d.Remark, "A person at the company collected this by hand.")
		}
	}
	if s.beyond {
		d.Remark = append(d.Remark, "The CSV leaves out some columns; the JSON has all of them.")
	}
	if len(s.sample) == 0 {
		return d
	}
	for _, row := range s.sample {
		cells := fields(row, s.columns)
		if len(s.columns) > wide {
			d.Cards = append(d.Cards, slices.DeleteFunc(cells, func(c cell) bool { return c.Value == "" }))
			continue
		}
		line := make([]string, len(cells))
		for i, c := range cells {
			line[i] = c.Value
		}
		d.Table = append(d.Table, line)
	}
	if d.Table != nil {
		d.Columns = make([]string, len(s.columns))
		for i, c := range s.columns {
			d.Columns[i] = cut(c)
		}
	}
	return d
}

func (b *builder) links(entries []*Entry) []linkData {
	links := make([]linkData, len(entries))
	for i, e := range entries {
		links[i] = linkData{Label: e.Name, Href: (&url.URL{Path: e.Name}).EscapedPath()}
		if b.number > 1 {
			links[i].ZIP = e.ZIP
		}
	}
	return links
}

// fields reads one row in the order of the columns.
func fields(row string, columns []string) []cell {
	values := map[string]gjson.Result{}
	gjson.Parse(row).ForEach(func(k, v gjson.Result) bool {
		values[k.Str] = v
		return true
	})
	cells := make([]cell, len(columns))
	for i, c := range columns {
		v := values[c]
		cells[i].Name = cut(c)
		switch v.Type {
		case gjson.Null:
		case gjson.String:
			cells[i].Value = cut(v.Str)
		default:
			cells[i].Value = cut(v.Raw)
		}
	}
	return cells
}

// cut shortens a value for the page and makes the characters that reorder or
// hide text visible.
func cut(s string) string {
	n := 0
	for i := range s {
		if n++; n > sampleCell {
			return visible(s[:i]) + " … (the whole text is in the files)"
		}
	}
	return visible(s)
}

func visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069', r == 0:
			return '\ufffd'
		}
		return r
	}, s)
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
