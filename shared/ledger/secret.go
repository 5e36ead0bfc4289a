package ledger

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode"

	"github.com/writ-dsr/writ/shared/dsr"
)

// NewSecret makes a link's secret: 256 random bits for the mail, and the hash
// that is all the ledger keeps. A secret that long cannot be guessed, so the
// link may live for days; a code of a few characters may not.
func NewSecret() (secret, hash string) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	secret = base64.RawURLEncoding.EncodeToString(b[:])
	return secret, HashSecret(secret)
}

// HashSecret returns the key under which a secret's token lies.
func HashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// codeLetters leaves out what people confuse: 0 O, 1 I L, A E U (no words), S 5 and Z 2.
const codeLetters = "346789BCDFGHJKMNPQRTVWXY"

// NewCode makes a code to be typed: eight of 24 characters, 36 bits, shown in
// two groups. It is worth nothing without the link it belongs to, and five
// wrong ones end it.
func NewCode() string {
	var b [8]byte
	for i := range b {
		for {
			var r [1]byte
			_, _ = rand.Read(r[:])
			if int(r[0]) < 256-256%len(codeLetters) { // no bias
				b[i] = codeLetters[int(r[0])%len(codeLetters)]
				break
			}
		}
	}
	return string(b[:4]) + "-" + string(b[4:])
}

// CleanCode brings a typed code into the form it was made in: case, spaces and
// hyphens do not count. What holds anything else is no code, and comes back empty.
func CleanCode(typed string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case unicode.IsSpace(r), unicode.Is(unicode.Pd, r):
			return -1
		}
		return r
	}, typed)
	if len(clean) != 8 || strings.Trim(clean, codeLetters) != "" {
		return ""
	}
	return clean[:4] + "-" + clean[4:]
}

// NewRequestID makes an id of 125 random bits that says nothing about the person.
func NewRequestID() dsr.RequestID {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return dsr.RequestID("w" + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))[:25])
}
