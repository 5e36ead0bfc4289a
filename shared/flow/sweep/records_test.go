package sweep_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/flow/sweep"
	"github.com/writ-dsr/writ/shared/ledger"
)

func TestRecordsEndWhenThePackSays(t *testing.T) {
	s := newStand(t, func(r *ledger.Request) { r.Status, r.ClosedAt = dsr.Completed, start.Add(day) })
	s.at(16 * day) // the key goes
	if s.request().KeyDestroyedAt.IsZero() {
		t.Fatal("the key is still there")
	}
	var log bytes.Buffer
	records := &sweep.Records{Company: s.stage.Company, Ledger: s.store, Log: slog.New(slog.NewJSONHandler(&log, nil))}
	closed := s.request().ClosedAt
	months := s.stage.Company.Records.Months
	if months < 24 {
		t.Fatalf("the pack keeps records for %d months", months)
	}
	daily := func(at time.Time) sweep.Output {
		t.Helper()
		doc, _ := json.Marshal(map[string]any{"time": at})
		out, err := records.Handle(t.Context(), doc)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	hold := ledger.Hold{Key: ledger.HoldOnRequest(s.id), Reason: "a claim", By: "counsel", At: start}
	if err := s.store.PlaceHold(t.Context(), hold); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		at   time.Time
		seen int
		gone bool
		lift bool
	}{
		{"a day before", closed.AddDate(0, months, -1), 0, false, false},
		{"its time has come, but a hold is on it", closed.AddDate(0, months, 0), 1, false, true},
		{"the hold is lifted", closed.AddDate(0, months, 1), 1, true, false},
		{"once more", closed.AddDate(0, months, 2), 0, true, false},
	} {
		if out := daily(c.at); out.Seen != c.seen || out.Failed != 0 {
			t.Errorf("%s: %+v", c.name, out)
		}
		_, err := s.store.Request(t.Context(), s.id)
		events, _ := s.store.Events(t.Context(), s.id, dsr.RequestChain)
		if gone := errors.Is(err, ledger.ErrNotFound) && len(events) == 0; gone != c.gone {
			t.Errorf("%s: gone is %v, want %v: %v, %d events", c.name, gone, c.gone, err, len(events))
		}
		if c.lift {
			if err := s.store.ProposeLift(t.Context(), hold.Key, ledger.DefaultMatter, ledger.Lift{By: "counsel"}); err != nil {
				t.Fatal(err)
			}
			if err := s.store.LiftHold(t.Context(), hold.Key, ledger.DefaultMatter, "officer"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if strings.Contains(log.String(), "canary") {
		t.Error("the log names the person")
	}
	if _, err := records.Handle(t.Context(), json.RawMessage(`{}`)); err == nil {
		t.Error("an event without a time is taken")
	}
}

func TestRetentionIsStartedOnceADay(t *testing.T) {
	s := newStand(t, nil)
	for h := range 30 {
		s.at(time.Duration(h) * hour)
	}
	want := map[string]string{
		"retention-2026-11-02": `{"v":1,"day":"2026-11-02","systems":[{"system":"app"}]}`,
		"retention-2026-11-03": `{"v":1,"day":"2026-11-03","systems":[{"system":"app"}]}`,
	}
	for name, input := range want {
		if s.days[name] != input {
			t.Errorf("%s was started with %s, want %s", name, s.days[name], input)
		}
	}
	if len(s.days) != len(want) {
		t.Errorf("started were %v", s.days)
	}
}
