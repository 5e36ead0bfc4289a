package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Reckoning is everything a due date depends on.
type Reckoning struct {
	Clocks     []Clock          // of every law that applies, as in force at the receipt
	Promises   []Promise        // of the company: they never pause, move or extend
	Events     []dsr.ClockEvent // in any order; one is Received
	Zone       *time.Location   // the controller's: local days are counted in it; nil for UTC
	Calendar   Calendar         // which days move the end of a period
	MarginDays int
}

// Reckon computes all dates of a request. It is pure: the same events and rules
// give the same dates.
func Reckon(r Reckoning) (Deadline, error) {
	if r.Zone == nil {
		r.Zone = time.UTC
	}
	received, err := firstReceipt(r.Events)
	if err != nil {
		return Deadline{}, err
	}
	if len(r.Clocks) == 0 {
		return Deadline{}, errors.New("computing the due date: no clock of a law was named")
	}
	events, err := inOrder(r.Events, received)
	if err != nil {
		return Deadline{}, err
	}
	var d Deadline
	var refusedExtension error
	extensions := 0
	stands := map[string]time.Time{}
	for _, k := range r.Clocks {
		run := newRun(r, k, received)
		for _, e := range events {
			run.take(e)
		}
		run.end()
		if run.extended {
			extensions++
		}
		refusedExtension = cmp.Or(refusedExtension, run.refused)
		d.Limits = append(d.Limits, Limit{Rule: k.ID, Says: k.Says, DueAt: run.due()})
		d.Explain = append(d.Explain, run.notes...)
		stands[k.ID] = run.standsSince()
		d.RefusalDueAt = earliest(d.RefusalDueAt, run.refusal())
		d.LatestDueAt = earliest(d.LatestDueAt, run.latest())
		if k.extends() {
			d.ExtensionNoticeDueAt = earliest(d.ExtensionNoticeDueAt, run.first())
		}
		d.AcknowledgeDueAt = earliest(d.AcknowledgeDueAt, run.acknowledge())
	}
	if refusedExtension != nil && extensions == 0 {
		return Deadline{}, refusedExtension
	}
	for _, p := range r.Promises {
		at := endOf(dayOf(received, r.Zone).AddDate(0, 0, p.Days), r.Zone)
		d.Limits = append(d.Limits, Limit{Rule: p.Rule, Says: p.Says, DueAt: at})
		d.Explain = append(d.Explain, Note{p.Rule, sentence(p.Says, "It ends on %s; a promise never pauses, moves or extends.", date(at, r.Zone))})
		d.RefusalDueAt = earliest(d.RefusalDueAt, at)
		d.LatestDueAt = earliest(d.LatestDueAt, at)
	}
	// Stable: where law and promise fall on the same day, the law is named.
	slices.SortStableFunc(d.Limits, func(a, b Limit) int { return a.DueAt.Compare(b.DueAt) })
	d.DueAt, d.Rule, d.Says = d.Limits[0].DueAt, d.Limits[0].Rule, d.Limits[0].Says
	d.StandsSinceAt = stands[d.Rule]
	d.MarginAt = r.margin(received, d.DueAt)
	return d, nil
}

// margin returns from when on open work becomes a partial answer: MarginDays
// before the due date, but never in the first half of a short period, which
// would answer in part before the work had a chance.
func (r Reckoning) margin(received, due time.Time) time.Time {
	from, to := dayOf(received, r.Zone), dayOf(due, r.Zone)
	days := int(to.Sub(from).Hours() / 24)
	return endOf(to.AddDate(0, 0, -min(r.MarginDays, days/2)), r.Zone)
}

// firstReceipt returns when the request came, for the first time.
func firstReceipt(events []dsr.ClockEvent) (time.Time, error) {
	var received time.Time
	for _, e := range events {
		if e.At.IsZero() {
			return time.Time{}, fmt.Errorf("computing the due date: the event %s has no time", e.Kind)
		}
		if e.Kind == dsr.Received && (received.IsZero() || e.At.Before(received)) {
			received = e.At
		}
	}
	if received.IsZero() {
		return time.Time{}, errors.New("computing the due date: no received event, so no clock has started")
	}
	return received, nil
}

