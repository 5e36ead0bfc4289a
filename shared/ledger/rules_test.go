package ledger_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
)

func TestHeldErrorNamesNoPerson(t *testing.T) {
	for key, want := range map[string]string{
		ledger.HoldOnSubject("h1:abc"):                     "a legal hold applies to the person",
		ledger.HoldOnCategory("payments"):                  "a legal hold applies to the category payments",
		ledger.HoldOnRequest("waaaaaaaaaaaaaaaaaaaaaaaaa"): "a legal hold applies to the request waaaaaaaaaaaaaaaaaaaaaaaaa",
	} {
		err := &ledger.HeldError{Key: key}
		if err.Error() != want || !errors.Is(err, ledger.ErrHeld) {
			t.Errorf("got %q, want %q that is ErrHeld", err, want)
		}
	}
}

// A link that was stored and read has the hash it was sealed with, whatever its
// detail was made of.
func TestLinkSurvivesStorage(t *testing.T) {
	type ordered struct {
		Z int    `json:"z"`
		A string `json:"a"`
	}
	rapid.Check(t, func(t *rapid.T) {
		e := dsr.Event{RequestID: "w", Chain: "s3", Kind: dsr.EventOpDone, At: time.Unix(0, rapid.Int64Range(0, 1<<62).Draw(t, "at")), Detail: map[string]any{
			"int": rapid.Int64().Draw(t, "int"), "float": rapid.Float64().Draw(t, "float"), "text": rapid.String().Draw(t, "text"),
			"bytes": rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"), "struct": ordered{1, rapid.String().Draw(t, "a")}, "nil": nil,
		}}
		link, err := ledger.Link(dsr.Event{}, e)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := json.Marshal(link)
		if err != nil {
			t.Fatal(err)
		}
		var read dsr.Event
		if err := json.Unmarshal(doc, &read); err != nil {
			t.Fatal(err)
		}
		if _, err := dsr.VerifyChain([]dsr.Event{read}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestCounterWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window := time.Duration(rapid.Int64Range(int64(time.Second), int64(48*time.Hour)).Draw(t, "window")).Truncate(time.Second)
		now := time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "now"), rapid.Int64Range(0, 1e9-1).Draw(t, "ns"))
		name, ends := ledger.Counter("key", window, now)
		if !ends.After(now) || ends.Sub(now) > window {
			t.Fatalf("the window of %s that holds %s ends at %s", window, now, ends)
		}
		last, lastEnds := ledger.Counter("key", window, ends.Add(-1))
		next, _ := ledger.Counter("key", window, ends)
		if last != name || !lastEnds.Equal(ends) || next == name {
			t.Fatalf("the counter changes within its window, or not after it: %s, %s, %s", name, last, next)
		}
		if other, _ := ledger.Counter("key2", window, now); other == name || !strings.HasPrefix(name, "HIT#") {
			t.Fatalf("two keys share the counter %s", name)
		}
	})
}
