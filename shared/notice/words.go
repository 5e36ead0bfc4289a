package notice

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

// Language is every word of every letter in one language: strings/<tag>.toml.
type Language struct {
	Tag     string            `toml:"language"` // BCP 47, as the file is named
	Date    string            `toml:"date"`     // {day} {month} {year}
	Months  []string          `toml:"months"`
	And     string            `toml:"and"` // between the last two of a list
	Word    map[string]string `toml:"word"`
	Right   map[string]string `toml:"right"`   // what a person asks for: "a copy of your data"
	Proof   map[string]string `toml:"proof"`   // how it is checked who asks
	Purpose map[string]string `toml:"purpose"` // what was stopped
	Outcome map[string]string `toml:"outcome"`
	Reason  map[string]string `toml:"reason"` // of a refused outcome
	Action  map[string]string `toml:"action"` // what a recipient must do
	Asker   map[string]string `toml:"requester"`
	Part    map[string]string `toml:"part"` // paragraphs that several kinds share
	Notice  map[string]texts  `toml:"notice"`
}

// texts are the words of one kind of letter by their key.
type texts map[string]string

// Catalog is the languages letters can be written in.
type Catalog struct{ languages map[string]*Language }

//go:embed strings/*.toml
var files embed.FS

var catalog = sync.OnceValues(func() (*Catalog, error) {
	words, err := fs.Sub(files, "strings")
	if err != nil {
		return nil, err
	}
	return Load(words)
})

// english is the language that is complete and that others fall back to.
const english = "en"

// Load reads every *.toml of a folder as one language each. A key that is
// missing, unknown or empty is refused with the file and its name, and so is
// a placeholder that nothing fills.
func Load(folder fs.FS) (*Catalog, error) {
	names, err := fs.Glob(folder, "*.toml")
	if err != nil {
		return nil, fmt.Errorf("looking for the words of letters: %w", err)
	}
	c := &Catalog{languages: map[string]*Language{}}
	for _, name := range names {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, fmt.Errorf("reading the words of letters: %w", err)
		}
		l, err := read(name, text)
		if err != nil {
			return nil, err
		}
		c.languages[l.Tag] = l
	}
	if c.languages[english] == nil {
		return nil, errors.New("reading the words of letters: en.toml is missing: every other language falls back to it")
	}
	return c, nil
}

func read(name string, text []byte) (*Language, error) {
	var l Language
	d := toml.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) {
			row, _ := strict.Errors[0].Position()
			return nil, fmt.Errorf("%s:%d: unknown key %s", name, row, strings.Join(strict.Errors[0].Key(), "."))
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if l.Tag != strings.TrimSuffix(path.Base(name), ".toml") {
		return nil, fmt.Errorf("%s: language is %q: expected the name of the file", name, l.Tag)
	}
	if len(l.Months) != 12 || slices.Contains(l.Months, "") {
		return nil, fmt.Errorf("%s: months: expected twelve names", name)
	}
	problems := l.check()
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s: %s", name, strings.Join(problems, "\n"+name+": "))
	}
	return &l, nil
}

// check compares the file with what the code asks for.
func (l *Language) check() []string {
	var all []string
	compare := func(table string, got map[string]string, want []string) {
		for _, key := range slices.Sorted(slices.Values(want)) {
			if strings.TrimSpace(got[key]) == "" {
				all = append(all, table+"."+key+": missing: expected words")
			}
		}
		for _, key := range slices.Sorted(maps.Keys(got)) {
			if !slices.Contains(want, key) {
				all = append(all, table+"."+key+": unknown key")
			}
			for _, hole := range holes.FindAllString(got[key], -1) {
				if !slices.Contains(fillings, strings.Trim(hole, "{}")) {
					all = append(all, table+"."+key+": "+hole+": nothing fills this")
				}
			}
		}
	}
	compare("word", l.Word, wordKeys)
	compare("right", l.Right, plain(dsr.Rights()))
	compare("proof", l.Proof, plain(proofs))
	compare("purpose", l.Purpose, plain(purposes))
	compare("outcome", l.Outcome, outcomeKeys())
	compare("reason", l.Reason, reasons)
	compare("action", l.Action, plain(actions))
	compare("requester", l.Asker, plain(requesters))
	compare("part", l.Part, partKeys())
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		compare("notice."+kind, l.Notice[kind], kinds[kind].keys())
	}
	for _, kind := range slices.Sorted(maps.Keys(l.Notice)) {
		if _, ok := kinds[kind]; !ok {
			all = append(all, "notice."+kind+": unknown key")
		}
	}
	if l.And == "" || l.Date == "" {
		all = append(all, "and, date: missing: expected words")
	}
	return all
}

