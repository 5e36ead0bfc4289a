// Command archivebench measures how fast a copy of one GiB of rows is built and
// how much memory its process takes, against an object store in the process:
// what is read repeats one block, what is written is counted and dropped. It
// prints "name value unit" lines.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/connector/export/exporttest"
	"github.com/writ-dsr/writ/shared/flow/bundle/archive"
)

// The input: one GiB of rows in eight parts.
const (
	parts     = 8
	partBytes = 128 << 20
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "archivebench:", err)
		os.Exit(1)
	}
}

func run() error {
	s := exporttest.NewRepeat("exports/wbench/shop", parts, partBytes)
	in := archive.Input{
		Reference: "wbench", Prefix: "bundles/wbench", At: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC),
		Systems: []archive.System{{ID: "shop", Name: "The shop", Exports: []string{"exports/wbench/shop"}}},
	}
	start := time.Now()
	r, err := archive.Build(context.Background(), in, s, s)
	if err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	if r.Rows != s.Rows {
		return fmt.Errorf("the copy has %d rows, %d were exported", r.Rows, s.Rows)
	}
	peak, err := peakMB()
	if err != nil {
		return err
	}
	fmt.Printf("bundle_1gib_mb_per_s %.1f MB/s\n", float64(s.Bytes)/1e6/seconds)
	fmt.Printf("bundle_1gib_rss_mb %.1f MB\n", peak)
	return nil
}

// peakMB reads the most memory this process ever had resident.
func peakMB() (float64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("reading the peak of memory: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			var n float64
			if _, err := fmt.Sscanf(kb, "%f kB", &n); err != nil {
				return 0, fmt.Errorf("reading the peak of memory: %w", err)
			}
			return n * 1024 / 1e6, nil
		}
	}
	return 0, fmt.Errorf("reading the peak of memory: this system does not tell it")
}
