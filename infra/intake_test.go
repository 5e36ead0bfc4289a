package main

import (
	"encoding/json"
	"maps"
	"regexp"
	"strings"
	"testing"
)

func TestRoutes(t *testing.T) {
	tpl := stackOf(t, product)
	paths := map[string]string{}
	var pathOf func(id string) string
	pathOf = func(ref string) string {
		id, ok := strings.CutSuffix(strings.Trim(ref, "{}"), ".RootResourceId")
		if ok {
			return ""
		}
		p := tpl.Resources[id].Properties
		return pathOf(line(p["ParentId"])) + "/" + p["PathPart"].(string)
	}
	for _, m := range tpl.of("AWS::ApiGateway::Method") {
		p := m.Properties
		integration := p["Integration"].(map[string]any)
		uri := line(integration["Uri"])
		fn := regexp.MustCompile(`\{(Function\w+)\.Arn\}`).FindStringSubmatch(uri)
		if integration["Type"] != "AWS_PROXY" || fn == nil {
			t.Errorf("method %v leads to %s", p, uri)
			continue
		}
		name := strings.TrimPrefix(tpl.Resources[fn[1]].Properties["FunctionName"].(string), product+"-")
		paths[p["HttpMethod"].(string)+" "+pathOf(line(p["ResourceId"]))] = name + " " + p["AuthorizationType"].(string)
	}
	want := map[string]string{"POST /desk/{proxy+}": "desk AWS_IAM"}
	for path, fn := range map[string]string{"": "intake-form", "/confirm": "verify-answer", "/not-me": "verify-answer",
		"/task": "fanout-answer", "/download": "bundle-download", "/status": "notify-status"} {
		want["GET "+path] = fn + " NONE"
		want["POST "+path] = fn + " NONE"
	}
	if !maps.Equal(paths, want) {
		t.Errorf("routes\n%v, want\n%v", paths, want)
	}
}

func TestAccessLogNamesNobody(t *testing.T) {
	stage := stackOf(t, product).one(t, "ApiDeploymentStagelive").Properties
	if stage["StageName"] != "live" {
		t.Errorf("the stage is called %v", stage["StageName"])
	}
	format := stage["AccessLogSetting"].(map[string]any)["Format"].(string)
	var fields map[string]string
	if err := json.Unmarshal([]byte(format), &fields); err != nil || len(fields) == 0 {
		t.Fatalf("the access log's line is no JSON: %v", err)
	}
	personal := regexp.MustCompile(`(?i)path|query|ip\b|sourceip|identity|useragent|user|header|body|referer|domain|authorizer|protocol`)
	for name, value := range fields {
		if personal.MatchString(value) || !strings.HasPrefix(value, "$context.") {
			t.Errorf("the access log's field %s is %s", name, value)
		}
	}
	for _, m := range list(stage["MethodSettings"]) {
		s := m.(map[string]any)
		if s["DataTraceEnabled"] != false || s["LoggingLevel"] != "OFF" {
			t.Errorf("the stage logs what is asked and answered: %v", s)
		}
		if s["ThrottlingRateLimit"] != 20.0 || s["ThrottlingBurstLimit"] != 40.0 {
			t.Errorf("the stage lets through %v a second, %v at once", s["ThrottlingRateLimit"], s["ThrottlingBurstLimit"])
		}
	}
	if len(list(stage["MethodSettings"])) == 0 {
		t.Error("the stage has no limits")
	}
}
