package notice

import (
	"reflect"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/policy"
)

// need is a field that a letter cannot be without. The path names it:
// "Due" of Values, "Facts.Authority" of the facts, "Refusals[].Cite" each one
// of a list, which must not be empty.
type need struct {
	path string
	when func(policy.NoticeFacts, Values) bool // nil: always
}

// always makes needs of paths.
func always(paths ...string) []need {
	out := make([]need, len(paths))
	for i, p := range paths {
		out[i] = need{path: p}
	}
	return out
}

// missing returns the path if the field is empty.
func (n need) missing(f policy.NoticeFacts, v Values) string {
	if n.when != nil && !n.when(f, v) {
		return ""
	}
	root, path := reflect.ValueOf(v), n.path
	if rest, ok := strings.CutPrefix(path, "Facts."); ok {
		root, path = reflect.ValueOf(f), rest
	}
	if empty(root, strings.Split(path, ".")) {
		return n.path
	}
	return ""
}

// empty reports whether what lies at the path says nothing.
func empty(v reflect.Value, path []string) bool {
	if len(path) == 0 {
		switch {
		case v.Type() == reflect.TypeFor[time.Time]():
			return v.Interface().(time.Time).IsZero()
		case v.Kind() == reflect.String:
			return strings.TrimSpace(v.String()) == ""
		case v.Kind() == reflect.Slice:
			return v.Len() == 0
		}
		return v.IsZero()
	}
	name, each := strings.CutSuffix(path[0], "[]")
	field := v.FieldByName(name)
	if !each {
		return empty(field, path[1:])
	}
	for i := range field.Len() {
		if empty(field.Index(i), path[1:]) {
			return true
		}
	}
	return field.Len() == 0
}
