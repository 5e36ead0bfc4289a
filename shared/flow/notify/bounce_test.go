package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
)

// event is what the mail service says of a mail; the recipient in it must go nowhere.
func event(kind, bounce, messageID string, tags ...string) json.RawMessage {
	doc, _ := json.Marshal(map[string]any{"version": "0", "detail-type": "Email " + kind, "detail": map[string]any{
		"eventType": kind, "bounce": map[string]any{"bounceType": bounce, "bouncedRecipients": []any{map[string]any{"emailAddress": "ada.zq7canary@learner.example"}}},
		"mail": map[string]any{"messageId": messageID, "destination": []string{"ada.zq7canary@learner.example"}, "tags": map[string]any{"writ-request": tags}},
	}})
	return doc
}

func noticed(status dsr.Status, name string) func(*ledger.Request) {
	return func(r *ledger.Request) {
		both(r)
		r.Status, r.Told = status, "told"
		r.Bundle.DeliveredAt, r.Bundle.Due = start, start.AddDate(0, 0, 14)
		r.Notices = map[string]ledger.Notice{"challenge#1": {SentAt: start, MessageID: "m-0"}, name: {SentAt: start, MessageID: "m-1"}}
		if status == dsr.Verifying || status == dsr.Unverified {
			r.VerifiedAt = time.Time{}
		}
		if status == dsr.Completed || status == dsr.Withdrawn {
			r.ClosedAt = start
		}
	}
}

func TestBounces(t *testing.T) {
	for _, c := range []struct {
		name      string
		change    func(*ledger.Request)
		kind      string
		bounce    string
		message   string
		recorded  bool
		status    dsr.Status
		delivered bool
		told      bool
	}{
		{"the answer, for good", noticed(dsr.Answered, "answer#1"), "Bounce", "Permanent", "m-1", true, dsr.NeedsAttention, true, false},
		{"the answer of a completed request", noticed(dsr.Completed, "answer#1"), "Bounce", "Permanent", "m-1", true, dsr.NeedsAttention, true, false},
		{"the copy: nothing is erased before it is delivered", noticed(dsr.Running, "copy#1"), "Bounce", "Permanent", "m-1", true, dsr.NeedsAttention, false, true},
		{"not known for how long", noticed(dsr.Running, "copy#1"), "Bounce", "Undetermined", "m-1", true, dsr.NeedsAttention, false, true},
		{"a complaint", noticed(dsr.Answered, "answer#1"), "Complaint", "", "m-1", true, dsr.NeedsAttention, true, false},
		{"for a while", noticed(dsr.Answered, "answer#1"), "Bounce", "Transient", "m-1", false, dsr.Answered, true, true},
		{"delivered", noticed(dsr.Answered, "answer#1"), "Delivery", "", "m-1", false, dsr.Answered, true, true},
		{"a mail we do not know", noticed(dsr.Answered, "answer#1"), "Bounce", "Permanent", "m-9", false, dsr.Answered, true, true},
		{"the challenge: it ends by itself", noticed(dsr.Verifying, "reminder#1"), "Bounce", "Permanent", "m-0", true, dsr.Verifying, true, true},
		{"the end of an unproved one", noticed(dsr.Unverified, "unverified#1"), "Bounce", "Permanent", "m-1", true, dsr.Unverified, true, true},
		{"of a withdrawn one", noticed(dsr.Withdrawn, "copy#1"), "Bounce", "Permanent", "m-1", true, dsr.Withdrawn, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t, c.change)
			for range 2 { // events come more than once
				if _, err := s.bounce.Handle(t.Context(), event(c.kind, c.bounce, c.message, string(s.id))); err != nil {
					t.Fatal(err)
				}
			}
			r := s.request()
			owned := c.status == dsr.NeedsAttention
			if r.Status != c.status || (r.Owner != "") != owned || owned && !r.ClosedAt.IsZero() {
				t.Errorf("%s, owner %q, closed %v", r.Status, r.Owner, r.ClosedAt)
			}
			if (len(s.raised) == 1) != owned || owned && s.raised[0] != fmt.Sprintf("%s/1/mail_bounced", s.id) {
				t.Errorf("raised %v", s.raised)
			}
			if (s.count(dsr.EventBounced) == 1) != c.recorded {
				t.Errorf("%d events", s.count(dsr.EventBounced))
			}
			if !r.Bundle.DeliveredAt.IsZero() != c.delivered || (r.Told != "") != c.told {
				t.Errorf("delivered %v, told %q", r.Bundle.DeliveredAt, r.Told)
			}
		})
	}
}

func TestEventsThatAreNotOurs(t *testing.T) {
	s := newStand(t, noticed(dsr.Answered, "answer#1"))
	for name, e := range map[string]json.RawMessage{
		"to the team":    event("Bounce", "Permanent", "m-1"),
		"two requests":   event("Bounce", "Permanent", "m-1", string(s.id), string(s.id)),
		"nobody's":       event("Bounce", "Permanent", "m-1", "wbbbbbbbbbbbbbbbbbbbbbbbbb"),
		"another source": json.RawMessage(`{"detail-type":"Scheduled Event","detail":{}}`),
	} {
		if _, err := s.bounce.Handle(t.Context(), e); err != nil || len(s.raised) != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, e := range map[string]json.RawMessage{"no JSON": json.RawMessage(`x`), "an odd id": event("Bounce", "Permanent", "m-1", "ada.zq7canary@learner.example")} {
		_, err := s.bounce.Handle(t.Context(), e)
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The bounce was recorded, but nobody could be told: the event's next coming
// finds that and tells them.
func TestBounceWithoutAnOwnerIsRaisedAgain(t *testing.T) {
	s := newStand(t, noticed(dsr.Answered, "answer#1"))
	raise := s.bounce.Attention
	s.bounce.Attention = func(context.Context, dsr.RequestID, int, string) error { return errors.New("mailing: no answer") }
	if _, err := s.bounce.Handle(t.Context(), event("Bounce", "Permanent", "m-1", string(s.id))); err == nil {
		t.Fatal("the fault is hidden")
	}
	s.bounce.Attention = raise
	if _, err := s.bounce.Handle(t.Context(), event("Bounce", "Permanent", "m-1", string(s.id))); err != nil || len(s.raised) != 1 || s.count(dsr.EventBounced) != 1 {
		t.Errorf("%v, raised %v", err, s.raised)
	}
}

// The sample beside the function is what EventBridge sends.
func TestSampleEventOfABounce(t *testing.T) {
	doc, err := os.ReadFile("../../../functions/notify-bounce/event.json")
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		Detail struct {
			Mail struct {
				MessageID string              `json:"messageId"`
				Tags      map[string][]string `json:"tags"`
			} `json:"mail"`
		} `json:"detail"`
	}
	if err := json.Unmarshal(doc, &e); err != nil {
		t.Fatal(err)
	}
	s := newStand(t, func(r *ledger.Request) {
		noticed(dsr.Answered, "answer#1")(r)
		r.Notices["answer#1"] = ledger.Notice{MessageID: e.Detail.Mail.MessageID}
	})
	doc = []byte(strings.ReplaceAll(string(doc), e.Detail.Mail.Tags["writ-request"][0], string(s.id)))
	if _, err := lambdax.Wrap(s.bounce.Handle, slog.New(slog.DiscardHandler))(t.Context(), doc); err != nil || len(s.raised) != 1 {
		t.Errorf("%v, raised %v", err, s.raised)
	}
}
