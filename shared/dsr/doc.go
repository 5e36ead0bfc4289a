// Package dsr holds the nouns of a data subject request: the request and its
// status, the person's identities, the rights, the operations on systems, the
// closed set of outcomes and the clock. It imports nothing of the project, so
// that every other package can speak the same words.
package dsr
