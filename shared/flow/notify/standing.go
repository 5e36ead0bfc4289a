package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/notice"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// waiting reports whether the page may say only that a request waits: who holds
// the link has not proved the mailbox, or never did.
func waiting(r ledger.Request) bool {
	switch r.Status {
	case dsr.Running, dsr.Answered, dsr.NeedsAttention, dsr.Completed:
		return false // the link came by a page or a mail after the mailbox was proved
	}
	return r.VerifiedAt.IsZero()
}

// Standing is where a request stands under its law.
type Standing struct {
	Asked    string   // what was asked, in plain words
	Law      string   // the law that is applied first
	Rule     string   // which rule sets the date, one sentence
	Extended string   // why and when the date was moved; "" where it was not
	Open     []string // questions to the person that wait for an answer
	Decided  []string // what a person of the company has decided
}

// standing reads from the clock and the record what the person may know of them.
func (s *Status) standing(r ledger.Request) Standing {
	out := Standing{Asked: notice.Asked(r.Language, r.Rights, r.Words), Law: s.Company.Regime(r.Place()).Name}
	deadline, err := s.Company.Due(r.Rights, r.Clock, r.Place())
	if err == nil {
		out.Rule = deadline.Says
	}
	identity, scope := time.Time{}, time.Time{}
	for _, e := range r.Clock {
		switch e.Kind {
		case dsr.IdentityAsked:
			identity = e.At
		case dsr.IdentityGiven:
			identity = time.Time{}
		case dsr.ClarificationAsked:
			scope = e.At
		case dsr.ClarificationGiven:
			scope = time.Time{}
		case dsr.Extended:
			out.Extended = "We took more time on " + s.day(e.At) + " and told you why by mail."
		}
	}
	still := ""
	if err == nil && !deadline.StandsSinceAt.IsZero() {
		still = " The time for our answer stands still until you reply."
	}
	if !identity.IsZero() {
		out.Open = append(out.Open, "On "+s.day(identity)+" we asked you by mail to show that it is you."+still)
	}
	if !scope.IsZero() {
		out.Open = append(out.Open, "On "+s.day(scope)+" we asked you by mail what exactly you want."+still)
	}
	switch {
	case r.AwaitsProof() && identity.IsZero():
		out.Decided = append(out.Decided, "A person of our team still looks at what you gave us to show who you are.")
	case r.Facts[policy.FactUnfit] == "yes":
		out.Decided = append(out.Decided, "What you gave us does not show that the data are yours, so you get a smaller answer.")
	}
	return out
}

// canUndo reports whether what was done without a proof can be taken back by the
// owner of the mailbox, who may not be the one who asked.
func canUndo(r ledger.Request) bool {
	return r.Proofless() && (r.Status == dsr.Running || r.Status == dsr.Answered || r.Status == dsr.Completed)
}

// undo gives a request that nobody had to prove to a person, who allows again
// what it stopped: only stops need no proof, so all of it can be undone.
func (s *Status) undo(ctx context.Context, r web.Request, secret string, request ledger.Request) (web.Response, error) {
	if typed := strings.ToLower(strings.Join(strings.Fields(r.Form.Get("word")), " ")); typed != "not me" {
		return s.show(ctx, http.StatusBadRequest, secret, request, "", []web.Problem{{Field: "word", Text: "Type the words: not me"}})
	}
	errLate := errors.New("too late")
	changed, err := ledger.Change(ctx, s.Ledger, request.ID, func(r *ledger.Request) error {
		if !canUndo(*r) {
			return errLate
		}
		r.Status, r.Owner, r.Reason, r.ClosedAt = dsr.NeedsAttention, ledger.OfficerRole, ledger.ReasonUndo, time.Time{}
		r.Run++ // what runs writes nothing more
		return nil
	})
	if errors.Is(err, errLate) {
		return s.show(ctx, http.StatusConflict, secret, request, "There is nothing to undo in this request.", nil)
	}
	if err != nil {
		return web.Response{}, fmt.Errorf("undoing request %s: %w", request.ID, err)
	}
	if err := s.Ledger.Append(ctx, dsr.Event{RequestID: request.ID, Chain: dsr.RequestChain, Kind: dsr.EventUndoAsked, At: s.Now(), Run: changed.Run}); err != nil {
		return web.Response{}, err
	}
	if err := s.Machine.StopRun(ctx, request.ID, request.Run); err != nil {
		s.Log.Warn("stopping the machine: it finds a newer run", "request_id", string(request.ID), "error", err.Error())
	}
	return s.show(ctx, http.StatusOK, secret, changed, "Thank you: a person of our team allows again what was stopped, and writes to you.", nil)
}
