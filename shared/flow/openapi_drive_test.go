package flow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/bundle"
	"github.com/writ-dsr/writ/shared/flow/desk"
	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/flow/intake"
	"github.com/writ-dsr/writ/shared/flow/notify"
	"github.com/writ-dsr/writ/shared/flow/verify"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/memory"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/platform/objects"
	"github.com/writ-dsr/writ/shared/platform/vault"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// base is the public address of the driven pages.
const base = "https://privacy.example"

// machine takes every call of the state machine.
type machine struct{}

func (machine) StartRun(context.Context, dsr.RequestID, int, bool) error { return nil }
func (machine) StopRun(context.Context, dsr.RequestID, int) error        { return nil }
func (machine) Release(context.Context, string, any) error               { return nil }

// uploads has as many files as it counts.
type uploads struct{ files int }

func (u *uploads) Form(context.Context, dsr.RequestID, string, string) (fanout.Upload, error) {
	return fanout.Upload{Action: "https://objects.example/", Origin: "https://objects.example", Fields: []fanout.Field{{Name: "key", Value: "k"}}}, nil
}
func (u *uploads) Count(context.Context, dsr.RequestID, string) (int, error) { return u.files, nil }
func (u *uploads) Take(context.Context, dsr.RequestID, string, string, string) (int, error) {
	return u.files, nil
}

// hasher fails when it is told to.
type hasher struct {
	*vault.Vault
	fail error
}

func (h *hasher) Hash(ctx context.Context, purpose, value string) (string, error) {
	if h.fail != nil {
		return "", h.fail
	}
	return h.Vault.Hash(ctx, purpose, value)
}

type lambda func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error)

// driver calls the real handlers and holds every call and every answer against
// the document.
type driver struct {
	t       *testing.T
	doc     *openapi3.T
	company *policy.Company
	store   *memory.Store
	keys    *vault.Vault
	hash    *hasher
	mail    *mail.Memory
	uploads *uploads
	now     time.Time
	undone  dsr.RequestID     // whose stop is to be taken back
	at      map[string]lambda // by the first word of the path
	seen    map[string]bool   // "POST /confirm 410"
}

func newDriver(t *testing.T) *driver {
	t.Helper()
	company, err := policy.Load("pythonmaster")
	if err != nil {
		t.Fatal(err)
	}
	keys := vault.NewLocal("openapi")
	d := &driver{
		t: t, doc: document(t), company: company, store: memory.New(), keys: keys, hash: &hasher{Vault: keys}, mail: &mail.Memory{}, uploads: &uploads{},
		now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), seen: map[string]bool{},
	}
	log, clock := slog.New(slog.DiscardHandler), func() time.Time { return d.now }
	form := intake.New(intake.Deps{Company: company, Ledger: d.store, Keys: keys, Hasher: d.hash, Machine: machine{}, Now: clock, Log: log})
	answer := verify.NewAnswer(verify.Answer{Company: company, Ledger: d.store, Keys: keys, Hasher: d.hash, Machine: machine{}, Now: clock, Log: log, URL: base})
	status := notify.NewStatus(notify.Status{
		Subject: notify.Subject{Company: company, Keeps: func(_, rule string) string { return rule }, Keys: keys, Mail: d.mail, Now: clock, URL: base},
		Ledger:  d.store, Machine: machine{}, Log: log,
	})
	download := bundle.NewDownload(bundle.Download{Company: company, Ledger: d.store, Keys: keys, Hasher: d.hash, Mail: d.mail, Objects: &objects.Memory{}, Origin: "https://objects.example", Now: clock})
	task := fanout.NewAnswer(fanout.Answer{
		Company: company, Descriptors: map[string]connector.Descriptor{}, Officer: "officer@company.example", Ledger: d.store, Keys: keys, Hasher: d.hash, Mail: d.mail,
		Machine: machine{}, Runs: machine{}, Uploads: d.uploads, Now: clock, Log: log, URL: base,
	})
	team := &desk.Stage{Company: company, Ledger: d.store, Hasher: d.hash, Keys: keys, Mail: d.mail, Machine: machine{}, URL: base, Now: clock, Log: log}
	d.at = map[string]lambda{
		"": web.Adapt(form.Handle, log, intake.Many...), "confirm": web.Adapt(answer.Handle, log), "not-me": web.Adapt(answer.Handle, log),
		"status": web.Adapt(status.Handle, log), "download": web.Adapt(download.Handle, log), "task": web.Adapt(task.Handle, log), "desk": web.Adapt(team.Handle, log),
	}
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.FileBodyDecoder)
	t.Cleanup(func() { openapi3filter.UnregisterBodyDecoder("text/html") })
	return d
}

