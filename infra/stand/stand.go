// Package stand makes the local stand that the demo, the smoke run and the
// end-to-end suite use: the emulator of AWS with IAM enforced, a real PostgreSQL
// server with synthetic learners, an inbox, the vendors' fakes, the deployed stack, and a
// front that serves the deployed pages at one address.
//
// Everything listens on the loopback address and every process is ended by
// Close; a stand that could not be made leaves none behind.
package stand

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"golang.org/x/sync/errgroup"

	"github.com/writ-dsr/writ/infra/stand/inbox"
	"github.com/writ-dsr/writ/shared/platform/checkout"
	"github.com/writ-dsr/writ/shared/platform/pgtest"
)

// stage is the literal name of the API's stage.
const stage = "live"

// What the company's systems.toml calls its database and its bucket of files.
const (
	database    = "app"
	filesBucket = "pythonmaster-files"
)

// assetsBucket is where the CDK's own-credentials synthesizer puts a
// deployment's files; on AWS `cdk bootstrap` makes it.
const assetsBucket = "cdk-hnb659fds-assets-" + Account + "-" + Region

// Options say what stand to make. The zero value is a stand on free ports
// without learners, whose state machine waits in real time.
type Options struct {
	Company string // the pack; pythonmaster unless said otherwise
	Sender  string // From address of every mail
	Officer string // the privacy officer's address

	FrontPort    int // of the pages and the inbox; 0 for a free one
	AWSPort      int // of the emulator; 0 for a free one
	PostgresPort int // of the database; 0 for a free one

	WaitScale string            // how long the machine's waits last, as a factor; "0" ends them at once
	Learners  []Learner         // who is in the company's systems
	Vendors   map[string]Vendor // the fakes, by system
	Secrets   map[string]string // further secrets, by <system>/<name>

	// EmulatorEnv is further environment of the emulator, for a test that
	// watches it from inside; the functions inherit it.
	EmulatorEnv []string

	// Gateway makes what the functions' calls to AWS pass on their way to the
	// emulator, for example to count them; nil for the straight way.
	Gateway func(emulator *url.URL) http.Handler

	Dir string           // where logs and the deployment's files go; a temporary folder unless said otherwise
	Say func(string)     // hears of each step, in one short sentence
	Now func() time.Time // the clock of the inbox
}

// Vendor is the fake of a vendor's API.
type Vendor struct {
	Handler http.Handler
	Secrets map[string]string // by name
}

// Stand is a running local stand.
type Stand struct {
	Front    string            // base URL of the pages
	AWS      string            // the emulator's endpoint
	Postgres string            // DSN of the company's database
	Vendors  map[string]string // base URLs of the fakes, by system
	Outputs  Outputs           // of the deployed stack
	Inbox    *inbox.Inbox
	Config   aws.Config // the operator's, root of the emulator's account
	Dir      string

	closers []func() error
}

