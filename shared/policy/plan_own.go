package policy

import (
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// officer is the task of the person who reads and answers: what only people can
// do, a transfer to another controller, which they agree with it, and a right
// that stops or marks and found no data that it touches, so that somebody looks
// whether that is so. The zero Visit says that nobody needs to.
func (b *builder) officer() Visit {
	v := Visit{System: dsr.Officer, Categories: []string{dsr.Words}, Manual: true}
	for n, r := range b.w.rights {
		m := r.Means()
		untouched := (m == dsr.ByStop || m == dsr.ByMark) && b.stopped&(1<<n) == 0 && !b.moot(r)
		if m == dsr.ByPerson || r == dsr.DirectTransfer || untouched {
			v.Rights = append(v.Rights, r)
		}
	}
	if len(v.Rights) == 0 || b.q.Only != nil {
		return Visit{}
	}
	return v
}

// moot reports whether a company does not do what the right would stop: it sells
// nothing, so an opt-out of sale is recorded and nobody has to act.
func (c *Company) moot(r dsr.Right) bool {
	return r == dsr.OptOutOfSale && len(c.Sales) > 0 && all(c.Sales, func(s Sale) bool { return s.Sells == "no" })
}

// tell is the visit in which a recipient hears of a correction, an erasure or a
// restriction of data it got (GDPR Art. 19; 11 CCR 7022(b), (c)).
func (b *builder) tell(r Recipient) Visit {
	if b.q.Only != nil || !r.Told && r.Standing != "third_party" {
		return Visit{}
	}
	v := Visit{System: dsr.RecipientSystem(r.ID), Recipient: r.ID, Manual: true}
	var mask uint32
	for _, id := range r.Categories {
		d, ok := b.duties[id]
		if !ok || !b.acted[id] {
			continue
		}
		told := uint32(0)
		for n, right := range b.w.rights {
			if d.rights&(1<<n) != 0 && tellsRecipients(right) {
				told |= 1 << n
			}
		}
		if told != 0 {
			v.Categories, mask = append(v.Categories, id), mask|told
		}
	}
	if mask == 0 {
		return Visit{}
	}
	v.Rights, v.NotBefore = b.served(mask), time.Time{}
	if slices.Contains(v.Rights, dsr.Rectification) {
		v.NotBefore = b.w.wait
	}
	return v
}

// tellsRecipients reports whether recipients must hear of what the right did.
func tellsRecipients(r dsr.Right) bool {
	m := r.Means()
	return m == dsr.ByChange || m == dsr.ByRemoval || r == dsr.Restriction
}

// GroundAccountability is the ground on which Writ keeps the record that a
// request was made and how it was answered, without personal data beyond it
// (GDPR Art. 5(2); 11 CCR 7101).
const GroundAccountability = "accountability"

// leastRecords is how many months a record of a request is kept at least
// (11 CCR 7101).
const leastRecords = 24

// itself is what happens to Writ's own records of the person: told to who asks
// for a copy or a statement, kept as proof in every other case; and what was
// stopped is remembered.
func (c *Company) itself(q Question, w work) []Owed {
	if q.Only != nil {
		return nil
	}
	var owed []Owed
	add := func(op dsr.Op, o dsr.Outcome) { owed = append(owed, Owed{System: dsr.Itself, Op: op, Outcome: o}) }
	if dsr.Wants(w.rights, dsr.ByCopy, dsr.ByStatement) {
		add(dsr.Export, dsr.Outcome{Category: dsr.RequestRecord, Kind: dsr.Told})
		add(dsr.Export, dsr.Outcome{Category: dsr.SuppressionRow, Kind: dsr.Told})
	}
	if dsr.Wants(w.rights, dsr.ByChange, dsr.ByRemoval, dsr.ByMark, dsr.ByStop, dsr.ByPerson) {
		add(dsr.Erase, dsr.Outcome{Category: dsr.RequestRecord, Kind: dsr.Retained, Ground: GroundAccountability, Until: c.recordsUntil(q)})
	}
	if dsr.Wants(w.rights, dsr.ByStop) {
		add(dsr.Suppress, dsr.Outcome{Category: dsr.SuppressionRow, Kind: dsr.Suppressed})
	}
	return owed
}

// recordsUntil is the day on which Writ's record of the request ends.
func (c *Company) recordsUntil(q Question) string {
	return monthsLater(c.local(received(q.Events)), max(c.Records.Months, leastRecords)).Format(time.DateOnly)
}

// received is when the request came first; the zero time where no event says so.
func received(events []dsr.ClockEvent) time.Time {
	var at time.Time
	for _, e := range events {
		if e.Kind == dsr.Received && (at.IsZero() || e.At.Before(at)) {
			at = e.At
		}
	}
	return at
}

// local is an instant in the controller's zone.
func (c *Company) local(t time.Time) time.Time { return t.In(c.Zone) }
