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
	asked   []dsr.Right
	rights  []dsr.Right
	reach   map[dsr.Right]map[string]bool // categories a right reaches; absent for all
	owed    []Owed                        // outcomes that follow from the decision: refused, referred
	blind   bool                          // the person is not proved: statements say nothing of them
	nothing []dsr.Right                   // rights that stop what the company does not do
	wait    time.Time                     // rectification: nothing is changed before this
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
				if !c.uses(d.category, purpose) {
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
	b := builder{Company: c, q: q, w: w, duties: c.duties(w), plan: &p, acted: map[string]bool{}}
	gather, act := make([]Wave, len(c.Systems)+1), make([]Wave, len(c.Systems)+1)
	needed := map[string]bool{} // systems that others need identifiers of
	for _, s := range byDepth(c.Systems, first) {
		v := b.gather(s, needed[s.ID])
		if len(v.Ops) > 0 {
			for _, d := range c.before(s) {
				needed[d.ID] = true
			}
		}
		gather[first[s.ID]].add(dsr.Gather, v)
	}
	for _, s := range c.Systems {
		act[last[s.ID]].add(dsr.Act, b.act(s))
	}
	b.undecided()
	if q.Only == nil && (dsr.Wants(w.rights, dsr.ByPerson) || b.untouched()) {
		gather[0].add(dsr.Gather, b.officer())
	}
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

// byDepth puts the systems that need others before those others.
func byDepth(systems []System, depth map[string]int) []System {
	deepest := slices.Clone(systems)
	slices.SortStableFunc(deepest, func(a, b System) int { return depth[b.ID] - depth[a.ID] })
	return deepest
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
	stopped uint32 // rights that stop something somewhere
	removed []string
	acted   map[string]bool // categories to which something is done in some system
}

// picked returns the categories of a system to which one of the verbs is done,
// with the rights that ask for it and the purposes that end.
func (b *builder) picked(s System, verbs verb) (categories []string, rights uint32, purposes []dsr.Purpose) {
	only, narrowed := b.q.Only[s.ID]
	if b.q.Only != nil && !narrowed {
		return nil, 0, nil
	}
	for _, id := range s.Categories {
		d, ok := b.duties[id]
		if !ok || d.verbs&verbs == 0 || narrowed && !slices.Contains(only, id) {
			continue
		}
		categories = append(categories, id)
		rights |= d.rights
		if verbs&stops == 0 {
			continue
		}
		for _, p := range d.purposes {
			if !slices.Contains(purposes, p) {
				purposes = append(purposes, p)
			}
		}
	}
	return categories, rights, purposes
}

// served names the rights of a mask that are carried out by one of the means.
func (b *builder) served(mask uint32, by ...dsr.Means) []dsr.Right {
	var out []dsr.Right
	for n, r := range b.w.rights {
		if mask&(1<<n) != 0 && (len(by) == 0 || slices.Contains(by, r.Means())) {
			out = append(out, r)
		}
	}
	return out
}

// owe records one outcome for categories of a system.
func (b *builder) owe(s System, op dsr.Op, o dsr.Outcome, categories []string) {
	for _, id := range categories {
		o.Category = id
		b.plan.Owed = append(b.plan.Owed, Owed{System: s.ID, Op: op, Outcome: o})
	}
}

// gather is what is done in a system before anything is acted upon. needed says
// that other systems need identifiers of this one.
func (b *builder) gather(s System, needed bool) Visit {
	copied, _, _ := b.picked(s, copies)
	all, mask, _ := b.picked(s, copies|looks|changes|removes|stops)
	if s.Unsearchable != "" {
		b.owe(s, dsr.Export, dsr.Outcome{Kind: dsr.Refused, Reason: ReasonNotSearchable}, copied)
		return Visit{}
	}
	copied = slices.DeleteFunc(copied, func(id string) bool {
		if !b.duties[id].category.Forbidden {
			return false
		}
		b.owe(s, dsr.Export, dsr.Outcome{Kind: dsr.Refused, Reason: ReasonForbidden}, []string{id})
		return true
	})
	v := Visit{System: s.ID, Categories: all, Manual: s.Manual(), Rights: b.served(mask)}
	switch {
	case len(copied) > 0 && b.q.never(s, dsr.Export):
		b.owe(s, dsr.Export, dsr.Outcome{Kind: dsr.Refused, Reason: ReasonNoExport}, copied)
		v.Ops = []dsr.Op{dsr.Locate}
	case len(copied) > 0:
		v.Ops, v.Categories = []dsr.Op{dsr.Locate, dsr.Export}, copied
	case s.Manual():
		return Visit{}
	case len(all) > 0:
		v.Ops = []dsr.Op{dsr.Locate}
	case needed && b.q.Only == nil: // of later work the identifiers are known
		v.Ops, v.Categories = []dsr.Op{dsr.Locate}, slices.Clone(s.Categories)
	default:
		return Visit{}
	}
	return b.byPerson(s, v)
}

// act is what is done to the data. What is stopped and marked comes first, so
// that nothing is written again while the data go.
func (b *builder) act(s System) Visit {
	removed, rm, _ := b.picked(s, removes)
	changed, cm, _ := b.picked(s, changes)
	stopped, sm, purposes := b.picked(s, stops)
	if s.Unsearchable != "" {
		reason := dsr.Outcome{Kind: dsr.Refused, Reason: ReasonNotSearchable}
		b.owe(s, dsr.Erase, reason, removed)
		b.owe(s, dsr.Rectify, reason, changed)
		b.owe(s, dsr.Suppress, reason, stopped)
		return Visit{}
	}
	for _, id := range removed {
		if !slices.Contains(b.removed, id) {
			b.removed = append(b.removed, id)
		}
	}
	b.stopped |= sm
	var v Visit
	if len(stopped) > 0 {
		v.Ops, v.Purposes = append(v.Ops, dsr.Suppress), purposes // where no API can, a person does
	}
	if len(changed) > 0 {
		if b.q.never(s, dsr.Rectify) && !s.Manual() {
			b.owe(s, dsr.Rectify, dsr.Outcome{Kind: dsr.Refused, Reason: ReasonNoRectify}, changed)
			changed = nil
		} else {
			v.Ops, v.NotBefore = append(v.Ops, dsr.Rectify), b.w.wait
		}
	}
	if len(removed) > 0 {
		if b.q.never(s, dsr.Erase) && !s.Manual() {
			b.owe(s, dsr.Erase, dsr.Outcome{Kind: dsr.Kept, Rule: RuleNoErase}, removed)
			removed = nil
		} else {
			v = b.erase(s, v)
		}
	}
	if len(v.Ops) == 0 {
		return Visit{}
	}
	if (len(changed) > 0 || len(removed) > 0) && !s.Manual() && !b.q.never(s, dsr.ReadBack) {
		v.Ops = append(v.Ops, dsr.ReadBack)
	}
	for _, id := range s.Categories {
		if slices.Contains(removed, id) || slices.Contains(changed, id) || slices.Contains(stopped, id) {
			v.Categories = append(v.Categories, id)
		}
	}
	if slices.Contains(v.Ops, dsr.Suppress) && slices.Contains(v.Purposes, dsr.AllUse) || len(stopped) == 0 {
		stopped = append(stopped, removed...)
	}
	for op, some := range map[dsr.Op][]string{dsr.Suppress: stopped, dsr.Rectify: changed, dsr.Erase: removed} {
		if slices.Contains(v.Ops, op) {
			v.only(op, some)
		}
	}
	for _, id := range v.Categories {
		b.acted[id] = true
	}
	v.System, v.Manual = s.ID, s.Manual()
	v.Rights = b.served(rm|cm|sm, dsr.ByChange, dsr.ByRemoval, dsr.ByMark, dsr.ByStop)
	return b.byPerson(s, v)
}

// only narrows an op of the visit to some of its categories.
func (v *Visit) only(op dsr.Op, categories []string) {
	some := slices.DeleteFunc(slices.Clone(v.Categories), func(id string) bool { return !slices.Contains(categories, id) })
	if len(some) == len(v.Categories) {
		return
	}
	if v.Only == nil {
		v.Only = map[dsr.Op][]string{}
	}
	v.Only[op] = some
}

// erase adds the erasure to a visit. The suppression that goes with it is a
// help, and never a reason to wait for a person.
func (b *builder) erase(s System, v Visit) Visit {
	if !s.Manual() && b.q.can(s, dsr.Suppress) && !b.q.never(s, dsr.Suppress) {
		if len(v.Ops) == 0 || v.Ops[0] != dsr.Suppress {
			v.Ops = append([]dsr.Op{dsr.Suppress}, v.Ops...)
		} else {
			v.Purposes = append(v.Purposes, dsr.AllUse)
		}
	}
	v.Ops = append(v.Ops, dsr.Erase)
	return v
}

// byPerson notes which ops of a visit the system's connector cannot do.
func (b *builder) byPerson(s System, v Visit) Visit {
	if s.Manual() {
		return v
	}
	for _, op := range v.Ops {
		if !b.q.can(s, op) {
			v.ByPerson = append(v.ByPerson, op)
		}
	}
	return v
}

// untouched reports whether a right that stops or marks found no category that
// it touches: then somebody looks whether that is so.
func (b *builder) untouched() bool {
	for n, r := range b.w.rights {
		if (r.Means() == dsr.ByStop || r.Means() == dsr.ByMark) && b.stopped&(1<<n) == 0 && !b.w.moot(r) {
			return true
		}
	}
	return false
}

// officer is the task of the person who reads and answers.
func (b *builder) officer() Visit {
	v := Visit{System: dsr.Officer, Categories: []string{dsr.Words}, Manual: true}
	for n, r := range b.w.rights {
		if r.Means() == dsr.ByPerson || (r.Means() == dsr.ByStop || r.Means() == dsr.ByMark) && b.stopped&(1<<n) == 0 && !b.w.moot(r) {
			v.Rights = append(v.Rights, r)
		}
	}
	return v
}

// moot reports whether a company does not do what the right would stop: it sells
// nothing, so an opt-out of sale is recorded and nobody has to act.
func (w work) moot(r dsr.Right) bool { return slices.Contains(w.nothing, r) }

// tell is the visit in which a recipient hears of a correction, an erasure or a
// restriction of data it got (GDPR Art. 19; 11 CCR 7022(b), (c)).
func (b *builder) tell(r Recipient) Visit {
	if b.q.Only != nil || !r.Told && r.Standing != "third_party" {
		return Visit{}
	}
	v := Visit{System: dsr.RecipientSystem(r.ID), Recipient: r.ID, Manual: true}
	var mask uint32
	for _, id := range r.Categories {
		d, ok := b.duties[id]
		if !ok || !b.acted[id] {
			continue
		}
		told := uint32(0)
		for n, right := range b.w.rights {
			if d.rights&(1<<n) != 0 && tellsRecipients(right) {
				told |= 1 << n
			}
		}
		if told != 0 {
			v.Categories, mask = append(v.Categories, id), mask|told
		}
	}
	if mask == 0 {
		return Visit{}
	}
	v.Rights, v.NotBefore = b.served(mask), time.Time{}
	if slices.Contains(v.Rights, dsr.Rectification) {
		v.NotBefore = b.w.wait
	}
	return v
}

// tellsRecipients reports whether recipients must hear of what the right did.
func tellsRecipients(r dsr.Right) bool {
	m := r.Means()
	return m == dsr.ByChange || m == dsr.ByRemoval || r == dsr.Restriction
}

// GroundAccountability is the ground on which Writ keeps the record that a
// request was made and how it was answered, without personal data beyond it
// (GDPR Art. 5(2); 11 CCR 7101).
const GroundAccountability = "accountability"

// leastRecords is how many months a record of a request is kept at least
// (11 CCR 7101).
const leastRecords = 24

// itself is what happens to Writ's own records of the person: told to who asks
// for a copy or a statement, kept as proof in every other case; and what was
// stopped is remembered.
func (c *Company) itself(q Question, w work) []Owed {
	if q.Only != nil {
		return nil
	}
	var owed []Owed
	add := func(op dsr.Op, o dsr.Outcome) { owed = append(owed, Owed{System: dsr.Itself, Op: op, Outcome: o}) }
	if dsr.Wants(w.rights, dsr.ByCopy, dsr.ByStatement) {
		add(dsr.Export, dsr.Outcome{Category: dsr.RequestRecord, Kind: dsr.Told})
		add(dsr.Export, dsr.Outcome{Category: dsr.SuppressionRow, Kind: dsr.Told})
	}
	if dsr.Wants(w.rights, dsr.ByChange, dsr.ByRemoval, dsr.ByMark, dsr.ByStop, dsr.ByPerson) {
		add(dsr.Erase, dsr.Outcome{Category: dsr.RequestRecord, Kind: dsr.Retained, Ground: GroundAccountability, Until: c.recordsUntil(q)})
	}
	if dsr.Wants(w.rights, dsr.ByStop) {
		add(dsr.Suppress, dsr.Outcome{Category: dsr.SuppressionRow, Kind: dsr.Suppressed})
	}
	return owed
}

// recordsUntil is the day on which Writ's record of the request ends.
func (c *Company) recordsUntil(q Question) string {
	return monthsLater(c.local(received(q.Events)), max(c.Records.Months, leastRecords)).Format(time.DateOnly)
}

// received is when the request came first; the zero time where no event says so.
func received(events []dsr.ClockEvent) time.Time {
	var at time.Time
	for _, e := range events {
		if e.Kind == dsr.Received && (at.IsZero() || e.At.Before(at)) {
			at = e.At
		}
	}
	return at
}

// local is an instant in the controller's zone.
func (c *Company) local(t time.Time) time.Time { return t.In(c.Zone) }

// undecided collects what the controller must still decide about the data that
// an erasure reaches.
func (b *builder) undecided() {
	for _, id := range b.removed {
		d, ok := b.Undecided(id, b.q.Place)
		if ok && !slices.ContainsFunc(b.plan.Decisions, func(x Decision) bool { return x.ID == d.ID }) {
			b.plan.Decisions = append(b.plan.Decisions, d)
		}
	}
}
