package stand

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestATakenPortIsOneLine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	port := l.Addr().(*net.TCPAddr).Port
	s, err := Start(t.Context(), Options{FrontPort: port, Dir: t.TempDir()})
	if err == nil {
		_ = s.Close()
		t.Fatal("two listeners on one port")
	}
	if text := err.Error(); !strings.Contains(text, "port "+strconv.Itoa(port)) || strings.Contains(text, "\n") {
		t.Errorf("got %q, want one line that names port %d", text, port)
	}
}

func TestMissingToolsAreNamed(t *testing.T) {
	_, err := deploy(t.Context(), t.TempDir(), t.TempDir(), "http://127.0.0.1:9", "Writ-x", nil)
	if err == nil || !strings.Contains(err.Error(), "make tools") {
		t.Errorf("got %v, want what to run", err)
	}
}

func TestRunTellsTheCauseInOneLine(t *testing.T) {
	log := filepath.Join(t.TempDir(), "x.log")
	err := run(t.Context(), t.TempDir(), log, os.Environ(), "sh", "-c", "echo before; echo the cause; echo 'exit status 3'; echo 'make: *** [x] Error 3'; exit 3")
	if err == nil {
		t.Fatal("a program that failed passes")
	}
	for _, want := range []string{"exit status 3", log, "its last words: the cause"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is more than one line", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, t.TempDir(), filepath.Join(t.TempDir(), "x.log"), os.Environ(), "sleep", "600"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
}

func TestTheOperatorsEnvironmentIsTheEmulators(t *testing.T) {
	t.Setenv("AWS_PROFILE", "production")
	t.Setenv("AWS_ENDPOINT_URL", "https://elsewhere.example")
	t.Setenv("MAKEFLAGS", "--jobserver")
	last := map[string]string{}
	for _, kv := range operatorEnv("http://127.0.0.1:9") {
		name, value, _ := strings.Cut(kv, "=")
		last[name] = value
	}
	if last["AWS_ENDPOINT_URL"] != "http://127.0.0.1:9" || last["AWS_ACCESS_KEY_ID"] != accessKey {
		t.Errorf("AWS is %q with key %q, want the emulator and its root", last["AWS_ENDPOINT_URL"], last["AWS_ACCESS_KEY_ID"])
	}
	for _, name := range []string{"AWS_PROFILE", "MAKEFLAGS"} {
		if value, there := last[name]; there {
			t.Errorf("%s=%s came through", name, value)
		}
	}
}
