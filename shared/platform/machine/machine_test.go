package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/writ-dsr/writ/shared/dsr"
)

const (
	arn                   = "arn:aws:states:eu-west-1:123456789012:stateMachine:Writ-example-request"
	request dsr.RequestID = "waaaaaaaaaaaaaaaaaaaaaaaaa"
)

// answer is one prepared answer of the service.
type answer struct {
	status int
	body   string
}

// call is what the service was sent.
type call struct {
	action string
	in     map[string]string
}

// service answers in turn and records what it was sent; the last answer stays.
func serve(t *testing.T, answers ...answer) (*Machine, *[]call) {
	t.Helper()
	var calls []call
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKTEST/20261122/eu-west-1/states/aws4_request") ||
			r.Header.Get("X-Amz-Security-Token") != "session" || r.Header.Get("Content-Type") != "application/x-amz-json-1.0" {
			t.Errorf("a call is not signed as it must be: %v", r.Header)
		}
		body, _ := io.ReadAll(r.Body)
		c := call{action: strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AWSStepFunctions.")}
		if err := json.Unmarshal(body, &c.in); err != nil {
			t.Errorf("the body of %s is no object of strings: %v", c.action, err)
		}
		a := answers[min(len(calls), len(answers)-1)]
		calls = append(calls, c)
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	}))
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL_SFN", "")
	m := New(aws.Config{
		Region: "eu-west-1", BaseEndpoint: &server.URL,
		Credentials: credentials.NewStaticCredentialsProvider("AKTEST", "secret", "session"),
	}, arn, func() time.Time { return time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC) })
	m.firstPause = time.Microsecond
	return m, &calls
}

func refuse(code string) answer {
	return answer{400, fmt.Sprintf(`{"__type":"com.amazonaws.swf.service.v2.model#%s","message":"about tokenXYZ"}`, code)}
}

func TestStartRun(t *testing.T) {
	m, calls := serve(t, answer{200, `{"executionArn":"x"}`}, refuse("ExecutionAlreadyExists"), refuse("StateMachineDoesNotExist"))
	if err := m.StartRun(t.Context(), request, 2, true); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"stateMachineArn": arn, "name": string(request) + "-2",
		"input": `{"v":1,"request_id":"` + string(request) + `","run":2,"proved":true}`,
	}
	if got := (*calls)[0]; got.action != "StartExecution" || fmt.Sprint(got.in) != fmt.Sprint(want) {
		t.Errorf("the service was sent %s %v, want %v", got.action, got.in, want)
	}
	if err := m.StartRun(t.Context(), request, 2, true); err != nil {
		t.Errorf("a run started before is no success: %v", err)
	}
	var refusal *Error
	if err := m.StartRun(t.Context(), request, 2, true); !errors.As(err, &refusal) || refusal.Code != "StateMachineDoesNotExist" || errors.Is(err, ErrGone) {
		t.Errorf("got %v, want the service's refusal", err)
	}
}

func TestRelease(t *testing.T) {
	m, calls := serve(t, answer{200, `{}`})
	if err := m.Release(t.Context(), "tokenXYZ", map[string]any{"status": "done"}); err != nil {
		t.Fatal(err)
	}
	if got := (*calls)[0]; got.action != "SendTaskSuccess" || got.in["taskToken"] != "tokenXYZ" || got.in["output"] != `{"status":"done"}` {
		t.Errorf("the service was sent %v", got)
	}
	if err := m.Fail(t.Context(), "tokenXYZ", "Declined", "by the person"); err != nil {
		t.Fatal(err)
	}
	if got := (*calls)[1]; got.action != "SendTaskFailure" || got.in["error"] != "Declined" || got.in["cause"] != "by the person" {
		t.Errorf("the service was sent %v", got)
	}
	for code, gone := range map[string]bool{"TaskTimedOut": true, "TaskDoesNotExist": true, "InvalidToken": true, "InvalidOutput": false, "AccessDeniedException": false} {
		m, calls := serve(t, refuse(code))
		err := m.Release(t.Context(), "tokenXYZ", struct{}{})
		if err == nil || errors.Is(err, ErrGone) != gone {
			t.Errorf("%s: got %v, ErrGone must be %v", code, err, gone)
		}
		if err != nil && strings.Contains(err.Error(), "tokenXYZ") {
			t.Errorf("%s: the error repeats the token", code)
		}
		if len(*calls) != 1 {
			t.Errorf("%s: %d calls, want 1", code, len(*calls))
		}
	}
}

