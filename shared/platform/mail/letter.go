// Package mail writes the letters Writ sends and hands them to the mail
// service. A letter is built of parts, and its text and its HTML are made from
// the same parts, so that nobody reads less for the program they use.
package mail

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"net/url"
	"strings"
	texttemplate "text/template"
	"unicode"
	"unicode/utf8"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Letter is one mail before it is written out. Lead is the answer in one
// sentence and stands first.
type Letter struct {
	Lang      string // BCP 47; "" for English
	Subject   string
	Lead      string
	Parts     []Part
	Reference string // the request's id, so that a reply can name it
	Footer    string // who sends this and how to reach them; one sentence or two
}

// Part is one paragraph of a letter; what is empty is left out, and what is
// there stands in this order.
type Part struct {
	Heading string
	Text    string // line breaks are kept
	Items   []string
	Code    string // shown big, for typing
	Table   *Table
	Link    *Link
}

// Link leads to a page. Its address is shown in full as well: a person may
// want to read it before following it.
type Link struct {
	Label string
	URL   string
}

// Table is shown as a table in HTML and as one block a row in text.
type Table struct {
	Head []string
	Rows [][]string
}

// Message is a letter written out for one person. Its fields are personal data.
type Message struct {
	To      string
	Subject string
	Text    string
	HTML    string
}

// The longest a subject may be, in bytes, and a letter's text or HTML.
const (
	maxSubject = 200
	maxBody    = 1 << 20
)

//go:embed letter.html letter.txt
var files embed.FS

var (
	asHTML = htmltemplate.Must(htmltemplate.ParseFS(files, "letter.html"))
	asText = texttemplate.Must(texttemplate.New("letter.txt").Funcs(texttemplate.FuncMap{"indent": indent, "head": headOf}).ParseFS(files, "letter.txt"))
)

// Message writes the letter to one address. A line break or another control
// character in the subject or the address, a link that is not http or https,
// and a table whose rows do not fit its head are errors.
func (l Letter) Message(to string) (Message, error) {
	addr, err := dsr.ParseAddress(to)
	if err != nil {
		return Message{}, fmt.Errorf("writing a letter: %w", err)
	}
	l, err = l.clean()
	if err != nil {
		return Message{}, fmt.Errorf("writing a letter: %w", err)
	}
	var text, html bytes.Buffer
	if err := asText.Execute(&text, l); err != nil {
		return Message{}, fmt.Errorf("writing a letter as text: %w", err)
	}
	if err := asHTML.Execute(&html, l); err != nil {
		return Message{}, fmt.Errorf("writing a letter as HTML: %w", err)
	}
	m := Message{To: addr.String(), Subject: l.Subject, Text: text.String(), HTML: html.String()}
	if err := m.check(); err != nil {
		return Message{}, err
	}
	return m, nil
}

// clean returns a copy whose values are text and nothing else.
func (l Letter) clean() (Letter, error) {
	if l.Lang == "" {
		l.Lang = "en"
	}
	if l.Lead == "" {
		return Letter{}, errors.New("it has no opening sentence")
	}
	l.Lead, l.Reference, l.Footer = plain(l.Lead), plain(l.Reference), plain(l.Footer)
	parts := make([]Part, 0, len(l.Parts))
	for i, p := range l.Parts {
		p.Heading, p.Text, p.Code, p.Items = plain(p.Heading), plain(p.Text), plain(p.Code), plainAll(p.Items)
		if p.Link != nil {
			u, err := url.Parse(p.Link.URL)
			if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || strings.ContainsFunc(p.Link.URL, unsafeInLine) {
				return Letter{}, fmt.Errorf("the link of part %d is not an http or https address", i+1)
			}
			p.Link = &Link{Label: plain(p.Link.Label), URL: p.Link.URL}
		}
		if p.Table != nil {
			t := &Table{Head: plainAll(p.Table.Head)}
			for j, row := range p.Table.Rows {
				if len(row) != len(t.Head) {
					return Letter{}, fmt.Errorf("row %d of the table in part %d has %d cells, its head %d", j+1, i+1, len(row), len(t.Head))
				}
				t.Rows = append(t.Rows, plainAll(row))
			}
			p.Table = t
		}
		parts = append(parts, p)
	}
	l.Parts = parts
	return l, nil
}

// check holds what every sender demands of a message, however it was made.
func (m Message) check() error {
	if _, err := dsr.ParseAddress(m.To); err != nil {
		return fmt.Errorf("checking a mail: %w", err)
	}
	switch {
	case strings.TrimSpace(m.Subject) == "":
		return errors.New("checking a mail: it has no subject")
	case len(m.Subject) > maxSubject:
		return fmt.Errorf("checking a mail: its subject is longer than %d bytes", maxSubject)
	case !utf8.ValidString(m.Subject) || strings.ContainsFunc(m.Subject, unsafeInLine):
		return errors.New("checking a mail: its subject has a line break or another control character")
	case m.Text == "" || m.HTML == "":
		return errors.New("checking a mail: its text or its HTML is empty")
	case len(m.Text) > maxBody || len(m.HTML) > maxBody:
		return errors.New("checking a mail: it is longer than 1 MiB")
	}
	return nil
}

// unsafeInLine reports characters that end a line for some reader, or reorder
// what stands around them.
func unsafeInLine(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || reorders(r)
}

// reorders reports the characters that make text read in another order than it
// was written; right-to-left scripts do not need them here.
func reorders(r rune) bool {
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// plain drops what is no text: control characters but the line break, and
// invalid UTF-8.
func plain(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	s = strings.ToValidUTF8(s, "\ufffd")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t', r == '\u2028', r == '\u2029':
			return ' '
		case unicode.IsControl(r), reorders(r):
			return -1
		}
		return r
	}, s))
}

func plainAll(all []string) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = plain(s)
	}
	return out
}

// indent sets the lines after the first under the first.
func indent(s string) string { return strings.ReplaceAll(s, "\n", "\n  ") }

func headOf(t *Table, i int) string { return t.Head[i] }
