package flow_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/connectors/postgres"
	"github.com/writ-dsr/writ/shared/connectors/stripe"
	"github.com/writ-dsr/writ/shared/connectors/stripe/stripefake"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/collect"
	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/flow/plan"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/ledger/memory"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/platform/pgtest"
	"github.com/writ-dsr/writ/shared/platform/vault"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// company is PythonMaster with its own plan, its database on a real server, its
// payments at the fake of Stripe, and people who answer their tasks: the stages
// that the request machine calls between proof and answer, in its order.
type company struct {
	t       *testing.T
	pack    *policy.Company
	words   map[string]connector.Descriptor
	store   *memory.Store
	keys    *vault.Vault
	mail    *mail.Memory
	fake    *stripefake.Fake
	db      *pgx.Conn
	systems map[string]connector.Connector
	stage   *plan.Stage
	manual  *fanout.Manual
	answer  *fanout.Answer
	collect *collect.Stage
	now     time.Time
	id      dsr.RequestID
	tasks   []string // what people were asked, "<system>: <title>"
}

const theirOfficer = "officer@pythonmaster.example"

// released is the machine, which waits for nobody here: a person answers at once.
type released struct{}

func (released) Release(context.Context, string, any) error { return nil }
func (released) StartRun(context.Context, dsr.RequestID, int, bool) error {
	return nil
}

type counted struct{}

func (counted) Count(string, int) {}

