package postgres

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/writ-dsr/writ/shared/dsr"
)

// name is a table's schema and name, exactly as the catalogue writes them.
type name struct{ schema, table string }

// String leaves the schema out where a mapping may.
func (n name) String() string {
	if n.schema == "public" {
		return n.table
	}
	return n.schema + "." + n.table
}

// link says whose a row is: by a column of its own, or by hops to a mapped table.
type link struct {
	column string
	kind   dsr.Kind
	hops   []hop
	ends   []*entry // the entries of the table that the last hop reaches
}

func (l link) direct() bool { return l.column != "" }

// hop joins columns of a table to columns of the next one.
type hop struct {
	from []string
	to   name
	cols []string
}

// overwrite is a value that takes a column's place.
type overwrite struct {
	column string
	value  string
	null   bool
}

// keyed reports whether the value differs from row to row.
func (o overwrite) keyed() bool { return !o.null && strings.Contains(o.value, "{key}") }

// hopForm is a path step: "account_id -> accounts(id)".
var hopForm = regexp.MustCompile(`^(.+?)->(.+?)\(([^()]+)\)$`)

// columns are those of the row itself that the link rests on.
func (l link) columns() []string {
	if l.direct() {
		return []string{l.column}
	}
	return l.hops[0].from
}

func (l link) names() string { return strings.Join(l.columns(), ", ") }

func (c CoOwner) link() (link, error) {
	switch {
	case (c.Column == "") == (len(c.Path) == 0):
		return link{}, errors.New("name either a column with its identity or a path")
	case c.Column == "" && c.Identity != "":
		return link{}, errors.New("identity belongs to a column, not to a path")
	case c.Column != "" && !word.MatchString(string(c.Identity)):
		return link{}, fmt.Errorf("column %s: identity %q must be email or another kind of identifier", c.Column, c.Identity)
	case c.Column != "":
		return link{column: c.Column, kind: c.Identity}, nil
	}
	var l link
	for _, step := range c.Path {
		m := hopForm.FindStringSubmatch(step)
		if m == nil {
			return link{}, fmt.Errorf("path step %q is not of the form account_id -> accounts(id)", step)
		}
		to, err := parseName(strings.TrimSpace(m[2]))
		if err != nil {
			return link{}, err
		}
		h := hop{from: list(m[1]), to: to, cols: list(m[3])}
		if len(h.from) != len(h.cols) || slices.Contains(h.from, "") || slices.Contains(h.cols, "") {
			return link{}, fmt.Errorf("path step %q joins %d columns to %d", step, len(h.from), len(h.cols))
		}
		l.hops = append(l.hops, h)
	}
	return l, nil
}

func list(s string) []string {
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

func parseName(s string) (name, error) {
	schema, table, qualified := strings.Cut(s, ".")
	if !qualified {
		schema, table = "public", s
	}
	if schema == "" || table == "" || strings.Contains(table, ".") {
		return name{}, fmt.Errorf("%q is not a table's name: write table or schema.table", s)
	}
	return name{schema, table}, nil
}

// overwrites lists values and empty columns, in the order of their names.
func overwrites(set map[string]any, null []string) ([]overwrite, error) {
	var all []overwrite
	for column, v := range set {
		o := overwrite{column: column}
		switch v := v.(type) {
		case string:
			o.value = v
		case bool:
			o.value = strconv.FormatBool(v)
		case int64:
			o.value = strconv.FormatInt(v, 10)
		case float64:
			o.value = strconv.FormatFloat(v, 'g', -1, 64)
		case time.Time:
			o.value = v.Format(time.RFC3339Nano)
		case toml.LocalDate, toml.LocalDateTime, toml.LocalTime:
			o.value = fmt.Sprint(v)
		default:
			return nil, fmt.Errorf("column %s: its new value must be a text, number, truth value or date", column)
		}
		all = append(all, o)
	}
	for _, column := range null {
		if slices.ContainsFunc(all, func(o overwrite) bool { return o.column == column }) {
			return nil, fmt.Errorf("column %s is overwritten twice", column)
		}
		all = append(all, overwrite{column: column, null: true})
	}
	slices.SortFunc(all, func(a, b overwrite) int { return strings.Compare(a.column, b.column) })
	return all, nil
}
