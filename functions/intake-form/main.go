// Command intake-form is the form: a person's wish becomes a request.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/writ-dsr/writ/shared/flow/intake"
	"github.com/writ-dsr/writ/shared/platform/deploy"
	"github.com/writ-dsr/writ/shared/platform/web"
)

func main() {
	d := deploy.Must("intake-form")
	stage := intake.New(intake.Deps{
		Company: d.Pack, Ledger: d.Ledger, Keys: d.Vault, Hasher: d.Vault, Machine: d.Machine(), Now: deploy.Now, Log: d.Log,
	})
	lambda.Start(web.Adapt(stage.Handle, d.Log, intake.Many...))
}
