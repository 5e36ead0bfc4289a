package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/infra/constructs"
	"github.com/writ-dsr/writ/shared/policy"
	"github.com/writ-dsr/writ/statemachines"
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

func load(t *testing.T) *policy.Company {
	t.Helper()
	pack, err := policy.Load("pythonmaster")
	if err != nil {
		t.Fatal(err)
	}
	return pack
}

func TestSecretsAreOnlyTheirSystemsOwn(t *testing.T) {
	for _, name := range []string{product, madeUp} {
		tpl := stackOf(t, name)
		company := strings.TrimPrefix(name, "Writ-")
		readers := 0
		for _, s := range tpl.permissions(t) {
			for _, a := range s.actions {
				if !strings.HasPrefix(a, "ssm:") && !strings.HasPrefix(a, "secretsmanager:") {
					continue
				}
				readers++
				system, _ := strings.CutPrefix(s.role, "RoleFanout")
				for _, r := range s.resources {
					_, path, ok := strings.Cut(r, ":parameter/writ/"+company+"/")
					owner, secret, _ := strings.Cut(path, "/")
					if !ok || pascal(owner) != system || secret == "" || strings.Contains(r, "*") {
						t.Errorf("%s: %s may %s %s", name, s.role, a, r)
					}
				}
				if a != "ssm:GetParameter" {
					t.Errorf("%s: %s may %s", name, s.role, a)
				}
			}
		}
		if readers == 0 {
			t.Errorf("%s: no role reads a secret", name)
		}
	}
}

