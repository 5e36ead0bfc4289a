package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/writ-dsr/writ/infra/constructs"
	"github.com/writ-dsr/writ/infra/jsii"
	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/policy"
)

// stack is the one stack of a company, while it is declared.
type stack struct {
	constructs.Workshop
	settings settings
	data     constructs.Data
	intake   constructs.Intake
}

// inputs are what a stack is made from.
type inputs struct {
	settings   settings
	pack       *policy.Company
	shelf      map[string]connector.Descriptor // by code
	definition []byte                          // of the request machine
	retention  []byte                          // of the retention machine
	bin        string                          // folder with <function>/bootstrap
}

// newStack declares the stack in the app and returns its construct.
func newStack(k *jsii.Kernel, app jsii.Ref, in inputs) (jsii.Ref, error) {
	if err := check(in.pack, in.shelf); err != nil {
		return jsii.Ref{}, err
	}
	table := needs()
	if err := built(in.bin, append(slices.Sorted(maps.Keys(table)), "fanout-task")); err != nil {
		return jsii.Ref{}, err
	}
	name := "Writ-" + in.settings.company
	props := jsii.Map{"stackName": name, "description": "Writ: data rights of " + in.pack.Name}
	if in.settings.emulator {
		// An emulator that enforces IAM knows no bootstrap roles: the caller's own
		// credentials upload and deploy.
		props["synthesizer"] = k.Create("aws-cdk-lib.CliCredentialsStackSynthesizer")
	}
	scope := constructs.Scope{K: k, Ref: k.Create("aws-cdk-lib.Stack", app, name, props)}
	st := &stack{settings: in.settings, Workshop: constructs.Workshop{Scope: scope, Stack: name, Bin: in.bin, Arm: in.settings.arm}}
	st.data = constructs.NewData(scope, in.settings.emulator)
	st.intake = constructs.NewIntake(scope, name)
	st.Env = st.environment()

	functions := map[string]constructs.Function{}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		functions[name] = st.function(name, table[name])
	}
	var systems, listing []constructs.Function
	for _, sys := range in.pack.Systems {
		if sys.Manual() {
			continue
		}
		f := st.fanout(sys, in.shelf[sys.Connector])
		systems = append(systems, f)
		if in.shelf[sys.Connector].Lists {
			listing = append(listing, f)
		}
	}

	invoked, names := machineParts(functions, systems)
	names["FanoutTaskFnPrefix"] = st.FunctionName("fanout-")
	st.Machine(constructs.RequestMachine, in.definition, names, invoked)
	st.Machine(constructs.RetentionMachine, in.retention, map[string]string{"FanoutTaskFnPrefix": names["FanoutTaskFnPrefix"]}, listing)
	st.intake.Connect(scope, functions)
	st.Rules(functions["sweep"], functions["sweep-records"], functions["notify-bounce"])
	all := slices.Concat(slices.SortedFunc(maps.Values(functions), byName), systems)
	st.Alarms(in.settings.company, in.settings.alarm, all)
	st.outputs()
	return scope.Ref, k.Err()
}

func byName(a, b constructs.Function) int {
	if a.Name < b.Name {
		return -1
	}
	return 1
}

// built checks that every function has its binary.
func built(bin string, names []string) error {
	var missing []string
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(bin, name, "bootstrap")); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("looking for the functions' binaries: %s has no bootstrap of %s: run make build", bin, strings.Join(missing, ", "))
	}
	return nil
}

// reserved are the ids that would give a system's function the name of another
// function: fanout-manual, fanout-answer, fanout-task.
var reserved = []string{"answer", "manual", "task"}

// check finds what the pack's own loader cannot know: a connector that is not on
// the shelf, a setting that its connector does not know, an id that Writ needs.
func check(pack *policy.Company, shelf map[string]connector.Descriptor) error {
	for _, sys := range pack.Systems {
		if sys.Manual() {
			continue
		}
		at := fmt.Sprintf("companies/%s/systems.toml:%d", pack.ID, sys.Line)
		if slices.Contains(reserved, sys.ID) {
			return fmt.Errorf("%s: id: a system with an API cannot be called %s, for a function of Writ is", at, sys.ID)
		}
		d, there := shelf[sys.Connector]
		if !there {
			return fmt.Errorf("%s: connector: system %s names %q, which is no connector: %s", at, sys.ID, sys.Connector, strings.Join(slices.Sorted(maps.Keys(shelf)), ", "))
		}
		if err := (connector.Config{System: sys.ID, Settings: sys.Settings}).CheckSettings(d); err != nil {
			return fmt.Errorf("%s: config: %w", at, err)
		}
	}
	return nil
}

// machineParts names the functions of the definition's placeholders and lists
// all that the machine invokes.
func machineParts(functions map[string]constructs.Function, systems []constructs.Function) ([]constructs.Function, map[string]string) {
	names := map[string]string{}
	invoked := slices.Clone(systems)
	for placeholder, name := range map[string]string{
		"VerifyChallengeFn": "verify-challenge",
		"PlanRequestFn":     "plan-request",
		"FanoutManualFn":    "fanout-manual",
		"CollectResultsFn":  "collect-results",
		"BundleArchiveFn":   "bundle-archive",
		"NotifySubjectFn":   "notify-subject",
	} {
		names[placeholder] = functions[name].Name
		invoked = append(invoked, functions[name])
	}
	slices.SortFunc(invoked, byName)
	return invoked, names
}