// The closed words that a language file must say.
var (
	proofs = []policy.Proof{NoProof, policy.Mailbox, policy.MatchPoints2, policy.MatchPoints3, policy.Declaration, policy.Permission, policy.ParentProof,
		policy.SchoolProof, policy.AccountLogin, policy.DocumentProof}
	purposes   = []dsr.Purpose{dsr.Marketing, dsr.Sale, dsr.TargetedAds, dsr.Profiling, dsr.Sensitive, dsr.Consent, dsr.Objected, dsr.Storage, dsr.AllUse}
	requesters = []dsr.Requester{dsr.Self, dsr.Agent, dsr.Attorney, dsr.Parent, dsr.School, dsr.Reporter, dsr.Successor, dsr.Unmailable}
	actions    = []dsr.OutcomeKind{dsr.Erased, dsr.Rectified, dsr.Restricted, dsr.Suppressed}
	outcomes   = []dsr.OutcomeKind{dsr.Exported, dsr.Erased, dsr.Anonymised, dsr.Rectified, dsr.Restricted, dsr.Suppressed, dsr.NotHeld, dsr.Retained, dsr.Kept,
		dsr.Deferred, dsr.Referred, dsr.Accepted, dsr.Attested, dsr.Refused, dsr.Failed, dsr.Told, dsr.Impossible}
	// reasons of an outcome that was refused or waits, and of a recipient who could
	// not be told; every other is "other".
	reasons = []string{"other", "cannot", policy.ReasonNoExport, policy.ReasonNoRectify, policy.ReasonNotSearchable, policy.ReasonForbidden,
		"other_person", "shared_with_another_person", "cooling_off", "gone", "no_contact", "disproportionate"}
	wordKeys = []string{"own_words", "one_record", "records", "system", "data", "result", "why", "kept_for", "source", "recipients", "sensitive", "withheld",
		"processor", "third_party", "affiliate", "your_message", "our_systems", "what_you_wrote", "cannot_erase", "nothing_passed", "nothing_ours", "format", "officer", "phone", "post", "representative", "controller", "checked_agent", "checked_attorney", "checked_successor", "checked_parent", "checked_school",
		"method_agent", "method_attorney", "method_successor", "method_parent", "method_school", "old_address", "new_address"}
)

// outcomeKeys are the sentences of results: one for each kind of outcome, and
// the variants of some.
func outcomeKeys() []string {
	return append(plain(outcomes), "retained_hold", "retained_open", "kept_undecided", "attested_files", "deferred_why", "refused_left_out", "unsaid")
}

var holes = regexp.MustCompile(`\{[^{}]*\}`)

func plain[T ~string](words []T) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return out
}

// language finds the words for a BCP 47 tag: the tag itself, its first part,
// or English.
func (c *Catalog) language(tag string) *Language {
	base, _, _ := strings.Cut(tag, "-")
	for _, t := range []string{tag, strings.ToLower(base)} {
		if l, ok := c.languages[t]; ok {
			return l
		}
	}
	return c.languages[english]
}

// fill puts values into the holes of a text. A text with a hole whose value is
// empty is no text at all: "".
func fill(text string, values map[string]string) string {
	empty := false
	text = holes.ReplaceAllStringFunc(text, func(hole string) string {
		value := strings.TrimSpace(values[strings.Trim(hole, "{}")])
		empty = empty || value == ""
		return value
	})
	if empty {
		return ""
	}
	return text
}

// day tells a date; "" for none.
func (l *Language) day(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	if zone == nil {
		zone = time.UTC
	}
	y, m, d := t.In(zone).Date()
	return fill(l.Date, map[string]string{"day": strconv.Itoa(d), "month": l.Months[m-1], "year": strconv.Itoa(y)})
}

// list joins words: "a, b and c".
func (l *Language) list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + l.And + " " + words[len(words)-1]
}

// asked says what a request asks for.
func (l *Language) asked(rights []dsr.Right, words bool) string {
	var all []string
	for _, r := range rights {
		all = append(all, l.Right[string(r)])
	}
	if words || len(all) == 0 {
		all = append(all, l.Word["own_words"])
	}
	return l.list(all)
}

func (l *Language) records(n int) string {
	if n == 1 {
		return l.Word["one_record"]
	}
	return fill(l.Word["records"], map[string]string{"count": strconv.Itoa(n)})
}

// result says one outcome.
func (l *Language) result(row Row, zone *time.Location) string {
	o := row.Outcome
	key := string(o.Kind)
	until := ""
	if t, err := time.Parse(time.DateOnly, o.Until); err == nil {
		until = l.day(t, time.UTC)
	}
	reason := ""
	switch o.Kind {
	case dsr.Retained:
		switch {
		case row.Hold:
			key = "retained_hold"
		case until == "":
			key = "retained_open"
		}
	case dsr.Kept:
		if row.Undecided {
			key = "kept_undecided"
		}
	case dsr.Attested:
		if o.Count > 0 {
			key = "attested_files"
		}
	case dsr.Deferred:
		if row.Why == "" {
			row.Why = l.Reason[o.Reason]
		}
		if row.Why != "" {
			key = "deferred_why"
		}
	case dsr.Refused, dsr.Impossible:
		reason = l.Reason[o.Reason]
		switch {
		case reason == "":
			reason = l.Reason["other"]
		case strings.HasSuffix(o.Reason, "other_person") || strings.HasSuffix(o.Reason, "another_person"):
			key = "refused_left_out"
		}
	}
	text := fill(l.Outcome[key], map[string]string{
		"records": l.records(o.Count), "count": strconv.Itoa(o.Count), "why": row.Why, "cite": row.Cite, "until": until, "on": l.day(o.DueAt, zone), "to": o.To, "reason": reason,
	})
	if text == "" { // a fact is missing that the sentence needs: a letter refuses it, a page sends the person to us
		return l.Outcome["unsaid"]
	}
	return text
}
