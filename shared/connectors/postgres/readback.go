package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// ReadBack looks for the person's rows again: by their identities, by the
// primary keys in the footprint, and by the keys over which other tables
// reached rows that may be gone. A replaced value counts as gone only while it
// is the one that the mapping puts there.
func (d *Driver) ReadBack(ctx context.Context, t connector.Task, _ connector.Receipt) (connector.Evidence, error) {
	d, err := d.of(t)
	if err != nil {
		return connector.Evidence{}, err
	}
	seen := connector.Evidence{Remaining: map[string]int{}, Kept: map[string]int{}}
	err = d.read(ctx, dsr.ReadBack, d.statement, func(ctx context.Context, s *session) error {
		s.task = t
		if err := s.match(ctx, mayAct(t.Identities)); err != nil {
			return err
		}
		var err error
		if s.known, err = s.recall(t.Footprint); err != nil {
			return err
		}
		for _, e := range s.entries {
			if !t.Wants(e.category) {
				continue
			}
			l, err := s.look(ctx, e)
			if err != nil {
				return err
			}
			if n := l.remaining(e); n > 0 {
				seen.Remaining[e.category] += n
			}
			if n := l.kept(e); n > 0 {
				seen.Kept[e.category] += n
			}
		}
		if len(t.Changes) == 0 {
			return nil
		}
		seen.Unchanged, err = s.unchanged(ctx, t.Changes)
		return err
	})
	if err != nil {
		return connector.Evidence{}, err
	}
	return seen, nil
}

// sight counts the rows of an entry that are, or were, the person's.
type sight struct {
	alone, aloneDone int // nobody else's: as they were, and with every value replaced
	mixed, mixedDone int // somebody else's too: the same
}

func (l sight) remaining(e *entry) int {
	switch {
	case e.action == Keep:
		return 0
	case len(e.mask) == 0: // shared rows stay under the rule
		return l.alone
	}
	return l.alone + l.mixed
}

func (l sight) kept(e *entry) int {
	switch {
	case e.action == Keep:
		return l.alone + l.mixed
	case len(e.mask) == 0:
		return l.mixed
	}
	return 0
}

// look counts what there is of an entry, with the keys that are known.
func (s *session) look(ctx context.Context, e *entry) (sight, error) {
	q := &query{}
	r := s.cat.tables[e.name]
	here := s.owned(q, e, "t")
	if keys := s.known[e.label]; len(keys) > 0 {
		here += " OR " + within(q, "t", r.primary, r.types(r.primary), keys)
	}
	sql := fmt.Sprintf(`SELECT count(*) FILTER (WHERE NOT x.m AND NOT x.a), count(*) FILTER (WHERE NOT x.m AND x.a),
       count(*) FILTER (WHERE x.m AND NOT x.b), count(*) FILTER (WHERE x.m AND x.b)
FROM (SELECT (%s) IS TRUE AS m, %s AS a, %s AS b FROM %s AS t WHERE %s) AS x`,
		s.shared(q, e, "t"), s.replaced(q, e, e.set), s.replaced(q, e, e.mask), e.name.sql(), here)
	var l sight
	if err := s.tx.QueryRow(ctx, sql, q.args...).Scan(&l.alone, &l.aloneDone, &l.mixed, &l.mixedDone); err != nil {
		return sight{}, fault(s.op, "looking again in table "+e.label, err)
	}
	return l, nil
}

// replaced is the condition that a row of alias t holds every new value.
func (s *session) replaced(q *query, e *entry, by []overwrite) string {
	if len(by) == 0 {
		return never
	}
	var conds []string
	for _, o := range by {
		// Compared as text, because some types know no equality.
		conds = append(conds, fmt.Sprintf("t.%s::text IS NOT DISTINCT FROM (%s)::text", quote(o.column), s.value(q, e, o)))
	}
	return "(" + strings.Join(conds, " AND ") + ")"
}

// value is the expression that takes the column's place in a row of alias t.
func (s *session) value(q *query, e *entry, o overwrite) string {
	r := s.cat.tables[e.name]
	typ := r.columns[o.column].typ
	switch {
	case o.null:
		return "NULL::" + typ
	case o.keyed():
		return fmt.Sprintf("replace(%s::text, '{key}', concat_ws('-', %s))::%s", q.arg(o.value), strings.Join(texts("t", r.primary), ", "), typ)
	}
	return q.arg(o.value) + "::text::" + typ
}
