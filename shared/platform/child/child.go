// Package child runs other programs (an emulator, a database server, a build)
// as children that never outlive this process: each leads a process group of
// its own, and ending it ends the whole group.
package child

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Process is a started child. Its zero value is not usable; take one from Start.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start runs cmd in a process group of its own, so that a Ctrl-C at the
// terminal reaches only us and we end our children in the right order. On Linux
// the kernel also ends the child when this process dies without a chance to
// clean up.
func Start(cmd *exec.Cmd) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	dieWithParent(cmd.SysProcAttr)

	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel's "die with the parent" watches the thread that forked, not
		// the process: that thread has to live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	return p, nil
}

// Pid is the child's process id, which is also its group's.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed once the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the child ended; nil while it runs.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Stop asks the child to end with sig, waits up to grace, then kills what is
// left of its group. After it returns no process of the group runs. It is safe
// to call more than once and after the child has ended.
func (p *Process) Stop(sig syscall.Signal, grace time.Duration) error {
	// The child is its own reaper's: a signal to an ended, reaped child answers
	// ESRCH or "process already finished", both of which mean there is nothing to do.
	_ = p.cmd.Process.Signal(sig)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	}
	if err := syscall.Kill(-p.Pid(), syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("ending the process group of %s: %w", p.cmd.Path, err)
	}
	<-p.done
	return nil
}
