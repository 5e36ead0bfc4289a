package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

// What the five companies say, side by side.
func TestPacksSideBySide(t *testing.T) {
	for id, want := range map[string]struct {
		promised map[dsr.Right]int // days
		due      string            // of an access by somebody in Poland, received on 2 July 2026
		kept     int               // years of the longest ground
		minor    int
		unless   string
		zendesk  bool
		refers   bool
		breach   int // hours, for people too
	}{
		// A month ends on Sunday 2 August, so on Monday the 3rd: for a controller in the United States too, whom Regulation 1182/71 reaches by the GDPR.
		"learnai":       {due: "2026-08-03", kept: 7, minor: 13, unless: "parent", zendesk: true, refers: true},
		"learningcart":  {promised: map[dsr.Right]int{dsr.Access: 45}, due: "2026-08-03", minor: 17, refers: true},
		"wearelearning": {due: "2026-08-03", kept: 5, minor: 16, unless: "parent", zendesk: true, refers: true},
		"cambridge-ai":  {promised: map[dsr.Right]int{dsr.Rectification: 30, dsr.Erasure: 30}, due: "2026-08-01", kept: 5, minor: 13, unless: "school", refers: true},
		"pythonmaster":  {promised: map[dsr.Right]int{dsr.Access: 30, dsr.Erasure: 30, dsr.Inquiry: 30}, due: "2026-08-01", kept: 7, minor: 13, zendesk: true, breach: 72},
	} {
		t.Run(id, func(t *testing.T) {
			c := load(t, id)
			for _, r := range dsr.Rights() {
				days, promised := 0, want.promised[r]
				for _, p := range c.Promises {
					if len(p.Rights) == 0 || slices.Contains(p.Rights, r) {
						days = p.Days
					}
				}
				if promised > 0 && days != promised || len(want.promised) == 0 && days > 0 {
					t.Errorf("%s: %d days are promised, want %d", r, days, promised)
				}
			}
			q := asked("2026-07-02", policy.Question{Rights: []dsr.Right{dsr.Access}, Place: "PL"})
			due, err := c.Due(q.Rights, q.Events, q.Place)
			if err != nil {
				t.Fatal(err)
			}
			if got := due.DueAt.In(c.Zone).Format(time.DateOnly); got != want.due {
				t.Errorf("an access by somebody in Poland is due %s, want %s", got, want.due)
			}
			kept := 0
			for _, g := range c.Grounds {
				kept = max(kept, g.Years)
				if strings.Contains(g.Jurisdiction, "US") && slices.Contains(g.Regimes, "gdpr") {
					t.Errorf("%s is a duty under United States law, and said to hold under the GDPR", g.ID)
				}
			}
			if kept != want.kept {
				t.Errorf("the longest ground reaches %d years, want %d", kept, want.kept)
			}
			if len(c.Minors) == 0 || c.Minors[0].Under != want.minor || c.Minors[0].Unless != want.unless {
				t.Errorf("minors are %+v, want under %d unless %q", c.Minors, want.minor, want.unless)
			}
			named := slices.ContainsFunc(c.Receivers, func(r policy.Recipient) bool { return strings.Contains(r.Name, "Zendesk") })
			if named != want.zendesk {
				t.Errorf("Zendesk receives data: %v, want %v", named, want.zendesk)
			}
			refers := slices.ContainsFunc(c.Roles, func(r policy.Role) bool { return r.Role == "processor" })
			if refers != want.refers {
				t.Errorf("it works for customers: %v, want %v", refers, want.refers)
			}
			if got := c.Facts(policy.NoticeBreachSubject, q).Hours; got != want.breach {
				t.Errorf("people hear of a breach within %d hours, want %d", got, want.breach)
			}
			for _, d := range []string{"identity"} {
				if !slices.ContainsFunc(c.Decisions, func(x policy.Decision) bool { return x.ID == d }) {
					t.Errorf("nobody has to decide %s", d)
				}
			}
		})
	}
}

// A company established in the EEA owes the GDPR to everyone, so its tax papers
// stay under the law of Poland whoever asks; a purchase is kept to the end of a year.
func TestPolishPapersAreKeptToTheEndOfAYear(t *testing.T) {
	c := load(t, "cambridge-ai")
	for _, place := range []dsr.Place{"PL", "DE", "US-CA", "US-TX", ""} {
		g, ok := c.Ground("purchases", place)
		if !ok || g.ID != "pl_accounting" {
			t.Fatalf("%q: purchases are kept on %+v", place, g)
		}
		if got := g.Until(time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)); got != "2031-12-31" {
			t.Errorf("%q: kept until %s, want the end of the fifth year after", place, got)
		}
	}
	if _, open := c.Undecided("purchases", "PL"); open {
		t.Error("what a ground settles is said to be undecided")
	}
	for _, place := range []dsr.Place{"GB", "CH", "BR"} {
		g, ok := c.Ground("purchases", place)
		d, open := c.Undecided("purchases", place)
		if ok || !open || d.ID != "purchases_elsewhere" {
			t.Errorf("%s: purchases are kept on %q, and %q is undecided; want no ground of a law that accepts only its own", place, g.ID, d.ID)
		}
	}
}
