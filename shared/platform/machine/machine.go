// Package machine is the edge to Step Functions: it starts the runs of
// requests, releases their waits and looks at their executions. The service's
// few calls are JSON over a signed POST; the SDK's own client for them is not
// among the modules this project can fetch.
package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/writ-dsr/writ/shared/dsr"
)

// ErrGone is found by errors.Is in the refusal of a task token whose wait has
// ended: it timed out, it was released before, or its execution is closed.
var ErrGone = errors.New("the machine waits no more")

// Machine is the state machine that requests run on.
type Machine struct {
	client
	arn string
}

// New returns the machine with that ARN. Calls are signed with cfg's
// credentials for the instant that now tells, and go to AWS_ENDPOINT_URL_SFN,
// else cfg's own endpoint (AWS_ENDPOINT_URL), else the region's.
func New(cfg aws.Config, arn string, now func() time.Time) *Machine {
	return &Machine{client: newClient(cfg, now), arn: arn}
}

// runInput is what a run is started with: ids and numbers, since an execution's
// history can be read for 90 days and not be erased.
type runInput struct {
	V         int           `json:"v"`
	RequestID dsr.RequestID `json:"request_id"`
	Run       int           `json:"run"`
	Proved    bool          `json:"proved"` // asks for no second proof
}

// executionName names the execution of one run of a request. A closed name is
// refused for 90 days, so that no run is run twice.
func executionName(id dsr.RequestID, run int) string { return string(id) + "-" + strconv.Itoa(run) }

// StartRun starts a run of a request. A run that was started before is a
// success.
func (m *Machine) StartRun(ctx context.Context, id dsr.RequestID, run int, proved bool) error {
	return m.Start(ctx, executionName(id, run), runInput{V: 1, RequestID: id, Run: run, Proved: proved})
}

// Alive reports whether the execution of a run goes on. One that never was is
// not alive.
func (m *Machine) Alive(ctx context.Context, id dsr.RequestID, run int) (bool, error) {
	e, err := m.Describe(ctx, m.ExecutionARN(executionName(id, run)))
	if hasCode(err, "ExecutionDoesNotExist") {
		return false, nil
	}
	return e.Status == Running || e.Status == PendingRedrive, err
}

// Start starts an execution of that name. One of that name, open or closed, is
// a success: it was started before.
func (m *Machine) Start(ctx context.Context, name string, input any) error {
	doc, err := json.Marshal(input)
	if err != nil {
		return fmt.Errorf("starting execution %s: encoding its input: %w", name, err)
	}
	err = m.call(ctx, "StartExecution", map[string]string{"stateMachineArn": m.arn, "name": name, "input": string(doc)}, nil)
	if hasCode(err, "ExecutionAlreadyExists") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("starting execution %s: %w", name, err)
	}
	return nil
}

// Release ends the wait that a task token belongs to, with the output the
// machine goes on with; ErrGone.
func (m *Machine) Release(ctx context.Context, taskToken string, output any) error {
	doc, err := json.Marshal(output)
	if err != nil {
		return fmt.Errorf("releasing a wait: encoding its output: %w", err)
	}
	if err := m.call(ctx, "SendTaskSuccess", map[string]string{"taskToken": taskToken, "output": string(doc)}, nil); err != nil {
		return fmt.Errorf("releasing a wait: %w", err)
	}
	return nil
}

// Fail ends a wait with an error name that the machine catches; ErrGone. The
// cause stands in the execution's history: no personal value.
func (m *Machine) Fail(ctx context.Context, taskToken, name, cause string) error {
	if err := m.call(ctx, "SendTaskFailure", map[string]string{"taskToken": taskToken, "error": name, "cause": cause}, nil); err != nil {
		return fmt.Errorf("failing a wait: %w", err)
	}
	return nil
}

// ExecutionStatus is where an execution stands.
type ExecutionStatus string

