package s3

import (
	"cmp"
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// version is one version of an object, or a delete marker.
type version struct {
	id     string
	size   int64
	latest bool
	marker bool
}

// object is everything S3 holds under one key, newest first.
type object struct {
	key      string
	versions []version
}

// cursor is where an op stands: of the target numbered Target, the keys up to
// After are done.
type cursor struct {
	Target int    `json:"target,omitempty"`
	After  string `json:"after,omitempty"`
	Count  int    `json:"count,omitempty"`  // versions found, copied, erased or still there so far
	Kept   int    `json:"kept,omitempty"`   // locked versions
	Unsure int    `json:"unsure,omitempty"` // versions whose tag differs in case alone
	Found  []int  `json:"found,omitempty"`  // targets under which there is something
}

func readCursor(s string) (cursor, error) {
	var c cursor
	if s == "" {
		return c, nil
	}
	if err := json.Unmarshal([]byte(s), &c); err != nil {
		return c, invalid("going on after a pause: the cursor is not one of ours")
	}
	return c, nil
}

func save(ctx context.Context, t connector.Task, c cursor) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return t.Save(ctx, string(text))
}

// objects hands on all objects below a prefix whose key comes after the given
// one, in order of their keys. An object whose versions lie on two pages comes
// whole.
func (d *Driver) objects(ctx context.Context, prefix, after string, each func(object) error) error {
	in := &s3.ListObjectVersionsInput{Bucket: &d.bucket, EncodingType: types.EncodingTypeUrl}
	if prefix != "" {
		in.Prefix = &prefix
	}
	if after != "" {
		in.KeyMarker = &after
	}
	var open object
	for {
		page, err := d.api.ListObjectVersions(ctx, in)
		if err != nil {
			return fault(ctx, err, false)
		}
		entries, err := entries(page, prefix)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.key != open.key && open.key != "" {
				if err := each(open); err != nil {
					return err
				}
				open = object{}
			}
			open.key = e.key
			open.versions = append(open.versions, e.versions...)
		}
		if !aws.ToBool(page.IsTruncated) {
			break
		}
		key, err := unescape(page.EncodingType, page.NextKeyMarker)
		if err != nil {
			return err
		}
		if key == "" || in.KeyMarker != nil && *in.KeyMarker == key && aws.ToString(in.VersionIdMarker) == aws.ToString(page.NextVersionIdMarker) {
			return invalid("listing the objects of a person: S3 sent the same page again")
		}
		in.KeyMarker, in.VersionIdMarker = &key, page.NextVersionIdMarker
	}
	if open.key == "" {
		return nil
	}
	return each(open)
}

// entries is one page, sorted by key as S3 sorts, each entry with one version.
// Within a key the order is S3's own, newest first; delete markers come last,
// since S3 lists them apart.
func entries(page *s3.ListObjectVersionsOutput, prefix string) ([]object, error) {
	var all []object
	add := func(escaped *string, v version) error {
		key, err := unescape(page.EncodingType, escaped)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(key, prefix) || v.id == "" || key == "" {
			return invalid("listing the objects of a person: S3 answered with an object that was not asked for")
		}
		all = append(all, object{key: key, versions: []version{v}})
		return nil
	}
	for _, v := range page.Versions {
		if err := add(v.Key, version{id: aws.ToString(v.VersionId), size: aws.ToInt64(v.Size), latest: aws.ToBool(v.IsLatest)}); err != nil {
			return nil, err
		}
	}
	for _, m := range page.DeleteMarkers {
		if err := add(m.Key, version{id: aws.ToString(m.VersionId), latest: aws.ToBool(m.IsLatest), marker: true}); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(a, b object) int { return cmp.Compare(a.key, b.key) })
	return all, nil
}

// unescape reads a key of a listing. A store that answers like S3 may ignore the
// encoding asked for; it then does not name one.
func unescape(encoding types.EncodingType, s *string) (string, error) {
	if encoding != types.EncodingTypeUrl {
		return aws.ToString(s), nil
	}
	key, err := url.QueryUnescape(aws.ToString(s))
	if err != nil {
		return "", invalid("listing the objects of a person: S3 sent a key that cannot be read")
	}
	return key, nil
}

// mine leaves of an object what is the person's: all of it below their prefix,
// the versions that carry their tag otherwise. Markers are theirs when all
// versions are. It also counts the versions whose tag differs in case alone.
func (d *Driver) mine(ctx context.Context, t target, o object) (theirs object, candidates int, err error) {
	if d.place.tag == "" {
		return o, 0, nil
	}
	theirs.key = o.key
	var markers []version
	foreign := false
	for _, v := range o.versions {
		if v.marker {
			markers = append(markers, v)
			continue
		}
		match, err := d.tagged(ctx, t, o.key, v)
		if err != nil {
			return object{}, 0, err
		}
		switch match {
		case dsr.Same:
			theirs.versions = append(theirs.versions, v)
			continue
		case dsr.CaseOnly:
			candidates++
		}
		foreign = true
	}
	if !foreign && len(theirs.versions) > 0 {
		theirs.versions = append(theirs.versions, markers...)
	}
	return theirs, candidates, nil
}

// tagged compares the tag of one version with the person's identifier.
func (d *Driver) tagged(ctx context.Context, t target, key string, v version) (dsr.AddressMatch, error) {
	out, err := d.api.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &d.bucket, Key: &key, VersionId: &v.id})
	if err != nil {
		return dsr.Different, fault(ctx, err, false)
	}
	for _, tag := range out.TagSet {
		switch value := aws.ToString(tag.Value); {
		case aws.ToString(tag.Key) != d.place.tag:
		case d.place.kind == dsr.Email:
			return dsr.CompareAddress(value, t.value), nil
		case value == t.value:
			return dsr.Same, nil
		}
	}
	return dsr.Different, nil
}

// walk goes through the person's objects from the cursor on and saves where each
// says that all it was given is done. An object without versions is nobody's or
// somebody else's; one without a key ends a target.
func (d *Driver) walk(ctx context.Context, t connector.Task, targets []target, at *cursor, each func(target, object) (safe bool, err error)) error {
	for at.Target < len(targets) {
		target := targets[at.Target]
		err := d.objects(ctx, target.prefix, at.After, func(o object) error {
			theirs, candidates, err := d.mine(ctx, target, o)
			if err != nil {
				return err
			}
			safe, err := each(target, theirs)
			at.Unsure += candidates
			if err != nil || !safe {
				return err
			}
			at.After = o.key
			return save(ctx, t, *at)
		})
		if err != nil {
			return err
		}
		if _, err := each(target, object{}); err != nil {
			return err
		}
		at.Target, at.After = at.Target+1, ""
		if err := save(ctx, t, *at); err != nil {
			return err
		}
	}
	return nil
}
