package plan

import (
	"context"
	"fmt"
	"slices"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/policy"
)

// visits returns the request's visits, planning them the first time. The wave
// numbers are kept with them, so that a later run keeps the order even if the
// pack has changed.
func (s *Stage) visits(ctx context.Context, r ledger.Request) ([]dsr.Visit, error) {
	if r.Planned {
		return s.Ledger.Visits(ctx, r.ID)
	}
	planned, err := s.plan(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("planning request %s: %w", r.ID, err)
	}
	if err := s.Ledger.PlanVisits(ctx, planned.visits); err != nil {
		return nil, fmt.Errorf("writing the plan of request %s: %w", r.ID, err)
	}
	if err := s.Ledger.Append(ctx, dsr.Event{RequestID: r.ID, Chain: dsr.RequestChain, Kind: dsr.EventPlanned, At: s.Now(), Run: r.Run,
		Detail: map[string]any{"visits": len(planned.visits), "policy": s.Company.Updated, "decision": planned.decision}}); err != nil {
		return nil, err
	}
	if _, err := ledger.Change(ctx, s.Ledger, r.ID, func(r *ledger.Request) error { r.Planned = true; return nil }); err != nil {
		return nil, fmt.Errorf("recording the plan of request %s: %w", r.ID, err)
	}
	return planned.visits, nil
}

// planned is what a plan comes to.
type planned struct {
	decision string // of policy.Resolve; "" where nothing was asked by right
	visits   []dsr.Visit
}

// plan decides about the request. What is asked of the person is asked before
// the run: a question that nobody has answered gets its safe answer here.
func (s *Stage) plan(ctx context.Context, r ledger.Request) (planned, error) {
	out := planned{}
	if len(r.Rights) > 0 {
		d, err := dossier.Open(ctx, s.Ledger, s.Keys, r.ID)
		if err != nil {
			return planned{}, err
		}
		q := d.Question()
		q.Can, q.Never = s.can, s.never
		p, decision, err := s.decide(q, r)
		if err != nil {
			return planned{}, err
		}
		if err := s.suppress(ctx, d, p); err != nil {
			return planned{}, err
		}
		out.decision, out.visits = decision, s.all(r, p)
	}
	if r.Words {
		out.visits = words(out.visits, r)
	}
	return out, nil
}

// decide asks the pack. Work that a ground, a hold or a period of retention had
// put off was decided when the person asked: it is only planned.
func (s *Stage) decide(q policy.Question, r ledger.Request) (policy.Plan, string, error) {
	if len(r.Scope) > 0 {
		q.Only = map[string][]string{}
		for _, portion := range r.Scope {
			q.Only[portion.System] = append(q.Only[portion.System], portion.Categories...)
		}
		p, err := s.Company.Plan(q)
		return p, policy.DecideRun, err
	}
	res, err := s.Company.Resolve(q)
	return res.Plan, res.Decision, err
}

// suppress remembers what the person stopped, so that it lasts when their data
// are gone or come in again.
func (s *Stage) suppress(ctx context.Context, d dossier.Dossier, p policy.Plan) error {
	var purposes []dsr.Purpose
	for _, right := range p.Rights {
		if right.Means() == dsr.ByStop {
			purposes = append(purposes, right.Stops())
		}
	}
	if len(purposes) == 0 {
		return nil
	}
	hash, err := s.Hasher.Hash(ctx, "identity", d.Subject.Email())
	if err != nil {
		return fmt.Errorf("hashing the identity: %w", err)
	}
	for _, purpose := range purposes {
		if err := s.Ledger.Suppress(ctx, hash, purpose, s.Now()); err != nil {
			return fmt.Errorf("remembering that %s is stopped: %w", purpose, err)
		}
	}
	return nil
}

// all turns a plan into visits of the ledger.
func (s *Stage) all(r ledger.Request, p policy.Plan) []dsr.Visit {
	var visits []dsr.Visit
	for n, w := range p.Waves {
		for _, v := range w.Visits {
			visits = append(visits, dsr.Visit{
				RequestID: r.ID, System: v.System, Phase: w.Phase, Wave: n, Ops: v.Ops, Categories: v.Categories, Manual: v.Manual,
				Rights: v.Rights, Purposes: v.Purposes, Recipient: v.Recipient, NotBefore: v.NotBefore, Only: v.Only, Status: dsr.VisitPlanned,
			})
		}
	}
	for _, o := range p.Owed {
		visits = s.owe(visits, r, o, len(p.Waves))
	}
	return visits
}

// owe adds an outcome that follows from law and pack alone, as a visit that is
// settled from the start, so that the person is told of it like of any other.
// Where the system has a visit of its own in that phase, which reports for
// itself, the outcome stands in the other phase, else among Writ's own.
func (s *Stage) owe(visits []dsr.Visit, r ledger.Request, o policy.Owed, wave int) []dsr.Visit {
	phase, other := dsr.Act, dsr.Gather
	if o.Op == dsr.Export || o.Op == dsr.Locate {
		phase, other = dsr.Gather, dsr.Act
	}
	outcome := o.Outcome
	if !r.Ended(o.System) { // what stays although its ground has ended is kept on none
		outcome = s.Company.Decide(outcome, r.Place(), s.Now())
	}
	places := []dsr.Visit{{System: o.System, Phase: phase}, {System: o.System, Phase: other}, {System: dsr.Itself, Phase: phase}}
	if !slices.ContainsFunc(visits, func(v dsr.Visit) bool { return v.Phase == other }) {
		places = slices.Delete(places, 1, 2) // a copy alone is answered by its mail: nothing acts
	}
	for _, at := range places {
		i := slices.IndexFunc(visits, func(v dsr.Visit) bool { return v.Task() == at.Task() })
		switch {
		case i < 0:
			return append(visits, dsr.Visit{
				RequestID: r.ID, System: at.System, Phase: at.Phase, Wave: wave, Categories: []string{outcome.Category},
				Status: dsr.VisitSettled, Outcomes: []dsr.Outcome{outcome}, SettledAt: s.Now(),
			})
		case visits[i].Settled():
			visits[i].Categories = append(visits[i].Categories, outcome.Category)
			visits[i].Outcomes = append(visits[i].Outcomes, outcome)
			return visits
		}
	}
	return visits
}

// words adds the task of the person who reads what was written in own words.
func words(visits []dsr.Visit, r ledger.Request) []dsr.Visit {
	if slices.ContainsFunc(visits, func(v dsr.Visit) bool { return v.System == dsr.Officer }) {
		return visits
	}
	return append(visits, dsr.Visit{RequestID: r.ID, System: dsr.Officer, Phase: dsr.Gather, Wave: 0, Categories: []string{dsr.Words}, Manual: true, Status: dsr.VisitPlanned})
}

func (s *Stage) can(sys policy.System, op dsr.Op) bool {
	d, ok := s.Descriptors[sys.Connector]
	return ok && d.Can(op)
}

func (s *Stage) never(sys policy.System, op dsr.Op) bool {
	d, ok := s.Descriptors[sys.Connector]
	return ok && !d.Can(op) && d.Instruction(op) == ""
}
