package intake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/intake"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/ledger/memory"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/platform/vault"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// machine records the runs that were started.
type machine struct {
	started []run
	fail    error
}

type run struct {
	ID     dsr.RequestID
	Run    int
	Proved bool
}

func (m *machine) StartRun(_ context.Context, id dsr.RequestID, n int, proved bool) error {
	if m.fail != nil {
		return m.fail
	}
	m.started = append(m.started, run{id, n, proved})
	return nil
}

// stand is the form with what stands around it.
type stand struct {
	t       testing.TB
	stage   *intake.Stage
	ledger  *memory.Store
	keys    *vault.Vault
	machine *machine
	now     time.Time
	log     bytes.Buffer
}

func newStand(t testing.TB) *stand {
	t.Helper()
	company, err := policy.Load("pythonmaster")
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{t: t, ledger: memory.New(), keys: vault.NewLocal("intake"), machine: &machine{}, now: time.Date(2026, 11, 2, 10, 20, 0, 0, time.UTC)}
	s.stage = intake.New(intake.Deps{
		Company: company, Ledger: s.ledger, Keys: s.keys, Hasher: s.keys, Machine: s.machine,
		Now: func() time.Time { return s.now }, Log: slog.New(slog.NewJSONHandler(&s.log, nil)),
	})
	return s
}

func form() url.Values {
	return url.Values{"email": {dsrtest.Ada.Email}, "name": {dsrtest.Ada.Name}, "country": {"DE"}, "rights": {"access"}}
}

func with(field string, values ...string) url.Values {
	f := form()
	f[field] = values
	return f
}

func (s *stand) post(f url.Values) web.Response {
	s.t.Helper()
	r, err := s.stage.Handle(s.t.Context(), web.Request{Method: http.MethodPost, Path: "/", Form: f, Source: "192.0.2.7"})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *stand) requests() []ledger.Request {
	s.t.Helper()
	var all []ledger.Request
	if err := s.ledger.OpenRequests(s.t.Context(), func(r ledger.Request) error { all = append(all, r); return nil }); err != nil {
		s.t.Fatal(err)
	}
	return all
}

var codeOnPage = regexp.MustCompile(`id="code">([A-Z0-9]{4}-[A-Z0-9]{4})<`)

func code(t testing.TB, r web.Response) string {
	t.Helper()
	m := codeOnPage.FindSubmatch(r.Body)
	if m == nil {
		t.Fatalf("the page shows no code: %s", r.Body)
	}
	return string(m[1])
}

func TestGetShowsTheFormAndStoresNothing(t *testing.T) {
	s := newStand(t)
	r, err := s.stage.Handle(t.Context(), web.Request{Method: http.MethodGet, Path: "/"})
	if err != nil || r.Status != http.StatusOK {
		t.Fatalf("status %d, %v", r.Status, err)
	}
	for _, field := range []string{"email", "rights", "country", "name", "message"} {
		if !bytes.Contains(r.Body, []byte(`name="`+field+`"`)) {
			t.Errorf("the form has no field %s", field)
		}
	}
	if len(s.requests()) != 0 || len(s.machine.started) != 0 {
		t.Error("looking at the form stored or started something")
	}
}

