// Command fanout-answer serves the page of a person's task.
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/platform/deploy"
	"github.com/writ-dsr/writ/shared/platform/web"
)

func main() {
	d := deploy.Must("fanout-answer")
	descriptors, err := connectors.Descriptors()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	machine := d.Machine()
	stage := fanout.NewAnswer(fanout.Answer{
		Company: d.Pack, Descriptors: descriptors, Officer: d.Officer, Ledger: d.Ledger, Keys: d.Vault, Hasher: d.Vault, Mail: d.Mail,
		Machine: machine, Runs: machine, Uploads: d.Uploads(), Now: deploy.Now, Log: d.Log, URL: d.URL,
	})
	lambda.Start(web.Adapt(stage.Handle, d.Log))
}
