package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"path"
	"slices"
	"strings"
)

// names checks that a package's name says what is inside.
func names(s source) []string {
	name := strings.TrimSuffix(s.tree.Name.Name, "_test")
	if name != "main" && (slices.Contains(vague, name) || slices.Contains(vague, path.Base(s.folder()))) {
		return []string{fmt.Sprintf("%s: the package name %s says nothing of what is inside", s.path, name)}
	}
	return nil
}

// registration finds init functions and clients in package variables: both make
// importing a package do something.
func registration(s source) []string {
	var all []string
	for _, d := range s.tree.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name == "init" {
				all = append(all, fmt.Sprintf("%s: no init function: whoever needs it calls it", s.at(d.Pos())))
			}
		case *ast.GenDecl:
			if d.Tok != token.VAR {
				continue
			}
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok && isClient(v) {
					all = append(all, fmt.Sprintf("%s: no client in a package variable: main builds it and hands it on", s.at(v.Pos())))
				}
			}
		}
	}
	return all
}

// makers are the functions that open something when they are called.
var makers = []string{"NewFromConfig", "NewClient", "Open", "OpenDB", "Connect", "Dial", "LoadDefaultConfig", "DefaultClient"}

// isClient reports whether a package variable holds a client by its type, or by
// what makes it.
func isClient(v *ast.ValueSpec) bool {
	client := false
	look := func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false // made when it is called
		case *ast.CallExpr:
			name := nameOf(n.Fun)
			if slices.Contains(makers, name) || name == "New" && ofClient(n.Fun) {
				client = true
			}
		case *ast.CompositeLit:
			client = client || isClientType(n.Type)
		case *ast.SelectorExpr:
			client = client || n.Sel.Name == "DefaultClient" || n.Sel.Name == "DefaultTransport"
		}
		return true
	}
	if v.Type != nil && isClientType(v.Type) {
		return true
	}
	for _, value := range v.Values {
		ast.Inspect(value, look)
	}
	return client
}

// ofClient reports whether New is one of a package that makes clients.
func ofClient(f ast.Expr) bool {
	sel, ok := f.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	switch nameOf(sel.X) {
	case "s3", "dynamodb", "kms", "ses", "ssm", "rest", "pgx", "pgxpool", "session":
		return true
	}
	return false
}

func isClientType(e ast.Expr) bool {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	name := nameOf(e)
	return strings.HasSuffix(name, "Client") || slices.Contains([]string{"Transport", "Session", "Pool", "DB", "Conn"}, name)
}

// nameOf is the last name of an identifier or selector.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// outside are the ways to read the clock and the environment, and to wait
// without a context.
var outside = map[string][]string{
	"time": {"Now", "Since", "Until", "Sleep", "Tick"},
	"os":   {"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Args"},
}

// purity finds a clock or an environment in a room that takes both from
// outside.
func purity(s source) []string {
	r, _, known := roomOf(s.folder())
	if !known || !r.pure || s.tree.Name.Name == "main" {
		return nil
	}
	local := map[string]string{} // name in this file → package
	for _, i := range s.tree.Imports {
		p := strings.Trim(i.Path.Value, `"`)
		if outside[p] == nil {
			continue
		}
		local[p] = p
		if i.Name != nil {
			local[i.Name.Name] = p
		}
	}
	var all []string
	ast.Inspect(s.tree, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok || !slices.Contains(outside[local[x.Name]], sel.Sel.Name) {
			return true
		}
		all = append(all, fmt.Sprintf("%s: %s takes the clock and the environment from outside, not from %s.%s", s.at(sel.Pos()), r.path, local[x.Name], sel.Sel.Name))
		return true
	})
	return all
}

// reach follows the imports of every function to the end: only fanout-task
// links vendors, and none links a test kit. A package that only tests import is
// no part of it.
func reach(sources []source) []string {
	graph := map[string][]string{}
	for _, s := range sources {
		if s.test {
			continue
		}
		for p := range s.imports() {
			if folder, ours := strings.CutPrefix(p, Module); ours {
				graph[s.folder()] = append(graph[s.folder()], folder)
			}
		}
	}
	var all []string
	for _, f := range slices.Sorted(maps.Keys(graph)) {
		if !strings.HasPrefix(f, "functions/") {
			continue
		}
		seen := map[string]bool{}
		var visit func(string)
		visit = func(at string) {
			for _, next := range graph[at] {
				if !seen[next] {
					seen[next] = true
					visit(next)
				}
			}
		}
		visit(f)
		for _, folder := range slices.Sorted(maps.Keys(seen)) {
			switch {
			case within(folder, "shared/connectors/*") && f != "functions/fanout-task":
				all = append(all, fmt.Sprintf("%s: only fanout-task links vendors, and it reaches %s", f, folder))
			case slices.ContainsFunc(kits, func(k string) bool { return within(folder, k) }):
				all = append(all, fmt.Sprintf("%s: a function never links a test kit, and it reaches %s", f, folder))
			}
		}
	}
	return all
}
