// Command notify-bounce makes a bounced mail a state of its request.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/writ-dsr/writ/shared/flow/notify"
	"github.com/writ-dsr/writ/shared/platform/deploy"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
)

func main() {
	d := deploy.Must("notify-bounce")
	stage := &notify.Bounce{Ledger: d.Ledger, Now: deploy.Now, Log: d.Log}
	lambda.Start(lambdax.Wrap(stage.Handle, d.Log))
}
