// Command sweep does what the hour brings, and looks at executions that ended.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/flow/sweep"
	"github.com/writ-dsr/writ/shared/flow/verify"
	"github.com/writ-dsr/writ/shared/platform/deploy"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
)

func main() {
	d := deploy.Must("sweep")
	descriptors, err := connectors.Descriptors()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	machine := d.Machine()
	stage := &sweep.Stage{
		Company: d.Pack, Ledger: d.Ledger, Machine: machine, Objects: d.Objects, Keys: d.Vault, Hasher: d.Vault, MACer: d.Vault, Retention: d.Retention(), Descriptors: descriptors, Metric: d.Metric, Log: d.Log,
		People: func(now func() time.Time) sweep.People {
			return &fanout.Manual{Company: d.Pack, Officer: d.Officer, Ledger: d.Ledger, Keys: d.Vault, Mail: d.Mail, Machine: machine, Now: now, Log: d.Log, Metric: d.Metric, URL: d.URL}
		},
		Challenges: func(now func() time.Time) sweep.Challenges {
			return &verify.Challenge{Company: d.Pack, Ledger: d.Ledger, Keys: d.Vault, Mail: d.Mail, Machine: machine, Now: now, URL: d.URL}
		},
	}
	lambda.Start(lambdax.Wrap(stage.Handle, d.Log))
}
