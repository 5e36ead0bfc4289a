package s3_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/writ-dsr/writ/shared/connector/connectortest"
)

const bucket = "conformance-files"

// stored is one version or delete marker of the twin.
type stored struct {
	key, id   string
	body      []byte
	marker    bool
	tags      map[string]string
	retainTil time.Time
	hold      bool
}

type upload struct{ key, id string }

// twin is a versioned bucket in memory, as strict as S3 where the driver could
// be careless: it pages, answers per key, adds markers for deletes without a
// version, and refuses what a lock protects.
type twin struct {
	versions []*stored // oldest first
	uploads  []upload
	locking  bool // the bucket was made with Object Lock
	pageSize int
	made     int
	fault    connectortest.Fault
	deletes  [][]types.ObjectIdentifier
	cut      bool // bodies break off
	archived bool
	stuck    bool              // every page is the first
	denied   map[string]string // call → code
}

func newTwin() *twin { return &twin{pageSize: 3} }

func (w *twin) id() string { w.made++; return "v" + strconv.Itoa(w.made) }

// put adds a version.
func (w *twin) put(key, body string, tags map[string]string) *stored {
	v := &stored{key: key, id: w.id(), body: []byte(body), tags: tags}
	w.versions = append(w.versions, v)
	return v
}

// remove adds a delete marker, as a delete without a version id does.
func (w *twin) remove(key string) {
	w.versions = append(w.versions, &stored{key: key, id: w.id(), marker: true})
}

// answered is an error as the SDK returns it for an answer of S3.
func answered(status int, code, message string) error {
	return &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {"9"}}}},
		Err:      &smithy.GenericAPIError{Code: code, Message: message},
	}}
}

// check is what S3 does before each call.
func (w *twin) check(ctx context.Context, call string, name *string) error {
	if err := ctx.Err(); err != nil {
		return &aws.RequestCanceledError{Err: err}
	}
	if code := w.denied[call]; code != "" {
		return answered(http.StatusForbidden, code, "denied on arn:aws:s3:::"+bucket)
	}
	switch w.fault {
	case connectortest.Refused:
		return answered(http.StatusForbidden, "AccessDenied", "Access Denied")
	case connectortest.Throttled:
		return answered(http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
	case connectortest.Down:
		return &smithy.OperationError{ServiceID: "S3", OperationName: call, Err: errors.New("dial tcp: connection refused")}
	}
	if aws.ToString(name) != bucket {
		return answered(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist")
	}
	return nil
}

// escape is S3's own way: a space becomes +, a slash stays.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%2F", "/") }

func (w *twin) ListObjectVersions(ctx context.Context, in *s3.ListObjectVersionsInput, _ ...func(*s3.Options)) (*s3.ListObjectVersionsOutput, error) {
	if err := w.check(ctx, "ListObjectVersions", in.Bucket); err != nil {
		return nil, err
	}
	if in.VersionIdMarker != nil && in.KeyMarker == nil {
		return nil, answered(http.StatusBadRequest, "InvalidArgument", "A version-id marker cannot be specified without a key marker.")
	}
	if in.EncodingType != types.EncodingTypeUrl {
		return nil, errors.New("XML syntax error: illegal character code U+0001")
	}
	all := slices.Clone(w.versions)
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b *stored) int { return cmp.Compare(a.key, b.key) })
	out := &s3.ListObjectVersionsOutput{IsTruncated: aws.Bool(false), EncodingType: in.EncodingType}
	skipping := in.VersionIdMarker != nil && !w.stuck
	n, last := 0, ""
	for _, v := range all {
		latest := v.key != last
		last = v.key
		marker := aws.ToString(in.KeyMarker)
		switch {
		case !strings.HasPrefix(v.key, aws.ToString(in.Prefix)), !w.stuck && v.key < marker:
			continue
		case !w.stuck && in.KeyMarker != nil && v.key == marker:
			if !skipping {
				if in.VersionIdMarker == nil {
					continue
				}
			} else {
				skipping = v.id != *in.VersionIdMarker
				continue
			}
		}
		if n == w.pageSize {
			out.IsTruncated = aws.Bool(true)
			break
		}
		n++
		key := aws.String(escape(v.key))
		out.NextKeyMarker, out.NextVersionIdMarker = key, aws.String(v.id)
		if v.marker {
			out.DeleteMarkers = append(out.DeleteMarkers, types.DeleteMarkerEntry{Key: key, VersionId: &v.id, IsLatest: &latest})
			continue
		}
		out.Versions = append(out.Versions, types.ObjectVersion{Key: key, VersionId: &v.id, IsLatest: &latest, Size: aws.Int64(int64(len(v.body)))})
	}
	return out, nil
}

