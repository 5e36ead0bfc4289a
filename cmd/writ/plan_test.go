package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

func requestFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "request.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const erasureInTheUS = `{"rights":["access","erasure"],"identities":[{"kind":"email","value":"` + "ada.zq7canary@learner.example" + `"}],"country":"US","received_at":"2026-11-22T09:00:00Z"}`

func TestPlanTellsWavesOutcomesAndDueDate(t *testing.T) {
	out, errs, code := writ(t, "plan", "--json", "--company", "pythonmaster", "--request", requestFile(t, erasureInTheUS))
	if code != exitDone {
		t.Fatalf("exit status %d: %s", code, errs)
	}
	var f forecast
	if err := json.Unmarshal([]byte(out), &f); err != nil {
		t.Fatal(err)
	}
	if f.Due != "2026-12-22" || f.Decision == "" || len(f.Notices) == 0 || strings.Contains(out, "null") {
		t.Errorf("the forecast is %s", out)
	}
	keys := map[string]any{}
	if err := json.Unmarshal([]byte(out), &keys); err != nil {
		t.Fatal(err)
	}
	want := []string{"decision", "due", "notices", "proof", "questions", "referrals", "refusals", "tasks"}
	if got := slices.Sorted(maps.Keys(keys)); !slices.Equal(got, want) {
		t.Errorf("the keys are %v, want %v", got, want)
	}
	found := map[string]string{}
	for _, e := range f.Tasks {
		found[string(e.Phase)+" "+e.System+" "+e.Category] = string(e.Expects)
	}
	for key, want := range map[string]string{
		"gather app account": "exported", "gather zendesk support": "attested", "act app payments": "retained",
		"act app account": "anonymised", "act stripe payment_method": "erased", "act files coursework": "erased",
	} {
		if found[key] != want {
			t.Errorf("%s: expects %q, want %q", key, found[key], want)
		}
	}
	if again, _, _ := writ(t, "plan", "--json", "--company", "pythonmaster", "--request", requestFile(t, erasureInTheUS)); again != out {
		t.Error("the same request gives other bytes")
	}
}

func TestPlanReadsWell(t *testing.T) {
	out, errs, code := writ(t, "plan", "--company", "pythonmaster", "--request", requestFile(t, strings.Replace(erasureInTheUS, `"US"`, `""`, 1)))
	if code != exitDone {
		t.Fatalf("exit status %d: %s", code, errs)
	}
	for _, want := range []string{
		"PythonMaster answers by 2026-12-22", "Law: gdpr, assumed because the country is unknown or was not said",
		"The copy is delivered before wave 3.", "To be decided by the company:", "attested by support_lead",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the output does not say %q:\n%s", want, out)
		}
	}
}

// A request is personal data: whatever is wrong with it, its values are not
// repeated.
func TestPlanRefusesWithoutRepeatingTheRequest(t *testing.T) {
	for want, change := range map[string][2]string{
		"unknown right":                 {`"access"`, `"forget"`},
		"no regime names":               {`"US"`, `"XX"`},
		"received_at":                   {`,"received_at":"2026-11-22T09:00:00Z"`, ``},
		"unknown field":                 {`"rights"`, `"wishes"`},
		"identities[0].kind":            {`"email"`, `"phone"`},
		"identities[0].value":           {`@learner.example`, ``},
		"the key \"closed\" is unknown": {`"country"`, `"facts":{"closed":true},"country"`},
		"facts.age":                     {`"country"`, `"facts":{"age":"zq7canary"},"country"`},
		"facts.by":                      {`"country"`, `"facts":{"by":"zq7canary"},"country"`},
		"is neither text":               {`"country"`, `"facts":{"age":[1]},"country"`},
		"plan: ":                        {`"country"`, `"plan":"zq7canary","country"`},
		"state: no regime":              {`"country":"US"`, `"country":"US","state":"ZZ"`},
		"needs its country":             {`"country":"US"`, `"country":"","state":"CA"`},
		"none is asked":                 {`"access","erasure"`, ``},
		"something follows":           {`"}`, `"} {}`},
	} {
		if want == "something follows" {
			change = [2]string{`:00Z"}`, `:00Z"} {}`}
		}
		text := strings.Replace(erasureInTheUS, change[0], change[1], 1)
		out, errs, code := writ(t, "plan", "--company", "pythonmaster", "--request", requestFile(t, text))
		if code != exitFailed || out != "" || !strings.Contains(errs, want) {
			t.Errorf("exit status %d, errors %q; want 1 and %q", code, errs, want)
		}
		for _, canary := range dsrtest.Canaries() {
			if strings.Contains(errs, canary) || strings.Contains(errs, "zq7canary") {
				t.Errorf("the error repeats the request: %s", errs)
			}
		}
	}
	for _, args := range [][]string{{"plan"}, {"plan", "--company", "pythonmaster"}, {"plan", "--company", "pythonmaster", "--request", "x", "y"}} {
		if _, _, code := writ(t, args...); code != exitUsage {
			t.Errorf("%v: exit status %d, want %d", args, code, exitUsage)
		}
	}
}
