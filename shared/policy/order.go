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
	acting, telling := false, false
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
		if telling && !w.tells() {
			return fmt.Errorf("checking the order: wave %d comes after recipients were told", i+1)
		}
		telling = telling || w.tells()
		if len(w.Visits) == 0 {
			return fmt.Errorf("checking the order: wave %d is empty", i+1)
		}
		for _, v := range w.Visits {
			if _, twice := place[w.Phase][v.System]; twice {
				return fmt.Errorf("checking the order: system %s is visited twice in %s", v.System, w.Phase)
			}
			if len(v.Ops) == 0 && v.Recipient == "" && v.System != dsr.Officer {
				return fmt.Errorf("checking the order: the visit of system %s has nothing to do", v.System)
			}
			place[w.Phase][v.System] = i
		}
	}
	for i := range c.Systems {
		s := &c.Systems[i]
		for _, d := range c.before(s) {
			if a, b, both := both(place[dsr.Gather], d.ID, s.ID); both && a >= b {
				return fmt.Errorf("checking the order: %s gathers before %s, which it depends on", s.ID, d.ID)
			}
			if a, b, both := both(place[dsr.Act], s.ID, d.ID); both && a >= b {
				return fmt.Errorf("checking the order: %s acts before %s, which depends on it", d.ID, s.ID)
			}
		}
	}
	for _, r := range p.Rights {
		if err := c.checkCovered(p, r); err != nil {
			return err
		}
	}
	if p.Bundle != dsr.Wants(p.Rights, dsr.ByCopy) {
		return fmt.Errorf("checking the order: a bundle is made when, and only when, a copy was asked")
	}
	return nil
}

// checkCovered proves that a right of copies and removals is planned, or its
// outcome owed, for every category it reaches in every system; and that every
// other right is carried out somewhere at all.
func (c *Company) checkCovered(p Plan, r dsr.Right) error {
	op, phase := dsr.Export, dsr.Gather
	switch r.Means() {
	case dsr.ByStatement:
		return nil
	case dsr.ByCopy:
	case dsr.ByRemoval:
		op, phase = dsr.Erase, dsr.Act
	default:
		if p.serves(r) {
			return nil
		}
		return fmt.Errorf("checking the order: nothing is planned for %s", r)
	}
	for _, s := range c.Systems {
		for _, id := range s.Categories {
			if p.reaches(r, id) && !p.covers(s.ID, id, phase, op) {
				return fmt.Errorf("checking the order: nothing is planned for %s of %s in system %s", r, id, s.ID)
			}
		}
	}
	return nil
}

// serves reports whether a visit carries out the right, or an outcome of Writ's
// own does.
func (p Plan) serves(r dsr.Right) bool {
	if r.Means() == dsr.ByStop && slices.ContainsFunc(p.Owed, func(o Owed) bool { return o.System == dsr.Itself && o.Outcome.Kind == dsr.Suppressed }) {
		return true
	}
	return slices.ContainsFunc(p.Waves, func(w Wave) bool {
		return slices.ContainsFunc(w.Visits, func(v Visit) bool { return slices.Contains(v.Rights, r) })
	})
}

// reaches reports whether the right gets to a category, as far as the plan says.
func (p Plan) reaches(r dsr.Right, category string) bool {
	reach, narrowed := p.Reach[r]
	return !narrowed || reach[category]
}

// tells reports whether the wave is the one in which recipients are told.
func (w Wave) tells() bool {
	return slices.ContainsFunc(w.Visits, func(v Visit) bool { return v.Recipient != "" })
}

func both(places map[string]int, a, b string) (int, int, bool) {
	i, okA := places[a]
	j, okB := places[b]
	return i, j, okA && okB
}

// covers reports whether the op is planned, or its outcome owed, for a category
// in a system.
func (p Plan) covers(system, category string, phase dsr.Phase, op dsr.Op) bool {
	if slices.ContainsFunc(p.Owed, func(o Owed) bool { return o.System == system && o.Op == op && o.Outcome.Category == category }) {
		return true
	}
	return slices.ContainsFunc(p.Waves, func(w Wave) bool {
		return w.Phase == phase && slices.ContainsFunc(w.Visits, func(v Visit) bool {
			return v.System == system && slices.Contains(v.Ops, op) && slices.Contains(v.For(op), category)
		})
	})
}

// tryOrders plans every right, and copies with erasures, so that a pack whose
// order cannot hold is refused before anybody asks.
func (c *Company) tryOrders(d document) {
	all := [][]dsr.Right{{dsr.Access, dsr.Erasure}}
	for _, r := range dsr.Rights() {
		all = append(all, []dsr.Right{r})
	}
	for _, rights := range all {
		p, err := c.Plan(Question{Rights: rights})
		if err == nil {
			err = c.CheckOrder(p)
		}
		if err != nil {
			d.fault("system", "the order cannot hold: %v", err)
			return
		}
	}
}
