package mail

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"

	"github.com/writ-dsr/writ/shared/connector"
)

// Memory is the twin of SES for tests of stages: it refuses what SES refuses
// and keeps what it took. The zero value is ready.
type Memory struct {
	// Fail, when set, is asked before a message is taken; its error is returned.
	Fail func(Message) error

	mu   sync.Mutex
	sent []Sent
}

// Sent is one message that Memory took.
type Sent struct {
	Message
	ID   string
	Seed string
}

// Send keeps the message and returns an id that depends on the seed alone.
func (m *Memory) Send(ctx context.Context, msg Message, seed string) (messageID string, err error) {
	if err := ctx.Err(); err != nil {
		return "", refusal(err)
	}
	s := SES{sender: "sender@company.example"}
	if _, err := s.mime(msg, seed); err != nil {
		return "", &connector.Error{Kind: connector.Invalid, Err: err}
	}
	if m.Fail != nil {
		if err := m.Fail(msg); err != nil {
			return "", err
		}
	}
	sum := sha256.Sum256([]byte(seed))
	id := "mem-" + hex.EncodeToString(sum[:12])
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent = append(m.sent, Sent{Message: msg, ID: id, Seed: seed})
	return id, nil
}

// All returns what was sent, in order.
func (m *Memory) All() []Sent {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.sent)
}

// To returns what was sent to one address, in order.
func (m *Memory) To(address string) []Sent {
	return slices.DeleteFunc(m.All(), func(s Sent) bool { return s.To != address })
}
