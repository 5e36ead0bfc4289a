package dynamo

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/writ-dsr/writ/shared/ledger"
)

// The table of holds has an item for each key under which something is held,
// which BeginErasing looks for, and beside them what finds them again: an item
// for each matter with the keys it ever held, and one with all matters.
const (
	matterKey  = "MATTER#"
	mattersKey = "MATTERS"
)

// PlaceHold implements ledger.Store. What finds the hold is written first: a
// name too many there is harmless, a hold that nobody finds is not.
func (s *Store) PlaceHold(ctx context.Context, h ledger.Hold) error {
	all, err := ledger.Held(nil).Place(h)
	if err != nil {
		return about(err, "placing a hold")
	}
	matter := all[0].Matter
	if err := s.note(ctx, mattersKey, matter); err != nil {
		return about(err, "placing a hold")
	}
	if err := s.note(ctx, matterKey+matter, h.Key); err != nil {
		return about(err, "placing a hold")
	}
	return about(s.changeHolds(ctx, h.Key, func(all ledger.Held) (ledger.Held, error) { return all.Place(h) }), "placing a hold")
}

// ProposeLift implements ledger.Store.
func (s *Store) ProposeLift(ctx context.Context, key, matter string, l ledger.Lift) error {
	return about(s.changeHolds(ctx, key, func(all ledger.Held) (ledger.Held, error) { return all.Propose(matter, l) }), "asking to lift a hold")
}

// LiftHold implements ledger.Store.
func (s *Store) LiftHold(ctx context.Context, key, matter, by string) error {
	return about(s.changeHolds(ctx, key, func(all ledger.Held) (ledger.Held, error) { return all.Confirm(matter, by) }), "lifting a hold")
}

// Holds implements ledger.Store.
func (s *Store) Holds(ctx context.Context, key string) ([]ledger.Hold, error) {
	all, _, err := s.holds(ctx, key)
	return all, about(err, "reading holds")
}

// MatterHolds implements ledger.Store.
func (s *Store) MatterHolds(ctx context.Context, matter string) ([]ledger.Hold, error) {
	keys, err := s.noted(ctx, matterKey+matter)
	if err != nil {
		return nil, about(err, "reading the holds of a matter")
	}
	var found []ledger.Hold
	for _, key := range keys {
		all, _, err := s.holds(ctx, key)
		if err != nil {
			return nil, about(err, "reading the holds of a matter")
		}
		for _, h := range all {
			if h.Matter == matter {
				found = append(found, h)
			}
		}
	}
	return found, nil
}

// Matters implements ledger.Store.
func (s *Store) Matters(ctx context.Context) ([]string, error) {
	all, err := s.noted(ctx, mattersKey)
	return all, about(err, "reading the matters")
}

// holds reads the holds under a key and the mark of their last write.
func (s *Store) holds(ctx context.Context, key string) (all ledger.Held, writer string, err error) {
	it, err := s.get(ctx, s.tables.Holds, item{"key": text(key)})
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, "", nil
	}
	if err == nil {
		err = decode(it, &all)
	}
	return all, textOf(it, "writer"), err
}

// changeHolds writes what f makes of the holds under a key, unless somebody
// changed them since they were read. Without a hold there is no item.
func (s *Store) changeHolds(ctx context.Context, key string, f func(ledger.Held) (ledger.Held, error)) error {
	for try := range tries {
		all, read, err := s.holds(ctx, key)
		if err != nil {
			return err
		}
		if all, err = f(all); err != nil {
			return err
		}
		condition, values := aws.String("#writer = :read"), item{":read": text(read)}
		if read == "" {
			condition, values = aws.String("attribute_not_exists(#writer)"), nil
		}
		if len(all) == 0 {
			err = s.remove(ctx, &dynamodb.DeleteItemInput{
				TableName: &s.tables.Holds, Key: item{"key": text(key)},
				ConditionExpression: condition, ExpressionAttributeNames: names("writer"), ExpressionAttributeValues: values,
			})
		} else {
			doc, bad := encode(all)
			if bad != nil {
				return bad
			}
			err = s.put(ctx, &dynamodb.PutItemInput{
				TableName: &s.tables.Holds, Item: item{"key": text(key), "writer": text(mark()), "doc": doc},
				ConditionExpression: condition, ExpressionAttributeNames: names("writer"), ExpressionAttributeValues: values,
			})
		}
		if _, failed := whom(err); !failed {
			return err
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
	return ledger.ErrConflict
}

// note adds a word to a set of them.
func (s *Store) note(ctx context.Context, key, word string) error {
	_, err := s.update(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.tables.Holds, Key: item{"key": text(key)},
		UpdateExpression: aws.String("ADD #words :word"), ExpressionAttributeNames: names("words"),
		ExpressionAttributeValues: item{":word": &types.AttributeValueMemberSS{Value: []string{word}}},
	})
	return err
}

// noted reads a set of words in order.
func (s *Store) noted(ctx context.Context, key string) ([]string, error) {
	it, err := s.get(ctx, s.tables.Holds, item{"key": text(key)})
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	words, _ := it["words"].(*types.AttributeValueMemberSS)
	if words == nil {
		return nil, nil
	}
	return slices.SortedFunc(slices.Values(words.Value), strings.Compare), nil
}
