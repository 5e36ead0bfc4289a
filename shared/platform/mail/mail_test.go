package mail_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/smithy-go"
	"golang.org/x/net/html"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/platform/mail"
)

func letter() mail.Letter {
	return mail.Letter{
		Subject: "Your data: the answer to your request",
		Lead:    "We erased your data in two systems; one keeps your invoices, as the law asks.",
		Parts: []mail.Part{
			{Heading: "What was done", Text: "Two lines\nof text, grüße, 🙂, שלום", Items: []string{"first <b>bold</b>", "second & last"}},
			{Heading: "Your code", Code: "K7RM-2PQX"},
			{Table: &mail.Table{Head: []string{"System", "Outcome"}, Rows: [][]string{{"Stripe", "invoices kept until 2033"}, {"Database", "erased"}}}},
			{Link: &mail.Link{Label: "See the status", URL: "https://rights.company.example/status?t=abc&x=1"}},
		},
		Reference: "wabc234",
		Footer:    "Python Master, privacy@company.example",
	}
}

func TestLetterSaysTheSameTwice(t *testing.T) {
	m, err := letter().Message(dsrtest.Ada.Email)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(m.Text, "We erased your data") {
		t.Errorf("the text does not open with the answer:\n%s", m.Text)
	}
	page, err := html.Parse(strings.NewReader(m.HTML))
	if err != nil {
		t.Fatal(err)
	}
	shown := textOf(page)
	for _, want := range []string{"We erased your data", "What was done", "of text, grüße, 🙂, שלום", "first <b>bold</b>", "second & last", "K7RM-2PQX", "System", "invoices kept until 2033", "Database", "See the status", "https://rights.company.example/status?t=abc&x=1", "wabc234", "Python Master, privacy@company.example"} {
		if !strings.Contains(m.Text, want) {
			t.Errorf("the text lacks %q", want)
		}
		if !strings.Contains(shown, want) {
			t.Errorf("the HTML does not show %q", want)
		}
	}
	for _, never := range []string{"<img", "src=", "url(", "<script", "<b>"} {
		if strings.Contains(m.HTML, never) {
			t.Errorf("the HTML has %q", never)
		}
	}
	if strings.Contains(m.Text, "\n\n\n") {
		t.Errorf("the text has a hole:\n%s", m.Text)
	}
}

func textOf(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var all strings.Builder
	for c := range n.ChildNodes() {
		all.WriteString(textOf(c))
	}
	return all.String()
}

func TestLetterRefuses(t *testing.T) {
	to := dsrtest.Ada.Email
	change := func(f func(*mail.Letter)) mail.Letter { l := letter(); f(&l); return l }
	tests := map[string]struct {
		l  mail.Letter
		to string
	}{
		"header in the subject":  {change(func(l *mail.Letter) { l.Subject = "Hi\r\nBcc: " + dsrtest.Ben.Email }), to},
		"bare line feed":         {change(func(l *mail.Letter) { l.Subject = "Hi\nX: y" }), to},
		"NUL in the subject":     {change(func(l *mail.Letter) { l.Subject = "Hi\x00" }), to},
		"reordered subject":      {change(func(l *mail.Letter) { l.Subject = "Hi \u202emoc.elpmaxe" }), to},
		"line separator":         {change(func(l *mail.Letter) { l.Subject = "Hi\u2028X: y" }), to},
		"long subject":           {change(func(l *mail.Letter) { l.Subject = strings.Repeat("a", 201) }), to},
		"no subject":             {change(func(l *mail.Letter) { l.Subject = " " }), to},
		"no opening":             {change(func(l *mail.Letter) { l.Lead = "" }), to},
		"script link":            {change(func(l *mail.Letter) { l.Parts[3].Link.URL = "javascript:alert(1)" }), to},
		"link without host":      {change(func(l *mail.Letter) { l.Parts[3].Link.URL = "/status" }), to},
		"ragged table":           {change(func(l *mail.Letter) { l.Parts[2].Table.Rows[0] = []string{"one"} }), to},
		"header in the address":  {letter(), to + "\r\nBcc: " + dsrtest.Ben.Email},
		"two addresses":          {letter(), to + "," + dsrtest.Ben.Email},
		"name before the adress": {letter(), "Ada <" + to + ">"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := tt.l.Message(tt.to)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, c := range dsrtest.Canaries() {
				if strings.Contains(err.Error(), c) {
					t.Errorf("the error quotes a personal value: %v", err)
				}
			}
		})
	}
}

