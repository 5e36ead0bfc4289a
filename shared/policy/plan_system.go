package policy

import (
	"slices"

	"github.com/writ-dsr/writ/shared/dsr"
)

// share is what the rights do to the categories of one system.
type share struct {
	all, copied, changed, removed, stopped []string
	rights                                 uint32 // of all of them
	acting                                 uint32 // of those that are acted upon
	stopping                               uint32
	purposes                               []dsr.Purpose
}

// share tells what is done to a system.
func (b *builder) share(s System) share {
	var x share
	only, narrowed := b.q.Only[s.ID]
	if b.q.Only != nil && !narrowed {
		return x
	}
	for _, id := range s.Categories {
		d, ok := b.duties[id]
		if !ok || d.verbs == 0 || narrowed && !slices.Contains(only, id) {
			continue
		}
		withheld := d.verbs&copies != 0 && d.category.Forbidden
		if withheld && s.Unsearchable == "" {
			b.owe(s, dsr.Export, dsr.Outcome{Kind: dsr.Refused, Reason: ReasonForbidden}, []string{id})
		}
		if d.verbs != copies || !withheld {
			x.all = append(x.all, id)
		}
		if d.verbs&copies != 0 && !withheld {
			x.copied = append(x.copied, id)
		}
		if d.verbs&changes != 0 {
			x.changed = append(x.changed, id)
		}
		if d.verbs&removes != 0 {
			x.removed = append(x.removed, id)
		}
		if d.verbs&stops != 0 {
			x.stopped, x.stopping = append(x.stopped, id), x.stopping|d.rights
			for _, p := range d.purposes {
				if !slices.Contains(x.purposes, p) {
					x.purposes = append(x.purposes, p)
				}
			}
		}
		if x.rights |= d.rights; d.verbs&(changes|removes|stops) != 0 {
			x.acting |= d.rights
		}
	}
	return x
}

// gather is what is done in a system before anything is acted upon. needed says
// that other systems need identifiers of this one.
func (b *builder) gather(s System, x share, needed bool) Visit {
	if s.Unsearchable != "" {
		b.owe(s, dsr.Export, dsr.Outcome{Kind: dsr.Refused, Reason: ReasonNotSearchable}, x.copied)
		return Visit{}
	}
	if len(x.copied) > 0 && b.q.never(s, dsr.Export) {
		b.owe(s, dsr.Export, dsr.Outcome{Kind: dsr.Refused, Reason: ReasonNoExport}, x.copied)
		x.copied = nil
	}
	v := Visit{System: s.ID, Categories: slices.Clone(x.all), Manual: s.Manual(), Rights: b.served(x.rights), Ops: []dsr.Op{dsr.Locate}}
	switch {
	case len(x.copied) > 0 && s.Manual():
		v.Ops, v.Categories = append(v.Ops, dsr.Export), x.copied
	case len(x.copied) > 0:
		v.Ops = append(v.Ops, dsr.Export)
		v.only(dsr.Export, x.copied)
	case s.Manual():
		return Visit{}
	case len(x.all) > 0:
	case needed && b.q.Only == nil: // of later work the identifiers are known
		v.Categories = slices.Clone(s.Categories)
	default:
		return Visit{}
	}
	return b.byPerson(s, v)
}

// act is what is done to the data. What is stopped and marked comes first, so
// that nothing is written again while the data go.
func (b *builder) act(s System, x share) Visit {
	if s.Unsearchable != "" {
		reason := dsr.Outcome{Kind: dsr.Refused, Reason: ReasonNotSearchable}
		b.owe(s, dsr.Erase, reason, x.removed)
		b.owe(s, dsr.Rectify, reason, x.changed)
		b.owe(s, dsr.Suppress, reason, x.stopped)
		return Visit{}
	}
	for _, id := range x.removed {
		b.removed[id] = true
	}
	b.stopped |= x.stopping
	if len(x.changed) > 0 && !s.Manual() && b.q.never(s, dsr.Rectify) {
		b.owe(s, dsr.Rectify, dsr.Outcome{Kind: dsr.Refused, Reason: ReasonNoRectify}, x.changed)
		x.changed = nil
	}
	if len(x.removed) > 0 && !s.Manual() && b.q.never(s, dsr.Erase) {
		b.owe(s, dsr.Erase, dsr.Outcome{Kind: dsr.Kept, Rule: RuleNoErase}, x.removed)
		x.removed = nil
	}
	v := Visit{System: s.ID, Manual: s.Manual(), Rights: b.served(x.acting, dsr.ByChange, dsr.ByRemoval, dsr.ByMark, dsr.ByStop)}
	v.Categories = x.among(x.removed, x.stopped, x.changed)
	for _, id := range v.Categories {
		b.acted[id] = true
	}
	if v.Purposes = x.purposes; len(x.stopped) > 0 {
		v.Ops = append(v.Ops, dsr.Suppress) // where no API can, a person does
	}
	suppressed := x.stopped
	// The suppression that goes with an erasure is a help, and never a reason to
	// wait for a person.
	if len(x.removed) > 0 && !s.Manual() && b.q.can(s, dsr.Suppress) && !b.q.never(s, dsr.Suppress) {
		if len(x.stopped) == 0 {
			v.Ops, suppressed = append(v.Ops, dsr.Suppress), x.removed
		} else {
			v.Purposes, suppressed = append(v.Purposes, dsr.AllUse), x.among(x.stopped, x.removed)
		}
	}
	if v.only(dsr.Suppress, suppressed); len(x.changed) > 0 {
		v.Ops, v.NotBefore = append(v.Ops, dsr.Rectify), b.w.wait
		v.only(dsr.Rectify, x.changed)
	}
	if len(x.removed) > 0 {
		v.Ops = append(v.Ops, dsr.Erase)
		v.only(dsr.Erase, x.removed)
	}
	if len(v.Ops) == 0 {
		return Visit{}
	}
	if len(x.changed)+len(x.removed) > 0 && !s.Manual() && !b.q.never(s, dsr.ReadBack) {
		v.Ops = append(v.Ops, dsr.ReadBack)
	}
	return b.byPerson(s, v)
}

// among returns the categories of the share that one of the lists holds, in
// their order.
func (x share) among(lists ...[]string) []string {
	for _, list := range lists {
		if len(list) == len(x.all) {
			return x.all
		}
	}
	return slices.DeleteFunc(slices.Clone(x.all), func(id string) bool {
		return !slices.ContainsFunc(lists, func(list []string) bool { return slices.Contains(list, id) })
	})
}

// only narrows an op of the visit to some of its categories.
func (v *Visit) only(op dsr.Op, some []string) {
	if len(some) == len(v.Categories) || !slices.Contains(v.Ops, op) {
		return
	}
	if v.Only == nil {
		v.Only = map[dsr.Op][]string{}
	}
	v.Only[op] = some
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
