package s3

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
)

// ruleLock is the rule of connector.toml under which locked versions stay.
const ruleLock = "object_lock"

// Locate counts the versions and the unfinished uploads that are the person's.
// Without an identifier of the kind the place asks for there is nowhere to
// look: the system of record, which gathers first, knows no such account.
func (d *Driver) Locate(ctx context.Context, t connector.Task) (connector.Footprint, error) {
	at, err := readCursor(t.Cursor)
	if err != nil {
		return connector.Footprint{}, err
	}
	targets, err := d.sought(t.Values(d.place.kind))
	if err != nil {
		return connector.Footprint{}, err
	}
	found := func(n int) {
		at.Count += n
		if !slices.Contains(at.Found, at.Target) {
			at.Found = append(at.Found, at.Target)
		}
	}
	err = d.walk(ctx, t, targets, &at, func(t target, o object) (bool, error) {
		if o.key == "" {
			return true, d.uploads(ctx, t, func(string, string) error { found(1); return nil })
		}
		if len(o.versions) > 0 {
			found(o.count())
		}
		return true, nil
	})
	if err != nil {
		return connector.Footprint{}, err
	}
	f := connector.Footprint{Candidates: at.Unsure}
	for _, n := range at.Found {
		f.Records = append(f.Records, connector.Record{Kind: recordKind, ID: targets[n].value})
	}
	if at.Count > 0 {
		f.Counts = map[string]int{d.category: at.Count}
	}
	return f, nil
}

// sought are the targets of identifiers, in a stable order and each once.
func (d *Driver) sought(values []string) ([]target, error) {
	var all []target
	for _, value := range slices.Compact(slices.Sorted(slices.Values(values))) {
		t, err := d.place.target(value)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// count is how many versions hold content.
func (o object) count() int {
	n := 0
	for _, v := range o.versions {
		if !v.marker {
			n++
		}
	}
	return n
}

// Export copies every version, newest first under each key. The original names
// go to the sink as names; what is a path below the person's prefix stays one.
func (d *Driver) Export(ctx context.Context, t connector.Task, to connector.Sink) (connector.Receipt, error) {
	at, err := readCursor(t.Cursor)
	if err != nil {
		return connector.Receipt{}, err
	}
	targets, err := d.sought(t.Footprint.IDs(recordKind))
	if err != nil || !t.Wants(d.category) {
		return connector.Receipt{}, err
	}
	err = d.walk(ctx, t, targets, &at, func(t target, o object) (bool, error) {
		for _, v := range o.versions {
			if v.marker {
				continue
			}
			if err := d.copy(ctx, t, o.key, v, to); err != nil {
				return false, err
			}
			at.Count++
		}
		return true, nil
	})
	if err != nil || at.Count == 0 {
		return connector.Receipt{}, err
	}
	return connector.Receipt{Outcomes: []dsr.Outcome{{Category: d.category, Kind: dsr.Exported, Count: at.Count}}}, nil
}

// copy streams one version into the sink.
func (d *Driver) copy(ctx context.Context, t target, key string, v version, to connector.Sink) error {
	out, err := d.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &d.bucket, Key: &key, VersionId: &v.id})
	if err != nil {
		if err = fault(ctx, err, false); errors.Is(err, connector.NotFound) {
			// Somebody deleted it since it was listed: the next listing tells the truth.
			return &connector.Error{Kind: connector.Unavailable, Err: errors.New("copying an object: it went while it was read")}
		}
		return err
	}
	defer out.Body.Close()
	name := key
	if d.place.tag == "" {
		name = strings.TrimPrefix(key, t.prefix)
	}
	if !v.latest {
		name += " (version " + v.id + ")"
	}
	body := &counting{from: out.Body}
	if err := to.File(ctx, d.category, "objects", name, body); err != nil && body.err == nil {
		return err
	}
	if body.err != nil || body.n != v.size {
		return &connector.Error{Kind: connector.Unavailable, Err: errors.New("copying an object: its content broke off")}
	}
	return nil
}

// counting remembers how many bytes came and how they ended.
type counting struct {
	from io.Reader
	n    int64
	err  error // other than the end
}

// Read reads on.
func (c *counting) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// ReadBack lists versions, markers and uploads again, under what was found and
// under what the identities say now. What is left is kept only where a lock on
// that very version says so.
func (d *Driver) ReadBack(ctx context.Context, t connector.Task, _ connector.Receipt) (connector.Evidence, error) {
	at, err := readCursor(t.Cursor)
	if err != nil {
		return connector.Evidence{}, err
	}
	targets, err := d.sought(append(t.Footprint.IDs(recordKind), t.Values(d.place.kind)...))
	if err != nil || !t.Wants(d.category) {
		return connector.Evidence{}, err
	}
	err = d.walk(ctx, t, targets, &at, func(t target, o object) (bool, error) {
		if o.key == "" {
			return true, d.uploads(ctx, t, func(string, string) error { at.Count++; return nil })
		}
		for _, v := range o.versions {
			locked, err := d.locked(ctx, o.key, v)
			switch {
			case err != nil:
				return false, err
			case locked:
				at.Kept++
			default:
				at.Count++
			}
		}
		return true, nil
	})
	if err != nil {
		return connector.Evidence{}, err
	}
	return connector.Evidence{
		Remaining: map[string]int{d.category: at.Count}, Kept: map[string]int{d.category: at.Kept},
	}, nil
}
