package desk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// The closed reasons of a decision on proof: an event holds no free words.
var (
	sufficient   = []string{"facts_match", "permission_confirmed", "parent_confirmed", "school_confirmed", "account_login", "document_seen", "known_otherwise"}
	insufficient = []string{"facts_differ", "too_few_facts", "no_permission", "not_a_parent", "no_answer", "suspected_fraud"}
)

// errDecided says that no decision on proof is open any more.
var errDecided = errors.New("no decision on proof is open")

// open reads a request and its person for an act on it; the response says what is
// wrong with the act.
func (s *Stage) open(ctx context.Context, a act) (dossier.Dossier, *web.Response, error) {
	wrong := func(status int, text string) (dossier.Dossier, *web.Response, error) {
		r, err := answer(status, problem(text))
		return dossier.Dossier{}, &r, err
	}
	if _, err := dsr.ParseRequestID(string(a.RequestID)); err != nil {
		return wrong(http.StatusBadRequest, "request_id is not a request's id")
	}
	switch _, err := s.Ledger.Request(ctx, a.RequestID); {
	case errors.Is(err, ledger.ErrNotFound):
		return wrong(http.StatusNotFound, "there is no such request")
	case err != nil:
		return dossier.Dossier{}, nil, fmt.Errorf("reading the request: %w", err)
	}
	d, err := dossier.Open(ctx, s.Ledger, s.Keys, a.RequestID)
	if errors.Is(err, ledger.ErrNotFound) {
		return wrong(http.StatusConflict, "the key of this request is destroyed, so nothing of its person can be read")
	}
	return d, nil, err
}

// Proof is what somebody gave to show who they are. It is personal data: it is
// shown to who decides, and to nobody after the decision.
type Proof struct {
	RequestID  dsr.RequestID `json:"request_id"`
	Reason     string        `json:"reason"`
	By         dsr.Requester `json:"by"`
	Needs      []string      `json:"needs"` // what law and pack ask for
	Name       string        `json:"name"`
	Address    string        `json:"address"`      // whose data are asked for
	AnswerTo   string        `json:"answer_to"`    // where the answer goes
	Declared   string        `json:"declared"`     // the name typed under the declaration
	Permission string        `json:"permission"`   // in the words of who asks
	Points     []dsr.Point   `json:"match_points"` // to be compared with what is held
}

// showProof serves proof/show. That it was read, and by whom, is an event.
func (s *Stage) showProof(ctx context.Context, actor string, a act) (web.Response, error) {
	d, refused, err := s.open(ctx, a)
	if err != nil || refused != nil {
		return deref(refused), err
	}
	if !d.Request.AwaitsProof() {
		return answer(http.StatusConflict, problem("no decision on proof is open for this request"))
	}
	shown := Proof{
		RequestID: d.Request.ID, Reason: d.Request.Reason, By: d.Request.By, Needs: []string{}, Name: d.Subject.Name, Address: d.Subject.Email(), AnswerTo: d.Subject.MailTo(),
		Declared: d.Subject.Declared, Permission: d.Subject.Permission, Points: append([]dsr.Point{}, d.Subject.Points...),
	}
	if shown.By == "" {
		shown.By = dsr.Self
	}
	if found, err := s.Company.Resolve(d.Question()); err == nil {
		for _, p := range found.Proof {
			shown.Needs = append(shown.Needs, string(p))
		}
	}
	if err := s.note(ctx, d.Request, dsr.EventProofShown, map[string]any{"actor": actor}); err != nil {
		return web.Response{}, err
	}
	return answer(http.StatusOK, shown)
}

