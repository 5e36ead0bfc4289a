//go:build e2e

package dynamo_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dynamo"
	"github.com/writ-dsr/writ/shared/ledger/dynamo/dynamotest"
	"github.com/writ-dsr/writ/shared/ledger/ledgertest"
)

// wire carries the calls to the emulator, counts them, and loses the answers
// it is told to lose after the call had its effect.
type wire struct {
	mu    sync.Mutex
	calls []string
	lose  int
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, op)
	if w.lose == 0 || op == "GetItem" || op == "Query" || op == "BatchGetItem" {
		return answer, nil
	}
	w.lose--
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return nil, errors.New("the answer was lost: connection reset by peer")
}

// during returns the calls that f makes while the answers to its first writes
// are lost.
func (w *wire) during(lose int, f func()) []string {
	w.mu.Lock()
	w.calls, w.lose = nil, lose
	w.mu.Unlock()
	f()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

// open returns the ledger on fresh tables of the emulator.
func open(t *testing.T) (*dynamo.Store, *wire) {
	t.Helper()
	endpoint := os.Getenv("AWS_ENDPOINT_URL")
	if endpoint == "" {
		t.Fatal("AWS_ENDPOINT_URL is not set: start an emulator and set it to its address")
	}
	w := &wire{}
	client := dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint, HTTPClient: w,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		Retryer:     aws.NopRetryer{},
	})
	prefix := "ledger-" + strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()) + "-" + string(ledger.NewRequestID()) + "-"
	tables, err := dynamotest.Create(t.Context(), client, prefix)
	if err != nil {
		t.Fatal(err)
	}
	retrying := dynamodb.New(client.Options(), func(o *dynamodb.Options) { o.Retryer = promptRetryer() })
	return dynamo.New(retrying, tables), w
}

func TestStore(t *testing.T) {
	store, _ := open(t)
	ledgertest.Run(t, func(*testing.T) ledger.Store { return store })
}
