package dsr

import "fmt"

// Op is one operation of a connector on one system.
type Op string

// The operations of the connector contract, in the order they are declared.
const (
	Locate   Op = "locate"
	Export   Op = "export"
	Erase    Op = "erase"
	Rectify  Op = "rectify"
	Suppress Op = "suppress"
	ReadBack Op = "read_back"
)

// Ops lists all operations in contract order.
func Ops() []Op { return []Op{Locate, Export, Erase, Rectify, Suppress, ReadBack} }

// Phase is a half of the request machine: everything is gathered before
// anything is acted upon.
type Phase string

// The two phases of a visit.
const (
	Gather Phase = "gather" // locate, export
	Act    Phase = "act"    // suppress, erase or rectify, read back
)

// ParsePhase returns the phase with wire name s, or an error naming s.
func ParsePhase(s string) (Phase, error) {
	switch p := Phase(s); p {
	case Gather, Act:
		return p, nil
	}
	return "", fmt.Errorf("unknown phase %q: known are gather, act", s)
}

// Purpose names what a suppression stops. The entry survives an erasure.
type Purpose string

// Purposes a suppression may stop.
const (
	Marketing   Purpose = "marketing"    // direct marketing and its profiling (GDPR Art. 21(2))
	Sale        Purpose = "sale"         // sale and sharing (CCPA 1798.120)
	TargetedAds Purpose = "targeted_ads" // US states' common rule
	Profiling   Purpose = "profiling"    // profiling and tracking
	Sensitive   Purpose = "sensitive"    // uses of sensitive data beyond the listed ones (CCPA 1798.121)
	Consent     Purpose = "consent"      // everything that rests on consent (GDPR Art. 7(3))
	Objected    Purpose = "objected"     // everything that rests on a legitimate interest, while an objection is weighed (GDPR Art. 21(1))
	Storage     Purpose = "storage_only" // a restriction: stored and not otherwise used (GDPR Art. 18(2))
	AllUse      Purpose = "all_use"      // stop everything before an erasure
)

// Purposes lists every purpose.
func Purposes() []Purpose {
	return []Purpose{Marketing, Sale, TargetedAds, Profiling, Sensitive, Consent, Objected, Storage, AllUse}
}

// Change is one field of a person's record to correct: New replaces whatever
// the system holds in Field.
type Change struct {
	Field string `json:"field"`
	New   string `json:"new"`
}
