package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/writ-dsr/writ/infra/stand"
	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/connectors/stripe/stripefake"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/platform/checkout"
	"github.com/writ-dsr/writ/shared/policy"
)

// demoPeople are the people of the demo, whom docs/demo.md lists, and the payment
// company, where everybody who paid is a customer.
func demoPeople() ([]stand.Learner, *stripefake.Fake) {
	learners := []stand.Learner{
		{Name: "Maya Lindqvist", Email: reader, Phone: "+46 8 555 0101", Courses: 4, Payments: 3, Files: 2, Newsletter: true},
		{Name: "Jonas Abebe", Email: leaver, Phone: "+49 30 555 0102", Courses: 3, Payments: 2, Files: 1, Newsletter: true, StudiesWith: reader},
		{Name: "Priya Raman", Email: "priya.raman@learner.example", Phone: "+44 20 555 0103", Courses: 2, Files: 3},
		{Name: "Tomas Novak", Email: "tomas.novak@learner.example", Courses: 1, Payments: 1},
		{Name: "Maya Work", Email: "maya.lindqvist+work@learner.example", Courses: 1, Newsletter: true},
	}
	stripe := stripefake.New()
	for i, l := range learners {
		if l.Payments > 0 {
			learners[i].StripeCustomer = stripe.Seed(dsrtest.Person{Name: l.Name, Email: l.Email, Phone: l.Phone, City: "Tech City"})
		}
	}
	return learners, stripe
}

// endpoints is what .demo/endpoints.json holds while the demo runs.
type endpoints struct {
	Form            string `json:"form"`
	InboxJSON       string `json:"inbox_json"`
	AWS             string `json:"aws"`
	Postgres        string `json:"postgres"`
	StateMachineARN string `json:"state_machine_arn"`
	Stripe          string `json:"stripe"`
}

type demo struct {
	once, noStaff               bool
	dir                         string
	port, awsPort, postgresPort int
}

func demoCommand() command {
	return command{
		name:    "demo",
		summary: "run one access and one erasure on this machine, as a person would, and keep the form open",
		setup: func(flags *flag.FlagSet) runner {
			d := &demo{}
			flags.BoolVar(&d.once, "once", false, "end after the two requests; fail if an outcome is wrong")
			flags.BoolVar(&d.noStaff, "no-staff", false, "after the two requests, leave the employees' tasks to you")
			flags.StringVar(&d.dir, "dir", ".demo", "folder of the logs and of endpoints.json, from the checkout's root")
			flags.IntVar(&d.port, "port", 8080, "port of the form and the inbox; 0 for a free one")
			flags.IntVar(&d.awsPort, "aws-port", 0, "port of the emulator of AWS; 0 for a free one")
			flags.IntVar(&d.postgresPort, "postgres-port", 0, "port of PostgreSQL; 0 for a free one")
			return d.run
		},
	}
}

func (d *demo) run(ctx context.Context, c console, args []string) (err error) {
	if len(args) > 0 {
		return usage("it takes no arguments")
	}
	root, err := checkout.Root()
	if err != nil {
		return err
	}
	began := time.Now()
	dir := d.dir
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(root, dir)
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer unlock()
	say := func(s string) { _, _ = fmt.Fprintf(c.errs, "%5.1f s  %s\n", time.Since(began).Seconds(), s) }
	pack, err := policy.Load("pythonmaster")
	if err != nil {
		return fmt.Errorf("reading the company's files: %w", err)
	}
	learners, stripe := demoPeople()
	s, err := stand.Start(ctx, stand.Options{
		Company: pack.ID, Sender: pack.Contacts.Mail, Officer: pack.Contacts.Mail, FrontPort: d.port, AWSPort: d.awsPort, PostgresPort: d.postgresPort,
		WaitScale: "0", Learners: learners, Dir: dir, Say: say,
		Vendors: map[string]stand.Vendor{"stripe": {Handler: stripe, Secrets: map[string]string{"api_key": stripefake.Key}}},
	})
	if err != nil {
		return err
	}
	where := filepath.Join(dir, "endpoints.json")
	defer func() { err = errors.Join(err, os.Remove(where), s.Close()) }()
	if err := writeEndpoints(where, s); err != nil {
		return err
	}
	say("The form is at " + s.Front + "/ and the mails are at " + s.Front + "/inbox")
	w := walker{Stand: s, pack: pack, stripe: stripe, customers: customersOf(stripe), say: say}
	for _, address := range slices.Sorted(maps.Values(pack.Assignees)) {
		w.staff = append(w.staff, person.New(address, s.Inbox))
	}
	result, err := w.walk(ctx)
	if err != nil {
		err = errors.Join(err, keepLogs(s))
	}
	if perr := c.print(result, result.write); perr != nil {
		return errors.Join(err, perr)
	}
	if d.once || ctx.Err() != nil {
		return err
	}
	if err != nil {
		say("Wrong: " + err.Error())
	}
	say("Ask for yourself at " + s.Front + "/ as one of docs/demo.md, read the mails at " + s.Front + "/inbox. Ctrl-C ends everything.")
	if !d.noStaff {
		w.keepWorking(ctx)
	}
	<-ctx.Done()
	return err
}

// lockDir makes the demo's folder this demo's own.
func lockDir(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the demo's folder: %w", err)
	}
	unlock, err = checkout.TryLock(filepath.Join(dir, ".lock"))
	if errors.Is(err, checkout.ErrLocked) {
		return nil, fmt.Errorf("a demo is running already in %s: end it, or give --dir and --port", dir)
	}
	return unlock, err
}

// keepLogs saves what the functions logged, for whoever looks for the cause.
func keepLogs(s *stand.Stand) error {
	f, err := os.Create(filepath.Join(s.Dir, "functions.log"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return errors.Join(s.Logs(ctx, f), f.Close())
}

func writeEndpoints(path string, s *stand.Stand) error {
	raw, err := json.MarshalIndent(endpoints{
		Form: s.Front + "/", InboxJSON: s.Front + "/inbox.json", AWS: s.AWS, Postgres: s.Postgres,
		StateMachineARN: s.Outputs["MachineArn"], Stripe: s.Vendors["stripe"],
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(raw, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the demo's endpoints: %w", err)
	}
	return nil
}
