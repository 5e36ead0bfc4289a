package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

func visitKey(id dsr.RequestID, task string) item {
	return item{"request_id": text(string(id)), "task": text(task)}
}

// visitItem is the visit with its fence, which SaveVisit compares, and the mark
// of this write, on which the next lease is taken.
func visitItem(v dsr.Visit) (item, error) {
	it := visitKey(v.RequestID, v.Task())
	it["fence"] = number(v.Fence)
	it["writer"] = text(mark())
	var err error
	it["doc"], err = encode(v)
	return it, err
}

// abreast bounds the writes of PlanVisits that are on their way at once.
const abreast = 8

// PlanVisits implements ledger.Store. Single puts, not a transaction: each
// visit stands for itself, and a planner that was cut writes the rest.
func (s *Store) PlanVisits(ctx context.Context, visits []dsr.Visit) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(abreast)
	for _, v := range visits {
		g.Go(func() error {
			it, err := visitItem(v)
			if err == nil {
				err = s.put(ctx, &dynamodb.PutItemInput{
					TableName: &s.tables.Tasks, Item: it,
					ConditionExpression: aws.String("attribute_not_exists(#task)"), ExpressionAttributeNames: names("task"),
				})
			}
			if _, failed := whom(err); failed {
				return nil // planned before: left alone
			}
			return about(err, "planning visit %s of request %s", v.Task(), v.RequestID)
		})
	}
	return g.Wait()
}

// Visits implements ledger.Store.
func (s *Store) Visits(ctx context.Context, id dsr.RequestID) ([]dsr.Visit, error) {
	var visits []dsr.Visit
	err := s.query(ctx, &dynamodb.QueryInput{
		TableName: &s.tables.Tasks, ConsistentRead: aws.Bool(true),
		KeyConditionExpression: aws.String("#request_id = :id"), ExpressionAttributeNames: names("request_id"),
		ExpressionAttributeValues: item{":id": text(string(id))},
	}, func(it item) error {
		var v dsr.Visit
		if err := decode(it, &v); err != nil {
			return err
		}
		visits = append(visits, v)
		return nil
	})
	return visits, about(err, "reading the visits of request %s", id)
}

// query calls f for every item of all pages.
func (s *Store) query(ctx context.Context, in *dynamodb.QueryInput, f func(item) error) error {
	pages := dynamodb.NewQueryPaginator(s.api, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, it := range page.Items {
			if err := f(it); err != nil {
				return err
			}
		}
	}
	return nil
}

// Visit implements ledger.Store.
func (s *Store) Visit(ctx context.Context, id dsr.RequestID, task string) (dsr.Visit, error) {
	v, _, err := s.visit(ctx, id, task)
	return v, about(err, "reading visit %s of request %s", task, id)
}

// visit reads a visit and the mark of its last write.
func (s *Store) visit(ctx context.Context, id dsr.RequestID, task string) (v dsr.Visit, writer string, err error) {
	it, err := s.get(ctx, s.tables.Tasks, visitKey(id, task))
	if err == nil {
		err = decode(it, &v)
	}
	return v, textOf(it, "writer"), err
}

// TakeVisit implements ledger.Store.
func (s *Store) TakeVisit(ctx context.Context, id dsr.RequestID, task string, run int, now, until time.Time) (dsr.Visit, error) {
	for range tries {
		v, err := s.take(ctx, id, task, run, now, until)
		if !errors.Is(err, errMoved) {
			return v, about(err, "taking visit %s of request %s for run %d", task, id, run)
		}
	}
	return dsr.Visit{}, fmt.Errorf("taking visit %s of request %s for run %d: %w", task, id, run, ledger.ErrConflict)
}

// errMoved says that a record changed between its reading and its writing.
var errMoved = errors.New("changed since it was read")

func (s *Store) take(ctx context.Context, id dsr.RequestID, task string, run int, now, until time.Time) (dsr.Visit, error) {
	v, writer, err := s.visit(ctx, id, task)
	if err != nil {
		return dsr.Visit{}, err
	}
	if v.Settled() {
		return v, ledger.ErrSettled
	}
	if v.LeaseUntil.After(now) {
		r, err := s.Request(ctx, id)
		switch {
		case err != nil:
			return dsr.Visit{}, err
		case r.Run != run:
			return dsr.Visit{}, ledger.ErrStale
		}
		return dsr.Visit{}, ledger.ErrLeased
	}
	v.Fence++
	v.Run = run
	v.LeaseUntil = until
	it, err := visitItem(v)
	if err != nil {
		return dsr.Visit{}, err
	}
	err = s.transact(ctx, []types.TransactWriteItem{
		{ConditionCheck: s.currentRun(id, run)},
		{Put: &types.Put{
			TableName: &s.tables.Tasks, Item: it,
			ConditionExpression: aws.String("#writer = :read"), ExpressionAttributeNames: names("writer"),
			ExpressionAttributeValues: item{":read": text(writer)},
		}},
	})
	var unmet canceled
	switch {
	case errors.As(err, &unmet) && unmet.at(0):
		return dsr.Visit{}, ledger.ErrStale
	case errors.As(err, &unmet):
		return dsr.Visit{}, errMoved
	case err != nil:
		return dsr.Visit{}, err
	}
	return v, nil
}

