package desk_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/ledger"
)

// running is a request that was verified and works.
func running(country string) func(*ledger.Request) {
	return func(r *ledger.Request) {
		r.Status, r.VerifiedAt, r.Owner, r.Reason, r.Country, r.State, r.SealedWait = dsr.Running, now, "", "", country, "", nil
	}
}

func (s *proofStand) ask(kind string, want int) string {
	s.t.Helper()
	_, wrong := s.do("questions/ask", fmt.Sprintf(`{"request_id":"%s","kind":"%s","question":"Your mail came from two places at once.","least":"The month you joined."}`, id, kind), want)
	return wrong
}

func (s *proofStand) given(kind string, want int) string {
	s.t.Helper()
	_, wrong := s.do("questions/given", fmt.Sprintf(`{"request_id":"%s","kind":"%s"}`, id, kind), want)
	return wrong
}

// A doubt about who asks stops the work, and the clock where its law lets it.
func TestIdentityQuestion(t *testing.T) {
	s := newProofStand(t, "learnai", running("DE"))
	due := s.read().DueAt
	s.now = now.Add(48 * time.Hour)
	s.ask("identity", http.StatusOK)
	r := s.read()
	if r.Status != dsr.NeedsAttention || r.Reason != ledger.ReasonDoubt || !r.VerifiedAt.IsZero() || r.Run != 2 || r.Allows(2) || !r.AwaitsProof() {
		t.Errorf("recorded %+v", r)
	}
	sent := s.mail.To(dsrtest.Ada.Email)
	if len(sent) != 1 || !strings.Contains(sent[0].Text, "two places at once") || !strings.Contains(sent[0].Text, "The month you joined.") {
		t.Fatalf("%d mails", len(sent))
	}
	if strings.Contains(s.chain(), "two places") {
		t.Error("the question's words are in an event")
	}
	if wrong := s.ask("identity", http.StatusConflict); !strings.Contains(wrong, "open already") {
		t.Error(wrong)
	}
	s.now = now.Add(7 * 24 * time.Hour)
	s.given("identity", http.StatusOK)
	if r = s.read(); !r.DueAt.Equal(due.Add(5*24*time.Hour)) || !r.AwaitsProof() {
		t.Errorf("due %v, want five days after %v; status %s", r.DueAt, due, r.Status)
	}
	if wrong := s.given("identity", http.StatusConflict); wrong == "" {
		t.Error("an answer to no question is taken")
	}
	s.decide(true, "facts_match", http.StatusOK)
	if r = s.read(); r.Status != dsr.Running || r.Run != 3 {
		t.Errorf("after the decision %+v", r)
	}
}

// A decision closes the question, so that no clock stands still for ever.
func TestDecisionAnswersTheQuestion(t *testing.T) {
	s := newProofStand(t, "learnai", running("DE"))
	due := s.read().DueAt
	s.ask("identity", http.StatusOK)
	s.now = now.Add(24 * time.Hour)
	s.decide(true, "known_otherwise", http.StatusOK)
	if r := s.read(); len(r.Clock) != 3 || r.Clock[2].Kind != dsr.IdentityGiven || r.DueAt.Before(due) {
		t.Errorf("clock %+v, due %v", r.Clock, r.DueAt)
	}
}

func TestClarificationStopsNoWork(t *testing.T) {
	s := newProofStand(t, "learnai", running("GB"))
	s.ask("clarification", http.StatusOK)
	if r := s.read(); r.Status != dsr.Running || r.Run != 1 || r.VerifiedAt.IsZero() || len(r.Notices) != 1 {
		t.Errorf("recorded %+v", r)
	}
	s.given("clarification", http.StatusOK)
}

func TestQuestionsThatCannotBeAsked(t *testing.T) {
	s := newProofStand(t, "pythonmaster", running("DE"))
	for _, body := range []string{`"kind":"age","question":"x"`, `"kind":"identity","question":" ","least":"x"`, `"kind":"identity","question":"x"`, `"kind":"clarification"`} {
		if _, wrong := s.do("questions/ask", `{"request_id":"`+string(id)+`",`+body+`}`, http.StatusBadRequest); wrong == "" {
			t.Errorf("%s: no reason is given", body)
		}
	}
	if len(s.mail.All()) != 0 {
		t.Error("a mail went out")
	}
	for name, change := range map[string]func(*ledger.Request){
		"not confirmed yet": func(r *ledger.Request) { r.Status, r.VerifiedAt = dsr.Verifying, time.Time{} },
		"closed":            func(r *ledger.Request) { r.Status = dsr.Completed },
		"erasing has begun": func(r *ledger.Request) { r.ErasingAt = now },
	} {
		t.Run(name, func(t *testing.T) {
			s := newProofStand(t, "pythonmaster", func(r *ledger.Request) { running("DE")(r); change(r) })
			s.ask("identity", http.StatusConflict)
			if len(s.mail.All()) != 0 || len(s.read().Clock) != 1 {
				t.Error("the person was asked")
			}
		})
	}
}

func (s *proofStand) extend(reason string, want int) string {
	s.t.Helper()
	_, wrong := s.do("extend", fmt.Sprintf(`{"request_id":"%s","reason":"%s"}`, id, reason), want)
	return wrong
}

func TestExtension(t *testing.T) {
	s := newProofStand(t, "learnai", running("DE"))
	due := s.read().DueAt
	s.now = now.Add(20 * 24 * time.Hour)
	s.extend("complexity", http.StatusOK)
	r := s.read()
	if got := r.Clock[len(r.Clock)-1]; got.Kind != dsr.Extended || got.By != first || got.Reason != "complexity" || !r.DueAt.After(due.Add(50*24*time.Hour)) {
		t.Errorf("clock %+v, due %v after %v", got, r.DueAt, due)
	}
	sent := s.mail.To(dsrtest.Ada.Email)
	if len(sent) != 1 || !strings.Contains(sent[0].Text, "complex") || !strings.Contains(s.chain(), `"extended"`) {
		t.Errorf("%d mails", len(sent))
	}
	if wrong := s.extend("complexity", http.StatusConflict); !strings.Contains(wrong, "twice") {
		t.Error(wrong)
	}
}

func TestExtensionIsRefused(t *testing.T) {
	for _, c := range []struct {
		name, company, reason, says string
		change                      func(*ledger.Request)
		after                       time.Duration
	}{
		{"a vendor is slow", "learnai", "slow_vendor", "complexity or number_of_requests", running("DE"), 0},
		{"after the first period", "learnai", "complexity", "", running("DE"), 40 * 24 * time.Hour},
		{"a promise", "pythonmaster", "complexity", "promise", running("DE"), 0},
		{"closed", "learnai", "complexity", "closed", func(r *ledger.Request) { running("DE")(r); r.Status = dsr.Completed }, 0},
		{"answered", "learnai", "complexity", "answered", func(r *ledger.Request) { running("DE")(r); r.Status, r.AnsweredAt = dsr.Answered, now }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newProofStand(t, c.company, c.change)
			due := s.read().DueAt
			s.now = now.Add(c.after)
			if wrong := s.extend(c.reason, http.StatusConflict); wrong == "" || !strings.Contains(wrong, c.says) {
				t.Errorf("refused with %q", wrong)
			}
			if r := s.read(); !r.DueAt.Equal(due) || len(r.Clock) != 1 || len(s.mail.All()) != 0 {
				t.Error("something was extended or mailed")
			}
		})
	}
}
