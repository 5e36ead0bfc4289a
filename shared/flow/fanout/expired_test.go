package fanout_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/ledger/memory"
	"github.com/writ-dsr/writ/shared/platform/vault"
)

// archive lists, by category, people in pages; a category that it does not have
// is unsupported.
type archive struct {
	connector.Base
	people map[string][]connector.Overdue
	asked  []connector.Expired
	fails  error
}

func (a *archive) Locate(_ context.Context, t connector.Task) (connector.Footprint, error) {
	a.asked = append(a.asked, *t.Expired)
	all, there := a.people[t.Expired.Category]
	if a.fails != nil {
		return connector.Footprint{}, a.fails
	}
	if !there {
		return connector.Footprint{}, &connector.Error{Kind: connector.Unsupported, Op: dsr.Locate, Err: errors.New("no date to count from")}
	}
	from := 0
	if t.Expired.After != "" {
		fmt.Sscan(t.Expired.After, &from)
	}
	to := min(from+t.Expired.Limit, len(all))
	f := connector.Footprint{People: all[from:to]}
	if to < len(all) {
		f.Next = fmt.Sprint(to)
	}
	return f, nil
}

type listing struct {
	*fanout.Expired
	store *memory.Store
	keys  *vault.Vault
	app   *archive
	now   time.Time
}

func newListing(t *testing.T) *listing {
	t.Helper()
	company, err := pack()
	if err != nil {
		t.Fatal(err)
	}
	descriptors, err := connectors.Descriptors()
	if err != nil {
		t.Fatal(err)
	}
	system, _ := company.System("app")
	l := &listing{store: memory.New(), keys: vault.NewLocal("expired"), app: &archive{people: map[string][]connector.Overdue{}}, now: start}
	l.Expired = &fanout.Expired{
		Company: company, System: system, Descriptor: descriptors["postgres"], Ledger: l.store, Keys: l.keys, Hasher: l.keys,
		Open: func(context.Context) (connector.Connector, error) { return l.app, nil }, Now: func() time.Time { return l.now }, Reserve: time.Minute,
	}
	return l
}

