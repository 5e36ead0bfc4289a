package policy

import (
	"fmt"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// addressWait is how long a change of a login or delivery address waits, so that
// whoever reads the old address can stop it.
const addressWait = 7 * 24 * time.Hour

// work is what is to be carried out: the rights that remain after law, roles and
// answers, and how far each of them reaches.
type work struct {
	rights []dsr.Right
	reach  map[dsr.Right]map[string]bool // categories a right reaches; absent for all
	owed   []Owed                        // outcomes that follow from the decision: refused, referred
	blind  bool                          // the person is not proved: statements say nothing of them
	wait   time.Time                     // rectification: nothing is changed before this
}

// verb is what is done to a category of data.
type verb uint8

const (
	copies verb = 1 << iota
	looks
	changes
	removes
	stops
)

// duty is everything that is done to one category.
type duty struct {
	verbs    verb
	rights   uint32 // bits of work.rights
	purposes []dsr.Purpose
	category Category
}

// Looking finds out whether somebody is held at all. What a company does with
// everybody's data needs no looking.
var lookers = []dsr.Right{dsr.KnowCategories, dsr.ConfirmProcessing, dsr.Recipients}

// duties tells, per category, what the rights do to it.
func (c *Company) duties(w work) map[string]*duty {
	all := make(map[string]*duty, len(c.Categories))
	list := make([]duty, len(c.Categories))
	for i, k := range c.Categories {
		list[i].category = k
		all[k.ID] = &list[i]
	}
	for n, r := range w.rights {
		purpose := r.Stops()
		for i := range list {
			d := &list[i]
			if reach, narrowed := w.reach[r]; narrowed && !reach[d.category.ID] {
				continue
			}
			var v verb
			switch r.Means() {
			case dsr.ByCopy:
				v = copies
			case dsr.ByStatement:
				if w.blind || !slices.Contains(lookers, r) {
					continue
				}
				v = looks
			case dsr.ByChange:
				v = changes
			case dsr.ByRemoval:
				v = removes
			case dsr.ByMark, dsr.ByStop:
				if c.moot(r) || !c.uses(d.category, purpose) {
					continue
				}
				v = stops
				if !slices.Contains(d.purposes, purpose) {
					d.purposes = append(d.purposes, purpose)
				}
			default:
				continue
			}
			d.verbs |= v
			d.rights |= 1 << n
		}
	}
	return all
}

// kinds of recipients that get data for a purpose.
var purposeOf = map[string][]dsr.Purpose{
	"advertising": {dsr.Marketing, dsr.TargetedAds, dsr.Sale, dsr.Profiling},
	"analytics":   {dsr.Profiling},
	"marketing":   {dsr.Marketing},
	"newsletter":  {dsr.Marketing},
	"crm":         {dsr.Marketing},
}

// uses reports whether a category is used for a purpose: by its own words, by
// what it rests on, or by who receives it.
func (c *Company) uses(k Category, p dsr.Purpose) bool {
	switch p {
	case dsr.Storage:
		return true
	case dsr.Consent:
		return slices.Contains(k.Bases, "consent")
	case dsr.Objected:
		return slices.Contains(k.Bases, "legitimate_interest")
	case dsr.Sensitive:
		return k.Sensitive
	}
	if slices.Contains(k.Purposes, p) {
		return true
	}
	return slices.ContainsFunc(c.Receivers, func(r Recipient) bool {
		return slices.Contains(purposeOf[r.Kind], p) && slices.Contains(r.Categories, k.ID)
	})
}

// order makes the plan. Systems of record gather first, because they yield
// identifiers for the others; every gather ends before the first act; a system
// acts before those it depends on, the systems of record act last, and who
// received the data is told after that.
//
// A system with an API is located even when nothing is copied, so that the rows
// are known before anything is done to them; a person's system gets one task:
// gather for a copy, act for the rest, both only when both were asked.
func (c *Company) order(q Question, w work) (Plan, error) {
	regime := c.Regime(q.Place)
	p := Plan{Rights: w.rights, Regime: regime.ID, Assumed: regime.Assumed, Bundle: dsr.Wants(w.rights, dsr.ByCopy), Owed: slices.Clone(w.owed), Reach: w.reach}
	first, last, err := c.levels()
	if err != nil {
		return Plan{}, fmt.Errorf("planning: %w", err)
	}
	b := builder{Company: c, q: q, w: w, duties: c.duties(w), plan: &p, acted: map[string]bool{}, removed: map[string]bool{}}
	gather, act := make([]Wave, len(c.Systems)+1), make([]Wave, len(c.Systems)+1)
	needed := map[string]bool{} // systems that others need identifiers of
	shares := make(map[string]share, len(c.Systems))
	for _, s := range c.Systems {
		shares[s.ID] = b.share(s)
	}
	for _, s := range c.byDepth(first) {
		v := b.gather(*s, shares[s.ID], needed[s.ID])
		if len(v.Ops) > 0 {
			for _, d := range c.before(s) {
				needed[d.ID] = true
			}
		}
		gather[first[s.ID]].add(dsr.Gather, v)
	}
	for _, s := range c.Systems {
		act[last[s.ID]].add(dsr.Act, b.act(s, shares[s.ID]))
	}
	b.decisions()
	gather[0].add(dsr.Gather, b.officer())
	for i := range gather { // by depth they came in another order than the file's
		c.sortVisits(gather[i].Visits)
	}
	tell := Wave{}
	for _, r := range c.Receivers {
		tell.add(dsr.Act, b.tell(r))
	}
	p.Waves = slices.DeleteFunc(append(append(gather, act...), tell), func(w Wave) bool { return len(w.Visits) == 0 })
	p.Owed = append(p.Owed, c.itself(q, w)...)
	return p, nil
}

// add appends a visit that has something to do.
func (w *Wave) add(phase dsr.Phase, v Visit) {
	if v.System == "" {
		return
	}
	w.Phase = phase
	w.Visits = append(w.Visits, v)
}

// sortVisits brings visits into the order of systems.toml; Writ's own come last.
func (c *Company) sortVisits(visits []Visit) {
	place := func(v Visit) int {
		if i := slices.IndexFunc(c.Systems, func(s System) bool { return s.ID == v.System }); i >= 0 {
			return i
		}
		return len(c.Systems)
	}
	slices.SortStableFunc(visits, func(a, b Visit) int { return place(a) - place(b) })
}

// builder makes the visits of one plan.
type builder struct {
	*Company
	q       Question
	w       work
	duties  map[string]*duty
	plan    *Plan
	stopped uint32          // rights that stop something somewhere
	removed map[string]bool // categories that are erased somewhere
	acted   map[string]bool // categories to which something is done in some system
}

// decisions collects what the controller must still decide about the data that
// an erasure reaches.
func (b *builder) decisions() {
	laws := b.Laws(b.q.Place)
	for _, k := range b.Categories {
		if !b.removed[k.ID] {
			continue
		}
		d, ok := b.undecided(k.ID, laws)
		if ok && !slices.ContainsFunc(b.plan.Decisions, func(x Decision) bool { return x.ID == d.ID }) {
			b.plan.Decisions = append(b.plan.Decisions, d)
		}
	}
}
