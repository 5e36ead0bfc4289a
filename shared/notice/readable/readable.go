// Package readable measures how hard an English text is to read, for the tests
// that keep letters plain.
package readable

import (
	"regexp"
	"strings"
	"unicode"
)

// Grade is the Flesch-Kincaid grade of a text: the school year from which on it
// is easy to read, 0.39 words a sentence + 11.8 syllables a word - 15.59
// (Kincaid and others, 1975). A sentence ends with its line. A short line that
// does not end like a sentence is a heading or a label and does not count, for
// it would make any text look easy. Web and mail addresses, what stands in
// brackets, and numbers are no words. A text without words has grade 0.
func Grade(text string) float64 {
	sentences, words, syllables := 0, 0, 0
	text = bracketed.ReplaceAllString(text, " ")
	text = address.ReplaceAllString(text, " ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		whole := line != "" && strings.ContainsAny(line[len(line)-1:], ".!?")
		for _, sentence := range ends.Split(line, -1) {
			all := strings.FieldsFunc(sentence, func(r rune) bool { return !unicode.IsLetter(r) && r != '\'' && r != '’' })
			if len(all) == 0 || !whole && len(all) < label {
				continue
			}
			sentences++
			words += len(all)
			for _, word := range all {
				syllables += Syllables(word)
			}
		}
	}
	if words == 0 {
		return 0
	}
	return 0.39*float64(words)/float64(sentences) + 11.8*float64(syllables)/float64(words) - 15.59
}

// label is from how many words on a line counts however it ends.
const label = 6

var (
	bracketed = regexp.MustCompile(`\([^()]*\)`)
	address   = regexp.MustCompile(`[a-z]+://\S+|\S+@\S+`)
	ends      = regexp.MustCompile(`[.!?]+(\s+|$)`)
)

// Syllables counts the syllables of an English word by its groups of vowels: a
// silent e at the end counts for none, "le" after a consonant for one, and so
// does "ed" after t or d alone. It is right for most words and never below one.
func Syllables(word string) int {
	w := strings.ToLower(strings.Trim(word, "'’"))
	n, before := 0, false
	for _, r := range w {
		vowel := strings.ContainsRune("aeiouyáéíóúäöü", r)
		if vowel && !before {
			n++
		}
		before = vowel
	}
	switch {
	case strings.HasSuffix(w, "ed") && len(w) > 3 && !strings.ContainsAny(w[len(w)-3:len(w)-2], "tdaeiouy"):
		n--
	case strings.HasSuffix(w, "le") && len(w) > 2 && !strings.ContainsAny(w[len(w)-3:len(w)-2], "aeiouy"):
	case strings.HasSuffix(w, "es") && len(w) > 3 && !strings.ContainsAny(w[len(w)-3:len(w)-2], "aeiouyszxcgh"):
		n--
	case strings.HasSuffix(w, "e") && len(w) > 2 && !strings.ContainsAny(w[len(w)-2:len(w)-1], "aeiouy"):
		n--
	}
	return max(n, 1)
}
