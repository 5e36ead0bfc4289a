package verify_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/platform/vault"
)

func TestConfirm(t *testing.T) {
	s := newStand(t)
	id := s.asked(dsrtest.Ada, nil)
	s.now = start.Add(time.Hour)
	page := s.confirm(id, strings.ToLower(strings.ReplaceAll(s.codes[id], "-", " ")))
	if page.Status != http.StatusOK || !strings.Contains(string(page.Body), "https://writ.example/p/status?t=") {
		t.Fatalf("status %d: %s", page.Status, page.Body)
	}
	r := s.read(id)
	if r.Status != dsr.Running || !r.VerifiedAt.Equal(s.now) {
		t.Errorf("recorded %s at %v", r.Status, r.VerifiedAt)
	}
	if !slices.Equal(s.machine.released, []string{token(id, 1)}) {
		t.Errorf("released %v", s.machine.released)
	}
	if got := s.confirm(id, s.codes[id]); got.Status != http.StatusGone {
		t.Errorf("used again: status %d, want 410", got.Status)
	}
	if n := s.count(id, dsr.EventVerified); n != 1 {
		t.Errorf("verified %d times", n)
	}
	noCanary(t, "the log", s.log.String())
	noCanary(t, "the ledger in clear", s.snapshot())
}

func TestWhatIsNotAConfirmation(t *testing.T) {
	for _, c := range []struct {
		name     string
		fields   []string
		status   int
		attempts int
	}{
		{"an empty form, as scanners post it", nil, 400, 0},
		{"the box without a code", []string{"confirm", "yes"}, 400, 0},
		{"the box and white space", []string{"confirm", "yes", "code", "   "}, 400, 0},
		{"the right code without the box", []string{"code", "RIGHT"}, 400, 0},
		{"a wrong code without the box", []string{"code", "BBBB-BBBB"}, 400, 0},
		{"another word in the box", []string{"code", "RIGHT", "confirm", "on"}, 400, 0},
		{"a wrong code", []string{"code", "BBBB-BBBB", "confirm", "yes"}, 400, 1},
		{"no code at all", []string{"code", "hello", "confirm", "yes"}, 400, 1},
		{"the code of another request", []string{"code", "OTHER", "confirm", "yes"}, 400, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t)
			id, other := s.asked(dsrtest.Ada, nil), s.asked(dsrtest.Ben, nil)
			secret := s.link(id, "/confirm")
			for i, f := range c.fields {
				switch f {
				case "RIGHT":
					c.fields[i] = s.codes[id]
				case "OTHER":
					c.fields[i] = s.codes[other]
				}
			}
			before := s.snapshot()
			page := s.do(http.MethodPost, "/confirm", secret, c.fields...)
			if page.Status != c.status {
				t.Errorf("status %d, want %d", page.Status, c.status)
			}
			if !strings.Contains(string(page.Body), "-problem") {
				t.Error("the page names no field to mend")
			}
			kept, err := s.ledger.Token(t.Context(), ledger.HashSecret(secret), s.now)
			if err != nil || kept.Attempts != c.attempts {
				t.Errorf("%d attempts are counted, want %d (%v)", kept.Attempts, c.attempts, err)
			}
			if changed := s.snapshot() != before; changed != (c.attempts > 0) {
				t.Errorf("the ledger changed: %v", changed)
			}
			if s.confirm(id, s.codes[id]).Status != http.StatusOK {
				t.Error("the link works no more")
			}
		})
	}
}

func TestFiveWrongCodesEndTheLink(t *testing.T) {
	s := newStand(t)
	id := s.asked(dsrtest.Ada, nil)
	for i := range 5 {
		if r := s.confirm(id, "BBBB-BBBB"); r.Status != http.StatusBadRequest {
			t.Fatalf("wrong code %d: status %d, want 400", i+1, r.Status)
		}
	}
	for _, code := range []string{s.codes[id], "BBBB-BBBB", s.codes[id]} {
		if r := s.confirm(id, code); r.Status != http.StatusGone {
			t.Errorf("after five wrong codes: status %d, want 410", r.Status)
		}
	}
	if s.read(id).Status != dsr.Verifying || len(s.machine.released) != 0 {
		t.Error("the request moved")
	}
}

