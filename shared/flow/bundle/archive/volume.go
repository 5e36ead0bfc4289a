package archive

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/writ-dsr/writ/shared/connector/export"
)

// volume is one ZIP on its way to object storage.
type volume struct {
	key    string
	at     time.Time
	cancel context.CancelFunc
	out    io.WriteCloser
	sum    hash.Hash
	size   int64 // bytes written to out
	zip    *zip.Writer
	pool   *pool
	cur    *deflater // of the open entry; nil for a stored one

	entries int   // opened so far
	since   int64 // bytes since the size was looked at
	looked  bool
}

func newVolume(ctx context.Context, to export.Creator, key string, at time.Time, p *pool) (*volume, error) {
	ctx, cancel := context.WithCancel(ctx)
	out, err := to.Create(ctx, key)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("opening a ZIP: %w", err)
	}
	v := &volume{key: key, at: at.UTC().Truncate(2 * time.Second), cancel: cancel, out: out, sum: sha256.New(), pool: p}
	v.zip = zip.NewWriter(v)
	v.zip.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		v.cur = newDeflater(v.pool, w)
		return v.cur, nil
	})
	return v, nil
}

// Write counts and hashes what goes to storage.
func (v *volume) Write(p []byte) (int, error) {
	n, err := v.out.Write(p)
	v.size += int64(n)
	v.sum.Write(p[:n])
	return n, err
}

// entry opens the next file of the ZIP.
func (v *volume) entry(name string, stored bool) (io.Writer, error) {
	h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: v.at}
	if stored {
		h.Method = zip.Store
	}
	w, err := v.zip.CreateHeader(h)
	if err != nil {
		return nil, fmt.Errorf("opening an entry: %w", err)
	}
	if stored {
		v.cur = nil
	}
	return w, nil
}

func (v *volume) put(name string, body []byte) error {
	w, err := v.entry(name, false)
	if err != nil {
		return err
	}
	if _, err := w.Write(body); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// settled returns the size of the ZIP once all that was handed over is written:
// a number that depends on the content alone.
func (v *volume) settled() (int64, error) {
	if v.cur != nil {
		v.cur.settle()
		if err := v.cur.failed(); err != nil {
			return 0, err
		}
	}
	return v.size, nil
}

func (v *volume) close() (ZIP, error) {
	if err := v.zip.Close(); err != nil {
		v.abort()
		return ZIP{}, fmt.Errorf("closing a ZIP: %w", err)
	}
	defer v.cancel()
	if err := v.out.Close(); err != nil {
		return ZIP{}, fmt.Errorf("closing a ZIP: %w", err)
	}
	return ZIP{Key: v.key, Bytes: v.size, SHA256: hex.EncodeToString(v.sum.Sum(nil))}, nil
}

func (v *volume) abort() {
	v.cancel()
	_ = v.zip.Close()
	_ = v.out.Close()
}
