package dsr

import "errors"

// What the ledger may answer to somebody who is about to change a person's
// data. They are compared with errors.Is.
var (
	ErrStale    = errors.New("the run or the lease is not the current one")
	ErrHeld     = errors.New("a legal hold applies")
	ErrNotReady = errors.New("the request is not verified, or is restricted, withdrawn or closed")
)
