// Command verify-answer takes the person's code, or that it was not them.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/writ-dsr/writ/shared/flow/verify"
	"github.com/writ-dsr/writ/shared/platform/deploy"
	"github.com/writ-dsr/writ/shared/platform/web"
)

func main() {
	d := deploy.Must("verify-answer")
	stage := verify.NewAnswer(verify.Answer{
		Company: d.Pack, Ledger: d.Ledger, Keys: d.Vault, Hasher: d.Vault, Machine: d.Machine(), Now: deploy.Now, Log: d.Log, URL: d.URL,
	})
	lambda.Start(web.Adapt(stage.Handle, d.Log))
}
