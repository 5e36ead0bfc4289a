//go:build !linux

package child

import "syscall"

// dieWithParent does nothing where the kernel offers no such signal.
func dieWithParent(*syscall.SysProcAttr) {}