// decide serves proof/decide: a person says whether what was given suffices. It
// does, and the request runs; it does not, and the next lesser answer is given,
// or the person is told what would suffice (11 CCR 7024, 7060).
func (s *Stage) decide(ctx context.Context, actor string, a act) (web.Response, error) {
	switch {
	case a.Sufficient == nil:
		return answer(http.StatusBadRequest, problem("say sufficient: true or false"))
	case *a.Sufficient && !slices.Contains(sufficient, a.Reason):
		return answer(http.StatusBadRequest, problem("reason must be one of "+strings.Join(sufficient, ", ")))
	case !*a.Sufficient && !slices.Contains(insufficient, a.Reason):
		return answer(http.StatusBadRequest, problem("reason must be one of "+strings.Join(insufficient, ", ")))
	}
	d, refused, err := s.open(ctx, a)
	if err != nil || refused != nil {
		return deref(refused), err
	}
	wait := d.Request.SealedWait
	r, err := ledger.Change(ctx, s.Ledger, d.Request.ID, func(r *ledger.Request) error {
		if !r.AwaitsProof() {
			return errDecided
		}
		s.rule(r, d, *a.Sufficient)
		if questions["identity"].waits(r.Clock) { // the decision answers the question
			event := dsr.ClockEvent{Kind: dsr.IdentityGiven, At: s.Now(), By: actor}
			_, after, err := s.reckon(*r, event)
			if err != nil {
				return err
			}
			r.Clock, r.DueAt = append(slices.Clone(r.Clock), event), after.DueAt
		}
		r.Owner, r.SealedWait = "", nil
		r.Run++ // whatever still waits for the old run writes nothing more
		return nil
	})
	switch {
	case errors.Is(err, errDecided):
		if d.Request.VerifiedAt.IsZero() && d.Request.Status.Open() {
			return answer(http.StatusConflict, problem("no decision on proof is open for this request"))
		}
		if err := s.forget(ctx, d); err != nil { // an act that was cut off is finished
			return web.Response{}, err
		}
		return answer(http.StatusConflict, problem("this is decided already"))
	case err != nil:
		return web.Response{}, fmt.Errorf("deciding on the proof of request %s: %w", d.Request.ID, err)
	}
	detail := map[string]any{"actor": actor, "sufficient": *a.Sufficient, "reason": a.Reason, "points": len(d.Subject.Points), "declared": d.Subject.Declared != ""}
	if err := s.note(ctx, r, dsr.EventProofDecided, detail); err != nil {
		return web.Response{}, err
	}
	kind := dsr.EventVerified
	if r.VerifiedAt.IsZero() {
		kind = dsr.EventUnverified
	}
	if err := s.note(ctx, r, kind, map[string]any{"proof": "person_decided", "lesser": r.Facts[policy.FactUnfit] == "yes"}); err != nil {
		return web.Response{}, err
	}
	if err := s.forget(ctx, d); err != nil {
		return web.Response{}, err
	}
	s.goOn(ctx, d, r, wait)
	return answer(http.StatusOK, map[string]any{"request_id": r.ID, "status": r.Status, "lesser_answer": r.Facts[policy.FactUnfit] == "yes"})
}

// rule writes what follows from the decision.
func (s *Stage) rule(r *ledger.Request, d dossier.Dossier, fits bool) {
	now := s.Now()
	if fits {
		r.Status, r.VerifiedAt, r.Reason = dsr.Running, now, ""
		return
	}
	q := d.Question()
	q.Facts = maps.Clone(q.Facts)
	if q.Facts == nil {
		q.Facts = map[string]string{}
	}
	q.Facts[policy.FactUnfit] = "yes"
	found, err := s.Company.Resolve(q)
	if err == nil && (found.Decision == policy.DecideRun || found.Decision == policy.DecideSplit) {
		r.Status, r.Facts, r.Reason = dsr.Running, q.Facts, "" // never verified: nothing of the person is looked up
		return
	}
	r.Status, r.ClosedAt, r.Reason = dsr.Unverified, now, "proof_fell_short"
}

// forget deletes the words and facts that were given as proof; the name under the
// declaration stays sealed with the person, for the declaration itself is kept
// (11 CCR 7101).
func (s *Stage) forget(ctx context.Context, d dossier.Dossier) error {
	if len(d.Subject.Points) == 0 && d.Subject.Permission == "" {
		return nil
	}
	person := d.Subject
	person.Points, person.Permission = nil, ""
	sealed, err := s.Ledger.Subject(ctx, d.Request.ID)
	if err != nil {
		return fmt.Errorf("reading the person of request %s: %w", d.Request.ID, err)
	}
	if sealed, err = d.Reseal(sealed.WrappedKey, person); err != nil {
		return err
	}
	if err := s.Ledger.ReplaceSubject(ctx, sealed); err != nil {
		return fmt.Errorf("deleting the proof of request %s: %w", d.Request.ID, err)
	}
	return nil
}

// goOn starts the run that the decision raised, and ends the wait of the machine
// before it. What fails here the sweep does.
func (s *Stage) goOn(ctx context.Context, d dossier.Dossier, r ledger.Request, wait []byte) {
	err := s.Machine.StartRun(ctx, r.ID, r.Run, !r.VerifiedAt.IsZero())
	if len(wait) > 0 {
		token, openErr := dossier.OpenWait(d.Box, r.ID, "challenge", wait)
		if openErr == nil {
			openErr = s.Machine.Release(ctx, token, map[string]any{})
		}
		err = errors.Join(err, openErr)
	}
	if err != nil {
		s.Log.Warn("going on after a decision: the sweep will do it", "request_id", string(r.ID), "error", err.Error())
	}
}

// note writes an event of an act to the request's chain.
func (s *Stage) note(ctx context.Context, r ledger.Request, kind dsr.EventKind, detail map[string]any) error {
	return s.Ledger.Append(ctx, dsr.Event{RequestID: r.ID, Chain: dsr.RequestChain, Kind: kind, At: s.Now(), Run: r.Run, Detail: detail})
}

func deref(r *web.Response) web.Response {
	if r == nil {
		return web.Response{}
	}
	return *r
}
