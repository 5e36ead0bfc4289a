//go:build e2e

package machine

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/writ-dsr/writ/shared/ledger"
)

// waits is a machine that waits for a task token, which an activity hands out.
const waits = `{
	"Resources": {
		"Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
			{"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}]}}},
		"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": {
			"StateMachineName": "NAME", "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
			"DefinitionString": "{\"StartAt\":\"Ask\",\"States\":{\"Ask\":{\"Type\":\"Task\",\"Resource\":\"ACTIVITY\",\"TimeoutSeconds\":600,\"End\":true}}}"}}
	},
	"Outputs": {"Machine": {"Value": {"Ref": "Machine"}}}
}`

// deploy makes the machine and its activity and returns their ARNs.
func deploy(t *testing.T, cfg aws.Config) (machine, activity string) {
	t.Helper()
	client, name := cloudformation.NewFromConfig(cfg), "machine-"+string(ledger.NewRequestID())
	var asked struct{ ActivityARN string }
	if err := New(cfg, "", time.Now).call(t.Context(), "CreateActivity", map[string]string{"name": name}, &asked); err != nil {
		t.Fatal(err)
	}
	_, err := client.CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: &name, TemplateBody: aws.String(strings.NewReplacer("NAME", name, "ACTIVITY", asked.ActivityARN).Replace(waits)), Capabilities: []types.Capability{types.CapabilityCapabilityIam},
	})
	if err != nil {
		t.Fatal(err)
	}
	made := cloudformation.NewStackCreateCompleteWaiter(client, func(o *cloudformation.StackCreateCompleteWaiterOptions) {
		o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second
	})
	out, err := made.WaitForOutput(t.Context(), &cloudformation.DescribeStacksInput{StackName: &name}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return *out.Stacks[0].Outputs[0].OutputValue, asked.ActivityARN
}

// TestService makes every call on the service's own API.
func TestService(t *testing.T) {
	endpoint := os.Getenv("AWS_ENDPOINT_URL")
	if endpoint == "" {
		t.Fatal("AWS_ENDPOINT_URL is not set: start an emulator and set it to its address")
	}
	cfg := aws.Config{Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	ctx := t.Context()
	arn, activity := deploy(t, cfg)
	m := New(cfg, arn, time.Now)
	token := func() string {
		var task struct{ TaskToken, Input string }
		if err := m.call(ctx, "GetActivityTask", map[string]string{"activityArn": activity}, &task); err != nil || task.TaskToken == "" {
			t.Fatalf("no task was handed out: %v", err)
		}
		return task.TaskToken
	}
	settle := func(run int, want ExecutionStatus) Execution {
		for range 200 {
			e, err := m.Describe(ctx, m.ExecutionARN(executionName(request, run)))
			if err != nil {
				t.Fatal(err)
			}
			if e.Status == want {
				return e
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Fatalf("run %d never became %s", run, want)
		return Execution{}
	}

	if alive, err := m.Alive(ctx, request, 1); alive || err != nil {
		t.Errorf("before its start: alive is %v, %v", alive, err)
	}
	for range 2 {
		if err := m.StartRun(ctx, request, 1, true); err != nil {
			t.Fatal(err)
		}
	}
	if alive, err := m.Alive(ctx, request, 1); !alive || err != nil {
		t.Errorf("after its start: alive is %v, %v", alive, err)
	}
	first := token()
	if err := m.Release(ctx, first, map[string]string{"status": "done"}); err != nil {
		t.Fatal(err)
	}
	if e := settle(1, Succeeded); strings.ReplaceAll(e.Output, " ", "") != `{"status":"done"}` || !strings.Contains(e.Input, `"proved":true`) || e.StartedAt().IsZero() || e.StoppedAt().IsZero() {
		t.Errorf("the execution is %+v", e)
	}
	for _, gone := range []string{first, "nothing"} {
		if err := m.Release(ctx, gone, struct{}{}); !errors.Is(err, ErrGone) {
			t.Errorf("releasing what waits no more: got %v, want ErrGone", err)
		}
	}
	if err := m.StartRun(ctx, request, 1, true); err != nil {
		t.Errorf("starting a run that has ended: %v", err)
	}

	if err := m.StartRun(ctx, request, 2, false); err != nil {
		t.Fatal(err)
	}
	if err := m.Fail(ctx, token(), "Declined", "test"); err != nil {
		t.Fatal(err)
	}
	if e := settle(2, Failed); e.Error != "Declined" {
		t.Errorf("the execution failed with %q", e.Error)
	}
	if err := m.StartRun(ctx, request, 3, false); err != nil {
		t.Fatal(err)
	}
	if err := m.Stop(ctx, m.ExecutionARN(executionName(request, 3)), "test"); err != nil {
		t.Fatal(err)
	}
	settle(3, Aborted)
	n := 0
	for e, err := range m.List(ctx, Succeeded) {
		if err != nil || e.Name != executionName(request, 1) {
			t.Errorf("listed %s: %v", e.Name, err)
		}
		n++
	}
	events := 0
	for raw, err := range m.History(ctx, m.ExecutionARN(executionName(request, 1))) {
		if err != nil || !json.Valid(raw) {
			t.Errorf("event %s: %v", raw, err)
		}
		events++
	}
	if n != 1 || events < 3 {
		t.Errorf("%d executions and %d events, want 1 and at least 3", n, events)
	}
}