// The statuses of the service.
const (
	Running        ExecutionStatus = "RUNNING"
	Succeeded      ExecutionStatus = "SUCCEEDED"
	Failed         ExecutionStatus = "FAILED"
	TimedOut       ExecutionStatus = "TIMED_OUT"
	Aborted        ExecutionStatus = "ABORTED"
	PendingRedrive ExecutionStatus = "PENDING_REDRIVE"
)

// Execution is one execution of the machine.
type Execution struct {
	ARN     string          `json:"executionArn"`
	Name    string          `json:"name"`
	Status  ExecutionStatus `json:"status"`
	Input   string          `json:"input"`  // Describe only
	Output  string          `json:"output"` // Describe only, of a succeeded one
	Error   string          `json:"error"`  // Describe only, of a failed one
	Cause   string          `json:"cause"`
	Started seconds         `json:"startDate"`
	Stopped seconds         `json:"stopDate"`
}

// StartedAt is when the execution started.
func (e Execution) StartedAt() time.Time { return e.Started.time() }

// StoppedAt is when it closed, the zero time while it is open.
func (e Execution) StoppedAt() time.Time { return e.Stopped.time() }

// seconds is an instant as the service writes it: seconds since 1970.
type seconds float64

func (s seconds) time() time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(float64(s) * 1e6)).UTC()
}

// ExecutionARN returns the ARN of the machine's execution of that name.
func (m *Machine) ExecutionARN(name string) string {
	return strings.Replace(m.arn, ":stateMachine:", ":execution:", 1) + ":" + name
}

// Describe reads one execution.
func (m *Machine) Describe(ctx context.Context, executionARN string) (e Execution, err error) {
	if err := m.call(ctx, "DescribeExecution", map[string]string{"executionArn": executionARN}, &e); err != nil {
		return Execution{}, fmt.Errorf("describing execution %s: %w", lastPart(executionARN), err)
	}
	return e, nil
}

// Stop aborts an execution. The cause stands in its history: no personal value.
func (m *Machine) Stop(ctx context.Context, executionARN, cause string) error {
	if err := m.call(ctx, "StopExecution", map[string]string{"executionArn": executionARN, "cause": cause}, nil); err != nil {
		return fmt.Errorf("stopping execution %s: %w", lastPart(executionARN), err)
	}
	return nil
}

// StopRun aborts the execution of a run.
func (m *Machine) StopRun(ctx context.Context, id dsr.RequestID, run int) error {
	return m.Stop(ctx, m.ExecutionARN(executionName(id, run)), "the request was withdrawn")
}

// List yields the machine's executions of a status, the newest first. An error
// is yielded once and last.
func (m *Machine) List(ctx context.Context, status ExecutionStatus) iter.Seq2[Execution, error] {
	return func(yield func(Execution, error) bool) {
		in := map[string]string{"stateMachineArn": m.arn, "statusFilter": string(status)}
		for {
			var page struct {
				Executions []Execution `json:"executions"`
				NextToken  string      `json:"nextToken"`
			}
			if err := m.call(ctx, "ListExecutions", in, &page); err != nil {
				yield(Execution{}, fmt.Errorf("listing executions: %w", err))
				return
			}
			for _, e := range page.Executions {
				if !yield(e, nil) {
					return
				}
			}
			if page.NextToken == "" {
				return
			}
			in["nextToken"] = page.NextToken
		}
	}
}

// History yields the events of an execution as the service writes them, the
// oldest first. An error is yielded once and last.
func (m *Machine) History(ctx context.Context, executionARN string) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		in := map[string]string{"executionArn": executionARN}
		for {
			var page struct {
				Events    []json.RawMessage `json:"events"`
				NextToken string            `json:"nextToken"`
			}
			if err := m.call(ctx, "GetExecutionHistory", in, &page); err != nil {
				yield(nil, fmt.Errorf("reading the history of execution %s: %w", lastPart(executionARN), err))
				return
			}
			for _, e := range page.Events {
				if !yield(e, nil) {
					return
				}
			}
			if page.NextToken == "" {
				return
			}
			in["nextToken"] = page.NextToken
		}
	}
}

func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }
