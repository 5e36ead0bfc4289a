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
	Rights    []dsr.Right `json:"rights"`
	Regime    string      `json:"regime"`
	Assumed   bool        `json:"regime_assumed,omitempty"` // the country was unknown or not said
	Bundle    bool        `json:"bundle"`                   // a copy is made between gather and act
	Waves     []Wave      `json:"waves"`                    // gather waves, then act waves
	Owed      []Owed      `json:"owed,omitempty"`           // outcomes that need no visit
	Decisions []Decision  `json:"decisions,omitempty"`      // what the controller must still decide for this person
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
	ReasonNoExport = "no_export" // Refused: neither API nor person can export there
	RuleNoErase    = "no_erase"  // Kept: neither API nor person can erase there
)

// Plan orders the work. Systems of record gather first, because they yield
// identifiers for the others; every gather ends before the first act; a system
// acts before those it depends on, and the systems of record act last.
//
// A system with an API is located even when only an erasure was asked, so that
// the rows to erase are known before anything is erased; a person's system gets
// one task: gather for a copy, act for an erasure, both only when both were asked.
func (c *Company) Plan(q Question) (Plan, error) {
	if len(q.Rights) == 0 {
		return Plan{}, errors.New("planning: no right was asked")
	}
	rights := slices.Compact(slices.Sorted(slices.Values(q.Rights)))
	for _, r := range rights {
		if _, err := dsr.ParseRight(string(r)); err != nil {
			return Plan{}, fmt.Errorf("planning: %w", err)
		}
	}
	regime := c.Regime(q.Place)
	p := Plan{
		Rights:  rights,
		Regime:  regime.ID,
		Assumed: regime.Assumed,
		Bundle:  slices.Contains(rights, dsr.Access),
	}
	erase := slices.Contains(rights, dsr.Erasure)

	first, last, err := c.levels()
	if err != nil {
		return Plan{}, fmt.Errorf("planning: %w", err)
	}
	gather, act := make([]Wave, len(c.Systems)+1), make([]Wave, len(c.Systems)+1)
	for _, s := range c.Systems {
		ops, owed := q.gatherOps(s, p.Bundle)
		p.Owed = append(p.Owed, owed...)
		add(&gather[first[s.ID]], dsr.Gather, q, s, ops)
		if !erase {
			continue
		}
		ops, owed = q.actOps(s)
		p.Owed = append(p.Owed, owed...)
		add(&act[last[s.ID]], dsr.Act, q, s, ops)
		for _, category := range s.Categories {
			if d, ok := c.Undecided(category, q.Place); ok && !slices.ContainsFunc(p.Decisions, func(x Decision) bool { return x.ID == d.ID }) {
				p.Decisions = append(p.Decisions, d)
			}
		}
	}
	p.Waves = slices.DeleteFunc(append(gather, act...), func(w Wave) bool { return len(w.Visits) == 0 })
	return p, nil
}

// add appends the visit of s to the wave, unless it has nothing to do.
func add(w *Wave, phase dsr.Phase, q Question, s System, ops []dsr.Op) {
	if len(ops) == 0 {
		return
	}
	v := Visit{System: s.ID, Ops: ops, Categories: slices.Clone(s.Categories), Manual: s.Manual()}
	if !s.Manual() {
		for _, op := range ops {
			if !q.can(s, op) {
				v.ByPerson = append(v.ByPerson, op)
			}
		}
	}
	w.Phase = phase
	w.Visits = append(w.Visits, v)
}

// gatherOps is what is done in a system before anything is acted upon.
func (q Question) gatherOps(s System, copyAsked bool) ([]dsr.Op, []Owed) {
	switch {
	case !copyAsked && s.Manual():
		return nil, nil
	case !copyAsked:
		return []dsr.Op{dsr.Locate}, nil
	case q.never(s, dsr.Export):
		return []dsr.Op{dsr.Locate}, owe(s, dsr.Export, dsr.Outcome{Kind: dsr.Refused, Reason: ReasonNoExport})
	}
	return []dsr.Op{dsr.Locate, dsr.Export}, nil
}

// actOps is what an erasure does in a system. Suppression comes first, so that
// nothing is written again while the data go; it is a help and never a reason
// to wait for a person.
func (q Question) actOps(s System) ([]dsr.Op, []Owed) {
	if s.Manual() {
		return []dsr.Op{dsr.Erase}, nil
	}
	if q.never(s, dsr.Erase) {
		return nil, owe(s, dsr.Erase, dsr.Outcome{Kind: dsr.Kept, Rule: RuleNoErase})
	}
	var ops []dsr.Op
	if q.can(s, dsr.Suppress) && !q.never(s, dsr.Suppress) {
		ops = append(ops, dsr.Suppress)
	}
	ops = append(ops, dsr.Erase)
	if !q.never(s, dsr.ReadBack) {
		ops = append(ops, dsr.ReadBack)
	}
	return ops, nil
}

func (q Question) can(s System, op dsr.Op) bool   { return q.Can == nil || q.Can(s, op) }
func (q Question) never(s System, op dsr.Op) bool { return q.Never != nil && q.Never(s, op) }

// owe spreads one outcome over the categories of a system.
func owe(s System, op dsr.Op, o dsr.Outcome) []Owed {
	owed := make([]Owed, 0, len(s.Categories))
	for _, category := range s.Categories {
		o.Category = category
		owed = append(owed, Owed{System: s.ID, Op: op, Outcome: o})
	}
	return owed
}

// levels returns, per system, the gather wave and the act wave, counted from
// zero. Every other system depends on the systems of record.
func (c *Company) levels() (gather, act map[string]int, err error) {
	gather, act = map[string]int{}, map[string]int{}
	var visiting []string
	var depth func(s System) (int, error)
	depth = func(s System) (int, error) {
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
	for _, s := range c.Systems {
		if _, err := depth(s); err != nil {
			return nil, nil, err
		}
	}
	// From the deepest up: what depends on a system acts in a wave before it.
	deepest := slices.Clone(c.Systems)
	slices.SortStableFunc(deepest, func(a, b System) int { return gather[b.ID] - gather[a.ID] })
	for _, s := range deepest {
		for _, d := range c.before(s) {
			act[d.ID] = max(act[d.ID], act[s.ID]+1)
		}
	}
	return gather, act, nil
}

// before returns the systems that must gather before s and act after it.
func (c *Company) before(s System) []System {
	var out []System
	for _, d := range c.Systems {
		if slices.Contains(s.DependsOn, d.ID) || (d.SystemOfRecord && !s.SystemOfRecord) {
			out = append(out, d)
		}
	}
	return out
}
