package policy_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

// Every row of every pack must do what it says it does: without it a plan, a
// date or a notice is another one. A row that changes nothing would be a promise
// that nobody keeps.
func TestEveryRowChangesWhatItSays(t *testing.T) {
	for _, id := range policy.Companies() {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			c := load(t, id)
			p := prober{whole: c, seen: map[string]string{}}
			counted := map[policy.Enforced]int{}
			for _, row := range c.FactRows() {
				counted[row.Fact.EnforcedBy]++
				if row.Fact.EnforcedBy == policy.ByDocumentation {
					continue
				}
				without := without(t, c, row)
				if !p.differs(row, without) {
					t.Errorf("%s: %s (%s) says that it changes a %s, yet without it every one is the same", row.File, row.Key, row.ID, row.Fact.EnforcedBy)
				}
			}
			if n := counted[policy.ByDocumentation]; n > 5 {
				t.Errorf("%d rows are documentation only, want at most 5", n)
			}
			if counted[policy.ByPlan] < 10 || counted[policy.ByNotice] < 10 {
				t.Errorf("the rows %v are too few to be a pack", counted)
			}
			t.Logf("%s: %d probes, rows %v", id, len(p.seen), counted)
		})
	}
}

// without is the pack without one row, or with its decisive value turned round.
func without(t *testing.T, c *policy.Company, row policy.FactRow) *policy.Company {
	t.Helper()
	f := *c
	table, at, _ := strings.Cut(row.Key, "[")
	number, rest, _ := strings.Cut(at, "]")
	i, _ := strconv.Atoi(number)
	switch table {
	case "controller":
		f.Controller.Name, f.Controller.Post = "", ""
	case "contacts":
		f.Contacts = policy.Contacts{}
	case "representative":
		f.Representatives = drop(c.Representatives, i)
	case "channel":
		f.Channels = drop(c.Channels, i)
	case "role":
		f.Roles = slices.Clone(c.Roles)
		if f.Roles[i].Role == "processor" {
			f.Roles[i].Role = "controller"
		} else {
			f.Roles[i].Role = "processor"
		}
	case "promise":
		f.Promises = drop(c.Promises, i)
	case "request":
		f.Requests = drop(c.Requests, i)
	case "minor":
		f.Minors = drop(c.Minors, i)
	case "sale":
		f.Sales = drop(c.Sales, i)
	case "marketing":
		f.Marketing = drop(c.Marketing, i)
	case "breach":
		f.Breaches = drop(c.Breaches, i)
	case "change_notice":
		f.Changes = drop(c.Changes, i)
	case "say":
		f.Says = drop(c.Says, i)
	case "ask":
		f.Asks = drop(c.Asks, i)
		if c.Asks[i].Offer { // it asks nothing by itself: what an answer does must be missed
			f.Asks = slices.Clone(c.Asks)
			f.Asks[i].Effects = nil
		}
	case "route":
		f.Routes = drop(c.Routes, i)
	case "ground":
		f.Grounds = drop(c.Grounds, i)
	case "recipient":
		f.Receivers = drop(c.Receivers, i)
	case "system":
		f.Systems = drop(c.Systems, i)
	case "category":
		if rest == ".retain" {
			f.Categories = slices.Clone(c.Categories)
			f.Categories[i].Retain = policy.Retain{}
			break
		}
		f.Categories = drop(c.Categories, i)
	default:
		t.Fatalf("%s: no way to turn round a row of the table %q", row.File, table)
	}
	return &f
}

func drop[T any](list []T, i int) []T { return slices.Delete(slices.Clone(list), i, i+1) }

// prober asks the whole pack and one without a row the same questions.
type prober struct {
	whole *policy.Company
	seen  map[string]string // probe → answer of the whole pack
}

// differs reports whether some answer of the kind the row names is another one
// without it.
func (p prober) differs(row policy.FactRow, without *policy.Company) bool {
	for name, ask := range probes(p.whole, row) {
		want, known := p.seen[name]
		if !known {
			want = ask(p.whole)
			p.seen[name] = want
		}
		// A question that one of them does not understand shows nothing.
		if got := ask(without); got != want && got != "" && want != "" {
			return true
		}
	}
	return false
}

// places where the laws differ.
var places = []dsr.Place{"PL", "US-CA", "US-TX", "BR", "GB", "CH", "NO", ""}

// probes yields the questions that a row can reach, each with a name.
func probes(c *policy.Company, row policy.FactRow) func(yield func(string, func(*policy.Company) string) bool) {
	switch row.Fact.EnforcedBy {
	case policy.ByDue:
		return dueProbes
	case policy.ByNotice:
		return noticeProbes(c, row)
	}
	return planProbes(c)
}

func asked(at string, q policy.Question) policy.Question {
	when, err := time.Parse(time.DateOnly, at)
	if err != nil {
		panic(err)
	}
	q.Events = []dsr.ClockEvent{{Kind: dsr.Received, At: when.Add(9 * time.Hour)}}
	return q
}

