package s3

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// Erase deletes every version and every delete marker by its version id, and
// aborts the uploads in progress. What Object Lock protects stays and is
// reported as kept.
func (d *Driver) Erase(ctx context.Context, t connector.Task) (connector.Receipt, error) {
	at, err := readCursor(t.Cursor)
	if err != nil {
		return connector.Receipt{}, err
	}
	targets, err := d.sought(t.Footprint.IDs(recordKind))
	if err != nil || !t.Wants(d.category) {
		return connector.Receipt{}, err
	}
	var pending []doomed
	err = d.walk(ctx, t, targets, &at, func(t target, o object) (bool, error) {
		for _, v := range o.versions {
			pending = append(pending, doomed{o.key, v})
		}
		end := o.key == ""
		for len(pending) >= d.batch || end && len(pending) > 0 {
			n := min(len(pending), d.batch)
			if err := d.remove(ctx, pending[:n], &at); err != nil {
				return false, err
			}
			pending = pending[n:]
		}
		if end {
			return true, d.uploads(ctx, t, func(key, id string) error { return d.abort(ctx, key, id, &at) })
		}
		return len(pending) == 0, nil
	})
	if err != nil {
		return connector.Receipt{}, err
	}
	return d.receipt(t.Footprint.Counts[d.category], at), nil
}

// receipt says what went and what is kept. A version that an earlier, broken
// attempt deleted counts too: located and no longer there is erased.
func (d *Driver) receipt(located int, at cursor) connector.Receipt {
	var r connector.Receipt
	if erased := max(at.Count, located-at.Kept); erased > 0 {
		r.Outcomes = append(r.Outcomes, dsr.Outcome{Category: d.category, Kind: dsr.Erased, Count: erased})
	}
	if at.Kept > 0 {
		r.Outcomes = append(r.Outcomes, dsr.Outcome{Category: d.category, Kind: dsr.Kept, Rule: ruleLock, Count: at.Kept})
	}
	return r
}

// doomed is one version to delete.
type doomed struct {
	key string
	version
}

// remove deletes up to 1,000 versions in one call. S3 answers for each of them
// inside its success: what it does not report as deleted is not.
func (d *Driver) remove(ctx context.Context, all []doomed, at *cursor) error {
	ids := make([]types.ObjectIdentifier, 0, len(all))
	for _, v := range all {
		ids = append(ids, types.ObjectIdentifier{Key: aws.String(v.key), VersionId: aws.String(v.id)})
	}
	out, err := d.api.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &d.bucket, Delete: &types.Delete{Objects: ids}})
	if err != nil {
		return fault(ctx, err, true)
	}
	deleted, refused := map[[2]string]bool{}, map[[2]string]string{}
	for _, o := range out.Deleted {
		deleted[[2]string{aws.ToString(o.Key), aws.ToString(o.VersionId)}] = true
	}
	for _, e := range out.Errors {
		refused[[2]string{aws.ToString(e.Key), aws.ToString(e.VersionId)}] = aws.ToString(e.Code)
	}
	for _, v := range all {
		name := [2]string{v.key, v.id}
		code, bad := refused[name]
		switch {
		case bad:
			if err := d.refused(ctx, v, code, at); err != nil {
				return err
			}
		case !deleted[name]:
			return &connector.Error{Kind: connector.Invalid, Sent: true, Err: errors.New("deleting a version: S3 does not say that it is gone")}
		case !v.marker:
			at.Count++
		}
	}
	return nil
}

// refused decides what a refusal of one version means: a lock keeps it, and
// everything else is an error.
func (d *Driver) refused(ctx context.Context, v doomed, code string, at *cursor) error {
	kind := kindOf(code, 0)
	if kind == connector.NotFound {
		at.Count++
		return nil
	}
	if kind == connector.Unauthorized {
		locked, err := d.locked(ctx, v.key, v.version)
		if err != nil {
			return err
		}
		if locked {
			at.Kept++
			return nil
		}
	}
	return &connector.Error{Kind: kind, Sent: true, Err: errors.New("deleting a version: S3 refuses it inside a successful answer")}
}

// locked reports whether Object Lock protects a version now: by a retention
// period that has not ended, or by a legal hold. Delete markers are never
// protected.
func (d *Driver) locked(ctx context.Context, key string, v version) (bool, error) {
	if v.marker {
		return false, nil
	}
	retention, err := d.api.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: &d.bucket, Key: &key, VersionId: &v.id})
	if err != nil && !unlocked(err) {
		return false, fault(ctx, err, false)
	}
	if err == nil && retention.Retention != nil && retention.Retention.Mode != "" && aws.ToTime(retention.Retention.RetainUntilDate).After(d.now()) {
		return true, nil
	}
	hold, err := d.api.GetObjectLegalHold(ctx, &s3.GetObjectLegalHoldInput{Bucket: &d.bucket, Key: &key, VersionId: &v.id})
	if err != nil && !unlocked(err) {
		return false, fault(ctx, err, false)
	}
	return err == nil && hold.LegalHold != nil && hold.LegalHold.Status == types.ObjectLockLegalHoldStatusOn, nil
}

// unlocked recognises S3's ways to say that a version, or the whole bucket, has
// no lock.
func unlocked(err error) bool {
	var answer smithy.APIError
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.ErrorCode() {
	case "NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError":
		return true
	case "NoSuchVersion", "NoSuchKey": // it went since it was listed: no lock held it
		return true
	case "InvalidRequest": // "Bucket is missing Object Lock Configuration"
		return true
	}
	return false
}

// uploads hands on the uploads in progress below the person's prefix. Under a
// tag there are none to find: S3 does not show the tags of an upload before it
// is completed.
func (d *Driver) uploads(ctx context.Context, t target, each func(key, id string) error) error {
	if d.place.tag != "" {
		return nil
	}
	in := &s3.ListMultipartUploadsInput{Bucket: &d.bucket, Prefix: &t.prefix, EncodingType: types.EncodingTypeUrl}
	for {
		page, err := d.api.ListMultipartUploads(ctx, in)
		if err != nil {
			return fault(ctx, err, false)
		}
		for _, u := range page.Uploads {
			key, err := unescape(page.EncodingType, u.Key)
			if err != nil {
				return err
			}
			if err := each(key, aws.ToString(u.UploadId)); err != nil {
				return err
			}
		}
		if !aws.ToBool(page.IsTruncated) {
			return nil
		}
		key, err := unescape(page.EncodingType, page.NextKeyMarker)
		if err != nil {
			return err
		}
		if key == "" || in.KeyMarker != nil && *in.KeyMarker == key && aws.ToString(in.UploadIdMarker) == aws.ToString(page.NextUploadIdMarker) {
			return invalid("listing the uploads of a person: S3 sent the same page again")
		}
		in.KeyMarker, in.UploadIdMarker = &key, page.NextUploadIdMarker
	}
}

// abort ends one upload; one that ended by itself is as good, since its object
// is seen by the read-back.
func (d *Driver) abort(ctx context.Context, key, id string, at *cursor) error {
	_, err := d.api.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &d.bucket, Key: &key, UploadId: &id})
	if err != nil {
		if err = fault(ctx, err, true); !errors.Is(err, connector.NotFound) {
			return err
		}
	}
	at.Count++
	return nil
}
