package objects

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Memory is a bucket in this process's memory, for tests of what stands on
// Store: the same rules and the same errors. The zero value is empty.
type Memory struct {
	mu      sync.Mutex
	objects map[string][]byte
}

// Create opens an object for writing, as Store does.
func (m *Memory) Create(ctx context.Context, key string) (io.WriteCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	return &memoryUpload{ctx: ctx, memory: m, key: key}, nil
}

// Open opens an object for reading; fs.ErrNotExist.
func (m *Memory) Open(_ context.Context, key string) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	body, there := m.objects[key]
	if !there {
		return nil, fmt.Errorf("opening object %s: %w", key, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

// Put stores an object, as a person's upload does.
func (m *Memory) Put(key string, body []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects == nil {
		m.objects = map[string][]byte{}
	}
	m.objects[key] = body
}

// List yields the keys that begin with prefix, in order.
func (m *Memory) List(_ context.Context, prefix string) iter.Seq2[string, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := slices.Sorted(maps.Keys(m.objects))
	return func(yield func(string, error) bool) {
		for _, key := range keys {
			if strings.HasPrefix(key, prefix) && !yield(key, nil) {
				return
			}
		}
	}
}

// Delete removes every object under a folder.
func (m *Memory) Delete(_ context.Context, prefix string) error {
	if err := checkFolder(prefix); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.objects, func(key string, _ []byte) bool { return strings.HasPrefix(key, prefix) })
	return nil
}

// Presign returns a link that names the object, the file and the seconds it
// would live.
func (m *Memory) Presign(_ context.Context, key, filename string, ttl time.Duration) (string, error) {
	disposition, err := checkLink(key, filename, ttl)
	if err != nil {
		return "", err
	}
	query := url.Values{"disposition": {disposition}, "expires": {strconv.Itoa(int(ttl.Seconds()))}}
	return "https://objects.example/" + key + "?" + query.Encode(), nil
}

// PresignPost returns a form whose fields name the object and the limits.
func (m *Memory) PresignPost(_ context.Context, key, contentType string, maxBytes int64, redirect string, ttl time.Duration) (address string, fields map[string]string, err error) {
	if err := checkForm(key, contentType, maxBytes, ttl); err != nil {
		return "", nil, err
	}
	return "https://objects.example/", map[string]string{
		"key": key, "Content-Type": contentType, "success_action_redirect": redirect, "max-bytes": strconv.FormatInt(maxBytes, 10),
	}, nil
}

// memoryUpload is Upload's twin.
type memoryUpload struct {
	ctx    context.Context
	memory *Memory
	key    string
	body   bytes.Buffer
	ended  bool
}

func (u *memoryUpload) Size() int64 { return int64(u.body.Len()) }

func (u *memoryUpload) SHA256() string {
	sum := sha256.Sum256(u.body.Bytes())
	return hex.EncodeToString(sum[:])
}

func (u *memoryUpload) Write(p []byte) (int, error) {
	if u.ended {
		return 0, fmt.Errorf("writing object %s: %w", u.key, errClosed)
	}
	return u.body.Write(p)
}

func (u *memoryUpload) Close() error {
	if u.ended {
		return fmt.Errorf("writing object %s: %w", u.key, errClosed)
	}
	u.ended = true
	if err := u.ctx.Err(); err != nil {
		return fmt.Errorf("writing object %s: %w", u.key, err)
	}
	u.memory.Put(u.key, bytes.Clone(u.body.Bytes()))
	return nil
}

func (u *memoryUpload) Abort() error {
	u.ended = true
	return nil
}
