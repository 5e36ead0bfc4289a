package notice_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/notice"
	"github.com/writ-dsr/writ/shared/notice/readable"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/policy"
)

var update = flag.Bool("update", false, "write the golden files anew")

func write(t *testing.T, kind, lang string, f policy.NoticeFacts, v notice.Values) mail.Message {
	t.Helper()
	l, err := notice.Write(kind, lang, f, v)
	if err != nil {
		t.Fatal(err)
	}
	m, err := l.Message(dsrtest.Ada.Email)
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	return m
}

// Every letter, word for word.
func TestWordsOfEveryKind(t *testing.T) {
	var out bytes.Buffer
	for _, kind := range policy.Notices() {
		m := write(t, kind, "en", facts(kind), values(kind))
		out.WriteString("=== " + kind + " (" + notice.Version(kind) + ")\n" + m.Subject + "\n\n" + m.Text + "\n")
	}
	const golden = "testdata/letters.txt"
	if *update {
		if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("the words changed (run with -update after reading them, and raise the kind's version):\n%s", diff)
	}
}

// A letter whose template changed has another version: the record of what was sent
// names it. The file keeps the digest of each kind's words and parts.
func TestVersionsAreRaised(t *testing.T) {
	var now strings.Builder
	for _, kind := range policy.Notices() {
		fmt.Fprintf(&now, "%s %s %s\n", kind, notice.Version(kind), notice.Digest(kind))
	}
	const golden = "testdata/versions.txt"
	before, err := os.ReadFile(golden)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(before)) {
		was := strings.Fields(line)
		if len(was) == 3 && notice.Version(was[0]) == was[1] && notice.Digest(was[0]) != was[2] {
			t.Errorf("%s has other words or parts and still version %s: raise it in kinds.go, then run with -update", was[0], was[1])
		}
	}
	if t.Failed() {
		return
	}
	if *update {
		if err := os.WriteFile(golden, []byte(now.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(before) != now.String() {
		t.Error("a version was raised or a kind added: run with -update")
	}
}

// Grade 8 is what a letter may ask of its reader.
func TestEveryKindIsPlain(t *testing.T) {
	for _, kind := range policy.Notices() {
		m := write(t, kind, "en", facts(kind), values(kind))
		text, _, _ := strings.Cut(m.Text, "\n-- \n")
		if g := readable.Grade(m.Subject + ".\n" + text); g > 8 {
			t.Errorf("%s has grade %.1f", kind, g)
		} else {
			t.Logf("%s has grade %.1f", kind, g)
		}
	}
}
