package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/writ-dsr/writ/infra/jsii"
	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/connectors"
	"github.com/writ-dsr/writ/shared/policy"
	"github.com/writ-dsr/writ/statemachines"
)

// The stacks that the tests read. They are declared once, by one kernel.
const (
	product  = "Writ-pythonmaster"          // the pack that ships, as on AWS
	emulated = "Writ-pythonmaster-emulated" // the same on an emulator
	madeUp   = "Writ-madeup"                // twenty systems, one of each kind
)

// template is a stack as CloudFormation gets it.
type template struct {
	Resources map[string]resource
	Outputs   map[string]any
	text      string
	findings  []finding
}

type resource struct {
	Type           string
	Properties     map[string]any
	DeletionPolicy string
	Metadata       map[string]any
}

// finding is what cdk-nag says about one construct.
type finding struct {
	path string // of the construct, below the stack
	rule string // for example AwsSolutions-IAM5[Resource::*]
}

var synthesised = sync.OnceValues(func() (map[string]*template, error) {
	dir, err := os.MkdirTemp("", "writ-infra-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin, err := bootstraps(filepath.Join(dir, "bin"))
	if err != nil {
		return nil, err
	}
	pack, err := policy.Load("pythonmaster")
	if err != nil {
		return nil, err
	}
	k, err := boot("..", os.Stderr, "cdk-nag")
	if err != nil {
		return nil, err
	}
	defer func() { _ = k.Close() }()

	shelf, err := connectors.Descriptors()
	if err != nil {
		return nil, err
	}
	aws := map[string]string{"alarm": "alarms@example.org"}
	out := map[string]*template{}
	for _, c := range []struct {
		name    string
		pack    *policy.Company
		shelf   map[string]connector.Descriptor
		context map[string]string
	}{
		{product, pack, shelf, aws},
		{emulated, pack, shelf, map[string]string{
			"emulator": "1", "endpoint": "http://127.0.0.1:4566", "base.stripe": "http://127.0.0.1:9/", "sender": "Privacy <privacy@example.org>"}},
		{madeUp, madeUpPack(), madeUpShelf(), aws},
	} {
		s, err := readSettings(func(name string) string { return c.context[name] }, c.pack)
		if err != nil {
			return nil, err
		}
		in := inputs{settings: s, pack: c.pack, shelf: c.shelf, definition: statemachines.Request, retention: statemachines.Retention, bin: bin}
		if out[c.name], err = synthesise(k, filepath.Join(dir, c.name), in); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return out, nil
})

// stackOf returns one of the stacks.
func stackOf(t *testing.T, name string) *template {
	t.Helper()
	all, err := synthesised()
	if err != nil {
		t.Fatal(err)
	}
	return all[name]
}

// synthesise declares a stack with cdk-nag watching and reads what was written.
func synthesise(k *jsii.Kernel, dir string, in inputs) (*template, error) {
	app := newApp(k, jsii.Map{"outdir": dir})
	if _, err := newStack(k, app, in); err != nil {
		return nil, err
	}
	aspects := k.InvokeStatic("aws-cdk-lib.Aspects", "of", app).Ref()
	k.Invoke(aspects, "add", k.Create("cdk-nag.AwsSolutionsChecks", jsii.Map{"reports": false}))
	k.Invoke(app, "synth")
	if err := k.Err(); err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "Writ-"+in.settings.company)
	body, err := os.ReadFile(name + ".template.json")
	if err != nil {
		return nil, err
	}
	tpl := &template{text: string(body)}
	if err := json.Unmarshal(body, tpl); err != nil {
		return nil, err
	}
	notes, err := os.ReadFile(name + ".metadata.json")
	if err != nil {
		return nil, err
	}
	var metadata map[string][]struct {
		Type string
		Data any
	}
	if err := json.Unmarshal(notes, &metadata); err != nil {
		return nil, err
	}
	for path, entries := range metadata {
		for _, e := range entries {
			text, _ := e.Data.(string)
			rule, _, _ := strings.Cut(text, ": ")
			if e.Type == "aws:cdk:error" || e.Type == "aws:cdk:warning" {
				tpl.findings = append(tpl.findings, finding{strings.TrimPrefix(path, "/Writ-"+in.settings.company+"/"), rule})
			}
		}
	}
	return tpl, nil
}

// bootstraps makes a folder with a file for each function: what is in a
// function is no concern of the stack.
func bootstraps(bin string) (string, error) {
	for _, name := range append(slices.Collect(maps.Keys(needs())), "fanout-task") {
		if err := os.MkdirAll(filepath.Join(bin, name), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(bin, name, "bootstrap"), []byte(name), 0o755); err != nil {
			return "", err
		}
	}
	return bin, nil
}

// madeUpPack is a company with as many systems as a large one, of each kind.
func madeUpPack() *policy.Company {
	pack := &policy.Company{ID: "madeup", Name: "Made Up", Contacts: policy.Contacts{Mail: "privacy@example.org"}}
	pack.Systems = []policy.System{
		{ID: "crm", Connector: "vendor", MaxParallel: 3},
		{ID: "db", Connector: "vendor", VPC: &policy.VPC{ID: "vpc-1", Subnets: []string{"subnet-1", "subnet-2"}, SecurityGroups: []string{"sg-1"}}},
		{ID: "items", Connector: "dynamodb", Settings: map[string]string{"table": "orders"}},
		{ID: "files", Connector: "s3", Settings: map[string]string{"bucket": "made-up-files", "prefix": "people/{account_id}/"}},
		{ID: "paper", Connector: policy.Manual},
	}
	for i := len(pack.Systems); i < 20; i++ {
		pack.Systems = append(pack.Systems, policy.System{ID: fmt.Sprintf("more-%d", i), Connector: "vendor"})
	}
	return pack
}

// madeUpShelf has a vendor with two secrets and the company's own stores.
func madeUpShelf() map[string]connector.Descriptor {
	return map[string]connector.Descriptor{
		"vendor":   {Code: "vendor", Secrets: map[string]string{"api_key": "a key", "webhook": "a second one"}},
		"dynamodb": {Code: "dynamodb", Config: map[string]string{"table": "the table"}},
		"s3":       {Code: "s3", Config: map[string]string{"bucket": "the bucket", "prefix": "where"}},
	}
}

// of lists the resources of a type by their logical ids.
func (tpl *template) of(kind string) map[string]resource {
	out := map[string]resource{}
	for id, r := range tpl.Resources {
		if r.Type == kind {
			out[id] = r
		}
	}
	return out
}

// one is the resource whose logical id is this word and a hash.
func (tpl *template) one(t *testing.T, id string) resource {
	t.Helper()
	var found []string
	for k := range tpl.Resources {
		if rest, ok := strings.CutPrefix(k, id); ok && len(rest) == 8 {
			found = append(found, k)
		}
	}
	if len(found) != 1 {
		t.Fatalf("resource %s: found %v, want one", id, found)
	}
	return tpl.Resources[found[0]]
}

// statement is one permission of a role, its resources in one line each.
type statement struct {
	role      string // logical id without its hash
	actions   []string
	resources []string
	condition string
}

// permissions lists the statements of every role and policy of the stack.
func (tpl *template) permissions(t *testing.T) []statement {
	t.Helper()
	var out []statement
	for id, r := range tpl.Resources {
		var docs []any
		switch r.Type {
		case "AWS::IAM::Role":
			for _, p := range list(r.Properties["Policies"]) {
				docs = append(docs, p.(map[string]any)["PolicyDocument"])
			}
		case "AWS::IAM::Policy":
			docs = append(docs, r.Properties["PolicyDocument"])
		case "AWS::IAM::ManagedPolicy", "AWS::IAM::User", "AWS::IAM::Group":
			t.Errorf("%s: a %s holds permissions that these tests do not read", id, r.Type)
		}
		for _, doc := range docs {
			for _, st := range list(doc.(map[string]any)["Statement"]) {
				m := st.(map[string]any)
				if m["Effect"] != "Allow" || m["NotAction"] != nil || m["NotResource"] != nil {
					t.Errorf("%s: statement %v is not a plain allowance", id, m)
				}
				s := statement{role: id[:len(id)-8], condition: line(m["Condition"])}
				for _, a := range list(m["Action"]) {
					s.actions = append(s.actions, a.(string))
				}
				for _, r := range list(m["Resource"]) {
					s.resources = append(s.resources, line(r))
				}
				out = append(out, s)
			}
		}
	}
	return out
}

func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

// line writes a value of a template in one line: a join as its parts side by
// side, a reference as {Name}.
func line(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case map[string]any:
		if ref, ok := v["Ref"].(string); ok {
			return "{" + ref + "}"
		}
		if get, ok := v["Fn::GetAtt"].([]any); ok {
			return "{" + get[0].(string) + "." + get[1].(string) + "}"
		}
		if join, ok := v["Fn::Join"].([]any); ok {
			var b strings.Builder
			for _, part := range list(join[1]) {
				b.WriteString(line(part))
			}
			return b.String()
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
