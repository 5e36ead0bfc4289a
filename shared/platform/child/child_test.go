package child_test

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/platform/child"
)

func TestStopEndsTheWholeGroup(t *testing.T) {
	// The shell ignores the polite signal and leaves a grandchild: both must go.
	cmd := exec.Command("sh", "-c", `trap "" TERM; sleep 600 & echo $!; wait`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	grandchild, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(syscall.SIGTERM, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if p.Err() == nil {
		t.Error("a killed child must report how it ended")
	}
	for range 200 {
		if !runs(grandchild) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d of the group still runs after Stop", grandchild)
}

func TestStopAfterTheEndIsHarmless(t *testing.T) {
	p, err := child.Start(exec.Command("true"))
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	for range 2 {
		if err := p.Stop(syscall.SIGTERM, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if p.Err() != nil {
		t.Errorf("a child that ended well reports %v", p.Err())
	}
}

func TestStartNamesAMissingProgram(t *testing.T) {
	_, err := child.Start(exec.Command("/nonexistent/program"))
	if err == nil || !strings.Contains(err.Error(), "/nonexistent/program") {
		t.Errorf("got %v, want an error naming the program", err)
	}
}

// runs reports whether a process is alive: a zombie that waits for init counts as ended.
func runs(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return syscall.Kill(pid, 0) == nil
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
