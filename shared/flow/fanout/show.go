package fanout

import (
	"context"
	"fmt"
	"slices"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/platform/web"
	"github.com/writ-dsr/writ/shared/policy"
)

// show is the task itself: whom to look for, what, and the answers.
func (a *Answer) show(ctx context.Context, status int, o open, code string, problems []web.Problem) (web.Response, error) {
	data := map[string]any{"Code": code, "Own": o.own()}
	if o.own() {
		data["Reason"] = o.request.Reason
		return a.page(status, "answer", "A step failed", "When the cause is mended, let Writ go on from where it stopped.", o, data, problems), nil
	}
	d, err := dossier.Open(ctx, a.Ledger, a.Keys, o.request.ID)
	if err != nil {
		return web.Response{}, err
	}
	if o.visit.Erases() {
		if stop, err := a.allow(ctx, o, d); err != nil || stop != nil {
			return deref(stop), err
		}
	}
	data["Email"], data["Name"] = d.Subject.Email(), d.Subject.Name
	if err := a.work(ctx, o, d, data); err != nil {
		return web.Response{}, err
	}
	s, _ := a.Company.System(o.system())
	data["Instruction"] = a.instruction(s, o.visit)
	var categories []string
	for _, id := range o.visit.Categories {
		if c, ok := a.Company.Category(id); ok {
			categories = append(categories, c.Name)
		}
	}
	data["Categories"] = categories
	data["Api"] = !o.visit.Manual
	data["Secrets"] = a.secrets(s, o.visit)
	if o.visit.Phase == dsr.Gather && a.Uploads != nil {
		if n, err := a.Uploads.Count(ctx, o.request.ID, o.token.Task); err == nil {
			data["Uploaded"] = n
		}
		if up, err := a.Uploads.Form(ctx, o.request.ID, o.token.Task, a.URL+"/task?t="+o.secret); err == nil {
			data["Upload"] = up
		}
	}
	main := mainJob(o.visit)
	data["Job"], data["Done"] = string(main), main.done()
	return a.page(status, "answer", main.title(), main.lead(systemName(a.Company, o.system())), o, data, problems), nil
}

// work adds what the jobs of the task need: the person's words, the fields and
// their new values, the uses that end, the notice for a recipient.
func (a *Answer) work(ctx context.Context, o open, d dossier.Dossier, data map[string]any) error {
	for _, j := range jobs(o.visit) {
		switch j {
		case readJob:
			data["Words"], data["Readings"] = d.Subject.Message, readings(a.Company, o.visit)
			data["Second"] = slices.Contains(o.visit.Rights, dsr.Appeal)
		case correctJob:
			var changes []Field
			for _, c := range a.Company.OwnChanges(d.Request.Plan, d.Subject.Changes) {
				changes = append(changes, Field{Name: fieldName(c.Field), Value: c.New})
			}
			data["Changes"] = changes
			if len(changes) == 0 { // what to correct was only said
				data["Words"] = d.Subject.Message
			}
		case stopJob:
			data["Uses"] = usesOf(o.visit)
		case tellJob:
			all, err := a.Ledger.Visits(ctx, o.request.ID)
			if err != nil {
				return fmt.Errorf("reading the visits of request %s: %w", o.request.ID, err)
			}
			what, _ := done(o.visit, all)
			letter, err := recipientLetter(a.Company, d, o.visit, what, a.Now())
			if err != nil {
				a.Log.Warn("the notice to a recipient cannot be written", "request_id", string(o.request.ID), "system", o.visit.System, "error", err.Error())
				continue // the person writes it
			}
			message, err := letter.Message(a.Company.Contacts.Mail)
			if err != nil {
				return fmt.Errorf("writing to recipient %s: %w", o.visit.Recipient, err)
			}
			data["Subject"], data["Notice"] = message.Subject, message.Text
			if r, ok := receiver(a.Company, o.visit); ok {
				data["Where"] = r.Where
			}
		}
	}
	return nil
}

// instruction is the pack's for a system that only people reach, else the
// connector's for what its vendor does not offer.
func (a *Answer) instruction(s policy.System, v dsr.Visit) string {
	if s.Instruction != "" {
		return s.Instruction
	}
	d := a.Descriptors[s.Connector]
	for _, op := range v.Ops {
		if key := d.Instruction(op); key != "" {
			return d.Manual[key]
		}
	}
	return ""
}

// secrets names the parameters that are missing, never their values.
func (a *Answer) secrets(s policy.System, v dsr.Visit) []string {
	if v.Person == nil || v.Person.Cause != CauseMissingSecret {
		return nil
	}
	var names []string
	for name := range a.Descriptors[s.Connector].Secrets {
		names = append(names, "/writ/"+a.Company.ID+"/"+s.ID+"/"+name)
	}
	slices.Sort(names)
	return names
}
