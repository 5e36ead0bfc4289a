package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/writ-dsr/writ/shared/dsr"
)

// two is a company that two laws bind, of which the second may know no ground.
func two(grounds ...Ground) *Company {
	erases := []Rule{{Rights: []dsr.Right{dsr.Erasure}}}
	return &Company{
		Zone: time.UTC, Controller: Controller{EstablishedIn: "eea"}, Categories: []Category{{ID: "books", OnErasure: KeepIt}},
		regimes: map[string]Regime{
			"us_default": {ID: "us_default", Rules: erases},
			"gdpr":       {ID: "gdpr", Rules: erases, Established: []string{"eea"}},
			"ch_fadp":    {ID: "ch_fadp", Established: []string{"eea"}}, // gives no erasure, so it asks for no ground
		},
		countries: map[dsr.Place]string{"XA": "us_default", "XB": "gdpr"}, fallback: "gdpr", Grounds: grounds,
	}
}

// A ground keeps data only where every law that gives the erasure knows one; of
// several the one that ends first counts.
func TestGroundHoldsUnderEveryLaw(t *testing.T) {
	ground := func(id string, years int, regimes ...string) Ground {
		return Ground{ID: id, Categories: []string{"books"}, Years: years, Regimes: regimes}
	}
	for _, c := range []struct {
		name    string
		grounds []Ground
		place   dsr.Place
		want    string
	}{
		{"one ground for both laws", []Ground{ground("both", 5, "us_default", "gdpr")}, "XA", "both"},
		{"a ground that one of the laws does not know", []Ground{ground("one", 5, "us_default")}, "XA", ""},
		{"and the other way round", []Ground{ground("other", 5, "gdpr")}, "XA", ""},
		{"it holds where that law alone applies", []Ground{ground("other", 5, "gdpr")}, "XB", "other"},
		{"each law has its own: the shorter", []Ground{ground("long", 7, "us_default"), ground("short", 5, "gdpr")}, "XA", "short"},
		{"none", nil, "XA", ""},
	} {
		got, ok := two(c.grounds...).Ground("books", c.place)
		if got.ID != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %v; want %q", c.name, got.ID, ok, c.want)
		}
	}
}

func TestUntilCountsYearsAndMonths(t *testing.T) {
	from := time.Date(2026, 8, 31, 23, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		g    Ground
		want string
	}{
		{Ground{Years: 5}, "2031-08-31"},
		{Ground{Years: 3, Months: 6}, "2030-02-28"},
		{Ground{Months: 18}, "2028-02-29"},
		{Ground{Years: 5, YearEnd: true}, "2031-12-31"},
	} {
		if got := c.g.Until(from); got != c.want {
			t.Errorf("%d years and %d months: %s, want %s", c.g.Years, c.g.Months, got, c.want)
		}
	}
}

