// Package bundle makes the copy of a person's data and hands it over: Archive
// builds it from the exports when every system was gathered, Download gives it
// to the person it was made for.
package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/export"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/flow/bundle/archive"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/policy"
)

// Input is what the machine hands to BundleArchive.
type Input struct {
	V         int           `json:"v"`
	RequestID dsr.RequestID `json:"request_id"`
	Run       int           `json:"run"`
}

// Output counts what was built; all zero when a stale run built nothing.
type Output struct {
	V     int `json:"v"`
	Files int `json:"files"` // ZIPs
	Rows  int `json:"rows"`  // rows and files in them
}

// ArchiveLedger is what building reads and writes.
type ArchiveLedger interface {
	Request(ctx context.Context, id dsr.RequestID) (ledger.Request, error)
	SaveRequest(ctx context.Context, r ledger.Request) error
	Visits(ctx context.Context, id dsr.RequestID) ([]dsr.Visit, error)
	Append(ctx context.Context, e dsr.Event) error
}

// Objects is the storage that exports lie in and copies go to.
type Objects interface {
	export.Opener
	export.Creator
}

// Archive builds the copy.
type Archive struct {
	Company *policy.Company
	Ledger  ArchiveLedger
	Objects Objects
	Now     func() time.Time
}

// Handle builds the copy of what the ledger says was exported and records it
// on the request. Run again with nothing new, it finds the same bytes and
// leaves the record, and with it the delivery, alone; with more in it, the copy
// counts as not delivered. Counts that differ between ledger and exports are an
// error: better no copy than one that is silently short.
func (a *Archive) Handle(ctx context.Context, in Input) (Output, error) {
	out := Output{V: 1}
	r, err := a.Ledger.Request(ctx, in.RequestID)
	if err != nil {
		return Output{}, fmt.Errorf("reading request %s: %w", in.RequestID, err)
	}
	if r.Run != in.Run || (r.Status != dsr.Running && r.Status != dsr.Answered) {
		return out, nil
	}
	visits, err := a.Ledger.Visits(ctx, in.RequestID)
	if err != nil {
		return Output{}, fmt.Errorf("reading the visits of request %s: %w", in.RequestID, err)
	}
	visits = slices.DeleteFunc(visits, func(v dsr.Visit) bool { return v.Phase != dsr.Gather })
	job := a.input(r, visits)
	for i, v := range a.inOrder(visits) {
		if job.Systems[i].Exports, err = a.exports(ctx, r.ID, v); err != nil {
			return Output{}, fmt.Errorf("bundling request %s: system %s: %w", r.ID, v.System, err)
		}
	}
	built, err := archive.Build(ctx, job, a.Objects, a.Objects)
	if err != nil {
		return Output{}, fmt.Errorf("bundling request %s: %w", r.ID, err)
	}
	out.Files, out.Rows = len(built.ZIPs), built.Rows+built.Files
	return out, a.record(ctx, r, built)
}

