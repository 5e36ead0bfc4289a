// Package flow holds the stages of a request, one package each, in the order in
// which a request meets them:
//
//	intake   a person's form becomes a request in the ledger, and its machine starts
//	verify   the challenge is mailed; link and code prove the person
//	plan     rights and pack become visits in waves
//	fanout   one system at a time: by API, or by a person
//	collect  the ledger says whether the request is complete
//	bundle   the copy as an archive, and its download
//	notify   every mail to the person, and the status page
//	sweep    what the hour brings: reminders, expiry, re-checks, new runs
//
// No stage imports another: the order belongs to the state machine. A stage
// imports no AWS SDK, reads no environment and no clock of its own; what it
// needs stands in its Deps.
package flow
