package jsii

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const modules = "../../node_modules"

// start runs a real kernel with the constructs library in it.
func start(t *testing.T) *Kernel {
	t.Helper()
	k, err := Start(modules, t.TempDir(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	k.Load("constructs")
	if err := k.Err(); err != nil {
		t.Fatal(err)
	}
	return k
}

func TestObjectsPropertiesAndMethods(t *testing.T) {
	k := start(t)
	root := k.Create("constructs.RootConstruct", "root")
	child := k.Create("constructs.Construct", root, "child")
	node := k.Get(child, "node").Ref()
	if got := k.Get(node, "path").Text(); got != "root/child" {
		t.Errorf("path = %q, want root/child", got)
	}
	k.Invoke(node, "setContext", "limits", Map{"days": 30, "open": true, "tags": []any{"a", "b"}})
	limits, _ := k.Invoke(node, "tryGetContext", "limits").any.(map[string]any)
	if limits["days"] != 30.0 || limits["open"] != true || len(limits["tags"].([]any)) != 2 {
		t.Errorf("context came back as %v", limits)
	}
	if err := k.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestStaticsAndEnums(t *testing.T) {
	k := start(t)
	root := k.Create("constructs.RootConstruct", "root")
	for _, id := range []string{"b", "a"} {
		k.Create("constructs.Construct", root, id)
	}
	node := k.InvokeStatic("constructs.Node", "of", root).Ref()
	if got := k.GetStatic("constructs.Node", "PATH_SEP").Text(); got != "/" {
		t.Errorf("PATH_SEP = %q, want /", got)
	}
	order := func(e Enum) string {
		var ids []string
		all, _ := k.Invoke(node, "findAll", e).any.([]any)
		for _, c := range all {
			ids = append(ids, k.Get(k.Get(Value{c}.Ref(), "node").Ref(), "id").Text())
		}
		return strings.Join(ids, " ")
	}
	if got := order("constructs.ConstructOrder/PREORDER"); got != "root b a" {
		t.Errorf("preorder = %q", got)
	}
	if got := order("constructs.ConstructOrder/POSTORDER"); got != "b a root" {
		t.Errorf("postorder = %q", got)
	}
	if err := k.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestFirstFailureIsKeptAndStopsTheRest(t *testing.T) {
	k := start(t)
	root := k.Create("constructs.RootConstruct", "root")
	k.Create("constructs.Construct", root, "twice")
	if again := k.Create("constructs.Construct", root, "twice"); !again.IsZero() {
		t.Error("a failed call gave an object")
	}
	first := k.Err()
	if first == nil {
		t.Fatal("no error for a name that is taken")
	}
	for _, part := range []string{"creating constructs.Construct", "twice"} {
		if !strings.Contains(first.Error(), part) {
			t.Errorf("%q does not name %q", first, part)
		}
	}
	if strings.Contains(first.Error(), "\n") {
		t.Errorf("the error has several lines: %q", first)
	}
	k.Create("constructs.NoSuchClass")
	if k.Err() != first {
		t.Errorf("a later failure took the first one's place: %v", k.Err())
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(k *Kernel, root Ref)
		want []string
	}{
		"unknown class":    {func(k *Kernel, _ Ref) { k.Create("constructs.Nothing") }, []string{"creating constructs.Nothing"}},
		"unknown method":   {func(k *Kernel, r Ref) { k.Invoke(r, "fly") }, []string{"calling", "fly"}},
		"unknown property": {func(k *Kernel, r Ref) { k.Get(r, "wings") }, []string{"reading", "wings"}},
		"wrong type":       {func(k *Kernel, r Ref) { k.Create("constructs.Construct", r, 7) }, []string{"creating constructs.Construct", "string"}},
		"no object":        {func(k *Kernel, _ Ref) { k.Get(Ref{}, "node") }, []string{"no such object"}},
		"unwritable":       {func(k *Kernel, _ Ref) { k.Create("constructs.RootConstruct", func() {}) }, []string{"writing the call"}},
	} {
		t.Run(name, func(t *testing.T) {
			k := start(t)
			c.do(k, k.Create("constructs.RootConstruct", "root"))
			for _, want := range c.want {
				if k.Err() == nil || !strings.Contains(k.Err().Error(), want) {
					t.Errorf("error %v does not say %q", k.Err(), want)
				}
			}
		})
	}
}

func TestPackagesAreFoundOrNamed(t *testing.T) {
	if _, err := Start(t.TempDir(), t.TempDir(), io.Discard); err == nil || !strings.Contains(err.Error(), "npm ci") {
		t.Errorf("a missing runtime gave %v, want the command that installs it", err)
	}
	k := start(t)
	k.Load("not-there")
	if k.Err() == nil || !strings.Contains(k.Err().Error(), "not-there") || !strings.Contains(k.Err().Error(), "npm ci") {
		t.Errorf("a missing package gave %v", k.Err())
	}
}

// TestArchivesAreSmallAndSteady guards the way a package is loaded: pointers,
// not copies, and the same bytes every time, for they key the kernel's cache.
func TestArchivesAreSmallAndSteady(t *testing.T) {
	cache := t.TempDir()
	read := func(name string) []byte {
		path, version, err := pointer(modules, cache, name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(path, version+".tar") {
			t.Errorf("archive %s does not carry the version %s", filepath.Base(path), version)
		}
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	for _, name := range []string{"constructs", "aws-cdk-lib", "@aws-cdk/asset-awscli-v1"} {
		first := read(name)
		if len(first) > 8<<10 {
			t.Errorf("the archive of %s has %d bytes, want a pointer", name, len(first))
		}
		if !bytes.Equal(first, read(name)) {
			t.Errorf("the archive of %s changed", name)
		}
	}
}

// pretend is a kernel whose process answers these lines and ends.
func pretend(printed string, lines ...string) *Kernel {
	c := &console{to: io.Discard}
	_, _ = io.WriteString(c, printed)
	return &Kernel{
		in:     nopCloser{io.Discard},
		out:    bufio.NewReader(strings.NewReader(strings.Join(lines, "\n") + "\n")),
		wait:   func() error { return nil },
		stderr: c,
	}
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func TestStrangeAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		want   string
	}{
		"callback": {`{"callback":{"cbid":"1"}}`, "callback"},
		"no JSON":  {`<html>`, "reading the kernel's answer"},
		"ended":    {``, "reading the kernel's answer"},
		"fault":    {"{\"error\":\"one\\n   two\"}", "creating x.Y: one two"},
	} {
		t.Run(name, func(t *testing.T) {
			k := pretend("", c.answer)
			k.Create("x.Y")
			if k.Err() == nil || !strings.Contains(k.Err().Error(), c.want) {
				t.Errorf("error %v does not say %q", k.Err(), c.want)
			}
		})
	}
	k := pretend(`{"stderr":"b3V0IG9mIG1lbW9yeQo="}` + "\n")
	_, _ = k.out.ReadString('\n')
	k.Create("x.Y")
	if k.Err() == nil || !strings.Contains(k.Err().Error(), "out of memory") {
		t.Errorf("a kernel that ended gave %v, want what it printed last", k.Err())
	}
	if err := pretend("", `{"hello":"somebody else"}`).greet(); err == nil {
		t.Error("a stranger's greeting was taken")
	}
}

func TestConsoleIsUnwrapped(t *testing.T) {
	var got bytes.Buffer
	c := &console{to: &got}
	for _, piece := range []string{`{"stdout":"aGVs`, `bG8K"}` + "\n" + `{"stderr":"b29wcwo="}` + "\nplain", " words\n"} {
		if n, err := io.WriteString(c, piece); n != len(piece) || err != nil {
			t.Fatalf("writing %q: %d, %v", piece, n, err)
		}
	}
	if want := "hello\noops\nplain words\n"; got.String() != want {
		t.Errorf("console shows %q, want %q", got.String(), want)
	}
	if c.last() != "plain words" {
		t.Errorf("last = %q", c.last())
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		in   any
		want string
	}{{"a", "a"}, {1.0, "1"}, {true, "true"}, {nil, ""}, {map[string]any{}, ""}} {
		if got := (Value{c.in}).Text(); got != c.want {
			t.Errorf("Text of %v = %q, want %q", c.in, got, c.want)
		}
	}
	if !(Value{"text"}).Ref().IsZero() {
		t.Error("a text became an object")
	}
}
