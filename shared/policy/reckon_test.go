package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

// event is written "kind 2026-01-31" or "kind 2026-01-31T22:30:00Z", with "by
// reason" behind it for an extension.
func events(t *testing.T, rows ...string) []dsr.ClockEvent {
	t.Helper()
	var out []dsr.ClockEvent
	for _, row := range rows {
		parts := strings.Fields(row)
		at := parts[1]
		if len(at) == len(time.DateOnly) {
			at += "T09:00:00Z"
		}
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		e := dsr.ClockEvent{Kind: dsr.ClockEventKind(parts[0]), At: when}
		if len(parts) > 2 {
			e.By = parts[2]
		}
		if len(parts) > 3 {
			e.Reason = parts[3]
		}
		out = append(out, e)
	}
	return out
}

func reckoning(t *testing.T, regimes, right, calendar string, promised int, rows ...string) policy.Reckoning {
	t.Helper()
	r := policy.Reckoning{Events: events(t, rows...), Zone: time.UTC, MarginDays: 3}
	var err error
	if r.Clocks, err = policy.ClocksOf(strings.Fields(regimes), right, r.Events[0].At); err != nil {
		t.Fatal(err)
	}
	if calendar != "" {
		var ok bool
		if r.Calendar, ok = policy.CalendarOf(calendar); !ok {
			t.Fatalf("there is no calendar %s", calendar)
		}
	}
	if promised > 0 {
		r.Promises = []policy.Promise{{Rule: "P", Days: promised, Says: "We promised it."}}
	}
	return r
}

func TestReckon(t *testing.T) {
	for _, c := range []struct {
		name, regimes, right, calendar string
		promised                       int
		events                         []string
		// acknowledge, due, refusal, extension notice, latest; "-" for none
		want string
		says string // found in the explanation
	}{
		{"one month, shifted", "gdpr", "access", "PL", 0, []string{"received 2026-01-31"},
			"- 2026-03-02 2026-03-02 2026-03-02 2026-04-30", "It ends on 2026-02-28 (Saturday), so it runs to the next working day, 2026-03-02."},
		{"no calendar moves nothing", "gdpr", "access", "", 0, []string{"received 2026-01-31"},
			"- 2026-02-28 2026-02-28 2026-02-28 2026-04-30", "It ends on 2026-02-28."},
		{"a holiday moves the end", "gdpr", "erasure", "PL", 0, []string{"received 2025-11-24"},
			"- 2025-12-29 2025-12-29 2025-12-29 2026-02-24", "(Christmas Eve)"},
		{"a promise is earlier, moves nothing and is moved by nothing", "gdpr", "access", "PL", 14, []string{"received 2026-07-04", "identity_asked 2026-07-05", "identity_given 2026-07-15"},
			"- 2026-07-18 2026-07-18 2026-08-14 2026-07-18", "a promise never pauses"},
		{"EU: extended to three months from the receipt, the refusal stays", "gdpr", "access", "PL", 0, []string{"received 2026-01-31", "extended 2026-02-20 officer complexity"},
			"- 2026-04-30 2026-03-02 2026-03-02 2026-04-30", "It ends, extended, on 2026-04-30."},
		{"EU: a promise does not extend", "gdpr", "access", "PL", 30, []string{"received 2026-01-31", "extended 2026-02-20 officer complexity"},
			"- 2026-03-02 2026-03-02 2026-03-02 2026-03-02", "by a named person"},
		{"EU: days of an open identity question do not count", "gdpr", "access", "", 0, []string{"received 2026-01-10", "identity_asked 2026-01-12", "identity_given 2026-01-19"},
			"- 2026-02-17 2026-02-17 2026-02-17 2026-04-17", "7 days do not count"},
		{"EU: an answer on the day of the question moves nothing", "gdpr", "access", "", 0, []string{"received 2026-01-10", "clarification_asked 2026-01-12", "clarification_given 2026-01-12T20:00:00Z"},
			"- 2026-02-10 2026-02-10 2026-02-10 2026-04-10", "0 days do not count"},
		{"EU: two questions at once stop the clock once", "gdpr", "access", "", 0, []string{"received 2026-01-10", "identity_asked 2026-01-12", "clarification_asked 2026-01-14", "identity_given 2026-01-16", "clarification_given 2026-01-20"},
			"- 2026-02-18 2026-02-18 2026-02-18 2026-04-18", "8 days do not count"},
		{"EU: one question inside another", "gdpr", "access", "", 0, []string{"received 2026-01-10", "identity_asked 2026-01-12", "clarification_asked 2026-01-14", "clarification_given 2026-01-16", "identity_given 2026-01-20"},
			"- 2026-02-18 2026-02-18 2026-02-18 2026-04-18", "8 days do not count"},
		{"EU: one question after another", "gdpr", "access", "", 0, []string{"received 2026-01-10", "identity_asked 2026-01-12", "identity_given 2026-01-14", "clarification_asked 2026-01-20", "clarification_given 2026-01-23"},
			"- 2026-02-15 2026-02-15 2026-02-15 2026-04-15", "3 days do not count"},
		{"events in another order are the same events", "gdpr", "access", "", 0, []string{"received 2026-01-10", "identity_given 2026-01-19", "identity_asked 2026-01-12"},
			"- 2026-02-17 2026-02-17 2026-02-17 2026-04-17", "7 days do not count"},
		{"EU: a suspended period that ends on a weekend moves after it", "gdpr", "access", "PL", 0, []string{"received 2026-01-10", "identity_asked 2026-01-12", "identity_given 2026-01-16"},
			"- 2026-02-16 2026-02-16 2026-02-16 2026-04-14", "(Saturday)"},
		{"EU: the extension keeps the days that did not count", "gdpr", "access", "", 0, []string{"received 2026-01-10", "identity_asked 2026-01-12", "identity_given 2026-01-19", "extended 2026-02-17 officer number_of_requests"},
			"- 2026-04-17 2026-02-17 2026-02-17 2026-04-17", "number_of_requests"},
		{"asked and not given: the clock stands", "gdpr", "access", "", 0, []string{"received 2026-01-10", "identity_asked 2026-01-12"},
			"- 2026-02-10 2026-02-10 2026-02-10 2026-04-10", "The clock stands since 2026-01-12"},
		{"given and not asked moves nothing", "gdpr", "access", "", 0, []string{"received 2026-01-10", "identity_given 2026-01-19"},
			"- 2026-02-10 2026-02-10 2026-02-10 2026-04-10", "was asked by no question that counts"},
		{"asked when the period is over moves nothing", "gdpr", "access", "", 0, []string{"received 2026-01-10", "identity_asked 2026-02-11", "identity_given 2026-02-20"},
			"- 2026-02-10 2026-02-10 2026-02-10 2026-04-10", "after the period had ended"},
		{"asked twice: the first counts", "gdpr", "access", "", 0, []string{"received 2026-01-10", "identity_asked 2026-01-12", "identity_asked 2026-01-15", "identity_given 2026-01-19"},
			"- 2026-02-17 2026-02-17 2026-02-17 2026-04-17", "was asked again on 2026-01-15"},
		{"UK: the period starts when the identity is given", "uk_gdpr", "access", "", 0, []string{"received 2026-03-10", "identity_asked 2026-03-12", "identity_given 2026-03-19"},
			"- 2026-04-19 2026-04-19 2026-04-19 2026-06-19", "starts on 2026-03-19"},
		{"UK: days of clarification are not counted", "uk_gdpr", "access", "GB", 0, []string{"received 2026-03-10", "clarification_asked 2026-03-12", "clarification_given 2026-03-19"},
			"- 2026-04-17 2026-04-17 2026-04-17 2026-06-17", "7 days do not count"},
		{"UK: clarification before the identity counts once", "uk_gdpr", "access", "", 0, []string{"received 2026-03-10", "identity_asked 2026-03-11", "clarification_asked 2026-03-12", "identity_given 2026-03-19", "clarification_given 2026-03-21"},
			"- 2026-04-21 2026-04-21 2026-04-21 2026-06-21", "2 days do not count"},
		{"UK: clarification that ended before the identity does not count", "uk_gdpr", "access", "", 0, []string{"received 2026-03-10", "clarification_asked 2026-03-11", "identity_asked 2026-03-12", "clarification_given 2026-03-13", "identity_given 2026-03-19"},
			"- 2026-04-19 2026-04-19 2026-04-19 2026-06-19", "starts on 2026-03-19"},
		{"a question and its answer in one instant, listed the other way round", "gdpr", "access", "", 0, []string{"received 2026-01-10", "identity_given 2026-01-12", "identity_asked 2026-01-12"},
			"- 2026-02-10 2026-02-10 2026-02-10 2026-04-10", "0 days do not count"},
		{"UK: a bank holiday moves the end", "uk_gdpr", "access", "GB", 0, []string{"received 2026-03-06"},
			"- 2026-04-07 2026-04-07 2026-04-07 2026-06-08", "(Easter Monday)"},
		{"UK: a complaint is confirmed within 30 days", "uk_gdpr", "complaint", "", 0, []string{"received 2026-07-01"},
			"2026-07-31 2026-08-01 2026-08-01 - 2026-08-01", "confirmed by 2026-07-31"},
		{"California never stops", "ccpa", "access", "US-CA", 0, []string{"received 2026-11-20", "identity_asked 2026-11-21", "identity_given 2026-12-21"},
			"2026-12-04 2027-01-04 2027-01-04 2027-01-04 2027-02-18", "this clock never stops"},
		{"California: extended to 90 days", "ccpa", "erasure", "US-CA", 0, []string{"received 2026-11-20", "extended 2026-12-20 officer complexity"},
			"2026-12-04 2027-02-18 2027-01-04 2027-01-04 2027-02-18", "Extended"},
		{"California: confirmed on the tenth Monday to Friday, whatever the holidays", "ccpa", "access", "US-CA", 0, []string{"received 2026-01-31"},
			"2026-02-13 2026-03-17 2026-03-17 2026-03-17 2026-05-01", "confirmed by 2026-02-13"},
		{"California: an opt-out within 15 business days, not confirmed before", "ccpa", "opt_out_of_sale", "US-CA", 0, []string{"received 2026-11-20"},
			"- 2026-12-11 2026-12-11 - 2026-12-11", "within 15 business days"},
		{"California: Shine the Light within 30 days", "ccpa", "shine_the_light", "US-CA", 0, []string{"received 2026-11-20"},
			"- 2026-12-20 2026-12-20 - 2026-12-20", "30 days"},
		{"Brazil: 15 days and no extension", "lgpd", "access", "BR", 0, []string{"received 2026-11-20"},
			"- 2026-12-05 2026-12-05 - 2026-12-05", "15 days"},
		{"EU: marketing stops at once; a refusal still has its month", "gdpr", "objection_marketing", "PL", 0, []string{"received 2026-11-20"},
			"- 2026-11-23 2026-12-20 - 2026-11-23", "at once"},
		{"two laws: the earlier date of each kind", "gdpr ccpa", "access", "PL", 0, []string{"received 2026-11-20"},
			"2026-12-04 2026-12-21 2026-12-21 2026-12-21 2027-02-18", "It ends on 2026-12-20 (Sunday)"},
		{"a law that does not give the right dates nothing", "gdpr ccpa", "shine_the_light", "", 0, []string{"received 2026-11-20"},
			"- 2026-12-20 2026-12-20 - 2026-12-20", "30 days"},
		{"a right that no law gives has the general clock of the first", "ccpa gdpr", "inquiry", "", 0, []string{"received 2026-11-20"},
			"2026-12-04 2027-01-04 2027-01-04 2027-01-04 2027-02-18", "45 days"},
		{"a late refusal shows", "gdpr", "access", "", 0, []string{"received 2026-01-10", "refused 2026-02-11"},
			"- 2026-02-10 2026-02-10 2026-02-10 2026-04-10", "The refusal of 2026-02-11 came after its own date"},
		{"the rule in force at the receipt: the UK before its Art. 12A", "uk_gdpr", "access", "", 0, []string{"received 2026-02-04"},
			"- 2026-03-04 2026-03-04 2026-03-04 2026-05-04", "one month from the day we received your request. It ends"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := policy.Reckon(reckoning(t, c.regimes, c.right, c.calendar, c.promised, c.events...))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, at := range []time.Time{d.AcknowledgeDueAt, d.DueAt, d.RefusalDueAt, d.ExtensionNoticeDueAt, d.LatestDueAt} {
				if at.IsZero() {
					got = append(got, "-")
				} else {
					got = append(got, at.Format(time.DateOnly))
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("acknowledge, due, refusal, extension notice, latest:\n got %s\nwant %s", strings.Join(got, " "), c.want)
			}
			var says []string
			for _, n := range d.Explain {
				says = append(says, n.Rule+": "+n.Says)
			}
			if all := strings.Join(says, "\n"); !strings.Contains(all, c.says) {
				t.Errorf("it says\n%s\nwant %q", all, c.says)
			}
			if stands := !d.StandsSinceAt.IsZero(); stands != strings.Contains(c.says, "stands") {
				t.Errorf("the clock stands since %v", d.StandsSinceAt)
			}
		})
	}
}

func TestWhatNoClockCanHoldIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		regimes string
		events  []string
		want    string
	}{
		"an extension by nobody":             {"gdpr", []string{"received 2026-01-10", "extended 2026-01-20"}, "names nobody who decided it"},
		"an extension without a reason":      {"gdpr", []string{"received 2026-01-10", "extended 2026-01-20 officer"}, `"" is no reason for an extension by EU-ALL: expected complexity or number_of_requests`},
		"a slow vendor":                      {"gdpr", []string{"received 2026-01-10", "extended 2026-01-20 officer slow_vendor"}, `"slow_vendor" is no reason`},
		"an extension after the first month": {"gdpr", []string{"received 2026-01-10", "extended 2026-02-11 officer complexity"}, "outside the first period of EU-ALL, which ended on 2026-02-10"},
		"extended twice":                     {"gdpr", []string{"received 2026-01-10", "extended 2026-01-20 officer complexity", "extended 2026-01-21 officer complexity"}, "extended twice"},
		"a law without an extension":         {"lgpd", []string{"received 2026-01-10", "extended 2026-01-12 officer complexity"}, "BR-15 allows no extension"},
		"an event before the receipt":        {"gdpr", []string{"received 2026-01-10", "identity_asked 2026-01-09"}, "identity_asked lies before the receipt"},
		"an unknown event":                   {"gdpr", []string{"received 2026-01-10", "paused 2026-01-12"}, `unknown clock event "paused": known are received, identity_asked`},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := policy.Reckon(reckoning(t, c.regimes, "access", "", 0, c.events...))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("due %s, error %v; want one with %q", d.DueAt, err, c.want)
			}
		})
	}
	if _, err := policy.Reckon(policy.Reckoning{Events: events(t, "received 2026-01-10")}); err == nil {
		t.Error("no clock at all gives a date")
	}
	for _, c := range []struct{ regimes, right, want string }{
		{"", "access", "none is named"},
		{"gdpr moon", "access", `there is no law "moon": expected one of ccpa, ch_fadp, gdpr, lgpd, uk_gdpr, us_default`},
		{"gdpr", "acess", `unknown right "acess"`},
	} {
		if _, err := policy.ClocksOf(strings.Fields(c.regimes), c.right, time.Now()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q, %q: error %v, want one with %q", c.regimes, c.right, err, c.want)
		}
	}
}

