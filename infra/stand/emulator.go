package stand

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/writ-dsr/writ/shared/platform/checkout"
	"github.com/writ-dsr/writ/shared/platform/child"
)

// The emulator's operator: root of its one account, which IAM does not check.
// The roles of the Lambdas are checked.
const (
	Region    = "us-east-1"
	Account   = "000000000000"
	accessKey = "test"
	secretKey = "test"
)

// emulatorReadyWithin bounds the emulator's start, which takes about a second.
const emulatorReadyWithin = 60 * time.Second

// emulator is a running MiniStack.
type emulator struct {
	url     string
	home    string // its files, gone with it
	process *child.Process
}

// Emulated starts an emulator and nothing else, for tests of one store or one
// client. It returns an environment in which AWS is that emulator, and what ends it.
func Emulated(ctx context.Context) (env []string, end func() error, err error) {
	root, err := checkout.Root()
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "writ-emulator-")
	if err != nil {
		return nil, nil, fmt.Errorf("making the emulator's folder: %w", err)
	}
	port, err := portFor(0, "the emulator")
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	// Nobody reads its mails: nothing listens on the discard port.
	e, err := launch{root: root, dir: dir, port: port, smtp: "127.0.0.1:9", waitScale: "0"}.start(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return operatorEnv(e.url), func() error { return errors.Join(e.stop(), os.RemoveAll(dir)) }, nil
}

// launch is how an emulator is started.
type launch struct {
	root      string   // of the checkout, where the emulator is installed
	dir       string   // its files go to dir/emulator, its log to dir/emulator.log
	port      int      // where it listens
	gateway   string   // where functions find AWS; "" for the emulator itself
	smtp      string   // host and port that its mails are relayed to
	waitScale string   // how long the machine's waits last, as a factor
	env       []string // further environment, which the functions inherit
}

// url is where the emulator answers.
func (l launch) url() string { return "http://127.0.0.1:" + strconv.Itoa(l.port) }

// start starts MiniStack with IAM enforced and waits until it answers.
func (l launch) start(ctx context.Context) (*emulator, error) {
	program := filepath.Join(l.root, ".tools", "venv", "bin", "ministack")
	if _, err := os.Stat(program); err != nil {
		return nil, errors.New("the emulator is not installed: run make tools")
	}
	log, err := os.Create(filepath.Join(l.dir, "emulator.log"))
	if err != nil {
		return nil, fmt.Errorf("opening the emulator's log: %w", err)
	}
	defer func() { _ = log.Close() }()

	home := filepath.Join(l.dir, "emulator")
	if err := errors.Join(os.RemoveAll(home), os.Mkdir(home, 0o755)); err != nil {
		return nil, fmt.Errorf("making the emulator's folder: %w", err)
	}
	e := &emulator{home: home, url: l.url()}
	gateway := l.gateway
	if gateway == "" {
		gateway = l.url()
	}
	cmd := exec.Command(program)
	// The Lambdas inherit this environment whole: it holds nothing of ours.
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home, "LC_ALL=C.UTF-8", "TZ=UTC",
		"AUTH=true", "BIND_HOST=127.0.0.1", "GATEWAY_PORT=" + strconv.Itoa(l.port), "AWS_ENDPOINT_URL=" + gateway,
		"MINISTACK_REGION=" + Region, "MINISTACK_ACCOUNT_ID=" + Account,
		"AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey,
		"SFN_WAIT_SCALE=" + l.waitScale, "SMTP_HOST=" + l.smtp, "LOG_LEVEL=WARNING",
		"S3_DATA_DIR=" + filepath.Join(home, "s3"), "STATE_DIR=" + filepath.Join(home, "state"),
	}
	cmd.Env = append(cmd.Env, l.env...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = home, log, log
	if e.process, err = child.Start(cmd); err != nil {
		return nil, err
	}
	if err := e.ready(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w%s", err, lastWords(log.Name())), e.stop())
	}
	return e, nil
}

func (e *emulator) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, emulatorReadyWithin)
	defer cancel()
	for {
		err := healthy(ctx, e.url)
		if err == nil {
			return nil
		}
		select {
		case <-e.process.Done():
			return fmt.Errorf("starting the emulator: it ended at once (%v)", e.process.Err())
		case <-ctx.Done():
			return fmt.Errorf("waiting for the emulator at %s: %w", e.url, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// healthy reports whether an emulator answers at url.
func healthy(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/_ministack/health", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answered %s", resp.Status)
	}
	return nil
}

// stop ends the emulator and, with its process group, every Lambda it runs.
func (e *emulator) stop() error {
	return errors.Join(e.process.Stop(syscall.SIGTERM, 5*time.Second), os.RemoveAll(e.home))
}

// config is the operator's way to the emulator's services.
func (e *emulator) config() aws.Config {
	return aws.Config{
		Region:       Region,
		BaseEndpoint: aws.String(e.url),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, nil
		}),
	}
}

// lastWords is the last line of a log that tells a cause, to end an error's
// sentence with: make, go run and cdk add that something failed.
func lastWords(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for _, line := range slices.Backward(strings.Split(strings.TrimSpace(string(raw)), "\n")) {
		if line != "" && !strings.HasPrefix(line, "make") && !strings.HasPrefix(line, "exit status") && !strings.HasSuffix(line, "exited with error 1") {
			return "; its last words: " + strings.TrimSpace(line)
		}
	}
	return ""
}
