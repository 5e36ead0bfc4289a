package dynamo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

// dueForm has a fixed width, so that strings sort as instants do.
const dueForm = "2006-01-02T15:04:05.000000000Z"

func requestKey(id dsr.RequestID) item { return item{"id": text(string(id))} }

func subjectKey(id dsr.RequestID) item { return item{"pk": text("SUBJECT#" + string(id))} }

func identityKey(hash string) item { return item{"pk": text("IDENTITY#" + hash)} }

// requestItem is the request with the attributes that conditions and the index
// read: version for SaveRequest, run and ready for leases and erasures.
func requestItem(r ledger.Request) (item, error) {
	doc, err := encode(r)
	if err != nil {
		return nil, err
	}
	it := item{
		"id":      text(string(r.ID)),
		"version": number(r.Version),
		"run":     number(r.Run),
		"ready":   flag(r.Allows(r.Run)),
		"writer":  text(mark()),
		"doc":     doc,
	}
	shelf, at := r.Shelf()
	it["open"] = text(shelf)
	it["due_at"] = text(at.UTC().Format(dueForm))
	return it, nil
}

// CreateRequest implements ledger.Store.
func (s *Store) CreateRequest(ctx context.Context, r ledger.Request, subject ledger.SealedSubject, first dsr.Event) error {
	if subject.RequestID != r.ID {
		return fmt.Errorf("creating request %s: its sealed subject belongs to another request", r.ID)
	}
	link, err := ledger.FirstLink(r, first)
	if err != nil {
		return err
	}
	requestIt, err := requestItem(r)
	if err != nil {
		return about(err, "creating request %s", r.ID)
	}
	subjectIt := subjectKey(r.ID)
	if subjectIt["doc"], err = encode(subject); err != nil {
		return about(err, "creating request %s", r.ID)
	}
	eventIt, err := eventItem(link)
	if err != nil {
		return about(err, "creating request %s", r.ID)
	}
	err = s.transact(ctx, []types.TransactWriteItem{
		{Put: newItem(s.tables.Requests, requestIt, "id")},
		{Put: newItem(s.tables.Subjects, subjectIt, "pk")},
		{Put: newItem(s.tables.Events, eventIt, "chain")},
	})
	if err == nil {
		s.rememberHead(link)
	}
	if errors.As(err, new(canceled)) {
		err = ledger.ErrExists
	}
	return about(err, "creating request %s", r.ID)
}

// newItem is the part of a transaction that writes an item that is not there.
func newItem(table string, it item, key string) *types.Put {
	return &types.Put{TableName: &table, Item: it, ConditionExpression: aws.String("attribute_not_exists(#" + key + ")"), ExpressionAttributeNames: names(key)}
}

// Request implements ledger.Store.
func (s *Store) Request(ctx context.Context, id dsr.RequestID) (r ledger.Request, err error) {
	it, err := s.get(ctx, s.tables.Requests, requestKey(id))
	if err == nil {
		err = decode(it, &r)
	}
	return r, about(err, "reading request %s", id)
}

// SaveRequest implements ledger.Store.
func (s *Store) SaveRequest(ctx context.Context, r ledger.Request) error {
	read := r.Version
	r.Version++
	it, err := requestItem(r)
	if err != nil {
		return about(err, "saving request %s", r.ID)
	}
	err = s.put(ctx, &dynamodb.PutItemInput{
		TableName: &s.tables.Requests, Item: it,
		ConditionExpression:       aws.String("#version = :read"),
		ExpressionAttributeNames:  names("version"),
		ExpressionAttributeValues: item{":read": number(read)},
	})
	if by, failed := whom(err); failed {
		err = ledger.ErrConflict
		if by == nil {
			err = ledger.ErrNotFound
		}
	}
	return about(err, "saving request %s", r.ID)
}

// batch is the most BatchGetItem takes.
const batch = 100

// OpenRequests implements ledger.Store. The index is read as it stands, a
// little late; what is handed out is read consistently.
func (s *Store) OpenRequests(ctx context.Context, f func(ledger.Request) error) error {
	return about(s.shelf(ctx, ledger.ShelfOpen, time.Time{}, f), "listing open requests")
}

