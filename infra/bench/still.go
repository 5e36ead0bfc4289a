package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/writ-dsr/writ/statemachines"
	"github.com/writ-dsr/writ/statemachines/walk"
)

// walkOf walks a recorded scenario of the machine.
func walkOf(root, scenario string) (walk.Trace, error) {
	m, err := walk.Parse(statemachines.Request, walk.StandIns(statemachines.Request))
	if err != nil {
		return walk.Trace{}, err
	}
	raw, err := os.ReadFile(filepath.Join(root, "statemachines", "testdata", "scenarios", scenario+".json"))
	if err != nil {
		return walk.Trace{}, fmt.Errorf("reading the scenario %s: %w", scenario, err)
	}
	s, err := walk.ReadScenario(raw)
	if err != nil {
		return walk.Trace{}, err
	}
	trace, err := m.Run(s)
	if err == nil && trace.Status != "SUCCEEDED" {
		err = fmt.Errorf("walking %s: it ended %s", scenario, trace.Status)
	}
	return trace, err
}

// transitions counts what Step Functions bills for a request over twenty systems.
func transitions(_ context.Context, p *place) ([]number, error) {
	var all []number
	for _, right := range []string{"access", "erasure"} {
		trace, err := walkOf(p.root, right+"_20_systems")
		if err != nil {
			return all, err
		}
		all = append(all, number{"transitions_20_systems_" + right, float64(trace.Transitions), "transitions"})
	}
	return all, nil
}

// process runs a command of the module that measures itself: what is told of
// its memory is its own.
func process(command string) func(context.Context, *place) ([]number, error) {
	return func(ctx context.Context, p *place) ([]number, error) {
		cmd := exec.CommandContext(ctx, "go", "run", command)
		cmd.Dir, cmd.Stderr = p.root, os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, err
		}
		return readNumbers(out)
	}
}

// readNumbers reads lines "name value unit".
func readNumbers(out []byte) ([]number, error) {
	var all []number
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 {
			return all, errors.New("reading the numbers of a process: a line is not \"name value unit\"")
		}
		value, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			return all, fmt.Errorf("reading the numbers of a process: %w", err)
		}
		all = append(all, number{fields[0], value, fields[2]})
	}
	return all, nil
}

// zips builds the functions, for this machine, and tells how big the largest
// upload is; for arm64 it differs by some per cent.
func zips(ctx context.Context, p *place) ([]number, error) {
	if err := copyCheckout(p.root, p.copy); err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "make", "--no-print-directory", "build", "ARCH=host")
	build.Dir, build.Stdout, build.Stderr = p.copy, os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("building the functions: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(p.copy, "bin", "*", "bootstrap"))
	if err != nil || len(files) == 0 {
		return nil, errors.New("the build left no function")
	}
	largest, whose := int64(0), ""
	for _, f := range files {
		n, err := zipped(f)
		if err != nil {
			return nil, err
		}
		if n > largest {
			largest, whose = n, filepath.Base(filepath.Dir(f))
		}
	}
	say("the largest upload is " + whose)
	return []number{{"zip_mb_max", float64(largest) / 1e6, "MB"}}, nil
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// zipped is the size of a file as a Lambda's upload.
func zipped(path string) (int64, error) {
	in, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = in.Close() }()
	var n counter
	archive := zip.NewWriter(&n)
	out, err := archive.Create("bootstrap")
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(out, in); err != nil {
		return 0, fmt.Errorf("zipping %s: %w", path, err)
	}
	return int64(n), archive.Close()
}