// An extension that one law allows and another does not moves the first alone.
func TestAnExtensionMovesOnlyTheLawsThatAllowIt(t *testing.T) {
	d, err := policy.Reckon(reckoning(t, "gdpr lgpd", "access", "", 0, "received 2026-01-10", "extended 2026-01-20 officer complexity"))
	if err != nil {
		t.Fatal(err)
	}
	if d.Rule != "BR-15" || d.DueAt.Format(time.DateOnly) != "2026-01-25" || d.Limits[1].DueAt.Format(time.DateOnly) != "2026-04-10" {
		t.Errorf("due %s by %s, limits %+v", d.DueAt, d.Rule, d.Limits)
	}
}

// Holidays are those of a controller in the EEA or the UK alone; weekends move
// everybody's period.
func TestHolidaysCountForAControllerInTheEEAOrTheUKOnly(t *testing.T) {
	c := promising(t, 0, "UTC")
	c.Calendar = "PL"
	for established, want := range map[string]string{"eea": "2025-12-29", "uk": "2025-12-29", "us": "2025-12-24"} {
		c.Controller.EstablishedIn = established
		d, err := c.Due([]dsr.Right{dsr.Access}, received("2025-11-24T09:00:00Z"), "PL")
		if err != nil || d.DueAt.Format(time.DateOnly) != want {
			t.Errorf("established in %s: due %s, error %v; want %s", established, d.DueAt, err, want)
		}
	}
}

