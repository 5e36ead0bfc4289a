package policy_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/writ-dsr/writ/shared/policy"
)

func TestEveryEmbeddedCompanyLoads(t *testing.T) {
	ids := policy.Companies()
	if len(ids) == 0 {
		t.Fatal("no company is embedded")
	}
	for _, id := range ids {
		if _, err := policy.Load(id); err != nil {
			t.Errorf("loading %s:\n%v", id, err)
		}
	}
}

// Each row breaks one thing in a good pack; the error must name the file, the
// line as an editor counts it, and the key.
func TestLoaderNamesFileLineAndKey(t *testing.T) {
	for name, c := range map[string]struct {
		file, old, new string
		at             string // the line that is named, as it then reads
		want           string // key, and words of the sentence
	}{
		"unknown key":                {"policy", "margin_days = 3", "margin_days = 3\nmargin = 3", "margin = 3", "margin: unknown key"},
		"unknown key in a system":    {"systems", `source = "you"`, "source = \"you\"\ncolour = 1", "colour = 1", "system.colour: unknown key"},
		"unknown table":              {"policy", "[assignees]", "[people]\n[assignees]", "[people]", "people: unknown key"},
		"wrong type":                 {"policy", "days = 30", `days = "30"`, `days = "30"`, "promise.days:"},
		"no TOML":                    {"policy", "days = 30", "days 30", "days 30", "file: not well-formed TOML"},
		"another company's id":       {"policy", `id = "acme"`, `id = "acne"`, `id = "acne"`, `id: "acne" is not the folder's name`},
		"no name":                    {"policy", `name = "Acme"`, `name = " "`, `name = " "`, "name: is missing or empty"},
		"no date":                    {"policy", "2026-01-01", "January", `updated = "January"`, "updated:"},
		"no zone":                    {"policy", `"UTC"`, `"Mars/Base"`, `zone = "Mars/Base"`, "zone:"},
		"zone of the machine":        {"policy", `"UTC"`, `"Local"`, `zone = "Local"`, "zone:"},
		"country of no regime":       {"policy", `country = "US"`, `country = "XX"`, `country = "XX"`, "controller.country:"},
		"no place of establishment":  {"policy", `established_in = "us"`, `established_in = "moon"`, `established_in = "moon"`, "controller.established_in:"},
		"no mail address":            {"policy", "privacy@acme.example\"\npost", "privacy\"\npost", `mail = "privacy"`, "contacts.mail:"},
		"no way to complain":         {"policy", `complain = "write to us"`, `complain = ""`, `complain = ""`, "contacts.complain:"},
		"a missing key":              {"policy", `post = "1 Street"` + "\n", "", "[contacts]", "contacts.post: is missing"},
		"negative promise":           {"policy", "days = 30", "days = -1", "days = -1", "promise[0].days:"},
		"a promise without rule":     {"policy", `rule = "ACME-30"`, `rule = ""`, `rule = ""`, "promise[0].rule:"},
		"no margin":                  {"policy", "margin_days = 3", "margin_days = 0", "margin_days = 0", "margin_days:"},
		"a long quotation":           {"policy", "days = 30", "days = 30\ncites = [{ document = \"d\", phrase = \"1 2 3 4 5 6 7 8 9 10 11 12 13\" }]", `cites = [{ document = "d", phrase = "1 2 3 4 5 6 7 8 9 10 11 12 13" }]`, "promise[0].cites[0].phrase: has 13 words"},
		"an assignee's address":      {"policy", "privacy@acme.example\"\n[[", "nobody\"\n[[", `officer = "nobody"`, "assignees.officer:"},
		"a role in capitals":         {"policy", "officer = \"privacy@acme.example\"\n[[", "Officer = \"privacy@acme.example\"\n[[", `Officer = "privacy@acme.example"`, "assignees.Officer:"},
		"category without name":      {"policy", `name = "Your account"`, `name = ""`, `name = ""`, "category[0].name:"},
		"category without purpose":   {"policy", `why = "To run it."`, `why = ""`, `why = ""`, "category[0].why:"},
		"category without source":    {"policy", `source = "You gave it."`, `source = ""`, `source = ""`, "category[0].source:"},
		"neither erased nor kept":    {"policy", "on_erasure = \"erase\"\n", "", "[[category]]", `category[0].on_erasure: "" is unknown`},
		"kept without ground":        {"policy", `on_erasure = "erase"`, `on_erasure = "keep"`, `on_erasure = "keep"`, `category[0].on_erasure: category "account" is kept without a ground`},
		"a ground never used":        {"policy", `on_erasure = "erase"`, `on_erasure = "erase"` + ground, `on_erasure = "erase"`, `category[0].on_erasure: category "account" has a ground and an erase rule`},
		"a business purpose":         {"policy", `on_erasure = "erase"`, `on_erasure = "keep"` + strings.Replace(ground, "legal_claims", "business_purpose", 1), `kind = "business_purpose"`, "ground[0].kind:"},
		"a ground under no law":      {"policy", `on_erasure = "erase"`, `on_erasure = "keep"` + strings.Replace(ground, `"us_default"`, `"moon"`, 1), `regimes = ["gdpr", "uk_gdpr", "moon"]`, `ground[0].regimes: there is no regime "moon"`},
		"a law nobody decided for":   {"policy", `on_erasure = "erase"`, `on_erasure = "keep"` + strings.Replace(ground, `"gdpr", `, "", 1), `regimes = ["uk_gdpr", "us_default"]`, `ground[0].regimes: nothing says what happens to "account" under gdpr`},
		"a ground without end":       {"policy", `on_erasure = "erase"`, `on_erasure = "keep"` + strings.Replace(ground, "years = 7", "years = 0", 1), "years = 0", "ground[0].years:"},
		"an unknown decision":        {"policy", `on_erasure = "erase"`, `on_erasure = "keep"` + strings.Replace(ground, `"silent"`, `"later"`, 1), `decision = "later"`, "ground[0].decision:"},
		"the same category twice":    {"policy", `[[category]]`, category + `[[category]]`, `id = "account"`, `category[1].id: "account" is there twice`},
		"a decision of no category":  {"policy", `on_erasure = "erase"`, `on_erasure = "erase"` + decision, `categories = ["gone"]`, `needs_controller_decision[0].categories: there is no category "gone"`},
		"nothing to tell the person": {"policy", `on_erasure = "erase"`, `on_erasure = "erase"` + strings.Replace(decision, `"We do not know yet."`, `""`, 1), `plain = ""`, "needs_controller_decision[0].plain: is missing or empty"},

		"an id with a hyphen":      {"systems", `id = "app"`, `id = "my-app"`, `id = "my-app"`, "system[0].id:"},
		"an id of Writ's own":      {"systems", `id = "app"`, `id = "manual"`, `id = "manual"`, `system[0].id: "manual" is a word of Writ's own`},
		"system without name":      {"systems", `name = "the app"`, `name = ""`, `name = ""`, "system[0].name:"},
		"system without connector": {"systems", `connector = "postgres"`, `connector = ""`, `connector = ""`, "system[0].connector:"},
		"an unknown category":      {"systems", `["account"]`, `["account", "gone"]`, `categories = ["account", "gone"]`, `system[0].categories: there is no category "gone"`},
		"the same category again":  {"systems", `["account"]`, `["account", "account"]`, `categories = ["account", "account"]`, `system[0].categories: "account" is there twice`},
		"a category of no system":  {"systems", `categories = ["account"]`, "categories = []", "categories = []", "system[0].categories: is missing or empty"},
		"no recipient":             {"systems", `recipients = ["us"]`, "recipients = []", "recipients = []", "system[0].recipients:"},
		"an unknown role":          {"systems", `assignee = "officer"`, `assignee = "boss"`, `assignee = "boss"`, `system[0].assignee: there is no role "boss"`},
		"manual without words":     {"systems", `connector = "postgres"`, `connector = "manual"`, "[[system]]", "system[0].instruction:"},
		"manual with a mapping":    {"systems", `connector = "postgres"`, "connector = \"manual\"\ninstruction = \"look\"\nmapping = { a = 1 }", "[[system]]", "system[0]: a manual system has no mapping"},
		"a mapping inside":         {"systems", `source = "you"`, "source = \"you\"\nmapping = { table = [] }", "mapping = { table = [] }", "system[0].mapping: stands inside the system's table"},
		"half a private network":   {"systems", `source = "you"`, "source = \"you\"\nvpc = { id = \"vpc-1\" }", `vpc = { id = "vpc-1" }`, "system[0].vpc:"},
		"a negative limit":         {"systems", `source = "you"`, "source = \"you\"\nmax_parallel = -1", "max_parallel = -1", "system[0].max_parallel:"},
		"no system of record":      {"systems", "system_of_record = true\n", "", "[[system]]", "system: none is the system of record"},
		"a record that depends":    {"systems", "system_of_record = true\n", "system_of_record = true\ndepends_on = [\"b\"]\n" + second("b", ""), `depends_on = ["b"]`, "system[0].depends_on: a system of record gathers first"},
		"depends on a stranger":    {"systems", "system_of_record = true\n", "system_of_record = true\n" + second("b", `depends_on = ["c"]`), `depends_on = ["c"]`, `system[1].depends_on: there is no other system "c"`},
		"depends on itself":        {"systems", "system_of_record = true\n", "system_of_record = true\n" + second("b", `depends_on = ["b"]`), `depends_on = ["b"]`, `system[1].depends_on: there is no other system "b"`},
		"a circle": {"systems", "system_of_record = true\n", "system_of_record = true\n" + second("b", `depends_on = ["c"]`) + second("c", `depends_on = ["b"]`),
			"[[system]]", "system: the order cannot hold: planning: systems [b c b] depend on each other in a circle"},
		"the same system twice": {"systems", "system_of_record = true\n", "system_of_record = true\n" + second("app", ""), `id = "app"`, `system[1].id: "app" is there twice`},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"policy": minimalPolicy, "systems": minimalSystems}
			if !strings.Contains(files[c.file], c.old) {
				t.Fatalf("the good pack has no %q", c.old)
			}
			files[c.file] = strings.Replace(files[c.file], c.old, c.new, 1)
			refusedAt(t, pack(files["policy"], files["systems"]), c.file, c.at, c.want)
		})
	}
}

