package archtest_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"testing/fstest"

	"github.com/writ-dsr/writ/shared/connectors/postgres"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

// The company in docs/add-a-company.md is one that loads, plans and maps.
func TestTheCompanyOfTheGuideIsWhole(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "add-a-company.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)## ([a-z]+\\.toml)\n\n```toml\n(.*?)```").FindAllSubmatch(text, -1)
	files := fstest.MapFS{}
	for _, b := range blocks {
		files["companies/acme/"+string(b[1])] = &fstest.MapFile{Data: b[2]}
	}
	company, err := policy.LoadFS(files, "acme")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := company.Plan(policy.Question{Rights: []dsr.Right{dsr.Access, dsr.Erasure}, Place: "SE"})
	if err != nil {
		t.Fatal(err)
	}
	visits, told := 0, 0
	for _, w := range plan.Waves {
		for _, v := range w.Visits {
			if v.Recipient == "" {
				visits++
			} else {
				told++
			}
		}
	}
	if visits != 2*len(company.Systems) || len(company.Systems) != 3 || told != 1 {
		t.Errorf("%d visits to %d systems and %d recipients told, want each of 3 gathered and acted upon, and the carrier told", visits, len(company.Systems), told)
	}
	for _, s := range company.Systems {
		if s.Connector != "postgres" {
			continue
		}
		if m, err := postgres.ParseMapping(s.Raw); err != nil || len(m.Tables) != 2 {
			t.Errorf("the mapping of %s has %d tables, %v; want 2", s.ID, len(m.Tables), err)
		}
	}
	for country, decided := range map[dsr.Place]bool{"SE": true, "GB": false, "US": false} {
		if _, ok := company.Ground("orders", country); ok != decided {
			t.Errorf("a ground for orders of %s: %v, want %v", country, ok, decided)
		}
	}
}