func TestBusyServiceIsAskedAgain(t *testing.T) {
	for _, busy := range []answer{{500, ""}, {503, "<html>"}, {429, "{}"}, refuse("ThrottlingException")} {
		m, calls := serve(t, busy, busy, answer{200, `{}`})
		if err := m.Release(t.Context(), "token", struct{}{}); err != nil || len(*calls) != 3 {
			t.Errorf("status %d: %d calls and %v, want 3 and success", busy.status, len(*calls), err)
		}
		m, calls = serve(t, busy)
		if err := m.Release(t.Context(), "token", struct{}{}); err == nil || len(*calls) != tries {
			t.Errorf("status %d for good: %d calls and %v, want %d and an error", busy.status, len(*calls), err, tries)
		}
	}
}

func TestCancelledCallEnds(t *testing.T) {
	m, calls := serve(t, answer{500, ""})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Release(ctx, "token", struct{}{}); !errors.Is(err, context.Canceled) || len(*calls) > 1 {
		t.Errorf("got %v after %d calls", err, len(*calls))
	}
}

func TestAlive(t *testing.T) {
	for status, want := range map[ExecutionStatus]bool{Running: true, PendingRedrive: true, Succeeded: false, Failed: false, TimedOut: false, Aborted: false} {
		m, calls := serve(t, answer{200, `{"status":"` + string(status) + `","startDate":1763800000.123}`})
		alive, err := m.Alive(t.Context(), request, 3)
		if err != nil || alive != want {
			t.Errorf("%s: alive is %v, %v", status, alive, err)
		}
		if got, want := (*calls)[0].in["executionArn"], "arn:aws:states:eu-west-1:123456789012:execution:Writ-example-request:"+string(request)+"-3"; got != want {
			t.Errorf("asked about %s, want %s", got, want)
		}
	}
	m, _ := serve(t, refuse("ExecutionDoesNotExist"))
	if alive, err := m.Alive(t.Context(), request, 3); alive || err != nil {
		t.Errorf("one that never was: alive is %v, %v", alive, err)
	}
	m, _ = serve(t, refuse("AccessDeniedException"))
	if alive, err := m.Alive(t.Context(), request, 3); alive || err == nil {
		t.Errorf("one that cannot be seen: alive is %v, %v", alive, err)
	}
	m, _ = serve(t, answer{200, "not JSON"})
	if alive, err := m.Alive(t.Context(), request, 3); alive || err == nil {
		t.Errorf("an answer that is none: alive is %v, %v", alive, err)
	}
}

func TestPages(t *testing.T) {
	m, calls := serve(t,
		answer{200, `{"executions":[{"name":"a","status":"RUNNING","startDate":1763800000.5},{"name":"b"}],"nextToken":"n"}`},
		answer{200, `{"executions":[{"name":"c","stopDate":1763800001}]}`},
		answer{200, `{"events":[{"id":1},{"id":2}],"nextToken":"n"}`},
		answer{200, `{"events":[{"id":3}]}`},
		refuse("AccessDeniedException"))
	var names []string
	for e, err := range m.List(t.Context(), Running) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, e.Name)
		if e.Name == "a" && !e.StartedAt().Equal(time.Unix(1763800000, 5e8)) || e.Name == "a" && !e.StoppedAt().IsZero() {
			t.Errorf("%s ran from %s to %s", e.Name, e.StartedAt(), e.StoppedAt())
		}
	}
	events := 0
	for e, err := range m.History(t.Context(), m.ExecutionARN("a")) {
		if err != nil {
			t.Fatal(err)
		}
		events++
		if want := fmt.Sprintf(`{"id":%d}`, events); string(e) != want {
			t.Errorf("event %s, want %s", e, want)
		}
	}
	if strings.Join(names, "") != "abc" || events != 3 || len(*calls) != 4 || (*calls)[1].in["nextToken"] != "n" || (*calls)[3].in["nextToken"] != "n" {
		t.Errorf("listed %v and %d events with calls %v", names, events, *calls)
	}
	failures := 0
	for _, err := range m.List(t.Context(), Failed) {
		if err != nil {
			failures++
		}
	}
	if failures != 1 {
		t.Errorf("a refused listing yields %d errors, want 1", failures)
	}
}

func TestEndpoint(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL_SFN", "")
	own := "http://127.0.0.1:4566"
	for want, cfg := range map[string]aws.Config{
		"https://states.eu-west-1.amazonaws.com":     {Region: "eu-west-1"},
		"https://states.cn-north-1.amazonaws.com.cn": {Region: "cn-north-1"},
		own: {Region: "eu-west-1", BaseEndpoint: &own},
	} {
		if got := endpoint(cfg); got != want {
			t.Errorf("the endpoint is %s, want %s", got, want)
		}
	}
	t.Setenv("AWS_ENDPOINT_URL_SFN", "http://127.0.0.1:1")
	if got := endpoint(aws.Config{BaseEndpoint: &own}); got != "http://127.0.0.1:1" {
		t.Errorf("the endpoint is %s, want the service's own", got)
	}
}
