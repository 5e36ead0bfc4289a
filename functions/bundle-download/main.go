// Command bundle-download gives the bundle to the person it was made for.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/writ-dsr/writ/shared/flow/bundle"
	"github.com/writ-dsr/writ/shared/platform/deploy"
	"github.com/writ-dsr/writ/shared/platform/web"
)

func main() {
	d := deploy.Must("bundle-download")
	stage := bundle.NewDownload(bundle.Download{
		Company: d.Pack, Ledger: d.Ledger, Keys: d.Vault, Hasher: d.Vault, Mail: d.Mail, Objects: d.Objects, Origin: d.BucketOrigin(), Now: deploy.Now,
	})
	lambda.Start(web.Adapt(stage.Handle, d.Log))
}
