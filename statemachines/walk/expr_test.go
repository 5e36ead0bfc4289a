package walk

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The values in testdata/jsonata.json were computed once by the reference
// implementation (npm jsonata 2.x, the one asl-validator carries): the subset
// must agree with it.
func TestExpressionsAgreeWithTheReference(t *testing.T) {
	data, err := os.ReadFile("testdata/jsonata.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Variables map[string]any `json:"variables"`
		Cases     []struct {
			Expression string `json:"expression"`
			Value      any    `json:"value"`
			Undefined  bool   `json:"undefined"`
		} `json:"cases"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) < 40 {
		t.Fatalf("%d cases, want at least 40", len(file.Cases))
	}
	vars := &scope{vars: file.Variables}
	for _, c := range file.Cases {
		t.Run(c.Expression, func(t *testing.T) {
			e, err := parseExpr(c.Expression)
			if err != nil {
				t.Fatal(err)
			}
			got, err := e.eval(undefined{}, vars)
			if err != nil {
				t.Fatal(err)
			}
			if _, none := got.(undefined); none != c.Undefined {
				t.Fatalf("undefined is %v, want %v", none, c.Undefined)
			}
			if !c.Undefined {
				if diff := cmp.Diff(c.Value, got); diff != "" {
					t.Errorf("(-reference +walk):\n%s", diff)
				}
			}
		})
	}
}

// What the subset does not know must be refused, or a walk would show an order
// that AWS does not take.
func TestUnknownExpressionsAreRefused(t *testing.T) {
	for _, source := range []string{
		"", "$states.", "$states.input[0]", "$map($states.input, function($x) { $x })", "$sum($states.input)", "{'a': 1}", "$states.input.*",
		"$x := 1", "$count(1, 2)", "'no end", "(1", "1 2", "[1", "a ? b", "'it\\'s'", "$states.input[status",
	} {
		if e, err := parseExpr(source); err == nil {
			t.Errorf("%q is read as %v, want an error", source, e)
		}
	}
}
