package notice_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/notice"
	"github.com/writ-dsr/writ/shared/policy"
)

func english(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("strings/en.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func folder(files map[string]string) fstest.MapFS {
	fs := fstest.MapFS{}
	for name, text := range files {
		fs[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fs
}

// foreign is a second language: complete, and every word of it is another.
func foreign(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(english(t)) {
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ` = "`)
		switch {
		case key == "language":
			out.WriteString("language = \"xx\"\n")
		case key == "date" && strings.Contains(value, "{day}"):
			out.WriteString("date = \"{year}. {month} {day}.\"\n")
		case ok:
			out.WriteString(key + " = \"xx " + value + "\n")
		default:
			out.WriteString(line)
		}
	}
	return out.String()
}

func TestASecondLanguageIsUsed(t *testing.T) {
	c, err := notice.Load(folder(map[string]string{"en.toml": english(t), "xx.toml": foreign(t)}))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range policy.Notices() {
		for _, tag := range []string{"xx", "xx-YY", "XX"} {
			l, err := c.Write(kind, tag, facts(kind), values(kind))
			if err != nil {
				t.Fatal(err)
			}
			if l.Lang != "xx" || !strings.HasPrefix(l.Subject, "xx ") || !strings.HasPrefix(l.Lead, "xx ") || !strings.HasPrefix(l.Footer, "xx ") {
				t.Errorf("%s in %s: %q, %q, %q", kind, tag, l.Lang, l.Subject, l.Lead)
			}
			for _, p := range l.Parts {
				if p.Heading != "" && !strings.HasPrefix(p.Heading, "xx ") {
					t.Errorf("%s: the heading %q is not of the language", kind, p.Heading)
				}
				if p.Link != nil && !strings.HasPrefix(p.Link.Label, "xx ") {
					t.Errorf("%s: the link %q is not of the language", kind, p.Link.Label)
				}
				if p.Table != nil && !strings.HasPrefix(p.Table.Head[0], "xx ") {
					t.Errorf("%s: the table's head %q is not of the language", kind, p.Table.Head)
				}
			}
		}
	}
	l, err := c.Write(policy.NoticeExtension, "xx", facts(policy.NoticeExtension), values(policy.NoticeExtension))
	if err != nil || !strings.Contains(l.Lead, "2027. February 2.") {
		t.Errorf("the date of another language: %q, %v", l.Lead, err)
	}
}

func TestAnUnknownLanguageIsEnglish(t *testing.T) {
	for _, tag := range []string{"", "tlh", "en-GB", "x", "../en"} {
		l, err := notice.Write(policy.NoticeWithdrawn, tag, facts(policy.NoticeWithdrawn), values(policy.NoticeWithdrawn))
		if err != nil || l.Lang != "en" || l.Lead != "Your request has ended, as you asked." {
			t.Errorf("%q: %q %q, %v", tag, l.Lang, l.Lead, err)
		}
	}
}

func TestAFileWithAFaultIsRefused(t *testing.T) {
	change := func(old, new string) string {
		text := foreign(t)
		if !strings.Contains(text, old) {
			t.Fatalf("the file lacks %q", old)
		}
		return strings.Replace(text, old, new, 1)
	}
	line := func(key string) string {
		for l := range strings.Lines(foreign(t)) {
			if strings.HasPrefix(l, key+" = ") {
				return l
			}
		}
		t.Fatalf("no line %s", key)
		return ""
	}
	for name, c := range map[string]struct{ text, says string }{
		"a missing word of a kind":    {change(line("backups"), ""), "xx.toml: notice.erasure.backups: missing"},
		"an empty word":               {change(line("backups"), "backups = \" \"\n"), "xx.toml: notice.erasure.backups: missing"},
		"a missing shared word":       {change(line("disagree_head"), ""), "xx.toml: part.disagree_head: missing"},
		"a missing right":             {change(line("human_review"), ""), "xx.toml: right.human_review: missing"},
		"a missing outcome":           {change(line("retained_hold"), ""), "xx.toml: outcome.retained_hold: missing"},
		"a missing proof":             {change(line("mailbox"), ""), "xx.toml: proof.mailbox: missing"},
		"a whole kind":                {change("[notice.withdrawn]", "[notice.withdrawal]"), "xx.toml: notice.withdrawn.lead: missing"},
		"an unknown kind":             {change("[notice.withdrawn]", "[notice.withdrawal]"), "xx.toml: notice.withdrawal: unknown key"},
		"an unknown word of a kind":   {change(line("backups"), line("backups")+"bakups = \"x\"\n"), "xx.toml: notice.erasure.bakups: unknown key"},
		"an unknown table":            {foreign(t) + "\n[notices]\nx = \"y\"\n", "unknown key notices"},
		"a hole that nothing fills":   {change("{bundle_due}", "{bundle_date}"), "{bundle_date}: nothing fills this"},
		"eleven months":               {change(`"December"`, ""), "months: expected twelve names"},
		"another name than its own":   {change(`language = "xx"`, `language = "yy"`), `language is "yy"`},
		"what is no TOML":             {change("[right]", "[right"), "xx.toml: "},
		"no word between two of many": {change(line("and"), ""), "and, date: missing"},
	} {
		_, err := notice.Load(folder(map[string]string{"en.toml": english(t), "xx.toml": c.text}))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if _, err := notice.Load(folder(map[string]string{"xx.toml": foreign(t)})); err == nil || !strings.Contains(err.Error(), "en.toml is missing") {
		t.Errorf("without English: %v", err)
	}
}

// Each kind of outcome has its own sentence, and none claims more than it is.
func TestResults(t *testing.T) {
	oslo := time.FixedZone("", 2*3600)
	on := time.Date(2026, 12, 1, 23, 0, 0, 0, time.UTC)
	said := map[string]dsr.OutcomeKind{}
	for _, c := range []struct {
		row  notice.Row
		want string
	}{
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Exported, Count: 1}}, "in your copy: 1 record"},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Erased, Count: 2}}, "erased: 2 records; we looked again and it is gone"},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Anonymised, Count: 2}}, "no longer points to you"},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Rectified}}, "corrected"},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Restricted}}, "kept, but no longer used"},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Suppressed}}, "no longer used"},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.NotHeld}}, "nothing is held about you"},
		{notice.Row{Why: "Tax law.", Cite: "Act 1", Outcome: dsr.Outcome{Kind: dsr.Retained, Until: "2032-01-01"}}, "kept until 1 January 2032: Tax law. (Act 1) Then we erase it; you do not need to ask again."},
		{notice.Row{Why: "Tax law.", Cite: "Act 1", Outcome: dsr.Outcome{Kind: dsr.Retained, Until: "lawsuit_ended"}}, "kept for now: Tax law. (Act 1)"},
		{notice.Row{Hold: true, Outcome: dsr.Outcome{Kind: dsr.Retained, Until: "hold_lifted"}}, "When the hold ends, we go on with it."},
		{notice.Row{Why: "the firm keeps it", Outcome: dsr.Outcome{Kind: dsr.Kept, Count: 1}}, "the firm keeps it; we know of no law"},
		{notice.Row{Why: "We decide it soon.", Undecided: true, Outcome: dsr.Outcome{Kind: dsr.Kept, Count: 1}}, "still held, 1 record: We decide it soon."},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Deferred, DueAt: on}}, "not finished"},
		{notice.Row{Why: "The law lets us wait.", Outcome: dsr.Outcome{Kind: dsr.Deferred, DueAt: on}}, "not yet, but on 2 December 2026: The law lets us wait."},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Referred, To: "North School"}}, "for this, North School answers you"},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Accepted, DueAt: on}}, "we check on 2 December 2026"},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Attested}}, "done by a person of our team, who confirms it"},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Attested, Count: 2}}, "added 2 file(s)"},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Refused, Reason: "cannot"}}, "looked and found no way"},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Refused, Reason: "no_export"}}, "offers no way to copy it"},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Refused, Reason: "a_new_word"}}, "can tell you more"},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Refused, Reason: "shared_with_another_person", Count: 3}}, "left out, 3 records"},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Failed, Reason: "still_there"}}, "failed"},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Told}}, "told of it"},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Impossible, Reason: "unknown_address"}}, "could not be told"},
		{notice.Row{Outcome: dsr.Outcome{Kind: dsr.Retained, Until: "2032-01-01"}}, "please ask us"},
	} {
		got := notice.Result("en", c.row, oslo)
		if !strings.Contains(got, c.want) {
			t.Errorf("%s is told as %q, want %q", c.row.Outcome.Kind, got, c.want)
		}
		if k, ok := said[got]; ok && k != c.row.Outcome.Kind {
			t.Errorf("%s and %s are told as the same: %q", k, c.row.Outcome.Kind, got)
		}
		said[got] = c.row.Outcome.Kind
	}
}

