package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// Rectify writes the corrected values into the columns that the mapping names
// for their fields, and into no other; in rows that are somebody else's too
// only into the person's own columns. Where the address changes by which the
// rows are found, only rows of the footprint change: who has the new address
// already is somebody else.
func (d *Driver) Rectify(ctx context.Context, t connector.Task, changes []dsr.Change) (connector.Receipt, error) {
	var all tallies
	var before, after []string
	err := d.write(ctx, dsr.Rectify, func(ctx context.Context, s *session) error {
		s.task = t
		todo, err := s.corrections(ctx, changes)
		if err != nil {
			return err
		}
		if err := s.matchMoving(ctx, todo); err != nil {
			return err
		}
		for _, e := range s.entries {
			if len(todo[e]) == 0 {
				continue
			}
			old, err := s.correct(ctx, e, todo[e])
			if err != nil {
				return err
			}
			all.add(e.category, dsr.Outcome{Kind: dsr.Rectified, Count: len(old)})
			for _, row := range old {
				before = append(before, row...)
				for _, o := range todo[e] {
					after = append(after, o.value)
				}
			}
		}
		return nil
	})
	if err != nil {
		return connector.Receipt{}, err
	}
	return connector.Receipt{Outcomes: all, Refs: t.Changed(before, after)}, nil
}

