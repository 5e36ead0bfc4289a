package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
)

// catalogue is what the database says about the mapped tables, the tables on
// their paths, and everything that references them.
type catalogue struct {
	tables map[name]*relation
	keys   []foreignKey
}

type relation struct {
	name      name
	kind      string // pg_class.relkind: "r" a table, "p" a partitioned one
	part      bool   // a partition of another table
	inherited bool   // other tables inherit from it
	columns   map[string]column
	primary   []string
	uniques   [][]string // unique keys over plain columns
	checks    []check
}

type column struct {
	typ       string // as SQL writes it, with its length
	text      bool
	longest   int // characters; 0 for no limit
	notNull   bool
	generated bool // the database alone sets it
}

// check is a CHECK constraint; its expression names bare columns.
type check struct {
	name, expression string
	columns          []string
}

type foreignKey struct {
	name       string
	from, to   name
	cols, refs []string
	onDelete   string // pg_constraint.confdeltype: a, r, c, n, d
}

// softens reports whether deleting the referenced row empties the reference
// and leaves the referencing row in place.
func (f foreignKey) softens() bool { return f.onDelete == "n" || f.onDelete == "d" }

// types lists the columns' types in SQL.
func (r *relation) types(cols []string) []string {
	types := make([]string, len(cols))
	for i, c := range cols {
		types[i] = r.columns[c].typ
	}
	return types
}

const columnsQuery = `
SELECT n.nspname::text, c.relname::text, c.relkind::text, c.relispartition,
       c.relkind = 'r' AND EXISTS (SELECT 1 FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid),
       a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), t.typcategory = 'S',
       CASE WHEN a.atttypid IN (1042, 1043) AND a.atttypmod > 4 THEN a.atttypmod - 4 ELSE 0 END,
       a.attnotnull, a.attgenerated <> '' OR a.attidentity = 'a',
       coalesce(array_position(p.conkey, a.attnum), 0)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_constraint p ON p.conrelid = c.oid AND p.contype = 'p'
WHERE (n.nspname::text, c.relname::text) IN (SELECT w.s, w.t FROM unnest($1::text[], $2::text[]) AS w(s, t))
ORDER BY c.oid, a.attnum`

const foreignKeysQuery = `
SELECT k.conname::text, fn.nspname::text, f.relname::text, tn.nspname::text, t.relname::text, k.confdeltype::text,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS o(num, i)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = o.num ORDER BY o.i),
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS o(num, i)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = o.num ORDER BY o.i)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class f ON f.oid = k.conrelid JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace
JOIN pg_catalog.pg_class t ON t.oid = k.confrelid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0
  AND ((tn.nspname::text, t.relname::text) IN (SELECT w.s, w.t FROM unnest($1::text[], $2::text[]) AS w(s, t))
    OR (fn.nspname::text, f.relname::text) IN (SELECT w.s, w.t FROM unnest($1::text[], $2::text[]) AS w(s, t)))
ORDER BY 2, 3, 1`

// rulesQuery lists unique keys (expression empty) and CHECK constraints.
const rulesQuery = `
SELECT n.nspname::text, c.relname::text, i.relname::text, '',
       ARRAY(SELECT a.attname::text FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS o(num, i)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = o.num
             WHERE o.i <= x.indnkeyatts ORDER BY o.i)
FROM pg_catalog.pg_index x
JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
JOIN pg_catalog.pg_class c ON c.oid = x.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE x.indisunique AND x.indexprs IS NULL AND x.indpred IS NULL
  AND (n.nspname::text, c.relname::text) IN (SELECT w.s, w.t FROM unnest($1::text[], $2::text[]) AS w(s, t))
UNION ALL
SELECT n.nspname::text, c.relname::text, k.conname::text, pg_catalog.pg_get_expr(k.conbin, k.conrelid),
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY(k.conkey))
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'c'
  AND (n.nspname::text, c.relname::text) IN (SELECT w.s, w.t FROM unnest($1::text[], $2::text[]) AS w(s, t))
ORDER BY 1, 2, 3`

// readCatalogue reads what the entries and their paths touch.
func readCatalogue(ctx context.Context, tx pgx.Tx, entries []*entry) (*catalogue, error) {
	var schemas, tables []string
	want := func(n name) {
		schemas, tables = append(schemas, n.schema), append(tables, n.table)
	}
	for _, e := range entries {
		want(e.name)
		for _, l := range e.links() {
			for _, h := range l.hops {
				want(h.to)
			}
		}
	}
	cat := &catalogue{tables: map[name]*relation{}}
	for _, read := range []func(context.Context, pgx.Tx, []string, []string) error{cat.readColumns, cat.readKeys, cat.readRules} {
		if err := read(ctx, tx, schemas, tables); err != nil {
			return nil, err
		}
	}
	return cat, nil
}

func (cat *catalogue) readColumns(ctx context.Context, tx pgx.Tx, schemas, tables []string) error {
	rows, err := tx.Query(ctx, columnsQuery, schemas, tables)
	if err != nil {
		return err
	}
	primary := map[name]map[int]string{}
	var r relation
	var c column
	var columnName string
	var position int
	_, err = pgx.ForEachRow(rows, []any{&r.name.schema, &r.name.table, &r.kind, &r.part, &r.inherited,
		&columnName, &c.typ, &c.text, &c.longest, &c.notNull, &c.generated, &position}, func() error {
		if cat.tables[r.name] == nil {
			known := r
			known.columns = map[string]column{}
			cat.tables[r.name], primary[r.name] = &known, map[int]string{}
		}
		cat.tables[r.name].columns[columnName] = c
		if position > 0 {
			primary[r.name][position] = columnName
		}
		return nil
	})
	for n, at := range primary {
		for i := 1; i <= len(at); i++ {
			cat.tables[n].primary = append(cat.tables[n].primary, at[i])
		}
	}
	return err
}

func (cat *catalogue) readKeys(ctx context.Context, tx pgx.Tx, schemas, tables []string) error {
	rows, err := tx.Query(ctx, foreignKeysQuery, schemas, tables)
	if err != nil {
		return err
	}
	var f foreignKey
	_, err = pgx.ForEachRow(rows, []any{&f.name, &f.from.schema, &f.from.table, &f.to.schema, &f.to.table, &f.onDelete, &f.cols, &f.refs}, func() error {
		known := f
		known.cols, known.refs = slices.Clone(f.cols), slices.Clone(f.refs)
		cat.keys = append(cat.keys, known)
		return nil
	})
	return err
}

func (cat *catalogue) readRules(ctx context.Context, tx pgx.Tx, schemas, tables []string) error {
	rows, err := tx.Query(ctx, rulesQuery, schemas, tables)
	if err != nil {
		return err
	}
	var n name
	var ck check
	_, err = pgx.ForEachRow(rows, []any{&n.schema, &n.table, &ck.name, &ck.expression, &ck.columns}, func() error {
		r, cols := cat.tables[n], slices.Clone(ck.columns)
		if ck.expression == "" {
			r.uniques = append(r.uniques, cols)
			return nil
		}
		r.checks = append(r.checks, check{name: ck.name, expression: ck.expression, columns: cols})
		return nil
	})
	return err
}
