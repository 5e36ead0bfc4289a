package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

// clockFile is what writ deadline reads: the laws that apply and what happened.
type clockFile struct {
	Regimes      []string   `json:"regimes"`
	Right        string     `json:"right"`
	Calendar     string     `json:"calendar"` // a code of the holidays; "" moves nothing
	Zone         string     `json:"zone"`     // of the controller; "" for UTC
	ReceivedAt   time.Time  `json:"received_at"`
	PromisedDays int        `json:"promised_days"` // 0 for no promise
	Events       []clockRow `json:"events"`
}

type clockRow struct {
	Kind   string    `json:"kind"`
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// clockFace is what it prints: dates in the zone, null where there is none.
type clockFace struct {
	AcknowledgeDue     *string       `json:"acknowledge_due"`
	Due                *string       `json:"due"`
	RefusalDue         *string       `json:"refusal_due"`
	ExtensionNoticeDue *string       `json:"extension_notice_due"`
	LatestDue          *string       `json:"latest_due"`
	Explain            []policy.Note `json:"explain"`
}

func deadlineCommand() command {
	return command{
		name:    "deadline",
		summary: "tell when a request must be answered, and which law or promise says so",
		setup: func(flags *flag.FlagSet) runner {
			file := flags.String("file", "", `the clock as JSON: {"regimes":["gdpr"],"right":"access","calendar":"PL","zone":"Europe/Warsaw","received_at":"2026-01-31T09:00:00Z","promised_days":30,"events":[]}; - for standard input`)
			company := flags.String("company", "", "id of a company, instead of --file: its laws, promises, calendar and zone")
			received := flags.String("received-at", "", "with --company: when the request came, such as 2026-01-31T09:00:00Z")
			country := flags.String("country", "", "with --company: where the person lives, two letters or a state such as US-CA; empty when it was not said")
			right := flags.String("right", "", "with --company: what was asked; empty for any right")
			return func(_ context.Context, c console, args []string) error {
				switch {
				case len(args) > 0:
					return usage("it takes no arguments")
				case (*file == "") == (*company == ""):
					return usage("give --file, or --company with --received-at")
				case *file != "":
					return deadlineOfFile(c, *file)
				}
				at, err := time.Parse(time.RFC3339, *received)
				if err != nil {
					return usage("--received-at is no instant; expected one such as 2026-01-31T09:00:00Z")
				}
				return deadlineOfCompany(c, *company, at, dsr.Place(*country).Clean(), *right)
			}
		},
	}
}

func deadlineOfFile(c console, name string) error {
	var f clockFile
	if err := readStrict(name, &f); err != nil {
		return fmt.Errorf("reading the clock: %w", err)
	}
	r, err := f.reckoning()
	if err != nil {
		return fmt.Errorf("reading the clock: %w", err)
	}
	d, err := policy.Reckon(r)
	if err != nil {
		return err
	}
	return c.deadline(d, r.Zone)
}

// reckoning refuses what no rule would read, and what a rule would read wrongly.
func (f clockFile) reckoning() (r policy.Reckoning, err error) {
	if f.ReceivedAt.IsZero() {
		return r, errors.New("received_at is missing: expected an instant such as 2026-01-31T09:00:00Z")
	}
	if r.Zone, err = time.LoadLocation(f.Zone); err != nil || f.Zone == "Local" {
		return r, fmt.Errorf("zone: %q is no time zone: expected a name such as Europe/Warsaw", f.Zone)
	}
	if r.Clocks, err = policy.ClocksOf(f.Regimes, f.Right, f.ReceivedAt.In(r.Zone)); err != nil {
		return r, err
	}
	if f.Calendar != "" {
		var ok bool
		if r.Calendar, ok = policy.CalendarOf(f.Calendar); !ok {
			return r, fmt.Errorf("calendar: there is none %q: expected one of %s, or empty", f.Calendar, strings.Join(policy.Calendars(), ", "))
		}
	}
	switch {
	case f.PromisedDays < 0:
		return r, errors.New("promised_days is negative: expected days, or 0 for no promise")
	case f.PromisedDays > 0:
		r.Promises = []policy.Promise{{Rule: "promise", Days: f.PromisedDays, Says: fmt.Sprintf("The company promised an answer within %d days.", f.PromisedDays)}}
	}
	r.Events = []dsr.ClockEvent{{Kind: dsr.Received, At: f.ReceivedAt}}
	for _, e := range f.Events {
		r.Events = append(r.Events, dsr.ClockEvent{Kind: dsr.ClockEventKind(e.Kind), At: e.At, By: e.By, Reason: e.Reason})
	}
	return r, nil
}

func deadlineOfCompany(c console, company string, received time.Time, place dsr.Place, right string) error {
	pack, err := policy.Load(company)
	if err != nil {
		return err
	}
	if place != "" && !pack.KnownPlace(place) {
		return usage("--country: no regime names %q; leave it empty for a country that was not said", place)
	}
	var rights []dsr.Right
	if right != "" {
		r, err := dsr.ParseRight(right)
		if err != nil {
			return usageError{err}
		}
		rights = append(rights, r)
	}
	d, err := pack.Due(rights, []dsr.ClockEvent{{Kind: dsr.Received, At: received}}, place)
	if err != nil {
		return err
	}
	return c.deadline(d, pack.Zone)
}

// deadline prints the dates of a request.
func (c console) deadline(d policy.Deadline, zone *time.Location) error {
	face := clockFace{
		AcknowledgeDue: dateIn(d.AcknowledgeDueAt, zone), Due: dateIn(d.DueAt, zone), RefusalDue: dateIn(d.RefusalDueAt, zone),
		ExtensionNoticeDue: dateIn(d.ExtensionNoticeDueAt, zone), LatestDue: dateIn(d.LatestDueAt, zone), Explain: d.Explain,
	}
	return c.print(face, func(w io.Writer) error {
		var out strings.Builder
		fmt.Fprintf(&out, "Due on %s (%s), by %s.\n", *face.Due, zone, d.Rule)
		for _, row := range []struct {
			says string
			date *string
		}{
			{"Confirm the receipt by", face.AcknowledgeDue},
			{"A refusal is due by", face.RefusalDue},
			{"An extension is told by", face.ExtensionNoticeDue},
			{"With every extension", face.LatestDue},
		} {
			if row.date != nil {
				fmt.Fprintf(&out, "%s %s.\n", row.says, *row.date)
			}
		}
		for _, n := range face.Explain {
			fmt.Fprintf(&out, "  %s: %s\n", n.Rule, n.Says)
		}
		_, err := io.WriteString(w, out.String())
		return err
	})
}

// dateIn returns the local date of an instant; nil for none.
func dateIn(t time.Time, zone *time.Location) *string {
	if t.IsZero() {
		return nil
	}
	s := t.In(zone).Format(time.DateOnly)
	return &s
}
