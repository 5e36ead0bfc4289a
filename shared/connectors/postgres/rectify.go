package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// Rectify writes the corrected values into the columns that the mapping names
// for their fields, and into no other; in rows that are somebody else's too
// only into the person's own columns.
func (d *Driver) Rectify(ctx context.Context, t connector.Task, changes []dsr.Change) (connector.Receipt, error) {
	var all tallies
	err := d.write(ctx, dsr.Rectify, func(ctx context.Context, s *session) error {
		if err := s.match(ctx, mayAct(t.Identities)); err != nil {
			return err
		}
		todo, err := s.corrections(ctx, changes)
		if err != nil {
			return err
		}
		for _, e := range s.entries {
			if len(todo[e]) == 0 {
				continue
			}
			n, err := s.correct(ctx, e, todo[e])
			if err != nil {
				return err
			}
			all.add(e.category, dsr.Outcome{Kind: dsr.Rectified, Count: n})
		}
		return nil
	})
	if err != nil {
		return connector.Receipt{}, err
	}
	return connector.Receipt{Outcomes: all}, nil
}

// corrections sorts the changes by entry, and checks each before any is made.
func (s *session) corrections(ctx context.Context, changes []dsr.Change) (map[*entry][]overwrite, error) {
	todo := map[*entry][]overwrite{}
	for i, c := range changes {
		mapped := false
		for _, e := range s.entries {
			column, ok := e.rectify[c.Field]
			if !ok {
				continue
			}
			mapped = true
			o := overwrite{column: column, value: c.New}
			known := s.cat.tables[e.name].columns[column]
			fits, err := s.reads(ctx, o.value, known.typ)
			if err != nil {
				return nil, err
			}
			if !fits || known.longest > 0 && utf8.RuneCountInString(o.value) > known.longest {
				return nil, invalid(s.op, "correcting table %s: the new value does not fit column %s of type %s", e.label, column, known.typ)
			}
			todo[e] = append(todo[e], o)
		}
		if !mapped {
			return nil, invalid(s.op, "correcting field %d of %d: no table of the mapping names it under rectify", i+1, len(changes))
		}
	}
	return todo, nil
}

// correct overwrites an entry's rows and counts those that hold the new values.
func (s *session) correct(ctx context.Context, e *entry, by []overwrite) (int, error) {
	r := s.cat.tables[e.name]
	n := 0
	for _, shared := range []bool{false, true} {
		rows, mine := s.alone, by
		if shared {
			rows, mine = s.mixed, slices.DeleteFunc(slices.Clone(by), func(o overwrite) bool { return !slices.Contains(e.ownColumns, o.column) })
		}
		if len(mine) == 0 || shared && len(e.others) == 0 {
			continue
		}
		q := &query{}
		var sets []string
		for _, o := range mine {
			if slices.Contains(r.primary, o.column) || r.columns[o.column].generated {
				return 0, invalid(s.op, "correcting table %s: column %s is a key or set by the database alone", e.label, o.column)
			}
			sets = append(sets, fmt.Sprintf("%s = %s::text::%s", quote(o.column), q.arg(o.value), r.columns[o.column].typ))
		}
		sql := fmt.Sprintf("WITH w AS (UPDATE %s AS t SET %s WHERE %s RETURNING 1) SELECT count(*) FROM w",
			e.name.sql(), strings.Join(sets, ", "), rows(q, e, "t"))
		changed, err := s.number(ctx, "correcting table "+e.label, q, sql)
		if err != nil {
			return 0, err
		}
		n += changed
	}
	return n, nil
}
