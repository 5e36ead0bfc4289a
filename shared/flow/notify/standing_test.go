package notify_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/policy"
)

func at(r *ledger.Request, kind dsr.ClockEventKind, after time.Duration) {
	r.Clock = append(r.Clock, dsr.ClockEvent{Kind: kind, At: r.Clock[0].At.Add(after), By: "officer", Reason: "complexity"})
}

func TestStatusTellsLawRuleQuestionsAndDecisions(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*ledger.Request)
		says   []string
		not    []string
	}{
		"law and rule":           {func(r *ledger.Request) { r.Country, r.State = "DE", "" }, []string{"You asked for", "General Data Protection Regulation", "2 December 2026<br>"}, []string{"We wait for your reply", "What was decided", "This was not you?"}},
		"a question about scope": {func(r *ledger.Request) { at(r, dsr.ClarificationAsked, time.Hour) }, []string{"We wait for your reply", "what exactly you want"}, nil},
		"an answer to it": {func(r *ledger.Request) {
			at(r, dsr.ClarificationAsked, time.Hour)
			at(r, dsr.ClarificationGiven, 2*time.Hour)
		}, nil, []string{"We wait for your reply"}},
		"a doubt": {func(r *ledger.Request) {
			at(r, dsr.IdentityAsked, time.Hour)
			r.Status, r.VerifiedAt, r.Owner, r.Reason = dsr.NeedsAttention, time.Time{}, ledger.OfficerRole, ledger.ReasonDoubt
		}, []string{"We wait for your reply", "show that it is you"}, []string{"What was decided"}},
		"a decision that waits": {func(r *ledger.Request) {
			r.Status, r.VerifiedAt, r.Owner = dsr.NeedsAttention, time.Time{}, ledger.OfficerRole
		},
			[]string{"What was decided", "still looks at what you gave us"}, nil},
		"a lesser answer": {func(r *ledger.Request) {
			r.VerifiedAt, r.Facts = time.Time{}, map[string]string{policy.FactUnfit: "yes"}
		}, []string{"so you get a smaller answer"}, nil},
		"an extension": {func(r *ledger.Request) { at(r, dsr.Extended, time.Hour) }, []string{"We took more time on"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, c.change)
			page := string(s.page(http.MethodGet, s.link()).Body)
			for _, want := range c.says {
				if !strings.Contains(page, want) {
					t.Errorf("the page lacks %q", want)
				}
			}
			for _, no := range c.not {
				if strings.Contains(page, no) {
					t.Errorf("the page says %q", no)
				}
			}
		})
	}
}

// The rule that sets the date is the one that the clock names.
func TestStatusTellsTheRule(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) { r.Country, r.State = "US", "CA" })
	if page := string(s.page(http.MethodGet, s.link()).Body); !strings.Contains(page, "Our privacy policy promises an answer within 30 days.") {
		t.Error("the page does not name the promise, which is earlier than the law's 45 days")
	}
}

// What ran without a proof is undone by the owner of the mailbox, once.
func TestUndo(t *testing.T) {
	stop := func(r *ledger.Request) { r.Rights = []dsr.Right{dsr.OptOutOfSale} }
	for name, c := range map[string]struct {
		change func(*ledger.Request)
		word   string
		status int
		undone bool
	}{
		"while it runs":      {stop, " Not  ME ", http.StatusOK, true},
		"when it is done":    {func(r *ledger.Request) { stop(r); r.Status, r.ClosedAt = dsr.Completed, start }, "not me", http.StatusOK, true},
		"nothing typed":      {stop, "", http.StatusBadRequest, false},
		"of a proved copy":   {nil, "not me", http.StatusConflict, false},
		"of one withdrawn":   {func(r *ledger.Request) { stop(r); r.Status = dsr.Withdrawn }, "not me", http.StatusConflict, false},
		"of one asked twice": {func(r *ledger.Request) { stop(r); r.Status, r.Reason = dsr.NeedsAttention, ledger.ReasonUndo }, "not me", http.StatusConflict, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, c.change)
			before, err := s.store.Request(t.Context(), s.id)
			if err != nil {
				t.Fatal(err)
			}
			if page := s.page(http.MethodPost, s.link(), "step", "undo", "word", c.word); page.Status != c.status {
				t.Errorf("status %d, want %d", page.Status, c.status)
			}
			r, err := s.store.Request(t.Context(), s.id)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Run == before.Run+1 && r.Status == dsr.NeedsAttention && r.Reason == ledger.ReasonUndo && r.Owner == ledger.OfficerRole && r.ClosedAt.IsZero(); got != c.undone {
				t.Errorf("undone %t, want %t: %+v", got, c.undone, r)
			}
			if (len(s.machine.stopped) == 1) != c.undone {
				t.Errorf("stopped %v", s.machine.stopped)
			}
		})
	}
}