func TestLinksThatDoNotWork(t *testing.T) {
	s := newStand(t)
	id := s.asked(dsrtest.Ada, nil)
	confirm, disown := s.link(id, "/confirm"), s.link(id, "/not-me")
	for _, c := range []struct {
		name, path, secret string
		late               time.Duration
		status             int
	}{
		{"a secret that is none", "/confirm", "nothing", 0, 404},
		{"no secret", "/confirm", "", 0, 404},
		{"the hash in place of the secret", "/confirm", ledger.HashSecret(confirm), 0, 404},
		{"the disown link's secret", "/confirm", disown, 0, 404},
		{"the confirm link's secret to disown", "/not-me", confirm, 0, 404},
		{"expired", "/confirm", confirm, proofPeriod + time.Second, 410},
		{"expired to disown", "/not-me", disown, proofPeriod + time.Second, 410},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			before := s.snapshot()
			s.now = start.Add(c.late)
			r := s.do(method, c.path, c.secret, "code", s.codes[id], "confirm", "yes", "word", "not me")
			if r.Status != c.status || s.snapshot() != before {
				t.Errorf("%s %s: status %d, want %d; ledger changed: %v", method, c.name, r.Status, c.status, s.snapshot() != before)
			}
		}
	}
}

// Mail scanners follow every link, run what they find and post empty forms.
func TestGetChangesNothing(t *testing.T) {
	s := newStand(t)
	id := s.asked(dsrtest.Ada, func(r *ledger.Request) { r.Rights = []dsr.Right{dsr.Access, dsr.Erasure} })
	before := s.snapshot()
	for _, path := range []string{"/confirm", "/not-me"} {
		for range 3 {
			r := s.do(http.MethodGet, path, s.link(id, path), "code", s.codes[id], "confirm", "yes", "word", "not me")
			if r.Status != http.StatusOK {
				t.Errorf("%s: status %d", path, r.Status)
			}
			if strings.Contains(string(r.Body), dsrtest.Ada.Name) || strings.Contains(string(r.Body), dsrtest.Ada.Email) {
				t.Errorf("%s shows the person before the proof", path)
			}
			s.do(http.MethodPost, path, s.link(id, path))
		}
	}
	if s.snapshot() != before || len(s.machine.released) != 0 {
		t.Error("looking changed something")
	}
	if s.confirm(id, s.codes[id]).Status != http.StatusOK {
		t.Error("the link works no more")
	}
}

func TestHundredConfirmationsAtOnceAreOne(t *testing.T) {
	s := newStand(t)
	id := s.asked(dsrtest.Ada, nil)
	links := []string{s.link(id, "/confirm")}
	s.now = start.Add(90 * time.Hour)
	if err := s.challenge.Send(t.Context(), id); err != nil { // a second link: the reminder's
		t.Fatal(err)
	}
	links = append(links, s.link(id, "/confirm"))
	var wg sync.WaitGroup
	var confirmed, gone atomic.Int32
	for i := range 100 {
		wg.Go(func() {
			r, err := s.try(http.MethodPost, "/confirm", links[i%2], "code", s.codes[id], "confirm", "yes")
			switch {
			case err != nil:
				t.Error(err)
			case r.Status == http.StatusOK:
				confirmed.Add(1)
			case r.Status == http.StatusGone:
				gone.Add(1)
			}
		})
	}
	wg.Wait()
	if confirmed.Load() != 1 || gone.Load() != 99 {
		t.Errorf("%d confirmed, %d refused; want 1 and 99", confirmed.Load(), gone.Load())
	}
	if n := s.count(id, dsr.EventVerified); n != 1 || len(s.machine.released) != 1 {
		t.Errorf("verified %d times, released %d; want one each", n, len(s.machine.released))
	}
}

