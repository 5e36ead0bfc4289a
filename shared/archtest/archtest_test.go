package archtest_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/writ-dsr/writ/shared/archtest"
	"github.com/writ-dsr/writ/shared/connector/connectortest"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
)

const root = "../.."

func TestTheModuleKeepsItsShape(t *testing.T) {
	violations, err := archtest.Check(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Error(v)
	}
}

func TestOneWordPerStage(t *testing.T) {
	violations, err := archtest.CheckStages(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Error(v)
	}
}

func TestEveryRoomOfTheTableExists(t *testing.T) {
	for _, missing := range archtest.Missing(os.DirFS(root)) {
		t.Errorf("the table names %s, which is not in the tree", missing)
	}
}

// TestNobodyOfTheCastOutsideTests: what ships, and every recorded state, holds
// no value of the synthetic people. Only their own package and tests do.
func TestNobodyOfTheCastOutsideTests(t *testing.T) {
	leaks, files, err := archtest.Leaks(os.DirFS(root), connectortest.FindCanary)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range leaks {
		t.Error(l)
	}
	if files < 100 {
		t.Errorf("%d files were read; the tree has more", files)
	}
	planted := fstest.MapFS{
		"statemachines/testdata/PlanRequest.in.json": {Data: []byte(`{"email":"` + dsrtest.Ada.Email + `"}`)},
		"shared/flow/plan/plan_test.go":              {Data: []byte(dsrtest.Ada.Email)},
		"shared/dsr/dsrtest/cast.go":                 {Data: []byte(dsrtest.Ada.Email)},
	}
	leaks, files, err = archtest.Leaks(planted, connectortest.FindCanary)
	if err != nil || files != 1 || len(leaks) != 1 || !strings.Contains(leaks[0], "PlanRequest.in.json") {
		t.Errorf("a planted leak: %q of %d files, %v", leaks, files, err)
	}
}

// TestPlantedViolations shows each rule catching what it is for, and nothing
// else catching it.
func TestPlantedViolations(t *testing.T) {
	imports := func(pkg, path string) string { return "package " + pkg + "\n\nimport _ \"" + path + "\"\n" }
	ours := func(pkg, folder string) string { return imports(pkg, archtest.Module+folder) }
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"the nouns know a rule":               {map[string]string{"shared/dsr/x.go": ours("dsr", "shared/policy")}, "shared/dsr may not import shared/policy"},
		"a vendor reads the policy":           {map[string]string{"shared/connectors/stripe/x.go": ours("stripe", "shared/policy")}, "may not import shared/policy"},
		"a vendor imports a vendor":           {map[string]string{"shared/connectors/stripe/x.go": ours("stripe", "shared/connectors/postgres")}, "may not import shared/connectors/postgres"},
		"a vendor uses the SDK":               {map[string]string{"shared/connectors/stripe/x.go": imports("stripe", "github.com/aws/aws-sdk-go-v2/aws")}, "may never import github.com/aws"},
		"the shelf links a vendor":            {map[string]string{"shared/connectors/x.go": ours("connectors", "shared/connectors/stripe")}, "may not import shared/connectors/stripe"},
		"the contract knows its client":       {map[string]string{"shared/connector/x.go": ours("connector", "shared/connector/rest")}, "may not import shared/connector/rest"},
		"a stage imports a stage":             {map[string]string{"shared/flow/plan/x.go": ours("plan", "shared/flow/fanout")}, "may not import shared/flow/fanout"},
		"a stage opens a store":               {map[string]string{"shared/flow/plan/x.go": ours("plan", "shared/ledger/dynamo")}, "may not import shared/ledger/dynamo"},
		"a stage's part uses the SDK":         {map[string]string{"shared/flow/bundle/archive/x.go": imports("archive", "github.com/aws/aws-sdk-go-v2/service/s3")}, "may never import github.com/aws"},
		"a stage links vendors":               {map[string]string{"shared/flow/fanout/x.go": ours("fanout", "shared/connectors/all")}, "may not import shared/connectors/all"},
		"the platform knows a stage":          {map[string]string{"shared/platform/mail/x.go": ours("mail", "shared/flow/notify")}, "may not import shared/flow/notify"},
		"the stack knows a stage":             {map[string]string{"infra/constructs/x.go": ours("constructs", "shared/flow/plan")}, "may not import shared/flow/plan"},
		"the stack links a vendor":            {map[string]string{"infra/x.go": ours("main", "shared/connectors/stripe")}, "may not import shared/connectors/stripe"},
		"a test imports a function":           {map[string]string{"infra/e2e/x_test.go": ours("e2e", "functions/sweep")}, "nothing imports a function"},
		"a function imports a function":       {map[string]string{"functions/sweep/main.go": ours("main", "functions/desk")}, "nothing imports a function"},
		"a function links a vendor":           {map[string]string{"functions/sweep/main.go": ours("main", "shared/connectors/all")}, "functions/sweep may not import shared/connectors/all"},
		"a function links a vendor by detour": {map[string]string{"functions/sweep/main.go": ours("main", "shared/platform/deploy"), "shared/platform/deploy/x.go": ours("deploy", "shared/ledger/detour"), "shared/ledger/detour/x.go": ours("detour", "shared/connectors/stripe")}, "functions/sweep: only fanout-task links vendors"},
		"fanout-task links a test kit":        {map[string]string{"functions/fanout-task/main.go": ours("main", "shared/ledger/memory")}, "never links a test kit"},
		"a folder in no room":                 {map[string]string{"tools/x.go": "package tools\n"}, "is in no room"},
		"an init function":                    {map[string]string{"shared/policy/x.go": "package policy\n\nfunc init() {}\n"}, "no init function"},
		"a client by its type":                {map[string]string{"shared/ledger/dynamo/x.go": "package dynamo\n\nvar client *dynamodb.Client\n"}, "no client in a package variable"},
		"a client by its maker":               {map[string]string{"shared/platform/mail/x.go": "package mail\n\nvar out = ses.NewFromConfig(cfg)\n"}, "no client in a package variable"},
		"a client by its value":               {map[string]string{"shared/connector/rest/x.go": "package rest\n\nvar (\n\tlimit = 3\n\thc = &http.Client{}\n)\n"}, "x.go:5: no client in a package variable"},
		"a clock in a stage":                  {map[string]string{"shared/flow/plan/x.go": "package plan\n\nimport \"time\"\n\nvar now = time.Now\n"}, "x.go:5: shared/flow/* takes the clock"},
		"a clock under another name":          {map[string]string{"shared/dsr/x.go": "package dsr\n\nimport clock \"time\"\n\nfunc f() any { return clock.Now() }\n"}, "takes the clock"},
		"the environment in the rules":        {map[string]string{"shared/policy/x.go": "package policy\n\nimport \"os\"\n\nfunc f() string { return os.Getenv(\"X\") }\n"}, "not from os.Getenv"},
		"a name that says nothing":            {map[string]string{"shared/platform/util/x.go": "package util\n"}, "says nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := fstest.MapFS{}
			for file, text := range c.files {
				tree[file] = &fstest.MapFile{Data: []byte(text)}
			}
			violations, err := archtest.Check(tree)
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			for _, v := range violations {
				if strings.Contains(v, c.want) {
					found++
				}
			}
			if found != 1 {
				t.Errorf("%q found %d times in %q", c.want, found, violations)
			}
		})
	}
}

