package bundle_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"html"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/export"
	"github.com/writ-dsr/writ/shared/connector/export/exporttest"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/flow/bundle"
	"github.com/writ-dsr/writ/shared/flow/bundle/archive"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/memory"
	"github.com/writ-dsr/writ/shared/policy"
)

const id = dsr.RequestID("waaaaaaaaaaaaaaaaaaaaaaaaa")

var (
	received = time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	settled  = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	now      = time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)
)

// stand is a request whose systems were gathered.
type stand struct {
	t     *testing.T
	store *exporttest.Memory
	*memory.Store
	*bundle.Archive
}

func newStand(t *testing.T, visits ...dsr.Visit) *stand {
	t.Helper()
	company, err := policy.Load("pythonmaster")
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{t: t, store: &exporttest.Memory{}, Store: memory.New()}
	s.Archive = &bundle.Archive{Company: company, Ledger: s.Store, Objects: s.store, Now: func() time.Time { return now }}
	r := ledger.Request{
		ID: id, Company: "pythonmaster", Channel: "form", Status: dsr.Running, Rights: []dsr.Right{dsr.Access}, Country: "DE", Run: 1, VerifiedAt: received, Planned: true,
		Clock: []dsr.ClockEvent{{Kind: dsr.Received, At: received}}, DueAt: now.AddDate(0, 0, 30),
	}
	first := dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventReceived, At: received}
	if err := s.CreateRequest(context.Background(), r, ledger.SealedSubject{RequestID: id, WrappedKey: []byte("k"), Ciphertext: []byte("c")}, first); err != nil {
		t.Fatal(err)
	}
	s.plan(visits...)
	return s
}

func (s *stand) plan(visits ...dsr.Visit) {
	s.t.Helper()
	if err := s.PlanVisits(context.Background(), visits); err != nil {
		s.t.Fatal(err)
	}
}

// gathered is a visit that exported n rows of a category.
func gathered(system, category string, n int) dsr.Visit {
	o := []dsr.Outcome{{Category: category, Kind: dsr.Exported, Count: n}}
	return dsr.Visit{
		RequestID: id, System: system, Phase: dsr.Gather, Ops: []dsr.Op{dsr.Locate, dsr.Export}, Categories: []string{category}, Status: dsr.VisitSettled, SettledAt: settled,
		Steps: map[dsr.Op]dsr.Step{dsr.Locate: {Done: true}, dsr.Export: {Done: true, Outcomes: o}}, Outcomes: o,
	}
}

// manual is a visit that a person answered.
func manual(system, category, answer string, files int) dsr.Visit {
	v := dsr.Visit{
		RequestID: id, System: system, Phase: dsr.Gather, Categories: []string{category}, Manual: true, Status: dsr.VisitSettled, SettledAt: settled,
		Person: &dsr.PersonTask{Assignee: "support_lead", Answer: answer, AnsweredAt: settled, Files: files},
	}
	v.Outcomes = connector.Answered(v)
	return v
}

