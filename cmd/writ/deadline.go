package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

// clockFace is a due date with everything that led to it.
type clockFace struct {
	Company string     `json:"company"`
	Zone    string     `json:"zone"`
	Due     string     `json:"due"` // date in the zone: the answer is out before this day ends
	DueAt   time.Time  `json:"due_at"`
	Margin  time.Time  `json:"margin_at"` // open work becomes a partial answer from here on
	Rule    string     `json:"rule"`
	Limits  []limitRow `json:"explain"`
}

type limitRow struct {
	Rule string `json:"rule"`
	Due  string `json:"due"`
	Says string `json:"says"`
}

func deadlineCommand() command {
	return command{
		name:    "deadline",
		summary: "tell when a request must be answered, and which law or promise says so",
		setup: func(flags *flag.FlagSet) runner {
			company := flags.String("company", "", "id of the company")
			received := flags.String("received-at", "", "when the request came, such as 2026-01-31T09:00:00Z")
			country := flags.String("country", "", "where the person lives, two letters; empty when it was not said")
			return func(_ context.Context, c console, args []string) error {
				switch {
				case len(args) > 0:
					return usage("it takes no arguments")
				case *company == "" || *received == "":
					return usage("give --company and --received-at")
				}
				at, err := time.Parse(time.RFC3339, *received)
				if err != nil {
					return usage("--received-at is no instant; expected one such as 2026-01-31T09:00:00Z")
				}
				return deadline(c, *company, at, *country)
			}
		},
	}
}

func deadline(c console, company string, received time.Time, country string) error {
	pack, err := policy.Load(company)
	if err != nil {
		return err
	}
	if country != "" && !pack.KnownPlace(dsr.Place(country)) {
		return usage("--country: no regime names %q; leave it empty for a country that was not said", country)
	}
	d, err := pack.Due(nil, []dsr.ClockEvent{{Kind: dsr.Received, At: received}}, dsr.Place(country))
	if err != nil {
		return err
	}
	date := func(t time.Time) string { return t.In(pack.Zone).Format(time.DateOnly) }
	face := clockFace{Company: pack.ID, Zone: pack.Zone.String(), Due: date(d.DueAt), DueAt: d.DueAt, Margin: d.MarginAt, Rule: d.Rule}
	for _, l := range d.Limits {
		face.Limits = append(face.Limits, limitRow{Rule: l.Rule, Due: date(l.DueAt), Says: l.Says})
	}
	return c.print(face, func(w io.Writer) error {
		var out strings.Builder
		fmt.Fprintf(&out, "Due on %s (%s), by %s.\n", face.Due, face.Zone, face.Rule)
		for _, l := range face.Limits {
			fmt.Fprintf(&out, "  %s  %s: %s\n", l.Due, l.Rule, l.Says)
		}
		_, err := io.WriteString(w, out.String())
		return err
	})
}
