package policy

import (
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Expectation is what a plan should bring for one category of data in one
// visit, if every system does what it can.
type Expectation struct {
	System    string          `json:"system"`
	Category  string          `json:"category"`
	Ops       []dsr.Op        `json:"ops"`
	Phase     dsr.Phase       `json:"phase"`
	Wave      int             `json:"wave"`    // counted from 1 over the whole plan; 0 for what needs no visit of this plan
	Expects   dsr.OutcomeKind `json:"expects"` // empty where the visit only looks
	By        string          `json:"-"`       // role of the person who does it
	Ground    string          `json:"ground"`
	Until     string          `json:"until"`
	NotBefore string          `json:"not_before"` // the first day on which it may be done, 2006-01-02; of what is retained: on which its erasure follows by itself
	Rule      string          `json:"rule"`       // the law or the company's rule it rests on
	Source    Cite            `json:"source"`
}

// Expect tells what each visit of a plan should bring for a request received at
// a given time. It is a forecast for people: the ledger says what happened.
func (c *Company) Expect(p Plan, place dsr.Place, received time.Time) []Expectation {
	f := forecast{Company: c, place: place, received: received, law: c.Regime(place).ID, kept: map[string]Expectation{}}
	all := []Expectation{}
	add := func(e Expectation) {
		if e.Expects == dsr.Retained {
			e.NotBefore = e.Until
		}
		all = append(all, e)
	}
	for n, w := range p.Waves {
		for _, v := range w.Visits {
			for _, category := range v.Categories {
				e := f.visit(v, category, w.Phase)
				e.Wave = n + 1
				add(e)
			}
		}
	}
	for _, o := range p.Owed {
		d := c.Decide(o.Outcome, place, received)
		k, _ := c.Category(d.Category)
		add(Expectation{
			System: o.System, Category: d.Category, Ops: []dsr.Op{}, Phase: phaseOf(o.Op), Expects: d.Kind, Ground: d.Ground, Until: d.Until,
			Rule: f.ruleOf(d), Source: k.source(),
		})
	}
	return all
}

// forecast is what Expect computes with.
type forecast struct {
	*Company
	place    dsr.Place
	received time.Time
	law      string
	kept     map[string]Expectation // by category: what an erasure leaves, computed once
}

// ruleOf is what an outcome that needs no visit rests on.
func (f *forecast) ruleOf(o dsr.Outcome) string {
	switch {
	case o.Rule != "":
		return o.Rule
	case o.Reason != "":
		return o.Reason
	case o.Ground == GroundAccountability:
		return f.records()
	case o.To != "":
		return o.To
	}
	return f.law
}

// records cites the law on which Writ's own record of a request is kept.
func (c *Company) records() string {
	if c.Records.Cite != "" {
		return c.Records.Cite
	}
	return GroundAccountability
}

// source is the phrase that a category rests on.
func (k Category) source() Cite { return firstCite(k.Cites) }

func firstCite(cites []Cite) Cite {
	if len(cites) == 0 {
		return Cite{}
	}
	return cites[0]
}

// visit tells what one category of a visit should come to.
func (f *forecast) visit(v Visit, category string, phase dsr.Phase) Expectation {
	k, _ := f.Category(category)
	e := Expectation{System: v.System, Category: category, Ops: list(v.opsFor(category)), Phase: phase, Rule: f.law, Source: k.source()}
	if !v.NotBefore.IsZero() {
		e.NotBefore = f.local(v.NotBefore).Format(time.DateOnly)
	}
	if s, ok := f.System(v.System); ok && v.Manual {
		e.By = s.Assignee
	}
	does := func(op dsr.Op) bool { return slices.Contains(e.Ops, op) }
	switch {
	case v.Recipient != "":
		e.Expects = dsr.Told
	case v.System == dsr.Officer:
		r := f.answers(v.Rights)
		e.Expects, e.By, e.Source = dsr.Attested, r.By, firstCite(r.Cites)
	case does(dsr.Erase) && k.OnErasure == KeepIt:
		kept := f.keeps(category)
		e.Expects, e.Ground, e.Until, e.Rule = kept.Expects, kept.Ground, kept.Until, kept.Rule
	case v.Manual:
		e.Expects = dsr.Attested
	case does(dsr.Erase) && k.OnErasure == AnonymiseIt:
		e.Expects = dsr.Anonymised
	case does(dsr.Erase):
		e.Expects = dsr.Erased
	case does(dsr.Rectify):
		e.Expects = dsr.Rectified
	case does(dsr.Suppress) && (slices.Contains(v.Purposes, dsr.Storage) || slices.Contains(v.Purposes, dsr.Objected)):
		e.Expects = dsr.Restricted
	case does(dsr.Suppress):
		e.Expects = dsr.Suppressed
	case does(dsr.Export):
		e.Expects = dsr.Exported
	}
	return e
}

// keeps is what an erasure leaves of a category that the pack keeps.
func (f *forecast) keeps(category string) Expectation {
	if e, ok := f.kept[category]; ok {
		return e
	}
	d := f.Decide(dsr.Outcome{Category: category, Kind: dsr.Kept}, f.place, f.received)
	e := Expectation{Expects: d.Kind, Ground: d.Ground, Until: d.Until, Rule: f.law}
	if g, ok := f.Ground(category, f.place); ok {
		e.Rule = g.Cite
	} else if x, ok := f.Undecided(category, f.place); ok {
		e.Rule = x.ID
	}
	f.kept[category] = e
	return e
}

// opsFor are the ops of the visit that are for a category.
func (v Visit) opsFor(category string) []dsr.Op {
	return slices.DeleteFunc(slices.Clone(v.Ops), func(op dsr.Op) bool {
		only, narrowed := v.Only[op]
		return narrowed && !slices.Contains(only, category)
	})
}

func phaseOf(op dsr.Op) dsr.Phase {
	if op == dsr.Locate || op == dsr.Export {
		return dsr.Gather
	}
	return dsr.Act
}

// answers is the row that names who answers one of the rights; the zero value
// where the pack names nobody.
func (c *Company) answers(rights []dsr.Right) Request {
	i := slices.IndexFunc(c.Requests, func(r Request) bool { return r.By != "" && slices.Contains(rights, r.Right) })
	if i < 0 {
		return Request{}
	}
	return c.Requests[i]
}