func newCompany(t *testing.T, server *pgtest.Server) *company {
	t.Helper()
	ctx := t.Context()
	c := &company{t: t, store: memory.New(), keys: vault.NewLocal("change"), mail: &mail.Memory{}, fake: stripefake.New(), now: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	c.pack, err = policy.Load("pythonmaster")
	must(err)
	c.words, err = connectors.Descriptors()
	must(err)
	schema, err := os.ReadFile("../../infra/stand/schema.sql")
	must(err)
	name := strings.ToLower(regexp.MustCompile(`\W`).ReplaceAllString(t.Name(), "_"))
	dsn, err := server.Database(ctx, name[max(0, len(name)-60):])
	must(err)
	c.db, err = pgx.Connect(ctx, dsn)
	must(err)
	t.Cleanup(func() { _ = c.db.Close(context.WithoutCancel(ctx)) })
	_, err = c.db.Exec(ctx, string(schema))
	must(err)
	for _, p := range []dsrtest.Person{dsrtest.Ada, dsrtest.Ben} {
		customer := c.fake.Seed(p)
		_, err = c.db.Exec(ctx, `WITH a AS (INSERT INTO accounts (email, name, phone, stripe_customer, created_at) VALUES ($1, $2, $3, $4, now()) RETURNING id),
			p AS (INSERT INTO course_progress (account_id, course, watched, updated_at) SELECT id, 'Testing', 5, now() FROM a)
			INSERT INTO newsletter (email, consent_at) VALUES ($1, now())`, p.Email, p.Name, p.Phone, customer)
		must(err)
	}
	vendor := httptest.NewServer(c.fake)
	t.Cleanup(vendor.Close)
	clock := func() time.Time { return c.now }
	app, _ := c.pack.System("app")
	pg, err := postgres.New(connector.Config{System: "app", Secrets: map[string]string{"dsn": dsn}, Settings: app.Settings, Mapping: app.Raw, Now: clock})
	must(err)
	pay, err := stripe.New(connector.Config{System: "stripe", BaseURL: vendor.URL, Secrets: map[string]string{"api_key": stripefake.Key}, Emulator: true, Now: clock})
	must(err)
	c.systems = map[string]connector.Connector{"app": pg, "stripe": pay}
	log := slog.New(slog.DiscardHandler)
	c.stage = &plan.Stage{Company: c.pack, Descriptors: c.words, Ledger: c.store, Keys: c.keys, Hasher: c.keys, Now: clock}
	c.manual = &fanout.Manual{Company: c.pack, Officer: theirOfficer, Ledger: c.store, Keys: c.keys, Mail: c.mail, Machine: released{}, Now: clock, Log: log, Metric: counted{}, URL: "https://writ.example"}
	c.answer = fanout.NewAnswer(fanout.Answer{Company: c.pack, Descriptors: c.words, Officer: theirOfficer, Ledger: c.store, Keys: c.keys, Hasher: c.keys, Mail: c.mail, Machine: released{}, Runs: released{}, Now: clock, Log: log, URL: "https://writ.example"})
	c.collect = &collect.Stage{Company: c.pack, Ledger: c.store, Now: clock}
	return c
}

// ask records a request of Ada's from Germany, proved by her mailbox and by facts.
func (c *company) ask(proved bool, changes []dsr.Change, rights ...dsr.Right) {
	c.t.Helper()
	c.id = ledger.NewRequestID()
	sealed, err := dossier.Seal(c.t.Context(), c.keys, c.id, dsr.Subject{Language: "en", Changes: changes, Identities: []dsr.Identity{{Kind: dsr.Email, Value: dsrtest.Ada.Email, Origin: dsr.SelfAsserted}}})
	if err != nil {
		c.t.Fatal(err)
	}
	r := ledger.Request{ID: c.id, Company: "pythonmaster", Status: dsr.Running, Rights: rights, Country: "DE", Run: 1, Clock: []dsr.ClockEvent{{Kind: dsr.Received, At: c.now}}, DueAt: c.now.AddDate(0, 0, 30)}
	if proved {
		r.VerifiedAt = c.now
	}
	if err := c.store.CreateRequest(c.t.Context(), r, sealed, dsr.Event{RequestID: c.id, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: c.now}); err != nil {
		c.t.Fatal(err)
	}
}

// run does what one run of the machine does, and returns what collecting says.
func (c *company) run() collect.Output {
	c.t.Helper()
	r, err := c.store.Request(c.t.Context(), c.id)
	if err != nil {
		c.t.Fatal(err)
	}
	out, err := c.stage.Handle(c.t.Context(), plan.Input{V: 1, RequestID: c.id, Run: r.Run})
	if err != nil || out.Decision != plan.Run {
		c.t.Fatalf("planning: %s, %v", out.Decision, err)
	}
	for _, half := range []struct {
		phase dsr.Phase
		waves []plan.Wave
	}{{dsr.Gather, out.Gather}, {dsr.Act, out.Act}} {
		for _, w := range half.waves {
			for _, v := range w.Visits {
				c.visit(r.Run, v.System, half.phase)
			}
			for _, v := range w.People {
				c.person(r.Run, v.System, half.phase, v.Cause)
			}
		}
	}
	told, err := c.collect.Handle(c.t.Context(), collect.Input{V: 1, RequestID: c.id, Run: r.Run})
	if err != nil {
		c.t.Fatalf("collecting: %v", err)
	}
	return told
}

// visit is FanoutTask with the machine's choices after it.
func (c *company) visit(run int, system string, phase dsr.Phase) {
	c.t.Helper()
	s, _ := c.pack.System(system)
	driver, ok := c.systems[system]
	task := &fanout.Task{
		Company: c.pack, System: s, Descriptor: c.words[s.Connector], Ledger: c.store, Keys: c.keys, Hasher: c.keys, Now: func() time.Time { return c.now }, Reserve: time.Second,
		Open: func(context.Context) (connector.Connector, error) {
			if !ok {
				return nil, connector.Unauthorized
			}
			return driver, nil
		},
	}
	for range 9 {
		out, err := task.Handle(c.t.Context(), fanout.Input{V: 1, RequestID: c.id, Run: run, System: system, Phase: phase})
		switch {
		case err != nil:
			c.t.Fatalf("visiting %s to %s: %v", system, phase, err)
		case out.Status == string(connector.Done):
			return
		case out.Status == string(connector.Person):
			c.person(run, system, phase, out.Cause)
		}
	}
	c.t.Fatalf("visiting %s to %s does not end", system, phase)
}

var (
	taskLink  = regexp.MustCompile(`/task\?t=([A-Za-z0-9_-]+)`)
	taskCode  = regexp.MustCompile(`\b[3-9B-Y]{4}-[3-9B-Y]{4}\b`)
	taskTitle = regexp.MustCompile(`<h1[^>]*>([^<]+)</h1>`)
)

// person opens the task and says that it is done.
func (c *company) person(run int, system string, phase dsr.Phase, cause string) {
	c.t.Helper()
	before := len(c.mail.All())
	if _, err := c.manual.Handle(c.t.Context(), fanout.ManualInput{V: 1, RequestID: c.id, Run: run, System: system, Phase: phase, Cause: cause, TaskToken: "wait"}); err != nil {
		c.t.Fatalf("asking a person for %s: %v", system, err)
	}
	all := c.mail.All()
	if len(all) == before {
		return // nobody is asked yet
	}
	link := taskLink.FindStringSubmatch(all[len(all)-1].Text)
	if link == nil {
		return // a mail to a recipient
	}
	c.now = c.now.Add(time.Hour) // so many codes and no more an hour
	post := func(fields ...string) web.Response {
		form := url.Values{"t": {link[1]}}
		for i := 0; i < len(fields); i += 2 {
			form.Set(fields[i], fields[i+1])
		}
		r, err := c.answer.Handle(c.t.Context(), web.Request{Method: "POST", Path: "/task", Form: form})
		if err != nil {
			c.t.Fatal(err)
		}
		return r
	}
	post("step", "send")
	mails := c.mail.All()
	code := taskCode.FindString(mails[len(mails)-1].Text)
	page := string(post("step", "open", "code", code).Body)
	if title := taskTitle.FindStringSubmatch(page); title != nil {
		c.tasks = append(c.tasks, system+": "+title[1])
	}
	if r := post("step", "answer", "code", code, "answer", connector.AnswerDone); r.Status != 200 {
		c.t.Fatalf("answering the task of %s: status %d", system, r.Status)
	}
}

// outcomes are those of the act visits, "<system> <category> <kind>", sorted.
func (c *company) outcomes(systems ...string) []string {
	c.t.Helper()
	visits, err := c.store.Visits(c.t.Context(), c.id)
	if err != nil {
		c.t.Fatal(err)
	}
	var all []string
	for _, v := range visits {
		if v.Phase != dsr.Act || !slices.Contains(systems, v.System) {
			continue
		}
		for _, o := range v.Outcomes {
			if err := o.Validate(); err != nil {
				c.t.Error(err)
			}
			all = append(all, fmt.Sprintf("%s %s %s", v.System, o.Category, o.Kind))
		}
	}
	slices.Sort(all)
	return all
}

// value is one value of the company's database.
func (c *company) value(sql string, args ...any) string {
	c.t.Helper()
	var v string
	if err := c.db.QueryRow(c.t.Context(), "SELECT coalesce(("+sql+")::text, '')", args...).Scan(&v); err != nil {
		c.t.Fatal(err)
	}
	return v
}

func TestRightsThatChangeAndStop(t *testing.T) {
	server, err := pgtest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	const moved = "ada.moved@learner.example"

	t.Run("a name is corrected at once", func(t *testing.T) {
		c := newCompany(t, server)
		c.pack.Receivers = append(c.pack.Receivers,
			policy.Recipient{ID: "partner", Name: "Partner Ltd", Standing: "third_party", Told: true, Mail: "privacy@partner.example", Categories: []string{"account"}},
			policy.Recipient{ID: "printer", Name: "Printer Ltd", Standing: "third_party", Told: true, Where: "its front desk", Categories: []string{"account"}})
		c.ask(true, []dsr.Change{{Field: "name", New: "Ada Corrected"}}, dsr.Rectification)
		if out := c.run(); out.Open != 0 || !out.Notify {
			t.Errorf("collected %+v", out)
		}
		if got := c.outcomes("tell_partner", "tell_printer"); !slices.Equal(got, []string{"tell_partner account told", "tell_printer account told"}) {
			t.Errorf("the recipients: %v", got)
		}
		if m := c.mail.To("privacy@partner.example"); len(m) != 1 || !strings.Contains(m[0].Text, "Ada Corrected") || !strings.Contains(m[0].Text, dsrtest.Ada.Email) {
			t.Errorf("%d notices to the partner", len(m))
		}
		if !slices.Contains(c.tasks, "tell_printer: Tell a recipient") {
			t.Errorf("nobody tells the printer: %v", c.tasks)
		}
		if got := c.outcomes("app", "stripe"); !slices.Contains(got, "app account rectified") || !slices.Contains(got, "stripe payment_profile rectified") {
			t.Errorf("outcomes %v", got)
		}
		if c.value("SELECT name FROM accounts WHERE email = $1", dsrtest.Ada.Email) != "Ada Corrected" || c.fake.Objects(stripefake.Customer)[0]["name"] != "Ada Corrected" {
			t.Error("a system holds the old name")
		}
		if c.value("SELECT name FROM accounts WHERE email = $1", dsrtest.Ben.Email) != dsrtest.Ben.Name || c.fake.Objects(stripefake.Customer)[1]["name"] != dsrtest.Ben.Name {
			t.Error("somebody else was corrected")
		}
		if !slices.ContainsFunc(c.tasks, func(task string) bool { return strings.Contains(task, "Correct the person") }) {
			t.Errorf("no person corrects what has no interface: %v", c.tasks)
		}
	})

	t.Run("a login waits seven days", func(t *testing.T) {
		c := newCompany(t, server)
		c.ask(true, []dsr.Change{{Field: "email", New: moved}}, dsr.Rectification)
		day := c.now.AddDate(0, 0, 7)
		if out := c.run(); out.Open == 0 || slices.ContainsFunc(c.tasks, func(task string) bool { return strings.Contains(task, "Correct") }) {
			t.Errorf("collected %+v, people were asked %v", out, c.tasks)
		}
		visits, err := c.store.Visits(t.Context(), c.id)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range visits {
			for _, o := range v.Outcomes {
				if v.Phase == dsr.Act && o.Kind == dsr.Deferred && (o.Reason != fanout.CoolingOff || !o.DueAt.Equal(day)) {
					t.Errorf("%s waits as %+v, want %s", v.System, o, day)
				}
			}
		}
		if c.value("SELECT count(*) FROM accounts WHERE email = $1", moved) != "0" {
			t.Error("the login changed before its day")
		}
		c.now = day
		if out := c.run(); out.Open != 0 {
			t.Errorf("on its day: collected %+v, %v", out, c.outcomes("app", "stripe", "zendesk", "files"))
		}
		if c.value("SELECT name FROM accounts WHERE email = $1", moved) != dsrtest.Ada.Name || c.fake.Objects(stripefake.Customer)[0]["email"] != moved || c.value("SELECT count(*) FROM newsletter WHERE email = $1", moved) != "1" {
			t.Error("a system holds the old address")
		}
	})

	t.Run("a restriction is a mark or a person's task", func(t *testing.T) {
		c := newCompany(t, server)
		c.ask(true, nil, dsr.Restriction)
		if out := c.run(); out.Open != 0 {
			t.Errorf("collected %+v", out)
		}
		got := c.outcomes("app", "stripe")
		for _, want := range []string{"app account restricted", "app marketing restricted", "app course_progress restricted", "stripe payment_profile attested", "stripe charge attested"} {
			if !slices.Contains(got, want) {
				t.Errorf("outcomes %v lack %q", got, want)
			}
		}
		if c.value("SELECT count(*) FROM accounts WHERE restricted_at IS NOT NULL") != "1" || c.value("SELECT restricted_at FROM newsletter WHERE email = $1", dsrtest.Ada.Email) == "" {
			t.Error("the database has no mark, or somebody else's")
		}
		if !slices.Contains(c.tasks, "stripe: Stop a use of the person&#39;s data") {
			t.Errorf("people were asked %v", c.tasks)
		}
	})

	t.Run("advertising stops without proof", func(t *testing.T) {
		c := newCompany(t, server)
		c.ask(false, nil, dsr.ObjectionMarketing)
		c.run()
		if got := c.outcomes("app"); !slices.Contains(got, "app marketing suppressed") {
			t.Errorf("outcomes %v", got)
		}
		if c.value("SELECT count(*) FROM accounts WHERE marketing_opt_out_at IS NOT NULL") != "1" || c.value("SELECT count(*) FROM newsletter") != "2" {
			t.Error("the mark is missing, or something was erased")
		}
	})
}
