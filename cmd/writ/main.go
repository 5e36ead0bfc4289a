// Command writ is the engineer's and the privacy officer's tool: it checks a
// company's files, tells what a request would do, proves the ledger and runs the
// demo.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// commands is the table of subcommands, in the order of the help.
func commands() []command {
	return []command{
		checkCommand(),
		planCommand(),
		deadlineCommand(),
		connectorsCommand(),
		auditCommand(),
		demoCommand(),
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// The first signal ends the work in order, a second one ends us at once.
	context.AfterFunc(ctx, stop)
	code := run(ctx, commands(), os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run runs the subcommand that args name and returns the exit status.
func run(ctx context.Context, table []command, args []string, out, errs io.Writer) int {
	return frame{table: table, out: out, errs: errs}.run(ctx, args)
}
