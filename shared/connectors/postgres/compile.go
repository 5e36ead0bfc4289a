package postgres

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/dsr"
)

// entry is one Table of the mapping, checked and resolved.
type entry struct {
	label      string // the table's name, with "#2" and so on for its further entries
	name       name
	category   string
	action     Action
	rule       string
	own        link
	others     []link // co-owners
	columns    []string
	ownColumns []string
	set        []overwrite
	mask       []overwrite
	yields     []yield
	rectify    map[string]string
	marks      map[dsr.Purpose]string
	earlier    []*entry // entries of the same table that come first
	reached    bool     // paths of other entries end here
	recognised bool     // a row is the person's also by what it yielded
	retainFrom string   // column whose date the category's period counts from
}

type yield struct {
	column string
	kind   dsr.Kind
}

var word = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// compile checks a mapping as far as that goes without the database.
func compile(m Mapping) ([]*entry, error) {
	if len(m.Tables) == 0 {
		return nil, errors.New("reading the mapping: it names no table")
	}
	var all []*entry
	for _, t := range m.Tables {
		e, err := t.entry(all)
		if err != nil {
			return nil, fmt.Errorf("reading the mapping: table %s: %w", t.Table, err)
		}
		all = append(all, e)
	}
	for _, e := range all {
		for _, l := range e.links() {
			if l.direct() {
				continue
			}
			last := l.hops[len(l.hops)-1].to
			for _, end := range all {
				if end.name == last {
					end.reached = true
					l.ends = append(l.ends, end)
				}
			}
			if len(l.ends) == 0 {
				return nil, fmt.Errorf("reading the mapping: table %s: its path ends at %s, which is not mapped", e.label, last)
			}
		}
	}
	for _, e := range all {
		if e.retainFrom == "" && e.own.direct() && slices.ContainsFunc(all, func(o *entry) bool { return o.category == e.category && o.retainFrom != "" }) {
			return nil, fmt.Errorf("reading the mapping: table %s: another table of category %s has retain_from: name the column here too", e.label, e.category)
		}
		if c := e.joined(all); c != "" {
			return nil, fmt.Errorf("reading the mapping: table %s: column %s cannot be corrected: other tables are joined to it", e.label, c)
		}
		if e.circles(nil) {
			return nil, fmt.Errorf("reading the mapping: table %s: its path leads back to itself and reaches no owner column", e.label)
		}
		for _, o := range [][]overwrite{e.set, e.mask} {
			if len(o) > 0 && !e.cut(o) {
				return nil, fmt.Errorf("reading the mapping: table %s: what replaces the person's values leaves the row linked to them: overwrite %s too", e.label, e.own.names())
			}
		}
	}
	return all, nil
}

func (t Table) entry(before []*entry) (*entry, error) {
	n, err := parseName(t.Table)
	if err != nil {
		return nil, err
	}
	e := &entry{label: n.String(), name: n, category: t.Category, action: t.Action, rule: t.Rule, columns: t.Columns, ownColumns: t.OwnColumns, rectify: t.Rectify, marks: t.Marks, retainFrom: t.RetainFrom}
	for _, b := range before {
		if b.name == n {
			e.earlier = append(e.earlier, b)
			e.label = fmt.Sprintf("%s#%d", n, len(e.earlier)+1)
		}
	}
	owner := CoOwner{Path: t.Path}
	if t.Owner != nil {
		owner.Column, owner.Identity = t.Owner.Column, t.Owner.Identity
	}
	if e.own, err = owner.link(); err != nil {
		return nil, fmt.Errorf("owner: %w", err)
	}
	for _, c := range t.CoOwners {
		l, err := c.link()
		if err != nil {
			return nil, fmt.Errorf("co_owner: %w", err)
		}
		e.others = append(e.others, l)
	}
	if e.set, err = overwrites(t.Set, t.Null); err != nil {
		return nil, err
	}
	var empty []string
	for _, c := range t.OwnColumns {
		if _, ok := t.Mask[c]; !ok {
			empty = append(empty, c)
		}
	}
	if e.action != Keep {
		if e.mask, err = overwrites(t.Mask, empty); err != nil {
			return nil, err
		}
	}
	for _, column := range slices.Sorted(maps.Keys(t.Yields)) {
		e.yields = append(e.yields, yield{column, t.Yields[column]})
	}
	return e, e.check(t)
}

