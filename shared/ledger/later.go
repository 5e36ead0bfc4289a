package ledger

import (
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/dsr"
)

// DerivedID makes the id of a request of Writ's own from words that say nothing
// about the person: what was cut and is planned again finds itself there.
func DerivedID(words ...string) dsr.RequestID {
	sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	return dsr.RequestID("w" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:25])
}

// Ended reports whether the request is there because the ground has ended on
// which the system kept something.
func (r Request) Ended(system string) bool {
	return slices.ContainsFunc(r.Scope, func(p Portion) bool { return p.System == system && p.Ground != "" })
}
