package constructs

import (
	"github.com/writ-dsr/writ/infra/jsii"
)

// The machines of a stack.
const (
	RequestMachine   = "request"   // one run of a request
	RetentionMachine = "retention" // the day's listing of what has expired
)

// MachineARN is the ARN of the request machine, written out, so that functions
// which the machine invokes may hold it.
func (w Workshop) MachineARN() string { return w.machineARN(RequestMachine) }

// RetentionARN is that of the retention machine.
func (w Workshop) RetentionARN() string { return w.machineARN(RetentionMachine) }

func (w Workshop) machineARN(machine string) string {
	return w.ARN("states", "stateMachine:"+w.machineName(machine))
}

func (w Workshop) machineName(machine string) string { return w.Stack + "-" + machine }

// ExecutionsARN is the pattern of the ARNs of the request machine's executions.
func (w Workshop) ExecutionsARN() string {
	return w.ARN("states", "execution:"+w.machineName(RequestMachine)+":*")
}

// Machine declares a machine from its definition. CDK grants nothing for what a
// definition names, so the role gets exactly the functions given. The log holds
// no data of a state, only that it was entered and left.
func (w Workshop) Machine(machine string, definition []byte, names map[string]string, invokes []Function) {
	arns := make([]string, len(invokes))
	for i, f := range invokes {
		arns[i] = f.ARN
	}
	id := "Machine" + pascal(machine)
	if machine == RequestMachine {
		id = "Machine" // its logical id stays what it was
	}
	var statements []Statement
	if len(arns) > 0 {
		statements = []Statement{{Actions: []string{"lambda:InvokeFunction"}, Resources: arns}}
	}
	role := w.Role("Role"+id, "states.amazonaws.com", statements)
	logs := w.LogGroup("Logs"+id, "/aws/vendedlogs/states/"+w.machineName(machine))
	w.New("aws_stepfunctions.StateMachine", id, jsii.Map{
		"stateMachineName":        w.machineName(machine),
		"definitionBody":          w.K.InvokeStatic(lib+"aws_stepfunctions.DefinitionBody", "fromString", string(definition)).Ref(),
		"definitionSubstitutions": names,
		"role":                    role,
		"tracingEnabled":          true,
		"logs": jsii.Map{
			"destination":          logs,
			"level":                enum("aws_stepfunctions.LogLevel/ALL"),
			"includeExecutionData": false,
		},
	})
}
