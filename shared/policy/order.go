package policy

import (
	"fmt"
	"slices"

	"github.com/writ-dsr/writ/shared/dsr"
)

// CheckOrder proves that a plan keeps the order of the design, whatever made
// it: every gather before the first act; nobody visited twice in a phase; who
// yields identifiers first in gather and last in act; a copy that was asked is
// exported, or owed, for every system before anything is erased.
func (c *Company) CheckOrder(p Plan) error {
	place := map[dsr.Phase]map[string]int{dsr.Gather: {}, dsr.Act: {}}
	acting := false
	for i, w := range p.Waves {
		switch w.Phase {
		case dsr.Act:
			acting = true
		case dsr.Gather:
			if acting {
				return fmt.Errorf("checking the order: wave %d gathers after an act", i+1)
			}
		default:
			return fmt.Errorf("checking the order: wave %d has the unknown phase %q", i+1, w.Phase)
		}
		if len(w.Visits) == 0 {
			return fmt.Errorf("checking the order: wave %d is empty", i+1)
		}
		for _, v := range w.Visits {
			if _, twice := place[w.Phase][v.System]; twice {
				return fmt.Errorf("checking the order: system %s is visited twice in %s", v.System, w.Phase)
			}
			if len(v.Ops) == 0 {
				return fmt.Errorf("checking the order: the visit of system %s has nothing to do", v.System)
			}
			place[w.Phase][v.System] = i
		}
	}
	for _, s := range c.Systems {
		for _, d := range c.before(s) {
			if a, b, both := both(place[dsr.Gather], d.ID, s.ID); both && a >= b {
				return fmt.Errorf("checking the order: %s gathers before %s, which it depends on", s.ID, d.ID)
			}
			if a, b, both := both(place[dsr.Act], s.ID, d.ID); both && a >= b {
				return fmt.Errorf("checking the order: %s acts before %s, which depends on it", d.ID, s.ID)
			}
		}
		for _, want := range []struct {
			right dsr.Right
			phase dsr.Phase
			op    dsr.Op
		}{{dsr.Access, dsr.Gather, dsr.Export}, {dsr.Erasure, dsr.Act, dsr.Erase}} {
			if slices.Contains(p.Rights, want.right) && !p.covers(s.ID, want.phase, want.op) {
				return fmt.Errorf("checking the order: nothing is planned for %s in system %s", want.right, s.ID)
			}
		}
	}
	if p.Bundle != slices.Contains(p.Rights, dsr.Access) {
		return fmt.Errorf("checking the order: a bundle is made when, and only when, a copy was asked")
	}
	return nil
}

func both(places map[string]int, a, b string) (int, int, bool) {
	i, okA := places[a]
	j, okB := places[b]
	return i, j, okA && okB
}

// covers reports whether the op is planned, or its outcome owed, for a system.
func (p Plan) covers(system string, phase dsr.Phase, op dsr.Op) bool {
	if slices.ContainsFunc(p.Owed, func(o Owed) bool { return o.System == system && o.Op == op }) {
		return true
	}
	return slices.ContainsFunc(p.Waves, func(w Wave) bool {
		return w.Phase == phase && slices.ContainsFunc(w.Visits, func(v Visit) bool {
			return v.System == system && slices.Contains(v.Ops, op)
		})
	})
}