func (l *listing) list(ctx context.Context, t *testing.T) fanout.ExpiredOutput {
	t.Helper()
	out, err := l.Handle(ctx, fanout.ExpiredInput{V: 1, System: "app", Day: "2026-11-02"})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (l *listing) waiting(t *testing.T) (all []ledger.Request) {
	t.Helper()
	if err := l.store.ScheduledRequests(t.Context(), time.Time{}, func(r ledger.Request) error { all = append(all, r); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func overdue(address, since string) connector.Overdue {
	day, _ := time.Parse(time.DateOnly, since)
	return connector.Overdue{Identities: []dsr.Identity{{Kind: dsr.Email, Value: address, Origin: dsr.SystemOfRecord}}, Since: day}
}

// Accounts go three years after they were closed, the newsletter two years
// after its reader was last there: the company's own promise.
func TestEachPersonWhoseTimeIsOverGetsOneRequest(t *testing.T) {
	l := newListing(t)
	l.app.people["account"] = []connector.Overdue{overdue(dsrtest.Ada.Email, "2023-11-01")}
	l.app.people["marketing"] = []connector.Overdue{overdue(dsrtest.Ada.Email, "2024-11-01"), overdue(dsrtest.Ben.Email, "2024-10-01")}
	for i, want := range []fanout.ExpiredOutput{{V: 1, System: "app", Day: "2026-11-02", People: 3, Planned: 3}, {V: 1, System: "app", Day: "2026-11-02", People: 3}} {
		if got := l.list(t.Context(), t); got != want {
			t.Errorf("listing %d: %+v, want %+v", i+1, got, want)
		}
	}
	before := map[string]string{}
	for _, x := range l.app.asked {
		before[x.Category] = x.Before.Format(time.DateOnly)
	}
	if before["account"] != "2023-11-02" || before["marketing"] != "2024-11-02" || before["payments"] > "2019-11-02" {
		t.Errorf("expired is what is dated before %v", before)
	}
	scopes := map[string]int{}
	for _, r := range l.waiting(t) {
		if r.Channel != ledger.ChannelRetention || !r.VerifiedAt.IsZero() || r.DueAt.After(start) || len(r.Scope) != 1 || r.Scope[0].System != "app" || r.Ended("app") {
			t.Errorf("planned as %+v", r)
		}
		if _, err := dsr.ParseRequestID(string(r.ID)); err != nil {
			t.Errorf("its id is %q: %v", r.ID, err)
		}
		d, err := dossier.Open(t.Context(), l.store, l.keys, r.ID)
		if err != nil || len(d.Subject.Identities) != 1 || d.Subject.Name != "" {
			t.Errorf("sealed is %v, %v", d.Subject.Identities, err)
		}
		scopes[strings.Join(r.Scope[0].Categories, "+")]++
	}
	if fmt.Sprint(scopes) != "map[account:1 marketing:2]" {
		t.Errorf("planned %v", scopes)
	}
	// Who came back and whose time is over once more has another date.
	l.app.people["account"][0] = overdue(dsrtest.Ada.Email, "2023-11-02")
	if got := l.list(t.Context(), t); got.Planned != 1 {
		t.Errorf("%+v: a later expiry is a new one", got)
	}
	if text := fmt.Sprintf("%+v", l.store); strings.Contains(text, "canary") {
		t.Error("the ledger names somebody in clear")
	}
}

func TestListingGoesPageByPageAndStopsInTime(t *testing.T) {
	l := newListing(t)
	for i := range 450 {
		l.app.people["marketing"] = append(l.app.people["marketing"], overdue(fmt.Sprintf("p%d@learner.example", i), "2024-01-01"))
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(time.Hour))
	defer cancel()
	deadline, _ := ctx.Deadline()
	created := 0
	l.Now = func() time.Time { // the time is up after a hundred people
		if created++; created > 200 {
			return deadline
		}
		return start
	}
	out := l.list(ctx, t)
	if !out.More || out.Planned == 0 || out.Planned >= 450 {
		t.Fatalf("%+v", out)
	}
	l.Now = func() time.Time { return start }
	if again := l.list(ctx, t); again.More || again.People != 450 || again.Planned != 450-out.Planned || len(l.waiting(t)) != 450 {
		t.Errorf("%+v after %+v, %d waiting", again, out, len(l.waiting(t)))
	}
}

func TestListingRefusesWhatItCannotDo(t *testing.T) {
	l := newListing(t)
	for name, in := range map[string]fanout.ExpiredInput{
		"another system": {V: 1, System: "stripe", Day: "2026-11-02"},
		"no day":         {V: 1, System: "app", Day: "today"},
	} {
		if _, err := l.Handle(t.Context(), in); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	l.app.fails = &connector.Error{Kind: connector.Unavailable, Op: dsr.Locate, Err: errors.New("no answer")}
	if _, err := l.Handle(t.Context(), fanout.ExpiredInput{V: 1, System: "app", Day: "2026-11-02"}); connector.KindOf(err) != connector.Unavailable {
		t.Errorf("a system that does not answer: %v", err)
	}
	l.Descriptor.Lists = false
	if out := l.list(t.Context(), t); out.People != 0 {
		t.Errorf("a system that cannot list: %+v", out)
	}
}

// The two payloads of the function are told apart by their day.
func TestPayloadsAreToldApart(t *testing.T) {
	visit, err := os.ReadFile("../../../functions/fanout-task/event.json")
	if err != nil {
		t.Fatal(err)
	}
	list, _ := json.Marshal(fanout.ExpiredInput{V: 1, System: "app", Day: "2026-11-02"})
	if fanout.Lists(visit) || !fanout.Lists(list) || fanout.Lists(json.RawMessage(`x`)) {
		t.Error("a visit is taken for a listing, or a listing for a visit")
	}
}
