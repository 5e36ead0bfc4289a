package ledger_test

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

func TestNewSecretIsKeptAsItsHashOnly(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		secret, hash := ledger.NewSecret()
		if len(secret) != 43 { // 32 bytes in base64 without padding
			t.Fatalf("a secret has %d characters, want 43", len(secret))
		}
		if hash != ledger.HashSecret(secret) || len(hash) != 64 || strings.Contains(hash, secret) {
			t.Fatalf("the hash %q is not that of the secret", hash)
		}
		if seen[secret] {
			t.Fatal("a secret was made twice")
		}
		seen[secret] = true
	}
}

func TestNewCode(t *testing.T) {
	form := regexp.MustCompile(`^[346789BCDFGHJKMNPQRTVWXY]{4}-[346789BCDFGHJKMNPQRTVWXY]{4}$`)
	letters := map[rune]int{}
	const codes = 6000
	for range codes {
		code := ledger.NewCode()
		if !form.MatchString(code) {
			t.Fatalf("code %q is not two groups of four of the letters", code)
		}
		for _, r := range code {
			letters[r]++
		}
	}
	delete(letters, '-')
	if len(letters) != 24 {
		t.Errorf("%d letters were used, want 24", len(letters))
	}
	mean := codes * 8 / 24 // 2,000; a fair letter is within a fifth of it
	for r, n := range letters {
		if n < mean*8/10 || n > mean*12/10 {
			t.Errorf("letter %c came %d times, want about %d", r, n, mean)
		}
	}
}

func TestCleanCode(t *testing.T) {
	for _, c := range []struct{ name, typed, want string }{
		{"as shown", "BCDF-3467", "BCDF-3467"},
		{"small letters", "bcdf-3467", "BCDF-3467"},
		{"no hyphen", "BCDF3467", "BCDF-3467"},
		{"spaces", "  bcdf 34 67 ", "BCDF-3467"},
		{"a pasted no-break space and a long dash", "BCDF\u00a0\u20133467", "BCDF-3467"},
		{"empty", "", ""},
		{"only hyphens", "----", ""},
		{"too short", "BCDF-346", ""},
		{"too long", "BCDF-34678", ""},
		{"a letter no code has, small", "abcdf-346", ""},
		{"a letter no code has, capital", "ABCDF-3467", ""},
		{"a letter that folds to one of ours", "BCDF-346ſ", ""},
		{"a full-width letter", "ＢCDF-3467", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ledger.CleanCode(c.typed); got != c.want {
				t.Errorf("CleanCode(%q) = %q, want %q", c.typed, got, c.want)
			}
		})
	}
}

// What is made can be typed, in any case; what comes out is a code or nothing.
func TestCleanCodeProperties(t *testing.T) {
	form := regexp.MustCompile(`^[346789BCDFGHJKMNPQRTVWXY]{4}-[346789BCDFGHJKMNPQRTVWXY]{4}$`)
	rapid.Check(t, func(t *rapid.T) {
		typed := rapid.String().Draw(t, "typed")
		clean := ledger.CleanCode(typed)
		if clean != "" && !form.MatchString(clean) {
			t.Fatalf("CleanCode(%q) = %q", typed, clean)
		}
		code := ledger.NewCode()
		if got := ledger.CleanCode(strings.ToLower(strings.ReplaceAll(code, "-", " "))); got != code {
			t.Fatalf("%q came back as %q", code, got)
		}
	})
}

func TestNewRequestID(t *testing.T) {
	seen := map[dsr.RequestID]bool{}
	for range 1000 {
		id := ledger.NewRequestID()
		if _, err := dsr.ParseRequestID(string(id)); err != nil {
			t.Fatalf("%q: %v", id, err)
		}
		if seen[id] {
			t.Fatal("an id was made twice")
		}
		seen[id] = true
	}
}
