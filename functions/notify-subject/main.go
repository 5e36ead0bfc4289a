// Command notify-subject writes to the person.
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/flow/notify"
	"github.com/writ-dsr/writ/shared/platform/deploy"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
)

func main() {
	d := deploy.Must("notify-subject")
	keeps, err := connectors.Keeps()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	stage := &notify.Subject{Company: d.Pack, Keeps: keeps, Ledger: d.Ledger, Keys: d.Vault, Mail: d.Mail, Now: deploy.Now, URL: d.URL}
	lambda.Start(lambdax.Wrap(stage.Handle, d.Log))
}
