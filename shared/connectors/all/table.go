// Package all links every vendor of the shelf. Only fanout-task imports it.
package all

import (
	"fmt"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connectors/postgres"
	"github.com/writ-dsr/writ/shared/connectors/stripe"
)

// Open binds the connector with that code to a system.
func Open(code string, cfg connector.Config) (connector.Connector, error) {
	switch code {
	case "postgres":
		return postgres.New(cfg)
	case "stripe":
		return stripe.New(cfg)
	}
	return nil, fmt.Errorf("opening system %s: there is no connector %q", cfg.System, code)
}
