package statemachines_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/platform/lambdax"
)

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
