package policy

import (
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
)

func lawFiles(t *testing.T) fstest.MapFS {
	t.Helper()
	good := fstest.MapFS{}
	names, err := fs.Glob(files, "regimes/*.toml")
	if err != nil || len(names) != 6 {
		t.Fatalf("regimes %v, error %v; want six", names, err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		good[name] = &fstest.MapFile{Data: data}
	}
	return good
}

// The law's own files are checked as a company's are.
func TestRegimesAreRefusedByFileLineAndKey(t *testing.T) {
	good := lawFiles(t)
	if problems := readLaw(good).problems; len(problems) != 0 {
		t.Fatalf("the embedded regimes are refused: %v", problems)
	}
	for name, c := range map[string]struct{ file, old, new, want string }{
		"unknown key":                {"ch_fadp", "days = 30\n", "days = 30\nweeks = 4\n", "clock.weeks: unknown key"},
		"another name":               {"uk_gdpr", `id = "uk_gdpr"`, `id = "uk"`, `id: "uk" is not the file's name; expected "uk_gdpr"`},
		"two clocks":                 {"gdpr", "months = 1\n", "months = 1\ndays = 30\n", "clock[0]: needs months, days, business_days or hours, one of them"},
		"no clock":                   {"gdpr", "months = 1\n", "", "clock[0]: needs months, days, business_days or hours, one of them"},
		"a clock that runs back":     {"gdpr", "months = 1\n", "months = -1\n", "clock[0]: needs months"},
		"an unknown clock":           {"gdpr", "clock = \"EU-ALL\"", "clock = \"EU-NONE\"", `rule[0].clock: there is no clock "EU-NONE"; expected the id of a [[clock]]`},
		"no clock named":             {"gdpr", "clock = \"EU-ALL\"\n", "", `rule[0].clock: there is no clock ""`},
		"no general clock":           {"gdpr", `general = "EU-ALL"`, `general = "EU"`, `general: there is no clock "EU"`},
		"an unknown model":           {"gdpr", `model = "suspends"`, `model = "rests"`, `clock[0].model: "rests" is unknown; expected one of suspends, stops, runs`},
		"an unknown right":           {"gdpr", `"access", `, `"acess", `, `rule[0].rights: unknown right "acess"`},
		"a right twice":              {"gdpr", `"access", `, `"access", "access", `, `rule[0].rights: "access" is there twice`},
		"an unknown notice":          {"gdpr", `"acknowledge", "access"`, `"hello", "access"`, `rule[0].notices: "hello" is unknown`},
		"an unknown exception":       {"gdpr", `"manifestly_unfounded"`, `"busy"`, `rule[0].exceptions: "busy" is unknown`},
		"an unknown proof":           {"gdpr", `needs = ["mailbox"]`, `needs = ["selfie"]`, `"selfie" is unknown; expected one of mailbox`},
		"an unknown requester":       {"gdpr", `requesters = ["agent"]`, `requesters = ["cousin"]`, `"cousin" is unknown; expected one of self`},
		"a business purpose":         {"gdpr", `kind = "expression"`, `kind = "business_purpose"`, `ground[0].kind: "business_purpose" is unknown`},
		"a duty that blocks nothing": {"gdpr", `jurisdiction = "PL"`, `jurisdiction = "US"`, `keep[0].jurisdiction: a duty under the law of US blocks nothing here`},
		"an age of nobody":           {"gdpr", "years = 13\n", "years = 130\n", "years: is 130; expected an age from 10 to 21"},
		"an age elsewhere":           {"gdpr", `country = "AT"`, `country = "GB"`, `"GB" is none of the regime's residents`},
		"a reason out of the list":   {"gdpr", `"complexity"`, `"holidays"`, `clock[0].extend_reasons: "holidays" is unknown; expected one of complexity, number_of_requests`},
		"an extension without":       {"gdpr", `extend_reasons = ["complexity", "number_of_requests"]`, `extend_reasons = []`, "clock[0].extend_reasons: an extension needs a closed list of reasons"},
		"no such duty":               {"ccpa", `acknowledge_rule = "CA-ACK"`, `acknowledge_rule = "CA-ACKN"`, `clock[0].acknowledge_rule: there is no duty "CA-ACKN"`},
		"no cite":                    {"lgpd", `cite = "LGPD Art. 19 II"`, `cite = ""`, "clock[0].cite: is missing or empty"},
		"no date":                    {"lgpd", `valid_from = "2020-09-18"`, `valid_from = "18 Sep"`, `clock[0].valid_from: "18 Sep" is not a date; expected 2006-01-02`},
		"an end before the start":    {"ccpa", `valid_to = "2025-12-31"`, `valid_to = "2019-12-31"`, "lies before valid_from"},
		"no word on how it is read":  {"lgpd", `confidence = "checked"`, `confidence = "sure"`, `confidence: "sure" is unknown; expected one of checked, recheck`},
		"confidence missing":         {"lgpd", "confidence = \"checked\"\n", "", `clock[0].confidence: "" is unknown`},
		"an overlap":                 {"uk_gdpr", `valid_to = "2026-02-04"`, `valid_to = "2026-02-05"`, "clock[1].valid_from: 2026-02-05 overlaps the row of UK-ALL before it, which ends on 2026-02-05"},
		"an open end before another": {"uk_gdpr", "valid_to = \"2026-02-04\"\n", "", "clock[1].valid_from: 2026-02-05 overlaps the row of UK-ALL before it, which ends never"},
		"a gap":                      {"uk_gdpr", `valid_to = "2026-02-04"`, `valid_to = "2026-02-03"`, "clock[1].valid_from: 2026-02-05 leaves a gap after the row of UK-ALL before it; expected 2026-02-04"},
		"a gap of ages":              {"gdpr", `valid_to = "2023-12-31"`, `valid_to = "2022-12-31"`, "leaves a gap after the row of EU-8-DK before it; expected 2023-01-01"},
		"no country":                 {"uk_gdpr", `residents = ["GB"]`, `residents = []`, "residents: is missing or empty"},
		"a country by name":          {"uk_gdpr", `["GB"]`, `["Britain"]`, `residents: "Britain" is not a place`},
		"a country that is none":     {"uk_gdpr", `["GB"]`, `["XX"]`, `residents: "XX" is not a place`},
		"a country twice":            {"uk_gdpr", `residents = ["GB"]`, `residents = ["GB", "PL"]`, "residents: PL belongs to the regime gdpr already"},
		"a state elsewhere":          {"us_default", `places = ["US-IA"]`, `places = ["US-CA"]`, `places: "US-CA" is none of the regime's residents`},
		"no authority":               {"uk_gdpr", "complain = ", "complain = \"\" # ", "complain: is missing or empty"},
		"two fallbacks":              {"uk_gdpr", "rank = 2", "rank = 2\nfallback = true\nwhy = \"x\"", "fallback: the regime gdpr is the fallback already"},
		"a fallback without why":     {"gdpr", "why = ", "why = \"\" # ", "why: is missing or empty"},
		"no fallback":                {"gdpr", "fallback = true", "fallback = false", "regimes:1: fallback: no regime is the fallback"},
		"a rank twice":               {"uk_gdpr", "rank = 2", "rank = 1", "rank: 1 is the rank of gdpr already"},
		"an unknown establishment":   {"uk_gdpr", `established = ["uk"]`, `established = ["moon"]`, `established: "moon" is unknown; expected one of eea`},
		"no TOML":                    {"gdpr", "[[clock]]", "[[clock]", "regimes/gdpr.toml:"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := maps.Clone(good)
			file := "regimes/" + c.file + ".toml"
			text := string(good[file].Data)
			if !strings.Contains(text, c.old) {
				t.Fatalf("%s has no %q", file, c.old)
			}
			changed[file] = &fstest.MapFile{Data: []byte(strings.Replace(text, c.old, c.new, 1))}
			problems := readLaw(changed).problems
			var hit *Problem
			for i, p := range problems {
				if strings.Contains(p.Error(), c.want) {
					hit = &problems[i]
				}
			}
			if hit == nil {
				t.Fatalf("problems:\n%v\nwant one with %q", problems, c.want)
			}
			if hit.File != file || hit.Key == "file" {
				return // what no single line has
			}
			// The line is that of the key, or of the table that should hold it.
			line := strings.Split(string(changed[file].Data), "\n")[hit.Line-1]
			key := hit.Key[strings.LastIndexByte(hit.Key, '.')+1:]
			table, _, _ := strings.Cut(hit.Key, "[")
			if !strings.HasPrefix(line, key+" = ") && line != "[["+table+"]]" {
				t.Errorf("line %d is %q, which is neither the key %s nor its table", hit.Line, line, key)
			}
		})
	}
	if problems := readLaw(fstest.MapFS{}).problems; len(problems) != 1 {
		t.Errorf("no file at all gives %v, want one problem", problems)
	}
}
