package notify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/flow/notify"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/policy"
)

// carried is a plan as it stands in the ledger when every system did what it can.
func carried(c *policy.Company, p policy.Plan, place dsr.Place) []dsr.Visit {
	var all []dsr.Visit
	for _, w := range p.Waves {
		for _, v := range w.Visits {
			visit := dsr.Visit{System: v.System, Phase: w.Phase, Ops: v.Ops, Categories: v.Categories, Manual: v.Manual, Rights: v.Rights, Purposes: v.Purposes, Recipient: v.Recipient, Status: dsr.VisitSettled}
			for _, id := range v.Categories {
				if o, ok := did(visit, id); ok {
					visit.Outcomes = append(visit.Outcomes, c.Decide(o, place, start))
				}
			}
			all = append(all, visit)
		}
	}
	for _, o := range p.Owed {
		at := dsr.Visit{System: o.System, Phase: dsr.Act, Status: dsr.VisitSettled, Outcomes: []dsr.Outcome{c.Decide(o.Outcome, place, start)}}
		if o.Op == dsr.Export || o.Op == dsr.Locate {
			at.Phase = dsr.Gather
		}
		taken := func(v dsr.Visit) bool { return v.Task() == at.Task() }
		if slices.ContainsFunc(all, taken) { // a visit that reports for itself: the outcome stands among Writ's own
			at.System = dsr.Itself
		}
		if i := slices.IndexFunc(all, taken); i >= 0 {
			all[i].Outcomes = append(all[i].Outcomes, at.Outcomes...)
			continue
		}
		all = append(all, at)
	}
	return all
}

// did is what a visit brings for a category.
func did(v dsr.Visit, category string) (dsr.Outcome, bool) {
	o := dsr.Outcome{Category: category, Count: 1}
	switch {
	case v.Recipient != "":
		o.Kind = dsr.Told
	case v.Manual:
		o.Kind, o.By, o.Count = dsr.Attested, "privacy_officer", 0
	case slices.Contains(v.Ops, dsr.Export):
		o.Kind = dsr.Exported
	case v.Phase == dsr.Gather:
		return o, false
	case slices.Contains(v.Ops, dsr.Erase):
		o.Kind, o.Rule = dsr.Kept, "system" // the pack says whether on a ground
		if len(category)%2 == 0 {
			o.Kind, o.Rule = dsr.Erased, ""
		}
	case slices.Contains(v.Ops, dsr.Rectify):
		o.Kind = dsr.Rectified
	default:
		o.Kind = dsr.Suppressed
	}
	return o, true
}

// Every right, asked of every company from anywhere, ends in a mail: no letter
// is refused for a field that law or pack leave empty.
func TestEveryRightOfEveryCompanyIsAnswered(t *testing.T) {
	mails := 0
	for _, name := range policy.Companies() {
		company, err := policy.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, right := range dsr.Rights() {
			for _, place := range []dsr.Place{"PL", "US-CA", "US-VA"} {
				mails += answered(t, company, "", place, right)
			}
		}
		for _, role := range company.Roles { // a customer decides, or both do
			for _, plan := range role.Plans {
				for _, right := range []dsr.Right{dsr.Access, dsr.Erasure, dsr.OptOutOfSale, dsr.KnowCategories} {
					mails += answered(t, company, plan, "", right)
				}
			}
		}
	}
	t.Logf("%d mails", mails)
	if mails < 400 {
		t.Errorf("only %d mails went out", mails)
	}
}

func answered(t *testing.T, company *policy.Company, plan string, place dsr.Place, right dsr.Right) int {
	t.Helper()
	q := policy.Question{Rights: []dsr.Right{right}, Place: place, Plan: plan, Proved: true, Events: []dsr.ClockEvent{{Kind: dsr.Received, At: start}}}
	if right == dsr.Rectification {
		q.Fields = []string{"name"}
	}
	found, err := company.Resolve(q)
	if err != nil {
		t.Fatalf("%s: %v", company.ID, err)
	}
	visits := carried(company, found.Plan, place)
	s := newStand(t, func(r *ledger.Request) {
		asks(place, right)(r)
		r.Plan, r.DueAt = plan, start.Add(30*24*time.Hour)
		if found.Decision == policy.DecideRefuse {
			r.Status = dsr.Denied
		}
		if dsr.Copies(visits) {
			r.Bundle = &ledger.Bundle{Files: []ledger.BundleFile{{Key: "bundles/x/copy.zip"}}, BuiltAt: start}
		}
	}, visits...)
	s.subject.Company = company
	s.subjectHas(func(p *dsr.Subject) {
		if right == dsr.Rectification {
			p.Changes = []dsr.Change{{Field: "name", New: "New"}}
		}
	})
	notices := []string{"answer"}
	if dsr.Copies(visits) {
		notices = []string{"copy", "answer"}
	}
	for _, n := range notices {
		if _, err := s.subject.Handle(t.Context(), notify.Input{V: 1, RequestID: s.id, Run: 1, Notice: n}); err != nil {
			t.Errorf("%s, plan %q, %q, %s: %v", company.ID, plan, place, right, err)
			return 0
		}
	}
	for _, m := range s.mail.All() {
		for _, word := range []string{"request_record", "suppression_row", "not_searchable", " " + string(right) + ":", "<no value>", "{"} {
			if strings.Contains(m.Text, word) && strings.ContainsAny(word, "_<{") {
				t.Errorf("%s, plan %q, %q, %s: the mail says %q:\n%s", company.ID, plan, place, right, word, m.Text)
			}
		}
		if strings.Contains(m.Text, "please ask us; a person") {
			t.Errorf("%s, plan %q, %q, %s: an outcome is not told:\n%s", company.ID, plan, place, right, m.Text)
		}
	}
	if len(s.mail.All()) != len(notices) {
		t.Errorf("%s, plan %q, %q, %s: %d mails", company.ID, plan, place, right, len(s.mail.All()))
	}
	return len(s.mail.All())
}
