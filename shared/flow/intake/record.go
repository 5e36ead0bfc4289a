package intake

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
)

// part is one request that a form makes.
type part struct {
	rights []dsr.Right
	words  bool
	free   bool // nobody may ask for proof: it runs at once
}

// optOuts are the rights that an opt-out preference signal belongs to.
var optOuts = []dsr.Right{dsr.OptOutOfSale, dsr.OptOutTargetedAds, dsr.OptOutProfiling, dsr.LimitSensitive}

// signalled reports whether the browser's opt-out signal is a request of its
// own: somebody who asks for themselves asks to stop such a use, or lives where
// the law gives the right (11 CCR 7025; GDPR Art. 21(5)).
func (s *Stage) signalled(w wish, now time.Time) bool {
	if w.by != "" {
		return false
	}
	if slices.ContainsFunc(w.rights, func(r dsr.Right) bool { return slices.Contains(optOuts, r) }) {
		return true
	}
	if w.place.Country() == "US" {
		return true // whatever the state
	}
	if w.place == "" {
		return false
	}
	for _, law := range s.Company.Laws(w.place) {
		if _, ok := law.Rule(dsr.OptOutOfSale, now); ok {
			return true
		}
	}
	return false
}

// parts splits what was asked: what only stops something and can be undone waits
// for no proof, so it must not wait for that of the rest.
func parts(w wish) []part {
	words := w.other || w.message != "" || dsr.Wants(w.rights, dsr.ByPerson)
	var free, rest []dsr.Right
	for _, r := range w.rights {
		if w.by == "" && r.Proofless() {
			free = append(free, r)
		} else {
			rest = append(rest, r)
		}
	}
	switch {
	case len(free) == 0:
		return []part{{rights: rest, words: words}}
	case len(rest) == 0 && !w.other:
		return []part{{rights: free, words: words, free: true}}
	}
	return []part{{rights: free, free: true}, {rights: rest, words: words}}
}

// receipt is what the answer page tells.
type receipt struct {
	code string    // to be typed; "" where nothing is to be confirmed
	due  time.Time // of what is confirmed by the code
	free []dsr.Right
	end  time.Time // until when the free part is done
	lost bool      // a person deals with it: the address is lost
}

// record writes what was asked and starts the machines. A machine that does not
// start is no failure for the person: the request is in the ledger, and the
// sweep starts what has no execution.
func (s *Stage) record(ctx context.Context, w wish, source string, signal bool) (receipt, error) {
	now := s.Now().UTC()
	after, err := s.mailAfter(ctx, w.mailbox(), source, now)
	if err != nil {
		return receipt{}, err
	}
	var out receipt
	first := dsr.RequestID("")
	for _, p := range parts(w) {
		r, err := s.request(p, w, now, after)
		if err != nil {
			return receipt{}, err
		}
		code := ""
		if r.Status == dsr.Verifying {
			code = ledger.NewCode()
			if r.CodeHash, err = s.Hasher.Hash(ctx, "code", string(r.ID)+code); err != nil {
				return receipt{}, fmt.Errorf("hashing the code: %w", err)
			}
		}
		sealed, err := dossier.Seal(ctx, s.Keys, r.ID, w.subject(p))
		if err != nil {
			return receipt{}, err
		}
		detail := map[string]any{"channel": r.Channel, "rights": len(r.Rights), "queued": !after.IsZero()}
		if p.free {
			detail["proof"], detail["signal"] = "none_needed", signal
		}
		if first != "" {
			detail["with"] = string(first)
		}
		first = r.ID
		if err := s.Ledger.CreateRequest(ctx, r, sealed, dsr.Event{RequestID: r.ID, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: now, Run: 1, Detail: detail}); err != nil {
			return receipt{}, fmt.Errorf("recording request %s: %w", r.ID, err)
		}
		switch {
		case p.free:
			out.free, out.end = p.rights, r.DueAt
		case r.Status == dsr.NeedsAttention:
			out.lost, out.due = true, r.DueAt
		default:
			out.code, out.due = code, r.DueAt
		}
		s.start(ctx, r)
	}
	return out, nil
}

