// Command notify-bounce makes a bounced mail a state of its request.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/writ-dsr/writ/shared/flow/fanout"
	"github.com/writ-dsr/writ/shared/flow/notify"
	"github.com/writ-dsr/writ/shared/platform/deploy"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
)

func main() {
	d := deploy.Must("notify-bounce")
	attention := fanout.Attention{
		Company: d.Pack, Officer: d.Officer, Ledger: d.Ledger, Mail: d.Mail, Now: deploy.Now, Log: d.Log, Metric: d.Metric, URL: d.URL,
	}
	stage := &notify.Bounce{Ledger: d.Ledger, Attention: attention.Raise, Now: deploy.Now, Log: d.Log}
	lambda.Start(lambdax.Wrap(stage.Handle, d.Log))
}
