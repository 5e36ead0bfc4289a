package walk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Scenario is one recorded run: what the machine is started with and what each
// Task answers.
type Scenario struct {
	Name    string   `json:"name"`
	Says    string   `json:"says"` // what the scenario shows, one sentence
	Input   any      `json:"input"`
	Answers []Answer `json:"answers"`
	Expect  Expect   `json:"expect"`
}

// Answer is what a Task state gives back: a result, or an error by name. It is
// used once, in the order of the list, for its state and, where System is set,
// for that system's visit in Phase.
type Answer struct {
	State  string         `json:"state"`
	System string         `json:"system,omitempty"`
	Phase  string         `json:"phase,omitempty"`
	Result map[string]any `json:"result,omitempty"`
	Error  string         `json:"error,omitempty"`
}

// Expect is what the walk must show.
type Expect struct {
	Status      string   `json:"status"` // SUCCEEDED or FAILED
	Transitions int      `json:"transitions"`
	WaitSeconds int      `json:"wait_seconds,omitempty"`
	Path        []string `json:"path"` // states entered, iterations of a Map in order
}

// Trace is what a walk did.
type Trace struct {
	Status      string
	Fault       string           // name of the error that ended the run
	Path        []string         // states entered
	Transitions int              // states entered and retries: what AWS bills
	WaitSeconds int              // time spent in Wait states
	Calls       map[string]int   // calls per function
	Payloads    map[string][]any // what each Task state sent its function
	MaxBytes    int              // largest input or output of a state
}

// most states one walk may enter: a scenario that goes in a circle ends.
const maxStates = 10000

// ReadScenario decodes a scenario strictly.
func ReadScenario(data []byte) (Scenario, error) {
	var s Scenario
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return Scenario{}, fmt.Errorf("reading the scenario: %w", err)
	}
	return s, nil
}

// Call is what a Task state asks of a function.
type Call struct {
	State, Function, System, Phase string
	Payload                        any
}

// Run walks a scenario. An answer that is missing or left over is an error: a
// scenario is exact.
func (m *Machine) Run(s Scenario) (Trace, error) {
	left := slices.Clone(s.Answers)
	trace, err := m.Walk(s.Input, func(c Call) (Answer, error) {
		for i, a := range left {
			if a.State == c.State && (a.System == "" || a.System == c.System) && (a.Phase == "" || a.Phase == c.Phase) {
				left = slices.Delete(left, i, i+1)
				return a, nil
			}
		}
		return Answer{}, fmt.Errorf("no answer is recorded for state %s, system %q in %q", c.State, c.System, c.Phase)
	})
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("%d answers are left over, the first for %s %s", len(left), left[0].State, left[0].System)
	}
	if err != nil {
		return trace, fmt.Errorf("walking %s: %w", s.Name, err)
	}
	return trace, nil
}

// Walk runs the machine on an input, asking answer for each Task. An error of
// answer stops the walk; a fault of the machine is in the trace.
func (m *Machine) Walk(input any, answer func(Call) (Answer, error)) (Trace, error) {
	r := &run{answer: answer}
	r.trace.Calls, r.trace.Payloads = map[string]int{}, map[string][]any{}
	_, err := r.walk(&m.top, input, (&scope{}).with("execution", input))
	var fault *Fault
	switch {
	case err == nil:
		r.trace.Status = "SUCCEEDED"
	case errors.As(err, &fault):
		r.trace.Status, r.trace.Fault = "FAILED", fault.Name
	default:
		return r.trace, err
	}
	return r.trace, nil
}

type run struct {
	answer func(Call) (Answer, error)
	trace  Trace
}

// walk runs a graph from its start to its end and returns the output.
func (r *run) walk(g *graph, input any, outer *scope) (any, error) {
	vars := &scope{vars: map[string]any{}, outer: outer} // what Assign sets here
	for at := g.StartAt; ; {
		if r.trace.Transitions++; r.trace.Transitions > maxStates {
			return nil, fmt.Errorf("more than %d states entered", maxStates)
		}
		r.trace.Path = append(r.trace.Path, at)
		r.size(input)
		s := g.States[at]
		output, next, err := r.enter(at, s, input, vars)
		if err != nil {
			return nil, err
		}
		r.size(output)
		if next == "" {
			return output, nil
		}
		input, at = output, next
	}
}

func (r *run) size(v any) {
	if b, err := json.Marshal(v); err == nil {
		r.trace.MaxBytes = max(r.trace.MaxBytes, len(b))
	}
}

// states builds the reserved variable $states.
func states(at string, input any, vars *scope, more map[string]any) *scope {
	v := map[string]any{
		"input": input,
		"context": map[string]any{
			"Execution": map[string]any{"Input": vars.get("execution")},
			"State":     map[string]any{"Name": at},
			"Task":      map[string]any{"Token": "token-of-" + at},
		},
	}
	for key, value := range more {
		v[key] = value
	}
	return vars.with("states", v)
}

