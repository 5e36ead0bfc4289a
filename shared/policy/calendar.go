package policy

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Calendar says which days are no working days, for periods that the law moves
// to the next working day. The zero Calendar knows none: nothing moves.
type Calendar struct {
	weekends bool
	holidays map[time.Time]string // midnight UTC of the day → name of the holiday
}

// Weekends is the calendar of Saturdays and Sundays alone.
func Weekends() Calendar { return Calendar{weekends: true} }

// CalendarOf returns the calendar with a code of holidays.toml: its holidays
// and the weekends.
func CalendarOf(code string) (Calendar, bool) {
	c, ok := calendars().byCode[code]
	return c, ok
}

// Calendars lists the codes of holidays.toml, sorted.
func Calendars() []string { return calendars().codes }

// Works reports whether the day is a working day; otherwise why it is none.
func (c Calendar) Works(day time.Time) (why string, works bool) {
	if d := day.Weekday(); c.weekends && (d == time.Saturday || d == time.Sunday) {
		return d.String(), false
	}
	if name, ok := c.holidays[day]; ok {
		return name, false
	}
	return "", true
}

// next returns the first working day from day on (Regulation 1182/71 Art. 3(4)).
func (c Calendar) next(day time.Time) time.Time {
	for {
		if _, works := c.Works(day); works {
			return day
		}
		day = day.AddDate(0, 0, 1)
	}
}

// businessDays returns the day that is n working days after day.
func (c Calendar) businessDays(day time.Time, n int) time.Time {
	for n > 0 {
		day = day.AddDate(0, 0, 1)
		if _, works := c.Works(day); works {
			n--
		}
	}
	return day
}

// The holidays are reckoned for these years; others have weekends only, so
// that no date is late by a holiday nobody has read.
const firstYear, lastYear = 2020, 2035

//go:embed holidays.toml
var holidays []byte

// holidaysFile is holidays.toml.
type holidaysFile struct {
	Calendars []struct {
		Code string    `toml:"code"`
		Name string    `toml:"name"`
		Days []holiday `toml:"day"`
	} `toml:"calendar"`
}

// holiday is one row: a rule for every year between From and To, or one date.
type holiday struct {
	Name   string `toml:"name"`
	On     string `toml:"on"`     // 12-24, 2030-02-01, "1 monday 05", "last monday 08", "4 thursday 11 +1"
	Easter *int   `toml:"easter"` // days from Easter Sunday
	Move   string `toml:"move"`   // on a weekend: next, nearest, sunday, or "" for no other day
	From   int    `toml:"from"`   // first year; 0 for all
	To     int    `toml:"to"`     // last year; 0 for all
}

type calendarSet struct {
	byCode   map[string]Calendar
	codes    []string
	problems Problems
}

// calendars reads holidays.toml once; nobody writes to what it returns.
var calendars = sync.OnceValue(func() calendarSet { return readCalendars(holidays) })

func readCalendars(data []byte) calendarSet {
	set := calendarSet{byCode: map[string]Calendar{}}
	var f holidaysFile
	d := read("holidays.toml", data, &f, &set.problems)
	if d.broken {
		return set
	}
	for i, c := range f.Calendars {
		table := fmt.Sprintf("calendar[%d]", i)
		d.text(table, "name", c.Name)
		if _, twice := set.byCode[c.Code]; twice || !country.MatchString(c.Code) {
			d.fault(table+".code", "%q is there twice or no place; expected a country such as PL, or a state such as US-CA", c.Code)
		}
		cal := Calendar{weekends: true, holidays: map[time.Time]string{}}
		for j, h := range c.Days {
			row := fmt.Sprintf("%s.day[%d]", table, j)
			d.text(row, "name", h.Name)
			if err := cal.add(h); err != nil {
				d.fault(row, "%v", err)
			}
		}
		for _, h := range c.Days { // after all days: a substitute is none of them
			cal.move(h)
		}
		set.byCode[c.Code] = cal
		set.codes = append(set.codes, c.Code)
	}
	slices.Sort(set.codes)
	return set
}