// call is one HTTP call. Form and body exclude each other.
type call struct {
	method string // POST unless said
	path   string
	query  url.Values
	form   url.Values
	body   string
	typ    string // content type; what fits the body unless said
	actor  string
	want   int
	unfit  bool // the document must refuse it, and the handler too
}

const formType = "application/x-www-form-urlencoded"

// do makes the call. Whatever the handler accepts must be described, and every
// answer must be as described.
func (d *driver) do(c call) string {
	d.t.Helper()
	if c.method == "" {
		c.method = http.MethodPost
	}
	if c.form != nil {
		c.body, c.typ = c.form.Encode(), formType
	}
	name := fmt.Sprintf("%s %s %d", c.method, c.path, c.want)
	ev := events.APIGatewayProxyRequest{
		HTTPMethod: c.method, Path: c.path, Body: c.body, Headers: map[string]string{}, MultiValueQueryStringParameters: c.query,
		RequestContext: events.APIGatewayProxyRequestContext{Identity: events.APIGatewayRequestIdentity{SourceIP: "192.0.2.7", UserArn: c.actor}},
	}
	if c.typ != "" {
		ev.Headers["content-type"] = c.typ
	}
	word, _, _ := strings.Cut(strings.TrimPrefix(c.path, "/"), "/")
	out, err := d.at[word](context.Background(), ev)
	if err != nil {
		d.t.Fatalf("%s: %v", name, err)
	}
	if out.StatusCode != c.want {
		d.t.Fatalf("%s: answered %d: %s", name, out.StatusCode, out.Body)
	}
	in := d.input(c)
	fits := openapi3filter.ValidateRequest(context.Background(), in)
	switch {
	case c.unfit && fits == nil:
		d.t.Errorf("%s: the document takes what it should refuse: %s", name, c.body)
	case c.unfit && out.StatusCode < 400:
		d.t.Errorf("%s: the handler takes what the document refuses", name)
	case out.StatusCode < 400 && fits != nil:
		d.t.Errorf("%s: the handler takes what the document does not describe: %v", name, fits)
	}
	if out.StatusCode < 500 && in.Route.Operation.Responses.Value(strconv.Itoa(out.StatusCode)) == nil {
		d.t.Errorf("%s: the status is not described", name)
	}
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: out.StatusCode, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(out.Body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	for k, v := range out.Headers {
		answer.Header.Set(k, v)
	}
	if err := openapi3filter.ValidateResponse(context.Background(), answer); err != nil {
		d.t.Errorf("%s: the answer is not as described: %v", name, err)
	}
	d.seen[name] = true
	return out.Body
}

func (d *driver) input(c call) *openapi3filter.RequestValidationInput {
	d.t.Helper()
	item := d.doc.Paths.Value(c.path)
	if item == nil || item.GetOperation(c.method) == nil {
		d.t.Fatalf("%s %s is not described", c.method, c.path)
	}
	r, err := http.NewRequest(c.method, base+c.path+"?"+c.query.Encode(), bytes.NewReader([]byte(c.body)))
	if err != nil {
		d.t.Fatal(err)
	}
	if c.typ != "" {
		r.Header.Set("Content-Type", c.typ)
	}
	signed := func(context.Context, *openapi3filter.AuthenticationInput) error {
		if c.actor == "" {
			return errors.New("not signed")
		}
		return nil
	}
	return &openapi3filter.RequestValidationInput{
		Request: r, QueryParams: c.query, Options: &openapi3filter.Options{AuthenticationFunc: signed},
		Route: &routers.Route{Spec: d.doc, Path: c.path, PathItem: item, Method: c.method, Operation: item.GetOperation(c.method)},
	}
}

// get opens a link's page.
func (d *driver) get(path, secret string, want int) string {
	d.t.Helper()
	return d.do(call{method: http.MethodGet, path: path, query: url.Values{"t": {secret}}, want: want})
}

// post sends a form of pairs: name, value, name, value …
func (d *driver) post(path string, want int, pairs ...string) string {
	d.t.Helper()
	return d.do(call{path: path, form: fields(pairs...), want: want})
}

func (d *driver) unfit(path string, want int, pairs ...string) {
	d.t.Helper()
	d.do(call{path: path, form: fields(pairs...), want: want, unfit: true})
}

func fields(pairs ...string) url.Values {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return form
}

var (
	link  = regexp.MustCompile(`/(confirm|not-me|status|download|task)\?t=([A-Za-z0-9_-]{43})`)
	typed = regexp.MustCompile(`[346789BCDFGHJKMNPQRTVWXY]{4}-[346789BCDFGHJKMNPQRTVWXY]{4}`)
)

// secret finds the link to a page.
func (d *driver) secret(in, page string) string {
	d.t.Helper()
	for _, m := range link.FindAllStringSubmatch(in, -1) {
		if m[1] == page {
			return m[2]
		}
	}
	d.t.Fatalf("there is no link to %s in: %s", page, in)
	return ""
}

func (d *driver) code(in string) string {
	d.t.Helper()
	c := typed.FindString(in)
	if c == "" {
		d.t.Fatalf("there is no code in: %s", in)
	}
	return c
}

// last is the newest mail to an address.
func (d *driver) last(to string) string {
	d.t.Helper()
	sent := d.mail.To(to)
	if len(sent) == 0 {
		d.t.Fatal("no mail was sent")
	}
	return sent[len(sent)-1].Text
}

// ask sends the form and lets the challenge be mailed.
func (d *driver) ask(p dsrtest.Person, rights ...string) (id dsr.RequestID, code string) {
	d.t.Helper()
	pairs := []string{"message", ""}
	for _, r := range rights {
		pairs = append(pairs, "rights", r)
	}
	return d.fill(p, pairs...)
}

// fill is ask with these fields besides the address, the country and the name.
func (d *driver) fill(p dsrtest.Person, pairs ...string) (id dsr.RequestID, code string) {
	d.t.Helper()
	known := d.requests()
	code = d.code(d.post("/", 200, append([]string{"email", p.Email, "country", "DE", "name", p.Name}, pairs...)...))
	for _, now := range d.requests() {
		if !slices.Contains(known, now) {
			id = now
		}
	}
	challenge := &verify.Challenge{Company: d.company, Ledger: d.store, Keys: d.keys, Mail: d.mail, Machine: machine{}, Now: func() time.Time { return d.now }, URL: base}
	if _, err := challenge.Handle(context.Background(), verify.Input{V: 1, RequestID: id, Run: 1, TaskToken: "wait"}); err != nil {
		d.t.Fatal(err)
	}
	return id, code
}

// requests lists the requests there are.
func (d *driver) requests() (ids []dsr.RequestID) {
	d.t.Helper()
	if err := d.store.OpenRequests(context.Background(), func(r ledger.Request) error {
		ids = append(ids, r.ID)
		return nil
	}); err != nil {
		d.t.Fatal(err)
	}
	return ids
}

func (d *driver) change(id dsr.RequestID, f func(*ledger.Request)) {
	d.t.Helper()
	if _, err := ledger.Change(context.Background(), d.store, id, func(r *ledger.Request) error { f(r); return nil }); err != nil {
		d.t.Fatal(err)
	}
}

// token makes a link of a purpose that works for an hour.
func (d *driver) token(id dsr.RequestID, purpose ledger.Purpose, task string) string {
	d.t.Helper()
	secret, hash := ledger.NewSecret()
	if err := d.store.PutToken(context.Background(), ledger.Token{Hash: hash, RequestID: id, Purpose: purpose, Task: task, CreatedAt: d.now, Due: d.now.Add(time.Hour)}); err != nil {
		d.t.Fatal(err)
	}
	return secret
}