// TestWhatIsAllowed guards against rules that catch what is right.
func TestWhatIsAllowed(t *testing.T) {
	tree := fstest.MapFS{
		"shared/flow/plan/x.go":                {Data: []byte("package plan\n\nimport (\n\t\"time\"\n\n\t\"" + archtest.Module + "shared/policy\"\n)\n\nvar wait = 3 * time.Second\n\nfunc now(at time.Time) time.Time { return policy.After(at) }\n")},
		"shared/flow/plan/x_test.go":           {Data: []byte("package plan_test\n\nimport (\n\t\"time\"\n\n\t\"" + archtest.Module + "shared/ledger/memory\"\n)\n\nvar now = time.Now\nvar store = memory.New()\n")},
		"shared/connectors/s3/x.go":            {Data: []byte("package s3\n\nimport _ \"github.com/aws/aws-sdk-go-v2/service/s3\"\n\nvar errX = errors.New(\"x\")\nvar re = regexp.MustCompile(\"x\")\nvar open = func() any { return s3.NewFromConfig(nil) }\n")},
		"shared/connectors/s3/testdata/bad.go": {Data: []byte("package util\n\nfunc init() {}\n")},
	}
	violations, err := archtest.Check(tree)
	if err != nil {
		t.Fatal(err)
	}
	if len(violations) != 0 {
		t.Errorf("%q", violations)
	}
}

func TestPlantedStages(t *testing.T) {
	good := func() map[string]string {
		return map[string]string{
			"functions/plan-request/main.go": "package main\n", "shared/flow/plan/plan.go": "package plan\n",
			"functions/sweep/main.go": "package main\n", "shared/flow/sweep/sweep.go": "package sweep\n",
			"statemachines/request.asl.json": `{"States":{"Waves":{"Type":"Map","ItemProcessor":{"States":{"PlanRequest":{"Arguments":{"FunctionName":"${PlanRequestFn}"}}}}}}}`,
		}
	}
	for name, c := range map[string]struct {
		change map[string]string
		want   string // empty: no violation
	}{
		"as it is":                       {nil, ""},
		"a Lambda without a stage":       {map[string]string{"functions/mail-subject/main.go": "package main\n"}, "there is no package shared/flow/mail"},
		"a Lambda of one word":           {map[string]string{"functions/plan/main.go": "package main\n"}, "is not <stage>-<object>"},
		"a Lambda without main":          {map[string]string{"functions/plan-approve/event.json": "{}"}, "it has no main.go"},
		"a stage without a Lambda":       {map[string]string{"shared/flow/collect/collect.go": "package collect\n"}, "no Lambda has its word"},
		"a state of another name":        {map[string]string{"statemachines/request.asl.json": `{"States":{"MakePlan":{"Arguments":{"FunctionName":"${PlanRequestFn}"}}}}`}, "no state that invokes ${PlanRequestFn} is called PlanRequest"},
		"a state that invokes no folder": {map[string]string{"statemachines/b.asl.json": `{"States":{"BundleArchive":{"Arguments":{"FunctionName":"{% '${BundleArchiveFnPrefix}' & $x %}"}}}}`}, "${BundleArchiveFn} is no folder"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := fstest.MapFS{}
			files := good()
			for file, text := range c.change {
				files[file] = text
			}
			for file, text := range files {
				tree[file] = &fstest.MapFile{Data: []byte(text)}
			}
			violations, err := archtest.CheckStages(tree)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case c.want == "" && len(violations) != 0:
				t.Errorf("%q", violations)
			case c.want != "" && (len(violations) != 1 || !strings.Contains(violations[0], c.want)):
				t.Errorf("want %q alone, found %q", c.want, violations)
			}
		})
	}
}
