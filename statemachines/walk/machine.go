// Package walk takes a state machine of ours through recorded scenarios, in the
// test's own process: it knows the part of Amazon States Language (JSONata) that
// our definitions use, refuses the rest, and counts what AWS bills as state
// transitions. It replaces no emulator; it makes the order of the stages, the
// price of a request and the way of every fault testable in milliseconds.
package walk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Machine is a definition ready to be walked.
type Machine struct {
	top graph
}

// graph is a set of states with a start: the machine itself, or what a Map runs
// for each item.
type graph struct {
	Comment         string            `json:"Comment"`
	QueryLanguage   string            `json:"QueryLanguage"`
	TimeoutSeconds  int               `json:"TimeoutSeconds"`
	ProcessorConfig *processor        `json:"ProcessorConfig"`
	StartAt         string            `json:"StartAt"`
	States          map[string]*state `json:"States"`
}

type processor struct {
	Mode string `json:"Mode"`
}

// state holds every field our states use; another one is an error.
type state struct {
	Type           string    `json:"Type"`
	Comment        string    `json:"Comment"`
	Resource       string    `json:"Resource"`
	Arguments      any       `json:"Arguments"`
	Output         any       `json:"Output"`
	Assign         any       `json:"Assign"`
	TimeoutSeconds int       `json:"TimeoutSeconds"`
	Retry          []retrier `json:"Retry"`
	Catch          []catcher `json:"Catch"`
	Choices        []choice  `json:"Choices"`
	Default        string    `json:"Default"`
	Seconds        any       `json:"Seconds"`
	Items          any       `json:"Items"`
	MaxConcurrency int       `json:"MaxConcurrency"`
	ItemProcessor  *graph    `json:"ItemProcessor"`
	Error          string    `json:"Error"`
	Cause          string    `json:"Cause"`
	Next           string    `json:"Next"`
	End            bool      `json:"End"`
}

type retrier struct {
	ErrorEquals     []string `json:"ErrorEquals"`
	IntervalSeconds int      `json:"IntervalSeconds"`
	BackoffRate     float64  `json:"BackoffRate"`
	MaxAttempts     int      `json:"MaxAttempts"`
	MaxDelaySeconds int      `json:"MaxDelaySeconds"`
	JitterStrategy  string   `json:"JitterStrategy"`
}

type catcher struct {
	ErrorEquals []string `json:"ErrorEquals"`
	Output      any      `json:"Output"`
	Assign      any      `json:"Assign"`
	Next        string   `json:"Next"`
}

type choice struct {
	Condition any    `json:"Condition"`
	Output    any    `json:"Output"`
	Assign    any    `json:"Assign"`
	Next      string `json:"Next"`
}