// add enters the days of one row.
func (c Calendar) add(h holiday) error {
	if (h.Easter == nil) == (h.On == "") {
		return errors.New("has both or none of on and easter; expected one of them")
	}
	if !slices.Contains([]string{"", "next", "nearest", "sunday"}, h.Move) {
		return fmt.Errorf("move %q is unknown; expected next, nearest or sunday", h.Move)
	}
	return h.each(func(day time.Time) { c.holidays[day] = h.Name })
}

// move enters the days on which the holidays of a row are kept that fall on a
// weekend.
func (c Calendar) move(h holiday) {
	_ = h.each(func(day time.Time) { // add has reported the error
		other := day
		switch weekday := day.Weekday(); {
		case weekday != time.Saturday && weekday != time.Sunday:
		case h.Move == "next":
			other = c.next(day)
		case h.Move == "nearest" && weekday == time.Saturday:
			other = day.AddDate(0, 0, -1)
		case h.Move != "" && weekday == time.Sunday:
			other = day.AddDate(0, 0, 1)
		}
		if other != day {
			c.holidays[other] = h.Name + " (observed)"
		}
	})
}

// each calls do with every day of the row.
func (h holiday) each(do func(day time.Time)) error {
	for year := max(firstYear, h.From); year <= lastYear && (h.To == 0 || year <= h.To); year++ {
		day, err := h.in(year)
		if err != nil {
			return err
		}
		if day.Year() == year { // else the row is one date of another year
			do(day)
		}
	}
	return nil
}

// in returns the day of the holiday in a year.
func (h holiday) in(year int) (time.Time, error) {
	if h.Easter != nil {
		return easter(year).AddDate(0, 0, *h.Easter), nil
	}
	if day, err := time.Parse(time.DateOnly, h.On); err == nil {
		return day, nil
	}
	if day, err := time.Parse("2006-01-02", fmt.Sprintf("%d-%s", year, h.On)); err == nil {
		return day, nil
	}
	parts := strings.Fields(h.On)
	if len(parts) == 3 || len(parts) == 4 {
		if day, ok := weekdayOf(year, parts[0], parts[1], parts[2]); ok {
			if len(parts) == 3 {
				return day, nil
			}
			if n, err := strconv.Atoi(parts[3]); err == nil {
				return day.AddDate(0, 0, n), nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("%q is no day; expected one such as 12-24, 2030-02-01 or \"1 monday 05\"", h.On)
}

// weekdayOf returns the first, second … or last weekday of a month.
func weekdayOf(year int, which, name, month string) (time.Time, bool) {
	m, err := strconv.Atoi(month)
	if err != nil || m < 1 || m > 12 {
		return time.Time{}, false
	}
	weekday := slices.IndexFunc([]time.Weekday{0, 1, 2, 3, 4, 5, 6}, func(d time.Weekday) bool { return strings.EqualFold(d.String(), name) })
	if weekday < 0 {
		return time.Time{}, false
	}
	first := time.Date(year, time.Month(m), 1, 0, 0, 0, 0, time.UTC)
	day := first.AddDate(0, 0, (weekday-int(first.Weekday())+7)%7)
	if which == "last" {
		for next := day.AddDate(0, 0, 7); next.Month() == day.Month(); next = day.AddDate(0, 0, 7) {
			day = next
		}
		return day, true
	}
	n, err := strconv.Atoi(which)
	if err != nil || n < 1 || n > 4 {
		return time.Time{}, false
	}
	return day.AddDate(0, 0, 7*(n-1)), true
}

// easter returns Easter Sunday of the Gregorian calendar, by the golden number
// of the year and the ecclesiastical full moon.
func easter(year int) time.Time {
	golden := year % 19
	century := year / 100
	// Days from 21 March to the full moon of the church.
	moon := (19*golden + century - century/4 - (8*century+13)/25 + 15) % 30
	moon -= moon / 28 * (1 - moon/28*(29/(moon+1))*((21-golden)/11))
	weekday := (year + year/4 + moon + 2 - century + century/4) % 7
	sunday := moon - weekday // Sunday after it, counted from 28 March less 7
	return time.Date(year, time.March, 28+sunday, 0, 0, 0, 0, time.UTC)
}