func TestAsked(t *testing.T) {
	for _, c := range []struct {
		rights []dsr.Right
		words  bool
		want   string
	}{
		{nil, true, "what you wrote in your own words"},
		{nil, false, "what you wrote in your own words"},
		{[]dsr.Right{dsr.Access}, false, "a copy of your data"},
		{[]dsr.Right{dsr.Access, dsr.Erasure}, true, "a copy of your data, the erasure of your data and what you wrote in your own words"},
	} {
		if got := notice.Asked("en", c.rights, c.words); got != c.want {
			t.Errorf("%v, %v: %q", c.rights, c.words, got)
		}
	}
}

// An opening sentence never says more than was done.
func TestOpenings(t *testing.T) {
	row := func(kinds ...dsr.OutcomeKind) []notice.Row {
		var all []notice.Row
		for _, k := range kinds {
			all = append(all, notice.Row{System: "our app", Data: "Your account", Why: "A reason.", Cite: "A law", Outcome: dsr.Outcome{Kind: k, Until: "2032-01-01", To: "them"}})
		}
		return all
	}
	for name, c := range map[string]struct {
		kind   string
		change func(*notice.Values)
		want   string
	}{
		"all erased":            {policy.NoticeErasure, func(v *notice.Values) { v.Rows = row(dsr.Erased, dsr.NotHeld) }, "from every system"},
		"one kept":              {policy.NoticeErasure, func(v *notice.Values) { v.Rows = row(dsr.Erased, dsr.Retained) }, "except for what is listed"},
		"one passed on":         {policy.NoticeErasure, func(v *notice.Values) { v.Rows = row(dsr.Erased, dsr.Referred) }, "except for what is listed"},
		"all kept":              {policy.NoticeErasure, func(v *notice.Values) { v.Rows = row(dsr.Kept) }, "could not erase"},
		"nothing held":          {policy.NoticeErasure, func(v *notice.Values) { v.Rows = row(dsr.NotHeld) }, "nothing to erase"},
		"some erased, one open": {policy.NoticeErasure, func(v *notice.Values) { v.Rows, v.Open = row(dsr.Erased, dsr.Deferred), true }, "a part of your data"},
		"nothing erased yet":    {policy.NoticeErasure, func(v *notice.Values) { v.Rows, v.Open = row(dsr.Deferred), true }, "not finished your request yet"},
		"copy":                  {policy.NoticeAccess, func(*notice.Values) {}, "is ready"},
		"a part of a copy":      {policy.NoticeAccess, func(v *notice.Values) { v.Open = true }, "A first part"},
		"an empty copy":         {policy.NoticeAccess, func(v *notice.Values) { v.Rows, v.Searched = row(dsr.NotHeld), true }, "hold no data about you"},
		"not all looked":        {policy.NoticeAccess, func(v *notice.Values) { v.Rows = row(dsr.NotHeld) }, "is ready"},
		"opted out":             {policy.NoticeOptOut, func(*notice.Values) {}, "We have stopped"},
		"opting out":            {policy.NoticeOptOut, func(v *notice.Values) { v.Open = true }, "about to stop"},
		"corrected":             {policy.NoticeRectification, func(*notice.Values) {}, "We have corrected"},
		"not yet corrected":     {policy.NoticeRectification, func(v *notice.Values) { v.Open = true }, "not corrected everything"},
		"restricted":            {policy.NoticeRestriction, func(*notice.Values) {}, "no longer use it"},
		"a person cannot":       {policy.NoticeAnswer, func(v *notice.Values) { v.Rows = row(dsr.Refused) }, "we cannot do what you asked"},
		"a person did":          {policy.NoticeAnswer, func(*notice.Values) {}, "has dealt with"},
		"a person works":        {policy.NoticeAnswer, func(v *notice.Values) { v.Open = true }, "is still working"},
		"refused":               {policy.NoticeRefusal, func(*notice.Values) {}, "We do not do what you asked"},
		"refused in part":       {policy.NoticeRefusal, func(v *notice.Values) { v.Rows = row(dsr.Erased) }, "We did a part"},
	} {
		v := values(c.kind)
		c.change(&v)
		l, err := notice.Write(c.kind, "en", facts(c.kind), v)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !strings.Contains(l.Lead, c.want) {
			t.Errorf("%s opens with %q, want %q", name, l.Lead, c.want)
		}
	}
}
