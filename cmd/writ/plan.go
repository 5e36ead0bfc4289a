package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
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
	Rights     []string        `json:"rights"`
	Identities []identity      `json:"identities"`
	Country    string          `json:"country"` // ISO 3166-1 alpha-2; "" when it was not said
	State      string          `json:"state"`
	ReceivedAt time.Time       `json:"received_at"`
	Plan       string          `json:"plan"`
	Facts      map[string]fact `json:"facts"`
}

type identity struct {
	Kind  string `json:"kind"`
	Value string `json:"value"`
}

// forecast is what a request would do. What is not in the JSON is for people.
type forecast struct {
	Decision  string               `json:"decision"` // run, refer, refuse, ask, split
	Proof     []policy.Proof       `json:"proof"`
	Due       string               `json:"due"` // in the company's zone
	Tasks     []policy.Expectation `json:"tasks"`
	Notices   []string             `json:"notices"`
	Refusals  []policy.Refusal     `json:"refusals"`
	Referrals []policy.Referral    `json:"referrals"`
	Questions []policy.Query       `json:"questions"`

	plan     policy.Plan
	settled  []policy.Settled
	deadline policy.Deadline
}

func planCommand() command {
	return command{
		name:    "plan",
		summary: "tell what a request would do: decision, proof, due date, systems, waves, outcomes expected; nothing is touched",
		setup: func(flags *flag.FlagSet) runner {
			company := flags.String("company", "", "id of the company")
			file := flags.String("request", "", `the request as JSON: {"rights":["erasure"],"identities":[{"kind":"email","value":"…"}],"country":"US","state":"CA","received_at":"2026-11-22T09:00:00Z","plan":"","facts":{"age":15,"by":"parent","fields":"email"}}; - for standard input`)
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
	var a asked
	if err := readStrict(file, &a); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	q, err := a.check(pack)
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
	q.Can, q.Never = shelf(known)
	r, err := pack.Resolve(q)
	if err != nil {
		return err
	}
	f := forecast{
		Decision: r.Decision, Proof: r.Proof, Due: r.Deadline.DueAt.In(pack.Zone).Format(time.DateOnly),
		Tasks: pack.Expect(r.Plan, q.Place, a.ReceivedAt), Notices: r.Notices, Refusals: r.Refusals, Referrals: r.Referrals, Questions: r.Questions,
		plan: r.Plan, settled: r.Settled, deadline: r.Deadline,
	}
	return c.print(f, func(w io.Writer) error { return f.write(w, pack) })
}

// check refuses what no rule would read, and what a rule would read wrongly. It
// repeats no value: a request is personal data.
func (a asked) check(pack *policy.Company) (policy.Question, error) {
	q := policy.Question{Place: dsr.PlaceOf(a.Country, a.State), Plan: a.Plan, Facts: map[string]string{}}
	for _, s := range a.Rights {
		r, err := dsr.ParseRight(s)
		if err != nil {
			return q, fmt.Errorf("rights: %w", err)
		}
		q.Rights = append(q.Rights, r)
	}
	if len(q.Rights) == 0 {
		return q, errors.New("rights: none is asked")
	}
	switch {
	case a.Country == "" && a.State != "":
		return q, errors.New("state: needs its country")
	case a.Country != "" && !pack.KnownPlace(dsr.Place(a.Country)):
		return q, fmt.Errorf("country: no regime names %q; leave it empty for a country that was not said", a.Country)
	case a.State != "" && !pack.KnownPlace(q.Place):
		return q, fmt.Errorf("state: no regime names %q of %s; leave it empty for a state that was not said", a.State, a.Country)
	}
	if a.ReceivedAt.IsZero() {
		return q, errors.New("received_at: is missing; expected an instant such as 2026-11-22T09:00:00Z")
	}
	q.Events = []dsr.ClockEvent{{Kind: dsr.Received, At: a.ReceivedAt}}
	for i, id := range a.Identities {
		if id.Kind != string(dsr.Email) {
			return q, fmt.Errorf("identities[%d].kind: %q is unknown; expected email", i, id.Kind)
		}
		address, err := dsr.ParseAddress(id.Value)
		if err != nil {
			return q, fmt.Errorf("identities[%d].value: %w", i, err)
		}
		q.Identities = append(q.Identities, dsr.Identity{Kind: dsr.Email, Value: address.String(), Origin: dsr.SelfAsserted})
	}
	for _, key := range slices.Sorted(maps.Keys(a.Facts)) {
		value, err := a.Facts[key].word()
		if err != nil {
			return q, fmt.Errorf("facts.%s: %w", key, err)
		}
		switch key {
		case factBy:
			q.By = dsr.Requester(value)
			if !slices.Contains(requesters, q.By) {
				return q, fmt.Errorf("facts.by: is unknown; expected one of %v", requesters)
			}
		case factFields:
			q.Fields = strings.Fields(strings.ReplaceAll(value, ",", " "))
		default:
			q.Facts[key] = value
		}
	}
	return q, nil
}

// The facts of a request that are no answers to questions: who asks, and which
// fields are to be corrected, with commas between them.
const (
	factBy     = "by"
	factFields = "fields"
)

var requesters = []dsr.Requester{dsr.Self, dsr.Agent, dsr.Attorney, dsr.Parent, dsr.School, dsr.Reporter, dsr.Successor, dsr.Unmailable}

// fact is one value of facts: text, a number or true and false.
type fact struct{ any }

// UnmarshalJSON keeps numbers as they are written.
func (f *fact) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decoder.Decode(&f.any)
}

// word is the value as the closed word that a rule reads.
func (f fact) word() (string, error) {
	switch v := f.any.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		if v {
			return "yes", nil
		}
		return "no", nil
	}
	return "", errors.New("is neither text, nor a number, nor true or false")
}

