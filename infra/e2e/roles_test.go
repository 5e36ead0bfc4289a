//go:build e2e

package e2e

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/connectors/stripe/stripefake"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/platform/checkout"
)

// objectsOf counts what the bucket holds of a request.
func objectsOf(t testing.TB, id dsr.RequestID) (n int) {
	t.Helper()
	for _, folder := range []string{"exports/", "bundles/", "uploads/"} {
		out, err := suite.Objects().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{
			Bucket: aws.String(suite.Outputs["Bucket"]), Prefix: aws.String(folder + string(id) + "/"),
		})
		if err != nil {
			t.Fatal(err)
		}
		n += len(out.Contents)
	}
	return n
}

// functionName is a function's whole name.
func functionName(end string) *string { return aws.String("Writ-" + suite.Pack.ID + "-" + end) }

// as is the way to AWS with the role of a function, which must have run before:
// the emulator derives a role's session from the names of both.
func as(t testing.TB, function string) aws.Config {
	t.Helper()
	out, err := lambda.NewFromConfig(suite.Config).GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: functionName(function)})
	if err != nil {
		t.Fatal(err)
	}
	digest := hash(aws.ToString(out.FunctionArn) + ":" + aws.ToString(out.Role))
	cfg := suite.Config.Copy()
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "ASIA" + strings.ToUpper(digest[:16]), SecretAccessKey: hash("secret:" + digest), SessionToken: hash("token:" + digest)}, nil
	})
	return cfg
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// denied reports whether an error is IAM's refusal.
func denied(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && strings.Contains(api.ErrorCode(), "AccessDenied")
}

// What a role may not do is refused by IAM, not by our own code.
func TestRolesReachNoFurther(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("guarded"), Plenty())
	id := l.Start(t, "SE", "access")
	suite.AwaitStatus(t, id, dsr.Completed)
	text := func(s string) dynamotypes.AttributeValue { return &dynamotypes.AttributeValueMemberS{Value: s} }
	table := func(output string) *string { return aws.String(suite.Outputs[output]) }
	task := map[string]dynamotypes.AttributeValue{"request_id": text(string(id)), "task": text("app#gather")}
	link := map[string]dynamotypes.AttributeValue{"chain": text(string(id) + "#app"), "seq": &dynamotypes.AttributeValueMemberN{Value: "1"}}
	subject := map[string]dynamotypes.AttributeValue{"pk": text("SUBJECT#" + string(id))}
	secret := func(system, name string) *ssm.GetParameterInput {
		return &ssm.GetParameterInput{Name: aws.String("/writ/" + suite.Pack.ID + "/" + system + "/" + name), WithDecryption: aws.Bool(true)}
	}

	// Each role can do something: a refusal below is one of the act.
	if _, err := dynamodb.NewFromConfig(as(t, "notify-subject")).GetItem(t.Context(), &dynamodb.GetItemInput{TableName: table("TableSubjects"), Key: subject}); err != nil {
		t.Errorf("notify-subject cannot read the person: %v", err)
	}
	if _, err := ssm.NewFromConfig(as(t, "fanout-stripe")).GetParameter(t.Context(), secret("stripe", "api_key")); err != nil {
		t.Errorf("fanout-stripe cannot read its own secret: %v", err)
	}

	write := func(cfg aws.Config) error {
		_, err := dynamodb.NewFromConfig(cfg).PutItem(t.Context(), &dynamodb.PutItemInput{TableName: table("TableTasks"), Item: task})
		return err
	}
	for function, acts := range map[string]map[string]func(aws.Config) error{
		"notify-subject": {"write tasks": write},
		"intake-form": {
			"write tasks": write,
			"read people": func(cfg aws.Config) error {
				_, err := dynamodb.NewFromConfig(cfg).GetItem(t.Context(), &dynamodb.GetItemInput{TableName: table("TableSubjects"), Key: subject})
				return err
			},
		},
		"fanout-files": {
			"read the secret of another system": func(cfg aws.Config) error {
				_, err := ssm.NewFromConfig(cfg).GetParameter(t.Context(), secret("stripe", "api_key"))
				return err
			},
			"read the bundle": func(cfg aws.Config) error {
				_, err := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }).GetObject(t.Context(), &s3.GetObjectInput{
					Bucket: aws.String(suite.Outputs["Bucket"]), Key: aws.String(suite.Request(t, id).Bundle.Files[0].Key),
				})
				return err
			},
		},
		"collect-results": {"write tasks": write},
	} {
		cfg := as(t, function)
		for what, act := range acts {
			if err := act(cfg); !denied(err) {
				t.Errorf("%s may %s: got %v, want a refusal", function, what, err)
			}
		}
	}
	for _, function := range []string{"intake-form", "verify-answer", "plan-request", "fanout-app", "fanout-stripe", "fanout-manual", "fanout-answer", "collect-results", "bundle-archive", "notify-subject"} {
		client := dynamodb.NewFromConfig(as(t, function))
		if _, err := client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: table("TableEvents"), Key: link}); !denied(err) {
			t.Errorf("%s may delete evidence: got %v, want a refusal", function, err)
		}
		if _, err := client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: table("TableEvents"), Key: link, UpdateExpression: aws.String("SET kind = :k"), ExpressionAttributeValues: map[string]dynamotypes.AttributeValue{":k": text("x")},
		}); !denied(err) {
			t.Errorf("%s may change evidence: got %v, want a refusal", function, err)
		}
	}
	if n := suite.CountEvents(t, id, "app", dsr.EventSettled); n != 1 {
		t.Errorf("the evidence of app has %d ends after all this, want 1", n)
	}
}

