package flow_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// root is the module's root as the tests of this package see it.
const root = "../.."

// document loads docs/openapi.yaml and refuses what is no valid description.
func document(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile(filepath.Join(root, "docs", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	return doc
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// text returns the value of a string literal, or "".
func text(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	s, _ := strconv.Unquote(lit.Value)
	return s
}

// route is one path of the stack as infra declares it.
type route struct {
	path    string
	methods []string
	signed  bool
}

// stackRoutes reads the table of routes in infra, which cannot be imported from
// here: the stack knows no stage and no stage the stack.
func stackRoutes(t *testing.T) []route {
	t.Helper()
	var all []route
	named := map[string][]string{} // variables that hold methods
	words := func(e ast.Expr) (list []string) {
		switch e := e.(type) {
		case *ast.Ident:
			return named[e.Name]
		case *ast.CompositeLit:
			for _, item := range e.Elts {
				list = append(list, text(item))
			}
		}
		return list
	}
	for _, decl := range parse(t, "infra/constructs/intake.go").Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Name.Name != "routes" {
			continue
		}
		for _, stmt := range fn.Body.List {
			switch stmt := stmt.(type) {
			case *ast.AssignStmt:
				named[stmt.Lhs[0].(*ast.Ident).Name] = words(stmt.Rhs[0])
			case *ast.ReturnStmt:
				for _, row := range stmt.Results[0].(*ast.CompositeLit).Elts {
					var r route
					for _, field := range row.(*ast.CompositeLit).Elts {
						kv := field.(*ast.KeyValueExpr)
						switch kv.Key.(*ast.Ident).Name {
						case "Path":
							r.path = "/" + text(kv.Value)
						case "Methods":
							r.methods = words(kv.Value)
						case "Signed":
							r.signed = kv.Value.(*ast.Ident).Name == "true"
						}
					}
					all = append(all, r)
				}
			}
		}
	}
	return all
}

// deskActs reads the acts that the desk knows from its own switch.
func deskActs(t *testing.T) []string {
	t.Helper()
	var acts []string
	ast.Inspect(parse(t, "shared/flow/desk/desk.go"), func(n ast.Node) bool {
		s, ok := n.(*ast.SwitchStmt)
		if !ok {
			return true
		}
		if tag, ok := s.Tag.(*ast.Ident); !ok || tag.Name != "route" {
			return true
		}
		for _, c := range s.Body.List {
			for _, e := range c.(*ast.CaseClause).List {
				acts = append(acts, "/desk/"+text(e))
			}
		}
		return true
	})
	return acts
}

func TestTheDocumentHasTheRoutesOfTheStack(t *testing.T) {
	doc := document(t)
	want := map[string]bool{} // "GET /confirm" → signed
	for _, r := range stackRoutes(t) {
		paths := []string{r.path}
		if below, ok := strings.CutSuffix(r.path, "{proxy+}"); ok {
			if paths = deskActs(t); below != "/desk/" || len(paths) == 0 {
				t.Fatalf("the route %s leads to no acts this test can find", r.path)
			}
		}
		for _, path := range paths {
			for _, method := range r.methods {
				want[method+" "+path] = r.signed
			}
		}
	}
	if len(want) < 12 {
		t.Fatalf("only %d routes were found in infra: %v", len(want), want)
	}
	got := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			got[method+" "+path] = op.Security != nil
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("the document and the stack differ (route: signed)\n got %v\nwant %v", got, want)
	}
}

var (
	form      = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)"[^>]*>(.*?)</form>`)
	control   = regexp.MustCompile(`(?s)<(?:input|select|textarea|button)\b(?:[^>"]|"[^"]*")*>`)
	attribute = regexp.MustCompile(`\b(name|value)="([^"]*)"`)
)

// field is what the pages send under one name: its fixed values, as far as it has some.
type field map[string]bool

// pageForms reads every form of the pages: path → name → values.
func pageForms(t *testing.T) map[string]map[string]field {
	t.Helper()
	files, err := filepath.Glob("*/pages/*.html")
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages found: %v", err)
	}
	all := map[string]map[string]field{}
	for _, file := range files {
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(page), "<form"); n != len(form.FindAllString(string(page), -1)) {
			t.Errorf("%s: has a form that is not method=\"post\" with an action", file)
		}
		for _, f := range form.FindAllStringSubmatch(string(page), -1) {
			if strings.HasPrefix(f[1], "{{") {
				continue // straight to the object store
			}
			path := "/" + strings.TrimPrefix(f[1], "./")
			if all[path] == nil {
				all[path] = map[string]field{}
			}
			for _, tag := range control.FindAllString(f[2], -1) {
				at := map[string]string{}
				for _, a := range attribute.FindAllStringSubmatch(tag, -1) {
					at[a[1]] = a[2]
				}
				name, has := at["name"]
				if !has {
					continue
				}
				if all[path][name] == nil {
					all[path][name] = field{}
				}
				if v, fixed := at["value"]; fixed && !strings.Contains(v, "{{") {
					all[path][name][v] = true
				}
			}
		}
	}
	return all
}

func TestTheDocumentHasTheFieldsOfTheForms(t *testing.T) {
	doc, forms := document(t), pageForms(t)
	described := map[string]openapi3.Schemas{}
	for path, item := range doc.Paths.Map() {
		if item.Post == nil || item.Post.RequestBody == nil {
			continue
		}
		if media := item.Post.RequestBody.Value.Content["application/x-www-form-urlencoded"]; media != nil {
			described[path] = media.Schema.Value.Properties
		}
	}
	if got, want := slices.Sorted(maps.Keys(forms)), slices.Sorted(maps.Keys(described)); !slices.Equal(got, want) {
		t.Fatalf("forms lead to %v, described are %v", got, want)
	}
	compared := 0
	for path, fields := range forms {
		if got, want := slices.Sorted(maps.Keys(fields)), slices.Sorted(maps.Keys(described[path])); !slices.Equal(got, want) {
			t.Errorf("%s: the pages send %v, described are %v", path, got, want)
			continue
		}
		for name, values := range fields {
			schema := described[path][name].Value
			if schema.Items != nil {
				schema = schema.Items.Value
			}
			if len(schema.Enum) == 0 {
				continue
			}
			var allowed []string
			for _, v := range schema.Enum {
				allowed = append(allowed, v.(string))
			}
			slices.Sort(allowed)
			if got := slices.Sorted(maps.Keys(values)); !slices.Equal(got, allowed) {
				t.Errorf("%s, %s: the pages offer %v, described are %v", path, name, got, allowed)
			}
			compared++
		}
	}
	if compared < 5 {
		t.Errorf("only %d fields with a closed set of values were compared", compared)
	}
}
