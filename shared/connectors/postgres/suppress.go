package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// Suppress sets the marks that the mapping names for a purpose, in every row of
// the person: the company's own programs obey them. A mark speaks also for the
// rows that a path leads from to marked ones. A category in which a row of the
// person has neither gets no outcome, and a purpose without any mark is
// Unsupported: then a person sees to it. A mark is never taken back here.
func (d *Driver) Suppress(ctx context.Context, t connector.Task, p dsr.Purpose) (connector.Receipt, error) {
	if !slices.ContainsFunc(d.entries, func(e *entry) bool { return e.marks[p] != "" }) {
		return connector.Receipt{}, &connector.Error{Kind: connector.Unsupported, Op: dsr.Suppress, Err: fmt.Errorf("marking: no table of the mapping has a mark for %s", p)}
	}
	var all tallies
	err := d.write(ctx, dsr.Suppress, func(ctx context.Context, s *session) error {
		if err := s.match(ctx, mayAct(t.Identities)); err != nil {
			return err
		}
		if err := s.checkMarks(p); err != nil {
			return err
		}
		held, open := map[string]int{}, map[*entry]bool{}
		for _, e := range s.entries {
			if err := s.mark(ctx, e, p); err != nil {
				return err
			}
			n, covered, err := s.marked(ctx, e, p)
			if err != nil {
				return err
			}
			held[e.category] += n
			open[e] = n > covered
		}
		bare := map[string]bool{}
		for _, e := range s.entries {
			bare[e.category] = bare[e.category] || open[e] && !(e.marks[p] == "" && e.led(p, open))
		}
		for _, e := range s.entries {
			if !bare[e.category] {
				all.add(e.category, dsr.Outcome{Kind: dsr.Suppressed, Count: held[e.category]})
				held[e.category] = 0
			}
		}
		return nil
	})
	if err != nil {
		return connector.Receipt{}, err
	}
	return connector.Receipt{Outcomes: all}, nil
}

// speaks is the condition that an entry's row may carry the person's mark: it is
// theirs alone, or the mark's column is.
func (s *session) speaks(q *query, e *entry, p dsr.Purpose) string {
	if len(e.others) == 0 || slices.Contains(e.ownColumns, e.marks[p]) {
		return s.owned(q, e, "t")
	}
	return s.alone(q, e, "t")
}

// mark sets the mark of an entry's rows that have none yet.
func (s *session) mark(ctx context.Context, e *entry, p dsr.Purpose) error {
	column := e.marks[p]
	if column == "" {
		return nil
	}
	q := &query{}
	set, unset := "TRUE", "IS NOT TRUE"
	if s.cat.tables[e.name].columns[column].typ != "boolean" {
		set, unset = "now()", "IS NULL"
	}
	sql := fmt.Sprintf("UPDATE %s AS t SET %s = %s WHERE t.%s %s AND %s", e.name.sql(), quote(column), set, quote(column), unset, s.speaks(q, e, p))
	if _, err := s.tx.Exec(ctx, sql, q.args...); err != nil {
		return fault(s.op, "marking table "+e.label, err)
	}
	return nil
}

// marked counts the person's rows of an entry and, of them, those with a mark of
// their own, as they are in the database now.
func (s *session) marked(ctx context.Context, e *entry, p dsr.Purpose) (held, covered int, err error) {
	if held, err = s.count(ctx, e, s.owned); err != nil || held == 0 {
		return held, 0, err
	}
	column := e.marks[p]
	if column == "" {
		return held, 0, nil
	}
	covered, err = s.count(ctx, e, func(q *query, e *entry, row string) string {
		is := "IS NOT NULL"
		if s.cat.tables[e.name].columns[column].typ == "boolean" {
			is = "IS TRUE"
		}
		return fmt.Sprintf("%s.%s %s AND %s", row, quote(column), is, s.speaks(q, e, p))
	})
	return held, covered, err
}

// led reports whether the entry's rows are found over rows that all have the
// mark; open are the entries with rows that have none.
func (e *entry) led(p dsr.Purpose, open map[*entry]bool) bool {
	return !e.own.direct() && !slices.ContainsFunc(e.own.ends, func(end *entry) bool {
		return open[end] && (end.marks[p] != "" || !end.led(p, open))
	})
}

// checkMarks refuses a mark that the database cannot take.
func (s *session) checkMarks(p dsr.Purpose) error {
	for _, e := range s.entries {
		column := e.marks[p]
		if column == "" {
			continue
		}
		c := s.cat.tables[e.name].columns[column]
		if c.generated || c.typ != "boolean" && c.typ != "date" && !strings.HasPrefix(c.typ, "timestamp") {
			return invalid(s.op, "checking the mapping: column %s of table %s cannot be a mark: it must be a boolean, a date or a timestamp that a role can write", column, e.label)
		}
	}
	return nil
}