// bootstrap is the code of a function as it was built.
func bootstrap(t testing.TB, function string) []byte {
	t.Helper()
	root, err := checkout.Root()
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(filepath.Join(root, "bin", function, "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// replaceCode gives a function other code.
func replaceCode(ctx context.Context, function string, code []byte) error {
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	header.SetMode(0o755)
	f, err := w.CreateHeader(header)
	if err != nil {
		return err
	}
	if _, err := f.Write(code); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_, err = lambda.NewFromConfig(suite.Config).UpdateFunctionCode(ctx, &lambda.UpdateFunctionCodeInput{FunctionName: functionName(function), ZipFile: archive.Bytes()})
	return err
}

// A function that dies takes no request with it: the request has an owner, and
// goes on at their word once the function is mended.
func TestCrashedFunctionLosesNothing(t *testing.T) {
	if err := replaceCode(t.Context(), "plan-request", []byte("#!/bin/sh\nexit 3\n")); err != nil {
		t.Fatal(err)
	}
	sound, mended := bootstrap(t, "plan-request"), false
	mend := func(ctx context.Context) {
		if mended {
			return
		}
		mended = true
		if err := replaceCode(ctx, "plan-request", sound); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { mend(context.WithoutCancel(t.Context())) })
	l := suite.Enrol(t, Someone("crashed"), Plenty())
	id := l.Start(t, "SE", "access")
	r := suite.AwaitStatus(t, id, dsr.NeedsAttention)
	if r.Owner == "" || r.Reason != "PlanRequest" {
		t.Errorf("after a crash the request is with %q for %q", r.Owner, r.Reason)
	}
	mend(t.Context())
	owner := suite.Staff.Await(t, "of the owner", func(task Task) bool { return task.Own && task.Request == id })
	suite.Staff.Answer(t, owner, "again", nil)
	r = suite.AwaitStatus(t, id, dsr.Completed)
	if r.Run != 2 || r.Owner != "" {
		t.Errorf("the mended request ended at run %d with the owner %q", r.Run, r.Owner)
	}
	if n := suite.CountEvents(t, id, dsr.RequestChain, dsr.EventPlanned); n != 1 {
		t.Errorf("the request was planned %d times, want once", n)
	}
}

// A missing secret is a person's task that names it; once it is stored, their
// word is enough.
func TestMissingSecretIsNamed(t *testing.T) {
	const name = "/writ/pythonmaster/stripe/api_key"
	parameters := ssm.NewFromConfig(suite.Config)
	restore := func(ctx context.Context) error {
		_, err := parameters.PutParameter(ctx, &ssm.PutParameterInput{
			Name: aws.String(name), Value: aws.String(stripefake.Key), Type: ssmtypes.ParameterTypeSecureString, Overwrite: aws.Bool(true),
		})
		return err
	}
	if _, err := parameters.DeleteParameter(t.Context(), &ssm.DeleteParameterInput{Name: aws.String(name)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := restore(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	// New code comes with new environments, which remember no secret.
	if err := replaceCode(t.Context(), "fanout-stripe", bootstrap(t, "fanout-task")); err != nil {
		t.Fatal(err)
	}
	l := suite.Enrol(t, Someone("nosecret"), Plenty())
	id := l.Start(t, "SE", "access")
	task := suite.Staff.Await(t, "of a missing secret", func(task Task) bool { return task.Email == l.Email && task.API })
	if v := suite.Visits(t, id)["stripe#gather"]; v.Person == nil || v.Person.Cause != "missing_secret" || v.Settled() {
		t.Errorf("the visit without its secret is %s with %+v", v.Status, v.Person)
	}
	if err := restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	suite.Staff.Answer(t, task, "again", func(page *person.Page) {
		if !strings.Contains(page.Text(), name) {
			t.Errorf("the task does not name the secret: %s", page.Text())
		}
	})
	suite.AwaitStatus(t, id, dsr.Completed)
	suite.WantOutcome(t, id, "stripe#gather", "payment_profile", dsr.Exported, 1)
}
