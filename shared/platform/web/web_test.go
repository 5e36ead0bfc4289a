package web_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/aws/aws-lambda-go/events"
	"golang.org/x/net/html"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/platform/web"
)

const formType = "application/x-www-form-urlencoded"

func post(body string) events.APIGatewayProxyRequest {
	return events.APIGatewayProxyRequest{HTTPMethod: "POST", Path: "/", Body: body, Headers: map[string]string{"content-type": formType}}
}

func TestDecodeReadsAForm(t *testing.T) {
	ev := post("email=a%40b.example&right=access&right=erasure&note=gr%C3%BC%C3%9F+dich")
	ev.QueryStringParameters = map[string]string{"t": "secret"}
	ev.RequestContext.Identity.SourceIP = "192.0.2.7"
	for _, encoded := range []bool{false, true} {
		if encoded {
			ev.Body, ev.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(ev.Body)), true
		}
		r, refused := web.Decode(ev, "right")
		if refused != nil {
			t.Fatalf("encoded %v: refused with %d: %s", encoded, refused.Status, refused.Body)
		}
		if got := r.Form["right"]; len(got) != 2 || r.Form.Get("note") != "grüß dich" || r.Query.Get("t") != "secret" || r.Source != "192.0.2.7" {
			t.Errorf("encoded %v: decoded %+v", encoded, r)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	with := func(ev events.APIGatewayProxyRequest, change func(*events.APIGatewayProxyRequest)) events.APIGatewayProxyRequest {
		change(&ev)
		return ev
	}
	long := strings.Repeat("a", web.MaxBody)
	tests := map[string]struct {
		ev     events.APIGatewayProxyRequest
		status int
		says   string
	}{
		"too long":          {post("note=" + long), 413, "32 KB"},
		"too long, encoded": {with(post(base64.StdEncoding.EncodeToString([]byte("note="+long))), func(e *events.APIGatewayProxyRequest) { e.IsBase64Encoded = true }), 413, "32 KB"},
		"bad base64":        {with(post("%%%"), func(e *events.APIGatewayProxyRequest) { e.IsBase64Encoded = true }), 400, "base64"},
		"charset":           {with(post("a=b"), func(e *events.APIGatewayProxyRequest) { e.Headers["content-type"] = formType + "; charset=utf-16" }), 415, "UTF-8"},
		"no content type":   {with(post("a=b"), func(e *events.APIGatewayProxyRequest) { e.Headers = nil }), 415, "content type"},
		"multipart":         {with(post("a=b"), func(e *events.APIGatewayProxyRequest) { e.Headers["content-type"] = "multipart/form-data; boundary=x" }), 415, "form"},
		"twice":             {post("email=a&email=b"), 400, "“email” was given more than once"},
		"twice in query": {with(post(""), func(e *events.APIGatewayProxyRequest) {
			e.MultiValueQueryStringParameters = map[string][]string{"t": {"a", "b"}}
		}), 400, "“t”"},
		"bad escape":     {post("name=x&email=%zz"), 400, "“email” is not encoded"},
		"bad UTF-8":      {post("name=%ff"), 400, "“name” is not valid text"},
		"NUL":            {post("name=a%00b"), 400, "“name” is not valid text"},
		"many fields":    {post(strings.Repeat("a=b&", 400)), 400, "200 fields"},
		"odd name":       {post("%3Cscript%3E=1&%3Cscript%3E=2"), 400, "one of its fields"},
		"semicolon":      {post("email=a;b=c"), 400, "“email”"},
		"JSON not UTF-8": {with(post("{\xff}"), func(e *events.APIGatewayProxyRequest) { e.Headers["content-type"] = "application/json" }), 400, `"error"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, refused := web.Decode(tt.ev, "right")
			if refused == nil {
				t.Fatalf("accepted: %+v", r)
			}
			if body := string(refused.Body); refused.Status != tt.status || !strings.Contains(body, tt.says) {
				t.Errorf("answered %d, want %d with %q in:\n%s", refused.Status, tt.status, tt.says, body)
			}
			if strings.Contains(string(refused.Body), "<script") {
				t.Error("the answer repeats the field's name as markup")
			}
		})
	}
}

func TestDecodeTakesTheLargestBody(t *testing.T) {
	body := "note=" + strings.Repeat("a", web.MaxBody-5)
	if r, refused := web.Decode(post(body)); refused != nil || len(r.Body) != web.MaxBody {
		t.Fatalf("refused a body of exactly %d bytes", web.MaxBody)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("email=a&right=access", formType, false)
	f.Add("%", "text/plain;;", true)
	f.Fuzz(func(t *testing.T, body, typ string, encoded bool) {
		ev := post(body)
		ev.Headers["content-type"], ev.IsBase64Encoded = typ, encoded
		r, refused := web.Decode(ev)
		if (refused == nil) == (r.Query == nil) {
			t.Fatal("neither or both of request and refusal")
		}
		for name, values := range r.Form {
			if len(values) != 1 || strings.ContainsRune(name+values[0], 0) {
				t.Fatalf("field %q has %d values", name, len(values))
			}
		}
	})
}

var pages = fstest.MapFS{
	"pages/form.html":  {Data: []byte(`<form method="post"><label for="email">Address</label>{{template "problem" (.At "email")}}<input id="email" name="email" {{.Invalid "email" "email-hint"}}><fieldset {{.Described "right"}}></fieldset></form>{{template "tail" .}}`)},
	"pages/other.html": {Data: []byte(`<p>{{.Data.Name}}</p>`)},
	"pages/maybe.html": {Data: []byte(`{{with .Data.Gone}}{{.}}{{end}}<p>{{.Data.There}}</p>`)},
	"pages/_tail.html": {Data: []byte(`{{define "tail"}}<p>tail</p>{{end}}`)},
}

func TestPageEscapesAndGuards(t *testing.T) {
	tm := web.Parse(pages, "pages/*.html").With(web.Site{Company: "Python & Master", Contact: "privacy@company.example"})
	r := tm.Page(422, "form", web.View{Title: "Ask <b>", Lead: "We could not read the form.",
		Problems: []web.Problem{{Field: "email", Text: "Write the <address>"}}, Targets: []string{"https://bucket.example"}})
	body := string(r.Body)
	if r.Status != 422 {
		t.Fatalf("status %d, want 422", r.Status)
	}
	for _, want := range []string{`<html lang="en" dir="ltr">`, `href="#email"`, `aria-invalid="true" aria-describedby="email-hint email-problem"`, `<fieldset >`, `id="email-problem"`, "Python &amp; Master", "Ask &lt;b&gt;", "Write the &lt;address&gt;", "<p>tail</p>", `href="#main"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if i, j := strings.Index(body, "We could not read"), strings.Index(body, "<form"); i < 0 || i > j {
		t.Error("the page does not open with its sentence")
	}
	csp := r.Header["Content-Security-Policy"]
	style := body[strings.Index(body, "<style>")+7 : strings.Index(body, "</style>")]
	sum := sha256.Sum256([]byte(style))
	for _, want := range []string{"default-src 'none'", "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'", "form-action 'self' https://bucket.example;", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("the policy %q lacks %q", csp, want)
		}
	}
	for k, want := range map[string]string{"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"} {
		if r.Header[k] != want {
			t.Errorf("%s is %q, want %q", k, r.Header[k], want)
		}
	}
	for _, never := range []string{"<script", "http://", "src=", "style=", "onload"} {
		if strings.Contains(body, never) {
			t.Errorf("the page has %q", never)
		}
	}
	if _, err := html.Parse(bytes.NewReader(r.Body)); err != nil {
		t.Error(err)
	}
}

func TestPageThatFailsIsNeverSentInPart(t *testing.T) {
	tm := web.Parse(pages, "pages/*.html")
	for _, name := range []string{"other", "missing"} {
		r := tm.Page(200, name, web.View{Title: "T", Lead: "L.", Data: struct{}{}})
		if r.Status != 500 || !strings.Contains(string(r.Body), "Something went wrong") {
			t.Errorf("%s: answered %d: %s", name, r.Status, r.Body)
		}
	}
	r := tm.Page(200, "maybe", web.View{Title: "T", Lead: "L.", Data: map[string]any{"There": "<here>"}})
	if r.Status != 200 || !strings.Contains(string(r.Body), "<p>&lt;here&gt;</p>") {
		t.Errorf("a page whose data leaves a key out answered %d", r.Status)
	}
	if got := (web.View{Lang: "ar-EG"}).Dir(); got != "rtl" {
		t.Errorf("direction of Arabic is %s", got)
	}
}

func TestRedirect(t *testing.T) {
	r := web.Redirect("https://bucket.example/k?sig=1")
	if r.Status != 303 || r.Header["Location"] == "" || r.Header["Referrer-Policy"] != "no-referrer" {
		t.Errorf("redirect is %+v", r)
	}
	for _, bad := range []string{"", "https://x.example/\r\nSet-Cookie: a=b"} {
		if r := web.Redirect(bad); r.Status != 500 || r.Header["Location"] != "" {
			t.Errorf("redirecting to %q answered %d", bad, r.Status)
		}
	}
}

func TestAdaptHidesFaults(t *testing.T) {
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, nil))
	secret := dsrtest.Ada.Email
	tests := map[string]struct {
		h      web.Handler
		status int
	}{
		"error": {func(context.Context, web.Request) (web.Response, error) {
			return web.Response{}, errors.New("reading the requests ledger")
		}, 500},
		"unavailable": {func(context.Context, web.Request) (web.Response, error) {
			return web.Response{}, fmt.Errorf("reading: %w", connector.Unavailable)
		}, 503},
		"panic": {func(context.Context, web.Request) (web.Response, error) { panic("bad value " + secret) }, 500},
		"fine":  {func(context.Context, web.Request) (web.Response, error) { return web.Redirect("status"), nil }, 303},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := web.Adapt(tt.h, log)(context.Background(), post("email="+url.QueryEscape(secret)))
			if err != nil || out.StatusCode != tt.status {
				t.Fatalf("answered %d, %v; want %d", out.StatusCode, err, tt.status)
			}
			if strings.Contains(out.Body, "ledger") || strings.Contains(out.Body+logged.String(), secret) {
				t.Error("the fault's details reached the page, or the person's data the log")
			}
		})
	}
	if !strings.Contains(logged.String(), "web_test.go") {
		t.Error("the log does not say where the handler panicked")
	}
	out, _ := web.Adapt(tests["fine"].h, log)(context.Background(), post("a=1&a=2"))
	if out.StatusCode != 400 {
		t.Errorf("a malformed form answered %d", out.StatusCode)
	}
}
