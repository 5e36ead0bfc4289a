package policy_test

import (
	"testing"

	"github.com/writ-dsr/writ/shared/policy"
)

func TestEveryEmbeddedCompanyLoads(t *testing.T) {
	ids := policy.Companies()
	if len(ids) == 0 {
		t.Fatal("no company is embedded")
	}
	for _, id := range ids {
		if _, err := policy.Load(id); err != nil {
			t.Errorf("loading %s:\n%v", id, err)
		}
	}
}
