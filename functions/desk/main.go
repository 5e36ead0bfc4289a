// Command desk takes the acts of the privacy team.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/writ-dsr/writ/shared/flow/desk"
	"github.com/writ-dsr/writ/shared/platform/deploy"
	"github.com/writ-dsr/writ/shared/platform/web"
)

func main() {
	d := deploy.Must("desk")
	stage := &desk.Stage{Company: d.Pack, Ledger: d.Ledger, Hasher: d.Vault, Keys: d.Vault, Mail: d.Mail, Machine: d.Machine(), URL: d.URL, Now: deploy.Now, Log: d.Log}
	lambda.Start(web.Adapt(stage.Handle, d.Log))
}
