package main

import (
	"fmt"
	"net/mail"
	"net/url"
	"runtime"
	"strings"

	"github.com/writ-dsr/writ/shared/policy"
)

// settings are the inputs of a deployment, given as CDK context: -c name=value.
type settings struct {
	company  string            // whose pack, pythonmaster unless said
	url      string            // public base URL; empty for the API's own
	sender   string            // From address of the mails; the pack's contact unless said
	from     string            // the sender's address alone, without a name
	officer  string            // who owns what needs a person; the pack's contact unless said
	alarm    string            // address for alarms; empty for none
	emulator bool              // the stack goes to an emulator of AWS
	endpoint string            // the emulator's address as functions see it; empty for theirs
	arm      bool              // architecture of the binaries
	base     map[string]string // system → vendor's base URL instead of the real one
}

// lookup finds a deployment input; "" if it was not given.
type lookup func(name string) string

// companyOf says whose pack the deployment is for.
func companyOf(get lookup) string {
	if c := get("company"); c != "" {
		return c
	}
	return "pythonmaster"
}

// readSettings checks the inputs of a deployment of the company's pack.
func readSettings(get lookup, pack *policy.Company) (settings, error) {
	s := settings{
		company:  pack.ID,
		url:      strings.TrimRight(get("url"), "/"),
		sender:   or(get("sender"), pack.Contacts.Mail),
		officer:  or(get("officer"), pack.Contacts.Mail),
		alarm:    get("alarm"),
		emulator: get("emulator") == "1",
		endpoint: get("endpoint"),
		base:     map[string]string{},
	}
	for name, value := range map[string]string{"sender": s.sender, "officer": s.officer, "alarm": s.alarm} {
		address, err := mail.ParseAddress(value)
		if err != nil && (value != "" || name != "alarm") {
			return settings{}, fmt.Errorf("reading the context: %s is no mail address: give -c %s=name@example.com", name, name)
		}
		if name == "sender" {
			s.from = address.Address
		}
	}
	switch arch := or(get("arch"), defaultArch(s.emulator)); arch {
	case "arm64":
		s.arm = true
	case "x86_64", "amd64":
	default:
		return settings{}, fmt.Errorf("reading the context: arch %q is unknown: arm64 or x86_64", arch)
	}
	if err := s.address("url", s.url); err != nil {
		return settings{}, err
	}
	for _, sys := range pack.Systems {
		base := get("base." + sys.ID)
		if base == "" {
			continue
		}
		if err := s.address("base."+sys.ID, base); err != nil {
			return settings{}, err
		}
		s.base[sys.ID] = strings.TrimRight(base, "/")
	}
	if s.endpoint != "" && !s.emulator {
		return settings{}, fmt.Errorf("reading the context: endpoint is for an emulator only: add -c emulator=1 or leave it out")
	}
	return s, nil
}

// address refuses what is no web address, and plain http outside an emulator.
func (s settings) address(name, value string) error {
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return fmt.Errorf("reading the context: %s is no web address: give -c %s=https://…", name, name)
	}
	if u.Scheme == "http" && !s.emulator {
		return fmt.Errorf("reading the context: %s must be https outside an emulator", name)
	}
	return nil
}

// defaultArch is arm64 on AWS; an emulator runs the binaries on this machine.
func defaultArch(emulator bool) string {
	if emulator {
		return runtime.GOARCH
	}
	return "arm64"
}

func or(value, otherwise string) string {
	if value != "" {
		return value
	}
	return otherwise
}
