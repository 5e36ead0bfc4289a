package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/writ-dsr/writ/shared/connector"
)

// numbers is a list of n rows in pages of size, whose cursor is an offset.
func numbers(name string, n, size int, each func(context.Context, json.RawMessage) error) List {
	return List{
		Fetch: func(_ context.Context, after string) (Page, error) {
			start, _ := strconv.Atoi(after)
			end := min(start+size, n)
			var p Page
			for i := start; i < end; i++ {
				p.Rows = append(p.Rows, json.RawMessage(fmt.Sprintf(`"%s%d"`, name, i)))
			}
			if end < n {
				p.Next = strconv.Itoa(end)
			}
			return p, nil
		},
		Each: each,
	}
}

// cutter pauses at one Save; the zero cutter never does.
type cutter struct {
	at, saves int
	cursor    string
	rows      func() int
	safe      int // rows when last saved
}

func (c *cutter) Save(_ context.Context, cursor string) error {
	c.saves++
	c.cursor, c.safe = cursor, c.rows()
	if c.saves == c.at {
		return connector.ErrPause
	}
	return nil
}

// run walks three lists until they end, over pauses, and returns rows, tally
// and the number of saves.
func run(t *testing.T, cutAt int) ([]string, map[string]int, int) {
	t.Helper()
	var rows []string
	c := &cutter{at: cutAt, rows: func() int { return len(rows) }}
	cursor := ""
	for range 100 {
		w, err := NewWalk(cursor)
		if err != nil {
			t.Fatal(err)
		}
		lists := make([]List, 0, 3)
		for i, n := range []int{5, 0, 4} {
			name := string(rune('a' + i))
			lists = append(lists, numbers(name, n, 2, func(_ context.Context, row json.RawMessage) error {
				rows = append(rows, string(row))
				w.Tally[name]++
				return nil
			}))
		}
		err = w.Run(t.Context(), connector.Task{Progress: c}, lists)
		if err == nil {
			return rows, w.Tally, c.saves
		}
		if !errors.Is(err, connector.ErrPause) {
			t.Fatal(err)
		}
		cursor, rows = c.cursor, rows[:c.safe]
	}
	t.Fatal("the walk never ended")
	return nil, nil, 0
}

func TestWalkCutAnywhere(t *testing.T) {
	rows, tally, saves := run(t, 0)
	if len(rows) != 9 || !maps.Equal(tally, map[string]int{"a": 5, "c": 4}) || saves != 5 {
		t.Fatalf("uncut: %d rows, tally %v, %d saves", len(rows), tally, saves)
	}
	for at := 1; at <= saves; at++ {
		gotRows, gotTally, _ := run(t, at)
		if !slices.Equal(rows, gotRows) || !maps.Equal(tally, gotTally) {
			t.Errorf("cut at save %d: rows %v, tally %v", at, gotRows, gotTally)
		}
	}
}

func TestWalkRefusesForeignCursors(t *testing.T) {
	for _, cursor := range []string{"x", `{"list":-1}`, `[]`, `{"list":"a"}`} {
		if _, err := NewWalk(cursor); !errors.Is(err, connector.Invalid) {
			t.Errorf("the cursor %s gives %v", cursor, err)
		}
	}
	w, err := NewWalk(`{"list":4}`)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(t.Context(), connector.Task{}, make([]List, 3)); !errors.Is(err, connector.Invalid) {
		t.Errorf("a cursor behind the last list gives %v", err)
	}
}

func TestPagesNoticeRepetition(t *testing.T) {
	row := func(s string) []json.RawMessage { return []json.RawMessage{json.RawMessage(s)} }
	for name, c := range map[string]struct {
		pages map[string]Page
		after string
		rows  int
		ok    bool
	}{
		"two pages":               {map[string]Page{"": {row("1"), "b"}, "b": {row("2"), ""}}, "", 2, true},
		"an empty page between":   {map[string]Page{"": {row("1"), "b"}, "b": {nil, "c"}, "c": {nil, "d"}, "d": {row("2"), ""}}, "", 2, true},
		"the same page for ever":  {map[string]Page{"": {row("1"), "b"}, "b": {row("1"), "b"}}, "", 1, false},
		"the same page once more": {map[string]Page{"": {row("1"), "b"}, "b": {row("1"), ""}}, "", 1, false},
		"back to the start":       {map[string]Page{"": {row("1"), "b"}, "b": {row("2"), "c"}, "c": {row("3"), "b"}}, "", 2, false},
		"itself":                  {map[string]Page{"b": {row("1"), "b"}}, "b", 0, false},
		"empty for ever":          {map[string]Page{"": {nil, "b"}, "b": {nil, "b"}}, "", 0, false},
	} {
		rows, fetched := 0, 0
		err := Pages(t.Context(), List{
			Fetch: func(_ context.Context, after string) (Page, error) {
				if fetched++; fetched > 10 {
					t.Fatalf("%s: endless", name)
				}
				return c.pages[after], nil
			},
			Each: func(context.Context, json.RawMessage) error { rows++; return nil },
		}, c.after, nil)
		if c.ok != (err == nil) || !c.ok && !errors.Is(err, connector.Invalid) || rows != c.rows {
			t.Errorf("%s: %d rows, want %d (%v)", name, rows, c.rows, err)
		}
	}
}

func TestPagesReturnErrorsUnchanged(t *testing.T) {
	boom := errors.New("boom")
	one := numbers("a", 4, 2, func(context.Context, json.RawMessage) error { return boom })
	if err := Pages(t.Context(), one, "", nil); err != boom {
		t.Errorf("the row's error became %v", err)
	}
	one.Each = func(context.Context, json.RawMessage) error { return nil }
	if err := Pages(t.Context(), one, "", func(context.Context, string) error { return boom }); err != boom {
		t.Errorf("the save's error became %v", err)
	}
	one.Fetch = func(context.Context, string) (Page, error) { return Page{}, boom }
	if err := Pages(t.Context(), one, "", nil); err != boom {
		t.Errorf("the fetch's error became %v", err)
	}
}