func TestConfirmAndDisownAtOnce(t *testing.T) {
	for range 20 {
		s := newStand(t)
		id := s.asked(dsrtest.Ada, nil)
		confirm, disown := s.link(id, "/confirm"), s.link(id, "/not-me")
		var wg sync.WaitGroup
		var ok atomic.Int32
		for _, act := range []func() (int, error){
			func() (int, error) {
				r, err := s.try(http.MethodPost, "/confirm", confirm, "code", s.codes[id], "confirm", "yes")
				return r.Status, err
			},
			func() (int, error) {
				r, err := s.try(http.MethodPost, "/not-me", disown, "word", "not me")
				return r.Status, err
			},
		} {
			wg.Go(func() {
				if status, err := act(); err == nil && status == http.StatusOK {
					ok.Add(1)
				}
			})
		}
		wg.Wait()
		if kinds := s.count(id, dsr.EventVerified) + s.count(id, dsr.EventDisowned); ok.Load() != 1 || kinds != 1 {
			t.Fatalf("%d acts succeeded, %d are recorded; want one", ok.Load(), kinds)
		}
	}
}

func TestDisown(t *testing.T) {
	for _, c := range []struct {
		typed  string
		status int
	}{{"", 400}, {"yes", 400}, {"notme", 400}, {"not me", 200}, {"  NOT   Me ", 200}} {
		s := newStand(t)
		id := s.asked(dsrtest.Ada, nil)
		secret := s.link(id, "/not-me")
		r := s.do(http.MethodPost, "/not-me", secret, "word", c.typed)
		if r.Status != c.status {
			t.Errorf("%q: status %d, want %d", c.typed, r.Status, c.status)
		}
		if c.status == 400 {
			if s.read(id).Status != dsr.Verifying || len(s.machine.released) != 0 {
				t.Errorf("%q ended the request", c.typed)
			}
			continue
		}
		if got := s.read(id); got.Status != dsr.Disowned || got.ClosedAt.IsZero() || !got.VerifiedAt.IsZero() {
			t.Errorf("closed as %+v", got)
		}
		if len(s.machine.released) != 1 || s.count(id, dsr.EventDisowned) != 1 {
			t.Error("the machine waits, or no event tells of it")
		}
		if s.do(http.MethodPost, "/not-me", secret, "word", "not me").Status != 410 || s.confirm(id, s.codes[id]).Status != 410 {
			t.Error("a disowned request goes on")
		}
	}
}

func TestSamePersonsRequestsMergeAfterTheProof(t *testing.T) {
	both := func(r *ledger.Request) { r.Rights = []dsr.Right{dsr.Access, dsr.Erasure} }
	copyOnly := func(r *ledger.Request) { r.Rights = []dsr.Right{dsr.Access} }
	words := func(r *ledger.Request) { r.Words = true }
	for _, c := range []struct {
		name          string
		first, second func(*ledger.Request)
		who           dsrtest.Person
		between       func(*stand, dsr.RequestID)
		merged        bool
	}{
		{"the same asked twice", copyOnly, copyOnly, dsrtest.Ada, nil, true},
		{"a part of what the first asks", both, copyOnly, dsrtest.Ada, nil, true},
		{"more than the first asks", copyOnly, both, dsrtest.Ada, nil, false},
		{"own words", copyOnly, words, dsrtest.Ada, nil, false},
		{"another person", copyOnly, copyOnly, dsrtest.Ben, nil, false},
		{"an address that differs in case alone", copyOnly, copyOnly, dsrtest.AdaUpper, nil, false},
		{"the first is with a person", copyOnly, copyOnly, dsrtest.Ada, func(s *stand, id dsr.RequestID) {
			s.change(id, func(r *ledger.Request) { r.Status = dsr.NeedsAttention })
		}, true},
		{"the first is completed", copyOnly, copyOnly, dsrtest.Ada, func(s *stand, id dsr.RequestID) {
			s.change(id, func(r *ledger.Request) { r.Status = dsr.Completed })
		}, false},
		{"the first is answered", copyOnly, copyOnly, dsrtest.Ada, func(s *stand, id dsr.RequestID) {
			s.change(id, func(r *ledger.Request) { r.Status = dsr.Answered })
		}, false},
		{"the first was withdrawn", copyOnly, copyOnly, dsrtest.Ada, func(s *stand, id dsr.RequestID) {
			s.change(id, func(r *ledger.Request) { r.Status = dsr.Withdrawn })
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t)
			first := s.asked(dsrtest.Ada, c.first)
			if s.confirm(first, s.codes[first]).Status != http.StatusOK {
				t.Fatal("the first is not confirmed")
			}
			if c.between != nil {
				c.between(s, first)
			}
			s.now = start.Add(48 * time.Hour)
			second := s.asked(c.who, c.second)
			before := s.read(first)
			if s.read(second).Status != dsr.Verifying {
				t.Fatal("merged before the proof")
			}
			page := s.confirm(second, s.codes[second])
			if page.Status != http.StatusOK {
				t.Fatalf("status %d", page.Status)
			}
			r := s.read(second)
			if !c.merged {
				if r.Status != dsr.Running || r.MergedInto != "" {
					t.Errorf("the second is %s", r.Status)
				}
				return
			}
			if r.Status != dsr.Merged || r.MergedInto != first || r.ClosedAt.IsZero() {
				t.Errorf("the second is %s, into %q", r.Status, r.MergedInto)
			}
			if after := s.read(first); !after.DueAt.Equal(before.DueAt) || after.Status != before.Status {
				t.Errorf("the first is due %v and was %v", after.DueAt, before.DueAt)
			}
			if !strings.Contains(string(page.Body), before.DueAt.Format("2 January 2006")) {
				t.Error("the page tells another due date than the first's")
			}
			if s.count(first, dsr.EventMerged) != 1 || s.count(second, dsr.EventMerged) != 1 || len(s.machine.released) != 2 {
				t.Error("an event is missing, or the second's machine still waits")
			}
		})
	}
}