// check refuses what contradicts itself.
func (e *entry) check(t Table) error {
	switch {
	case !word.MatchString(e.category):
		return fmt.Errorf("category %q must be lower-case letters, digits and _", e.category)
	case len(e.columns) == 0:
		return errors.New("columns is empty: name what a copy of the person's data holds")
	case !slices.Contains([]Action{Delete, Anonymise, Keep}, e.action):
		return fmt.Errorf("action %q is unknown: delete, anonymise or keep", e.action)
	case e.action == Anonymise && len(e.set) == 0:
		return errors.New("action anonymise needs set or null: name what is overwritten")
	case e.action != Anonymise && len(e.set) > 0:
		return fmt.Errorf("set and null belong to action anonymise, not to %s", e.action)
	case e.action == Keep && e.rule == "":
		return errors.New("action keep needs rule: the id of the rule on which the rows stay")
	case e.retainFrom != "" && (!e.own.direct() || len(e.others) > 0):
		return errors.New("retain_from needs an owner column and no co_owner: whose record it is must stand in the row")
	case len(e.others) == 0 && (len(e.ownColumns) > 0 || len(t.Mask) > 0):
		return errors.New("own_columns and mask belong to rows that somebody else owns too: name co_owner")
	case e.action == Keep && len(t.Mask) > 0:
		return errors.New("mask has no effect under action keep")
	case len(e.others) > 0 && len(e.ownColumns) == 0 && e.rule == "":
		return errors.New("co_owner needs own_columns, which are masked, or rule, on which shared rows stay")
	case e.rule != "" && e.action != Keep && (len(e.others) == 0 || len(e.ownColumns) > 0):
		return fmt.Errorf("rule has no effect under action %s here", e.action)
	case e.rule != "" && !word.MatchString(e.rule):
		return fmt.Errorf("rule %q must be lower-case letters, digits and _", e.rule)
	}
	for _, list := range [][]string{e.columns, e.ownColumns} {
		seen := map[string]bool{}
		for _, c := range list {
			if seen[c] || c == "" {
				return fmt.Errorf("column %q stands twice or is empty", c)
			}
			seen[c] = true
		}
	}
	for c := range t.Mask {
		if !slices.Contains(e.ownColumns, c) {
			return fmt.Errorf("column %s: mask replaces own_columns only", c)
		}
	}
	for _, y := range e.yields {
		if !word.MatchString(string(y.kind)) || y.kind == dsr.Email {
			return fmt.Errorf("column %s: it cannot yield %q: a further address on a record may be a stranger's", y.column, y.kind)
		}
	}
	for _, field := range slices.Sorted(maps.Keys(e.rectify)) {
		c := e.rectify[field]
		if !word.MatchString(strings.ReplaceAll(field, ".", "_")) || slices.Contains(e.own.columns(), c) && !e.addressed(c) {
			return fmt.Errorf("column %s: field %q cannot be corrected there: a correction changes no join, and no owner but a mail address", c, field)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(e.marks)) {
		c := e.marks[p]
		overwritten := slices.ContainsFunc(slices.Concat(e.set, e.mask), func(o overwrite) bool { return o.column == c })
		switch {
		case !slices.Contains(dsr.Purposes(), p):
			return fmt.Errorf("marks names the purpose %q, which is unknown: known are %v", p, dsr.Purposes())
		case c == "" || slices.Contains(e.own.columns(), c):
			return fmt.Errorf("column %q cannot be the mark of %s: name a column of its own", c, p)
		case overwritten:
			return fmt.Errorf("column %s is the mark of %s and must survive an erasure: take it out of set, null and mask", c, p)
		}
	}
	return nil
}

// addressed reports whether a column holds the mail address that a row is found by.
func (e *entry) addressed(column string) bool {
	return e.own.direct() && e.own.kind == dsr.Email && e.own.column == column
}

// links are pointers, so that compile can add where they end.
func (e *entry) links() []*link {
	all := []*link{&e.own}
	for i := range e.others {
		all = append(all, &e.others[i])
	}
	return all
}

// joined returns a column under rectify that a path of another entry arrives at, or "".
func (e *entry) joined(all []*entry) string {
	for _, other := range all {
		for _, l := range other.links() {
			for _, h := range l.hops {
				for _, c := range e.rectify {
					if h.to == e.name && slices.Contains(h.cols, c) {
						return c
					}
				}
			}
		}
	}
	return ""
}

// circles reports whether following paths from e comes back to an entry on the way.
func (e *entry) circles(way []*entry) bool {
	if slices.Contains(way, e) {
		return true
	}
	for _, end := range e.own.ends {
		if end.circles(append(way[:len(way):len(way)], e)) {
			return true
		}
	}
	return false
}

// cut reports whether overwriting ends the row's link to the person: its own
// link goes, or the row it leads to does or is cut from the person itself.
func (e *entry) cut(by []overwrite) bool {
	for _, o := range by {
		if slices.Contains(e.own.columns(), o.column) {
			return true
		}
	}
	for _, end := range e.own.ends {
		if end.action == Keep || end.action == Anonymise && !end.cut(end.set) {
			return false
		}
	}
	return !e.own.direct()
}
