package policy

import (
	"fmt"
	"io/fs"
	"strings"
)

// CheckTexts reports, as Problems, every phrase that a row cites and that is
// not in its document. texts holds the company's documents by the ids of the
// [[document]] rows. White space and the form of quotation marks do not count.
func (c *Company) CheckTexts(texts fs.FS) error {
	var problems Problems
	known := map[string]string{}
	for _, row := range c.evidence {
		for i, cite := range row.Fact.Cites {
			key := fmt.Sprintf("%s.cites[%d]", row.Key, i)
			text, read := known[cite.Document]
			if !read {
				data, err := fs.ReadFile(texts, cite.Document)
				if err != nil {
					problems = append(problems, Problem{File: row.File, Line: row.Line, Key: key + ".document", Says: fmt.Sprintf("%q is not in the folder of the texts; expected the document that the company published", cite.Document)})
				}
				text = normal(string(data))
				known[cite.Document] = text
			}
			if text != "" && !strings.Contains(text, normal(cite.Phrase)) {
				problems = append(problems, Problem{File: row.File, Line: row.Line, Key: key + ".phrase", Says: fmt.Sprintf("%q is not in %s; expected words that stand there", cite.Phrase, cite.Document)})
			}
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// normal is a text with single spaces and straight quotation marks.
func normal(s string) string {
	s = strings.NewReplacer("’", "'", "‘", "'", "“", `"`, "”", `"`).Replace(s)
	return strings.Join(strings.Fields(s), " ")
}
