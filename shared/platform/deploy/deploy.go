// Package deploy opens what a deployed function works with: its settings from
// the environment that the stack set, and the clients made of them.
package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/caarlos0/env/v11"

	"github.com/writ-dsr/writ/shared/ledger/dynamo"
	"github.com/writ-dsr/writ/shared/platform/lambdax"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/platform/metric"
	"github.com/writ-dsr/writ/shared/platform/objects"
	"github.com/writ-dsr/writ/shared/platform/vault"
	"github.com/writ-dsr/writ/shared/policy"
)

// Settings are the names the stack sets on every function.
type Settings struct {
	Company      string `env:"WRIT_COMPANY,required,notEmpty"`
	Stack        string `env:"WRIT_STACK,required,notEmpty"`
	URL          string `env:"WRIT_URL,required,notEmpty"`
	Sender       string `env:"WRIT_SENDER,required,notEmpty"`
	Officer      string `env:"WRIT_OFFICER,required,notEmpty"`
	Requests     string `env:"WRIT_TABLE_REQUESTS,required,notEmpty"`
	Subjects     string `env:"WRIT_TABLE_SUBJECTS,required,notEmpty"`
	Tasks        string `env:"WRIT_TABLE_TASKS,required,notEmpty"`
	Events       string `env:"WRIT_TABLE_EVENTS,required,notEmpty"`
	Holds        string `env:"WRIT_TABLE_HOLDS,required,notEmpty"`
	Tokens       string `env:"WRIT_TABLE_TOKENS,required,notEmpty"`
	Suppression  string `env:"WRIT_TABLE_SUPPRESSION,required,notEmpty"`
	Bucket       string `env:"WRIT_BUCKET,required,notEmpty"`
	KeyData      string `env:"WRIT_KEY_DATA,required,notEmpty"`
	KeyMac       string `env:"WRIT_KEY_MAC,required,notEmpty"`
	MachineARN   string `env:"WRIT_MACHINE_ARN"`
	RetentionARN string `env:"WRIT_RETENTION_ARN"`
	ConfigSet    string `env:"WRIT_CONFIG_SET"`
	System       string `env:"WRIT_SYSTEM"`
	Emulator     bool   `env:"WRIT_EMULATOR"`
}

// Deployment is one function's world, opened once at its start.
type Deployment struct {
	Settings
	Pack    *policy.Company
	Ledger  *dynamo.Store
	Vault   *vault.Vault
	Mail    *mail.SES
	Objects *objects.Store
	AWS     aws.Config
	Log     *slog.Logger
	Metric  *metric.Counter
}

// Open reads the environment and makes the clients. The error names every
// variable that is missing or empty.
func Open(ctx context.Context, function string) (*Deployment, error) {
	d := &Deployment{Log: lambdax.Logger(function)}
	if err := env.Parse(&d.Settings); err != nil {
		var all env.AggregateError
		if errors.As(err, &all) {
			var names []string
			for _, e := range all.Errors {
				names = append(names, e.Error())
			}
			return nil, fmt.Errorf("opening %s: %s", function, strings.Join(names, "; "))
		}
		return nil, fmt.Errorf("opening %s: %w", function, err)
	}
	d.Metric = metric.New(d.Company, os.Stdout, Now)
	pack, err := policy.Load(d.Company)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", function, err)
	}
	d.Pack = pack
	if d.AWS, err = config.LoadDefaultConfig(ctx); err != nil {
		return nil, fmt.Errorf("opening %s: reading the AWS configuration: %w", function, err)
	}
	d.Ledger = dynamo.New(dynamodb.NewFromConfig(d.AWS), dynamo.Tables{
		Requests: d.Requests, Subjects: d.Subjects, Tasks: d.Tasks, Events: d.Events, Holds: d.Holds, Tokens: d.Tokens, Suppression: d.Suppression,
	})
	d.Vault = vault.New(kms.NewFromConfig(d.AWS), d.KeyData, d.KeyMac)
	d.Mail = mail.NewSES(ses.NewFromConfig(d.AWS), d.Sender, d.ConfigSet)
	d.Objects = objects.New(s3.NewFromConfig(d.AWS, func(o *s3.Options) { o.UsePathStyle = d.Emulator }), d.Bucket)
	return d, nil
}

// Must is Open for a main: what is missing ends the function with one line.
func Must(function string) *Deployment {
	d, err := Open(context.Background(), function)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return d
}

// Now is the clock of the functions.
func Now() time.Time { return time.Now().UTC() }

// BaseURL is the deploy-time override of a system's base URL, or "".
func (d *Deployment) BaseURL(system string) string {
	return os.Getenv("WRIT_BASE_" + strings.ToUpper(strings.ReplaceAll(system, "-", "_")))
}

// BucketOrigin is the origin of the bucket's links, for the pages' security
// policy: a form's answer may lead there and nowhere else.
func (d *Deployment) BucketOrigin() string {
	if d.Emulator {
		return strings.TrimRight(os.Getenv("AWS_ENDPOINT_URL"), "/")
	}
	return "https://" + d.Bucket + ".s3." + d.AWS.Region + ".amazonaws.com"
}
