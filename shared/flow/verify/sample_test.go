package verify_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
	"github.com/writ-dsr/writ/shared/platform/web"
)

// The samples beside the functions are what the machine and API Gateway send.
func TestSampleEvents(t *testing.T) {
	s := newStand(t)
	id := s.request(dsrtest.Ada, nil)
	challenge, err := os.ReadFile("../../../functions/verify-challenge/event.json")
	if err != nil {
		t.Fatal(err)
	}
	var named struct {
		RequestID dsr.RequestID `json:"request_id"`
	}
	if err := json.Unmarshal(challenge, &named); err != nil {
		t.Fatal(err)
	}
	challenge = bytes.ReplaceAll(challenge, []byte(named.RequestID), []byte(id))
	if _, err := lambdax.Wrap(s.challenge.Handle, slog.New(slog.DiscardHandler))(t.Context(), challenge); err != nil || len(s.mail.All()) != 1 {
		t.Fatalf("%v, %d mails", err, len(s.mail.All()))
	}
	if _, err := dsr.ParseRequestID(string(named.RequestID)); err != nil {
		t.Error(err)
	}

	doc, err := os.ReadFile("../../../functions/verify-answer/event.json")
	if err != nil {
		t.Fatal(err)
	}
	var e events.APIGatewayProxyRequest
	if err := json.Unmarshal(doc, &e); err != nil {
		t.Fatal(err)
	}
	edge := web.Adapt(s.answer.Handle, slog.New(slog.DiscardHandler))
	if answer, err := edge(t.Context(), e); err != nil || answer.StatusCode != http.StatusNotFound {
		t.Errorf("a link of nobody's: status %d, %v; want 404", answer.StatusCode, err)
	}
	e.Body = strings.Replace(e.Body, "BCDF-3467", s.codes[id], 1)
	secret, _, _ := strings.Cut(strings.TrimPrefix(e.Body, "t="), "&")
	if err := s.ledger.PutToken(t.Context(), ledger.Token{Hash: ledger.HashSecret(secret), RequestID: id, Purpose: ledger.TokenConfirm, Due: s.now}); err != nil {
		t.Fatal(err)
	}
	if answer, err := edge(t.Context(), e); err != nil || answer.StatusCode != http.StatusOK || s.read(id).Status != dsr.Running {
		t.Errorf("status %d, %v, request %s", answer.StatusCode, err, s.read(id).Status)
	}
}
