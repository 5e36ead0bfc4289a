package dsr

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Kind says what sort of identifier an Identity is: "email", or a system's own
// word such as "account_id" or "stripe_customer".
type Kind string

// Email is the only kind a person can prove by mail.
const Email Kind = "email"

// Origin says how Writ came to know an identifier, which decides what it may
// be used for.
type Origin string

// The origins, strongest first. Proved and SystemOfRecord may export and erase
// in any system; VendorVerified and SelfAsserted become a person's candidate;
// SelfAsserted never even locates.
const (
	Proved         Origin = "proved"
	SystemOfRecord Origin = "system_of_record"
	VendorVerified Origin = "vendor_verified"
	SelfAsserted   Origin = "self_asserted"
)

// Identity is one identifier of a person together with its origin. Value is
// personal data: it is never logged, never part of an error or a state input.
type Identity struct {
	Kind   Kind   `json:"kind"`
	Value  string `json:"value"`
	Origin Origin `json:"origin"`
}

// String hides the value, so that an identity printed by mistake tells nothing.
func (i Identity) String() string { return string(i.Kind) + "(" + string(i.Origin) + ")" }

// GoString hides the value as String does.
func (i Identity) GoString() string { return i.String() }

// MayLocate reports whether the identifier may be used to look for records.
func (i Identity) MayLocate() bool {
	return i.Origin == Proved || i.Origin == SystemOfRecord || i.Origin == VendorVerified
}

// MayAct reports whether records found by this identifier may be exported or
// erased without a person's decision.
func (i Identity) MayAct() bool { return i.Origin == Proved || i.Origin == SystemOfRecord }

// Address is a mail address taken apart: the local part exactly as written,
// the domain as a lower-case A-label.
type Address struct {
	Local  string
	Domain string
}

// String joins the address again, with the domain in its normal form.
func (a Address) String() string { return a.Local + "@" + a.Domain }

// ParseAddress reads an addr-spec typed by a person or stored by a vendor. It
// accepts no display name, comment, quoted local part, control character or
// white space inside, and nothing longer than 254 bytes; the error never
// repeats the input.
func ParseAddress(s string) (Address, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Address{}, fmt.Errorf("reading mail address: it is empty")
	}
	if len(s) > 254 {
		return Address{}, fmt.Errorf("reading mail address: it is longer than 254 bytes")
	}
	if !utf8.ValidString(s) {
		return Address{}, fmt.Errorf("reading mail address: it is not valid UTF-8")
	}
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 {
		return Address{}, fmt.Errorf("reading mail address: it needs one @ with text on both sides")
	}
	local, domain := s[:at], s[at+1:]
	for _, r := range local {
		if unicode.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune(`"(),:;<>@[\]`, r) {
			return Address{}, fmt.Errorf("reading mail address: the part before @ has a character that is not allowed")
		}
	}
	if len(local) > 64 || strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return Address{}, fmt.Errorf("reading mail address: the part before @ is not well formed")
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || !strings.Contains(ascii, ".") {
		return Address{}, fmt.Errorf("reading mail address: the part after @ is not a domain name")
	}
	return Address{Local: local, Domain: strings.ToLower(ascii)}, nil
}

// AddressMatch is the result of comparing two addresses.
type AddressMatch int

// What a comparison can say. CaseOnly is a person's task: some servers hold
// two people whose addresses differ in case alone, so it is never a match and
// never "not held".
const (
	Different AddressMatch = iota
	CaseOnly
	Same
)

// CompareAddress compares two addresses: domains as lower-case A-labels, local
// parts byte for byte. Addresses that do not parse match nothing.
func CompareAddress(a, b string) AddressMatch {
	x, errX := ParseAddress(a)
	y, errY := ParseAddress(b)
	if errX != nil || errY != nil || x.Domain != y.Domain {
		return Different
	}
	if x.Local == y.Local {
		return Same
	}
	if lowerASCII(x.Local) == lowerASCII(y.Local) {
		return CaseOnly
	}
	return Different
}

// SameAddress reports whether a and b are one mailbox by CompareAddress.
func SameAddress(a, b string) bool { return CompareAddress(a, b) == Same }

// lowerASCII folds A to Z only: Unicode folding would make a dotless i or a
// long s match a different person.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}
