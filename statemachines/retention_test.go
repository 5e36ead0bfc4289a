package statemachines_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/statemachines"
	"github.com/writ-dsr/writ/statemachines/walk"
)

// general are the laws of laws() that hold for every machine; the others are
// about the stages of a request.
var general = []string{
	"every task has a time-out",
	"every task is tried again with full jitter and a longest delay",
	"every task's last catch takes every error",
	"every error name is known",
	"every choice has a default",
	"every state is reachable, and every way leads to a state",
	"tasks call our functions, and only a wait holds a token",
	"the query language is JSONata, and nobody leaves it",
}

func TestRetentionKeepsTheGeneralLaws(t *testing.T) {
	checked := 0
	for _, l := range laws(t) {
		if !slices.Contains(general, l.name) {
			continue
		}
		checked++
		var d tree
		if err := json.Unmarshal(statemachines.Retention, &d); err != nil {
			t.Fatal(err)
		}
		for _, broken := range l.check(d) {
			t.Errorf("%s: %s", l.name, broken)
		}
	}
	if checked != len(general) {
		t.Errorf("%d laws are checked, %d are named", checked, len(general))
	}
}

func TestRetentionWalk(t *testing.T) {
	m, err := walk.Parse(statemachines.Retention, walk.StandIns(statemachines.Retention))
	if err != nil {
		t.Fatal(err)
	}
	answer := func(system string, more bool) walk.Answer {
		return walk.Answer{State: "FanoutExpired", System: system, Result: map[string]any{"v": 1, "system": system, "day": "2026-11-22", "more": more, "people": 2, "planned": 1}}
	}
	broken := walk.Answer{State: "FanoutExpired", System: "crm", Error: "Internal"}
	for _, c := range []struct {
		name    string
		answers []walk.Answer
		status  string
		calls   map[string]int
	}{
		{"each lists until it is done", []walk.Answer{answer("app", true), answer("app", true), answer("app", false), answer("crm", false)}, "SUCCEEDED", map[string]int{"fanout-task-app": 3, "fanout-task-crm": 1}},
		{"one that fails stops no other, and the run says so", []walk.Answer{broken, answer("app", false)}, "FAILED", map[string]int{"fanout-task-app": 1, "fanout-task-crm": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			input := map[string]any{"v": 1, "day": "2026-11-22", "systems": []any{map[string]any{"system": "crm"}, map[string]any{"system": "app"}}}
			trace, err := m.Run(walk.Scenario{Name: c.name, Input: input, Answers: c.answers})
			if err != nil {
				t.Fatal(err)
			}
			if trace.Status != c.status || !maps.Equal(trace.Calls, c.calls) {
				t.Errorf("%s with calls %v, want %s with %v", trace.Status, trace.Calls, c.status, c.calls)
			}
			for _, p := range trace.Payloads["FanoutExpired"] {
				if err := same(p, new(fanout.ExpiredInput)); err != nil {
					t.Errorf("the function is sent %v: %v", p, err)
				}
			}
			for _, a := range c.answers {
				if a.Error == "" {
					if err := same(any(a.Result), new(fanout.ExpiredOutput)); err != nil {
						t.Errorf("the answer: %v", err)
					}
				}
			}
		})
	}
}
