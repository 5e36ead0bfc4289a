// Command bench measures what Writ promises about time, memory, size and
// money. It prints a line "name value unit" for each number, with the limit
// where one is missed, and writes .bench/bench.json. It exits 0: it measures.
// With -check it exits 1 when a count, a size or a price misses its limit;
// seconds depend on the machine and never fail it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/writ-dsr/writ/shared/platform/checkout"
)

func main() {
	check := flag.Bool("check", false, "exit 1 when a count, a size or a price misses its limit")
	only := flag.String("only", "", "measure these parts only: "+strings.Join(partNames(), ", ")+" (a list with commas)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(bench(ctx, *check, *only))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// number is one measured value.
type number struct {
	name  string
	value float64
	unit  string
}

// limit is what a number promises.
type limit struct {
	bound   float64
	atLeast bool // the bound is the least, not the most
	timed   bool // depends on the machine: told, never failed
}

var limits = map[string]limit{
	"transitions_20_systems_access":  {bound: 54},
	"transitions_20_systems_erasure": {bound: 96},
	"cost_usd_per_request":           {bound: 0.003},
	"zip_mb_max":                     {bound: 10},
	"export_100k_rows_s":             {bound: 3, timed: true},
	"export_100k_rows_rss_mb":        {bound: 128},
	"bundle_1gib_mb_per_s":           {bound: 50, atLeast: true, timed: true},
	"bundle_1gib_rss_mb":             {bound: 128},
	"access_s":                       {bound: 1.5, timed: true},
}

// misses says whether a number is beyond its limit.
func (n number) misses() (l limit, missed bool) {
	l, ok := limits[n.name]
	if !ok {
		return limit{}, false
	}
	if l.atLeast {
		return l, n.value < l.bound
	}
	return l, n.value > l.bound
}

// line is how a number is printed.
func (n number) line() string {
	s := fmt.Sprintf("%s %.4g %s", n.name, n.value, n.unit)
	if l, missed := n.misses(); missed {
		word := "at most"
		if l.atLeast {
			word = "at least"
		}
		s += fmt.Sprintf(" (missed: %s %g)", word, l.bound)
	}
	return s
}

// part measures one or more numbers.
type part struct {
	name string
	run  func(context.Context, *place) ([]number, error)
}

// place is where the bench works.
type place struct {
	root string // of the checkout
	dir  string // .bench
	copy string // of the checkout, with the bench's companies
}

func parts() []part {
	return []part{
		{"transitions", transitions},
		{"export", process("./shared/connectors/postgres/exportbench")},
		{"bundle", process("./shared/flow/bundle/archive/archivebench")},
		{"zip", zips},
		{"access", access},
		{"cost", cost},
	}
}

func partNames() []string {
	var names []string
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return names
}

func bench(ctx context.Context, check bool, only string) error {
	root, err := checkout.Root()
	if err != nil {
		return err
	}
	p := &place{root: root, dir: filepath.Join(root, ".bench")}
	p.copy = filepath.Join(p.dir, "checkout")
	if err := os.MkdirAll(p.copy, 0o755); err != nil {
		return fmt.Errorf("making the bench's folder: %w", err)
	}
	wanted := partNames()
	if only != "" {
		wanted = strings.Split(only, ",")
	}
	var all []number
	var errs []error
	for _, one := range parts() {
		if !slices.Contains(wanted, one.name) {
			continue
		}
		found, err := one.run(ctx, p)
		if err != nil {
			errs = append(errs, fmt.Errorf("measuring %s: %w", one.name, err))
		}
		for _, n := range found {
			fmt.Println(n.line())
			if l, missed := n.misses(); missed && check && !l.timed {
				errs = append(errs, fmt.Errorf("%s misses its limit", n.name))
			}
		}
		all = append(all, found...)
	}
	if err := write(filepath.Join(p.dir, "bench.json"), all); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func write(path string, all []number) error {
	values := map[string]float64{}
	for _, n := range all {
		values[n.name] = n.value
	}
	raw, err := json.MarshalIndent(values, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the numbers: %w", err)
	}
	if err := os.WriteFile(path, append(raw, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the numbers: %w", err)
	}
	return nil
}

// say tells what goes on, beside the numbers.
func say(s string) { fmt.Fprintln(os.Stderr, "  "+s) }
