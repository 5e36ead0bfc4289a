package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// A footprint is kept in one item of the ledger, so it names rows up to a
// limit; its counts are exact. Rows that other tables' paths lead to are what a
// later look needs to find the rest once they are gone, hence their own limit.
const (
	namedRows   = 200
	reachedRows = 2000
	yieldLimit  = 100
)

// Locate counts the person's rows per category and names them by primary key.
// A row whose owner column differs from the person's address in case alone is a
// candidate for a person to decide on.
func (d *Driver) Locate(ctx context.Context, t connector.Task) (connector.Footprint, error) {
	if t.Expired != nil {
		return d.expired(ctx, *t.Expired)
	}
	d, err := d.of(t)
	if err != nil {
		return connector.Footprint{}, err
	}
	f := connector.Footprint{Counts: map[string]int{}}
	err = d.read(ctx, dsr.Locate, d.statement, func(ctx context.Context, s *session) error {
		if err := s.match(ctx, mayLocate(t.Identities)); err != nil {
			return err
		}
		for _, e := range s.entries {
			if err := s.name(ctx, e, &f); err != nil {
				return err
			}
			if err := s.yield(ctx, e, &f); err != nil {
				return err
			}
			if err := s.candidates(ctx, e, &f); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return connector.Footprint{}, err
	}
	return f, nil
}

// name adds the entry's rows and their number.
func (s *session) name(ctx context.Context, e *entry, f *connector.Footprint) error {
	limit := namedRows
	if e.reached {
		limit = reachedRows
	}
	r := s.cat.tables[e.name]
	kinds, cols := []string{e.label}, [][]string{r.primary}
	for _, by := range s.reachedBy(e) {
		if !slices.Equal(by, r.primary) {
			kinds, cols = append(kinds, e.keyKind(by)), append(cols, by)
		}
	}
	var selected []string
	for _, c := range cols {
		selected = append(selected, "jsonb_build_array("+strings.Join(texts("t", c), ", ")+")::text")
	}
	q := &query{}
	sql := fmt.Sprintf("SELECT %s FROM %s AS t WHERE %s ORDER BY %s LIMIT %d",
		strings.Join(selected, ", "), e.name.sql(), s.owned(q, e, "t"), order("t", r.primary), limit+1)
	rows, err := s.tx.Query(ctx, sql, q.args...)
	if err != nil {
		return fault(s.op, "looking in table "+e.label, err)
	}
	n := 0
	ids := make([]string, len(cols))
	into := make([]any, len(cols))
	for i := range ids {
		into[i] = &ids[i]
	}
	_, err = pgx.ForEachRow(rows, into, func() error {
		if n++; n > limit {
			return nil
		}
		for i, id := range ids {
			f.Records = append(f.Records, connector.Record{Kind: kinds[i], ID: id})
		}
		return nil
	})
	if err != nil {
		return fault(s.op, "looking in table "+e.label, err)
	}
	if n > limit {
		if n, err = s.count(ctx, e, s.owned); err != nil {
			return err
		}
	}
	if n > 0 {
		f.Counts[e.category] += n
	}
	return nil
}

// reachedBy lists the columns over which paths end at the entry, each once.
func (s *session) reachedBy(e *entry) [][]string {
	var all [][]string
	for _, other := range s.entries {
		for _, l := range other.links() {
			if !slices.Contains(l.ends, e) {
				continue
			}
			by := l.hops[len(l.hops)-1].cols
			if !slices.ContainsFunc(all, func(c []string) bool { return slices.Equal(c, by) }) {
				all = append(all, by)
			}
		}
	}
	return all
}

// yield adds identifiers that the company's own records hold for other systems.
// Rows that somebody else owns too yield nothing: it might be theirs.
func (s *session) yield(ctx context.Context, e *entry, f *connector.Footprint) error {
	for _, y := range e.yields {
		q := &query{}
		stored := "t." + quote(y.column) + "::text"
		rows, err := s.tx.Query(ctx, fmt.Sprintf("SELECT DISTINCT %s FROM %s AS t WHERE %s <> '' AND %s ORDER BY 1 LIMIT %d",
			stored, e.name.sql(), stored, s.alone(q, e, "t"), yieldLimit+1), q.args...)
		if err != nil {
			return fault(s.op, "reading identifiers from table "+e.label, err)
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fault(s.op, "reading identifiers from table "+e.label, err)
		}
		if len(ids) > yieldLimit {
			return invalid(s.op, "reading identifiers from table %s: column %s yields more than %d of one person; map a table with one row per person", e.label, y.column, yieldLimit)
		}
		for _, id := range ids {
			i := dsr.Identity{Kind: y.kind, Value: id, Origin: dsr.SystemOfRecord}
			if !slices.Contains(f.Yields, i) {
				f.Yields = append(f.Yields, i)
			}
		}
	}
	return nil
}

func (s *session) candidates(ctx context.Context, e *entry, f *connector.Footprint) error {
	near := s.found.caseOnly[holder{e.name, e.own.column}]
	if !e.own.direct() || len(near) == 0 {
		return nil
	}
	n, err := s.count(ctx, e, func(q *query, e *entry, row string) string {
		return fmt.Sprintf("%s.%s::text COLLATE \"C\" = ANY (%s::text[])", row, quote(e.own.column), q.arg(near))
	})
	f.Candidates += n
	return err
}

// count counts the rows of the entry that meet a condition.
func (s *session) count(ctx context.Context, e *entry, cond func(*query, *entry, string) string) (int, error) {
	q := &query{}
	return s.number(ctx, "counting rows of table "+e.label, q,
		fmt.Sprintf("SELECT count(*) FROM %s AS t WHERE %s", e.name.sql(), cond(q, e, "t")))
}

// number runs a query that answers one number.
func (s *session) number(ctx context.Context, doing string, q *query, sql string) (int, error) {
	var n int
	if err := s.tx.QueryRow(ctx, sql, q.args...).Scan(&n); err != nil {
		return 0, fault(s.op, doing, err)
	}
	return n, nil
}

func order(row string, cols []string) string {
	out := make([]string, len(cols))
	for i, c := range cols {
		out[i] = row + "." + quote(c)
	}
	return strings.Join(out, ", ")
}

// recall takes the keys out of a footprint, for a later look.
func (s *session) recall(f connector.Footprint) (map[string][]tuple, error) {
	width := map[string]int{}
	for _, e := range s.entries {
		width[e.label] = len(s.cat.tables[e.name].primary)
		for _, by := range s.reachedBy(e) {
			width[e.keyKind(by)] = len(by)
		}
	}
	known := map[string][]tuple{}
	for _, r := range f.Records {
		var values []*string
		err := json.Unmarshal([]byte(r.ID), &values)
		if err != nil || width[r.Kind] == 0 || width[r.Kind] != len(values) {
			return nil, invalid(s.op, "reading what was located: a record does not fit the mapping, which has changed since; locate again")
		}
		if slices.Contains(values, nil) { // a join column that is empty leads nowhere
			continue
		}
		k := make(tuple, len(values))
		for i, v := range values {
			k[i] = *v
		}
		known[r.Kind] = append(known[r.Kind], k)
	}
	for _, e := range s.entries {
		if kind := e.keyKind(s.cat.tables[e.name].primary); width[kind] > 0 {
			known[kind] = known[e.label]
		}
	}
	return known, nil
}
