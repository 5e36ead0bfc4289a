package mail

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/aws-sdk-go-v2/service/ses/types"
	"github.com/aws/smithy-go"
	gomail "github.com/wneessen/go-mail"

	"github.com/writ-dsr/writ/shared/connector"
)

// client is the one call of the mail service that is used.
type client interface {
	SendRawEmail(context.Context, *ses.SendRawEmailInput, ...func(*ses.Options)) (*ses.SendRawEmailOutput, error)
}

// SES sends by Amazon SES.
type SES struct {
	client    client
	sender    string
	configSet string
}

// NewSES returns a sender. The sender's address may carry a name, as in
// "Privacy team <privacy@company.example>"; configSet is the SES configuration
// set that reports bounces, or "" for none.
func NewSES(c client, sender, configSet string) *SES {
	return &SES{client: c, sender: sender, configSet: configSet}
}

// TagRequest is the tag with which the service's events name the request of a
// mail: the part of the seed before its first slash.
const TagRequest = "writ-request"

// Send hands the message over and returns the mail service's id, which a later
// bounce names. The same message with the same seed is the same bytes, so that
// a letter sent again after an unknown outcome shows as a copy, not as news.
//
// Errors carry a connector.Kind: Unavailable and RateLimited may be tried
// again, Unauthorized and Invalid need a person. The service's own text is
// left out: it quotes addresses.
func (s *SES) Send(ctx context.Context, m Message, seed string) (messageID string, err error) {
	raw, err := s.mime(m, seed)
	if err != nil {
		return "", &connector.Error{Kind: connector.Invalid, Err: err}
	}
	in := &ses.SendRawEmailInput{RawMessage: &types.RawMessage{Data: raw}, Destinations: []string{m.To}}
	if request, _, ok := strings.Cut(seed, "/"); ok {
		in.Tags = []types.MessageTag{{Name: aws.String(TagRequest), Value: aws.String(request)}}
	}
	if s.configSet != "" {
		in.ConfigurationSetName = aws.String(s.configSet)
	}
	out, err := s.client.SendRawEmail(ctx, in)
	if err != nil {
		return "", refusal(err)
	}
	return aws.ToString(out.MessageId), nil
}

func refusal(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &connector.Error{Kind: connector.Unavailable, Sent: true, Err: errors.New("sending a mail: no answer from the mail service in time")}
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return &connector.Error{Kind: connector.Unavailable, Sent: true, Err: errors.New("sending a mail: the mail service could not be reached")}
	}
	kind := connector.Invalid
	switch code := api.ErrorCode(); {
	case code == "Throttling" || code == "ThrottlingException" || code == "TooManyRequestsException":
		kind = connector.RateLimited
	case code == "AccessDenied" || code == "AccessDeniedException" || code == "InvalidClientTokenId" || code == "ExpiredToken":
		kind = connector.Unauthorized
	case api.ErrorFault() == smithy.FaultServer || code == "ServiceUnavailable" || code == "InternalFailure":
		kind = connector.Unavailable
	}
	return &connector.Error{Kind: kind, Err: fmt.Errorf("sending a mail: the mail service answered %s; check the sender's identity and the account's sending limits", api.ErrorCode())}
}

// mime writes the message out. Everything that a library would make up is
// derived from the seed, and the date is left to the service.
func (s *SES) mime(m Message, seed string) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	if seed == "" {
		return nil, errors.New("writing a mail: the seed is empty")
	}
	from, err := netmail.ParseAddress(s.sender)
	if err != nil {
		return nil, errors.New("writing a mail: the sender's address is not well formed")
	}
	if strings.ContainsFunc(m.To, func(r rune) bool { return r > 0x7e }) {
		return nil, errors.New("writing a mail: the part of the address before @ has letters the mail service cannot send to")
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	sum := sha256.Sum256([]byte(seed))
	id := hex.EncodeToString(sum[:16])

	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary("writ-"+id))
	if err := msg.From(s.sender); err != nil {
		return nil, errors.New("writing a mail: the sender's address is not well formed")
	}
	if err := msg.To(m.To); err != nil {
		return nil, errors.New("writing a mail: the address is not one that mail can be sent to")
	}
	msg.Subject(m.Subject)
	msg.SetMessageIDWithValue(id + "@" + domain)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // no auto-reply answers an answer
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)

	var out bytes.Buffer
	if _, err := msg.WriteTo(&out); err != nil {
		return nil, errors.New("writing a mail: encoding it failed")
	}
	return withoutDate(out.Bytes()), nil
}

// withoutDate removes the Date header that the library adds: the service sets
// its own, and the time of a retry must not make another message.
func withoutDate(raw []byte) []byte {
	head, body, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !ok {
		return raw
	}
	var kept [][]byte
	for _, line := range bytes.Split(head, []byte("\r\n")) {
		if !bytes.HasPrefix(line, []byte("Date: ")) {
			kept = append(kept, line)
		}
	}
	return append(append(bytes.Join(kept, []byte("\r\n")), "\r\n\r\n"...), body...)
}
