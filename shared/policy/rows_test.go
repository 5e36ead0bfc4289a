package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/writ-dsr/writ/shared/policy"
)

// fullPolicy has a row of every table.
const fullPolicy = minimalPolicy + `[[document]]
id = "acme.txt"
title = "Privacy policy"
[[representative]]
region = "eea"
name = "Acme Europe"
post = "2 Street"
cites = [{ document = "acme.txt", phrase = "Acme Europe acts for us" }]
enforced_by = "notice"
[[channel]]
id = "mail"
kind = "mail"
where = "privacy@acme.example"
rights = ["access"]
says = "Write to privacy@acme.example."
decision = "silent"
enforced_by = "notice"
[[role]]
id = "school"
plans = ["pupil"]
categories = ["account"]
role = "processor"
customer = "your school"
says = "Your school decides."
decision = "silent"
enforced_by = "plan"
[[request]]
right = "inquiry"
name = "Ask us"
says = "Somebody answers."
by = "officer"
decision = "silent"
enforced_by = "plan"
[[minor]]
id = "child"
under = 13
unless = "school"
says = "We want no data of children."
decision = "silent"
enforced_by = "plan"
[[sale]]
id = "never"
sells = "no"
says = "We sell nothing."
decision = "silent"
enforced_by = "notice"
[[marketing]]
channel = "sms"
stop = "Answer STOP."
decision = "silent"
enforced_by = "notice"
[[breach]]
id = "soon"
whom = "subjects"
hours = 72
says = "We tell you."
decision = "silent"
enforced_by = "notice"
[[change_notice]]
id = "early"
when = "before"
how = "By mail."
decision = "silent"
enforced_by = "notice"
[[say]]
id = "odd"
notices = ["access"]
rights = ["access"]
plans = ["pupil"]
regimes = ["gdpr"]
text = "This is odd."
decision = "silent"
enforced_by = "notice"
[[ask]]
id = "keep"
rights = ["erasure"]
plans = ["pupil"]
question = "Keep it?"
answer = "keep_it"
choices = ["yes", "no"]
default = "yes"
decision = "silent"
enforced_by = "plan"
[[ask.effect]]
choice = "yes"
spare = ["account"]
[[route]]
id = "admin"
rights = ["rectification"]
plans = ["pupil"]
fields = ["name"]
categories = ["account"]
to = "officer"
says = "Ask them."
decision = "silent"
enforced_by = "plan"
`

const fullRecipients = `[[recipient]]
id = "carrier"
name = "The carrier"
kind = "service"
standing = "third_party"
categories = ["account"]
told = true
mail = "carrier@acme.example"
decision = "silent"
enforced_by = "plan"
[[recipient]]
id = "host"
name = "The host"
kind = "cloud"
standing = "processor"
systems = ["app"]
categories = ["account"]
decision = "silent"
enforced_by = "notice"
`

const fullCustomers = `[[customer]]
id = "north"
name = "North School"
contact = "office@north.example"
domains = ["north.example"]
plans = ["pupil"]
[[customer]]
id = "south"
name = "South School"
contact = "office@south.example"
domains = ["south.example"]
`

func fullPack() fstest.MapFS {
	files := pack(fullPolicy, minimalSystems)
	files["companies/acme/recipients.toml"].Data = []byte(fullRecipients)
	files["companies/acme/customers.toml"].Data = []byte(fullCustomers)
	return files
}