func TestFormIsRecordedAndStarted(t *testing.T) {
	for _, c := range []struct {
		name   string
		form   url.Values
		rights []dsr.Right
		words  bool
	}{
		{"a copy", form(), []dsr.Right{dsr.Access}, false},
		{"both, in any order and twice", with("rights", "erasure", "access", "erasure"), []dsr.Right{dsr.Access, dsr.Erasure}, false},
		{"something else", url.Values{"email": {dsrtest.Ada.Email}, "rights": {"other"}, "message": {"please call"}}, nil, true},
		{"a right and words", url.Values{"email": {dsrtest.Ada.Email}, "rights": {"access"}, "message": {"since 2020"}}, []dsr.Right{dsr.Access}, true},
		{"no country said", url.Values{"email": {dsrtest.Ada.Email}, "rights": {"access"}}, []dsr.Right{dsr.Access}, false},
		{"white space around", url.Values{"email": {"  " + dsrtest.Ada.Email + "\n"}, "rights": {"access"}, "country": {" DE "}}, []dsr.Right{dsr.Access}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t)
			page := s.post(c.form)
			if page.Status != http.StatusOK {
				t.Fatalf("status %d: %s", page.Status, page.Body)
			}
			all := s.requests()
			if len(all) != 1 {
				t.Fatalf("%d requests are recorded, want 1", len(all))
			}
			r := all[0]
			if !slices.Equal(r.Rights, c.rights) || r.Words != c.words || r.Status != dsr.Verifying || r.Run != 1 || !r.MailAfter.IsZero() {
				t.Errorf("recorded %+v", r)
			}
			if !r.ProofDue.Equal(s.now.Add(intake.ProofPeriod)) || !r.DueAt.After(s.now) || !r.VerifiedAt.IsZero() {
				t.Errorf("dates %v, %v, %v", r.ProofDue, r.DueAt, r.VerifiedAt)
			}
			if want, _ := s.keys.Hash(t.Context(), "code", string(r.ID)+code(t, page)); r.CodeHash != want {
				t.Error("the code on the page is not the one in the ledger")
			}
			if len(s.machine.started) != 1 || s.machine.started[0] != (run{r.ID, 1, false}) {
				t.Errorf("started %+v", s.machine.started)
			}
			d, err := dossier.Open(t.Context(), s.ledger, s.keys, r.ID)
			if err != nil || d.Subject.Email() != dsrtest.Ada.Email || d.Subject.Identities[0].Origin != dsr.SelfAsserted {
				t.Errorf("the sealed person is not who asked: %v", err)
			}
			chain, err := s.ledger.Events(t.Context(), r.ID, dsr.RequestChain)
			if err != nil || len(chain) != 1 || chain[0].Kind != dsr.EventReceived {
				t.Errorf("chain %+v, %v", chain, err)
			}
			clear, _ := json.Marshal([]any{r, chain, s.machine.started})
			for _, canary := range append(dsrtest.Canaries(), "please call") {
				if bytes.Contains(clear, []byte(canary)) || strings.Contains(s.log.String(), canary) {
					t.Errorf("%q lies in clear", canary)
				}
			}
		})
	}
}

func TestBadFieldIsNamedAndNothingStored(t *testing.T) {
	for _, c := range []struct {
		name  string
		form  url.Values
		field string
	}{
		{"no address", with("email", ""), "email"},
		{"no @", with("email", "ada"), "email"},
		{"a line break in the address", with("email", "ada@learner.example\r\nbcc: x@y.example"), "email"},
		{"two addresses", with("email", "a@x.example,b@x.example"), "email"},
		{"an address longer than 254 bytes", with("email", strings.Repeat("a", 60)+"@"+strings.Repeat("b.", 100)+"example"), "email"},
		{"an address that mail cannot be sent to", with("email", dsrtest.AdaHomo.Email), "email"},
		{"a domain too long once it is ASCII", with("email", "a@"+strings.Repeat("aü.", 40)+"de"), "email"},
		{"no right", with("rights"), "rights"},
		{"an unknown right", with("rights", "access", "deletion"), "rights"},
		{"something else without words", with("rights", "other"), "message"},
		{"something else with white space alone", url.Values{"email": {dsrtest.Ada.Email}, "rights": {"other"}, "message": {" \n\t "}}, "message"},
		{"a name too long", with("name", strings.Repeat("ä", 201)), "name"},
		{"a message too long", with("message", strings.Repeat("ä", 4001)), "message"},
		{"an unknown country", with("country", "XX"), "country"},
		{"a country in small letters", with("country", "de"), "country"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t)
			r := s.post(c.form)
			if r.Status != http.StatusBadRequest {
				t.Errorf("status %d, want 400", r.Status)
			}
			if !bytes.Contains(r.Body, []byte(`id="`+c.field+`-problem"`)) {
				t.Errorf("the page names no problem of %s", c.field)
			}
			if len(s.requests()) != 0 || len(s.machine.started) != 0 {
				t.Error("something was stored or started")
			}
			if s.log.Len() != 0 {
				t.Errorf("a person's slip was logged: %s", s.log.String())
			}
		})
	}
}

func TestLongestFieldsAreTaken(t *testing.T) {
	s := newStand(t)
	f := with("name", strings.Repeat("ä", 200))
	f.Set("message", strings.Repeat("😀", 4000))
	if r := s.post(f); r.Status != http.StatusOK || len(s.requests()) != 1 {
		t.Errorf("status %d, %d requests", r.Status, len(s.requests()))
	}
}

// What a person typed comes back as text, whatever it is.
func TestFormShowsWhatWasTypedAsText(t *testing.T) {
	s := newStand(t)
	f := with("email", "")
	f.Set("message", `</textarea><script>alert(1)</script>`)
	f.Set("name", `"><img src=x onerror=alert(1)>`)
	r := s.post(f)
	if bytes.Contains(r.Body, []byte("<script>alert")) || bytes.Contains(r.Body, []byte("<img")) {
		t.Error("the page holds the person's markup")
	}
	if !bytes.Contains(r.Body, []byte(`value="access" checked`)) && !bytes.Contains(r.Body, []byte(`value="access"checked`)) {
		t.Error("what was ticked is lost")
	}
}

