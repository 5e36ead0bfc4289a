package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// expired lists people of whom every row of a category is older than the
// company keeps it, by the column that retain_from names: an empty one does not
// expire. Whose a row is, is decided as in every other step, so an address that
// is written in two ways is looked up in both.
func (d *Driver) expired(ctx context.Context, x connector.Expired) (connector.Footprint, error) {
	var f connector.Footprint
	err := d.read(ctx, dsr.Locate, d.statement, func(ctx context.Context, s *session) error {
		i := slices.IndexFunc(s.entries, func(e *entry) bool { return e.category == x.Category && e.retainFrom != "" })
		if i < 0 {
			return &connector.Error{Kind: connector.Unsupported, Op: s.op, Err: fmt.Errorf("looking for what has expired: no table of category %s has retain_from in the mapping", x.Category)}
		}
		// The first table leads; of the others, a row that still runs spares its person.
		e := s.entries[i]
		owners, err := s.expiredOwners(ctx, e, x)
		if err != nil {
			return err
		}
		for _, owner := range owners {
			identity := dsr.Identity{Kind: e.own.kind, Value: owner, Origin: dsr.SystemOfRecord}
			if _, err := dsr.ParseAddress(owner); e.own.kind == dsr.Email && err != nil {
				continue // no address: nobody could be told apart by it
			}
			if err := s.match(ctx, []dsr.Identity{identity}); err != nil {
				return err
			}
			since, runs, err := s.period(ctx, x)
			if err != nil {
				return err
			}
			if !runs {
				f.People = append(f.People, connector.Overdue{Identities: []dsr.Identity{identity}, Since: since})
			}
		}
		if len(owners) == x.Limit {
			f.Next = owners[len(owners)-1]
		}
		return nil
	})
	if err != nil {
		return connector.Footprint{}, err
	}
	return f, nil
}

// expiredOwners reads a page of owners of whom this table has no row that runs.
func (s *session) expiredOwners(ctx context.Context, e *entry, x connector.Expired) ([]string, error) {
	q := &query{}
	owner, from := "t."+quote(e.own.column)+"::text COLLATE \"C\"", "t."+quote(e.retainFrom)
	sql := fmt.Sprintf("SELECT %s FROM %s AS t WHERE btrim(%s) <> '' AND %s > %s GROUP BY 1 HAVING bool_and(coalesce(%s < %s, FALSE)) ORDER BY 1 LIMIT %d",
		owner, e.name.sql(), owner, owner, q.arg(x.After), from, q.arg(x.Before.UTC().Format(time.RFC3339))+"::timestamptz", x.Limit)
	rows, err := s.tx.Query(ctx, sql, q.args...)
	if err != nil {
		return nil, fault(s.op, "looking for expired rows of table "+e.label, err)
	}
	owners, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fault(s.op, "looking for expired rows of table "+e.label, err)
	}
	return owners, nil
}

// period is the latest date of the person's rows of the category, and whether a
// period of one of them still runs.
func (s *session) period(ctx context.Context, x connector.Expired) (since time.Time, runs bool, err error) {
	for _, e := range s.entries {
		if e.category != x.Category || e.retainFrom == "" {
			continue
		}
		q := &query{}
		from := "t." + quote(e.retainFrom)
		sql := fmt.Sprintf("SELECT max(%s)::timestamptz, coalesce(bool_or(coalesce(%s >= %s, TRUE)), FALSE) FROM %s AS t WHERE %s",
			from, from, q.arg(x.Before.UTC().Format(time.RFC3339))+"::timestamptz", e.name.sql(), s.owned(q, e, "t"))
		var last *time.Time
		var young bool
		if err := s.tx.QueryRow(ctx, sql, q.args...).Scan(&last, &young); err != nil {
			return since, false, fault(s.op, "looking for expired rows of table "+e.label, err)
		}
		runs = runs || young
		if last != nil && last.After(since) {
			since = last.UTC()
		}
	}
	return since, runs, nil
}
