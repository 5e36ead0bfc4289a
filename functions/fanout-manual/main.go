// Command fanout-manual opens a person's task, and gives a stopped request its owner.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/platform/deploy"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
)

func main() {
	d := deploy.Must("fanout-manual")
	stage := &fanout.Manual{
		Company: d.Pack, Officer: d.Officer, Ledger: d.Ledger, Keys: d.Vault, Mail: d.Mail, Machine: d.Machine(), Now: deploy.Now, Log: d.Log, Metric: d.Metric, URL: d.URL,
	}
	lambda.Start(lambdax.Wrap(stage.Handle, d.Log))
}
