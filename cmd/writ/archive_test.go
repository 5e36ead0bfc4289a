package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
)

// bundle is a small bundle that a planted bug may spoil before it is zipped.
type bundle struct {
	contents map[string]string
	manifest map[string]any
}

func goodBundle() bundle {
	b := bundle{contents: map[string]string{
		"index.html": "<h1>Your copy</h1>", "data/app/account/accounts.json": `[{"id":1}]`,
		"data/app/account/accounts.csv": "id\n1\n", "files/files/coursework/0001.txt": "homework",
	}}
	entry := func(name, kind, system, category string, rows int) map[string]any {
		sum := sha256.Sum256([]byte(b.contents[name]))
		return map[string]any{"name": name, "kind": kind, "system": system, "category": category, "rows": rows, "sha256": hex.EncodeToString(sum[:])}
	}
	b.manifest = map[string]any{"rows": 1, "files": []map[string]any{
		entry("data/app/account/accounts.json", "json", "app", "account", 1),
		entry("data/app/account/accounts.csv", "csv", "app", "account", 1),
		entry("files/files/coursework/0001.txt", "file", "files", "coursework", 0),
	}}
	return b
}

func (b bundle) zip(t *testing.T) []byte {
	t.Helper()
	raw, err := json.Marshal(b.manifest)
	if err != nil {
		t.Fatal(err)
	}
	if b.manifest != nil {
		b.contents["manifest.json"] = string(raw)
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, body := range b.contents {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestCheckArchiveSeesEachFault(t *testing.T) {
	held := map[holding]int{{"app", "account"}: 1, {"files", "coursework"}: 1}
	file := func(b bundle, i int) map[string]any { return b.manifest["files"].([]map[string]any)[i] }
	for name, c := range map[string]struct {
		spoil func(b bundle)
		want  string // "" for a good bundle
	}{
		"good":               {func(bundle) {}, ""},
		"no page":            {func(b bundle) { delete(b.contents, "index.html") }, "no index.html"},
		"a file is missing":  {func(b bundle) { delete(b.contents, "data/app/account/accounts.csv") }, "lacks data/app/account/accounts.csv"},
		"a changed byte":     {func(b bundle) { b.contents["files/files/coursework/0001.txt"] = "Homework" }, "SHA-256"},
		"a wrong row count":  {func(b bundle) { file(b, 0)["rows"] = 2 }, "has 1 rows, its manifest says 2"},
		"a wrong total":      {func(b bundle) { b.manifest["rows"] = 7 }, "manifest says 7"},
		"a category missing": {func(b bundle) { file(b, 0)["category"] = "marketing" }, "0 of account in app, which holds 1"},
		"a stranger's word":  {func(b bundle) { b.contents["index.html"] += "Ben" }, "somebody else"},
	} {
		b := goodBundle()
		c.spoil(b)
		wrong, err := checkArchive(b.zip(t), held, []string{"Ben"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.Join(wrong, "; "); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: reported %q, want %q", name, got, c.want)
		}
	}
	if _, err := checkArchive([]byte("no zip"), held, nil); err == nil {
		t.Error("what is no ZIP passes")
	}
}
