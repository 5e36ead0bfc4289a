package archtest

// Do not mend a build by editing this table: a line here is a decision, and the
// page that explains the rooms changes with it.

// room is a part of the tree and what its code may import within the module.
// A room's own subfolders may always be imported; tests may import more.
type room struct {
	path  string   // the folder and everything below that is no room of its own
	may   []string // folders, without those below; "x/..." with them
	never []string // import paths outside the module, with everything below
	pure  bool     // reads neither clock nor environment: both come from outside
}

var aws = []string{"github.com/aws/aws-sdk-go-v2", "github.com/aws/aws-lambda-go", "github.com/aws/smithy-go"}

// rooms, from the ground up.
var rooms = []room{
	{path: "shared/dsr", never: append([]string{"net/http"}, aws...), pure: true},
	{path: "shared/dsr/dsrtest", may: []string{"shared/dsr"}, never: aws, pure: true},
	{path: "shared/policy", may: []string{"shared/dsr"}, never: append([]string{"net/http"}, aws...), pure: true},

	{path: "shared/connector", may: []string{"shared/dsr"}, never: aws, pure: true},
	{path: "shared/connector/rest", may: []string{"shared/dsr", "shared/connector"}, never: aws, pure: true},
	{path: "shared/connector/export", may: []string{"shared/dsr", "shared/connector"}, never: aws, pure: true},
	{path: "shared/connector/connectortest", may: []string{"shared/dsr/...", "shared/connector", "shared/connector/export/..."}, never: aws},
	// The shelf tells the policy what its connectors can: the policy knows none of them.
	{path: "shared/connectors", may: []string{"shared/dsr", "shared/connector", "shared/policy"}, never: aws, pure: true},
	{path: "shared/connectors/internal", may: []string{"shared/dsr", "shared/connector", "shared/connectors"}, never: aws},
	{path: "shared/connectors/*", may: []string{"shared/dsr", "shared/connector", "shared/connector/rest"}, never: aws, pure: true},
	{path: "shared/connectors/s3", may: []string{"shared/dsr", "shared/connector"}, never: []string{"github.com/aws/aws-lambda-go"}, pure: true},
	{path: "shared/connectors/stripe/stripefake", may: []string{"shared/dsr/..."}, never: aws},
	{path: "shared/connectors/postgres/exportbench", may: []string{"shared/dsr/...", "shared/connector/...", "shared/connectors", "shared/connectors/postgres", "shared/platform/pgtest"}, never: aws},
	{path: "shared/connectors/all", may: []string{"shared/connector", "shared/connectors/*"}, never: aws},

	{path: "shared/ledger", may: []string{"shared/dsr"}, never: aws},
	{path: "shared/ledger/dossier", may: []string{"shared/dsr", "shared/ledger", "shared/policy"}, never: aws},
	{path: "shared/ledger/dynamo", may: []string{"shared/dsr", "shared/ledger"}},
	{path: "shared/platform", may: []string{"shared/dsr", "shared/connector", "shared/platform/..."}},
	// What every function's main would repeat: it reads the environment and
	// builds the parts, and speaks of a form to upload as the stage does.
	{path: "shared/platform/deploy", may: []string{
		"shared/dsr", "shared/policy", "shared/connector", "shared/connector/export", "shared/connectors", "shared/ledger/...", "shared/platform/...", "shared/flow/fanout",
	}},

	// What is written to people: words of law and pack, as letters.
	{path: "shared/notice", may: []string{"shared/dsr", "shared/policy", "shared/platform/mail"}, never: append([]string{"net/http"}, aws...), pure: true},

	// A stage knows the records of the ledger, never a store; the pages' and the
	// mails' words, never a Lambda or an SDK; and no other stage.
	{path: "shared/flow", pure: true, never: aws},
	{path: "shared/flow/*", may: []string{
		"shared/dsr", "shared/policy", "shared/connector", "shared/connector/export", "shared/ledger", "shared/ledger/dossier", "shared/ledger/passcode", "shared/platform/web", "shared/platform/mail", "shared/notice",
	}, never: aws, pure: true},
	{path: "shared/flow/bundle/archive/archivebench", may: []string{"shared/flow/bundle/archive", "shared/connector/export/..."}, never: aws},

	{path: "shared/archtest", never: aws},

	{path: "functions/*", may: []string{"shared/...", "!shared/connectors/all", "!shared/connectors/*"}},
	{path: "functions/fanout-task", may: []string{"shared/..."}},
	{path: "statemachines", may: []string{"shared/flow/..."}, never: aws},
	{path: "infra", may: []string{"statemachines", "shared/dsr", "shared/policy", "shared/connector", "shared/connectors"}},
	{path: "infra/bench", may: []string{"statemachines/...", "infra/stand/...", "shared/..."}},
	{path: "infra/e2e", may: []string{"statemachines/...", "infra/stand/...", "shared/..."}},
	{path: "infra/stand", may: []string{"statemachines", "shared/dsr/...", "shared/ledger/...", "shared/platform/...", "shared/connectors/stripe/stripefake"}},
	{path: "cmd/writ", may: []string{"infra/stand/...", "shared/...", "!shared/flow/...", "!shared/connectors/all"}},
}

// kits are for tests: no function of the deployment may reach one.
var kits = []string{
	"shared/dsr/dsrtest", "shared/connector/connectortest/...", "shared/connector/export/exporttest", "shared/connectors/stripe/stripefake",
	"shared/ledger/ledgertest", "shared/ledger/memory", "shared/ledger/dynamo/dynamotest", "shared/platform/pgtest", "shared/platform/child", "shared/notice/readable",
}

// vague are names that say nothing of what is inside.
var vague = []string{"util", "utils", "common", "types", "helpers", "helper", "misc", "models", "base", "shared"}
