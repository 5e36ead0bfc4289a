package intake

import (
	"slices"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

// Choice is one box to tick: a right in plain words.
type Choice struct {
	Right dsr.Right
	Name  string
	Says  string
}

// Group is what the form shows under one heading; More stands folded away.
type Group struct {
	Title string
	Shown []Choice
	More  []Choice
}

// statute is every right that some law gives, or that any company can be asked,
// by group. A pack adds to the law and never takes from it.
var statute = []struct {
	title string
	shown []dsr.Right
	more  []dsr.Right
}{
	{"Get a copy", []dsr.Right{dsr.Access}, []dsr.Right{dsr.Portability}},
	{"Put it right", []dsr.Right{dsr.Rectification}, nil},
	{"Erase", []dsr.Right{dsr.Erasure}, []dsr.Right{dsr.AnonymiseBlock}},
	{"Stop something", []dsr.Right{dsr.ObjectionMarketing, dsr.OptOutOfSale, dsr.ConsentWithdrawal},
		[]dsr.Right{dsr.Objection, dsr.Restriction, dsr.LimitSensitive, dsr.OptOutTargetedAds, dsr.OptOutProfiling, dsr.OptIn}},
	{"Know more", []dsr.Right{dsr.KnowCategories}, []dsr.Right{dsr.Recipients, dsr.ConfirmProcessing, dsr.ShineTheLight}},
	{"Ask a person", nil, []dsr.Right{dsr.HumanReview, dsr.Complaint, dsr.Appeal, dsr.ChildReport}},
}

// promised says where a right stands that only a company's own promise gives.
var promised = map[dsr.Right]string{
	dsr.DirectTransfer: "Get a copy", dsr.PublicationChange: "Put it right", dsr.ProfilingOff: "Stop something", dsr.Preferences: "Stop something",
	dsr.WhichProcessors: "Know more", dsr.BalancingTest: "Know more", dsr.TransferMechanism: "Know more", dsr.Inquiry: "Ask a person",
}

// plain is each right as the form says it where the pack has no words of its own.
var plain = map[dsr.Right]Choice{
	dsr.Access:             {Name: "A copy of my data", Says: "All that is held about you, where it came from, who received it and how long it is kept."},
	dsr.Portability:        {Name: "My data in a file that other services can read", Says: "Only what you gave us yourself."},
	dsr.DirectTransfer:     {Name: "Send my data to another service", Says: "Say below which one."},
	dsr.Rectification:      {Name: "Correct my data", Says: "Say below what is wrong and what it should say."},
	dsr.PublicationChange:  {Name: "Change or take down what is published about me", Says: "A review, a photo or a post. Say below where it is."},
	dsr.Erasure:            {Name: "Erase my data", Says: "What a law makes us keep is kept, and we tell you what and why. If you ask for a copy too, you get it first."},
	dsr.AnonymiseBlock:     {Name: "Make my data anonymous, or block it", Says: "For data that is not needed, or is used against the law. A right in Brazil."},
	dsr.ObjectionMarketing: {Name: "No more marketing", Says: "No more advertising mails, messages or calls from us."},
	dsr.OptOutOfSale:       {Name: "Do not sell or share my data", Says: "We stop giving it to others for money or for ads."},
	dsr.ConsentWithdrawal:  {Name: "I take my consent back", Says: "We stop what we do only because you once agreed."},
	dsr.Objection:          {Name: "I object to a use of my data", Says: "Say below which use and why. It stops while we look at it."},
	dsr.Restriction:        {Name: "Keep my data, but do not use it", Says: "For example while we check if it is right."},
	dsr.LimitSensitive:     {Name: "Limit the use of my sensitive data", Says: "Such as your health, your beliefs or where you are."},
	dsr.OptOutTargetedAds:  {Name: "No ads picked from what I do online", Says: "You may still see other ads."},
	dsr.OptOutProfiling:    {Name: "No profiling for big decisions", Says: "We stop rating you by computer for such decisions."},
	dsr.ProfilingOff:       {Name: "Turn profiling and tracking off", Says: "We stop following what you do to learn your habits."},
	dsr.Preferences:        {Name: "Change which messages I get", Says: "Say below which ones you want."},
	dsr.OptIn:              {Name: "Allow again what I had stopped", Says: "Say below what. A person checks it with you first."},
	dsr.KnowCategories:     {Name: "What kinds of data you have about me", Says: "The kinds, the sources, the reasons and who gets them, without a copy."},
	dsr.Recipients:         {Name: "Who has got my data", Says: "The people and firms we gave it to."},
	dsr.ConfirmProcessing:  {Name: "Do you hold data about me at all?", Says: "A yes or no, and what it is used for."},
	dsr.ShineTheLight:      {Name: "Who got my data for their own ads", Says: "A right in California, once a year."},
	dsr.WhichProcessors:    {Name: "Which services you use", Says: "The firms that work on data for us."},
	dsr.BalancingTest:      {Name: "How you weighed your interest against mine", Says: "For what we do because we have an interest in it."},
	dsr.TransferMechanism:  {Name: "What protects my data abroad", Says: "A copy of the rules we have agreed with others."},
	dsr.HumanReview:        {Name: "A person should look at a decision made by a computer", Says: "Say below which decision."},
	dsr.Complaint:          {Name: "I want to complain", Says: "Say below what went wrong."},
	dsr.Appeal:             {Name: "You said no, and I want it looked at again", Says: "Somebody else than the first time looks at it."},
	dsr.Inquiry:            {Name: "I have a question", Says: "Write it below."},
	dsr.ChildReport:        {Name: "I report a child's data", Says: "Somebody under age gave us data. Say below what you know."},
}

// offer returns the boxes of the form: all that a law gives and all that the
// company promises, in its own words where it has some.
func offer(c *policy.Company) []Group {
	own := map[dsr.Right]policy.Request{}
	for _, r := range c.Requests {
		own[r.Right] = r
	}
	choice := func(r dsr.Right) Choice {
		k := plain[r]
		k.Right = r
		if o, ok := own[r]; ok && o.Name != "" {
			k.Name = o.Name
		}
		if o, ok := own[r]; ok && o.Says != "" {
			k.Says = o.Says
		}
		return k
	}
	groups := make([]Group, 0, len(statute))
	for _, s := range statute {
		g := Group{Title: s.title}
		for _, r := range s.shown {
			g.Shown = append(g.Shown, choice(r))
		}
		for _, r := range s.more {
			g.More = append(g.More, choice(r))
		}
		for _, r := range c.Requests {
			if promised[r.Right] == s.title && !slices.ContainsFunc(g.More, func(k Choice) bool { return k.Right == r.Right }) {
				g.More = append(g.More, choice(r.Right))
			}
		}
		groups = append(groups, g)
	}
	return groups
}

// name is a right as the form calls it.
func (s *Stage) name(r dsr.Right) string {
	for _, g := range s.groups {
		for _, k := range slices.Concat(g.Shown, g.More) {
			if k.Right == r {
				return k.Name
			}
		}
	}
	return plain[r].Name
}

// Field is something a person can type for one word of a closed list.
type Field struct {
	ID    string // the form's field
	Word  string // the closed word that is recorded
	Value string
}

// corrections are the fields that can be put right without a person reading
// first; everything else is written in the person's own words.
func corrections() []Field {
	return fields("correct_", "name", "email", "phone", "address", "birth_date", "organisation")
}

// points are the facts that a company can compare with what it holds
// (11 CCR 7062), none of them the number of a paper or a card.
func points() []Field {
	return fields("point_", "order_number", "last_payment", "member_since", "phone", "postcode")
}

func fields(prefix string, words ...string) []Field {
	all := make([]Field, 0, len(words))
	for _, w := range words {
		all = append(all, Field{ID: prefix + w, Word: w})
	}
	return all
}
