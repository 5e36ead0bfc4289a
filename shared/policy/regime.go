package policy

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// How far a rule of law has been read: against its text, or not yet.
const (
	checked = "checked"
	recheck = "recheck"
)

// Laws returns every law that a request of a person who lives in place is owed,
// the most protective first: the law of the place (that of a state before that
// of its country), and the laws that bind the controller to everyone because it
// is established where they hold (GDPR Art. 3(1)). Where neither is known the
// answer is the fallback alone, with Assumed set.
func (c *Company) Laws(place dsr.Place) []Regime {
	place = place.Clean()
	home, _ := c.home(place)
	laws := make([]Regime, 0, 2)
	for _, id := range embeddedLaw().byRank {
		if r := c.regimes[id]; id == home || slices.Contains(r.Established, c.Controller.EstablishedIn) {
			laws = append(laws, r)
		}
	}
	if len(laws) == 0 {
		fallback := c.regimes[c.fallback]
		fallback.Assumed = true
		laws = append(laws, fallback)
	}
	for i := range laws {
		laws[i].Place = place
		if laws[i].Appeal != "" && !laws[i].gives(dsr.Appeal) {
			laws[i].Appeal = "" // a state without an appeal among those that have one
		}
	}
	return laws
}

// gives reports whether the law has, or had, a rule of the right for the
// regime's place.
func (r Regime) gives(right dsr.Right) bool {
	return slices.ContainsFunc(r.Rules, func(x Rule) bool { return x.reach(r.Place) > 0 && slices.Contains(x.Rights, right) })
}

// Regime returns the first of Laws: the law whose grounds and words a person
// who lives in place gets.
func (c *Company) Regime(place dsr.Place) Regime { return c.Laws(place)[0] }

// home returns the regime of a place: that of the state, else that of the country.
func (c *Company) home(place dsr.Place) (id string, ok bool) {
	for _, p := range []dsr.Place{place, dsr.Place(place.Country())} {
		if id, ok := c.countries[p]; ok {
			return id, true
		}
	}
	return "", false
}

// KnownPlace reports whether a regime names the place. A command refuses
// one that none names; a person's form accepts everything.
func (c *Company) KnownPlace(place dsr.Place) bool {
	place = place.Clean()
	if _, ok := c.countries[place]; ok {
		return true
	}
	country := place.Country()
	if _, ok := c.countries[dsr.Place(country)]; !ok {
		return false
	}
	// A state counts as its country, unless the regimes name that country's states.
	for p := range c.countries {
		if strings.HasPrefix(string(p), country+"-") {
			return false
		}
	}
	return true
}

// RegimeIDs returns the regimes by id, sorted: what a command may name.
func (c *Company) RegimeIDs() []string { return slices.Sorted(maps.Keys(c.regimes)) }

// InForce reports whether the row is law on the day of on, as its location
// counts days.
func (r Row) InForce(on time.Time) bool {
	day := on.Format(time.DateOnly)
	return r.ValidFrom <= day && (r.ValidTo == "" || day <= r.ValidTo)
}

// reach tells how well a scope fits a place: 2 names it, 1 is general, 0 does
// not reach it.
func (s Scope) reach(place dsr.Place) int {
	for _, p := range []dsr.Place{place, dsr.Place(place.Country())} {
		switch {
		case slices.Contains(s.Places, p):
			return 2
		case slices.Contains(s.Except, p):
			return 0
		}
	}
	if len(s.Places) > 0 {
		return 0
	}
	return 1
}

// Rule returns the rule of a right in force on a day. Without one the law does
// not give that right to the person.
func (r Regime) Rule(right dsr.Right, on time.Time) (Rule, bool) {
	var best Rule
	reach := 0
	for _, rule := range r.Rules {
		if n := rule.reach(r.Place); n > reach && rule.InForce(on) && slices.Contains(rule.Rights, right) {
			best, reach = rule, n
		}
	}
	return best, reach > 0
}

// DutiesOf returns what comes along with a right on a day: the duties that name it
// and those that come with every right.
func (r Regime) DutiesOf(right dsr.Right, on time.Time) []Rule {
	var out []Rule
	for _, d := range r.Duties {
		if d.reach(r.Place) > 0 && d.InForce(on) && (d.Every || slices.Contains(d.Rights, right)) {
			out = append(out, d)
		}
	}
	return out
}

// Clock returns the clock with an id as it was on a day.
func (r Regime) Clock(id string, on time.Time) (Clock, bool) {
	i := slices.IndexFunc(r.Clocks, func(k Clock) bool { return k.ID == id && k.InForce(on) })
	if i < 0 {
		return Clock{}, false
	}
	return r.Clocks[i], true
}

// ClockOf returns the clock of a right on a day: that of its rule, or the
// general one where no rule of this law names the right.
func (r Regime) ClockOf(right dsr.Right, on time.Time) (Clock, bool) {
	if rule, ok := r.Rule(right, on); ok && rule.Clock != "" {
		return r.Clock(rule.Clock, on)
	}
	return r.Clock(r.General, on)
}

