package deploy

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/connector/export"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/platform/objects"
)

// Uploads are the files people add to their tasks: they go straight to the
// bucket, and from there, under names of ours, into the request's export.
type Uploads struct {
	store  bucket
	origin string
}

// bucket is what the uploads need of object storage.
type bucket interface {
	export.Creator
	Open(ctx context.Context, key string) (io.ReadCloser, error)
	List(ctx context.Context, prefix string) iter.Seq2[string, error]
	PresignPost(ctx context.Context, key, contentType string, maxBytes int64, redirect string, ttl time.Duration) (address string, fields map[string]string, err error)
}

// maxUpload is the largest file a person can add, in bytes.
const maxUpload = 100 << 20

// Uploads returns the bucket's uploads.
func (d *Deployment) Uploads() *Uploads { return &Uploads{store: d.Objects, origin: d.BucketOrigin()} }

func folder(id dsr.RequestID, task string) string {
	return "uploads/" + string(id) + "/" + strings.ReplaceAll(task, "#", "-") + "/"
}

// Form makes the form for one file; the next file takes a new form.
func (u *Uploads) Form(ctx context.Context, id dsr.RequestID, task, back string) (fanout.Upload, error) {
	var name [8]byte
	_, _ = rand.Read(name[:])
	address, fields, err := u.store.PresignPost(ctx, folder(id, task)+hex.EncodeToString(name[:]), "application/octet-stream", maxUpload, back, objects.LongestForm)
	if err != nil {
		return fanout.Upload{}, err
	}
	up := fanout.Upload{Action: address, Origin: u.origin}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		up.Fields = append(up.Fields, fanout.Field{Name: name, Value: fields[name]})
	}
	return up, nil
}

// Count says how many files have arrived.
func (u *Uploads) Count(ctx context.Context, id dsr.RequestID, task string) (int, error) {
	n := 0
	for _, err := range u.store.List(ctx, folder(id, task)) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// Take copies the files into the export of the system. It writes the same part
// again when it is called again.
func (u *Uploads) Take(ctx context.Context, id dsr.RequestID, system, task, category string) (int, error) {
	w := export.NewWriter(u.store, export.Uploads("exports/"+string(id)+"/"+system), 0)
	n := 0
	for key, err := range u.store.List(ctx, folder(id, task)) {
		if err != nil {
			w.Abort()
			return 0, err
		}
		if err := u.copy(ctx, w, key, category, fmt.Sprintf("file-%02d", n+1)); err != nil {
			w.Abort()
			return 0, err
		}
		n++
	}
	if n == 0 {
		return 0, nil
	}
	return n, w.Seal(ctx)
}

func (u *Uploads) copy(ctx context.Context, w *export.Writer, key, category, name string) error {
	file, err := u.store.Open(ctx, key)
	if err != nil {
		return err
	}
	defer file.Close()
	return w.File(ctx, category, "uploads", name, file)
}