// ScheduledRequests implements ledger.Store.
func (s *Store) ScheduledRequests(ctx context.Context, until time.Time, f func(ledger.Request) error) error {
	return about(s.shelf(ctx, ledger.ShelfScheduled, until, f), "listing scheduled requests")
}

// EndedRequests implements ledger.Store.
func (s *Store) EndedRequests(ctx context.Context, until time.Time, f func(ledger.Request) error) error {
	return about(s.shelf(ctx, ledger.ShelfEnded, until, f), "listing ended requests")
}

// shelf walks one partition of the index; until is the zero time for all of it.
func (s *Store) shelf(ctx context.Context, name string, until time.Time, f func(ledger.Request) error) error {
	in := &dynamodb.QueryInput{
		TableName: &s.tables.Requests, IndexName: aws.String(OpenIndex),
		KeyConditionExpression:    aws.String("#open = :open"),
		ProjectionExpression:      aws.String("#id"),
		ExpressionAttributeNames:  names("open", "id"),
		ExpressionAttributeValues: item{":open": text(name)},
		Limit:                     aws.Int32(batch),
	}
	if !until.IsZero() {
		in.KeyConditionExpression = aws.String("#open = :open AND #due_at <= :until")
		in.ExpressionAttributeNames["#due_at"] = "due_at"
		in.ExpressionAttributeValues[":until"] = text(until.UTC().Format(dueForm))
	}
	pages := dynamodb.NewQueryPaginator(s.api, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		requests, err := s.readAll(ctx, page.Items)
		if err != nil {
			return err
		}
		for _, it := range page.Items {
			r, there := requests[dsr.RequestID(textOf(it, "id"))]
			if !there {
				continue
			}
			if on, at := r.Shelf(); on != name || !until.IsZero() && at.After(until) {
				continue // moved since the index was written
			}
			if err := f(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// DeleteRecords implements ledger.Store. The request goes last and the visits,
// which name the chains, before it: whatever cuts it, another call finds the rest.
func (s *Store) DeleteRecords(ctx context.Context, id dsr.RequestID) error {
	r, err := s.Request(ctx, id)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = r.MayForget()
	}
	if err != nil {
		return about(err, "deleting the records of request %s", id)
	}
	visits, err := s.Visits(ctx, id)
	if err != nil {
		return about(err, "deleting the records of request %s", id)
	}
	chains := map[string]bool{dsr.RequestChain: true}
	for _, v := range visits {
		chains[v.System] = true
	}
	for chain := range r.HeadMACs {
		chains[chain] = true
	}
	for chain := range chains {
		in := s.chainQuery(chainOf(dsr.Event{RequestID: id, Chain: chain}))
		in.ProjectionExpression = aws.String("#chain, #seq")
		in.ExpressionAttributeNames["#seq"] = "seq"
		if err := s.query(ctx, in, func(it item) error {
			return s.remove(ctx, &dynamodb.DeleteItemInput{TableName: &s.tables.Events, Key: item{"chain": it["chain"], "seq": it["seq"]}})
		}); err != nil {
			return about(err, "deleting the records of request %s", id)
		}
	}
	for _, v := range visits {
		if err := s.remove(ctx, &dynamodb.DeleteItemInput{TableName: &s.tables.Tasks, Key: visitKey(id, v.Task())}); err != nil {
			return about(err, "deleting the records of request %s", id)
		}
	}
	return about(s.remove(ctx, &dynamodb.DeleteItemInput{TableName: &s.tables.Requests, Key: requestKey(id)}), "deleting the records of request %s", id)
}

// readAll reads up to 100 requests consistently.
func (s *Store) readAll(ctx context.Context, found []item) (map[dsr.RequestID]ledger.Request, error) {
	requests := make(map[dsr.RequestID]ledger.Request, len(found))
	var keys []item
	for _, it := range found {
		keys = append(keys, item{"id": it["id"]})
	}
	for try := 0; len(keys) > 0; try++ {
		if try == tries {
			return nil, fmt.Errorf("%d of %d requests stay unread: the table is throttled", len(keys), len(found))
		}
		if try > 0 {
			if err := pause(ctx, try); err != nil {
				return nil, err
			}
		}
		out, err := s.api.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			s.tables.Requests: {Keys: keys, ConsistentRead: aws.Bool(true)},
		}})
		if err != nil {
			return nil, err
		}
		for _, it := range out.Responses[s.tables.Requests] {
			var r ledger.Request
			if err := decode(it, &r); err != nil {
				return nil, err
			}
			requests[r.ID] = r
		}
		keys = out.UnprocessedKeys[s.tables.Requests].Keys
	}
	return requests, nil
}

