// Package statemachines holds the order of the stages and nothing else does:
// the definitions in Amazon States Language, as the same bytes for the stack
// and for the tests.
package statemachines

import _ "embed"

// Request is the machine of one run of a request. Its placeholders are
// ${VerifyChallengeFn}, ${PlanRequestFn}, ${FanoutTaskFnPrefix},
// ${FanoutManualFn}, ${CollectResultsFn}, ${BundleArchiveFn} and
// ${NotifySubjectFn}: names of functions, the prefix without the system's id.
//
//go:embed request.asl.json
var Request []byte

// Retention is the machine that lists, once a day, whose records have expired.
// It is started with the day and the systems; its one placeholder is
// ${FanoutTaskFnPrefix}.
//
//go:embed retention.asl.json
var Retention []byte
