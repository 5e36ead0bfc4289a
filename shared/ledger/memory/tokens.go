package memory

import (
	"context"
	"fmt"
	"time"

	"github.com/writ-dsr/writ/shared/ledger"
)

// PutToken implements ledger.Store.
func (s *Store) PutToken(_ context.Context, t ledger.Token) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens.has(t.Hash) {
		return fmt.Errorf("storing a %s token: %w", t.Purpose, ledger.ErrExists)
	}
	return s.tokens.put(t.Hash, t)
}

// Token implements ledger.Store.
func (s *Store) Token(_ context.Context, hash string, now time.Time) (ledger.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.tokens.get(hash)
	if err == nil && t.Expired(now) {
		err = ledger.ErrExpired
	}
	return t, about(err, "reading a token")
}

// UseToken implements ledger.Store.
func (s *Store) UseToken(_ context.Context, hash string, now time.Time) error {
	return s.changeToken("using a token", hash, func(t *ledger.Token) error {
		if err := t.MayUse(now); err != nil {
			return err
		}
		t.UsedAt = now
		return nil
	})
}

// SetCode implements ledger.Store.
func (s *Store) SetCode(_ context.Context, hash, codeHash string, due time.Time) error {
	return s.changeToken("giving a token a code", hash, func(t *ledger.Token) error {
		t.CodeHash, t.CodeDue, t.Attempts = codeHash, due, 0
		return nil
	})
}

// CountAttempt implements ledger.Store.
func (s *Store) CountAttempt(_ context.Context, hash string, limit int) error {
	return s.changeToken("counting a wrong code", hash, func(t *ledger.Token) error {
		if t.Attempts >= limit {
			return ledger.ErrAttempts
		}
		t.Attempts++
		return nil
	})
}

// ClearCode implements ledger.Store.
func (s *Store) ClearCode(_ context.Context, hash, codeHash string) error {
	return s.changeToken("clearing a token's code", hash, func(t *ledger.Token) error {
		if t.CodeHash == "" || t.CodeHash != codeHash {
			return ledger.ErrUsed
		}
		t.CodeHash, t.CodeDue = "", time.Time{}
		return nil
	})
}

func (s *Store) changeToken(doing, hash string, f func(*ledger.Token) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.tokens.get(hash)
	if err == nil {
		err = f(&t)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return s.tokens.put(hash, t)
}

// Hit implements ledger.Store.
func (s *Store) Hit(_ context.Context, key string, window time.Duration, limit int, now time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, c := range s.hits {
		if c.ends.Before(now) {
			delete(s.hits, name)
		}
	}
	name, ends := ledger.Counter(key, window, now)
	c := counter{n: s.hits[name].n + 1, ends: ends}
	s.hits[name] = c
	return c.n <= limit, nil
}
