package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

// The packs side by side: what sets one company apart from the others. A pack
// that says otherwise no longer says what its policy does.
func TestPacksSideBySide(t *testing.T) {
	for _, want := range []struct {
		company string
		days    map[dsr.Right]int // promised to everyone
		access  string            // due in Ireland, received on Sunday 1 February 2026
		erasure string
		kept    map[string]int // years, by ground
		minor   int
		zendesk bool
		breach  int // hours promised to people
	}{
		{company: "learnai", access: "2026-03-02", erasure: "2026-03-02", kept: map[string]int{"us_tax_records": 7}, minor: 13, zendesk: true},
		{company: "learningcart", days: map[dsr.Right]int{dsr.Access: 45}, access: "2026-03-02", erasure: "2026-03-02", minor: 17},
		{company: "wearelearning", access: "2026-03-02", erasure: "2026-03-02", kept: map[string]int{"no_bookkeeping": 5}, minor: 16, zendesk: true},
		{company: "cambridge-ai", days: map[dsr.Right]int{dsr.Rectification: 30, dsr.Erasure: 30}, access: "2026-03-02", erasure: "2026-03-02",
			kept: map[string]int{"pl_accounting": 5}, minor: 13},
		{company: "pythonmaster", days: map[dsr.Right]int{dsr.Access: 30, dsr.Erasure: 30, dsr.Rectification: 30}, access: "2026-03-02", erasure: "2026-03-02",
			kept: map[string]int{"us_tax_records": 7}, minor: 13, zendesk: true, breach: 72},
	} {
		t.Run(want.company, func(t *testing.T) {
			c := load(t, want.company)
			for _, r := range []dsr.Right{dsr.Access, dsr.Erasure, dsr.Rectification, dsr.OptOutOfSale} {
				days := 0
				for _, p := range c.Promises {
					if (len(p.Rights) == 0 || slices.Contains(p.Rights, r)) && (days == 0 || p.Days < days) {
						days = p.Days
					}
				}
				if days != want.days[r] && (days == 0 || want.days[r] > 0) {
					t.Errorf("%d days are promised for %s, want %d", days, r, want.days[r])
				}
			}
			for r, day := range map[dsr.Right]string{dsr.Access: want.access, dsr.Erasure: want.erasure} {
				if due := dueOn(t, c, "2026-02-01", r, "IE"); due != day {
					t.Errorf("%s is due on %s, want %s", r, due, day)
				}
			}
			kept := map[string]int{}
			for _, g := range c.Grounds {
				kept[g.ID] = g.Years
			}
			if len(kept) != len(want.kept) {
				t.Errorf("the grounds are %v, want %v", kept, want.kept)
			}
			for id, years := range want.kept {
				if kept[id] != years {
					t.Errorf("the ground %s reaches %d years, want %d", id, kept[id], years)
				}
			}
			if len(c.Minors) != 1 || c.Minors[0].Under != want.minor {
				t.Errorf("the company's own age is %+v, want %d", c.Minors, want.minor)
			}
			_, named := c.System("zendesk")
			if named != want.zendesk {
				t.Errorf("Zendesk is a system: %v, want %v", named, want.zendesk)
			}
			if hours := c.Facts(policy.NoticeBreachSubject, policy.Question{Place: "IE"}).Hours; hours != want.breach {
				t.Errorf("people are told of a breach within %d hours, want %d", hours, want.breach)
			}
		})
	}
}

func dueOn(t *testing.T, c *policy.Company, received string, right dsr.Right, place dsr.Place) string {
	t.Helper()
	q := asked(received, policy.Question{})
	d, err := c.Due([]dsr.Right{right}, q.Events, place)
	if err != nil {
		t.Fatal(err)
	}
	return d.DueAt.In(c.Zone).Format(time.DateOnly)
}

