package main

import (
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

// question asks for a plan over the connectors on the shelf.
func question(rights []dsr.Right, place dsr.Place, known map[string]policy.Capability) policy.Question {
	return policy.Question{
		Rights: rights, Place: place,
		Can:   func(s policy.System, op dsr.Op) bool { return known[s.Connector].Can(op) },
		Never: func(s policy.System, op dsr.Op) bool { return known[s.Connector].Never(op) },
	}
}
