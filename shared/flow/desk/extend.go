package desk

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// extensions says each reason of the laws' closed lists to the person.
var extensions = map[string]string{
	"complexity":         "Your request is complex: much data in many places must be looked through with care.",
	"number_of_requests": "You have sent us several requests, and each of them must be answered with care.",
}

// extend serves extend: a named person takes more time, for a reason of the
// law's closed list, inside the first period, and the person is told
// (GDPR Art. 12(3); CCPA 1798.130(a)(2)).
func (s *Stage) extend(ctx context.Context, actor string, a act) (web.Response, error) {
	d, refused, err := s.open(ctx, a)
	if err != nil || refused != nil {
		return deref(refused), err
	}
	now := s.Now()
	event := dsr.ClockEvent{Kind: dsr.Extended, At: now, By: actor, Reason: a.Reason}
	before, after, err := s.reckon(d.Request, event)
	if wrong := s.mayExtend(d.Request, before, after, err, a.Reason); wrong != "" {
		return answer(http.StatusConflict, problem(wrong))
	}
	v := s.values(d)
	v.Reason, v.OldDue, v.Due = extensions[a.Reason], before.DueAt, after.DueAt
	sent, err := s.tell(ctx, d, policy.NoticeExtension, v)
	if err != nil {
		return web.Response{}, err
	}
	r, err := s.move(ctx, d.Request.ID, event, sent, func(r *ledger.Request) error {
		if slices.ContainsFunc(r.Clock, func(e dsr.ClockEvent) bool { return e.Kind == dsr.Extended }) {
			return errClosed
		}
		return nil
	})
	if err != nil {
		return web.Response{}, err
	}
	if err := s.note(ctx, r, dsr.EventClockMoved, map[string]any{"event": string(dsr.Extended), "actor": actor, "reason": a.Reason}); err != nil {
		return web.Response{}, err
	}
	return moved(r)
}

// mayExtend says why a request cannot be extended; "" when it can. What the law
// refuses, the reckoning itself says.
func (s *Stage) mayExtend(r ledger.Request, before, after policy.Deadline, reckoned error, reason string) string {
	day := before.DueAt.In(s.Company.Zone).Format("2 January 2006")
	_, known := extensions[reason]
	switch {
	case !known:
		return "reason must be complexity or number_of_requests; a slow system or vendor is none"
	case !r.Status.Open() || r.Own():
		return "this request is closed, or nobody outside waits for it"
	case !r.AnsweredAt.IsZero():
		return "this request is answered already"
	case reckoned != nil:
		return strings.TrimPrefix(reckoned.Error(), "computing the due date: ")
	case !after.DueAt.After(before.DueAt):
		return "an extension moves nothing here: the answer is due on " + day + " by what the company promised (" + before.Rule + "), and a promise is never extended"
	}
	return ""
}
