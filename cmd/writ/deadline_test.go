package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func deadlineOf(t *testing.T, text string) (map[string]any, string, int) {
	t.Helper()
	out, errs, code := writ(t, "deadline", "--json", "--file", requestFile(t, text))
	face := map[string]any{}
	if code == exitDone {
		if err := json.Unmarshal([]byte(out), &face); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
	}
	return face, errs, code
}

const clockInPoland = `{"regimes":["gdpr"],"right":"access","calendar":"PL","zone":"Europe/Warsaw","received_at":"2026-01-31T09:00:00Z","promised_days":0,"events":[]}`

func TestDeadlineOfAFile(t *testing.T) {
	swap := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(clockInPoland) }
	extended := `[{"kind":"extended","at":"2026-02-20T09:00:00Z","by":"officer","reason":"complexity"}]`
	for name, c := range map[string]struct {
		file                                      string
		acknowledge, due, refusal, notice, latest any
	}{
		"one month in Poland":    {clockInPoland, nil, "2026-03-02", "2026-03-02", "2026-03-02", "2026-04-30"},
		"extended":               {swap(`[]`, extended), nil, "2026-04-30", "2026-03-02", "2026-03-02", "2026-04-30"},
		"promised":               {swap(`"promised_days":0`, `"promised_days":10`), nil, "2026-02-10", "2026-02-10", "2026-03-02", "2026-02-10"},
		"no calendar":            {swap(`"PL"`, `""`), nil, "2026-02-28", "2026-02-28", "2026-02-28", "2026-04-30"},
		"California":             {swap(`"gdpr"`, `"ccpa"`, `"PL"`, `"US-CA"`, "Europe/Warsaw", "America/Los_Angeles"), "2026-02-13", "2026-03-17", "2026-03-17", "2026-03-17", "2026-05-01"},
		"Brazil":                 {swap(`"gdpr"`, `"lgpd"`, `"PL"`, `"BR"`), nil, "2026-02-15", "2026-02-15", nil, "2026-02-15"},
		"the day counts in zone": {swap("2026-01-31T09:00:00Z", "2026-06-01T22:30:00Z"), nil, "2026-07-02", "2026-07-02", "2026-07-02", "2026-09-02"},
		"least said":             {`{"regimes":["gdpr"],"right":"access","received_at":"2026-01-31T09:00:00Z"}`, nil, "2026-02-28", "2026-02-28", "2026-02-28", "2026-04-30"},
	} {
		t.Run(name, func(t *testing.T) {
			face, errs, code := deadlineOf(t, c.file)
			if code != exitDone {
				t.Fatalf("exit status %d: %s", code, errs)
			}
			want := map[string]any{"acknowledge_due": c.acknowledge, "due": c.due, "refusal_due": c.refusal, "extension_notice_due": c.notice, "latest_due": c.latest}
			for key, value := range want {
				if got, there := face[key]; !there || got != value {
					t.Errorf("%s is %v, want %v", key, got, value)
				}
			}
			rows, _ := face["explain"].([]any)
			if len(rows) == 0 || len(face) != len(want)+1 {
				t.Fatalf("the answer has %d keys and explains %v", len(face), rows)
			}
			if row, _ := rows[0].(map[string]any); row["rule"] == "" || row["says"] == "" || len(row) != 2 {
				t.Errorf("it explains %v", rows[0])
			}
		})
	}
}

// What a file must not say ends in one sentence that names the place and what
// was expected.
func TestDeadlineRefusesAFileItCannotRead(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"an unknown key":       {`"events":[]`, `"events":[],"paused":true`, `unknown field "paused"`},
		"something behind it":  {`"events":[]}`, `"events":[]} {}`, "something follows the JSON object"},
		"no JSON":              {`{"regimes"`, `{regimes`, "invalid character"},
		"an unknown law":       {`"gdpr"`, `"moon"`, `there is no law "moon": expected one of ccpa`},
		"no law":               {`["gdpr"]`, `[]`, "regimes: none is named"},
		"an unknown right":     {`"access"`, `"acess"`, `right: unknown right "acess"`},
		"an unknown calendar":  {`"PL"`, `"XX"`, `calendar: there is none "XX": expected one of BE, BR`},
		"an unknown zone":      {"Europe/Warsaw", "Mars/Base", `zone: "Mars/Base" is no time zone`},
		"no receipt":           {`"received_at":"2026-01-31T09:00:00Z",`, ``, "received_at is missing"},
		"a receipt of no time": {"2026-01-31T09:00:00Z", "yesterday", "yesterday"},
		"a negative promise":   {`"promised_days":0`, `"promised_days":-1`, "promised_days is negative"},
		"an unknown event":     {`[]`, `[{"kind":"paused","at":"2026-02-01T09:00:00Z"}]`, `unknown clock event "paused"`},
		"an event of no time":  {`"events":[]`, `"events":[{"kind":"identity_asked"}]`, "identity_asked has no time"},
		"an extension by none": {`"events":[]`, `"events":[{"kind":"extended","at":"2026-02-01T09:00:00Z","reason":"complexity"}]`, "names nobody"},
		"a reason of no list":  {`"events":[]`, `"events":[{"kind":"extended","at":"2026-02-01T09:00:00Z","by":"a","reason":"busy"}]`, `"busy" is no reason`},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(clockInPoland, c.old, c.new, 1)
			if _, errs, code := deadlineOf(t, text); code != exitFailed || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
				t.Errorf("exit status %d: %q; want %d and %q", code, errs, exitFailed, c.want)
			}
		})
	}
	if _, errs, code := writ(t, "deadline", "--file", t.TempDir()+"/none.json"); code != exitFailed || errs == "" {
		t.Errorf("a file that is not there: exit status %d: %s", code, errs)
	}
}

func TestDeadlineOfACompany(t *testing.T) {
	out, errs, code := writ(t, "deadline", "--company", "pythonmaster", "--received-at", "2026-02-10T09:00:00Z", "--country", "PL", "--right", "access")
	if code != exitDone || !strings.Contains(out, "Due on 2026-03-10 (UTC), by EU-ALL.") || !strings.Contains(out, "It ends on 2026-03-12") || !strings.Contains(out, "With every extension 2026-03-12.") {
		t.Errorf("exit status %d: %s\n%s", code, errs, out)
	}
	out, _, code = writ(t, "deadline", "--company", "pythonmaster", "--received-at", "2026-11-20T09:00:00Z", "--country", "us-ca", "--right", "access")
	if code != exitDone || !strings.Contains(out, "Due on 2026-12-20 (UTC)") || !strings.Contains(out, "Confirm the receipt by 2026-12-04.") || !strings.Contains(out, "CA-45:") {
		t.Errorf("exit status %d:\n%s", code, out)
	}
	for _, args := range [][]string{
		{"deadline"}, {"deadline", "x"}, {"deadline", "--company", "pythonmaster", "--received-at", "yesterday"},
		{"deadline", "--company", "pythonmaster", "--file", "x"},
		{"deadline", "--company", "pythonmaster", "--received-at", "2026-11-20T09:00:00Z", "--country", "XX"},
		{"deadline", "--company", "pythonmaster", "--received-at", "2026-11-20T09:00:00Z", "--right", "acess"},
	} {
		if _, _, code := writ(t, args...); code != exitUsage {
			t.Errorf("%v: exit status %d, want %d", args, code, exitUsage)
		}
	}
}
