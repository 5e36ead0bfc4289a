// Command bundle-archive builds the copy from the exports.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/writ-dsr/writ/shared/flow/bundle"
	"github.com/writ-dsr/writ/shared/platform/deploy"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
)

func main() {
	d := deploy.Must("bundle-archive")
	stage := &bundle.Archive{Company: d.Pack, Ledger: d.Ledger, Objects: d.Objects, Now: deploy.Now}
	lambda.Start(lambdax.Wrap(stage.Handle, d.Log))
}
