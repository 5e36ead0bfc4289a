package policy

import (
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/writ-dsr/writ/shared/dsr"
)

// The law's own files are checked as a company's are.
func TestRegimesAreRefusedByFileLineAndKey(t *testing.T) {
	good := fstest.MapFS{}
	names, err := fs.Glob(files, "regimes/*.toml")
	if err != nil || len(names) != 3 {
		t.Fatalf("regimes %v, error %v; want three", names, err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		good[name] = &fstest.MapFile{Data: data}
	}
	readAll := func(fsys fs.FS) Problems {
		var problems Problems
		c := &Company{regimes: map[string]Regime{}, countries: map[dsr.Place]string{}}
		c.readRegimes(fsys, &problems)
		return problems
	}
	if problems := readAll(good); len(problems) != 0 {
		t.Fatalf("the embedded regimes are refused: %v", problems)
	}
	for name, c := range map[string]struct{ file, old, new, want string }{
		"unknown key":               {"uk_gdpr", "months = 1", "months = 1\nweeks = 4", "regimes/uk_gdpr.toml:20: clock.weeks: unknown key"},
		"another name":              {"uk_gdpr", `id = "uk_gdpr"`, `id = "uk"`, `regimes/uk_gdpr.toml:2: id: "uk" is not the file's name`},
		"two clocks":                {"uk_gdpr", "months = 1", "months = 1\ndays = 30", "regimes/uk_gdpr.toml:16: clock: needs months or days, one of them"},
		"no clock":                  {"uk_gdpr", "months = 1\n", "", "clock: needs months or days, one of them"},
		"a clock that runs back":    {"uk_gdpr", "months = 1", "months = -1", "clock: needs months or days, one of them"},
		"no cite":                   {"uk_gdpr", `cite = "UK GDPR Art. 12A"`, `cite = ""`, "regimes/uk_gdpr.toml:18: clock.cite: is missing or empty"},
		"no date":                   {"uk_gdpr", `valid_from = "2026-02-05"`, `valid_from = "5 Feb"`, "clock.valid_from:"},
		"no word on how it is read": {"uk_gdpr", `confidence = "checked"`, `confidence = "sure"`, "clock.confidence:"},
		"no country":                {"uk_gdpr", `["GB"]`, `[]`, "regimes/uk_gdpr.toml:4: countries: is missing or empty"},
		"a country by name":         {"uk_gdpr", `["GB"]`, `["Britain"]`, `countries: "Britain" is not a country`},
		"a country twice":           {"uk_gdpr", `["GB"]`, `["GB", "PL"]`, "regimes/uk_gdpr.toml:4: countries: PL belongs to the regime gdpr already"},
		"no authority":              {"uk_gdpr", "complain = ", "complain = \"\" # ", "regimes/uk_gdpr.toml:5: complain: is missing or empty"},
		"two fallbacks":             {"uk_gdpr", `["GB"]`, "[\"GB\"]\nfallback = true\nwhy = \"x\"", "regimes/uk_gdpr.toml:5: fallback: the regime gdpr is the fallback already"},
		"a fallback without why":    {"gdpr", "why = ", "why = \"\" # ", "regimes/gdpr.toml:10: why: is missing or empty"},
		"no fallback":               {"gdpr", "fallback = true", "fallback = false", "regimes:1: fallback: no regime is the fallback"},
		"no TOML":                   {"gdpr", "[clock]", "[clock", "regimes/gdpr.toml:"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := maps.Clone(good)
			file := "regimes/" + c.file + ".toml"
			text := string(good[file].Data)
			if !strings.Contains(text, c.old) {
				t.Fatalf("%s has no %q", file, c.old)
			}
			changed[file] = &fstest.MapFile{Data: []byte(strings.Replace(text, c.old, c.new, 1))}
			if problems := readAll(changed); !strings.Contains(problems.Error(), c.want) {
				t.Errorf("problems:\n%v\nwant one with %q", problems, c.want)
			}
		})
	}
	if problems := readAll(fstest.MapFS{}); len(problems) != 1 {
		t.Errorf("no file at all gives %v, want one problem", problems)
	}
}
