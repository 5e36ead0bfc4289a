package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/platform/checkout"
	"github.com/writ-dsr/writ/shared/policy"
)

// packWith copies pythonmaster's files into a folder, with one change.
func packWith(t *testing.T, file, old, replacement string) string {
	t.Helper()
	root, err := checkout.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	to := filepath.Join(dir, "companies", "pythonmaster")
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"policy.toml", "systems.toml", "recipients.toml", "customers.toml"} {
		data, err := os.ReadFile(filepath.Join(root, "shared", "policy", "companies", "pythonmaster", name))
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		if name == file {
			if !strings.Contains(text, old) {
				t.Fatalf("%s has no %q", name, old)
			}
			text = strings.Replace(text, old, replacement, 1)
		}
		if err := os.WriteFile(filepath.Join(to, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func writ(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), commands(), args, &o, &e)
	return o.String(), e.String(), code
}

func TestCheckFindsNoFaultInTheBuiltInCompanies(t *testing.T) {
	out, errs, code := writ(t, "check")
	if code != exitDone || !strings.Contains(out, "pythonmaster: 10 systems, ") || !strings.Contains(out, "cambridge-ai: 12 systems, ") || strings.Count(out, ", no fault\n") != len(policy.Companies()) {
		t.Errorf("exit status %d, output:\n%s%s", code, out, errs)
	}
	// What a lawyer must still look at is said, not hidden.
	for _, want := range []string{"to be decided: payments_outside_us", "until then: ", "to be read again in the official text: us_tax_records: 26 CFR 1.6001-1", " rows of which 0 are documentation only"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output does not say %q:\n%s", want, out)
		}
	}
	// The law is told once, not for each company, and never left out for one alone.
	rule := "  to be read again in the official text: CA-COR: "
	if n := strings.Count(out, rule); n != 1 || strings.Index(out, rule) < strings.Index(out, "the laws, for every company: ") {
		t.Errorf("a rule of law is told %d times, want once and at the end:\n%s", n, out)
	}
	if out, _, _ := writ(t, "check", "--company", "pythonmaster"); strings.Count(out, rule) != 1 || !strings.Contains(out, "us_tax_records") {
		t.Errorf("for one company the rules to read again are:\n%s", out)
	}
}

// Faults of every layer: the loader's, a connector's descriptor's and a
// connector's own mapping's, all with file, line and key.
func TestCheckNamesFileLineAndKey(t *testing.T) {
	line := func(file, text string) int {
		dir := packWith(t, file, text, text)
		data, err := os.ReadFile(filepath.Join(dir, "companies", "pythonmaster", file))
		if err != nil {
			t.Fatal(err)
		}
		return 1 + strings.Count(string(data)[:strings.Index(string(data), text)], "\n")
	}
	for name, c := range map[string]struct{ file, old, new, key, says string }{
		"an unknown key":                 {"policy.toml", "margin_days", "margin_dayz", "margin_dayz", "unknown key"},
		"an unknown connector":           {"systems.toml", `connector = "s3"`, `connector = "s4"`, "system[2].connector", "there is no connector"},
		"a setting the connector lacks":  {"systems.toml", `bucket = "pythonmaster-files"`, `pail = "pythonmaster-files"`, "system[2].config.pail", "no such setting"},
		"a setting of another category":  {"systems.toml", `category = "coursework"`, `category = "usage"`, "system[2].config.category", "not among the categories"},
		"an unknown key of a mapping":    {"systems.toml", `null = [`, `nil = [`, "system[0].mapping", "unknown key table.nil"},
		"a contradiction in a mapping":   {"systems.toml", `table = "newsletter"`, `table = "newsletter"` + "\nset = { email = \"x\" }", "system[0].mapping.table.newsletter", "set and null belong to action anonymise"},
		"a category of another system":   {"systems.toml", `table = "newsletter"` + "\n" + `category = "marketing"`, `table = "newsletter"` + "\n" + `category = "usage"`, "system[0].mapping.table.newsletter.category", "not among the categories"},
		"an action the policy forbids":   {"systems.toml", `table = "newsletter"`, `table = "newsletter"` + "\n" + `rule = "us_tax_records"`, "system[0].mapping.table.newsletter", "rule has no effect"},
		"a ground that the policy lacks": {"policy.toml", `categories = ["payments", "subscription", "invoice", "charge", "checkout_session"]` + "\nkind", `categories = ["subscription", "invoice", "charge", "checkout_session"]` + "\nkind", "", "is kept without a ground"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := packWith(t, c.file, c.old, c.new)
			_, errs, code := writ(t, "check", "--dir", dir)
			out, _, _ := writ(t, "check", "--dir", dir)
			if code != exitFailed || !strings.Contains(errs, "faults found: ") {
				t.Errorf("exit status %d, errors %q; want 1 and how many faults", code, errs)
			}
			want := fmt.Sprintf("companies/pythonmaster/%s:%d: %s: ", c.file, line(c.file, c.old), c.key)
			if c.key == "" {
				want = "companies/pythonmaster/" + c.file + ":"
			}
			if !strings.Contains(out, want) || !strings.Contains(out, c.says) {
				t.Errorf("output:\n%swant %q and %q", out, want, c.says)
			}
		})
	}
}

func TestCheckPrintsJSON(t *testing.T) {
	dir := packWith(t, "policy.toml", "days = 30", `days = "30"`)
	out, _, code := writ(t, "check", "--json", "--dir", dir, "--company", "pythonmaster")
	var verdicts []struct {
		Company  string           `json:"company"`
		Problems []policy.Problem `json:"problems"`
	}
	if err := json.Unmarshal([]byte(out), &verdicts); err != nil {
		t.Fatalf("%v in:\n%s", err, out)
	}
	if code != exitFailed || len(verdicts) != 1 || len(verdicts[0].Problems) != 1 || verdicts[0].Problems[0].Key != "promise.days" || verdicts[0].Problems[0].Line == 0 {
		t.Errorf("exit status %d, verdicts %+v", code, verdicts)
	}
}

func TestCheckOfNothing(t *testing.T) {
	for _, args := range [][]string{{"check", "--company", "nobody"}, {"check", "--dir", t.TempDir()}} {
		if out, errs, code := writ(t, args...); code != exitFailed || strings.Count(errs, "\n") != 1 || out != "" {
			t.Errorf("%v: exit status %d, output %q, errors %q; want one line", args, code, out, errs)
		}
	}
	if _, _, code := writ(t, "check", "pythonmaster"); code != exitUsage {
		t.Errorf("an argument gives exit status %d, want %d", code, exitUsage)
	}
}

// The phrases are looked up where the texts are given, and only there.
func TestCheckLooksPhrasesUp(t *testing.T) {
	out, errs, code := writ(t, "check", "--company", "pythonmaster", "--texts", t.TempDir())
	if code != exitFailed || !strings.Contains(errs, "faults found: ") || !strings.Contains(out, "is not in the folder of the texts") {
		t.Errorf("exit status %d, errors %q, output %s", code, errs, out)
	}
}
