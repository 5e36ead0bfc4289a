// Command emulated runs another command with a fresh emulator of AWS, whose
// address and operator's credentials stand in the environment, and ends with
// that command's exit status:
//
//	go run ./infra/stand/emulated go test -tags e2e ./shared/ledger/dynamo
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/writ-dsr/writ/infra/stand"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: emulated COMMAND [ARGUMENTS]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code, err := run(ctx, os.Args[1], os.Args[2:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "emulated:", err)
	}
	os.Exit(code)
}

func run(ctx context.Context, program string, args []string) (code int, err error) {
	env, end, err := stand.Emulated(ctx)
	if err != nil {
		return 1, err
	}
	defer func() {
		if cerr := end(); cerr != nil {
			code, err = max(code, 1), errors.Join(err, cerr)
		}
	}()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		return max(failed.ExitCode(), 1), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}
