package ledger

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/dsr"
)

// DefaultMatter is the matter of a hold that names none.
const DefaultMatter = "general"

var matterForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,39}$`)

// ParseMatter checks the form of a matter's reference; "" is DefaultMatter. A
// reference that cannot hold a name keeps names out of keys and chains.
func ParseMatter(s string) (string, error) {
	s = cmp.Or(strings.ToLower(strings.TrimSpace(s)), DefaultMatter)
	if !matterForm.MatchString(s) {
		return "", fmt.Errorf("reading matter: it is not up to 40 of a-z, 0-9, dot, hyphen and underscore, for example 2026-014")
	}
	return s, nil
}

// HoldsRequest is the request id under which the chains of holds lie, one for
// each matter: holds outlive the requests they stop.
const HoldsRequest = dsr.RequestID("holds")

// Held are the holds under one key, ordered by matter. The rules of holds are
// its methods, so that every store has the same.
type Held []Hold

// Place adds a hold.
func (h Held) Place(hold Hold) (Held, error) {
	if hold.Matter == "" {
		hold.Matter = DefaultMatter
	}
	if h.at(hold.Matter) >= 0 {
		return nil, ErrExists
	}
	all := append(slices.Clone(h), hold)
	slices.SortFunc(all, func(a, b Hold) int { return cmp.Compare(a.Matter, b.Matter) })
	return all, nil
}

// Propose records that somebody asked for the end of a matter's hold.
func (h Held) Propose(matter string, l Lift) (Held, error) {
	i := h.at(matter)
	if i < 0 {
		return nil, ErrNotFound
	}
	all := slices.Clone(h)
	all[i].Lift = &l
	return all, nil
}

// Confirm ends a matter's hold: it takes a second person.
func (h Held) Confirm(matter, by string) (Held, error) {
	i := h.at(matter)
	switch {
	case i < 0:
		return nil, ErrNotFound
	case h[i].Lift == nil:
		return nil, ErrNotProposed
	case h[i].Lift.By == by:
		return nil, ErrSamePerson
	}
	return slices.Delete(slices.Clone(h), i, i+1), nil
}

func (h Held) at(matter string) int {
	return slices.IndexFunc(h, func(x Hold) bool { return x.Matter == matter })
}
