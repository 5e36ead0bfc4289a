package main

import "github.com/writ-dsr/writ/infra/constructs"

// need is what one function may do, and how big it is. Every name here is a
// folder of functions/; fanout-task is not among them, for each system has its
// own deployment and role.
type need struct {
	memory  int // MiB
	timeout int // seconds
	tables  constructs.Access
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
	releases               // ends a wait of the machine
	inspects               // reads and stops runs of the machine
	readsData              // reads exports, bundles and uploads
	bundles                // reads exports and uploads, writes bundles
	downloads              // makes links to bundles
	uploads                // takes a person's files
	deletes                // deletes expired exports, bundles and uploads
	queries                // lists open requests by due date
)

const (
	small  = 256  // MiB, a worker
	people = 512  // MiB, a function a person waits for
	large  = 1024 // MiB, the archive
)

// needs is the least each function can do its work with.
func needs() map[string]need {
	return map[string]need{
		"intake-form": {memory: people, timeout: 30, grants: []grant{seals, opens, hashes, mails, starts}, tables: constructs.Access{
			constructs.Requests: constructs.Does(constructs.Read, constructs.Write), constructs.Subjects: constructs.Create,
			constructs.Events: constructs.Append, constructs.Tokens: constructs.Does(constructs.Read, constructs.Write)}},
		"verify-challenge": {memory: small, timeout: 30, grants: []grant{opens, hashes, mails}, tables: constructs.Access{
			constructs.Requests: constructs.Does(constructs.Read, constructs.Write), constructs.Subjects: constructs.Read,
			constructs.Events: constructs.Append, constructs.Tokens: constructs.Does(constructs.Read, constructs.Write)}},
		"verify-answer": {memory: people, timeout: 30, grants: []grant{opens, hashes, mails, releases}, tables: constructs.Access{
			constructs.Requests: constructs.Does(constructs.Read, constructs.Write),
			constructs.Subjects: constructs.Does(constructs.Read, constructs.Write, constructs.Delete),
			constructs.Events:   constructs.Append, constructs.Tokens: constructs.Does(constructs.Read, constructs.Write)}},
		"plan-request": {memory: small, timeout: 30, grants: []grant{opens, hashes}, tables: constructs.Access{
			constructs.Requests: constructs.Does(constructs.Read, constructs.Write), constructs.Subjects: constructs.Read,
			constructs.Tasks: constructs.Does(constructs.Read, constructs.Query, constructs.Write), constructs.Events: constructs.Append,
			constructs.Suppression: constructs.Does(constructs.Read, constructs.Query)}},
		"fanout-manual": {memory: small, timeout: 30, grants: []grant{opens, hashes, mails}, tables: constructs.Access{
			constructs.Requests: constructs.Does(constructs.Read, constructs.Write, constructs.Check), constructs.Subjects: constructs.Read,
			constructs.Tasks: constructs.Does(constructs.Read, constructs.Query, constructs.Write), constructs.Events: constructs.Append,
			constructs.Tokens: constructs.Does(constructs.Read, constructs.Write)}},
		"fanout-answer": {memory: people, timeout: 30, grants: []grant{opens, hashes, mails, releases, uploads}, tables: constructs.Access{
			constructs.Requests: constructs.Does(constructs.Read, constructs.Write, constructs.Check), constructs.Subjects: constructs.Read,
			constructs.Tasks: constructs.Does(constructs.Read, constructs.Query, constructs.Write), constructs.Events: constructs.Append,
			constructs.Holds: constructs.Does(constructs.Read, constructs.Check), constructs.Tokens: constructs.Does(constructs.Read, constructs.Write)}},
		"collect-results": {memory: small, timeout: 60, grants: []grant{opens, hashes}, tables: constructs.Access{
			constructs.Requests: constructs.Does(constructs.Read, constructs.Write, constructs.Check), constructs.Subjects: constructs.Read,
			constructs.Tasks: constructs.Does(constructs.Read, constructs.Query, constructs.Write), constructs.Events: constructs.Append}},
		"bundle-archive": {memory: large, timeout: 900, grants: []grant{opens, bundles}, tables: constructs.Access{
			constructs.Requests: constructs.Does(constructs.Read, constructs.Write), constructs.Subjects: constructs.Read,
			constructs.Tasks: constructs.Does(constructs.Read, constructs.Query), constructs.Events: constructs.Append}},
		"bundle-download": {memory: people, timeout: 30, grants: []grant{opens, hashes, mails, downloads}, tables: constructs.Access{
			constructs.Requests: constructs.Does(constructs.Read, constructs.Write), constructs.Subjects: constructs.Read,
			constructs.Events: constructs.Append, constructs.Tokens: constructs.Does(constructs.Read, constructs.Write)}},
		"notify-subject": {memory: small, timeout: 30, grants: []grant{opens, hashes, mails}, tables: constructs.Access{
			constructs.Requests: constructs.Does(constructs.Read, constructs.Write), constructs.Subjects: constructs.Read,
			constructs.Tasks: constructs.Does(constructs.Read, constructs.Query), constructs.Events: constructs.Append,
			constructs.Tokens: constructs.Does(constructs.Read, constructs.Write)}},
		"notify-status": {memory: people, timeout: 30, grants: []grant{opens, hashes, mails, releases}, tables: constructs.Access{
			constructs.Requests: constructs.Does(constructs.Read, constructs.Write),
			constructs.Subjects: constructs.Does(constructs.Read, constructs.Delete),
			constructs.Tasks:    constructs.Does(constructs.Read, constructs.Query), constructs.Events: constructs.Append,
			constructs.Tokens: constructs.Does(constructs.Read, constructs.Write)}},
		"notify-bounce": {memory: small, timeout: 30, grants: []grant{queries, hashes}, tables: constructs.Access{
			constructs.Requests: constructs.Does(constructs.Read, constructs.Write), constructs.Events: constructs.Append}},
		"sweep": {memory: small, timeout: 60, grants: []grant{opens, hashes, mails, starts, releases, inspects, readsData, deletes, queries}, tables: constructs.Access{
			constructs.Requests: constructs.Does(constructs.Read, constructs.Write, constructs.Check),
			constructs.Subjects: constructs.Does(constructs.Read, constructs.Delete),
			constructs.Tasks:    constructs.Does(constructs.Read, constructs.Query, constructs.Write), constructs.Events: constructs.Append,
			constructs.Tokens: constructs.Does(constructs.Read, constructs.Write)}},
		"desk": {memory: small, timeout: 30, grants: []grant{hashes, queries}, tables: constructs.Access{
			constructs.Requests: constructs.Read, constructs.Tasks: constructs.Does(constructs.Read, constructs.Query), constructs.Events: constructs.Append,
			constructs.Holds: constructs.Does(constructs.Read, constructs.Write, constructs.Delete)}},
	}
}
