package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Mapping is what a company says about its database: [[system.mapping.table]]
// of systems.toml. A table that is not in it is neither read nor changed.
type Mapping struct {
	Tables []Table `toml:"table"`
}

// Table says how rows of one table belong to a person and what happens to
// them. A table may stand twice, once for each way a person can own a row; a
// row that is the person's both ways counts for the first.
type Table struct {
	Table    string   `toml:"table"`    // "accounts", or "app.accounts"; without a schema it is in public
	Category string   `toml:"category"` // data category
	Owner    *Owner   `toml:"owner"`    // the column that names the person,
	Path     []string `toml:"path"`     // or the way to a mapped table: "account_id -> accounts(id)"
	Columns  []string `toml:"columns"`  // what a copy holds, in this order; no other column leaves
	Action   Action   `toml:"action"`

	Rule string         `toml:"rule"` // keep: id of the rule in the company's pack
	Set  map[string]any `toml:"set"`  // anonymise: column → value; {key} in a text is the row's primary key
	Null []string       `toml:"null"` // anonymise: columns to empty

	CoOwners   []CoOwner      `toml:"co_owner"`    // who else may own a row
	OwnColumns []string       `toml:"own_columns"` // of a row somebody else owns too: what is the person's alone
	Mask       map[string]any `toml:"mask"`        // own column → what replaces it; NULL for one that is not here

	Yields  map[string]dsr.Kind `toml:"yields"`  // column → kind of identifier that other systems look for
	Rectify map[string]string   `toml:"rectify"` // field of a correction → column

	Marks map[dsr.Purpose]string `toml:"marks"` // purpose that a person can stop → column that the company's programs obey: a truth value, a date or an instant, set when it is stopped

	RetainFrom string `toml:"retain_from"` // column with the date that the category's retention period counts from; empty there means that it does not run
}

// Owner is the column that holds an identifier of the person.
type Owner struct {
	Column   string   `toml:"column"`
	Identity dsr.Kind `toml:"identity"` // "email", or a kind that the person's other identities have
}

// CoOwner is a further person of a row: by a column that identifies them, or by
// the way to a mapped table.
type CoOwner struct {
	Column   string   `toml:"column"`
	Identity dsr.Kind `toml:"identity"`
	Path     []string `toml:"path"`
}

// Action is what an erasure does to a row that is the person's alone.
type Action string

// The actions. Keep needs the rule on which the company keeps the row.
const (
	Delete    Action = "delete"
	Anonymise Action = "anonymise"
	Keep      Action = "keep"
)

// ParseMapping decodes a mapping strictly. The error names the line for what is
// no TOML or no key, and table and column for what cannot be meant.
func ParseMapping(data []byte) (Mapping, error) {
	var m Mapping
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil && !errors.Is(err, io.EOF) {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) && len(strict.Errors) > 0 {
			row, _ := strict.Errors[0].Position()
			return Mapping{}, fmt.Errorf("reading the mapping: line %d: unknown key %s", row, strings.Join(strict.Errors[0].Key(), "."))
		}
		var syntax *toml.DecodeError
		if errors.As(err, &syntax) {
			row, _ := syntax.Position()
			return Mapping{}, fmt.Errorf("reading the mapping: line %d: %w", row, err)
		}
		return Mapping{}, fmt.Errorf("reading the mapping: %w", err)
	}
	if _, err := compile(m); err != nil {
		return Mapping{}, err
	}
	return m, nil
}
