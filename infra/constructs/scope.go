// Package constructs holds the parts of the stack: data, functions, roles, the
// machine, the intake and the watch. Each is one constructor that declares its
// resources in a Scope; the first failure is kept by the kernel and read once,
// after the whole stack is declared.
package constructs

import (
	"strings"

	"github.com/writ-dsr/writ/infra/jsii"
)

// lib is the package of the CDK's own classes.
const lib = "aws-cdk-lib."

// Scope is a construct that others are declared in.
type Scope struct {
	K   *jsii.Kernel
	Ref jsii.Ref
}

// New declares an instance of a class of the CDK library in the Scope.
func (s Scope) New(class, id string, props jsii.Map) jsii.Ref {
	return s.K.Create(lib+class, s.Ref, id, props)
}

// Text reads a property that is a string or a token of one.
func (s Scope) Text(of jsii.Ref, property string) string { return s.K.Get(of, property).Text() }

// Output declares an output of the stack under exactly this name.
func (s Scope) Output(name, value string) {
	out := s.New("CfnOutput", "Output"+name, jsii.Map{"value": value})
	s.K.Invoke(out, "overrideLogicalId", name)
}

// ARN is the ARN of a resource of this account and region.
func (s Scope) ARN(service, resource string) string {
	return "arn:" + s.Text(s.Ref, "partition") + ":" + service + ":" + s.Text(s.Ref, "region") + ":" + s.Text(s.Ref, "account") + ":" + resource
}

func (s Scope) days(n int) jsii.Ref {
	return s.K.InvokeStatic(lib+"Duration", "days", n).Ref()
}

func (s Scope) seconds(n int) jsii.Ref {
	return s.K.InvokeStatic(lib+"Duration", "seconds", n).Ref()
}

func enum(member string) jsii.Enum { return jsii.Enum(lib + member) }

// LogGroup declares a log group that keeps its lines for three months, as long
// as Step Functions keeps an execution's history.
func (s Scope) LogGroup(id, name string) jsii.Ref {
	return s.New("aws_logs.LogGroup", id, jsii.Map{
		"logGroupName":  name,
		"retention":     enum("aws_logs.RetentionDays/THREE_MONTHS"),
		"removalPolicy": enum("RemovalPolicy/DESTROY"),
	})
}

// pascal turns a name such as fanout-task into FanoutTask, the form of ids.
func pascal(name string) string {
	var b strings.Builder
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}
