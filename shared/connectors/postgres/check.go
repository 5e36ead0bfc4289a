package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
)

// writes reports whether an erasure changes rows of the entry.
func (e *entry) writes() bool { return e.action != Keep }

// erases reports whether this erasure changes rows of the entry.
func (s *session) erases(e *entry) bool { return e.writes() && s.task.Wants(e.category) }

// checkExists refuses a mapping that names what the database has not: nothing
// may look empty because it was looked for in the wrong place.
func (s *session) checkExists() error {
	for _, e := range s.entries {
		r, err := s.relation(e, e.name)
		if err != nil {
			return err
		}
		if len(r.primary) == 0 {
			return invalid(s.op, "checking the mapping: table %s has no primary key by which a row can be named; add one", e.label)
		}
		for _, l := range e.links() {
			at := r
			if l.direct() {
				if err := s.has(e, at, l.column); err != nil {
					return err
				}
			}
			for _, h := range l.hops {
				if err := s.has(e, at, h.from...); err != nil {
					return err
				}
				if at, err = s.relation(e, h.to); err != nil {
					return err
				}
				if err := s.has(e, at, h.cols...); err != nil {
					return err
				}
			}
		}
		named := slices.Concat(e.columns, e.ownColumns)
		for _, o := range slices.Concat(e.set, e.mask) {
			named = append(named, o.column)
		}
		for _, y := range e.yields {
			named = append(named, y.column)
		}
		if e.retainFrom != "" {
			named = append(named, e.retainFrom)
		}
		for _, c := range e.rectify {
			named = append(named, c)
		}
		for _, c := range e.marks {
			named = append(named, c)
		}
		slices.Sort(named)
		if err := s.has(e, r, named...); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) relation(e *entry, n name) (*relation, error) {
	r := s.cat.tables[n]
	switch {
	case r == nil:
		return nil, invalid(s.op, "checking the mapping: table %s, which entry %s names, does not exist in the database", n, e.label)
	case r.kind != "r" && r.kind != "p":
		return nil, invalid(s.op, "checking the mapping: %s is no table; map the tables that hold its rows", n)
	case r.part:
		return nil, invalid(s.op, "checking the mapping: table %s is a partition; map the table it belongs to", n)
	case r.inherited:
		return nil, invalid(s.op, "checking the mapping: other tables inherit from %s, so its key names no row; map tables without inheritance", n)
	}
	return r, nil
}

func (s *session) has(e *entry, r *relation, columns ...string) error {
	for _, c := range columns {
		if _, ok := r.columns[c]; !ok {
			return invalid(s.op, "checking the mapping: column %s of table %s, which entry %s names, does not exist in the database", c, r.name, e.label)
		}
	}
	return nil
}

// checkErasable refuses what the catalogue alone shows to be impossible or
// incomplete, before any row is looked at.
func (s *session) checkErasable() error {
	for _, e := range s.entries {
		for _, o := range slices.Concat(e.set, e.mask) {
			if err := s.fits(e, o); err != nil {
				return err
			}
		}
		if e.action != Delete {
			continue
		}
		for _, f := range s.cat.keys {
			if f.to == e.name && !s.mapped(f.from) {
				return invalid(s.op, "checking the mapping: table %s references %s (%s), whose rows are deleted, and is not mapped; map it, so that its rows are neither lost nor left behind", f.from, e.name, f.name)
			}
		}
	}
	return nil
}

func (s *session) mapped(n name) bool {
	return slices.ContainsFunc(s.entries, func(e *entry) bool { return e.name == n })
}

// fits refuses a replacement that its column cannot take.
func (s *session) fits(e *entry, o overwrite) error {
	r := s.cat.tables[e.name]
	c := r.columns[o.column]
	why := ""
	switch {
	case slices.Contains(r.primary, o.column):
		why = "it is part of the primary key"
	case c.generated:
		why = "the database alone sets it"
	case o.null && c.notNull:
		why = "it is NOT NULL; give it a value under set or mask"
	case o.keyed() && !c.text:
		why = "a value with {key} needs a text column"
	case !o.keyed() && !o.null && c.longest > 0 && utf8.RuneCountInString(o.value) > c.longest:
		why = fmt.Sprintf("its new value is longer than %d characters", c.longest)
	}
	for _, f := range s.cat.keys {
		if why == "" && f.to == e.name && slices.Contains(f.refs, o.column) {
			why = fmt.Sprintf("table %s references it", f.from)
		}
	}
	if why != "" {
		return invalid(s.op, "checking the mapping: column %s of table %s cannot be overwritten: %s", o.column, e.label, why)
	}
	return nil
}

// checkValues lets the server read each replacement as its column's type.
func (s *session) checkValues(ctx context.Context) error {
	for _, e := range s.entries {
		for _, o := range slices.Concat(e.set, e.mask) {
			if o.null || o.keyed() {
				continue
			}
			typ := s.cat.tables[e.name].columns[o.column].typ
			fits, err := s.reads(ctx, o.value, typ)
			if err != nil {
				return err
			}
			if !fits {
				return invalid(s.op, "checking the mapping: the new value of column %s of table %s is no %s", o.column, e.label, typ)
			}
		}
	}
	return nil
}

// reads reports whether the server takes the text as a value of the type.
func (s *session) reads(ctx context.Context, text, typ string) (bool, error) {
	if typ == "text" || strings.HasPrefix(typ, "character") {
		return true, nil
	}
	try, err := s.tx.Begin(ctx) // a savepoint: a refused value must not end the transaction
	if err != nil {
		return false, fault(s.op, "checking new values", err)
	}
	_, err = try.Exec(ctx, "SELECT $1::text::"+typ, text)
	var server *pgconn.PgError
	refused := errors.As(err, &server) && (strings.HasPrefix(server.Code, "22") || strings.HasPrefix(server.Code, "23"))
	if err != nil && !refused {
		return false, fault(s.op, "checking new values", err)
	}
	if err := try.Rollback(ctx); err != nil {
		return false, fault(s.op, "checking new values", err)
	}
	return !refused, nil
}
