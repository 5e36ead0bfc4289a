// Package person acts as the people Writ deals with do: a data subject who
// fills the form, reads mail, types codes and downloads the bundle, and an employee who
// answers a task. It has a browser that knows forms and links only, as a person
// without JavaScript has, so that a page without the right form fails here.
package person

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// Browser fetches pages and follows no redirect by itself.
type Browser struct {
	OptOut bool // sends the opt-out preference signal with everything
	client *http.Client
}

// NewBrowser makes a browser without history, cookies or cache.
func NewBrowser() *Browser {
	return &Browser{client: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Page is an answer as the browser got it.
type Page struct {
	URL    *url.URL
	Status int
	Header http.Header
	Body   []byte

	browser *Browser
	root    *html.Node
}

// Get opens an address.
func (b *Browser) Get(ctx context.Context, address string) (*Page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("opening a page: %w", err)
	}
	return b.do(req)
}

func (b *Browser) do(req *http.Request) (*Page, error) {
	if b.OptOut {
		req.Header.Set("Sec-GPC", "1")
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("opening a page: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading a page: %w", err)
	}
	p := &Page{URL: req.URL, Status: resp.StatusCode, Header: resp.Header, Body: body, browser: b}
	if p.root, err = html.Parse(bytes.NewReader(body)); err != nil {
		return nil, fmt.Errorf("reading a page: %w", err)
	}
	return p, nil
}

// Text is what the page says, without markup, blanks folded.
func (p *Page) Text() string { return text(p.root) }

// Element is the text of the element with an id; ok says whether there is one.
func (p *Page) Element(id string) (s string, ok bool) {
	n := find(p.root, func(n *html.Node) bool { return attr(n, "id") == id })
	if n == nil {
		return "", false
	}
	return text(n), true
}

// Heading is the page's first heading.
func (p *Page) Heading() string {
	if n := find(p.root, func(n *html.Node) bool { return n.Data == "h1" }); n != nil {
		return text(n)
	}
	return ""
}

// Links are the addresses the page leads to.
func (p *Page) Links() []string {
	var links []string
	walk(p.root, func(n *html.Node) {
		if n.Data == "a" && attr(n, "href") != "" {
			links = append(links, attr(n, "href"))
		}
	})
	return links
}

// Form is a form of a page, with the values the page gave it.
type Form struct {
	page    *Page
	action  *url.URL
	method  string
	known   []string // names of the fields
	choices map[string][]string
	values  url.Values
}

// Forms are the page's forms, in order.
func (p *Page) Forms() ([]*Form, error) {
	var forms []*Form
	var errs []error
	walk(p.root, func(n *html.Node) {
		if n.Data != "form" {
			return
		}
		action, err := p.URL.Parse(attr(n, "action"))
		if err != nil {
			errs = append(errs, fmt.Errorf("reading the action of a form: %w", err))
			return
		}
		f := &Form{page: p, action: action, method: strings.ToUpper(attr(n, "method")), choices: map[string][]string{}, values: url.Values{}}
		walk(n, f.field)
		forms = append(forms, f)
	})
	return forms, errors.Join(errs...)
}

// Form is the first form that has a field of that name.
func (p *Page) Form(field string) (*Form, error) {
	forms, err := p.Forms()
	if err != nil {
		return nil, err
	}
	for _, f := range forms {
		if slices.Contains(f.known, field) {
			return f, nil
		}
	}
	return nil, fmt.Errorf("the page %q (%d, %d forms) has no form with a field %q", p.Heading(), p.Status, len(forms), field)
}

func (f *Form) field(n *html.Node) {
	name := attr(n, "name")
	if name == "" || (n.Data != "input" && n.Data != "textarea" && n.Data != "select" && n.Data != "button") {
		return
	}
	f.known = append(f.known, name)
	switch kind := attr(n, "type"); {
	case n.Data == "select":
		f.options(name, n)
	case n.Data == "textarea":
		f.values.Set(name, rawText(n))
	case n.Data == "button" || kind == "submit":
		f.choices[name] = append(f.choices[name], attr(n, "value"))
	case kind == "checkbox" || kind == "radio":
		f.choices[name] = append(f.choices[name], attr(n, "value"))
		if hasAttr(n, "checked") {
			f.values.Add(name, attr(n, "value"))
		}
	default:
		f.values.Add(name, attr(n, "value"))
	}
}

func (f *Form) options(name string, list *html.Node) {
	chosen := false
	walk(list, func(n *html.Node) {
		if n.Data != "option" {
			return
		}
		value := attr(n, "value")
		if !hasAttr(n, "value") {
			value = text(n)
		}
		if len(f.choices[name]) == 0 || (hasAttr(n, "selected") && !chosen) {
			f.values.Set(name, value)
		}
		chosen = chosen || hasAttr(n, "selected")
		f.choices[name] = append(f.choices[name], value)
	})
}

// Set fills a field, or presses the button of that name. A field that the form
// lacks, or a choice that it does not offer, is an error: a person could not do it.
func (f *Form) Set(name string, values ...string) error {
	if !slices.Contains(f.known, name) {
		return fmt.Errorf("filling the form on %q: it has no field %q", f.page.Heading(), name)
	}
	if offered, isChoice := f.choices[name]; isChoice {
		for _, v := range values {
			if !slices.Contains(offered, v) {
				return fmt.Errorf("filling the form on %q: field %q offers %q only", f.page.Heading(), name, offered)
			}
		}
	}
	f.values[name] = values
	return nil
}

// Submit sends the form and returns the answer.
func (f *Form) Submit(ctx context.Context) (*Page, error) {
	if f.method != http.MethodPost {
		return nil, fmt.Errorf("sending the form on %q: its method is %q, and only a POST may change anything", f.page.Heading(), f.method)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.action.String(), strings.NewReader(f.values.Encode()))
	if err != nil {
		return nil, fmt.Errorf("sending a form: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return f.page.browser.do(req)
}

func walk(n *html.Node, visit func(*html.Node)) {
	for c := range n.Descendants() {
		if c.Type == html.ElementNode {
			visit(c)
		}
	}
}

func find(n *html.Node, match func(*html.Node) bool) *html.Node {
	for c := range n.Descendants() {
		if c.Type == html.ElementNode && match(c) {
			return c
		}
	}
	return nil
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttr(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func text(n *html.Node) string { return strings.Join(strings.Fields(rawText(n)), " ") }

func rawText(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode && (c.Parent == nil || (c.Parent.Data != "style" && c.Parent.Data != "script")) {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}

// Facts are the page's lists of terms: each term's text with its description's.
func (p *Page) Facts() map[string]string {
	facts := map[string]string{}
	term := ""
	walk(p.root, func(n *html.Node) {
		switch n.Data {
		case "dt":
			term = text(n)
		case "dd":
			facts[term] = text(n)
		}
	})
	return facts
}

// Post sends a body that no form of ours made, as a program does.
func (b *Browser) Post(ctx context.Context, address, contentType, body string) (*Page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("sending a form: %w", err)
	}
	req.Header.Set("Content-Type", contentType)
	return b.do(req)
}

// Action is where the form is sent.
func (f *Form) Action() *url.URL { return f.action }
