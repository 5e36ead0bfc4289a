package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/writ-dsr/writ/shared/dsr"
)

// sketch is a company with systems only: "stripe: app zendesk" is a system and
// what it depends on, a trailing ! makes it manual, a leading * the record.
func sketch(t *testing.T, rows ...string) *Company {
	t.Helper()
	c := company()
	for _, row := range rows {
		id, deps, _ := strings.Cut(row, ":")
		s := System{ID: strings.Trim(id, "*!"), Connector: "api", Categories: []string{"data"}, DependsOn: strings.Fields(deps), SystemOfRecord: strings.HasPrefix(id, "*")}
		if strings.HasSuffix(id, "!") {
			s.Connector = Manual
		}
		c.Systems = append(c.Systems, s)
	}
	return c
}

func company() *Company {
	return &Company{
		Zone: time.UTC, Categories: []Category{{ID: "data", OnErasure: EraseIt}},
		regimes:   map[string]Regime{"gdpr": {ID: "gdpr"}},
		countries: map[dsr.Place]string{"PL": "gdpr"}, fallback: "gdpr",
	}
}

// lines writes a plan as people read it: "gather app[locate export] | files[locate export]".
func lines(p Plan) []string {
	var out []string
	for _, w := range p.Waves {
		line := string(w.Phase)
		for _, v := range w.Visits {
			ops := make([]string, len(v.Ops))
			for i, op := range v.Ops {
				ops[i] = string(op)
			}
			who := v.System
			if v.Manual {
				who += "!"
			}
			line += fmt.Sprintf(" %s[%s]", who, strings.Join(ops, " "))
			if len(v.ByPerson) > 0 {
				line += fmt.Sprintf("%v", v.ByPerson)
			}
		}
		out = append(out, line)
	}
	return out
}

// theirs leaves out what Writ owes of its own records.
func theirs(owed []Owed) []Owed {
	return slices.DeleteFunc(slices.Clone(owed), func(o Owed) bool { return o.System == dsr.Itself })
}

func noSuppress(_ System, op dsr.Op) bool { return op != dsr.Suppress }

func TestPlans(t *testing.T) {
	access, erasure := []dsr.Right{dsr.Access}, []dsr.Right{dsr.Erasure}
	both := []dsr.Right{dsr.Erasure, dsr.Access}
	shop := []string{"*app", "stripe: app", "files: app", "zendesk!"}
	for _, c := range []struct {
		name    string
		systems []string
		q       Question
		want    []string
		bundle  bool
	}{
		{"a copy: the record first, for it knows the identifiers of the others", shop, Question{Rights: access}, []string{
			"gather app[locate export]",
			"gather stripe[locate export] files[locate export] zendesk![locate export]",
		}, true},
		{"an erasure: located first, the record last; a person has one task", shop, Question{Rights: erasure, Can: noSuppress}, []string{
			"gather app[locate]",
			"gather stripe[locate] files[locate]",
			"act stripe[erase read_back] files[erase read_back] zendesk![erase]",
			"act app[erase read_back]",
		}, false},
		{"both: everything is exported before anything is erased", shop, Question{Rights: both, Can: noSuppress}, []string{
			"gather app[locate export]",
			"gather stripe[locate export] files[locate export] zendesk![locate export]",
			"act stripe[erase read_back] files[erase read_back] zendesk![erase]",
			"act app[erase read_back]",
		}, true},
		{"suppression comes before the erasure where the connector can", []string{"*app"}, Question{Rights: erasure}, []string{
			"gather app[locate]",
			"act app[suppress erase read_back]",
		}, false},
		{"a chain of three: each acts before what it depends on", []string{"*app", "crm: app", "mail: crm", "files"}, Question{Rights: both, Can: noSuppress}, []string{
			"gather app[locate export]",
			"gather crm[locate export] files[locate export]",
			"gather mail[locate export]",
			"act mail[erase read_back] files[erase read_back]",
			"act crm[erase read_back]",
			"act app[erase read_back]",
		}, true},
		{"two systems of record go side by side", []string{"*app", "*crm", "mail"}, Question{Rights: erasure, Can: noSuppress}, []string{
			"gather app[locate] crm[locate]",
			"gather mail[locate]",
			"act mail[erase read_back]",
			"act app[erase read_back] crm[erase read_back]",
		}, false},
		{"a person does what the connector cannot", []string{"*app", "old"}, Question{Rights: erasure, Can: func(s System, op dsr.Op) bool {
			return noSuppress(s, op) && !(s.ID == "old" && (op == dsr.Erase || op == dsr.ReadBack))
		}}, []string{
			"gather app[locate]",
			"gather old[locate]",
			"act old[erase read_back][erase read_back]",
			"act app[erase read_back]",
		}, false},
		{"nobody waits for a person's suppression", []string{"*app"}, Question{Rights: erasure, Can: func(_ System, op dsr.Op) bool { return op != dsr.Suppress }}, []string{
			"gather app[locate]",
			"act app[erase read_back]",
		}, false},
		{"the same right twice is one", shop[:1], Question{Rights: append(access, access...)}, []string{"gather app[locate export]"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			company := sketch(t, c.systems...)
			p, err := company.Plan(c.q)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, lines(p)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if owed := theirs(p.Owed); p.Bundle != c.bundle || len(owed) != 0 {
				t.Errorf("bundle %v, owed %v; want %v and nothing", p.Bundle, owed, c.bundle)
			}
			if err := company.CheckOrder(p); err != nil {
				t.Error(err)
			}
		})
	}
}

