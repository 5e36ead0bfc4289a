package main

import (
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

// shelf tells, for a plan, what the connectors on the shelf can do and what
// nobody can.
func shelf(known map[string]policy.Capability) (can, never func(policy.System, dsr.Op) bool) {
	can = func(s policy.System, op dsr.Op) bool { return known[s.Connector].Can(op) }
	never = func(s policy.System, op dsr.Op) bool { return known[s.Connector].Never(op) }
	return can, never
}
