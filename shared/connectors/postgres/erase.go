package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// Erase deletes, anonymises and masks the person's rows in one transaction: all
// of it or nothing. It acts on the rows that are the person's at that moment
// and whose they are is decided anew, so that a second call finds nothing to
// do; what the footprint names and is gone already counts as erased.
func (d *Driver) Erase(ctx context.Context, t connector.Task) (connector.Receipt, error) {
	d, err := d.of(t)
	if err != nil {
		return connector.Receipt{}, err
	}
	var all tallies
	err = d.write(ctx, dsr.Erase, func(ctx context.Context, s *session) error {
		s.task = t
		if err := s.match(ctx, mayAct(t.Identities)); err != nil {
			return err
		}
		if err := s.checkErasable(); err != nil {
			return err
		}
		if err := s.checkValues(ctx); err != nil {
			return err
		}
		groups := s.groups()
		expected, err := s.lockRows(ctx, groups)
		if err != nil {
			return err
		}
		if err := s.preflight(ctx); err != nil {
			return err
		}
		if err := s.before(ctx, t.Footprint, &all); err != nil {
			return err
		}
		for _, g := range groups {
			if err := s.carryOut(ctx, g, expected, &all); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return connector.Receipt{}, err
	}
	return connector.Receipt{Outcomes: all}, nil
}

// lockRows locks the rows that will change, parents first: no row that
// references a locked one can be added, and none of them can change hands. It
// returns how many rows each entry will change.
func (s *session) lockRows(ctx context.Context, groups [][]name) (map[string]int, error) {
	expected := map[string]int{}
	for _, g := range slices.Backward(groups) {
		for _, n := range g {
			for _, c := range s.changes(n) {
				q := &query{}
				rows, err := s.number(ctx, "locking rows of table "+c.entry.label, q,
					fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM %s AS t WHERE %s FOR UPDATE OF t) AS locked", n.sql(), c.due(s, q)))
				if err != nil {
					return nil, err
				}
				expected[c.entry.label] += rows
			}
		}
	}
	return expected, nil
}

// before counts what stays, and what an earlier call has done already. It must
// run before the change: once a person's account is anonymised, the way from
// what stays to the person is gone.
func (s *session) before(ctx context.Context, f connector.Footprint, all *tallies) error {
	var err error
	if s.known, err = s.recall(f); err != nil {
		return err
	}
	defer func() { s.known = nil }()
	for _, e := range s.entries {
		if !s.task.Wants(e.category) {
			continue
		}
		seen, err := s.look(ctx, e)
		if err != nil {
			return err
		}
		all.add(e.category, dsr.Outcome{Kind: dsr.Kept, Count: seen.kept(e), Rule: e.rule})
		switch e.action {
		case Delete:
			gone, err := s.gone(ctx, e)
			if err != nil {
				return err
			}
			all.add(e.category, dsr.Outcome{Kind: dsr.Erased, Count: gone})
		case Anonymise:
			all.add(e.category, dsr.Outcome{Kind: dsr.Anonymised, Count: seen.aloneDone})
		}
		all.add(e.category, dsr.Outcome{Kind: dsr.Anonymised, Count: seen.mixedDone})
	}
	return nil
}

// gone counts the rows of the footprint that are not there any more.
func (s *session) gone(ctx context.Context, e *entry) (int, error) {
	keys := s.known[e.label]
	if len(keys) == 0 {
		return 0, nil
	}
	r := s.cat.tables[e.name]
	there, err := s.count(ctx, e, func(q *query, _ *entry, row string) string {
		return within(q, row, r.primary, r.types(r.primary), keys)
	})
	return len(keys) - there, err
}

// carryOut changes the tables of one group in one statement, so that each part
// of it judges the rows as they were before, and counts what changed.
func (s *session) carryOut(ctx context.Context, group []name, expected map[string]int, all *tallies) error {
	q := &query{}
	var parts, counts []string
	var changes []change
	for _, n := range group {
		for _, c := range s.changes(n) {
			w := fmt.Sprintf("w%d", len(parts))
			parts = append(parts, fmt.Sprintf("%s AS (%s)", w, s.statement(q, c)))
			counts = append(counts, fmt.Sprintf("(SELECT count(*) FROM %s WHERE done)", w))
			changes = append(changes, c)
		}
	}
	changed := make([]int, len(changes))
	into := make([]any, len(changes))
	for i := range changed {
		into[i] = &changed[i]
	}
	sql := "WITH " + strings.Join(parts, ", ") + " SELECT " + strings.Join(counts, ", ")
	if err := s.tx.QueryRow(ctx, sql, q.args...).Scan(into...); err != nil {
		return fault(s.op, "erasing from "+names(group), err)
	}
	for i, c := range changes {
		expected[c.entry.label] -= changed[i]
		kind := dsr.Anonymised
		if c.by == nil {
			kind = dsr.Erased
		}
		all.add(c.entry.category, dsr.Outcome{Kind: kind, Count: changed[i]})
	}
	for _, c := range changes {
		if left := expected[c.entry.label]; left > 0 {
			return invalid(s.op, "erasing from %s: the database left %d rows of table %s as they were; look for a trigger that stops or alters the change", names(group), left, c.entry.label)
		}
	}
	return nil
}

// statement deletes or overwrites the rows of one change. A row is done when
// it is gone or, whatever a trigger made of it, holds every new value.
func (s *session) statement(q *query, c change) string {
	if c.by == nil {
		return fmt.Sprintf("DELETE FROM %s AS t WHERE %s RETURNING TRUE AS done", c.entry.name.sql(), c.due(s, q))
	}
	var sets []string
	for _, o := range c.by {
		sets = append(sets, quote(o.column)+" = "+s.value(q, c.entry, o))
	}
	return fmt.Sprintf("UPDATE %s AS t SET %s WHERE %s RETURNING %s AS done",
		c.entry.name.sql(), strings.Join(sets, ", "), c.due(s, q), s.replaced(q, c.entry, c.by))
}

func names(group []name) string {
	var all []string
	for _, n := range group {
		all = append(all, n.String())
	}
	return strings.Join(all, ", ")
}
