// Command sweep-records ends Writ's own evidence when the time of the pack's
// [records] has passed. It is the only function that may delete an event.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/writ-dsr/writ/shared/flow/sweep"
	"github.com/writ-dsr/writ/shared/platform/deploy"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
)

func main() {
	d := deploy.Must("sweep-records")
	stage := &sweep.Records{Company: d.Pack, Ledger: d.Ledger, Log: d.Log}
	lambda.Start(lambdax.Wrap(stage.Handle, d.Log))
}