// Parse reads a definition after its substitutions are filled in by values, and
// parses every expression in it. A field, state type or expression that the
// walk does not know is an error.
func Parse(definition []byte, substitutions map[string]string) (*Machine, error) {
	source := string(definition)
	for name, value := range substitutions {
		source = strings.ReplaceAll(source, "${"+name+"}", value)
	}
	if i := strings.Index(source, "${"); i >= 0 {
		return nil, fmt.Errorf("reading the machine: no value for the substitution at %q", source[i:min(len(source), i+30)])
	}
	m := &Machine{}
	decoder := json.NewDecoder(bytes.NewReader([]byte(source)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m.top); err != nil {
		return nil, fmt.Errorf("reading the machine: %w", err)
	}
	if m.top.QueryLanguage != "JSONata" {
		return nil, fmt.Errorf("reading the machine: its query language is %q; expected JSONata", m.top.QueryLanguage)
	}
	if err := m.top.compile(); err != nil {
		return nil, fmt.Errorf("reading the machine: %w", err)
	}
	return m, nil
}

var placeholder = regexp.MustCompile(`\$\{([A-Za-z]+)\}`)

// StandIns gives every placeholder of a definition a name to walk with:
// ${PlanRequestFn} becomes plan-request, ${FanoutTaskFnPrefix} fanout-task-.
func StandIns(definition []byte) map[string]string {
	values := map[string]string{}
	for _, m := range placeholder.FindAllStringSubmatch(string(definition), -1) {
		base, prefix := strings.CutSuffix(m[1], "FnPrefix")
		var kebab strings.Builder
		for i, r := range strings.TrimSuffix(base, "Fn") {
			if i > 0 && unicode.IsUpper(r) {
				kebab.WriteByte('-')
			}
			kebab.WriteRune(unicode.ToLower(r))
		}
		if prefix {
			kebab.WriteByte('-')
		}
		values[m[1]] = kebab.String()
	}
	return values
}

func (g *graph) compile() error {
	if g.States[g.StartAt] == nil {
		return fmt.Errorf("it starts at %q, which is no state", g.StartAt)
	}
	for name, s := range g.States {
		if s.ItemProcessor != nil {
			if err := s.ItemProcessor.compile(); err != nil {
				return fmt.Errorf("state %s: %w", name, err)
			}
		}
		templates := []*any{&s.Arguments, &s.Output, &s.Assign, &s.Seconds, &s.Items}
		assigns := []*any{&s.Assign}
		nexts := []string{s.Next, s.Default}
		for i := range s.Choices {
			c := &s.Choices[i]
			templates, nexts = append(templates, &c.Condition, &c.Output, &c.Assign), append(nexts, c.Next)
			assigns = append(assigns, &c.Assign)
		}
		for i := range s.Catch {
			c := &s.Catch[i]
			templates, nexts = append(templates, &c.Output, &c.Assign), append(nexts, c.Next)
			assigns = append(assigns, &c.Assign)
		}
		for _, set := range assigns {
			if _, isObject := (*set).(map[string]any); *set != nil && !isObject {
				return fmt.Errorf("state %s: Assign is no object", name)
			}
		}
		for _, t := range templates {
			var err error
			if *t, err = compileTemplate(*t); err != nil {
				return fmt.Errorf("state %s: %w", name, err)
			}
		}
		for _, next := range nexts {
			if next != "" && g.States[next] == nil {
				return fmt.Errorf("state %s: goes to %q, which is no state beside it", name, next)
			}
		}
		if !slices.Contains([]string{"Task", "Choice", "Map", "Pass", "Wait", "Succeed", "Fail"}, s.Type) {
			return fmt.Errorf("state %s: the type %q is not supported", name, s.Type)
		}
	}
	return nil
}

// compileTemplate turns each "{% … %}" of a JSON value into its expression.
func compileTemplate(v any) (any, error) {
	switch v := v.(type) {
	case string:
		inner, ok := strings.CutPrefix(v, "{%")
		if !ok {
			return v, nil
		}
		inner, ok = strings.CutSuffix(inner, "%}")
		if !ok {
			return nil, fmt.Errorf("the expression %q does not end", v)
		}
		return parseExpr(strings.TrimSpace(inner))
	case map[string]any:
		for key, item := range v {
			compiled, err := compileTemplate(item)
			if err != nil {
				return nil, err
			}
			v[key] = compiled
		}
	case []any:
		for i, item := range v {
			compiled, err := compileTemplate(item)
			if err != nil {
				return nil, err
			}
			v[i] = compiled
		}
	}
	return v, nil
}

// fill evaluates a template. A value that turns out undefined is the error
// States.QueryEvaluationError, as on AWS.
func fill(template any, vars *scope) (any, error) {
	switch t := template.(type) {
	case expr:
		v, err := t.eval(undefined{}, vars)
		if _, none := v.(undefined); none && err == nil {
			return nil, &Fault{"States.QueryEvaluationError", "an expression gives nothing"}
		}
		if err != nil {
			return nil, &Fault{"States.QueryEvaluationError", err.Error()}
		}
		return v, nil
	case map[string]any:
		out := make(map[string]any, len(t))
		for key, item := range t {
			v, err := fill(item, vars)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			out[key] = v
		}
		return out, nil
	case []any:
		out := make([]any, 0, len(t))
		for _, item := range t {
			v, err := fill(item, vars)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	}
	return template, nil
}

// Fault is an error of a state, by the name that Retry and Catch compare.
type Fault struct{ Name, Cause string }

// Error prints name and cause.
func (f *Fault) Error() string { return f.Name + ": " + f.Cause }

// matches reports whether a list of error names covers a fault.
func matches(names []string, fault string) bool {
	for _, n := range names {
		switch {
		case n == fault:
			return true
		case n == "States.ALL":
			return fault != "States.DataLimitExceeded" && fault != "States.Runtime"
		case n == "States.TaskFailed":
			if fault != "States.Timeout" && !strings.HasPrefix(fault, "States.") {
				return true
			}
		}
	}
	return false
}
