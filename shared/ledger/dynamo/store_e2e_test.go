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
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dynamo"
	"github.com/writ-dsr/writ/shared/ledger/dynamo/dynamotest"
	"github.com/writ-dsr/writ/shared/ledger/ledgertest"
)

// unkept opens a connection for each call: an emulator that closes a kept one at
// the wrong moment loses an answer that the test did not ask it to lose, and a
// deletion that the SDK then repeats finds nothing.
var unkept = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// wire carries the calls to the emulator, counts them, and loses the answers
// it is told to lose after the call had its effect.
type wire struct {
	mu    sync.Mutex
	calls []string
	lose  int
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	answer, err := unkept.Do(r)
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
	client, tables, w := fresh(t)
	retrying := dynamodb.New(client.Options(), func(o *dynamodb.Options) { o.Retryer = promptRetryer() })
	return dynamo.New(retrying, tables), w
}

// fresh makes tables for one test.
func fresh(t *testing.T) (*dynamodb.Client, dynamo.Tables, *wire) {
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
	return client, tables, w
}

func TestStore(t *testing.T) {
	store, _ := open(t)
	ledgertest.Run(t, func(*testing.T) ledger.Store { return store })
}

// The shelf of what is open holds what is listed and nothing else; and since
// the index is a little late, what it still names is not handed out once the
// record says otherwise.
func TestOpenShelf(t *testing.T) {
	client, tables, _ := fresh(t)
	store := dynamo.New(client, tables)
	ctx, id := t.Context(), ledger.NewRequestID()
	key := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: string(id)}}
	indexed := func() bool {
		out, err := client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &tables.Requests, Key: key})
		if err != nil || out.Item["doc"] == nil {
			t.Fatalf("reading the item: %v", err)
		}
		shelf, _ := out.Item["open"].(*types.AttributeValueMemberS)
		return shelf != nil && shelf.Value == ledger.ShelfOpen
	}
	listed := func() (n int) {
		if err := store.OpenRequests(ctx, func(ledger.Request) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	r := ledger.Request{ID: id, Status: dsr.Completed, DueAt: start}
	if err := store.CreateRequest(ctx, r, ledger.SealedSubject{RequestID: id}, dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventReceived}); err != nil {
		t.Fatal(err)
	}
	if !indexed() || listed() != 1 {
		t.Errorf("a request with its key is not in the index")
	}
	r.KeyDestroyedAt = start
	if err := store.SaveRequest(ctx, r); err != nil {
		t.Fatal(err)
	}
	if indexed() || listed() != 0 {
		t.Errorf("a request that needs nothing is in the index")
	}
	_, err := client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &tables.Requests, Key: key, UpdateExpression: aws.String("SET #o = :o, due_at = :d"),
		ExpressionAttributeNames:  map[string]string{"#o": "open"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":o": &types.AttributeValueMemberS{Value: "open"}, ":d": &types.AttributeValueMemberS{Value: "2026"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !indexed() || listed() != 0 {
		t.Errorf("the index is believed against the record")
	}
}