// environment is what every function is told about the deployment.
func (st *stack) environment() map[string]string {
	env := map[string]string{
		"WRIT_COMPANY":       st.settings.company,
		"WRIT_STACK":         st.Stack,
		"WRIT_URL":           st.url(),
		"WRIT_SENDER":        st.settings.sender,
		"WRIT_OFFICER":       st.settings.officer,
		"WRIT_BUCKET":        st.Text(st.data.Bucket, "bucketName"),
		"WRIT_KEY_DATA":      st.Text(st.data.Key, "keyArn"),
		"WRIT_KEY_MAC":       st.Text(st.data.MacKey, "keyArn"),
		"WRIT_MACHINE_ARN":   st.MachineARN(),
		"WRIT_RETENTION_ARN": st.RetentionARN(),
		"WRIT_CONFIG_SET":    st.Mail(),
	}
	for t, ref := range st.data.Tables {
		env["WRIT_TABLE_"+constructs.EnvWord(string(t))] = st.Text(ref, "tableName")
	}
	if st.settings.emulator {
		env["WRIT_EMULATOR"] = "1"
	}
	if st.settings.endpoint != "" {
		env["AWS_ENDPOINT_URL"] = st.settings.endpoint
	}
	return env
}

// url is the public base URL: the deployment's input, or the API's own.
func (st *stack) url() string {
	if st.settings.url != "" {
		return st.settings.url
	}
	if st.settings.endpoint != "" {
		return st.settings.endpoint + "/restapis/" + st.Text(st.intake.API, "restApiId") + "/" + constructs.Stage + "/_user_request_"
	}
	return st.intake.BaseURL(st.Scope)
}

func (st *stack) function(name string, n need) constructs.Function {
	statements := st.data.Ledger(st.Scope, n.ledger)
	for _, g := range n.grants {
		statements = append(statements, st.statements(g)...)
	}
	return st.Function(constructs.Spec{Name: name, Memory: n.memory, Timeout: n.timeout, Statements: statements})
}

// fanout declares the one function that can reach a system.
func (st *stack) fanout(sys policy.System, d connector.Descriptor) constructs.Function {
	sp := constructs.Spec{
		Name: "fanout-task", Deployed: "fanout-" + sys.ID, Memory: small, Timeout: 900, Parallel: sys.MaxParallel,
		Env:        map[string]string{"WRIT_SYSTEM": sys.ID},
		Statements: st.data.SystemRole(st.Scope, st.settings.company, sys, d),
	}
	if base := st.settings.base[sys.ID]; base != "" {
		sp.Env["WRIT_BASE_"+constructs.EnvWord(sys.ID)] = base
	}
	if sys.VPC != nil {
		sp.Subnets, sp.Groups = sys.VPC.Subnets, sys.VPC.SecurityGroups
	}
	return st.Function(sp)
}

// statements turns a grant into permissions.
func (st *stack) statements(g grant) []constructs.Statement {
	s, d := st.Scope, st.data
	one := func(resource string, actions ...string) []constructs.Statement {
		return []constructs.Statement{{Actions: actions, Resources: []string{resource}}}
	}
	switch g {
	case opens:
		return []constructs.Statement{d.Use(s, "kms:Decrypt")}
	case seals:
		return []constructs.Statement{d.Use(s, "kms:GenerateDataKey")}
	case hashes:
		return []constructs.Statement{d.Hash(s)}
	case mails:
		// Any identity, but one sender: which identity a mail is checked against
		// depends on what is verified, and in the sandbox on the recipient too.
		return []constructs.Statement{{
			Actions:   []string{"ses:SendRawEmail"},
			Resources: []string{"*"},
			Condition: jsii.Map{"StringEqualsIfExists": jsii.Map{"ses:FromAddress": st.settings.from}},
		}}
	case starts:
		return one(st.MachineARN(), "states:StartExecution")
	case retains:
		return one(st.RetentionARN(), "states:StartExecution")
	case releases:
		// The service checks the token, which is the credential, not a resource.
		return one("*", "states:SendTaskSuccess")
	case stops:
		return one(st.ExecutionsARN(), "states:StopExecution")
	case inspects:
		return one(st.ExecutionsARN(), "states:DescribeExecution")
	case bundles:
		out := d.Objects(s, constructs.Exports+"*", "s3:GetObject")
		out = append(out, d.Objects(s, constructs.Bundles+"*", "s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject")...)
		return append(out, d.List(s, constructs.Exports))
	case downloads:
		return d.Objects(s, constructs.Bundles+"*", "s3:GetObject")
	case uploads:
		out := d.Objects(s, constructs.Uploads+"*", "s3:DeleteObject", "s3:GetObject", "s3:PutObject")
		out = append(out, d.Objects(s, constructs.Exports+"*", "s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject")...)
		return append(out, d.List(s, constructs.Exports, constructs.Uploads))
	case deletes:
		out := []constructs.Statement{d.List(s, constructs.Exports, constructs.Bundles, constructs.Uploads)}
		for _, prefix := range []string{constructs.Exports, constructs.Bundles, constructs.Uploads} {
			out = append(out, one(st.Text(d.Bucket, "bucketArn")+"/"+prefix+"*", "s3:DeleteObject")...)
		}
		return out
	}
	return nil
}

// outputs are the names that tests, the command and people need.
func (st *stack) outputs() {
	st.Output("FormUrl", st.url())
	st.Output("RestApiId", st.Text(st.intake.API, "restApiId"))
	st.Output("MachineArn", st.MachineARN())
	st.Output("RetentionArn", st.RetentionARN())
	st.Output("Bucket", st.Text(st.data.Bucket, "bucketName"))
	for _, t := range constructs.Tables() {
		st.Output("Table"+string(t), st.Text(st.data.Tables[t], "tableName"))
	}
	st.Output("KeyData", st.Text(st.data.Key, "keyArn"))
	st.Output("KeyMac", st.Text(st.data.MacKey, "keyArn"))
}