// start starts the machine of a request that one has work for. What is over a
// cap and asks for no proof waits for the sweep, for its mails would be at once.
func (s *Stage) start(ctx context.Context, r ledger.Request) {
	if r.Status == dsr.NeedsAttention || r.Status == dsr.Running && !r.MailAfter.IsZero() {
		return
	}
	if err := s.Machine.StartRun(ctx, r.ID, r.Run, !r.VerifiedAt.IsZero()); err != nil {
		s.Log.Warn("starting the machine: the sweep will do it", "request_id", string(r.ID), "error", err.Error())
	}
}

// request makes the record of one part: nothing in it names the person.
func (s *Stage) request(p part, w wish, now, after time.Time) (ledger.Request, error) {
	clock := []dsr.ClockEvent{{Kind: dsr.Received, At: now}}
	deadline, err := s.Company.Due(p.rights, clock, w.place)
	if err != nil {
		return ledger.Request{}, err
	}
	r := ledger.Request{
		ID: ledger.NewRequestID(), Company: s.Company.ID, Channel: ledger.ChannelForm, Status: dsr.Verifying, Rights: p.rights, Words: p.words,
		Country: w.country, State: w.state, Plan: w.plan, By: w.by, Language: "en", Clock: clock, DueAt: deadline.DueAt, Run: 1, MailAfter: after,
	}
	if len(w.facts) > 0 {
		r.Facts = w.facts
	}
	switch {
	case p.free:
		// Verified says who: the address that asked is the one whose record is
		// marked. Ledger.Request.Allows lets such a request erase nothing.
		r.Status, r.VerifiedAt = dsr.Running, now
		return r, nil
	case w.by == dsr.Unmailable:
		r.Status, r.Owner, r.Reason = dsr.NeedsAttention, ledger.OfficerRole, ledger.ReasonAddressLost
	default:
		r.ProofDue = now.Add(ProofPeriod)
	}
	r.From, r.To, r.Parent = w.from, w.to, w.reference
	return r, nil
}

// mailbox is the address that the first mail goes to.
func (w wish) mailbox() string {
	switch {
	case w.by == dsr.Agent:
		return w.whom // who was permitted must show the permission: the person confirms it (11 CCR 7063)
	case w.reach != "":
		return w.reach
	}
	return w.email
}

// subject is the person of a part, with what the part needs to know of them.
func (w wish) subject(p part) dsr.Subject {
	s := dsr.Subject{Name: w.name, Language: "en", Identities: []dsr.Identity{{Kind: dsr.Email, Value: w.email, Origin: dsr.SelfAsserted}}}
	if p.words {
		s.Message = w.message
	}
	if p.free {
		return s
	}
	s.Changes, s.Points, s.For, s.Declared, s.Permission, s.Reach = w.changes, w.points, w.whom, w.declared, w.permission, w.reach
	if w.whom == "" {
		return s
	}
	// The data are those of the person asked for. An agent's answer goes to that
	// person; who stands in for somebody who cannot answer gets it instead.
	asker := s.Identities[0]
	s.Identities = []dsr.Identity{{Kind: dsr.Email, Value: w.whom, Origin: dsr.SelfAsserted}, asker}
	if w.by != dsr.Agent {
		s.Reach = w.email
	}
	return s
}

// mailAfter counts the form against the caps. It never refuses one.
func (s *Stage) mailAfter(ctx context.Context, address, source string, now time.Time) (time.Time, error) {
	mailbox, err := s.Hasher.Hash(ctx, "mailbox", strings.ToLower(address))
	if err != nil {
		return time.Time{}, fmt.Errorf("hashing the address: %w", err)
	}
	caller, err := s.Hasher.Hash(ctx, "source", source)
	if err != nil {
		return time.Time{}, fmt.Errorf("hashing the caller: %w", err)
	}
	byCaller, err := s.Ledger.Hit(ctx, "source#"+caller, 24*time.Hour, formsPerSourceAndDay, now)
	if err != nil {
		return time.Time{}, fmt.Errorf("counting the caller's forms: %w", err)
	}
	byAddress, err := s.Ledger.Hit(ctx, "mailbox#"+mailbox, time.Hour, mailsPerAddressAndHour, now)
	if err != nil {
		return time.Time{}, fmt.Errorf("counting the address's mails: %w", err)
	}
	switch {
	case !byCaller:
		return now.Add(24 * time.Hour), nil
	case !byAddress:
		return now.Add(time.Hour), nil
	}
	return time.Time{}, nil
}
