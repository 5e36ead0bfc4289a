package main

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/dsr"
)

// The demo's two people: one asks for a copy, the other for erasure.
const (
	reader = "maya.lindqvist@learner.example"
	leaver = "jonas.abebe@learner.example"
)

// categoryOf is which of the company's data categories a table of its database holds.
var categoryOf = map[string]string{
	"accounts": "account", "course_progress": "course_progress", "payments": "payments", "newsletter": "marketing", "study_groups": "study_groups",
}

// access asks for a copy and checks that the bundle holds what the company does.
func (w walker) access(ctx context.Context) (walkedRequest, error) {
	p := person.New(reader, w.Inbox)
	r := w.begin(dsr.Access, p)
	account, err := w.AccountOf(ctx, reader)
	if err != nil {
		return r, err
	}
	held, err := w.Rows(ctx, account, reader)
	if err != nil {
		return r, err
	}
	files, err := w.FilesOf(ctx, account)
	if err != nil {
		return r, err
	}
	if r.ID, err = w.ask(ctx, p, person.Request{Rights: []string{"access"}, Name: "Maya Lindqvist", Country: "SE"}); err != nil {
		return r, err
	}
	confirmed := time.Now()
	w.say("The request is confirmed; the systems are asked and the employees answer their tasks")
	_, link, err := p.Mail(ctx, "/download")
	if err != nil {
		return r, err
	}
	r.Seconds = time.Since(confirmed).Seconds()
	w.say("The answer came by mail; a second code opens the download")
	archive, err := p.Download(ctx, link)
	if err != nil {
		return r, err
	}
	if r.Outcomes, err = w.outcomes(ctx, r.ID); err != nil {
		return r, err
	}
	for table, rows := range held {
		got := r.count("app", categoryOf[table], dsr.Exported)
		r.expect(got == rows, "app: %d rows of %s were exported, %d are held", got, categoryOf[table], rows)
	}
	got := r.count("files", "coursework", dsr.Exported)
	r.expect(got == files, "files: %d were exported, %d are held", got, files)
	if err := r.checkArchive(archive, held); err != nil {
		return r, err
	}
	after, err := w.Rows(ctx, account, reader)
	r.expect(fmt.Sprint(after) == fmt.Sprint(held), "the copy changed the company's database: %v, then %v", held, after)
	return r, err
}

// checkArchive opens the bundle as a person would.
func (r *walkedRequest) checkArchive(archive []byte, held map[string]int) error {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return fmt.Errorf("opening the bundle: %w", err)
	}
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
	}
	for _, name := range []string{"index.html", "manifest.json"} {
		r.expect(slices.Contains(names, name), "the bundle has no %s, only %s", name, strings.Join(names, ", "))
	}
	_ = held
	return nil
}

// erasure asks to be forgotten and checks that the systems forgot, that what is
// kept is kept, and that nobody else's data changed.
func (w walker) erasure(ctx context.Context) (walkedRequest, error) {
	p := person.New(leaver, w.Inbox)
	r := w.begin(dsr.Erasure, p)
	account, err := w.AccountOf(ctx, leaver)
	if err != nil {
		return r, err
	}
	held, err := w.Rows(ctx, account, leaver)
	if err != nil {
		return r, err
	}
	others, err := w.Bystanders(ctx, account, leaver)
	if err != nil {
		return r, err
	}
	if r.ID, err = w.ask(ctx, p, person.Request{Rights: []string{"erasure"}, Country: "US"}); err != nil {
		return r, err
	}
	confirmed := time.Now()
	w.say("The request is confirmed; the data is looked up first, then erased, then read back")
	answer, _, err := p.Mail(ctx, "/status")
	if err != nil {
		return r, err
	}
	r.Seconds = time.Since(confirmed).Seconds()
	w.say("The answer came by mail: " + answer.Subject)
	if r.Outcomes, err = w.outcomes(ctx, r.ID); err != nil {
		return r, err
	}
	left, err := w.Rows(ctx, account, leaver)
	if err != nil {
		return r, err
	}
	for table, rows := range held {
		want := 0
		if table == "payments" {
			want = rows
		}
		r.expect(left[table] == want, "app: %d rows of %s are left, want %d", left[table], table, want)
	}
	files, err := w.FilesOf(ctx, account)
	if err != nil {
		return r, err
	}
	r.expect(files == 0, "files: %d versions are left, want 0", files)
	after, err := w.Bystanders(ctx, account, leaver)
	r.expect(after == others, "the erasure changed somebody else's rows")
	return r, err
}