// enter runs one state and returns its output and the next state, "" at an end.
func (r *run) enter(at string, s *state, input any, vars *scope) (any, string, error) {
	here := states(at, input, vars, nil)
	switch s.Type {
	case "Choice":
		for _, c := range s.Choices {
			holds, err := fill(c.Condition, here)
			if err != nil {
				return nil, "", fmt.Errorf("state %s: %w", at, err)
			}
			if _, isBool := holds.(bool); !isBool {
				return nil, "", fmt.Errorf("state %s: %w", at, &Fault{"States.QueryEvaluationError", "a condition is neither true nor false"})
			}
			if holds == true {
				return leave(at, input, c.Output, c.Assign, c.Next, here, vars)
			}
		}
		if s.Default == "" {
			return nil, "", fmt.Errorf("state %s: %w", at, &Fault{"States.NoChoiceMatched", "no condition holds"})
		}
		return leave(at, input, s.Output, s.Assign, s.Default, here, vars)
	case "Wait":
		seconds, err := fill(s.Seconds, here)
		if err != nil {
			return nil, "", fmt.Errorf("state %s: %w", at, err)
		}
		n, ok := seconds.(float64)
		if !ok || n < 0 {
			return nil, "", fmt.Errorf("state %s: %w", at, &Fault{"States.QueryEvaluationError", "the wait is no number of seconds"})
		}
		r.trace.WaitSeconds += int(n)
		return leave(at, input, s.Output, s.Assign, s.Next, here, vars)
	case "Pass", "Succeed":
		return leave(at, input, s.Output, s.Assign, s.Next, here, vars)
	case "Fail":
		return nil, "", &Fault{s.Error, s.Cause}
	}
	return r.attempt(at, s, input, vars)
}

// attempt runs a Task or Map with its Retry and Catch.
func (r *run) attempt(at string, s *state, input any, vars *scope) (any, string, error) {
	tried := make([]int, len(s.Retry))
	for {
		result, err := r.work(at, s, input, states(at, input, vars, nil))
		if err == nil {
			var output any
			var next string
			here := states(at, input, vars, map[string]any{"result": result})
			if output, next, err = leave(at, result, s.Output, s.Assign, s.Next, here, vars); err == nil {
				return output, next, nil
			}
		}
		var fault *Fault
		if !errors.As(err, &fault) {
			return nil, "", err
		}
		again := false
		for i, retry := range s.Retry {
			if matches(retry.ErrorEquals, fault.Name) {
				if again = tried[i] < retry.MaxAttempts; again {
					tried[i]++
				}
				break
			}
		}
		if again {
			r.trace.Transitions++ // AWS bills each retry
			continue
		}
		for _, c := range s.Catch {
			if matches(c.ErrorEquals, fault.Name) {
				caught := map[string]any{"Error": fault.Name, "Cause": fault.Cause}
				here := states(at, input, vars, map[string]any{"errorOutput": caught})
				return leave(at, caught, c.Output, c.Assign, c.Next, here, vars)
			}
		}
		return nil, "", err
	}
}

// work does what a Task or a Map is for.
func (r *run) work(at string, s *state, input any, here *scope) (any, error) {
	if s.Type == "Task" {
		return r.call(at, s, here)
	}
	items := input
	if s.Items != nil {
		var err error
		if items, err = fill(s.Items, here); err != nil {
			return nil, fmt.Errorf("state %s: %w", at, err)
		}
	}
	list, ok := items.([]any)
	if !ok {
		return nil, fmt.Errorf("state %s: %w", at, &Fault{"States.QueryEvaluationError", "the items of the Map are no array"})
	}
	results := make([]any, 0, len(list))
	for _, item := range list {
		result, err := r.walk(s.ItemProcessor, item, here)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	return results, nil
}

// call asks for the answer of a Task.
func (r *run) call(at string, s *state, here *scope) (any, error) {
	arguments, err := fill(s.Arguments, here)
	if err != nil {
		return nil, fmt.Errorf("state %s: %w", at, err)
	}
	c := Call{State: at, Payload: field(arguments, "Payload")}
	c.Function, _ = field(arguments, "FunctionName").(string)
	c.System, _ = field(c.Payload, "system").(string)
	c.Phase, _ = field(c.Payload, "phase").(string)
	r.size(c.Payload)
	r.trace.Calls[c.Function]++
	r.trace.Payloads[at] = append(r.trace.Payloads[at], c.Payload)
	a, err := r.answer(c)
	if err != nil {
		return nil, err
	}
	if a.Error != "" {
		return nil, &Fault{a.Error, "recorded"}
	}
	if strings.HasSuffix(s.Resource, ".waitForTaskToken") {
		return a.Result, nil // what SendTaskSuccess carried
	}
	return map[string]any{"StatusCode": float64(200), "Payload": a.Result}, nil
}

// leave evaluates Output and Assign together, as AWS does, and goes on.
func leave(at string, otherwise, output, assign any, next string, here, vars *scope) (any, string, error) {
	out := otherwise
	if output != nil {
		var err error
		if out, err = fill(output, here); err != nil {
			return nil, "", fmt.Errorf("state %s: Output: %w", at, err)
		}
	}
	if assign != nil {
		set, err := fill(assign, here)
		if err != nil {
			return nil, "", fmt.Errorf("state %s: Assign: %w", at, err)
		}
		for name, value := range set.(map[string]any) {
			vars.vars[name] = value
		}
	}
	return out, next, nil
}
