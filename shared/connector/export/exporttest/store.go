// Package exporttest holds the object stores that tests and measurements write
// exports and bundles to: Memory keeps all of it, Dir keeps it in files so that
// the process stays small.
package exporttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Memory is an object store in memory. The zero value is ready.
type Memory struct {
	// Fail, when set, is asked before an object is opened for writing; its
	// error is returned.
	Fail func(key string) error

	mu      sync.Mutex
	objects map[string][]byte
}

// Create opens an object for writing; see export.Creator.
func (m *Memory) Create(ctx context.Context, key string) (io.WriteCloser, error) {
	if m.Fail != nil {
		if err := m.Fail(key); err != nil {
			return nil, err
		}
	}
	return &pending{ctx: ctx, commit: func(body []byte) { m.Put(key, body) }}, nil
}

// Open opens an object for reading; fs.ErrNotExist if there is none.
func (m *Memory) Open(_ context.Context, key string) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	body, ok := m.objects[key]
	if !ok {
		return nil, fmt.Errorf("opening an object: %w", fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

// Put stores an object.
func (m *Memory) Put(key string, body []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects == nil {
		m.objects = map[string][]byte{}
	}
	m.objects[key] = body
}

// Get returns an object, or nil.
func (m *Memory) Get(key string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.objects[key]
}

// Delete removes an object.
func (m *Memory) Delete(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
}

// Keys lists what is stored, in order.
func (m *Memory) Keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.objects))
}

type pending struct {
	bytes.Buffer
	ctx    context.Context
	commit func([]byte)
	closed bool
}

func (p *pending) Close() error {
	if p.closed {
		return errors.New("closing an object: it is closed")
	}
	p.closed = true
	if err := p.ctx.Err(); err != nil {
		return err
	}
	p.commit(p.Bytes())
	return nil
}

// Dir is an object store in the files below a folder.
type Dir string

// Create opens an object for writing; see export.Creator.
func (d Dir) Create(ctx context.Context, key string) (io.WriteCloser, error) {
	path := filepath.Join(string(d), filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".writing-*")
	if err != nil {
		return nil, err
	}
	return &writing{File: f, ctx: ctx, path: path}, nil
}

// Open opens an object for reading; fs.ErrNotExist if there is none.
func (d Dir) Open(_ context.Context, key string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(string(d), filepath.FromSlash(key)))
}

type writing struct {
	*os.File
	ctx  context.Context
	path string
}

func (w *writing) Close() error {
	err := w.File.Close()
	if err == nil {
		err = w.ctx.Err()
	}
	if err != nil {
		return errors.Join(err, os.Remove(w.Name()))
	}
	return os.Rename(w.Name(), w.path)
}
