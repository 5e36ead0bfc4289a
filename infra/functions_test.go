package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFunctions(t *testing.T) {
	tpl := stackOf(t, product)
	type size struct{ memory, timeout float64 }
	want := map[string]size{}
	for name, n := range needs() {
		want[product+"-"+name] = size{float64(n.memory), float64(n.timeout)}
	}
	for _, sys := range load(t).Systems {
		if !sys.Manual() {
			want[product+"-fanout-"+sys.ID] = size{256, 900}
		}
	}
	roles := map[string]string{}
	got := map[string]size{}
	for id, f := range tpl.of("AWS::Lambda::Function") {
		p := f.Properties
		name := p["FunctionName"].(string)
		got[name] = size{p["MemorySize"].(float64), p["Timeout"].(float64)}
		if p["Runtime"] != "provided.al2023" || p["Handler"] != "bootstrap" || line(p["Architectures"]) != `["arm64"]` {
			t.Errorf("%s runs %v %v %v", name, p["Runtime"], p["Handler"], p["Architectures"])
		}
		if p["VpcConfig"] != nil || p["ReservedConcurrentExecutions"] != nil {
			t.Errorf("%s has a network or a reservation that no system asks for", name)
		}
		logging := p["LoggingConfig"].(map[string]any)
		group := tpl.Resources[strings.Trim(line(logging["LogGroup"]), "{}")]
		if logging["LogFormat"] != "JSON" || group.Properties["RetentionInDays"] != 90.0 || group.Properties["LogGroupName"] != "/aws/lambda/"+name {
			t.Errorf("%s logs as %v to %v", name, logging, group.Properties)
		}
		role := line(p["Role"])
		if other, taken := roles[role]; taken {
			t.Errorf("%s and %s share a role", id, other)
		}
		roles[role] = id
	}
	if !maps.Equal(got, want) {
		t.Errorf("functions\n%v, want\n%v", got, want)
	}
	for id, r := range tpl.of("AWS::IAM::Role") {
		if m := r.Properties["ManagedPolicyArns"]; m != nil && !strings.HasPrefix(id, "ApiCloudWatchRole") {
			t.Errorf("%s has managed policies %s", id, line(m))
		}
	}
}

func TestFunctionsOfSystems(t *testing.T) {
	tpl := stackOf(t, madeUp)
	if p := tpl.one(t, "FunctionFanoutCrm").Properties; p["ReservedConcurrentExecutions"] != 3.0 {
		t.Errorf("max_parallel became %v", p["ReservedConcurrentExecutions"])
	}
	if got := line(tpl.one(t, "FunctionFanoutDb").Properties["VpcConfig"]); got != `{"SecurityGroupIds":["sg-1"],"SubnetIds":["subnet-1","subnet-2"]}` {
		t.Errorf("the network became %s", got)
	}
	for _, id := range slices.Collect(maps.Keys(tpl.Resources)) {
		if strings.HasPrefix(id, "FunctionFanoutPaper") {
			t.Errorf("a system without an API has the function %s", id)
		}
	}
	stores := map[string][]string{}
	for _, s := range tpl.permissions(t) {
		for _, r := range s.resources {
			if strings.Contains(r, ":s3:::") || strings.Contains(r, ":table/") {
				stores[s.role] = append(stores[s.role], r[strings.LastIndex(r, ":")+1:])
			}
		}
	}
	for _, l := range stores {
		slices.Sort(l)
	}
	if got, want := fmt.Sprint(stores), "map[RoleFanoutFiles:[made-up-files made-up-files/people/*] RoleFanoutItems:[table/orders table/orders/index/*]]"; got != want {
		t.Errorf("stores of the company are reached as\n%s, want\n%s", got, want)
	}
	env := environment(t, stackOf(t, emulated), "fanout-stripe")
	if env["WRIT_SYSTEM"] != "stripe" || env["WRIT_BASE_STRIPE"] != "http://127.0.0.1:9" {
		t.Errorf("system %q, base %q", env["WRIT_SYSTEM"], env["WRIT_BASE_STRIPE"])
	}
}

func environment(t *testing.T, tpl *template, function string) map[string]string {
	t.Helper()
	for _, f := range tpl.of("AWS::Lambda::Function") {
		if f.Properties["FunctionName"] == product+"-"+function {
			out := map[string]string{}
			for k, v := range f.Properties["Environment"].(map[string]any)["Variables"].(map[string]any) {
				out[k] = line(v)
			}
			return out
		}
	}
	t.Fatalf("no function %s", function)
	return nil
}

// TestEveryFolderIsDeployed holds the two lists of functions together.
func TestEveryFolderIsDeployed(t *testing.T) {
	folders, err := os.ReadDir(filepath.Join("..", "functions"))
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, f := range folders {
		if f.IsDir() {
			have = append(have, f.Name())
		}
	}
	want := append(slices.Collect(maps.Keys(needs())), "fanout-task")
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("functions/ has\n%v, the stack deploys\n%v", have, want)
	}
}