// Subject implements ledger.Store.
func (s *Store) Subject(ctx context.Context, id dsr.RequestID) (subject ledger.SealedSubject, err error) {
	it, err := s.get(ctx, s.tables.Subjects, subjectKey(id))
	if err == nil {
		err = decode(it, &subject)
	}
	return subject, about(err, "reading the sealed subject of request %s", id)
}

// ReplaceSubject implements ledger.Store.
func (s *Store) ReplaceSubject(ctx context.Context, subject ledger.SealedSubject) error {
	it := subjectKey(subject.RequestID)
	var err error
	if it["doc"], err = encode(subject); err == nil {
		err = s.put(ctx, &dynamodb.PutItemInput{
			TableName: &s.tables.Subjects, Item: it,
			ConditionExpression: aws.String("attribute_exists(#pk)"), ExpressionAttributeNames: names("pk"),
		})
	}
	if _, failed := whom(err); failed {
		err = ledger.ErrNotFound
	}
	return about(err, "replacing the sealed subject of request %s", subject.RequestID)
}

// DeleteSubject implements ledger.Store.
func (s *Store) DeleteSubject(ctx context.Context, id dsr.RequestID) error {
	err := s.remove(ctx, &dynamodb.DeleteItemInput{TableName: &s.tables.Subjects, Key: subjectKey(id)})
	return about(err, "destroying the key of request %s", id)
}

// remove deletes one item, under a condition as put does.
func (s *Store) remove(ctx context.Context, in *dynamodb.DeleteItemInput) error {
	return patiently(ctx, func() error {
		_, err := s.api.DeleteItem(ctx, in)
		return unmet(err, nil)
	})
}

// ClaimIdentity implements ledger.Store.
func (s *Store) ClaimIdentity(ctx context.Context, hash string, id dsr.RequestID) (dsr.RequestID, error) {
	it := identityKey(hash)
	it["request_id"] = text(string(id))
	err := s.put(ctx, &dynamodb.PutItemInput{
		TableName: &s.tables.Subjects, Item: it,
		ConditionExpression:       aws.String("attribute_not_exists(#pk) OR #request_id = :id"),
		ExpressionAttributeNames:  names("pk", "request_id"),
		ExpressionAttributeValues: item{":id": text(string(id))},
	})
	if by, failed := whom(err); failed {
		return dsr.RequestID(textOf(by, "request_id")), nil
	}
	if err != nil {
		return "", about(err, "claiming an identity for request %s", id)
	}
	return id, nil
}

// ReleaseIdentity implements ledger.Store.
func (s *Store) ReleaseIdentity(ctx context.Context, hash string, id dsr.RequestID) error {
	err := s.remove(ctx, &dynamodb.DeleteItemInput{
		TableName: &s.tables.Subjects, Key: identityKey(hash),
		ConditionExpression:       aws.String("#request_id = :id"),
		ExpressionAttributeNames:  names("request_id"),
		ExpressionAttributeValues: item{":id": text(string(id))},
	})
	if _, failed := whom(err); failed {
		return nil // nobody's, or another request's
	}
	return about(err, "releasing an identity of request %s", id)
}

// instant writes a time as JSON does.
func instant(t time.Time) types.AttributeValue { return text(t.Format(time.RFC3339Nano)) }

// instantOf reads a time attribute, the zero time where there is none.
func instantOf(it item, name string) (time.Time, error) {
	s := textOf(it, name)
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("decoding a record: %s is no instant", name)
	}
	return t, nil
}
