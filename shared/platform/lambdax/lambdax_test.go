package lambdax_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
)

type in struct {
	V    int    `json:"v"`
	Name string `json:"name"`
}

type out struct {
	Name string `json:"name"`
}

func echo(_ context.Context, i in) (out, error) { return out{i.Name}, nil }

func TestWrapDecodesStrictly(t *testing.T) {
	for _, c := range []struct {
		name, payload string
		ok            bool
	}{
		{"what the stage takes", `{"v":1,"name":"a"}`, true},
		{"a field it does not know", `{"v":1,"name":"a","email":"x"}`, false},
		{"another version", `{"v":2,"name":"a"}`, false},
		{"no version", `{"name":"a"}`, false},
		{"no JSON", `v=1`, false},
		{"nothing", ``, false},
		{"a second value after the first", `{"v":1,"name":"a"}{"v":1}`, false},
		{"another type", `{"v":1,"name":7}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			calls := 0
			h := lambdax.Wrap(func(ctx context.Context, i in) (out, error) { calls++; return echo(ctx, i) }, slog.New(slog.NewJSONHandler(&log, nil)))
			got, err := h(t.Context(), json.RawMessage(c.payload))
			if !c.ok {
				if calls != 0 || err == nil || nameOf(err) != lambdax.Internal {
					t.Errorf("calls %d, err %#v; want a refusal as %s", calls, err, lambdax.Internal)
				}
				if strings.Contains(log.String(), "email") {
					t.Error("the log repeats the payload")
				}
				return
			}
			if err != nil || got != (out{"a"}) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// EventBridge's events have a version of their own and fields we do not read.
func TestWrapHandsRawEventsOn(t *testing.T) {
	event := `{"version":"0","detail-type":"Scheduled Event","time":"2026-11-02T10:00:00Z"}`
	h := lambdax.Wrap(func(_ context.Context, raw json.RawMessage) (out, error) { return out{string(raw)}, nil }, slog.New(slog.DiscardHandler))
	got, err := h(t.Context(), json.RawMessage(event))
	if err != nil || got != (out{event}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func nameOf(err error) string {
	var fault messages.InvokeResponse_Error
	if !errors.As(err, &fault) {
		return fmt.Sprintf("%T", err)
	}
	return fault.Type
}

type api string

func (a api) Error() string     { return string(a) }
func (a api) ErrorCode() string { return string(a) }

func TestWrapNamesFaults(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{connector.Unavailable, lambdax.Unavailable},
		{fmt.Errorf("visiting: %w", &connector.Error{Kind: connector.Unavailable}), lambdax.Unavailable},
		{&connector.Error{Kind: connector.RateLimited}, lambdax.Unavailable},
		{fmt.Errorf("reading: %w", context.DeadlineExceeded), lambdax.Unavailable},
		{fmt.Errorf("reading: %w", api("ThrottlingException")), lambdax.Unavailable},
		{fmt.Errorf("reading: %w", api("KMSInternalException")), lambdax.Unavailable},
		{api("AccessDeniedException"), lambdax.Internal},
		{api("ConditionalCheckFailedException"), lambdax.Internal},
		{&connector.Error{Kind: connector.Unauthorized}, lambdax.Internal},
		{&connector.Error{Kind: connector.Invalid}, lambdax.Internal},
		{context.Canceled, lambdax.Internal},
		{ledger.ErrStale, lambdax.Internal},
		{errors.New("a bug"), lambdax.Internal},
	} {
		h := lambdax.Wrap(func(context.Context, in) (out, error) { return out{}, c.err }, slog.New(slog.DiscardHandler))
		_, err := h(t.Context(), json.RawMessage(`{"v":1,"name":"a"}`))
		if got := nameOf(err); got != c.want {
			t.Errorf("%v leaves as %s, want %s", c.err, got, c.want)
		}
		if _, byValue := err.(messages.InvokeResponse_Error); !byValue {
			t.Errorf("%v leaves as %T, which Lambda would name by its Go type", c.err, err)
		}
	}
}

// What the machine sees is the name on the wire; in-process the Go error alone
// would hide a wrong one.
func TestWrapOnTheWire(t *testing.T) {
	h := lambda.NewHandler(lambdax.Wrap(func(context.Context, in) (out, error) {
		return out{}, fmt.Errorf("reading: %w", connector.Unavailable)
	}, slog.New(slog.DiscardHandler)))
	_, err := h.Invoke(t.Context(), []byte(`{"v":1,"name":"a"}`))
	if got := nameOf(err); got != lambdax.Unavailable {
		t.Errorf("the machine sees %s, want %s", got, lambdax.Unavailable)
	}
}

func TestWrapCatchesPanics(t *testing.T) {
	var log bytes.Buffer
	h := lambdax.Wrap(func(context.Context, in) (out, error) { panic(dsrtest.Ada.Email) }, slog.New(slog.NewJSONHandler(&log, nil)))
	got, err := h(t.Context(), json.RawMessage(`{"v":1,"name":"a"}`))
	if got != nil || nameOf(err) != lambdax.Internal {
		t.Errorf("got %v, %v", got, err)
	}
	if strings.Contains(log.String()+err.Error(), dsrtest.Ada.Email) {
		t.Error("the value of the panic leaks")
	}
	if !strings.Contains(log.String(), `"class":"string"`) {
		t.Errorf("the log does not say what panicked: %s", log.String())
	}
}

// Logger writes to the standard output, so the test gives it another one.
func TestLoggerDropsWhatIsNotAllowed(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = w
	log := lambdax.Logger("sweep")
	os.Stdout = stdout
	log.Info("swept", "count", 3, "email", dsrtest.Ada.Email, "name", dsrtest.Ada.Name, slog.Group("person", "city", dsrtest.Ada.City), "request_id", "w1")
	log.With("address", dsrtest.Ada.Email).Warn("late", "run", 2)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	for _, canary := range dsrtest.Canaries() {
		if strings.Contains(b.String(), canary) {
			t.Errorf("the log holds %q", canary)
		}
	}
	for _, want := range []string{`"function":"sweep"`, `"count":3`, `"request_id":"w1"`, `"run":2`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the log lacks %s: %s", want, b.String())
		}
	}
}
