package archive_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/connector/export/exporttest"
	"github.com/writ-dsr/writ/shared/flow/bundle/archive"
)

func TestMemoryStaysFlat(t *testing.T) {
	s := exporttest.NewRepeat("exports/"+request+"/shop", 2, 24<<20)
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	done, peak := make(chan struct{}), make(chan uint64)
	go func() {
		most := uint64(0)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
			select {
			case <-done:
				peak <- most
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	r, err := archive.Build(context.Background(), input(system("shop")), s, s)
	close(done)
	most := <-peak
	if err != nil || r.Rows != s.Rows {
		t.Fatalf("built %d rows of %d, %v", r.Rows, s.Rows, err)
	}
	const limit = 48 << 20
	if most > before.HeapAlloc && most-before.HeapAlloc > limit {
		t.Errorf("building a copy of %d MiB took %d MiB, at most %d are allowed at any size", s.Bytes>>20, (most-before.HeapAlloc)>>20, limit>>20)
	}
}

func BenchmarkBuild(b *testing.B) {
	s := exporttest.NewRepeat("exports/"+request+"/shop", 1, 64<<20)
	b.SetBytes(s.Bytes)
	for b.Loop() {
		if _, err := archive.Build(context.Background(), input(system("shop")), s, s); err != nil {
			b.Fatal(err)
		}
	}
}
