package policy_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

func load(t *testing.T, id string) *policy.Company {
	t.Helper()
	c, err := policy.Load(id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// promising returns the test company with another promise and zone; 0 days is
// no promise.
func promising(t *testing.T, days int, zone string) *policy.Company {
	t.Helper()
	c, err := policy.LoadFS(pack(minimalPolicy, minimalSystems), "acme")
	if err != nil {
		t.Fatal(err)
	}
	c.Promises = nil
	if days > 0 {
		c.Promises = []policy.Promise{{Rule: "PM-30", Days: days, Says: "We promise so many days."}}
	}
	if c.Zone, err = time.LoadLocation(zone); err != nil {
		t.Fatal(err)
	}
	return c
}

func received(at ...string) []dsr.ClockEvent {
	var events []dsr.ClockEvent
	for _, s := range at {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			panic(err)
		}
		events = append(events, dsr.ClockEvent{Kind: dsr.Received, At: t})
	}
	return events
}

func TestDueDates(t *testing.T) {
	for _, c := range []struct {
		name, received string
		country        dsr.Place
		promise        int
		zone           string
		due, rule      string
	}{
		{"a month without that day ends on its last, a Saturday moves to Monday", "2026-01-31T09:00:00Z", "PL", 0, "UTC", "2026-03-02", "EU-ALL"},
		{"a leap year's February", "2024-01-31T09:00:00Z", "PL", 0, "UTC", "2024-02-29", "EU-ALL"},
		{"29 February itself", "2024-02-29T09:00:00Z", "DE", 0, "UTC", "2024-03-29", "EU-ALL"},
		{"a Sunday moves to Monday", "2026-04-17T09:00:00Z", "NO", 0, "UTC", "2026-05-18", "EU-ALL"},
		{"a Sunday in March moves, and the promise is earlier by nothing", "2026-02-01T09:00:00Z", "FR", 0, "UTC", "2026-03-02", "EU-ALL"},
		{"over the year's end", "2025-12-31T23:30:00Z", "IE", 0, "UTC", "2026-02-02", "EU-ALL"},
		{"the month is later than 30 days: the promise", "2026-07-15T09:00:00Z", "PL", 30, "UTC", "2026-08-14", "PM-30"},
		{"the promise does not move for a Sunday", "2026-07-17T09:00:00Z", "PL", 30, "UTC", "2026-08-16", "PM-30"},
		{"the month is shorter than 30 days: the law", "2026-02-10T09:00:00Z", "PL", 30, "UTC", "2026-03-10", "EU-ALL"},
		{"law and promise on one day: the law is named", "2026-01-31T09:00:00Z", "PL", 30, "UTC", "2026-03-02", "EU-ALL"},
		{"the United Kingdom", "2026-11-22T09:00:00Z", "GB", 0, "UTC", "2026-12-22", "UK-ALL"},
		{"the United States count 45 days and move for no weekend", "2026-11-20T09:00:00Z", "US", 0, "UTC", "2027-01-04", "US-45"},
		{"45 days end on a Saturday and stay there", "2026-11-18T09:00:00Z", "US", 0, "UTC", "2027-01-02", "US-45"},
		{"an American with a promise", "2026-11-20T09:00:00Z", "US", 30, "UTC", "2026-12-20", "PM-30"},
		{"a country that was not said gets the most protective law", "2026-01-31T09:00:00Z", "", 0, "UTC", "2026-03-02", "EU-ALL"},
		{"so does one that no law here names", "2026-01-31T09:00:00Z", "JP", 0, "UTC", "2026-03-02", "EU-ALL"},
		{"Brazil", "2026-11-22T09:00:00Z", "BR", 0, "UTC", "2026-12-07", "BR-15"},
		{"Switzerland", "2026-11-22T09:00:00Z", "CH", 0, "UTC", "2026-12-22", "CH-25"},
		{"California, before the country", "2026-11-20T09:00:00Z", "US-CA", 0, "UTC", "2027-01-04", "CA-45"},
		{"another state has the common rule", "2026-11-20T09:00:00Z", "US-TX", 0, "UTC", "2027-01-04", "US-45"},
		{"the local day counts: it is the 2nd already in Warsaw", "2026-06-01T22:30:00Z", "PL", 0, "Europe/Warsaw", "2026-07-02", "EU-ALL"},
		{"the local day counts: it is still the 1st in Chicago", "2026-06-02T03:00:00Z", "US", 30, "America/Chicago", "2026-07-01", "PM-30"},
	} {
		t.Run(c.name, func(t *testing.T) {
			company := promising(t, c.promise, c.zone)
			d, err := company.Due(nil, received(c.received), c.country)
			if err != nil {
				t.Fatal(err)
			}
			if got := d.DueAt.In(company.Zone).Format("2006-01-02 15:04:05"); got != c.due+" 23:59:59" || d.Rule != c.rule {
				t.Errorf("due %s by %s, want the end of %s by %s", got, d.Rule, c.due, c.rule)
			}
			if d.Says == "" || len(d.Limits) == 0 || d.Limits[0].Rule != d.Rule {
				t.Errorf("the deadline does not say why: %+v", d)
			}
		})
	}
}

// A day in which the clocks change ends when the local day ends, not 24 hours later.
func TestSummerTimeMovesNoDay(t *testing.T) {
	c := promising(t, 30, "Europe/Warsaw")
	for at, want := range map[string]string{
		"2026-03-01T09:00:00Z": "2026-03-31T21:59:59Z", // received in winter, due in summer
		"2026-10-01T09:00:00Z": "2026-10-31T22:59:59Z", // received in summer, due in winter
	} {
		d, err := c.Due(nil, received(at), "US")
		if err != nil {
			t.Fatal(err)
		}
		if got := d.DueAt.Format(time.RFC3339); got != want {
			t.Errorf("received %s: due %s, want %s", at, got, want)
		}
	}
}

func TestTheFirstReceiptCounts(t *testing.T) {
	c := promising(t, 30, "UTC")
	d, err := c.Due(nil, received("2026-07-20T09:00:00Z", "2026-07-01T09:00:00Z", "2026-07-25T09:00:00Z"), "US")
	if err != nil || d.DueAt.Format(time.DateOnly) != "2026-07-31" {
		t.Errorf("due %v, error %v; want 31 July, 30 days from the first receipt", d.DueAt, err)
	}
}

func TestAClockThatCannotBeReadIsAnError(t *testing.T) {
	c := promising(t, 30, "UTC")
	for name, events := range map[string][]dsr.ClockEvent{
		"no event":                    nil,
		"an unknown event":            append(received("2026-07-01T09:00:00Z"), dsr.ClockEvent{Kind: "paused", At: time.Unix(1800000000, 0)}),
		"an event before the receipt": append(received("2026-07-01T09:00:00Z"), dsr.ClockEvent{Kind: dsr.IdentityAsked, At: time.Unix(0, 0)}),
		"no law in force yet":         received("2017-07-01T09:00:00Z"),
		"no time":                     {{Kind: dsr.Received}},
	} {
		if d, err := c.Due(nil, events, "PL"); err == nil || !strings.Contains(err.Error(), "due date") {
			t.Errorf("%s: due %v, error %v; want an error", name, d.DueAt, err)
		}
	}
}

func TestDueDateProperties(t *testing.T) {
	zones := []string{"UTC", "Europe/Warsaw", "America/Chicago", "Pacific/Auckland", "Asia/Kathmandu"}
	places := []dsr.Place{"", "PL", "GB", "US", "US-CA", "US-IA", "BR", "DE", "CH", "zz"}
	packs := map[string]*policy.Company{}
	for _, zone := range zones {
		packs[zone] = promising(t, 30, zone)
	}
	rapid.Check(t, func(rt *rapid.T) {
		c := *packs[rapid.SampledFrom(zones).Draw(rt, "zone")]
		promised := rapid.IntRange(1, 60).Draw(rt, "promised days")
		c.Promises = []policy.Promise{{Rule: "PM-30", Days: promised}}
		c.Controller.EstablishedIn = rapid.SampledFrom([]string{"us", "eea", "uk"}).Draw(rt, "established in")
		c.Calendar = rapid.SampledFrom([]string{"", "PL", "NO", "GB"}).Draw(rt, "calendar")
		place := rapid.SampledFrom(places).Draw(rt, "place")
		rights := []dsr.Right{rapid.SampledFrom(dsr.Rights()).Draw(rt, "right")}
		at := time.Unix(rapid.Int64Range(1704067200, 1924991999).Draw(rt, "received"), 0) // 2024 to 2030
		due := func(rights []dsr.Right, events ...dsr.ClockEvent) policy.Deadline {
			d, err := c.Due(rights, append(events, dsr.ClockEvent{Kind: dsr.Received, At: at}), place)
			if err != nil {
				rt.Fatal(err)
			}
			return d
		}
		d := due(rights)

		if n := daysBetween(c.Zone, at, d.DueAt); n > promised {
			rt.Fatalf("due %d days later, promised are %d", n, promised)
		}
		if d.RefusalDueAt.IsZero() || daysBetween(c.Zone, at, d.RefusalDueAt) > promised || d.LatestDueAt.Before(d.DueAt) {
			rt.Fatalf("a refusal is due %s, the latest date is %s, the due date %s", d.RefusalDueAt, d.LatestDueAt, d.DueAt)
		}
		for _, l := range d.Limits {
			if l.DueAt.Before(d.DueAt) {
				rt.Fatalf("%s ends earlier than the due date", l.Rule)
			}
			if h, m, s := l.DueAt.In(c.Zone).Clock(); h != 23 || m != 59 || s != 59 {
				rt.Fatalf("%s ends at %02d:%02d:%02d, want the end of the local day", l.Rule, h, m, s)
			}
			if day := l.DueAt.In(c.Zone).Weekday(); (l.Rule == "EU-ALL" || l.Rule == "UK-ALL") && (day == time.Saturday || day == time.Sunday) {
				rt.Fatalf("%s ends on a %s", l.Rule, day)
			}
		}
		if n := daysBetween(c.Zone, d.MarginAt, d.DueAt); n > c.MarginDays || d.MarginAt.Before(at) {
			rt.Fatalf("the margin is %d days, at %s", n, d.MarginAt)
		}
		// More rights, and more laws, never make a request later; the place's law is one of those that count.
		other := rapid.SampledFrom(dsr.Rights()).Draw(rt, "another right")
		both := due([]dsr.Right{rights[0], other})
		if first, second := due(rights), due([]dsr.Right{other}); both.DueAt.After(later(first.DueAt, second.DueAt)) {
			rt.Fatal("two rights together are due later than either")
		}
		// A question never makes a request due earlier, and a promise it never moves.
		hours := rapid.IntRange(1, 20*24).Draw(rt, "hours until asked")
		open := rapid.IntRange(0, 60*24).Draw(rt, "hours open")
		asked := at.Add(time.Duration(hours) * time.Hour)
		kinds := rapid.SampledFrom([][2]dsr.ClockEventKind{{dsr.IdentityAsked, dsr.IdentityGiven}, {dsr.ClarificationAsked, dsr.ClarificationGiven}}).Draw(rt, "question")
		answered := due(rights, dsr.ClockEvent{Kind: kinds[1], At: asked.Add(time.Duration(open) * time.Hour)}, dsr.ClockEvent{Kind: kinds[0], At: asked})
		if answered.DueAt.Before(d.DueAt) || daysBetween(c.Zone, at, answered.DueAt) > promised {
			rt.Fatalf("with a question due %s, without %s, promised %d days", answered.DueAt, d.DueAt, promised)
		}
		if place == "US-CA" && c.Controller.EstablishedIn == "us" && answered.DueAt != d.DueAt {
			rt.Fatal("California's clock stopped")
		}
		if again := due(rights); again.DueAt != d.DueAt || len(again.Explain) == 0 {
			rt.Fatal("the same events give another date, or no explanation")
		}
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func daysBetween(zone *time.Location, a, b time.Time) int {
	x, y := a.In(zone), b.In(zone)
	return int(time.Date(y.Year(), y.Month(), y.Day(), 0, 0, 0, 0, time.UTC).
		Sub(time.Date(x.Year(), x.Month(), x.Day(), 0, 0, 0, 0, time.UTC)).Hours() / 24)
}
