package statemachines_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/writ-dsr/writ/statemachines"
	"github.com/writ-dsr/writ/statemachines/walk"
)

var update = flag.Bool("update", false, "write what the walk shows into testdata/scenarios")

func machine(t *testing.T) *walk.Machine {
	t.Helper()
	m, err := walk.Parse(statemachines.Request, walk.StandIns(statemachines.Request))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func scenario(t *testing.T, name string) walk.Scenario {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "scenarios", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := walk.ReadScenario(data)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

func scenarioNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "scenarios", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("no scenario found")
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".json")
	}
	return files
}

func TestScenariosGoTheRecordedWay(t *testing.T) {
	for _, name := range scenarioNames(t) {
		t.Run(name, func(t *testing.T) {
			s := scenario(t, name)
			trace, err := machine(t).Run(s)
			if err != nil {
				t.Fatal(err)
			}
			got := walk.Expect{Status: trace.Status, Transitions: trace.Transitions, WaitSeconds: trace.WaitSeconds, Path: runs(trace.Path)}
			if *update {
				s.Expect = got
				write(t, s)
			}
			if diff := cmp.Diff(s.Expect, got); diff != "" {
				t.Errorf("%s: the walk differs from what is recorded (-want +got):\n%s", s.Says, diff)
			}
		})
	}
}

// runs writes a state entered several times in a row once, with the count.
func runs(path []string) []string {
	var out []string
	for i := 0; i < len(path); {
		n := 1
		for i+n < len(path) && path[i+n] == path[i] {
			n++
		}
		if n == 1 {
			out = append(out, path[i])
		} else {
			out = append(out, fmt.Sprintf("%s x%d", path[i], n))
		}
		i += n
	}
	return out
}