func TestAPackWithEveryTableLoads(t *testing.T) {
	c, err := policy.LoadFS(fullPack(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(c.FactRows()); n != 19 || c.Documentation() != 0 {
		t.Errorf("%d rows of which %d are documentation, want 19 and none", n, c.Documentation())
	}
	if len(c.Representatives) != 1 || len(c.Channels) != 1 || len(c.Roles) != 1 || len(c.Requests) != 1 || len(c.Minors) != 1 || len(c.Sales) != 1 || len(c.Marketing) != 1 ||
		len(c.Breaches) != 1 || len(c.Changes) != 1 || len(c.Says) != 1 || len(c.Asks) != 1 || len(c.Asks[0].Effects) != 1 || len(c.Routes) != 1 || len(c.Receivers) != 2 ||
		len(c.Customers) != 2 || c.Records.Months != 24 {
		t.Errorf("a table got lost: %+v", c)
	}
}

// Each row breaks one thing in a pack that has every table.
func TestEveryTableIsChecked(t *testing.T) {
	for name, c := range map[string]struct{ file, old, new, at, want string }{
		"a row without enforcement":     {"policy", "says = \"Somebody answers.\"\nby = \"officer\"\ndecision = \"silent\"\nenforced_by = \"plan\"", "says = \"Somebody answers.\"\nby = \"officer\"\ndecision = \"silent\"", "[[request]]", `request[0].enforced_by: "" is unknown; expected one of plan, due, notice, documentation`},
		"an unknown enforcement":        {"policy", `enforced_by = "due"`, `enforced_by = "hope"`, `enforced_by = "hope"`, `promise[0].enforced_by: "hope" is unknown`},
		"a row that rests on nothing":   {"policy", "stop = \"Answer STOP.\"\ndecision = \"silent\"", "stop = \"Answer STOP.\"", "[[marketing]]", "marketing[0].cites: is missing: expected phrases of the company's text, or the decision"},
		"an unknown decision":           {"policy", "stop = \"Answer STOP.\"\ndecision = \"silent\"", "stop = \"Answer STOP.\"\ndecision = \"loud\"", `decision = "loud"`, `marketing[0].decision: there is no [[needs_controller_decision]] "loud"`},
		"an unknown document":           {"policy", `document = "acme.txt", phrase`, `document = "other.txt", phrase`, "cites = ", `representative[0].cites[0].document: there is no [[document]] "other.txt"`},
		"a phrase of two rows":          {"policy", "says = \"We sell nothing.\"", "says = \"We sell nothing.\"\ncites = [{ document = \"acme.txt\", phrase = \"Acme  Europe acts for us\" }]", "cites = ", "sale[0].cites[0].phrase: is cited by representative[0] already"},
		"a document twice":              {"policy", "[[representative]]", "[[document]]\nid = \"acme.txt\"\ntitle = \"again\"\n[[representative]]", `id = "acme.txt"`, `document[1].id: "acme.txt" is there twice`},
		"a document's date":             {"policy", "title = \"Privacy policy\"", "title = \"Privacy policy\"\nupdated = \"May\"", "updated = ", "document[0].updated:"},
		"records too short":             {"policy", "months = 24", "months = 23", "months = 23", "records.months: is 23; expected at least 24"},
		"records without law":           {"policy", "cite = \"11 CCR 7101\"", "cite = \"\"", "cite = ", "records.cite: is missing or empty"},
		"an unknown calendar":           {"policy", "margin_days = 3", "margin_days = 3\ncalendar = \"XX\"", "calendar = ", `calendar: "XX" is no calendar`},
		"an unknown region":             {"policy", `region = "eea"`, `region = "moon"`, "region = ", `representative[0].region: "moon" is unknown`},
		"an unknown kind of channel":    {"policy", `kind = "mail"`, `kind = "pigeon"`, "kind = ", `channel[0].kind: "pigeon" is unknown`},
		"a mail channel without mail":   {"policy", `where = "privacy@acme.example"`, `where = "over there"`, "where = ", "channel[0].where: is no mail address"},
		"an unknown right":              {"policy", "where = \"privacy@acme.example\"\nrights = [\"access\"]", "where = \"privacy@acme.example\"\nrights = [\"acces\"]", "rights = ", `channel[0].rights: unknown right "acces"`},
		"a channel without words":       {"policy", `says = "Write to privacy@acme.example."`, `says = ""`, "says = ", "channel[0].says: is missing or empty"},
		"an unknown role":               {"policy", `role = "processor"`, `role = "owner"`, "role = ", `role[0].role: "owner" is unknown`},
		"a processor for nobody":        {"policy", `customer = "your school"`, `customer = ""`, "customer = ", "role[0].customer: is missing or empty"},
		"a role of unknown data":        {"policy", "plans = [\"pupil\"]\ncategories = [\"account\"]\nrole", "plans = [\"pupil\"]\ncategories = [\"secrets\"]\nrole", "categories = ", `role[0].categories: there is no category "secrets"`},
		"a request of no right":         {"policy", `right = "inquiry"`, `right = "tea"`, "right = ", `request[0].right: unknown right "tea"`},
		"a request answered by nobody":  {"policy", `by = "officer"`, `by = ""`, "by = ", "request[0].by: is missing: a person answers this"},
		"a request of an unknown role":  {"policy", `by = "officer"`, `by = "boss"`, "by = ", `request[0].by: there is no role "boss"`},
		"an age of nobody":              {"policy", "under = 13", "under = 0", "under = ", "minor[0].under: is 0"},
		"an unknown exception of age":   {"policy", `unless = "school"`, `unless = "uncle"`, "unless = ", `minor[0].unless: "uncle" is unknown`},
		"an unknown word on sale":       {"policy", `sells = "no"`, `sells = "never"`, "sells = ", `sale[0].sells: "never" is unknown; expected one of no, may, yes`},
		"an unknown marketing":          {"policy", `channel = "sms"`, `channel = "drum"`, "channel = ", `marketing[0].channel: "drum" is unknown`},
		"marketing without a stop":      {"policy", `stop = "Answer STOP."`, `stop = ""`, "stop = ", "marketing[0].stop: is missing or empty"},
		"a breach told to nobody":       {"policy", `whom = "subjects"`, `whom = "press"`, "whom = ", `breach[0].whom: "press" is unknown`},
		"a breach told never":           {"policy", "hours = 72", "hours = 0", "hours = ", "breach[0].hours: is 0"},
		"an unknown moment":             {"policy", `when = "before"`, `when = "someday"`, "when = ", `change_notice[0].when: "someday" is unknown`},
		"an unknown notice":             {"policy", `notices = ["access"]`, `notices = ["telegram"]`, "notices = ", `say[0].notices: "telegram" is unknown`},
		"an unknown regime":             {"policy", `regimes = ["gdpr"]`, `regimes = ["magna_carta"]`, "regimes = ", `say[0].regimes: there is no regime "magna_carta"`},
		"a plan of no role":             {"policy", "rights = [\"access\"]\nplans = [\"pupil\"]", "rights = [\"access\"]\nplans = [\"gold\"]", "plans = ", `say[0].plans: there is no [[role]] of the plan "gold"`},
		"a question without answers":    {"policy", `choices = ["yes", "no"]`, `choices = ["yes"]`, "choices = ", "ask[0].choices: has 1; expected at least two"},
		"a safe answer that is none":    {"policy", `default = "yes"`, `default = "maybe"`, "default = ", `ask[0].default: "maybe" is unknown; expected one of yes, no`},
		"an answer without a key":       {"policy", `answer = "keep_it"`, `answer = "Keep it"`, "answer = ", `ask[0].answer: "Keep it" is not a key`},
		"an effect of no answer":        {"policy", `choice = "yes"`, `choice = "maybe"`, "choice = ", `ask[0].effect[0].choice: "maybe" is unknown`},
		"an effect on unknown data":     {"policy", `spare = ["account"]`, `spare = ["secrets"]`, "spare = ", `ask[0].effect[0].spare: there is no category "secrets"`},
		"a route to nobody":             {"policy", `to = "officer"`, `to = "boss"`, "to = ", `route[0].to: "boss" is nobody; expected customer or a role`},
		"a route of unknown data":       {"policy", "fields = [\"name\"]\ncategories = [\"account\"]", "fields = [\"name\"]\ncategories = [\"secrets\"]", "categories = ", `route[0].categories: there is no category "secrets"`},
		"an unknown legal basis":        {"policy", `bases = ["contract"]`, `bases = ["hunger"]`, "bases = ", `category[0].bases: "hunger" is unknown`},
		"no legal basis":                {"policy", `bases = ["contract"]`, `bases = []`, "bases = ", "category[0].bases: is missing or empty"},
		"an unknown purpose":            {"policy", `bases = ["contract"]`, "bases = [\"contract\"]\npurposes = [\"fun\"]", "purposes = ", `category[0].purposes: "fun" is unknown`},
		"kept from no day on":           {"policy", `on_erasure = "erase"`, `on_erasure = "erase"` + retain("years = 3\nfrom = \"birth\""), "from = ", `category[0].retain.from: "birth" is unknown`},
		"kept for no reason":            {"policy", `on_erasure = "erase"`, `on_erasure = "erase"` + strings.Replace(retain("years = 3\nfrom = \"closure\""), `"contract"`, `"habit"`, 1), "reason = ", `category[0].retain.reason: "habit" is unknown`},
		"kept in passing":               {"policy", `on_erasure = "erase"`, "on_erasure = \"erase\"\nretain.years = 3", "[[category]]", `category[0].retain.reason: "" is unknown`},
		"kept for no time":              {"policy", `on_erasure = "erase"`, `on_erasure = "erase"` + retain("from = \"closure\""), "[category.retain]", "category[0].retain.years: is missing"},
		"kept from nowhere":             {"policy", `on_erasure = "erase"`, `on_erasure = "erase"` + retain("years = 3"), "[category.retain]", "category[0].retain.from: is missing"},
		"kept for less than nothing":    {"policy", `on_erasure = "erase"`, `on_erasure = "erase"` + retain("years = -3\nfrom = \"closure\""), "[category.retain]", "category[0].retain: counts backwards"},
		"kept without a rule at an end": {"policy", `on_erasure = "erase"`, `on_erasure = "erase"` + strings.Replace(retain("years = 3\nfrom = \"closure\""), `dispose = "erase"`, `dispose = "burn"`, 1), "dispose = ", `category[0].retain.dispose: "burn" is unknown`},
		"a business purpose":            {"policy", `on_erasure = "erase"`, `on_erasure = "keep"` + strings.Replace(ground, "legal_claims", "business_purpose", 1), "kind = ", `ground[0].kind: "business_purpose" blocks no erasure under gdpr; expected one of`},
		"a duty of another country":     {"policy", `on_erasure = "erase"`, `on_erasure = "keep"` + strings.Replace(ground, "legal_claims", "legal_obligation", 1), "jurisdiction = ", `ground[0].jurisdiction: a duty under the law of "US" is no ground under gdpr`},
		"a promise longer than the law": {"policy", "says = \"We promise 30 days.\"\ndecision = \"silent\"", "says = \"We promise 30 days.\"\ncites = [{ document = \"acme.txt\", phrase = \"thirty days\" }]", "days = 30", "promise[0].days: 30 days are longer than the law: "},
		"a promise of no time":          {"policy", "days = 30", "days = 0", "days = 0", "promise[0].days: is 0"},
		"a promise on no right":         {"policy", "days = 30", "days = 30\nrights = [\"tea\"]", "rights = ", `promise[0].rights: unknown right "tea"`},

		"a recipient of no kind":              {"recipients", `kind = "service"`, `kind = "friend"`, "kind = ", `recipient[0].kind: "friend" is unknown`},
		"a recipient without standing":        {"recipients", `standing = "third_party"`, `standing = "friend"`, "standing = ", `recipient[0].standing: "friend" is unknown`},
		"a recipient of nothing":              {"recipients", "categories = [\"account\"]\ntold", "categories = []\ntold", "categories = ", "recipient[0].categories: is missing or empty"},
		"a recipient of unknown data":         {"recipients", "categories = [\"account\"]\ntold", "categories = [\"secrets\"]\ntold", "categories = ", `recipient[0].categories: there is no category "secrets"`},
		"a recipient in no system":            {"recipients", `systems = ["app"]`, `systems = ["attic"]`, "systems = ", `recipient[1].systems: there is no system "attic"`},
		"a recipient told twice":              {"recipients", `systems = ["app"]`, "systems = [\"app\"]\ntold = true", "told = ", "recipient[1].told: the recipient is reached through app"},
		"a recipient's address":               {"recipients", `mail = "carrier@acme.example"`, `mail = "carrier"`, "mail = ", "recipient[0].mail: is no mail address"},
		"a recipient that rests on nothing":   {"recipients", "mail = \"carrier@acme.example\"\ndecision = \"silent\"", "mail = \"carrier@acme.example\"", "[[recipient]]", "recipient[0].cites: is missing"},
		"an unknown key of a recipient":       {"recipients", "told = true", "told = true\nloud = true", "loud = ", "recipient.loud: unknown key"},
		"a recipient twice":                   {"recipients", `id = "host"`, `id = "carrier"`, `id = "carrier"`, `recipient[1].id: "carrier" is there twice`},
		"a customer without a way to write":   {"customers", `contact = "office@north.example"`, `contact = "north"`, "contact = ", "customer[0].contact: is no mail address"},
		"a customer's domain":                 {"customers", `domains = ["north.example"]`, `domains = ["North School"]`, "domains = ", `customer[0].domains: "North School" is no mail domain`},
		"a domain of two customers":           {"customers", `domains = ["south.example"]`, `domains = ["north.example"]`, "domains = ", `customer[1].domains: "north.example" belongs to another customer already`},
		"a customer of no plan":               {"customers", `plans = ["pupil"]`, `plans = ["gold"]`, "plans = ", `customer[0].plans: there is no [[role]] of the plan "gold"`},
		"a customer without name":             {"customers", `name = "North School"`, `name = ""`, "name = ", "customer[0].name: is missing or empty"},
		"a system that rests on nothing":      {"systems", `decision = "silent"`, "", "[[system]]", "system[0].cites: is missing"},
		"a system that changes nothing named": {"systems", `enforced_by = "plan"`, `enforced_by = "none"`, "enforced_by = ", `system[0].enforced_by: "none" is unknown`},
	} {
		t.Run(name, func(t *testing.T) {
			files := fullPack()
			file := files["companies/acme/"+c.file+".toml"]
			if !strings.Contains(string(file.Data), c.old) {
				t.Fatalf("the good pack has no %q", c.old)
			}
			file.Data = []byte(strings.Replace(string(file.Data), c.old, c.new, 1))
			refusedAt(t, files, c.file, c.at, c.want)
		})
	}
}

func retain(period string) string {
	return "\n[category.retain]\n" + period + "\nreason = \"contract\"\ndispose = \"erase\"\ndecision = \"silent\"\nenforced_by = \"notice\"\n"
}

// A promise that a decision covers is data: the earlier law counts beside it.
func TestAPromiseLongerThanTheLawNeedsADecision(t *testing.T) {
	long := strings.Replace(fullPolicy, "days = 30", "days = 45", 1)
	files := fullPack()
	files["companies/acme/policy.toml"].Data = []byte(long)
	if _, err := policy.LoadFS(files, "acme"); err != nil {
		t.Errorf("a promise with a decision is refused: %v", err)
	}
	short := strings.Replace(fullPolicy, "says = \"We promise 30 days.\"\ndecision = \"silent\"", "says = \"We promise.\"\ncites = [{ document = \"acme.txt\", phrase = \"in no time\" }]", 1)
	files["companies/acme/policy.toml"].Data = []byte(strings.Replace(short, "days = 30", "days = 10\nrights = [\"erasure\"]", 1))
	if _, err := policy.LoadFS(files, "acme"); err != nil {
		t.Errorf("a promise shorter than every law is refused: %v", err)
	}
}

func TestAtMostFiveRowsAreDocumentation(t *testing.T) {
	var more strings.Builder
	for i := range 6 {
		fmt.Fprintf(&more, "[[say]]\nid = \"s%d\"\ntext = \"So.\"\ndecision = \"silent\"\nenforced_by = \"documentation\"\n", i)
	}
	files := fullPack()
	files["companies/acme/policy.toml"].Data = []byte(fullPolicy + more.String())
	refusedAt(t, files, "policy", `enforced_by = "documentation"`, "say[6].enforced_by: is the row number 6 that is documentation only; expected at most 5")

	five := strings.Replace(more.String(), "[[say]]\nid = \"s5\"\ntext = \"So.\"\ndecision = \"silent\"\nenforced_by = \"documentation\"\n", "", 1)
	files["companies/acme/policy.toml"].Data = []byte(fullPolicy + five)
	c, err := policy.LoadFS(files, "acme")
	if err != nil {
		t.Fatal(err)
	}
	if c.Documentation() != 5 {
		t.Errorf("%d rows are documentation, want 5", c.Documentation())
	}
}

// A pack has four files; none is left out silently.
func TestEveryFileOfAPackIsNeeded(t *testing.T) {
	for _, name := range []string{"policy", "systems", "recipients", "customers"} {
		files := fullPack()
		delete(files, "companies/acme/"+name+".toml")
		if _, err := policy.LoadFS(files, "acme"); err == nil || !strings.Contains(err.Error(), "companies/acme/"+name+".toml") {
			t.Errorf("without %s.toml: %v, want an error that names it", name, err)
		}
	}
}
