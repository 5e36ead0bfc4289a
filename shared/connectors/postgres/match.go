package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/writ-dsr/writ/shared/dsr"
)

// holder is a column that holds identifiers of people.
type holder struct {
	table  name
	column string
}

// values are, per holder, the stored values that are the person's, exactly as
// stored, and those that differ in case alone.
type values struct {
	same, caseOnly map[holder][]string
}

// spaces are what a mail address loses at its ends when it is compared.
const spaces = " \t\n\v\f\r\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"

// match finds the stored values that are the person's. SQL narrows addresses to
// those with the same part before the @, whatever its case; whether one is the
// person's is decided by dsr.CompareAddress alone.
func (s *session) match(ctx context.Context, identities []dsr.Identity) error {
	s.found = values{same: map[holder][]string{}, caseOnly: map[holder][]string{}}
	byKind := map[dsr.Kind][]string{}
	var locals []string
	for _, i := range identities {
		byKind[i.Kind] = append(byKind[i.Kind], i.Value)
		if i.Kind != dsr.Email {
			continue
		}
		a, err := dsr.ParseAddress(i.Value)
		if err != nil {
			return invalid(s.op, "looking for the person: an identity of kind email is no mail address")
		}
		locals = append(locals, lower(a.Local))
	}
	looked := false
	for _, e := range s.entries {
		for _, l := range e.links() {
			h := holder{e.name, l.column}
			if !l.direct() || len(byKind[l.kind]) == 0 {
				continue
			}
			looked = true
			if _, done := s.found.same[h]; done {
				continue
			}
			if l.kind != dsr.Email {
				s.found.same[h] = byKind[l.kind]
				continue
			}
			if err := s.matchAddresses(ctx, h, byKind[dsr.Email], locals); err != nil {
				return err
			}
		}
		if e.recognised {
			for _, y := range e.yields {
				if ids := byKind[y.kind]; len(ids) > 0 {
					s.found.same[holder{e.name, y.column}], looked = ids, true
				}
			}
		}
	}
	// Identifiers that only a vendor vouches for are looked up in every system,
	// and one that this system does not know leads nowhere; that the person's own
	// lead nowhere would be "could not look".
	weak := s.op == dsr.Locate && len(identities) > 0 && len(mayAct(identities)) == 0
	if !looked && !weak {
		return invalid(s.op, "looking for the person: the task has no identifier of a kind that the mapping's owner columns hold")
	}
	return nil
}

func (s *session) matchAddresses(ctx context.Context, h holder, emails, locals []string) error {
	doing := fmt.Sprintf("looking for the person in %s.%s", h.table, h.column)
	q := &query{}
	stored := "t." + quote(h.column) + "::text"
	rows, err := s.tx.Query(ctx, fmt.Sprintf(
		`SELECT DISTINCT %s COLLATE "C" FROM %s AS t WHERE split_part(lower(btrim(%s, %s) COLLATE "C"), '@', 1) = ANY (%s::text[])`,
		stored, h.table.sql(), stored, q.arg(spaces), q.arg(locals)), q.args...)
	if err != nil {
		return fault(s.op, doing, err)
	}
	s.found.same[h] = nil
	var value string
	_, err = pgx.ForEachRow(rows, []any{&value}, func() error {
		best := dsr.Different
		for _, email := range emails {
			best = max(best, dsr.CompareAddress(value, email))
		}
		switch best {
		case dsr.Same:
			s.found.same[h] = append(s.found.same[h], value)
		case dsr.CaseOnly:
			s.found.caseOnly[h] = append(s.found.caseOnly[h], value)
		}
		return nil
	})
	if err != nil {
		return fault(s.op, doing, err)
	}
	return nil
}

// lower folds A to Z as lower(… COLLATE "C") does.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// mayLocate and mayAct keep the identities that an operation may use.
func mayLocate(all []dsr.Identity) []dsr.Identity {
	return slices.DeleteFunc(slices.Clone(all), func(i dsr.Identity) bool { return !i.MayLocate() })
}

func mayAct(all []dsr.Identity) []dsr.Identity {
	return slices.DeleteFunc(slices.Clone(all), func(i dsr.Identity) bool { return !i.MayAct() })
}
