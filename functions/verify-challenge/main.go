// Command verify-challenge mails the link by which a person proves a request.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/writ-dsr/writ/shared/flow/verify"
	"github.com/writ-dsr/writ/shared/platform/deploy"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
)

func main() {
	d := deploy.Must("verify-challenge")
	stage := &verify.Challenge{
		Company: d.Pack, Ledger: d.Ledger, Keys: d.Vault, Mail: d.Mail, Machine: d.Machine(), Now: deploy.Now, URL: d.URL,
	}
	lambda.Start(lambdax.Wrap(stage.Handle, d.Log))
}
