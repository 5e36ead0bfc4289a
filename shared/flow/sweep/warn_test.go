package sweep_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/mail"
)

// period is from the receipt to the due date.
func (s *stand) period() time.Duration {
	s.t.Helper()
	d, err := s.stage.Company.Due([]dsr.Right{dsr.Erasure}, []dsr.ClockEvent{{Kind: dsr.Received, At: start}}, "DE")
	if err != nil {
		s.t.Fatal(err)
	}
	return d.DueAt.Sub(start)
}

func TestPeopleAreWarnedOnceAtEachStage(t *testing.T) {
	s := newStand(t, nil, task(27*day))
	whole := s.period()
	for _, c := range []struct {
		name             string
		after            time.Duration
		officer, support int
	}{
		{"before half-time", whole/2 - hour, 0, 0},
		{"half-time", whole / 2, 1, 0},
		{"later that day", whole/2 + 5*hour, 1, 0},
		{"seven days", whole - 7*day, 2, 1},
		{"later", whole - 6*day, 2, 1},
		{"three days", whole - 3*day, 3, 2},
		{"one day", whole - day, 4, 3},
		{"later", whole - hour, 4, 3},
		{"after it", whole + day, 4, 3},
	} {
		before := s.request()
		s.at(c.after)
		if o, p := s.warnings(officer), s.warnings(support); o != c.officer || p != c.support {
			t.Errorf("%s: %d warnings to the officer and %d to the assignee, want %d and %d", c.name, o, p, c.officer, c.support)
		}
		if r := s.request(); !r.DueAt.Equal(before.DueAt) || len(r.Clock) != len(before.Clock) {
			t.Errorf("%s: a warning moved the clock", c.name)
		}
	}
	if n := s.count(dsr.EventWarned); n != 4 {
		t.Errorf("%d warnings recorded, want 4", n)
	}
	if n := len(s.mail.To(dsrtest.Ada.Email)); n != 0 {
		t.Errorf("the person got %d of them", n)
	}
	for _, m := range s.mail.To(officer) {
		if strings.Contains(m.Subject, "an answer is due on") && !strings.Contains(m.Text, "does not move the date") {
			t.Errorf("the warning says\n%s", m.Text)
		}
	}
}

// Stages that passed while nobody swept are not told one after the other.
func TestOnlyTheLatestStageIsTold(t *testing.T) {
	s := newStand(t, nil)
	s.at(s.period() - day)
	s.at(s.period() - 20*hour)
	if n := s.warnings(officer); n != 1 {
		t.Errorf("%d warnings, want one", n)
	}
}

func TestNobodyIsWarnedOfWhatIsAnswered(t *testing.T) {
	for name, change := range map[string]func(*ledger.Request){
		"answered":           func(r *ledger.Request) { r.Status, r.AnsweredAt = dsr.Answered, start },
		"still to be proved": status(dsr.Verifying),
		"completed":          func(r *ledger.Request) { r.Status, r.ClosedAt = dsr.Completed, start.Add(20*day) },
		"answered, then stuck": func(r *ledger.Request) {
			r.Status, r.AnsweredAt, r.Owner = dsr.NeedsAttention, start, "privacy_officer"
		},
	} {
		s := newStand(t, change)
		s.at(s.period() - day)
		if n := s.warnings(officer); n != 0 {
			t.Errorf("%s: %d warnings", name, n)
		}
	}
}

// A warning whose mail is lost is mailed at the next hour.
func TestWarningIsTriedAgain(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) { r.Status, r.Owner = dsr.NeedsAttention, "privacy_officer" })
	s.mail.Fail = func(mail.Message) error { return errors.New("mailing: no answer") }
	if out := s.at(s.period() - day); out.Failed != 1 || s.count(dsr.EventWarned) != 0 {
		t.Errorf("%+v", out)
	}
	s.mail.Fail = nil
	s.at(s.period() - 23*hour)
	if n := s.warnings(officer); n != 1 {
		t.Errorf("%d warnings, want one", n)
	}
}
