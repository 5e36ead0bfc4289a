package policy

import (
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Decide turns "kept" into "retained" where the pack has a ground that holds
// for the law of the person's place, counted from the given day; every other
// outcome is returned as it is. A connector can only say kept: it is the
// company's pack that knows grounds.
func (c *Company) Decide(o dsr.Outcome, place dsr.Place, from time.Time) dsr.Outcome {
	if o.Kind != dsr.Kept {
		return o
	}
	g, ok := c.Ground(o.Category, place)
	if !ok {
		return o
	}
	return dsr.Outcome{Category: o.Category, Kind: dsr.Retained, Count: o.Count, Ground: g.ID, Until: g.Until(from), Rule: o.Rule}
}

// RuleCompany is why data of which no system says that it keeps them are kept:
// the company's pack does, in a system that a person answers for.
const RuleCompany = "pack"

// Answered turns what a person answered for a visit into what became of the
// data: a person who says "done" of an erasure leaves what the pack keeps.
// Categories whose ground has ended are given in over; they are erased.
func (c *Company) Answered(v dsr.Visit, said []dsr.Outcome, place dsr.Place, from time.Time, over []string) []dsr.Outcome {
	out := slices.Clone(said)
	if v.Phase != dsr.Act || v.Recipient != "" || !slices.Contains(v.Ops, dsr.Erase) {
		return out
	}
	for i, o := range out {
		k, ok := c.Category(o.Category)
		if !ok || o.Kind != dsr.Attested || k.OnErasure != KeepIt || !slices.Contains(v.For(dsr.Erase), o.Category) || slices.Contains(over, o.Category) {
			continue
		}
		out[i] = c.Decide(dsr.Outcome{Category: o.Category, Kind: dsr.Kept, Count: o.Count, Rule: RuleCompany, By: o.By}, place, from)
	}
	return out
}
