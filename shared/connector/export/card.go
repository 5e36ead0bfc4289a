package export

import (
	"strings"
	"unicode/utf8"
)

// span is a card number's place in a text: bytes [from, to).
type span struct{ from, to int }

// token is an unbroken row of digits in a text.
type token struct {
	from, to int
	digits   []byte // '0' to '9', whatever the script's width
}

func hasCard(s string) bool { return enoughDigits(s) && len(cards(s, true)) > 0 }

// enoughDigits reports whether a text may have the digits of a card number: a
// quick look that spares most values the slow one.
func enoughDigits(s string) bool {
	n := 0
	for i := 0; i < len(s); i++ {
		if c := s[i] - '0'; c <= 9 || s[i] == 0xef { // the first byte of a full-width digit
			if n++; n == 13 {
				return true
			}
		}
	}
	return false
}

// withoutCards replaces the card numbers of a text.
func withoutCards(s string) string {
	var out strings.Builder
	last := 0
	for _, c := range cards(s, false) {
		out.WriteString(s[last:c.from])
		out.WriteString(CardNumber.text())
		last = c.to
	}
	out.WriteString(s[last:])
	return out.String()
}

// cards finds card numbers: 13 to 19 digits, in one piece or in groups with a
// space or dash between, that start as an issuer's numbers do and end in the
// right check digit. The fraction of a decimal number and a UUID look like it
// by chance and are left alone.
func cards(s string, one bool) []span {
	if isUUID(s) {
		return nil
	}
	var found []span
	var run []token
	check := func() {
		for i := 0; i < len(run); i++ {
			if end := cardAt(run, i); end > i {
				found = append(found, span{run[i].from, run[end-1].to})
				i = end - 1
			}
		}
		run = run[:0]
	}
	for i := 0; i < len(s); {
		d, size := digit(s[i:])
		if size == 0 {
			i++
			continue
		}
		t := token{from: i}
		for size > 0 {
			t.digits = append(t.digits, d)
			i += size
			d, size = digit(s[i:])
		}
		t.to = i
		if len(run) > 0 && !separates(s[run[len(run)-1].to:t.from]) {
			check()
			if one && len(found) > 0 {
				return found
			}
		}
		if fraction(s, t.from) {
			continue
		}
		run = append(run, t)
	}
	check()
	return found
}

// cardAt returns the end of the shortest card number that starts with token i,
// or 0.
func cardAt(run []token, i int) int {
	var digits []byte
	for j := i; j < len(run); j++ {
		if j > i && (len(run[j].digits) > 6 || len(run[j-1].digits) < 3) {
			return 0
		}
		digits = append(digits, run[j].digits...)
		if len(digits) > 19 {
			return 0
		}
		if issued(digits) && luhn(digits) {
			return j + 1
		}
	}
	return 0
}

// digit reads an ASCII or full-width digit; size 0 for anything else.
func digit(s string) (d byte, size int) {
	if s == "" {
		return 0, 0
	}
	if c := s[0]; '0' <= c && c <= '9' {
		return c, 1
	} else if c < utf8.RuneSelf {
		return 0, 0
	}
	if r, n := utf8.DecodeRuneInString(s); '０' <= r && r <= '９' {
		return byte(r-'０') + '0', n
	}
	return 0, 0
}

// separates reports whether a text may stand between two groups of one number.
func separates(s string) bool {
	switch s {
	case " ", "-", "\u00a0", "\u2009", "\u202f", "\u2010", "\u2011", "\u2012", "\u2013":
		return true
	}
	return false
}

// fraction reports whether the digits at i stand behind a decimal point.
func fraction(s string, i int) bool {
	return i >= 2 && s[i-1] == '.' && '0' <= s[i-2] && s[i-2] <= '9'
}

func isUUID(s string) bool {
	return len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-'
}

// issued reports whether the digits have the start and the length of an
// issuer's range.
func issued(d []byte) bool {
	n := len(d)
	if n < 13 || n > 19 {
		return false
	}
	head := 0
	for _, c := range d[:6] {
		head = head*10 + int(c-'0')
	}
	two, three, four := head/10000, head/1000, head/100
	switch {
	case head/100000 == 4: // Visa
		return n == 13 || n == 16 || n == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720: // Mastercard
		return n == 16
	case two == 34, two == 37: // American Express
		return n == 15
	case four == 6011, three >= 644 && three <= 649, two == 65, two == 62, four >= 3528 && four <= 3589: // Discover, RuPay, UnionPay, JCB
		return n >= 16
	case three >= 300 && three <= 305, two == 36, two == 38, two == 39: // Diners Club
		return n == 14 || n == 16 || n == 19
	case four == 5018, four == 5020, four == 5038, four == 5893, four == 6304, four == 6759, four >= 6761 && four <= 6763: // Maestro
		return true
	}
	return false
}

// luhn checks the last digit (ISO/IEC 7812-1, Annex B).
func luhn(d []byte) bool {
	sum := 0
	for i := range d {
		n := int(d[len(d)-1-i] - '0')
		if i%2 == 1 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}
