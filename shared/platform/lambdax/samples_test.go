package lambdax_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/bundle"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
	"github.com/writ-dsr/writ/shared/platform/web"
)

const functions = "../../../functions"

// Each function has a sample event beside it: JSON, impersonal, and read by the
// edge the function stands behind. The stages' own tests run them through.
func TestEachFunctionHasASampleEvent(t *testing.T) {
	folders, err := os.ReadDir(functions)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range folders {
		if !f.IsDir() {
			continue
		}
		seen++
		doc, err := os.ReadFile(filepath.Join(functions, f.Name(), "event.json"))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, canary := range append(dsrtest.Canaries(), "@learner.example") {
			if bytes.Contains(doc, []byte(canary)) {
				t.Errorf("%s: the sample holds %q", f.Name(), canary)
			}
		}
		var kind struct {
			V      int    `json:"v"`
			Method string `json:"httpMethod"`
			Source string `json:"source"`
		}
		if err := json.Unmarshal(doc, &kind); err != nil {
			t.Errorf("%s: %v", f.Name(), err)
			continue
		}
		switch {
		case kind.Method != "":
			var e events.APIGatewayProxyRequest
			if err := json.Unmarshal(doc, &e); err != nil {
				t.Errorf("%s: %v", f.Name(), err)
			}
			if _, refused := web.Decode(e, "rights"); refused != nil {
				t.Errorf("%s: refused with %d", f.Name(), refused.Status)
			}
		case kind.V == 1:
			h := lambdax.Wrap(func(_ context.Context, in payload) (out, error) {
				_, err := dsr.ParseRequestID(string(in.RequestID))
				return out{}, err
			}, slog.New(slog.DiscardHandler))
			if _, err := h(t.Context(), doc); err != nil {
				t.Errorf("%s: %v", f.Name(), err)
			}
		case !strings.HasPrefix(kind.Source, "aws."):
			t.Errorf("%s: the sample is no event of API Gateway, EventBridge or the machine", f.Name())
		}
	}
	if seen < 15 {
		t.Errorf("%d functions, want all", seen)
	}
}

// payload has every field that the machine sends to any stage.
type payload struct {
	V         int           `json:"v"`
	RequestID dsr.RequestID `json:"request_id"`
	Run       int           `json:"run"`
	System    string        `json:"system"`
	Phase     dsr.Phase     `json:"phase"`
	Cause     string        `json:"cause"`
	Notice    string        `json:"notice"`
	TaskToken string        `json:"task_token"`
}

func TestSampleEventOfTheArchive(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(functions, "bundle-archive", "event.json"))
	if err != nil {
		t.Fatal(err)
	}
	h := lambdax.Wrap(func(_ context.Context, in bundle.Input) (bundle.Input, error) { return in, nil }, slog.New(slog.DiscardHandler))
	if got, err := h(t.Context(), doc); err != nil || got.(bundle.Input).Run != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}
