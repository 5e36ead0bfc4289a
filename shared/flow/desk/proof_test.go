package desk_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/desk"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/ledger/memory"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/platform/vault"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// machine records what was started and released.
type machine struct {
	started  []string
	released []string
	fail     error
}

func (m *machine) StartRun(_ context.Context, id dsr.RequestID, run int, proved bool) error {
	m.started = append(m.started, fmt.Sprintf("%s-%d %t", id, run, proved))
	return m.fail
}

func (m *machine) Release(_ context.Context, token string, _ any) error {
	m.released = append(m.released, token)
	return m.fail
}

// proofStand is the desk with one request whose person is sealed.
type proofStand struct {
	t       *testing.T
	store   *memory.Store
	keys    *vault.Vault
	mail    *mail.Memory
	machine *machine
	stage   *desk.Stage
	now     time.Time
	log     bytes.Buffer
}

const fact = "order 4711-canary"

func newProofStand(t *testing.T, company string, change func(*ledger.Request)) *proofStand {
	t.Helper()
	pack, err := policy.Load(company)
	if err != nil {
		t.Fatal(err)
	}
	s := &proofStand{t: t, store: memory.New(), keys: vault.NewLocal("desk"), mail: &mail.Memory{}, machine: &machine{}, now: now}
	s.stage = &desk.Stage{
		Company: pack, Ledger: s.store, Hasher: s.keys, Keys: s.keys, Mail: s.mail, Machine: s.machine, URL: "https://writ.example",
		Now: func() time.Time { return s.now }, Log: slog.New(slog.NewJSONHandler(&s.log, nil)),
	}
	person := dsr.Subject{
		Name: dsrtest.Ada.Name, Language: "en", Identities: []dsr.Identity{{Kind: dsr.Email, Value: dsrtest.Ada.Email, Origin: dsr.SelfAsserted}},
		Points: []dsr.Point{{Field: "order_number", Value: fact}}, Declared: dsrtest.Ada.Name, Permission: "a letter",
	}
	sealed, err := dossier.Seal(t.Context(), s.keys, id, person)
	if err != nil {
		t.Fatal(err)
	}
	box, err := s.keys.OpenBox(t.Context(), id, sealed.WrappedKey)
	if err != nil {
		t.Fatal(err)
	}
	r := ledger.Request{
		ID: id, Company: company, Channel: ledger.ChannelForm, Status: dsr.NeedsAttention, Owner: ledger.OfficerRole, Reason: ledger.ReasonProof,
		Rights: []dsr.Right{dsr.Access}, Country: "US", State: "CA", Language: "en", Run: 1, ProofDue: now.Add(7 * 24 * time.Hour),
		Clock: []dsr.ClockEvent{{Kind: dsr.Received, At: now}}, SealedWait: dossier.SealWait(box, id, "challenge", "the-wait"),
	}
	if change != nil {
		change(&r)
	}
	due, err := pack.Due(r.Rights, r.Clock, r.Place())
	if err != nil {
		t.Fatal(err)
	}
	r.DueAt = due.DueAt
	if err := s.store.CreateRequest(t.Context(), r, sealed, dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: now}); err != nil {
		t.Fatal(err)
	}
	return s
}

// do acts as the first officer; it returns the answer's problem, "" for none.
func (s *proofStand) do(act, body string, want int) (web.Response, string) {
	s.t.Helper()
	r, err := s.stage.Handle(s.t.Context(), web.Request{Method: http.MethodPost, Path: "/desk/" + act, Actor: first, Body: []byte(body)})
	if err != nil {
		s.t.Fatal(err)
	}
	if r.Status != want {
		s.t.Fatalf("%s %s: status %d, want %d: %s", act, body, r.Status, want, r.Body)
	}
	var p struct{ Problem string }
	_ = json.Unmarshal(r.Body, &p)
	return r, p.Problem
}

func (s *proofStand) decide(fits bool, reason string, want int) string {
	s.t.Helper()
	_, wrong := s.do("proof/decide", fmt.Sprintf(`{"request_id":"%s","sufficient":%t,"reason":"%s"}`, id, fits, reason), want)
	return wrong
}

