// Command collect-results reads the ledger and says whether the request is complete.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/writ-dsr/writ/shared/flow/collect"
	"github.com/writ-dsr/writ/shared/platform/deploy"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
)

func main() {
	d := deploy.Must("collect-results")
	stage := &collect.Stage{Company: d.Pack, Ledger: d.Ledger, Now: deploy.Now}
	lambda.Start(lambdax.Wrap(stage.Handle, d.Log))
}
