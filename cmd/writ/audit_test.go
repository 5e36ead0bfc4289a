package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/audit"
	"github.com/writ-dsr/writ/shared/ledger/memory"
	"github.com/writ-dsr/writ/shared/platform/vault"
)

// closedRequest writes a request with three links whose closing head was sealed
// over the first `sealed` of them.
func closedRequest(t *testing.T, s *memory.Store, keys *vault.Vault, sealed int) dsr.RequestID {
	t.Helper()
	ctx, id := t.Context(), ledger.NewRequestID()
	event := func(kind dsr.EventKind) dsr.Event {
		return dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: kind, At: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)}
	}
	if err := s.CreateRequest(ctx, ledger.Request{ID: id}, ledger.SealedSubject{RequestID: id}, event(dsr.EventReceived)); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []dsr.EventKind{dsr.EventVerified, dsr.EventClosed} {
		if err := s.Append(ctx, event(kind)); err != nil {
			t.Fatal(err)
		}
	}
	events, err := s.Events(ctx, id, dsr.RequestChain)
	if err != nil {
		t.Fatal(err)
	}
	mac, err := keys.MAC(ctx, ledger.HeadPurpose, ledger.HeadMessage(id, dsr.RequestChain, events[sealed-1].Hash))
	if err != nil {
		t.Fatal(err)
	}
	_, err = ledger.Change(ctx, s, id, func(r *ledger.Request) error {
		r.HeadMACs = map[string]string{dsr.RequestChain: mac}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAuditVerify(t *testing.T) {
	s, keys := memory.New(), vault.NewLocal("test")
	whole, longer := closedRequest(t, s, keys, 3), closedRequest(t, s, keys, 2)
	e := evidence{
		auditor: audit.New(s, macCheck(keys)),
		chains: func(context.Context) (map[dsr.RequestID][]string, error) {
			return map[dsr.RequestID][]string{whole: {"request"}, longer: {"request"}}, nil
		},
	}
	for id, want := range map[dsr.RequestID]struct {
		text  string
		fails string
	}{
		whole:  {string(whole) + "  1 chains, 3 links, sealed: intact\n1 requests checked.\n", ""},
		longer: {string(longer) + "  1 chains, 3 links, sealed: CHANGED\n  chain request: 1 links were added after it was closed\n1 requests checked.\n", "1 of 1 requests"},
		"":     {"2 requests checked.\n", "1 of 2 requests"},
	} {
		var out bytes.Buffer
		err := e.verify(t.Context(), console{out: &out}, id)
		if !strings.HasSuffix(out.String(), want.text) {
			t.Errorf("printed %q, want it to end in %q", out.String(), want.text)
		}
		if (err != nil) != (want.fails != "") || err != nil && !strings.Contains(err.Error(), want.fails) {
			t.Errorf("got error %v, want %q", err, want.fails)
		}
		out.Reset()
		_ = e.verify(t.Context(), console{out: &out, json: true}, id)
		var result audited
		if err := json.Unmarshal(out.Bytes(), &result); err != nil || result.Intact != (want.fails == "") {
			t.Errorf("as JSON: intact is %v, %v", result.Intact, err)
		}
	}
	if err := e.verify(t.Context(), console{out: new(bytes.Buffer)}, ledger.NewRequestID()); err == nil {
		t.Error("a request nobody knows is intact")
	}
}

func TestAuditUsage(t *testing.T) {
	for _, variable := range auditNames {
		t.Setenv(variable, "")
	}
	t.Setenv("WRIT_TABLE_TASKS", "tasks")
	id := string(ledger.NewRequestID())
	for args, want := range map[string]string{
		"audit":                                   "say what to do",
		"audit check":                             "say what to do",
		"audit verify":                            "--request or --all",
		"audit verify --all --request " + id:      "--request or --all",
		"audit verify --request someone":          "reading request id",
		"audit verify --all more":                 "one argument too many",
		"audit verify --unknown":                  "unknown",
		"audit verify --request " + id:            "set WRIT_KEY_MAC, WRIT_TABLE_EVENTS, WRIT_TABLE_REQUESTS",
		"audit --request " + id + " verify":       "set WRIT_KEY_MAC",
		"audit --all verify --request=" + id:      "--request or --all",
		"audit verify --all --json --company= -x": "-x",
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), []command{auditCommand()}, strings.Fields(args), &out, &errs); code != exitUsage || !strings.Contains(errs.String(), want) {
			t.Errorf("writ %s: exit %d with %q, want %d with %q", args, code, errs.String(), exitUsage, want)
		}
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []command{auditCommand()}, []string{"audit", "verify", "-h"}, &out, &errs); code != exitDone || !strings.Contains(out.String(), "-company") {
		t.Errorf("help: exit %d with %q", code, out.String())
	}
}
