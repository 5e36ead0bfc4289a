package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

// Payments are kept on one ground, a duty under United States tax law. For
// anybody else that is no ground: what is kept is called kept, and the company
// is asked to decide.
func TestPaymentsAreRetainedUnderUnitedStatesLawOnly(t *testing.T) {
	c := load(t, "pythonmaster")
	from := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	for _, category := range []string{"payments", "invoice", "charge", "subscription", "checkout_session"} {
		kept := dsr.Outcome{Category: category, Kind: dsr.Kept, Rule: "charge_record", Count: 2}
		got := c.Decide(kept, "US", from)
		want := dsr.Outcome{Category: category, Kind: dsr.Retained, Rule: "charge_record", Count: 2, Ground: "us_tax_records", Until: "2033-11-22"}
		if got != want || got.Validate() != nil {
			t.Errorf("%s in the US: %+v, want %+v", category, got, want)
		}
		if _, open := c.Undecided(category, "US"); open {
			t.Errorf("%s in the US: something is undecided, want nothing", category)
		}
		for _, country := range []dsr.Place{"PL", "GB", "", "BR"} {
			if got := c.Decide(kept, country, from); got != kept {
				t.Errorf("%s in %q: %+v, want it kept as reported", category, country, got)
			}
			if g, ok := c.Ground(category, country); ok {
				t.Errorf("%s in %q: ground %s, want none", category, country, g.ID)
			}
			if d, open := c.Undecided(category, country); !open || d.Question == "" || d.Default == "" || d.Plain == "" {
				t.Errorf("%s in %q: decision %+v, want the question, the safe default and what the person is told", category, country, d)
			}
		}
	}
	if g, _ := c.Ground("payments", "US"); g.Plain == "" || g.Cite == "" || !strings.HasSuffix(g.Plain, ".") {
		t.Errorf("the ground %+v has no sentence for the person and no cite", g)
	}
}

func TestOnlyPaymentsAreKept(t *testing.T) {
	c := load(t, "pythonmaster")
	var kept []string
	for _, k := range c.Categories {
		if _, ok := c.Ground(k.ID, "US"); ok != (k.OnErasure == policy.KeepIt) {
			t.Errorf("%s: on erasure %q, ground %v", k.ID, k.OnErasure, ok)
		}
		if k.OnErasure == policy.KeepIt {
			kept = append(kept, k.ID)
		}
	}
	slices.Sort(kept)
	if want := []string{"charge", "checkout_session", "invoice", "payments", "subscription"}; !slices.Equal(kept, want) {
		t.Errorf("kept are %v, want %v", kept, want)
	}
}

func TestDecideTouchesNothingButKept(t *testing.T) {
	c := load(t, "pythonmaster")
	for _, kind := range []dsr.OutcomeKind{dsr.Exported, dsr.Erased, dsr.NotHeld, dsr.Failed, dsr.Attested, dsr.Refused} {
		o := dsr.Outcome{Category: "payments", Kind: kind, Reason: "x", By: "y"}
		if got := c.Decide(o, "US", time.Now()); got != o {
			t.Errorf("%s becomes %+v", kind, got)
		}
	}
}

func TestRecipientsAreNamedOnce(t *testing.T) {
	c := load(t, "pythonmaster")
	if got, want := c.Recipients("payments"), []string{"Amazon Web Services (hosting)", "PayPal"}; !slices.Equal(got, want) {
		t.Errorf("recipients of payments %v, want %v", got, want)
	}
	if got, want := c.Recipients("support"), []string{"Zendesk", "Intercom"}; !slices.Equal(got, want) {
		t.Errorf("recipients of support %v, want %v", got, want)
	}
	if got := c.Recipients("gone"); got != nil {
		t.Errorf("recipients of no category %v", got)
	}
}

func TestRulesThatWereNotReadAreListed(t *testing.T) {
	got := strings.Join(load(t, "pythonmaster").Recheck(), "\n")
	for _, want := range []string{"US-45", "us_tax_records"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not among the rules to read again:\n%s", want, got)
		}
	}
	if strings.Contains(got, "EU-ALL") {
		t.Errorf("EU-ALL was checked, yet it is listed:\n%s", got)
	}
}
