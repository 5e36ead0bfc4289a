package main

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/infra/constructs"
)

func TestSecretsAreOnlyTheirSystemsOwn(t *testing.T) {
	for _, name := range []string{product, madeUp} {
		tpl := stackOf(t, name)
		company := strings.TrimPrefix(name, "Writ-")
		readers := 0
		for _, s := range tpl.permissions(t) {
			for _, a := range s.actions {
				if !strings.HasPrefix(a, "ssm:") && !strings.HasPrefix(a, "secretsmanager:") {
					continue
				}
				readers++
				system, _ := strings.CutPrefix(s.role, "RoleFanout")
				for _, r := range s.resources {
					_, path, ok := strings.Cut(r, ":parameter/writ/"+company+"/")
					owner, secret, _ := strings.Cut(path, "/")
					if !ok || pascal(owner) != system || secret == "" || strings.Contains(r, "*") {
						t.Errorf("%s: %s may %s %s", name, s.role, a, r)
					}
				}
				if a != "ssm:GetParameter" {
					t.Errorf("%s: %s may %s", name, s.role, a)
				}
			}
		}
		if readers == 0 {
			t.Errorf("%s: no role reads a secret", name)
		}
	}
}

func pascal(id string) string {
	var b strings.Builder
	for _, part := range strings.Split(id, "-") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

// wildcards are the resources that are named by a pattern, each with its reason.
var wildcards = []struct{ role, actions, resource, why string }{
	{"RoleMachine*DefaultPolicy", "logs:*", "*", "Step Functions delivers its log through actions that know no resource"},
	{"RoleMachine*DefaultPolicy", "xray:*", "*", "traces know no resource"},
	{"Role*", "ses:SendRawEmail", "*", "the sender is the condition; which identity is checked depends on what is verified"},
	{"Role*", "states:SendTask*", "*", "the task token is the credential; the service knows no resource for it"},
	{"Role*", "states:*Execution", "*:execution:*-request:*", "executions of this one machine, whose names are the requests'"},
	{"RoleFanout*", "s3:*", "{Bucket*.Arn}/exports/?*/?*/*", "the system's own part of every request's exports"},
	{"RoleBundleArchive", "s3:*", "{Bucket*.Arn}/*/*", "the parts of every request's copy"},
	{"RoleBundleDownload", "s3:GetObject", "{Bucket*.Arn}/bundles/*", "every request's copy"},
	{"RoleFanoutAnswer", "s3:*", "{Bucket*.Arn}/*/*", "the files people hand in, which become exports, request by request"},
	{"RoleSweep", "s3:*", "{Bucket*.Arn}/*/*", "what has expired, request by request"},
	{"RoleFanoutFiles", "s3:*", "*:s3:::*/*", "the objects of the one bucket and prefix the system is"},
	{"RoleFanoutItems", "dynamodb:*", "*:table/*/index/*", "every index of the one table the system is"},
	{"RoleFanoutDb", "ec2:*", "*", "Lambda makes the interfaces of a private network; they do not exist yet"},
}

func TestActionsAndResourcesAreNamed(t *testing.T) {
	used := map[int]bool{}
	for _, name := range []string{product, emulated, madeUp} {
		for _, s := range stackOf(t, name).permissions(t) {
			for _, a := range s.actions {
				if strings.Contains(a, "*") {
					t.Errorf("%s: %s may %s", name, s.role, a)
				}
			}
			for _, r := range s.resources {
				if !strings.Contains(r, "*") {
					continue
				}
				i := slices.IndexFunc(wildcards, func(w struct{ role, actions, resource, why string }) bool {
					return glob(w.role, s.role) && glob(w.resource, r) && !slices.ContainsFunc(s.actions, func(a string) bool { return !glob(w.actions, a) })
				})
				if i < 0 {
					t.Errorf("%s: %s may %v on %s, and no reason is given", name, s.role, s.actions, r)
					continue
				}
				used[i] = true
			}
		}
	}
	for i, w := range wildcards {
		if !used[i] {
			t.Errorf("the reason for %s %s on %s is no longer needed", w.role, w.actions, w.resource)
		}
	}
}

// glob matches like a shell, but a star crosses slashes.
func glob(pattern, s string) bool {
	flat := func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
	ok, err := path.Match(flat(pattern), flat(s))
	return err == nil && ok
}

// TestAccessByTable guards the cut of the tables: who may write what.
func TestAccessByTable(t *testing.T) {
	tpl := stackOf(t, product)
	var b strings.Builder
	for _, table := range constructs.Tables() {
		var rows []string
		for _, s := range tpl.permissions(t) {
			for _, r := range s.resources {
				if strings.HasPrefix(r, "{Table"+string(table)) {
					var verbs []string
					for _, a := range s.actions {
						verbs = append(verbs, strings.TrimPrefix(a, "dynamodb:"))
					}
					slices.Sort(verbs)
					what := strings.TrimPrefix(s.role, "Role")
					if strings.Contains(r, "/index/") {
						what += " index"
					}
					rows = append(rows, fmt.Sprintf("%s %s: %s\n", table, what, strings.Join(verbs, " ")))
				}
			}
		}
		slices.Sort(rows)
		b.WriteString(strings.Join(rows, ""))
	}
	golden(t, "access.golden", b.String())

	for _, s := range tpl.permissions(t) {
		for _, r := range s.resources {
			for _, a := range s.actions {
				ends := s.role == "RoleSweepRecords" && a == "dynamodb:DeleteItem" // the end of the records, and nothing else
				if strings.HasPrefix(r, "{TableEvents") && !ends && !slices.Contains([]string{"dynamodb:PutItem", "dynamodb:Query"}, a) {
					t.Errorf("%s may %s the events, which are append-only", s.role, a)
				}
				if s.role == "RoleSweepRecords" && a == "dynamodb:PutItem" {
					t.Errorf("what may delete the evidence may write it too")
				}
			}
		}
	}
}
