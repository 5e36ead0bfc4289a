package constructs

import (
	"path/filepath"
	"strings"

	"github.com/writ-dsr/writ/infra/jsii"
)

// Spec describes one Lambda.
type Spec struct {
	Name       string // its folder, also the end of the function's name
	Deployed   string // end of the function's name where it differs, for one of several deployments
	Memory     int    // MiB
	Timeout    int    // seconds
	Parallel   int    // reserved concurrency, 0 for none
	Subnets    []string
	Groups     []string
	Env        map[string]string
	Statements []Statement
}

// Workshop is what all functions of a stack share.
type Workshop struct {
	Scope
	Stack string            // name of the stack, the beginning of every function's name
	Bin   string            // folder with <name>/bootstrap
	Arm   bool              // architecture of the binaries
	Env   map[string]string // environment of every function
}

// Function is a deployed Lambda.
type Function struct {
	Name string // as the machine and the alarms name it
	Ref  jsii.Ref
	ARN  string
}

// FunctionName is the whole name of a function of the stack.
func (w Workshop) FunctionName(end string) string { return w.Stack + "-" + end }

// Function declares a Lambda with a role of its own and a log group that the
// role may write to and nothing else may.
func (w Workshop) Function(sp Spec) Function {
	end := sp.Deployed
	if end == "" {
		end = sp.Name
	}
	id, name := pascal(end), w.FunctionName(end)
	logs := w.LogGroup("Logs"+id, "/aws/lambda/"+name)
	statements := append([]Statement{{
		Actions:   []string{"logs:CreateLogStream", "logs:PutLogEvents"},
		Resources: []string{w.Text(logs, "logGroupArn")},
	}}, sp.Statements...)
	if len(sp.Subnets) > 0 {
		statements = append(statements, network)
	}
	role := w.Role("Role"+id, "lambda.amazonaws.com", statements)
	env := map[string]string{}
	for k, v := range w.Env {
		env[k] = v
	}
	for k, v := range sp.Env {
		env[k] = v
	}
	arch := "X86_64"
	if w.Arm {
		arch = "ARM_64"
	}
	props := jsii.Map{
		"functionName":  name,
		"runtime":       w.K.GetStatic(lib+"aws_lambda.Runtime", "PROVIDED_AL2023").Ref(),
		"architecture":  w.K.GetStatic(lib+"aws_lambda.Architecture", arch).Ref(),
		"handler":       "bootstrap",
		"code":          w.K.InvokeStatic(lib+"aws_lambda.Code", "fromAsset", filepath.Join(w.Bin, sp.Name)).Ref(),
		"memorySize":    sp.Memory,
		"timeout":       w.seconds(sp.Timeout),
		"role":          role,
		"logGroup":      logs,
		"loggingFormat": enum("aws_lambda.LoggingFormat/JSON"),
		"environment":   env,
	}
	if sp.Parallel > 0 {
		props["reservedConcurrentExecutions"] = sp.Parallel
	}
	ref := w.New("aws_lambda.Function", "Function"+id, props)
	if len(sp.Subnets) > 0 {
		w.K.Invoke(w.child(ref), "addPropertyOverride", "VpcConfig", jsii.Map{"SubnetIds": sp.Subnets, "SecurityGroupIds": sp.Groups})
	}
	return Function{Name: name, Ref: ref, ARN: w.Text(ref, "functionArn")}
}

// child is the CloudFormation resource behind a construct.
func (s Scope) child(of jsii.Ref) jsii.Ref {
	return s.K.Get(s.K.Get(of, "node").Ref(), "defaultChild").Ref()
}

// network is what Lambda needs to put a function into a private network; the
// service knows no narrower resource for interfaces that do not exist yet.
var network = Statement{
	Actions: []string{
		"ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
		"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
	},
	Resources: []string{"*"},
}

// EnvWord is how a system's id is written in a name of the environment.
func EnvWord(system string) string {
	return strings.ToUpper(strings.ReplaceAll(system, "-", "_"))
}
