package connector

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/writ-dsr/writ/shared/dsr"
)

// Descriptor is a vendor's connector.toml: the single source for the table of
// connectors, the README block, the capability matrix, the names of secrets,
// the IAM role and the egress hosts.
type Descriptor struct {
	Code       string              `toml:"code"` // folder, package and table key
	Name       string              `toml:"name"`
	Tier       Tier                `toml:"tier"`
	Role       string              `toml:"role"`       // processor, controller, own_store, person
	Hosts      []string            `toml:"hosts"`      // egress allow-list; empty for own stores and people
	Accepts    []dsr.Kind          `toml:"accepts"`    // kinds of identifiers Locate takes
	Yields     []dsr.Kind          `toml:"yields"`     // kinds Locate may add for other systems
	Lists      bool                `toml:"lists"`      // Locate can tell whose records have expired
	PerSecond  int                 `toml:"per_second"` // calls a second; 0 for no limit of ours
	Resend     Resend              `toml:"resend"`
	Categories map[string]Category `toml:"categories"` // data categories it can hold
	Secrets    map[string]string   `toml:"secrets"`    // name → what it is and which permissions it needs
	Config     map[string]string   `toml:"config"`     // keys of systems.toml [system.config] → what they mean
	Manual     map[string]string   `toml:"manual"`     // instruction key → where to click
	Ops        map[dsr.Op]string   `toml:"ops"`        // api | async | manual:<key> | none:<why>; all six
	Keeps      []Keep              `toml:"keeps"`
	Evidence   []Claim             `toml:"evidence"`
}

// Category says in one phrase what a data category of the vendor holds.
type Category struct {
	Holds string `toml:"holds"`
}

// Tier says how far a connector has been tried; it never claims more.
type Tier string

// The tiers, in order.
const (
	Sketch     Tier = "sketch"
	FakeTested Tier = "fake-tested"
	SpecTested Tier = "spec-tested"
	LiveTested Tier = "live-tested"
)

// Resend says whether a destructive call with unknown outcome may be sent again
// after the read-back still finds the record.
type Resend string

// The ways to send again: with the same idempotency key, because the call is
// idempotent by nature, or not at all (a person decides).
const (
	ResendKey   Resend = "key"
	ResendSafe  Resend = "safe"
	ResendNever Resend = "never"
)

// Keep is something the vendor holds on to after an erasure. How long, and on
// which ground, is the company's pack to say.
type Keep struct {
	ID       string `toml:"id"`
	Category string `toml:"category"`
	Reason   string `toml:"reason"`
}

// Claim is a statement about the vendor with its page and the day it was read.
type Claim struct {
	Claim string `toml:"claim"`
	Link  string `toml:"link"`
	Read  string `toml:"read"` // 2006-01-02
}

var (
	code     = regexp.MustCompile(`^[a-z][a-z0-9]*$`)
	day      = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
	hostname = regexp.MustCompile(`^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+$`)
)

// ParseDescriptor decodes connector.toml strictly: an unknown key, a missing op
// or a claim without a date is an error that names it.
func ParseDescriptor(file []byte) (Descriptor, error) {
	var d Descriptor
	dec := toml.NewDecoder(bytes.NewReader(file))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) && len(strict.Errors) > 0 {
			e := strict.Errors[0]
			row, _ := e.Position()
			return Descriptor{}, fmt.Errorf("reading connector.toml: line %d: unknown key %s", row, strings.Join(e.Key(), "."))
		}
		var syntax *toml.DecodeError
		if errors.As(err, &syntax) {
			row, _ := syntax.Position()
			return Descriptor{}, fmt.Errorf("reading connector.toml: line %d: %w", row, err)
		}
		if !errors.Is(err, io.EOF) {
			return Descriptor{}, fmt.Errorf("reading connector.toml: %w", err)
		}
	}
	if err := d.validate(); err != nil {
		return Descriptor{}, fmt.Errorf("reading connector.toml of %q: %w", d.Code, err)
	}
	return d, nil
}

func (d Descriptor) validate() error {
	switch {
	case !code.MatchString(d.Code):
		return errors.New("code must be lower-case letters and digits")
	case d.Name == "":
		return errors.New("name is missing")
	case !slices.Contains([]Tier{Sketch, FakeTested, SpecTested, LiveTested}, d.Tier):
		return fmt.Errorf("tier %q is unknown", d.Tier)
	case !slices.Contains([]Resend{ResendKey, ResendSafe, ResendNever}, d.Resend):
		return fmt.Errorf("resend %q is unknown: key, safe or never", d.Resend)
	case len(d.Categories) == 0 && d.Role != "person" && d.Role != "own_store":
		return errors.New("categories are missing")
	}
	for _, h := range d.Hosts {
		if !hostname.MatchString(h) {
			return fmt.Errorf("host %q is not a host name", h)
		}
	}
	for _, op := range dsr.Ops() {
		how, ok := d.Ops[op]
		if !ok {
			return fmt.Errorf("ops.%s is missing", op)
		}
		kind, rest, _ := strings.Cut(how, ":")
		switch kind {
		case "api", "async":
		case "manual":
			if _, ok := d.Manual[rest]; !ok {
				return fmt.Errorf("ops.%s names the instruction %q, which [manual] lacks", op, rest)
			}
		case "none":
			if rest == "" {
				return fmt.Errorf("ops.%s says none without a reason", op)
			}
		default:
			return fmt.Errorf("ops.%s is %q: api, async, manual:<key> or none:<why>", op, how)
		}
	}
	if len(d.Ops) != len(dsr.Ops()) {
		return fmt.Errorf("ops names %d operations, there are %d", len(d.Ops), len(dsr.Ops()))
	}
	for i, k := range d.Keeps {
		if k.ID == "" || k.Category == "" || k.Reason == "" {
			return fmt.Errorf("keeps entry %d needs id, category and reason", i+1)
		}
	}
	for i, c := range d.Evidence {
		if c.Claim == "" || c.Link == "" || !day.MatchString(c.Read) {
			return fmt.Errorf("evidence entry %d needs claim, link and read (2006-01-02)", i+1)
		}
	}
	return nil
}

// Can reports whether the op goes by API, at once or as a vendor's job.
func (d Descriptor) Can(op dsr.Op) bool {
	how := d.Ops[op]
	return how == "api" || how == "async"
}

// Instruction returns the key of the person's instruction for an op that the
// API does not offer, or "" when there is none.
func (d Descriptor) Instruction(op dsr.Op) string {
	key, ok := strings.CutPrefix(d.Ops[op], "manual:")
	if !ok {
		return ""
	}
	return key
}
