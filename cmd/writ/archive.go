package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// manifest is what the check reads of a bundle's manifest.json. It knows nothing
// of the code that wrote it.
type manifest struct {
	Rows  int `json:"rows"`
	Files []struct {
		Name     string `json:"name"`
		Kind     string `json:"kind"`
		System   string `json:"system"`
		Category string `json:"category"`
		Rows     int    `json:"rows"`
		SHA256   string `json:"sha256"`
	} `json:"files"`
}

// holding is one category of data in one system.
type holding struct{ system, category string }

// checkArchive opens a bundle as its reader would and returns what is wrong with
// it: a file that is missing or not what the manifest says, a count that differs
// from what the systems hold, a word of somebody else.
func checkArchive(archive []byte, held map[holding]int, strangers []string) (wrong []string, err error) {
	contents, err := unzip(archive)
	if err != nil {
		return nil, err
	}
	report := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for _, name := range []string{"index.html", "manifest.json"} {
		if len(contents[name]) == 0 {
			report("the bundle has no %s", name)
		}
	}
	var m manifest
	if err := json.Unmarshal(contents["manifest.json"], &m); err != nil {
		return wrong, fmt.Errorf("reading the bundle's manifest: %w", err)
	}
	counted, total := map[holding]int{}, 0
	for _, f := range m.Files {
		body, there := contents[f.Name]
		sum := sha256.Sum256(body)
		switch {
		case !there:
			report("the bundle lacks %s, which its manifest lists", f.Name)
			continue
		case hex.EncodeToString(sum[:]) != f.SHA256:
			report("%s is not what the manifest's SHA-256 says", f.Name)
		}
		h := holding{f.System, f.Category}
		switch f.Kind {
		case "json":
			var rows []json.RawMessage
			if err := json.Unmarshal(body, &rows); err != nil {
				report("%s is no JSON array", f.Name)
			}
			if len(rows) != f.Rows {
				report("%s has %d rows, its manifest says %d", f.Name, len(rows), f.Rows)
			}
			counted[h] += len(rows)
			total += len(rows)
		case "file":
			counted[h]++
		}
	}
	if total != m.Rows {
		report("the bundle has %d rows, its manifest says %d", total, m.Rows)
	}
	for _, h := range slices.SortedFunc(maps.Keys(held), func(a, b holding) int {
		return strings.Compare(a.system+"/"+a.category, b.system+"/"+b.category)
	}) {
		if counted[h] != held[h] {
			report("the bundle has %d of %s in %s, which holds %d", counted[h], h.category, h.system, held[h])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		for _, word := range strangers {
			if bytes.Contains(contents[name], []byte(word)) {
				report("%s holds a word of somebody else", name)
			}
		}
	}
	return wrong, nil
}

func unzip(archive []byte) (map[string][]byte, error) {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("opening the bundle: %w", err)
	}
	contents := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("opening %s in the bundle: %w", f.Name, err)
		}
		body, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, fmt.Errorf("reading %s in the bundle: %w", f.Name, err)
		}
		contents[f.Name] = body
	}
	return contents, nil
}
