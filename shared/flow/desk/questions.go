package desk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/notice"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// question is what a person can be asked, and how it moves the clock.
type question struct {
	asked, given dsr.ClockEventKind
	notice       string
}

var questions = map[string]question{
	"identity":      {dsr.IdentityAsked, dsr.IdentityGiven, policy.NoticeIdentity},
	"clarification": {dsr.ClarificationAsked, dsr.ClarificationGiven, policy.NoticeClarification},
}

// What a question asks for by itself.
const (
	maxQuestion = 2000
	answerTime  = 14 * 24 * time.Hour
	safeWay     = "Just reply to this mail. Do not send a copy of a passport or a card, a password or a card number."
)

// errClosed says that a request takes no question any more.
var errClosed = errors.New("the request takes no question any more")

// Moved is a clock after an act on it.
type Moved struct {
	RequestID dsr.RequestID    `json:"request_id"`
	Status    dsr.Status       `json:"status"`
	DueAt     time.Time        `json:"due_at"`
	Clock     []dsr.ClockEvent `json:"clock"`
}

func moved(r ledger.Request) (web.Response, error) {
	return answer(http.StatusOK, Moved{r.ID, r.Status, r.DueAt, r.Clock})
}

// asking reads the kind of a question from an act.
func asking(a act) (question, string) {
	q, ok := questions[a.Kind]
	if !ok {
		return q, "kind must be identity or clarification"
	}
	return q, ""
}

// waits reports whether a question of the kind is open.
func (q question) waits(clock []dsr.ClockEvent) bool {
	open := false
	for _, e := range clock {
		switch e.Kind {
		case q.asked:
			open = true
		case q.given:
			open = false
		}
	}
	return open
}

// ask serves questions/ask. A question about identity needs a reasonable doubt
// about this person (GDPR Art. 12(6)): it takes the verification back and stops
// the work until a person has decided; it is too late once erasing has begun.
func (s *Stage) ask(ctx context.Context, actor string, a act) (web.Response, error) {
	q, wrong := asking(a)
	a.Question, a.Least = strings.TrimSpace(a.Question), strings.TrimSpace(a.Least)
	switch {
	case wrong != "":
	case a.Question == "":
		wrong = "question must say what the person is asked, and why"
	case q.asked == dsr.IdentityAsked && a.Least == "":
		wrong = "least must say the least that would settle the doubt (GDPR Art. 12(6) allows no more)"
	case len(a.Question) > maxQuestion || len(a.Least) > maxQuestion:
		wrong = fmt.Sprintf("question and least may have %d bytes each", maxQuestion)
	}
	if wrong != "" {
		return answer(http.StatusBadRequest, problem(wrong))
	}
	d, refused, err := s.open(ctx, a)
	if err != nil || refused != nil {
		return deref(refused), err
	}
	now := s.Now()
	event := dsr.ClockEvent{Kind: q.asked, At: now, By: actor}
	before, after, err := s.reckon(d.Request, event)
	if err != nil {
		return answer(http.StatusConflict, problem(err.Error()))
	}
	if wrong := s.mayAsk(d.Request, q); wrong != "" {
		return answer(http.StatusConflict, problem(wrong))
	}
	v := s.values(d)
	v.Question, v.LeastData, v.SafeWay, v.AnswerDue = a.Question, a.Least, safeWay, now.Add(answerTime)
	v.ClockEffect = s.effect(before, after)
	if q.asked == dsr.IdentityAsked {
		v.WhatIsDoubted, v.Question = a.Question, ""
		v.IfUnanswered = "Then we cannot be sure who you are, so we do not do what you asked. We tell you so, and you can ask again at any time."
	}
	sent, err := s.tell(ctx, d, q.notice, v)
	if err != nil {
		return web.Response{}, err
	}
	r, err := s.move(ctx, d.Request.ID, event, sent, func(r *ledger.Request) error {
		if wrong := s.mayAsk(*r, q); wrong != "" {
			return errClosed
		}
		if q.asked == dsr.IdentityAsked {
			if !r.AwaitsProof() {
				r.Run++ // what runs writes nothing any more
			}
			r.Status, r.Owner, r.VerifiedAt = dsr.NeedsAttention, ledger.OfficerRole, time.Time{}
			r.Reason = ledger.ReasonDoubt
		}
		return nil
	})
	if err != nil {
		return web.Response{}, err
	}
	if err := s.note(ctx, r, dsr.EventClockMoved, map[string]any{"event": string(q.asked), "actor": actor}); err != nil {
		return web.Response{}, err
	}
	return moved(r)
}

// mayAsk says why a question cannot be asked; "" when it can.
func (s *Stage) mayAsk(r ledger.Request, q question) string {
	switch {
	case r.Status != dsr.Running && r.Status != dsr.NeedsAttention:
		return "this request is not confirmed yet, or it is closed: there is nothing to ask"
	case q.waits(r.Clock):
		return "this question is open already; wait for the answer, or record it with questions/given"
	case q.asked == dsr.IdentityAsked && !r.ErasingAt.IsZero():
		return "erasing has begun, so it is too late to doubt who asks"
	}
	return ""
}

