// Command fanout-task does one visit on one system, or lists there what has
// expired: the only function that links vendors, deployed once for each system
// that has an API.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connector/export"
	"github.com/writ-dsr/writ/shared/connectors/all"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/platform/deploy"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
)

func main() {
	d := deploy.Must("fanout-task")
	bound, err := d.Bind()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	secrets := d.Secrets()
	open := func(ctx context.Context) (connector.Connector, error) {
		cfg, err := d.Config(ctx, bound, secrets)
		if err != nil {
			return nil, err
		}
		return all.Open(bound.Descriptor.Code, cfg)
	}
	const reserve = 60 * time.Second
	stage := &fanout.Task{
		Company: d.Pack, System: bound.System, Descriptor: bound.Descriptor, Open: open,
		Ledger: d.Ledger, Keys: d.Vault, Hasher: d.Vault,
		Parts: func(id dsr.RequestID, system string, next int) connector.Parts {
			return export.NewWriter(d.Objects, "exports/"+string(id)+"/"+system, next)
		},
		Now: deploy.Now, Reserve: reserve,
	}
	listing := &fanout.Expired{
		Company: d.Pack, System: bound.System, Descriptor: bound.Descriptor, Open: open,
		Ledger: d.Ledger, Keys: d.Vault, Hasher: d.Vault, Now: deploy.Now, Reserve: reserve,
	}
	visit, list := lambdax.Wrap(stage.Handle, d.Log), lambdax.Wrap(listing.Handle, d.Log)
	lambda.Start(func(ctx context.Context, payload json.RawMessage) (any, error) {
		if fanout.Lists(payload) {
			return list(ctx, payload)
		}
		return visit(ctx, payload)
	})
}
