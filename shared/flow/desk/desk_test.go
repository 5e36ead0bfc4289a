package desk_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/desk"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/memory"
	"github.com/writ-dsr/writ/shared/platform/vault"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

const (
	id     = dsr.RequestID("waaaaaaaaaaaaaaaaaaaaaaaaa")
	first  = "arn:aws:iam::000000000000:user/first"
	second = "arn:aws:iam::000000000000:user/second"
)

var now = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

type stand struct {
	t     *testing.T
	store *memory.Store
	keys  *vault.Vault
	stage *desk.Stage
	log   bytes.Buffer
}

func newStand(t *testing.T) *stand {
	t.Helper()
	company, err := policy.Load("pythonmaster")
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{t: t, store: memory.New(), keys: vault.NewLocal("desk")}
	s.stage = &desk.Stage{Company: company, Ledger: s.store, Hasher: s.keys, Now: func() time.Time { return now }, Log: slog.New(slog.NewJSONHandler(&s.log, nil))}
	r := ledger.Request{ID: id, Status: dsr.NeedsAttention, Owner: "privacy_officer", Reason: "mail_bounced", Rights: []dsr.Right{dsr.Access}, DueAt: now, Run: 1,
		SealedWait: []byte("sealed-wait"), CodeHash: "code-hash", Clock: []dsr.ClockEvent{{Kind: dsr.Received, At: now}}}
	if err := s.store.CreateRequest(t.Context(), r, ledger.SealedSubject{RequestID: id, Ciphertext: []byte("sealed-person")}, dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: now}); err != nil {
		t.Fatal(err)
	}
	v := dsr.Visit{RequestID: id, System: "app", Phase: dsr.Gather, Status: dsr.VisitSettled, Sealed: []byte("sealed-footprint"), Outcomes: []dsr.Outcome{{Category: "account", Kind: dsr.Exported, Count: 3}}}
	if err := s.store.PlanVisits(t.Context(), []dsr.Visit{v}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stand) do(actor, act, body string) web.Response {
	s.t.Helper()
	r, err := s.stage.Handle(s.t.Context(), web.Request{Method: http.MethodPost, Path: "/desk/" + act, Actor: actor, Body: []byte(body)})
	if err != nil {
		s.t.Fatal(err)
	}
	if !json.Valid(r.Body) || r.Header["Content-Type"] != "application/json" {
		s.t.Errorf("%s is answered with %q", act, r.Body)
	}
	return r
}

func (s *stand) count(kind dsr.EventKind) int {
	n := 0
	chain, _ := s.store.Events(s.t.Context(), id, dsr.RequestChain)
	for _, e := range chain {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

var acts = []string{"holds/place", "holds/lift", "holds/show", "holds/list", "requests/scheduled", "requests/list", "requests/show", "requests/events"}

func TestWhoIsNotSignedIsRefused(t *testing.T) {
	s := newStand(t)
	for _, act := range acts {
		if r := s.do("", act, `{"request_id":"`+string(id)+`","reason":"x"}`); r.Status != http.StatusForbidden || bytes.Contains(r.Body, []byte(id)) {
			t.Errorf("%s: status %d: %s", act, r.Status, r.Body)
		}
	}
	if held(t, s, ledger.HoldOnRequest(id)) != nil {
		t.Error("a hold was placed")
	}
}

func TestMalformedActs(t *testing.T) {
	request := `"request_id":"` + string(id) + `"`
	for _, c := range []struct {
		name, act, body string
		status          int
	}{
		{"an unknown field", "holds/place", `{` + request + `,"reason":"x","actor":"me"}`, 400},
		{"no JSON", "holds/place", `reason=x`, 400},
		{"nothing", "holds/place", ``, 400},
		{"no key", "holds/place", `{"reason":"x"}`, 400},
		{"a matter that is a name", "holds/place", `{` + request + `,"reason":"x","matter":"Ada Example v. Us"}`, 400},
		{"two keys", "holds/place", `{` + request + `,"category":"account","reason":"x"}`, 400},
		{"no reason", "holds/place", `{` + request + `}`, 400},
		{"white space as a reason", "holds/place", `{` + request + `,"reason":" \n"}`, 400},
		{"an id that is none", "holds/place", `{"request_id":"1","reason":"x"}`, 400},
		{"a request that is not there", "holds/place", `{"request_id":"wbbbbbbbbbbbbbbbbbbbbbbbbb","reason":"x"}`, 404},
		{"an unknown category", "holds/place", `{"category":"shoes","reason":"x"}`, 400},
		{"no address", "holds/place", `{"address":"ada","reason":"x"}`, 400},
		{"lifting without a reason", "holds/lift", `{` + request + `}`, 400},
		{"lifting what is not there", "holds/lift", `{` + request + `,"reason":"x"}`, 404},
		{"showing what is not there", "holds/show", `{` + request + `}`, 404},
		{"showing nothing", "holds/show", `{}`, 400},
		{"a request's id that is none", "requests/show", `{"request_id":""}`, 400},
		{"a request nobody knows", "requests/show", `{"request_id":"wbbbbbbbbbbbbbbbbbbbbbbbbb"}`, 404},
		{"events of an id that is none", "requests/events", `{"request_id":"x"}`, 400},
		{"an unknown act", "requests/delete", `{` + request + `}`, 404},
		{"a way around", "holds/../requests/delete", `{}`, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t)
			r := s.do(first, c.act, c.body)
			if r.Status != c.status || !bytes.Contains(r.Body, []byte(`"problem"`)) {
				t.Errorf("status %d, want %d: %s", r.Status, c.status, r.Body)
			}
			if s.count(dsr.EventHoldPlaced)+s.count(dsr.EventHoldLifted) != 0 {
				t.Error("an event tells of an act that was refused")
			}
			if chain, _ := s.store.Events(t.Context(), "wbbbbbbbbbbbbbbbbbbbbbbbbb", dsr.RequestChain); len(chain) != 0 {
				t.Error("a chain was begun for a request that is not there")
			}
		})
	}
	s := newStand(t)
	r, err := s.stage.Handle(t.Context(), web.Request{Method: http.MethodGet, Path: "/desk/requests/list", Actor: first})
	if err != nil || r.Status != http.StatusMethodNotAllowed {
		t.Errorf("GET: status %d, %v", r.Status, err)
	}
}

