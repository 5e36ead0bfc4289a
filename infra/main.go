// Command infra declares Writ's AWS resources: one CDK app with one stack, named
// Writ-<company>. The CDK command runs it; cdk.json tells how.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/writ-dsr/writ/infra/jsii"
	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/policy"
	"github.com/writ-dsr/writ/statemachines"
)

func main() {
	if err := run(".", os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "writ infra:", err)
		os.Exit(1)
	}
}

// run declares the stack for the context the CDK command gives and writes the
// assembly where it asks for it. Root is the project's root.
func run(root string, log io.Writer) (err error) {
	k, err := boot(root, log)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := k.Close(); err == nil {
			err = cerr
		}
	}()
	app := newApp(k, nil)
	if err := build(k, app, root); err != nil {
		return err
	}
	k.Invoke(app, "synth")
	return k.Err()
}

// build reads the company of the app's context and declares its stack.
func build(k *jsii.Kernel, app jsii.Ref, root string) error {
	node := k.Get(app, "node").Ref()
	get := func(name string) string { return k.Invoke(node, "tryGetContext", name).Text() }
	pack, err := policy.Load(companyOf(get))
	if err != nil {
		return fmt.Errorf("reading the company's files: %w", err)
	}
	s, err := readSettings(get, pack)
	if err != nil {
		return err
	}
	shelf, err := connectors.Descriptors()
	if err != nil {
		return err
	}
	if err := pack.CheckAgainst(connectors.Capabilities(shelf)); err != nil {
		return fmt.Errorf("reading the company's files: %w", err)
	}
	_, err = newStack(k, app, inputs{
		settings:   s,
		pack:       pack,
		shelf:      shelf,
		definition: statemachines.Request,
		retention:  statemachines.Retention,
		bin:        filepath.Join(root, "bin"),
	})
	return err
}

// packages are loaded in the order of their dependencies.
var packages = []string{
	"constructs",
	"@aws-cdk/asset-awscli-v1",
	"@aws-cdk/asset-node-proxy-agent-v6",
	"@aws-cdk/cloud-assembly-schema",
	"aws-cdk-lib",
}

// boot starts a kernel with the CDK library in it.
func boot(root string, log io.Writer, more ...string) (*jsii.Kernel, error) {
	k, err := jsii.Start(filepath.Join(root, "node_modules"), filepath.Join(root, ".tools", "jsii"), log)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Concat(packages, more) {
		k.Load(name)
	}
	if err := k.Err(); err != nil {
		_ = k.Close()
		return nil, err
	}
	return k, nil
}

// newApp makes an app; tests give context and folder, the CDK command its own.
func newApp(k *jsii.Kernel, props jsii.Map) jsii.Ref {
	all := jsii.Map{"analyticsReporting": false}
	for name, value := range props {
		all[name] = value
	}
	return k.Create("aws-cdk-lib.App", all)
}
