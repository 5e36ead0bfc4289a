package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// reasonShared is why a row stays out of a copy: it is another person's too and
// the mapping names no column of it that is the subject's alone (GDPR Art. 15(4)).
const reasonShared = "shared_with_another_person"

// An export can be cut after this many rows or bytes, whichever comes first.
const (
	saveRows  = 100
	saveBytes = 256 << 10
)

// cursor is how far an export has come. It names a row and is kept sealed.
type cursor struct {
	Entry    string         `json:"entry"`              // being read
	After    tuple          `json:"after"`              // primary key of the last row written
	Rows     map[string]int `json:"rows"`               // entry → rows written
	Withheld map[string]int `json:"withheld,omitempty"` // entry → rows left out as somebody else's too
}

// Export streams the person's rows, table by table in the mapping's order, each
// by its primary key. The server makes the JSON; memory holds one row.
func (d *Driver) Export(ctx context.Context, t connector.Task, to connector.Sink) (connector.Receipt, error) {
	at := cursor{Rows: map[string]int{}, Withheld: map[string]int{}}
	if t.Cursor != "" {
		if err := json.Unmarshal([]byte(t.Cursor), &at); err != nil {
			return connector.Receipt{}, invalid(dsr.Export, "reading the export's cursor: it is not one of ours")
		}
	}
	var receipt connector.Receipt
	err := d.read(ctx, dsr.Export, exportLimit, func(ctx context.Context, s *session) error {
		if err := s.match(ctx, mayAct(t.Identities)); err != nil {
			return err
		}
		start := 0
		if at.Entry != "" {
			start = slices.IndexFunc(s.entries, func(e *entry) bool { return e.label == at.Entry })
			if start < 0 || len(at.After) != len(s.cat.tables[s.entries[start].name].primary) {
				return invalid(dsr.Export, "reading the export's cursor: it does not fit the mapping, which has changed since; export again")
			}
		}
		for _, e := range s.entries[start:] {
			if !t.Wants(e.category) {
				continue
			}
			if e.label != at.Entry {
				at.Entry, at.After = e.label, nil
			}
			if err := s.export(ctx, e, t, to, &at); err != nil {
				return err
			}
		}
		receipt = s.exported(at)
		return nil
	})
	return receipt, err
}

// export streams one entry's rows from where the cursor stands.
func (s *session) export(ctx context.Context, e *entry, t connector.Task, to connector.Sink, at *cursor) error {
	doing := "reading rows of table " + e.label
	q := &query{}
	sql := s.selection(q, e, at.After)
	// Ending the query early by its context drops the rest; closing would read it.
	stream, stop := context.WithCancel(ctx)
	defer stop()
	rows, err := s.tx.Query(stream, sql, q.args...)
	if err != nil {
		return fault(s.op, doing, err)
	}
	defer func() {
		stop()
		rows.Close()
	}()
	source := e.name.String()
	keys := len(s.cat.tables[e.name].primary)
	for sinceRows, sinceBytes := 0, 0; rows.Next(); {
		raw := rows.RawValues()
		row := raw[keys]
		if row == nil {
			at.Withheld[e.label]++
		} else {
			// The bytes are the connection's; a sink may keep what it is given.
			if err := to.Row(ctx, e.category, source, bytes.Clone(row)); err != nil {
				return err
			}
			at.Rows[e.label]++
		}
		sinceRows++
		sinceBytes += len(row)
		if sinceRows < saveRows && sinceBytes < saveBytes {
			continue
		}
		sinceRows, sinceBytes = 0, 0
		at.After = make(tuple, keys)
		for i := range at.After {
			at.After[i] = string(raw[i])
		}
		text, err := json.Marshal(at)
		if err != nil {
			return invalid(s.op, "writing the export's cursor: a key of table %s is no text", e.label)
		}
		if err := t.Save(ctx, string(text)); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fault(s.op, doing, err)
	}
	return nil
}

// selection is the query of one entry: the primary key as text, then the row as
// JSON; for a row that is somebody else's too only the person's own columns,
// or NULL when there are none.
func (s *session) selection(q *query, e *entry, after tuple) string {
	r := s.cat.tables[e.name]
	row := asJSON(e.columns)
	if len(e.others) > 0 {
		own := slices.DeleteFunc(slices.Clone(e.columns), func(c string) bool { return !slices.Contains(e.ownColumns, c) })
		part := "NULL"
		if len(own) > 0 {
			part = asJSON(own)
		}
		row = fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", s.shared(q, e, "t"), part, row)
	}
	cond := s.owned(q, e, "t")
	if len(after) > 0 {
		bounds := make([]string, len(after))
		for i, typ := range r.types(r.primary) {
			bounds[i] = q.arg(after[i]) + "::text::" + typ
		}
		cond += fmt.Sprintf(" AND (%s) > (%s)", order("t", r.primary), strings.Join(bounds, ", "))
	}
	return fmt.Sprintf("SELECT %s, %s FROM %s AS t WHERE %s ORDER BY %s",
		strings.Join(texts("t", r.primary), ", "), row, e.name.sql(), cond, order("t", r.primary))
}

// asJSON is the expression for an object of the columns, in their order.
func asJSON(columns []string) string {
	return "row_to_json((SELECT o FROM (SELECT " + order("t", columns) + ") AS o))::text"
}

// exported is the receipt for what the cursor counted.
func (s *session) exported(at cursor) connector.Receipt {
	var all tallies
	for _, e := range s.entries {
		all.add(e.category, dsr.Outcome{Kind: dsr.Exported, Count: at.Rows[e.label]})
		all.add(e.category, dsr.Outcome{Kind: dsr.Refused, Count: at.Withheld[e.label], Reason: reasonShared})
	}
	return connector.Receipt{Outcomes: all}
}
