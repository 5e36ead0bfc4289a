package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// sink keeps an export as lines; what was written since the last Save is lost
// when the op dies.
type sink struct {
	lines  []string
	safe   int
	dieAt  int // write that fails, counted from 1; 0 never
	writes int
	onRow  func(row json.RawMessage)
}

var errDies = errors.New("the store is gone")

func (s *sink) Row(_ context.Context, category, source string, row json.RawMessage) error {
	if s.writes++; s.writes == s.dieAt {
		return errDies
	}
	if s.onRow != nil {
		s.onRow(row)
		return nil
	}
	s.lines = append(s.lines, category+" "+source+" "+string(row))
	return nil
}

func (s *sink) File(context.Context, string, string, string, io.Reader) error {
	return errors.New("a table holds no files")
}

// pauser seals at every Save and pauses at those that cut names.
type pauser struct {
	sink   *sink
	cursor string
	saves  int
	cut    func(save int) bool
}

func (p *pauser) Save(_ context.Context, cursor string) error {
	p.saves++
	p.cursor, p.sink.safe = cursor, len(p.sink.lines)
	if p.cut(p.saves) {
		return connector.ErrPause
	}
	return nil
}

// export drives an export to its end, over pauses and deaths.
func export(t testing.TB, c connector.Connector, tk connector.Task, s *sink, cut func(int) bool) (connector.Receipt, *pauser) {
	t.Helper()
	p := &pauser{sink: s, cut: cut}
	tk.Progress = p
	for range 10_000 {
		r, err := c.Export(t.Context(), tk, s)
		switch {
		case err == nil:
			return r, p
		case errors.Is(err, connector.ErrPause), errors.Is(err, errDies):
			s.lines = s.lines[:s.safe]
			tk.Cursor = p.cursor
		default:
			t.Fatalf("exporting: %v", err)
		}
	}
	t.Fatal("the export never ended")
	return connector.Receipt{}, nil
}

func never(int) bool { return false }

// bulk gives Ada's account n answers in one course, and Ben's as many.
func bulk(n int) string {
	return fmt.Sprintf(`INSERT INTO answers (progress_id, body)
		SELECT p.id, 'answer ' || g || ' of ' || a.name FROM generate_series(1, %d) AS g, course_progress AS p JOIN accounts AS a ON a.id = p.account_id
		WHERE p.course = 'Testing'`, n)
}

func TestExportHoldsTheAllowedColumnsOfTheSubjectAlone(t *testing.T) {
	dsn, conn := database(t, learning)
	enrol(t, conn, dsrtest.Ben)
	enrol(t, conn, dsrtest.Ada)
	study(t, conn, dsrtest.Ada, dsrtest.Ben)
	study(t, conn, dsrtest.Ben, dsrtest.Ada)
	c := driver(t, dsn, learningMapping)
	s := &sink{}
	r, _ := export(t, c, found(t, c, dsrtest.Ada), s, never)
	equal(t, "receipt", outcomes(r), sorted("account exported 1; course_progress exported 5; payments exported 2; marketing exported 1; study_groups exported 2"))
	ada := dsrtest.Ada
	want := []string{
		`account accounts {"id":2,"email":"` + ada.Email + `","name":"` + ada.Name + `","phone":"` + ada.Phone + `","created_at":"2026-03-02T09:30:00+00:00"}`,
		`course_progress course_progress {"course":"Testing","score":71}`,
		`course_progress course_progress {"course":"Data frames","score":64}`,
		`course_progress answers {"body":"written by ` + ada.Name + `"}`,
		`course_progress answers {"body":"written by ` + ada.Name + `"}`,
		`course_progress answers {"body":"again ` + ada.Name + `"}`,
		`payments payments {"id":3,"amount_cents":4900,"billing_name":"` + ada.Name + `"}`,
		`payments payments {"id":4,"amount_cents":5900,"billing_name":"` + ada.Name + `"}`,
		`marketing newsletter {"email":"` + ada.Email + `","city":"` + ada.City + `"}`,
		`study_groups study_groups {"owner_note":"Wednesdays suit ` + ada.Name + `"}`,
		`study_groups study_groups {"partner_note":"Fridays suit ` + ada.Name + `"}`,
	}
	equal(t, "export", strings.Join(s.lines, "\n"), strings.Join(want, "\n"))
}

func TestExportCutAnywhereEqualsTheUncutOne(t *testing.T) {
	dsn, conn := database(t, learning)
	enrol(t, conn, dsrtest.Ada)
	enrol(t, conn, dsrtest.Ben)
	exec(t, conn, bulk(730))
	c := driver(t, dsn, learningMapping)
	tk := found(t, c, dsrtest.Ada)
	whole := &sink{}
	r, p := export(t, c, tk, whole, never)
	want := strings.Join(whole.lines, "\n")
	equal(t, "rows", len(whole.lines), 1+2+3+730+2+1)
	equal(t, "receipt", outcomes(r), sorted("account exported 1; course_progress exported 735; payments exported 2; marketing exported 1"))
	if p.saves < 7 {
		t.Fatalf("the export was saved %d times, want 7 or more", p.saves)
	}
	check := func(what string, s *sink, got connector.Receipt) {
		t.Helper()
		equal(t, what+": receipt", outcomes(got), outcomes(r))
		equal(t, what+": same bytes", strings.Join(s.lines, "\n") == want, true)
	}
	all := &sink{}
	got, _ := export(t, c, tk, all, func(int) bool { return true })
	check("cut at every save", all, got)
	for at := 1; at <= p.saves; at++ {
		s := &sink{}
		got, _ := export(t, c, tk, s, func(save int) bool { return save == at })
		check(fmt.Sprintf("cut at save %d", at), s, got)
	}
	for at := 1; at <= len(whole.lines); at += 61 {
		s := &sink{dieAt: at}
		got, _ := export(t, c, tk, s, never)
		check(fmt.Sprintf("died at row %d", at), s, got)
	}
}

