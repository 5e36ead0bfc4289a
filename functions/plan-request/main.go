// Command plan-request turns a proved request into visits in waves.
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/flow/plan"
	"github.com/writ-dsr/writ/shared/platform/deploy"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
)

func main() {
	d := deploy.Must("plan-request")
	descriptors, err := connectors.Descriptors()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	stage := &plan.Stage{Company: d.Pack, Descriptors: descriptors, Ledger: d.Ledger, Keys: d.Vault, Hasher: d.Vault, Now: deploy.Now}
	lambda.Start(lambdax.Wrap(stage.Handle, d.Log))
}