// currentRun is the check that run is the request's current one.
func (s *Store) currentRun(id dsr.RequestID, run int) *types.ConditionCheck {
	return &types.ConditionCheck{
		TableName: &s.tables.Requests, Key: requestKey(id),
		ConditionExpression: aws.String("#run = :run"), ExpressionAttributeNames: names("run"),
		ExpressionAttributeValues: item{":run": number(run)},
	}
}

// fenced is the write of a visit whose fence is still the stored one.
func (s *Store) fenced(v dsr.Visit) (*types.Put, error) {
	it, err := visitItem(v)
	if err != nil {
		return nil, err
	}
	return &types.Put{
		TableName: &s.tables.Tasks, Item: it,
		ConditionExpression: aws.String("#fence = :fence"), ExpressionAttributeNames: names("fence"),
		ExpressionAttributeValues: item{":fence": number(v.Fence)},
	}, nil
}

// SaveVisit implements ledger.Store.
func (s *Store) SaveVisit(ctx context.Context, v dsr.Visit) error {
	put, err := s.fenced(v)
	if err == nil {
		err = s.transact(ctx, []types.TransactWriteItem{{ConditionCheck: s.currentRun(v.RequestID, v.Run)}, {Put: put}})
	}
	if errors.As(err, new(canceled)) {
		err = ledger.ErrStale
	}
	return about(err, "saving visit %s of request %s", v.Task(), v.RequestID)
}

// BeginErasing implements ledger.Store.
func (s *Store) BeginErasing(ctx context.Context, v dsr.Visit, holdKeys []string, now time.Time) error {
	v.Status = dsr.VisitErasing
	for try := range tries {
		err := s.beginErasing(ctx, v, holdKeys, now)
		if !errors.Is(err, errMoved) {
			return about(err, "beginning to erase in visit %s of request %s", v.Task(), v.RequestID)
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
	return fmt.Errorf("beginning to erase in visit %s of request %s: %w", v.Task(), v.RequestID, ledger.ErrConflict)
}

func (s *Store) beginErasing(ctx context.Context, v dsr.Visit, holdKeys []string, now time.Time) error {
	r, err := s.Request(ctx, v.RequestID)
	if err != nil {
		return err
	}
	ready := r.MayErase(v.Run)
	if errors.Is(ready, ledger.ErrStale) {
		return ready
	}
	if ready != nil {
		// A stale fence is told first. Nothing is written either way.
		stored, _, err := s.visit(ctx, v.RequestID, v.Task())
		if errors.Is(err, ledger.ErrNotFound) || (err == nil && stored.Fence != v.Fence) {
			return ledger.ErrStale
		}
		return errors.Join(ready, err)
	}
	put, err := s.fenced(v)
	if err != nil {
		return err
	}
	request, err := s.erasingRequest(r, now)
	if err != nil {
		return err
	}
	items := []types.TransactWriteItem{{Put: put}, request}
	keys := slices.Compact(slices.Sorted(slices.Values(holdKeys))) // one item may stand in a transaction once
	for _, key := range keys {
		items = append(items, types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
			TableName: &s.tables.Holds, Key: item{"key": text(key)},
			ConditionExpression: aws.String("attribute_not_exists(#key)"), ExpressionAttributeNames: names("key"),
		}})
	}
	err = s.transact(ctx, items)
	var unmet canceled
	if !errors.As(err, &unmet) {
		return err
	}
	switch {
	case unmet.at(0):
		return ledger.ErrStale
	case unmet.at(1):
		return errMoved
	}
	for i, key := range keys {
		if unmet.at(i + 2) {
			return &ledger.HeldError{Key: key}
		}
	}
	return err
}

// erasingRequest is the request's part in BeginErasing. The first system writes
// ErasingAt and raises the version, so that a withdrawal decided before is a
// conflict after; later systems only check, and so do not hinder each other.
func (s *Store) erasingRequest(r ledger.Request, now time.Time) (types.TransactWriteItem, error) {
	if !r.ErasingAt.IsZero() {
		check := s.currentRun(r.ID, r.Run)
		check.ConditionExpression = aws.String("#run = :run AND #ready = :yes")
		check.ExpressionAttributeNames["#ready"] = "ready"
		check.ExpressionAttributeValues[":yes"] = flag(true)
		return types.TransactWriteItem{ConditionCheck: check}, nil
	}
	read := r.Version
	r.ErasingAt = now
	r.Version++
	it, err := requestItem(r)
	if err != nil {
		return types.TransactWriteItem{}, err
	}
	return types.TransactWriteItem{Put: &types.Put{
		TableName: &s.tables.Requests, Item: it,
		ConditionExpression: aws.String("#version = :read"), ExpressionAttributeNames: names("version"),
		ExpressionAttributeValues: item{":read": number(read)},
	}}, nil
}
