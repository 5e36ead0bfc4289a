package policy_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pelletier/go-toml/v2"

	"github.com/writ-dsr/writ/shared/policy"
)

// A connector reads its own mapping from Raw; an error it reports by line must
// be the line a person finds in systems.toml.
func TestMappingKeepsTheLinesOfItsFile(t *testing.T) {
	systems := minimalSystems + `
# a comment, and a text that looks like a header:
[system.mapping]
note = """
[[system]]
"""
[[system.mapping.table]]
table = "accounts"
[ system . mapping . "odd key" ]
deep = 1

[[system]]
id = "files"
name = "files"
connector = "s3"
categories = ["account"]
source = "you"
recipients = ["us"]
assignee = "officer"
decision = "silent"
enforced_by = "plan"
[system.config]
bucket = "b"
[[system.mapping.table]]
table = "second"
`
	c, err := policy.LoadFS(pack(minimalPolicy, systems), "acme")
	if err != nil {
		t.Fatal(err)
	}
	file := strings.Split(systems, "\n")
	var app struct {
		Note  string `toml:"note"`
		Table []struct {
			Table string `toml:"table"`
		} `toml:"table"`
		Odd map[string]int `toml:"odd key"`
	}
	sys, _ := c.System("app")
	if err := toml.Unmarshal(sys.Raw, &app); err != nil {
		t.Fatalf("%v in:\n%s", err, sys.Raw)
	}
	if app.Note != "[[system]]\n" || len(app.Table) != 1 || app.Table[0].Table != "accounts" || app.Odd["deep"] != 1 {
		t.Errorf("the mapping reads as %+v", app)
	}
	for _, id := range []string{"app", "files"} {
		sys, _ := c.System(id)
		for n, line := range strings.Split(string(sys.Raw), "\n") {
			if line != "" && !strings.HasPrefix(line, "[") && line != file[n] {
				t.Errorf("%s: line %d of the mapping is %q, in the file it is %q", id, n+1, line, file[n])
			}
		}
	}
	if sys, _ := c.System("files"); !strings.Contains(string(sys.Raw), `"second"`) || strings.Contains(string(sys.Raw), "accounts") || sys.Settings["bucket"] != "b" {
		t.Errorf("files has the mapping %q and the settings %v", sys.Raw, sys.Settings)
	}
}

func pack(policyFile, systemsFile string) fstest.MapFS {
	return fstest.MapFS{
		"companies/acme/policy.toml":     {Data: []byte(policyFile)},
		"companies/acme/systems.toml":    {Data: []byte(systemsFile)},
		"companies/acme/recipients.toml": {Data: []byte("")},
		"companies/acme/customers.toml":  {Data: []byte("")},
	}
}

const minimalPolicy = `id = "acme"
name = "Acme"
updated = "2026-01-01"
zone = "UTC"
margin_days = 3
transfers = "none"
[records]
months = 24
cite = "11 CCR 7101"
[controller]
name = "Acme"
country = "US"
established_in = "us"
decision = "silent"
enforced_by = "notice"
[contacts]
officer = "Privacy Officer"
mail = "privacy@acme.example"
post = "1 Street"
complain = "write to us"
decision = "silent"
enforced_by = "notice"
[[promise]]
days = 30
rule = "ACME-30"
says = "We promise 30 days."
decision = "silent"
enforced_by = "due"
[assignees]
officer = "privacy@acme.example"
[[category]]
id = "account"
name = "Your account"
why = "To run it."
basis = "contract"
bases = ["contract"]
retention = "While it is active."
source = "You gave it."
decision = "silent"
enforced_by = "plan"
on_erasure = "erase"
[[needs_controller_decision]]
id = "silent"
question = "What does Acme say? It says nothing."
safe_default = "What the law says."
`

const minimalSystems = `[[system]]
id = "app"
name = "the app"
connector = "postgres"
categories = ["account"]
source = "you"
recipients = ["us"]
assignee = "officer"
decision = "silent"
enforced_by = "plan"
system_of_record = true
`
