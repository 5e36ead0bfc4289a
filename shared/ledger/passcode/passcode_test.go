package passcode_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/memory"
	"github.com/writ-dsr/writ/shared/ledger/passcode"
	"github.com/writ-dsr/writ/shared/platform/vault"
)

type bench struct {
	t     *testing.T
	store *memory.Store
	guard passcode.Guard
	now   time.Time
	hash  string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, store: memory.New(), now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	_, b.hash = ledger.NewSecret()
	if err := b.store.PutToken(t.Context(), ledger.Token{Hash: b.hash, Purpose: ledger.TokenDownload, CreatedAt: b.now, Due: b.now.AddDate(0, 0, 14)}); err != nil {
		t.Fatal(err)
	}
	b.guard = passcode.Guard{Ledger: b.store, Hasher: vault.NewLocal("codes"), Now: func() time.Time { return b.now }, Life: 10 * time.Minute}
	return b
}

func (b *bench) token() ledger.Token {
	b.t.Helper()
	t, err := b.store.Token(b.t.Context(), b.hash, b.now)
	if err != nil {
		b.t.Fatal(err)
	}
	return t
}

func (b *bench) code() string {
	b.t.Helper()
	code, err := b.guard.New(b.t.Context(), b.token())
	if err != nil {
		b.t.Fatal(err)
	}
	return code
}

func (b *bench) check(typed string) string {
	b.t.Helper()
	wrong, err := b.guard.Check(b.t.Context(), b.token(), typed)
	if err != nil {
		b.t.Fatal(err)
	}
	return wrong
}

func TestCodeOpensOnceAndInTime(t *testing.T) {
	b := newBench(t)
	if b.check("ANYTHING") == "" {
		t.Error("a link without a code was opened")
	}
	code := b.code()
	if wrong := b.check(strings.ToLower(strings.ReplaceAll(code, "-", " "))); wrong != "" {
		t.Errorf("the code in lower case with a space: %s", wrong)
	}
	b.now = b.now.Add(10*time.Minute + time.Second)
	if b.check(code) == "" {
		t.Error("an expired code opened the link")
	}
	b.now = b.now.Add(-time.Minute)
	old := b.token()
	if wrong, err := b.guard.Spend(t.Context(), old); err != nil || wrong != "" {
		t.Fatalf("spending the code: %q, %v", wrong, err)
	}
	if b.check(code) == "" {
		t.Error("a spent code opened the link")
	}
}

func TestNewestCodeAloneCounts(t *testing.T) {
	b := newBench(t)
	first := b.code()
	second := b.code()
	if b.check(first) == "" || b.check(second) != "" {
		t.Error("an older code opened the link, or the newest did not")
	}
}

func TestWrongCodesEndTheCode(t *testing.T) {
	b := newBench(t)
	code := b.code()
	for range passcode.MaxAttempts {
		if b.check(ledger.NewCode()) == "" {
			t.Fatal("a wrong code opened the link")
		}
	}
	if b.check("") == "" {
		t.Error("nothing typed opened the link")
	}
	if b.check(code) == "" {
		t.Errorf("the right code opened the link after %d wrong ones", passcode.MaxAttempts)
	}
	if wrong := b.check(b.code()); wrong != "" {
		t.Errorf("a fresh code after wrong ones: %s", wrong)
	}
}

func TestCodesAnHourAreFew(t *testing.T) {
	b := newBench(t)
	for range passcode.PerHour {
		b.code()
	}
	if _, err := b.guard.New(t.Context(), b.token()); !errors.Is(err, passcode.ErrTooMany) {
		t.Errorf("one code more: %v", err)
	}
	b.now = b.now.Add(time.Hour)
	b.code()
}

func TestSpendHasOneWinner(t *testing.T) {
	b := newBench(t)
	b.code()
	token := b.token()
	var mu sync.Mutex
	var group sync.WaitGroup
	winners := 0
	for range 50 {
		group.Go(func() {
			wrong, err := b.guard.Spend(context.Background(), token)
			if err != nil {
				t.Error(err)
			}
			if wrong == "" {
				mu.Lock()
				winners++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if winners != 1 {
		t.Errorf("%d callers spent one code", winners)
	}
}
