package statemachines_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

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
