// Package dynamotest makes the ledger's tables through the API, for tests that
// run against an emulator without the stack. The product's tables come from
// infra, which a template test holds to the same keys.
package dynamotest

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/writ-dsr/writ/shared/ledger/dynamo"
)

// Create makes the seven tables, their names preceded by prefix.
func Create(ctx context.Context, client *dynamodb.Client, prefix string) (dynamo.Tables, error) {
	tables := dynamo.Tables{
		Requests: prefix + "requests", Subjects: prefix + "subjects", Tasks: prefix + "tasks", Events: prefix + "events",
		Holds: prefix + "holds", Tokens: prefix + "tokens", Suppression: prefix + "suppression",
	}
	for _, t := range []struct{ name, partition, sort string }{
		{tables.Requests, "id", ""},
		{tables.Subjects, "pk", ""},
		{tables.Tasks, "request_id", "task"},
		{tables.Events, "chain", "seq"},
		{tables.Holds, "key", ""},
		{tables.Tokens, "hash", ""},
		{tables.Suppression, "hash", ""},
	} {
		in := &dynamodb.CreateTableInput{
			TableName: &t.name, BillingMode: types.BillingModePayPerRequest,
			KeySchema: key(t.partition, t.sort), AttributeDefinitions: attributes(t.partition, t.sort),
		}
		if t.name == tables.Requests {
			in.AttributeDefinitions = attributes("id", "open", "due_at")
			in.GlobalSecondaryIndexes = []types.GlobalSecondaryIndex{{
				IndexName: aws.String(dynamo.OpenIndex), KeySchema: key("open", "due_at"),
				Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
			}}
		}
		if _, err := client.CreateTable(ctx, in); err != nil {
			return dynamo.Tables{}, fmt.Errorf("creating table %s: %w", t.name, err)
		}
	}
	_, err := client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName:               &tables.Tokens,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("ttl"), Enabled: aws.Bool(true)},
	})
	if err != nil {
		return dynamo.Tables{}, fmt.Errorf("setting the expiry of table %s: %w", tables.Tokens, err)
	}
	return tables, nil
}

func key(partition, sort string) []types.KeySchemaElement {
	elements := []types.KeySchemaElement{{AttributeName: &partition, KeyType: types.KeyTypeHash}}
	if sort != "" {
		elements = append(elements, types.KeySchemaElement{AttributeName: &sort, KeyType: types.KeyTypeRange})
	}
	return elements
}

func attributes(names ...string) []types.AttributeDefinition {
	var definitions []types.AttributeDefinition
	for _, name := range names {
		if name == "" {
			continue
		}
		kind := types.ScalarAttributeTypeS
		if name == "seq" {
			kind = types.ScalarAttributeTypeN
		}
		definitions = append(definitions, types.AttributeDefinition{AttributeName: &name, AttributeType: kind})
	}
	return definitions
}
