package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/notice"
	"github.com/writ-dsr/writ/shared/policy"
)

// day tells a date in the company's zone, in which due dates are counted.
func (s *Subject) day(t time.Time) string {
	zone := s.Company.Zone
	if zone == nil {
		zone = time.UTC
	}
	return t.In(zone).Format("2 January 2006")
}

// teller gives outcomes their names and reasons.
func (s *Subject) teller(r ledger.Request) notice.Teller {
	return notice.Teller{Company: s.Company, Lang: r.Language, Place: r.Place(), Keeps: s.Keeps}
}

// ownRecord reports whether an outcome among Writ's own is about Writ's records,
// or a right that is refused: the letter has sentences of their own for both.
// What else stands there is an outcome of a system that reports for itself.
func ownRecord(v dsr.Visit, o dsr.Outcome) bool {
	if v.System != dsr.Itself {
		return false
	}
	_, err := dsr.ParseRight(o.Category)
	return err == nil || o.Category == dsr.RequestRecord || o.Category == dsr.SuppressionRow
}

// rows are the outcomes of the visits. A visit that has none yet is told as not
// finished; of data that never leave the kinds are named.
func (s *Subject) rows(r ledger.Request, visits []dsr.Visit) (rows []notice.Row, withheld []string) {
	tell := s.teller(r)
	var hidden []notice.Row
	for _, v := range visits {
		outcomes := v.Outcomes
		if len(outcomes) == 0 && !v.Settled() {
			for _, id := range v.Categories {
				outcomes = append(outcomes, dsr.Outcome{Category: id, Kind: dsr.Deferred, DueAt: r.DueAt})
			}
		}
		for _, o := range outcomes {
			if ownRecord(v, o) {
				continue
			}
			row := tell.Row(v.System, o)
			if o.Kind == dsr.Refused && o.Reason == policy.ReasonForbidden {
				if !slices.Contains(withheld, row.Data) {
					withheld = append(withheld, row.Data)
				}
				hidden = append(hidden, row)
				continue
			}
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		rows = hidden // a letter tells what came of the request, though it be only that
	}
	return rows, withheld
}

// values is what every letter about a request may say.
func (s *Subject) values(d dossier.Dossier, visits []dsr.Visit) notice.Values {
	r, verdict := d.Request, dsr.Judge(visits)
	v := notice.Values{
		Company: s.Company.Name, Zone: s.Company.Zone, Reference: string(r.ID), Rights: r.Rights, Words: r.Words, Due: r.DueAt,
		Open: !verdict.Complete, Searched: verdict.Complete, FormLink: s.URL + "/",
	}
	if len(r.Clock) > 0 {
		v.Received = received(r)
	}
	v.Rows, v.Withheld = s.rows(r, visits)
	for _, visit := range visits {
		if visit.System == dsr.Itself {
			for _, o := range visit.Outcomes {
				if o.Category == dsr.RequestRecord && o.Kind == dsr.Retained {
					v.RecordUntil, v.RecordCite = o.Until, s.Company.Records.Cite
				}
			}
			continue
		}
		name := s.teller(r).System(visit.System)
		if visit.Phase == dsr.Act && visit.Recipient == "" && !slices.Contains(v.Systems, name) {
			v.Systems = append(v.Systems, name)
		}
	}
	for _, right := range r.Rights {
		if p := right.Stops(); ends(right) && !slices.Contains(v.Purposes, p) {
			v.Purposes = append(v.Purposes, p)
		}
	}
	// Where nothing had to be stopped anywhere, the company does none of it.
	v.Never = len(v.Systems) == 0
	for _, row := range v.Rows {
		if v.Never && !slices.Contains(v.Systems, row.System) {
			v.Systems = append(v.Systems, row.System)
		}
	}
	for _, c := range s.Company.OwnChanges(d.Request.Plan, d.Subject.Changes) {
		v.Fields = append(v.Fields, strings.NewReplacer("_", " ", ".", " ").Replace(c.Field))
	}
	return v
}

// held tells what was found of a person who asked to be told and not for a
// copy: kinds and counts, no content.
func (s *Subject) held(d dossier.Dossier, visits []dsr.Visit) ([]string, error) {
	var all []string
	tell := s.teller(d.Request)
	for _, v := range visits {
		if v.Phase != dsr.Gather || v.Manual || len(v.Sealed) == 0 {
			continue
		}
		found, err := connector.FoundIn(v, d.Box)
		if err != nil {
			return nil, fmt.Errorf("reading what was found for request %s: %w", d.Request.ID, err)
		}
		for _, id := range v.Categories {
			if n := found.Counts[id]; n > 0 {
				all = append(all, tell.System(v.System)+": "+tell.Category(id)+": "+notice.Records(tell.Lang, n))
			}
		}
	}
	return all, nil
}

// complain says where a person who disagrees can turn.
func (s *Subject) complain(r ledger.Request) string {
	law := s.Company.Regime(r.Place())
	return strings.TrimSpace(s.Company.Contacts.Complain + " " + law.Complain)
}
