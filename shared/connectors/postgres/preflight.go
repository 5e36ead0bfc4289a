package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// change is one way in which an erasure changes rows of an entry: rows that are
// the person's alone are deleted or overwritten, rows that are somebody else's
// too are masked.
type change struct {
	entry *entry
	rows  func(q *query, e *entry, row string) string
	by    []overwrite // nil: delete
}

// changes lists what an erasure does to a table's rows. No row meets two.
func (s *session) changes(n name) []change {
	var all []change
	for _, e := range s.entries {
		if e.name != n || !s.erases(e) {
			continue
		}
		all = append(all, change{entry: e, rows: s.alone, by: e.set})
		if len(e.mask) > 0 {
			all = append(all, change{entry: e, rows: s.mixed, by: e.mask})
		}
	}
	return all
}

// due is the condition of the rows that the change still has to change.
func (c change) due(s *session, q *query) string {
	cond := c.rows(q, c.entry, "t")
	if len(c.by) > 0 {
		cond += " AND NOT " + s.replaced(q, c.entry, c.by)
	}
	return cond
}

func (c change) overwrites(columns []string) bool {
	return slices.ContainsFunc(c.by, func(o overwrite) bool { return slices.Contains(columns, o.column) })
}

// preflight looks, before anything is changed, for rows whose new values would
// break a constraint and for rows that would be deleted along or stand in the
// way. The rows that will change are locked by now.
func (s *session) preflight(ctx context.Context) error {
	for _, e := range s.entries {
		for _, c := range s.changes(e.name) {
			if c.entry != e || len(c.by) == 0 {
				continue
			}
			if err := s.checkRows(ctx, c); err != nil {
				return err
			}
		}
	}
	for _, f := range s.cat.keys {
		if err := s.checkReferences(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// checkRows tries the new values against lengths, CHECK constraints, unique
// keys and foreign keys.
func (s *session) checkRows(ctx context.Context, c change) error {
	r := s.cat.tables[c.entry.name]
	refuse := func(q *query, what, sql string) error {
		n, err := s.number(ctx, "checking table "+c.entry.label, q, sql)
		if err == nil && n > 0 {
			err = invalid(s.op, "checking table %s: the new values of %d rows break %s; change set or mask in the mapping", c.entry.label, n, what)
		}
		return err
	}
	for _, o := range c.by {
		if longest := r.columns[o.column].longest; o.keyed() && longest > 0 {
			q := &query{}
			plain := strings.TrimSuffix(s.value(q, c.entry, o), "::"+r.columns[o.column].typ)
			if err := refuse(q, fmt.Sprintf("the length of column %s", o.column), fmt.Sprintf("SELECT count(*) FROM %s AS t WHERE %s AND length(%s) > %d",
				c.entry.name.sql(), c.due(s, q), plain, longest)); err != nil {
				return err
			}
		}
	}
	for _, ck := range r.checks {
		if !c.overwrites(ck.columns) {
			continue
		}
		q := &query{}
		if err := refuse(q, "the constraint "+ck.name, fmt.Sprintf("SELECT count(*) FROM (%s) AS n WHERE NOT (%s)",
			s.after(q, c, ck.columns), ck.expression)); err != nil {
			return err
		}
	}
	for _, key := range r.uniques {
		if !c.overwrites(key) {
			continue
		}
		var filled, same []string
		for _, k := range key {
			filled = append(filled, "n."+quote(k)+" IS NOT NULL")
			same = append(same, "t."+quote(k)+" = n."+quote(k))
		}
		what := "the unique key over " + strings.Join(key, ", ")
		q := &query{}
		if err := refuse(q, what, fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM (%s) AS n WHERE %s GROUP BY %s HAVING count(*) > 1) AS twice",
			s.after(q, c, key), strings.Join(filled, " AND "), order("n", key))); err != nil {
			return err
		}
		q = &query{}
		if err := refuse(q, what, fmt.Sprintf("SELECT count(*) FROM (%s) AS n JOIN %s AS t ON %s WHERE (%s) IS NOT TRUE",
			s.after(q, c, key), c.entry.name.sql(), strings.Join(same, " AND "), c.due(s, q))); err != nil {
			return err
		}
	}
	for _, f := range s.cat.keys {
		if f.from != c.entry.name || !c.overwrites(f.cols) {
			continue
		}
		var filled, same []string
		for i := range f.cols {
			filled = append(filled, "n."+quote(f.cols[i])+" IS NOT NULL")
			same = append(same, "o."+quote(f.refs[i])+" = n."+quote(f.cols[i]))
		}
		q := &query{}
		if err := refuse(q, "the foreign key "+f.name, fmt.Sprintf("SELECT count(*) FROM (%s) AS n WHERE %s AND NOT EXISTS (SELECT 1 FROM %s AS o WHERE %s)",
			s.after(q, c, f.cols), strings.Join(filled, " AND "), f.to.sql(), strings.Join(same, " AND "))); err != nil {
			return err
		}
	}
	return nil
}

// after selects columns of the rows of a change as they will be.
func (s *session) after(q *query, c change, columns []string) string {
	var exprs []string
	for _, col := range columns {
		expr := "t." + quote(col)
		for _, o := range c.by {
			if o.column == col {
				expr = s.value(q, c.entry, o)
			}
		}
		exprs = append(exprs, expr+" AS "+quote(col))
	}
	return fmt.Sprintf("SELECT %s FROM %s AS t WHERE %s", strings.Join(exprs, ", "), c.entry.name.sql(), c.due(s, q))
}

// checkReferences looks for rows that reference one to be deleted and neither
// go themselves nor let go of it: the delete would fail on them, or take them
// along.
func (s *session) checkReferences(ctx context.Context, f foreignKey) error {
	q := &query{}
	var gone, goes []string
	for _, c := range s.changes(f.to) {
		if c.by == nil {
			gone = append(gone, c.rows(q, c.entry, "t"))
		}
	}
	if len(gone) == 0 {
		return nil
	}
	strict := false
	from := s.cat.tables[f.from]
	for _, col := range f.cols {
		strict = strict || from.columns[col].notNull
	}
	if f.softens() && !strict {
		return nil
	}
	for _, c := range s.changes(f.from) {
		if c.by == nil || c.overwrites(f.cols) {
			goes = append(goes, c.rows(q, c.entry, "r"))
		}
	}
	if len(goes) == 0 {
		goes = []string{never}
	}
	var same []string
	for i := range f.cols {
		same = append(same, "t."+quote(f.refs[i])+" = r."+quote(f.cols[i]))
	}
	n, err := s.number(ctx, "checking what references table "+f.to.String(), q,
		fmt.Sprintf("SELECT count(*) FROM %s AS r WHERE EXISTS (SELECT 1 FROM %s AS t WHERE %s AND (%s)) AND (%s) IS NOT TRUE",
			f.from.sql(), f.to.sql(), strings.Join(same, " AND "), strings.Join(gone, " OR "), strings.Join(goes, " OR ")))
	if err == nil && n > 0 {
		err = invalid(s.op, "checking table %s: %d rows of table %s stay and reference rows that are to be deleted (%s); anonymise %s, or overwrite %s", f.to, n, f.from, f.name, f.to, strings.Join(f.cols, ", "))
	}
	return err
}
