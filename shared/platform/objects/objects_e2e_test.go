//go:build e2e

package objects_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/writ-dsr/writ/shared/platform/objects"
)

// emulated returns a fresh bucket of the emulator.
func emulated(t *testing.T) (*objects.Store, *s3.Client, string) {
	t.Helper()
	endpoint := os.Getenv("AWS_ENDPOINT_URL")
	if endpoint == "" {
		t.Fatal("AWS_ENDPOINT_URL is not set: start an emulator and set it to its address")
	}
	client := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	bucket := "objects-" + time.Now().UTC().Format("20060102-150405.000000000")
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	return objects.New(client, bucket), client, bucket
}

func TestEmulated(t *testing.T) {
	store, client, bucket := emulated(t)
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) { rule(t, store) })
	}
	t.Run("no part is left behind", func(t *testing.T) {
		out, err := client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(out.Uploads); n != 0 {
			t.Errorf("%d uploads are open, the first of %s", n, aws.ToString(out.Uploads[0].Key))
		}
	})
	t.Run("many are deleted", func(t *testing.T) {
		for i := range 1005 {
			key := "exports/many/" + strings.Repeat("x", i%7) + time.Duration(i).String()
			if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("x")}); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(list(t, store, "exports/many/")); n != 1005 {
			t.Fatalf("%d objects are listed, want 1005", n)
		}
		if err := store.Delete(t.Context(), "exports/many/"); err != nil {
			t.Fatal(err)
		}
		if n := len(list(t, store, "exports/many/")); n != 0 {
			t.Errorf("%d objects are left", n)
		}
	})
	t.Run("a link downloads", func(t *testing.T) {
		create(t, store, "bundles/l/1.zip", []byte("the bundle"), 100)
		link, err := store.Presign(t.Context(), "bundles/l/1.zip", "your data.zip", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.Get(link)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || string(body) != "the bundle" {
			t.Errorf("downloaded %d bytes with status %d: %v", len(body), answer.StatusCode, err)
		}
		if got := answer.Header.Get("Content-Disposition"); got != `attachment; filename="your data.zip"` {
			t.Errorf("Content-Disposition is %q", got)
		}
	})
	t.Run("a form uploads within its limits", func(t *testing.T) {
		const limit = 1000
		post := func(change func(map[string]string), size int) int {
			address, fields, err := store.PresignPost(t.Context(), "uploads/m/1", "text/csv", limit, "https://writ.example/task", time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if change != nil {
				change(fields)
			}
			var form bytes.Buffer
			w := multipart.NewWriter(&form)
			for name, value := range fields {
				_ = w.WriteField(name, value)
			}
			file, _ := w.CreateFormFile("file", "my file.csv")
			_, _ = file.Write(pattern(size))
			_ = w.Close()
			client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			answer, err := client.Post(address, w.FormDataContentType(), &form)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			return answer.StatusCode
		}
		refused := map[string]int{
			"too large":    post(nil, limit+1),
			"empty":        post(nil, 0),
			"another type": post(func(f map[string]string) { f["Content-Type"] = "text/html" }, 10),
			"another key":  post(func(f map[string]string) { f["key"] = "uploads/n/1" }, 10),
			"elsewhere":    post(func(f map[string]string) { f["success_action_redirect"] = "https://other.example/" }, 10),
		}
		for name, status := range refused {
			if status < 400 || status >= 500 {
				t.Errorf("%s: status %d", name, status)
			}
		}
		if keys := list(t, store, "uploads/"); len(keys) != 0 {
			t.Fatalf("refused uploads are there: %v", keys)
		}
		if status := post(nil, limit); status != http.StatusSeeOther {
			t.Errorf("an upload within the limits: status %d", status)
		}
		if got := read(t, store, "uploads/m/1"); len(got) != limit {
			t.Errorf("%d bytes were uploaded, want %d", len(got), limit)
		}
	})
}
