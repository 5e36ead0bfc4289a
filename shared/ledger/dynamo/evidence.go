package dynamo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

func chainOf(e dsr.Event) string { return string(e.RequestID) + "#" + e.Chain }

// eventItem is a sealed link under its place in its chain.
func eventItem(e dsr.Event) (item, error) {
	doc, err := encode(e)
	return item{"chain": text(chainOf(e)), "seq": number(e.Seq), "writer": text(mark()), "doc": doc}, err
}

// Append implements ledger.Store.
func (s *Store) Append(ctx context.Context, e dsr.Event) error {
	head, known := s.knownHead(chainOf(e))
	for try := range tries {
		if !known {
			var err error
			if head, err = s.readHead(ctx, chainOf(e)); err != nil {
				return about(err, "appending to chain %s of request %s", e.Chain, e.RequestID)
			}
		}
		link, err := ledger.Link(head, e)
		if err != nil {
			return err
		}
		it, err := eventItem(link)
		if err != nil {
			return about(err, "appending to chain %s of request %s", e.Chain, e.RequestID)
		}
		err = s.put(ctx, &dynamodb.PutItemInput{
			TableName: &s.tables.Events, Item: it,
			ConditionExpression: aws.String("attribute_not_exists(#chain)"), ExpressionAttributeNames: names("chain"),
		})
		if err == nil {
			s.rememberHead(link)
			return nil
		}
		if _, taken := whom(err); !taken {
			return about(err, "appending to chain %s of request %s", e.Chain, e.RequestID)
		}
		if known { // our own memory was old: that is no contention
			known = false
			continue
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
	return fmt.Errorf("appending to chain %s of request %s: %w", e.Chain, e.RequestID, ledger.ErrConflict)
}

// manyHeads bounds the memory for heads: a function handles few chains at a time.
const manyHeads = 64

// knownHead returns the last link this process wrote. Links are never changed
// or removed, so it is a link of the chain even where it is the head no more;
// then the place after it is taken and Append reads.
func (s *Store) knownHead(chain string) (dsr.Event, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	head, known := s.heads[chain]
	return head, known
}

func (s *Store) rememberHead(link dsr.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.heads) >= manyHeads {
		clear(s.heads)
	}
	s.heads[chainOf(link)] = link
}

// readHead returns the last link of a chain, the zero event for none.
func (s *Store) readHead(ctx context.Context, chain string) (head dsr.Event, err error) {
	in := s.chainQuery(chain)
	in.ScanIndexForward, in.Limit = aws.Bool(false), aws.Int32(1)
	out, err := s.api.Query(ctx, in)
	if err != nil || len(out.Items) == 0 {
		return dsr.Event{}, err
	}
	return head, decode(out.Items[0], &head)
}

func (s *Store) chainQuery(chain string) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		TableName: &s.tables.Events, ConsistentRead: aws.Bool(true),
		KeyConditionExpression: aws.String("#chain = :chain"), ExpressionAttributeNames: names("chain"),
		ExpressionAttributeValues: item{":chain": text(chain)},
	}
}

// Events implements ledger.Store.
func (s *Store) Events(ctx context.Context, id dsr.RequestID, chain string) ([]dsr.Event, error) {
	var events []dsr.Event
	err := s.query(ctx, s.chainQuery(chainOf(dsr.Event{RequestID: id, Chain: chain})), func(it item) error {
		var e dsr.Event
		if err := decode(it, &e); err != nil {
			return err
		}
		events = append(events, e)
		return nil
	})
	return events, about(err, "reading chain %s of request %s", chain, id)
}

// purposeAttr precedes the name of a suppressed purpose: each has an attribute
// of its own, so that one write keeps the first instant of one and leaves the
// others alone.
const purposeAttr = "purpose_"

// Suppress implements ledger.Store.
func (s *Store) Suppress(ctx context.Context, hash string, p dsr.Purpose, at time.Time) error {
	_, err := s.update(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.tables.Suppression, Key: item{"hash": text(hash)},
		UpdateExpression:          aws.String("SET #p = if_not_exists(#p, :at)"),
		ExpressionAttributeNames:  map[string]string{"#p": purposeAttr + string(p)},
		ExpressionAttributeValues: item{":at": instant(at.UTC())},
	})
	return about(err, "remembering that %s is suppressed", p)
}

// Allow implements ledger.Store.
func (s *Store) Allow(ctx context.Context, hash string, p dsr.Purpose) error {
	_, err := s.update(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.tables.Suppression, Key: item{"hash": text(hash)},
		UpdateExpression:         aws.String("REMOVE #p"),
		ExpressionAttributeNames: map[string]string{"#p": purposeAttr + string(p)},
	})
	return about(err, "forgetting that %s was stopped", p)
}

// Suppressed implements ledger.Store.
func (s *Store) Suppressed(ctx context.Context, hash string) (map[dsr.Purpose]time.Time, error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.tables.Suppression, Key: item{"hash": text(hash)}, ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, about(err, "reading what is suppressed")
	}
	purposes := map[dsr.Purpose]time.Time{}
	for name := range out.Item {
		p, ok := strings.CutPrefix(name, purposeAttr)
		if !ok {
			continue
		}
		if purposes[dsr.Purpose(p)], err = instantOf(out.Item, name); err != nil {
			return nil, about(err, "reading what is suppressed")
		}
	}
	return purposes, nil
}
