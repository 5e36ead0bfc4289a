package reference

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// Driver is a small connector of the vendor that Fake plays.
type Driver struct {
	connector.Base
	send  wire
	async bool
	bugs  []Bug
}

var _ connector.Connector = (*Driver)(nil)

func (d *Driver) has(b Bug) bool { return slices.Contains(d.bugs, b) }

// answers of the vendor, and what makes each complete.
type (
	listed struct {
		Data *[]item `json:"data"`
		Next string  `json:"next"`
	}
	named struct {
		ID      string `json:"id"`
		Deleted *bool  `json:"deleted"`
		Running *bool  `json:"running"`
	}
)

func (l listed) complete() bool { return l.Data != nil }
func (n named) complete() bool  { return n.ID != "" }
func (i item) complete() bool   { return i.ID != "" && i.Fields != nil }

// pages walks a list from a cursor and hands each page on.
func (d *Driver) pages(ctx context.Context, target, after string, each func(rows []item, next string) error) error {
	sep := "?"
	if strings.Contains(target, "?") {
		sep = "&"
	}
	seen := map[string]bool{}
	for {
		var l listed
		if err := d.send(ctx, call{method: http.MethodGet, target: target + sep + "after=" + url.QueryEscape(after)}, &l); err != nil {
			return err
		}
		if l.Data == nil {
			return nil
		}
		if seen[l.Next] && !d.has(BugWalksForever) {
			return fault(connector.Invalid, false, "the vendor sent the same page again")
		}
		seen[l.Next] = true
		if err := each(*l.Data, l.Next); err != nil || l.Next == "" {
			return err
		}
		after = l.Next
	}
}

func (d *Driver) all(ctx context.Context, target string) ([]item, error) {
	var all []item
	err := d.pages(ctx, target, "", func(rows []item, _ string) error {
		all = append(all, rows...)
		return nil
	})
	return all, err
}

// lists of a profile: kind → target.
func lists(id string) map[string]string {
	base := "/profiles/" + url.PathEscape(id)
	return map[string]string{"note": base + "/notes", "trash": base + "/notes?trash=1", "invoice": base + "/invoices"}
}

// search finds the profiles of an address among what the vendor's loose search
// returns.
func (d *Driver) search(ctx context.Context, email string) (exact []item, candidates int, err error) {
	target := "/profiles?email=" + url.QueryEscape(email)
	if d.has(BugAddressInPath) {
		target = "/profiles?email=" + url.QueryEscape(email) + "&trace=" + url.QueryEscape(strings.ToUpper(email))
	}
	found, err := d.all(ctx, target)
	for _, p := range found {
		stored := p.Fields["email"]
		switch match := dsr.CompareAddress(stored, email); {
		case match == dsr.Same, d.has(BugMatchesByPrefix) && strings.HasPrefix(stored, email):
			exact = append(exact, p)
		case match == dsr.CaseOnly && !d.has(BugCaseIsAbsent):
			candidates++
		}
	}
	return exact, candidates, err
}

// Locate finds the person's profiles by their stored address.
func (d *Driver) Locate(ctx context.Context, t connector.Task) (connector.Footprint, error) {
	var f connector.Footprint
	emails := t.Emails()
	if d.has(BugTrustsClaims) {
		for _, i := range t.Identities {
			if !i.MayLocate() {
				emails = append(emails, i.Value)
			}
		}
	}
	for _, email := range emails {
		exact, candidates, err := d.search(ctx, email)
		if err != nil {
			return connector.Footprint{}, err
		}
		f.Candidates += candidates
		for _, p := range exact {
			if err := d.count(ctx, p, &f); err != nil {
				return connector.Footprint{}, err
			}
		}
	}
	return f, nil
}

func (d *Driver) count(ctx context.Context, p item, f *connector.Footprint) error {
	f.Records = append(f.Records, connector.Record{Kind: "profile", ID: p.ID})
	if f.Counts == nil {
		f.Counts = map[string]int{}
	}
	f.Counts["profile"]++
	if d.has(BugCountsStrangers) {
		strangers, err := d.all(ctx, "/profiles?email=b")
		if err != nil {
			return err
		}
		f.Counts["profile"] += len(strangers)
	}
	f.Yields = append(f.Yields, dsr.Identity{Kind: "profile_id", Value: p.ID, Origin: dsr.SystemOfRecord})
	if d.has(BugYieldsFreeField) && p.Fields["free_email"] != "" {
		f.Yields = append(f.Yields, dsr.Identity{Kind: dsr.Email, Value: p.Fields["free_email"], Origin: dsr.VendorVerified})
	}
	for kind, target := range lists(p.ID) {
		rows, err := d.all(ctx, target)
		if err != nil {
			return err
		}
		if kind == "trash" {
			kind = "note"
		}
		f.Counts[kind] += len(rows)
	}
	return nil
}

