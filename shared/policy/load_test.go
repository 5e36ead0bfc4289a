package policy_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
		want           string // file:line: key, and words of the sentence
	}{
		"unknown key":                {"policy", "margin_days = 3", "margin_days = 3\nmargin = 3", "policy.toml:20: promise.margin: unknown key"},
		"unknown key in a system":    {"systems", `source = "you"`, "source = \"you\"\ncolour = 1", "systems.toml:7: system.colour: unknown key"},
		"unknown table":              {"policy", "[assignees]", "[people]\n[assignees]", "policy.toml:20: people: unknown key"},
		"wrong type":                 {"policy", "days = 30", `days = "30"`, "policy.toml:16: promise.days:"},
		"no TOML":                    {"policy", "days = 30", "days 30", "policy.toml:16: file: not well-formed TOML"},
		"another company's id":       {"policy", `id = "acme"`, `id = "acne"`, `policy.toml:1: id: "acne" is not the folder's name`},
		"no name":                    {"policy", `name = "Acme"`, `name = " "`, "policy.toml:2: name: is missing or empty"},
		"no date":                    {"policy", "2026-01-01", "January", "policy.toml:3: updated:"},
		"no zone":                    {"policy", `"UTC"`, `"Mars/Base"`, "policy.toml:4: zone:"},
		"zone of the machine":        {"policy", `"UTC"`, `"Local"`, "policy.toml:4: zone:"},
		"country of no regime":       {"policy", `country = "US"`, `country = "XX"`, "policy.toml:8: controller.country:"},
		"no place of establishment":  {"policy", `established_in = "us"`, `established_in = "moon"`, "policy.toml:9: controller.established_in:"},
		"no mail address":            {"policy", "privacy@acme.example\"\npost", "privacy\"\npost", "policy.toml:12: contacts.mail:"},
		"no way to complain":         {"policy", `complain = "write to us"`, `complain = ""`, "policy.toml:14: contacts.complain:"},
		"a missing key":              {"policy", `post = "1 Street"` + "\n", "", "policy.toml:10: contacts.post: is missing"},
		"negative promise":           {"policy", "days = 30", "days = -1", "policy.toml:16: promise.days:"},
		"a promise without rule":     {"policy", `rule = "ACME-30"`, `rule = ""`, "policy.toml:17: promise.rule:"},
		"no margin":                  {"policy", "margin_days = 3", "margin_days = 0", "policy.toml:19: promise.margin_days:"},
		"a long quotation":           {"policy", "margin_days = 3", "margin_days = 3\ncites = [{ document = \"d\", phrase = \"1 2 3 4 5 6 7 8 9 10 11 12 13\" }]", "policy.toml:20: promise.cites[0].phrase: has 13 words"},
		"an assignee's address":      {"policy", "privacy@acme.example\"\n[[", "nobody\"\n[[", "policy.toml:21: assignees.officer:"},
		"a role in capitals":         {"policy", "officer = \"privacy@acme.example\"\n[[", "Officer = \"privacy@acme.example\"\n[[", "policy.toml:21: assignees.Officer:"},
		"category without name":      {"policy", `name = "Your account"`, `name = ""`, "policy.toml:24: category[0].name:"},
		"category without purpose":   {"policy", `why = "To run it."`, `why = ""`, "policy.toml:25: category[0].why:"},
		"category without source":    {"policy", `source = "You gave it."`, `source = ""`, "policy.toml:28: category[0].source:"},
		"neither erased nor kept":    {"policy", "on_erasure = \"erase\"\n", "", `policy.toml:22: category[0].on_erasure: "" is unknown`},
		"kept without ground":        {"policy", `on_erasure = "erase"`, `on_erasure = "keep"`, `policy.toml:29: category[0].on_erasure: category "account" is kept without a ground`},
		"a ground never used":        {"policy", `on_erasure = "erase"`, `on_erasure = "erase"` + ground, "policy.toml:29: category[0].on_erasure: category \"account\" has a ground and an erase rule"},
		"a business purpose":         {"policy", `on_erasure = "erase"`, `on_erasure = "keep"` + strings.Replace(ground, "legal_obligation", "business_purpose", 1), "policy.toml:32: ground[0].kind:"},
		"a ground under no law":      {"policy", `on_erasure = "erase"`, `on_erasure = "keep"` + strings.Replace(ground, `"us_default"`, `"moon"`, 1), `policy.toml:35: ground[0].regimes: there is no regime "moon"`},
		"a law nobody decided for":   {"policy", `on_erasure = "erase"`, `on_erasure = "keep"` + strings.Replace(ground, `"gdpr", `, "", 1), `policy.toml:35: ground[0].regimes: nothing says what happens to "account" under gdpr`},
		"a ground without end":       {"policy", `on_erasure = "erase"`, `on_erasure = "keep"` + strings.Replace(ground, "years = 7", "years = 0", 1), "policy.toml:38: ground[0].years:"},
		"an unknown decision":        {"policy", `on_erasure = "erase"`, `on_erasure = "keep"` + ground + `decision = "later"`, "policy.toml:40: ground[0].decision:"},
		"the same category twice":    {"policy", `[[category]]`, category + `[[category]]`, `policy.toml:31: category[1].id: "account" is there twice`},
		"a decision of no category":  {"policy", `on_erasure = "erase"`, `on_erasure = "erase"` + decision, `policy.toml:35: needs_controller_decision[0].categories: there is no category "gone"`},
		"nothing to tell the person": {"policy", `on_erasure = "erase"`, `on_erasure = "erase"` + strings.Replace(decision, `"We do not know yet."`, `""`, 1), "policy.toml:34: needs_controller_decision[0].plain: is missing or empty"},

		"an id with a hyphen":      {"systems", `id = "app"`, `id = "my-app"`, "systems.toml:2: system[0].id:"},
		"an id of Writ's own":      {"systems", `id = "app"`, `id = "manual"`, `systems.toml:2: system[0].id: "manual" is a word of Writ's own`},
		"system without name":      {"systems", `name = "the app"`, `name = ""`, "systems.toml:3: system[0].name:"},
		"system without connector": {"systems", `connector = "postgres"`, `connector = ""`, "systems.toml:4: system[0].connector:"},
		"an unknown category":      {"systems", `["account"]`, `["account", "gone"]`, `systems.toml:5: system[0].categories: there is no category "gone"`},
		"the same category again":  {"systems", `["account"]`, `["account", "account"]`, `systems.toml:5: system[0].categories: "account" is there twice`},
		"a category of no system":  {"systems", `categories = ["account"]`, "categories = []", "systems.toml:5: system[0].categories: is missing or empty"},
		"no recipient":             {"systems", `recipients = ["us"]`, "recipients = []", "systems.toml:7: system[0].recipients:"},
		"an unknown role":          {"systems", `assignee = "officer"`, `assignee = "boss"`, `systems.toml:8: system[0].assignee: there is no role "boss"`},
		"manual without words":     {"systems", `connector = "postgres"`, `connector = "manual"`, "systems.toml:1: system[0].instruction:"},
		"manual with a mapping":    {"systems", `connector = "postgres"`, "connector = \"manual\"\ninstruction = \"look\"\nmapping = { a = 1 }", "systems.toml:1: system[0]: a manual system has no mapping"},
		"a mapping inside":         {"systems", `source = "you"`, "source = \"you\"\nmapping = { table = [] }", "systems.toml:7: system[0].mapping: stands inside the system's table"},
		"half a private network":   {"systems", `source = "you"`, "source = \"you\"\nvpc = { id = \"vpc-1\" }", "systems.toml:7: system[0].vpc:"},
		"a negative limit":         {"systems", `source = "you"`, "source = \"you\"\nmax_parallel = -1", "systems.toml:7: system[0].max_parallel:"},
		"no system of record":      {"systems", "system_of_record = true\n", "", "systems.toml:1: system: none is the system of record"},
		"a record that depends":    {"systems", "system_of_record = true\n", "system_of_record = true\ndepends_on = [\"b\"]\n" + second("b", ""), "systems.toml:10: system[0].depends_on: a system of record gathers first"},
		"depends on a stranger":    {"systems", "system_of_record = true\n", "system_of_record = true\n" + second("b", `depends_on = ["c"]`), `systems.toml:17: system[1].depends_on: there is no other system "c"`},
		"depends on itself":        {"systems", "system_of_record = true\n", "system_of_record = true\n" + second("b", `depends_on = ["b"]`), `systems.toml:17: system[1].depends_on: there is no other system "b"`},
		"a circle": {"systems", "system_of_record = true\n", "system_of_record = true\n" + second("b", `depends_on = ["c"]`) + second("c", `depends_on = ["b"]`),
			"systems.toml:1: system: the order cannot hold: planning: systems [b c b] depend on each other in a circle"},
		"the same system twice": {"systems", "system_of_record = true\n", "system_of_record = true\n" + second("app", ""), `systems.toml:11: system[1].id: "app" is there twice`},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"policy": minimalPolicy, "systems": minimalSystems}
			if !strings.Contains(files[c.file], c.old) {
				t.Fatalf("the good pack has no %q", c.old)
			}
			files[c.file] = strings.Replace(files[c.file], c.old, c.new, 1)
			_, err := policy.LoadFS(pack(files["policy"], files["systems"]), "acme")
			var problems policy.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("error %v, want problems", err)
			}
			if !strings.Contains(err.Error(), "companies/acme/"+c.want) {
				t.Errorf("problems:\n%v\nwant one with:\ncompanies/acme/%s", err, c.want)
			}
		})
	}
}

