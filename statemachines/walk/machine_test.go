package walk

import (
	"errors"
	"strings"
	"testing"
)

func TestParseRefuses(t *testing.T) {
	for want, definition := range map[string]string{
		"unknown field":          `{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Pass","End":true,"InputPath":"$"}}}`,
		"no value for":           `{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Task","Resource":"${Fn}","End":true}}}`,
		"query language":         `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`,
		"which is no state":      `{"QueryLanguage":"JSONata","StartAt":"B","States":{"A":{"Type":"Pass","End":true}}}`,
		"no state beside it":     `{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"}}}`,
		"is not supported":       `{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Parallel","End":true}}}`,
		"does not end":           `{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Pass","Output":"{% 1","End":true}}}`,
		"reading the expression": `{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Pass","Output":{"x":["{% $$ %}"]},"End":true}}}`,
		"Assign is no object":    `{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Pass","Assign":"{% 1 %}","End":true}}}`,
	} {
		if _, err := Parse([]byte(definition), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one about %q", err, want)
		}
	}
}

func TestStandIns(t *testing.T) {
	got := StandIns([]byte(`{"a":"${PlanRequestFn}","b":"{% '${FanoutTaskFnPrefix}' & $states.input.system %}"}`))
	if len(got) != 2 || got["PlanRequestFn"] != "plan-request" || got["FanoutTaskFnPrefix"] != "fanout-task-" {
		t.Errorf("stand-ins %v", got)
	}
}

func TestScenariosAreReadStrictly(t *testing.T) {
	if _, err := ReadScenario([]byte(`{"name":"x","answer":[]}`)); err == nil {
		t.Error("an unknown key is accepted")
	}
}

// Retries are transitions too, a Wait adds up, a Map bills what runs inside it,
// and a variable set inside an iteration is not seen outside.
func TestRunCounts(t *testing.T) {
	const definition = `{"QueryLanguage":"JSONata","StartAt":"Each","States":{
	  "Each":{"Type":"Map","Items":"{% $states.input.items %}","ItemProcessor":{"StartAt":"Try","States":{
	    "Try":{"Type":"Task","Resource":"r","Arguments":{"FunctionName":"f","Payload":{"system":"{% $states.input %}"}},"Assign":{"inside":"{% $states.input %}"},
	      "Retry":[{"ErrorEquals":["Unavailable"],"MaxAttempts":2}],"Catch":[{"ErrorEquals":["States.ALL"],"Output":{"x":"{% $states.errorOutput.Error %}"},"Next":"Pause"}],"Next":"Pause"},
	    "Pause":{"Type":"Wait","Seconds":5,"End":true}}},"Next":"Outside"},
	  "Outside":{"Type":"Choice","Choices":[{"Condition":"{% $exists($inside) %}","Next":"Leaked"}],"Default":"Fine"},
	  "Leaked":{"Type":"Fail","Error":"Leaked"},
	  "Fine":{"Type":"Succeed"}}}`
	m, err := Parse([]byte(definition), nil)
	if err != nil {
		t.Fatal(err)
	}
	down := Answer{State: "Try", System: "b", Error: "Unavailable"}
	s := Scenario{Name: "counts", Input: map[string]any{"items": []any{"a", "b"}}, Answers: []Answer{{State: "Try", System: "a"}, down, down, down}}
	trace, err := m.Run(s)
	if err != nil {
		t.Fatal(err)
	}
	// Each, 2 x (Try, Pause), 2 retries, Outside, Fine.
	if trace.Status != "SUCCEEDED" || trace.Transitions != 9 || trace.WaitSeconds != 10 || trace.Calls["f"] != 4 {
		t.Errorf("%s after %d transitions, %d seconds, %d calls; want SUCCEEDED after 9, 10 and 4", trace.Status, trace.Transitions, trace.WaitSeconds, trace.Calls["f"])
	}

	s.Answers = s.Answers[:3]
	if _, err := m.Run(s); err == nil || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("a missing answer gives %v, want an error", err)
	}
	s.Answers = append([]Answer{{State: "Gone"}}, Answer{State: "Try", System: "a"}, Answer{State: "Try", System: "b"})
	if _, err := m.Run(s); err == nil || !strings.Contains(err.Error(), "left over") {
		t.Errorf("an answer left over gives %v, want an error", err)
	}
}

func TestAnUndefinedValueIsAFaultAsOnAWS(t *testing.T) {
	m, err := Parse([]byte(`{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Pass","Output":{"x":"{% $states.input.gone %}"},"End":true}}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	trace, err := m.Run(Scenario{Input: map[string]any{}})
	if err != nil || trace.Fault != "States.QueryEvaluationError" {
		t.Errorf("fault %q, error %v; want States.QueryEvaluationError", trace.Fault, err)
	}
}

func TestACircleEnds(t *testing.T) {
	m, err := Parse([]byte(`{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Pass","Next":"A"}}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Run(Scenario{Name: "circle"})
	var fault *Fault
	if err == nil || errors.As(err, &fault) {
		t.Errorf("a circle gives %v, want an error that is no fault of the machine", err)
	}
}