// corrections sorts the changes by entry, and checks each before any is made.
func (s *session) corrections(ctx context.Context, changes []dsr.Change) (map[*entry][]overwrite, error) {
	todo := map[*entry][]overwrite{}
	for i, c := range changes {
		mapped := false
		for _, e := range s.entries {
			column, ok := e.rectify[c.Field]
			if !ok || !s.task.Wants(e.category) {
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
			if slices.Contains(s.cat.tables[e.name].primary, column) || known.generated {
				return nil, invalid(s.op, "correcting table %s: column %s is a key or set by the database alone", e.label, column)
			}
			todo[e] = append(todo[e], o)
		}
		if !mapped {
			return nil, &connector.Error{Kind: connector.Unsupported, Op: s.op, Err: fmt.Errorf("correcting field %d of %d: no table of the mapping names it under rectify", i+1, len(changes))}
		}
	}
	return todo, nil
}

// moving is the new address of an entry's owner column, or "".
func (e *entry) moving(by []overwrite) string {
	for _, o := range by {
		if e.addressed(o.column) {
			return o.value
		}
	}
	return ""
}

// matchMoving finds the person's rows. Where their address changes, a call after
// a lost answer finds them under the new one, among the rows of the footprint; a
// row that has the new address and is not among them stops the correction.
func (s *session) matchMoving(ctx context.Context, todo map[*entry][]overwrite) error {
	mine := mayAct(s.task.Identities)
	var address string
	for e, by := range todo {
		if to := e.moving(by); to != "" {
			address = to
		}
	}
	if address == "" {
		return s.match(ctx, mine)
	}
	moved := dsr.Identity{Kind: dsr.Email, Value: address, Origin: dsr.Proved}
	if _, err := dsr.ParseAddress(address); err != nil {
		return invalid(s.op, "correcting an address: the new value is no mail address")
	}
	var err error
	if s.named, err = s.recall(s.task.Footprint); err != nil {
		return err
	}
	if err := s.match(ctx, []dsr.Identity{moved}); err != nil {
		return err
	}
	for e, by := range todo {
		if e.moving(by) == "" {
			continue
		}
		n, err := s.count(ctx, e, func(q *query, e *entry, row string) string {
			return s.linked(q, e, e.own, row) + " AND NOT " + s.among(q, e, row)
		})
		if err != nil {
			return err
		}
		if n > 0 {
			return invalid(s.op, "correcting table %s: another record has the new address already", e.label)
		}
	}
	if err := s.match(ctx, append(mine, moved)); err != nil {
		return err
	}
	for e, by := range todo { // a table that is corrected first must not hide what it leads to
		if h := (holder{e.name, e.own.column}); e.moving(by) != "" && !slices.Contains(s.found.same[h], address) {
			s.found.same[h] = append(s.found.same[h], address)
		}
	}
	return nil
}

// among is the condition that a row is one that the footprint names.
func (s *session) among(q *query, e *entry, row string) string {
	keys := s.named[e.label]
	if len(keys) == 0 {
		return never
	}
	r := s.cat.tables[e.name]
	return within(q, row, r.primary, r.types(r.primary), keys)
}

// part is a share of an entry's rows and what may be written there.
type part struct {
	rows func(q *query, e *entry, row string) string
	by   []overwrite
}

// parts are the rows that are the person's alone, which take every value, and
// those that are somebody else's too, which take the person's own columns.
func (s *session) parts(e *entry, by []overwrite) []part {
	all := []part{{s.alone, by}}
	own := slices.DeleteFunc(slices.Clone(by), func(o overwrite) bool { return !slices.Contains(e.ownColumns, o.column) })
	if len(e.others) > 0 && len(own) > 0 {
		all = append(all, part{s.mixed, own})
	}
	return all
}

// correct overwrites an entry's rows and returns what each held before.
func (s *session) correct(ctx context.Context, e *entry, by []overwrite) ([][]string, error) {
	r := s.cat.tables[e.name]
	var all [][]string
	for _, p := range s.parts(e, by) {
		q := &query{}
		var sets, olds []string
		for _, o := range p.by {
			sets = append(sets, fmt.Sprintf("%s = %s::text::%s", quote(o.column), q.arg(o.value), r.columns[o.column].typ))
			olds = append(olds, "coalesce(o."+quote(o.column)+"::text, '')")
		}
		where := p.rows(q, e, "t")
		if s.named != nil {
			where += " AND " + s.among(q, e, "t")
		}
		var same []string
		for _, k := range r.primary {
			same = append(same, "o."+quote(k)+" = t."+quote(k))
		}
		// The join reads the row as it was; the lock holds it meanwhile.
		sql := fmt.Sprintf("WITH o AS (SELECT t.* FROM %s AS t WHERE %s ORDER BY %s FOR UPDATE OF t) UPDATE %s AS t SET %s FROM o WHERE %s RETURNING ARRAY[%s]::text[]",
			e.name.sql(), where, order("t", r.primary), e.name.sql(), strings.Join(sets, ", "), strings.Join(same, " AND "), strings.Join(olds, ", "))
		rows, err := s.tx.Query(ctx, sql, q.args...)
		if err != nil {
			return nil, fault(s.op, "correcting table "+e.label, err)
		}
		old, err := pgx.CollectRows(rows, pgx.RowTo[[]string])
		if err != nil {
			return nil, fault(s.op, "correcting table "+e.label, err)
		}
		all = append(all, old...)
	}
	slices.SortFunc(all, slices.Compare)
	return all, nil
}

// unchanged counts, by category, the person's rows in which a corrected field
// reads otherwise: those found as ever, and those that the footprint names. A
// field that no table has is Unsupported.
func (s *session) unchanged(ctx context.Context, changes []dsr.Change) (map[string]int, error) {
	todo, err := s.corrections(ctx, changes)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, e := range s.entries {
		if len(todo[e]) == 0 {
			continue
		}
		r := s.cat.tables[e.name]
		for _, shared := range []bool{false, true} {
			by := todo[e]
			if shared {
				by = slices.DeleteFunc(slices.Clone(by), func(o overwrite) bool { return !slices.Contains(e.ownColumns, o.column) })
			}
			if len(by) == 0 || shared && len(e.others) == 0 {
				continue
			}
			q := &query{}
			var differs []string
			for _, o := range by {
				differs = append(differs, fmt.Sprintf("t.%s::text IS DISTINCT FROM %s::text::%s::text", quote(o.column), q.arg(o.value), r.columns[o.column].typ))
			}
			mine := s.owned(q, e, "t")
			if keys := s.known[e.label]; len(keys) > 0 {
				mine += " OR " + within(q, "t", r.primary, r.types(r.primary), keys)
			}
			is := "IS NOT TRUE"
			if shared {
				is = "IS TRUE"
			}
			n, err := s.number(ctx, "looking at what was corrected in table "+e.label, q, fmt.Sprintf("SELECT count(*) FROM %s AS t WHERE (%s) AND (%s) %s AND (%s)",
				e.name.sql(), mine, s.shared(q, e, "t"), is, strings.Join(differs, " OR ")))
			if err != nil {
				return nil, err
			}
			if n > 0 {
				counts[e.category] += n
			}
		}
	}
	return counts, nil
}
