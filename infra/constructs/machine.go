package constructs

import (
	"github.com/writ-dsr/writ/infra/jsii"
)

// MachineARN is the ARN of the machine, written out, so that functions which the
// machine invokes may hold it.
func (w Workshop) MachineARN() string { return w.ARN("states", "stateMachine:"+w.machineName()) }

func (w Workshop) machineName() string { return w.Stack + "-request" }

// ExecutionsARN is the pattern of the ARNs of the machine's executions.
func (w Workshop) ExecutionsARN() string {
	return w.ARN("states", "execution:"+w.machineName()+":*")
}

// Machine declares the machine from its definition. CDK grants nothing for what
// a definition names, so the role gets exactly the functions given. The log
// holds no data of a state, only that it was entered and left.
func (w Workshop) Machine(definition []byte, names map[string]string, invokes []Function) {
	arns := make([]string, len(invokes))
	for i, f := range invokes {
		arns[i] = f.ARN
	}
	role := w.Role("RoleMachine", "states.amazonaws.com", []Statement{{Actions: []string{"lambda:InvokeFunction"}, Resources: arns}})
	logs := w.LogGroup("LogsMachine", "/aws/vendedlogs/states/"+w.machineName())
	w.New("aws_stepfunctions.StateMachine", "Machine", jsii.Map{
		"stateMachineName":        w.machineName(),
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
