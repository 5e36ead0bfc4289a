package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/writ-dsr/writ/shared/dsr"
)

// The closed reasons of refusals.
const (
	ReasonNotGiven       = "not_given"       // neither law nor pack gives the right to this person
	ReasonNothingCovered = "nothing_covered" // the right exists, and reaches none of the data
	ReasonTooOften       = "too_often"
	ReasonUnfounded      = "manifestly_unfounded"
	ReasonExcessive      = "excessive"
	ReasonNotVerified    = "not_verified"
	ReasonOpposed        = "opposed"  // it contradicts another right asked beside it, and nobody has said which
	ReasonReporter       = "reporter" // somebody who reports a child's data learns nothing about the child
)

// open lists what nobody is refused: somebody reads what the person wrote.
var open = []dsr.Right{dsr.Inquiry, dsr.Complaint, dsr.ChildReport, dsr.Appeal}

// entitled returns the rights that this person has, refuses the others with
// their reasons, and narrows what each reaches.
func (d *decision) entitled(rights []dsr.Right) []dsr.Right {
	var run []dsr.Right
	for _, r := range rights {
		if d.q.By == dsr.Reporter && r != dsr.ChildReport {
			d.refuse(r, ReasonReporter, "Somebody who reports a child's data to us is told nothing about the child; a person of ours looks at the report.", "")
			continue
		}
		if slices.Contains(open, r) {
			run = append(run, r)
			continue
		}
		rules := d.rules(r)
		if len(rules) == 0 && !d.promised(r) {
			d.refuse(r, ReasonNotGiven, "The law where you live does not give you this right, and our policy does not promise it.", d.elsewhere(r))
			continue
		}
		if d.tooMuch(r, rules) {
			continue
		}
		if r.Means() == dsr.ByCopy && len(rules) > 0 {
			d.narrow(r, func(k Category) bool {
				return slices.ContainsFunc(rules, func(rule Rule) bool { return rule.covers(k) })
			})
			if len(d.reached(r)) == 0 {
				d.refuse(r, ReasonNothingCovered, "This right reaches data that you gave us under a contract or a consent, and we hold none of that kind.", rules[0].Cite)
				continue
			}
		}
		run = append(run, r)
	}
	return run
}

// rules returns the rows that give the right to this person, one for each law.
func (d *decision) rules(r dsr.Right) []Rule {
	var out []Rule
	for _, law := range d.laws {
		if rule, ok := law.Rule(r, d.on); ok {
			out = append(out, rule)
		}
	}
	return out
}

// promised reports whether the company's own text gives the right to everyone.
func (c *Company) promised(r dsr.Right) bool {
	return slices.ContainsFunc(c.Requests, func(x Request) bool { return x.Right == r })
}

// covers reports whether a right under this rule reaches a category: portability
// only what the person provided under a consent or a contract (GDPR Art. 20(1)).
func (r Rule) covers(k Category) bool {
	if r.Provided && !k.Provided {
		return false
	}
	return len(r.Basis) == 0 || slices.ContainsFunc(k.Bases, func(b string) bool { return slices.Contains(r.Basis, b) })
}

// tooMuch refuses a right that is abused, as a person decided, or used more
// often than it is free. Each law that gives the right must allow the refusal.
func (d *decision) tooMuch(r dsr.Right, rules []Rule) bool {
	if len(rules) == 0 || r.Proofless() {
		return false
	}
	word := d.q.Facts[FactAbusive]
	if cite, ok := d.excuse(r, word); ok {
		d.refuse(r, word, "A person of ours looked at your request and found that it asks for more than the law gives. You need not pay anything, and you can have this looked at again.", cite)
		return true
	}
	times, _ := strconv.Atoi(d.q.Facts[FactRepeats])
	if all(rules, func(rule Rule) bool { return rule.PerYear > 0 && times >= rule.PerYear }) {
		most := slices.MaxFunc(rules, func(a, b Rule) int { return a.PerYear - b.PerYear })
		d.refuse(r, ReasonTooOften, fmt.Sprintf("The law lets you use this right %d times in twelve months, and you have used it %d times.", most.PerYear, times), most.Cite)
		return true
	}
	return false
}

// excuse returns where the first law that gives the right lets it be refused
// for a word, in the rule of the right or in one that comes along. It is one
// only if every law that gives the right knows the word.
func (d *decision) excuse(r dsr.Right, word string) (cite string, ok bool) {
	for _, law := range d.laws {
		rule, gives := law.Rule(r, d.on)
		if !gives {
			continue
		}
		rows := append(law.DutiesOf(r, d.on), rule) // the general rule comes first: it is what allows the refusal
		i := slices.IndexFunc(rows, func(x Rule) bool { return slices.Contains(x.Exceptions, word) })
		if i < 0 {
			return "", false
		}
		if !ok {
			cite, ok = rows[i].Cite, true
		}
	}
	return cite, ok
}

func all[T any](list []T, f func(T) bool) bool {
	return !slices.ContainsFunc(list, func(x T) bool { return !f(x) })
}

// refuse records that a right is not carried out, with everything that the
// notice of it must say (GDPR Art. 12(4)).
func (d *decision) refuse(r dsr.Right, reason, says, cite string) {
	law := d.laws[0]
	authority := law.Complain
	if a, ok := law.Authority(d.q.Place); ok {
		authority = strings.Join(filled(a.Name, a.Contact), ", ")
	}
	remedy := law.Court
	if remedy == "" {
		remedy = law.Complain
	}
	if cite == "" {
		cite = law.Name
	}
	appeal := ""
	for _, law := range d.laws { // the US states give one to people whom another law protects first
		if appeal == "" {
			appeal = law.Appeal
		}
	}
	d.out.Refusals = append(d.out.Refusals, Refusal{Right: r, Reason: reason, Says: says, Cite: cite, Authority: authority, Remedy: remedy, Appeal: appeal})
	d.work.owed = append(d.work.owed, Owed{System: dsr.Itself, Op: opOf(r), Outcome: dsr.Outcome{Category: string(r), Kind: dsr.Refused, Reason: reason}})
}

// elsewhere cites the law that gives the right to somebody else.
func (d *decision) elsewhere(r dsr.Right) string {
	for _, id := range slices.Sorted(maps.Keys(d.regimes)) {
		for _, rule := range d.regimes[id].Rules {
			if slices.Contains(rule.Rights, r) && rule.InForce(d.on) {
				return rule.Cite
			}
		}
	}
	return ""
}

// opOf is the op that a right comes down to, for an outcome that needs no visit.
func opOf(r dsr.Right) dsr.Op {
	switch r.Means() {
	case dsr.ByChange:
		return dsr.Rectify
	case dsr.ByRemoval:
		return dsr.Erase
	case dsr.ByMark, dsr.ByStop:
		return dsr.Suppress
	}
	return dsr.Export
}
