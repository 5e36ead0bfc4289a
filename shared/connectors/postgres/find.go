package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// query collects the arguments and aliases of one statement.
type query struct {
	args    []any
	aliases int
}

func (q *query) arg(v any) string {
	q.args = append(q.args, v)
	return fmt.Sprintf("$%d", len(q.args))
}

func (q *query) alias() string {
	q.aliases++
	return fmt.Sprintf("j%d", q.aliases)
}

func quote(identifier string) string { return pgx.Identifier{identifier}.Sanitize() }

func (n name) sql() string { return pgx.Identifier{n.schema, n.table}.Sanitize() }

// never is a condition no row meets.
const never = "FALSE"

// tuple is the text of a key's columns.
type tuple []string

// owned is the condition under which the row with alias row is the person's by
// this entry and by none before it.
func (s *session) owned(q *query, e *entry, row string) string {
	cond := s.linked(q, e, e.own, row)
	for _, b := range e.earlier {
		cond += " AND (" + s.linked(q, b, b.own, row) + ") IS NOT TRUE"
	}
	return "(" + cond + ")"
}

// alone is owned, and nobody else's.
func (s *session) alone(q *query, e *entry, row string) string {
	return "(" + s.owned(q, e, row) + " AND (" + s.shared(q, e, row) + ") IS NOT TRUE)"
}

// mixed is owned, and somebody else's too.
func (s *session) mixed(q *query, e *entry, row string) string {
	return "(" + s.owned(q, e, row) + " AND " + s.shared(q, e, row) + ")"
}

// linked is the condition of one link of an entry.
func (s *session) linked(q *query, e *entry, l link, row string) string {
	if !l.direct() {
		return s.walk(q, e.name, l, row)
	}
	cond := never
	if mine := s.found.same[holder{e.name, l.column}]; len(mine) > 0 {
		// The first half can use an index, the second is exact under any collation.
		stored, a := row+"."+quote(l.column)+"::text", q.arg(mine)
		cond = fmt.Sprintf("(%s = ANY (%s::text[]) AND %s COLLATE \"C\" = ANY (%s::text[]))", stored, a, stored, a)
	}
	if l.column == e.own.column {
		return s.recognise(q, e, row, cond)
	}
	return cond
}

// walk follows the hops of a link to rows that are the person's, and in a read
// back also to keys that the footprint remembers of such rows.
func (s *session) walk(q *query, from name, l link, row string) string {
	h, next := l.hops[0], q.alias()
	var inner string
	if len(l.hops) > 1 {
		inner = s.walk(q, h.to, link{hops: l.hops[1:], ends: l.ends}, next)
	} else {
		inner = s.anyOwned(q, l.ends, next)
	}
	cond := fmt.Sprintf("EXISTS (SELECT 1 FROM %s AS %s WHERE %s AND %s)", h.to.sql(), next, h.joins(row, next), inner)
	if len(l.hops) > 1 || s.known == nil {
		return cond
	}
	// The row it led to may be gone or no longer tell whose it was.
	for _, end := range l.ends {
		if keys := s.known[end.keyKind(h.cols)]; len(keys) > 0 {
			cond += " OR " + within(q, row, h.from, s.cat.tables[from].types(h.from), keys)
		}
	}
	return "(" + cond + ")"
}

// anyOwned is the condition that a row is the person's by any of the entries.
func (s *session) anyOwned(q *query, entries []*entry, row string) string {
	var conds []string
	for _, e := range entries {
		conds = append(conds, s.linked(q, e, e.own, row))
		if keys := s.known[e.label]; len(keys) > 0 {
			r := s.cat.tables[e.name]
			conds = append(conds, within(q, row, r.primary, r.types(r.primary), keys))
		}
	}
	return "(" + strings.Join(conds, " OR ") + ")"
}

// shared is the condition under which somebody else owns the row too: an
// address that is not the person's, or a row of another person that is there.
func (s *session) shared(q *query, e *entry, row string) string {
	var conds []string
	for _, l := range e.others {
		if l.direct() {
			stored := row + "." + quote(l.column) + "::text"
			conds = append(conds, fmt.Sprintf("(btrim(%s) <> '' AND (%s) IS NOT TRUE)", stored, s.linked(q, e, l, row)))
			continue
		}
		conds = append(conds, s.walkOthers(q, l, row))
	}
	if len(conds) == 0 {
		return never
	}
	return "(" + strings.Join(conds, " OR ") + ")"
}

func (s *session) walkOthers(q *query, l link, row string) string {
	h, next := l.hops[0], q.alias()
	inner := "(" + s.anyOwned(q, l.ends, next) + ") IS NOT TRUE"
	if len(l.hops) > 1 {
		inner = s.walkOthers(q, link{hops: l.hops[1:], ends: l.ends}, next)
	}
	return fmt.Sprintf("EXISTS (SELECT 1 FROM %s AS %s WHERE %s AND %s)", h.to.sql(), next, h.joins(row, next), inner)
}

// joins is the join condition of a hop.
func (h hop) joins(row, next string) string {
	var conds []string
	for i := range h.from {
		conds = append(conds, fmt.Sprintf("%s.%s = %s.%s", next, quote(h.cols[i]), row, quote(h.from[i])))
	}
	return strings.Join(conds, " AND ")
}

// keyKind names, in a footprint, the keys by which other tables reach the
// entry's rows over cols.
func (e *entry) keyKind(cols []string) string { return e.label + "(" + strings.Join(cols, ", ") + ")" }

// within is the condition that the columns hold one of the keys.
func within(q *query, row string, cols, types []string, keys []tuple) string {
	var left, casts, names, arrays []string
	for i, c := range cols {
		left = append(left, row+"."+quote(c))
		names = append(names, fmt.Sprintf("c%d", i))
		casts = append(casts, fmt.Sprintf("k.c%d::%s", i, types[i]))
		part := make([]string, 0, len(keys))
		for _, k := range keys {
			part = append(part, k[i])
		}
		arrays = append(arrays, q.arg(part)+"::text[]")
	}
	return fmt.Sprintf("(%s) IN (SELECT %s FROM unnest(%s) AS k(%s))",
		strings.Join(left, ", "), strings.Join(casts, ", "), strings.Join(arrays, ", "), strings.Join(names, ", "))
}

// texts lists columns of a row as text, for keys.
func texts(row string, cols []string) []string {
	out := slices.Clone(cols)
	for i, c := range out {
		out[i] = row + "." + quote(c) + "::text"
	}
	return out
}
