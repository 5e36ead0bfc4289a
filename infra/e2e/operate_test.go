//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/mail"
)

// Invoke calls a function of the stack, by its folder's name ("sweep",
// "fanout-task" has the system's instead: "fanout-app"), and returns its answer. fault
// is the name of its error, "" if it had none.
func (s *Suite) Invoke(t testing.TB, function string, event any) (answer []byte, fault string) {
	t.Helper()
	payload, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	out, err := lambda.NewFromConfig(s.Config).Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: aws.String("Writ-" + s.Pack.ID + "-" + function), Payload: payload,
	})
	if err != nil {
		t.Fatalf("invoking %s: %v", function, err)
	}
	if out.FunctionError == nil {
		return out.Payload, ""
	}
	var refusal struct {
		Type string `json:"errorType"`
	}
	if err := json.Unmarshal(out.Payload, &refusal); err != nil {
		t.Fatalf("invoking %s: %v in %s", function, err, out.Payload)
	}
	return out.Payload, refusal.Type
}

// Sweep lets the hourly sweep run now, over all open requests; it must not
// fail for any of those given.
func (s *Suite) Sweep(t testing.TB) { t.Helper(); s.SweepAt(t, time.Now()) }

// SweepAt lets the sweep run as at another instant. It sees every open request
// of the stand, so only a test that does not call t.Parallel may do it; others
// move one request into the past by Backdate and call Sweep.
func (s *Suite) SweepAt(t testing.TB, at time.Time) {
	t.Helper()
	answer, fault := s.Invoke(t, "sweep", map[string]any{
		"source": "aws.events", "detail-type": "Scheduled Event", "time": at.UTC().Format(time.RFC3339), "detail": map[string]any{},
	})
	var out struct{ Seen, Failed int }
	if err := json.Unmarshal(answer, &out); fault != "" || err != nil {
		t.Fatalf("the sweep failed: %s %v %s", fault, err, answer)
	}
}

// ExecutionEnded tells the sweep that an execution ended, as EventBridge does.
func (s *Suite) ExecutionEnded(t testing.TB, id dsr.RequestID, run int, status string) {
	t.Helper()
	arn := s.ExecutionOf(id, run)
	answer, fault := s.Invoke(t, "sweep", map[string]any{
		"source": "aws.states", "detail-type": "Step Functions Execution Status Change", "time": time.Now().UTC().Format(time.RFC3339),
		"detail": map[string]any{"executionArn": arn, "name": arn[strings.LastIndexByte(arn, ':')+1:], "status": status},
	})
	if fault != "" {
		t.Fatalf("the sweep failed: %s %s", fault, answer)
	}
}

// Bounce tells notify-bounce what the mail service says of a mail: eventType
// Bounce, Complaint or Delivery; bounceType Permanent or Transient.
func (s *Suite) Bounce(t testing.TB, id dsr.RequestID, notice, eventType, bounceType string) {
	t.Helper()
	n, ok := s.Request(t, id).Notices[notice]
	if !ok {
		t.Fatalf("the request has no notice %s", notice)
	}
	answer, fault := s.Invoke(t, "notify-bounce", map[string]any{
		"source": "aws.ses", "detail-type": "Email " + eventType, "time": time.Now().UTC().Format(time.RFC3339),
		"detail": map[string]any{
			"eventType": eventType, "bounce": map[string]any{"bounceType": bounceType},
			"mail": map[string]any{"messageId": n.MessageID, "tags": map[string][]string{mail.TagRequest: {string(id)}}},
		},
	})
	if fault != "" {
		t.Fatalf("notify-bounce failed: %s %s", fault, answer)
	}
}