// What nobody can do is not planned, and its outcome is owed all the same.
func TestWhatNobodyCanDoIsOwed(t *testing.T) {
	c := sketch(t, "*app", "log")
	p, err := c.Plan(Question{
		Rights: []dsr.Right{dsr.Access, dsr.Erasure}, Can: noSuppress,
		Never: func(s System, op dsr.Op) bool { return s.ID == "log" && op != dsr.Locate },
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Owed{
		{System: "log", Op: dsr.Export, Outcome: dsr.Outcome{Category: "data", Kind: dsr.Refused, Reason: ReasonNoExport}},
		{System: "log", Op: dsr.Erase, Outcome: dsr.Outcome{Category: "data", Kind: dsr.Kept, Rule: RuleNoErase}},
	}
	if diff := cmp.Diff(want, theirs(p.Owed)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, o := range p.Owed {
		if err := o.Outcome.Validate(); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]string{"gather app[locate export]", "gather log[locate]", "act app[erase read_back]"}, lines(p)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := c.CheckOrder(p); err != nil {
		t.Error(err)
	}
}

func TestPlanRefuses(t *testing.T) {
	c := sketch(t, "*app")
	for name, rights := range map[string][]dsr.Right{"no right": nil, "an unknown right": {dsr.Access, "forget"}} {
		if p, err := c.Plan(Question{Rights: rights}); err == nil {
			t.Errorf("%s: planned %v, want an error", name, lines(p))
		}
	}
}

func TestThePlanSaysWhenTheLawWasAssumed(t *testing.T) {
	c := sketch(t, "*app")
	for country, assumed := range map[dsr.Place]bool{"PL": false, "": true, "BR": true} {
		p, err := c.Plan(Question{Rights: []dsr.Right{dsr.Access}, Place: country})
		if err != nil || p.Assumed != assumed || p.Regime != "gdpr" {
			t.Errorf("%q: regime %s, assumed %v, error %v; want gdpr, %v", country, p.Regime, p.Assumed, err, assumed)
		}
	}
}

// Whatever the systems, their dependencies and what their connectors can do:
// the order holds, and every system has its answer.
func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := company()
		n := rapid.IntRange(1, 12).Draw(t, "systems")
		for i := range n {
			s := System{ID: fmt.Sprintf("s%d", i), Connector: "api", Categories: []string{"data"}}
			if rapid.Bool().Draw(t, "manual") {
				s.Connector = Manual
			}
			if s.SystemOfRecord = i == 0 || rapid.IntRange(0, 5).Draw(t, "record") == 0; !s.SystemOfRecord {
				for d := range i { // on earlier ones only: no circle
					if rapid.IntRange(0, 3).Draw(t, "depends") == 0 {
						s.DependsOn = append(s.DependsOn, c.Systems[d].ID)
					}
				}
			}
			c.Systems = append(c.Systems, s)
		}
		c.Systems = rapid.Permutation(c.Systems).Draw(t, "order in the file")
		rights := rapid.SampledFrom([][]dsr.Right{{dsr.Access}, {dsr.Erasure}, {dsr.Access, dsr.Erasure}}).Draw(t, "rights")
		cannot, never := map[string]bool{}, map[string]bool{}
		for _, s := range c.Systems {
			for _, op := range dsr.Ops() {
				switch rapid.IntRange(0, 9).Draw(t, "ability") {
				case 0:
					cannot[s.ID+string(op)] = true
				case 1:
					if cannot[s.ID+string(op)] = true; op != dsr.Locate {
						never[s.ID+string(op)] = true
					}
				}
			}
		}
		q := Question{
			Rights: rights,
			Can:    func(s System, op dsr.Op) bool { return !cannot[s.ID+string(op)] },
			Never:  func(s System, op dsr.Op) bool { return never[s.ID+string(op)] },
		}
		p, err := c.Plan(q)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.CheckOrder(p); err != nil {
			t.Fatal(err)
		}
		if again, _ := c.Plan(q); !cmp.Equal(p, again) {
			t.Fatal("the same question gives another plan")
		}
		planned := map[string]bool{}
		for _, w := range p.Waves {
			for _, v := range w.Visits {
				for _, op := range v.Ops {
					key := v.System + string(op)
					if never[key] && !v.Manual {
						t.Fatalf("%s is planned in %s, and nobody can do it", op, v.System)
					}
					if !v.Manual && slices.Contains(v.ByPerson, op) != cannot[key] {
						t.Fatalf("%s in %s: by a person is %v", op, v.System, !cannot[key])
					}
					planned[string(w.Phase)+key] = true
				}
			}
		}
		// Nothing is erased that was not looked for first, except by a person,
		// who looks and erases in one go.
		for _, s := range c.Systems {
			if planned[string(dsr.Act)+s.ID+string(dsr.Erase)] && !s.Manual() && !planned[string(dsr.Gather)+s.ID+string(dsr.Locate)] {
				t.Fatalf("%s is erased and was never located", s.ID)
			}
		}
	})
}

