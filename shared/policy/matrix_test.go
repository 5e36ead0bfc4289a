package policy

import (
	"slices"
	"testing"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Every pair of rights has a settlement that says which of the two comes first,
// whatever order they are asked in.
func TestEveryPairIsSettled(t *testing.T) {
	hows := []string{Together, OneCopy, InOrder, Beside, Swallows, Opposed}
	pairs := 0
	for i, a := range dsr.Rights() {
		for _, b := range dsr.Rights()[i+1:] {
			pairs++
			s := Settle(a, b)
			if !slices.Contains(hows, s.How) || s.Says == "" {
				t.Errorf("%s and %s: %+v", a, b, s)
			}
			if asked := []dsr.Right{s.First, s.Second}; !slices.Contains(asked, a) || !slices.Contains(asked, b) {
				t.Errorf("%s and %s are settled as %v", a, b, asked)
			}
			if other := Settle(b, a); other != s {
				t.Errorf("%s and %s: %+v, the other way round %+v", a, b, s, other)
			}
			left, settled, ask := settle([]dsr.Right{a, b}, nil)
			switch s.How {
			case Swallows:
				if !slices.Equal(left, []dsr.Right{s.First}) || len(ask) != 0 {
					t.Errorf("%s swallows %s, left %v, asked %v", s.First, s.Second, left, ask)
				}
			case Opposed:
				if len(left) != 1 || len(ask) != 1 || !slices.Contains(ask[0].Choices, ask[0].Default) {
					t.Errorf("%s and %s are opposed, left %v, asked %v", a, b, left, ask)
					continue
				}
				if left[0].Means() == dsr.ByRemoval || left[0] == dsr.OptIn {
					t.Errorf("%s and %s: without an answer %s is carried out, which is not the safe one", a, b, left[0])
				}
				for n, choice := range ask[0].Choices {
					got, _, again := settle([]dsr.Right{a, b}, map[string]string{ask[0].Answer: choice})
					if len(again) != 0 || len(got) != 1 || (n == 0) == (got[0] == left[0]) {
						t.Errorf("%s and %s, answered %s: left %v, asked %v", a, b, choice, got, again)
					}
				}
			default:
				if len(left) != 2 || len(ask) != 0 {
					t.Errorf("%s: left %v of %s and %s, asked %v", s.How, left, a, b, ask)
				}
			}
			if len(settled) != 1 {
				t.Errorf("%s and %s: told as %v", a, b, settled)
			}
		}
	}
	if n := len(dsr.Rights()); pairs != n*(n-1)/2 || pairs < 400 {
		t.Errorf("%d pairs of %d rights", pairs, n)
	}
}

// The matrix has a row for every pair of means in its own order, and no other.
func TestMatrixIsWhole(t *testing.T) {
	n := 0
	for i, a := range meansOrder {
		for _, b := range meansOrder[i:] {
			n++
			if m, ok := matrix[meansPair{a, b}]; !ok || m.says == "" {
				t.Errorf("there is no row for %s and %s", a, b)
			}
		}
	}
	if len(matrix) != n {
		t.Errorf("%d rows, want %d", len(matrix), n)
	}
	for _, r := range dsr.Rights() {
		if !slices.Contains(meansOrder, r.Means()) {
			t.Errorf("%s is carried out by %s, which is in no row", r, r.Means())
		}
	}
}

func TestSettle(t *testing.T) {
	for _, c := range []struct {
		a, b, first dsr.Right
		how         string
	}{
		{dsr.Access, dsr.Erasure, dsr.Access, InOrder},
		{dsr.Access, dsr.Portability, dsr.Access, OneCopy},
		{dsr.Access, dsr.Rectification, dsr.Access, InOrder},
		{dsr.Access, dsr.KnowCategories, dsr.Access, Swallows},
		{dsr.Access, dsr.WhichProcessors, dsr.Access, Together},
		{dsr.Erasure, dsr.Rectification, dsr.Erasure, Swallows},
		{dsr.Erasure, dsr.Objection, dsr.Erasure, Swallows},
		{dsr.Erasure, dsr.AnonymiseBlock, dsr.Erasure, Swallows},
		{dsr.Erasure, dsr.Restriction, dsr.Restriction, Opposed},
		{dsr.Erasure, dsr.ConsentWithdrawal, dsr.ConsentWithdrawal, Beside},
		{dsr.Erasure, dsr.OptOutOfSale, dsr.OptOutOfSale, Beside},
		{dsr.Restriction, dsr.Rectification, dsr.Restriction, InOrder},
		{dsr.Restriction, dsr.Objection, dsr.Objection, Together},
		{dsr.OptIn, dsr.OptOutOfSale, dsr.OptOutOfSale, Opposed},
		{dsr.Inquiry, dsr.Erasure, dsr.Erasure, Together},
	} {
		if s := Settle(c.a, c.b); s.How != c.how || s.First != c.first {
			t.Errorf("%s and %s: %+v, want %s, %s first", c.a, c.b, s, c.how, c.first)
		}
	}
	// A right that goes swallows nothing: the data that are kept and marked are
	// still corrected.
	left, _, ask := settle([]dsr.Right{dsr.Erasure, dsr.Rectification, dsr.Restriction}, nil)
	if !slices.Equal(left, []dsr.Right{dsr.Rectification, dsr.Restriction}) || len(ask) != 1 {
		t.Errorf("left %v, asked %v", left, ask)
	}
}
