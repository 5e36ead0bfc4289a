package objects_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"iter"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector/export"
	"github.com/writ-dsr/writ/shared/platform/objects"
)

// bucket is what both stores offer.
type bucket interface {
	export.Creator
	export.Opener
	List(ctx context.Context, prefix string) iter.Seq2[string, error]
	Delete(ctx context.Context, prefix string) error
	Presign(ctx context.Context, key, filename string, ttl time.Duration) (string, error)
	PresignPost(ctx context.Context, key, contentType string, maxBytes int64, redirect string, ttl time.Duration) (string, map[string]string, error)
}

// written is what the writers of both stores know beyond io.WriteCloser.
type written interface {
	io.WriteCloser
	Abort() error
	Size() int64
	SHA256() string
}

var (
	_ bucket  = (*objects.Store)(nil)
	_ bucket  = (*objects.Memory)(nil)
	_ written = (*objects.Upload)(nil)
)

// pattern is n bytes that repeat at no power of two.
func pattern(n int) []byte {
	return bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxyz."), n/37+1)[:n]
}

// create writes body in pieces and closes.
func create(t *testing.T, b bucket, key string, body []byte, piece int) {
	t.Helper()
	out, err := b.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	for chunk := range slices.Chunk(body, piece) {
		if n, err := out.Write(chunk); err != nil || n != len(chunk) {
			t.Fatalf("wrote %d of %d bytes: %v", n, len(chunk), err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	w := out.(written)
	if w.Size() != int64(len(body)) || w.SHA256() != hex.EncodeToString(sum[:]) {
		t.Errorf("object %s: size %d and digest %s do not fit its %d bytes", key, w.Size(), w.SHA256(), len(body))
	}
	if err := out.Close(); err == nil {
		t.Error("closing twice is no error")
	}
	if _, err := out.Write([]byte("x")); err == nil {
		t.Error("writing after closing is no error")
	}
	if err := w.Abort(); err != nil {
		t.Errorf("aborting after closing: %v", err)
	}
}

func read(t *testing.T, b bucket, key string) []byte {
	t.Helper()
	in, err := b.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(in)
	if err := errors.Join(err, in.Close()); err != nil {
		t.Fatal(err)
	}
	return body
}

func list(t *testing.T, b bucket, prefix string) []string {
	t.Helper()
	keys := []string{}
	for key, err := range b.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

// rules hold for both stores. Each works under a folder of its own.
var rules = map[string]func(*testing.T, bucket){
	"what is written is read": func(t *testing.T, b bucket) {
		for name, size := range map[string]int{
			"empty": 0, "one": 1, "small": 10_000, "a part less one": objects.PartSize - 1, "a part": objects.PartSize,
			"a part and one": objects.PartSize + 1, "three parts": 3*objects.PartSize + 5,
		} {
			body := pattern(size)
			create(t, b, "exports/a/"+name, body, 1<<20+3)
			if !bytes.Equal(read(t, b, "exports/a/"+name), body) {
				t.Errorf("%s: what was read differs from the %d bytes written", name, size)
			}
		}
	},
	"writing again replaces": func(t *testing.T, b bucket) {
		create(t, b, "exports/b/x", pattern(objects.PartSize+9), 1<<20)
		create(t, b, "exports/b/x", []byte("short"), 2)
		if got := string(read(t, b, "exports/b/x")); got != "short" {
			t.Errorf("read %d bytes, want the 5 written last", len(got))
		}
	},
	"what is aborted or cancelled never shows": func(t *testing.T, b bucket) {
		for _, size := range []int{0, 100, 2*objects.PartSize + 7} {
			for name, drop := range map[string]func(context.CancelFunc, written) error{
				"aborted":   func(_ context.CancelFunc, w written) error { return w.Abort() },
				"cancelled": func(cancel context.CancelFunc, _ written) error { cancel(); return nil },
			} {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				out, err := b.Create(ctx, "exports/c/"+name)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := out.Write(pattern(size)); err != nil {
					t.Fatal(err)
				}
				if err := drop(cancel, out.(written)); err != nil {
					t.Fatalf("%s after %d bytes: %v", name, size, err)
				}
				if err := out.Close(); err == nil || (name == "cancelled" && !errors.Is(err, context.Canceled)) {
					t.Errorf("closing what was %s after %d bytes: %v", name, size, err)
				}
			}
		}
		if keys := list(t, b, "exports/c/"); len(keys) != 0 {
			t.Errorf("objects show: %v", keys)
		}
	},
	"what is not there": func(t *testing.T, b bucket) {
		if _, err := b.Open(t.Context(), "exports/d/none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("opening: got %v, want fs.ErrNotExist", err)
		}
		if err := b.Delete(t.Context(), "exports/d/"); err != nil {
			t.Errorf("deleting: %v", err)
		}
		if keys := list(t, b, "exports/d/"); len(keys) != 0 {
			t.Errorf("listing: %v", keys)
		}
	},
	"listing is in order and of the prefix": func(t *testing.T, b bucket) {
		for _, key := range []string{"exports/e/b", "exports/e/a/2", "exports/e/a/10", "exports/e2/x"} {
			create(t, b, key, []byte(key), 100)
		}
		want := []string{"exports/e/a/10", "exports/e/a/2", "exports/e/b"}
		if got := list(t, b, "exports/e/"); !slices.Equal(got, want) {
			t.Errorf("listed %v, want %v", got, want)
		}
		for range b.List(t.Context(), "exports/e/") {
			break // a caller may stop
		}
	},
	"deleting is of one folder": func(t *testing.T, b bucket) {
		for _, key := range []string{"exports/f/1", "exports/f/sub/2", "exports/f2/3", "bundles/f/4"} {
			create(t, b, key, []byte(key), 100)
		}
		if err := b.Delete(t.Context(), "exports/f/"); err != nil {
			t.Fatal(err)
		}
		got := slices.Concat(list(t, b, "exports/f"), list(t, b, "bundles/f/"))
		if want := []string{"exports/f2/3", "bundles/f/4"}; !slices.Equal(got, want) {
			t.Errorf("left are %v, want %v", got, want)
		}
		for _, prefix := range []string{"", "/", "exports/f2", "//"} {
			if err := b.Delete(t.Context(), prefix); err == nil {
				t.Errorf("deleting %q was accepted", prefix)
			}
		}
		if keys := list(t, b, "exports/f2/"); len(keys) != 1 {
			t.Errorf("a refused deletion left %v", keys)
		}
	},
	"a link is short, of one file, and saves": func(t *testing.T, b bucket) {
		link, err := b.Presign(t.Context(), "bundles/g/1.zip", "your data.zip", 5*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(u.Path, "/bundles/g/1.zip") || !strings.Contains(u.RawQuery, "attachment") || !strings.Contains(u.RawQuery, "your+data.zip") && !strings.Contains(u.RawQuery, "your%20data.zip") {
			t.Errorf("the link names another object or file: %s?%s", u.Path, u.RawQuery)
		}
		for name, err := range map[string]error{
			"too long":    second(b.Presign(t.Context(), "bundles/g/1.zip", "a.zip", 5*time.Minute+1)),
			"no time":     second(b.Presign(t.Context(), "bundles/g/1.zip", "a.zip", 0)),
			"no file":     second(b.Presign(t.Context(), "bundles/g/1.zip", "", time.Minute)),
			"a path":      second(b.Presign(t.Context(), "bundles/g/1.zip", "../a.zip", time.Minute)),
			"a new line":  second(b.Presign(t.Context(), "bundles/g/1.zip", "a.zip\r\nx: y", time.Minute)),
			"no key":      second(b.Presign(t.Context(), "", "a.zip", time.Minute)),
			"a folder":    second(b.Presign(t.Context(), "bundles/g/", "a.zip", time.Minute)),
			"open key":    third(b.PresignPost(t.Context(), "uploads/g/${filename}", "text/csv", 10, "https://x.example/", time.Minute)),
			"no type":     third(b.PresignPost(t.Context(), "uploads/g/x", "", 10, "https://x.example/", time.Minute)),
			"no size":     third(b.PresignPost(t.Context(), "uploads/g/x", "text/csv", 0, "https://x.example/", time.Minute)),
			"a long form": third(b.PresignPost(t.Context(), "uploads/g/x", "text/csv", 10, "https://x.example/", 2*time.Hour)),
		} {
			if err == nil {
				t.Errorf("%s: was accepted", name)
			}
		}
	},
	"a key is no folder": func(t *testing.T, b bucket) {
		for _, key := range []string{"", "/a", "a/"} {
			if _, err := b.Create(t.Context(), key); err == nil {
				t.Errorf("creating %q was accepted", key)
			}
		}
	},
}

func second(_ string, err error) error { return err }

func third(_ string, _ map[string]string, err error) error { return err }

func TestMemory(t *testing.T) {
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) { rule(t, &objects.Memory{}) })
	}
}
