package dynamo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Chains names every request the tables know, each with its chains that have a
// link, in order. It reads the keys of two whole tables: for an audit, by its
// own client, since no function may scan.
func Chains(ctx context.Context, api dynamodb.ScanAPIClient, tables Tables) (map[dsr.RequestID][]string, error) {
	known := map[dsr.RequestID][]string{}
	err := scanKeys(ctx, api, tables.Requests, "id", func(id string) { known[dsr.RequestID(id)] = nil })
	if err != nil {
		return nil, fmt.Errorf("listing all requests: %w", err)
	}
	err = scanKeys(ctx, api, tables.Events, "chain", func(key string) {
		id, chain, _ := strings.Cut(key, "#")
		if names := known[dsr.RequestID(id)]; !slices.Contains(names, chain) {
			known[dsr.RequestID(id)] = append(names, chain)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("listing all chains: %w", err)
	}
	for _, names := range known {
		slices.Sort(names)
	}
	return known, nil
}

// scanKeys calls f for the partition key of every item, once for each run of
// equal ones: the items of one partition come together.
func scanKeys(ctx context.Context, api dynamodb.ScanAPIClient, table, key string, f func(string)) error {
	pages := dynamodb.NewScanPaginator(api, &dynamodb.ScanInput{
		TableName: &table, ConsistentRead: aws.Bool(true),
		ProjectionExpression: aws.String("#" + key), ExpressionAttributeNames: names(key),
	})
	last := ""
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, it := range page.Items {
			if k := textOf(it, key); k != last {
				f(k)
				last = k
			}
		}
	}
	return nil
}