// inOrder returns the events that follow the receipt by time, and refuses those
// that no clock can hold.
func inOrder(events []dsr.ClockEvent, received time.Time) ([]dsr.ClockEvent, error) {
	known := []dsr.ClockEventKind{dsr.Received, dsr.IdentityAsked, dsr.ClarificationAsked, dsr.IdentityGiven, dsr.ClarificationGiven, dsr.Extended, dsr.RefusedEvent}
	var out []dsr.ClockEvent
	extended := false
	for _, e := range events {
		switch {
		case !slices.Contains(known, e.Kind):
			names := make([]string, len(known))
			for i, k := range known {
				names[i] = string(k)
			}
			return nil, fmt.Errorf("computing the due date: unknown clock event %q: known are %s", e.Kind, strings.Join(names, ", "))
		case e.Kind == dsr.Received:
			continue
		case e.At.Before(received):
			return nil, fmt.Errorf("computing the due date: the event %s lies before the receipt", e.Kind)
		case e.Kind == dsr.Extended && strings.TrimSpace(e.By) == "":
			return nil, errors.New("computing the due date: the extension names nobody who decided it: give by")
		case e.Kind == dsr.Extended && extended:
			return nil, errors.New("computing the due date: extended twice: a law allows one extension")
		}
		extended = extended || e.Kind == dsr.Extended
		out = append(out, e)
	}
	// Of what happened in one instant a question comes before its answer.
	slices.SortStableFunc(out, func(a, b dsr.ClockEvent) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(slices.Index(known, a.Kind), slices.Index(known, b.Kind)))
	})
	return out, nil
}

// run is one clock on its way through the events.
type run struct {
	Clock
	r        Reckoning
	received time.Time
	start    time.Time // local day the period is counted from, midnight UTC
	extra    int       // days that do not count
	identity time.Time // since when a question is open; zero for none
	scope    time.Time
	extended bool
	refused  error // why the extension does not hold here
	notes    []Note
}

func newRun(r Reckoning, k Clock, received time.Time) *run {
	return &run{Clock: k, r: r, received: received, start: dayOf(received, r.Zone)}
}

// take moves the clock by one event.
func (c *run) take(e dsr.ClockEvent) {
	day := dayOf(e.At, c.r.Zone)
	switch e.Kind {
	case dsr.IdentityAsked, dsr.ClarificationAsked:
		c.ask(e, day)
	case dsr.IdentityGiven:
		c.answer(&c.identity, "identity", day)
	case dsr.ClarificationGiven:
		c.answer(&c.scope, "scope", day)
	case dsr.Extended:
		c.extend(e)
	case dsr.RefusedEvent:
		if e.At.After(c.refusal()) {
			c.note("The refusal of %s came after its own date, %s.", date(e.At, c.r.Zone), date(c.refusal(), c.r.Zone))
		}
	}
}

func (c *run) ask(e dsr.ClockEvent, day time.Time) {
	open, what := &c.identity, "identity"
	if e.Kind == dsr.ClarificationAsked {
		open, what = &c.scope, "scope"
	}
	switch {
	case c.Model == Runs || c.Hours > 0:
		c.note("The question of %s about %s stops nothing: this clock never stops.", day.Format(time.DateOnly), what)
	case !open.IsZero():
		c.note("The question about %s was asked again on %s; the first one counts.", what, day.Format(time.DateOnly))
	case e.At.After(c.due()):
		c.note("The question about %s came on %s, after the period had ended: it stops nothing.", what, day.Format(time.DateOnly))
	default:
		*open = day
	}
}