// ProofRow returns the least sufficient proof of a right, of data that are low
// or high in sensitivity, asked for by somebody ("" for the person). The first
// row of the file that fits counts.
func (r Regime) ProofRow(right dsr.Right, sensitivity string, requester dsr.Requester) (ProofRow, bool) {
	requester = cmp.Or(requester, dsr.Self)
	i := slices.IndexFunc(r.Proofs, func(p ProofRow) bool {
		who := p.Requesters
		if len(who) == 0 {
			who = []dsr.Requester{dsr.Self}
		}
		return p.ValidTo == "" && (len(p.Rights) == 0 || slices.Contains(p.Rights, right)) &&
			(p.Sensitivity == "" || p.Sensitivity == sensitivity) && slices.Contains(who, requester)
	})
	if i < 0 {
		return ProofRow{}, false
	}
	return r.Proofs[i], true
}

// Authority returns whom a person who lives in place may complain to; without
// one Complain says it.
func (r Regime) Authority(place dsr.Place) (Authority, bool) {
	place = place.Clean()
	for _, p := range []dsr.Place{place, dsr.Place(place.Country())} {
		if i := slices.IndexFunc(r.Authorities, func(a Authority) bool { return a.Country == p && a.ValidTo == "" }); i >= 0 {
			return r.Authorities[i], true
		}
	}
	return Authority{}, false
}

// Age returns from which age on a person who lives in place consents to online
// services themselves.
func (r Regime) Age(place dsr.Place, on time.Time) (Age, bool) {
	place = place.Clean()
	for _, p := range []dsr.Place{place, dsr.Place(place.Country())} {
		if i := slices.IndexFunc(r.Ages, func(a Age) bool { return a.Country == p && a.InForce(on) }); i >= 0 {
			return r.Ages[i], true
		}
	}
	return Age{}, false
}

// LegalGround returns the entry of the closed list that lets a duty or claim
// under the law of jurisdiction block an erasure. A kind that is not on the
// list, such as a business purpose, blocks nothing.
func (r Regime) LegalGround(kind, jurisdiction string) (LegalGround, bool) {
	i := slices.IndexFunc(r.Grounds, func(g LegalGround) bool {
		return g.Kind == kind && g.ValidTo == "" && (len(g.Jurisdictions) == 0 || slices.Contains(g.Jurisdictions, jurisdiction))
	})
	if i < 0 {
		return LegalGround{}, false
	}
	return r.Grounds[i], true
}

// Keep returns the duty to keep records with an id, of whichever law.
func (c *Company) Keep(id string) (Keep, bool) {
	for _, regime := range c.RegimeIDs() {
		for _, k := range c.regimes[regime].Keeps {
			if k.ID == id {
				return k, true
			}
		}
	}
	return Keep{}, false
}

// LawRow is one row of the embedded law, for lists.
type LawRow struct {
	Regime, ID, Cite, Confidence string
}

// LawRows lists every row of the embedded law, regime by regime.
func LawRows() []LawRow {
	var out []LawRow
	book := embeddedLaw()
	for _, id := range slices.Sorted(maps.Keys(book.regimes)) {
		for _, r := range book.regimes[id].rows() {
			out = append(out, LawRow{id, r.ID, r.Cite, r.Confidence})
		}
		for _, p := range book.regimes[id].Proposals {
			out = append(out, LawRow{id, p.ID, p.Cite, checked})
		}
	}
	return out
}

// rows lists every row of the law.
func (r Regime) rows() []Row {
	var out []Row
	for _, x := range r.Clocks {
		out = append(out, x.Row)
	}
	for _, x := range r.Rules {
		out = append(out, x.Row)
	}
	for _, x := range r.Duties {
		out = append(out, x.Row)
	}
	for _, x := range r.Proofs {
		out = append(out, x.Row)
	}
	for _, x := range r.Grounds {
		out = append(out, x.Row)
	}
	for _, x := range r.Keeps {
		out = append(out, x.Row)
	}
	for _, x := range r.Ages {
		out = append(out, x.Row)
	}
	for _, x := range r.Authorities {
		out = append(out, x.Row)
	}
	return out
}

// Recheck lists the rules that rest on general knowledge or on a tracker: their
// official text must be read before anybody relies on them.
func (c *Company) Recheck() []string {
	var out []string
	for _, id := range c.RegimeIDs() {
		for _, r := range c.regimes[id].rows() {
			if line := r.ID + ": " + r.Cite; r.Confidence == recheck && !slices.Contains(out, line) {
				out = append(out, line)
			}
		}
	}
	for _, g := range c.Grounds {
		if g.Confidence == recheck {
			out = append(out, g.ID+": "+g.Cite)
		}
	}
	return out
}
