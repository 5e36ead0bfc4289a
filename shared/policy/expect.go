package policy

import (
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Expectation is what a plan should bring for one category of data in one
// visit, if every system does what it can.
type Expectation struct {
	System   string          `json:"system"`
	Category string          `json:"category"`
	Ops      []dsr.Op        `json:"ops"`
	Phase    dsr.Phase       `json:"phase"`
	Wave     int             `json:"wave"`             // counted from 1 over the whole plan; 0 for what needs no visit
	Expects  dsr.OutcomeKind `json:"expects,omitzero"` // empty where the visit only looks
	By       string          `json:"by,omitzero"`      // role of the person who does it
	Ground   string          `json:"ground,omitzero"`
	Until    string          `json:"until,omitzero"`
	Rule     string          `json:"rule"` // the law or the company's rule it rests on
	Source   Cite            `json:"source,omitzero"`
}

// Expect tells what each visit of a plan should bring for a request received at
// a given time. It is a forecast for people: the ledger says what happened.
func (c *Company) Expect(p Plan, place dsr.Place, received time.Time) []Expectation {
	var all []Expectation
	for n, w := range p.Waves {
		for _, v := range w.Visits {
			for _, category := range v.Categories {
				e := c.expect(v, category, w.Phase, place, received)
				e.Wave = n + 1
				all = append(all, e)
			}
		}
	}
	for _, o := range p.Owed {
		d := c.Decide(o.Outcome, place, received)
		all = append(all, Expectation{
			System: o.System, Category: d.Category, Phase: phaseOf(o.Op), Expects: d.Kind, Ground: d.Ground, Until: d.Until,
			Rule: d.Reason + d.Rule, // one of them is empty
		})
	}
	return all
}

func (c *Company) expect(v Visit, category string, phase dsr.Phase, place dsr.Place, received time.Time) Expectation {
	e := Expectation{System: v.System, Category: category, Ops: v.Ops, Phase: phase, Rule: c.Regime(place).ID}
	k, _ := c.Category(category)
	if len(k.Cites) > 0 {
		e.Source = k.Cites[0]
	}
	if v.Manual {
		e.Expects = dsr.Attested
		if s, ok := c.System(v.System); ok {
			e.By = s.Assignee
		}
		return e
	}
	if phase == dsr.Gather {
		if len(v.Ops) > 1 {
			e.Expects = dsr.Exported
		}
		return e
	}
	switch k.OnErasure {
	case EraseIt:
		e.Expects = dsr.Erased
	case AnonymiseIt:
		e.Expects = dsr.Anonymised
	case KeepIt:
		d := c.Decide(dsr.Outcome{Category: category, Kind: dsr.Kept}, place, received)
		e.Expects, e.Ground, e.Until = d.Kind, d.Ground, d.Until
		if g, ok := c.Ground(category, place); ok {
			e.Rule = g.Cite
		} else if x, ok := c.Undecided(category, place); ok {
			e.Rule = x.ID
		}
	}
	return e
}

func phaseOf(op dsr.Op) dsr.Phase {
	if op == dsr.Locate || op == dsr.Export {
		return dsr.Gather
	}
	return dsr.Act
}
