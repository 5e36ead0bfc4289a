//go:build e2e

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dynamo"
	"github.com/writ-dsr/writ/shared/ledger/dynamo/dynamotest"
	"github.com/writ-dsr/writ/shared/platform/vault"
)

// The command on real tables and a real key: an edit, a cut tail and a request
// that is gone are found, and the exit status says so.
func TestAuditOnTables(t *testing.T) {
	if os.Getenv("AWS_ENDPOINT_URL") == "" {
		t.Fatal("AWS_ENDPOINT_URL is not set: start an emulator and set it to its address")
	}
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	ctx := t.Context()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion("us-east-1"),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("test", "test", "")))
	if err != nil {
		t.Fatal(err)
	}
	client := dynamodb.NewFromConfig(cfg)
	company := "audit-" + string(ledger.NewRequestID())
	tables, err := dynamotest.Create(ctx, client, company+"-")
	if err != nil {
		t.Fatal(err)
	}
	key, err := kms.NewFromConfig(cfg).CreateKey(ctx, &kms.CreateKeyInput{KeySpec: types.KeySpecHmac256, KeyUsage: types.KeyUsageTypeGenerateVerifyMac})
	if err != nil {
		t.Fatal(err)
	}
	template, err := json.Marshal(map[string]any{
		"Resources": map[string]any{"Topic": map[string]any{"Type": "AWS::SNS::Topic"}},
		"Outputs": map[string]any{
			"TableRequests": map[string]any{"Value": tables.Requests}, "TableTasks": map[string]any{"Value": tables.Tasks},
			"TableEvents": map[string]any{"Value": tables.Events}, "KeyMac": map[string]any{"Value": *key.KeyMetadata.KeyId},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cloudformation.NewFromConfig(cfg).CreateStack(ctx, &cloudformation.CreateStackInput{
		StackName: aws.String("Writ-" + company), TemplateBody: aws.String(string(template)),
	}); err != nil {
		t.Fatal(err)
	}
	store := dynamo.New(client, tables)
	keys := vault.New(kms.NewFromConfig(cfg), "", *key.KeyMetadata.KeyId)
	write := func() dsr.RequestID {
		id := ledger.NewRequestID()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(store.CreateRequest(ctx, ledger.Request{ID: id}, ledger.SealedSubject{RequestID: id}, dsr.Event{RequestID: id, Chain: dsr.RequestChain, Kind: dsr.EventReceived}))
		must(store.PlanVisits(ctx, []dsr.Visit{{RequestID: id, System: "s3", Phase: dsr.Act}}))
		for i := range 3 {
			must(store.Append(ctx, dsr.Event{RequestID: id, Chain: "s3", Kind: dsr.EventOpDone, Detail: map[string]any{"count": i}}))
		}
		macs := map[string]string{}
		for _, chain := range []string{dsr.RequestChain, "s3"} {
			events, err := store.Events(ctx, id, chain)
			must(err)
			macs[chain], err = keys.MAC(ctx, ledger.HeadPurpose, ledger.HeadMessage(id, chain, events[len(events)-1].Hash))
			must(err)
		}
		_, err := ledger.Change(ctx, store, id, func(r *ledger.Request) error { r.HeadMACs = macs; return nil })
		must(err)
		return id
	}
	whole, edited, cut, gone := write(), write(), write(), write()
	writ := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := run(ctx, []command{auditCommand()}, append([]string{"audit", "verify", "--company", company}, args...), &out, &errs); code != want {
			t.Fatalf("writ %v: exit %d, want %d\n%s%s", args, code, want, &out, &errs)
		}
		return out.String() + errs.String()
	}
	if said := writ(exitDone, "--all"); strings.Count(said, "2 chains, 4 links, sealed: intact") != 4 {
		t.Fatalf("before: %s", said)
	}

	link := func(id dsr.RequestID, seq int) map[string]dynamotypes.AttributeValue {
		return map[string]dynamotypes.AttributeValue{
			"chain": &dynamotypes.AttributeValueMemberS{Value: string(id) + "#s3"}, "seq": &dynamotypes.AttributeValueMemberN{Value: fmt.Sprint(seq)},
		}
	}
	second, err := client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &tables.Events, Key: link(edited, 2)})
	if err != nil {
		t.Fatal(err)
	}
	doc := second.Item["doc"].(*dynamotypes.AttributeValueMemberS)
	doc.Value = strings.Replace(doc.Value, `"count":1`, `"count":9`, 1)
	if _, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &tables.Events, Item: second.Item}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &tables.Events, Key: link(cut, 3)}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &tables.Requests, Key: map[string]dynamotypes.AttributeValue{
		"id": &dynamotypes.AttributeValueMemberS{Value: string(gone)},
	}}); err != nil {
		t.Fatal(err)
	}
	said := writ(exitFailed, "--all")
	for _, want := range []string{
		string(whole) + "  2 chains, 4 links, sealed: intact",
		string(edited) + "  2 chains, 4 links, sealed: CHANGED\n  chain s3: verifying chain s3: link 2 was changed",
		string(cut) + "  2 chains, 3 links, sealed: CHANGED\n  chain s3: it does not end in the link that was sealed",
		string(gone) + "  2 chains, 4 links, open, its tails not sealed yet: CHANGED\n  the request's record is gone",
		"3 of 4 requests",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("want %q in:\n%s", want, said)
		}
	}
	writ(exitDone, "--request", string(whole))
	writ(exitFailed, "--request", string(cut))

	// The same without a stack, by the environment.
	for output, name := range map[string]string{"TableRequests": tables.Requests, "TableTasks": tables.Tasks, "TableEvents": tables.Events, "KeyMac": *key.KeyMetadata.KeyId} {
		t.Setenv(auditNames[output], name)
	}
	company = ""
	writ(exitFailed, "--all")
}
