package notice_test

import (
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/notice/readable"
	"github.com/writ-dsr/writ/shared/policy"
)

// Every pack and every law give what each kind of notice needs, and in words that
// are as plain as ours.
func TestEveryPackFillsEveryKind(t *testing.T) {
	places := []dsr.Place{"PL", "GB", "CH", "US-CA", "US-VA", "US-UT", "BR", ""}
	letters, hardest := 0, 0.0
	for _, name := range policy.Companies() {
		c, err := policy.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, place := range places {
			for _, kind := range policy.Notices() {
				v := values(kind)
				q := policy.Question{Rights: v.Rights, Place: place, Events: []dsr.ClockEvent{{Kind: dsr.Received, At: v.Received}}}
				f := c.Facts(kind, q)
				for i := range v.Refusals {
					v.Refusals[i].Appeal = f.Appeal
				}
				v.Company, v.Zone = c.Name, c.Zone
				m := write(t, kind, "en", f, v)
				letters++
				g := readable.Grade(m.Subject + ".\n" + prose(m.Text, c, f))
				if hardest = max(hardest, g); g > 8 {
					t.Errorf("%s for %q: %s has grade %.1f", name, place, kind, g)
				}
				// A fact that the pack has is told to the person.
				for what, fact := range map[string]string{"contact": f.Contacts.Mail, "controller": f.Controller, "representative": f.Representative} {
					if !strings.Contains(m.Text, fact) && kind != policy.NoticeRecipient {
						t.Errorf("%s for %q: %s does not name the %s", name, place, kind, what)
					}
				}
				for _, says := range f.Says {
					if !strings.Contains(m.Text, says) && kind != policy.NoticeRecipient {
						t.Errorf("%s for %q: %s does not say %q", name, place, kind, says)
					}
				}
			}
		}
	}
	t.Logf("%d letters, the hardest has grade %.1f", letters, hardest)
	if want := 5 * len(places) * len(policy.Notices()); letters != want {
		t.Errorf("%d letters were written, want %d", letters, want)
	}
}

// prose is a letter without the names in it: those of law, firms and offices are
// what they are.
func prose(text string, c *policy.Company, f policy.NoticeFacts) string {
	text, _, _ = strings.Cut(text, "\n-- \n")
	names := []string{c.Name, f.Controller, f.Law, f.Authority, f.Representative, f.Contacts.Officer, f.Contacts.Post}
	for _, r := range f.Recipients {
		names = append(names, r.Name, r.Where)
	}
	for _, name := range names {
		if name != "" && !strings.HasSuffix(name, ".") {
			text = strings.ReplaceAll(text, name, "")
		}
	}
	return text
}
