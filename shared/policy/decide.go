package policy

import (
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
