package policy

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/writ-dsr/writ/shared/dsr"
)

var (
	word    = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)      // companies
	ident   = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)      // systems, categories, roles, rules of ours
	country = regexp.MustCompile(`^[A-Z]{2}(-[A-Z]{2})?$`) // ISO 3166-1 alpha-2, or a state of it
)

// reserved are words that no system may be called: Writ's own systems, the chain
// of events about a request, and the functions fanout-<word> beside those of
// systems.
var reserved = []string{dsr.Officer, "writ", dsr.RequestChain, "answer", "manual", "task"}

// text reports every named value that is empty.
func (d document) text(table string, named ...string) {
	for i := 0; i < len(named); i += 2 {
		if strings.TrimSpace(named[i+1]) == "" {
			d.fault(join(table, named[i]), "is missing or empty")
		}
	}
}

// oneOf reports a value outside a closed set.
func (d document) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		d.fault(key, "%q is unknown; expected one of %s", value, strings.Join(allowed, ", "))
	}
}

func (d document) date(key, value string) {
	if _, err := time.Parse(time.DateOnly, value); err != nil {
		d.fault(key, "%q is not a date; expected 2006-01-02", value)
	}
}

// unique reports an id that is malformed or was seen before.
func (d document) unique(key, id string, form *regexp.Regexp, seen map[string]bool) {
	switch {
	case !form.MatchString(id):
		d.fault(key, "%q is not an id; expected %s", id, form)
	case seen[id]:
		d.fault(key, "%q is there twice", id)
	}
	seen[id] = true
}

func join(table, key string) string {
	if table == "" {
		return key
	}
	return table + "." + key
}

// list reports an empty list, an entry that is there twice and one that is not known.
func (d document) list(key string, values []string, known func(string) bool, noun string) {
	if len(values) == 0 {
		d.fault(key, "is missing or empty")
	}
	d.each(key, values, known, noun)
}

// each reports an entry that is there twice and one that is not known.
func (d document) each(key string, values []string, known func(string) bool, noun string) {
	for i, v := range values {
		switch {
		case strings.TrimSpace(v) == "" || !known(v):
			d.fault(key, "there is no %s %q", noun, v)
		case slices.Contains(values[:i], v):
			d.fault(key, "%q is there twice", v)
		}
	}
}

// closed reports entries of a list that stand outside a closed set.
func (d document) closed(key string, values []string, allowed ...string) {
	for i, v := range values {
		if slices.Contains(values[:i], v) {
			d.fault(key, "%q is there twice", v)
		}
		d.oneOf(key, v, allowed...)
	}
}
