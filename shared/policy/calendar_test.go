package policy

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// outside is testdata/calendar_vectors.json: what other people's libraries say.
type outside struct {
	MadeWith string              `json:"made_with"`
	Holidays map[string][]string `json:"holidays"`
	Vectors  []vector            `json:"vectors"`
}

// vector is one due date: calendar, zone, receipt, months, days, business days, due.
type vector struct {
	calendar, zone, received   string
	months, days, businessDays int
	due                        string
}

func (v *vector) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&v.calendar, &v.zone, &v.received, &v.months, &v.days, &v.businessDays, &v.due})
}

func readOutside(t *testing.T) outside {
	t.Helper()
	data, err := os.ReadFile("testdata/calendar_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var o outside
	if err := json.Unmarshal(data, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func calendarNamed(t *testing.T, code string) Calendar {
	t.Helper()
	switch code {
	case "":
		return Calendar{}
	case "weekends":
		return Weekends()
	}
	cal, ok := CalendarOf(code)
	if !ok {
		t.Fatalf("there is no calendar %q among %v", code, Calendars())
	}
	return cal
}

func TestEveryHolidayFrom2024To2030(t *testing.T) {
	o := readOutside(t)
	if want := []string{"BE", "BR", "CH", "DE", "FR", "GB", "IE", "NO", "PL", "US", "US-CA"}; !slices.Equal(Calendars(), want) || len(o.Holidays) != len(want) {
		t.Fatalf("the calendars are %v, those to compare with are %d; want %v", Calendars(), len(o.Holidays), want)
	}
	for code, days := range o.Holidays {
		cal := calendarNamed(t, code)
		for day := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2031; day = day.AddDate(0, 0, 1) {
			name, ours := cal.holidays[day]
			if theirs := slices.Contains(days, day.Format(time.DateOnly)); ours != theirs {
				t.Errorf("%s %s: a holiday here is %v (%s), outside %v", code, day.Format(time.DateOnly), ours, name, theirs)
			}
		}
	}
}

// Two thousand random dates and more, reckoned by python-dateutil and holidays.
func TestDueDatesAgreeWithAnotherImplementation(t *testing.T) {
	o := readOutside(t)
	if len(o.Vectors) < 2000 || o.MadeWith == "" {
		t.Fatalf("%d vectors made with %q; want at least 2000 and the versions", len(o.Vectors), o.MadeWith)
	}
	wrong := 0
	for _, v := range o.Vectors {
		if got := v.reckon(t); got != v.due {
			if wrong++; wrong <= 10 {
				t.Errorf("%+v: due %s", v, got)
			}
		}
	}
	if wrong > 10 {
		t.Errorf("%d of %d dates differ", wrong, len(o.Vectors))
	}
}

// reckon computes the vector by Reckon, or by the calendar alone where working
// days skip holidays, which no law here does.
func (v vector) reckon(t *testing.T) string {
	t.Helper()
	zone, err := time.LoadLocation(v.zone)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, v.received)
	if err != nil {
		t.Fatal(err)
	}
	cal := calendarNamed(t, v.calendar)
	if v.businessDays > 0 {
		if v.calendar == "" {
			cal = Weekends()
		}
		return cal.businessDays(dayOf(at, zone), v.businessDays).Format(time.DateOnly)
	}
	d, err := Reckon(Reckoning{
		Clocks:   []Clock{{Row: Row{ID: "X"}, Model: Runs, Months: v.months, Days: v.days, WorkingDay: true}},
		Events:   []dsr.ClockEvent{{Kind: dsr.Received, At: at}},
		Zone:     zone,
		Calendar: cal,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d.DueAt.In(zone).Format(time.DateOnly)
}

// The vectors of the facts the law rows were written from.
func TestKnownDates(t *testing.T) {
	for _, v := range []vector{
		{"PL", "UTC", "2026-01-31T09:00:00Z", 1, 0, 0, "2026-03-02"},
		{"PL", "UTC", "2025-11-24T09:00:00Z", 1, 0, 0, "2025-12-29"}, // 24 December is a holiday since 2025
		{"PL", "UTC", "2024-11-24T09:00:00Z", 1, 0, 0, "2024-12-24"}, // and was none in 2024
		{"NO", "UTC", "2026-03-02T09:00:00Z", 1, 0, 0, "2026-04-07"}, // Easter
		{"BE", "UTC", "2026-10-11T09:00:00Z", 1, 0, 0, "2026-11-12"},
		{"PL", "UTC", "2024-01-31T09:00:00Z", 1, 0, 0, "2024-02-29"},
		{"NO", "UTC", "2026-04-17T09:00:00Z", 1, 0, 0, "2026-05-18"},
		{"", "UTC", "2026-11-20T09:00:00Z", 0, 45, 0, "2027-01-04"},
		{"", "UTC", "2026-11-20T09:00:00Z", 0, 90, 0, "2027-02-18"},
		{"US-CA", "UTC", "2026-11-20T09:00:00Z", 0, 0, 10, "2026-12-08"}, // skipping California's holidays
		{"", "UTC", "2026-11-20T09:00:00Z", 0, 0, 10, "2026-12-04"},      // not skipping them, as the rows do
		{"PL", "UTC", "2026-02-01T09:00:00Z", 1, 0, 0, "2026-03-02"},     // one month …
		{"", "UTC", "2026-02-01T09:00:00Z", 0, 30, 0, "2026-03-03"},      // … is not 30 days
		{"IE", "UTC", "2030-01-01T09:00:00Z", 1, 0, 0, "2030-02-04"},     // St Brigid's Day is Friday, 1 February
		{"GB", "UTC", "2027-11-25T09:00:00Z", 1, 0, 0, "2027-12-29"},     // two substitute days
	} {
		if got := v.reckon(t); got != v.due {
			t.Errorf("%+v: due %s", v, got)
		}
	}
}

func TestHolidaysAreRefusedByFileLineAndKey(t *testing.T) {
	const good = "[[calendar]]\ncode = \"PL\"\nname = \"Poland\"\n[[calendar.day]]\nname = \"New Year\"\non = \"01-01\"\n"
	if set := readCalendars([]byte(good)); len(set.problems) != 0 {
		t.Fatalf("a good file is refused: %v", set.problems)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown key":          {`on = "01-01"`, "on = \"01-01\"\nwhen = 1", "holidays.toml:7: calendar.day.when: unknown key"},
		"no day":               {"on = \"01-01\"\n", "", "holidays.toml:4: calendar[0].day[0]: has both or none of on and easter"},
		"a day of nothing":     {"01-01", "13-01", `"13-01" is no day`},
		"a fifth Monday":       {"01-01", "5 monday 01", `"5 monday 01" is no day`},
		"a weekday of no name": {"01-01", "1 moonday 01", `"1 moonday 01" is no day`},
		"an unknown move":      {`on = "01-01"`, "on = \"01-01\"\nmove = \"back\"", `move "back" is unknown; expected next, nearest or sunday`},
		"no place":             {`"PL"`, `"Poland"`, `holidays.toml:2: calendar[0].code: "Poland" is there twice or no place`},
		"no name":              {`"New Year"`, `""`, "holidays.toml:5: calendar[0].day[0].name: is missing or empty"},
	} {
		t.Run(name, func(t *testing.T) {
			set := readCalendars([]byte(strings.Replace(good, c.old, c.new, 1)))
			if !strings.Contains(set.problems.Error(), c.want) {
				t.Errorf("problems:\n%v\nwant one with %q", set.problems, c.want)
			}
		})
	}
}
