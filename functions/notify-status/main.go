// Command notify-status serves the status page.
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/flow/notify"
	"github.com/writ-dsr/writ/shared/platform/deploy"
	"github.com/writ-dsr/writ/shared/platform/web"
)

func main() {
	d := deploy.Must("notify-status")
	keeps, err := connectors.Keeps()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	stage := notify.NewStatus(notify.Status{
		Subject: notify.Subject{Company: d.Pack, Keeps: keeps, Keys: d.Vault, Mail: d.Mail, Now: deploy.Now, URL: d.URL},
		Ledger:  d.Ledger, Machine: d.Machine(), Log: d.Log,
	})
	lambda.Start(web.Adapt(stage.Handle, d.Log))
}
