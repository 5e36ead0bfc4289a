package connector

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Config binds a driver to one system of a company. Every driver's constructor
// is func New(cfg connector.Config) (connector.Connector, error): it checks
// what it needs and calls nobody.
type Config struct {
	System   string            // id of the system in systems.toml
	BaseURL  string            // deploy-time override of the vendor's base URL; empty for the vendor's own
	Secrets  map[string]string // name in connector.toml → value, already read
	Settings map[string]string // [system.config] of systems.toml: flat values
	Mapping  []byte            // TOML of what the system maps itself, for example the tables of postgres
	Emulator bool              // allows http and loopback; never set outside tests and the demo

	// Transport replaces the driver's own way onto the network; nil outside
	// tests, where the driver dials its declared hosts and no other.
	Transport http.RoundTripper
	// Now is the clock: dates in Retry-After count from it.
	Now func() time.Time
}

// Secret returns the secret of that name, or an error that names the system
// and the secret and says what to do.
func (c Config) Secret(name string) (string, error) {
	if v := strings.TrimSpace(c.Secrets[name]); v != "" {
		return v, nil
	}
	return "", &Error{Kind: Unauthorized, Err: fmt.Errorf("reading secret %q of system %q: it is missing; store it as a SecureString parameter", name, c.System)}
}

// CheckSettings refuses a setting the descriptor does not name: a misspelt key
// must not become a silent default.
func (c Config) CheckSettings(d Descriptor) error {
	var unknown []string
	for key := range c.Settings {
		if _, ok := d.Config[key]; !ok {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	return &Error{Kind: Invalid, Err: fmt.Errorf("reading the settings of system %q: %s does not know %s", c.System, d.Code, strings.Join(unknown, ", "))}
}