// answer closes a question. In the EU the days it was open do not count; in the
// UK the period starts when the identity is given, and days of clarification do
// not count.
func (c *run) answer(open *time.Time, what string, day time.Time) {
	if c.Model == Runs || c.Hours > 0 {
		return
	}
	if open.IsZero() {
		c.note("The answer about %s of %s was asked by no question that counts: it moves nothing.", what, day.Format(time.DateOnly))
		return
	}
	from := *open
	*open = time.Time{}
	switch {
	case c.Model == Stops && open == &c.identity:
		c.start, c.extra = day, 0
		if !c.scope.IsZero() {
			c.scope = day
		}
		c.note("The period starts on %s, when the identity was shown.", day.Format(time.DateOnly))
	case c.Model == Suspends && !c.other(open).IsZero():
		// Both questions are open: their common days count once, with the one that closes last.
		if other := c.other(open); from.Before(*other) {
			*other = from
		}
	default:
		days := int(day.Sub(from).Hours() / 24)
		c.extra += days
		c.note("The clock stood from %s to %s, while a question about %s was open: %s.", from.Format(time.DateOnly), day.Format(time.DateOnly), what, plural(days, "day does not count", "days do not count"))
	}
}

func (c *run) other(open *time.Time) *time.Time {
	if open == &c.identity {
		return &c.scope
	}
	return &c.identity
}

// extend holds an extension against the law.
func (c *run) extend(e dsr.ClockEvent) {
	switch {
	case !c.extends():
		c.refused = fmt.Errorf("computing the due date: %s allows no extension", c.ID)
	case !slices.Contains(c.ExtendReasons, e.Reason):
		c.refused = fmt.Errorf("computing the due date: %q is no reason for an extension by %s: expected %s", e.Reason, c.ID, strings.Join(c.ExtendReasons, " or "))
	case e.At.After(c.first()):
		c.refused = fmt.Errorf("computing the due date: the extension of %s lies outside the first period of %s, which ended on %s", date(e.At, c.r.Zone), c.ID, date(c.first(), c.r.Zone))
	default:
		c.extended = true
		c.note("Extended on %s by a named person (%s): the whole period is counted from its start.", date(e.At, c.r.Zone), e.Reason)
		return
	}
	c.note("The extension of %s does not move this date.", date(e.At, c.r.Zone))
}

// end tells what is left open and where the period ends.
func (c *run) end() {
	if since := c.standsSince(); !since.IsZero() {
		c.note("The clock stands since %s: a question is not answered yet. The dates are those of an answer at once and move with it.", date(since, c.r.Zone))
	}
	due, ends := date(c.due(), c.r.Zone), "ends"
	if c.extended {
		ends = "ends, extended,"
	}
	says := sentence(c.Says, "It %s on %s.", ends, due)
	if plain := c.plainEnd(c.extended); plain != dayOf(c.due(), c.r.Zone) {
		why, _ := c.r.Calendar.Works(plain)
		says = sentence(c.Says, "It %s on %s (%s), so it runs to the next working day, %s.", ends, plain.Format(time.DateOnly), why, due)
	}
	switch {
	case c.extended:
		c.note("A refusal stays due by %s.", date(c.refusal(), c.r.Zone))
	case c.extends():
		c.note("It can be extended to %s, if the reason (%s) is told by %s.", date(c.latest(), c.r.Zone), strings.Join(c.ExtendReasons, " or "), date(c.first(), c.r.Zone))
	}
	c.notes = slices.Insert(c.notes, 0, Note{c.ID, says})
	if at := c.acknowledge(); !at.IsZero() {
		c.notes = append(c.notes, Note{cmp.Or(c.AcknowledgeRule, c.ID), fmt.Sprintf("The receipt is confirmed by %s.", date(at, c.r.Zone))})
	}
}

func (c *run) note(format string, args ...any) {
	c.notes = append(c.notes, Note{c.ID, fmt.Sprintf(format, args...)})
}

