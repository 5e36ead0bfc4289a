package archtest_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// guide is a page of the documentation.
type guide struct{ file, text string }

// guides reads every Markdown page of the module.
func guides(t *testing.T, tree fs.FS) []guide {
	t.Helper()
	var all []guide
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == "cdk.out"):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".md":
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		all = append(all, guide{name, string(text)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var (
	mdLink   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	span     = regexp.MustCompile("`([^`\n]+)`")
	ours     = regexp.MustCompile(`^(shared|infra|functions|statemachines|cmd|docs|\.ci)/[A-Za-z0-9_./<>*{},-]+$`)
	blank    = regexp.MustCompile(`<[a-z-]+>`)
	testName = regexp.MustCompile(`\bTest[A-Z][A-Za-z0-9]+\b`)
	testFunc = regexp.MustCompile(`(?m)^func (Test[A-Z][A-Za-z0-9]*)\(`)
	making   = regexp.MustCompile("(?m)(?:`|^ {4}|^)make ([a-z0-9-]+)")
	target   = regexp.MustCompile(`(?m)^([a-z0-9-]+):`)
	running  = regexp.MustCompile("(?:cmd/writ|`writ) ([a-z]+)")
	command  = regexp.MustCompile(`(?m)^\t\tname: +"([a-z]+)"`)
)

// facts are what the guides may speak of.
type facts struct{ tests, targets, commands map[string]bool }

func readFacts(t *testing.T, tree fs.FS) facts {
	t.Helper()
	f := facts{tests: map[string]bool{}, targets: map[string]bool{}, commands: map[string]bool{}}
	note := func(into map[string]bool, found *regexp.Regexp, text []byte) {
		for _, m := range found.FindAllSubmatch(text, -1) {
			into[string(m[1])] = true
		}
	}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && name != ".") {
			return fs.SkipDir
		}
		isTest, isCommand := strings.HasSuffix(name, "_test.go"), path.Dir(name) == "cmd/writ"
		if !isTest && !isCommand && name != "Makefile" {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		switch {
		case isTest:
			note(f.tests, testFunc, text)
		case isCommand:
			note(f.commands, command, text)
		default:
			note(f.targets, target, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// untrue lists what a guide names and the tree does not have.
func untrue(tree fs.FS, g guide, f facts) []string {
	var all []string
	lacks := func(format string, args ...any) { all = append(all, g.file+": "+fmt.Sprintf(format, args...)) }
	for _, m := range mdLink.FindAllStringSubmatch(g.text, -1) {
		to, _, _ := strings.Cut(m[1], "#")
		if to == "" || strings.Contains(to, ":") {
			continue // within the page, or elsewhere
		}
		if _, err := fs.Stat(tree, path.Join(path.Dir(g.file), to)); err != nil {
			lacks("links to %s, which is not there", m[1])
		}
	}
	for _, m := range span.FindAllStringSubmatch(g.text, -1) {
		name := strings.TrimSuffix(m[1], "/...")
		if !ours.MatchString(name) {
			continue
		}
		for _, pattern := range braces(blank.ReplaceAllString(name, "*")) {
			if found, err := fs.Glob(tree, strings.TrimSuffix(pattern, "/")); err != nil || len(found) == 0 {
				lacks("names %s, which is not there", m[1])
			}
		}
	}
	for _, name := range testName.FindAllString(g.text, -1) {
		if !f.tests[name] {
			lacks("names the test %s, which is not there", name)
		}
	}
	for _, m := range making.FindAllStringSubmatch(g.text, -1) {
		if !f.targets[m[1]] {
			lacks("says make %s, which is no target", m[1])
		}
	}
	for _, m := range running.FindAllStringSubmatch(g.text, -1) {
		if !f.commands[m[1]] {
			lacks("says writ %s, which is no subcommand", m[1])
		}
	}
	return all
}

// braces writes a{b,c} out as ab and ac.
func braces(s string) []string {
	head, rest, open := strings.Cut(s, "{")
	list, tail, closed := strings.Cut(rest, "}")
	if !open || !closed {
		return []string{s}
	}
	var all []string
	for _, one := range strings.Split(list, ",") {
		all = append(all, braces(head+one+tail)...)
	}
	return all
}

func TestTheGuidesNameWhatIsThere(t *testing.T) {
	tree := os.DirFS(root)
	f := readFacts(t, tree)
	pages := guides(t, tree)
	if len(pages) < 15 || len(f.tests) < 100 || len(f.targets) < 10 || len(f.commands) < 5 {
		t.Fatalf("%d pages, %d tests, %d targets and %d subcommands were found", len(pages), len(f.tests), len(f.targets), len(f.commands))
	}
	for _, g := range pages {
		for _, u := range untrue(tree, g, f) {
			t.Error(u)
		}
	}
}

func TestPlantedUntruths(t *testing.T) {
	tree := fstest.MapFS{
		"shared/flow/plan/plan.go": {Data: []byte("package plan\n")}, "shared/flow/plan/plan_test.go": {Data: []byte("package plan\n\nfunc TestPlan(t *testing.T) {}\n")},
		"Makefile": {Data: []byte("demo:\n\ttrue\n")}, "cmd/writ/check.go": {Data: []byte("var c = command{\n\t\tname:    \"check\",\n}\n")}, "docs/deploy.md": {Data: []byte("# Deploy\n")},
	}
	f := readFacts(t, tree)
	for text, want := range map[string]int{
		"see [deploy](deploy.md#first) and `shared/flow/<stage>`, `shared/flow/plan/{plan,plan_test}.go`, `TestPlan`, `make demo`, `go run ./cmd/writ check`": 0,
		"see [deploy](../deploy.md)":                           1,
		"see `shared/flow/fanout`":                             1,
		"see `shared/flow/plan/{plan,other}.go`":               1,
		"see `TestPlans`":                                      1,
		"run `make demos`":                                     1,
		"    make smoke # and wait":                            1,
		"run `writ requests list` or `go run ./cmd/writ hold`": 2,
	} {
		if got := untrue(tree, guide{"docs/page.md", text}, f); len(got) != want {
			t.Errorf("%s: found %q, want %d", text, got, want)
		}
	}
}

// The table of README.md leads a newcomer from a stage to its code: it names
// every Lambda and every stage, and each state it names is the machine's.
func TestTheReadmeLeadsToEveryStage(t *testing.T) {
	tree := os.DirFS(root)
	readme, err := fs.ReadFile(tree, "README.md")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := fs.ReadFile(tree, "statemachines/request.asl.json")
	if err != nil {
		t.Fatal(err)
	}
	var definition any
	if err := json.Unmarshal(raw, &definition); err != nil {
		t.Fatal(err)
	}
	states := map[string]bool{}
	stateNames(definition, states)
	stages, lambdas := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(string(readme)) {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || !strings.Contains(line, "`shared/flow/") {
			continue
		}
		stages[strings.TrimSpace(cells[1])] = true
		for _, m := range span.FindAllStringSubmatch(cells[3], -1) {
			lambdas[m[1]] = true
		}
		for _, m := range span.FindAllStringSubmatch(cells[5], -1) {
			if !states[m[1]] {
				t.Errorf("README.md names the state %s, which the machine does not have", m[1])
			}
		}
	}
	for folder, got := range map[string]map[string]bool{"functions": lambdas, "shared/flow": stages} {
		entries, err := fs.ReadDir(tree, folder)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, e := range entries {
			if e.IsDir() {
				want = append(want, e.Name())
			}
		}
		if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
			t.Errorf("README.md leads to %v of %s, there are %v", names, folder, want)
		}
	}
}

func stateNames(v any, into map[string]bool) {
	m, ok := v.(map[string]any)
	if !ok {
		return
	}
	for key, inner := range m {
		if states, ok := inner.(map[string]any); ok && key == "States" {
			for name := range states {
				into[name] = true
			}
		}
		stateNames(inner, into)
	}
}

// The guides repeat the transitions that the walk of the machine counts.
func TestTheGuidesRepeatTheWalk(t *testing.T) {
	tree := os.DirFS(root)
	count := func(scenario string) int {
		t.Helper()
		raw, err := fs.ReadFile(tree, "statemachines/testdata/scenarios/"+scenario+"_20_systems.json")
		if err != nil {
			t.Fatal(err)
		}
		var s struct {
			Expect struct {
				Transitions int `json:"transitions"`
			} `json:"expect"`
		}
		if err := json.Unmarshal(raw, &s); err != nil || s.Expect.Transitions == 0 {
			t.Fatalf("%s: %v", scenario, err)
		}
		return s.Expect.Transitions
	}
	access, erasure, both := count("access"), count("erasure"), count("both")
	all := fmt.Sprintf("%d transitions for a copy, %d for an erasure, %d for both", access, erasure, both)
	for file, says := range map[string]string{
		"docs/architecture.md": all, "docs/adr/0003-ids-only-and-one-transition.md": all, "docs/cost.md": fmt.Sprintf("%d transitions to %d over twenty systems", erasure, access),
	} {
		text, err := fs.ReadFile(tree, file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(strings.Fields(string(text)), " "), says) {
			t.Errorf("%s does not say: %s", file, says)
		}
	}
}

// Deploying and operating speak of every input and every alarm of the stack.
func TestTheGuidesNameEveryInputAndAlarm(t *testing.T) {
	tree := os.DirFS(root)
	read := func(file string) string {
		t.Helper()
		text, err := fs.ReadFile(tree, file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, c := range []struct {
		source, guide, says string
		found               *regexp.Regexp
		least               int
	}{
		{"infra/settings.go", "docs/deploy.md", "`%s", regexp.MustCompile(`\bget\("([a-z.]+)"`), 9},
		{"infra/settings.go", "infra/README.md", "`%s", regexp.MustCompile(`\bget\("([a-z.]+)"`), 9},
		{"infra/constructs/watch.go", "docs/operations.md", "`…-%s", regexp.MustCompile(`\bw\.alarm\("([A-Za-z]+)"`), 5},
		{"infra/stack.go", "docs/deploy.md", "`%s", regexp.MustCompile(`\bst\.Output\("([A-Za-z]+)"`), 7},
	} {
		guide, named := read(c.guide), map[string]bool{}
		for _, m := range c.found.FindAllStringSubmatch(read(c.source), -1) {
			named[m[1]] = true
		}
		if len(named) < c.least {
			t.Errorf("%s: %d names were found, want at least %d", c.source, len(named), c.least)
		}
		for name := range named {
			if !strings.Contains(guide, fmt.Sprintf(c.says, name)) {
				t.Errorf("%s does not speak of %s, which %s has", c.guide, name, c.source)
			}
		}
	}
}
