package postgres

import (
	"fmt"
	"slices"

	"github.com/writ-dsr/writ/shared/connector"
)

// of is the driver for a task: where a ground has ended, the rows that it kept
// are deleted like others, and a row is the person's also by the identifier
// that it yielded then, for the column that named them may be empty by now.
func (d *Driver) of(t connector.Task) (*Driver, error) {
	if !t.Ended {
		return d, nil
	}
	tables := slices.Clone(d.mapping.Tables)
	for i, table := range tables {
		if table.Action != Keep || !t.Wants(table.Category) {
			continue
		}
		tables[i].Action = Delete
		if len(table.CoOwners) == 0 || len(table.OwnColumns) > 0 {
			tables[i].Rule = "" // of rows that somebody else owns too, the rule keeps theirs
		}
	}
	entries, err := compile(Mapping{Tables: tables})
	if err != nil {
		return nil, invalid("", "reading the mapping without the ended ground: %w", err)
	}
	for _, e := range entries {
		e.recognised = e.own.direct()
	}
	ended := *d
	ended.entries = entries
	return &ended, nil
}

// recognise adds the rows that yielded one of the person's identifiers.
func (s *session) recognise(q *query, e *entry, row, cond string) string {
	if !e.recognised {
		return cond
	}
	for _, y := range e.yields {
		if ids := s.found.same[holder{e.name, y.column}]; len(ids) > 0 {
			cond += fmt.Sprintf(" OR %s.%s::text = ANY (%s::text[])", row, quote(y.column), q.arg(ids))
		}
	}
	return "(" + cond + ")"
}
