package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/writ-dsr/writ/shared/dsr"
)

// The answers to a yes-or-no fact.
const (
	yes = "yes"
	no  = "no"
)

// plans lists the words of subscription plans and standings that the pack knows.
func (c *Company) plans() []string {
	var all []string
	add := func(words []string) {
		for _, w := range words {
			if !slices.Contains(all, w) {
				all = append(all, w)
			}
		}
	}
	for _, r := range c.Roles {
		add(r.Plans)
	}
	for _, a := range c.Asks {
		add(a.Plans)
	}
	for _, r := range c.Routes {
		add(r.Plans)
	}
	for _, s := range c.Says {
		add(s.Plans)
	}
	for _, k := range c.Customers {
		add(k.Plans)
	}
	return all
}

// checkFacts refuses a plan and facts that no rule reads: a wish that is not
// understood must not be passed over. No value is repeated: it may be personal.
func (c *Company) checkFacts(q Question) error {
	if plans := c.plans(); q.Plan != "" && !slices.Contains(plans, q.Plan) {
		if len(plans) == 0 {
			return fmt.Errorf("plan: %s has no plans; leave it empty", c.Name)
		}
		return fmt.Errorf("plan: is unknown; known are %s, or empty for not said", strings.Join(plans, ", "))
	}
	known := map[string][]string{
		FactAge: nil, FactRepeats: nil, FactDenied: nil,
		FactAbusive: {ReasonUnfounded, ReasonExcessive}, FactUnfit: {yes, no}, FactSensitive: {yes, no},
		AnswerEraseOrRestrict: {ChoiceErase, ChoiceRestrict}, AnswerInOrOut: {ChoiceOptIn, ChoiceOptOut},
	}
	for _, a := range c.Asks {
		known[a.Answer] = a.Choices
	}
	for _, key := range sortedKeys(q.Facts) {
		value := q.Facts[key]
		choices, ok := known[key]
		switch {
		case !ok:
			return fmt.Errorf("facts: the key %q is unknown; known are %s", key, strings.Join(sortedKeys(known), ", "))
		case key == FactAge || key == FactRepeats:
			if n, err := strconv.Atoi(value); err != nil || n < 0 || n > 999 {
				return fmt.Errorf("facts.%s: is no number; expected one such as 12", key)
			}
		case key == FactDenied:
			if _, err := dsr.ParseRight(value); err != nil {
				return fmt.Errorf("facts.%s: is no right", key)
			}
		case !slices.Contains(choices, value):
			return fmt.Errorf("facts.%s: is unknown; expected one of %s", key, strings.Join(choices, ", "))
		}
	}
	return nil
}

// asks puts the pack's questions, and carries out what the answers say; where
// nobody has answered, what the safe answer says.
func (d *decision) asks(run []dsr.Right) {
	for _, a := range d.Asks {
		if !slices.ContainsFunc(run, func(r dsr.Right) bool { return matches(a.Rights, r) }) || len(a.Plans) > 0 && !slices.Contains(a.Plans, d.q.Plan) {
			continue
		}
		answer, said := d.q.Facts[a.Answer]
		if !said {
			answer = a.Default
		}
		if !said && !a.Offer {
			d.out.Questions = append(d.out.Questions, Query{ID: a.ID, Question: a.Question, Answer: a.Answer, Choices: slices.Clone(a.Choices), Default: a.Default})
		}
		for _, e := range a.Effects {
			if e.Choice != answer {
				continue
			}
			for _, r := range run {
				if matches(a.Rights, r) && (r.Means() == dsr.ByRemoval || r.Means() == dsr.ByStop || r.Means() == dsr.ByMark) {
					d.narrow(r, func(k Category) bool { return !slices.Contains(e.Spare, k.ID) })
				}
			}
		}
	}
}