// The one confirmed second may have been received first.
func TestMergedRequestIsDatedFromTheFirstReceived(t *testing.T) {
	s := newStand(t)
	older := s.asked(dsrtest.Ada, nil)
	due := s.read(older).DueAt
	s.now = start.Add(72 * time.Hour)
	newer := s.asked(dsrtest.Ada, nil)
	if !s.read(newer).DueAt.After(due) {
		t.Fatal("the newer is not due later")
	}
	s.confirm(newer, s.codes[newer])
	s.confirm(older, s.codes[older])
	if r := s.read(newer); !r.DueAt.Equal(due) || r.Status != dsr.Running {
		t.Errorf("due %v, %s; want %v from the first", r.DueAt, r.Status, due)
	}
	if r := s.read(older); r.Status != dsr.Merged || r.MergedInto != newer {
		t.Errorf("the older is %s into %q", r.Status, r.MergedInto)
	}
}

func TestMachineThatIsNotThereCostsNoProof(t *testing.T) {
	s := newStand(t)
	id := s.asked(dsrtest.Ada, nil)
	s.machine.fail = errors.New("releasing: no answer")
	if s.confirm(id, s.codes[id]).Status != http.StatusOK || s.read(id).Status != dsr.Running {
		t.Error("the proof is lost")
	}
	if !strings.Contains(s.log.String(), string(id)) {
		t.Error("the log names no request")
	}
}

// shaky is a key service, or a ledger, that fails once.
type shaky struct {
	*vault.Vault
	fails int
}

func (k *shaky) Hash(ctx context.Context, purpose, value string) (string, error) {
	if purpose == "identity" && k.fails > 0 {
		k.fails--
		return "", errors.New("hashing: no answer")
	}
	return k.Vault.Hash(ctx, purpose, value)
}

// An answer that is cut off after its link was spent can be given again.
func TestAnswerThatWasCutOffGoesOn(t *testing.T) {
	s := newStand(t)
	id := s.asked(dsrtest.Ada, nil)
	s.answer.Hasher = &shaky{Vault: s.keys, fails: 1}
	secret := s.link(id, "/confirm")
	if _, err := s.try(http.MethodPost, "/confirm", secret, "code", s.codes[id], "confirm", "yes"); err == nil {
		t.Fatal("the fault is hidden")
	} else {
		noCanary(t, "the error", err.Error())
	}
	if r := s.confirm(id, s.codes[id]); r.Status != http.StatusGone {
		t.Errorf("while the first answer may still run: status %d, want 410", r.Status)
	}
	s.now = s.now.Add(2 * time.Minute)
	if r := s.confirm(id, s.codes[id]); r.Status != http.StatusOK || s.count(id, dsr.EventVerified) != 1 {
		t.Errorf("status %d, verified %d times", r.Status, s.count(id, dsr.EventVerified))
	}
}
