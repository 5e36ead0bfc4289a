package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/policy"
	"github.com/writ-dsr/writ/statemachines"
)

func TestMachineInvokesExactlyItsFunctions(t *testing.T) {
	for name, pack := range map[string]*policy.Company{product: load(t), madeUp: madeUpPack()} {
		tpl := stackOf(t, name)
		machine := tpl.one(t, "Machine")

		// What the definition may call: the substituted names, and one function for
		// each system with an API.
		want := map[string]bool{}
		names := machine.Properties["DefinitionSubstitutions"].(map[string]any)
		for placeholder, v := range names {
			if placeholder != "FanoutTaskFnPrefix" {
				want[v.(string)] = true
			}
		}
		for _, sys := range pack.Systems {
			if !sys.Manual() {
				want[names["FanoutTaskFnPrefix"].(string)+sys.ID] = true
			}
		}

		// What its role may call.
		got := map[string]bool{}
		for _, s := range tpl.permissions(t) {
			if !slices.Contains(s.actions, "lambda:InvokeFunction") {
				continue
			}
			if s.role == "RoleMachineRetention" {
				continue
			}
			if s.role != "RoleMachine" || s.condition != "" || len(s.actions) != 1 {
				t.Errorf("%s: %s may invoke functions: %v", name, s.role, s)
			}
			for _, r := range s.resources {
				id := strings.TrimSuffix(strings.TrimPrefix(r, "{"), ".Arn}")
				got[tpl.Resources[id].Properties["FunctionName"].(string)] = true
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: the machine may invoke\n%v, its definition names\n%v", name, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	}
}

func TestMachineIsTheEmbeddedOne(t *testing.T) {
	machine := stackOf(t, product).one(t, "Machine")
	if machine.Properties["DefinitionString"] != string(statemachines.Request) {
		t.Error("the definition is not the embedded file's bytes")
	}
	if machine.Properties["StateMachineName"] != product+"-request" {
		t.Errorf("the machine is called %v", machine.Properties["StateMachineName"])
	}
	names := machine.Properties["DefinitionSubstitutions"].(map[string]any)
	var asked []string
	for _, m := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllStringSubmatch(string(statemachines.Request), -1) {
		if !slices.Contains(asked, m[1]) {
			asked = append(asked, m[1])
		}
	}
	slices.Sort(asked)
	if given := slices.Sorted(maps.Keys(names)); !slices.Equal(asked, given) {
		t.Errorf("the definition asks for %v, the stack gives %v", asked, given)
	}
	logs := machine.Properties["LoggingConfiguration"].(map[string]any)
	if logs["IncludeExecutionData"] != false || logs["Level"] != "ALL" {
		t.Errorf("the machine logs %v, want every step and no data", logs)
	}
	if tracing := line(machine.Properties["TracingConfiguration"]); tracing != `{"Enabled":true}` {
		t.Errorf("tracing is %s", tracing)
	}
}

// The retention machine invokes the systems that can list, and nobody else.
func TestRetentionMachine(t *testing.T) {
	tpl := stackOf(t, product)
	machine := tpl.one(t, "MachineRetention")
	if machine.Properties["DefinitionString"] != string(statemachines.Retention) || machine.Properties["StateMachineName"] != product+"-retention" {
		t.Errorf("the machine is %v, or its definition is not the embedded file's bytes", machine.Properties["StateMachineName"])
	}
	if names := line(machine.Properties["DefinitionSubstitutions"]); names != `{"FanoutTaskFnPrefix":"`+product+`-fanout-"}` {
		t.Errorf("the definition's names are %s", names)
	}
	var invoked []string
	for _, s := range tpl.permissions(t) {
		if s.role == "RoleMachineRetention" && slices.Contains(s.actions, "lambda:InvokeFunction") {
			invoked = append(invoked, s.resources...)
		}
	}
	var want []string
	for id, f := range tpl.of("AWS::Lambda::Function") {
		if f.Properties["FunctionName"] == product+"-fanout-app" {
			want = append(want, "{"+id+".Arn}")
		}
	}
	if !slices.Equal(invoked, want) {
		t.Errorf("it may invoke %v, want %v", invoked, want)
	}
	starters := 0
	for _, s := range tpl.permissions(t) {
		if slices.Contains(s.actions, "states:StartExecution") && slices.ContainsFunc(s.resources, func(r string) bool { return strings.HasSuffix(r, ":stateMachine:"+product+"-retention") }) {
			starters++
			if s.role != "RoleSweep" {
				t.Errorf("%s may start it", s.role)
			}
		}
	}
	if starters != 1 {
		t.Errorf("%d statements allow to start it, want one", starters)
	}
}

func TestRules(t *testing.T) {
	tpl := stackOf(t, product)
	got := map[string]string{}
	for _, r := range tpl.of("AWS::Events::Rule") {
		p := r.Properties
		what := line(p["ScheduleExpression"]) + line(p["EventPattern"])
		for _, target := range list(p["Targets"]) {
			id := strings.TrimSuffix(strings.Trim(line(target.(map[string]any)["Arn"]), "{}"), ".Arn")
			got[what] += strings.TrimPrefix(tpl.Resources[id].Properties["FunctionName"].(string), product+"-")
		}
	}
	machine := environment(t, tpl, "sweep")["WRIT_MACHINE_ARN"]
	for what, fn := range got {
		switch {
		case what == "rate(1 hour)" && fn == "sweep":
		case what == "rate(1 day)" && fn == "sweep-records":
		case strings.Contains(what, `"source":["aws.ses"]`) && strings.Contains(what, `"ses:configuration-set":["`+product+`"]`) && fn == "notify-bounce":
		case strings.Contains(what, `"status":["FAILED","TIMED_OUT","ABORTED"]`) && strings.Contains(what, "stateMachine:"+product+"-request") && fn == "sweep":
		default:
			t.Errorf("the rule %s leads to %s", what, fn)
		}
	}
	if len(got) != 4 || !strings.HasSuffix(machine, ":stateMachine:"+product+"-request") {
		t.Errorf("%d rules, machine %s", len(got), machine)
	}
}

func TestAlarmsReachAPerson(t *testing.T) {
	tpl := stackOf(t, product)
	watched := map[string]bool{}
	for id, a := range tpl.of("AWS::CloudWatch::Alarm") {
		if !strings.HasPrefix(line(a.Properties["AlarmActions"]), `[{"Ref":"Alarms`) {
			t.Errorf("%s tells nobody: %s", id, line(a.Properties["AlarmActions"]))
		}
		watched[a.Properties["Namespace"].(string)+" "+a.Properties["MetricName"].(string)] = true
		for _, d := range list(a.Properties["Dimensions"]) {
			if m := d.(map[string]any); m["Name"] == "FunctionName" {
				watched["function "+m["Value"].(string)] = true
			}
		}
	}
	for _, want := range []string{"AWS/States ExecutionsFailed", "AWS/States ExecutionsTimedOut", "AWS/ApiGateway 5XXError", "Writ needs_attention", "Writ due_soon"} {
		if !watched[want] {
			t.Errorf("nothing watches %s", want)
		}
	}
	for _, f := range tpl.of("AWS::Lambda::Function") {
		if !watched["function "+f.Properties["FunctionName"].(string)] {
			t.Errorf("nothing watches %v", f.Properties["FunctionName"])
		}
	}
	allowed := 0
	for _, p := range tpl.of("AWS::SNS::TopicPolicy") {
		for _, s := range list(p.Properties["PolicyDocument"].(map[string]any)["Statement"]) {
			if st := s.(map[string]any); st["Effect"] == "Allow" && st["Action"] == "sns:Publish" && line(st["Principal"]) == `{"Service":"cloudwatch.amazonaws.com"}` {
				allowed++
			}
		}
	}
	if allowed != 1 {
		t.Errorf("%d statements let alarms publish, want one", allowed)
	}
	for _, s := range tpl.of("AWS::SNS::Subscription") {
		if s.Properties["Endpoint"] != "alarms@example.org" || s.Properties["Protocol"] != "email" {
			t.Errorf("alarms go to %v", s.Properties)
		}
	}
	if n := len(stackOf(t, emulated).of("AWS::SNS::Subscription")); n != 0 {
		t.Errorf("%d people get alarms though no address was given", n)
	}
}