// A promise is the earliest date only where no law is earlier: 45 days are 45
// where a law gives as many, and never where it gives less.
func TestEarliestOfPromiseAndLaws(t *testing.T) {
	for _, want := range []struct {
		company  string
		received string
		place    dsr.Place
		right    dsr.Right
		due      string
	}{
		{"learningcart", "2026-01-05", "IE", dsr.Access, "2026-02-05"},
		{"learningcart", "2026-01-05", "BR", dsr.Access, "2026-01-20"},
		{"learningcart", "2026-01-05", "US-TX", dsr.Access, "2026-02-19"},
		{"learnai", "2026-01-05", "BE", dsr.Access, "2026-02-05"},
		{"learnai", "2026-01-05", "CH", dsr.Access, "2026-02-04"},
		{"learnai", "2026-01-05", "US-CA", dsr.Erasure, "2026-02-19"},
		{"wearelearning", "2026-03-02", "NO", dsr.Access, "2026-04-07"},    // Easter in Norway
		{"wearelearning", "2026-03-02", "US-CA", dsr.Access, "2026-04-07"}, // the GDPR is owed to everyone, and is earlier
		{"cambridge-ai", "2025-11-24", "PL", dsr.Access, "2025-12-29"},     // Christmas in Poland
		{"cambridge-ai", "2025-11-24", "PL", dsr.Erasure, "2025-12-24"},    // 30 days move for no holiday
		{"pythonmaster", "2026-01-31", "PL", dsr.Access, "2026-03-02"},
		{"pythonmaster", "2026-07-01", "PL", dsr.Access, "2026-07-31"},
	} {
		if due := dueOn(t, load(t, want.company), want.received, want.right, want.place); due != want.due {
			t.Errorf("%s: %s from %s, received on %s, is due on %s, want %s", want.company, want.right, want.place, want.received, due, want.due)
		}
	}
}

// Who decides about the data answers: a customer's people are sent to the
// customer, and a request that reaches both is split.
func TestWhoAnswers(t *testing.T) {
	for _, want := range []struct {
		company, plan string
		right         dsr.Right
		decision      string
		theirs        []string // categories that are referred
		ours          []string // categories that are carried out all the same
	}{
		{"learnai", "individual", dsr.Erasure, policy.DecideRun, nil, []string{"account", "organisation"}},
		{"learnai", "business", dsr.Erasure, policy.DecideRefer, []string{"account", "learning", "usage"}, nil},
		{"learnai", "classroom", dsr.Access, policy.DecideRefer, []string{"account"}, nil},
		{"learnai", "linked", dsr.Access, policy.DecideSplit, []string{"organisation", "learning"}, []string{"account", "learning"}},
		{"learningcart", "customer_site", dsr.Access, policy.DecideRefer, []string{"account", "site_data"}, nil},
		{"learningcart", "partner_site", dsr.Access, policy.DecideSplit, []string{"site_data"}, []string{"account", "site_data"}},
		{"learningcart", "account", dsr.Access, policy.DecideSplit, []string{"site_data"}, []string{"account"}},
		{"wearelearning", "learner", dsr.Access, policy.DecideRefer, []string{"account", "service_delivery", "customer_content"}, nil},
		{"wearelearning", "creator", dsr.Access, policy.DecideSplit, []string{"account", "support", "customer_content"}, []string{"account", "website_data"}},
		{"wearelearning", "visitor", dsr.Access, policy.DecideSplit, []string{"customer_content"}, []string{"website_data", "account"}},
		{"cambridge-ai", "api_student", dsr.Access, policy.DecideRefer, []string{"account"}, nil},
		{"pythonmaster", "", dsr.Access, policy.DecideRun, nil, []string{"account"}},
	} {
		name := want.company + " " + want.plan
		r, err := load(t, want.company).Resolve(asked("2026-03-02", policy.Question{Rights: []dsr.Right{want.right}, Place: "IE", Plan: want.plan}))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r.Decision != want.decision {
			t.Errorf("%s: the decision is %s, want %s", name, r.Decision, want.decision)
		}
		var referred, visited []string
		for _, x := range r.Referrals {
			referred = append(referred, x.Categories...)
		}
		for _, w := range r.Plan.Waves {
			for _, v := range w.Visits {
				visited = append(visited, v.Categories...)
			}
		}
		for _, k := range want.theirs {
			if !slices.Contains(referred, k) {
				t.Errorf("%s: %s is not referred; %v are", name, k, referred)
			}
			if !slices.Contains(want.ours, k) && slices.Contains(visited, k) {
				t.Errorf("%s: %s is the customer's and is visited all the same", name, k)
			}
		}
		for _, k := range want.ours {
			if !slices.Contains(visited, k) {
				t.Errorf("%s: %s is not visited; %v are", name, k, visited)
			}
		}
	}
}

