// Package archtest reads the module's own source and reports where it leaves
// the shape that was decided: who may import whom, no registration in init, no
// client in a package variable, no clock and no environment inside the stages,
// no package whose name says nothing, and one word per stage in the folder of
// the Lambda, the Go package and the state of the machine.
//
// It parses files in this process. A version that asks `go list` is answered
// from the test cache, which does not see what a child process reads.
package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Module is the import path of this module.
const Module = "github.com/writ-dsr/writ/"

// source is one Go file.
type source struct {
	path string // from the root of the module
	test bool
	tree *ast.File
	set  *token.FileSet
}

func (s source) folder() string { return path.Dir(s.path) }

func (s source) at(p token.Pos) string { return s.path + ":" + strconv.Itoa(s.set.Position(p).Line) }

// imports maps the path of each import to where it stands.
func (s source) imports() map[string]token.Pos {
	all := map[string]token.Pos{}
	for _, i := range s.tree.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil {
			all[p] = i.Pos()
		}
	}
	return all
}

// load parses every Go file of the module below root.
func load(root fs.FS) ([]source, error) {
	var all []source
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (made(name) || path.Base(name) == "testdata"):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		s := source{path: name, test: strings.HasSuffix(name, "_test.go"), set: token.NewFileSet()}
		if s.tree, err = parser.ParseFile(s.set, name, text, parser.SkipObjectResolution); err != nil {
			return err
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the module's source: %w", err)
	}
	return all, nil
}

// made reports whether a folder is not ours but a command's.
func made(folder string) bool {
	base := path.Base(folder)
	return folder != "." && (strings.HasPrefix(base, ".") || slices.Contains([]string{"node_modules", "cdk.out", "bin"}, base))
}

// Leaks looks with find into every file that is neither a test nor the cast's
// own package, and returns those that hold a personal value and how many files
// it read.
func Leaks(root fs.FS, find func([]byte) string) (leaks []string, files int, err error) {
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && made(name):
			return fs.SkipDir
		case !d.Type().IsRegular() || strings.HasSuffix(name, "_test.go") || within(path.Dir(name), "shared/dsr/dsrtest"):
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		files++
		if find(text) != "" {
			leaks = append(leaks, fmt.Sprintf("%s: it holds a value of a person of the cast", name))
		}
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("looking for personal values: %w", err)
	}
	return leaks, files, nil
}

// Check returns every violation in the module below root, in the order of the
// files.
func Check(root fs.FS) ([]string, error) {
	sources, err := load(root)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, s := range sources {
		all = append(all, layers(s)...)
		all = append(all, names(s)...)
		if !s.test {
			all = append(all, registration(s)...)
			all = append(all, purity(s)...)
		}
	}
	return append(all, reach(sources)...), nil
}

// within reports whether a folder matches a pattern: "x" the folder itself,
// "x/..." it and all below, "x/*" each folder directly below.
func within(folder, pattern string) bool {
	if below, ok := strings.CutSuffix(pattern, "/..."); ok {
		return folder == below || strings.HasPrefix(folder, below+"/")
	}
	if parent, ok := strings.CutSuffix(pattern, "/*"); ok {
		return path.Dir(folder) == parent
	}
	return folder == pattern
}

// roomOf finds the room of a folder and where it begins: the deepest that the
// folder is or lies below, one named in full before one with a star.
func roomOf(folder string) (room, string, bool) {
	for at := folder; at != "."; at = path.Dir(at) {
		for _, pattern := range []string{at, path.Join(path.Dir(at), "*")} {
			if i := slices.IndexFunc(rooms, func(r room) bool { return r.path == pattern }); i >= 0 {
				return rooms[i], at, true
			}
		}
	}
	return room{}, "", false
}

// layers checks a file's imports against its room. Tests may import what helps
// them, but no function.
func layers(s source) []string {
	r, home, known := roomOf(s.folder())
	if !known {
		return []string{fmt.Sprintf("%s: folder %s is in no room of the table", s.path, s.folder())}
	}
	var all []string
	imports := s.imports()
	for _, p := range slices.Sorted(maps.Keys(imports)) {
		where := s.at(imports[p])
		folder, ours := strings.CutPrefix(p, Module)
		switch {
		case ours && strings.HasPrefix(folder, "functions/"):
			all = append(all, fmt.Sprintf("%s: nothing imports a function (%s)", where, folder))
		case s.test:
		case ours && !sameRoom(folder, home) && !allowed(r.may, folder):
			all = append(all, fmt.Sprintf("%s: %s may not import %s", where, s.folder(), folder))
		case !ours && slices.ContainsFunc(r.never, func(n string) bool { return within(p, n+"/...") }):
			all = append(all, fmt.Sprintf("%s: %s may never import %s", where, r.path, p))
		}
	}
	return all
}

// sameRoom reports whether a folder belongs to the room at home.
func sameRoom(folder, home string) bool {
	_, other, known := roomOf(folder)
	return known && other == home
}

// allowed reports whether a folder matches one of the patterns and none that
// begins with an exclamation mark.
func allowed(may []string, folder string) bool {
	ok := false
	for _, pattern := range may {
		if no, forbids := strings.CutPrefix(pattern, "!"); forbids {
			if within(folder, no) {
				return false
			}
			continue
		}
		ok = ok || within(folder, pattern)
	}
	return ok
}

// Missing lists the rooms of the table, and the folders they may import, that
// the tree does not have: a rule without a room guards nothing.
func Missing(root fs.FS) []string {
	var all []string
	note := func(pattern string) {
		folder := strings.TrimPrefix(strings.TrimSuffix(strings.TrimSuffix(pattern, "/..."), "/*"), "!")
		if _, err := fs.Stat(root, folder); err != nil && !slices.Contains(all, folder) {
			all = append(all, folder)
		}
	}
	for _, r := range rooms {
		note(r.path)
		for _, m := range r.may {
			note(m)
		}
	}
	for _, k := range kits {
		note(k)
	}
	return all
}
