package connector

import (
	"errors"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Kind classifies what went wrong. The wire names are stable and never
// renumbered or renamed: stored data and the state machine hold them.
type Kind string

// The kinds. Kind is itself an error, so errors.Is(err, connector.RateLimited)
// reads well.
const (
	NotFound     Kind = "NotFound"     // the record is not there, and the credential could have seen it
	Unauthorized Kind = "Unauthorized" // wrong, expired or missing credential or permission
	RateLimited  Kind = "RateLimited"  // come back after RetryAfter
	Pending      Kind = "Pending"      // the vendor works on Job; come back after RetryAfter
	Unsupported  Kind = "Unsupported"  // the vendor offers no such call
	Unavailable  Kind = "Unavailable"  // network, 5xx, time-out
	Invalid      Kind = "Invalid"      // the vendor refuses or answers nonsense, or the configuration is wrong
)

// Error lets a Kind be compared with errors.Is.
func (k Kind) Error() string { return string(k) }

// Error is what a driver returns. Err is written by us and holds no personal
// value and no text of the vendor's body.
type Error struct {
	Kind       Kind
	Op         dsr.Op
	RetryAfter time.Duration // RateLimited, Pending: the vendor's hint, or zero
	Job        string        // Pending: the vendor's id of the work in progress
	Sent       bool          // the call went out and its effect is unknown
	Err        error
}

// Error prints op, kind and cause.
func (e *Error) Error() string {
	s := string(e.Kind)
	if e.Op != "" {
		s = string(e.Op) + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, Kind) true for the error's kind.
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == e.Kind
}

// KindOf returns the kind of err, Invalid for an error that carries none (a
// bug or an unforeseen answer is never success), and "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	var k Kind
	if errors.As(err, &k) {
		return k
	}
	return Invalid
}
