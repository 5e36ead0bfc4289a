package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

//go:embed layout/*
var layout embed.FS

// Response is an answer before it becomes API Gateway's.
type Response struct {
	Status int
	Header map[string]string
	Body   []byte
}

// Event returns the answer as API Gateway takes it; a body that is not text
// goes as base64.
func (r Response) Event() events.APIGatewayProxyResponse {
	ev := events.APIGatewayProxyResponse{StatusCode: r.Status, Headers: r.Header}
	if utf8.Valid(r.Body) {
		ev.Body = string(r.Body)
	} else {
		ev.Body, ev.IsBase64Encoded = base64.StdEncoding.EncodeToString(r.Body), true
	}
	return ev
}

// Redirect sends the browser on with a GET (303). A location with a line break
// or another control character is a fault of ours and answered as one.
func Redirect(location string) Response {
	if location == "" || strings.ContainsFunc(location, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return fault(http.StatusInternalServerError, false)
	}
	r := Response{Status: http.StatusSeeOther, Header: headers("text/plain; charset=utf-8", nil)}
	r.Header["Location"] = location
	return r
}

// View is what a page shows. Lead is the answer in one sentence: it stands
// first on every page.
type View struct {
	Lang     string // BCP 47; "" for English
	Title    string
	Lead     string
	Problems []Problem // what the person must mend, each linked to its field
	Targets  []string  // further origins that a form's answer may redirect to, such as the bucket's
	Data     any

	Site Site // set by Templates
}

// Problem is one thing to mend. Field is the id of an element on the page.
type Problem struct {
	Field string
	Text  string
}

// Site is what the layout says about who runs the pages.
type Site struct {
	Company string // as the person knows it
	Contact string // the address that answers questions
}

// Problem returns what is wrong with a field, or "".
func (v View) Problem(field string) string {
	for _, p := range v.Problems {
		if p.Field == field {
			return p.Text
		}
	}
	return ""
}

// At returns the problem of a field for the template "problem".
func (v View) At(field string) Problem { return Problem{Field: field, Text: v.Problem(field)} }

// Invalid returns the attributes that tie a field to its hints, ids of elements
// on the page, and to its problem if it has one.
func (v View) Invalid(field string, hints ...string) template.HTMLAttr {
	attr := v.Described(field, hints...)
	if v.Problem(field) != "" {
		attr = `aria-invalid="true" ` + attr
	}
	return attr
}

// Described is Invalid for a group of fields, which can be described and not
// be invalid.
func (v View) Described(field string, hints ...string) template.HTMLAttr {
	if v.Problem(field) != "" {
		hints = append(hints[:len(hints):len(hints)], field+"-problem")
	}
	if len(hints) == 0 {
		return ""
	}
	return template.HTMLAttr(`aria-describedby="` + template.HTMLEscapeString(strings.Join(hints, " ")) + `"`)
}

// Dir returns the direction of the page's script.
func (v View) Dir() string {
	base, _, _ := strings.Cut(v.Lang, "-")
	switch strings.ToLower(base) {
	case "ar", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi":
		return "rtl"
	}
	return "ltr"
}

// Templates are the pages of one stage.
type Templates struct {
	pages map[string]*template.Template
	site  Site
}

// Parse reads a stage's pages: each file matched by patterns becomes the page
// named as the file without its ending. A file whose name starts with "_"
// holds {{define}}s shared by the other pages. It panics on a page that does
// not parse: a fault of the program, seen at its start.
func Parse(fsys fs.FS, patterns ...string) *Templates {
	shell := template.Must(template.New("layout").Funcs(template.FuncMap{"style": style}).ParseFS(layout, "layout/*.html"))
	var files []string
	for _, pattern := range patterns {
		found, err := fs.Glob(fsys, pattern)
		if err != nil || len(found) == 0 {
			panic(fmt.Sprintf("parsing pages: pattern %q matches no file", pattern))
		}
		files = append(files, found...)
	}
	read := func(file string) string {
		text, err := fs.ReadFile(fsys, file)
		if err != nil {
			panic(fmt.Sprintf("parsing pages: reading %s: %v", file, err))
		}
		return string(text)
	}
	for _, file := range files {
		if strings.HasPrefix(path.Base(file), "_") {
			template.Must(shell.New(file).Parse(read(file)))
		}
	}
	t := &Templates{pages: map[string]*template.Template{}}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), path.Ext(file))
		if strings.HasPrefix(name, "_") {
			continue
		}
		if _, twice := t.pages[name]; twice {
			panic(fmt.Sprintf("parsing pages: two files are named %s", name))
		}
		page := template.Must(shell.Clone())
		template.Must(page.New("main").Parse(read(file)))
		t.pages[name] = page
	}
	return t
}

// With returns the same pages with the name of who runs them.
func (t *Templates) With(s Site) *Templates { return &Templates{pages: t.pages, site: s} }

// Page renders a page with the headers every page has. A page that is missing
// or fails to render is answered as a fault of ours, never in part.
func (t *Templates) Page(status int, name string, v View) Response {
	v.Site = t.site
	if v.Lang == "" {
		v.Lang = "en"
	}
	page, ok := t.pages[name]
	var out bytes.Buffer
	if !ok || page.ExecuteTemplate(&out, "layout", v) != nil {
		if t == bare {
			return Response{Status: status, Header: headers("text/plain; charset=utf-8", nil), Body: []byte(v.Lead)}
		}
		return fault(http.StatusInternalServerError, false)
	}
	return Response{Status: status, Header: headers("text/html; charset=utf-8", v.Targets), Body: out.Bytes()}
}

// bare renders answers that no stage has a page for. It is read-only.
var bare = newBare()

func newBare() *Templates {
	return Parse(layout, "layout/plain/*.html")
}

var stylesheet, styleHash = readStyle()

func readStyle() (template.CSS, string) {
	css, err := layout.ReadFile("layout/style.css")
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(css)
	return template.CSS(css), "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func style() template.HTML { return template.HTML("<style>" + string(stylesheet) + "</style>") }

// headers are those of every answer: nothing is loaded, framed, cached,
// sniffed or told to the next site. Chromium holds form-action against the
// redirect that answers a form, hence targets.
func headers(contentType string, targets []string) map[string]string {
	forms := append([]string{"'self'"}, targets...)
	return map[string]string{
		"Content-Type":                 contentType,
		"Content-Security-Policy":      "default-src 'none'; style-src " + styleHash + "; form-action " + strings.Join(forms, " ") + "; base-uri 'none'; frame-ancestors 'none'",
		"Referrer-Policy":              "no-referrer",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Cache-Control":                "no-store",
		"Strict-Transport-Security":    "max-age=31536000; includeSubDomains",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Permissions-Policy":           "camera=(), geolocation=(), microphone=()",
		"X-Robots-Tag":                 "noindex",
	}
}
