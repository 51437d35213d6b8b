package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Sizes above which a file or a function gives its reason in a comment that begins with "size:".
const (
	maxFileLines = 400
	maxFuncLines = 60
)

// sourceFile is a parsed file of the module.
type sourceFile struct {
	path string
	text []byte
	file *ast.File
	fset *token.FileSet
}

// sources parses every Go file of the module that is not generated.
func sources(t *testing.T) []sourceFile {
	t.Helper()
	var all []sourceFile
	for _, root := range []string{"app", "assets", "engine", "shaders", "ui"} {
		err := filepath.WalkDir(filepath.Join("..", root), func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(p) != ".go" {
				return err
			}
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, p, b, parser.ParseComments)
			if err != nil {
				return err
			}
			if !ast.IsGenerated(f) {
				all = append(all, sourceFile{strings.TrimPrefix(filepath.ToSlash(p), "../"), b, f, fset})
			}
			return nil
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if len(all) < 20 {
		t.Fatalf("found %d files", len(all))
	}
	return all
}

// TestExportedNamesAreDocumented wants a comment on every exported type, function, method, constant and variable. A group
// of constants or variables may share one.
func TestExportedNamesAreDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if strings.HasSuffix(s.path, "_test.go") {
			continue
		}
		for _, d := range s.file.Decls {
			for _, name := range undocumented(d) {
				t.Errorf("%s: %s has no doc comment", s.path, name)
			}
		}
	}
}

func undocumented(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && receiverExported(d) {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && s.Doc == nil && d.Doc == nil {
					names = append(names, s.Name.Name)
				}
			case *ast.ValueSpec:
				for _, n := range s.Names {
					if n.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
						names = append(names, n.Name)
					}
				}
			}
		}
	}
	return names
}

// receiverExported reports whether a function is one, or a method of an exported type.
func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	exported := false
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && !exported {
			exported = id.IsExported()
			return false
		}
		return true
	})
	return exported
}

// TestPackagesAreDocumented wants a package comment in every package.
func TestPackagesAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if !strings.HasSuffix(s.path, "_test.go") {
			dir := filepath.Dir(s.path)
			documented[dir] = documented[dir] || s.file.Doc != nil
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

// TestFilesAndFunctionsAreShort wants the reason of a long one.
func TestFilesAndFunctionsAreShort(t *testing.T) {
	for _, s := range sources(t) {
		test := strings.HasSuffix(s.path, "_test.go")
		if n := bytes.Count(s.text, []byte("\n")); n > maxFileLines && !test && !bytes.Contains(s.text, []byte("// size:")) {
			t.Errorf("%s has %d lines and gives no reason (a comment \"size: ...\")", s.path, n)
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil || test {
				continue
			}
			lo, hi := s.fset.Position(f.Body.Pos()), s.fset.Position(f.Body.End())
			text := s.text[lo.Offset:hi.Offset]
			if n := hi.Line - lo.Line + 1; n > maxFuncLines && !bytes.Contains(text, []byte("size:")) && !strings.Contains(f.Doc.Text(), "size:") {
				t.Errorf("%s: %s has %d lines and gives no reason (a comment \"size: ...\")", s.path, f.Name.Name, n)
			}
		}
	}
}

// TestNothingOfThisMachine keeps paths of a developer's machine out of the repository.
func TestNothingOfThisMachine(t *testing.T) {
	for _, s := range sources(t) {
		if s.path == "app/style_test.go" {
			continue
		}
		for _, bad := range []string{"/" + "work/", "/" + "root/", "/" + "home/"} {
			if i := bytes.Index(s.text, []byte(`"`+bad)); i >= 0 {
				t.Errorf("%s names %s", s.path, bad)
			}
		}
	}
}
