package policy

import (
	"fmt"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// The decisions of a Resolution.
const (
	DecideRun    = "run"
	DecideRefer  = "refer"  // the company is only a processor: the customer answers
	DecideSplit  = "split"  // a part runs, a part is the customer's
	DecideRefuse = "refuse" // reason, cite, authority, remedy, appeal
	DecideAsk    = "ask"    // something must be answered first
)

// Resolution is what Writ will do about a request, and why. The same question
// gives the same bytes.
type Resolution struct {
	Decision  string     `json:"decision"`
	Laws      []string   `json:"laws"` // ids of the regimes that apply, the most protective first
	Proof     []Proof    `json:"proof"`
	Deadline  Deadline   `json:"-"`
	Plan      Plan       `json:"-"`
	Notices   []string   `json:"notices"` // kinds, in the order they are due
	Refusals  []Refusal  `json:"refusals"`
	Referrals []Referral `json:"referrals"`
	Questions []Query    `json:"questions"`
	Settled   []Settled  `json:"settled"` // how the rights asked together are carried out
}

// Refusal is one right that is not carried out. A notice of it needs every
// field (GDPR Art. 12(4)); Appeal where the law gives one.
type Refusal struct {
	Right     dsr.Right `json:"right"`
	Reason    string    `json:"reason"` // closed word
	Says      string    `json:"says"`
	Cite      string    `json:"cite"`
	Authority string    `json:"authority"`
	Remedy    string    `json:"remedy"`
	Appeal    string    `json:"appeal"`
}

// Referral is what goes to somebody else.
type Referral struct {
	Role       string      `json:"role"` // id of the [[role]] or [[route]]
	Rights     []dsr.Right `json:"rights"`
	Categories []string    `json:"categories"`
	To         string      `json:"to"`                 // plain words, before proof
	Customer   string      `json:"customer,omitempty"` // id in customers.toml; only after proof
	Says       string      `json:"says"`
	Source     Cite        `json:"source"`
}

// Query is what must be answered before the plan runs.
type Query struct {
	ID       string   `json:"id"`
	Question string   `json:"question"`
	Answer   string   `json:"answer"` // key of Question.Facts
	Choices  []string `json:"choices"`
	Default  string   `json:"default"`
}

// Resolve decides what Writ does about a request: what the laws that apply and
// the company's promises give to this person, what is somebody else's, what must
// be asked, and the plan of the rest. It is a pure function of the question and
// the pack. Where something is asked, the plan is that of the safe answers.
func (c *Company) Resolve(q Question) (Resolution, error) {
	rights, err := askedRights(q)
	if err != nil {
		return Resolution{}, fmt.Errorf("deciding: %w", err)
	}
	if received(q.Events).IsZero() {
		return Resolution{}, fmt.Errorf("deciding: no %s event says when the request came", dsr.Received)
	}
	if err := c.checkFacts(q); err != nil {
		return Resolution{}, fmt.Errorf("deciding: %w", err)
	}
	d := decision{Company: c, q: q, laws: c.Laws(q.Place), on: c.local(received(q.Events)), work: work{reach: map[dsr.Right]map[string]bool{}}}
	// Who asks only for what needs no proof has shown nothing.
	d.q.Proved = q.Proved && slices.ContainsFunc(rights, func(r dsr.Right) bool { return !r.Proofless() })
	for _, law := range d.laws {
		d.out.Laws = append(d.out.Laws, law.ID)
	}
	if d.out.Deadline, err = c.Due(rights, q.Events, q.Place); err != nil {
		return Resolution{}, fmt.Errorf("deciding: %w", err)
	}
	run := d.entitled(rights)
	run = d.route(run)
	run = d.lesser(run)
	before := run
	run, d.out.Settled, d.out.Questions = settle(run, q.Facts)
	d.unanswered(before, run)
	if len(d.unfit) > 0 {
		d.out.Questions = append(d.out.Questions, identityQuestion())
	}
	d.asks(run)
	d.work.rights = run
	d.out.Proof = d.proof(run)
	if len(run) > 0 || len(d.work.owed) > 0 {
		if d.out.Plan, err = c.order(q, d.work); err != nil {
			return Resolution{}, fmt.Errorf("deciding: %w", err)
		}
	}
	d.out.Decision = d.verdict(run)
	d.out.Notices = d.notices(run)
	return d.out.filled(), nil
}

// unanswered records what waits for the answer of an opposed pair: the safe right
// is carried out, and the person is told that the other was not.
func (d *decision) unanswered(asked, run []dsr.Right) {
	if len(d.out.Questions) == 0 {
		return
	}
	for _, s := range d.out.Settled {
		for _, r := range []dsr.Right{s.First, s.Second} {
			if s.How == Opposed && slices.Contains(asked, r) && !slices.Contains(run, r) && !d.owes(r) {
				d.refuse(r, ReasonOpposed, "You asked for two things that cannot both be done. We did the one that can be undone; tell us if you want the other.", "")
			}
		}
	}
}

// owes reports whether the outcome of a right follows from the decision already.
func (d *decision) owes(r dsr.Right) bool {
	return slices.ContainsFunc(d.work.owed, func(o Owed) bool { return o.System == dsr.Itself && o.Outcome.Category == string(r) })
}

// decision is a resolution being made.
type decision struct {
	*Company
	q     Question
	laws  []Regime
	on    time.Time   // the day of receipt, in the controller's zone
	unfit []dsr.Right // rights for which the proof fell short, without a lesser answer
	work  work
	out   Resolution
}

// verdict is the one word for the whole request.
func (d *decision) verdict(run []dsr.Right) string {
	switch {
	case len(run) > 0 && len(d.out.Questions) > 0:
		return DecideAsk
	case len(run) > 0 && len(d.out.Referrals) > 0:
		return DecideSplit
	case len(run) > 0:
		return DecideRun
	case len(d.out.Questions) > 0:
		return DecideAsk
	case len(d.out.Referrals) > 0:
		return DecideRefer
	}
	return DecideRefuse
}

// filled makes every list a list, so that none is written as null.
func (r Resolution) filled() Resolution {
	r.Laws, r.Proof, r.Notices = list(r.Laws), list(r.Proof), list(r.Notices)
	r.Refusals, r.Referrals, r.Questions, r.Settled = list(r.Refusals), list(r.Referrals), list(r.Questions), list(r.Settled)
	return r
}

func list[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// noticeOf is what tells the person of a right that was carried out.
var noticeOf = map[dsr.Means]string{
	dsr.ByCopy: NoticeAccess, dsr.ByStatement: NoticeStatement, dsr.ByChange: NoticeRectification, dsr.ByRemoval: NoticeErasure,
	dsr.ByMark: NoticeRestriction, dsr.ByStop: NoticeOptOut, dsr.ByPerson: NoticeAnswer,
}

// notices lists what is mailed, in the order of Notices, which is that of a
// request's life.
func (d *decision) notices(run []dsr.Right) []string {
	due := map[string]bool{NoticeAcknowledge: true}
	due[NoticeChallenge] = slices.Contains(d.out.Proof, Mailbox)
	due[NoticeEraseConfirm] = due[NoticeChallenge] && dsr.Wants(run, dsr.ByRemoval)
	due[NoticeIdentity] = slices.ContainsFunc(d.out.Questions, func(q Query) bool { return q.Answer == FactUnfit })
	due[NoticeClarification] = len(d.out.Questions) > 0 && !due[NoticeIdentity]
	for _, r := range run {
		switch {
		case r == dsr.Portability || r == dsr.DirectTransfer:
			due[NoticePortability] = true
		case r == dsr.ChildReport:
			due[NoticeChildReport] = true
		case r == dsr.Objection: // what ends while it is weighed
			due[NoticeOptOut] = true
		default:
			due[noticeOf[r.Means()]] = true
		}
		for _, rule := range d.rules(r) {
			due[NoticeLifting] = due[NoticeLifting] || r.Means() == dsr.ByMark && slices.Contains(rule.Notices, NoticeLifting)
		}
	}
	due[NoticeAddressChanged] = !d.work.wait.IsZero()
	due[NoticeAgent] = d.q.By == dsr.Agent || d.q.By == dsr.Attorney
	due[NoticeParent] = slices.Contains(d.out.Proof, ParentProof)
	due[NoticeRefusal] = len(d.out.Refusals) > 0
	due[NoticeReferral] = len(d.out.Referrals) > 0
	due[NoticeRecipient] = slices.ContainsFunc(d.out.Plan.Waves, Wave.tells)
	return slices.DeleteFunc(Notices(), func(n string) bool { return !due[n] })
}

// whole is every category of the pack, for a reach that is to be narrowed.
func (c *Company) whole() map[string]bool {
	all := make(map[string]bool, len(c.Categories))
	for _, k := range c.Categories {
		all[k.ID] = true
	}
	return all
}

// narrow takes categories out of what a right reaches.
func (d *decision) narrow(r dsr.Right, keep func(Category) bool) {
	reach, ok := d.work.reach[r]
	if !ok {
		reach = d.whole()
	}
	for _, k := range d.Categories {
		if reach[k.ID] && !keep(k) {
			delete(reach, k.ID)
		}
	}
	d.work.reach[r] = reach
}

// reached returns the ids that a right reaches, in the pack's order.
func (d *decision) reached(r dsr.Right) []string {
	var out []string
	reach, narrowed := d.work.reach[r]
	for _, k := range d.Categories {
		if !narrowed || reach[k.ID] {
			out = append(out, k.ID)
		}
	}
	return out
}
