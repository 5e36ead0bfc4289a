package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Exit statuses of every subcommand.
const (
	exitDone   = 0
	exitFailed = 1 // the work was tried and failed, or found something wrong
	exitUsage  = 2 // the arguments make no sense
)

// command is one subcommand. A file of its own returns it and main.go's table lists it.
type command struct {
	name    string
	args    string // what follows the name and flags, for the help; "" for nothing
	summary string // one line
	// setup declares the flags and returns what runs once they are parsed.
	setup func(flags *flag.FlagSet) runner
}

// runner does a subcommand's work with the arguments left after the flags.
type runner func(ctx context.Context, c console, args []string) error

// console is where a subcommand speaks to.
type console struct {
	out  io.Writer // results
	errs io.Writer // progress and problems
	json bool      // results as JSON
}

// print writes a result: v as JSON where --json was given, otherwise what plain writes.
func (c console) print(v any, plain func(w io.Writer) error) error {
	if !c.json {
		return plain(c.out)
	}
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// usageError is an error of the caller's arguments: exit status 2.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// usage makes an error of the caller's arguments.
func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// frame is what all subcommands share: finding them, help, --json, exit statuses.
type frame struct {
	table     []command
	out, errs io.Writer
}

func (f frame) run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		f.help(f.errs)
		return exitUsage
	}
	name := args[0]
	if slices.Contains([]string{"help", "-h", "-help", "--help"}, name) {
		f.help(f.out)
		return exitDone
	}
	i := slices.IndexFunc(f.table, func(c command) bool { return c.name == name })
	if i < 0 {
		_, _ = fmt.Fprintf(f.errs, "writ: there is no subcommand %q: see writ help\n", name)
		return exitUsage
	}
	return f.runOne(ctx, f.table[i], args[1:])
}

func (f frame) runOne(ctx context.Context, cmd command, args []string) int {
	flags := flag.NewFlagSet(cmd.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	asJSON := flags.Bool("json", false, "print the result as JSON")
	work := cmd.setup(flags)
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		cmd.help(f.out, flags)
		return exitDone
	} else if err != nil {
		return f.fail(cmd, usageError{err})
	}
	if err := work(ctx, console{out: f.out, errs: f.errs, json: *asJSON}, flags.Args()); err != nil {
		return f.fail(cmd, err)
	}
	return exitDone
}

// fail tells what went wrong in one line and returns the exit status.
func (f frame) fail(cmd command, err error) int {
	line := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
	if errors.As(err, &usageError{}) {
		_, _ = fmt.Fprintf(f.errs, "writ %s: %s: see writ %s -h\n", cmd.name, line, cmd.name)
		return exitUsage
	}
	_, _ = fmt.Fprintf(f.errs, "writ %s: %s\n", cmd.name, line)
	return exitFailed
}

func (f frame) help(w io.Writer) {
	_, _ = fmt.Fprint(w, "Writ carries out people's data rights.\n\nUsage: writ <subcommand> [flags] [arguments]\n\n")
	for _, c := range f.table {
		_, _ = fmt.Fprintf(w, "  %-12s %s\n", c.name, c.summary)
	}
	_, _ = fmt.Fprint(w, "\nwrit <subcommand> -h tells its flags. Exit status: 0 done, 1 failed, 2 wrong usage.\n")
}

func (cmd command) help(w io.Writer, flags *flag.FlagSet) {
	_, _ = fmt.Fprintf(w, "%s\n\nUsage: writ %s [flags]%s\n\n", cmd.summary, cmd.name, strings.TrimRight(" "+cmd.args, " "))
	flags.SetOutput(w)
	flags.PrintDefaults()
}