// A person who answers "done" for a system leaves what the pack keeps, unless
// its ground has ended.
func TestAPersonsAnswerKeepsWhatThePackKeeps(t *testing.T) {
	c := two(Ground{ID: "tax", Categories: []string{"books"}, Years: 5, Regimes: []string{"us_default", "gdpr"}})
	c.Categories = append(c.Categories, Category{ID: "posts", OnErasure: EraseIt})
	from := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	act := dsr.Visit{System: "office", Phase: dsr.Act, Ops: []dsr.Op{dsr.Erase}, Categories: []string{"books", "posts"}, Manual: true}
	done := []dsr.Outcome{{Category: "books", Kind: dsr.Attested, By: "clerk"}, {Category: "posts", Kind: dsr.Attested, By: "clerk"}}
	if diff := cmp.Diff([]dsr.Outcome{{Category: "books", Kind: dsr.Retained, Ground: "tax", Until: "2031-11-22", Rule: RuleCompany}, done[1]}, c.Answered(act, done, "XA", from, nil)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(done, c.Answered(act, done, "XA", from, []string{"books"})); diff != "" {
		t.Errorf("after the ground has ended (-want +got):\n%s", diff)
	}
	none := []dsr.Outcome{{Category: "books", Kind: dsr.NotHeld}}
	gather, marks, told := act, act, act
	gather.Phase, marks.Ops, told.Recipient = dsr.Gather, []dsr.Op{dsr.Suppress}, "bank"
	for name, x := range map[string]struct {
		visit dsr.Visit
		said  []dsr.Outcome
	}{"nothing held": {act, none}, "a copy": {gather, done}, "a mark": {marks, done}, "a recipient": {told, done}} {
		if diff := cmp.Diff(x.said, c.Answered(x.visit, x.said, "XA", from, nil)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	c.Grounds = nil
	if got := c.Answered(act, done, "XA", from, nil); got[0].Kind != dsr.Kept || got[0].Validate() != nil {
		t.Errorf("on no ground it is %+v, want it called kept", got[0])
	}
	if done[0].Kind != dsr.Attested {
		t.Error("what was said is changed in place")
	}
}

// Recipients are told last, and only of what was done.
func TestRecipientsAreToldLast(t *testing.T) {
	c := sketch(t, "*app", "stripe: app")
	c.Categories = append(c.Categories, Category{ID: "other", OnErasure: EraseIt})
	c.Receivers = []Recipient{
		{ID: "bank", Told: true, Categories: []string{"data"}}, {ID: "ads", Standing: "third_party", Categories: []string{"data", "other"}},
		{ID: "host", Standing: "processor", Categories: []string{"data"}}, {ID: "press", Told: true, Categories: []string{"other"}},
	}
	for right, tells := range map[dsr.Right]bool{dsr.Erasure: true, dsr.Rectification: true, dsr.Restriction: true, dsr.AnonymiseBlock: true, dsr.Access: false, dsr.ObjectionMarketing: false} {
		p, err := c.Plan(Question{Rights: []dsr.Right{right}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.CheckOrder(p); err != nil {
			t.Errorf("%s: %v", right, err)
		}
		var told []string
		for i, w := range p.Waves {
			for _, v := range w.Visits {
				if v.Recipient == "" {
					continue
				}
				told = append(told, v.System+" "+strings.Join(v.Categories, ","))
				if i != len(p.Waves)-1 || len(v.Ops) != 0 || !v.Manual {
					t.Errorf("%s: %+v in wave %d", right, v, i+1)
				}
			}
		}
		if want := []string{"tell_bank data", "tell_ads data"}; tells && !slices.Equal(told, want) || !tells && len(told) != 0 {
			t.Errorf("%s: told %v", right, told)
		}
	}
	p, err := c.Plan(Question{Rights: []dsr.Right{dsr.Erasure}})
	if err != nil {
		t.Fatal(err)
	}
	n := len(p.Waves)
	p.Waves[n-1], p.Waves[n-2] = p.Waves[n-2], p.Waves[n-1]
	if err := c.CheckOrder(p); err == nil || !strings.Contains(err.Error(), "after recipients were told") {
		t.Errorf("told before the last act: %v", err)
	}
	p, err = c.Plan(Question{Rights: []dsr.Right{dsr.Restriction}})
	if err != nil {
		t.Fatal(err)
	}
	p.Waves = nil
	if err := c.CheckOrder(p); err == nil || !strings.Contains(err.Error(), "nothing is planned for restriction") {
		t.Errorf("a restriction without a visit: %v", err)
	}
}

// One visit may stop one kind of data and erase another.
func TestOneVisitOfSeveralRights(t *testing.T) {
	c := sketch(t, "*app")
	c.Categories = []Category{{ID: "data", OnErasure: EraseIt}, {ID: "mails", OnErasure: EraseIt, Purposes: []dsr.Purpose{dsr.Marketing}}}
	c.Systems[0].Categories = []string{"data", "mails"}
	w := work{rights: []dsr.Right{dsr.Erasure, dsr.ObjectionMarketing}, reach: map[dsr.Right]map[string]bool{dsr.Erasure: {"data": true}}}
	p, err := c.order(Question{Can: noSuppress}, w)
	if err != nil {
		t.Fatal(err)
	}
	act := p.Waves[1].Visits[0]
	want := map[dsr.Op][]string{dsr.Suppress: {"mails"}, dsr.Erase: {"data"}}
	if diff := cmp.Diff(want, act.Only); diff != "" || !slices.Equal(act.Ops, []dsr.Op{dsr.Suppress, dsr.Erase, dsr.ReadBack}) || !slices.Equal(act.Purposes, []dsr.Purpose{dsr.Marketing}) {
		t.Errorf("%+v (-want +got):\n%s", act, diff)
	}
	if !slices.Equal(act.ByPerson, []dsr.Op{dsr.Suppress}) {
		t.Errorf("by a person %v, want the suppression", act.ByPerson)
	}
	// Where the connector can, what goes is suppressed too.
	p, err = c.order(Question{}, w)
	if err != nil {
		t.Fatal(err)
	}
	act = p.Waves[1].Visits[0]
	if _, narrowed := act.Only[dsr.Suppress]; narrowed || !slices.Equal(act.Purposes, []dsr.Purpose{dsr.Marketing, dsr.AllUse}) {
		t.Errorf("with a connector that can suppress: %+v", act)
	}
	// A copy of a part: all that is acted upon is located.
	p, err = c.order(Question{}, work{rights: []dsr.Right{dsr.Erasure, dsr.Portability}, reach: map[dsr.Right]map[string]bool{dsr.Portability: {"mails": true}}})
	if err != nil {
		t.Fatal(err)
	}
	gather := p.Waves[0].Visits[0]
	if !slices.Equal(gather.Categories, []string{"data", "mails"}) || !slices.Equal(gather.Only[dsr.Export], []string{"mails"}) {
		t.Errorf("gathers %+v", gather)
	}
}
