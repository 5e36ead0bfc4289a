package policy_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

func able() policy.Capability {
	k := policy.Capability{Ops: map[dsr.Op]string{}, Accepts: []dsr.Kind{dsr.Email}, Yields: []dsr.Kind{"account_id"}, Config: []string{"bucket"}}
	for _, op := range dsr.Ops() {
		k.Ops[op] = "api"
	}
	return k
}

func TestCheckAgainst(t *testing.T) {
	systems := minimalSystems + second("crm", `depends_on = ["app"]`) + "[system.config]\nbucket = \"b\"\n"
	c, err := policy.LoadFS(pack(minimalPolicy, systems), "acme")
	if err != nil {
		t.Fatal(err)
	}
	good := map[string]policy.Capability{"postgres": able(), "stripe": able()}
	if err := c.CheckAgainst(good); err != nil {
		t.Fatalf("a good pack is refused: %v", err)
	}
	for want, change := range map[string]func(k *policy.Capability, known map[string]policy.Capability){
		`system[1].connector: there is no connector "stripe"; expected one of manual, postgres`: func(_ *policy.Capability, known map[string]policy.Capability) { delete(known, "stripe") },
		`system[1].config.bucket: the connector stripe has no such setting`:                     func(k *policy.Capability, _ map[string]policy.Capability) { k.Config = nil },
		`system[1].categories: the connector stripe holds no "account"`:                         func(k *policy.Capability, _ map[string]policy.Capability) { k.Categories = []string{"charge"} },
		`system[1].connector: nobody can erase "account"`:                                       func(k *policy.Capability, _ map[string]policy.Capability) { k.Ops[dsr.Erase] = "none:no call" },
		`system[1].connector: the connector stripe cannot find a person`:                        func(k *policy.Capability, _ map[string]policy.Capability) { k.Ops[dsr.Locate] = "none:no call" },
		`system[1].depends_on: the connector stripe looks for [device]`:                         func(k *policy.Capability, _ map[string]policy.Capability) { k.Accepts = []dsr.Kind{"device"} },
	} {
		known, k := maps.Clone(good), able()
		known["stripe"] = k
		change(&k, known)
		if _, there := known["stripe"]; there {
			known["stripe"] = k
		}
		err := c.CheckAgainst(known)
		var problems policy.Problems
		if !errors.As(err, &problems) || len(problems) != 1 || !strings.Contains(err.Error(), "companies/acme/systems.toml:") || !strings.Contains(err.Error(), want) {
			t.Errorf("problems %v, want the one with %q", err, want)
		}
	}
	// An identifier that the system of record yields is enough.
	byID := able()
	byID.Accepts = []dsr.Kind{"account_id"}
	if err := c.CheckAgainst(map[string]policy.Capability{"postgres": able(), "stripe": byID}); err != nil {
		t.Errorf("a connector that looks for what the record yields is refused: %v", err)
	}
}

func TestFaultFindsTheLineOfASystem(t *testing.T) {
	c, err := policy.LoadFS(pack(minimalPolicy, minimalSystems), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Fault("app", 0, "source", "is odd").Error(); got != "companies/acme/systems.toml:6: system[0].source: is odd" {
		t.Error(got)
	}
	if got := c.Fault("app", 8, "mapping", "is odd").Error(); got != "companies/acme/systems.toml:8: system[0].mapping: is odd" {
		t.Error(got)
	}
}