// The companies in Warsaw and Oslo lean on the holidays of their own country,
// whoever asks; the one in New York on none.
func TestTheCompaniesOwnHolidays(t *testing.T) {
	for _, c := range []struct{ company, received, due string }{
		{"cambridge-ai", "2025-11-24T09:00:00Z", "2025-12-29"},
		{"wearelearning", "2026-03-02T09:00:00Z", "2026-04-07"},
		{"learnai", "2025-11-25T09:00:00Z", "2025-12-25"},
	} {
		company := load(t, c.company)
		d, err := company.Due([]dsr.Right{dsr.Restriction}, received(c.received), "PL")
		if err != nil || d.DueAt.In(company.Zone).Format(time.DateOnly) != c.due || d.Rule != "EU-ALL" {
			t.Errorf("%s: due %s by %s, error %v; want %s", c.company, d.DueAt, d.Rule, err, c.due)
		}
	}
}

// A promise dates the rights it names; a right that is done at once does not
// shorten another that is asked with it.
func TestPromisesAndRightsAskedTogether(t *testing.T) {
	c := promising(t, 0, "UTC")
	c.Promises = []policy.Promise{{Rule: "P-COPY", Rights: []dsr.Right{dsr.Access}, Days: 7}, {Rule: "P-ALL", Days: 20}}
	for _, x := range []struct {
		rights []dsr.Right
		place  dsr.Place
		due    string
		rule   string
	}{
		{[]dsr.Right{dsr.Access}, "PL", "2026-11-27", "P-COPY"},
		{[]dsr.Right{dsr.Erasure}, "PL", "2026-12-10", "P-ALL"},
		{[]dsr.Right{dsr.Erasure, dsr.Access}, "PL", "2026-11-27", "P-COPY"},
		{[]dsr.Right{dsr.ObjectionMarketing}, "PL", "2026-11-23", "EU-NOW"},
		{[]dsr.Right{dsr.ObjectionMarketing, dsr.Erasure}, "PL", "2026-12-10", "P-ALL"},
		{nil, "PL", "2026-11-27", "P-COPY"},
	} {
		d, err := c.Due(x.rights, received("2026-11-20T09:00:00Z"), x.place)
		if err != nil || d.DueAt.Format(time.DateOnly) != x.due || d.Rule != x.rule {
			t.Errorf("%v: due %s by %s, error %v; want %s by %s", x.rights, d.DueAt, d.Rule, err, x.due, x.rule)
		}
	}
}

// A period in hours ends with its last one, on whatever day, and no question
// stops it (GDPR Art. 33).
func TestHoursNeverMove(t *testing.T) {
	k, ok := law(t, "PL").Clock("EU-33-72H", day(t, today))
	if !ok {
		t.Fatal("there is no clock of 72 hours")
	}
	cal, _ := policy.CalendarOf("PL")
	d, err := policy.Reckon(policy.Reckoning{
		Clocks: []policy.Clock{k}, Zone: time.UTC, Calendar: cal,
		Events: events(t, "received 2026-12-23T21:15:00Z", "identity_asked 2026-12-24", "identity_given 2026-12-25"),
	})
	if err != nil || d.DueAt.Format(time.RFC3339) != "2026-12-26T21:15:00Z" {
		t.Errorf("due %s, error %v; want 72 hours later, a holiday", d.DueAt, err)
	}
}

