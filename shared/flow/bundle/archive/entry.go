package archive

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/writ-dsr/writ/shared/connector/export"
)

// The kinds of entries with data.
const (
	KindJSON = "json"
	KindCSV  = "csv"
	KindFile = "file"
)

// Sizes that decide where a copy goes on in a further ZIP, in bytes.
const (
	minLimit   = 1 << 20
	maxBetween = 64 << 20 // written between two looks at the size
	perEntry   = 600      // an entry's share of manifest and directory
)

// piece is one entry while it is written.
type piece struct {
	*Entry
	buf *bufio.Writer
	sum hash.Hash
	to  io.Writer
}

// begin opens an entry. A set or file that goes on in a further ZIP has several
// pieces; each is whole by itself.
func (b *builder) begin(base, end string, number int, stored bool) (*piece, error) {
	name := base + "." + end
	if number > 1 {
		name = fmt.Sprintf("%s.%d.%s", base, number, end)
	}
	w, err := b.volume.entry(name, stored)
	if err != nil {
		return nil, err
	}
	p := &piece{Entry: &Entry{Name: name, ZIP: b.number, Piece: number}, sum: sha256.New(), to: w}
	p.buf = bufio.NewWriterSize(below{p}, 64<<10)
	b.volume.entries++
	return p, nil
}

// below hashes and counts what leaves the buffer.
type below struct{ *piece }

func (w below) Write(p []byte) (int, error) {
	w.sum.Write(p)
	w.Bytes += int64(len(p))
	return w.to.Write(p)
}

func (p *piece) end() (*Entry, error) {
	if err := p.buf.Flush(); err != nil {
		return nil, fmt.Errorf("writing %s: %w", p.Name, err)
	}
	p.SHA256 = hex.EncodeToString(p.sum.Sum(nil))
	return p.Entry, nil
}

// full reports whether the next n bytes belong into a further ZIP. It looks at
// the compressed size only now and then, at points that depend on the content
// alone, so that the same input is always cut at the same places.
func (b *builder) full(n int) (bool, error) {
	v := b.volume
	between := min(maxBetween, b.Limit/16)
	v.since += int64(n)
	if v.since < between && v.looked {
		return false, nil
	}
	size, err := v.settled()
	if err != nil {
		return false, err
	}
	v.since, v.looked = int64(n), true
	const pending = 128 << 10 // in the buffers above and below the compressor
	reserve := b.Limit/16 + perEntry*int64(v.entries)
	return v.entries > 0 && size+pending+max(between, int64(n))+reserve > b.Limit, nil
}

// writeJSON writes the rows as an array with one row a line, byte for byte as
// the export holds them.
func (b *builder) writeJSON(s *set, base string) error {
	small := s.rows <= sampleRows && b.sample+int(s.bytes) <= sampleBytes && s.bytes <= sampleBytes
	if small {
		b.sample += int(s.bytes)
	}
	format := rowFormat{
		kind: KindJSON, end: "json", head: "[\n", between: ",\n", tail: "\n]\n",
		row: func(out *bufio.Writer, row []byte) error {
			if small {
				s.sample = append(s.sample, string(row))
			}
			_, err := out.Write(row)
			return err
		},
	}
	pieces, err := b.writeRows(s, base, format)
	s.json = pieces
	return err
}

// writeCSV writes the rows for a spreadsheet.
func (b *builder) writeCSV(s *set, base string) error {
	t := newTable(s.columns)
	format := rowFormat{kind: KindCSV, end: "csv", head: string(t.head()), row: func(out *bufio.Writer, row []byte) error {
		_, err := out.Write(t.line(row))
		return err
	}}
	pieces, err := b.writeRows(s, base, format)
	s.csv = pieces
	return err
}

// rowFormat is how rows become text.
type rowFormat struct {
	kind, end           string
	head, between, tail string
	row                 func(out *bufio.Writer, row []byte) error
}

func (b *builder) writeRows(s *set, base string, f rowFormat) ([]*Entry, error) {
	var pieces []*Entry
	var p *piece
	end := func() error {
		_, _ = p.buf.WriteString(f.tail) // the buffer keeps its first error for end
		e, err := p.end()
		if err != nil {
			return err
		}
		e.Kind, e.System, e.Category, e.Source = f.kind, s.system.ID, s.category, s.source
		pieces = append(pieces, e)
		p = nil
		return nil
	}
	err := b.rows(s, func(row []byte) error {
		full, err := b.full(len(row))
		if err != nil {
			return err
		}
		if full {
			if p != nil {
				if err := end(); err != nil {
					return err
				}
				b.manifest.note(pieces[len(pieces)-1])
			}
			if err := b.roll(); err != nil {
				return err
			}
		}
		if p == nil {
			if p, err = b.begin(base, f.end, len(pieces)+1, false); err != nil {
				return err
			}
			_, _ = p.buf.WriteString(f.head)
		} else {
			_, _ = p.buf.WriteString(f.between)
		}
		p.Rows++
		return f.row(p.buf, row)
	})
	if err != nil {
		return nil, err
	}
	if err := end(); err != nil {
		return nil, err
	}
	b.manifest.note(pieces[len(pieces)-1])
	return pieces, nil
}

// writeFile copies one file under a name of ours.
func (b *builder) writeFile(s *set, f file, base string) error {
	r, err := b.from.Open(b.ctx, export.Key(f.prefix, f.Object))
	if err != nil {
		return fmt.Errorf("opening %s: %w", f.Object, err)
	}
	defer r.Close()
	var end string
	var packed bool
	sum, size, number := sha256.New(), int64(0), 0
	if b.buf == nil {
		b.buf = make([]byte, 256<<10)
	}
	buf := b.buf
	var p *piece
	finish := func() error {
		e, err := p.end()
		if err != nil {
			return err
		}
		e.Kind, e.System, e.Category, e.Source, e.Original = KindFile, s.system.ID, s.category, s.source, f.Name
		s.copies = append(s.copies, e)
		b.manifest.note(e)
		return nil
	}
	for eof := false; !eof; {
		n, err := io.ReadFull(r, buf)
		if eof = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF); err != nil && !eof {
			return fmt.Errorf("reading %s: %w", f.Object, err)
		}
		if n == 0 && p != nil {
			break
		}
		if end == "" {
			end, packed = ending(f.Name, buf[:n])
		}
		full, err := b.full(n)
		if err != nil {
			return err
		}
		if full {
			if p != nil {
				if err := finish(); err != nil {
					return err
				}
			}
			p = nil
			if err := b.roll(); err != nil {
				return err
			}
		}
		if p == nil {
			number++
			if p, err = b.begin(base, end, number, packed); err != nil {
				return err
			}
		}
		sum.Write(buf[:n])
		size += int64(n)
		if _, err := p.buf.Write(buf[:n]); err != nil {
			return fmt.Errorf("writing %s: %w", p.Name, err)
		}
	}
	if size != f.Bytes || hex.EncodeToString(sum.Sum(nil)) != f.SHA256 {
		return fmt.Errorf("%s: %w", f.Object, ErrMismatch)
	}
	return finish()
}
