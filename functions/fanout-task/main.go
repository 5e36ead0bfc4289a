// Command fanout-task does one visit on one system: the only function that links vendors, deployed once per system.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/export"
	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/connectors/all"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/platform/deploy"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
)

func main() {
	d := deploy.Must("fanout-task")
	system, descriptor, err := connectors.Bind(d.Pack, d.System)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	secrets := d.Secrets()
	stage := &fanout.Task{
		Company: d.Pack, System: system, Descriptor: descriptor,
		Open: func(ctx context.Context) (connector.Connector, error) {
			values, err := secrets.Read(ctx, system.ID, descriptor)
			if err != nil {
				return nil, err
			}
			return all.Open(descriptor.Code, connector.Config{
				System: system.ID, BaseURL: d.BaseURL(system.ID), Secrets: values, Settings: system.Settings, Mapping: system.Raw, Emulator: d.Emulator, Now: deploy.Now,
			})
		},
		Ledger: d.Ledger, Keys: d.Vault, Hasher: d.Vault,
		Parts: func(id dsr.RequestID, system string, next int) connector.Parts {
			return export.NewWriter(d.Objects, "exports/"+string(id)+"/"+system, next)
		},
		Now: deploy.Now, Reserve: 60 * time.Second,
	}
	lambda.Start(lambdax.Wrap(stage.Handle, d.Log))
}
