package constructs

import "slices"

// index stands for the index of open requests where a Table is meant.
const index = Requests + "/index"

// calls says what each method of the ledger does to which table. A transaction
// needs the actions of its parts. Nothing updates an event, and only
// DeleteRecords deletes one.
var calls = map[string]map[Table][]string{
	"CreateRequest": {Requests: {"PutItem"}, Subjects: {"PutItem"}, Events: {"PutItem"}},
	"Request":       {Requests: {"GetItem"}},
	"SaveRequest":   {Requests: {"PutItem"}},
	"OpenRequests":  {index: {"Query"}, Requests: {"BatchGetItem"}},

	"ScheduledRequests": {index: {"Query"}, Requests: {"BatchGetItem"}},
	"EndedRequests":     {index: {"Query"}, Requests: {"BatchGetItem"}},
	"DeleteRecords":     {Requests: {"DeleteItem", "GetItem"}, Tasks: {"DeleteItem", "Query"}, Events: {"DeleteItem", "Query"}},

	"Subject":         {Subjects: {"GetItem"}},
	"ReplaceSubject":  {Subjects: {"PutItem"}},
	"DeleteSubject":   {Subjects: {"DeleteItem"}},
	"ClaimIdentity":   {Subjects: {"PutItem"}},
	"ReleaseIdentity": {Subjects: {"DeleteItem"}},

	"PlanVisits":   {Tasks: {"PutItem"}},
	"Visits":       {Tasks: {"Query"}},
	"Visit":        {Tasks: {"GetItem"}},
	"TakeVisit":    {Tasks: {"GetItem", "PutItem"}, Requests: {"ConditionCheckItem", "GetItem"}},
	"BeginErasing": {Tasks: {"GetItem", "PutItem"}, Requests: {"ConditionCheckItem", "GetItem", "PutItem"}, Holds: {"ConditionCheckItem"}},
	"SaveVisit":    {Tasks: {"PutItem"}, Requests: {"ConditionCheckItem"}},

	"Append": {Events: {"PutItem", "Query"}},
	"Events": {Events: {"Query"}},

	"PlaceHold":   {Holds: {"GetItem", "PutItem", "UpdateItem"}},
	"ProposeLift": {Holds: {"GetItem", "PutItem"}},
	"LiftHold":    {Holds: {"DeleteItem", "GetItem", "PutItem"}},
	"Holds":       {Holds: {"GetItem"}},
	"MatterHolds": {Holds: {"GetItem"}},
	"Matters":     {Holds: {"GetItem"}},

	"PutToken":     {Tokens: {"PutItem"}},
	"Token":        {Tokens: {"GetItem"}},
	"UseToken":     {Tokens: {"UpdateItem"}},
	"SetCode":      {Tokens: {"UpdateItem"}},
	"CountAttempt": {Tokens: {"UpdateItem"}},
	"ClearCode":    {Tokens: {"UpdateItem"}},
	"Hit":          {Tokens: {"UpdateItem"}},

	"Suppress":   {Suppression: {"UpdateItem"}},
	"Suppressed": {Suppression: {"GetItem"}},
	"Allow":      {Suppression: {"UpdateItem"}},
}

// LedgerCalls lists the methods of the ledger that permissions are known for.
func LedgerCalls() []string {
	var names []string
	for name := range calls {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Ledger gives exactly what the methods need, table by table, and the use of
// the data key by DynamoDB that goes with it.
func (d Data) Ledger(s Scope, methods []string) []Statement {
	actions := map[Table][]string{}
	for _, m := range methods {
		for table, does := range calls[m] {
			for _, a := range does {
				actions[table] = append(actions[table], "dynamodb:"+a)
			}
		}
	}
	var out []Statement
	for _, t := range append(Tables(), index) {
		if len(actions[t]) == 0 {
			continue
		}
		slices.Sort(actions[t])
		arn := s.Text(d.Tables[Requests], "tableArn") + "/index/" + OpenIndex
		if t != index {
			arn = s.Text(d.Tables[t], "tableArn")
		}
		out = append(out, Statement{Actions: slices.Compact(actions[t]), Resources: []string{arn}})
	}
	if out == nil {
		return nil
	}
	return append(out, d.via(s, "dynamodb", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt",
		"kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"))
}
