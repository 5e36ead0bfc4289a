// Package passcode guards what lies behind a link with a second code that is
// mailed to the person the link was made for: who merely holds the link gets
// nothing. A code is short, so it lives for minutes, takes few tries and works
// once.
package passcode

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/writ-dsr/writ/shared/ledger"
)

// The limits of one link.
const (
	MaxAttempts = 5 // wrong codes before a new one is needed
	PerHour     = 5 // codes mailed
)

// Ledger keeps the code's keyed hash on the link's token.
type Ledger interface {
	SetCode(ctx context.Context, hash, codeHash string, due time.Time) error
	CountAttempt(ctx context.Context, hash string, max int) error
	ClearCode(ctx context.Context, hash, codeHash string) error
	Hit(ctx context.Context, key string, window time.Duration, limit int, now time.Time) (bool, error)
}

// Hasher makes keyed hashes.
type Hasher interface {
	Hash(ctx context.Context, purpose, value string) (string, error)
}

// Guard makes and checks codes.
type Guard struct {
	Ledger Ledger
	Hasher Hasher
	Now    func() time.Time
	Life   time.Duration
}

// ErrTooMany says that this link had its codes for the hour.
var ErrTooMany = errors.New("too many codes were mailed for this link")

// New makes a code for a link and keeps its hash; the code itself is for the
// mail alone. ErrTooMany.
func (g Guard) New(ctx context.Context, t ledger.Token) (string, error) {
	now := g.Now()
	ok, err := g.Ledger.Hit(ctx, string(t.Purpose)+"_code#"+t.Hash, time.Hour, PerHour, now)
	if err != nil {
		return "", fmt.Errorf("counting codes: %w", err)
	}
	if !ok {
		return "", ErrTooMany
	}
	code := ledger.NewCode()
	hash, err := g.hash(ctx, t, code)
	if err != nil {
		return "", err
	}
	if err := g.Ledger.SetCode(ctx, t.Hash, hash, now.Add(g.Life)); err != nil {
		return "", fmt.Errorf("keeping the code: %w", err)
	}
	return code, nil
}

// Check compares what was typed with the link's code. The first result says to
// the person what is wrong, and is empty when the code is right.
func (g Guard) Check(ctx context.Context, t ledger.Token, typed string) (wrong string, err error) {
	if typed == "" {
		return "Type the code from the mail.", nil
	}
	switch {
	case t.CodeHash == "" || g.Now().After(t.CodeDue):
		return "This code has expired; ask for a new one.", nil
	case t.Attempts >= MaxAttempts:
		return "The code was wrong too often; ask for a new one.", nil
	}
	hash, err := g.hash(ctx, t, ledger.CleanCode(typed))
	if err != nil {
		return "", err
	}
	if hash == t.CodeHash {
		return "", nil
	}
	if err := g.Ledger.CountAttempt(ctx, t.Hash, MaxAttempts); err != nil && !errors.Is(err, ledger.ErrAttempts) {
		return "", fmt.Errorf("counting the attempt: %w", err)
	}
	return "This is not the code we mailed; type the newest one.", nil
}

// Spend uses the code up, once: the first result is empty for the one caller
// whose code it was.
func (g Guard) Spend(ctx context.Context, t ledger.Token) (wrong string, err error) {
	err = g.Ledger.ClearCode(ctx, t.Hash, t.CodeHash)
	if errors.Is(err, ledger.ErrUsed) {
		return "This code was used; ask for a new one.", nil
	}
	if err != nil {
		return "", fmt.Errorf("using the code: %w", err)
	}
	return "", nil
}

func (g Guard) hash(ctx context.Context, t ledger.Token, code string) (string, error) {
	hash, err := g.Hasher.Hash(ctx, "code", t.Hash+code)
	if err != nil {
		return "", fmt.Errorf("hashing the code: %w", err)
	}
	return hash, nil
}
