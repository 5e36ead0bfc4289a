package main

// need is what one function may do, and how big it is. Every name here is a
// folder of functions/; fanout-task is not among them, for each system has its
// own deployment and role.
type need struct {
	memory  int      // MiB
	timeout int      // seconds
	ledger  []string // methods of the ledger
	grants  []grant
}

// grant is a permission beyond the ledger's tables.
type grant int

const (
	opens     grant = iota // opens what is sealed with a request's data key
	seals                  // makes a request's data key
	hashes                 // makes and checks keyed hashes
	mails                  // sends from the deployment's sender
	starts                 // starts a run of the machine
	retains                // starts the day's run of the retention machine
	releases               // ends a wait of the machine
	stops                  // stops a run of the machine
	inspects               // asks whether a run goes on
	bundles                // reads exports, writes bundles
	downloads              // makes links to bundles
	uploads                // takes a person's files and makes them exports
	deletes                // deletes expired exports, bundles and uploads
)

const (
	small  = 256  // MiB, a worker
	people = 512  // MiB, a function a person waits for
	large  = 1024 // MiB, the archive
)

// needs is the least each function can do its work with. Its ledger methods are
// those of the interfaces that its stages declare; a test compares them.
func needs() map[string]need {
	return map[string]need{
		"intake-form": {memory: people, timeout: 30, grants: []grant{seals, hashes, starts},
			ledger: []string{"CreateRequest", "Hit"}},
		"verify-challenge": {memory: small, timeout: 30, grants: []grant{opens, mails, releases},
			ledger: []string{"Append", "PutToken", "Request", "SaveRequest", "Subject"}},
		"verify-answer": {memory: people, timeout: 30, grants: []grant{opens, hashes, releases},
			ledger: []string{"Append", "ClaimIdentity", "CountAttempt", "PutToken", "ReleaseIdentity", "ReplaceSubject", "Request", "SaveRequest", "Subject", "Token", "UseToken"}},
		"plan-request": {memory: small, timeout: 30, grants: []grant{opens, hashes},
			ledger: []string{"Append", "PlanVisits", "Request", "SaveRequest", "Subject", "Suppress", "Visits"}},
		"fanout-manual": {memory: small, timeout: 30, grants: []grant{opens, mails, releases},
			ledger: []string{"Append", "PutToken", "Request", "SaveRequest", "SaveVisit", "Subject", "TakeVisit", "Visits"}},
		"fanout-answer": {memory: people, timeout: 30, grants: []grant{opens, hashes, mails, starts, releases, uploads},
			ledger: []string{"Append", "BeginErasing", "ClearCode", "CountAttempt", "Hit", "Request", "SaveRequest", "SaveVisit", "SetCode", "Subject", "TakeVisit", "Token", "Visit", "Visits"}},
		"collect-results": {memory: small, timeout: 60,
			ledger: []string{"Append", "Request", "SaveRequest", "Visits"}},
		"bundle-archive": {memory: large, timeout: 900, grants: []grant{bundles},
			ledger: []string{"Append", "Request", "SaveRequest", "Visits"}},
		"bundle-download": {memory: people, timeout: 30, grants: []grant{opens, hashes, mails, downloads},
			ledger: []string{"Append", "ClearCode", "CountAttempt", "Hit", "Request", "SaveRequest", "SetCode", "Subject", "Token"}},
		"notify-subject": {memory: small, timeout: 30, grants: []grant{opens, mails},
			ledger: []string{"Append", "PutToken", "Request", "SaveRequest", "Subject", "Visits"}},
		"notify-status": {memory: people, timeout: 30, grants: []grant{opens, mails, stops},
			ledger: []string{"Append", "Hit", "PutToken", "Request", "SaveRequest", "Subject", "Token", "Visits"}},
		"notify-bounce": {memory: small, timeout: 30, grants: []grant{mails},
			ledger: []string{"Append", "PutToken", "Request", "SaveRequest"}},
		"sweep": {memory: small, timeout: 300, grants: []grant{opens, seals, hashes, mails, starts, retains, releases, inspects, deletes},
			ledger: []string{"Append", "CreateRequest", "DeleteSubject", "Events", "Holds", "OpenRequests", "PutToken", "ReleaseIdentity", "Request", "SaveRequest", "SaveVisit", "ScheduledRequests", "Subject", "TakeVisit", "Visits"}},
		"sweep-records": {memory: small, timeout: 300,
			ledger: []string{"DeleteRecords", "EndedRequests", "Holds"}},
		"desk": {memory: small, timeout: 30, grants: []grant{hashes, opens, mails, starts, releases},
			ledger: []string{"Allow", "Append", "Events", "Holds", "LiftHold", "MatterHolds", "Matters", "OpenRequests", "PlaceHold", "ProposeLift", "ReplaceSubject", "Request", "SaveRequest", "ScheduledRequests", "Subject", "Visits"}},
	}
}