// refusedAt fails unless the loader names a fault of the file at a line that
// begins with at, with a key and words that begin with want.
func refusedAt(t *testing.T, files fstest.MapFS, file, at, want string) {
	t.Helper()
	_, err := policy.LoadFS(files, "acme")
	var problems policy.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("error %v, want problems", err)
	}
	name := "companies/acme/" + file + ".toml"
	lines := strings.Split(string(files[name].Data), "\n")
	if !slices.ContainsFunc(problems, func(p policy.Problem) bool {
		return p.File == name && p.Line > 0 && strings.HasPrefix(lines[p.Line-1], at) && strings.HasPrefix(p.Key+": "+p.Says, want)
	}) {
		t.Errorf("problems:\n%v\nwant one of %s at the line %q with:\n%s", err, name, at, want)
	}
}

const ground = `
[[ground]]
id = "law"
kind = "legal_claims"
categories = ["account"]
jurisdiction = "US"
regimes = ["gdpr", "uk_gdpr", "us_default"]
plain = "The law says so."
cite = "the law"
years = 7
confidence = "checked"
decision = "silent"
enforced_by = "plan"
`

const decision = `
[[needs_controller_decision]]
id = "later"
question = "What?"
safe_default = "Nothing."
plain = "We do not know yet."
categories = ["gone"]
`

