package main

import (
	"slices"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

// capabilities is what policy needs to know of the connectors.
func capabilities(all map[string]connector.Descriptor) map[string]policy.Capability {
	out := map[string]policy.Capability{}
	for code, d := range all {
		k := policy.Capability{Ops: d.Ops, Accepts: d.Accepts, Yields: d.Yields}
		for category := range d.Categories {
			k.Categories = append(k.Categories, category)
		}
		for key := range d.Config {
			k.Config = append(k.Config, key)
		}
		slices.Sort(k.Categories)
		slices.Sort(k.Config)
		out[code] = k
	}
	return out
}

// question asks for a plan over the connectors on the shelf.
func question(rights []dsr.Right, country string, known map[string]policy.Capability) policy.Question {
	return policy.Question{
		Rights: rights, Country: country,
		Can:   func(s policy.System, op dsr.Op) bool { return known[s.Connector].Can(op) },
		Never: func(s policy.System, op dsr.Op) bool { return known[s.Connector].Never(op) },
	}
}
