package archive_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/writ-dsr/writ/shared/connector/export"
	"github.com/writ-dsr/writ/shared/connector/export/exporttest"
	"github.com/writ-dsr/writ/shared/flow/bundle/archive"
)

const request = "wabc234"

func input(systems ...archive.System) archive.Input {
	return archive.Input{
		Reference: request, Prefix: "bundles/" + request, ReceivedAt: time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC), At: time.Date(2026, 11, 22, 10, 30, 1, 5, time.UTC),
		Company:    archive.Company{Name: "Python & Master", Officer: "Privacy Officer", Mail: "privacy@company.example", Complain: "Write to us.", Policy: "2024-01-15"},
		Law:        archive.Law{Name: "GDPR", Complain: "You may complain to the authority.", Rights: []string{"You may have it corrected."}},
		Categories: []archive.Category{{ID: "account", Name: "Your account", Why: "To run it.", Basis: "our contract with you", Retention: "3 years", Source: "You gave it.", Received: []string{"Host of shop"}}, {ID: "notes", Name: "Your notes"}},
		Systems:    systems,
	}
}

func system(id string) archive.System {
	return archive.System{ID: id, Name: "The " + id, Source: "From " + id + ".", Exports: []string{"exports/" + request + "/" + id}}
}

type row struct{ category, source, json string }

