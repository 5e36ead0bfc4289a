package policy

import (
	"slices"

	"github.com/writ-dsr/writ/shared/dsr"
)

// How two rights asked together are settled.
const (
	Together = "together" // both are carried out; neither changes the other
	OneCopy  = "one_copy" // one bundle answers both
	InOrder  = "in_order" // both, the first before the second begins
	Beside   = "beside"   // what is stopped is stopped at once, whatever the other needs
	Swallows = "swallows" // the first does what the second asks for, and more
	Opposed  = "opposed"  // the two cannot both be carried out: the person says which
)

// Settled is how two rights asked together are carried out.
type Settled struct {
	How    string    `json:"how"`
	First  dsr.Right `json:"first"`
	Second dsr.Right `json:"second"`
	Says   string    `json:"says"` // one plain sentence
}

// Where a pair is opposed, this is the question, and the safe answer is the one
// that can be undone.
const (
	AnswerEraseOrRestrict = "erase_or_restrict"
	ChoiceErase           = "erase"
	ChoiceRestrict        = "restrict"
	AnswerInOrOut         = "opt_in_or_out"
	ChoiceOptIn           = "opt_in"
	ChoiceOptOut          = "opt_out"
)

// order of the means in the matrix: what comes first is carried out first.
var meansOrder = []dsr.Means{dsr.ByStop, dsr.ByCopy, dsr.ByStatement, dsr.ByMark, dsr.ByChange, dsr.ByRemoval, dsr.ByPerson}

type meansPair [2]dsr.Means

// matrix settles every pair of means, in the order of meansOrder.
var matrix = map[meansPair]struct{ how, says string }{
	{dsr.ByStop, dsr.ByStop}:           {Beside, "Each is stopped at once."},
	{dsr.ByStop, dsr.ByCopy}:           {Beside, "What you opted out of stops at once; the copy follows when we know it is you."},
	{dsr.ByStop, dsr.ByStatement}:      {Beside, "What you opted out of stops at once; the answer follows."},
	{dsr.ByStop, dsr.ByMark}:           {Beside, "What you opted out of stops at once; the data are marked beside that."},
	{dsr.ByStop, dsr.ByChange}:         {Beside, "What you opted out of stops at once; the correction follows when we know it is you."},
	{dsr.ByStop, dsr.ByRemoval}:        {Beside, "What you opted out of stops at once, and stays stopped after the data are erased."},
	{dsr.ByStop, dsr.ByPerson}:         {Beside, "What you opted out of stops at once; a person answers the rest."},
	{dsr.ByCopy, dsr.ByCopy}:           {OneCopy, "One archive answers both."},
	{dsr.ByCopy, dsr.ByStatement}:      {Together, "You get the copy, and the answer with it."},
	{dsr.ByCopy, dsr.ByMark}:           {InOrder, "The copy is made first; then the data are marked."},
	{dsr.ByCopy, dsr.ByChange}:         {InOrder, "The copy shows the data as they were; then they are corrected."},
	{dsr.ByCopy, dsr.ByRemoval}:        {InOrder, "You get the copy first; only then are the data erased."},
	{dsr.ByCopy, dsr.ByPerson}:         {Together, "You get the copy; a person answers the rest."},
	{dsr.ByStatement, dsr.ByStatement}: {Together, "One answer tells both."},
	{dsr.ByStatement, dsr.ByMark}:      {InOrder, "We tell you what we hold; then it is marked."},
	{dsr.ByStatement, dsr.ByChange}:    {InOrder, "We tell you what we hold; then it is corrected."},
	{dsr.ByStatement, dsr.ByRemoval}:   {InOrder, "We look at what we hold first; then it is erased."},
	{dsr.ByStatement, dsr.ByPerson}:    {Together, "We tell you what we hold; a person answers the rest."},
	{dsr.ByMark, dsr.ByMark}:           {Together, "Both marks are set."},
	{dsr.ByMark, dsr.ByChange}:         {InOrder, "The data are marked first; then they are corrected."},
	{dsr.ByMark, dsr.ByRemoval}:        {Opposed, "Data that are erased cannot be kept and marked."},
	{dsr.ByMark, dsr.ByPerson}:         {Together, "The data are marked; a person answers the rest."},
	{dsr.ByChange, dsr.ByChange}:       {Together, "Each field is corrected."},
	{dsr.ByChange, dsr.ByRemoval}:      {Swallows, "Data that are erased need no correction."},
	{dsr.ByChange, dsr.ByPerson}:       {Together, "The data are corrected; a person answers the rest."},
	{dsr.ByRemoval, dsr.ByRemoval}:     {Together, "The data are erased or made anonymous."},
	{dsr.ByRemoval, dsr.ByPerson}:      {Together, "The data are erased; a person answers the rest."},
	{dsr.ByPerson, dsr.ByPerson}:       {Together, "A person answers both."},
}