const ground = `
[[ground]]
id = "law"
kind = "legal_obligation"
categories = ["account"]
jurisdiction = "everywhere"
regimes = ["gdpr", "uk_gdpr", "us_default"]
plain = "The law says so."
cite = "the law"
years = 7
confidence = "checked"
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
retention = "While it is active."
source = "You gave it."
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

// A pack may quote its policy as evidence; every phrase must be in the text, and
// so must what the pack says of whom to write to.
func TestPhrasesAreInTheirTexts(t *testing.T) {
	seeds := os.Getenv("WRIT_SEEDS")
	if seeds == "" {
		seeds = filepath.Join("..", "..", "..", "shared", "seeds")
	}
	if _, err := os.Stat(seeds); err != nil {
		said := fmt.Sprintf("the phrases of the packs were not compared with the policy texts: no folder %s (set WRIT_SEEDS)", seeds)
		if os.Getenv("CI") == "true" {
			t.Fatal(said)
		}
		t.Skip(said)
	}
	texts := map[string]string{}
	text := func(document string) string {
		if _, ok := texts[document]; !ok {
			data, err := os.ReadFile(filepath.Join(seeds, filepath.Base(document)))
			if err != nil {
				t.Errorf("document %s: %v", document, err)
			}
			texts[document] = normal(string(data))
		}
		return texts[document]
	}
	phrases := 0
	for _, id := range policy.Companies() {
		c, err := policy.Load(id)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Cites) == 0 {
			t.Errorf("%s cites nothing of its policy", id)
			continue
		}
		for _, cite := range c.Cites {
			phrases++
			if !strings.Contains(text(cite.Document), normal(cite.Phrase)) {
				t.Errorf("%s: %q is not in %s", id, cite.Phrase, cite.Document)
			}
		}
		own := c.Cites[0].Document
		for _, said := range []string{c.Contacts.Mail, c.Contacts.Phone, c.Contacts.Post, c.Contacts.Officer, c.Name, fmt.Sprintf("within %d days", c.Promises[0].Days)} {
			if !strings.Contains(text(own), normal(said)) {
				t.Errorf("%s: %q is not in %s", id, said, own)
			}
		}
		for _, s := range c.Systems {
			if s.Manual() && !strings.Contains(text(own), strings.SplitN(s.Name, ",", 2)[0]) {
				t.Errorf("%s: the policy does not name the system %q", id, s.Name)
			}
		}
	}
	if phrases < 15 {
		t.Errorf("%d phrases compared, want at least 15", phrases)
	}
}

// normal makes white space and quotation marks alike.
func normal(s string) string {
	s = strings.NewReplacer("’", "'", "‘", "'", "“", `"`, "”", `"`).Replace(s)
	return strings.Join(strings.Fields(s), " ")
}
