package archtest

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// alone are the functions that are a stage by themselves, of one word.
var alone = []string{"desk", "sweep"}

// CheckStages compares the three rooms that speak of stages: each Lambda is
// <stage>-<object> with a package flow/<stage>, each package has a Lambda, and
// what the machine invokes is a folder, in a state of the same name.
func CheckStages(root fs.FS) ([]string, error) {
	functions, err := folders(root, "functions")
	if err != nil {
		return nil, err
	}
	packages, err := folders(root, "shared/flow")
	if err != nil {
		return nil, err
	}
	var all []string
	used := map[string]bool{}
	for _, f := range functions {
		stage, object, _ := strings.Cut(f, "-")
		used[stage] = true
		if object == "" && !slices.Contains(alone, f) {
			all = append(all, fmt.Sprintf("functions/%s: the folder is not <stage>-<object>", f))
		}
		if !slices.Contains(packages, stage) {
			all = append(all, fmt.Sprintf("functions/%s: there is no package shared/flow/%s", f, stage))
		}
		if _, err := fs.Stat(root, path.Join("functions", f, "main.go")); err != nil {
			all = append(all, fmt.Sprintf("functions/%s: it has no main.go", f))
		}
	}
	for _, p := range packages {
		if !used[p] {
			all = append(all, fmt.Sprintf("shared/flow/%s: no Lambda has its word", p))
		}
	}
	invoked, err := machines(root)
	if err != nil {
		return nil, err
	}
	for _, fn := range slices.Sorted(maps.Keys(invoked)) {
		folder := kebab(fn)
		if !slices.Contains(functions, folder) {
			all = append(all, fmt.Sprintf("statemachines: ${%sFn} is no folder of functions (%s)", fn, folder))
		}
		if !slices.Contains(invoked[fn], fn) {
			all = append(all, fmt.Sprintf("statemachines: no state that invokes ${%sFn} is called %s", fn, fn))
		}
	}
	return all, nil
}

func folders(root fs.FS, in string) ([]string, error) {
	entries, err := fs.ReadDir(root, in)
	if err != nil {
		return nil, fmt.Errorf("reading the folders of %s: %w", in, err)
	}
	var all []string
	for _, e := range entries {
		if e.IsDir() {
			all = append(all, e.Name())
		}
	}
	return all, nil
}

var substitution = regexp.MustCompile(`\$\{([A-Z][A-Za-z]*?)Fn(Prefix)?\}`)

// machines maps each function that a definition names, as in ${PlanRequestFn},
// to the states that invoke it.
func machines(root fs.FS) (map[string][]string, error) {
	files, err := fs.Glob(root, "statemachines/*.asl.json")
	if err != nil {
		return nil, fmt.Errorf("listing the machines: %w", err)
	}
	invoked := map[string][]string{}
	for _, file := range files {
		text, err := fs.ReadFile(root, file)
		if err != nil {
			return nil, fmt.Errorf("reading a machine: %w", err)
		}
		var definition any
		if err := json.Unmarshal(text, &definition); err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		invocations(definition, "", invoked)
	}
	return invoked, nil
}

// invocations notes, at any depth, the FunctionName of each state.
func invocations(v any, state string, into map[string][]string) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			states, ok := inner.(map[string]any)
			switch name, _ := inner.(string); {
			case key == "States" && ok:
				for s, body := range states {
					invocations(body, s, into)
				}
			case key == "FunctionName":
				for _, m := range substitution.FindAllStringSubmatch(name, -1) {
					into[m[1]] = append(into[m[1]], state)
				}
			default:
				invocations(inner, state, into)
			}
		}
	case []any:
		for _, inner := range v {
			invocations(inner, state, into)
		}
	}
}

// kebab turns PlanRequest into plan-request.
func kebab(name string) string {
	var b strings.Builder
	for i, r := range name {
		if 'A' <= r && r <= 'Z' {
			if i > 0 {
				b.WriteByte('-')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