func TestExportKeepsHostileContent(t *testing.T) {
	dsn, conn := database(t, `CREATE TABLE notes (id int PRIMARY KEY, email text NOT NULL, body text, doc json, at timestamptz, n numeric, raw bytea, "od""d name" text)`)
	bodies := []string{
		strings.Repeat("é", 250_000), "😀 👩‍👩‍👧", "مرحبا \u202eolleh", `<script>alert("x")</script>`, "=1+1", "a\nb\r\tc", `{"$n": "'; DROP TABLE notes; --"}`, "\u0001\u007f\u2028",
	}
	for i, b := range bodies {
		if _, err := conn.Exec(t.Context(), `INSERT INTO notes VALUES ($1, $2, $3, '{"a":`+"\n"+` [1,`+"\r\n"+`2]}', '2026-03-29T01:30:00Z', 12345678901234567890.10, '\xdeadbeef', 'odd')`, i, dsrtest.Ada.Email, b); err != nil {
			t.Fatal(err)
		}
	}
	exec(t, conn, `ALTER DATABASE `+conn.Config().Database+` SET timezone = 'Asia/Kathmandu'`, `ALTER DATABASE `+conn.Config().Database+` SET bytea_output = 'escape'`)
	c := driver(t, dsn, `
[[table]]
table = "notes"
category = "account"
owner = { column = "email", identity = "email" }
columns = ["body", "doc", "at", "n", "raw", "od\"d name"]
action = "delete"
`)
	s := &sink{}
	export(t, c, found(t, c, dsrtest.Ada), s, never)
	equal(t, "rows", len(s.lines), len(bodies))
	for i, line := range s.lines {
		row := strings.TrimPrefix(line, "account notes ")
		var got struct {
			Body string          `json:"body"`
			Doc  json.RawMessage `json:"doc"`
			At   string          `json:"at"`
			N    json.Number     `json:"n"`
			Raw  string          `json:"raw"`
		}
		if err := json.Unmarshal([]byte(row), &got); err != nil {
			t.Fatalf("row %d is no JSON: %v", i, err)
		}
		equal(t, "body unchanged", got.Body == bodies[i], true)
		equal(t, "at", got.At, "2026-03-29T01:30:00+00:00")
		equal(t, "n", got.N.String(), "12345678901234567890.10")
		equal(t, "raw", got.Raw, `\xdeadbeef`)
		equal(t, "a name with a quote", strings.Contains(row, `"od\"d name":"odd"`), true)
		var doc map[string][]int
		if err := json.Unmarshal(got.Doc, &doc); err != nil || len(doc["a"]) != 2 {
			t.Errorf("row %d: the document changed: %s", i, got.Doc)
		}
	}
	r, err := c.Erase(t.Context(), found(t, c, dsrtest.Ada))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "receipt", outcomes(r), fmt.Sprintf("account erased %d", len(bodies)))
}

func TestExportOf100kRowsKeepsMemoryFlat(t *testing.T) {
	dsn, conn := database(t, learning)
	enrol(t, conn, dsrtest.Ada)
	enrol(t, conn, dsrtest.Ben)
	exec(t, conn, bulk(100_000))
	c := driver(t, dsn, learningMapping)
	tk := found(t, c, dsrtest.Ada)
	equal(t, "counted", tk.Footprint.Counts["course_progress"], 100_005)
	if n := len(tk.Footprint.Records); n > 1000 {
		t.Errorf("the footprint names %d records and would not fit an item of the ledger", n)
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	base := heap()
	var most uint64
	rows, bytes := 0, 0
	s := &sink{onRow: func(row json.RawMessage) {
		rows++
		bytes += len(row)
		if rows%5000 == 0 {
			most = max(most, heap())
		}
	}}
	r, _ := export(t, c, tk, s, never)
	equal(t, "receipt", outcomes(r), sorted("account exported 1; course_progress exported 100005; payments exported 2; marketing exported 1"))
	equal(t, "rows", rows, 100_009)
	if grown := int64(most) - int64(base); grown > 4<<20 {
		t.Errorf("the heap grew by %d KiB over %d KiB of rows, want at most 4096", grown>>10, bytes>>10)
	}
}

func BenchmarkExport100k(b *testing.B) {
	dsn, conn := database(b, learning)
	enrol(b, conn, dsrtest.Ada)
	enrol(b, conn, dsrtest.Ben)
	exec(b, conn, bulk(100_000), "ANALYZE")
	c := driver(b, dsn, learningMapping)
	tk := found(b, c, dsrtest.Ada)
	for b.Loop() {
		rows := 0
		export(b, c, tk, &sink{onRow: func(json.RawMessage) { rows++ }}, never)
		if rows != 100_009 {
			b.Fatalf("exported %d rows, want 100009", rows)
		}
	}
}