const category = `[[category]]
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
`

func second(id, more string) string {
	return fmt.Sprintf(`[[system]]
id = %q
name = "another"
connector = "stripe"
categories = ["account"]
source = "you"
recipients = ["them"]
%s
assignee = "officer"
decision = "silent"
enforced_by = "plan"
`, id, more)
}

func TestGoodPackLoads(t *testing.T) {
	c, err := policy.LoadFS(pack(minimalPolicy, minimalSystems), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := c.System("app"); !ok || s.Name != "the app" || s.Line != 1 || s.Manual() {
		t.Errorf("the system reads as %+v", s)
	}
	if address, ok := c.Assignee("officer"); !ok || address != "privacy@acme.example" {
		t.Errorf("the officer's address reads as %q", address)
	}
	if _, ok := c.Category("gone"); ok {
		t.Error("a category that is not there is found")
	}
}

// All faults of a reading are told at once, not one a run.
func TestLoaderTellsAllFaults(t *testing.T) {
	_, err := policy.LoadFS(pack(strings.Replace(minimalPolicy, "Your account", "", 1), strings.Replace(minimalSystems, "the app", "", 1)), "acme")
	var problems policy.Problems
	if !errors.As(err, &problems) || len(problems) != 2 {
		t.Errorf("problems %v, want the two planted", err)
	}
}

func TestMissingFilesAreNamed(t *testing.T) {
	files := pack(minimalPolicy, minimalSystems)
	delete(files, "companies/acme/systems.toml")
	if _, err := policy.LoadFS(files, "acme"); err == nil || !strings.Contains(err.Error(), "companies/acme/systems.toml") {
		t.Errorf("error %v, want one that names systems.toml", err)
	}
	for _, id := range []string{"nobody", "../acme", "", "ACME"} {
		if _, err := policy.LoadFS(fstest.MapFS{}, id); err == nil {
			t.Errorf("company %q loads", id)
		}
	}
}
