package sweep_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/collect"
	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/flow/notify"
	"github.com/writ-dsr/writ/shared/flow/plan"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
)

const (
	keptUntil = "2033-11-02"
	ground    = "us_tax_records"
)

// closedWith makes the stand's request a completed erasure whose gathering in
// the app found further identifiers, and whose acts ended in the outcomes.
func closedWith(t *testing.T, outcomes map[string][]dsr.Outcome) *stand {
	t.Helper()
	visits := []dsr.Visit{{System: "app", Phase: dsr.Gather, Status: dsr.VisitSettled, Ops: []dsr.Op{dsr.Locate}}}
	for _, system := range slices.Sorted(maps.Keys(outcomes)) {
		visits = append(visits, dsr.Visit{System: system, Phase: dsr.Act, Status: dsr.VisitSettled, Outcomes: outcomes[system]})
	}
	s := newStand(t, func(r *ledger.Request) {
		r.Status, r.ClosedAt, r.Country, r.Language = dsr.Completed, start, "US", "en"
	}, visits...)
	found, err := json.Marshal(map[string]any{"found": connector.Footprint{Yields: []dsr.Identity{
		{Kind: "account_id", Value: dsrtest.Ada.Phone, Origin: dsr.SystemOfRecord}, {Kind: "stripe_customer", Value: "cus_canary", Origin: dsr.SystemOfRecord},
		{Kind: "account_id", Value: "asserted", Origin: dsr.SelfAsserted},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.store.TakeVisit(t.Context(), s.id, "app#gather", 1, start, start)
	if err == nil || !errors.Is(err, ledger.ErrSettled) {
		t.Fatalf("the gathering is not settled: %v", err)
	}
	v.Sealed = s.box.Seal(found, string(s.id)+"/app#gather")
	if err := s.store.SaveVisit(t.Context(), withRun(v)); err != nil {
		t.Fatal(err)
	}
	return s
}

func withRun(v dsr.Visit) dsr.Visit { v.Run = 1; return v }

func retained(category, ground, until string) dsr.Outcome {
	return dsr.Outcome{Category: category, Kind: dsr.Retained, Count: 2, Ground: ground, Until: until}
}

// waiting are the scheduled requests, earliest first.
func (s *stand) waiting() []ledger.Request {
	s.t.Helper()
	var all []ledger.Request
	if err := s.store.ScheduledRequests(s.t.Context(), time.Time{}, func(r ledger.Request) error { all = append(all, r); return nil }); err != nil {
		s.t.Fatal(err)
	}
	return all
}

func (s *stand) kinds(id dsr.RequestID) []string {
	s.t.Helper()
	d, err := dossier.Open(s.t.Context(), s.store, s.keys, id)
	if err != nil {
		s.t.Fatal(err)
	}
	var kinds []string
	for _, i := range d.Subject.Identities {
		kinds = append(kinds, i.String())
	}
	return kinds
}

// What is kept on a ground gets an envelope for each system, ground and day
// before the key goes, with what that system needs and nothing else.
func TestWhatIsKeptGetsItsOwnEnvelope(t *testing.T) {
	s := closedWith(t, map[string][]dsr.Outcome{
		"app":    {{Category: "account", Kind: dsr.Anonymised, Count: 1}, retained("payments", ground, keptUntil), retained("course_progress", ground, keptUntil), retained("study_groups", "claims", "2029-11-02")},
		"stripe": {retained("charge", ground, keptUntil), {Category: "payment_method", Kind: dsr.Erased}},
		"writ":   {retained(dsr.RequestRecord, "accountability", "2028-11-02")},
	})
	s.at(hour)
	s.at(2 * hour)
	var got []string
	for _, r := range s.waiting() {
		if r.Channel != ledger.ChannelDeferral || r.Parent != s.id || len(r.Scope) != 1 || !slices.Equal(r.Rights, []dsr.Right{dsr.Erasure}) || r.Country != "US" || r.VerifiedAt.IsZero() {
			t.Errorf("planned as %+v", r)
		}
		p := r.Scope[0]
		got = append(got, fmt.Sprintf("%s %s %s %s %v", r.DueAt.Format(time.DateOnly), p.System, p.Ground, strings.Join(p.Categories, "+"), s.kinds(r.ID)))
		if chain, err := s.store.Events(t.Context(), r.ID, dsr.RequestChain); err != nil || len(chain) != 1 || chain[0].Kind != dsr.EventReceived {
			t.Errorf("its chain is %+v, %v", chain, err)
		}
	}
	slices.Sort(got)
	want := []string{
		"2029-11-03 app claims study_groups [email(proved) account_id(system_of_record)]",
		"2033-11-03 app us_tax_records payments+course_progress [email(proved) account_id(system_of_record)]",
		"2033-11-03 stripe us_tax_records charge [email(proved) stripe_customer(system_of_record)]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("planned\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if n := s.count(dsr.EventDeferred); n != 1 {
		t.Errorf("%d events tell of it, want one", n)
	}
	for range 3 { // a sweep that was cut before it recorded what it planned
		s.change(func(r *ledger.Request) { r.DeferredAt = time.Time{} })
		s.at(3 * hour)
	}
	if n := len(s.waiting()); n != 3 {
		t.Errorf("%d envelopes after three more sweeps, want 3", n)
	}
	s.at(20 * day)
	if s.request().KeyDestroyedAt.IsZero() {
		t.Error("the person's key is still there")
	}
	if len(s.machine.started) != 0 {
		t.Errorf("started %v before the day", s.machine.started)
	}
	for _, r := range s.waiting() {
		if len(s.kinds(r.ID)) != 2 {
			t.Error("the envelope cannot be opened any more")
		}
	}
}

// Who withdrew wants nothing erased later either.
func TestNothingIsLeftOfWhatWasWithdrawn(t *testing.T) {
	s := closedWith(t, map[string][]dsr.Outcome{"app": {retained("payments", ground, keptUntil)}})
	s.change(func(r *ledger.Request) { r.Status = dsr.Withdrawn })
	s.at(20 * day)
	if n := len(s.waiting()); n != 0 || s.request().KeyDestroyedAt.IsZero() {
		t.Errorf("%d envelopes, key destroyed at %v", n, s.request().KeyDestroyedAt)
	}
}

// A request that was taken up again and closed anew leaves what it has then.
func TestWhatAReopenedRequestLeavesIsWrittenToo(t *testing.T) {
	s := closedWith(t, map[string][]dsr.Outcome{"app": {{Category: "account", Kind: dsr.Erased, Count: 1}}, "stripe": {retained("charge", ground, keptUntil)}})
	s.at(hour)
	v := withRun(s.visit("app#act"))
	v.Outcomes = append(v.Outcomes, retained("payments", ground, keptUntil))
	if err := s.store.SaveVisit(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	s.change(func(r *ledger.Request) { r.ClosedAt = start.Add(30 * day) })
	s.at(31 * day)
	if n := len(s.waiting()); n != 2 || s.count(dsr.EventDeferred) != 2 {
		t.Errorf("%d envelopes, %d events", n, s.count(dsr.EventDeferred))
	}
}

// A vendor that can erase nothing keeps data on no ground any more: that rings.
func TestWhatStaysAfterItsTimeRings(t *testing.T) {
	s := closedWith(t, map[string][]dsr.Outcome{"stripe": {{Category: "charge", Kind: dsr.Kept, Count: 1, Rule: "charge_record"}}})
	s.at(hour)
	if s.metric["needs_attention"] != 0 {
		t.Fatal("the person's own request rings")
	}
	s.change(func(r *ledger.Request) { r.Channel, r.DeferredAt = ledger.ChannelDeferral, time.Time{} })
	s.at(2 * hour)
	s.at(3 * hour)
	if n := s.metric["needs_attention"]; n != 1 || !strings.Contains(s.log.String(), "data stay after their time") {
		t.Errorf("rang %d times", n)
	}
}

// Without an envelope no key goes.
func TestKeyStaysWhileTheEnvelopeCannotBeWritten(t *testing.T) {
	s := closedWith(t, map[string][]dsr.Outcome{"app": {retained("payments", ground, "some day")}})
	if out := s.at(30 * day); out.Failed != 1 {
		t.Errorf("%+v", out)
	}
	if r := s.request(); !r.KeyDestroyedAt.IsZero() || len(s.waiting()) != 0 {
		t.Error("the key is gone, or something waits for a day that is none")
	}
}

// books is the app after the account was emptied: payments by account number.
type books struct {
	connector.Base
	rows  map[string]string // payment → account number
	asked []connector.Task
}

func (b *books) find(t connector.Task) (ids []string) {
	b.asked = append(b.asked, t)
	for _, id := range slices.Sorted(maps.Keys(b.rows)) {
		if t.Ended && slices.Contains(t.Values("account_id"), b.rows[id]) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (b *books) Locate(_ context.Context, t connector.Task) (connector.Footprint, error) {
	f := connector.Footprint{Counts: map[string]int{}}
	for _, id := range b.find(t) {
		f.Records = append(f.Records, connector.Record{Kind: "payments", ID: id})
		f.Counts["payments"]++
	}
	return f, nil
}

func (b *books) Erase(_ context.Context, t connector.Task) (connector.Receipt, error) {
	n := 0
	for _, id := range b.find(t) {
		delete(b.rows, id)
		n++
	}
	return connector.Receipt{Outcomes: []dsr.Outcome{{Category: "payments", Kind: dsr.Erased, Count: n}}}, nil
}

func (b *books) ReadBack(_ context.Context, t connector.Task, _ connector.Receipt) (connector.Evidence, error) {
	return connector.Evidence{Remaining: map[string]int{"payments": len(b.find(t))}}, nil
}

// carryOut runs a request through the stages as the machine does, with the app
// as the only system that it may reach.
func (s *stand) carryOut(id dsr.RequestID, app connector.Connector, now time.Time) {
	s.t.Helper()
	ctx, clock := s.t.Context(), func() time.Time { return now }
	descriptors, err := connectors.Descriptors()
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := s.store.Request(ctx, id)
	if err != nil {
		s.t.Fatal(err)
	}
	planner := &plan.Stage{Company: s.stage.Company, Descriptors: descriptors, Ledger: s.store, Keys: s.keys, Hasher: s.keys, Now: clock}
	p, err := planner.Handle(ctx, plan.Input{V: 1, RequestID: id, Run: r.Run})
	if err != nil || p.Decision != plan.Run {
		s.t.Fatalf("planned as %+v, %v", p, err)
	}
	system, _ := s.stage.Company.System("app")
	task := &fanout.Task{
		Company: s.stage.Company, System: system, Descriptor: descriptors["postgres"], Ledger: s.store, Keys: s.keys, Hasher: s.keys, Now: clock, Reserve: time.Second,
		Open: func(context.Context) (connector.Connector, error) { return app, nil },
	}
	s.visitAll(task, id, r.Run, dsr.Gather, p.Gather)
	s.visitAll(task, id, r.Run, dsr.Act, p.Act)
	out, err := (&collect.Stage{Company: s.stage.Company, Ledger: s.store, Now: clock}).Handle(ctx, collect.Input{V: 1, RequestID: id, Run: r.Run})
	if err != nil {
		s.t.Fatal(err)
	}
	if out.Notify {
		subject := &notify.Subject{Company: s.stage.Company, Ledger: s.store, Keys: s.keys, Mail: s.mail, Now: clock, URL: "https://writ.example", Keeps: func(string, string) string { return "" }}
		if _, err := subject.Handle(ctx, notify.Input{V: 1, RequestID: id, Run: r.Run, Notice: notify.NoticeAnswer}); err != nil {
			s.t.Fatal(err)
		}
	}
	s.machine.alive[r.Run] = false
}

func (s *stand) visitAll(task *fanout.Task, id dsr.RequestID, run int, phase dsr.Phase, waves []plan.Wave) {
	s.t.Helper()
	for _, w := range waves {
		if len(w.People) != 0 {
			s.t.Fatalf("people are asked: %+v", w.People)
		}
		for _, v := range w.Visits {
			out, err := task.Handle(s.t.Context(), fanout.Input{V: 1, RequestID: id, Run: run, System: v.System, Phase: phase})
			if err != nil || out.Status != "done" {
				s.t.Fatalf("%s %s: %+v, %v", v.System, phase, out, err)
			}
		}
	}
}

// The whole way: what a ground kept goes on its day, nobody is mailed, and the
// key of the envelope goes with it.
func TestGroundEndsAndWhatItKeptGoes(t *testing.T) {
	s := closedWith(t, map[string][]dsr.Outcome{"app": {retained("payments", ground, keptUntil)}})
	app := &books{rows: map[string]string{"p1": dsrtest.Ada.Phone, "p2": dsrtest.Ada.Phone, "p3": "another"}}
	s.at(20 * day) // the person's own key goes
	child := s.waiting()[0]
	day1 := child.DueAt.Sub(start)
	s.machine.alive = map[int]bool{}
	s.at(day1 - hour)
	if len(s.machine.started) != 0 {
		t.Fatal("started before the day")
	}
	s.at(day1 + 10*time.Minute)
	s.at(day1 + 12*time.Minute)
	if !slices.Equal(s.machine.started, []int{1}) || !s.machine.proved[0] {
		t.Fatalf("started %v, proved %v", s.machine.started, s.machine.proved)
	}
	mails := len(s.mail.All())
	s.carryOut(child.ID, app, start.Add(day1+15*time.Minute))
	if got := slices.Sorted(maps.Keys(app.rows)); !slices.Equal(got, []string{"p3"}) {
		t.Errorf("left are %v, want the other person's p3", got)
	}
	for _, a := range app.asked {
		if !a.Ended {
			t.Error("the system was not told that the ground has ended")
		}
	}
	r, err := s.store.Request(t.Context(), child.ID)
	if err != nil || r.Status != dsr.Completed || r.KeyDestroyedAt.Equal(start) {
		t.Fatalf("%s, %v", r.Status, err)
	}
	visits, _ := s.store.Visits(t.Context(), child.ID)
	for _, v := range visits {
		for _, o := range v.Outcomes {
			if v.Phase == dsr.Act && (v.System != "app" || o.Kind != dsr.Erased || o.Category != "payments" || o.Count != 2) {
				t.Errorf("%s: %+v", v.Task(), o)
			}
		}
	}
	s.at(day1 + 2*hour)
	if r, _ = s.store.Request(t.Context(), child.ID); r.KeyDestroyedAt.IsZero() || len(r.HeadMACs) == 0 {
		t.Error("the envelope's key is still there")
	}
	if _, err := s.store.Subject(t.Context(), child.ID); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("its person can still be read: %v", err)
	}
	if len(s.mail.All()) != mails || len(s.waiting()) != 0 {
		t.Errorf("%d mails, %d still waiting", len(s.mail.All())-mails, len(s.waiting()))
	}
}

// What a hold stopped waits for its end, goes on by itself, and its person is
// told, though the request's own key is gone long since.
func TestLiftedHoldReopensWhatItStopped(t *testing.T) {
	s := closedWith(t, map[string][]dsr.Outcome{"app": {connector.Held("payments", 2)}})
	hash, err := s.keys.Hash(t.Context(), "identity", dsrtest.Ada.Email)
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{ledger.HoldOnRequest(s.id), ledger.HoldOnSubject(hash), ledger.HoldOnCategory("payments")}
	for _, key := range keys {
		if err := s.store.PlaceHold(t.Context(), ledger.Hold{Key: key, Reason: "a claim", By: "counsel", At: start}); err != nil {
			t.Fatal(err)
		}
	}
	s.machine.alive = map[int]bool{}
	for i, key := range keys {
		s.at(time.Duration(20+i) * day)
		if len(s.machine.started) != 0 || len(s.waiting()) != 1 {
			t.Fatalf("started %v while %s is held", s.machine.started, key)
		}
		if err := s.store.ProposeLift(t.Context(), key, ledger.DefaultMatter, ledger.Lift{By: "counsel"}); err != nil {
			t.Fatal(err)
		}
		if err := s.store.LiftHold(t.Context(), key, ledger.DefaultMatter, "officer"); err != nil {
			t.Fatal(err)
		}
	}
	child := s.waiting()[0]
	if child.Channel != ledger.ChannelLifted || child.Own() || child.Scope[0].Ground != "" {
		t.Errorf("waits as %+v", child)
	}
	s.at(30 * day)
	r, err := s.store.Request(t.Context(), child.ID)
	if err != nil || r.Status != dsr.Running || len(r.Holds) != 0 || !slices.Equal(s.machine.started, []int{1}) {
		t.Fatalf("%s, holds %v, started %v, %v", r.Status, r.Holds, s.machine.started, err)
	}
	if !r.DueAt.After(start.Add(30 * day)) {
		t.Errorf("due on %v: its clock starts with it", r.DueAt)
	}
	app := &account{}
	s.carryOut(child.ID, app, start.Add(30*day+hour))
	if r, _ = s.store.Request(t.Context(), child.ID); r.Status != dsr.Completed || !app.erased {
		t.Errorf("%s, erased %v", r.Status, app.erased)
	}
	if n := len(s.mail.To(dsrtest.Ada.Email)); n != 1 {
		t.Errorf("the person got %d mails, want one", n)
	}
}

// closedAccount is the app with an account whose period is over.
type closedAccount struct {
	connector.Base
	erased []string // categories that were asked to go
}

func (a *closedAccount) Locate(_ context.Context, t connector.Task) (connector.Footprint, error) {
	who := dsr.Identity{Kind: dsr.Email, Value: dsrtest.Ada.Email, Origin: dsr.SystemOfRecord}
	switch {
	case t.Expired != nil && t.Expired.Category == "account" && a.erased == nil:
		return connector.Footprint{People: []connector.Overdue{{Identities: []dsr.Identity{who}, Since: t.Expired.Before.AddDate(0, 0, -1)}}}, nil
	case t.Expired != nil || a.erased != nil || !slices.Contains(t.Emails(), dsrtest.Ada.Email):
		return connector.Footprint{}, nil
	}
	return connector.Footprint{Records: []connector.Record{{Kind: "accounts", ID: "1"}}, Counts: map[string]int{"account": 1, "payments": 4}}, nil
}

func (a *closedAccount) Erase(_ context.Context, t connector.Task) (connector.Receipt, error) {
	a.erased = t.Categories
	return connector.Receipt{Outcomes: []dsr.Outcome{{Category: "account", Kind: dsr.Anonymised, Count: 1}}}, nil
}

func (a *closedAccount) ReadBack(context.Context, connector.Task, connector.Receipt) (connector.Evidence, error) {
	return connector.Evidence{}, nil
}

// The whole way of a period that is over: listed, started, disposed of in that
// category alone, nobody mailed, the key gone; and a hold stops it like any other.
func TestExpiredAccountIsDisposedOf(t *testing.T) {
	for _, heldBack := range []bool{false, true} {
		s := newStand(t, func(r *ledger.Request) { r.Status, r.ClosedAt, r.KeyDestroyedAt = dsr.Completed, start, start })
		app := &closedAccount{}
		system, _ := s.stage.Company.System("app")
		lister := &fanout.Expired{
			Company: s.stage.Company, System: system, Descriptor: s.stage.Descriptors["postgres"], Ledger: s.store, Keys: s.keys, Hasher: s.keys,
			Open: func(context.Context) (connector.Connector, error) { return app, nil }, Now: func() time.Time { return start }, Reserve: time.Second,
		}
		if out, err := lister.Handle(t.Context(), fanout.ExpiredInput{V: 1, System: "app", Day: "2026-11-02"}); err != nil || out.Planned != 1 {
			t.Fatalf("listed %+v, %v", out, err)
		}
		hash, err := s.keys.Hash(t.Context(), "identity", dsrtest.Ada.Email)
		if err != nil {
			t.Fatal(err)
		}
		if heldBack {
			if err := s.store.PlaceHold(t.Context(), ledger.Hold{Key: ledger.HoldOnSubject(hash), Reason: "a claim", By: "counsel", At: start}); err != nil {
				t.Fatal(err)
			}
		}
		own := s.waiting()[0]
		s.machine.alive = map[int]bool{}
		s.at(hour)
		s.carryOut(own.ID, app, start.Add(hour+time.Minute))
		s.at(2 * hour)
		r, err := s.store.Request(t.Context(), own.ID)
		if err != nil || r.Status != dsr.Completed || r.KeyDestroyedAt.IsZero() {
			t.Errorf("held %v: %s, key destroyed at %v, %v", heldBack, r.Status, r.KeyDestroyedAt, err)
		}
		want := []string{"account"}
		if heldBack {
			want = nil
		}
		if !slices.Equal(app.erased, want) {
			t.Errorf("held %v: the app was asked to erase %v, want %v", heldBack, app.erased, want)
		}
		if left := s.waiting(); heldBack != (len(left) == 1) {
			t.Errorf("held %v: %d requests wait", heldBack, len(left))
		} else if heldBack && (left[0].Channel != ledger.ChannelRetention || len(left[0].Holds) == 0) {
			t.Errorf("what the hold stopped waits as %+v", left[0])
		}
		if n := len(s.mail.All()); n != 0 {
			t.Errorf("held %v: %d mails", heldBack, n)
		}
	}
}

// account is the app with one payment of Ada's that may go.
type account struct {
	connector.Base
	erased bool
}

func (a *account) Locate(context.Context, connector.Task) (connector.Footprint, error) {
	if a.erased {
		return connector.Footprint{}, nil
	}
	return connector.Footprint{Records: []connector.Record{{Kind: "payments", ID: "p1"}}, Counts: map[string]int{"payments": 1}}, nil
}

func (a *account) Erase(context.Context, connector.Task) (connector.Receipt, error) {
	a.erased = true
	return connector.Receipt{Outcomes: []dsr.Outcome{{Category: "payments", Kind: dsr.Erased, Count: 1}}}, nil
}

func (a *account) ReadBack(context.Context, connector.Task, connector.Receipt) (connector.Evidence, error) {
	return connector.Evidence{}, nil
}
