// Package dynamo is the product's ledger, on seven DynamoDB tables. One item
// is one record: the record itself as JSON in the attribute doc, and beside it
// the attributes that conditions, indexes and expiry need, written in step.
// Reads that a decision follows are consistent; state moves by conditional
// writes; transactions stand exactly where ledger.Store asks for one, since
// they cost twice.
package dynamo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

// Tables names the seven tables. They are cut by who may write, because IAM
// reaches the partition key and not the sort key.
type Tables struct {
	Requests    string // id; index OPEN: open, due_at
	Subjects    string // pk: SUBJECT#<request id>, IDENTITY#<keyed hash>
	Tasks       string // request_id, task
	Events      string // chain: <request id>#<chain>; seq
	Holds       string // key
	Tokens      string // hash; expiry attribute ttl
	Suppression string // hash
}

// OpenIndex is the index of requests by shelf, ledger.Request.Shelf: keys open
// and due_at. It needs no projection beyond the keys, so that a write to a
// request costs nothing there unless it moves the due date.
const OpenIndex = "OPEN"

// API is what the store needs of the service; *dynamodb.Client has it.
type API interface {
	GetItem(ctx context.Context, in *dynamodb.GetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(ctx context.Context, in *dynamodb.PutItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DeleteItem(ctx context.Context, in *dynamodb.DeleteItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
	Query(ctx context.Context, in *dynamodb.QueryInput, opts ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, opts ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

// Store is the ledger on DynamoDB. It is safe for use by several goroutines.
type Store struct {
	api    API
	tables Tables

	mu    sync.Mutex
	heads map[string]dsr.Event // last link known per chain: saves a read before most appends
}

var (
	_ ledger.Store = (*Store)(nil)
	_ API          = (*dynamodb.Client)(nil)
)

// New returns the ledger that lies in the tables.
func New(api API, tables Tables) *Store {
	return &Store{api: api, tables: tables, heads: map[string]dsr.Event{}}
}

// item is one item as DynamoDB has it.
type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number[N int | int64](n N) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
}

func flag(b bool) types.AttributeValue { return &types.AttributeValueMemberBOOL{Value: b} }

// textOf returns a string attribute, "" where there is none.
func textOf(it item, name string) string {
	s, ok := it[name].(*types.AttributeValueMemberS)
	if !ok {
		return ""
	}
	return s.Value
}

// encode returns the record as the attribute doc.
func encode(record any) (types.AttributeValue, error) {
	doc, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("encoding a record: %w", err)
	}
	return text(string(doc)), nil
}

// decode reads the attribute doc.
func decode(it item, record any) error {
	if err := json.Unmarshal([]byte(textOf(it, "doc")), record); err != nil {
		return fmt.Errorf("decoding a record: %w", err)
	}
	return nil
}

// names maps #attr to attr for each attribute an expression names: many of
// ours are words DynamoDB reserves.
func names(attributes ...string) map[string]string {
	m := make(map[string]string, len(attributes))
	for _, a := range attributes {
		m["#"+a] = a
	}
	return m
}

// mark returns a value that no other write has. A conditional write carries it
// in the attribute writer: when the condition fails because an earlier attempt
// of the same write had come through and only its answer was lost, the item
// shows our own mark and the write counts as done. Reads of a visit use it as
// the version that a lease is taken on.
func mark() string { return rand.Text() }

// get reads one item consistently; ledger.ErrNotFound.
func (s *Store) get(ctx context.Context, table string, key item) (item, error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, err
	}
	if len(out.Item) == 0 {
		return nil, ledger.ErrNotFound
	}
	return out.Item, nil
}

// put writes one item under a condition. A failed condition answers with the
// item that is there as *occupied, or nil where none is.
func (s *Store) put(ctx context.Context, in *dynamodb.PutItemInput) error {
	in.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	return patiently(ctx, func() error {
		_, err := s.api.PutItem(ctx, in)
		return unmet(err, in.Item["writer"])
	})
}

// update changes one item under a condition, as put does.
func (s *Store) update(ctx context.Context, in *dynamodb.UpdateItemInput) (item, error) {
	in.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	var attributes item
	err := patiently(ctx, func() error {
		out, err := s.api.UpdateItem(ctx, in)
		if err == nil {
			attributes = out.Attributes
		}
		return unmet(err, in.ExpressionAttributeValues[":writer"])
	})
	return attributes, err
}

// occupied is the error of a condition that did not hold.
type occupied struct{ by item }

func (*occupied) Error() string { return "the condition of the write does not hold" }

// unmet turns a failed condition into *occupied, or into nil where the item
// bears the mark of this very write.
func unmet(err error, writer types.AttributeValue) error {
	var failed *types.ConditionalCheckFailedException
	if !errors.As(err, &failed) {
		return err
	}
	if w, ok := writer.(*types.AttributeValueMemberS); ok && textOf(failed.Item, "writer") == w.Value {
		return nil
	}
	return &occupied{failed.Item}
}

// whom returns what stands in the way of a conditional write, and whether that
// is why err failed at all.
func whom(err error) (by item, failed bool) {
	var o *occupied
	if !errors.As(err, &o) {
		return nil, false
	}
	return o.by, true
}

// transact writes all or nothing. A failed condition answers *canceled.
func (s *Store) transact(ctx context.Context, items []types.TransactWriteItem) error {
	return patiently(ctx, func() error {
		// The SDK gives each call a client token: its own attempts after a lost
		// answer have their effect once.
		_, err := s.api.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
		var failed *types.TransactionCanceledException
		if !errors.As(err, &failed) {
			return err
		}
		unmet := make(canceled, len(failed.CancellationReasons))
		for i, reason := range failed.CancellationReasons {
			unmet[i] = aws.ToString(reason.Code) == "ConditionalCheckFailed"
		}
		if unmet.any() {
			return unmet
		}
		return err
	})
}

// canceled tells which conditions of a transaction did not hold, by position.
type canceled []bool

func (canceled) Error() string { return "a condition of the transaction does not hold" }

func (c canceled) any() bool {
	for _, unmet := range c {
		if unmet {
			return true
		}
	}
	return false
}

func (c canceled) at(i int) bool { return i < len(c) && c[i] }

// The tries of a write that met another transaction on the same item, and the
// longest first pause. Leases of all systems of a request check one item, so
// they meet; the SDK's own pauses are of seconds and meant for throttling,
// which stays with the SDK.
const (
	tries      = 12
	firstPause = 8 * time.Millisecond
	longPause  = 400 * time.Millisecond
)

// patiently repeats do while it meets other transactions.
func patiently(ctx context.Context, do func() error) error {
	for try := range tries {
		err := do()
		if !conflicts(err) || try == tries-1 {
			return err
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
	return nil
}

// conflicts reports whether a write was refused only because another
// transaction was at work on an item.
func conflicts(err error) bool {
	var single *types.TransactionConflictException
	if errors.As(err, &single) {
		return true
	}
	var failed *types.TransactionCanceledException
	if !errors.As(err, &failed) {
		return false
	}
	met := false
	for _, reason := range failed.CancellationReasons {
		switch aws.ToString(reason.Code) {
		case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
			met = true
		case "None", "":
		default:
			return false
		}
	}
	return met
}

// pause waits a random time that grows with each try.
func pause(ctx context.Context, try int) error {
	timer := time.NewTimer(mathrand.N(min(firstPause<<try, longPause)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// about puts what was being done, and to what, in front of an error; nil stays nil.
func about(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