// post is the mail service as far as Send uses it.
type post struct {
	got []*ses.SendRawEmailInput
	err error
}

func (p *post) SendRawEmail(_ context.Context, in *ses.SendRawEmailInput, _ ...func(*ses.Options)) (*ses.SendRawEmailOutput, error) {
	p.got = append(p.got, in)
	if p.err != nil {
		return nil, p.err
	}
	return &ses.SendRawEmailOutput{MessageId: aws.String("id-1")}, nil
}

func TestSendIsReadByAnotherReader(t *testing.T) {
	m, err := letter().Message(dsrtest.Ada.Email)
	if err != nil {
		t.Fatal(err)
	}
	m.Subject = "Ihre Daten – grüße 🙂"
	p := &post{}
	id, err := mail.NewSES(p, "Privacy team <privacy@company.example>", "set").Send(context.Background(), m, "wabc#answer#1")
	if err != nil || id != "id-1" {
		t.Fatalf("sent as %q, %v", id, err)
	}
	in := p.got[0]
	if aws.ToString(in.ConfigurationSetName) != "set" || len(in.Destinations) != 1 || in.Destinations[0] != dsrtest.Ada.Email {
		t.Errorf("sent to %v by %v", in.Destinations, in.ConfigurationSetName)
	}
	read, err := netmail.ReadMessage(bytes.NewReader(in.RawMessage.Data))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject"))
	if err != nil || subject != m.Subject {
		t.Errorf("the subject is read as %q, %v", subject, err)
	}
	if read.Header.Get("Date") != "" || read.Header.Get("Bcc") != "" || read.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("headers are %v", read.Header)
	}
	typ, params, err := mime.ParseMediaType(read.Header.Get("Content-Type"))
	if err != nil || typ != "multipart/alternative" {
		t.Fatalf("content type %q, %v", typ, err)
	}
	var bodies []string
	for r := multipart.NewReader(read.Body, params["boundary"]); ; {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if enc := part.Header.Get("Content-Transfer-Encoding"); enc != "quoted-printable" {
			t.Fatalf("encoded as %q", enc)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, strings.ReplaceAll(string(body), "\r\n", "\n"))
	}
	if len(bodies) != 2 || strings.TrimSpace(bodies[0]) != strings.TrimSpace(m.Text) || strings.TrimSpace(bodies[1]) != strings.TrimSpace(m.HTML) {
		t.Errorf("%d parts do not give back text and HTML", len(bodies))
	}
}

func TestSendAgainIsTheSameBytes(t *testing.T) {
	m, err := letter().Message(dsrtest.Ada.Email)
	if err != nil {
		t.Fatal(err)
	}
	p := &post{}
	s := mail.NewSES(p, "privacy@company.example", "")
	for range 50 {
		if _, err := s.Send(context.Background(), m, "seed"); err != nil {
			t.Fatal(err)
		}
	}
	for i, in := range p.got {
		if !bytes.Equal(in.RawMessage.Data, p.got[0].RawMessage.Data) {
			t.Fatalf("sending %d differs", i+1)
		}
	}
	if _, err := s.Send(context.Background(), m, "other seed"); err != nil || bytes.Equal(p.got[50].RawMessage.Data, p.got[0].RawMessage.Data) {
		t.Errorf("another seed gives the same message, or %v", err)
	}
}