// place is where an export or an erasure stands, with what it has counted.
type place struct {
	Profile int            `json:"profile"`
	Stage   string         `json:"stage"`
	After   string         `json:"after,omitempty"`
	Counts  map[string]int `json:"counts"`
}

func resume(cursor, stage string) (place, error) {
	p := place{Stage: stage, Counts: map[string]int{}}
	if cursor == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(cursor), &p); err != nil {
		return p, fault(connector.Invalid, false, "reading a cursor: it is not ours")
	}
	return p, nil
}

func (d *Driver) save(ctx context.Context, t connector.Task, p place) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return t.Save(ctx, string(text))
}

// Export writes profile, notes and invoices of each profile found.
func (d *Driver) Export(ctx context.Context, t connector.Task, to connector.Sink) (connector.Receipt, error) {
	at, err := resume(t.Cursor, "profile")
	if err != nil {
		return connector.Receipt{}, err
	}
	if d.has(BugResumeSkips) && t.Cursor != "" && at.Stage == "invoice" {
		at.Stage, at.Profile = "profile", at.Profile+1
	}
	ids := t.Footprint.IDs("profile")
	for ; at.Profile < len(ids); at.Profile++ {
		if err := d.exportProfile(ctx, t, to, ids[at.Profile], &at); err != nil {
			return connector.Receipt{}, err
		}
	}
	return receipt(dsr.Exported, at.Counts), nil
}

func (d *Driver) exportProfile(ctx context.Context, t connector.Task, to connector.Sink, id string, at *place) error {
	write := func(category string, it item) error {
		if !t.Wants(category) && !d.has(BugExportsMore) {
			return nil
		}
		row, err := json.Marshal(it)
		if err != nil {
			return err
		}
		if d.has(BugHidesFromGuard) {
			row = json.RawMessage(`{"content":"` + base64.StdEncoding.EncodeToString(row) + `"}`)
		}
		at.Counts[category]++
		return to.Row(ctx, category, category+"s", row)
	}
	if at.Stage == "profile" {
		var p item
		if err := d.send(ctx, call{method: http.MethodGet, target: "/profiles/" + url.PathEscape(id)}, &p); err != nil {
			return err
		}
		if err := write("profile", p); err != nil {
			return err
		}
		at.Stage = "note"
	}
	for _, stage := range []string{"note", "invoice"} {
		if at.Stage != stage {
			continue
		}
		err := d.pages(ctx, lists(id)[stage], at.After, func(rows []item, next string) error {
			if next == "" && at.After != "" && d.has(BugDropsLastPage) {
				rows = nil
			}
			for _, it := range rows {
				if err := write(stage, it); err != nil {
					return err
				}
			}
			if at.After = next; next == "" {
				return nil
			}
			return d.save(ctx, t, *at)
		})
		if err != nil {
			return err
		}
		at.Stage, at.After = map[string]string{"note": "invoice", "invoice": "profile"}[stage], ""
		next := *at
		if next.Stage == "profile" {
			next.Profile++
		}
		if err := d.save(ctx, t, next); err != nil {
			return err
		}
	}
	return nil
}

func receipt(kind dsr.OutcomeKind, counts map[string]int) connector.Receipt {
	var r connector.Receipt
	for _, category := range slices.Sorted(maps.Keys(counts)) {
		r.Outcomes = append(r.Outcomes, dsr.Outcome{Category: category, Kind: kind, Count: counts[category]})
	}
	return r
}

// Rectify sets fields of each profile.
func (d *Driver) Rectify(ctx context.Context, t connector.Task, changes []dsr.Change) (connector.Receipt, error) {
	counts := map[string]int{}
	var before, after []string
	for _, id := range t.Footprint.IDs("profile") {
		fields := map[string]string{}
		var old item
		if err := d.send(ctx, call{method: http.MethodGet, target: "/profiles/" + url.PathEscape(id)}, &old); err != nil {
			return connector.Receipt{}, err
		}
		if d.has(BugRectifiesMore) {
			fields["phone"] = ""
		}
		for _, c := range changes {
			fields[c.Field] = c.New
			before, after = append(before, old.Fields[c.Field]), append(after, c.New)
		}
		var p item
		if err := d.send(ctx, call{method: http.MethodPatch, target: "/profiles/" + url.PathEscape(id), key: t.Key, body: fields}, &p); err != nil {
			return connector.Receipt{}, err
		}
		counts["profile"]++
	}
	r := receipt(dsr.Rectified, counts)
	if d.has(BugPrintsUnkeyed) {
		t.Pepper = nil
	}
	r.Refs = t.Changed(before, after)
	return r, nil
}

