package dsr

import "fmt"

// Right is one of the rights a person may exercise. The wire names are stable.
type Right string

// The rights Writ carries out. Regimes and packs may name more; a right that
// no plan covers is refused loudly where it is configured and goes to a person
// where a form carries it.
const (
	Access  Right = "access"  // GDPR Art. 15
	Erasure Right = "erasure" // GDPR Art. 17
)

// ParseRight returns the right with wire name s, or an error naming s.
func ParseRight(s string) (Right, error) {
	switch r := Right(s); r {
	case Access, Erasure:
		return r, nil
	}
	return "", fmt.Errorf("unknown right %q: known are access, erasure", s)
}

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
	Marketing Purpose = "marketing"
	Sale      Purpose = "sale"
	Profiling Purpose = "profiling"
	AllUse    Purpose = "all_use" // stop everything before an erasure
)

// Change is one field of a person's record to correct: New replaces whatever
// the system holds in Field.
type Change struct {
	Field string `json:"field"`
	New   string `json:"new"`
}