func (w *twin) find(key, id *string) (*stored, error) {
	for _, v := range w.versions {
		if v.key == aws.ToString(key) && v.id == aws.ToString(id) {
			if v.marker {
				return nil, answered(http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.")
			}
			return v, nil
		}
	}
	return nil, answered(http.StatusNotFound, "NoSuchVersion", "The specified version does not exist: "+aws.ToString(key))
}

func (w *twin) GetObject(ctx context.Context, in *s3.GetObjectInput, _ ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	if err := w.check(ctx, "GetObject", in.Bucket); err != nil {
		return nil, err
	}
	v, err := w.find(in.Key, in.VersionId)
	if err != nil {
		return nil, err
	}
	if w.archived {
		return nil, answered(http.StatusForbidden, "InvalidObjectState", "The operation is not valid for the object's storage class")
	}
	body := io.Reader(bytes.NewReader(v.body))
	if w.cut {
		body = io.MultiReader(bytes.NewReader(v.body[:len(v.body)/2]), broken{})
	}
	return &s3.GetObjectOutput{Body: io.NopCloser(body), ContentLength: aws.Int64(int64(len(v.body)))}, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func (w *twin) GetObjectTagging(ctx context.Context, in *s3.GetObjectTaggingInput, _ ...func(*s3.Options)) (*s3.GetObjectTaggingOutput, error) {
	if err := w.check(ctx, "GetObjectTagging", in.Bucket); err != nil {
		return nil, err
	}
	v, err := w.find(in.Key, in.VersionId)
	if err != nil {
		return nil, err
	}
	out := &s3.GetObjectTaggingOutput{TagSet: []types.Tag{}}
	for k, value := range v.tags {
		out.TagSet = append(out.TagSet, types.Tag{Key: aws.String(k), Value: aws.String(value)})
	}
	return out, nil
}

func (w *twin) GetObjectRetention(ctx context.Context, in *s3.GetObjectRetentionInput, _ ...func(*s3.Options)) (*s3.GetObjectRetentionOutput, error) {
	v, err := w.lock(ctx, "GetObjectRetention", in.Bucket, in.Key, in.VersionId)
	switch {
	case err != nil:
		return nil, err
	case v.retainTil.IsZero():
		return nil, answered(http.StatusNotFound, "NoSuchObjectLockConfiguration", "The specified object does not have a ObjectLock configuration")
	}
	return &s3.GetObjectRetentionOutput{Retention: &types.ObjectLockRetention{Mode: types.ObjectLockRetentionModeGovernance, RetainUntilDate: &v.retainTil}}, nil
}

func (w *twin) GetObjectLegalHold(ctx context.Context, in *s3.GetObjectLegalHoldInput, _ ...func(*s3.Options)) (*s3.GetObjectLegalHoldOutput, error) {
	v, err := w.lock(ctx, "GetObjectLegalHold", in.Bucket, in.Key, in.VersionId)
	if err != nil {
		return nil, err
	}
	status := types.ObjectLockLegalHoldStatusOff
	if v.hold {
		status = types.ObjectLockLegalHoldStatusOn
	}
	return &s3.GetObjectLegalHoldOutput{LegalHold: &types.ObjectLockLegalHold{Status: status}}, nil
}

func (w *twin) lock(ctx context.Context, call string, bucket, key, id *string) (*stored, error) {
	if err := w.check(ctx, call, bucket); err != nil {
		return nil, err
	}
	if !w.locking {
		return nil, answered(http.StatusBadRequest, "InvalidRequest", "Bucket is missing Object Lock Configuration")
	}
	return w.find(key, id)
}

func (w *twin) DeleteObjects(ctx context.Context, in *s3.DeleteObjectsInput, _ ...func(*s3.Options)) (*s3.DeleteObjectsOutput, error) {
	if err := w.check(ctx, "DeleteObjects", in.Bucket); err != nil {
		return nil, err
	}
	if n := len(in.Delete.Objects); n == 0 || n > 1000 {
		return nil, answered(http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed")
	}
	w.deletes = append(w.deletes, in.Delete.Objects)
	out := &s3.DeleteObjectsOutput{}
	for n, o := range in.Delete.Objects {
		key, id := aws.ToString(o.Key), aws.ToString(o.VersionId)
		i := slices.IndexFunc(w.versions, func(v *stored) bool { return v.key == key && v.id == id })
		switch {
		case w.fault == connectortest.Partial && n == 0:
			out.Errors = append(out.Errors, types.Error{Key: o.Key, VersionId: o.VersionId, Code: aws.String("InternalError")})
			continue
		case w.fault == connectortest.IgnoreWrites:
		case o.VersionId == nil, w.fault == connectortest.SoftDelete:
			w.remove(key)
		case i < 0: // S3 reports what is not there as deleted
		case w.versions[i].hold, w.versions[i].retainTil.After(connectortest.Now):
			out.Errors = append(out.Errors, types.Error{Key: o.Key, VersionId: o.VersionId, Code: aws.String("AccessDenied"), Message: aws.String("Access Denied because object protected by object lock.")})
			continue
		default:
			w.versions = slices.Delete(w.versions, i, i+1)
		}
		out.Deleted = append(out.Deleted, types.DeletedObject{Key: o.Key, VersionId: o.VersionId})
	}
	if w.fault == connectortest.LoseAnswer {
		return nil, &smithy.OperationError{ServiceID: "S3", OperationName: "DeleteObjects", Err: io.ErrUnexpectedEOF}
	}
	return out, nil
}

func (w *twin) ListMultipartUploads(ctx context.Context, in *s3.ListMultipartUploadsInput, _ ...func(*s3.Options)) (*s3.ListMultipartUploadsOutput, error) {
	if err := w.check(ctx, "ListMultipartUploads", in.Bucket); err != nil {
		return nil, err
	}
	out := &s3.ListMultipartUploadsOutput{IsTruncated: aws.Bool(false), EncodingType: in.EncodingType}
	for _, u := range w.uploads {
		after := in.KeyMarker == nil || u.key > *in.KeyMarker || u.key == *in.KeyMarker && u.id > aws.ToString(in.UploadIdMarker)
		if !strings.HasPrefix(u.key, aws.ToString(in.Prefix)) || !after && !w.stuck {
			continue
		}
		if len(out.Uploads) == w.pageSize-1 {
			out.IsTruncated = aws.Bool(true)
			break
		}
		out.NextKeyMarker, out.NextUploadIdMarker = aws.String(escape(u.key)), aws.String(u.id)
		out.Uploads = append(out.Uploads, types.MultipartUpload{Key: aws.String(escape(u.key)), UploadId: aws.String(u.id)})
	}
	return out, nil
}

func (w *twin) AbortMultipartUpload(ctx context.Context, in *s3.AbortMultipartUploadInput, _ ...func(*s3.Options)) (*s3.AbortMultipartUploadOutput, error) {
	if err := w.check(ctx, "AbortMultipartUpload", in.Bucket); err != nil {
		return nil, err
	}
	i := slices.Index(w.uploads, upload{aws.ToString(in.Key), aws.ToString(in.UploadId)})
	if i < 0 {
		return nil, answered(http.StatusNotFound, "NoSuchUpload", "The specified upload does not exist.")
	}
	if w.fault != connectortest.IgnoreWrites {
		w.uploads = slices.Delete(w.uploads, i, i+1)
	}
	return &s3.AbortMultipartUploadOutput{}, nil
}

// keys lists what is held, for messages of failed tests.
func (w *twin) keys() []string {
	var all []string
	for _, v := range w.versions {
		all = append(all, fmt.Sprintf("%s@%s marker=%t", v.key, v.id, v.marker))
	}
	return all
}
