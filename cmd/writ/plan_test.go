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
		"something follows":             {`"}`, `"} {}`},
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

// Each company's own plan: whose data, what is asked, what is kept and on which
// ground; no list is null, and the same request gives the same bytes.
func TestPlanOfEachCompany(t *testing.T) {
	type task struct{ system, category, expects, ground, until string }
	for name, c := range map[string]struct {
		company, request string
		decision, due    string
		proof            []string
		task             task
	}{
		"an organisation's member is referred": {"learnai", `{"rights":["erasure"],"country":"PL","plan":"business","received_at":"2026-01-31T09:00:00Z"}`,
			"refer", "2026-03-02", []string{}, task{"app", "account", "referred", "", ""}},
		"a copy in California": {"learnai", `{"rights":["access"],"country":"US","state":"CA","plan":"free","received_at":"2026-11-20T09:00:00Z"}`,
			"run", "2027-01-04", []string{"mailbox", "match_points(3)", "declaration"}, task{"app", "account", "exported", "", ""}},
		"a consent taken back that ends the service": {"learningcart", `{"rights":["consent_withdrawal"],"country":"BR","received_at":"2026-11-20T09:00:00Z"}`,
			"ask", "2026-11-23", []string{}, task{"writ", "suppression_row", "suppressed", "", ""}},
		"customers' content is split off": {"wearelearning", `{"rights":["erasure"],"country":"NO","received_at":"2026-03-02T09:00:00Z"}`,
			"split", "2026-04-07", []string{"mailbox"}, task{"billing", "billing", "retained", "no_bookkeeping", "2031-12-31"}},
		"accounts are kept by Polish law": {"cambridge-ai", `{"rights":["erasure"],"country":"PL","received_at":"2026-01-31T09:00:00Z"}`,
			"run", "2026-03-02", []string{"mailbox", "match_points(2)"}, task{"payment", "purchases", "retained", "pl_accounting", "2031-12-31"}},
		"and nobody is found in the tutor": {"cambridge-ai", `{"rights":["access"],"country":"PL","received_at":"2026-01-31T09:00:00Z"}`,
			"run", "2026-03-02", []string{"mailbox", "match_points(2)"}, task{"tutor", "tutor_audio", "refused", "", ""}},
		"what no law gives": {"pythonmaster", `{"rights":["shine_the_light"],"country":"PL","received_at":"2026-01-31T09:00:00Z"}`,
			"refuse", "2026-03-02", []string{}, task{"writ", "shine_the_light", "refused", "", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			file := requestFile(t, c.request)
			out, errs, code := writ(t, "plan", "--json", "--company", c.company, "--request", file)
			if code != exitDone {
				t.Fatalf("exit status %d: %s", code, errs)
			}
			if again, _, _ := writ(t, "plan", "--json", "--company", c.company, "--request", file); again != out {
				t.Error("the same request gives other bytes")
			}
			if strings.Contains(out, "null") {
				t.Errorf("a list is null:\n%s", out)
			}
			var f struct {
				Decision, Due string
				Proof         []string
				Tasks         []struct {
					System, Category, Expects, Ground, Until, Rule string
					NotBefore                                      string `json:"not_before"`
				}
			}
			if err := json.Unmarshal([]byte(out), &f); err != nil {
				t.Fatal(err)
			}
			if f.Decision != c.decision || f.Due != c.due || !slices.Equal(f.Proof, c.proof) {
				t.Errorf("decided %s by %s with %v; want %s by %s with %v", f.Decision, f.Due, f.Proof, c.decision, c.due, c.proof)
			}
			found := false
			for _, x := range f.Tasks {
				found = found || task{x.System, x.Category, x.Expects, x.Ground, x.Until} == c.task
				if x.Rule == "" {
					t.Errorf("%s %s rests on no rule", x.System, x.Category)
				}
				if x.Expects == "retained" && x.NotBefore != x.Until {
					t.Errorf("%s %s: its erasure follows on %q, the ground ends on %q", x.System, x.Category, x.NotBefore, x.Until)
				}
			}
			if !found {
				t.Errorf("there is no task %+v", c.task)
			}
			if _, errs, code := writ(t, "plan", "--company", c.company, "--request", file); code != exitDone {
				t.Errorf("for people: exit status %d, %s", code, errs)
			}
		})
	}
}
