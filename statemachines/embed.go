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
