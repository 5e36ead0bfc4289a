//go:build e2e

package s3_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/connectortest"
	driver "github.com/writ-dsr/writ/shared/connectors/s3"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

// TestEmulated runs the laws on the bucket of an emulator, through the SDK: what
// the twin says of S3 is compared with another's reading of it.
func TestEmulated(t *testing.T) {
	endpoint := os.Getenv("AWS_ENDPOINT_URL")
	if endpoint == "" {
		t.Fatal("AWS_ENDPOINT_URL is not set: start an emulator and set it to its address")
	}
	client := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	s := suite(t)
	s.Descriptor.Accepts = []dsr.Kind{"account_id"}
	s.Identities = func(p dsrtest.Person) []dsr.Identity {
		return []dsr.Identity{{Kind: "account_id", Value: accounts[p], Origin: dsr.SystemOfRecord}}
	}
	s.Store = func(t testing.TB) connectortest.Store { return newRemote(t, client) }
	s.New = func(t testing.TB, env connectortest.Env) connector.Connector {
		cfg := env.Config
		cfg.BaseURL = endpoint
		cfg.Settings = map[string]string{"bucket": env.Store.(*remote).bucket, "category": category, "prefix": "learners/{account_id}/", "region": "us-east-1"}
		c, err := driver.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, f := range []connectortest.Fault{
		connectortest.IgnoreWrites, connectortest.SoftDelete, connectortest.Refused, connectortest.Throttled,
		connectortest.Down, connectortest.LoseAnswer, connectortest.Partial,
	} {
		s.Lacks[connectortest.Trait(f)] = "an emulator works; the twin acts this out"
	}
	connectortest.Run(t, s)
}

// remote is a versioned bucket with Object Lock on the emulator.
type remote struct {
	ctx    context.Context
	client *s3.Client
	bucket string
	people []dsrtest.Person
}

func newRemote(t testing.TB, client *s3.Client) *remote {
	t.Helper()
	r := &remote{ctx: t.Context(), client: client, bucket: "files-" + strings.ReplaceAll(time.Now().UTC().Format("150405.000000000"), ".", "-")}
	if _, err := client.CreateBucket(r.ctx, &s3.CreateBucketInput{Bucket: &r.bucket, ObjectLockEnabledForBucket: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	return r
}

// Seed adds what the twin's Seed adds, with odd keys.
func (r *remote) Seed(p dsrtest.Person) error {
	r.people = append(r.people, p)
	folder := "learners/" + accounts[p] + "/"
	put := func(key, body string, hold types.ObjectLockLegalHoldStatus) error {
		_, err := r.client.PutObject(r.ctx, &s3.PutObjectInput{
			Bucket: &r.bucket, Key: aws.String(folder + key), Body: strings.NewReader(body), ObjectLockLegalHoldStatus: hold,
		})
		return err
	}
	for n := range 3 {
		if err := put("essay.txt", fmt.Sprintf("draft %d by %s", n, p.Name), ""); err != nil {
			return err
		}
	}
	for _, key := range []string{"a b+c.txt", "deep/er/é 文.txt", "100%2F&<.txt", "thrown-away.txt"} {
		if err := put(key, key+" by "+p.Name, ""); err != nil {
			return err
		}
	}
	if _, err := r.client.DeleteObject(r.ctx, &s3.DeleteObjectInput{Bucket: &r.bucket, Key: aws.String(folder + "thrown-away.txt")}); err != nil {
		return err
	}
	if _, err := r.client.CreateMultipartUpload(r.ctx, &s3.CreateMultipartUploadInput{Bucket: &r.bucket, Key: aws.String(folder + "film.mp4")}); err != nil {
		return err
	}
	return put("certificate.txt", "certificate of "+p.Name, types.ObjectLockLegalHoldStatusOn)
}

func (r *remote) Annotate(dsrtest.Person, string, string) error { return connectortest.ErrCannot }

func (r *remote) Inject(f connectortest.Fault) error {
	if f == connectortest.NoFault {
		return nil
	}
	return connectortest.ErrCannot
}

// Records lists the bucket by the SDK, without the driver's own walk.
func (r *remote) Records() ([]connectortest.Record, error) {
	owner := func(key string) string {
		i := slices.IndexFunc(r.people, func(p dsrtest.Person) bool { return strings.HasPrefix(key, "learners/"+accounts[p]+"/") })
		if i < 0 {
			return ""
		}
		return r.people[i].Email
	}
	var all []connectortest.Record
	pages := s3.NewListObjectVersionsPaginator(r.client, &s3.ListObjectVersionsInput{Bucket: &r.bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.WithoutCancel(r.ctx))
		if err != nil {
			return nil, err
		}
		for _, v := range page.Versions {
			out, err := r.client.GetObject(r.ctx, &s3.GetObjectInput{Bucket: &r.bucket, Key: v.Key, VersionId: v.VersionId})
			if err != nil {
				return nil, err
			}
			body, err := io.ReadAll(out.Body)
			if err != nil {
				return nil, err
			}
			all = append(all, connectortest.Record{
				Owner: owner(*v.Key), Category: category, ID: *v.Key + "@" + *v.VersionId, Fields: map[string]string{"body": string(body)},
			})
		}
		for _, m := range page.DeleteMarkers {
			all = append(all, connectortest.Record{Owner: owner(*m.Key), Category: category, ID: *m.Key + "@" + *m.VersionId, Hidden: true})
		}
	}
	uploads, err := r.client.ListMultipartUploads(r.ctx, &s3.ListMultipartUploadsInput{Bucket: &r.bucket})
	if err != nil {
		return nil, err
	}
	for _, u := range uploads.Uploads {
		all = append(all, connectortest.Record{Owner: owner(*u.Key), Category: category, ID: *u.Key + "#" + *u.UploadId, Hidden: true})
	}
	return all, nil
}