// Which law a person's request falls under decides whether a record stays on a
// legal ground, and until when; where no ground holds the record is called kept.
func TestGroundsHoldUnderTheirOwnLaw(t *testing.T) {
	for _, want := range []struct {
		company  string
		place    dsr.Place
		category string
		kind     dsr.OutcomeKind
		until    string
	}{
		{"learnai", "US-TX", "transactions", dsr.Retained, "2033-03-02"},
		{"learnai", "US-CA", "transactions", dsr.Retained, "2033-03-02"},
		{"learnai", "BE", "transactions", dsr.Kept, ""},
		{"learnai", "GB", "transactions", dsr.Kept, ""},
		{"wearelearning", "NO", "billing", dsr.Retained, "2031-12-31"}, // five years after the end of the year, not ten
		{"wearelearning", "PL", "billing", dsr.Retained, "2031-12-31"},
		{"wearelearning", "GB", "billing", dsr.Kept, ""},
		{"learningcart", "IE", "orders", dsr.Anonymised, ""},
		{"learningcart", "US-TX", "orders", dsr.Anonymised, ""},
	} {
		c := load(t, want.company)
		q := asked("2026-03-02", policy.Question{Rights: []dsr.Right{dsr.Erasure}, Place: want.place})
		r, err := c.Resolve(q)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, e := range c.Expect(r.Plan, want.place, q.Events[0].At) {
			if e.System != "app" || e.Category != want.category || e.Phase != dsr.Act {
				continue
			}
			found = true
			if e.Expects != want.kind || e.Until != want.until {
				t.Errorf("%s, %s: %s of somebody in %s is %s until %q, want %s until %q", want.company, e.System, want.category, want.place, e.Expects, e.Until, want.kind, want.until)
			}
		}
		if !found {
			t.Errorf("%s: an erasure does not reach %s", want.company, want.category)
		}
	}
}

