package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/writ-dsr/writ/infra/stand"
	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/connectors/stripe/stripefake"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/policy"
)

// How often an access is timed, after how many that warm the functions.
const (
	warm  = 3
	timed = 10
)

// access times a request for a copy over the company's systems with an API:
// from the moment the person sends the confirmation to the instant at which the
// ledger says answered, which is after the copy was mailed.
func access(ctx context.Context, p *place) ([]number, error) {
	s, err := start(ctx, p, apisOnly, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	say(fmt.Sprintf("Asking for %d copies, one after the other …", warm+timed))
	var took []float64
	for i := range warm + timed {
		one := person.New(learner(i), s.Inbox)
		seconds, err := answered(ctx, s, one)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("request %d: %w", i+1, err), keepLogs(s))
		}
		if i >= warm {
			took = append(took, seconds)
		}
	}
	slices.Sort(took)
	say(fmt.Sprintf("access took %.2f s to %.2f s", took[0], took[len(took)-1]))
	return []number{{"access_s", (took[timed/2-1] + took[timed/2]) / 2, "s"}}, nil
}

// cost counts what one request for a copy over twenty systems makes the
// functions call, the functions' own invocations and the machine's transitions,
// from the form to the downloaded file, and prices it. Every function starts
// cold, as they do where requests are rare.
func cost(ctx context.Context, p *place) ([]number, error) {
	prices, err := readPrices(pricesTOML)
	if err != nil {
		return nil, err
	}
	var r *recorder
	s, err := start(ctx, p, twenty, func(emulator *url.URL) http.Handler {
		r = newRecorder(prices, emulator)
		return r
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	keys, err := primaryKeys(ctx, s)
	if err != nil {
		return nil, err
	}
	say("Asking for one copy from twenty systems …")
	r.begin(keys)
	one := person.New(learner(0), s.Inbox)
	if _, err := answered(ctx, s, one); err != nil {
		return nil, errors.Join(err, keepLogs(s))
	}
	_, link, err := one.Mail(ctx, "/download")
	if err != nil {
		return nil, err
	}
	if _, err := one.Download(ctx, link); err != nil {
		return nil, err
	}
	calls, used, err := r.end()
	if err != nil {
		return nil, err
	}
	if err := addLambda(ctx, s, calls, used); err != nil {
		return nil, err
	}
	trace, err := walkOf(p.root, "access_20_systems")
	if err != nil {
		return nil, err
	}
	used["states.transition"] = float64(trace.Transitions)
	usd, err := prices.cost(used)
	if err != nil {
		return nil, err
	}
	prices.explain(os.Stderr, calls, used)
	return []number{{"cost_usd_per_request", usd, "USD"}}, nil
}

// start makes a stand for one of the bench's companies, in the copy of the checkout.
func start(ctx context.Context, p *place, company string, gateway func(*url.URL) http.Handler) (*stand.Stand, error) {
	if err := copyCheckout(p.root, p.copy); err != nil {
		return nil, err
	}
	if err := os.Chdir(p.copy); err != nil {
		return nil, err
	}
	defer func() { _ = os.Chdir(p.root) }()
	fake := stripefake.New()
	var learners []stand.Learner
	for i := range warm + timed {
		l := stand.Learner{Name: fmt.Sprintf("Learner %d", i), Email: learner(i), Phone: "+46 8 555 0100", Courses: 4, Payments: 3, Files: 2, Newsletter: true}
		l.StripeCustomer = fake.Seed(dsrtest.Person{Name: l.Name, Email: l.Email, Phone: l.Phone, City: "Tech City"})
		learners = append(learners, l)
	}
	pack, err := policy.LoadFS(os.DirFS(filepath.Join(p.copy, "shared", "policy")), company)
	if err != nil {
		return nil, err
	}
	vendors := map[string]stand.Vendor{}
	for _, system := range pack.Systems {
		if system.Connector == "stripe" {
			vendors[system.ID] = stand.Vendor{Handler: fake, Secrets: map[string]string{"api_key": stripefake.Key}}
		}
	}
	return stand.Start(ctx, stand.Options{
		Company: company, Learners: learners, Vendors: vendors, WaitScale: "0", Gateway: gateway, Say: say, Dir: filepath.Join(p.dir, company),
	})
}

func learner(i int) string { return fmt.Sprintf("learner.%d@learner.example", i) }

// answered takes a person from the form to the answer and returns the seconds
// between the confirmation and the answer.
func answered(ctx context.Context, s *stand.Stand, p *person.Person) (seconds float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	code, err := p.Ask(ctx, s.Front, person.Request{Rights: []string{"access"}, Name: "A Learner", Country: "SE"})
	if err != nil {
		return 0, err
	}
	_, link, err := p.Mail(ctx, "/confirm")
	if err != nil {
		return 0, err
	}
	page, err := p.Browser.Get(ctx, link)
	if err != nil {
		return 0, err
	}
	form, err := page.Form("code")
	if err != nil {
		return 0, err
	}
	if err := errors.Join(form.Set("code", code), form.Set("confirm", "yes")); err != nil {
		return 0, err
	}
	begun := time.Now()
	if page, err = form.Submit(ctx); err != nil {
		return 0, err
	}
	id, err := dsr.ParseRequestID(reference.FindString(page.Text()))
	if err != nil {
		return 0, fmt.Errorf("the page %q after the confirmation names no reference", page.Heading())
	}
	r, err := settled(ctx, s, id)
	if err != nil {
		return 0, err
	}
	return r.AnsweredAt.Sub(begun).Seconds(), nil
}

var reference = regexp.MustCompile(`\bw[a-z2-7]{25}\b`)

// settled waits until a request is completed. It looks rarely: each look is
// work for the emulator, and the answer's instant is in the record.
func settled(ctx context.Context, s *stand.Stand, id dsr.RequestID) (ledger.Request, error) {
	book := s.Ledger()
	for {
		select {
		case <-ctx.Done():
			return ledger.Request{}, fmt.Errorf("waiting for the answer to request %s: %w", id, ctx.Err())
		case <-time.After(250 * time.Millisecond):
		}
		r, err := book.Request(ctx, id)
		if err != nil {
			return r, err
		}
		switch r.Status {
		case dsr.Completed:
			return r, nil
		case dsr.Verifying, dsr.Running:
		default:
			return r, fmt.Errorf("the request is %s, want completed: not every system answered", r.Status)
		}
	}
}

// keepLogs saves what the functions logged beside the deployment's files.
func keepLogs(s *stand.Stand) error {
	f, err := os.Create(filepath.Join(s.Dir, "functions.log"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return errors.Join(s.Logs(ctx, f), f.Close())
}

// primaryKeys reads how the stack's tables are keyed.
func primaryKeys(ctx context.Context, s *stand.Stand) (map[string][]string, error) {
	client := dynamodb.NewFromConfig(s.Config)
	keys := map[string][]string{}
	for name, table := range s.Outputs {
		if !strings.HasPrefix(name, "Table") {
			continue
		}
		out, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String(table)})
		if err != nil {
			return nil, fmt.Errorf("reading the keys of the table %s: %w", table, err)
		}
		for _, k := range out.Table.KeySchema {
			keys[table] = append(keys[table], aws.ToString(k.AttributeName))
		}
	}
	return keys, nil
}

// callSeconds is what a call of a function is reckoned to last.
const callSeconds = 0.3

// pages are the functions that only the API calls: each call of one is a call
// of the API.
var pages = []string{"intake-form", "verify-answer", "notify-status", "bundle-download", "fanout-answer", "desk"}

// addLambda counts the functions' calls, which do not pass the recorder, in
// their logs.
func addLambda(ctx context.Context, s *stand.Stand, calls map[string]int, used units) error {
	var logs bytes.Buffer
	if err := s.Logs(ctx, &logs); err != nil {
		return err
	}
	client := lambda.NewFromConfig(s.Config)
	for line := range strings.Lines(logs.String()) {
		group, message, _ := strings.Cut(line, " ")
		name, isFunction := strings.CutPrefix(group, "/aws/lambda/")
		if !isFunction || !strings.HasPrefix(message, "START ") {
			continue
		}
		calls["lambda "+name]++
	}
	for call, n := range calls {
		name, isFunction := strings.CutPrefix(call, "lambda ")
		if !isFunction {
			continue
		}
		out, err := client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(name)})
		if err != nil {
			return fmt.Errorf("reading the memory of the function %s: %w", name, err)
		}
		used["lambda.request"] += float64(n)
		used["lambda.gb_second"] += float64(n) * callSeconds * float64(aws.ToInt32(out.MemorySize)) / 1024
		if slices.ContainsFunc(pages, func(page string) bool { return strings.HasSuffix(name, "-"+page) }) {
			used["apigateway.request"] += float64(n)
		}
	}
	if used["lambda.request"] == 0 {
		return errors.New("counting the functions' calls: their logs show none")
	}
	return nil
}
