package postgres_test

import (
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/connectors/postgres"
)

// TestMappingIsStrict changes one line of a sound mapping at a time.
func TestMappingIsStrict(t *testing.T) {
	const sound = `
[[table]]
table = "accounts"
category = "account"
owner = { column = "email", identity = "email" }
columns = ["id", "email"]
action = "anonymise"
set = { email = "erased-{key}@invalid.example" }

[[table]]
table = "letters"
category = "letters"
path = ["account_id -> accounts(id)"]
columns = ["body"]
action = "delete"
co_owner = [{ path = ["to -> accounts(id)"] }]
own_columns = ["body"]
mask = { body = "[erased]" }
`
	if _, err := postgres.ParseMapping([]byte(sound)); err != nil {
		t.Fatalf("the sound mapping: %v", err)
	}
	for name, tc := range map[string]struct{ old, new, says string }{
		"unknown key":           {`category = "letters"`, "category = \"letters\"\ncolumn = [\"x\"]", "line 13: unknown key table.column"},
		"no TOML":               {`category = "letters"`, `category = letters`, "line 12: "},
		"no table":              {sound, "", "no table"},
		"no category":           {`category = "letters"`, "", "table letters: category"},
		"table with two dots":   {`table = "letters"`, `table = "a.b.letters"`, "a.b.letters"},
		"owner and path":        {`path = ["account_id -> accounts(id)"]`, "path = [\"account_id -> accounts(id)\"]\nowner = { column = \"x\", identity = \"email\" }", "table letters: owner"},
		"neither":               {`path = ["account_id -> accounts(id)"]`, "", "table letters: owner"},
		"owner without kind":    {`owner = { column = "email", identity = "email" }`, `owner = { column = "email" }`, "column email: identity"},
		"path step":             {`"account_id -> accounts(id)"`, `"account_id = accounts.id"`, "path step"},
		"uneven path step":      {`"account_id -> accounts(id)"`, `"account_id -> accounts(id, no)"`, "joins 1 columns to 2"},
		"path to nowhere":       {`"account_id -> accounts(id)"`, `"account_id -> people(id)"`, "people, which is not mapped"},
		"path in a circle":      {`owner = { column = "email", identity = "email" }`, `path = ["id -> letters(account_id)"]`, "leads back to itself"},
		"no columns":            {`columns = ["body"]`, "", "table letters: columns is empty"},
		"column twice":          {`columns = ["body"]`, `columns = ["body", "body"]`, `column "body" stands twice`},
		"unknown action":        {`action = "delete"`, `action = "hide"`, `action "hide" is unknown`},
		"keep without rule":     {`action = "delete"`, `action = "keep"`, "keep needs rule"},
		"rule of no use":        {`action = "delete"`, "action = \"delete\"\nrule = \"books\"", "rule has no effect"},
		"anonymise nothing":     {`set = { email = "erased-{key}@invalid.example" }`, "", "needs set or null"},
		"set under delete":      {`action = "delete"`, "action = \"delete\"\nnull = [\"body\"]", "belong to action anonymise"},
		"set and null":          {`set = { email = "erased-{key}@invalid.example" }`, "set = { email = \"x\" }\nnull = [\"email\"]", "column email is overwritten twice"},
		"set to a list":         {`set = { email = "erased-{key}@invalid.example" }`, "set = { email = [\"x\"] }", "column email: its new value"},
		"still linked":          {`set = { email = "erased-{key}@invalid.example" }`, `set = { name = "x" }`, "table accounts: what replaces the person's values leaves the row linked"},
		"shared, nothing said":  {"own_columns = [\"body\"]\nmask = { body = \"[erased]\" }", "", "co_owner needs own_columns"},
		"mask of another's":     {`mask = { body = "[erased]" }`, `mask = { reply = "[erased]" }`, "column reply: mask"},
		"mask without co-owner": {`co_owner = [{ path = ["to -> accounts(id)"] }]`, "", "name co_owner"},
		"mask under keep":       {`action = "delete"`, "action = \"keep\"\nrule = \"books\"", "mask has no effect"},
		"yields an address":     {`columns = ["id", "email"]`, "columns = [\"id\"]\nyields = { backup = \"email\" }", "column backup: it cannot yield"},
		"corrects the owner":    {`path = ["account_id -> accounts(id)"]`, "owner = { column = \"account\", identity = \"account_id\" }\nrectify = { account = \"account\" }", "column account: field"},
		"corrects the way":      {`columns = ["body"]`, "columns = [\"body\"]\nrectify = { account = \"account_id\" }", "column account_id: field"},
		"unknown purpose":       {`columns = ["body"]`, "columns = [\"body\"]\nmarks = { adverts = \"quiet\" }", `purpose "adverts", which is unknown`},
		"mark on the owner":     {`columns = ["id", "email"]`, "columns = [\"id\"]\nmarks = { marketing = \"email\" }", `column "email" cannot be the mark`},
		"mark that is erased":   {`columns = ["body"]`, "columns = [\"body\"]\nmarks = { marketing = \"body\" }", "column body is the mark of marketing and must survive"},
		"corrects a join":       {`columns = ["id", "email"]`, "columns = [\"id\"]\nrectify = { id = \"id\" }", "column id cannot be corrected"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(sound, tc.old, tc.new, 1)
			if text == sound {
				t.Fatal("the case changes nothing")
			}
			_, err := postgres.ParseMapping([]byte(text))
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %q", err, tc.says)
			}
		})
	}
}

// TestMappingMasksMustCut: masked rows whose way leads to a kept account stay the person's.
func TestMappingMasksMustCut(t *testing.T) {
	const kept = `
[[table]]
table = "accounts"
category = "account"
owner = { column = "email", identity = "email" }
columns = ["id"]
action = "keep"
rule = "books"

[[table]]
table = "letters"
category = "letters"
path = ["account_id -> accounts(id)"]
columns = ["body"]
action = "anonymise"
null = ["body"]
`
	if _, err := postgres.ParseMapping([]byte(kept)); err == nil || !strings.Contains(err.Error(), "table letters: what replaces") {
		t.Errorf("got %v, want the link of letters named", err)
	}
	if _, err := postgres.ParseMapping([]byte(strings.Replace(kept, `["body"]`+"\n"+`action = "anonymise"`+"\n"+`null = ["body"]`, `["body"]`+"\n"+`action = "anonymise"`+"\n"+`null = ["body", "account_id"]`, 1))); err != nil {
		t.Errorf("with the link cut: %v", err)
	}
}
