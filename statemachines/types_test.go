package statemachines_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/writ-dsr/writ/shared/flow/bundle"
	"github.com/writ-dsr/writ/shared/flow/collect"
	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/flow/notify"
	"github.com/writ-dsr/writ/shared/flow/plan"
	"github.com/writ-dsr/writ/shared/flow/verify"
)

// what a state sends its function, and what comes back
type types struct{ in, out func() any }

// of names the two types of a stage.
func of[In, Out any]() types {
	return types{in: func() any { return new(In) }, out: func() any { return new(Out) }}
}

var stageTypes = map[string]types{
	"VerifyChallenge": of[verify.Input, struct{}](), // released without a word: the ledger knows
	"PlanRequest":     of[plan.Input, plan.Output](),
	"FanoutTask":      of[fanout.Input, fanout.Output](),
	"FanoutTaskAgain": of[fanout.Input, fanout.Output](),
	"FanoutManual":    of[fanout.ManualInput, fanout.Released](),
	"BundleArchive":   of[bundle.Input, bundle.Output](),
	"CollectResults":  of[collect.Input, collect.Output](),
	"NotifyCopy":      of[notify.Input, notify.Output](),
	"NotifySubject":   of[notify.Input, notify.Output](),
	"Attention":       of[fanout.ManualInput, fanout.ManualOutput](),
}

// The machine and the stages must not drift apart: everything the walk sends
// decodes strictly into the stage's input, with nothing missing, and every
// recorded answer is one that the stage could give.
func TestPayloadsAreTheStagesTypes(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range scenarioNames(t) {
		s := scenario(t, name)
		trace, err := machine(t).Run(s)
		if err != nil {
			t.Fatal(err)
		}
		for state, payloads := range trace.Payloads {
			seen[state] = true
			stage, ok := stageTypes[state]
			if !ok {
				t.Errorf("%s: the state %s calls a stage whose types are not compared", name, state)
				continue
			}
			for _, p := range payloads {
				if err := same(p, stage.in()); err != nil {
					t.Errorf("%s: %s sends %v: %v", name, state, p, err)
				}
			}
		}
		for _, a := range s.Answers {
			if stage, ok := stageTypes[a.State]; ok && a.Error == "" {
				answer := any(a.Result)
				if a.Result == nil {
					answer = map[string]any{}
				}
				if err := same(answer, stage.out()); err != nil {
					t.Errorf("%s: the answer of %s: %v", name, a.State, err)
				}
			}
		}
	}
	for state := range stageTypes {
		if !seen[state] {
			t.Errorf("no scenario enters %s", state)
		}
	}
}

// same decodes a value strictly into a type and back: nothing unknown, nothing
// missing.
func same(value, into any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	back, err := json.Marshal(into)
	if err != nil {
		return err
	}
	var typed any
	if err := json.Unmarshal(back, &typed); err != nil {
		return err
	}
	again, err := json.Marshal(typed)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, data) {
		return fmt.Errorf("it is %s, the type makes it %s", data, again)
	}
	return nil
}
