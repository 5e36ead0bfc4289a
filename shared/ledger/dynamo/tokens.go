package dynamo

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/writ-dsr/writ/shared/ledger"
)

// afterDue is how long a token stays after its due time, so that an old link
// is told that it has expired and not that it never was. The table's own
// expiry comes after that, and late.
const afterDue = 14 * 24 * time.Hour

func tokenKey(hash string) item { return item{"hash": text(hash)} }

// tokenItem is the token as it was made in doc, with what changes later in
// attributes of its own: each change is one conditional update without a read.
func tokenItem(t ledger.Token) (item, error) {
	doc, err := encode(t)
	if err != nil {
		return nil, err
	}
	it := item{
		"hash":     text(t.Hash),
		"due":      number(t.Due.UnixNano()),
		"ttl":      number(t.Due.Add(afterDue).Unix()),
		"attempts": number(t.Attempts),
		"writer":   text(mark()),
		"doc":      doc,
	}
	if !t.UsedAt.IsZero() {
		it["used_at"] = instant(t.UsedAt)
	}
	if t.CodeHash != "" {
		it["code_hash"] = text(t.CodeHash)
		it["code_due"] = instant(t.CodeDue)
	}
	return it, nil
}

func tokenOf(it item) (t ledger.Token, err error) {
	if err := decode(it, &t); err != nil {
		return ledger.Token{}, err
	}
	t.CodeHash = textOf(it, "code_hash")
	if t.Attempts, err = intOf(it, "attempts"); err != nil {
		return ledger.Token{}, err
	}
	if t.UsedAt, err = instantOf(it, "used_at"); err != nil {
		return ledger.Token{}, err
	}
	if t.CodeDue, err = instantOf(it, "code_due"); err != nil {
		return ledger.Token{}, err
	}
	return t, nil
}

func intOf(it item, name string) (int, error) {
	n, ok := it[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0, fmt.Errorf("decoding a record: %s is no number", name)
	}
	return strconv.Atoi(n.Value)
}

// PutToken implements ledger.Store.
func (s *Store) PutToken(ctx context.Context, t ledger.Token) error {
	it, err := tokenItem(t)
	if err == nil {
		err = s.put(ctx, &dynamodb.PutItemInput{
			TableName: &s.tables.Tokens, Item: it,
			ConditionExpression: aws.String("attribute_not_exists(#hash)"), ExpressionAttributeNames: names("hash"),
		})
	}
	if _, failed := whom(err); failed {
		err = ledger.ErrExists
	}
	return about(err, "storing a %s token", t.Purpose)
}

// Token implements ledger.Store.
func (s *Store) Token(ctx context.Context, hash string, now time.Time) (t ledger.Token, err error) {
	it, err := s.get(ctx, s.tables.Tokens, tokenKey(hash))
	if err == nil {
		t, err = tokenOf(it)
	}
	if err == nil && t.Expired(now) {
		err = ledger.ErrExpired
	}
	return t, about(err, "reading a token")
}

// UseToken implements ledger.Store.
func (s *Store) UseToken(ctx context.Context, hash string, now time.Time) error {
	return s.changeToken(ctx, "using a token", hash, &dynamodb.UpdateItemInput{
		UpdateExpression:          aws.String("SET #used_at = :at, #writer = :writer"),
		ConditionExpression:       aws.String("attribute_exists(#hash) AND attribute_not_exists(#used_at) AND #due >= :now"),
		ExpressionAttributeNames:  names("hash", "used_at", "due", "writer"),
		ExpressionAttributeValues: item{":at": instant(now), ":now": number(now.UnixNano()), ":writer": text(mark())},
	}, func(t ledger.Token) error { return t.MayUse(now) })
}

// SetCode implements ledger.Store.
func (s *Store) SetCode(ctx context.Context, hash, codeHash string, due time.Time) error {
	return s.changeToken(ctx, "giving a token a code", hash, &dynamodb.UpdateItemInput{
		UpdateExpression:          aws.String("SET #code_hash = :code, #code_due = :due, #attempts = :none"),
		ConditionExpression:       aws.String("attribute_exists(#hash)"),
		ExpressionAttributeNames:  names("hash", "code_hash", "code_due", "attempts"),
		ExpressionAttributeValues: item{":code": text(codeHash), ":due": instant(due), ":none": number(0)},
	}, nil)
}

// CountAttempt implements ledger.Store.
func (s *Store) CountAttempt(ctx context.Context, hash string, limit int) error {
	return s.changeToken(ctx, "counting a wrong code", hash, &dynamodb.UpdateItemInput{
		UpdateExpression:          aws.String("SET #attempts = #attempts + :one"),
		ConditionExpression:       aws.String("attribute_exists(#hash) AND #attempts < :limit"),
		ExpressionAttributeNames:  names("hash", "attempts"),
		ExpressionAttributeValues: item{":one": number(1), ":limit": number(limit)},
	}, func(ledger.Token) error { return ledger.ErrAttempts })
}

// ClearCode implements ledger.Store.
func (s *Store) ClearCode(ctx context.Context, hash, codeHash string) error {
	return s.changeToken(ctx, "clearing a token's code", hash, &dynamodb.UpdateItemInput{
		UpdateExpression:          aws.String("REMOVE #code_hash, #code_due SET #writer = :writer"),
		ConditionExpression:       aws.String("attribute_exists(#hash) AND #code_hash = :code"),
		ExpressionAttributeNames:  names("hash", "code_hash", "code_due", "writer"),
		ExpressionAttributeValues: item{":code": text(codeHash), ":writer": text(mark())},
	}, func(ledger.Token) error { return ledger.ErrUsed })
}

// changeToken updates a token under a condition. Where the condition does not
// hold on a token that is there, refusal says why.
func (s *Store) changeToken(ctx context.Context, doing, hash string, in *dynamodb.UpdateItemInput, refusal func(ledger.Token) error) error {
	in.TableName, in.Key = &s.tables.Tokens, tokenKey(hash)
	_, err := s.update(ctx, in)
	by, failed := whom(err)
	switch {
	case failed && by == nil:
		err = ledger.ErrNotFound
	case failed && refusal != nil:
		t, bad := tokenOf(by)
		if bad != nil {
			return about(bad, doing)
		}
		if why := refusal(t); why != nil {
			err = why
		}
	}
	return about(err, doing)
}

// Hit implements ledger.Store. Counters lie in the table of tokens for its
// expiry; their names cannot be a token's hash.
func (s *Store) Hit(ctx context.Context, key string, window time.Duration, limit int, now time.Time) (bool, error) {
	name, ends := ledger.Counter(key, window, now)
	counted, err := s.update(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.tables.Tokens, Key: tokenKey(name),
		UpdateExpression:          aws.String("SET #ttl = :ttl ADD #hits :one"),
		ExpressionAttributeNames:  names("ttl", "hits"),
		ExpressionAttributeValues: item{":ttl": number(ends.Unix()), ":one": number(1)},
		ReturnValues:              types.ReturnValueUpdatedNew,
	})
	if err != nil {
		return false, about(err, "counting a hit")
	}
	hits, err := intOf(counted, "hits")
	if err != nil {
		return false, about(err, "counting a hit")
	}
	return hits <= limit, nil
}
