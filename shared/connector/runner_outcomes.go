package connector

import (
	"maps"
	"slices"

	"github.com/writ-dsr/writ/shared/dsr"
)

// The answers a person can give to a task.
const (
	AnswerNothingHeld = "nothing_held"
	AnswerDone        = "done"
	AnswerUploaded    = "uploaded"
	AnswerCannot      = "cannot"
	AnswerAgain       = "again" // what stood in the way is mended: run the system's API again
)

// Held is the outcome of a category that a legal hold keeps; count may be zero
// where nobody counted.
func Held(category string, count int) dsr.Outcome {
	return dsr.Outcome{Category: category, Kind: dsr.Retained, Count: count, Ground: GroundHold, Until: "hold_lifted"}
}

// Answered are the outcomes of a visit that a person answered for: one for
// each category, with the person's role as the witness.
func Answered(v dsr.Visit) []dsr.Outcome {
	all := make([]dsr.Outcome, 0, len(v.Categories))
	for _, category := range v.Categories {
		all = append(all, answered(v, category))
	}
	return all
}

func answered(v dsr.Visit, category string) dsr.Outcome {
	p := v.Person
	switch {
	case v.Recipient != "" && p.Answer == AnswerDone:
		return dsr.Outcome{Category: category, Kind: dsr.Told, By: p.Assignee}
	case v.Recipient != "":
		return dsr.Outcome{Category: category, Kind: dsr.Impossible, Reason: p.Reason, By: p.Assignee}
	}
	switch p.Answer {
	case AnswerNothingHeld:
		return dsr.Outcome{Category: category, Kind: dsr.NotHeld, By: p.Assignee}
	case AnswerDone:
		return dsr.Outcome{Category: category, Kind: dsr.Attested, By: p.Assignee}
	case AnswerUploaded:
		return dsr.Outcome{Category: category, Kind: dsr.Attested, By: p.Assignee, Count: p.Files}
	}
	return dsr.Outcome{Category: category, Kind: dsr.Refused, Reason: AnswerCannot, By: p.Assignee}
}

// outcomes gives every category of the visit the outcomes it has: what the ops
// reported, with the read-back's word above the step's, and not_held where the
// system holds nothing of it. What was erased needs no mark any more.
func (w *visit) outcomes() []dsr.Outcome {
	var said []dsr.Outcome
	switch w.v.Phase {
	case dsr.Gather:
		if !w.has(dsr.Export) {
			return nil // the act visit of the system carries the outcomes
		}
		said = w.v.Steps[dsr.Export].Outcomes
	case dsr.Act:
		contradicted := w.v.Steps[dsr.ReadBack].Outcomes
		for _, op := range []dsr.Op{dsr.Erase, dsr.Rectify} {
			for _, o := range w.v.Steps[op].Outcomes {
				if !slices.ContainsFunc(contradicted, func(c dsr.Outcome) bool { return c.Category == o.Category }) {
					said = append(said, o)
				}
			}
		}
		gone := slices.Clone(said)
		for _, o := range w.v.Steps[dsr.Suppress].Outcomes {
			if o.Kind != dsr.Failed || !slices.ContainsFunc(gone, func(g dsr.Outcome) bool {
				return g.Category == o.Category && (g.Kind == dsr.Erased || g.Kind == dsr.Anonymised)
			}) {
				said = append(said, o)
			}
		}
		said = append(said, contradicted...)
	}
	categories := w.categories()
	said = slices.DeleteFunc(slices.Clone(said), func(o dsr.Outcome) bool {
		nothing := o.Kind == dsr.Exported || o.Kind == dsr.Erased || o.Kind == dsr.Anonymised || o.Kind == dsr.Kept ||
			o.Kind == dsr.Rectified || o.Kind == dsr.Suppressed || o.Kind == dsr.Restricted
		return o.Count == 0 && nothing || !slices.Contains(categories, o.Category)
	}) // nothing of it: not held, unless a person knows better
	said = append(said, w.silent(categories, said)...)
	if w.Decide != nil {
		for i := range said {
			said[i] = w.Decide(said[i])
		}
	}
	slices.SortStableFunc(said, func(a, b dsr.Outcome) int {
		return slices.Index(categories, a.Category) - slices.Index(categories, b.Category)
	})
	return said
}

