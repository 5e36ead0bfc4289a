package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/infra/stand/inbox"
	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/connectors/stripe/stripefake"
	"github.com/writ-dsr/writ/shared/dsr"
)

// The demo's two people: one asks for a copy, the other for erasure.
const (
	reader = "maya.lindqvist@learner.example"
	leaver = "jonas.abebe@learner.example"
)

// holdings is what every system that has an API holds about a person, counted
// in the systems themselves.
func (w walker) holdings(ctx context.Context, account int64, email string) (map[holding]int, error) {
	held := map[holding]int{}
	rows, err := w.Rows(ctx, account, email)
	if err != nil {
		return nil, err
	}
	for table, category := range map[string]string{
		"accounts": "account", "course_progress": "course_progress", "payments": "payments", "newsletter": "marketing", "study_groups": "study_groups",
	} {
		held[holding{"app", category}] = rows[table]
	}
	if held[holding{"files", "coursework"}], err = w.FilesOf(ctx, account); err != nil {
		return nil, err
	}
	own, _ := w.stripeObjects(email)
	for kind, category := range map[string]string{
		stripefake.Customer: "payment_profile", stripefake.PaymentMethod: "payment_method", stripefake.Subscription: "subscription",
		stripefake.Invoice: "invoice", stripefake.Charge: "charge", stripefake.CheckoutSession: "checkout_session",
	} {
		held[holding{"stripe", category}] = own[kind]
	}
	return held, nil
}

// customersOf are the addresses of the payment company's customers, by id.
func customersOf(stripe *stripefake.Fake) map[any]string {
	all := map[any]string{}
	for _, o := range stripe.Objects(stripefake.Customer) {
		all[o.ID()], _ = o["email"].(string)
	}
	return all
}

// stripeObjects counts the payment company's objects that name a person or
// belong to their customer, by kind, and returns all objects of others as they
// are. A deleted customer names nobody any more, and a detached card is nobody's.
func (w walker) stripeObjects(email string) (own map[string]int, others string) {
	own = map[string]int{}
	var rest strings.Builder
	for _, kind := range stripefake.Kinds() {
		for _, o := range w.stripe.Objects(kind) {
			raw, _ := json.Marshal(o) // it came from JSON
			switch {
			case w.customers[o["customer"]] == email || strings.Contains(string(raw), `"`+email+`"`):
				own[kind]++
			case w.customers[o["customer"]] != "" || strings.Contains(string(raw), "@"):
				rest.Write(raw)
			}
		}
	}
	return own, rest.String()
}

// access asks for a copy and checks that the bundle holds what the systems do.
func (w walker) access(ctx context.Context) (r walkedRequest, err error) {
	p := person.New(reader, w.Inbox)
	r = w.begin(dsr.Access, p)
	account, err := w.AccountOf(ctx, reader)
	if err != nil {
		return r, err
	}
	held, err := w.holdings(ctx, account, reader)
	if err != nil {
		return r, err
	}
	if r.ID, err = w.ask(ctx, p, person.Request{Rights: []string{"access"}, Name: "Maya Lindqvist", Country: "SE"}); err != nil {
		return r, err
	}
	confirmed := time.Now()
	w.say("Confirmed: the systems are asked and the employees answer their tasks")
	answer, link, err := p.Mail(ctx, "/download")
	if err != nil {
		return r, err
	}
	r.Seconds = time.Since(confirmed).Seconds()
	w.say("By mail: " + answer.Subject + "; a second code opens the download")
	archive, err := p.Download(ctx, link)
	if err != nil {
		return r, err
	}
	if r.Outcomes, err = w.outcomes(ctx, r.ID); err != nil {
		return r, err
	}
	for h, n := range held {
		got := r.count(h, dsr.Exported)
		r.expect(got == n, "%s: %d of %s were exported, %d are held", h.system, got, h.category, n)
	}
	wrong, err := checkArchive(archive, held, []string{"Jonas", leaver, "maya.lindqvist+work"})
	if err != nil {
		return r, err
	}
	r.Wrong = append(r.Wrong, wrong...)
	if err := w.checkAnswer(ctx, &r, p, answer); err != nil {
		return r, err
	}
	after, err := w.holdings(ctx, account, reader)
	r.expect(maps.Equal(after, held), "the copy changed what is held")
	return r, err
}

// erasure asks to be forgotten and checks that the systems forgot, that what is
// kept is kept, and that nobody else's data changed.
func (w walker) erasure(ctx context.Context) (r walkedRequest, err error) {
	p := person.New(leaver, w.Inbox)
	r = w.begin(dsr.Erasure, p)
	account, err := w.AccountOf(ctx, leaver)
	if err != nil {
		return r, err
	}
	held, err := w.holdings(ctx, account, leaver)
	if err != nil {
		return r, err
	}
	others, err := w.bystanders(ctx, account, leaver)
	if err != nil {
		return r, err
	}
	if r.ID, err = w.ask(ctx, p, person.Request{Rights: []string{"erasure"}, Country: "US"}); err != nil {
		return r, err
	}
	confirmed := time.Now()
	w.say("Confirmed: the data is looked up first, then erased, then read back")
	answer, _, err := p.Mail(ctx, "/status")
	if err != nil {
		return r, err
	}
	r.Seconds = time.Since(confirmed).Seconds()
	w.say("By mail: " + answer.Subject)
	if r.Outcomes, err = w.outcomes(ctx, r.ID); err != nil {
		return r, err
	}
	left, err := w.holdings(ctx, account, leaver)
	if err != nil {
		return r, err
	}
	kept := []string{"payments", "subscription", "invoice", "charge", "checkout_session"}
	for h, n := range held {
		want, done := 0, r.count(h, dsr.Erased)+r.count(h, dsr.Anonymised)
		if slices.Contains(kept, h.category) {
			want, done = n, r.count(h, dsr.Retained)
		}
		r.expect(left[h] == want, "%s: %d of %s are left, want %d", h.system, left[h], h.category, want)
		r.expect(done == n, "%s: %d of %s are accounted for, %d were held", h.system, done, h.category, n)
	}
	if err := w.checkAnswer(ctx, &r, p, answer); err != nil {
		return r, err
	}
	after, err := w.bystanders(ctx, account, leaver)
	r.expect(after == others, "the erasure changed what is held about somebody else")
	return r, err
}

// bystanders is all that is held about everybody else.
func (w walker) bystanders(ctx context.Context, account int64, email string) (string, error) {
	rows, err := w.Bystanders(ctx, account, email)
	_, objects := w.stripeObjects(email)
	return rows + "\n" + objects, err
}

// checkAnswer reads the mail that answers a request, and the status page it leads to.
func (w walker) checkAnswer(ctx context.Context, r *walkedRequest, p *person.Person, answer inbox.Message) error {
	for _, o := range r.Outcomes {
		system, _ := w.pack.System(o.System)
		category, _ := w.pack.Category(o.Category)
		r.expect(strings.Contains(answer.Text, system.Name), "the answer does not name the system %s", o.System)
		r.expect(strings.Contains(answer.Text, category.Name), "the answer does not name the category %s", o.Category)
		r.expect(strings.Contains(answer.HTML, "<html"), "the answer has no HTML")
	}
	status, err := p.Browser.Get(ctx, person.Link(answer, "/status"))
	if err != nil {
		return fmt.Errorf("opening the status page: %w", err)
	}
	r.expect(status.Status == http.StatusOK && strings.Contains(status.Text(), string(r.ID)), "the status page answers %d and does not show the request", status.Status)
	return nil
}
