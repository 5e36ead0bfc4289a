package policy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
		texts := map[string]string{}
		for _, d := range c.Documents {
			data, err := os.ReadFile(filepath.Join(dir, filepath.Base(d.ID)))
			if err != nil {
				t.Errorf("%s: its document %s: %v", id, d.ID, err)
				continue
			}
			texts[d.ID] = normal(string(data))
		}
		phrases := 0
		for _, row := range c.FactRows() {
			for _, cite := range row.Fact.Cites {
				phrases++
				if !strings.Contains(texts[cite.Document], normal(cite.Phrase)) {
					t.Errorf("%s: %s (%s): %q is not in %s", row.File, row.Key, row.ID, cite.Phrase, cite.Document)
				}
			}
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
		text := strings.ToLower(normal(all.String()))
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

// normal makes white space and quotation marks alike.
func normal(s string) string {
	s = strings.NewReplacer("’", "'", "‘", "'", "“", `"`, "”", `"`).Replace(s)
	return strings.Join(strings.Fields(s), " ")
}
