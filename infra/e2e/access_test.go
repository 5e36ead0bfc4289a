//go:build e2e

package e2e

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/flow/bundle/archive"
)

// Bundle is a bundle as whoever unpacks it sees it.
type Bundle struct {
	Manifest archive.Manifest
	Files    map[string][]byte // by name
}

// Unpack opens a bundle and holds every file against the manifest.
func Unpack(t testing.TB, file []byte) Bundle {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatalf("opening the bundle: %v", err)
	}
	b := Bundle{Files: map[string][]byte{}}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("reading %s: %v", f.Name, err)
		}
		if _, twice := b.Files[f.Name]; twice {
			t.Errorf("the bundle has %s twice", f.Name)
		}
		b.Files[f.Name] = content
	}
	if err := json.Unmarshal(b.Files["manifest.json"], &b.Manifest); err != nil {
		t.Fatalf("reading the manifest: %v", err)
	}
	if len(b.Files["index.html"]) == 0 {
		t.Error("the bundle has no index.html")
	}
	if len(b.Manifest.Files)+2 != len(b.Files) {
		t.Errorf("the manifest names %d files, the bundle has %d beside index and manifest", len(b.Manifest.Files), len(b.Files)-2)
	}
	for _, e := range b.Manifest.Files {
		content, ok := b.Files[e.Name]
		sum := sha256.Sum256(content)
		if !ok || int64(len(content)) != e.Bytes || hex.EncodeToString(sum[:]) != e.SHA256 {
			t.Errorf("%s is not what the manifest says", e.Name)
		}
	}
	return b
}

// Rows are how many rows and files the manifest counts for a category of a system.
func (b Bundle) Rows(system, category string) (n int) {
	for _, s := range b.Manifest.Systems {
		for _, set := range s.Sets {
			if s.ID == system && set.Category == category {
				n += set.Rows + set.Files
			}
		}
	}
	return n
}

// JSON are the rows of a category of a system, from its JSON files.
func (b Bundle) JSON(t testing.TB, system, category string) (rows []map[string]any) {
	t.Helper()
	for _, e := range b.Manifest.Files {
		if e.System != system || e.Category != category || e.Kind != archive.KindJSON {
			continue
		}
		var part []map[string]any
		if err := json.Unmarshal(b.Files[e.Name], &part); err != nil {
			t.Fatalf("%s: %v", e.Name, err)
		}
		if len(part) != e.Rows {
			t.Errorf("%s has %d rows, the manifest says %d", e.Name, len(part), e.Rows)
		}
		rows = append(rows, part...)
	}
	return rows
}