// Suppress puts the person's addresses on the vendor's suppression list.
func (d *Driver) Suppress(ctx context.Context, t connector.Task, _ dsr.Purpose) (connector.Receipt, error) {
	if d.has(BugLogs) {
		slog.Info("suppressing", "count", len(t.Identities))
	}
	key := t.Key
	if d.has(BugForgetsKey) {
		key = ""
	}
	for _, email := range t.Emails() {
		if err := d.send(ctx, call{method: http.MethodPost, target: "/suppressions", key: key, body: map[string]string{"email": email}}, &named{}); err != nil {
			return connector.Receipt{}, err
		}
	}
	return receipt(dsr.Suppressed, map[string]int{"profile": len(t.Footprint.IDs("profile"))}), nil
}

// ReadBack searches again and looks at every list of every profile known.
func (d *Driver) ReadBack(ctx context.Context, t connector.Task, r connector.Receipt) (connector.Evidence, error) {
	if len(r.Outcomes) == 0 && len(t.Footprint.Records) > 0 && d.has(BugNoReceiptIsGone) {
		_, err := d.all(ctx, "/profiles?email=x")
		return connector.Evidence{}, err
	}
	at, err := resume(t.Cursor, "search")
	if err != nil {
		return connector.Evidence{}, err
	}
	if at.Stage == "search" {
		if at.Counts["profile"], at.After, err = d.searchAgain(ctx, t); err != nil {
			return connector.Evidence{}, err
		}
		at.Stage = "lists"
		if err := d.save(ctx, t, at); err != nil {
			return connector.Evidence{}, err
		}
	} else if d.has(BugLookForgets) {
		at.Counts = map[string]int{}
	}
	seen := connector.Evidence{Remaining: map[string]int{}, Kept: map[string]int{}, Unchanged: map[string]int{}}
	if t.Wants("profile") {
		seen.Remaining["profile"] = at.Counts["profile"]
	}
	if len(t.Changes) > 0 && !d.has(BugLooksPastChanges) {
		if seen.Unchanged["profile"], err = d.unchanged(ctx, t); err != nil {
			return connector.Evidence{}, err
		}
	}
	for _, id := range strings.Fields(at.After) {
		for kind, target := range lists(id) {
			if kind == "trash" && d.has(BugLeavesTrash) {
				continue
			}
			rows, err := d.all(ctx, target)
			switch {
			case err != nil:
				return connector.Evidence{}, err
			case kind == "invoice" && t.Wants("invoice"):
				seen.Kept["invoice"] += len(rows)
			case kind != "invoice" && t.Wants("note"):
				seen.Remaining["note"] += len(rows)
			}
		}
	}
	return seen, nil
}

// unchanged counts the profiles in which a field does not read as it must.
func (d *Driver) unchanged(ctx context.Context, t connector.Task) (n int, err error) {
	for _, id := range t.Footprint.IDs("profile") {
		var p item
		if err := d.send(ctx, call{method: http.MethodGet, target: "/profiles/" + url.PathEscape(id)}, &p); err != nil {
			return 0, err
		}
		if slices.ContainsFunc(t.Changes, func(c dsr.Change) bool { return p.Fields[c.Field] != c.New }) {
			n++
		}
	}
	return n, nil
}

// searchAgain counts the profiles that the search finds now, and names these
// and those found before.
func (d *Driver) searchAgain(ctx context.Context, t connector.Task) (n int, ids string, err error) {
	known := t.Footprint.IDs("profile")
	for _, email := range t.Emails() {
		exact, _, err := d.search(ctx, email)
		if err != nil {
			return 0, "", err
		}
		if !d.has(BugLeavesProfile) {
			n += len(exact)
		}
		for _, p := range exact {
			if !slices.Contains(known, p.ID) {
				known = append(known, p.ID)
			}
		}
	}
	return n, strings.Join(known, " "), nil
}
