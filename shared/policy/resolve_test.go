package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/writ-dsr/writ/shared/dsr"
)

var asked = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// question is one that PythonMaster can be asked.
func question(place dsr.Place, rights ...dsr.Right) Question {
	return Question{Rights: rights, Place: place, Events: []dsr.ClockEvent{{Kind: dsr.Received, At: asked}}, Can: noSuppress}
}

func load(t testing.TB, company string) *Company {
	t.Helper()
	c, err := Load(company)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func decided(t testing.TB, c *Company, q Question) Resolution {
	t.Helper()
	r, err := c.Resolve(q)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// bare is PythonMaster without the questions and routes that a test is not about.
func bare(t testing.TB) *Company {
	c := load(t, "pythonmaster")
	c.Asks, c.Routes, c.Roles, c.Minors = nil, nil, nil, nil
	return c
}

func TestResolveRuns(t *testing.T) {
	c := bare(t)
	for place, want := range map[dsr.Place]struct{ law, due string }{
		"PL": {"gdpr", "2026-12-22"}, "US-CA": {"ccpa", "2026-12-22"}, "BR": {"lgpd", "2026-12-07"}, "GB": {"uk_gdpr", "2026-12-22"}, "CH": {"ch_fadp", "2026-12-22"},
	} {
		r := decided(t, c, question(place, dsr.Erasure))
		if r.Decision != DecideRun || !slices.Contains(r.Laws, want.law) || r.Deadline.DueAt.Format(time.DateOnly) != want.due {
			t.Errorf("%s: %s under %v, due %s", place, r.Decision, r.Laws, r.Deadline.DueAt)
		}
		if len(r.Refusals)+len(r.Referrals)+len(r.Questions) != 0 || len(r.Plan.Waves) == 0 {
			t.Errorf("%s: %+v", place, r)
		}
		if err := c.CheckOrder(r.Plan); err != nil {
			t.Errorf("%s: %v", place, err)
		}
	}
}

// What neither law nor pack gives is refused with everything the notice needs,
// and citing the law that gives it elsewhere.
func TestResolveRefuses(t *testing.T) {
	c := bare(t)
	r := decided(t, c, question("PL", dsr.ShineTheLight))
	if r.Decision != DecideRefuse || len(r.Refusals) != 1 || len(r.Plan.Waves) != 0 {
		t.Fatalf("decided %s, %+v", r.Decision, r.Refusals)
	}
	x := r.Refusals[0]
	if x.Reason != ReasonNotGiven || !strings.Contains(x.Cite, "1798.83") || !strings.Contains(x.Authority, "UODO") && !strings.Contains(x.Authority, "Urz") || x.Remedy == "" || x.Says == "" {
		t.Errorf("the refusal is %+v", x)
	}
	if !slices.Contains(r.Notices, NoticeRefusal) || slices.Contains(r.Notices, NoticeStatement) {
		t.Errorf("the notices are %v", r.Notices)
	}
	if r := decided(t, c, question("US-CA", dsr.ShineTheLight)); r.Decision != DecideRun {
		t.Errorf("in California it is %s: %+v", r.Decision, r.Refusals)
	}
	if r := decided(t, c, question("US-VA", dsr.ShineTheLight)); r.Decision != DecideRefuse || r.Refusals[0].Appeal == "" {
		t.Errorf("in Virginia it is %s, and says of an appeal %+v", r.Decision, r.Refusals)
	}
	// A promise of the pack gives what the law does not.
	c.Requests = append(c.Requests, Request{Right: dsr.ShineTheLight, Name: "who got it", Says: "We tell you."})
	if r := decided(t, c, question("PL", dsr.ShineTheLight)); r.Decision != DecideRun {
		t.Errorf("a promise is %s", r.Decision)
	}
	// What people wrote in their own words is read, wherever they live.
	for _, right := range open {
		if r := decided(t, c, question("", right)); r.Decision != DecideRun || !r.Plan.serves(right) {
			t.Errorf("%s is %s", right, r.Decision)
		}
	}
}

func TestResolveRefusesAbuseAndRepetition(t *testing.T) {
	c := bare(t)
	for _, x := range []struct {
		name   string
		place  dsr.Place
		right  dsr.Right
		key    string
		value  string
		reason string
	}{
		{"excessive, as a person decided", "PL", dsr.Access, FactAbusive, ReasonExcessive, ReasonExcessive},
		{"an objection to marketing is never abusive", "PL", dsr.ObjectionMarketing, FactAbusive, ReasonExcessive, ""},
		{"a third time in a year in California", "US-CA", dsr.Access, FactRepeats, "2", ReasonTooOften},
		{"a second time", "US-CA", dsr.Access, FactRepeats, "1", ""},
		{"the European law counts nothing", "PL", dsr.Access, FactRepeats, "9", ""},
	} {
		q := question(x.place, x.right)
		q.Facts = map[string]string{x.key: x.value}
		r := decided(t, c, q)
		got := ""
		if len(r.Refusals) > 0 {
			got = r.Refusals[0].Reason
			if x.key == FactAbusive && !strings.Contains(r.Refusals[0].Cite, "12(") {
				t.Errorf("%s: cited is %s, want Art. 12(5), which allows it", x.name, r.Refusals[0].Cite)
			}
			if r.Refusals[0].Cite == "" || r.Decision != DecideRefuse {
				t.Errorf("%s: %s, %+v", x.name, r.Decision, r.Refusals[0])
			}
		}
		if got != x.reason {
			t.Errorf("%s: refused for %q, want %q", x.name, got, x.reason)
		}
	}
}

// Portability reaches what the person gave under a contract or a consent.
func TestPortabilityReachesWhatWasProvided(t *testing.T) {
	c := bare(t)
	r := decided(t, c, question("PL", dsr.Portability))
	reached := map[string]bool{}
	for _, w := range r.Plan.Waves {
		for _, v := range w.Visits {
			for _, id := range v.Categories {
				reached[id] = reached[id] || slices.Contains(v.Ops, dsr.Export)
			}
		}
	}
	for _, k := range c.Categories {
		based := slices.Contains(k.Bases, "contract") || slices.Contains(k.Bases, "consent")
		if reached[k.ID] != (k.Provided && based && !k.Forbidden) {
			t.Errorf("%s: copied is %v; provided %v, bases %v", k.ID, reached[k.ID], k.Provided, k.Bases)
		}
	}
	if !slices.Contains(r.Notices, NoticePortability) || slices.Contains(r.Notices, NoticeAccess) {
		t.Errorf("the notices are %v", r.Notices)
	}
	for i := range c.Categories {
		c.Categories[i].Provided = false
	}
	if r := decided(t, c, question("PL", dsr.Portability)); r.Decision != DecideRefuse || r.Refusals[0].Reason != ReasonNothingCovered {
		t.Errorf("with nothing provided it is %s, %+v", r.Decision, r.Refusals)
	}
}

var atWork = Role{ID: "business", Plans: []string{"business"}, Role: "processor", Customer: "the company you work for", Says: "It decides about your data.",
	Fact: Fact{Cites: []Cite{{Document: "d", Phrase: "p"}}}}

func TestResolveRefersToTheCustomer(t *testing.T) {
	c := bare(t)
	c.Roles = []Role{{ID: "own", Plans: []string{"free"}, Role: "controller"}, atWork}
	c.Customers = []Customer{{ID: "acme", Name: "Acme", Contact: "privacy@acme.example", Domains: []string{"acme.example"}}}
	q := question("PL", dsr.Access, dsr.Erasure)
	q.Plan = "business"
	r := decided(t, c, q)
	if r.Decision != DecideRefer || len(r.Referrals) != 1 || len(r.Plan.Waves) != 0 || len(r.Proof) != 0 {
		t.Fatalf("decided %s, %+v, proof %v", r.Decision, r.Referrals, r.Proof)
	}
	x := r.Referrals[0]
	if x.To != "the company you work for" || x.Customer != "" || x.Role != "business" || x.Source.Phrase != "p" || len(x.Categories) != len(c.Categories) || len(x.Rights) != 2 {
		t.Errorf("referred as %+v", x)
	}
	if !slices.Equal(r.Notices, []string{NoticeAcknowledge, NoticeReferral}) {
		t.Errorf("the notices are %v", r.Notices)
	}

	// The customer is named to a proved mailbox of it, and to no other.
	at := func(address string, origin dsr.Origin, proved bool) Resolution {
		q := q
		q.Identities, q.Proved = []dsr.Identity{{Kind: dsr.Email, Value: address, Origin: origin}}, proved
		return decided(t, c, q)
	}
	for _, y := range []struct {
		address  string
		origin   dsr.Origin
		proved   bool
		customer string
	}{
		{"ada@Acme.example", dsr.Proved, true, "acme"},
		{"ada@acme.example", dsr.Proved, false, ""},
		{"ada@acme.example", dsr.SelfAsserted, true, ""},
		{"ada@other.example", dsr.Proved, true, ""},
		{"ada@not-acme.example", dsr.Proved, true, ""},
	} {
		if got := at(y.address, y.origin, y.proved).Referrals[0].Customer; got != y.customer {
			t.Errorf("%s, %s, proved %v: named %q, want %q", y.address, y.origin, y.proved, got, y.customer)
		}
	}

	// Who opts out proves nothing, so nobody is named.
	named := q
	named.Rights, named.Proved = []dsr.Right{dsr.ObjectionMarketing}, true
	named.Identities = []dsr.Identity{{Kind: dsr.Email, Value: "ada@acme.example", Origin: dsr.Proved}}
	if r := decided(t, c, named); r.Decision != DecideRefer || r.Referrals[0].Customer != "" {
		t.Errorf("an opt-out is %s and names %+v", r.Decision, r.Referrals)
	}

	// What people read themselves is never somebody else's.
	q.Rights = []dsr.Right{dsr.Complaint}
	if r := decided(t, c, q); r.Decision != DecideRun {
		t.Errorf("a complaint is %s", r.Decision)
	}
	// On a plan of their own nothing is referred.
	q.Rights, q.Plan = []dsr.Right{dsr.Access}, "free"
	if r := decided(t, c, q); r.Decision != DecideRun || len(r.Referrals) != 0 {
		t.Errorf("on a plan of one's own it is %s", r.Decision)
	}
	// A mailbox of a customer may be tied to an account of the customer too.
	q.Identities = []dsr.Identity{{Kind: dsr.Email, Value: "ada@acme.example", Origin: dsr.SelfAsserted}}
	if r := decided(t, c, q); r.Decision != DecideSplit || len(r.Plan.Waves) == 0 || r.Referrals[0].Customer != "" {
		t.Errorf("a customer's mailbox is %s, %+v", r.Decision, r.Referrals)
	}
}

// By classes of data, the company's part runs and the customers' is referred.
func TestResolveSplitsByData(t *testing.T) {
	c := bare(t)
	c.Roles = []Role{{ID: "ours", Role: "controller"}, {ID: "content", Categories: []string{"coursework"}, Role: "processor", Customer: "the author of the course", Says: "It is theirs."}}
	r := decided(t, c, question("PL", dsr.Erasure))
	if r.Decision != DecideSplit || len(r.Referrals) != 1 || !slices.Equal(r.Referrals[0].Categories, []string{"coursework"}) {
		t.Fatalf("decided %s, %+v", r.Decision, r.Referrals)
	}
	for _, w := range r.Plan.Waves {
		for _, v := range w.Visits {
			if v.System == "files" || slices.Contains(v.Categories, "coursework") {
				t.Errorf("the customer's data are touched: %+v", v)
			}
		}
	}
	if !slices.ContainsFunc(r.Plan.Owed, func(o Owed) bool {
		return o.System == "files" && o.Outcome.Category == "coursework" && o.Outcome.Kind == dsr.Referred && o.Outcome.Validate() == nil
	}) {
		t.Errorf("nothing says what becomes of it: %+v", r.Plan.Owed)
	}
	if err := c.CheckOrder(r.Plan); err != nil {
		t.Error(err)
	}
	// What the customers' data are not used for is stopped by the company alone.
	if r := decided(t, c, question("PL", dsr.ObjectionMarketing)); r.Decision != DecideRun || len(r.Referrals) != 0 {
		t.Errorf("a marketing objection is %s, %+v", r.Decision, r.Referrals)
	}
	c.Roles[1].Categories = []string{"marketing"}
	if r := decided(t, c, question("PL", dsr.ObjectionMarketing)); r.Decision != DecideSplit {
		t.Errorf("of a customer's newsletter it is %s", r.Decision)
	}
}

func TestRoutes(t *testing.T) {
	c := bare(t)
	c.Routes = []Route{{ID: "locked", Rights: []dsr.Right{dsr.Rectification}, Fields: []string{"name"}, To: ToCustomer, Says: "Your organisation changes it."}}
	for _, x := range []struct {
		fields   []string
		decision string
	}{{[]string{"name"}, DecideRefer}, {[]string{"name", "city"}, DecideSplit}, {[]string{"city"}, DecideRun}} {
		q := question("PL", dsr.Rectification)
		q.Fields = x.fields
		r := decided(t, c, q)
		if r.Decision != x.decision || (len(r.Referrals) == 1) != (x.decision != DecideRun) {
			t.Errorf("fields %v: %s, %+v; want %s", x.fields, r.Decision, r.Referrals, x.decision)
		}
		told := slices.ContainsFunc(r.Plan.Owed, func(o Owed) bool {
			return o.System == dsr.Itself && o.Outcome.Kind == dsr.Referred && o.Outcome.Category == string(dsr.Rectification)
		})
		if told != (x.decision != DecideRun) {
			t.Errorf("fields %v: owed %+v", x.fields, r.Plan.Owed)
		}
		var changes []dsr.Change
		for _, f := range x.fields {
			changes = append(changes, dsr.Change{Field: f, New: "new"})
		}
		for _, own := range c.OwnChanges("", changes) {
			if own.Field == "name" {
				t.Errorf("fields %v: the organisation's field is changed all the same", x.fields)
			}
		}
		if own := c.OwnChanges("", changes); x.decision != DecideRefer && len(own) != 1 {
			t.Errorf("fields %v: changed are %v, want the city alone", x.fields, own)
		}
	}
}

func TestAsks(t *testing.T) {
	c := bare(t)
	c.Asks = []Ask{{ID: "certificates", Rights: []dsr.Right{dsr.Erasure}, Question: "Keep your certificates?", Answer: "certificates", Choices: []string{"keep", "erase"}, Default: "keep",
		Effects: []AskEffect{{Choice: "keep", Spare: []string{"course_progress"}}}}}
	touches := func(r Resolution) bool {
		return slices.ContainsFunc(r.Plan.Waves, func(w Wave) bool {
			return w.Phase == dsr.Act && slices.ContainsFunc(w.Visits, func(v Visit) bool { return slices.Contains(v.For(dsr.Erase), "course_progress") })
		})
	}
	for answer, want := range map[string]struct {
		decision string
		erased   bool
	}{"": {DecideAsk, false}, "keep": {DecideRun, false}, "erase": {DecideRun, true}} {
		q := question("PL", dsr.Erasure)
		if answer != "" {
			q.Facts = map[string]string{"certificates": answer}
		}
		r := decided(t, c, q)
		if r.Decision != want.decision || touches(r) != want.erased || (len(r.Questions) == 1) != (answer == "") {
			t.Errorf("answered %q: %s, erased %v, questions %v", answer, r.Decision, touches(r), r.Questions)
		}
	}
	if r := decided(t, c, question("PL", dsr.Access)); r.Decision != DecideRun {
		t.Errorf("a copy is asked about certificates: %s", r.Decision)
	}
}

// Of two rights that contradict each other the safe one is carried out until the
// person has said which, and the other is told as not done.
func TestOpposedRights(t *testing.T) {
	c := bare(t)
	for answer, want := range map[string]struct {
		decision string
		right    dsr.Right
		told     bool
	}{"": {DecideAsk, dsr.Restriction, true}, ChoiceErase: {DecideRun, dsr.Erasure, false}, ChoiceRestrict: {DecideRun, dsr.Restriction, false}} {
		q := question("PL", dsr.Erasure, dsr.Restriction)
		if answer != "" {
			q.Facts = map[string]string{AnswerEraseOrRestrict: answer}
		}
		r := decided(t, c, q)
		told := slices.ContainsFunc(r.Plan.Owed, func(o Owed) bool {
			return o.Outcome.Category == string(dsr.Erasure) && o.Outcome.Reason == ReasonOpposed && o.Outcome.Kind == dsr.Refused
		})
		if r.Decision != want.decision || !slices.Equal(r.Plan.Rights, []dsr.Right{want.right}) || told != want.told {
			t.Errorf("answered %q: %s, carries out %v, told %v", answer, r.Decision, r.Plan.Rights, told)
		}
	}
}

// A wish that no rule reads is refused, and its value is not repeated.
func TestResolveRefusesUnknownFacts(t *testing.T) {
	c := bare(t)
	for want, change := range map[string]func(*Question){
		"no right was asked":   func(q *Question) { q.Rights = nil },
		"unknown right":        func(q *Question) { q.Rights = []dsr.Right{"forget"} },
		"no received event":    func(q *Question) { q.Events = nil },
		"plan: ":               func(q *Question) { q.Plan = "zq7canary" },
		"the key":              func(q *Question) { q.Facts = map[string]string{"mood": "zq7canary"} },
		"facts.age":            func(q *Question) { q.Facts = map[string]string{FactAge: "zq7canary"} },
		"facts.repeats":        func(q *Question) { q.Facts = map[string]string{FactRepeats: "-1"} },
		"facts.denied":         func(q *Question) { q.Facts = map[string]string{FactDenied: "zq7canary"} },
		"facts.abusive":        func(q *Question) { q.Facts = map[string]string{FactAbusive: "zq7canary"} },
		"facts.opt_in_or_out:": func(q *Question) { q.Facts = map[string]string{AnswerInOrOut: "zq7canary"} },
	} {
		q := question("PL", dsr.Access)
		change(&q)
		if r, err := c.Resolve(q); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "zq7canary") {
			t.Errorf("decided %s, error %v; want one about %q", r.Decision, err, want)
		}
	}
}

func TestProof(t *testing.T) {
	c := bare(t)
	for i := range c.Categories {
		c.Categories[i].Sensitive = false
	}
	for _, x := range []struct {
		name   string
		change func(*Question)
		place  dsr.Place
		rights []dsr.Right
		want   []Proof
	}{
		{"a copy in Poland", nil, "PL", []dsr.Right{dsr.Access}, []Proof{Mailbox}},
		{"a copy in California", nil, "US-CA", []dsr.Right{dsr.Access}, []Proof{Mailbox, MatchPoints3, Declaration}},
		{"categories in California", nil, "US-CA", []dsr.Right{dsr.KnowCategories}, []Proof{Mailbox, MatchPoints2}},
		{"both, and an opt-out: the union, and the greater number", nil, "US-CA", []dsr.Right{dsr.Access, dsr.Erasure, dsr.OptOutOfSale}, []Proof{Mailbox, MatchPoints3, Declaration}},
		{"an opt-out needs none", nil, "US-CA", []dsr.Right{dsr.OptOutOfSale}, []Proof{}},
		{"nor do a marketing objection and a consent taken back", nil, "PL", []dsr.Right{dsr.ObjectionMarketing, dsr.ConsentWithdrawal}, []Proof{}},
		{"an agent's opt-out shows the permission alone", func(q *Question) { q.By = dsr.Agent }, "US-CA", []dsr.Right{dsr.OptOutOfSale}, []Proof{Permission}},
		{"an agent", func(q *Question) { q.By = dsr.Agent }, "US-CA", []dsr.Right{dsr.Erasure}, []Proof{Mailbox, Permission}},
		{"a parent", func(q *Question) { q.By = dsr.Parent }, "PL", []dsr.Right{dsr.Erasure}, []Proof{Mailbox, ParentProof}},
		{"a child of 15 in Poland, where 16 is the age", func(q *Question) { q.Facts = map[string]string{FactAge: "15"} }, "PL", []dsr.Right{dsr.Access}, []Proof{Mailbox, ParentProof}},
		{"at 16", func(q *Question) { q.Facts = map[string]string{FactAge: "16"} }, "PL", []dsr.Right{dsr.Access}, []Proof{Mailbox}},
		{"at 15 in Norway, where 13 is the age", func(q *Question) { q.Facts = map[string]string{FactAge: "15"} }, "NO", []dsr.Right{dsr.Access}, []Proof{Mailbox}},
		{"a child's opt-out", func(q *Question) { q.Facts = map[string]string{FactAge: "10"} }, "PL", []dsr.Right{dsr.ObjectionMarketing}, []Proof{}},
		{"a login address is corrected", func(q *Question) { q.Fields = []string{"email"} }, "PL", []dsr.Right{dsr.Rectification}, []Proof{Mailbox, MatchPoints2}},
		{"a name is corrected", func(q *Question) { q.Fields = []string{"name"} }, "PL", []dsr.Right{dsr.Rectification}, []Proof{Mailbox}},
		{"sensitive data", func(q *Question) { q.Facts = map[string]string{FactSensitive: "yes"} }, "PL", []dsr.Right{dsr.Access}, []Proof{Mailbox, MatchPoints2}},
	} {
		q := question(x.place, x.rights...)
		if x.change != nil {
			x.change(&q)
		}
		if got := decided(t, c, q).Proof; !slices.Equal(got, x.want) {
			t.Errorf("%s: %v, want %v", x.name, got, x.want)
		}
	}
	// A policy's age never lowers the national one, and a higher one counts.
	for under, years := range map[int]map[string]bool{13: {"15": true, "16": false}, 18: {"17": true, "18": false}} {
		c.Minors = []Minor{{ID: "young", Under: under}}
		for age, parent := range years {
			q := question("PL", dsr.Access)
			q.Facts = map[string]string{FactAge: age}
			if got := slices.Contains(decided(t, c, q).Proof, ParentProof); got != parent {
				t.Errorf("age %s where the company takes nobody under %d: a parent is asked: %v", age, under, got)
			}
		}
	}
	c.Minors = []Minor{{ID: "young", Under: 13, Unless: "school"}}
	q := question("PL", dsr.Access)
	q.By, q.Facts = dsr.School, map[string]string{FactAge: "12"}
	if got := decided(t, c, q).Proof; !slices.Contains(got, SchoolProof) || slices.Contains(got, ParentProof) {
		t.Errorf("a school asks with %v", got)
	}
}

// Falling short gives the next lesser answer, or a question.
func TestProofFellShort(t *testing.T) {
	c := bare(t)
	q := question("US-CA", dsr.Access, dsr.OptOutOfSale)
	q.Facts = map[string]string{FactUnfit: "yes"}
	r := decided(t, c, q)
	if r.Decision != DecideRun || !slices.Equal(r.Plan.Rights, []dsr.Right{dsr.KnowCategories, dsr.OptOutOfSale}) || len(r.Proof) != 0 {
		t.Errorf("%s: %v, proof %v", r.Decision, r.Plan.Rights, r.Proof)
	}
	for _, w := range r.Plan.Waves {
		for _, v := range w.Visits {
			if slices.Contains(v.Rights, dsr.KnowCategories) || slices.Contains(v.Ops, dsr.Export) {
				t.Errorf("somebody who is not proved is looked for: %+v", v)
			}
		}
	}
	q = question("PL", dsr.Erasure)
	q.Facts = map[string]string{FactUnfit: "yes"}
	r = decided(t, c, q)
	if r.Decision != DecideAsk || len(r.Questions) != 1 || r.Questions[0].Answer != FactUnfit || len(r.Plan.Waves) != 0 || !slices.Contains(r.Notices, NoticeIdentity) {
		t.Errorf("%s: %+v, notices %v", r.Decision, r.Questions, r.Notices)
	}
}

// A new login or delivery address waits seven days, and both addresses are told.
func TestAddressesWait(t *testing.T) {
	c := bare(t)
	for field, waits := range map[string]bool{"email": true, "delivery_address": true, "name": false} {
		q := question("PL", dsr.Rectification)
		q.Fields = []string{field}
		q.Can = nil
		r := decided(t, c, q)
		if got := slices.Contains(r.Notices, NoticeAddressChanged); got != waits {
			t.Errorf("%s: told to both addresses is %v", field, got)
		}
		acts := 0
		for _, w := range r.Plan.Waves {
			for _, v := range w.Visits {
				if !slices.Contains(v.Ops, dsr.Rectify) {
					continue
				}
				acts++
				want := time.Time{}
				if waits {
					want = asked.AddDate(0, 0, 7)
				}
				if !v.NotBefore.Equal(want) {
					t.Errorf("%s in %s: not before %s, want %s", field, v.System, v.NotBefore, want)
				}
			}
		}
		if acts == 0 {
			t.Errorf("%s: nothing is corrected", field)
		}
	}
}

// People read what only they can answer, arrange a transfer, and look where a
// stop found nothing to stop.
func TestTheOfficerReads(t *testing.T) {
	c := bare(t)
	for right, reads := range map[dsr.Right]bool{
		dsr.HumanReview: true, dsr.BalancingTest: true, dsr.DirectTransfer: true, dsr.Portability: false, dsr.Erasure: false,
		dsr.ObjectionMarketing: false, dsr.LimitSensitive: true, dsr.OptOutOfSale: false,
	} {
		for i := range c.Categories {
			c.Categories[i].Sensitive = false
		}
		p, err := c.Plan(question("PL", right))
		if err != nil {
			t.Fatal(err)
		}
		found := slices.ContainsFunc(p.Waves, func(w Wave) bool {
			return slices.ContainsFunc(w.Visits, func(v Visit) bool { return v.System == dsr.Officer && slices.Equal(v.Rights, []dsr.Right{right}) })
		})
		if found != reads {
			t.Errorf("%s: a person reads it is %v", right, found)
		}
	}
	// A company that sells nothing records the opt-out and has nothing to stop;
	// one that may sell must look.
	c.Sales = []Sale{{ID: "s", Sells: "may"}}
	c.Categories = slices.Clone(c.Categories)
	for i := range c.Categories {
		c.Categories[i].Purposes = nil
	}
	c.Receivers = nil
	if p, err := c.Plan(question("PL", dsr.OptOutOfSale)); err != nil || len(p.Waves) != 1 || p.Waves[0].Visits[0].System != dsr.Officer {
		t.Errorf("planned %v, error %v", lines(p), err)
	}
}

func TestReportersLearnNothing(t *testing.T) {
	c := bare(t)
	q := question("PL", dsr.Access, dsr.ChildReport)
	q.By = dsr.Reporter
	r := decided(t, c, q)
	if !slices.Equal(r.Plan.Rights, []dsr.Right{dsr.ChildReport}) || len(r.Refusals) != 1 || r.Refusals[0].Reason != ReasonReporter {
		t.Errorf("carried out %v, refused %+v", r.Plan.Rights, r.Refusals)
	}
	for _, w := range r.Plan.Waves {
		for _, v := range w.Visits {
			if v.System != dsr.Officer {
				t.Errorf("a report looks into %s", v.System)
			}
		}
	}
	if !slices.Contains(r.Notices, NoticeChildReport) {
		t.Errorf("the notices are %v", r.Notices)
	}
}

// Writ's own records are in every plan.
func TestWritIsASystem(t *testing.T) {
	c := bare(t)
	for _, right := range dsr.Rights() {
		p, err := c.Plan(question("PL", right))
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[string]dsr.OutcomeKind{}
		for _, o := range p.Owed {
			if o.System == dsr.Itself {
				kinds[o.Outcome.Category] = o.Outcome.Kind
				if err := o.Outcome.Validate(); err != nil {
					t.Errorf("%s: %v", right, err)
				}
				if o.Outcome.Kind == dsr.Retained && (o.Outcome.Ground != GroundAccountability || o.Outcome.Until != asked.AddDate(0, max(24, c.Records.Months), 0).Format(time.DateOnly)) {
					t.Errorf("%s: kept as %+v", right, o.Outcome)
				}
			}
		}
		want := dsr.Retained
		if m := right.Means(); m == dsr.ByCopy || m == dsr.ByStatement {
			want = dsr.Told
		}
		if kinds[dsr.RequestRecord] != want {
			t.Errorf("%s: the record of the request is %q, want %s", right, kinds[dsr.RequestRecord], want)
		}
		if (kinds[dsr.SuppressionRow] == dsr.Suppressed) != (right.Means() == dsr.ByStop) {
			t.Errorf("%s: the suppression is %q", right, kinds[dsr.SuppressionRow])
		}
	}
}

// What is forbidden leaves with nobody, and what cannot be searched is said so.
func TestForbiddenAndUnsearchable(t *testing.T) {
	c := bare(t)
	c.Categories[0].Forbidden = true
	forbidden := c.Categories[0].ID
	c.Systems[2].Unsearchable = "It holds no names."
	blind := c.Systems[2]
	r := decided(t, c, question("PL", dsr.Access, dsr.Erasure))
	for _, w := range r.Plan.Waves {
		for _, v := range w.Visits {
			if slices.Contains(v.Ops, dsr.Export) && slices.Contains(v.For(dsr.Export), forbidden) {
				t.Errorf("%s exports %s", v.System, forbidden)
			}
			if v.System == blind.ID {
				t.Errorf("a system in which nobody can be found is visited: %+v", v)
			}
		}
	}
	for reason, n := range map[string]int{ReasonForbidden: 1, ReasonNotSearchable: 2 * len(blind.Categories)} {
		got := 0
		for _, o := range r.Plan.Owed {
			if o.Outcome.Reason == reason {
				got++
			}
		}
		if got != n {
			t.Errorf("%s is told %d times, want %d", reason, got, n)
		}
	}
	if err := c.CheckOrder(r.Plan); err != nil {
		t.Error(err)
	}
}

// Whatever is asked, where and by whom: the same question gives the same bytes,
// no list is null, the order holds, and nothing is both carried out and refused.
func TestResolveProperties(t *testing.T) {
	var packs []*Company
	for _, id := range Companies() {
		packs = append(packs, load(t, id))
	}
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(packs).Draw(t, "company")
		q := Question{
			Rights: rapid.SliceOfN(rapid.SampledFrom(dsr.Rights()), 1, 5).Draw(t, "rights"),
			Place:  rapid.SampledFrom([]dsr.Place{"", "PL", "NO", "GB", "CH", "US-CA", "US-VA", "US", "BR", "JP"}).Draw(t, "place"),
			By:     rapid.SampledFrom([]dsr.Requester{"", dsr.Agent, dsr.Parent, dsr.School, dsr.Reporter, dsr.Unmailable}).Draw(t, "by"),
			Plan:   rapid.SampledFrom(append(c.plans(), "")).Draw(t, "plan"),
			Fields: rapid.SliceOfN(rapid.SampledFrom([]string{"name", "email", "address"}), 0, 2).Draw(t, "fields"),
			Events: []dsr.ClockEvent{{Kind: dsr.Received, At: asked}}, Facts: map[string]string{},
		}
		if rapid.Bool().Draw(t, "a child") {
			q.Facts[FactAge] = "12"
		}
		if rapid.Bool().Draw(t, "fell short") {
			q.Facts[FactUnfit] = "yes"
		}
		r, err := c.Resolve(q)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.CheckOrder(r.Plan); len(r.Plan.Rights) > 0 && err != nil {
			t.Fatal(err)
		}
		again, _ := c.Resolve(q)
		if diff := cmp.Diff(r, again); diff != "" {
			t.Fatalf("the same question gives another answer:\n%s", diff)
		}
		text, err := json.Marshal(r)
		if err != nil || strings.Contains(string(text), "null") {
			t.Fatalf("%s, %v", text, err)
		}
		for _, x := range r.Refusals {
			if x.Reason == "" || x.Says == "" || x.Cite == "" || x.Authority == "" || x.Remedy == "" || slices.Contains(r.Plan.Rights, x.Right) {
				t.Fatalf("refused as %+v, carried out %v", x, r.Plan.Rights)
			}
		}
		for _, o := range r.Plan.Owed {
			if err := o.Outcome.Validate(); err != nil {
				t.Fatalf("owed %+v: %v", o, err)
			}
		}
		if (r.Decision == DecideRefuse) != (len(r.Plan.Rights)+len(r.Referrals)+len(r.Questions) == 0) {
			t.Fatalf("decided %s with %v carried out", r.Decision, r.Plan.Rights)
		}
		for _, right := range q.Rights {
			if right.Proofless() && len(r.Proof) > 0 && len(q.Rights) == 1 && q.By != dsr.Agent {
				t.Fatalf("%s asks for %v", right, r.Proof)
			}
		}
	})
}

func BenchmarkResolve(b *testing.B) {
	c := bare(b)
	c.Categories, c.Systems = nil, nil
	var ids []string
	for i := range 30 {
		id := fmt.Sprintf("c%d", i)
		ids = append(ids, id)
		c.Categories = append(c.Categories, Category{ID: id, OnErasure: EraseIt, Bases: []string{"contract"}, Provided: true})
	}
	for i := range 40 {
		s := System{ID: fmt.Sprintf("s%d", i), Connector: "api", Categories: ids, SystemOfRecord: i == 0}
		if i > 20 {
			s.DependsOn = []string{fmt.Sprintf("s%d", i-20)}
		}
		c.Systems = append(c.Systems, s)
	}
	q := question("PL", dsr.Access, dsr.Erasure)
	for b.Loop() {
		if _, err := c.Resolve(q); err != nil {
			b.Fatal(err)
		}
	}
}
