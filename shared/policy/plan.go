package policy

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Question is what a plan is made for: the facts of one request. The zero value
// of each means that it was not said.
type Question struct {
	Rights     []dsr.Right
	Place      dsr.Place // unknown or empty gets the most protective regime
	Events     []dsr.ClockEvent
	Plan       string            // subscription plan or standing, a word of the pack's roles
	By         dsr.Requester     // who asks; "" for the person
	Identities []dsr.Identity    // a proved mail domain may name a customer
	Proved     bool              // the proof of Resolution.Proof was given: customers may be named
	Fields     []string          // rectification: the fields to correct
	Facts      map[string]string // closed answers: those of the pack's asks, and the keys below
	// Can reports whether the system's connector offers the op by API, at once or
	// as a vendor's job. What it cannot, a person does. nil: it can everything.
	Can func(s System, op dsr.Op) bool
	// Never reports whether nobody can do the op there (the descriptor says none:
	// with a reason). Such an op is not planned; its outcome is owed all the same.
	// nil: there is always a way.
	Never func(s System, op dsr.Op) bool
	// Only narrows the plan to these categories of these systems; nil for all.
	Only map[string][]string
}

// The keys of Question.Facts that every pack knows.
const (
	FactAge       = "age"              // of the data subject, in years
	FactAbusive   = "abusive"          // "manifestly_unfounded" or "excessive", as a person decided
	FactDenied    = "denied"           // appeal: the right that was denied
	FactRepeats   = "repeats"          // how often the right was used in twelve months
	FactUnfit     = "proof_fell_short" // "yes": the lesser answer is given
	FactSensitive = "sensitive"        // "yes": the data asked for are of the sensitive kind
)

// Plan is the work for one request, in the order it must run.
type Plan struct {
	Rights    []dsr.Right                   `json:"rights"`
	Regime    string                        `json:"regime"`
	Assumed   bool                          `json:"regime_assumed,omitempty"` // the country was unknown or not said
	Bundle    bool                          `json:"bundle"`                   // a copy is made between gather and act
	Waves     []Wave                        `json:"waves"`                    // gather waves, then act waves
	Owed      []Owed                        `json:"owed,omitempty"`           // outcomes that need no visit
	Decisions []Decision                    `json:"decisions,omitempty"`      // what the controller must still decide for this person
	Reach     map[dsr.Right]map[string]bool `json:"-"`                        // the categories a right gets to; absent for all
}

// Wave is a set of visits that may run at the same time.
type Wave struct {
	Phase  dsr.Phase `json:"phase"`
	Visits []Visit   `json:"visits"`
}

// Visit is one system in one phase.
type Visit struct {
	System     string        `json:"system"`
	Ops        []dsr.Op      `json:"ops"`
	Categories []string      `json:"categories"`
	Manual     bool          `json:"manual,omitempty"`    // a person's task from the start
	ByPerson   []dsr.Op      `json:"by_person,omitempty"` // ops of an API system that go to a person
	Rights     []dsr.Right   `json:"rights,omitempty"`    // what it serves
	Purposes   []dsr.Purpose `json:"purposes,omitempty"`  // what its Suppress stops
	Recipient  string        `json:"recipient,omitempty"` // who is told, where it is no system's visit
	NotBefore  time.Time     `json:"not_before,omitzero"`
	// Only names the categories of an op that is for fewer than Categories.
	Only map[dsr.Op][]string `json:"only,omitempty"`
}

// For returns the categories that an op of the visit is for.
func (v Visit) For(op dsr.Op) []string {
	if only, ok := v.Only[op]; ok {
		return only
	}
	return v.Categories
}

// Owed is an outcome that follows from the pack alone. An export nobody can
// make is refused; an erasure nobody can make leaves the data kept, which only a
// ground turns into retained.
type Owed struct {
	System  string      `json:"system"`
	Op      dsr.Op      `json:"op"`
	Outcome dsr.Outcome `json:"outcome"`
}

// The closed words of owed outcomes.
const (
	ReasonNoExport      = "no_export"      // Refused: neither API nor person can export there
	ReasonNoRectify     = "no_rectify"     // Refused: neither API nor person can correct anything there
	ReasonNotSearchable = "not_searchable" // Refused: nobody can be found there (GDPR Art. 11)
	ReasonForbidden     = "forbidden"      // Refused: data of this kind never leave; their kind is told (11 CCR 7024(d))
	RuleNoErase         = "no_erase"       // Kept: neither API nor person can erase there
)

// Plan orders the work of every right that was asked, for all data. Resolve
// narrows it to what the person is owed.
func (c *Company) Plan(q Question) (Plan, error) {
	rights, err := askedRights(q)
	if err != nil {
		return Plan{}, fmt.Errorf("planning: %w", err)
	}
	return c.order(q, work{rights: rights})
}

// askedRights returns the rights of a question, sorted and each once.
func askedRights(q Question) ([]dsr.Right, error) {
	if len(q.Rights) == 0 {
		return nil, errors.New("no right was asked")
	}
	rights := slices.Compact(slices.Sorted(slices.Values(q.Rights)))
	for _, r := range rights {
		if _, err := dsr.ParseRight(string(r)); err != nil {
			return nil, err
		}
	}
	return rights, nil
}

func (q Question) can(s System, op dsr.Op) bool   { return q.Can == nil || q.Can(s, op) }
func (q Question) never(s System, op dsr.Op) bool { return q.Never != nil && q.Never(s, op) }

// levels returns, per system, the gather wave and the act wave, counted from
// zero. Every other system depends on the systems of record.
func (c *Company) levels() (gather, act map[string]int, err error) {
	gather, act = map[string]int{}, map[string]int{}
	var visiting []string
	var depth func(s *System) (int, error)
	depth = func(s *System) (int, error) {
		if n, ok := gather[s.ID]; ok {
			return n, nil
		}
		if slices.Contains(visiting, s.ID) {
			return 0, fmt.Errorf("systems %v depend on each other in a circle", append(visiting, s.ID))
		}
		visiting = append(visiting, s.ID)
		n := 0
		for _, d := range c.before(s) {
			m, err := depth(d)
			if err != nil {
				return 0, err
			}
			n = max(n, m+1)
		}
		visiting = visiting[:len(visiting)-1]
		gather[s.ID] = n
		return n, nil
	}
	for i := range c.Systems {
		if _, err := depth(&c.Systems[i]); err != nil {
			return nil, nil, err
		}
	}
	// From the deepest up: what depends on a system acts in a wave before it.
	for _, s := range c.byDepth(gather) {
		for _, d := range c.before(s) {
			act[d.ID] = max(act[d.ID], act[s.ID]+1)
		}
	}
	return gather, act, nil
}

// byDepth puts the systems that need others before those others.
func (c *Company) byDepth(depth map[string]int) []*System {
	deepest := make([]*System, len(c.Systems))
	for i := range c.Systems {
		deepest[i] = &c.Systems[i]
	}
	slices.SortStableFunc(deepest, func(a, b *System) int { return depth[b.ID] - depth[a.ID] })
	return deepest
}

// before returns the systems that must gather before s and act after it.
func (c *Company) before(s *System) []*System {
	var out []*System
	for i := range c.Systems {
		d := &c.Systems[i]
		if d.SystemOfRecord && !s.SystemOfRecord || slices.Contains(s.DependsOn, d.ID) {
			out = append(out, d)
		}
	}
	return out
}