// Open work becomes a partial answer some days before the due date, but never
// in the first half of a short period.
func TestMargin(t *testing.T) {
	for _, c := range []struct {
		right, want string
		margin      int
	}{
		{"access", "2026-12-17", 3},
		{"access", "2026-12-13", 7},
		{"objection_marketing", "2026-11-22", 3},
	} {
		r := reckoning(t, "gdpr", c.right, "", 0, "received 2026-11-20")
		r.MarginDays = c.margin
		d, err := policy.Reckon(r)
		if err != nil || d.MarginAt.Format(time.DateTime) != c.want+" 23:59:59" {
			t.Errorf("%s, %d days: margin %s, error %v; want the end of %s", c.right, c.margin, d.MarginAt, err, c.want)
		}
	}
}

// A second way to count: day by day. In the EU no day counts on which a question
// was open; in the UK none before the identity was given, nor one of clarification.
func TestStoppedDaysAgreeWithCountingDayByDay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		start := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 700).Draw(rt, "received"))
		rows := []dsr.ClockEvent{{Kind: dsr.Received, At: start}}
		type question struct{ asked, given int } // days after the receipt
		draw := func(name string, asked, given dsr.ClockEventKind) []question {
			var out []question
			at := 0
			for i := range rapid.IntRange(0, 3).Draw(rt, name) {
				q := question{asked: at + rapid.IntRange(0, 3).Draw(rt, "until asked")}
				q.given = q.asked + rapid.IntRange(0, 4).Draw(rt, "open")
				// Each pair lies an hour after the last, so that questions of one kind never overlap.
				hour := time.Duration(i) * time.Hour
				rows = append(rows, dsr.ClockEvent{Kind: given, At: start.AddDate(0, 0, q.given).Add(hour + time.Minute)},
					dsr.ClockEvent{Kind: asked, At: start.AddDate(0, 0, q.asked).Add(hour)})
				out = append(out, q)
				at = q.given
			}
			return out
		}
		identity := draw("identity questions", dsr.IdentityAsked, dsr.IdentityGiven)
		scope := draw("clarifications", dsr.ClarificationAsked, dsr.ClarificationGiven)
		open := func(day int, questions []question) bool {
			return slices.ContainsFunc(questions, func(q question) bool { return q.asked <= day && day < q.given })
		}
		const horizon = 60
		euStopped, ukStopped, ukStart := 0, 0, 0
		for _, q := range identity {
			ukStart = q.given
		}
		for day := range horizon {
			if open(day, identity) || open(day, scope) {
				euStopped++
			}
			if day >= ukStart && open(day, scope) {
				ukStopped++
			}
		}
		for regime, want := range map[string]time.Time{
			"gdpr":    sameDayNextMonth(start).AddDate(0, 0, euStopped),
			"uk_gdpr": sameDayNextMonth(start.AddDate(0, 0, ukStart)).AddDate(0, 0, ukStopped),
			"ccpa":    start.AddDate(0, 0, 45),
		} {
			clocks, err := policy.ClocksOf([]string{regime}, "access", start)
			if err != nil {
				rt.Fatal(err)
			}
			d, err := policy.Reckon(policy.Reckoning{Clocks: clocks, Events: rows})
			if err != nil {
				rt.Fatal(err)
			}
			if got := d.DueAt.Format(time.DateOnly); got != want.Format(time.DateOnly) {
				rt.Fatalf("%s: due %s, counted day by day %s, events %v", regime, got, want.Format(time.DateOnly), rows)
			}
		}
	})
}

// sameDayNextMonth goes forward day by day, to the month's last day where the
// next month has no such day.
func sameDayNextMonth(from time.Time) time.Time {
	next := time.Date(from.Year(), from.Month()+1, 1, 9, 0, 0, 0, time.UTC)
	at := next
	for at.Day() != from.Day() && at.AddDate(0, 0, 1).Month() == next.Month() {
		at = at.AddDate(0, 0, 1)
	}
	return at
}
