package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/writ-dsr/writ/shared/connector/export"
)

// chunkSize is how much of an object is read ahead at once, in bytes.
const chunkSize = 512 << 10

// chunk is a run of whole rows, each with its line feed.
type chunk struct{ rows []byte }

// rows calls f for each row of the set, without its line feed, while a second
// goroutine reads ahead, hashes and counts. When it returns nil, rows, bytes
// and hash of every group were what the parts say.
func (b *builder) rows(s *set, f func(row []byte) error) error {
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	full, free := make(chan *chunk, 2), make(chan *chunk, 4)
	for range cap(free) {
		free <- &chunk{rows: make([]byte, 0, chunkSize)}
	}
	var failed error
	go func() {
		defer close(full)
		for _, g := range s.groups {
			if failed = b.readGroup(ctx, g, full, free); failed != nil {
				return
			}
		}
	}()
	var err error
	for c := range full {
		for rows := c.rows; err == nil && len(rows) > 0; {
			end := bytes.IndexByte(rows, '\n')
			err = f(rows[:end])
			rows = rows[end+1:]
		}
		if err != nil {
			cancel() // the reader stops; what it has already read is thrown away
			continue
		}
		free <- c
	}
	if err != nil {
		return err
	}
	return failed
}

// readGroup reads one object into chunks of whole rows.
func (b *builder) readGroup(ctx context.Context, g group, full, free chan *chunk) error {
	if g.Rows == 0 && g.Object == "" {
		return nil
	}
	r, err := b.from.Open(ctx, export.Key(g.prefix, g.Object))
	if err != nil {
		return fmt.Errorf("opening %s: %w", g.Object, err)
	}
	defer r.Close()
	sum := sha256.New()
	rows, size := 0, int64(0)
	var rest []byte // the row that the last chunk ended in
	for eof := false; !eof; {
		var c *chunk
		select {
		case c = <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
		c.rows = append(c.rows[:0], rest...)
		n, err := readInto(r, c)
		eof = errors.Is(err, io.EOF)
		if err != nil && !eof {
			return fmt.Errorf("reading %s: %w", g.Object, err)
		}
		sum.Write(c.rows[len(c.rows)-n:])
		size += int64(n)
		end := bytes.LastIndexByte(c.rows, '\n') + 1
		rest = append(rest[:0], c.rows[end:]...)
		if len(rest) > export.MaxRow+chunkSize || size > g.Bytes {
			return fmt.Errorf("%s: %w", g.Object, ErrMismatch)
		}
		c.rows = c.rows[:end]
		rows += bytes.Count(c.rows, []byte{'\n'})
		select {
		case full <- c:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if len(rest) > 0 || rows != g.Rows || size != g.Bytes || hex.EncodeToString(sum.Sum(nil)) != g.SHA256 {
		return fmt.Errorf("%s: %w", g.Object, ErrMismatch)
	}
	return nil
}

// readInto appends up to chunkSize bytes.
func readInto(r io.Reader, c *chunk) (int, error) {
	at := len(c.rows)
	if cap(c.rows)-at < chunkSize {
		c.rows = append(make([]byte, 0, at+chunkSize), c.rows...)
	}
	n, err := io.ReadFull(r, c.rows[at:at+chunkSize])
	c.rows = c.rows[:at+n]
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}
