package ledgertest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-dsr/writ/shared/ledger"
)

// lift ends the hold that names no matter, as two people do.
func lift(t testing.TB, s ledger.Store, key string) {
	t.Helper()
	must(t, s.ProposeLift(t.Context(), key, ledger.DefaultMatter, ledger.Lift{By: "counsel", At: start}))
	must(t, s.LiftHold(t.Context(), key, ledger.DefaultMatter, "officer"))
}

// newMatter returns a matter nobody else has.
func newMatter() string { return strings.ToLower(newKey()[3:15]) }

func keysOf(holds []ledger.Hold) []string {
	var keys []string
	for _, h := range holds {
		keys = append(keys, h.Key)
	}
	return keys
}

var holdRules = map[string]func(*testing.T, ledger.Store){
	"a hold is placed once, read and lifted by two people": func(t *testing.T, s ledger.Store) {
		h := ledger.Hold{Key: ledger.HoldOnCategory(newKey()), Matter: newMatter(), Reason: "litigation", By: "counsel", At: start}
		none, err := s.Holds(t.Context(), h.Key)
		must(t, err)
		equal(t, "the number of holds before", len(none), 0)
		wantErr(t, s.ProposeLift(t.Context(), h.Key, h.Matter, ledger.Lift{By: "x"}), ledger.ErrNotFound)
		wantErr(t, s.LiftHold(t.Context(), h.Key, h.Matter, "x"), ledger.ErrNotFound)
		must(t, s.PlaceHold(t.Context(), h))
		other := h
		other.Reason = "another"
		wantErr(t, s.PlaceHold(t.Context(), other), ledger.ErrExists)
		stored, err := s.Holds(t.Context(), h.Key)
		must(t, err)
		same(t, "the hold", stored, []ledger.Hold{h})

		wantErr(t, s.LiftHold(t.Context(), h.Key, h.Matter, "officer"), ledger.ErrNotProposed)
		wantErr(t, s.ProposeLift(t.Context(), h.Key, "another-matter", ledger.Lift{By: "counsel"}), ledger.ErrNotFound)
		l := ledger.Lift{Reason: "settled", By: "counsel", At: start.Add(time.Hour)}
		must(t, s.ProposeLift(t.Context(), h.Key, h.Matter, l))
		h.Lift = &l
		stored, err = s.Holds(t.Context(), h.Key)
		must(t, err)
		same(t, "the hold whose lifting is asked for", stored, []ledger.Hold{h})
		wantErr(t, s.LiftHold(t.Context(), h.Key, h.Matter, "counsel"), ledger.ErrSamePerson)
		must(t, s.LiftHold(t.Context(), h.Key, h.Matter, "officer"))
		wantErr(t, s.LiftHold(t.Context(), h.Key, h.Matter, "officer"), ledger.ErrNotFound)
		must(t, s.PlaceHold(t.Context(), other))
	},
	"a hold asked to be lifted holds until it is": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		v := take(t, s, plan(t, s, r.ID, "postgres"), 1)
		key := ledger.HoldOnRequest(r.ID)
		must(t, s.PlaceHold(t.Context(), ledger.Hold{Key: key, At: start}))
		must(t, s.ProposeLift(t.Context(), key, ledger.DefaultMatter, ledger.Lift{By: "counsel"}))
		wantErr(t, s.BeginErasing(t.Context(), v, []string{key}, start), ledger.ErrHeld)
		must(t, s.LiftHold(t.Context(), key, ledger.DefaultMatter, "officer"))
		must(t, s.BeginErasing(t.Context(), v, []string{key}, start))
	},
	"each matter holds for itself": func(t *testing.T, s ledger.Store) {
		r := create(t, s)
		v := take(t, s, plan(t, s, r.ID, "postgres"), 1)
		first, second := "a-"+newMatter(), "b-"+newMatter()
		person, request := ledger.HoldOnSubject(newKey()), ledger.HoldOnRequest(r.ID)
		for _, h := range []ledger.Hold{{Key: person, Matter: second}, {Key: person, Matter: first}, {Key: request, Matter: first}} {
			must(t, s.PlaceHold(t.Context(), h))
		}
		both, err := s.Holds(t.Context(), person)
		must(t, err)
		if len(both) != 2 || both[0].Matter != first || both[1].Matter != second {
			t.Fatalf("the person is held as %+v", both)
		}
		of, err := s.MatterHolds(t.Context(), first)
		must(t, err)
		want := []string{person, request}
		slices.Sort(want)
		if !slices.Equal(keysOf(of), want) {
			t.Fatalf("the first matter holds %v, want %v", keysOf(of), want)
		}
		for _, key := range []string{person, request} {
			must(t, s.ProposeLift(t.Context(), key, first, ledger.Lift{By: "counsel"}))
			must(t, s.LiftHold(t.Context(), key, first, "officer"))
		}
		wantErr(t, s.BeginErasing(t.Context(), v, []string{person, request}, start), ledger.ErrHeld)
		of, err = s.MatterHolds(t.Context(), first)
		must(t, err)
		equal(t, "what the lifted matter holds", len(of), 0)
		of, err = s.MatterHolds(t.Context(), second)
		must(t, err)
		equal(t, "what the other matter holds", len(of), 1)
		all, err := s.Matters(t.Context())
		must(t, err)
		if !slices.Contains(all, first) || !slices.Contains(all, second) || !slices.IsSorted(all) {
			t.Fatalf("the matters are %v", all)
		}
		must(t, s.ProposeLift(t.Context(), person, second, ledger.Lift{By: "counsel"}))
		must(t, s.LiftHold(t.Context(), person, second, "officer"))
		must(t, s.BeginErasing(t.Context(), v, []string{person, request}, start))
	},
	"many matters at once on one key": func(t *testing.T, s ledger.Store) {
		const n = 8
		key := ledger.HoldOnCategory(newKey())
		counts := together(n, func(i int) error {
			return s.PlaceHold(t.Context(), ledger.Hold{Key: key, Matter: string(rune('a'+i)) + "-matter", At: start})
		})
		equal(t, "successes", counts[""], n)
		all, err := s.Holds(t.Context(), key)
		must(t, err)
		equal(t, "the number of holds", len(all), n)
	},
}