// Nobody learns whether an address is known, was asked for before, or is over a
// cap: the pages differ in their random code alone.
func TestAnswerIsUniform(t *testing.T) {
	s := newStand(t)
	var first web.Response
	for i, email := range []string{dsrtest.Ada.Email, dsrtest.Ada.Email, dsrtest.Ben.Email, "nobody@unknown.example"} {
		r := s.post(with("email", email))
		r.Body = codeOnPage.ReplaceAll(r.Body, []byte("CODE"))
		if i == 0 {
			first = r
			continue
		}
		if r.Status != first.Status || !bytes.Equal(r.Body, first.Body) || len(r.Header) != len(first.Header) {
			t.Errorf("form %d is answered otherwise", i+1)
		}
		for name, value := range first.Header {
			if r.Header[name] != value {
				t.Errorf("form %d: header %s is %q, want %q", i+1, name, r.Header[name], value)
			}
		}
	}
}

func TestOverTheCapIsRecordedAndQueued(t *testing.T) {
	t.Run("one challenge per address and hour", func(t *testing.T) {
		s := newStand(t)
		for i, email := range []string{dsrtest.Ada.Email, dsrtest.Ada.Email, dsrtest.AdaUpper.Email} {
			if r := s.post(with("email", email)); r.Status != http.StatusOK {
				t.Fatalf("form %d: status %d", i+1, r.Status)
			}
		}
		if n := queued(s, s.now.Add(time.Hour)); n != 2 || len(s.requests()) != 3 || len(s.machine.started) != 3 {
			t.Errorf("%d of %d queued for an hour, %d started; want 2 of 3, 3", n, len(s.requests()), len(s.machine.started))
		}
		s.now = s.now.Add(time.Hour)
		s.post(form())
		if n := queued(s, time.Time{}); n != 2 {
			t.Errorf("%d requests are mailed at once, want 2: the hour has passed", n)
		}
	})
	t.Run("fifty forms per source and day", func(t *testing.T) {
		s := newStand(t)
		for i := range 52 {
			if r := s.post(with("email", "person"+string(rune('a'+i/26))+string(rune('a'+i%26))+"@learner.example")); r.Status != http.StatusOK {
				t.Fatalf("form %d: status %d", i+1, r.Status)
			}
		}
		if n := queued(s, s.now.Add(24*time.Hour)); n != 2 || len(s.requests()) != 52 {
			t.Errorf("%d of %d queued for a day, want 2 of 52", n, len(s.requests()))
		}
	})
}

func queued(s *stand, until time.Time) int {
	n := 0
	for _, r := range s.requests() {
		if r.MailAfter.Equal(until) {
			n++
		}
	}
	return n
}

func TestMachineThatDoesNotStartIsNoFailureForThePerson(t *testing.T) {
	s := newStand(t)
	s.machine.fail = errors.New("starting an execution: no answer")
	if r := s.post(form()); r.Status != http.StatusOK || len(s.requests()) != 1 {
		t.Errorf("status %d, %d requests", r.Status, len(s.requests()))
	}
	if !strings.Contains(s.log.String(), `"request_id":"w`) {
		t.Errorf("the log names no request: %s", s.log.String())
	}
}

// broken fails where a test says.
type broken struct {
	*memory.Store
	create, hit error
}

func (b broken) CreateRequest(ctx context.Context, r ledger.Request, p ledger.SealedSubject, e dsr.Event) error {
	if b.create != nil {
		return b.create
	}
	return b.Store.CreateRequest(ctx, r, p, e)
}

func (b broken) Hit(ctx context.Context, key string, w time.Duration, n int, now time.Time) (bool, error) {
	for _, canary := range append(dsrtest.Canaries(), "192.0.2.7") {
		if strings.Contains(strings.ToLower(key), strings.ToLower(canary)) {
			return false, errors.New("a counter's key holds a personal value")
		}
	}
	if b.hit != nil {
		return false, b.hit
	}
	return b.Store.Hit(ctx, key, w, n, now)
}

func TestWhatIsNotRecordedIsNotConfirmed(t *testing.T) {
	for name, b := range map[string]broken{
		"the ledger is away":       {create: errors.New("writing: no answer")},
		"the counters are away":    {hit: errors.New("writing: no answer")},
		"counters hold no address": {},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			b.Store = s.ledger
			s.stage.Ledger = b
			_, err := s.stage.Handle(t.Context(), web.Request{Method: http.MethodPost, Form: form(), Source: "192.0.2.7"})
			if fails := b.create != nil || b.hit != nil; (err != nil) != fails {
				t.Fatalf("err = %v", err)
			}
			if err == nil {
				return
			}
			if len(s.machine.started) != 0 || len(s.requests()) != 0 {
				t.Error("a request that is not recorded was started")
			}
			for _, canary := range dsrtest.Canaries() {
				if strings.Contains(err.Error(), canary) {
					t.Error("the error names the person")
				}
			}
		})
	}
}

