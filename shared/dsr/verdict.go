package dsr

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Verdict is what the visits of a request add up to. It is computed from the
// ledger, and nobody can set it.
type Verdict struct {
	Complete bool   // every visit is settled, and every outcome is final and well formed
	Open     int    // visits that a later run must go on with
	Lost     int    // visits with neither an outcome nor an end: something went wrong
	Digest   string // of all outcomes: the same digest is never told twice
}

// Judge computes the verdict.
func Judge(visits []Visit) Verdict {
	v := Verdict{Complete: true}
	type told struct {
		Task     string
		Settled  bool
		Outcomes []Outcome
	}
	var all []told
	for _, visit := range visits {
		ok := visit.Settled()
		for _, o := range visit.Outcomes {
			if !o.Final() || o.Validate() != nil {
				ok = false
			}
		}
		if !ok {
			v.Complete = false
			v.Open++
			if len(visit.Outcomes) == 0 {
				v.Lost++
			}
		}
		plain := make([]Outcome, len(visit.Outcomes))
		for i, o := range visit.Outcomes {
			if o.Kind == Deferred {
				o.DueAt = time.Time{} // a new date to try again is no news
			}
			plain[i] = o
		}
		all = append(all, told{visit.Task(), visit.Settled(), plain})
	}
	encoded, _ := json.Marshal(all) // plain structs of strings and numbers: it cannot fail
	sum := sha256.Sum256(encoded)
	v.Digest = hex.EncodeToString(sum[:])
	return v
}
