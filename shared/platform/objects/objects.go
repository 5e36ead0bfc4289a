// Package objects is the edge to object storage: exports, bundles and people's
// uploads. Writing streams with flat memory, reading streams, links are short
// and signed. Keys are ours and name no person.
package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"mime"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Sizes in bytes, and how many parts of all uploads of a store are on their
// way at once. An upload holds at most one part that is being filled, the store
// at most inFlight more.
const (
	PartSize = 8 << 20
	inFlight = 3
)

// LongestLink is the longest life of a link to an object: who holds the link
// holds the object, so it must not outlive the click that asked for it.
const LongestLink = 5 * time.Minute

// LongestForm is the longest life of an upload form, in which a person chooses
// a file.
const LongestForm = time.Hour

// Store is one bucket.
type Store struct {
	client  *s3.Client
	presign *s3.PresignClient
	bucket  string
	slots   chan struct{} // one for each part on its way
	spare   chan []byte   // buffers of a whole part, to be used again
}

// New returns the bucket's store.
func New(client *s3.Client, bucket string) *Store {
	return &Store{
		client: client, presign: s3.NewPresignClient(client), bucket: bucket,
		slots: make(chan struct{}, inFlight), spare: make(chan []byte, inFlight),
	}
}

// Create opens an object for writing; the writer is an *Upload. The object
// becomes visible when Close returns nil, and not at all when ctx is cancelled
// or Abort is called before. Close or Abort must be called in every case.
func (s *Store) Create(ctx context.Context, key string) (io.WriteCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	return newUpload(ctx, s, key), nil
}

// Open opens an object for reading; fs.ErrNotExist.
func (s *Store) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key}, func(o *s3.Options) {
		o.DisableLogOutputChecksumValidationSkipped = true // of an object in parts: each part was checked when written
	})
	var missing *types.NoSuchKey
	if errors.As(err, &missing) {
		return nil, fmt.Errorf("opening object %s: %w", key, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("opening object %s: %w", key, err)
	}
	return out.Body, nil
}

// List yields the keys that begin with prefix, in order. An error is yielded
// once and last.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &prefix})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield("", fmt.Errorf("listing objects under %s: %w", prefix, err))
				return
			}
			for _, o := range page.Contents {
				if !yield(aws.ToString(o.Key), nil) {
					return
				}
			}
		}
	}
}

// atOnce is the most keys DeleteObjects takes.
const atOnce = 1000

// Delete removes every object under a folder: prefix ends in a slash, so that
// one request's name is never the beginning of another's. Nothing there is no
// error.
func (s *Store) Delete(ctx context.Context, prefix string) error {
	if err := checkFolder(prefix); err != nil {
		return err
	}
	var keys []types.ObjectIdentifier
	for key, err := range s.List(ctx, prefix) {
		if err != nil {
			return err
		}
		if keys = append(keys, types.ObjectIdentifier{Key: &key}); len(keys) == atOnce {
			if err := s.deleteKeys(ctx, prefix, keys); err != nil {
				return err
			}
			keys = keys[:0]
		}
	}
	return s.deleteKeys(ctx, prefix, keys)
}

func (s *Store) deleteKeys(ctx context.Context, prefix string, keys []types.ObjectIdentifier) error {
	if len(keys) == 0 {
		return nil
	}
	out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: &s.bucket, Delete: &types.Delete{Objects: keys, Quiet: aws.Bool(true)},
	})
	if err != nil {
		return fmt.Errorf("deleting objects under %s: %w", prefix, err)
	}
	if n := len(out.Errors); n > 0 {
		return fmt.Errorf("deleting objects under %s: %d of %d stay, the first because of %s", prefix, n, len(keys), aws.ToString(out.Errors[0].Code))
	}
	return nil
}

// Presign returns a link that downloads one object as a file of the given name.
func (s *Store) Presign(ctx context.Context, key, filename string, ttl time.Duration) (string, error) {
	disposition, err := checkLink(key, filename, ttl)
	if err != nil {
		return "", err
	}
	link, err := s.presign.PresignGetObject(ctx, &s3.GetObjectInput{
		Bucket: &s.bucket, Key: &key,
		ResponseContentDisposition: &disposition,
		ResponseContentType:        aws.String("application/octet-stream"), // saved, never shown
		ResponseCacheControl:       aws.String("no-store"),
	}, s3.WithPresignExpires(ttl))
	if err != nil {
		return "", fmt.Errorf("signing a link to object %s: %w", key, err)
	}
	return link.URL, nil
}

// PresignPost returns the address and the hidden fields of an HTML form
// (method post, multipart/form-data) that uploads one file, as the last field
// "file", to key. The storage itself refuses another key, another content type
// and more than maxBytes, and then sends the browser back to redirect.
func (s *Store) PresignPost(ctx context.Context, key, contentType string, maxBytes int64, redirect string, ttl time.Duration) (address string, fields map[string]string, err error) {
	if err := checkForm(key, contentType, maxBytes, ttl); err != nil {
		return "", nil, err
	}
	form, err := s.presign.PresignPostObject(ctx, &s3.PutObjectInput{Bucket: &s.bucket, Key: &key}, func(o *s3.PresignPostOptions) {
		o.Expires = ttl
		o.Conditions = []any{
			[]any{"content-length-range", 1, maxBytes},
			[]any{"eq", "$Content-Type", contentType},
			[]any{"eq", "$success_action_redirect", redirect},
		}
	})
	if err != nil {
		return "", nil, fmt.Errorf("signing an upload form for object %s: %w", key, err)
	}
	form.Values["Content-Type"] = contentType
	form.Values["success_action_redirect"] = redirect
	return form.URL, form.Values, nil
}

func checkKey(key string) error {
	if key == "" || strings.HasPrefix(key, "/") || strings.HasSuffix(key, "/") {
		return fmt.Errorf("naming an object: %q is no key: it is empty or begins or ends with a slash", key)
	}
	return nil
}

func checkFolder(prefix string) error {
	if strings.Trim(prefix, "/") == "" || !strings.HasSuffix(prefix, "/") {
		return fmt.Errorf("deleting objects: %q is no folder: it is empty or does not end in a slash", prefix)
	}
	return nil
}

// checkLink returns the header that makes a browser save the object.
func checkLink(key, filename string, ttl time.Duration) (disposition string, err error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	if ttl <= 0 || ttl > LongestLink {
		return "", fmt.Errorf("signing a link to object %s: it would live %s, more than %s or not at all", key, ttl, LongestLink)
	}
	disposition = mime.FormatMediaType("attachment", map[string]string{"filename": filename})
	if filename == "" || disposition == "" || strings.ContainsAny(filename, "/\\\r\n") {
		return "", fmt.Errorf("signing a link to object %s: the file has no usable name", key)
	}
	return disposition, nil
}

func checkForm(key, contentType string, maxBytes int64, ttl time.Duration) error {
	if err := checkKey(key); err != nil {
		return err
	}
	switch {
	case strings.Contains(key, "${"): // the storage would put the person's file name there
		return fmt.Errorf("signing an upload form for object %s: the key holds a variable", key)
	case contentType == "" || maxBytes < 1:
		return fmt.Errorf("signing an upload form for object %s: the content type or the size limit is missing", key)
	case ttl <= 0 || ttl > LongestForm:
		return fmt.Errorf("signing an upload form for object %s: it would live %s, more than %s or not at all", key, ttl, LongestForm)
	}
	return nil
}