func TestCountries(t *testing.T) {
	all := intake.Countries()
	if len(all) < 245 || len(all) > 255 {
		t.Errorf("%d countries, want about 250", len(all))
	}
	seen, names := map[string]bool{}, map[string]bool{}
	for _, c := range all {
		if len(c.Code) != 2 || c.Name == "" || seen[c.Code] || names[c.Name] {
			t.Errorf("odd entry, or one that stands twice: %+v", c)
		}
		seen[c.Code], names[c.Name] = true, true
	}
	for _, code := range []string{"DE", "US", "GB", "BR", "PL", "FR"} {
		if !seen[code] {
			t.Errorf("%s is missing", code)
		}
	}
	for _, code := range []string{"ZZ", "EU", "UK", "DD", "XA"} {
		if seen[code] {
			t.Errorf("%s is no country of the list", code)
		}
	}
	if !slices.IsSortedFunc(all, func(a, b intake.Country) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the list is not in the order people read it in")
	}
}

// The sample beside the function is what API Gateway sends.
func TestSampleEvent(t *testing.T) {
	doc, err := os.ReadFile("../../../functions/intake-form/event.json")
	if err != nil {
		t.Fatal(err)
	}
	var e events.APIGatewayProxyRequest
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		t.Fatal(err)
	}
	s := newStand(t)
	answer, err := web.Adapt(s.stage.Handle, slog.New(slog.DiscardHandler), intake.Many...)(t.Context(), e)
	if err != nil || answer.StatusCode != http.StatusOK || len(s.requests()) != 1 {
		t.Fatalf("status %d, %v, %d requests", answer.StatusCode, err, len(s.requests()))
	}
	if r := s.requests()[0]; !slices.Equal(r.Rights, []dsr.Right{dsr.Access, dsr.Erasure}) {
		t.Errorf("the sample asks for %v", r.Rights)
	}
}

// Whatever a stranger sends is answered with 200 and recorded, or with 4xx and
// not; what was taken can be mailed.
func FuzzForm(f *testing.F) {
	f.Add("email=ada%40learner.example&rights=access&country=DE")
	f.Add("email=ada%40learner.example&rights=access&rights=erasure&message=%F0%9F%98%80")
	f.Add("email=ada%40b%C3%BCcher.example&rights=other&message=x&name=%3Cb%3E")
	f.Add("email=%D0%B0da%40learner.example&rights=access")
	f.Add("email=a%27%2B%60b%40x.example&rights=access&rights=")
	f.Add("email=" + strings.Repeat("a", 64) + "%40" + strings.Repeat("b", 63) + ".example&rights=access")
	f.Add("%zz=1&&;=")
	for c := '!'; c <= '~'; c++ { // each letter that a part before the @ may have
		f.Add("rights=access&email=" + url.QueryEscape("a"+string(c)+"b@x.example"))
	}
	company, err := policy.Load("pythonmaster")
	if err != nil {
		f.Fatal(err)
	}
	keys := vault.NewLocal("intake")
	f.Fuzz(func(t *testing.T, body string) {
		store, m := memory.New(), &machine{}
		stage := intake.New(intake.Deps{
			Company: company, Ledger: store, Keys: keys, Hasher: keys, Machine: m,
			Now: func() time.Time { return time.Date(2026, 11, 2, 10, 20, 0, 0, time.UTC) }, Log: slog.New(slog.DiscardHandler),
		})
		answer, err := web.Adapt(stage.Handle, slog.New(slog.DiscardHandler), intake.Many...)(t.Context(), events.APIGatewayProxyRequest{
			HTTPMethod: http.MethodPost, Path: "/", Body: body, Headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
		})
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case answer.StatusCode >= 500:
			t.Fatalf("status %d", answer.StatusCode)
		case answer.StatusCode >= 400:
			if len(m.started) != 0 {
				t.Fatal("a refused form started a machine")
			}
			return
		}
		if len(m.started) != 1 {
			t.Fatalf("%d machines started", len(m.started))
		}
		d, err := dossier.Open(t.Context(), store, keys, m.started[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		message, err := mail.Letter{Subject: "s", Lead: "l"}.Message(d.Subject.Email())
		if err != nil {
			t.Fatalf("taken, but no letter can be written: %v", err)
		}
		if _, err := new(mail.Memory).Send(t.Context(), message, "seed"); err != nil {
			t.Fatalf("taken, but it cannot be mailed: %v", err)
		}
	})
}