// dueProbes ask for dates, of months of every length.
func dueProbes(yield func(string, func(*policy.Company) string) bool) {
	for _, at := range []string{"2026-01-10", "2026-02-03", "2026-07-02"} {
		for _, r := range dsr.Rights() {
			for _, place := range places {
				q := asked(at, policy.Question{Rights: []dsr.Right{r}, Place: place})
				name := fmt.Sprint("due ", at, r, place)
				if !yield(name, func(c *policy.Company) string { d, err := c.Due(q.Rights, q.Events, q.Place); return written(d, err) }) {
					return
				}
			}
		}
	}
}

// planProbes ask what is done: every right, as everybody who may ask, with the
// answers and the fields that the pack knows.
func planProbes(c *policy.Company) func(yield func(string, func(*policy.Company) string) bool) {
	return func(yield func(string, func(*policy.Company) string) bool) {
		told := []map[string]string{nil, {policy.FactAge: "12"}, {policy.FactAge: "15"}, {policy.FactAge: "16"}}
		for _, a := range c.Asks {
			for _, choice := range a.Choices {
				told = append(told, map[string]string{a.Answer: choice})
			}
		}
		plans := []string{""}
		for _, r := range c.Roles {
			for _, word := range r.Plans {
				if !slices.Contains(plans, word) {
					plans = append(plans, word)
				}
			}
		}
		var fields []string
		for _, r := range c.Routes {
			fields = append(fields, r.Fields...)
		}
		rights := dsr.Rights()
		// The common ones first: most rows show there.
		slices.SortStableFunc(rights, func(a, b dsr.Right) int { return first(a) - first(b) })
		for _, facts := range told {
			for _, plan := range plans {
				for _, r := range rights {
					for _, place := range places {
						for _, by := range []dsr.Requester{"", dsr.School} {
							if by != "" && facts == nil {
								continue
							}
							q := asked("2026-03-02", policy.Question{Rights: []dsr.Right{r}, Place: place, Plan: plan, Facts: facts, By: by})
							if r == dsr.Rectification {
								q.Fields = fields
							}
							name := fmt.Sprint("plan ", facts, plan, r, place, by)
							if !yield(name, func(c *policy.Company) string { return planned(c, q) }) {
								return
							}
						}
					}
				}
			}
		}
	}
}

func first(r dsr.Right) int {
	if i := slices.Index([]dsr.Right{dsr.Erasure, dsr.Access, dsr.Rectification, dsr.OptOutOfSale, dsr.ObjectionMarketing, dsr.Preferences}, r); i >= 0 {
		return i
	}
	return len(dsr.Rights())
}

func planned(c *policy.Company, q policy.Question) string {
	r, err := c.Resolve(q)
	if err != nil {
		return written(nil, err)
	}
	return written([]any{r, r.Plan, c.Expect(r.Plan, q.Place, q.Events[0].At)}, nil)
}

// noticeProbes ask what a person reads. A row that names notices, rights, plans
// or laws is asked for where it can show.
func noticeProbes(c *policy.Company, row policy.FactRow) func(yield func(string, func(*policy.Company) string) bool) {
	kinds := []string{policy.NoticeAccess, policy.NoticeOptOut, policy.NoticeReferral, policy.NoticeChildReport, policy.NoticeBreachSubject,
		policy.NoticeBreachAuthority, policy.NoticePolicyChange, policy.NoticeAcknowledge}
	rights, plans := []dsr.Right{dsr.Access, dsr.ObjectionMarketing, dsr.OptOutOfSale, dsr.OptOutProfiling}, []string{""}
	if number, ok := strings.CutPrefix(row.Key, "say["); ok {
		i, _ := strconv.Atoi(strings.TrimSuffix(number, "]"))
		s := c.Says[i]
		kinds, rights, plans = either(s.Notices, kinds), either(s.Rights, rights), either(s.Plans, plans)
	}
	if number, ok := strings.CutPrefix(row.Key, "channel["); ok {
		i, _ := strconv.Atoi(strings.TrimSuffix(number, "]"))
		rights = either(c.Channels[i].Rights, rights)
	}
	return func(yield func(string, func(*policy.Company) string) bool) {
		for _, place := range places {
			for _, kind := range kinds {
				for _, r := range rights {
					for _, plan := range plans {
						q := asked("2026-03-02", policy.Question{Rights: []dsr.Right{r}, Place: place, Plan: plan})
						name := fmt.Sprint("notice ", place, kind, r, plan)
						if !yield(name, func(c *policy.Company) string { return written(c.Facts(kind, q), nil) }) {
							return
						}
					}
				}
			}
		}
	}
}

func either[T any](own, all []T) []T {
	if len(own) > 0 {
		return own
	}
	return all
}

// written is an answer as text; "" for none.
func written(v any, err error) string {
	if err != nil {
		return ""
	}
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // nothing of ours cannot be written
	}
	return string(data)
}
