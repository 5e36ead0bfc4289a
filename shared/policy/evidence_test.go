package policy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/writ-dsr/writ/shared/policy"
)

// seeds returns the folder of the policy texts. Without it the test says what
// did not run; on CI that fails.
func seeds(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("WRIT_SEEDS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "seeds")
	}
	if _, err := os.Stat(dir); err != nil {
		said := fmt.Sprintf("the phrases of the packs were not compared with the policy texts: no folder %s (set WRIT_SEEDS)", dir)
		if os.Getenv("CI") == "true" {
			t.Fatal(said)
		}
		t.Skip(said)
	}
	return dir
}

// A pack rests on phrases of its policy; every one must be in the text.
func TestPhrasesAreInTheirTexts(t *testing.T) {
	dir := seeds(t)
	for _, id := range policy.Companies() {
		c := load(t, id)
		if err := c.CheckTexts(os.DirFS(dir)); err != nil {
			t.Error(err)
		}
		phrases := 0
		for _, row := range c.FactRows() {
			phrases += len(row.Fact.Cites)
		}
		if phrases < 40 {
			t.Errorf("%s: %d phrases compared, want at least 40", id, phrases)
		}
	}
}

// Whom a person writes to, and what a document is called, stands in the text.
func TestContactsAreInTheirTexts(t *testing.T) {
	dir := seeds(t)
	for _, id := range policy.Companies() {
		c := load(t, id)
		var all strings.Builder
		for _, d := range c.Documents {
			data, err := os.ReadFile(filepath.Join(dir, filepath.Base(d.ID)))
			if err != nil {
				t.Fatal(err)
			}
			all.Write(data)
		}
		text := strings.ToLower(strings.Join(strings.Fields(all.String()), " "))
		for _, said := range []string{c.Contacts.Mail, c.Contacts.Phone} {
			if !strings.Contains(text, strings.ToLower(said)) {
				t.Errorf("%s: %q is not in its documents", id, said)
			}
		}
		for _, p := range c.Promises {
			if n := fmt.Sprintf("%d", p.Days); !strings.Contains(text, n+" days") && !strings.Contains(text, "("+n+") days") {
				t.Errorf("%s: %d days of %s are not in its documents", id, p.Days, p.Rule)
			}
		}
		for _, ch := range c.Channels {
			if ch.Kind == "mail" && !strings.Contains(text, strings.ToLower(ch.Where)) {
				t.Errorf("%s: the address of the channel %s is not in its documents", id, ch.ID)
			}
		}
	}
}

// A phrase that no text has is refused with file, line and key, and so is a
// document that is not there.
func TestCheckTextsNamesFileLineAndKey(t *testing.T) {
	c := load(t, "pythonmaster")
	row := c.FactRows()[0]
	document := row.Fact.Cites[0].Document
	var all strings.Builder
	for _, r := range c.FactRows()[1:] {
		for _, cite := range r.Fact.Cites {
			all.WriteString(cite.Phrase + "\n")
		}
	}
	err := c.CheckTexts(fstest.MapFS{document: {Data: []byte(all.String())}})
	want := fmt.Sprintf("%s:%d: %s.cites[0].phrase: %q is not in %s; expected words that stand there", row.File, row.Line, row.Key, row.Fact.Cites[0].Phrase, document)
	if err == nil || row.Line < 2 || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := c.CheckTexts(fstest.MapFS{}); err == nil || !strings.Contains(err.Error(), document+`" is not in the folder of the texts`) {
		t.Errorf("without the document: %v", err)
	}
}
