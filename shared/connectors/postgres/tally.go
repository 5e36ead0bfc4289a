package postgres

import "github.com/writ-dsr/writ/shared/dsr"

// tallies adds up outcomes by category, kind, rule and reason, in the order in
// which they first come up. What was not there is not an outcome of a driver:
// the runner knows which categories were planned.
type tallies []dsr.Outcome

func (t *tallies) add(category string, o dsr.Outcome) {
	if o.Count == 0 {
		return
	}
	o.Category = category
	for i, k := range *t {
		if k.Category == o.Category && k.Kind == o.Kind && k.Rule == o.Rule && k.Reason == o.Reason {
			(*t)[i].Count += o.Count
			return
		}
	}
	*t = append(*t, o)
}
