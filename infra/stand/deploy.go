package stand

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/writ-dsr/writ/shared/platform/child"
)

// Outputs are the CloudFormation outputs of the stack, by name.
type Outputs map[string]string

// build makes the Lambdas for this machine, which the emulator runs as its
// processes. What the build says goes to dir/build.log.
func build(ctx context.Context, root, dir string) error {
	if err := run(ctx, root, filepath.Join(dir, "build.log"), plainEnv(), "make", "--no-print-directory", "build", "ARCH=host"); err != nil {
		return fmt.Errorf("building the functions: %w", err)
	}
	return nil
}

// deploy runs the pinned CDK command against the emulator with the given
// deploy-time inputs and returns the stack's outputs. What the command says goes to
// dir/deploy.log.
func deploy(ctx context.Context, root, dir, endpoint, stack string, inputs map[string]string) (Outputs, error) {
	program := filepath.Join(root, "node_modules", ".bin", "cdk")
	if _, err := os.Stat(program); err != nil {
		return nil, errors.New("the CDK command is not installed: run make tools")
	}
	outputs := filepath.Join(dir, "outputs.json")
	args := []string{"deploy", stack, "--require-approval", "never", "--outputs-file", outputs, "--output", filepath.Join(dir, "cdk.out"),
		"--progress", "events", "--ci", "--no-color", "--no-notices", "--no-version-reporting", "--no-path-metadata", "--no-asset-metadata"}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		args = append(args, "-c", name+"="+inputs[name])
	}
	if err := run(ctx, root, filepath.Join(dir, "deploy.log"), operatorEnv(endpoint), program, args...); err != nil {
		return nil, fmt.Errorf("deploying %s: %w", stack, err)
	}
	raw, err := os.ReadFile(outputs)
	if err != nil {
		return nil, fmt.Errorf("reading the outputs of %s: %w", stack, err)
	}
	var all map[string]Outputs
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("reading the outputs of %s: %w", stack, err)
	}
	if len(all[stack]) == 0 {
		return nil, fmt.Errorf("reading the outputs of %s: the deployment left none", stack)
	}
	return all[stack], nil
}

// plainEnv is our environment without what points at a developer's own AWS
// account and without what a make that runs us tells its children.
func plainEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "AWS_") || strings.HasPrefix(kv, "MAKE") || strings.HasPrefix(kv, "MFLAGS=")
	})
}

// operatorEnv is our environment with the emulator for AWS.
func operatorEnv(endpoint string) []string {
	return append(plainEnv(),
		"AWS_ENDPOINT_URL="+endpoint, "AWS_ENDPOINT_URL_S3="+endpoint, "AWS_REGION="+Region, "AWS_DEFAULT_REGION="+Region,
		"AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey, "AWS_EC2_METADATA_DISABLED=true",
		"CDK_DEFAULT_ACCOUNT="+Account, "CDK_DEFAULT_REGION="+Region,
		"CDK_DISABLE_CLI_TELEMETRY=true", "CDK_DISABLE_VERSION_CHECK=1", "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=1",
		"ARCH=host")
}

// run runs a program to its end, its words in the file log. When ctx ends, the
// program's whole process group ends with it.
func run(ctx context.Context, dir, log string, env []string, program string, args ...string) error {
	out, err := os.Create(log)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, out, out
	p, err := child.Start(cmd)
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		return errors.Join(ctx.Err(), p.Stop(syscall.SIGTERM, 5*time.Second))
	}
	if err := p.Err(); err != nil {
		return fmt.Errorf("%w (all of it in %s)%s", err, log, lastWords(log))
	}
	return nil
}
