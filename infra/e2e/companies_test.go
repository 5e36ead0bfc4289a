//go:build e2e

package e2e

import (
	"html"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/machine"
	"github.com/writ-dsr/writ/shared/policy"
)

// deployed are the stacks beside the suite's own, by company. One is deployed
// after the other: the CDK command's own folders are shared.
var (
	deploying sync.Mutex
	deployed  = map[string]*Suite{}
)

// Of deploys the stack of another company beside the suite's own, once.
func (s *Suite) Of(t testing.TB, company string) *Suite {
	t.Helper()
	pack, err := policy.Load(company)
	if err != nil {
		t.Fatal(err)
	}
	if company == s.Pack.ID {
		return s
	}
	secrets := map[string]string{}
	for _, sys := range pack.Systems {
		if sys.Connector == "postgres" {
			secrets[sys.ID+"/dsn"] = s.Postgres
		}
	}
	deploying.Lock()
	defer deploying.Unlock()
	if of, ok := deployed[company]; ok {
		return of
	}
	other, err := s.Further(t.Context(), company, secrets)
	if err != nil {
		t.Fatal(err)
	}
	deployed[company] = &Suite{
		Stand: other, Pack: pack, Book: other.Ledger(), Stripe: s.Stripe, Staff: s.Staff,
		Machine: machine.New(other.Config, other.Outputs["MachineArn"], time.Now),
	}
	return deployed[company]
}