// given serves questions/given: the person has answered. Whether an answer about
// identity suffices is proof/decide's.
func (s *Stage) given(ctx context.Context, actor string, a act) (web.Response, error) {
	q, wrong := asking(a)
	if wrong != "" {
		return answer(http.StatusBadRequest, problem(wrong))
	}
	d, refused, err := s.open(ctx, a)
	if err != nil || refused != nil {
		return deref(refused), err
	}
	if !q.waits(d.Request.Clock) {
		return answer(http.StatusConflict, problem("no question of this kind is open"))
	}
	r, err := s.move(ctx, d.Request.ID, dsr.ClockEvent{Kind: q.given, At: s.Now(), By: actor}, nil, func(r *ledger.Request) error {
		if !q.waits(r.Clock) {
			return errClosed
		}
		return nil
	})
	if err != nil {
		return web.Response{}, err
	}
	if err := s.note(ctx, r, dsr.EventClockMoved, map[string]any{"event": string(q.given), "actor": actor}); err != nil {
		return web.Response{}, err
	}
	return moved(r)
}

// reckon returns the dates of a request before and after one more clock event.
func (s *Stage) reckon(r ledger.Request, e dsr.ClockEvent) (before, after policy.Deadline, err error) {
	if before, err = s.Company.Due(r.Rights, r.Clock, r.Place()); err != nil {
		return before, after, err
	}
	after, err = s.Company.Due(r.Rights, append(slices.Clone(r.Clock), e), r.Place())
	return before, after, err
}

// move appends a clock event and dates the request again; sent is the notice
// that told the person, if one did.
func (s *Stage) move(ctx context.Context, id dsr.RequestID, e dsr.ClockEvent, sent *mailed, more func(*ledger.Request) error) (ledger.Request, error) {
	r, err := ledger.Change(ctx, s.Ledger, id, func(r *ledger.Request) error {
		if err := more(r); err != nil {
			return err
		}
		_, after, err := s.reckon(*r, e)
		if err != nil {
			return err
		}
		r.Clock, r.DueAt = append(slices.Clone(r.Clock), e), after.DueAt
		if sent != nil {
			sent.record(r)
		}
		return nil
	})
	if err != nil {
		return r, fmt.Errorf("moving the clock of request %s: %w", id, err)
	}
	if sent != nil {
		err = s.note(ctx, r, dsr.EventMailed, map[string]any{"notice": sent.name, "template": sent.version})
	}
	return r, err
}

// effect says in one sentence what a question does to the date.
func (s *Stage) effect(before, after policy.Deadline) string {
	if !after.StandsSinceAt.IsZero() {
		return "The time for our answer stands still until you answer. Then it goes on, and the date moves by as many days."
	}
	return "The date of our answer does not change by this: it is " + before.DueAt.In(s.Company.Zone).Format("2 January 2006") + "."
}

// mailed is a notice that went out.
type mailed struct {
	name, id, version string
	at                time.Time
}

// record keeps the notice with the request: a bounce names its message.
func (m *mailed) record(r *ledger.Request) {
	if r.Notices == nil {
		r.Notices = map[string]ledger.Notice{}
	}
	r.Notices[m.name] = ledger.Notice{SentAt: m.at, MessageID: m.id}
}

// tell writes a notice and mails it to where the person can be reached.
func (s *Stage) tell(ctx context.Context, d dossier.Dossier, kind string, v notice.Values) (*mailed, error) {
	letter, err := notice.Write(kind, d.Request.Language, s.Company.Facts(kind, d.Question()), v)
	if err != nil {
		return nil, err
	}
	message, err := letter.Message(d.Subject.MailTo())
	if err != nil {
		return nil, fmt.Errorf("writing the notice %s of request %s: %w", kind, d.Request.ID, err)
	}
	out := &mailed{at: s.Now(), version: notice.Version(kind)}
	for n := 1; ; n++ {
		out.name = fmt.Sprintf("%s#%d", kind, n)
		if _, sent := d.Request.Notices[out.name]; !sent {
			break
		}
	}
	if out.id, err = s.Mail.Send(ctx, message, string(d.Request.ID)+"/"+out.name); err != nil {
		return nil, fmt.Errorf("mailing the notice %s of request %s: %w", kind, d.Request.ID, err)
	}
	return out, nil
}

// values is what every notice says of a request.
func (s *Stage) values(d dossier.Dossier) notice.Values {
	v := notice.Values{Company: s.Company.Name, Zone: s.Company.Zone, Reference: string(d.Request.ID), Rights: d.Request.Rights, Words: d.Request.Words, Due: d.Request.DueAt, Requester: d.Request.By}
	for _, e := range d.Request.Clock {
		if e.Kind == dsr.Received && (v.Received.IsZero() || e.At.Before(v.Received)) {
			v.Received = e.At
		}
	}
	return v
}
