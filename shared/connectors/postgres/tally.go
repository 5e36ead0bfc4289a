package postgres

import "github.com/writ-dsr/writ/shared/dsr"

// tallies adds up outcomes by category, kind, rule and reason, in the order in
// which the mapping brings them up.
type tallies struct {
	categories []string
	kept       []dsr.Outcome
}

func (t *tallies) add(category string, o dsr.Outcome) {
	known := false
	for _, c := range t.categories {
		known = known || c == category
	}
	if !known {
		t.categories = append(t.categories, category)
	}
	if o.Count == 0 {
		return
	}
	o.Category = category
	for i, k := range t.kept {
		if k.Category == o.Category && k.Kind == o.Kind && k.Rule == o.Rule && k.Reason == o.Reason {
			t.kept[i].Count += o.Count
			return
		}
	}
	t.kept = append(t.kept, o)
}

// outcomes lists what was counted, and not_held for a category with nothing.
func (t *tallies) outcomes() []dsr.Outcome {
	var all []dsr.Outcome
	for _, c := range t.categories {
		n := len(all)
		for _, o := range t.kept {
			if o.Category == c {
				all = append(all, o)
			}
		}
		if len(all) == n {
			all = append(all, dsr.Outcome{Category: c, Kind: dsr.NotHeld})
		}
	}
	return all
}
