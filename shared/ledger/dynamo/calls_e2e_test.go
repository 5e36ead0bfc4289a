//go:build e2e

package dynamo_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dynamo"
)

// promptRetryer repeats as the SDK does, without its pauses.
func promptRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 4
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			return aws.BoolTernary(strings.Contains(err.Error(), "the answer was lost"))
		}))
	})
}

var start = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// fixture is one verified request with a leased visit, a token with a code and
// an identity's hash.
type fixture struct {
	store   *dynamo.Store
	request ledger.Request
	visit   dsr.Visit
	token   ledger.Token
}

func newFixture(t *testing.T, s *dynamo.Store) *fixture {
	t.Helper()
	id := ledger.NewRequestID()
	_, hash := ledger.NewSecret()
	f := &fixture{
		store:   s,
		request: ledger.Request{ID: id, Status: dsr.Running, Run: 1, VerifiedAt: start, DueAt: start.AddDate(0, 1, 0)},
		token:   ledger.Token{Hash: hash, RequestID: id, Purpose: ledger.TokenDownload, CreatedAt: start, Due: start.Add(time.Hour)},
	}
	ctx := t.Context()
	v := dsr.Visit{RequestID: id, System: "postgres", Phase: dsr.Act, Ops: []dsr.Op{dsr.Erase}, Status: dsr.VisitPlanned}
	for _, err := range []error{
		s.CreateRequest(ctx, f.request, ledger.SealedSubject{RequestID: id}, f.event(dsr.EventReceived)),
		s.PlanVisits(ctx, []dsr.Visit{v}),
		s.PutToken(ctx, f.token),
		s.SetCode(ctx, hash, "h1:code", f.token.Due),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if f.visit, err = s.TakeVisit(ctx, id, v.Task(), 1, start, start.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) event(kind dsr.EventKind) dsr.Event {
	return dsr.Event{RequestID: f.request.ID, Chain: dsr.RequestChain, Kind: kind, At: start}
}

// methods are the store's writes, each with the calls it costs, and what must
// be true after it had its effect once.
var methods = map[string]struct {
	do    func(context.Context, *fixture) error
	calls string
	once  func(context.Context, *fixture) (bool, error)
}{
	"CreateRequest": {
		do: func(ctx context.Context, f *fixture) error {
			f.request.ID = ledger.NewRequestID()
			return f.store.CreateRequest(ctx, f.request, ledger.SealedSubject{RequestID: f.request.ID}, f.event(dsr.EventReceived))
		},
		calls: "TransactWriteItems",
		once: func(ctx context.Context, f *fixture) (bool, error) {
			events, err := f.store.Events(ctx, f.request.ID, dsr.RequestChain)
			return len(events) == 1, err
		},
	},
	"SaveRequest": {
		do:    func(ctx context.Context, f *fixture) error { return f.store.SaveRequest(ctx, f.request) },
		calls: "PutItem",
		once: func(ctx context.Context, f *fixture) (bool, error) {
			r, err := f.store.Request(ctx, f.request.ID)
			return r.Version == f.request.Version+1, err
		},
	},
	"ClaimIdentity": {
		do: func(ctx context.Context, f *fixture) error {
			_, err := f.store.ClaimIdentity(ctx, f.token.Hash, f.request.ID)
			return err
		},
		calls: "PutItem",
		once: func(ctx context.Context, f *fixture) (bool, error) {
			holder, err := f.store.ClaimIdentity(ctx, f.token.Hash, ledger.NewRequestID())
			return holder == f.request.ID, err
		},
	},
	"PlanVisits": {
		do: func(ctx context.Context, f *fixture) error {
			return f.store.PlanVisits(ctx, []dsr.Visit{{RequestID: f.request.ID, System: "s3", Phase: dsr.Act}})
		},
		calls: "PutItem",
		once: func(ctx context.Context, f *fixture) (bool, error) {
			visits, err := f.store.Visits(ctx, f.request.ID)
			return len(visits) == 2, err
		},
	},
	"TakeVisit": {
		do: func(ctx context.Context, f *fixture) error {
			_, err := f.store.TakeVisit(ctx, f.request.ID, f.visit.Task(), 1, f.visit.LeaseUntil, f.visit.LeaseUntil.Add(time.Minute))
			return err
		},
		calls: "GetItem TransactWriteItems",
		once: func(ctx context.Context, f *fixture) (bool, error) {
			v, err := f.store.Visit(ctx, f.request.ID, f.visit.Task())
			return v.Fence == 2, err
		},
	},
	"SaveVisit": {
		do: func(ctx context.Context, f *fixture) error {
			f.visit.Sealed = []byte("x")
			return f.store.SaveVisit(ctx, f.visit)
		},
		calls: "TransactWriteItems",
		once: func(ctx context.Context, f *fixture) (bool, error) {
			v, err := f.store.Visit(ctx, f.request.ID, f.visit.Task())
			return string(v.Sealed) == "x", err
		},
	},
	"BeginErasing": {
		do: func(ctx context.Context, f *fixture) error {
			return f.store.BeginErasing(ctx, f.visit, []string{ledger.HoldOnRequest(f.request.ID), ledger.HoldOnCategory("account")}, start)
		},
		calls: "GetItem TransactWriteItems",
		once: func(ctx context.Context, f *fixture) (bool, error) {
			r, err := f.store.Request(ctx, f.request.ID)
			return r.Version == f.request.Version+1 && r.ErasingAt.Equal(start), err
		},
	},
	"Append": {
		do:    func(ctx context.Context, f *fixture) error { return f.store.Append(ctx, f.event(dsr.EventVerified)) },
		calls: "Query PutItem",
		once: func(ctx context.Context, f *fixture) (bool, error) {
			events, err := f.store.Events(ctx, f.request.ID, dsr.RequestChain)
			return len(events) == 2, err
		},
	},
	"PlaceHold": {
		do: func(ctx context.Context, f *fixture) error {
			return f.store.PlaceHold(ctx, ledger.Hold{Key: ledger.HoldOnRequest(f.request.ID), At: start})
		},
		calls: "UpdateItem UpdateItem GetItem PutItem",
		once: func(ctx context.Context, f *fixture) (bool, error) {
			h, err := f.store.Holds(ctx, ledger.HoldOnRequest(f.request.ID))
			return len(h) == 1 && h[0].At.Equal(start), err
		},
	},
	"PutToken": {
		do: func(ctx context.Context, f *fixture) error {
			f.token.Hash += "x"
			return f.store.PutToken(ctx, f.token)
		},
		calls: "PutItem",
		once: func(ctx context.Context, f *fixture) (bool, error) {
			_, err := f.store.Token(ctx, f.token.Hash, start)
			return true, err
		},
	},
	"UseToken": {
		do:    func(ctx context.Context, f *fixture) error { return f.store.UseToken(ctx, f.token.Hash, start) },
		calls: "UpdateItem",
		once: func(ctx context.Context, f *fixture) (bool, error) {
			k, err := f.store.Token(ctx, f.token.Hash, start)
			return k.UsedAt.Equal(start), err
		},
	},
	"ClearCode": {
		do:    func(ctx context.Context, f *fixture) error { return f.store.ClearCode(ctx, f.token.Hash, "h1:code") },
		calls: "UpdateItem",
		once: func(ctx context.Context, f *fixture) (bool, error) {
			k, err := f.store.Token(ctx, f.token.Hash, start)
			return k.CodeHash == "", err
		},
	},
	"Hit": {
		do: func(ctx context.Context, f *fixture) error {
			_, err := f.store.Hit(ctx, f.token.Hash, time.Hour, 5, start)
			return err
		},
		calls: "UpdateItem",
	},
	"CountAttempt": {
		do:    func(ctx context.Context, f *fixture) error { return f.store.CountAttempt(ctx, f.token.Hash, 5) },
		calls: "UpdateItem",
	},
	"Suppress": {
		do: func(ctx context.Context, f *fixture) error {
			return f.store.Suppress(ctx, f.token.Hash, dsr.AllUse, start)
		},
		calls: "UpdateItem",
	},
	"Allow": {
		do:    func(ctx context.Context, f *fixture) error { return f.store.Allow(ctx, f.token.Hash, dsr.AllUse) },
		calls: "UpdateItem",
	},
	"ReplaceSubject": {
		do: func(ctx context.Context, f *fixture) error {
			return f.store.ReplaceSubject(ctx, ledger.SealedSubject{RequestID: f.request.ID, WrappedKey: []byte{1}, Ciphertext: []byte{2}})
		},
		calls: "PutItem",
	},
	"DeleteSubject": {
		do:    func(ctx context.Context, f *fixture) error { return f.store.DeleteSubject(ctx, f.request.ID) },
		calls: "DeleteItem",
	},
	"ReleaseIdentity": {
		do: func(ctx context.Context, f *fixture) error {
			return f.store.ReleaseIdentity(ctx, f.token.Hash, f.request.ID)
		},
		calls: "DeleteItem",
	},
}

// A call more than listed is money at every request. On a loaded machine the
// SDK may send one again by itself, so a method has three tries to show that it
// needs no more.
func TestCalls(t *testing.T) {
	store, w := open(t)
	needs := func(t *testing.T, want string, calls func() []string) {
		t.Helper()
		got := ""
		for range 3 {
			if got = strings.Join(calls(), " "); got == want {
				return
			}
		}
		t.Errorf("calls are %q, want %q", got, want)
	}
	for name, m := range methods {
		t.Run(name, func(t *testing.T) {
			needs(t, m.calls, func() []string {
				f := newFixture(t, store)
				f.store = dynamo.Copy(store) // knows no head of a chain
				return w.during(0, func() {
					if err := m.do(t.Context(), f); err != nil {
						t.Fatal(err)
					}
				})
			})
		})
	}
	t.Run("a second Append needs no read", func(t *testing.T) {
		needs(t, "PutItem", func() []string {
			f := newFixture(t, store)
			if err := store.Append(t.Context(), f.event(dsr.EventVerified)); err != nil {
				t.Fatal(err)
			}
			return w.during(0, func() {
				if err := store.Append(t.Context(), f.event(dsr.EventPlanned)); err != nil {
					t.Fatal(err)
				}
			})
		})
	})
}

// A write whose answer is lost is sent again by the SDK; it still has its
// effect once and does not look like somebody else's.
func TestLostAnswers(t *testing.T) {
	store, w := open(t)
	tested := 0
	for name, m := range methods {
		if m.once == nil {
			continue // counts once more, which errs on the safe side, or is idempotent
		}
		tested++
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, store)
			calls := w.during(2, func() {
				if err := m.do(t.Context(), f); err != nil {
					t.Fatal(err)
				}
			})
			if len(calls) < 3 {
				t.Errorf("no answer was lost: calls are %q", calls)
			}
			once, err := m.once(t.Context(), f)
			if err != nil || !once {
				t.Errorf("the effect is not there once: %v", err)
			}
		})
	}
	if tested != 12 {
		t.Errorf("%d methods were tested, want 12", tested)
	}
}
