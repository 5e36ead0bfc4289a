package rest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/writ-dsr/writ/shared/connector"
)

// Page is one page of a vendor's list. Next is what fetches the page after it,
// "" on the last.
type Page struct {
	Rows []json.RawMessage
	Next string
}

// List is one paged list. Fetch gets the page after a cursor ("" for the
// first), Each takes the rows of a page that is new.
type List struct {
	Fetch func(ctx context.Context, after string) (Page, error)
	Each  func(ctx context.Context, row json.RawMessage) error
}

// Pages reads a list to its end and calls save between pages (nil for none). A
// vendor that sends a page again, or leads back to an earlier one, is an error
// and not an endless loop.
func Pages(ctx context.Context, l List, after string, save func(ctx context.Context, after string) error) error {
	seenNext := map[string]bool{after: true}
	seenPage := map[[sha256.Size]byte]bool{}
	for {
		page, err := l.Fetch(ctx, after)
		if err != nil {
			return err
		}
		digest := digest(page.Rows)
		repeated := len(page.Rows) > 0 && seenPage[digest] || page.Next != "" && seenNext[page.Next]
		if repeated {
			return &connector.Error{Kind: connector.Invalid, Err: errors.New("reading a list: the vendor sent the same page again")}
		}
		seenPage[digest], seenNext[page.Next] = true, true
		for _, row := range page.Rows {
			if err := l.Each(ctx, row); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		after = page.Next
		if save == nil {
			continue
		}
		if err := save(ctx, after); err != nil {
			return err
		}
	}
}

func digest(rows []json.RawMessage) [sha256.Size]byte {
	h := sha256.New()
	for _, row := range rows {
		fmt.Fprintf(h, "%d:", len(row)) //nolint:errcheck // a hash never fails
		h.Write(row)                    //nolint:errcheck // a hash never fails
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// Walk is an op's way through several lists, one after the other. Written as
// the task's cursor it lets the op be cut between any two pages: Tally holds
// the counts so far, so that the result is the same as without a cut.
type Walk struct {
	List  int            `json:"list"`            // index of the list being read
	After string         `json:"after,omitempty"` // its cursor
	Tally map[string]int `json:"tally,omitempty"` // the op's own counts
}

// NewWalk goes on from a task's cursor, or begins when it is empty.
func NewWalk(cursor string) (*Walk, error) {
	w := &Walk{}
	if cursor != "" {
		if err := json.Unmarshal([]byte(cursor), w); err != nil || w.List < 0 {
			return nil, &connector.Error{Kind: connector.Invalid, Err: errors.New("reading the cursor: it is not one this connector wrote")}
		}
	}
	if w.Tally == nil {
		w.Tally = map[string]int{}
	}
	return w, nil
}

// Run reads the lists from where the walk stands to the end and saves the
// task's cursor between pages and between lists. The lists must be the same,
// in the same order, each time.
func (w *Walk) Run(ctx context.Context, t connector.Task, lists []List) error {
	if w.List > len(lists) {
		return &connector.Error{Kind: connector.Invalid, Err: errors.New("reading the cursor: it lies behind the last list")}
	}
	save := func(ctx context.Context, after string) error {
		w.After = after
		cursor, err := json.Marshal(w) // map keys are sorted: the same place is the same cursor
		if err != nil {
			return fmt.Errorf("writing the cursor: %w", err)
		}
		return t.Save(ctx, string(cursor))
	}
	for w.List < len(lists) {
		if err := Pages(ctx, lists[w.List], w.After, save); err != nil {
			return err
		}
		if w.List++; w.List == len(lists) {
			return nil
		}
		if err := save(ctx, ""); err != nil {
			return err
		}
	}
	return nil
}
