package dossier

import (
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

// Question is what law and pack are asked about a request: its closed facts,
// and of the person only their identities and the names of the fields to correct.
func (d Dossier) Question() policy.Question {
	r := d.Request
	q := policy.Question{
		Rights: r.Rights, Place: r.Place(), Events: r.Clock, Plan: r.Plan, By: r.By, Facts: r.Facts,
		Identities: d.Subject.Identities, Proved: !r.VerifiedAt.IsZero(),
	}
	for _, c := range d.Subject.Changes {
		q.Fields = append(q.Fields, c.Field)
	}
	if q.By == dsr.Self {
		q.By = ""
	}
	return q
}