func (s *proofStand) read() ledger.Request {
	s.t.Helper()
	r, err := s.store.Request(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *proofStand) person() dsr.Subject {
	s.t.Helper()
	d, err := dossier.Open(s.t.Context(), s.store, s.keys, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return d.Subject
}

// chain is the request's chain, which must hold together and name nobody.
func (s *proofStand) chain() string {
	s.t.Helper()
	events, err := s.store.Events(s.t.Context(), id, dsr.RequestChain)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := dsr.VerifyChain(events); err != nil {
		s.t.Fatal(err)
	}
	doc, err := json.Marshal(events)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, canary := range append(dsrtest.Canaries(), fact, "a letter") {
		if bytes.Contains(doc, []byte(canary)) || strings.Contains(s.log.String(), canary) {
			s.t.Errorf("an event or the log holds %q", canary)
		}
	}
	return string(doc)
}

func TestProofThatSufficesStartsTheRun(t *testing.T) {
	s := newProofStand(t, "pythonmaster", nil)
	shown, _ := s.do("proof/show", `{"request_id":"`+string(id)+`"}`, http.StatusOK)
	var p desk.Proof
	if err := json.Unmarshal(shown.Body, &p); err != nil || len(p.Points) != 1 || p.Points[0].Value != fact || p.Address != dsrtest.Ada.Email || p.By != dsr.Self || len(p.Needs) == 0 {
		t.Fatalf("shown %+v, %v", p, err)
	}
	s.decide(true, "facts_match", http.StatusOK)
	r := s.read()
	if r.Status != dsr.Running || !r.VerifiedAt.Equal(now) || r.Owner != "" || r.Reason != "" || r.Run != 2 {
		t.Errorf("recorded %+v", r)
	}
	if !slices.Equal(s.machine.started, []string{string(id) + "-2 true"}) || !slices.Equal(s.machine.released, []string{"the-wait"}) {
		t.Errorf("started %v, released %v", s.machine.started, s.machine.released)
	}
	if who := s.person(); len(who.Points) != 0 || who.Permission != "" || who.Declared != dsrtest.Ada.Name || who.Email() != dsrtest.Ada.Email {
		t.Error("what was given as proof is not deleted, or more than that is")
	}
	chain := s.chain()
	for _, want := range []string{`"proof_shown"`, `"proof_decided"`, `"verified"`, first, `"facts_match"`} {
		if !strings.Contains(chain, want) {
			t.Errorf("the chain lacks %s: %s", want, chain)
		}
	}
	if wrong := s.decide(true, "facts_match", http.StatusConflict); !strings.Contains(wrong, "decided already") {
		t.Errorf("a second decision: %s", wrong)
	}
	s.do("proof/show", `{"request_id":"`+string(id)+`"}`, http.StatusConflict)
}

// An act that was cut off after its decision is finished by the next.
func TestTheProofIsForgottenOnTheSecondTry(t *testing.T) {
	s := newProofStand(t, "pythonmaster", func(r *ledger.Request) { r.Status, r.VerifiedAt, r.Owner, r.Reason = dsr.Running, now, "", "" })
	s.decide(true, "facts_match", http.StatusConflict)
	if len(s.person().Points) != 0 {
		t.Error("the facts are still there")
	}
}

func TestProofThatFallsShort(t *testing.T) {
	t.Run("California: the categories instead", func(t *testing.T) {
		s := newProofStand(t, "pythonmaster", nil)
		s.decide(false, "facts_differ", http.StatusOK)
		r := s.read()
		if r.Status != dsr.Running || !r.VerifiedAt.IsZero() || r.Facts[policy.FactUnfit] != "yes" || r.Allows(r.Run) {
			t.Errorf("recorded %+v", r)
		}
		if !slices.Equal(s.machine.started, []string{string(id) + "-2 false"}) || !strings.Contains(s.chain(), `"lesser":true`) {
			t.Errorf("started %v", s.machine.started)
		}
	})
	t.Run("no lesser answer: not verified, and told so by the next run", func(t *testing.T) {
		s := newProofStand(t, "pythonmaster", func(r *ledger.Request) { r.Rights, r.Country, r.State = []dsr.Right{dsr.Erasure}, "DE", "" })
		s.decide(false, "no_answer", http.StatusOK)
		r := s.read()
		if r.Status != dsr.Unverified || r.ClosedAt.IsZero() || r.Facts[policy.FactUnfit] != "" || len(s.machine.started) != 1 {
			t.Errorf("recorded %+v, started %v", r, s.machine.started)
		}
		if s.chain(); len(s.person().Points) != 0 {
			t.Error("the facts are still there")
		}
	})
	t.Run("a machine that does not start is the sweep's", func(t *testing.T) {
		s := newProofStand(t, "pythonmaster", nil)
		s.machine.fail = errors.New("starting: no answer")
		s.decide(true, "facts_match", http.StatusOK)
		if !strings.Contains(s.log.String(), "the sweep will do it") {
			t.Error("nothing is logged")
		}
	})
}

func TestNobodyDecidesWhatIsNotOpen(t *testing.T) {
	for name, change := range map[string]func(*ledger.Request){
		"waits for the mailbox": func(r *ledger.Request) { r.Status, r.Owner, r.Reason = dsr.Verifying, "", "" },
		"a failed step":         func(r *ledger.Request) { r.VerifiedAt, r.Reason = now, "plan-request" },
		"withdrawn":             func(r *ledger.Request) { r.Status, r.ClosedAt = dsr.Withdrawn, now },
	} {
		t.Run(name, func(t *testing.T) {
			s := newProofStand(t, "pythonmaster", change)
			before := s.read()
			s.decide(true, "facts_match", http.StatusConflict)
			if r := s.read(); r.Status != before.Status || r.Run != before.Run || !r.VerifiedAt.Equal(before.VerifiedAt) || len(s.machine.started) != 0 {
				t.Errorf("recorded %+v", r)
			}
		})
	}
	s := newProofStand(t, "pythonmaster", nil)
	for body, want := range map[string]int{
		`{"request_id":"` + string(id) + `","reason":"facts_match"}`:                           http.StatusBadRequest,
		`{"request_id":"` + string(id) + `","sufficient":true,"reason":"looks fine"}`:          http.StatusBadRequest,
		`{"request_id":"` + string(id) + `","sufficient":false,"reason":"facts_match"}`:        http.StatusBadRequest,
		`{"request_id":"w1","sufficient":true,"reason":"facts_match"}`:                         http.StatusBadRequest,
		`{"request_id":"wbbbbbbbbbbbbbbbbbbbbbbbbb","sufficient":true,"reason":"facts_match"}`: http.StatusNotFound,
	} {
		if _, wrong := s.do("proof/decide", body, want); wrong == "" {
			t.Errorf("%s: no reason is given", body)
		}
	}
	if err := s.store.DeleteSubject(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	s.decide(true, "facts_match", http.StatusConflict)
}
