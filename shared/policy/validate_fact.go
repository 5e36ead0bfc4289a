package policy

import (
	"fmt"
	"slices"
	"strings"
)

// maxCiteWords is the longest quotation: a longer one would be a copy of the
// text, not evidence.
const maxCiteWords = 12

// maxDocumentation is how many rows of a company may change nothing.
const maxDocumentation = 5

// FactRow is one row of a pack together with what it rests on.
type FactRow struct {
	File string // companies/<id>/policy.toml …
	Line int    // of its cites
	Key  string // place in the file: "channel[2]", "category[0].retain"
	ID   string // the row's own word, for people
	Fact Fact
}

// FactRows lists every row of the pack that rests on the company's text, in the
// order of its files.
func (c *Company) FactRows() []FactRow { return slices.Clone(c.evidence) }

// Documentation counts the rows that change nothing.
func (c *Company) Documentation() int {
	n := 0
	for _, r := range c.evidence {
		if r.Fact.EnforcedBy == ByDocumentation {
			n++
		}
	}
	return n
}

// fact checks what a row rests on and notes it. The same phrase of a document
// carries one row of a company only.
func (c *Company) fact(d document, table, id string, f Fact) {
	d.oneOf(table+".enforced_by", string(f.EnforcedBy), string(ByPlan), string(ByDue), string(ByNotice), string(ByDocumentation))
	if f.Decision != "" && !slices.ContainsFunc(c.Decisions, func(x Decision) bool { return x.ID == f.Decision }) {
		d.fault(table+".decision", "there is no [[needs_controller_decision]] %q", f.Decision)
	}
	if len(f.Cites) == 0 && f.Decision == "" {
		d.fault(table+".cites", "is missing: expected phrases of the company's text, or the decision of a [[needs_controller_decision]]")
	}
	for i, cite := range f.Cites {
		key := fmt.Sprintf("%s.cites[%d]", table, i)
		d.text(key, "document", cite.Document, "phrase", cite.Phrase)
		words := strings.Fields(cite.Phrase)
		if len(words) > maxCiteWords {
			d.fault(key+".phrase", "has %d words; expected at most %d", len(words), maxCiteWords)
		}
		if cite.Document != "" && !slices.ContainsFunc(c.Documents, func(x Document) bool { return x.ID == cite.Document }) {
			d.fault(key+".document", "there is no [[document]] %q", cite.Document)
		}
		plain := Cite{Document: cite.Document, Phrase: strings.Join(words, " ")}
		if first, cited := c.cited[plain]; cited {
			d.fault(key+".phrase", "is cited by %s already; expected a phrase of its own", first)
			continue
		}
		c.cited[plain] = table
	}
	c.evidence = append(c.evidence, FactRow{File: d.file, Line: d.line(join(table, "cites")), Key: table, ID: id, Fact: f})
	if f.EnforcedBy == ByDocumentation && c.Documentation() == maxDocumentation+1 {
		d.fault(table+".enforced_by", "is the row number %d that is documentation only; expected at most %d", maxDocumentation+1, maxDocumentation)
	}
}
