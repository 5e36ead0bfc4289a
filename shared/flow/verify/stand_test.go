package verify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/verify"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/ledger/memory"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/platform/vault"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// machine records the waits that were released.
type machine struct {
	mu       sync.Mutex
	released []string
	fail     error
}

func (m *machine) Release(_ context.Context, token string, output any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if len(fmt.Sprint(output)) > len("map[]") {
		return errors.New("the machine is told more than nothing")
	}
	m.released = append(m.released, token)
	return nil
}

const proofPeriod = 7 * 24 * time.Hour

var start = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

// stand is the two functions of the stage with what stands around them.
type stand struct {
	t         testing.TB
	challenge *verify.Challenge
	answer    *verify.Answer
	ledger    *memory.Store
	keys      *vault.Vault
	mail      *mail.Memory
	machine   *machine
	now       time.Time
	log       bytes.Buffer
	codes     map[dsr.RequestID]string
}

func newStand(t testing.TB) *stand {
	t.Helper()
	company, err := policy.Load("pythonmaster")
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{t: t, ledger: memory.New(), keys: vault.NewLocal("verify"), mail: &mail.Memory{}, machine: &machine{}, now: start, codes: map[dsr.RequestID]string{}}
	clock := func() time.Time { return s.now }
	s.challenge = &verify.Challenge{Company: company, Ledger: s.ledger, Keys: s.keys, Mail: s.mail, Machine: s.machine, Now: clock, URL: "https://writ.example/p"}
	s.answer = verify.NewAnswer(verify.Answer{
		Company: company, Ledger: s.ledger, Keys: s.keys, Hasher: s.keys, Machine: s.machine, Now: clock,
		Log: slog.New(slog.NewJSONHandler(&s.log, nil)), URL: "https://writ.example/p",
	})
	return s
}

// request records what a form would, received now.
func (s *stand) request(who dsrtest.Person, change func(*ledger.Request)) dsr.RequestID {
	s.t.Helper()
	id, code := ledger.NewRequestID(), ledger.NewCode()
	hash, err := s.keys.Hash(s.t.Context(), "code", string(id)+code)
	if err != nil {
		s.t.Fatal(err)
	}
	sealed, err := dossier.Seal(s.t.Context(), s.keys, id, dsr.Subject{Name: who.Name, Language: "en", Identities: []dsr.Identity{{Kind: dsr.Email, Value: who.Email, Origin: dsr.SelfAsserted}}})
	if err != nil {
		s.t.Fatal(err)
	}
	clock := []dsr.ClockEvent{{Kind: dsr.Received, At: s.now}}
	due, err := s.challenge.Company.Due(nil, clock, "DE")
	if err != nil {
		s.t.Fatal(err)
	}
	r := ledger.Request{
		ID: id, Company: "pythonmaster", Channel: "form", Status: dsr.Verifying, Rights: []dsr.Right{dsr.Access}, Country: "DE", Language: "en",
		Clock: clock, DueAt: due.DueAt, Run: 1, ProofDue: s.now.Add(proofPeriod), CodeHash: hash,
	}
	if change != nil {
		change(&r)
	}
	if err := s.ledger.CreateRequest(s.t.Context(), r, sealed, dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: s.now, Run: 1}); err != nil {
		s.t.Fatal(err)
	}
	s.codes[id] = code
	return id
}

// asked is a request whose challenge was mailed by the machine's first call.
func (s *stand) asked(who dsrtest.Person, change func(*ledger.Request)) dsr.RequestID {
	s.t.Helper()
	id := s.request(who, change)
	s.wait(id, 1)
	return id
}

func (s *stand) wait(id dsr.RequestID, run int) {
	s.t.Helper()
	if _, err := s.challenge.Handle(s.t.Context(), verify.Input{V: 1, RequestID: id, Run: run, TaskToken: token(id, run)}); err != nil {
		s.t.Fatal(err)
	}
}

func token(id dsr.RequestID, run int) string { return fmt.Sprintf("task-token-%s-%d", id, run) }

func (s *stand) read(id dsr.RequestID) ledger.Request {
	s.t.Helper()
	r, err := s.ledger.Request(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *stand) change(id dsr.RequestID, f func(*ledger.Request)) {
	s.t.Helper()
	if _, err := ledger.Change(s.t.Context(), s.ledger, id, func(r *ledger.Request) error { f(r); return nil }); err != nil {
		s.t.Fatal(err)
	}
}

// kinds are the events of the request's chain, which must hold together.
func (s *stand) kinds(id dsr.RequestID) []dsr.EventKind {
	s.t.Helper()
	chain, err := s.ledger.Events(s.t.Context(), id, dsr.RequestChain)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := dsr.VerifyChain(chain); err != nil {
		s.t.Fatal(err)
	}
	var kinds []dsr.EventKind
	for _, e := range chain {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func (s *stand) count(id dsr.RequestID, kind dsr.EventKind) int {
	s.t.Helper()
	n := 0
	for _, k := range s.kinds(id) {
		if k == kind {
			n++
		}
	}
	return n
}

// snapshot is everything the ledger holds.
func (s *stand) snapshot() string { return fmt.Sprintf("%+v", s.ledger) }

// link is the newest one to a path in the mails to an address about a request.
func (s *stand) link(id dsr.RequestID, path string) string {
	s.t.Helper()
	form := regexp.MustCompile(`https://writ\.example/p` + path + `\?t=([A-Za-z0-9_%-]+)`)
	for _, m := range slices.Backward(s.mail.All()) {
		if !strings.Contains(m.Text, string(id)) {
			continue
		}
		if found := form.FindStringSubmatch(m.Text); found != nil {
			secret, err := url.QueryUnescape(found[1])
			if err != nil {
				s.t.Fatal(err)
			}
			return secret
		}
	}
	s.t.Fatalf("no mail about %s leads to %s", id, path)
	return ""
}

func (s *stand) do(method, path, secret string, fields ...string) web.Response {
	s.t.Helper()
	r, err := s.try(method, path, secret, fields...)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *stand) try(method, path, secret string, fields ...string) (web.Response, error) {
	r := web.Request{Method: method, Path: path, Query: url.Values{}, Form: url.Values{}, Source: "192.0.2.7"}
	values := r.Query
	if method == http.MethodPost {
		values = r.Form
	}
	values.Set("t", secret)
	for i := 0; i+1 < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	return s.answer.Handle(context.Background(), r)
}

func (s *stand) confirm(id dsr.RequestID, code string) web.Response {
	s.t.Helper()
	return s.do(http.MethodPost, "/confirm", s.link(id, "/confirm"), "code", code, "confirm", "yes")
}

// noCanary fails where a text that anybody may read holds a personal value.
func noCanary(t testing.TB, where, text string) {
	t.Helper()
	for _, canary := range dsrtest.Canaries() {
		if strings.Contains(text, canary) {
			t.Errorf("%s holds %q", where, canary)
		}
	}
}