func (s *stand) rows(prefix, category string, n int) {
	s.t.Helper()
	w := export.NewWriter(s.store, prefix, 0)
	for range n {
		if err := w.Row(context.Background(), category, "rows", json.RawMessage(`{"name":"`+dsrtest.Ada.Name+`"}`)); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := w.Seal(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stand) files(prefix, category string, names ...string) {
	s.t.Helper()
	w := export.NewWriter(s.store, prefix, 0)
	for _, name := range names {
		if err := w.File(context.Background(), category, "uploads", name, strings.NewReader("%PDF-1.7 "+name)); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := w.Seal(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stand) build() (bundle.Output, error) {
	return s.Handle(context.Background(), bundle.Input{V: 1, RequestID: id, Run: 1})
}

// entry returns one file of the copy.
func (s *stand) entry(name string) string {
	s.t.Helper()
	body := s.store.Get("bundles/" + string(id) + "/copy-1.zip")
	r, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		s.t.Fatal(err)
	}
	f, err := r.Open(name)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

func prefix(system string) string { return "exports/" + string(id) + "/" + system }

func TestArchiveTellsEverySystem(t *testing.T) {
	failed := gathered("stripe", "invoice", 0)
	failed.Steps = nil
	failed.Outcomes = []dsr.Outcome{{Category: "invoice", Kind: dsr.Failed, Reason: "invalid"}}
	late := dsr.Visit{RequestID: id, System: "files", Phase: dsr.Gather, Categories: []string{"coursework"}, Status: dsr.VisitPlanned}
	s := newStand(t, gathered("app", "account", 3), failed, late, manual("zendesk", "support", connector.AnswerUploaded, 2),
		manual("paypal", "payments", connector.AnswerNothingHeld, 0), manual("mailchimp", "marketing", connector.AnswerCannot, 0),
		dsr.Visit{RequestID: id, System: "app", Phase: dsr.Act, Status: dsr.VisitPlanned})
	s.rows(prefix("app"), "account", 3)
	s.files(prefix("zendesk"), "support", "a", "b")

	out, err := s.build()
	if err != nil || out != (bundle.Output{V: 1, Files: 1, Rows: 5}) {
		t.Fatalf("built %+v, %v", out, err)
	}
	r, err := s.Request(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	if b := r.Bundle; b == nil || b.Rows != 5 || len(b.Files) != 1 || !b.BuiltAt.Equal(now) || b.Files[0].Key != "bundles/"+string(id)+"/copy-1.zip" {
		t.Errorf("the request has the bundle %+v", r.Bundle)
	}
	var m archive.Manifest
	if err := json.Unmarshal([]byte(s.entry("manifest.json")), &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Systems) != 6 || m.Systems[0].ID != "app" || m.Rows != 3 || m.FileCount != 2 || !m.ReadAt.Equal(settled) || !m.ReceivedAt.Equal(received) {
		t.Errorf("the manifest says %d systems, first %s, %d rows, %d files, read at %s", len(m.Systems), m.Systems[0].ID, m.Rows, m.FileCount, m.ReadAt)
	}
	page := s.entry("index.html")
	for _, want := range []string{"3 records and 2 files from 2 systems", "It could not be read. A person of our team looks into it.", "It could not be read in time.", "found no way to copy it", "Privacy Officer", "collected this by hand", "You may complain", "go to court"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	s.entry("files/zendesk/support/0001.pdf") // its first bytes say what it is
	events, err := s.Events(context.Background(), id, dsr.RequestChain)
	if err != nil || len(events) != 2 || events[1].Kind != dsr.EventBundled {
		t.Fatalf("%d events, %v", len(events), err)
	}
	trail, _ := json.Marshal([]any{events, out, r.Bundle})
	for _, c := range dsrtest.Canaries() {
		if bytes.Contains(trail, []byte(c)) {
			t.Errorf("a personal value is in what the machine and the ledger keep")
		}
	}
}

// Who got the data is named, what never leaves is named and not shown, and Writ's
// own records are told of.
func TestArchiveNamesReceiversAndWhatItWithholds(t *testing.T) {
	told := func(category string) dsr.Outcome { return dsr.Outcome{Category: category, Kind: dsr.Told} }
	refused := func(category, reason string) dsr.Outcome {
		return dsr.Outcome{Category: category, Kind: dsr.Refused, Reason: reason}
	}
	own := dsr.Visit{RequestID: id, System: dsr.Itself, Phase: dsr.Gather, Status: dsr.VisitSettled, SettledAt: received,
		Outcomes: []dsr.Outcome{told(dsr.RequestRecord), told(dsr.SuppressionRow), refused(string(dsr.Portability), policy.ReasonTooOften)}}
	kept := dsr.Visit{RequestID: id, System: "stripe", Phase: dsr.Gather, Status: dsr.VisitSettled, SettledAt: settled,
		Outcomes: []dsr.Outcome{refused("payments", policy.ReasonForbidden), refused("charge", policy.ReasonNotSearchable)}}
	s := newStand(t, gathered("app", "account", 3), own, kept)
	for i, system := range s.Company.Systems {
		if system.ID == "stripe" {
			s.Company.Systems[i].Unsearchable = "Nobody can be found there by name, so GDPR Art. 11 applies."
		}
	}
	s.rows(prefix("app"), "account", 3)
	if _, err := s.build(); err != nil {
		t.Fatal(err)
	}
	page := s.entry("index.html")
	facts := s.Company.Facts(policy.NoticeAccess, policy.Question{Rights: []dsr.Right{dsr.Access}, Place: "DE"})
	if len(facts.Recipients) < 5 {
		t.Fatalf("the pack names %d recipients", len(facts.Recipients))
	}
	want := []string{"Who gets data from us", "Where we looked", "our record of requests", "Nobody can be found there by name, so GDPR Art. 11 applies.",
		"We hold data of this kind and send it to nobody", "We keep a record that you asked", "we keep a code made from your address", facts.Law, facts.Controller}
	for _, r := range facts.Recipients {
		want = append(want, r.Name)
	}
	for _, w := range append(want, facts.Rights...) {
		if !strings.Contains(page, html.EscapeString(w)) && !strings.Contains(page, w) {
			t.Errorf("the page does not say %q", w)
		}
	}
	if strings.Contains(page, "too_often") || strings.Contains(page, ">portability<") {
		t.Error("a refused right stands among the data")
	}
}

func TestArchiveAgainIsTheSameCopy(t *testing.T) {
	s := newStand(t, gathered("app", "account", 3))
	s.rows(prefix("app"), "account", 3)
	if _, err := s.build(); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Change(context.Background(), s.Store, id, func(r *ledger.Request) error {
		r.Bundle.DeliveredAt = now
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	first := s.store.Get("bundles/" + string(id) + "/copy-1.zip")
	s.Now = func() time.Time { return now.AddDate(0, 0, 5) }
	if out, err := s.build(); err != nil || out.Rows != 3 {
		t.Fatalf("built %+v, %v", out, err)
	}
	r, _ := s.Request(context.Background(), id)
	events, _ := s.Events(context.Background(), id, dsr.RequestChain)
	if r.Bundle.DeliveredAt.IsZero() || !r.Bundle.BuiltAt.Equal(now) || len(events) != 2 || !bytes.Equal(first, s.store.Get("bundles/"+string(id)+"/copy-1.zip")) {
		t.Error("the same copy counts as a new one")
	}

	s.plan(gathered("stripe", "invoice", 2)) // what was late arrives
	s.rows(prefix("stripe"), "invoice", 2)
	if out, err := s.build(); err != nil || out.Rows != 5 {
		t.Fatalf("built %+v, %v", out, err)
	}
	r, _ = s.Request(context.Background(), id)
	if !r.Bundle.DeliveredAt.IsZero() || r.Bundle.Rows != 5 {
		t.Errorf("a fuller copy counts as delivered: %+v", r.Bundle)
	}
}

func TestArchiveLeavesStaleRunsAlone(t *testing.T) {
	s := newStand(t, gathered("app", "account", 1))
	s.rows(prefix("app"), "account", 1)
	if out, err := s.Handle(context.Background(), bundle.Input{V: 1, RequestID: id, Run: 2}); err != nil || out != (bundle.Output{V: 1}) {
		t.Errorf("another run built %+v, %v", out, err)
	}
	if _, err := ledger.Change(context.Background(), s.Store, id, func(r *ledger.Request) error { r.Status = dsr.Withdrawn; return nil }); err != nil {
		t.Fatal(err)
	}
	if out, err := s.build(); err != nil || out != (bundle.Output{V: 1}) {
		t.Errorf("a withdrawn request built %+v, %v", out, err)
	}
	if keys := strings.Join(s.store.Keys(), " "); strings.Contains(keys, "bundles/") {
		t.Errorf("left %s", keys)
	}
}

func TestArchiveFailsClosed(t *testing.T) {
	uploaded := func(files int) dsr.Visit { return manual("zendesk", "support", connector.AnswerUploaded, files) }
	both := gathered("app", "account", 2)
	both.Person = &dsr.PersonTask{Answer: connector.AnswerUploaded, Files: 1}
	tests := map[string]struct {
		visit dsr.Visit
		lay   func(*stand)
		want  error
	}{
		"more reported than exported": {gathered("app", "account", 3), func(s *stand) { s.rows(prefix("app"), "account", 2) }, archive.ErrMismatch},
		"another category exported":   {gathered("app", "account", 2), func(s *stand) { s.rows(prefix("app"), "payments", 2) }, archive.ErrMismatch},
		"the export is gone":          {gathered("app", "account", 3), func(*stand) {}, fs.ErrNotExist},
		"a person's file is gone":     {uploaded(2), func(s *stand) { s.files(prefix("zendesk"), "support", "a") }, archive.ErrMismatch},
		"no file of a person":         {uploaded(2), func(*stand) {}, fs.ErrNotExist},
		"files over rows":             {both, func(s *stand) { s.rows(prefix("app"), "account", 2); s.files(prefix("app"), "account", "a") }, archive.ErrMismatch},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, tt.visit)
			tt.lay(s)
			if _, err := s.build(); !errors.Is(err, tt.want) {
				t.Errorf("built with %v, want %v", err, tt.want)
			}
			if r, _ := s.Request(context.Background(), id); r.Bundle != nil {
				t.Error("the request has a bundle")
			}
		})
	}
	s := newStand(t, both)
	s.rows(prefix("app"), "account", 2)
	s.files(export.Uploads(prefix("app")), "account", "a")
	if out, err := s.build(); err != nil || out.Rows != 3 {
		t.Errorf("rows of the API beside a person's file: built %+v, %v", out, err)
	}
}
