package reference

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// Erase removes notes, trash and profile; invoices are kept.
func (d *Driver) Erase(ctx context.Context, t connector.Task) (connector.Receipt, error) {
	at, err := resume(t.Cursor, "note")
	if err != nil {
		return connector.Receipt{}, err
	}
	if d.has(BugErasesWithoutTarget) && t.Footprint.Empty() {
		var n named
		if err := d.send(ctx, call{method: http.MethodDelete, target: "/notes/n9?purge=1"}, &n); err != nil {
			return connector.Receipt{}, err
		}
	}
	if d.async {
		if err := d.job(ctx, t, &at); err != nil {
			return connector.Receipt{}, err
		}
	}
	ids := t.Footprint.IDs("profile")
	for ; at.Profile < len(ids) && !d.async; at.Profile++ {
		if err := d.eraseProfile(ctx, t, ids[at.Profile], &at); err != nil {
			return connector.Receipt{}, err
		}
	}
	return d.erased(ctx, t, ids, at.Counts)
}

// erased builds the receipt: what went, and what the invoices' rule keeps.
func (d *Driver) erased(ctx context.Context, t connector.Task, ids []string, counts map[string]int) (connector.Receipt, error) {
	r := receipt(dsr.Erased, counts)
	kept := 0
	for _, id := range ids {
		if !t.Wants("invoice") {
			break
		}
		rows, err := d.all(ctx, lists(id)["invoice"])
		if err != nil {
			return connector.Receipt{}, err
		}
		kept += len(rows)
	}
	if kept > 0 {
		r.Outcomes = append(r.Outcomes, dsr.Outcome{Category: "invoice", Kind: dsr.Kept, Rule: "accounts", Count: kept})
	}
	if d.has(BugReferenceIsAddress) {
		for _, email := range t.Emails() {
			r.Refs = append(r.Refs, encode(email))
		}
	}
	if d.has(BugDropsSuppression) {
		return r, d.send(ctx, call{method: http.MethodDelete, target: "/suppressions/s1"}, &named{})
	}
	return r, nil
}

func (d *Driver) eraseProfile(ctx context.Context, t connector.Task, id string, at *place) error {
	for _, stage := range []string{"note", "trash"} {
		if at.Stage != stage {
			continue
		}
		if stage == "trash" && d.has(BugLeavesTrash) {
			break
		}
		if !t.Wants("note") && !d.has(BugErasesMore) {
			break
		}
		rows, err := d.all(ctx, lists(id)[stage])
		if err != nil {
			return err
		}
		for i, it := range rows {
			if err := d.remove(ctx, "/notes/"+url.PathEscape(it.ID)+"?purge=1"); err != nil {
				return err
			}
			at.Counts["note"]++
			if i%pageSize != pageSize-1 {
				continue
			}
			if err := d.save(ctx, t, *at); err != nil {
				return err
			}
		}
		at.Stage = map[string]string{"note": "trash", "trash": "note"}[stage]
	}
	at.Stage = "note"
	if d.has(BugLeavesProfile) || !t.Wants("profile") {
		return nil
	}
	var p item
	err := d.send(ctx, call{method: http.MethodGet, target: "/profiles/" + url.PathEscape(id)}, &p)
	if errors.Is(err, connector.NotFound) {
		return nil
	}
	if err == nil {
		err = d.remove(ctx, "/profiles/"+url.PathEscape(id))
	}
	if err == nil {
		at.Counts["profile"]++
	}
	return err
}

// remove deletes one object; one that is gone already is as good.
func (d *Driver) remove(ctx context.Context, target string) error {
	var n named
	err := d.send(ctx, call{method: http.MethodDelete, target: target}, &n)
	switch {
	case errors.Is(err, connector.NotFound):
		return nil
	case errors.Is(err, connector.Invalid) && d.has(BugSwallows400) && strings.HasPrefix(target, "/notes"):
		return nil
	case err == nil && (n.Deleted == nil || !*n.Deleted) && !d.has(BugNonsenseIsEmpty) && !d.has(BugIgnoresPartial):
		return fault(connector.Invalid, true, "the vendor did not delete a record")
	}
	return err
}

// job erases by a job of the vendor, which takes its time.
func (d *Driver) job(ctx context.Context, t connector.Task, at *place) error {
	if t.Job != "" {
		var n named
		if err := d.send(ctx, call{method: http.MethodGet, target: "/erasures/" + url.PathEscape(t.Job)}, &n); err != nil {
			return err
		}
		if n.Running == nil || *n.Running {
			if d.has(BugForgetsJob) {
				t.Job = ""
				return d.job(ctx, t, at)
			}
			return &connector.Error{Kind: connector.Pending, Op: dsr.Erase, Job: t.Job}
		}
		for _, category := range []string{"profile", "note"} {
			if t.Wants(category) {
				at.Counts[category] = t.Footprint.Counts[category]
			}
		}
		return nil
	}
	var ids []string
	for _, id := range t.Footprint.IDs("profile") {
		if t.Wants("profile") {
			ids = append(ids, id)
		}
		for kind, target := range lists(id) {
			rows, err := d.all(ctx, target)
			if err != nil {
				return err
			}
			for _, it := range rows {
				if kind != "invoice" && t.Wants("note") {
					ids = append(ids, it.ID)
				}
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var n named
	if err := d.send(ctx, call{method: http.MethodPost, target: "/erasures", key: t.Key, body: map[string]string{"ids": strings.Join(ids, ",")}}, &n); err != nil {
		return err
	}
	return &connector.Error{Kind: connector.Pending, Op: dsr.Erase, Job: n.ID}
}