// What a company promised beside the law, and what it says against itself.
func TestOddPromises(t *testing.T) {
	resolve := func(company string, q policy.Question) policy.Resolution {
		t.Helper()
		r, err := load(t, company).Resolve(asked("2026-03-02", q))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	visits := func(r policy.Resolution, category string) int {
		n := 0
		for _, w := range r.Plan.Waves {
			for _, v := range w.Visits {
				if slices.Contains(v.Categories, category) {
					n++
				}
			}
		}
		return n
	}
	owed := func(r policy.Resolution, category, reason string) int {
		n := 0
		for _, o := range r.Plan.Owed {
			if o.Outcome.Category == category && o.Outcome.Reason == reason {
				n++
			}
		}
		return n
	}

	// LearnAI gives three answers that no law of the person's place gives.
	for _, right := range []dsr.Right{dsr.BalancingTest, dsr.TransferMechanism, dsr.ShineTheLight} {
		if r := resolve("learnai", policy.Question{Rights: []dsr.Right{right}, Place: "BR"}); r.Decision != policy.DecideRun {
			t.Errorf("LearnAI promised %s to everyone, and the decision is %s", right, r.Decision)
		}
	}
	// Its users never get card data back, though the policy says that they are collected.
	if n := owed(resolve("learnai", policy.Question{Rights: []dsr.Right{dsr.Access}, Place: "BE"}), "card", policy.ReasonForbidden); n != 2 {
		t.Errorf("%d systems keep card data out of a copy, want 2", n)
	}
	// A name that an organisation's sign-on fixes is changed by its administrator, and the rest here.
	locked := resolve("learnai", policy.Question{Rights: []dsr.Right{dsr.Rectification}, Place: "BE", Plan: "linked", Fields: []string{"name", "photo"}})
	if locked.Decision != policy.DecideSplit || !slices.ContainsFunc(locked.Referrals, func(r policy.Referral) bool { return r.Role == "locked_by_sso" }) {
		t.Errorf("a locked name is decided %s, referred %+v", locked.Decision, locked.Referrals)
	}

	// LearningCart ends its service when consent is taken back: it asks first,
	// and until then only what a person can miss is stopped.
	withdrawn := policy.Question{Rights: []dsr.Right{dsr.ConsentWithdrawal}, Place: "BR", Plan: "account"}
	if r := resolve("learningcart", withdrawn); r.Decision != policy.DecideAsk || visits(r, "account") != 0 || visits(r, "marketing") == 0 {
		t.Errorf("a consent taken back is decided %s and reaches the account %d times, the mailing list %d times", r.Decision, visits(r, "account"), visits(r, "marketing"))
	}
	withdrawn.Facts = map[string]string{"withdraw": "all"}
	if r := resolve("learningcart", withdrawn); visits(r, "account") == 0 {
		t.Error("a consent taken back as a whole does not reach the account")
	}
	// A marketing objection never does.
	if r := resolve("learningcart", policy.Question{Rights: []dsr.Right{dsr.ObjectionMarketing}, Place: "BR", Plan: "account"}); r.Decision == policy.DecideAsk || visits(r, "account") != 0 {
		t.Errorf("a marketing objection is decided %s and reaches the account %d times", r.Decision, visits(r, "account"))
	}

	// We Are Learning says which features an opt-out may cost, and sends what a person names to whom they name.
	if lost := facts(t, "wearelearning", policy.NoticeOptOut, "US-CA", dsr.OptOutOfSale).Lost; !strings.Contains(strings.Join(lost, " "), "videos") {
		t.Errorf("an opt-out loses %v", lost)
	}
	if r := resolve("wearelearning", policy.Question{Rights: []dsr.Right{dsr.DirectTransfer}, Place: "US-TX"}); r.Decision == policy.DecideRefuse {
		t.Errorf("a transfer to somebody else is refused: %+v", r.Refusals)
	}
	// Nobody can be found at reCAPTCHA: that is said, and is no outcome of the person's.
	if n := owed(resolve("wearelearning", policy.Question{Rights: []dsr.Right{dsr.Access}, Place: "NO"}), "recaptcha", policy.ReasonNotSearchable); n != 1 {
		t.Errorf("%d systems say that nobody can be found there, want 1", n)
	}
}

// Who stands for a company abroad is named where it named somebody, and nowhere
// else; and what it sells is said as it said it.
func TestWhoStandsForTheCompany(t *testing.T) {
	for _, want := range []struct {
		company string
		place   dsr.Place
		name    string
	}{
		{"learnai", "BE", "LearnAI Belgium BV"},
		{"learnai", "GB", ""},
		{"learningcart", "IE", ""},
		{"pythonmaster", "PL", ""},
	} {
		if got := facts(t, want.company, policy.NoticeAccess, want.place, dsr.Access).Representative; !strings.HasPrefix(got, want.name) || want.name == "" && got != "" {
			t.Errorf("%s: for %s stands %q, want %q", want.company, want.place, got, want.name)
		}
	}
	for company, sells := range map[string]string{"learnai": "may", "learningcart": "no", "wearelearning": "may", "cambridge-ai": "no", "pythonmaster": "no"} {
		if c := load(t, company); len(c.Sales) != 1 || c.Sales[0].Sells != sells {
			t.Errorf("%s: what it sells reads %+v, want %s", company, c.Sales, sells)
		}
	}
}
