package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGeneratedFilesAreCurrent(t *testing.T) {
	files, err := generate(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range files {
		have, err := os.ReadFile(path)
		if err != nil {
			t.Errorf("%s is missing: run make generate", path)
			continue
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s is stale: run make generate", path)
		}
	}
	if len(files) < 5 {
		t.Errorf("%d files are generated, expected the table, the page and a README for each connector", len(files))
	}
}

func TestWithBlock(t *testing.T) {
	once, err := withBlock([]byte("# x\n\nnotes\n"), []byte("old\n"))
	if err != nil {
		t.Fatal(err)
	}
	twice, err := withBlock(append(once, "after\n"...), []byte("new\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := "# x\n\nnotes\n\n" + begin + "\n\nnew\n\n" + end + "\nafter\n"
	if string(twice) != want {
		t.Errorf("got %q, want %q", twice, want)
	}
	if _, err := withBlock([]byte(begin+"\nno end"), nil); err == nil || !strings.Contains(err.Error(), "end mark") {
		t.Errorf("a block without end: %v", err)
	}
}
