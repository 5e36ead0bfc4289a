package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

// asked is the file that writ plan reads: a request as its form would give it.
type asked struct {
	Rights     []string       `json:"rights"`
	Identities []identity     `json:"identities"`
	Country    string         `json:"country"` // ISO 3166-1 alpha-2; "" when it was not said
	State      string         `json:"state"`
	ReceivedAt time.Time      `json:"received_at"`
	Plan       string         `json:"plan"`
	Facts      map[string]any `json:"facts"`
}

type identity struct {
	Kind  string `json:"kind"`
	Value string `json:"value"`
}

// forecast is what a request would do.
type forecast struct {
	Company       string               `json:"company"`
	Decision      string               `json:"decision"`
	Regime        string               `json:"regime"`
	RegimeAssumed bool                 `json:"regime_assumed"`
	Due           string               `json:"due"` // in the company's zone
	DueRule       string               `json:"due_rule"`
	Bundle        bool                 `json:"bundle"`
	Tasks         []policy.Expectation `json:"tasks"`
	Open          []policy.Decision    `json:"needs_controller_decision"`
}

func planCommand() command {
	return command{
		name:    "plan",
		summary: "tell what a request would do: systems, waves, outcomes expected, due date; nothing is touched",
		setup: func(flags *flag.FlagSet) runner {
			company := flags.String("company", "", "id of the company")
			file := flags.String("request", "", `the request as JSON: {"rights":["erasure"],"identities":[{"kind":"email","value":"…"}],"country":"US","received_at":"2026-11-22T09:00:00Z"}; - for standard input`)
			return func(_ context.Context, c console, args []string) error {
				switch {
				case len(args) > 0:
					return usage("it takes no arguments")
				case *company == "" || *file == "":
					return usage("give --company and --request")
				}
				return forecastFor(c, *company, *file)
			}
		},
	}
}

func forecastFor(c console, company, file string) error {
	pack, err := policy.Load(company)
	if err != nil {
		return err
	}
	a, err := readAsked(file)
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	rights, err := a.check(pack)
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	descriptors, err := connectors.Descriptors()
	if err != nil {
		return err
	}
	known := connectors.Capabilities(descriptors)
	if err := pack.CheckAgainst(known); err != nil {
		return err
	}
	p, err := pack.Plan(question(rights, dsr.PlaceOf(a.Country, a.State), known))
	if err != nil {
		return err
	}
	due, err := pack.Due(rights, []dsr.ClockEvent{{Kind: dsr.Received, At: a.ReceivedAt}}, dsr.PlaceOf(a.Country, a.State))
	if err != nil {
		return err
	}
	f := forecast{
		Company: pack.ID, Decision: "run", Regime: p.Regime, RegimeAssumed: p.Assumed,
		Due: due.DueAt.In(pack.Zone).Format(time.DateOnly), DueRule: due.Rule, Bundle: p.Bundle,
		Tasks: pack.Expect(p, dsr.PlaceOf(a.Country, a.State), a.ReceivedAt), Open: append([]policy.Decision{}, p.Decisions...),
	}
	return c.print(f, func(w io.Writer) error { return f.write(w, pack) })
}

// readAsked decodes strictly: a key that is not known would be a wish ignored.
func readAsked(file string) (asked, error) {
	in := io.Reader(os.Stdin)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return asked{}, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return asked{}, err
	}
	var a asked
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&a); err != nil {
		return asked{}, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return asked{}, errors.New("something follows the request")
	}
	return a, nil
}

// check refuses what no rule would read, and what a rule would read wrongly. It
// repeats no value: a request is personal data.
func (a asked) check(pack *policy.Company) ([]dsr.Right, error) {
	var rights []dsr.Right
	for _, s := range a.Rights {
		r, err := dsr.ParseRight(s)
		if err != nil {
			return nil, fmt.Errorf("rights: %w", err)
		}
		rights = append(rights, r)
	}
	if len(rights) == 0 {
		return nil, errors.New("rights: none is asked")
	}
	if a.Country != "" && !pack.KnownPlace(dsr.Place(a.Country)) {
		return nil, fmt.Errorf("country: no regime names %q; leave it empty for a country that was not said", a.Country)
	}
	if a.ReceivedAt.IsZero() {
		return nil, errors.New("received_at: is missing; expected an instant such as 2026-11-22T09:00:00Z")
	}
	for i, id := range a.Identities {
		if id.Kind != string(dsr.Email) {
			return nil, fmt.Errorf("identities[%d].kind: %q is unknown; expected email", i, id.Kind)
		}
		if _, err := dsr.ParseAddress(id.Value); err != nil {
			return nil, fmt.Errorf("identities[%d].value: %w", i, err)
		}
	}
	if a.State != "" || a.Plan != "" || len(a.Facts) > 0 {
		return nil, errors.New("state, plan and facts: no rule reads them; leave them empty")
	}
	return rights, nil
}

func (f forecast) write(w io.Writer, pack *policy.Company) error {
	var out strings.Builder
	assumed := ""
	if f.RegimeAssumed {
		assumed = ", assumed because the country is unknown or was not said"
	}
	fmt.Fprintf(&out, "%s answers by %s (%s). Law: %s%s.\n\n", pack.Name, f.Due, f.DueRule, f.Regime, assumed)
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "wave\tphase\tsystem\tcategory\tdoes\texpects\trule")
	for _, t := range f.Tasks {
		expects := string(t.Expects)
		if t.By != "" {
			expects += " by " + t.By
		}
		if t.Ground != "" {
			expects += " on " + t.Ground + " until " + t.Until
		}
		_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", t.Wave, t.Phase, t.System, t.Category, words(t.Ops), expects, t.Rule)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if at := slices.IndexFunc(f.Tasks, func(t policy.Expectation) bool { return t.Phase == dsr.Act && t.Wave > 0 }); f.Bundle && at >= 0 {
		fmt.Fprintf(&out, "\nThe copy is delivered before wave %d.\n", f.Tasks[at].Wave)
	}
	for _, d := range f.Open {
		fmt.Fprintf(&out, "\nTo be decided by the company: %s\nUntil then: %s\n", d.Question, d.Default)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func words(ops []dsr.Op) string {
	all := make([]string, len(ops))
	for i, op := range ops {
		all[i] = string(op)
	}
	return strings.Join(all, ", ")
}
