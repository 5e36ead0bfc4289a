// Package inbox takes the mails that the emulator's SES relays by SMTP and keeps
// them as they were sent: the emulator's own list shows the wrong text of a mail
// that has an attachment.
package inbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-smtp"
)

// Message is one mail as a person's program would show it.
type Message struct {
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	HTML    string    `json:"html"`
	At      time.Time `json:"at"`

	// Index is the mail's place in the inbox, from 0.
	Index int `json:"-"`
	// Attachments are the names of the attached files.
	Attachments []string `json:"attachments,omitempty"`
	// Raw is the message as it came, headers and all.
	Raw []byte `json:"-"`
}

// Inbox is a mail server on the loopback address that accepts everything.
type Inbox struct {
	now    func() time.Time
	addr   string
	server *smtp.Server

	mu       sync.Mutex
	messages []Message
	failed   []error
	changed  chan struct{} // closed and replaced whenever a message or a failure comes
}

// Open starts the server on a free port.
func Open(now func() time.Time) (*Inbox, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening the inbox: %w", err)
	}
	in := &Inbox{now: now, addr: listener.Addr().String(), changed: make(chan struct{})}
	in.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{in: in}, nil }))
	in.server.Domain = "localhost"
	// RFC 5321 allows 998 characters a line; real messages break the rule.
	in.server.MaxLineLength = 1 << 20
	go func() { _ = in.server.Serve(listener) }()
	return in, nil
}

// Addr is the host and port of the SMTP server.
func (in *Inbox) Addr() string { return in.addr }

// Close ends the server. The messages stay readable.
func (in *Inbox) Close() error { return in.server.Close() }

// Messages are all mails so far, oldest first. The error tells of mails that
// came and could not be read.
func (in *Inbox) Messages() ([]Message, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.messages), errors.Join(in.failed...)
}

// Wait returns the first mail that match accepts, waiting for it if need be.
func (in *Inbox) Wait(ctx context.Context, match func(Message) bool) (Message, error) {
	for seen := 0; ; {
		in.mu.Lock()
		messages, failed, changed := in.messages, errors.Join(in.failed...), in.changed
		in.mu.Unlock()
		if failed != nil {
			return Message{}, failed
		}
		for ; seen < len(messages); seen++ {
			if match(messages[seen]) {
				return messages[seen], nil
			}
		}
		select {
		case <-ctx.Done():
			return Message{}, fmt.Errorf("waiting for a mail, %d came: %w", len(messages), ctx.Err())
		case <-changed:
		}
	}
}

func (in *Inbox) take(to []string, raw []byte) {
	m, err := Parse(raw)
	in.mu.Lock()
	defer in.mu.Unlock()
	if err != nil {
		in.failed = append(in.failed, err)
	} else {
		m.To, m.At, m.Index = strings.Join(to, ", "), in.now(), len(in.messages)
		in.messages = append(in.messages, m)
	}
	close(in.changed)
	in.changed = make(chan struct{})
}

// Parse reads a raw message: the first plain text, the first HTML, the names of
// the attachments.
func Parse(raw []byte) (Message, error) {
	r, err := mail.CreateReader(bytes.NewReader(raw))
	if err != nil {
		return Message{}, fmt.Errorf("reading a mail: %w", err)
	}
	m := Message{Raw: raw}
	if m.Subject, err = r.Header.Subject(); err != nil {
		return Message{}, fmt.Errorf("reading a mail's subject: %w", err)
	}
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return Message{}, fmt.Errorf("reading a mail's parts: %w", err)
		}
		switch h := part.Header.(type) {
		case *mail.AttachmentHeader:
			name, err := h.Filename()
			if err != nil {
				return Message{}, fmt.Errorf("reading the name of a mail's attachment: %w", err)
			}
			m.Attachments = append(m.Attachments, name)
		case *mail.InlineHeader:
			body, err := io.ReadAll(part.Body)
			if err != nil {
				return Message{}, fmt.Errorf("reading a mail's text: %w", err)
			}
			kind, _, err := h.ContentType()
			if err != nil {
				return Message{}, fmt.Errorf("reading the type of a mail's text: %w", err)
			}
			switch {
			case kind == "text/plain" && m.Text == "":
				m.Text = strings.ReplaceAll(string(body), "\r\n", "\n")
			case kind == "text/html" && m.HTML == "":
				m.HTML = string(body)
			}
		}
	}
}

// session is one SMTP conversation.
type session struct {
	in *Inbox
	to []string
}

func (s *session) Reset()        { s.to = nil }
func (s *session) Logout() error { return nil }

func (s *session) Mail(string, *smtp.MailOptions) error { return nil }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.in.take(s.to, raw)
	return nil
}
