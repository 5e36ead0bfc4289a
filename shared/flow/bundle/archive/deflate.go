package archive

import (
	"bytes"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/flate"
)

// blockSize is how much is compressed at once. Blocks are cut by content alone,
// so the compressed bytes do not depend on how many workers there are.
const blockSize = 1 << 20

// level is the fast end: a copy is read once, and most of its cost is time.
const level = 1

// pool compresses blocks on as many workers as there are processors.
type pool struct {
	jobs chan *block
	free chan *block
	done sync.WaitGroup
}

// block is one piece of an entry on its way through the pool.
type block struct {
	in    []byte
	out   bytes.Buffer
	last  bool
	ready chan struct{} // a worker is done with it
}

func newPool() *pool {
	workers := runtime.GOMAXPROCS(0)
	p := &pool{jobs: make(chan *block), free: make(chan *block, workers+2)}
	for range cap(p.free) {
		p.free <- &block{in: make([]byte, 0, blockSize), ready: make(chan struct{}, 1)}
	}
	for range workers {
		p.done.Go(p.work)
	}
	return p
}

func (p *pool) work() {
	z, _ := flate.NewWriter(io.Discard, level) // the level is a constant: no error
	for b := range p.jobs {
		b.out.Reset()
		z.Reset(&b.out)
		// Writing to a buffer never fails.
		_, _ = z.Write(b.in)
		if b.last {
			_ = z.Close()
		} else {
			_ = z.Flush() // ends on a byte, so that the next block can follow
		}
		b.ready <- struct{}{}
	}
}

func (p *pool) stop() {
	close(p.jobs)
	p.done.Wait()
}

// deflater is one entry's compressor: it cuts what is written into blocks, has
// them compressed side by side and writes them out in order.
type deflater struct {
	pool  *pool
	cur   *block         // being filled; nil before the first byte and after Close
	order chan *block    // blocks in order; closed by Close
	open  sync.WaitGroup // blocks not written out yet
	ended chan struct{}

	mu  sync.Mutex
	err error // first failure of the writer below
}

func newDeflater(p *pool, to io.Writer) *deflater {
	d := &deflater{pool: p, order: make(chan *block, cap(p.free)), ended: make(chan struct{})}
	go d.drainTo(to)
	return d
}

// drainTo writes blocks out in order. After a failure it goes on freeing them,
// so that nobody waits for ever.
func (d *deflater) drainTo(to io.Writer) {
	defer close(d.ended)
	for b := range d.order {
		<-b.ready
		if d.failed() == nil {
			if _, err := to.Write(b.out.Bytes()); err != nil {
				d.mu.Lock()
				d.err = err
				d.mu.Unlock()
			}
		}
		b.in = b.in[:0]
		d.pool.free <- b
		d.open.Done()
	}
}

func (d *deflater) failed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// Write takes more of the entry.
func (d *deflater) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if d.cur == nil {
			if err := d.failed(); err != nil {
				return 0, err
			}
			d.cur = <-d.pool.free
		}
		take := min(len(p), blockSize-len(d.cur.in))
		d.cur.in = append(d.cur.in, p[:take]...)
		p = p[take:]
		if len(d.cur.in) == blockSize {
			d.submit(false)
		}
	}
	return n, nil
}

func (d *deflater) submit(last bool) {
	b := d.cur
	d.cur = nil
	b.last = last
	d.open.Add(1)
	d.order <- b
	d.pool.jobs <- b
}

// settle ends the current block and waits until all are written out.
func (d *deflater) settle() {
	if d.cur != nil && len(d.cur.in) > 0 {
		d.submit(false)
	}
	d.open.Wait()
}

// Close writes out the rest and ends the stream.
func (d *deflater) Close() error {
	if d.cur == nil {
		d.cur = <-d.pool.free
	}
	d.submit(true)
	close(d.order)
	<-d.ended
	return d.failed()
}