func TestSendClassifiesAndHides(t *testing.T) {
	quote := "Email address is not verified: " + dsrtest.Ada.Email
	tests := map[string]struct {
		err  error
		want connector.Kind
	}{
		"rejected":  {&smithy.GenericAPIError{Code: "MessageRejected", Message: quote, Fault: smithy.FaultClient}, connector.Invalid},
		"throttled": {&smithy.GenericAPIError{Code: "Throttling", Message: quote}, connector.RateLimited},
		"denied":    {&smithy.GenericAPIError{Code: "AccessDenied", Message: quote}, connector.Unauthorized},
		"server":    {&smithy.GenericAPIError{Code: "Oops", Message: quote, Fault: smithy.FaultServer}, connector.Unavailable},
		"time-out":  {context.DeadlineExceeded, connector.Unavailable},
		"network":   {errors.New("dial: " + quote), connector.Unavailable},
	}
	m, err := letter().Message(dsrtest.Ada.Email)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := mail.NewSES(&post{err: tt.err}, "privacy@company.example", "").Send(context.Background(), m, "seed")
			if connector.KindOf(err) != tt.want || strings.Contains(err.Error(), dsrtest.Ada.Email) {
				t.Errorf("got %v, want kind %s and no address", err, tt.want)
			}
		})
	}
}

func TestMemoryRefusesWhatSESRefuses(t *testing.T) {
	good, err := letter().Message(dsrtest.Ada.Email)
	if err != nil {
		t.Fatal(err)
	}
	bad := good
	bad.Subject = "Hi\r\nBcc: x@y.example"
	foreign := good
	foreign.To = "grüße@company.example"
	p := &post{}
	var mem mail.Memory
	for name, s := range map[string]interface {
		Send(context.Context, mail.Message, string) (string, error)
	}{"SES": mail.NewSES(p, "privacy@company.example", ""), "Memory": &mem} {
		for _, m := range []mail.Message{bad, foreign} {
			if _, err := s.Send(context.Background(), m, "seed"); !errors.Is(err, connector.Invalid) {
				t.Errorf("%s: %v, want Invalid", name, err)
			}
		}
		if _, err := s.Send(context.Background(), good, ""); !errors.Is(err, connector.Invalid) {
			t.Errorf("%s without a seed: %v, want Invalid", name, err)
		}
	}
	if len(p.got) != 0 || len(mem.All()) != 0 {
		t.Errorf("%d and %d messages went out", len(p.got), len(mem.All()))
	}
	id, err := mem.Send(context.Background(), good, "seed")
	if err != nil || len(mem.To(good.To)) != 1 || mem.To(good.To)[0].ID != id || len(mem.To("no@one.example")) != 0 {
		t.Errorf("kept %d messages, %v", len(mem.All()), err)
	}
	mem.Fail = func(mail.Message) error { return connector.Unavailable }
	if _, err := mem.Send(context.Background(), good, "seed"); !errors.Is(err, connector.Unavailable) || len(mem.All()) != 1 {
		t.Errorf("a planned failure gives %v", err)
	}
}

func FuzzLetterKeepsToItsHeaders(f *testing.F) {
	f.Add("Subject", "Lead\r\n.\r\n", "ok")
	f.Add("a\rb", "\x00", "\u202e")
	f.Fuzz(func(t *testing.T, subject, lead, text string) {
		m, err := mail.Letter{Subject: subject, Lead: lead, Parts: []mail.Part{{Text: text}}}.Message("a@b.example")
		if err != nil {
			return
		}
		p := &post{}
		if _, err := mail.NewSES(p, "privacy@company.example", "").Send(context.Background(), m, "seed"); err != nil {
			return
		}
		read, err := netmail.ReadMessage(bytes.NewReader(p.got[0].RawMessage.Data))
		if err != nil {
			t.Fatal(err)
		}
		if len(read.Header) != 7 {
			t.Fatalf("%d headers: %v", len(read.Header), read.Header)
		}
	})
}
