package constructs

import (
	"encoding/json"
	"strings"

	"github.com/writ-dsr/writ/infra/jsii"
)

// Stage is the literal name of the API's stage: the base URL is made of it and
// of the API's id, for api.url in a function's environment would be a cycle.
const Stage = "live"

// A person's pages need few calls; a flood stops here, before a function.
const (
	steadyPerSecond = 20
	burst           = 40
)

// route leads a path of the API to a function.
type route struct {
	Path    string // "" for the root, "desk/{proxy+}" for all below
	Methods []string
	To      string // name of the function's folder
	Signed  bool   // asks for an AWS signature: the desk
}

// routes are the public paths, and the desk's.
func routes() []route {
	page := []string{"GET", "POST"}
	return []route{
		{Path: "", Methods: page, To: "intake-form"},
		{Path: "confirm", Methods: page, To: "verify-answer"},
		{Path: "not-me", Methods: page, To: "verify-answer"},
		{Path: "status", Methods: page, To: "notify-status"},
		{Path: "download", Methods: page, To: "bundle-download"},
		{Path: "task", Methods: page, To: "fanout-answer"},
		{Path: "desk/{proxy+}", Methods: []string{"POST"}, To: "desk", Signed: true},
	}
}

// accessLog is one line of the access log. It has no path, query or address:
// links carry tokens, and addresses are personal data.
func accessLog() string {
	line, _ := json.Marshal(map[string]string{
		"requestId":  "$context.requestId",
		"at":         "$context.requestTimeEpoch",
		"resourceId": "$context.resourceId",
		"method":     "$context.httpMethod",
		"status":     "$context.status",
		"bytes":      "$context.responseLength",
		"latency":    "$context.responseLatency",
		"fault":      "$context.integration.error",
	})
	return string(line)
}

// Intake is the API that people and the desk reach.
type Intake struct {
	API jsii.Ref
}

// NewIntake declares the API without routes, whose id the functions need.
func NewIntake(s Scope, stack string) Intake {
	logs := s.LogGroup("LogsApi", "/aws/apigateway/"+stack)
	format := s.K.InvokeStatic(lib+"aws_apigateway.AccessLogFormat", "custom", accessLog()).Ref()
	api := s.New("aws_apigateway.RestApi", "Api", jsii.Map{
		"restApiName":           stack,
		"description":           "Writ: the form, the pages of a request and the desk",
		"endpointConfiguration": jsii.Map{"types": []any{enum("aws_apigateway.EndpointType/REGIONAL")}},
		"cloudWatchRole":        true,
		"deployOptions": jsii.Map{
			"stageName":            Stage,
			"throttlingRateLimit":  steadyPerSecond,
			"throttlingBurstLimit": burst,
			"accessLogDestination": s.K.Create(lib+"aws_apigateway.LogGroupLogDestination", logs),
			"accessLogFormat":      format,
			"loggingLevel":         enum("aws_apigateway.MethodLoggingLevel/OFF"),
			"dataTraceEnabled":     false,
			"tracingEnabled":       false,
		},
	})
	// The address the library would put out is not the one people are given.
	s.K.Invoke(s.K.Get(api, "node").Ref(), "tryRemoveChild", "Endpoint")
	return Intake{API: api}
}

// BaseURL is the address of the API's root, without a slash at its end.
func (in Intake) BaseURL(s Scope) string {
	return "https://" + s.Text(in.API, "restApiId") + ".execute-api." + s.Text(s.Ref, "region") + "." + s.Text(s.Ref, "urlSuffix") + "/" + Stage
}

// Connect declares the routes.
func (in Intake) Connect(s Scope, to map[string]Function) {
	for _, r := range routes() {
		at := s.K.Get(in.API, "root").Ref()
		if r.Path != "" {
			for _, part := range strings.Split(r.Path, "/") {
				at = s.K.Invoke(at, "addResource", part).Ref()
			}
		}
		lambda := s.K.Create(lib+"aws_apigateway.LambdaIntegration", to[r.To].Ref, jsii.Map{"proxy": true, "allowTestInvoke": false})
		auth := "NONE"
		if r.Signed {
			auth = "IAM"
		}
		for _, m := range r.Methods {
			s.K.Invoke(at, "addMethod", m, lambda, jsii.Map{"authorizationType": enum("aws_apigateway.AuthorizationType/" + auth)})
		}
	}
}
