package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/dsr"
)

func TestConnectors(t *testing.T) {
	var out, errs bytes.Buffer
	f := frame{table: []command{connectorsCommand()}, out: &out, errs: &errs}
	if exit := f.run(t.Context(), []string{"connectors", "--json"}); exit != exitDone {
		t.Fatalf("exit %d: %s", exit, errs.String())
	}
	var rows []struct {
		Code  string            `json:"code"`
		Ops   map[string]string `json:"ops"`
		Hosts []string          `json:"hosts"`
		Keeps []map[string]any  `json:"keeps"`
	}
	if err := json.Unmarshal(out.Bytes(), &rows); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, r := range rows {
		found[r.Code] = true
		for _, op := range dsr.Ops() {
			switch r.Ops[string(op)] {
			case "api", "async", "manual", "none":
			default:
				t.Errorf("%s: %s is %q", r.Code, op, r.Ops[string(op)])
			}
		}
		if r.Hosts == nil || r.Keeps == nil {
			t.Errorf("%s: a list is null", r.Code)
		}
	}
	for _, code := range []string{"manual", "postgres", "stripe"} {
		if !found[code] {
			t.Errorf("%s is missing", code)
		}
	}
	out.Reset()
	if exit := f.run(t.Context(), []string{"connectors"}); exit != exitDone || !strings.Contains(out.String(), "stripe keeps charge") {
		t.Errorf("exit %d, text:\n%s", exit, out.String())
	}
	if exit := f.run(t.Context(), []string{"connectors", "stripe"}); exit != exitUsage {
		t.Errorf("an argument it does not take: exit %d", exit)
	}
}