// Start makes a stand. When ctx ends before it is complete, or a step fails, what was
// started is ended.
func Start(ctx context.Context, o Options) (_ *Stand, err error) {
	root, err := checkout.Root()
	if err != nil {
		return nil, err
	}
	o = withDefaults(o)
	s := &Stand{Dir: o.Dir, Vendors: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.makeDir(); err != nil {
		return nil, err
	}
	front, err := s.listen(o)
	if err != nil {
		return nil, err
	}
	o.Say("Building the functions …")
	if err := build(ctx, root, s.Dir); err != nil {
		return nil, err
	}
	accounts, err := s.startServers(ctx, root, o)
	if err != nil {
		return nil, err
	}
	o.Say("Giving the stack its secrets and its sender identity …")
	if err := s.furnish(ctx, o, accounts); err != nil {
		return nil, err
	}
	o.Say("Deploying the stack to the emulator …")
	if s.Outputs, err = deploy(ctx, root, s.Dir, s.AWS, "Writ-"+o.Company, s.inputs(o)); err != nil {
		return nil, err
	}
	return s, s.open(front)
}

// open lets the front serve the deployed pages.
func (s *Stand) open(f *front) error {
	target, err := pagesURL(s.AWS, s.Outputs["RestApiId"])
	if err != nil {
		return err
	}
	f.serve(target)
	return nil
}

func withDefaults(o Options) Options {
	if o.Company == "" {
		o.Company = "pythonmaster"
	}
	if o.Sender == "" {
		o.Sender = "privacy@pythonmaster.example"
	}
	if o.Officer == "" {
		o.Officer = "officer@pythonmaster.example"
	}
	if o.WaitScale == "" {
		o.WaitScale = "1"
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Close ends everything, last started first. It may be called more than once.
func (s *Stand) Close() error {
	var errs []error
	for len(s.closers) > 0 {
		last := len(s.closers) - 1
		errs = append(errs, s.closers[last]())
		s.closers = s.closers[:last]
	}
	return errors.Join(errs...)
}

func (s *Stand) onClose(f func() error) { s.closers = append(s.closers, f) }

func (s *Stand) makeDir() error {
	if s.Dir != "" {
		dir, err := filepath.Abs(s.Dir)
		if err != nil {
			return err
		}
		s.Dir = dir
		return os.MkdirAll(dir, 0o755)
	}
	dir, err := os.MkdirTemp("", "writ-stand-")
	if err != nil {
		return fmt.Errorf("making the stand's folder: %w", err)
	}
	s.Dir = dir
	s.onClose(func() error { return os.RemoveAll(dir) })
	return nil
}

// listen opens the inbox, the front and the fakes: all that lives in this process.
func (s *Stand) listen(o Options) (*front, error) {
	var err error
	if s.Inbox, err = inbox.Open(o.Now); err != nil {
		return nil, err
	}
	s.onClose(s.Inbox.Close)
	f := newFront(s.Inbox)
	if s.Front, err = s.serve(o.FrontPort, "the pages", f); err != nil {
		return nil, err
	}
	for system, v := range o.Vendors {
		if s.Vendors[system], err = s.serve(0, "the fake of "+system, v.Handler); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// serve serves h on a port of the loopback address and returns its URL.
func (s *Stand) serve(port int, what string, h http.Handler) (string, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return "", takenPort(port, what, err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	s.onClose(server.Close)
	return "http://" + listener.Addr().String(), nil
}

func takenPort(port int, what string, err error) error {
	return fmt.Errorf("port %d for %s is taken: end what uses it or choose another one (%w)", port, what, err)
}

// startServers starts the emulator and PostgreSQL, side by side, and returns the
// account number of every learner's address.
func (s *Stand) startServers(ctx context.Context, root string, o Options) (accounts map[string]int64, err error) {
	awsPort, err := portFor(o.AWSPort, "the emulator")
	if err != nil {
		return nil, err
	}
	postgresPort, err := portFor(o.PostgresPort, "PostgreSQL")
	if err != nil {
		return nil, err
	}
	o.Say("Starting the emulator of AWS and PostgreSQL …")
	gateway, err := s.gateway(o, awsPort)
	if err != nil {
		return nil, err
	}
	var e *emulator
	var pg *pgtest.Server
	var g errgroup.Group
	g.Go(func() (err error) {
		e, err = launch{
			root: root, dir: s.Dir, port: awsPort, gateway: gateway, smtp: s.Inbox.Addr(), waitScale: o.WaitScale, env: o.EmulatorEnv,
		}.start(ctx)
		return err
	})
	g.Go(func() (err error) {
		pg, err = pgtest.StartOn(ctx, postgresPort)
		return err
	})
	err = g.Wait()
	if e != nil {
		s.onClose(e.stop)
		s.AWS, s.Config = e.url, e.config()
	}
	if pg != nil {
		s.onClose(pg.Stop)
	}
	if err != nil {
		return nil, err
	}
	if s.Postgres, err = pg.Database(ctx, database); err != nil {
		return nil, err
	}
	return seedPostgres(ctx, s.Postgres, o.Learners)
}

// gateway opens what stands before the emulator on the functions' way; "" for nothing.
func (s *Stand) gateway(o Options, awsPort int) (string, error) {
	if o.Gateway == nil {
		return "", nil
	}
	emulator := &url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(awsPort))}
	return s.serve(0, "the way to the emulator", o.Gateway(emulator))
}

// portFor returns a port that is free now: the wanted one, or any.
func portFor(wanted int, what string) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(wanted)))
	if err != nil {
		return 0, takenPort(wanted, what, err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// furnish gives the account what a deployment expects to find: the bucket that
// deployments put their files into, the verified sender and the secrets; and the
// company's own bucket of files, filled.
func (s *Stand) furnish(ctx context.Context, o Options, accounts map[string]int64) error {
	objects := s.Objects()
	for _, bucket := range []string{assetsBucket, filesBucket} {
		if _, err := objects.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
			return fmt.Errorf("making the bucket %s: %w", bucket, err)
		}
	}
	if err := seedFiles(ctx, objects, accounts, o.Learners); err != nil {
		return err
	}
	secrets := map[string]string{database + "/dsn": s.Postgres}
	for system, v := range o.Vendors {
		for name, value := range v.Secrets {
			secrets[system+"/"+name] = value
		}
	}
	for name, value := range o.Secrets {
		secrets[name] = value
	}
	return s.entrust(ctx, o.Company, o.Sender, secrets)
}

// entrust verifies a company's sender and writes its secrets, by <system>/<name>.
func (s *Stand) entrust(ctx context.Context, company, sender string, secrets map[string]string) error {
	mail := ses.NewFromConfig(s.Config)
	if _, err := mail.VerifyEmailIdentity(ctx, &ses.VerifyEmailIdentityInput{EmailAddress: aws.String(sender)}); err != nil {
		return fmt.Errorf("verifying the sender identity: %w", err)
	}
	parameters := ssm.NewFromConfig(s.Config)
	for name, value := range secrets {
		_, err := parameters.PutParameter(ctx, &ssm.PutParameterInput{
			Name: aws.String("/writ/" + company + "/" + name), Value: aws.String(value), Type: ssmtypes.ParameterTypeSecureString,
		})
		if err != nil {
			return fmt.Errorf("writing the secret %s: %w", name, err)
		}
	}
	return nil
}

// Objects is a client of the emulator's object storage.
func (s *Stand) Objects() *s3.Client {
	return s3.NewFromConfig(s.Config, func(o *s3.Options) { o.UsePathStyle = true })
}

// inputs are the deploy-time inputs of the stack.
func (s *Stand) inputs(o Options) map[string]string {
	in := map[string]string{"company": o.Company, "url": s.Front, "sender": o.Sender, "officer": o.Officer, "emulator": "1"}
	for system, url := range s.Vendors {
		in["base."+system] = url
	}
	return in
}