// CSV are the rows of a category of a system, from its CSV files, by column.
func (b Bundle) CSV(t testing.TB, system, category string) (rows []map[string]string) {
	t.Helper()
	for _, e := range b.Manifest.Files {
		if e.System != system || e.Category != category || e.Kind != archive.KindCSV {
			continue
		}
		lines := readCSV(t, e.Name, b.Files[e.Name])
		if len(lines)-1 != e.Rows {
			t.Errorf("%s has %d rows, the manifest says %d", e.Name, len(lines)-1, e.Rows)
		}
		for _, line := range lines[1:] {
			row := map[string]string{}
			for i, cell := range line {
				row[lines[0][i]] = cell
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func readCSV(t testing.TB, name string, body []byte) [][]string {
	t.Helper()
	lines, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return lines
}

// categoryOf is which data category a table of the company's database holds.
var categoryOf = map[string]string{
	"accounts": "account", "course_progress": "course_progress", "payments": "payments", "newsletter": "marketing", "study_groups": "study_groups",
}

// atStripe is what stripefake.Seed leaves of each category.
var atStripe = map[string]int{"payment_profile": 1, "payment_method": 1, "subscription": 1, "invoice": 1, "charge": 6, "checkout_session": 2}

// wantWhole fails unless a bundle holds all that the systems do about a learner.
func wantWhole(t testing.TB, b Bundle, rows map[string]int, files int) {
	t.Helper()
	want := map[string]int{"files coursework": files}
	for table, n := range rows {
		want["app "+categoryOf[table]] = n
	}
	for category, n := range atStripe {
		want["stripe "+category] = n
	}
	total := 0
	for set, n := range want {
		system, category, _ := strings.Cut(set, " ")
		total += n
		if got := b.Rows(system, category); got != n {
			t.Errorf("%s: the manifest counts %d, the source holds %d", set, got, n)
		}
		if system == "files" {
			continue
		}
		if asJSON, asCSV := len(b.JSON(t, system, category)), len(b.CSV(t, system, category)); asJSON != n || asCSV != n {
			t.Errorf("%s: %d rows as JSON and %d as CSV, the source holds %d", set, asJSON, asCSV, n)
		}
	}
	if got := b.Manifest.Rows + b.Manifest.FileCount; got != total {
		t.Errorf("the manifest counts %d in all, the sources hold %d", got, total)
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	partner := suite.Enrol(t, Someone("readerspartner"), Holdings{Courses: 1})
	h := Plenty()
	h.StudiesWith = partner.Email
	l := suite.Enrol(t, Someone("reader"), h)
	untouched := Untouched(t, append(suite.Crowd(t), l, partner)...)
	rows, files := l.Rows(t), l.Files(t)

	id := l.Start(t, "SE", "access")
	r := suite.AwaitStatus(t, id, dsr.Completed)
	letter, link := l.Letter(t, "/download")
	if !strings.Contains(letter.Text, "ready") || !strings.Contains(letter.Text, string(id)) {
		t.Errorf("the mail does not open with the answer: %q", letter.Text)
	}
	for _, m := range l.Letters(t) {
		if len(m.Attachments) > 0 {
			t.Errorf("the mail %q has attachments: the data goes through the download alone", m.Subject)
		}
	}
	b := Unpack(t, l.Fetch(t, link))
	wantWhole(t, b, rows, files)
	if b.Manifest.Reference != string(id) || !b.Manifest.Last {
		t.Errorf("the manifest is of %q, last %v", b.Manifest.Reference, b.Manifest.Last)
	}
	for _, row := range b.JSON(t, "app", "account") {
		if row["email"] != l.Email || row["name"] != l.Who.Name {
			t.Error("the account in the bundle is not the person's")
		}
	}
	for name, content := range b.Files {
		if bytes.Contains(content, []byte(partner.Email)) {
			t.Errorf("%s holds the partner's address", name)
		}
	}
	for _, s := range suite.Pack.Systems {
		if !bytes.Contains(b.Files["index.html"], []byte(strings.ReplaceAll(s.Name, "'", "&#39;"))) {
			t.Errorf("index.html does not tell of %s", s.Name)
		}
	}
	if len(r.Bundle.Files) != 1 || r.Bundle.DeliveredAt.IsZero() || !r.Bundle.Due.Equal(r.Bundle.DeliveredAt.Add(14*24*time.Hour)) {
		t.Errorf("the bundle's record: %+v", r.Bundle)
	}
	untouched()
}

// The link of the mail alone gives nothing away: the code is the person's, works
// once and for this link, and the storage's own link ends after five minutes.
func TestDownloadNeedsTheSecondCode(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("fetcher"), Holdings{Courses: 1})
	other := suite.Enrol(t, Someone("otherfetcher"), Holdings{Courses: 1})
	id, otherID := l.Start(t, "", "access"), other.Start(t, "", "access")
	_, link := l.Letter(t, "/download")
	_, otherLink := other.Letter(t, "/download")
	suite.AwaitStatus(t, id, dsr.Completed)
	suite.AwaitStatus(t, otherID, dsr.Completed)

	typed := func(asked *person.Page, code string) *person.Page {
		t.Helper()
		page, err := press(t.Context(), asked, "code", map[string]string{"code": code})
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	send := func(p *Learner, link string) (*person.Page, string) {
		t.Helper()
		page, err := p.Browser.Get(t.Context(), link)
		if err != nil {
			t.Fatal(err)
		}
		asked, err := press(t.Context(), page, "step", map[string]string{"step": "send"})
		if err != nil {
			t.Fatal(err)
		}
		code, err := p.Code(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return asked, code
	}
	asked, code := send(l, link)
	_, otherCode := send(other, otherLink)
	for what, wrong := range map[string]string{"another person's code": otherCode, "an invented code": "AAAA-AAAA", "no code": "", "blanks": "    "} {
		if page := typed(asked, wrong); page.Status != http.StatusBadRequest || page.Header.Get("Location") != "" {
			t.Errorf("%s: got %d, want 400 and no way on", what, page.Status)
		}
	}
	page := typed(asked, strings.ToLower(strings.ReplaceAll(code, "-", " ")))
	if page.Status != http.StatusSeeOther {
		t.Fatalf("the right code, typed in its own way: got %d %q", page.Status, page.Heading())
	}
	if again := typed(asked, code); again.Status != http.StatusBadRequest {
		t.Errorf("the code used again: got %d, want 400", again.Status)
	}
	location, err := url.Parse(page.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	if ttl, err := strconv.Atoi(location.Query().Get("X-Amz-Expires")); err != nil || ttl != 300 {
		t.Errorf("the storage's link works for %d s, want 300", ttl)
	}
	if file, err := l.Browser.Get(t.Context(), location.String()); err != nil || file.Status != http.StatusOK || !bytes.HasPrefix(file.Body, []byte("PK")) {
		t.Fatalf("the storage's link: %v %v", file, err)
	}
	// Signed for five minutes: an earlier date breaks it, and so does none.
	for what, change := range map[string]func(url.Values){
		"an old date":      func(q url.Values) { q.Set("X-Amz-Date", time.Now().UTC().Add(-time.Hour).Format("20060102T150405Z")) },
		"no signature":     func(q url.Values) { q.Del("X-Amz-Signature") },
		"a longer life":    func(q url.Values) { q.Set("X-Amz-Expires", "86400") },
		"nothing but path": func(q url.Values) { clear(q) },
	} {
		q := location.Query()
		change(q)
		changed := *location
		changed.RawQuery = q.Encode()
		if file, err := l.Browser.Get(t.Context(), changed.String()); err != nil || file.Status == http.StatusOK {
			t.Errorf("%s: the storage gave the file (%v)", what, err)
		}
	}

	asked, code = send(l, link)
	suite.ExpireCode(t, link)
	if page := typed(asked, code); page.Status != http.StatusBadRequest || !strings.Contains(page.Text(), "expired") {
		t.Errorf("an expired code: got %d %q", page.Status, page.Text())
	}
	asked, code = send(l, link)
	for range 5 {
		typed(asked, "AAAA-AAAA")
	}
	if page := typed(asked, code); page.Status != http.StatusBadRequest || !strings.Contains(page.Text(), "too often") {
		t.Errorf("the right code after five wrong ones: got %d %q", page.Status, page.Text())
	}
	suite.Expire(t, link)
	if page, err := l.Browser.Get(t.Context(), link); err != nil || page.Status != http.StatusGone {
		t.Errorf("an expired link: got %d, %v", page.Status, err)
	}
	if n := suite.Request(t, id).Bundle.Downloads; n != 1 {
		t.Errorf("%d downloads are recorded, want 1", n)
	}
	if n := suite.CountEvents(t, id, dsr.RequestChain, dsr.EventDownloaded); n != 1 {
		t.Errorf("%d downloads in the evidence, want 1", n)
	}
	if got := suite.CountEvents(t, otherID, dsr.RequestChain, dsr.EventDownloaded); got != 0 {
		t.Errorf("the other person's bundle was downloaded %d times", got)
	}
}