// CheckOrder is the loader's proof, so it must see each way to break an order.
func TestCheckOrderSeesEveryBreach(t *testing.T) {
	c := sketch(t, "*app", "crm: app", "mail: crm")
	good := func() Plan {
		p, err := c.Plan(Question{Rights: []dsr.Right{dsr.Access, dsr.Erasure}, Can: noSuppress})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := good(); len(p.Waves) != 6 || c.CheckOrder(p) != nil {
		t.Fatalf("the good plan is refused or has changed: %v", lines(p))
	}
	for want, breach := range map[string]func(*Plan){
		"gathers after an act":   func(p *Plan) { p.Waves[2], p.Waves[3] = p.Waves[3], p.Waves[2] },
		"crm gathers before app": func(p *Plan) { p.Waves[0], p.Waves[1] = p.Waves[1], p.Waves[0] },
		"app acts before crm":    func(p *Plan) { p.Waves[4], p.Waves[5] = p.Waves[5], p.Waves[4] },
		"mail gathers before crm": func(p *Plan) { // side by side
			p.Waves[1].Visits = append(p.Waves[1].Visits, p.Waves[2].Visits...)
			p.Waves = slices.Delete(p.Waves, 2, 3)
		},
		"is visited twice": func(p *Plan) { p.Waves[0].Visits = append(p.Waves[0].Visits, p.Waves[0].Visits[0]) },
		"wave 1 is empty":  func(p *Plan) { p.Waves[0].Visits = nil },
		"has nothing to do": func(p *Plan) {
			p.Waves[0].Visits[0].Ops = nil
		},
		"unknown phase": func(p *Plan) { p.Waves[0].Phase = "later" },
		"planned for erasure of data in system app": func(p *Plan) { p.Waves = p.Waves[:5] },
		"planned for access of data in system app":  func(p *Plan) { p.Waves[0].Visits[0].Ops = []dsr.Op{dsr.Locate} },
		"a bundle is made when":                     func(p *Plan) { p.Bundle = false },
	} {
		p := good()
		breach(&p)
		if err := c.CheckOrder(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one about %q", err, want)
		}
	}
}

// The company's own plans, as its privacy officer would read them.
func TestPythonMasterPlans(t *testing.T) {
	c, err := Load("pythonmaster")
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Plan(Question{Rights: []dsr.Right{dsr.Access, dsr.Erasure}, Place: "US", Can: noSuppress})
	if err != nil {
		t.Fatal(err)
	}
	manual := func(ops string) string {
		var all string
		for _, id := range []string{"paypal", "sendgrid", "mailchimp", "zendesk", "intercom", "google_analytics", "google_cloud"} {
			all += " " + id + "![" + ops + "]"
		}
		return all
	}
	want := []string{
		"gather app[locate export]",
		"gather stripe[locate export] files[locate export]" + manual("locate export"),
		"act stripe[erase read_back] files[erase read_back]" + manual("erase"),
		"act app[erase read_back]",
	}
	if diff := cmp.Diff(want, lines(p)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(p.Decisions) != 0 {
		t.Errorf("for the US something is undecided: %v", p.Decisions)
	}
	if p, err = c.Plan(Question{Rights: []dsr.Right{dsr.Erasure}, Place: "PL"}); err != nil || len(p.Decisions) != 1 || p.Decisions[0].ID != "payments_outside_us" {
		t.Errorf("for Poland the decisions are %v, error %v; want the one about payments", p.Decisions, err)
	}
}

func TestExpect(t *testing.T) {
	c, err := Load("pythonmaster")
	if err != nil {
		t.Fatal(err)
	}
	received := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	expect := func(country dsr.Place, rights ...dsr.Right) map[string]Expectation {
		p, err := c.Plan(Question{Rights: rights, Place: country, Can: noSuppress, Events: []dsr.ClockEvent{{Kind: dsr.Received, At: received}}})
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]Expectation{}
		for _, e := range c.Expect(p, country, received) {
			if e.Rule == "" || (e.Wave > 0 && e.Source.Phrase == "") {
				t.Errorf("%s %s rests on no rule or no phrase: %+v", e.System, e.Category, e)
			}
			out[fmt.Sprintf("%s %s %s", e.Phase, e.System, e.Category)] = e
		}
		return out
	}
	us, pl := expect("US", dsr.Access, dsr.Erasure), expect("PL", dsr.Erasure)
	for key, want := range map[string]dsr.OutcomeKind{
		"gather app account": dsr.Exported, "gather zendesk support": dsr.Attested,
		"act app account": dsr.Anonymised, "act app marketing": dsr.Erased, "act app payments": dsr.Retained,
		"act stripe charge": dsr.Retained, "act stripe payment_profile": dsr.Erased, "act zendesk support": dsr.Attested,
	} {
		if us[key].Expects != want {
			t.Errorf("US, %s: %+v, want %s", key, us[key], want)
		}
	}
	if e := us["act app payments"]; e.Ground != "us_tax_records" || e.Until != "2033-11-22" || e.Rule != "26 CFR 1.6001-1" {
		t.Errorf("US payments: %+v", e)
	}
	if e := us["act zendesk support"]; e.By != "support_lead" || e.Wave != 3 {
		t.Errorf("US support: %+v, want the support lead in wave 3", e)
	}
	if e := pl["act app payments"]; e.Expects != dsr.Kept || e.Ground != "" || e.Rule != "payments_outside_us" {
		t.Errorf("PL payments: %+v, want kept, with the open decision as its rule", e)
	}
	if e := pl["gather app account"]; e.Expects != "" {
		t.Errorf("PL, locating alone expects %q, want nothing", e.Expects)
	}
	// What nobody can erase is told too.
	p := Plan{Owed: []Owed{{System: "x", Op: dsr.Erase, Outcome: dsr.Outcome{Category: "payments", Kind: dsr.Kept, Rule: RuleNoErase}}}}
	if got := c.Expect(p, "US", received); len(got) != 1 || got[0].Expects != dsr.Retained || got[0].Rule != RuleNoErase {
		t.Errorf("owed: %+v, want it retained on the ground", got)
	}
}