func (f forecast) write(w io.Writer, pack *policy.Company) error {
	var out strings.Builder
	assumed := ""
	if f.plan.Assumed {
		assumed = ", assumed because the country is unknown or was not said"
	}
	fmt.Fprintf(&out, "Decision: %s. %s answers by %s (%s). Law: %s%s.\n", f.Decision, pack.Name, f.Due, f.deadline.Rule, f.plan.Regime, assumed)
	fmt.Fprintf(&out, "Proof: %s. Notices: %s.\n\n", orNone(f.Proof), orNone(f.Notices))
	for _, x := range f.Refusals {
		fmt.Fprintf(&out, "Refused: %s (%s; %s). %s\n", x.Right, x.Reason, x.Cite, x.Says)
	}
	for _, x := range f.Referrals {
		fmt.Fprintf(&out, "Referred to %s: %s. %s\n", x.To, orNone(x.Rights), x.Says)
	}
	for _, x := range f.Questions {
		fmt.Fprintf(&out, "Asked first: %s (facts.%s = %s; without an answer %s)\n", x.Question, x.Answer, strings.Join(x.Choices, " or "), x.Default)
	}
	for _, x := range f.settled {
		fmt.Fprintf(&out, "%s and %s: %s\n", x.First, x.Second, x.Says)
	}
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "wave\tphase\tsystem\tcategory\tdoes\texpects\trule")
	for _, t := range f.Tasks {
		expects := string(t.Expects)
		if t.By != "" {
			expects += " by " + t.By
		}
		if t.Ground != "" {
			expects += " on " + t.Ground + " until " + t.Until
		} else if t.NotBefore != "" {
			expects += " not before " + t.NotBefore
		}
		_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", t.Wave, t.Phase, t.System, t.Category, words(t.Ops), expects, t.Rule)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if at := slices.IndexFunc(f.Tasks, func(t policy.Expectation) bool { return t.Phase == dsr.Act && t.Wave > 0 }); f.plan.Bundle && at >= 0 {
		fmt.Fprintf(&out, "\nThe copy is delivered before wave %d.\n", f.Tasks[at].Wave)
	}
	for _, d := range f.plan.Decisions {
		fmt.Fprintf(&out, "\nTo be decided by the company: %s\nUntil then: %s\n", d.Question, d.Default)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// orNone joins words for people.
func orNone[T ~string](all []T) string {
	if len(all) == 0 {
		return "none"
	}
	words := make([]string, len(all))
	for i, w := range all {
		words[i] = string(w)
	}
	return strings.Join(words, ", ")
}

func words(ops []dsr.Op) string {
	all := make([]string, len(ops))
	for i, op := range ops {
		all[i] = string(op)
	}
	return strings.Join(all, ", ")
}
