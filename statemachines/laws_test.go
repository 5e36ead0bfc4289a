package statemachines_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/platform/lambdax"
	"github.com/writ-dsr/writ/statemachines"
)

// tree is a definition as plain JSON, so that a law sees what is written and
// not what a decoder kept.
type tree = map[string]any

// law looks at a definition and says what breaks it; nothing is good.
type law struct {
	name  string
	check func(definition tree) []string
	// plants are changes that must each make the law speak: a law that never
	// fails proves nothing.
	plants map[string]func(definition tree)
}

func parse(t *testing.T) tree {
	t.Helper()
	var d tree
	if err := json.Unmarshal(statemachines.Request, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestLaws(t *testing.T) {
	for _, l := range laws(t) {
		t.Run(l.name, func(t *testing.T) {
			for _, broken := range l.check(parse(t)) {
				t.Error(broken)
			}
			if len(l.plants) == 0 {
				t.Error("no defect is planted for this law, so it may never fail")
			}
			for plant, change := range l.plants {
				d := parse(t)
				change(d)
				if len(l.check(d)) == 0 {
					t.Errorf("the law is silent about a planted defect: %s", plant)
				}
			}
		})
	}
}

// each calls visit for every state at every depth.
func each(graph tree, visit func(name string, state tree)) {
	states, _ := graph["States"].(tree)
	for _, name := range slices.Sorted(maps.Keys(states)) {
		state := states[name].(tree)
		visit(name, state)
		if inner, ok := state["ItemProcessor"].(tree); ok {
			each(inner, visit)
		}
	}
}

// graphs calls visit for the machine and for the inside of every Map.
func graphs(graph tree, name string, visit func(name string, graph tree)) {
	visit(name, graph)
	for n, s := range graph["States"].(tree) {
		if inner, ok := s.(tree)["ItemProcessor"].(tree); ok {
			graphs(inner, n, visit)
		}
	}
}

// state finds a state by name, at any depth.
func state(d tree, name string) tree {
	var found tree
	each(d, func(n string, s tree) {
		if n == name {
			found = s
		}
	})
	return found
}

func objects(v any) []tree {
	var out []tree
	list, _ := v.([]any)
	for _, item := range list {
		if o, ok := item.(tree); ok {
			out = append(out, o)
		}
	}
	return out
}

func texts(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, item := range list {
		s, _ := item.(string)
		out = append(out, s)
	}
	return out
}

// tasks adapts a check of one Task state.
func tasks(check func(name string, s tree) []string) func(tree) []string {
	return func(d tree) []string {
		var broken []string
		each(d, func(name string, s tree) {
			if s["Type"] == "Task" {
				for _, b := range check(name, s) {
					broken = append(broken, name+": "+b)
				}
			}
		})
		return broken
	}
}

func laws(t *testing.T) []law {
	return []law{
		{
			name: "every task has a time-out",
			check: tasks(func(_ string, s tree) []string {
				if n, _ := s["TimeoutSeconds"].(float64); n < 1 {
					return []string{"TimeoutSeconds is missing"}
				}
				return nil
			}),
			plants: map[string]func(tree){
				"no time-out":         func(d tree) { delete(state(d, "FanoutTask"), "TimeoutSeconds") },
				"a time-out of zero":  func(d tree) { state(d, "PlanRequest")["TimeoutSeconds"] = 0.0 },
				"a time-out as words": func(d tree) { state(d, "PlanRequest")["TimeoutSeconds"] = "60" },
			},
		},
		{
			name:  "every task is tried again with full jitter and a longest delay",
			check: tasks(retries),
			plants: map[string]func(tree){
				"no retry":         func(d tree) { delete(state(d, "BundleArchive"), "Retry") },
				"no jitter":        func(d tree) { delete(objects(state(d, "BundleArchive")["Retry"])[0], "JitterStrategy") },
				"no longest delay": func(d tree) { delete(objects(state(d, "FanoutTask")["Retry"])[0], "MaxDelaySeconds") },
				"no attempts":      func(d tree) { objects(state(d, "FanoutTask")["Retry"])[0]["MaxAttempts"] = 0.0 },
				"a bug is retried": func(d tree) {
					r := objects(state(d, "FanoutTask")["Retry"])[0]
					r["ErrorEquals"] = append(r["ErrorEquals"].([]any), "States.ALL")
				},
			},
		},
		{
			name: "every task's last catch takes every error",
			check: tasks(func(_ string, s tree) []string {
				all := objects(s["Catch"])
				if len(all) == 0 {
					return []string{"Catch is missing"}
				}
				last := all[len(all)-1]
				if !slices.Equal(texts(last["ErrorEquals"]), []string{"States.ALL"}) || last["Next"] == nil {
					return []string{"the last Catch does not take States.ALL to a state"}
				}
				return nil
			}),
			plants: map[string]func(tree){
				"no catch":            func(d tree) { delete(state(d, "CollectResults"), "Catch") },
				"only one error":      func(d tree) { objects(state(d, "FanoutManual")["Catch"])[0]["ErrorEquals"] = []any{"Internal"} },
				"catch leads nowhere": func(d tree) { delete(objects(state(d, "FanoutManual")["Catch"])[0], "Next") },
			},
		},
		{
			name:  "every error name is known",
			check: errorNames,
			plants: map[string]func(tree){
				"a Go type as a name": func(d tree) { objects(state(d, "PlanRequest")["Retry"])[0]["ErrorEquals"] = []any{"wrapError"} },
				"a misspelt name": func(d tree) {
					objects(state(d, "VerifyChallenge")["Catch"])[0]["ErrorEquals"] = []any{"States.TimeOut"}
				},
				"an unknown failure": func(d tree) { state(d, "Stopped")["Error"] = "Oops" },
			},
		},
		{
			name:  "every substitution is documented, and every documented one is used",
			check: substitutions(t),
			plants: map[string]func(tree){
				"an unknown one": func(d tree) { state(d, "PlanRequest")["Arguments"].(tree)["FunctionName"] = "${PlanFn}" },
				"a misspelt one": func(d tree) { state(d, "FanoutTask")["Arguments"].(tree)["FunctionName"] = "{% '${FanoutPrefix}' %}" },
				"an unused one":  func(d tree) { state(d, "BundleArchive")["Arguments"].(tree)["FunctionName"] = "bundle-archive" },
			},
		},
		{
			name: "every choice has a default",
			check: func(d tree) []string {
				var broken []string
				each(d, func(name string, s tree) {
					if next, _ := s["Default"].(string); s["Type"] == "Choice" && next == "" {
						broken = append(broken, name+": Default is missing")
					}
				})
				return broken
			},
			plants: map[string]func(tree){
				"no default":                  func(d tree) { delete(state(d, "Decision"), "Default") },
				"no default deep inside maps": func(d tree) { delete(state(d, "Route"), "Default") },
			},
		},
		{
			name:  "only typed, impersonal fields pass",
			check: fields,
			plants: map[string]func(tree){
				"an address in a payload":   func(d tree) { payload(d, "NotifySubject")["email"] = "{% $states.input.status %}" },
				"an address by expression":  func(d tree) { payload(d, "NotifySubject")["cause"] = "{% $states.input.email %}" },
				"a field deep in an object": func(d tree) { payload(d, "PlanRequest")["plan"] = tree{"name": "Ada"} },
				"a name kept in a variable": func(d tree) { state(d, "PlanRequest")["Assign"].(tree)["subject"] = "{% $states.result %}" },
				"free words in a payload":   func(d tree) { payload(d, "Attention")["cause"] = "Ada Lovelace asked twice" },
				"the whole input passed on": func(d tree) { payload(d, "CollectResults")["plan"] = "{% $states.input %}" },
				"the error's text passed":   func(d tree) { payload(d, "Attention")["cause"] = "{% $states.errorOutput.Cause %}" },
				"no version":                func(d tree) { delete(payload(d, "PlanRequest"), "v") },
			},
		},
		{
			name:  "every state is reachable, and every way leads to a state",
			check: reachable,
			plants: map[string]func(tree){
				"an island":           func(d tree) { d["States"].(tree)["Island"] = tree{"Type": "Pass", "End": true} },
				"a way to nowhere":    func(d tree) { state(d, "PlanRequest")["Next"] = "Nowhere" },
				"a state without end": func(d tree) { delete(state(d, "NotifySubject"), "End") },
			},
		},
		{
			name:  "every stage of the machine is named",
			check: stages,
			plants: map[string]func(tree){
				"a stage renamed":     func(d tree) { rename(d, "CollectResults", "GatherUp") },
				"a task of no stage":  func(d tree) { rename(d, "PlanRequest", "Prepare") },
				"words in snake_case": func(d tree) { rename(d, "Done", "all_done") },
			},
		},
		{
			name:  "tasks call our functions, and only a wait holds a token",
			check: tasks(resources),
			plants: map[string]func(tree){
				"another service":       func(d tree) { state(d, "NotifySubject")["Resource"] = "arn:aws:states:::sns:publish" },
				"a wait without token":  func(d tree) { delete(payload(d, "FanoutManual"), "task_token") },
				"a token in every call": func(d tree) { payload(d, "PlanRequest")["task_token"] = "{% $states.context.Task.Token %}" },
			},
		},
		{
			name: "the query language is JSONata, and nobody leaves it",
			check: func(d tree) []string {
				var broken []string
				if d["QueryLanguage"] != "JSONata" {
					broken = append(broken, "the machine: QueryLanguage is not JSONata")
				}
				each(d, func(name string, s tree) {
					for _, key := range []string{"QueryLanguage", "InputPath", "OutputPath", "ResultPath", "Parameters", "ResultSelector"} {
						if _, there := s[key]; there {
							broken = append(broken, name+": "+key+" does not belong here")
						}
					}
				})
				return broken
			},
			plants: map[string]func(tree){
				"JSONPath in a state": func(d tree) { state(d, "Done")["OutputPath"] = "$" },
				"no language":         func(d tree) { delete(d, "QueryLanguage") },
			},
		},
	}
}

func payload(d tree, name string) tree {
	return state(d, name)["Arguments"].(tree)["Payload"].(tree)
}

func rename(d tree, from, to string) {
	states := d["States"].(tree)
	states[to] = states[from]
	delete(states, from)
}

func retries(_ string, s tree) []string {
	all := objects(s["Retry"])
	if len(all) == 0 {
		return []string{"Retry is missing"}
	}
	var broken []string
	for _, r := range all {
		if r["JitterStrategy"] != "FULL" {
			broken = append(broken, "a Retry has no full jitter")
		}
		for _, key := range []string{"MaxDelaySeconds", "MaxAttempts", "IntervalSeconds"} {
			if n, _ := r[key].(float64); n < 1 {
				broken = append(broken, "a Retry lacks "+key)
			}
		}
		// A bug does not go away by itself, and a time-out may have had its
		// effect: only what says "come back" is sent again.
		for _, name := range texts(r["ErrorEquals"]) {
			if slices.Contains([]string{"States.ALL", "States.TaskFailed", "States.Timeout", lambdax.Internal}, name) {
				broken = append(broken, "a Retry sends again after "+name)
			}
		}
	}
	return broken
}

func errorNames(d tree) []string {
	known := []string{
		lambdax.Unavailable, lambdax.Internal,
		"States.ALL", "States.Timeout", "States.TaskFailed",
		"Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException",
		"Lambda.ClientExecutionTimeoutException", "Lambda.TooManyRequestsException",
		"NeedsAttention",
	}
	var broken []string
	look := func(state, name string) {
		if !slices.Contains(known, name) {
			broken = append(broken, fmt.Sprintf("%s: the error name %q is unknown", state, name))
		}
	}
	each(d, func(name string, s tree) {
		for _, block := range append(objects(s["Retry"]), objects(s["Catch"])...) {
			for _, e := range texts(block["ErrorEquals"]) {
				look(name, e)
			}
		}
		if s["Type"] == "Fail" {
			e, _ := s["Error"].(string)
			look(name, e)
		}
	})
	return broken
}

var placeholder = regexp.MustCompile(`\$\{([A-Za-z]*)\}`)

// substitutions compares the definition with the list in embed.go, which infra
// reads.
func substitutions(t *testing.T) func(tree) []string {
	t.Helper()
	source, err := os.ReadFile("embed.go")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range placeholder.FindAllStringSubmatch(string(source), -1) {
		documented[m[1]] = true
	}
	return func(d tree) []string {
		text, err := json.Marshal(d)
		if err != nil {
			return []string{err.Error()}
		}
		used := map[string]bool{}
		for _, m := range placeholder.FindAllStringSubmatch(string(text), -1) {
			used[m[1]] = true
		}
		var broken []string
		for name := range used {
			if !documented[name] {
				broken = append(broken, "${"+name+"} is not in embed.go's list")
			}
		}
		for name := range documented {
			if !used[name] {
				broken = append(broken, "${"+name+"} is documented and not used")
			}
		}
		return broken
	}
}

var (
	// what our functions take and give, all of it ids, counts, dates and closed words
	impersonal = []string{
		"v", "request_id", "run", "proved", "system", "phase", "status", "wait_seconds", "cause", "task_token", "notice",
		"decision", "bundle", "gather", "act", "visits", "people", "notify", "plan", "collected",
	}
	// what Step Functions itself puts between
	between   = []string{"states", "input", "result", "context", "Execution", "Input", "Task", "Token", "Payload", "count"}
	closed    = regexp.MustCompile(`^[A-Za-z_]*$`) // a closed word, or the name of a state
	quoted    = regexp.MustCompile(`'[^']*'`)
	anyName   = regexp.MustCompile(`[A-Za-z_][A-Za-z_0-9]*`)
	wholeDump = regexp.MustCompile(`^\{%\s*\$states\.(input|result|context|errorOutput)\s*%\}$`)
)

// fields reads every object that a state makes and every name in every
// expression.
func fields(d tree) []string {
	var broken []string
	var made func(at string, v any)
	made = func(at string, v any) {
		switch v := v.(type) {
		case tree:
			for key, item := range v {
				if !slices.Contains(impersonal, key) {
					broken = append(broken, fmt.Sprintf("%s: the field %q is not allowed", at, key))
				}
				made(at, item)
			}
		case []any:
			for _, item := range v {
				made(at, item)
			}
		case string:
			if !strings.HasPrefix(v, "{%") && !closed.MatchString(v) {
				broken = append(broken, fmt.Sprintf("%s: %q is no closed word", at, v))
			}
		}
	}
	var expressions func(at string, v any)
	expressions = func(at string, v any) {
		switch v := v.(type) {
		case tree:
			for _, item := range v {
				expressions(at, item)
			}
		case []any:
			for _, item := range v {
				expressions(at, item)
			}
		case string:
			if !strings.HasPrefix(v, "{%") {
				return
			}
			for _, name := range anyName.FindAllString(quoted.ReplaceAllString(v, ""), -1) {
				if !slices.Contains(impersonal, name) && !slices.Contains(between, name) && name != "and" && name != "or" && name != "not" {
					broken = append(broken, fmt.Sprintf("%s: the expression %s names %q", at, v, name))
				}
			}
		}
	}
	each(d, func(name string, s tree) {
		arguments, _ := s["Arguments"].(tree)
		if s["Type"] == "Task" {
			p, isObject := arguments["Payload"].(tree)
			switch {
			case !isObject:
				broken = append(broken, name+": the payload is no object written out")
			case p["v"] != 1.0 || p["request_id"] == nil || p["run"] == nil:
				broken = append(broken, name+": the payload lacks v, request_id or run")
			}
			for key, v := range p {
				if text, _ := v.(string); wholeDump.MatchString(text) {
					broken = append(broken, fmt.Sprintf("%s: %s passes on everything there is", name, key))
				}
			}
			made(name, arguments["Payload"])
		}
		made(name, s["Output"])
		made(name, s["Assign"])
		for _, block := range append(objects(s["Catch"]), objects(s["Choices"])...) {
			made(name, block["Output"])
			made(name, block["Assign"])
			expressions(name, block)
		}
		for _, key := range []string{"Arguments", "Output", "Assign", "Items", "Seconds"} {
			expressions(name, s[key])
		}
	})
	return broken
}

func reachable(d tree) []string {
	var broken []string
	graphs(d, "the machine", func(where string, g tree) {
		states := g["States"].(tree)
		seen := map[string]bool{}
		var visit func(from, name string)
		visit = func(from, name string) {
			s, ok := states[name].(tree)
			if !ok {
				broken = append(broken, fmt.Sprintf("%s: %s leads to %q, which is no state", where, from, name))
				return
			}
			if seen[name] {
				return
			}
			seen[name] = true
			ways := 0
			for _, way := range append(append(objects(s["Catch"]), objects(s["Choices"])...), tree{"Next": s["Next"]}, tree{"Next": s["Default"]}) {
				if next, ok := way["Next"].(string); ok {
					ways++
					visit(name, next)
				}
			}
			ends := s["End"] == true || s["Type"] == "Succeed" || s["Type"] == "Fail"
			if _, goesOn := s["Next"].(string); !ends && !goesOn && s["Type"] != "Choice" || ways == 0 && !ends {
				broken = append(broken, where+": "+name+" neither ends nor goes on")
			}
		}
		start, _ := g["StartAt"].(string)
		visit("StartAt", start)
		for name := range states {
			if !seen[name] {
				broken = append(broken, where+": "+name+" cannot be reached")
			}
		}
	})
	return broken
}

// stages: intake starts the machine and sweep follows it; the others are in it,
// and a Task is named after its stage. Attention is the one Task that belongs to
// none: it gives a stopped run its owner.
func stages(d tree) []string {
	words := []string{"Verify", "Plan", "Fanout", "Collect", "Bundle", "Notify"}
	pascal := regexp.MustCompile(`^([A-Z][a-z]+)+$`)
	var broken []string
	found := map[string]bool{}
	each(d, func(name string, s tree) {
		if !pascal.MatchString(name) {
			broken = append(broken, name+": a state's name is PascalCase")
		}
		if s["Type"] != "Task" || name == "Attention" {
			return
		}
		at := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(name, w) })
		if at < 0 {
			broken = append(broken, name+": no stage has this name")
			return
		}
		found[words[at]] = true
		function, _ := s["Arguments"].(tree)["FunctionName"].(string)
		if !strings.Contains(function, "${"+words[at]) {
			broken = append(broken, name+": calls a function of another stage, "+function)
		}
	})
	for _, w := range words {
		if !found[w] {
			broken = append(broken, "no task of the stage "+w)
		}
	}
	return broken
}

func resources(_ string, s tree) []string {
	const invoke, wait = "arn:aws:states:::lambda:invoke", "arn:aws:states:::lambda:invoke.waitForTaskToken"
	arguments, _ := s["Arguments"].(tree)
	payload, _ := arguments["Payload"].(tree)
	token, _ := payload["task_token"].(string)
	holds := token == "{% $states.context.Task.Token %}"
	switch resource := s["Resource"]; {
	case resource != invoke && resource != wait:
		return []string{fmt.Sprintf("the resource %v is not one of ours", resource)}
	case resource == wait && !holds:
		return []string{"waits, and nobody holds its token"}
	case resource == invoke && holds:
		return []string{"does not wait, and passes a token on"}
	}
	return nil
}