func write(t testing.TB, store export.Creator, s archive.System, cut int, rows ...row) *export.Writer {
	t.Helper()
	w := export.NewWriter(store, s.Exports[0], 0)
	for i, r := range rows {
		if err := w.Row(context.Background(), r.category, r.source, json.RawMessage(r.json)); err != nil {
			t.Fatal(err)
		}
		if cut > 0 && i%cut == cut-1 {
			if err := w.Seal(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	return w
}

func file(t testing.TB, store export.Creator, s archive.System, next int, names map[string]string) {
	t.Helper()
	w := export.NewWriter(store, s.Exports[0], next)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if err := w.File(context.Background(), "account", "photos", name, strings.NewReader(names[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// unzip reads all ZIPs of a copy, checking each one's sum and each entry's
// against the manifest, and returns entries by name.
func unzip(t testing.TB, m *exporttest.Memory, r archive.Result) (map[string][]byte, archive.Manifest) {
	t.Helper()
	all := map[string][]byte{}
	for _, z := range r.ZIPs {
		body := m.Get(z.Key)
		if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != z.SHA256 || int64(len(body)) != z.Bytes {
			t.Fatalf("%s is not what the result says", z.Key)
		}
		zr, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range zr.File {
			if !fs.ValidPath(f.Name) || all[f.Name] != nil {
				t.Fatalf("entry %q climbs, or is there twice", f.Name)
			}
			rc, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			if all[f.Name], err = io.ReadAll(rc); err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
		}
	}
	var man archive.Manifest
	dec := json.NewDecoder(bytes.NewReader(all["manifest.json"]))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&man); err != nil {
		t.Fatal(err)
	}
	for _, e := range man.Files {
		if sum := sha256.Sum256(all[e.Name]); hex.EncodeToString(sum[:]) != e.SHA256 || int64(len(all[e.Name])) != e.Bytes {
			t.Errorf("%s is not what the manifest says", e.Name)
		}
	}
	if sum := sha256.Sum256(all["index.html"]); hex.EncodeToString(sum[:]) != man.Page {
		t.Error("the page is not what the manifest says")
	}
	extra := 0
	for name := range all {
		if name == "index.html" || strings.HasPrefix(name, "manifest") {
			extra++
		}
	}
	if len(all)-extra != len(man.Files) {
		t.Errorf("%d entries with data, the manifest names %d", len(all)-extra, len(man.Files))
	}
	return all, man
}

func TestCopyHoldsWhatTheExportHolds(t *testing.T) {
	var m exporttest.Memory
	shop, crm := system("shop"), system("crm")
	crm.Outcomes = []archive.Outcome{{Category: "notes", Kind: "attested"}}
	gone := archive.System{ID: "old", Name: "The old one", Outcomes: []archive.Outcome{{Category: "account", Kind: "failed", Says: "It could not be reached."}}}
	empty := archive.System{ID: "none", Name: "The empty one", Outcomes: []archive.Outcome{{Category: "account", Kind: "not_held"}}}
	write(t, &m, shop, 2,
		row{"account", "users", `{"id":1,"name":"Ada","tags":["a","b"]}`}, row{"account", "logins", `{"at":"2026-01-01"}`},
		row{"account", "users", `{"id":2,"city":null,"name":"Ada, \"Q\"\nline"}`}, row{"account", "users", `{"paid":true,"id":-3,"card":"4111 1111 1111 1111"}`})
	w := write(t, &m, crm, 0, row{"notes", "Call notes / 2026", `{"text":"hello"}`}, row{"notes", "call-notes---2026", `{"text":"same path"}`})
	file(t, &m, crm, w.Next(), map[string]string{"../../etc/passwd": "\x00not", "me.JPG": "jpeg", "page.html": "<script>"})

	r, err := archive.Build(context.Background(), input(shop, crm, gone, empty), &m, &m)
	if err != nil {
		t.Fatal(err)
	}
	if r.Rows != 6 || r.Files != 3 || len(r.ZIPs) != 1 || r.ZIPs[0].Key != "bundles/"+request+"/copy-1.zip" {
		t.Errorf("result is %+v", r)
	}
	all, man := unzip(t, &m, r)
	if got := string(all["data/shop/account/users.json"]); got != "[\n{\"id\":1,\"name\":\"Ada\",\"tags\":[\"a\",\"b\"]},\n{\"id\":2,\"city\":null,\"name\":\"Ada, \\\"Q\\\"\\nline\"},\n{\"paid\":true,\"id\":-3,\"card\":\"[withheld: card number]\"}\n]\n" {
		t.Errorf("JSON is %s", got)
	}
	if got := string(all["data/shop/account/users.csv"]); got != "id,name,tags,city,paid,card\r\n1,Ada,\"[\"\"a\"\",\"\"b\"\"]\",,,\r\n2,\"Ada, \"\"Q\"\"\nline\",,,,\r\n-3,,,,true,[withheld: card number]\r\n" {
		t.Errorf("CSV is %s", got)
	}
	for name, want := range map[string]string{
		"data/crm/notes/call-notes---2026.csv":   "text\r\nhello\r\n",
		"data/crm/notes/call-notes---2026-2.csv": "text\r\nsame path\r\n",
		"files/crm/account/0001.bin":             "\x00not",
		"files/crm/account/0002.jpg":             "jpeg",
		"files/crm/account/0003.bin":             "<script>",
	} {
		if got := string(all[name]); got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
	if man.Rows != 6 || man.FileCount != 3 || !man.Last || len(man.Systems) != 4 || man.Systems[2].Exported || man.Systems[2].Outcomes[0].Outcome != "failed" {
		t.Errorf("the manifest is %+v", man)
	}
	if s := man.Systems[0].Sets[0]; s.Source != "users" || s.Rows != 3 || len(s.Withheld) != 1 || s.Withheld[0].Reason != export.CardNumber || s.Withheld[0].Field != "card" {
		t.Errorf("the set is %+v", s)
	}
	names := ""
	for _, e := range man.Files {
		names += e.Original + " "
	}
	if !strings.Contains(names, "../../etc/passwd") {
		t.Error("the manifest lacks the original name")
	}
	page := text(t, all["index.html"])
	for _, want := range []string{"Python & Master holds: 6 records and 3 files from 2 systems; what is not in it is listed below.", "Host of shop", "our contract with you", "3 years", "You gave it.",
		"It could not be reached.", "The empty one", "1 value that looked like a card number", "You may have it corrected.", "You may complain to the authority.", "privacy@company.example", "../../etc/passwd", "collected this by hand", "22 November 2026"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
}

// text returns what a page shows, and fails on anything a page must not have.
func text(t testing.TB, body []byte) string {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	policy := ""
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		switch n.Type {
		case html.TextNode:
			if n.Parent.Data != "style" {
				shown.WriteString(n.Data)
			}
		case html.ElementNode:
			if slices.Contains([]string{"script", "img", "iframe", "object", "embed", "link", "form", "base", "svg", "video"}, n.Data) {
				t.Errorf("the page has a <%s>", n.Data)
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" {
					t.Errorf("<%s> has %s", n.Data, a.Key)
				}
				if a.Key == "href" && !strings.HasPrefix(a.Val, "#") && !strings.HasPrefix(a.Val, "data/") && !strings.HasPrefix(a.Val, "files/") && !strings.HasPrefix(a.Val, "mailto:") {
					t.Errorf("the page links to %q", a.Val)
				}
				if n.Data == "meta" && a.Key == "content" && strings.Contains(a.Val, "default-src 'none'") {
					policy = a.Val
				}
			}
		}
		for c := range n.ChildNodes() {
			walk(c)
		}
	}
	walk(doc)
	if !strings.Contains(policy, "style-src 'sha256-") {
		t.Errorf("the page's policy is %q", policy)
	}
	return shown.String()
}

func TestRebuiltIsTheSameBytes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var rows []row
	for n := range 20_000 {
		rows = append(rows, row{"account", []string{"users", "logins"}[n%2], fmt.Sprintf(`{"id":%d,"note":"%x"}`, n, rnd.Uint64())})
	}
	var want []byte
	for _, cut := range []int{0, 0, 7000, 999} { // the same twice, then cut otherwise
		var m exporttest.Memory
		shop := system("shop")
		write(t, &m, shop, cut, rows...)
		r, err := archive.Build(context.Background(), input(shop), &m, &m)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Get(r.ZIPs[0].Key); want == nil {
			want = got
		} else if !bytes.Equal(got, want) {
			t.Fatalf("cut at %d: the copy differs", cut)
		}
	}
}

func TestALargeCopyGoesOnInFurtherZIPs(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	noise := func(n int) string { // does not compress
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return hex.EncodeToString(b)
	}
	var rows []row
	for n := range 6000 {
		rows = append(rows, row{"account", "users", fmt.Sprintf(`{"id":%d,"note":%q}`, n, noise(400))})
	}
	photo := noise(2 << 20)
	in := input(system("shop"))
	in.Limit = 2 << 20
	var first exporttest.Memory
	for try := range 3 {
		var m exporttest.Memory
		w := write(t, &m, in.Systems[0], 0, rows...)
		file(t, &m, in.Systems[0], w.Next(), map[string]string{"a.jpg": photo, "b.txt": "small"})
		r, err := archive.Build(context.Background(), in, &m, &m)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.ZIPs) < 4 {
			t.Fatalf("only %d ZIPs", len(r.ZIPs))
		}
		for _, z := range r.ZIPs {
			if z.Bytes > in.Limit {
				t.Errorf("%s has %d bytes, the limit is %d", z.Key, z.Bytes, in.Limit)
			}
			if try > 0 && !bytes.Equal(m.Get(z.Key), first.Get(z.Key)) {
				t.Errorf("try %d: %s differs", try, z.Key)
			}
			if try == 0 {
				first.Put(z.Key, m.Get(z.Key))
			}
		}
		all, man := unzip(t, &m, r)
		sums := map[string]int{}
		joined := ""
		ids := 0
		for _, e := range man.Files {
			sums[e.Kind] += e.Rows
			switch e.Kind {
			case archive.KindJSON:
				var part []struct{ ID int }
				if err := json.Unmarshal(all[e.Name], &part); err != nil || len(part) != e.Rows {
					t.Fatalf("%s: %d rows, %v", e.Name, len(part), err)
				}
				for _, p := range part {
					if p.ID != ids {
						t.Fatalf("%s: row %d is where %d belongs", e.Name, p.ID, ids)
					}
					ids++
				}
			case archive.KindCSV:
				lines, err := csv.NewReader(bytes.NewReader(all[e.Name])).ReadAll()
				if err != nil || len(lines) != e.Rows+1 || lines[0][0] != "id" {
					t.Fatalf("%s: %d lines, %v", e.Name, len(lines), err)
				}
			case archive.KindFile:
				if e.Original == "a.jpg" {
					joined += string(all[e.Name])
				}
			}
		}
		if sums[archive.KindJSON] != 6000 || sums[archive.KindCSV] != 6000 || joined != photo {
			t.Errorf("counted %v, the file joined again is the same: %v", sums, joined == photo)
		}
		if !strings.Contains(text(t, all["index.html"]), fmt.Sprintf("The copy is in %d ZIP files", len(r.ZIPs))) {
			t.Error("the page does not say that there are several ZIPs")
		}
	}
}

func TestFailsClosed(t *testing.T) {
	prefix := system("shop").Exports[0] + "/"
	replace := func(name, old, new string) func(*exporttest.Memory) {
		return func(m *exporttest.Memory) {
			m.Put(prefix+name, bytes.Replace(m.Get(prefix+name), []byte(old), []byte(new), 1))
		}
	}
	tests := map[string]struct {
		break_ func(*exporttest.Memory)
		want   error
	}{
		"a row changed":       {replace("000000-00.ndjson", "Ada", "Eve"), archive.ErrMismatch},
		"a row missing":       {replace("000000-00.ndjson", "{\"id\":2,\"name\":\"Ada\"}\n", ""), archive.ErrMismatch},
		"a row too many":      {replace("000000-00.ndjson", "{", "{}\n{"), archive.ErrMismatch},
		"cut off":             {replace("000000-00.ndjson", "}\n", "}"), archive.ErrMismatch},
		"a wrong count":       {replace("000000.json", `"rows":2`, `"rows":3`), archive.ErrMismatch},
		"a file changed":      {replace("000001-00-f000.bin", "jpeg", "JPEG"), archive.ErrMismatch},
		"an object missing":   {func(m *exporttest.Memory) { m.Delete(prefix + "000000-00.ndjson") }, fs.ErrNotExist},
		"a part missing":      {func(m *exporttest.Memory) { m.Delete(prefix + "000001.json") }, fs.ErrNotExist},
		"the index missing":   {func(m *exporttest.Memory) { m.Delete(prefix + "index.json") }, fs.ErrNotExist},
		"the target refusing": {func(m *exporttest.Memory) { m.Fail = func(string) error { return fs.ErrPermission } }, fs.ErrPermission},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var m exporttest.Memory
			shop := system("shop")
			w := write(t, &m, shop, 0, row{"account", "users", `{"id":1,"name":"Ada"}`}, row{"account", "users", `{"id":2,"name":"Ada"}`})
			file(t, &m, shop, w.Next(), map[string]string{"me.jpg": "jpeg"})
			tt.break_(&m)
			_, err := archive.Build(context.Background(), input(shop), &m, &m)
			if !errors.Is(err, tt.want) {
				t.Errorf("built with %v, want %v", err, tt.want)
			}
			if m.Get("bundles/"+request+"/copy-1.zip") != nil {
				t.Error("an incomplete copy is visible")
			}
			if err != nil && strings.Contains(err.Error(), "Ada") {
				t.Errorf("the error quotes a row: %v", err)
			}
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var m exporttest.Memory
	write(t, &m, system("shop"), 0, row{"account", "users", `{"id":1}`})
	if _, err := archive.Build(ctx, input(system("shop")), &m, &m); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled build gives %v", err)
	}
}

func TestHostileContentIsShownAsText(t *testing.T) {
	var m exporttest.Memory
	shop := system("shop")
	long := strings.Repeat("lang🙂", 60_000)
	values := []string{
		long, `<script>alert(1)</script><img src=x onerror=alert(1)>`, "שלום עולם", "👩‍👩‍👧 🇺🇦 ﷽", "</style></td></table><b>", "{{.Company}}", "a\x00b", "x\u202egnp.exe",
		"=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＠x", " =1+1", "\ufeff=1", "\x00=1", "'quoted", `"=1"`, "a,b;c\td", "javascript:alert(1)",
	}
	for i, v := range values {
		values[i] = v
		body, err := json.Marshal(map[string]string{"value": v, "<i>=k</i>": v})
		if err != nil {
			t.Fatal(err)
		}
		write(t, &m, archive.System{Exports: []string{fmt.Sprintf("exports/x/%d", i)}}, 0, row{"account", "users", string(body)})
		s := shop
		s.ID, s.Exports = fmt.Sprintf("s%d", i), []string{fmt.Sprintf("exports/x/%d", i)}
		r, err := archive.Build(context.Background(), input(s), &m, &m)
		if err != nil {
			t.Fatal(err)
		}
		all, _ := unzip(t, &m, r)
		lines, err := csv.NewReader(bytes.NewReader(all["data/"+s.ID+"/account/users.csv"])).ReadAll()
		if err != nil || len(lines) != 2 || len(lines[1]) != 2 {
			t.Fatalf("%q: CSV reads as %d lines, %v", v, len(lines), err)
		}
		want := strings.ReplaceAll(strings.ReplaceAll(v, "\x00", "\ufffd"), "\r\n", "\n")
		got := lines[1][1]
		if dangerous := i >= 8 && i <= 19; dangerous {
			want = "'" + want
		}
		if got != want {
			t.Errorf("%q reads back as %q", v[:min(len(v), 40)], got[:min(len(got), 40)])
		}
		var back []map[string]string
		if err := json.Unmarshal(all["data/"+s.ID+"/account/users.json"], &back); err != nil || back[0]["value"] != v {
			t.Errorf("%q: JSON does not give the value back: %v", v[:min(len(v), 40)], err)
		}
		page := text(t, all["index.html"])
		if strings.ContainsAny(page, "\u202e\x00") || len(page) > 20_000 {
			t.Errorf("%q: the page shows %d bytes, or reorders", v[:min(len(v), 40)], len(page))
		}
		if short := strings.TrimSpace(v); len(v) < 100 && !strings.ContainsAny(v, "\r\x00\u202e") && !strings.Contains(page, short) {
			t.Errorf("the page does not show %q as text", v)
		}
	}
}

func TestPythonReadsTheCopy(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("python3 is needed: it is the second, independent reader of the copy")
	}
	var m exporttest.Memory
	shop := system("shop")
	w := write(t, &m, shop, 0, row{"account", "users", `{"id":1,"name":"=cmd()","note":"a\"b\r\nc"}`}, row{"account", "users", `{"id":2,"name":"grüße 🙂"}`})
	file(t, &m, shop, w.Next(), map[string]string{"me.jpg": strings.Repeat("x", 100_000)})
	r, err := archive.Build(context.Background(), input(shop), &m, &m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy.zip")
	if err := os.WriteFile(path, m.Get(r.ZIPs[0].Key), 0o600); err != nil {
		t.Fatal(err)
	}
	script := `
import csv, hashlib, io, json, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
m = json.loads(z.read("manifest.json"))
for f in m["files"]:
    assert hashlib.sha256(z.read(f["name"])).hexdigest() == f["sha256"], f
rows = json.loads(z.read("data/shop/account/users.json"))
assert [r["name"] for r in rows] == ["=cmd()", "grüße 🙂"], rows
lines = list(csv.DictReader(io.StringIO(z.read("data/shop/account/users.csv").decode("utf-8"), newline="")))
assert lines[0] == {"id": "1", "name": "'=cmd()", "note": 'a"b\r\nc'}, lines
assert len(z.read("files/shop/account/0001.jpg")) == 100000
print(len(z.namelist()))
`
	out, err := exec.Command(python, "-c", script, path).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "5" {
		t.Errorf("python reads %s, %v", out, err)
	}
}

func TestNothingHeldIsSaid(t *testing.T) {
	var m exporttest.Memory
	shop := system("shop")
	write(t, &m, shop, 0)
	shop.Outcomes = []archive.Outcome{{Category: "account", Kind: "not_held"}}
	r, err := archive.Build(context.Background(), input(shop), &m, &m)
	if err != nil {
		t.Fatal(err)
	}
	all, man := unzip(t, &m, r)
	if len(man.Files) != 0 || !strings.Contains(text(t, all["index.html"]), "holds no data about you in the systems that were searched") {
		t.Errorf("%d files; the page does not say that nothing is held", len(man.Files))
	}
}
