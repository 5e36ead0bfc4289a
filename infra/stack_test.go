package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/policy"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// maxResources keeps the stack well below CloudFormation's limit of 500, also
// for a company with twenty systems.
const maxResources = 400

func TestResourceCounts(t *testing.T) {
	for _, name := range []string{product, emulated, madeUp} {
		if n := len(stackOf(t, name).Resources); n > maxResources {
			t.Errorf("%s has %d resources, at most %d", name, n, maxResources)
		}
	}
	counts := map[string]int{}
	for _, r := range stackOf(t, product).Resources {
		counts[r.Type]++
	}
	var b strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "%3d %s\n", counts[kind], kind)
	}
	golden(t, "resources.golden", b.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test ./infra -update rewrites it)\n--- got\n%s--- want\n%s", name, got, want)
	}
}

// Where each resource type works. A type on no list fails the test: it must be
// tried on the emulators first.
var (
	realOnBoth = []string{
		"AWS::ApiGateway::Account", "AWS::ApiGateway::Deployment", "AWS::ApiGateway::Method", "AWS::ApiGateway::Resource",
		"AWS::ApiGateway::RestApi", "AWS::ApiGateway::Stage", "AWS::CloudWatch::Alarm", "AWS::DynamoDB::Table", "AWS::Events::Rule",
		"AWS::IAM::Policy", "AWS::IAM::Role", "AWS::KMS::Key", "AWS::Lambda::Function", "AWS::Lambda::Permission",
		"AWS::Logs::LogGroup", "AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::SNS::Subscription", "AWS::SNS::Topic",
		"AWS::SNS::TopicPolicy", "AWS::StepFunctions::StateMachine",
	}
	inertOnLocalStack = map[string]string{
		"AWS::SES::ConfigurationSet":                 "it reports success and makes none: mails go out without the set, no reports come",
		"AWS::SES::ConfigurationSetEventDestination": "it reports success and makes none: tests put the mail service's reports on the bus themselves",
	}
	forbidden = map[string]string{
		"AWS::ApiGatewayV2::Api":              "LocalStack has no HTTP API",
		"AWS::Scheduler::Schedule":            "LocalStack stores schedules and never fires them: rules do fire",
		"AWS::SES::EmailIdentity":             "the sender's identity is verified by hand, and LocalStack rolls the stack back",
		"AWS::SES::Template":                  "mails are rendered in Go, in one place",
		"AWS::SecretsManager::Secret":         "secrets are SSM SecureStrings, which have no monthly price",
		"AWS::EC2::VPC":                       "a system's network belongs to the company",
		"AWS::EC2::NatGateway":                "nothing of Writ costs money while idle",
		"AWS::WAFv2::WebACL":                  "it costs money while idle, and LocalStack has none",
		"AWS::DynamoDB::GlobalTable":          "last writer wins is wrong for the state of a request",
		"AWS::Lambda::EventSourceMapping":     "no stage reads a queue or a stream",
		"AWS::CloudFormation::Stack":          "one stack",
		"AWS::CloudWatch::Dashboard":          "LocalStack reports success and makes none",
		"AWS::IAM::ManagedPolicy":             "a role's permissions stand in the role",
		"AWS::IAM::User":                      "nobody gets a long-lived key",
		"Custom::S3AutoDeleteObjects":         "nothing deletes people's data when a stack goes",
		"Custom::LogRetention":                "log groups are resources of the stack",
		"AWS::CloudFormation::CustomResource": "what a deployment does stands in the template",
	}
)

func TestResourceTypesAreKnown(t *testing.T) {
	used := map[string]bool{}
	for _, name := range []string{product, emulated, madeUp} {
		for id, r := range stackOf(t, name).Resources {
			used[r.Type] = true
			if why, no := forbidden[r.Type]; no {
				t.Errorf("%s: %s is a %s: %s", name, id, r.Type, why)
			}
			if _, inert := inertOnLocalStack[r.Type]; !inert && !slices.Contains(realOnBoth, r.Type) {
				t.Errorf("%s: %s is a %s, which is on none of the lists", name, id, r.Type)
			}
		}
	}
	for _, kind := range append(slices.Collect(maps.Keys(inertOnLocalStack)), realOnBoth...) {
		if !used[kind] {
			t.Errorf("%s is on a list and used nowhere", kind)
		}
	}
}

func TestEnvironment(t *testing.T) {
	everywhere := []string{
		"WRIT_BUCKET", "WRIT_COMPANY", "WRIT_CONFIG_SET", "WRIT_KEY_DATA", "WRIT_KEY_MAC", "WRIT_MACHINE_ARN", "WRIT_OFFICER", "WRIT_RETENTION_ARN", "WRIT_SENDER",
		"WRIT_STACK", "WRIT_TABLE_EVENTS", "WRIT_TABLE_HOLDS", "WRIT_TABLE_REQUESTS", "WRIT_TABLE_SUBJECTS", "WRIT_TABLE_SUPPRESSION",
		"WRIT_TABLE_TASKS", "WRIT_TABLE_TOKENS", "WRIT_URL",
	}
	env := environment(t, stackOf(t, product), "intake-form")
	if names := slices.Sorted(maps.Keys(env)); !slices.Equal(names, everywhere) {
		t.Errorf("a function is told %v, want %v", names, everywhere)
	}
	if !regexp.MustCompile(`^https://\{Api[0-9A-F]+\}\.execute-api\.\{AWS::Region\}\.\{AWS::URLSuffix\}/live$`).MatchString(env["WRIT_URL"]) {
		t.Errorf("the base URL is %s", env["WRIT_URL"])
	}
	env = environment(t, stackOf(t, emulated), "intake-form")
	for name, want := range map[string]string{
		"WRIT_EMULATOR": "1", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "WRIT_SENDER": "Privacy <privacy@example.org>", "WRIT_OFFICER": "privacy@pythonmaster.com",
	} {
		if env[name] != want {
			t.Errorf("%s is %q on an emulator, want %q", name, env[name], want)
		}
	}
}

func TestOutputs(t *testing.T) {
	want := []string{"Bucket", "FormUrl", "KeyData", "KeyMac", "MachineArn", "RestApiId", "RetentionArn",
		"TableEvents", "TableHolds", "TableRequests", "TableSubjects", "TableSuppression", "TableTasks", "TableTokens"}
	if got := slices.Sorted(maps.Keys(stackOf(t, product).Outputs)); !slices.Equal(got, want) {
		t.Errorf("outputs %v, want %v", got, want)
	}
}

func load(t *testing.T) *policy.Company {
	t.Helper()
	pack, err := policy.Load("pythonmaster")
	if err != nil {
		t.Fatal(err)
	}
	return pack
}