// forecast is what the pack itself says of a request.
func (s *Suite) forecast(t testing.TB, r ledger.Request) (policy.Resolution, []policy.Expectation) {
	t.Helper()
	descriptors, err := connectors.Descriptors()
	if err != nil {
		t.Fatal(err)
	}
	known := connectors.Capabilities(descriptors)
	resolved, err := s.Pack.Resolve(policy.Question{
		Rights: r.Rights, Place: r.Place(), Events: r.Clock, Plan: r.Plan, Proved: true, Facts: r.Facts,
		Can:   func(sys policy.System, op dsr.Op) bool { return known[sys.Connector].Can(op) },
		Never: func(sys policy.System, op dsr.Op) bool { return known[sys.Connector].Never(op) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return resolved, s.Pack.Expect(resolved.Plan, r.Place(), r.Clock[0].At)
}

// One access and one erasure of each company run by its own pack: its plan, its
// due date, its mails, and for what a ground keeps a task that waits for its
// date and then erases it.
func TestEveryCompany(t *testing.T) {
	for _, c := range []struct{ company, country, plan string }{
		{"learnai", "BE", "individual"},
		{"learningcart", "IE", "account"},
		{"wearelearning", "NO", "creator"},
		{"cambridge-ai", "PL", ""},
		{"pythonmaster", "US", ""},
	} {
		t.Run(c.company, func(t *testing.T) {
			t.Parallel()
			s := suite.Of(t, c.company)
			word := strings.ReplaceAll(c.company, "-", "")
			ask := person.Request{Country: c.country}
			if c.plan != "" {
				ask.More = map[string][]string{"plan": {c.plan}}
			}

			reader := s.Enrol(t, Someone(word+"reader"), Holdings{Courses: 2, Payments: 1, Newsletter: true})
			ask.Rights = []string{"access"}
			copied := s.ends(t, reader, ask)
			_, link := reader.Letter(t, "/download")
			b := Unpack(t, reader.Fetch(t, link))
			s.wantAsForecast(t, copied)
			rows := 0
			for _, category := range s.ofRecord(t).Categories {
				rows += b.Rows(s.ofRecord(t).ID, category)
			}
			if rows != 1+2+1+1 {
				t.Errorf("the copy has %d rows of the company's own database, want the account, 2 courses, 1 payment and the newsletter", rows)
			}
			for _, sys := range s.Pack.Systems {
				for _, name := range sys.Recipients {
					if !strings.Contains(html.UnescapeString(string(b.Files["index.html"])), name) {
						t.Errorf("the copy does not name the recipient %s", name)
					}
				}
			}

			leaver := s.Enrol(t, Someone(word+"leaver"), Holdings{Courses: 2, Payments: 1, Newsletter: true})
			ask.Rights = []string{"erasure"}
			erased := s.ends(t, leaver, ask)
			s.wantAsForecast(t, erased)
			if left := leaver.Rows(t); left["accounts"]+left["course_progress"]+left["newsletter"] != 0 || left["payments"] > 1 {
				t.Errorf("the database still holds %v", left)
			}
			later := s.wantDeferred(t, erased)
			if left := leaver.Rows(t); left["payments"] != 0 && slices.Contains(later, s.ofRecord(t).ID) {
				t.Errorf("after the ground has ended the database still holds %v", left)
			}
		})
	}
}

// ends asks, proves, and waits for the end; every mail on the way is the
// company's own.
func (s *Suite) ends(t *testing.T, l *Learner, ask person.Request) ledger.Request {
	t.Helper()
	compared := s.compares(t, ask)
	if compared {
		ask.More = maps.Clone(ask.More)
		if ask.More == nil {
			ask.More = map[string][]string{}
		}
		ask.More["point_member_since"], ask.More["point_phone"] = []string{"March 2026"}, []string{l.Who.Phone}
	}
	a := l.Ask(t, ask)
	if !strings.Contains(a.Mail.Text, s.Pack.Name) || !strings.Contains(a.Mail.Text, s.Pack.Contacts.Mail) {
		t.Errorf("the challenge names neither %s nor its contact: %s", s.Pack.Name, a.Mail.Text)
	}
	l.ConfirmIt(t, a)
	if compared {
		s.AwaitRequest(t, a.ID, "the officer to be asked", func(r ledger.Request) bool { return r.Status == dsr.NeedsAttention && r.Reason == "proof_decision" })
		status, answer := s.Desk(t, "proof/decide", map[string]any{"request_id": a.ID, "sufficient": true, "reason": "facts_match"})
		if status != http.StatusOK {
			t.Fatalf("deciding on the proof: %d %s", status, answer)
		}
	}
	return s.AwaitStatus(t, a.ID, dsr.Completed)
}

// compares reports whether the pack's law wants facts compared beside the mailbox.
func (s *Suite) compares(t *testing.T, ask person.Request) bool {
	t.Helper()
	var rights []dsr.Right
	for _, r := range ask.Rights {
		rights = append(rights, dsr.Right(r))
	}
	q := policy.Question{Rights: rights, Place: dsr.Place(ask.Country), Events: []dsr.ClockEvent{{Kind: dsr.Received, At: time.Now()}}}
	if plan := ask.More["plan"]; len(plan) > 0 {
		q.Plan = plan[0]
	}
	resolved, err := s.Pack.Resolve(q)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(resolved.Proof, policy.MatchPoints2)
}

// wantAsForecast holds what happened against what the pack said would.
func (s *Suite) wantAsForecast(t *testing.T, r ledger.Request) {
	t.Helper()
	resolved, expected := s.forecast(t, r)
	if (resolved.Decision != policy.DecideRun && resolved.Decision != policy.DecideSplit) || !r.DueAt.Equal(resolved.Deadline.DueAt) {
		t.Errorf("the pack decides %s, due %s; the request is due %s", resolved.Decision, resolved.Deadline.DueAt, r.DueAt)
	}
	visits := s.Visits(t, r.ID)
	for _, e := range expected {
		if e.Expects == "" {
			continue
		}
		// What needs no visit stands where the system has none, else among Writ's own.
		var told []dsr.Outcome
		for _, system := range []string{e.System, dsr.Itself} {
			for _, phase := range []dsr.Phase{dsr.Gather, dsr.Act} {
				for _, o := range visits[dsr.Visit{System: system, Phase: phase}.Task()].Outcomes {
					if o.Category == e.Category && (system == e.System || e.Wave == 0) {
						told = append(told, o)
					}
				}
			}
		}
		if !slices.ContainsFunc(told, func(o dsr.Outcome) bool { return asForecast(o, e) }) {
			t.Errorf("%s, %s, %s: %+v; the pack expects %s on %q until %q", e.System, e.Phase, e.Category, told, e.Expects, e.Ground, e.Until)
		}
	}
}

// asForecast reports whether an outcome is what the pack expects of somebody who
// is known everywhere: not every system knows everybody, and a row that others
// need is emptied instead of deleted.
func asForecast(o dsr.Outcome, e policy.Expectation) bool {
	switch {
	case o.Kind == dsr.NotHeld, o.Kind == dsr.Anonymised && e.Expects == dsr.Erased:
		return true
	}
	return o.Kind == e.Expects && o.Ground == e.Ground && (e.Until == "" || o.Until == e.Until)
}

// ofRecord is the company's own database.
func (s *Suite) ofRecord(t *testing.T) policy.System {
	t.Helper()
	i := slices.IndexFunc(s.Pack.Systems, func(sys policy.System) bool { return sys.SystemOfRecord && sys.Connector == "postgres" })
	if i < 0 {
		t.Fatalf("%s has no database of its own", s.Pack.ID)
	}
	return s.Pack.Systems[i]
}

// wantDeferred sees that what a ground keeps has a task of its own that waits
// for the day after, and that the task then erases it. It returns the systems.
func (s *Suite) wantDeferred(t *testing.T, r ledger.Request) (systems []string) {
	t.Helper()
	type part struct{ system, ground, until string }
	owed := map[part]bool{}
	for _, v := range s.Visits(t, r.ID) {
		for _, o := range v.Outcomes {
			if o.Kind == dsr.Retained && v.System != dsr.Itself {
				owed[part{v.System, o.Ground, o.Until}] = true
			}
		}
	}
	if len(owed) == 0 {
		return nil
	}
	s.Sweep(t)
	children := map[part]ledger.Request{}
	err := s.Book.ScheduledRequests(t.Context(), time.Now().AddDate(100, 0, 0), func(child ledger.Request) error {
		if child.Parent == r.ID {
			day := child.DueAt.In(s.Pack.Zone).AddDate(0, 0, -1).Format(time.DateOnly)
			children[part{child.Scope[0].System, child.Scope[0].Ground, day}] = child
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for p := range owed {
		child, ok := children[p]
		if !ok {
			t.Errorf("nothing waits to erase what %s keeps on %s until %s; there is %v", p.system, p.ground, p.until, children)
			continue
		}
		s.Change(t, child.ID, func(child *ledger.Request) { child.DueAt = time.Now().Add(-time.Hour) })
	}
	s.Sweep(t)
	for p, child := range children {
		systems = append(systems, p.system)
		s.AwaitStatus(t, child.ID, dsr.Completed)
		for _, v := range s.Visits(t, child.ID) {
			for _, o := range v.Outcomes {
				if v.System == p.system && v.Phase == dsr.Act && o.Kind != dsr.Erased && o.Kind != dsr.Anonymised && o.Kind != dsr.Attested {
					t.Errorf("after its ground has ended, %s reports %+v", p.system, o)
				}
			}
		}
	}
	return systems
}