// write keeps one answer a line, so that a change reads well in review.
func write(t *testing.T, s walk.Scenario) {
	t.Helper()
	line := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "{\n  \"name\": %s,\n  \"says\": %s,\n  \"input\": %s,\n  \"answers\": [", line(s.Name), line(s.Says), line(s.Input))
	for i, a := range s.Answers {
		if i > 0 {
			out.WriteString(",")
		}
		fmt.Fprintf(&out, "\n    %s", line(a))
	}
	fmt.Fprintf(&out, "\n  ],\n  \"expect\": %s\n}\n", line(s.Expect))
	if err := os.WriteFile(filepath.Join("testdata", "scenarios", s.Name+".json"), []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The price of a request is its transitions: at most 12 + waves + 2 a visit.
func TestTransitionsStayWithinTheBound(t *testing.T) {
	for _, c := range []struct {
		scenario             string
		waves, visits, limit int
	}{
		{"access_20_systems", 2, 20, 54},
		{"erasure_20_systems", 4, 40, 96},
		{"both_20_systems", 4, 40, 96},
	} {
		s := scenario(t, c.scenario)
		trace, err := machine(t).Run(s)
		if err != nil {
			t.Fatal(err)
		}
		visits := len(trace.Payloads["FanoutTask"])
		if visits != c.visits {
			t.Errorf("%s: %d visits, want %d", c.scenario, visits, c.visits)
		}
		if bound := 12 + c.waves + 2*c.visits; trace.Transitions > min(bound, c.limit) {
			t.Errorf("%s: %d transitions, want at most %d", c.scenario, trace.Transitions, min(bound, c.limit))
		}
	}
}

// A machine's input and output may hold 256 KiB; a request over forty systems
// must not come near.
func TestStatesStaySmall(t *testing.T) {
	for _, name := range scenarioNames(t) {
		trace, err := machine(t).Run(scenario(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if trace.MaxBytes > 32<<10 {
			t.Errorf("%s: a state holds %d bytes, want at most 32 KiB", name, trace.MaxBytes)
		}
	}
}

func TestTheCopyIsMailedBeforeAnythingIsErased(t *testing.T) {
	trace, err := machine(t).Run(scenario(t, "both_20_systems"))
	if err != nil {
		t.Fatal(err)
	}
	var phases []any
	for _, p := range trace.Payloads["FanoutTask"] {
		phases = append(phases, p.(map[string]any)["phase"])
	}
	firstAct := slices.Index(phases, any("act"))
	if firstAct != 20 || slices.Contains(phases[firstAct:], any("gather")) {
		t.Fatalf("the first act is visit %d, want every one of the 20 gathers before it and none after", firstAct)
	}
	// FanoutTask is entered 20 times, then the copy is mailed, then 20 times more.
	mailed := slices.Index(trace.Path, "NotifyCopy")
	before := 0
	for _, s := range trace.Path[:mailed] {
		if s == "FanoutTask" {
			before++
		}
	}
	if before != 20 {
		t.Errorf("%d visits before the copy is mailed, want the 20 gathers", before)
	}
}

// Whatever fails, at whichever call, the run ends where somebody owns it: it
// succeeds (the ledger says what is open) or it stops after Attention. And
// nothing is erased before a copy that was asked is mailed.
func TestEveryFaultLeadsToAnOwner(t *testing.T) {
	faults := []string{"Internal", "Unavailable", "States.Timeout", "Lambda.Unknown", "Runtime.ExitError", "States.TaskFailed"}
	m, planted := machine(t), 0
	for _, name := range scenarioNames(t) {
		base := scenario(t, name)
		for i := range base.Answers {
			for _, fault := range faults {
				calls, asked := base.Answers, 0
				trace, err := m.Walk(base.Input, func(c walk.Call) (walk.Answer, error) {
					asked++
					if asked == i+1 {
						return walk.Answer{State: c.State, Error: fault}, nil
					}
					return answerFor(calls, c), nil
				})
				if err != nil {
					t.Fatalf("%s, call %d fails with %s: %v", name, i+1, fault, err)
				}
				planted++
				owned := slices.Contains(trace.Path, "Attention")
				if trace.Status == "FAILED" && (trace.Fault != "NeedsAttention" || !owned) {
					t.Errorf("%s, call %d fails with %s: the run ends with %s and no owner; path %v", name, i+1, fault, trace.Fault, runs(trace.Path))
				}
				if bundle := slices.Contains(trace.Path, "BundleArchive"); bundle && acts(trace) && !slices.Contains(trace.Path, "AfterCopy") {
					t.Errorf("%s, call %d fails with %s: something is erased and the copy was never mailed; path %v", name, i+1, fault, runs(trace.Path))
				}
			}
		}
	}
	if planted < 500 {
		t.Errorf("%d faults were planted, want at least 500", planted)
	}
}

// acts reports whether a system was visited to erase.
func acts(trace walk.Trace) bool {
	return slices.ContainsFunc(trace.Payloads["FanoutTask"], func(p any) bool { return p.(map[string]any)["phase"] == "act" })
}

// answerFor gives the first recorded good answer for a call; a call that the
// scenario never made gets what the function would say.
func answerFor(recorded []walk.Answer, c walk.Call) walk.Answer {
	for _, a := range recorded {
		if a.State == c.State && a.Error == "" && (a.System == "" || a.System == c.System) && (a.Phase == "" || a.Phase == c.Phase) && a.Result["status"] != "waiting" && a.Result["status"] != "again" {
			return a
		}
	}
	return walk.Answer{State: c.State, Result: map[string]any{"v": 1.0, "system": c.System, "status": "done", "wait_seconds": 0.0, "notify": true}}
}

// A retry that may never end, or is spent in less than a vendor's hiccup, is no
// help: the numbers are laid down here.
func TestUnavailableIsTriedAgainBeforeAPersonIsAsked(t *testing.T) {
	trace, err := machine(t).Run(scenario(t, "vendor_down"))
	if err != nil {
		t.Fatal(err)
	}
	if n := trace.Calls["fanout-task-stripe"]; n != 4 {
		t.Errorf("the vendor was called %d times, want 4", n)
	}
	if n := trace.Calls["fanout-task-app"]; n != 1 {
		t.Errorf("the healthy system was called %d times, want 1", n)
	}
}