// silent are the outcomes of the categories that no op reported of. A correction
// concerns those that have the field, so the others need no word, unless no
// record has it: then it did not happen.
func (w *visit) silent(categories []string, said []dsr.Outcome) []dsr.Outcome {
	corrects := w.has(dsr.Rectify) && !w.has(dsr.Erase)
	done := slices.ContainsFunc(said, func(o dsr.Outcome) bool { return o.Kind == dsr.Rectified || o.Reason == CauseNotChanged })
	var all []dsr.Outcome
	for _, category := range categories {
		held := w.secret.Found.Counts[category]
		switch {
		case slices.ContainsFunc(said, func(o dsr.Outcome) bool { return o.Category == category }):
		case corrects && held > 0 && done:
		case corrects && held > 0:
			all = append(all, dsr.Outcome{Category: category, Kind: dsr.Failed, Count: held, Reason: CauseNotChanged})
		default:
			all = append(all, dsr.Outcome{Category: category, Kind: dsr.NotHeld})
		}
	}
	return all
}

// withPersons puts the person's word where the ops have none: a category that
// nothing was reported of, or where the read-back contradicted the report.
func (w *visit) withPersons(own []dsr.Outcome) []dsr.Outcome {
	if own == nil && !w.has(dsr.Export) {
		return nil // a visit that only locates: the act visit asks again
	}
	for i, o := range own {
		if o.Kind == dsr.NotHeld || o.Kind == dsr.Failed {
			own[i] = answered(w.v, o.Category)
		}
	}
	return own
}

// categories are the visit's and, where it is for the whole system, any other
// that the connector counted.
func (w *visit) categories() []string {
	all := slices.Clone(w.v.Categories)
	if slices.ContainsFunc(w.Whole, func(c string) bool { return !slices.Contains(all, c) }) {
		return all
	}
	for _, c := range slices.Sorted(maps.Keys(w.secret.Found.Counts)) {
		if !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	return all
}

// The closed words for why a recipient could not be told (GDPR Art. 19).
const (
	ReasonGone             = "gone"             // it does not exist any more
	ReasonNoContact        = "no_contact"       // nobody knows how to reach it
	ReasonDisproportionate = "disproportionate" // it would take a disproportionate effort
)

// Reasons lists them.
func Reasons() []string { return []string{ReasonGone, ReasonNoContact, ReasonDisproportionate} }

// confirmed are the outcomes of an erasure whose answer never came and whose
// effect the read-back proved.
func (w *visit) confirmed(seen Evidence) []dsr.Outcome {
	var all []dsr.Outcome
	for _, category := range slices.Sorted(maps.Keys(w.secret.Found.Counts)) {
		n := w.secret.Found.Counts[category]
		if !w.erases(category) {
			continue
		}
		kept := seen.Kept[category]
		if kept > 0 {
			all = append(all, dsr.Outcome{Category: category, Kind: dsr.Kept, Count: kept, Rule: "read_back"})
		}
		if n > kept {
			all = append(all, dsr.Outcome{Category: category, Kind: dsr.Erased, Count: n - kept})
		}
	}
	return all
}

func pending(outcomes []dsr.Outcome, category string) bool {
	for _, o := range outcomes {
		if o.Category == category && o.Kind == dsr.Accepted {
			return true
		}
	}
	return false
}

func failed(outcomes []dsr.Outcome) []dsr.Outcome {
	var bad []dsr.Outcome
	for _, o := range outcomes {
		if o.Kind == dsr.Failed {
			bad = append(bad, o)
		}
	}
	return bad
}

func counts(outcomes []dsr.Outcome) map[string]any {
	detail := map[string]any{}
	for _, o := range outcomes {
		n, _ := detail[string(o.Kind)].(int)
		detail[string(o.Kind)] = n + o.Count
	}
	return detail
}