func pascal(id string) string {
	var b strings.Builder
	for _, part := range strings.Split(id, "-") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

// wildcards are the resources that are named by a pattern, each with its reason.
var wildcards = []struct{ role, actions, resource, why string }{
	{"RoleMachineDefaultPolicy", "logs:*", "*", "Step Functions delivers its log through actions that know no resource"},
	{"RoleMachineDefaultPolicy", "xray:*", "*", "traces know no resource"},
	{"Role*", "ses:SendRawEmail", "*", "the sender is the condition; which identity is checked depends on what is verified"},
	{"Role*", "states:SendTask*", "*", "the task token is the credential; the service knows no resource for it"},
	{"RoleSweep", "states:*Execution", "*:execution:*-request:*", "executions of this one machine, whose names are the requests'"},
	{"RoleFanout*", "s3:*", "{Bucket*.Arn}/exports/?*/?*/*", "the system's own part of every request's exports"},
	{"RoleBundleArchive", "s3:*", "{Bucket*.Arn}/*/*", "the parts of every request's copy"},
	{"RoleBundleDownload", "s3:GetObject", "{Bucket*.Arn}/bundles/*", "every request's copy"},
	{"RoleFanoutAnswer", "s3:*", "{Bucket*.Arn}/uploads/*", "the files people hand in, request by request"},
	{"RoleSweep", "s3:*", "{Bucket*.Arn}/*/*", "what has expired, request by request"},
	{"RoleFanoutFiles", "s3:*", "*:s3:::*/*", "every object of the one bucket the system is"},
	{"RoleFanoutItems", "dynamodb:*", "*:table/*/index/*", "every index of the one table the system is"},
	{"RoleFanoutDb", "ec2:*", "*", "Lambda makes the interfaces of a private network; they do not exist yet"},
}

func TestActionsAndResourcesAreNamed(t *testing.T) {
	used := map[int]bool{}
	for _, name := range []string{product, emulated, madeUp} {
		for _, s := range stackOf(t, name).permissions(t) {
			for _, a := range s.actions {
				if strings.Contains(a, "*") {
					t.Errorf("%s: %s may %s", name, s.role, a)
				}
			}
			for _, r := range s.resources {
				if !strings.Contains(r, "*") {
					continue
				}
				i := slices.IndexFunc(wildcards, func(w struct{ role, actions, resource, why string }) bool {
					return glob(w.role, s.role) && glob(w.resource, r) && !slices.ContainsFunc(s.actions, func(a string) bool { return !glob(w.actions, a) })
				})
				if i < 0 {
					t.Errorf("%s: %s may %v on %s, and no reason is given", name, s.role, s.actions, r)
					continue
				}
				used[i] = true
			}
		}
	}
	for i, w := range wildcards {
		if !used[i] {
			t.Errorf("the reason for %s %s on %s is no longer needed", w.role, w.actions, w.resource)
		}
	}
}

// glob matches like a shell, but a star crosses slashes.
func glob(pattern, s string) bool {
	flat := func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
	ok, err := path.Match(flat(pattern), flat(s))
	return err == nil && ok
}

// TestAccessByTable guards the cut of the tables: who may write what.
func TestAccessByTable(t *testing.T) {
	tpl := stackOf(t, product)
	var b strings.Builder
	for _, table := range constructs.Tables() {
		var rows []string
		for _, s := range tpl.permissions(t) {
			for _, r := range s.resources {
				if strings.HasPrefix(r, "{Table"+string(table)) {
					var verbs []string
					for _, a := range s.actions {
						verbs = append(verbs, strings.TrimPrefix(a, "dynamodb:"))
					}
					slices.Sort(verbs)
					what := strings.TrimPrefix(s.role, "Role")
					if strings.Contains(r, "/index/") {
						what += " index"
					}
					rows = append(rows, fmt.Sprintf("%s %s: %s\n", table, what, strings.Join(verbs, " ")))
				}
			}
		}
		slices.Sort(rows)
		b.WriteString(strings.Join(rows, ""))
	}
	golden(t, "access.golden", b.String())

	for _, s := range tpl.permissions(t) {
		for _, r := range s.resources {
			for _, a := range s.actions {
				if strings.HasPrefix(r, "{TableEvents") && !slices.Contains([]string{"dynamodb:PutItem", "dynamodb:Query", "dynamodb:GetItem"}, a) {
					t.Errorf("%s may %s the events, which are append-only", s.role, a)
				}
			}
		}
	}
}

func TestWhatIsKeptSurvivesTheStack(t *testing.T) {
	for _, name := range []string{product, emulated} {
		tpl := stackOf(t, name)
		for _, kind := range []string{"AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::S3::Bucket"} {
			for id, r := range tpl.of(kind) {
				if r.DeletionPolicy != "Retain" {
					t.Errorf("%s: %s has the deletion policy %q", name, id, r.DeletionPolicy)
				}
			}
		}
		for id, r := range tpl.of("AWS::DynamoDB::Table") {
			if got, want := r.Properties["DeletionProtectionEnabled"], name != emulated; got != want {
				t.Errorf("%s: %s has deletion protection %v, want %v", name, id, got, want)
			}
			if r.Properties["BillingMode"] != "PAY_PER_REQUEST" {
				t.Errorf("%s: %s is billed %v", name, id, r.Properties["BillingMode"])
			}
			if sse := line(r.Properties["SSESpecification"]); !strings.Contains(sse, "KeyData") {
				t.Errorf("%s: %s is sealed with %s", name, id, sse)
			}
		}
	}
	if n := len(stackOf(t, product).of("AWS::DynamoDB::Table")); n != 7 {
		t.Errorf("%d tables, want 7", n)
	}
}

func TestRecoveryAndExpiry(t *testing.T) {
	tpl := stackOf(t, product)
	for _, table := range constructs.Tables() {
		p := tpl.one(t, "Table"+string(table)).Properties
		want := `{"PointInTimeRecoveryEnabled":true,"RecoveryPeriodInDays":7}`
		if table == constructs.Subjects || table == constructs.Tokens {
			want = ""
		}
		if got := line(p["PointInTimeRecoverySpecification"]); got != want {
			t.Errorf("%s: recovery %s, want %s", table, got, want)
		}
		ttl := ""
		if table == constructs.Tokens {
			ttl = `{"AttributeName":"ttl","Enabled":true}`
		}
		if got := line(p["TimeToLiveSpecification"]); got != ttl {
			t.Errorf("%s: expiry %s, want %s", table, got, ttl)
		}
	}
	index := line(tpl.one(t, "TableRequests").Properties["GlobalSecondaryIndexes"])
	for _, part := range []string{`"IndexName":"OPEN"`, `{"AttributeName":"open","KeyType":"HASH"}`, `{"AttributeName":"due_at","KeyType":"RANGE"}`} {
		if !strings.Contains(index, part) {
			t.Errorf("the index of open requests is %s, want %s in it", index, part)
		}
	}
}

func TestKeys(t *testing.T) {
	tpl := stackOf(t, product)
	if p := tpl.one(t, "KeyData").Properties; p["EnableKeyRotation"] != true {
		t.Error("the data key does not rotate")
	}
	if p := tpl.one(t, "KeyMac").Properties; p["KeySpec"] != "HMAC_256" || p["KeyUsage"] != "GENERATE_VERIFY_MAC" {
		t.Errorf("the key for keyed hashes is %v for %v", p["KeySpec"], p["KeyUsage"])
	}
}

func TestBucket(t *testing.T) {
	tpl := stackOf(t, product)
	p := tpl.one(t, "Bucket").Properties
	if got := line(p["PublicAccessBlockConfiguration"]); strings.Count(got, "true") != 4 {
		t.Errorf("public access is blocked as %s", got)
	}
	if got := line(p["BucketEncryption"]); !strings.Contains(got, `"BucketKeyEnabled":true`) || !strings.Contains(got, "KeyData") {
		t.Errorf("objects are sealed as %s", got)
	}
	if p["VersioningConfiguration"] != nil || p["ObjectLockEnabled"] != nil {
		t.Error("deleted objects would live on")
	}
	days := map[string]float64{}
	for _, r := range list(p["LifecycleConfiguration"].(map[string]any)["Rules"]) {
		rule := r.(map[string]any)
		if rule["Status"] != "Enabled" {
			t.Errorf("lifecycle rule %v is off", rule)
		}
		if prefix, ok := rule["Prefix"].(string); ok {
			days[prefix] = rule["ExpirationInDays"].(float64)
		} else if line(rule["AbortIncompleteMultipartUpload"]) != `{"DaysAfterInitiation":2}` {
			t.Errorf("lifecycle rule %v", rule)
		}
	}
	if want := map[string]float64{"exports/": 60, "bundles/": 30, "uploads/": 60}; !maps.Equal(days, want) {
		t.Errorf("objects expire after %v, want %v", days, want)
	}
	denials := func(name string) string {
		var out []string
		for _, s := range list(stackOf(t, name).one(t, "BucketPolicy").Properties["PolicyDocument"].(map[string]any)["Statement"]) {
			if st := s.(map[string]any); st["Effect"] == "Deny" {
				out = append(out, line(st["Condition"]))
			}
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	links := `{"NumericGreaterThan":{"s3:signatureAge":"300000"}}`
	if got := denials(product); got != `{"Bool":{"aws:SecureTransport":"false"}} `+links {
		t.Errorf("the bucket denies %s", got)
	}
	if got := denials(emulated); got != links {
		t.Errorf("on an emulator, which has no TLS, the bucket denies %s", got)
	}
}

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
	if got, want := fmt.Sprint(stores), "map[RoleFanoutFiles:[made-up-files made-up-files/*] RoleFanoutItems:[table/orders table/orders/index/*]]"; got != want {
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

func TestEnvironment(t *testing.T) {
	everywhere := []string{
		"WRIT_BUCKET", "WRIT_COMPANY", "WRIT_CONFIG_SET", "WRIT_KEY_DATA", "WRIT_KEY_MAC", "WRIT_MACHINE_ARN", "WRIT_OFFICER", "WRIT_SENDER",
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
	want := []string{"Bucket", "FormUrl", "KeyData", "KeyMac", "MachineArn", "RestApiId",
		"TableEvents", "TableHolds", "TableRequests", "TableSubjects", "TableSuppression", "TableTasks", "TableTokens"}
	if got := slices.Sorted(maps.Keys(stackOf(t, product).Outputs)); !slices.Equal(got, want) {
		t.Errorf("outputs %v, want %v", got, want)
	}
}

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
		case strings.Contains(what, `"source":["aws.ses"]`) && strings.Contains(what, `"ses:configuration-set":["`+product+`"]`) && fn == "notify-bounce":
		case strings.Contains(what, `"status":["FAILED","TIMED_OUT","ABORTED"]`) && strings.Contains(what, "stateMachine:"+product+"-request") && fn == "sweep":
		default:
			t.Errorf("the rule %s leads to %s", what, fn)
		}
	}
	if len(got) != 3 || !strings.HasSuffix(machine, ":stateMachine:"+product+"-request") {
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
	for _, s := range tpl.of("AWS::SNS::Subscription") {
		if s.Properties["Endpoint"] != "alarms@example.org" || s.Properties["Protocol"] != "email" {
			t.Errorf("alarms go to %v", s.Properties)
		}
	}
	if n := len(stackOf(t, emulated).of("AWS::SNS::Subscription")); n != 0 {
		t.Errorf("%d people get alarms though no address was given", n)
	}
}
