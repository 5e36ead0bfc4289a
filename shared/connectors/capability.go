package connectors

import (
	"slices"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/policy"
)

// Capabilities is what the policy needs to know of the shelf, by code: the
// policy itself knows no connector.
func Capabilities(all map[string]connector.Descriptor) map[string]policy.Capability {
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