// Settle tells how two different rights asked together are carried out. Every
// pair has an answer, and the order of the two does not matter.
func Settle(a, b dsr.Right) Settled {
	if i, j := slices.Index(meansOrder, a.Means()), slices.Index(meansOrder, b.Means()); i > j || i == j && a > b {
		a, b = b, a
	}
	switch {
	case a.Means() == dsr.ByCopy && slices.Contains(lookers, b) && a == dsr.Access:
		return Settled{Swallows, a, b, "The copy tells this too."}
	case a == dsr.Objection && b.Means() == dsr.ByRemoval:
		return Settled{Swallows, b, a, "Data that are erased are no longer used, so there is nothing left to object to."}
	case a == dsr.AnonymiseBlock && b == dsr.Erasure:
		return Settled{Swallows, b, a, "The erasure does more than what you asked for beside it."}
	case a.Means() == dsr.ByStop && b == dsr.OptIn:
		return Settled{Opposed, a, b, "You asked to stop something and to start it again."}
	}
	m := matrix[meansPair{a.Means(), b.Means()}]
	s := Settled{m.how, a, b, m.says}
	if m.how == Swallows { // the later one of the order does more
		s.First, s.Second = b, a
	}
	return s
}

// settle applies the matrix to all rights at once: what is left to carry out,
// how each pair was settled, and what the person must say first. An answer in
// facts settles an opposed pair; until then the safe one is carried out.
func settle(rights []dsr.Right, facts map[string]string) (left []dsr.Right, pairs []Settled, ask []Query) {
	left = rights
	each := func(f func(s Settled) (loser dsr.Right)) {
		dropped := map[dsr.Right]bool{}
		for i, a := range left {
			for _, b := range left[i+1:] {
				dropped[f(Settle(a, b))] = true
			}
		}
		left = slices.DeleteFunc(slices.Clone(left), func(r dsr.Right) bool { return dropped[r] })
	}
	each(func(s Settled) dsr.Right { // first, so that a right that goes swallows nothing
		if s.How != Opposed {
			return ""
		}
		loser, q := opposed(s, facts)
		pairs = append(pairs, s)
		if q.ID != "" && !slices.ContainsFunc(ask, func(x Query) bool { return x.ID == q.ID }) {
			ask = append(ask, q)
		}
		return loser
	})
	each(func(s Settled) dsr.Right {
		pairs = append(pairs, s)
		if s.How == Swallows {
			return s.Second
		}
		return ""
	})
	return left, pairs, ask
}

// opposed tells which right of an opposed pair is not carried out, and the
// question where nobody has answered it.
func opposed(s Settled, facts map[string]string) (loser dsr.Right, q Query) {
	if s.Second == dsr.OptIn {
		switch facts[AnswerInOrOut] {
		case ChoiceOptIn:
			return s.First, Query{}
		case ChoiceOptOut:
			return s.Second, Query{}
		}
		return s.Second, Query{ID: AnswerInOrOut, Question: "You asked to stop something and to start it again. Which do you want?",
			Answer: AnswerInOrOut, Choices: []string{ChoiceOptIn, ChoiceOptOut}, Default: ChoiceOptOut}
	}
	switch facts[AnswerEraseOrRestrict] {
	case ChoiceErase:
		return s.First, Query{}
	case ChoiceRestrict:
		return s.Second, Query{}
	}
	return s.Second, Query{ID: AnswerEraseOrRestrict, Question: "You asked us to erase your data and to keep but not use it. Which do you want?",
		Answer: AnswerEraseOrRestrict, Choices: []string{ChoiceErase, ChoiceRestrict}, Default: ChoiceRestrict}
}
