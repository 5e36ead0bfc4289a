package dynamo_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dynamo"
)

// refusing is a service that refuses writes with the given errors, one after
// the other, and then takes them. What an emulator never does, the service
// does: two transactions meet on one item.
type refusing struct {
	dynamo.API
	with  []error
	calls int
}

func (r *refusing) next() error {
	r.calls++
	if r.calls > len(r.with) {
		return nil
	}
	return r.with[r.calls-1]
}

func (r *refusing) PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	return &dynamodb.PutItemOutput{}, r.next()
}

func (r *refusing) UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	return &dynamodb.UpdateItemOutput{}, r.next()
}

func (r *refusing) DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error) {
	return &dynamodb.DeleteItemOutput{}, r.next()
}

func (r *refusing) TransactWriteItems(_ context.Context, in *dynamodb.TransactWriteItemsInput, _ ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	if in.ClientRequestToken != nil {
		return nil, errors.New("an earlier token is used again")
	}
	in.ClientRequestToken = aws.String("set by the SDK")
	return &dynamodb.TransactWriteItemsOutput{}, r.next()
}

func canceled(codes ...string) error {
	err := &types.TransactionCanceledException{}
	for _, code := range codes {
		err.CancellationReasons = append(err.CancellationReasons, types.CancellationReason{Code: &code})
	}
	return err
}

var (
	met      = canceled("TransactionConflict", "None")
	single   = &types.TransactionConflictException{}
	fault    = &types.InternalServerError{}
	invalid  = canceled("ValidationError", "TransactionConflict")
	stale    = canceled("None", "ConditionalCheckFailed")
	staleMet = canceled("TransactionConflict", "ConditionalCheckFailed")
)

func saveVisit(ctx context.Context, s *dynamo.Store) error {
	return s.SaveVisit(ctx, dsr.Visit{RequestID: "w", System: "s3", Phase: dsr.Act})
}

func saveRequest(ctx context.Context, s *dynamo.Store) error {
	return s.SaveRequest(ctx, ledger.Request{ID: "w"})
}

func useToken(ctx context.Context, s *dynamo.Store) error {
	return s.UseToken(ctx, "hash", time.Unix(0, 0))
}

func deleteSubject(ctx context.Context, s *dynamo.Store) error { return s.DeleteSubject(ctx, "w") }

func TestMetTransactionsAreTriedAgain(t *testing.T) {
	many := func(err error, n int) (errs []error) {
		for range n {
			errs = append(errs, err)
		}
		return errs
	}
	for name, c := range map[string]struct {
		do    func(context.Context, *dynamo.Store) error
		with  []error
		calls int
		want  error
	}{
		"a transaction that met another":       {saveVisit, []error{met, met}, 3, nil},
		"a put that met a transaction":         {saveRequest, []error{single}, 2, nil},
		"an update that met a transaction":     {useToken, []error{single, single}, 3, nil},
		"a delete that met a transaction":      {deleteSubject, []error{single}, 2, nil},
		"a throttled transaction":              {saveVisit, []error{canceled("ThrottlingError", "None")}, 2, nil},
		"a transaction that never comes by":    {saveVisit, many(met, 50), 12, met},
		"a put that never comes by":            {saveRequest, many(single, 50), 12, single},
		"a transaction that is wrong":          {saveVisit, []error{invalid}, 1, invalid},
		"a fault, which the SDK has retried":   {saveVisit, []error{fault}, 1, fault},
		"a condition that does not hold":       {saveVisit, []error{stale}, 1, ledger.ErrStale},
		"a condition, after meeting another":   {saveVisit, []error{met, stale}, 2, ledger.ErrStale},
		"a condition, while meeting another":   {saveVisit, []error{staleMet}, 1, ledger.ErrStale},
		"a put's condition with nothing there": {saveRequest, []error{&types.ConditionalCheckFailedException{}}, 1, ledger.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // the pauses take no time
				api := &refusing{with: c.with}
				err := c.do(t.Context(), dynamo.New(api, dynamo.Tables{}))
				if !errors.Is(err, c.want) || api.calls != c.calls {
					t.Errorf("got %v after %d calls, want %v after %d", err, api.calls, c.want, c.calls)
				}
			})
		})
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	api := &refusing{with: []error{met, met, met}}
	cancel()
	if err := saveVisit(ctx, dynamo.New(api, dynamo.Tables{})); !errors.Is(err, context.Canceled) || api.calls != 1 {
		t.Errorf("got %v after %d calls, want the context's error after 1", err, api.calls)
	}
}