// Change rewrites a request's record as root, beside the product's own writes.
func (s *Suite) Change(t testing.TB, id dsr.RequestID, f func(*ledger.Request)) ledger.Request {
	t.Helper()
	r, err := ledger.Change(t.Context(), s.Book, id, func(r *ledger.Request) error { f(r); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Backdate makes a request as old as if it had come that much earlier: its
// clock, its due date and the time to prove it.
func (s *Suite) Backdate(t testing.TB, id dsr.RequestID, by time.Duration) ledger.Request {
	t.Helper()
	return s.Change(t, id, func(r *ledger.Request) {
		for i := range r.Clock {
			r.Clock[i].At = r.Clock[i].At.Add(-by)
		}
		for _, at := range []*time.Time{&r.DueAt, &r.ProofDue, &r.RemindedAt, &r.VerifiedAt, &r.MailAfter, &r.AnsweredAt, &r.ClosedAt} {
			if !at.IsZero() {
				*at = at.Add(-by)
			}
		}
	})
}

// Expire makes a link expire a minute ago.
func (s *Suite) Expire(t testing.TB, link string) {
	t.Helper()
	s.editToken(t, link, func(token map[string]any, item map[string]dynamotypes.AttributeValue, past time.Time) {
		token["due"] = past
		item["due"] = &dynamotypes.AttributeValueMemberN{Value: strconv.FormatInt(past.UnixNano(), 10)}
	})
}

// ExpireCode makes the mailed code of a link expire a minute ago.
func (s *Suite) ExpireCode(t testing.TB, link string) {
	t.Helper()
	s.editToken(t, link, func(_ map[string]any, item map[string]dynamotypes.AttributeValue, past time.Time) {
		item["code_due"] = &dynamotypes.AttributeValueMemberN{Value: strconv.FormatInt(past.UnixNano(), 10)}
	})
}

// editToken rewrites the record of a link as root: its document and what lies
// beside it in the item.
func (s *Suite) editToken(t testing.TB, link string, edit func(token map[string]any, item map[string]dynamotypes.AttributeValue, past time.Time)) {
	t.Helper()
	client, table := dynamodb.NewFromConfig(s.Config), aws.String(s.Outputs["TableTokens"])
	found, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: table, Key: map[string]dynamotypes.AttributeValue{
		"hash": &dynamotypes.AttributeValueMemberS{Value: ledger.HashSecret(Secret(t, link))},
	}})
	if err != nil {
		t.Fatal(err)
	}
	doc, ok := found.Item["doc"].(*dynamotypes.AttributeValueMemberS)
	if !ok {
		t.Fatal("the ledger knows no such link")
	}
	token := map[string]any{}
	if err := json.Unmarshal([]byte(doc.Value), &token); err != nil {
		t.Fatal(err)
	}
	edit(token, found.Item, time.Now().Add(-time.Minute))
	changed, err := json.Marshal(token)
	if err != nil {
		t.Fatal(err)
	}
	doc.Value = string(changed)
	if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: table, Item: found.Item}); err != nil {
		t.Fatal(err)
	}
}

// Secret is the secret of a link.
func Secret(t testing.TB, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil || u.Query().Get("t") == "" {
		t.Fatalf("the link has no secret: %v", err)
	}
	return u.Query().Get("t")
}

// Desk signs an act of the desk ("holds/place") as the operator and returns the
// answer's status and body.
func (s *Suite) Desk(t testing.TB, act string, body any) (status int, answer []byte) {
	t.Helper()
	return s.desk(t, s.Config.Credentials, act, body)
}

func (s *Suite) desk(t testing.TB, who aws.CredentialsProvider, act string, body any) (status int, answer []byte) {
	t.Helper()
	doc, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	address := s.AWS + "/restapis/" + s.Outputs["RestApiId"] + "/live/_user_request_/desk/" + act
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if who != nil {
		credentials, err := who.Retrieve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(doc)
		if err := v4.NewSigner().SignHTTP(t.Context(), credentials, req, hex.EncodeToString(sum[:]), "execute-api", s.Config.Region, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if answer, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// forgetSources takes the day's count of forms from this machine's address,
// which all people of the suite share, before it reaches the cap.
func (s *Suite) forgetSources(ctx context.Context) error {
	client := dynamodb.NewFromConfig(s.Config)
	pages := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{TableName: aws.String(s.Outputs["TableTokens"]), ProjectionExpression: aws.String("#h"),
		ExpressionAttributeNames: map[string]string{"#h": "hash"}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			if key, ok := item["hash"].(*dynamotypes.AttributeValueMemberS); ok && strings.Contains(key.Value, "source#") {
				if _, err := client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: aws.String(s.Outputs["TableTokens"]), Key: item}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
