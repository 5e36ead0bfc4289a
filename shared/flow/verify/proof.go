package verify

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// proof is what shows who asks, beyond the mailbox: what is needed, what came
// with the form and what is typed now. The values are personal.
type proof struct {
	needs   []policy.Proof // without the mailbox, which the link and the code prove
	points  int            // how many facts to compare are needed
	declare bool           // a declaration under penalty of perjury is needed
	given   dsr.Subject
	typed   map[string]string
	short   bool // the person has no more facts to give
}

// pointFields are the facts a person can type on the page, each named as the
// form names it. Which of them the company holds, a person sees.
var pointFields = []string{"point_order_number", "point_last_payment", "point_member_since", "point_phone", "point_postcode"}

// The longest texts that are taken, in characters.
const (
	maxPoint    = 300
	maxDeclared = 200
)

// proof asks law and pack what suffices for this request. What they cannot say
// is a person's to decide, never nobody's.
func (a *Answer) proof(d dossier.Dossier) proof {
	p := proof{given: d.Subject, typed: map[string]string{}}
	if len(d.Request.Rights) == 0 {
		return p // words alone: a person reads them and asks back
	}
	found, err := a.Company.Resolve(d.Question())
	if err != nil {
		a.Log.Warn("deciding on proof: a person does it", "request_id", string(d.Request.ID), "error", err.Error())
		p.needs = []policy.Proof{policy.DocumentProof}
		return p
	}
	for _, need := range found.Proof {
		switch need {
		case policy.Mailbox:
			continue
		case policy.MatchPoints2:
			p.points = max(p.points, 2)
		case policy.MatchPoints3:
			p.points = max(p.points, 3)
		case policy.Declaration:
			p.declare = true
		}
		p.needs = append(p.needs, need)
	}
	return p
}

// open is how many facts are still to be typed.
func (p proof) open() int { return max(0, p.points-len(p.given.Points)) }

// count is how many facts there are to compare.
func (p proof) count() int {
	n := len(p.given.Points)
	for _, field := range pointFields {
		if p.typed[field] != "" {
			n++
		}
	}
	return n
}

// person reports whether a person must decide: whatever is compared, or rests on
// words. Only a declaration stands by itself.
func (p proof) person() bool {
	return slices.ContainsFunc(p.needs, func(n policy.Proof) bool { return n != policy.Declaration })
}

// read takes what was typed on the page.
func (p *proof) read(f url.Values) {
	for _, field := range append(slices.Clone(pointFields), "declared") {
		if v := strings.TrimSpace(f.Get(field)); v != "" {
			p.typed[field] = v
		}
	}
	p.short = f.Get("no_more") == "yes"
}

// problems are what is missing on the page, or too long.
func (p proof) problems() []web.Problem {
	var out []web.Problem
	for _, field := range pointFields {
		if utf8.RuneCountInString(p.typed[field]) > maxPoint {
			out = append(out, web.Problem{Field: field, Text: fmt.Sprintf("Shorten this to %d characters.", maxPoint)})
		}
	}
	if lacking := p.points - p.count(); lacking > 0 && !p.short {
		out = append(out, web.Problem{Field: "points", Text: fmt.Sprintf("Give %d more, or tick that you have no more.", lacking)})
	}
	name := p.typed["declared"]
	switch {
	case p.declare && p.given.Declared == "" && name == "":
		out = append(out, web.Problem{Field: "declared", Text: "Type your full name to declare that it is you."})
	case utf8.RuneCountInString(name) > maxDeclared:
		out = append(out, web.Problem{Field: "declared", Text: fmt.Sprintf("Shorten the name to %d characters.", maxDeclared)})
	}
	return out
}

// keep seals what was typed with what came by the form.
func (a *Answer) keep(ctx context.Context, d dossier.Dossier, p proof) error {
	s := d.Subject
	for _, field := range pointFields {
		point := dsr.Point{Field: strings.TrimPrefix(field, "point_"), Value: p.typed[field]}
		if p.open() > 0 && point.Value != "" && !slices.Contains(s.Points, point) {
			s.Points = append(slices.Clone(s.Points), point)
		}
	}
	if name := p.typed["declared"]; p.declare && s.Declared == "" {
		s.Declared = name
	}
	if len(s.Points) == len(d.Subject.Points) && s.Declared == d.Subject.Declared {
		return nil
	}
	sealed, err := a.Ledger.Subject(ctx, d.Request.ID)
	if err != nil {
		return fmt.Errorf("reading the person of request %s: %w", d.Request.ID, err)
	}
	if sealed, err = d.Reseal(sealed.WrappedKey, s); err != nil {
		return err
	}
	return a.Ledger.ReplaceSubject(ctx, sealed)
}

// refer gives the request to the privacy officer, who compares and decides at the
// desk: until then it is not verified, and nothing is looked up. The sweep tells
// the officer.
func (a *Answer) refer(ctx context.Context, d dossier.Dossier, p proof) (dossier.Dossier, error) {
	now := a.Now()
	r, err := a.move(ctx, d.Request.ID, func(r *ledger.Request) {
		r.Status, r.Owner, r.Reason = dsr.NeedsAttention, ledger.OfficerRole, ledger.ReasonProof
	})
	if err != nil {
		return dossier.Dossier{}, fmt.Errorf("giving request %s to a person: %w", d.Request.ID, err)
	}
	d.Request = r
	needs := make([]string, len(p.needs))
	for i, n := range p.needs {
		needs[i] = string(n)
	}
	return d, a.Ledger.Append(ctx, dsr.Event{RequestID: r.ID, Chain: dsr.RequestChain, Kind: dsr.EventMailboxProved, At: now, Run: r.Run,
		Detail: map[string]any{"needs": needs, "points": p.count(), "no_more": p.short}})
}
