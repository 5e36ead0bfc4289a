package ledgertest

import (
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/ledger"
)

// token is a stored confirm token that is due an hour after start.
func token(t testing.TB, s ledger.Store) ledger.Token {
	t.Helper()
	k := ledger.Token{Hash: newKey(), RequestID: newID(), Purpose: ledger.TokenConfirm, CreatedAt: start, Due: start.Add(time.Hour)}
	must(t, s.PutToken(t.Context(), k))
	return k
}

func stored(t testing.TB, s ledger.Store, hash string) ledger.Token {
	t.Helper()
	k, err := s.Token(t.Context(), hash, start)
	must(t, err)
	return k
}

var tokenRules = map[string]func(*testing.T, ledger.Store){
	"every field survives": func(t *testing.T, s ledger.Store) {
		k := ledger.Token{
			Hash: newKey(), RequestID: newID(), Purpose: ledger.TokenTask, Task: "crm#act", CreatedAt: start,
			Due: start.Add(time.Hour + time.Nanosecond), UsedAt: start.Add(2), CodeHash: "h1:code", CodeDue: start.Add(10 * time.Minute), Attempts: 2,
		}
		must(t, s.PutToken(t.Context(), k))
		same(t, "the token", stored(t, s, k.Hash), k)
	},
	"a hash is taken once": func(t *testing.T, s ledger.Store) {
		k := token(t, s)
		other := k
		other.Purpose = ledger.TokenDownload
		wantErr(t, s.PutToken(t.Context(), other), ledger.ErrExists)
		same(t, "the token", stored(t, s, k.Hash), k)
	},
	"what is not there": func(t *testing.T, s ledger.Store) {
		hash := newKey()
		_, err := s.Token(t.Context(), hash, start)
		wantErr(t, err, ledger.ErrNotFound)
		wantErr(t, s.UseToken(t.Context(), hash, start), ledger.ErrNotFound)
		wantErr(t, s.SetCode(t.Context(), hash, "h1:x", start), ledger.ErrNotFound)
		wantErr(t, s.CountAttempt(t.Context(), hash, 5), ledger.ErrNotFound)
		wantErr(t, s.ClearCode(t.Context(), hash, "h1:x"), ledger.ErrNotFound)
		_, err = s.Token(t.Context(), hash, start)
		wantErr(t, err, ledger.ErrNotFound)
	},
	"expiry is checked on read and on use": func(t *testing.T, s ledger.Store) {
		k := token(t, s)
		late := k.Due.Add(time.Nanosecond)
		got, err := s.Token(t.Context(), k.Hash, late)
		wantErr(t, err, ledger.ErrExpired)
		same(t, "the expired token", got, k)
		wantErr(t, s.UseToken(t.Context(), k.Hash, late), ledger.ErrExpired)
		_, err = s.Token(t.Context(), k.Hash, k.Due)
		must(t, err)
		must(t, s.UseToken(t.Context(), k.Hash, k.Due))
	},
	"using marks it": func(t *testing.T, s ledger.Store) {
		k := token(t, s)
		at := start.Add(time.Minute)
		must(t, s.UseToken(t.Context(), k.Hash, at))
		wantErr(t, s.UseToken(t.Context(), k.Hash, at), ledger.ErrUsed)
		wantErr(t, s.UseToken(t.Context(), k.Hash, k.Due.Add(time.Hour)), ledger.ErrUsed)
		k.UsedAt = at
		same(t, "the token", stored(t, s, k.Hash), k)
	},
	"of a hundred uses at once one succeeds": func(t *testing.T, s ledger.Store) {
		k := token(t, s)
		counts := together(100, func(int) error { return s.UseToken(t.Context(), k.Hash, start) }, ledger.ErrUsed)
		equal(t, "successes", counts[""], 1)
		equal(t, "refusals", counts[ledger.ErrUsed.Error()], 99)
	},
	"a code is set, counted against and cleared once": func(t *testing.T, s ledger.Store) {
		k := token(t, s)
		due := start.Add(10 * time.Minute)
		wantErr(t, s.ClearCode(t.Context(), k.Hash, ""), ledger.ErrUsed)
		must(t, s.SetCode(t.Context(), k.Hash, "h1:first", due))
		for range 3 {
			must(t, s.CountAttempt(t.Context(), k.Hash, 3))
		}
		wantErr(t, s.CountAttempt(t.Context(), k.Hash, 3), ledger.ErrAttempts)
		equal(t, "the attempts", stored(t, s, k.Hash).Attempts, 3)

		must(t, s.SetCode(t.Context(), k.Hash, "h1:second", due.Add(time.Minute)))
		want := k
		want.CodeHash, want.CodeDue = "h1:second", due.Add(time.Minute)
		same(t, "the token with a fresh code", stored(t, s, k.Hash), want)
		wantErr(t, s.ClearCode(t.Context(), k.Hash, "h1:first"), ledger.ErrUsed)
		same(t, "the token after a wrong clearing", stored(t, s, k.Hash), want)
		must(t, s.ClearCode(t.Context(), k.Hash, "h1:second"))
		wantErr(t, s.ClearCode(t.Context(), k.Hash, "h1:second"), ledger.ErrUsed)
		same(t, "the token without its code", stored(t, s, k.Hash), k)
	},
	"no attempt is allowed where none are": func(t *testing.T, s ledger.Store) {
		k := token(t, s)
		wantErr(t, s.CountAttempt(t.Context(), k.Hash, 0), ledger.ErrAttempts)
	},
	"of attempts at once no more than the limit pass": func(t *testing.T, s ledger.Store) {
		k := token(t, s)
		counts := together(40, func(int) error { return s.CountAttempt(t.Context(), k.Hash, 5) }, ledger.ErrAttempts)
		equal(t, "attempts that passed", counts[""], 5)
		equal(t, "attempts refused", counts[ledger.ErrAttempts.Error()], 35)
		equal(t, "the attempts", stored(t, s, k.Hash).Attempts, 5)
	},
	"of clearings at once one succeeds": func(t *testing.T, s ledger.Store) {
		k := token(t, s)
		must(t, s.SetCode(t.Context(), k.Hash, "h1:code", k.Due))
		counts := together(30, func(int) error { return s.ClearCode(t.Context(), k.Hash, "h1:code") }, ledger.ErrUsed)
		equal(t, "successes", counts[""], 1)
		equal(t, "refusals", counts[ledger.ErrUsed.Error()], 29)
	},
	"the limit of hits counts within a window": func(t *testing.T, s ledger.Store) {
		key, other := newKey(), newKey()
		for i, hit := range []struct {
			key    string
			window time.Duration
			after  time.Duration
			within bool
		}{
			{key, time.Hour, 0, true},
			{key, time.Hour, time.Minute, true},
			{key, time.Hour, time.Hour - time.Nanosecond, false},
			{other, time.Hour, 0, true},
			{key, 24 * time.Hour, 0, true}, // another window length is another count
			{key, time.Hour, time.Hour, true},
			{key, time.Hour, time.Hour, true},
			{key, time.Hour, time.Hour, false},
			{key, time.Hour, 2 * time.Hour, true},
		} {
			within, err := s.Hit(t.Context(), hit.key, hit.window, 2, start.Add(hit.after))
			must(t, err)
			equal(t, "within the limit, hit "+string(rune('1'+i)), within, hit.within)
		}
	},
	"of hits at once no more than the limit are within": func(t *testing.T, s ledger.Store) {
		key := newKey()
		within := make([]bool, 30)
		counts := together(30, func(i int) (err error) {
			within[i], err = s.Hit(t.Context(), key, time.Hour, 7, start)
			return err
		})
		equal(t, "answers without an error", counts[""], 30)
		n := 0
		for _, w := range within {
			if w {
				n++
			}
		}
		equal(t, "hits within the limit", n, 7)
	},
}