// record writes the copy to the request, unless it is the one that is there.
func (a *Archive) record(ctx context.Context, r ledger.Request, built archive.Result) error {
	now := a.Now()
	b := ledger.Bundle{Rows: built.Rows + built.Files, BuiltAt: now}
	for _, z := range built.ZIPs {
		b.Files = append(b.Files, ledger.BundleFile{Key: z.Key, Bytes: z.Bytes, SHA256: z.SHA256})
	}
	same := func(old *ledger.Bundle) bool {
		return old != nil && old.DeletedAt.IsZero() && slices.Equal(old.Files, b.Files)
	}
	if same(r.Bundle) {
		return nil
	}
	// The event comes first: a crash in between leaves a copy that was built
	// twice, and never one that no event tells of.
	if err := a.Ledger.Append(ctx, dsr.Event{RequestID: r.ID, Chain: dsr.RequestChain, Kind: dsr.EventBundled, At: now, Run: r.Run,
		Detail: map[string]any{"files": len(b.Files), "rows": b.Rows, "sha256": b.Files[0].SHA256}}); err != nil {
		return fmt.Errorf("recording the bundle of request %s: %w", r.ID, err)
	}
	_, err := ledger.Change(ctx, a.Ledger, r.ID, func(now *ledger.Request) error {
		switch {
		case now.Run != r.Run:
			return ledger.ErrStale
		case !same(now.Bundle):
			now.Bundle = &b
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("recording the bundle of request %s: %w", r.ID, err)
	}
	return nil
}

// exports returns the prefixes of what a visit exported, after holding their
// counts against what the visit reported.
func (a *Archive) exports(ctx context.Context, id dsr.RequestID, v dsr.Visit) ([]string, error) {
	prefix := "exports/" + string(id) + "/" + v.System
	var prefixes []string
	if step := v.Steps[dsr.Export]; step.Done {
		parts, err := export.Read(ctx, a.Objects, prefix)
		if err != nil {
			return nil, err
		}
		counts, reported := export.Counts(parts), map[string]int{}
		for _, o := range step.Outcomes {
			if o.Kind == dsr.Exported {
				reported[o.Category] += o.Count
			}
		}
		for category, n := range reported {
			if counts[category] != n {
				return nil, fmt.Errorf("category %s: %d exported, the visit reported %d: %w", category, counts[category], n, archive.ErrMismatch)
			}
			delete(counts, category)
		}
		for category, n := range counts {
			if n > 0 {
				return nil, fmt.Errorf("category %s: %d exported that the visit did not report: %w", category, n, archive.ErrMismatch)
			}
		}
		prefixes = append(prefixes, prefix)
	}
	if p := v.Person; p != nil && p.Answer == connector.AnswerUploaded {
		// A person's files lie beside what the system's API gave, or alone.
		uploads := export.Uploads(prefix)
		parts, err := export.Read(ctx, a.Objects, uploads)
		if errors.Is(err, fs.ErrNotExist) && len(prefixes) == 0 {
			uploads = prefix
			parts, err = export.Read(ctx, a.Objects, uploads)
		}
		if err != nil {
			return nil, fmt.Errorf("a person's files: %w", err)
		}
		n := 0
		for _, count := range export.Counts(parts) {
			n += count
		}
		if n != p.Files {
			return nil, fmt.Errorf("%d files of a person, the answer counted %d: %w", n, p.Files, archive.ErrMismatch)
		}
		prefixes = append(prefixes, uploads)
	}
	return prefixes, nil
}

// inOrder returns the visits in the order of the pack's systems, what the pack
// does not name last.
func (a *Archive) inOrder(visits []dsr.Visit) []dsr.Visit {
	place := func(v dsr.Visit) int {
		if i := slices.IndexFunc(a.Company.Systems, func(s policy.System) bool { return s.ID == v.System }); i >= 0 {
			return i
		}
		return len(a.Company.Systems)
	}
	ordered := slices.Clone(visits)
	slices.SortStableFunc(ordered, func(x, y dsr.Visit) int { return place(x) - place(y) })
	return ordered
}

// input is what the archive says, from the ledger and the pack. It depends on
// no clock: the copy's date is that of the last visit.
func (a *Archive) input(r ledger.Request, visits []dsr.Visit) archive.Input {
	c := a.Company
	f := c.Facts(policy.NoticeAccess, policy.Question{Rights: r.Rights, Place: r.Place(), Events: r.Clock, Plan: r.Plan, By: r.By, Facts: r.Facts})
	in := archive.Input{
		Reference: string(r.ID), Prefix: "bundles/" + string(r.ID), Lang: "en", At: r.VerifiedAt,
		Company: archive.Company{
			Name: c.Name, Officer: c.Contacts.Officer, Mail: c.Contacts.Mail, Phone: c.Contacts.Phone, Post: c.Contacts.Post,
			Complain: c.Contacts.Complain, Transfers: f.Transfers, Policy: c.Updated, Legal: f.Controller, Acts: f.Representative,
		},
		Law: archive.Law{Name: f.Law, Complain: complain(f), Rights: f.Rights},
	}
	for _, e := range r.Clock {
		if e.Kind == dsr.Received && (in.ReceivedAt.IsZero() || e.At.Before(in.ReceivedAt)) {
			in.ReceivedAt = e.At
		}
	}
	for _, k := range f.Categories {
		in.Categories = append(in.Categories, archive.Category{
			ID: k.ID, Name: k.Name, Why: k.Why, Basis: k.Basis, Retention: strings.TrimSpace(k.Retention + " " + k.Period), Source: k.Source, Received: k.Recipients,
		})
	}
	in.Categories = append(in.Categories, archive.Category{ID: dsr.Words, Name: "What you wrote to us"},
		archive.Category{ID: dsr.RequestRecord, Name: "That you asked"}, archive.Category{ID: dsr.SuppressionRow, Name: "What you do not want"})
	in.Receivers = receivers(f)
	for _, v := range a.inOrder(visits) {
		if v.SettledAt.After(in.At) {
			in.At = v.SettledAt
		}
		s := archive.System{ID: v.System, Name: v.System}
		known, ok := c.System(v.System)
		switch {
		case ok:
			s.Name, s.Source = known.Name, known.Source
		case v.System == dsr.Officer:
			s.Name = "Your message"
		case v.System == dsr.Itself:
			s.Name = "Our systems, and our record of requests"
		}
		for _, o := range v.Outcomes {
			if _, err := dsr.ParseRight(o.Category); err == nil && v.System == dsr.Itself {
				continue // a right that is refused: the letter says why
			}
			says := remark(o)
			if o.Reason == policy.ReasonNotSearchable {
				says = known.Unsearchable
			}
			s.Outcomes = append(s.Outcomes, archive.Outcome{Category: o.Category, Kind: string(o.Kind), Count: o.Count, Says: says})
		}
		if len(v.Outcomes) == 0 {
			for _, category := range v.Categories {
				s.Outcomes = append(s.Outcomes, archive.Outcome{Category: category, Kind: string(dsr.Failed), Says: remark(dsr.Outcome{Kind: dsr.Deferred})})
			}
		}
		in.Systems = append(in.Systems, s)
	}
	return in
}

// remark says in one sentence what the person must know of an outcome beyond
// what the copy shows; "" where it shows everything.
func remark(o dsr.Outcome) string {
	switch o.Kind {
	case dsr.Exported, dsr.NotHeld:
		return ""
	case dsr.Told:
		if o.Category == dsr.SuppressionRow {
			return "If you told us to stop something, we keep a code made from your address, so that it stays stopped. Your address cannot be read from it."
		}
		return "We keep a record that you asked, and what we did. It does not hold the data in this copy."
	case dsr.Attested:
		if o.Count > 0 {
			return ""
		}
		return "A person of our team looked after this by hand and confirms it; there was nothing to add to this copy."
	case dsr.Deferred, dsr.Accepted:
		return "It could not be read in time. We go on with it, and write to you when it is done."
	case dsr.Referred:
		return "Somebody else answers for it: " + o.To + "."
	case dsr.Refused:
		switch o.Reason {
		case policy.ReasonNoExport:
			return "The system offers no way to copy it."
		case policy.ReasonForbidden:
			return "We hold data of this kind and send it to nobody, as a copy in the wrong hands could harm you."
		case connector.AnswerCannot:
			return "A person of our team looked, and found no way to copy it."
		}
		return "It could not be copied; ask us, and a person explains why."
	}
	return "It could not be read. A person of our team looks into it."
}

// complain says where a person who disagrees can turn beyond the company.
func complain(f policy.NoticeFacts) string {
	authority := f.Authority
	if authority != "" && !strings.HasSuffix(authority, ".") {
		authority = "You may complain to this office: " + authority + "."
	}
	return strings.Join(slices.DeleteFunc([]string{f.Appeal, authority, f.Court}, func(s string) bool { return s == "" }), " ")
}

// standings are the words for what a recipient is to the company.
var standings = map[string]string{"processor": "works for us", "third_party": "another company", "affiliate": "a company of our group"}

// receivers names everyone who gets data, and which (GDPR Art. 15(1)(c); C-154/21).
func receivers(f policy.NoticeFacts) []archive.Receiver {
	var all []archive.Receiver
	for _, r := range f.Recipients {
		one := archive.Receiver{Name: r.Name, Standing: standings[r.Standing], Where: r.Where}
		for _, k := range f.Categories {
			if slices.Contains(r.Categories, k.ID) {
				one.Data = append(one.Data, k.Name)
			}
		}
		all = append(all, one)
	}
	return all
}
