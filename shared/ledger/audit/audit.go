// Package audit checks the evidence of a request: that no link of its chains
// was edited, removed, put in or moved, and that no tail was cut off after the
// closing heads were sealed. It reads only, and needs no key that could forge.
package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

// Ledger is what is read.
type Ledger interface {
	Request(ctx context.Context, id dsr.RequestID) (ledger.Request, error)
	Visits(ctx context.Context, id dsr.RequestID) ([]dsr.Visit, error)
	Events(ctx context.Context, id dsr.RequestID, chain string) ([]dsr.Event, error)
}

// CheckMAC reports whether mac was made over message for ledger.HeadPurpose. An error
// means that it could not be checked.
type CheckMAC func(ctx context.Context, message, mac string) (bool, error)

// Auditor checks requests.
type Auditor struct {
	ledger Ledger
	check  CheckMAC
}

// New returns an auditor of the ledger.
func New(l Ledger, check CheckMAC) *Auditor { return &Auditor{ledger: l, check: check} }

// Report is what was found about one request. It holds no personal value.
type Report struct {
	RequestID dsr.RequestID `json:"request_id"`
	Sealed    bool          `json:"sealed"` // closed, its heads MACed: a cut tail shows
	Chains    []Chain       `json:"chains"`
	Problems  []string      `json:"problems,omitempty"` // of the request as a whole
}

// Chain is what was found about one chain.
type Chain struct {
	Name     string   `json:"name"`
	Links    int      `json:"links"`
	Problems []string `json:"problems,omitempty"`
}

// Intact reports whether nothing was found.
func (r Report) Intact() bool {
	return len(r.Problems) == 0 && !slices.ContainsFunc(r.Chains, func(c Chain) bool { return len(c.Problems) > 0 })
}

// Links is how many links all chains have.
func (r Report) Links() int {
	n := 0
	for _, c := range r.Chains {
		n += c.Links
	}
	return n
}

// Verify checks one request. Found names chains that a search of the events
// met, in case nothing else knows of them any more.
func (a *Auditor) Verify(ctx context.Context, id dsr.RequestID, found ...string) (Report, error) {
	report := Report{RequestID: id}
	if id == ledger.HoldsRequest {
		return a.holds(ctx, found)
	}
	r, err := a.ledger.Request(ctx, id)
	if errors.Is(err, ledger.ErrNotFound) && len(found) > 0 {
		report.Problems = append(report.Problems, "the request's record is gone, its events are there")
		r = ledger.Request{ID: id}
	} else if err != nil {
		return Report{}, fmt.Errorf("auditing request %s: %w", id, err)
	}
	visits, err := a.ledger.Visits(ctx, id)
	if err != nil {
		return Report{}, fmt.Errorf("auditing request %s: %w", id, err)
	}
	report.Sealed = !r.KeyDestroyedAt.IsZero() || len(r.HeadMACs) > 0
	for _, name := range chains(r, visits, found) {
		events, err := a.ledger.Events(ctx, id, name)
		if err != nil {
			return Report{}, fmt.Errorf("auditing request %s: %w", id, err)
		}
		c := Chain{Name: name, Links: len(events), Problems: inspect(id, name, events, visits)}
		if report.Sealed && len(c.Problems) == 0 {
			problem, err := a.sealed(ctx, r, name, events)
			if err != nil {
				return Report{}, fmt.Errorf("auditing request %s: checking the closing head of chain %s: %w", id, name, err)
			}
			if problem != "" {
				c.Problems = append(c.Problems, problem)
			}
		}
		if name == dsr.RequestChain && !report.Sealed && slices.ContainsFunc(events, func(e dsr.Event) bool { return e.Kind == dsr.EventKeyDestroyed }) {
			c.Problems = append(c.Problems, "the key was destroyed, but no closing head is sealed")
		}
		report.Chains = append(report.Chains, c)
	}
	return report, nil
}

// holds checks the chains of matters. They belong to no request and are never
// closed: the next hold of the matter is their next link.
func (a *Auditor) holds(ctx context.Context, matters []string) (Report, error) {
	report := Report{RequestID: ledger.HoldsRequest}
	for _, name := range matters {
		events, err := a.ledger.Events(ctx, ledger.HoldsRequest, name)
		if err != nil {
			return Report{}, fmt.Errorf("auditing the holds of matter %s: %w", name, err)
		}
		report.Chains = append(report.Chains, Chain{Name: name, Links: len(events), Problems: links(ledger.HoldsRequest, name, events)})
	}
	return report, nil
}

// chains names the chains a request must or may have, the request's own first.
func chains(r ledger.Request, visits []dsr.Visit, found []string) []string {
	var names []string
	for _, v := range visits {
		names = append(names, v.System)
	}
	for name := range r.HeadMACs {
		names = append(names, name)
	}
	names = append(names, found...)
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == dsr.RequestChain })
	return append([]string{dsr.RequestChain}, names...)
}

// inspect checks what the links of a chain show by themselves.
func inspect(id dsr.RequestID, name string, events []dsr.Event, visits []dsr.Visit) []string {
	if broken := links(id, name, events); broken != nil {
		return broken
	}
	if name == dsr.RequestChain {
		if len(events) == 0 || events[0].Kind != dsr.EventReceived {
			return []string{"it does not begin with the receipt of the request"}
		}
		return nil
	}
	worked := func(v dsr.Visit) bool { return v.System == name && v.Fence > 0 && v.Settled() }
	if len(events) == 0 && slices.ContainsFunc(visits, worked) {
		return []string{"it has no link, although a visit of the system is settled"}
	}
	return nil
}

// links checks that the links of a chain are its own and hold.
func links(id dsr.RequestID, name string, events []dsr.Event) []string {
	for i, e := range events {
		if e.RequestID != id || e.Chain != name {
			return []string{fmt.Sprintf("link %d belongs to another chain", i+1)}
		}
	}
	if _, err := dsr.VerifyChain(events); err != nil {
		return []string{err.Error()}
	}
	return nil
}

// sealed checks the end of an unbroken chain against its closing head.
func (a *Auditor) sealed(ctx context.Context, r ledger.Request, name string, events []dsr.Event) (problem string, err error) {
	mac, sealed := r.HeadMACs[name]
	switch {
	case !sealed && len(events) == 0:
		return "", nil
	case !sealed:
		return "the request is closed, but this chain's closing head is not sealed", nil
	case len(events) == 0:
		return "its closing head is sealed, but no link is there", nil
	}
	// The sealed head is the last link. Where it is an earlier one, links were
	// added later; where it is none, the tail was cut off or written anew.
	for i, e := range slices.Backward(events) {
		matches, err := a.check(ctx, ledger.HeadMessage(r.ID, name, e.Hash), mac)
		if err != nil {
			return "", err
		}
		if matches && i == len(events)-1 {
			return "", nil
		}
		if matches {
			return fmt.Sprintf("%d links were added after it was closed", len(events)-1-i), nil
		}
	}
	return "it does not end in the link that was sealed: it was cut off or written anew", nil
}
