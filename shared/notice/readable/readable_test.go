package readable_test

import (
	"math"
	"testing"

	"github.com/writ-dsr/writ/shared/notice/readable"
)

func TestSyllables(t *testing.T) {
	for word, want := range map[string]int{
		"a": 1, "data": 2, "erase": 2, "erased": 2, "wanted": 2, "needed": 2, "asked": 1, "table": 2, "file": 1, "files": 1, "boxes": 2, "changes": 2, "company": 3,
		"privacy": 3, "rectification": 5, "you": 1, "the": 1, "reply": 2, "be": 1, "don't": 1, "Authority": 4, "played": 1, "request": 2, "reasons": 2,
	} {
		if got := readable.Syllables(word); got != want {
			t.Errorf("%s has %d syllables, want %d", word, got, want)
		}
	}
}

// Grades computed by hand from the formula.
func TestGrade(t *testing.T) {
	for text, want := range map[string]float64{
		"":                                      0,
		"2026 (GDPR Art. 17)":                   0,
		"The cat sat on the mat.":               0.39*6 + 11.8*1 - 15.59,
		"We erase data. You may ask.":           0.39*3 + 11.8*8/6 - 15.59,
		"Who asks\nYou do.":                     0.39*2 + 11.8*1 - 15.59,
		"You ask\nand we do it, and you see it": 0.39*8 + 11.8*1 - 15.59,
		"Write to a.b@c.example now.":           0.39*3 + 11.8*1 - 15.59,
		"See https://x.example/a?t=bc":          0,
	} {
		if got := readable.Grade(text); math.Abs(got-want) > 1e-9 {
			t.Errorf("%q has grade %.2f, want %.2f", text, got, want)
		}
	}
	hard := "Notwithstanding the aforementioned considerations, the controller is under no obligation whatsoever to facilitate the communication of personal information"
	if got := readable.Grade(hard); got < 15 {
		t.Errorf("a hard sentence has grade %.1f", got)
	}
}
