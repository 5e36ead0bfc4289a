package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/infra/constructs"
)

// wired names the interfaces through which each function's stages reach the
// ledger, as <folder below shared>.<interface>.
var wired = map[string][]string{
	"intake-form":      {"flow/intake.Ledger"},
	"verify-challenge": {"flow/verify.ChallengeLedger"},
	"verify-answer":    {"flow/verify.AnswerLedger"},
	"plan-request":     {"flow/plan.Ledger"},
	"fanout-task":      {"flow/fanout.TaskLedger"},
	"fanout-manual":    {"flow/fanout.ManualLedger"},
	"fanout-answer":    {"flow/fanout.AnswerLedger"},
	"collect-results":  {"flow/collect.Ledger"},
	"bundle-archive":   {"flow/bundle.ArchiveLedger"},
	"bundle-download":  {"flow/bundle.DownloadLedger"},
	"notify-subject":   {"flow/notify.SubjectLedger"},
	"notify-status":    {"flow/notify.StatusLedger"},
	"notify-bounce":    {"flow/notify.BounceLedger", "flow/fanout.AttentionLedger"},
	"desk":             {"flow/desk.Ledger"},
	"sweep-records":    {"flow/sweep.RecordsLedger"},
	"sweep":            {"flow/sweep.Ledger", "flow/fanout.ManualLedger", "flow/verify.ChallengeLedger"},
}

// TestPermissionsFollowTheStages compares the methods a function has
// permissions for with those its stages can call: a new method without
// permission fails in production, an old permission is one too many.
func TestPermissionsFollowTheStages(t *testing.T) {
	store := methodsOf(t, "ledger.Store")
	if got := constructs.LedgerCalls(); !slices.Equal(got, store) {
		t.Errorf("permissions are known for\n%v, the ledger has\n%v", got, store)
	}
	table := needs()
	if want := len(table) + 1; len(wired) != want { // fanout-task is not in the table
		t.Errorf("the interfaces of %d functions are known, there are %d", len(wired), want)
	}
	for function, interfaces := range wired {
		var want []string
		for _, name := range interfaces {
			want = append(want, methodsOf(t, name)...)
		}
		slices.Sort(want)
		want = slices.Compact(want)
		got := table[function].ledger
		if function == "fanout-task" {
			got = constructs.VisitCalls()
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has permissions for\n%v, its stages call\n%v", function, got, want)
		}
	}
}

// TestListingHasItsPermissions: where a system lists what has expired, its
// function may do that and the visits, and nothing else.
func TestListingHasItsPermissions(t *testing.T) {
	var more []string
	for _, m := range methodsOf(t, "flow/fanout.ExpiredLedger") {
		if !slices.Contains(constructs.VisitCalls(), m) {
			more = append(more, m)
		}
	}
	if got := constructs.ListCalls(); !slices.Equal(got, more) {
		t.Errorf("listing has permissions for %v beside the visits', it calls %v", got, more)
	}
}

// methodsOf reads an interface's methods from its source, with those it embeds.
func methodsOf(t *testing.T, name string) []string {
	t.Helper()
	folder, kind, _ := strings.Cut(name, ".")
	files, err := filepath.Glob(filepath.Join("..", "shared", folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range g.Specs {
				ts, ok := s.(*ast.TypeSpec)
				if !ok || ts.Name.Name != kind {
					continue
				}
				if iface, ok := ts.Type.(*ast.InterfaceType); ok {
					return interfaceMethods(t, folder, parsed, iface)
				}
			}
		}
	}
	t.Fatalf("there is no interface %s", name)
	return nil
}

func interfaceMethods(t *testing.T, folder string, file *ast.File, iface *ast.InterfaceType) []string {
	t.Helper()
	var names []string
	for _, f := range iface.Methods.List {
		switch embedded := f.Type.(type) {
		case *ast.FuncType:
			for _, n := range f.Names {
				names = append(names, n.Name)
			}
		case *ast.Ident:
			names = append(names, methodsOf(t, folder+"."+embedded.Name)...)
		case *ast.SelectorExpr:
			names = append(names, methodsOf(t, importOf(t, file, embedded.X.(*ast.Ident).Name)+"."+embedded.Sel.Name)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// importOf is the folder below shared of an imported package.
func importOf(t *testing.T, file *ast.File, name string) string {
	t.Helper()
	for _, i := range file.Imports {
		if _, folder, ok := strings.Cut(strings.Trim(i.Path.Value, `"`), "/shared/"); ok && filepath.Base(folder) == name {
			return folder
		}
	}
	t.Fatalf("%s is not imported", name)
	return ""
}
