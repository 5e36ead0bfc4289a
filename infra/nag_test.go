package main

import (
	"os"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// TestNag holds the stack against the AwsSolutions rules of cdk-nag. Its
// findings do not change how a synthesis ends, so they are read here.
func TestNag(t *testing.T) {
	file, err := os.Open("testdata/nag.toml")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var accepted struct {
		Accept []struct{ Rule, At, Why string }
	}
	if err := toml.NewDecoder(file).DisallowUnknownFields().Decode(&accepted); err != nil {
		t.Fatal(err)
	}
	used := make([]int, len(accepted.Accept))
	for _, name := range []string{product, madeUp} {
		for _, f := range stackOf(t, name).findings {
			ok := false
			for i, a := range accepted.Accept {
				if glob(a.Rule, f.rule) && glob(a.At, f.path) {
					used[i]++
					ok = true
				}
			}
			if !ok {
				t.Errorf("%s: %s at %s", name, f.rule, f.path)
			}
		}
	}
	for i, a := range accepted.Accept {
		if used[i] == 0 {
			t.Errorf("nothing needs the acceptance of %s at %s any more", a.Rule, a.At)
		}
		if len(a.Why) < 20 {
			t.Errorf("the acceptance of %s at %s has no reason", a.Rule, a.At)
		}
	}
}
