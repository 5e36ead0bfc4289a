package main

import (
	"maps"
	"runtime"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/infra/jsii"
	"github.com/writ-dsr/writ/shared/policy"
)

func contextOf(given map[string]string) lookup {
	return func(name string) string { return given[name] }
}

func TestSettings(t *testing.T) {
	s, err := readSettings(contextOf(nil), load(t))
	if err != nil {
		t.Fatal(err)
	}
	if s.company != "pythonmaster" || !s.arm || s.emulator || s.url != "" || s.alarm != "" {
		t.Errorf("without context the settings are %+v", s)
	}
	if s.sender != load(t).Contacts.Mail || s.officer != s.sender {
		t.Errorf("sender %q and officer %q, want the pack's contact", s.sender, s.officer)
	}
	s, err = readSettings(contextOf(map[string]string{
		"emulator": "1", "url": "http://127.0.0.1:8080/", "sender": "Privacy <p@example.org>", "officer": "o@example.org", "base.stripe": "http://127.0.0.1:1",
	}), load(t))
	if err != nil {
		t.Fatal(err)
	}
	if s.arm != (runtime.GOARCH == "arm64") || s.url != "http://127.0.0.1:8080" || s.from != "p@example.org" || s.officer != "o@example.org" {
		t.Errorf("on an emulator the settings are %+v", s)
	}
	if want := map[string]string{"stripe": "http://127.0.0.1:1"}; !maps.Equal(s.base, want) {
		t.Errorf("bases %v, want %v", s.base, want)
	}
	if got := companyOf(contextOf(map[string]string{"company": "other"})); got != "other" {
		t.Errorf("company %q, want other", got)
	}
}

func TestBadSettingsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		given map[string]string
		want  string
	}{
		"sender":          {map[string]string{"sender": "nobody"}, "sender is no mail address"},
		"alarm":           {map[string]string{"alarm": "nobody"}, "alarm is no mail address"},
		"arch":            {map[string]string{"arch": "mips"}, `arch "mips" is unknown`},
		"plain url":       {map[string]string{"url": "http://example.org"}, "url must be https"},
		"no url":          {map[string]string{"url": "example.org"}, "url is no web address"},
		"plain base":      {map[string]string{"base.stripe": "http://127.0.0.1:1"}, "base.stripe must be https"},
		"endpoint on AWS": {map[string]string{"endpoint": "https://example.org"}, "endpoint is for an emulator"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readSettings(contextOf(c.given), load(t)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestBadSystemsNameTheirLine(t *testing.T) {
	for name, c := range map[string]struct {
		system policy.System
		want   string
	}{
		"no such connector": {policy.System{ID: "crm", Connector: "nothing", Line: 12}, `companies/c/systems.toml:12: connector: system crm names "nothing", which is no connector: dynamodb, s3, vendor`},
		"unknown setting":   {policy.System{ID: "crm", Connector: "vendor", Line: 9, Settings: map[string]string{"regoin": "eu"}}, "companies/c/systems.toml:9: config: Invalid: reading the settings of system \"crm\": vendor does not know regoin"},
		"function's name":   {policy.System{ID: "manual", Connector: "vendor", Line: 7}, "companies/c/systems.toml:7: id:"},
	} {
		t.Run(name, func(t *testing.T) {
			err := check(&policy.Company{ID: "c", Systems: []policy.System{c.system}}, madeUpShelf())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
	if err := check(&policy.Company{ID: "c", Systems: []policy.System{{ID: "manual", Connector: policy.Manual}}}, nil); err != nil {
		t.Errorf("a person's task has no function, yet %v", err)
	}
}

func TestUnknownCompanyFailsTheSynthesis(t *testing.T) {
	k, err := boot("..", t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = k.Close() }()
	app := newApp(k, jsii.Map{"context": jsii.Map{"company": "nobody"}, "outdir": t.TempDir()})
	if err := build(k, app, ".."); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("error %v, want the company's name in it", err)
	}
}

func TestMissingBinariesAreNamed(t *testing.T) {
	bin, err := bootstraps(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := built(bin, []string{"sweep", "intake-form"}); err != nil {
		t.Errorf("all are there, yet %v", err)
	}
	if err := built(bin, []string{"sweep", "sleep"}); err == nil || !strings.Contains(err.Error(), "no bootstrap of sleep: run make build") {
		t.Errorf("error %v, want the missing one named", err)
	}
}
