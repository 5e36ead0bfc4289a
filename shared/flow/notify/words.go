package notify

import (
	"fmt"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/mail"
)

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

// lead is the answer in one sentence.
func lead(r ledger.Request, visits []dsr.Visit, v dsr.Verdict) string {
	erasure := slices.Contains(r.Rights, dsr.Erasure)
	erased, kept := 0, 0
	for _, visit := range visits {
		if visit.Phase != dsr.Act {
			continue
		}
		for _, o := range visit.Outcomes {
			switch o.Kind {
			case dsr.Erased, dsr.Anonymised, dsr.Attested:
				erased++
			case dsr.Retained, dsr.Kept, dsr.Refused, dsr.Failed:
				kept++
			}
		}
	}
	switch {
	case !erasure && !v.Complete:
		return "A person of our team is still working on your request; we write to you again when it is done."
	case !erasure:
		return "A person of our team has dealt with your request."
	case !v.Complete && erased == 0:
		return "We have not finished your request yet; below is where each system stands."
	case !v.Complete:
		return "We have erased a part of your data, and something is not finished yet."
	case erased == 0 && kept == 0:
		return "We looked in every system and hold no data about you under this address, so there was nothing to erase."
	case kept == 0:
		return "We have erased your data from every system and looked again to make sure that it is gone."
	case erased == 0:
		return "We could not erase your data; below is what we keep and why."
	}
	return "We have erased your data, except for what is listed below with the reason why it is kept."
}

// told groups the outcomes as the person needs them: what was erased, what is
// kept and why, what could not be confirmed.
func (s *Subject) told(country dsr.Place, visits []dsr.Visit) []mail.Part {
	groups := []struct {
		heading string
		kinds   []dsr.OutcomeKind
	}{
		{"What was erased", []dsr.OutcomeKind{dsr.Erased, dsr.Anonymised, dsr.Suppressed, dsr.Rectified, dsr.Restricted}},
		{"What is kept, and why", []dsr.OutcomeKind{dsr.Retained, dsr.Kept, dsr.Refused, dsr.Referred}},
		{"What is not confirmed yet", []dsr.OutcomeKind{dsr.Deferred, dsr.Accepted, dsr.Failed}},
		{"What a person of our team did", []dsr.OutcomeKind{dsr.Attested}},
		{"Where nothing is held", []dsr.OutcomeKind{dsr.NotHeld}},
		{"What is in your copy", []dsr.OutcomeKind{dsr.Exported}},
	}
	var parts []mail.Part
	for _, g := range groups {
		if t := s.table(country, visits, g.kinds...); t != nil {
			parts = append(parts, mail.Part{Heading: g.heading, Table: t})
		}
	}
	return parts
}

// table lists outcomes by system and category; without kinds, all of them.
func (s *Subject) table(country dsr.Place, visits []dsr.Visit, kinds ...dsr.OutcomeKind) *mail.Table {
	t := &mail.Table{Head: []string{"System", "Data", "Result"}}
	for _, v := range visits {
		for _, o := range v.Outcomes {
			if len(kinds) > 0 && !slices.Contains(kinds, o.Kind) {
				continue
			}
			t.Rows = append(t.Rows, []string{s.system(v.System), s.category(o.Category), s.Result(country, v.System, o)})
		}
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return t
}

func (s *Subject) system(id string) string {
	if id == dsr.Officer {
		return "Your message"
	}
	if sys, ok := s.Company.System(id); ok {
		return sys.Name
	}
	return id
}

func (s *Subject) category(id string) string {
	if id == dsr.Words {
		return "What you wrote"
	}
	if c, ok := s.Company.Category(id); ok {
		return c.Name
	}
	return id
}

// Result says one outcome in plain words to a person who lives in country.
func (s *Subject) Result(country dsr.Place, system string, o dsr.Outcome) string {
	switch o.Kind {
	case dsr.Exported:
		return "in your copy: " + records(o.Count)
	case dsr.Erased:
		return "erased: " + records(o.Count) + "; we looked again and it is gone"
	case dsr.Anonymised:
		return "made anonymous: " + records(o.Count) + "; it no longer points to you"
	case dsr.NotHeld:
		return "nothing is held about you"
	case dsr.Retained:
		if o.Ground == connector.GroundHold {
			return "kept because a legal hold for possible claims applies, which has no end date yet; ask us again later, for it is not erased by itself when the hold ends"
		}
		for _, g := range s.Company.Grounds {
			if g.ID == o.Ground {
				return fmt.Sprintf("kept until %s: %s (%s)", human(o.Until), g.Plain, g.Cite)
			}
		}
		return "kept until " + human(o.Until)
	case dsr.Kept:
		if open, ok := s.Company.Undecided(o.Category, country); ok && open.Plain != "" {
			return "still held, " + records(o.Count) + ": " + open.Plain
		}
		reason := ""
		if sys, ok := s.Company.System(system); ok {
			reason = s.Keeps(sys.Connector, o.Rule)
		}
		if reason == "" {
			reason = "the system cannot erase it"
		}
		return "still held, " + records(o.Count) + ": " + reason + "; we know of no law that lets us keep it from you, and you can complain"
	case dsr.Deferred:
		return "not finished: the system did not answer in time; we try again"
	case dsr.Accepted:
		return "accepted by the provider; we check on " + day(o.DueAt) + " that it is gone"
	case dsr.Referred:
		return "passed on to " + o.To
	case dsr.Attested:
		if o.Count > 0 {
			return fmt.Sprintf("done by a person of our team, who added %d file(s)", o.Count)
		}
		return "done by a person of our team, who confirms it"
	case dsr.Refused:
		switch o.Reason {
		case "other_person", "shared_with_another_person":
			return "left out, " + records(o.Count) + ": it is also another person's, whose data we must not give away"
		}
		return "could not be done (" + refusal(o.Reason) + ")"
	case dsr.Suppressed:
		return "no longer used"
	case dsr.Rectified:
		return "corrected"
	case dsr.Restricted:
		return "kept, but no longer used"
	}
	return "failed; a person of our team looks into it"
}

func refusal(reason string) string {
	switch reason {
	case connector.AnswerCannot:
		return "a person of our team looked and found no way"
	case "no_export":
		return "the system offers no way to copy it"
	}
	return "a person of our team can tell you more"
}

func human(until string) string {
	t, err := time.Parse(time.DateOnly, until)
	if err != nil {
		return "further notice"
	}
	return day(t)
}

func records(n int) string {
	if n == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", n)
}

// held counts what was found.
func held(visits []dsr.Visit) int {
	n := 0
	for _, v := range visits {
		for _, o := range v.Outcomes {
			if o.Kind != dsr.NotHeld {
				n++
			}
		}
	}
	return n
}

// complain says where a person who disagrees can turn.
func (s *Subject) complain(r ledger.Request) mail.Part {
	c := s.Company.Contacts
	return mail.Part{Heading: "If you disagree", Text: c.Complain + " " + s.Company.Regime(r.Place()).Complain}
}
