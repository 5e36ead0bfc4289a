// Package lambdax is the thin edge between a stage and AWS Lambda: it decodes
// the machine's payloads strictly, names faults by the few words the machine
// knows, guards against panics, and logs only what may be logged.
package lambdax

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda/messages"

	"github.com/writ-dsr/writ/shared/connector"
)

// The fault names the machine knows. Unavailable is retried; Internal is not
// and leads to a person.
const (
	Unavailable = "Unavailable"
	Internal    = "Internal"
)

// Wrap turns a stage's Handle into a Lambda handler. A payload with a field
// the stage does not know, or with another version than 1, is refused; a stage
// that takes json.RawMessage reads a foreign event by itself. Errors leave as
// messages.InvokeResponse_Error by value, because Lambda otherwise names a
// fault by its Go type and a wrapped error would reach the machine as
// "wrapError".
func Wrap[In, Out any](handle func(context.Context, In) (Out, error), log *slog.Logger) func(context.Context, json.RawMessage) (any, error) {
	return func(ctx context.Context, payload json.RawMessage) (out any, err error) {
		defer func() {
			if p := recover(); p != nil {
				log.Error("panic", "class", fmt.Sprintf("%T", p))
				out, err = nil, fault(Internal, "the function panicked")
			}
		}()
		var in In
		if err := decode(payload, &in); err != nil {
			log.Error("payload refused")
			return nil, fault(Internal, "the payload is not what this stage takes")
		}
		result, err := handle(ctx, in)
		if err == nil {
			return result, nil
		}
		kind := connector.KindOf(err)
		name := Internal
		if kind == connector.Unavailable || kind == connector.RateLimited || temporary(err) {
			name = Unavailable
		}
		log.Error("fault", "fault", name, "kind", string(kind), "error", err.Error())
		return nil, fault(name, err.Error())
	}
}

// version is that of the payloads between the machine and the stages.
const version = 1

// decode reads one JSON value and nothing after it. The error is for nobody: it
// may quote the payload.
func decode(payload json.RawMessage, in any) error {
	if raw, foreign := in.(*json.RawMessage); foreign {
		return json.Unmarshal(payload, raw)
	}
	var named struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(payload, &named); err != nil { // refuses what follows the first value, too
		return err
	}
	if named.V != version {
		return errors.New("another version")
	}
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.DisallowUnknownFields()
	return dec.Decode(in)
}

func fault(name, message string) messages.InvokeResponse_Error {
	return messages.InvokeResponse_Error{Type: name, Message: message}
}

// temporary reports whether the error is AWS's own "try again".
func temporary(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var api interface{ ErrorCode() string }
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded", "TransactionConflictException",
			"TransactionInProgressException", "InternalServerError", "InternalServerException", "ServiceUnavailable", "SlowDown", "Throttling", "KMSInternalException", "DependencyTimeoutException":
			return true
		}
	}
	return false
}

// allowed are the keys a log line may have. What is not here is dropped: a
// forgotten key must not become a leak.
var allowed = map[string]bool{
	slog.TimeKey: true, slog.LevelKey: true, slog.MessageKey: true,
	"function": true, "request_id": true, "run": true, "system": true, "phase": true, "op": true, "status": true, "cause": true,
	"fault": true, "kind": true, "class": true, "error": true, "count": true, "ms": true, "bytes": true, "notice": true, "stack": true, "type": true, "path": true, "method": true, "code": true,
}

// Logger writes JSON lines with allowed keys only.
func Logger(function string) *slog.Logger {
	h := slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if !allowed[a.Key] {
			return slog.Attr{}
		}
		return a
	}})
	return slog.New(h).With("function", function)
}
