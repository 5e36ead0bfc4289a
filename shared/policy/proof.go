package policy

import (
	"maps"
	"slices"
	"strconv"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Proofs lists every proof, the lightest first.
func Proofs() []Proof {
	return []Proof{Mailbox, AccountLogin, MatchPoints2, MatchPoints3, Declaration, Permission, ParentProof, SchoolProof, DocumentProof}
}

// Addresses are the fields of a login or a delivery address. Who changes one
// takes over what is sent there, so a change needs more proof, is told to the
// old and the new address, and waits.
var Addresses = []string{"email", "login", "address", "delivery_address", "billing_address", "phone"}

// sensitivity of the data that a right reaches.
const (
	low  = "low"
	high = "high"
)

// proof is the union, over the rights that run, of the least that suffices under
// the strictest law that applies.
func (d *decision) proof(run []dsr.Right) []Proof {
	need := map[Proof]bool{}
	for _, r := range run {
		if d.work.blind {
			break // it fell short: what is answered now tells nothing about the person
		}
		for _, p := range d.needs(r) {
			need[p] = true
		}
		if r == dsr.Rectification && d.changesAddress() {
			d.work.wait = received(d.q.Events).Add(addressWait)
			if !need[MatchPoints3] {
				need[MatchPoints2] = true
			}
		}
	}
	if len(need) > 0 && d.minor() {
		if d.q.By == dsr.School && d.schoolMay() {
			need[SchoolProof] = true
		} else {
			need[ParentProof] = true
		}
	}
	if need[MatchPoints3] {
		delete(need, MatchPoints2)
	}
	return slices.DeleteFunc(Proofs(), func(p Proof) bool { return !need[p] })
}

// needs is what one right asks for. For what only stops something nobody may ask
// more than an agent's permission (11 CCR 7026(d), (j), 7027).
func (d *decision) needs(r dsr.Right) []Proof {
	needs := d.proofOf(r).Needs
	if !r.Proofless() {
		return needs
	}
	if d.q.By == dsr.Agent && slices.Contains(needs, Permission) {
		return []Proof{Permission}
	}
	return nil
}

// proofOf is the row that asks for most of the laws that apply; a law without a
// row asks for the mailbox.
func (d *decision) proofOf(r dsr.Right) ProofRow {
	var strictest ProofRow
	for i, law := range d.laws {
		row, ok := law.ProofRow(r, d.sensitivity(r), d.q.By)
		if !ok {
			row = ProofRow{Needs: []Proof{Mailbox}}
		}
		if i == 0 || weight(row.Needs) > weight(strictest.Needs) {
			strictest = row
		}
	}
	return strictest
}

// weight orders sets of proofs by how much they ask for.
func weight(needs []Proof) int {
	all, sum := Proofs(), 0
	for _, p := range needs {
		sum += 1 << slices.Index(all, p)
	}
	return sum
}

// sensitivity is that of the data which the right reaches.
func (d *decision) sensitivity(r dsr.Right) string {
	if d.q.Facts[FactSensitive] == yes || r == dsr.Rectification && d.changesAddress() {
		return high
	}
	reach, narrowed := d.work.reach[r]
	for _, k := range d.Categories {
		if k.Sensitive && (!narrowed || reach[k.ID]) {
			return high
		}
	}
	return low
}

func (d *decision) changesAddress() bool {
	return slices.ContainsFunc(d.q.Fields, func(f string) bool { return slices.Contains(Addresses, f) })
}

// minor reports whether the person is a child for whom somebody else must
// speak: under the national age, or under the company's own where that is
// higher. A policy's lower age never lowers the national one.
func (d *decision) minor() bool {
	age, said := d.q.Facts[FactAge]
	if !said {
		return false
	}
	years, _ := strconv.Atoi(age)
	limit := 0
	for _, law := range d.laws {
		if a, ok := law.Age(d.q.Place, d.on); ok {
			limit = max(limit, a.Years)
		}
	}
	for _, m := range d.Minors {
		limit = max(limit, m.Under)
	}
	return years < limit
}

// schoolMay reports whether the company takes a school's consent for its pupils.
func (c *Company) schoolMay() bool {
	return slices.ContainsFunc(c.Minors, func(m Minor) bool { return m.Unless == "school" })
}

// lesser replaces, where the proof fell short, each right by the next lesser
// answer of the law; where there is none, the person is asked for more.
func (d *decision) lesser(run []dsr.Right) []dsr.Right {
	if d.q.Facts[FactUnfit] != yes {
		return run
	}
	d.work.blind = true
	var left, without []dsr.Right
	for _, r := range run {
		row := d.proofOf(r)
		switch {
		case len(d.needs(r)) == 0:
			left = append(left, r)
		case row.Lesser != "":
			left = append(left, row.Lesser)
		default:
			without = append(without, r)
		}
	}
	for _, r := range without {
		if slices.Contains(left, r) {
			continue // it is the lesser answer of another right, and told as that
		}
		d.unfit = append(d.unfit, r)
		d.refuse(r, ReasonNotVerified, "What you gave us does not show that the data are yours. You can send us more, or ask again.", "")
	}
	slices.Sort(left)
	return slices.Compact(left)
}

// identityQuestion asks for more proof.
func identityQuestion() Query {
	return Query{ID: "identity", Question: "What you gave us does not show that the data are yours. Can you give us more to compare?",
		Answer: FactUnfit, Choices: []string{no, yes}, Default: yes}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