func held(t *testing.T, s *stand, key string) []ledger.Hold {
	t.Helper()
	all, err := s.store.Holds(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A matter holds persons, categories and requests, and is lifted as a whole;
// what another matter holds stays held.
func TestMatter(t *testing.T) {
	s := newStand(t)
	request, category := `"request_id":"`+string(id)+`"`, `"category":"payments"`
	for _, key := range []string{request, category, `"address":"` + dsrtest.Ada.Email + `"`} {
		if r := s.do(first, "holds/place", `{`+key+`,"reason":"a claim","matter":"2026-014"}`); r.Status != http.StatusCreated {
			t.Fatalf("placing: status %d: %s", r.Status, r.Body)
		}
	}
	if r := s.do(first, "holds/place", `{`+category+`,"reason":"an audit","matter":"audit-7"}`); r.Status != http.StatusCreated {
		t.Fatalf("placing for another matter: status %d: %s", r.Status, r.Body)
	}
	list := func() string {
		var matters []desk.Matter
		if err := json.Unmarshal(s.do(second, "holds/list", `{}`).Body, &matters); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, m := range matters {
			lines = append(lines, fmt.Sprintf("%s %d", m.Matter, len(m.Holds)))
		}
		return strings.Join(lines, ", ")
	}
	if got, want := list(), "2026-014 3, audit-7 1"; got != want {
		t.Errorf("the list is %s, want %s", got, want)
	}
	lift := `{"matter":"2026-014","reason":"settled"}`
	for i, c := range []struct {
		actor string
		want  int
	}{{first, 202}, {first, 403}, {second, 200}, {second, 404}} {
		if r := s.do(c.actor, "holds/lift", lift); r.Status != c.want {
			t.Errorf("call %d: status %d, want %d: %s", i, r.Status, c.want, r.Body)
		}
	}
	if got, want := list(), "audit-7 1"; got != want {
		t.Errorf("the list is %s, want %s", got, want)
	}
	if len(held(t, s, ledger.HoldOnCategory("payments"))) != 1 {
		t.Error("the other matter's hold is gone")
	}
	if p, a, l := s.count(dsr.EventHoldPlaced), s.count(dsr.EventLiftProposed), s.count(dsr.EventHoldLifted); p != 1 || a != 1 || l != 1 {
		t.Errorf("%d, %d and %d recorded on the request", p, a, l)
	}
}

func TestHolds(t *testing.T) {
	for _, c := range []struct {
		name, key string
		stored    func(*stand) string
		recorded  int
	}{
		{"on a request", `"request_id":"` + string(id) + `"`, func(*stand) string { return ledger.HoldOnRequest(id) }, 1},
		{"on a category", `"category":"payments"`, func(*stand) string { return ledger.HoldOnCategory("payments") }, 0},
		{"on a person", `"address":"` + dsrtest.Ada.Email + `"`, func(s *stand) string {
			hash, _ := s.keys.Hash(context.Background(), "identity", dsrtest.Ada.Email)
			return ledger.HoldOnSubject(hash)
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t)
			body := `{` + c.key + `,"reason":"a claim is expected"}`
			if r := s.do(first, "holds/place", body); r.Status != http.StatusCreated {
				t.Fatalf("placing: status %d: %s", r.Status, r.Body)
			}
			kept := held(t, s, c.stored(s))
			if len(kept) != 1 || kept[0].By != first || kept[0].Reason != "a claim is expected" || kept[0].Matter != ledger.DefaultMatter || !kept[0].At.Equal(now) {
				t.Fatalf("kept as %+v", kept)
			}
			if strings.Contains(kept[0].Key, dsrtest.Ada.Email) {
				t.Error("the key holds the address")
			}
			if r := s.do(second, "holds/place", body); r.Status != http.StatusConflict {
				t.Errorf("placing twice: status %d", r.Status)
			}
			if r := s.do(first, "holds/show", `{`+c.key+`}`); r.Status != http.StatusOK {
				t.Errorf("showing: status %d", r.Status)
			}
			if r := s.do(first, "holds/lift", body); r.Status != http.StatusAccepted || len(held(t, s, c.stored(s))) != 1 {
				t.Errorf("asking to lift: status %d: %s", r.Status, r.Body)
			}
			if r := s.do(first, "holds/lift", body); r.Status != http.StatusForbidden || len(held(t, s, c.stored(s))) != 1 {
				t.Errorf("confirming one's own word: status %d, want 403", r.Status)
			}
			if r := s.do(second, "holds/lift", body); r.Status != http.StatusOK || held(t, s, c.stored(s)) != nil {
				t.Errorf("confirming: status %d: %s", r.Status, r.Body)
			}
			var kinds []string
			chain, _ := s.store.Events(t.Context(), ledger.HoldsRequest, ledger.DefaultMatter)
			for _, e := range chain {
				kinds = append(kinds, fmt.Sprintf("%s by %s", e.Kind, path.Base(e.Detail["by"].(string))))
			}
			if got, want := strings.Join(kinds, ", "), "hold_placed by first, hold_lift_proposed by first, hold_lifted by second"; got != want {
				t.Errorf("recorded are %s, want %s", got, want)
			}
			if doc, _ := json.Marshal(chain); strings.Contains(string(doc), "h1:") {
				t.Error("the chain holds the person's keyed hash")
			}
			if p, l := s.count(dsr.EventHoldPlaced), s.count(dsr.EventHoldLifted); p != c.recorded || l != c.recorded {
				t.Errorf("%d placings and %d liftings recorded on the request, want %d each", p, l, c.recorded)
			}
			if strings.Contains(s.log.String(), "canary") {
				t.Error("the log names the person")
			}
		})
	}
}

// The address of a hold is found whatever way its domain is written.
func TestHoldOnAPersonKnowsOneMailbox(t *testing.T) {
	s := newStand(t)
	s.do(first, "holds/place", `{"address":"ada@B\u00fccher.example","reason":"x"}`)
	if r := s.do(first, "holds/show", `{"address":" ada@xn--bcher-kva.example "}`); r.Status != http.StatusOK {
		t.Errorf("status %d", r.Status)
	}
	if r := s.do(first, "holds/show", `{"address":"Ada@xn--bcher-kva.example"}`); r.Status != http.StatusNotFound {
		t.Errorf("another mailbox: status %d", r.Status)
	}
}

func TestLookingShowsNothingSealed(t *testing.T) {
	s := newStand(t)
	body := `{"request_id":"` + string(id) + `"}`
	for act, want := range map[string]string{"requests/list": "mail_bounced", "requests/show": `"exported"`, "requests/events": `"received"`} {
		if act == "requests/list" {
			body = `{}`
		} else {
			body = `{"request_id":"` + string(id) + `"}`
		}
		r := s.do(first, act, body)
		if r.Status != http.StatusOK || !bytes.Contains(r.Body, []byte(want)) {
			t.Errorf("%s: status %d: %s", act, r.Status, r.Body)
		}
		for _, secret := range []string{"sealed", "code", "c2VhbGVk", "wait"} { // base64 of "sealed", too
			if bytes.Contains(r.Body, []byte(secret)) {
				t.Errorf("%s shows %q: %s", act, secret, r.Body)
			}
		}
	}
	if r := s.do(first, "requests/events", `{"request_id":"`+string(id)+`","chain":"stripe"}`); r.Status != http.StatusOK {
		t.Errorf("an empty chain: status %d", r.Status)
	}
}

// The sample beside the function is what API Gateway sends.
func TestSampleEvent(t *testing.T) {
	doc, err := os.ReadFile("../../../functions/desk/event.json")
	if err != nil {
		t.Fatal(err)
	}
	var e events.APIGatewayProxyRequest
	if err := json.Unmarshal(doc, &e); err != nil {
		t.Fatal(err)
	}
	var named struct {
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(e.Body), &named); err != nil {
		t.Fatal(err)
	}
	s := newStand(t)
	e.Body = strings.ReplaceAll(e.Body, named.RequestID, string(id))
	answer, err := web.Adapt(s.stage.Handle, slog.New(slog.DiscardHandler))(t.Context(), e)
	if err != nil || answer.StatusCode != http.StatusCreated || s.count(dsr.EventHoldPlaced) != 1 {
		t.Errorf("status %d, %v: %s", answer.StatusCode, err, answer.Body)
	}
}