// standsSince returns since when an open question holds the clock.
func (c *run) standsSince() time.Time {
	var since time.Time
	for _, open := range []time.Time{c.identity, c.scope} {
		if !open.IsZero() {
			year, month, day := open.Date()
			since = earliest(since, time.Date(year, month, day, 0, 0, 0, 0, c.r.Zone).UTC())
		}
	}
	return since
}

// due, first and latest are the ends of the period as it is, without an
// extension, and with one where the law allows it.
func (c *run) due() time.Time    { return c.ends(c.extended) }
func (c *run) first() time.Time  { return c.ends(false) }
func (c *run) latest() time.Time { return c.ends(c.extends()) }

// refusal is the date of a refusal: no extension moves it.
func (c *run) refusal() time.Time {
	if c.RefuseMonths == 0 && c.RefuseDays == 0 {
		return c.first()
	}
	day := addMonths(c.start, c.RefuseMonths).AddDate(0, 0, c.RefuseDays+c.extra)
	return endOf(c.shift(day), c.r.Zone)
}

// acknowledge is until when the receipt is confirmed. Business days are Monday
// to Friday: "business day" is not defined, and leaving holidays in is never late.
func (c *run) acknowledge() time.Time {
	day := dayOf(c.received, c.r.Zone)
	switch {
	case c.AcknowledgeBusinessDays > 0:
		return endOf(Weekends().businessDays(day, c.AcknowledgeBusinessDays), c.r.Zone)
	case c.AcknowledgeDays > 0:
		return endOf(day.AddDate(0, 0, c.AcknowledgeDays), c.r.Zone)
	}
	return time.Time{}
}

func (c *run) ends(extended bool) time.Time {
	if c.Hours > 0 { // a period in hours ends with its last one, on whatever day
		return c.received.Add(time.Duration(c.Hours) * time.Hour).UTC()
	}
	return endOf(c.shift(c.plainEnd(extended)), c.r.Zone)
}

// plainEnd is the last day of the period before weekends and holidays move it.
func (c *run) plainEnd(extended bool) time.Time {
	months, days := c.Months, c.Days
	if extended {
		months, days = months+c.ExtendMonths, days+c.ExtendDays
	}
	if c.Hours > 0 {
		return dayOf(c.ends(false), c.r.Zone)
	}
	day := addMonths(c.start, months).AddDate(0, 0, days+c.extra)
	if c.BusinessDays > 0 {
		day = Weekends().businessDays(day, c.BusinessDays)
	}
	return day
}

func (c *run) shift(day time.Time) time.Time {
	if !c.WorkingDay {
		return day
	}
	return c.r.Calendar.next(day)
}

// extends reports whether the law allows an extension.
func (k Clock) extends() bool { return k.ExtendMonths > 0 || k.ExtendDays > 0 }

// dayOf returns the local day of t as midnight UTC, so that days can be counted.
func dayOf(t time.Time, zone *time.Location) time.Time {
	year, month, day := t.In(zone).Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// endOf returns the last second of a local day, in UTC.
func endOf(day time.Time, zone *time.Location) time.Time {
	year, month, d := day.Date()
	return time.Date(year, month, d, 23, 59, 59, 0, zone).UTC()
}

// addMonths returns the same-numbered day months later, or the month's last day
// where it has none (Regulation 1182/71 Art. 3(2)(c)).
func addMonths(day time.Time, months int) time.Time {
	year, month, d := day.Date()
	last := time.Date(year, month+time.Month(months)+1, 0, 0, 0, 0, 0, time.UTC)
	return time.Date(last.Year(), last.Month(), min(d, last.Day()), 0, 0, 0, 0, time.UTC)
}

// earliest returns the earlier of two instants; a zero one is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func date(t time.Time, zone *time.Location) string { return t.In(zone).Format(time.DateOnly) }

func sentence(says, format string, args ...any) string {
	return strings.TrimSpace(says + " " + fmt.Sprintf(format, args...))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
