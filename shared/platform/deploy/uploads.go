package deploy

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
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
	Delete(ctx context.Context, prefix string) error
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

// taken are the kinds of files that a person's copy may hold, told by their
// first bytes and not by their name: documents, tables, pictures and archives,
// nothing that runs or that a browser would show as a page.
var taken = []string{"application/pdf", "text/plain", "image/png", "image/jpeg", "application/zip"}

// sniffed is how many bytes tell a file's kind.
const sniffed = 512

// Take copies the files into the export of the system. It writes the same part
// again when it is called again. A file of a kind that is not taken removes all
// that were uploaded for the task: fanout.ErrFileKind.
func (u *Uploads) Take(ctx context.Context, id dsr.RequestID, system, task, category string) (int, error) {
	var keys []string
	for key, err := range u.store.List(ctx, folder(id, task)) {
		if err != nil {
			return 0, err
		}
		keys = append(keys, key)
	}
	for _, key := range keys { // all are looked at before any is copied
		err := u.check(ctx, key)
		if errors.Is(err, fanout.ErrFileKind) {
			return 0, errors.Join(err, u.store.Delete(ctx, folder(id, task)))
		}
		if err != nil {
			return 0, err
		}
	}
	if len(keys) == 0 {
		return 0, nil
	}
	w := export.NewWriter(u.store, export.Uploads("exports/"+string(id)+"/"+system), 0)
	for i, key := range keys {
		if err := u.copy(ctx, w, key, category, fmt.Sprintf("file-%02d", i+1)); err != nil {
			w.Abort()
			return 0, err
		}
	}
	return len(keys), w.Seal(ctx)
}

// check reads the first bytes of a file; fanout.ErrFileKind.
func (u *Uploads) check(ctx context.Context, key string) error {
	file, err := u.store.Open(ctx, key)
	if err != nil {
		return err
	}
	defer file.Close()
	first := make([]byte, sniffed)
	n, err := io.ReadFull(file, first)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("reading an uploaded file: %w", err)
	}
	kind, _, _ := strings.Cut(http.DetectContentType(first[:n]), ";")
	if !slices.Contains(taken, kind) {
		return fanout.ErrFileKind
	}
	return nil
}

func (u *Uploads) copy(ctx context.Context, w *export.Writer, key, category, name string) error {
	file, err := u.store.Open(ctx, key)
	if err != nil {
		return err
	}
	defer file.Close()
	return w.File(ctx, category, "uploads", name, file)
}
