package inbox_test

import (
	"context"
	"errors"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/infra/stand/inbox"
)

const attached = "From: Writ <privacy@example.org>\r\nTo: ada@learner.example\r\n" +
	"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=M\r\n\r\n" +
	"--M\r\nContent-Type: multipart/alternative; boundary=A\r\n\r\n" +
	"--A\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nHall=C3=B6,\r\nso =3D gut.\r\n" +
	"--A\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPHA+SGFsbMO2PC9wPg==\r\n--A--\r\n" +
	"--M\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: attachment; filename=\"letter.txt\"\r\n\r\nnot the mail's text\r\n--M--\r\n"

func TestMailArrivesAsItWasSent(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	in, err := inbox.Open(func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	for _, to := range []string{"ben@learner.example", "ada@learner.example"} {
		if err := smtp.SendMail(in.Addr(), nil, "privacy@example.org", []string{to}, []byte(attached)); err != nil {
			t.Fatal(err)
		}
	}
	m, err := in.Wait(t.Context(), func(m inbox.Message) bool { return m.To == "ada@learner.example" })
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject != "Grüße" || strings.TrimSpace(m.Text) != "Hallö,\nso = gut." || m.HTML != "<p>Hallö</p>" || !m.At.Equal(at) {
		t.Errorf("got %+v", m)
	}
	if len(m.Attachments) != 1 || m.Attachments[0] != "letter.txt" {
		t.Errorf("attachments: got %v, want letter.txt", m.Attachments)
	}
	if m.Index != 1 {
		t.Errorf("index: got %d, want 1, the second mail", m.Index)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := in.Wait(ctx, func(m inbox.Message) bool { return m.Index > 1 }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a mail after the last: got %v, want the end of the wait", err)
	}
}

func TestWaitWakesWhenAMailComes(t *testing.T) {
	in, err := inbox.Open(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	got := make(chan error, 1)
	go func() {
		_, err := in.Wait(t.Context(), func(inbox.Message) bool { return true })
		got <- err
	}()
	if err := smtp.SendMail(in.Addr(), nil, "a@example.org", []string{"b@example.org"}, []byte(attached)); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestAnUnreadableMailIsNoSilence(t *testing.T) {
	in, err := inbox.Open(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	broken := "Content-Type: multipart/mixed; boundary=M\r\n\r\n--M\r\nno end"
	if err := smtp.SendMail(in.Addr(), nil, "a@example.org", []string{"b@example.org"}, []byte(broken)); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Wait(t.Context(), func(inbox.Message) bool { return true }); err == nil {
		t.Error("a mail that cannot be read must be an error, not a longer wait")
	}
}
