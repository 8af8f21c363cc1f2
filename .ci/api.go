//go:build ignore

// Api lists the exported API of packages, one name a line, and compares two lists.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

const module = "github.com/cloudblue-go/cloudblue"

func main() {
	err := errors.New("usage: api list <PACKAGES, or api compare OLD NEW CHANGELOG")
	switch {
	case len(os.Args) == 2 && os.Args[1] == "list":
		err = list(os.Stdin, os.Stdout)
	case len(os.Args) == 5 && os.Args[1] == "compare":
		err = compare(os.Args[2], os.Args[3], os.Args[4])
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// list reads what go list -export -deps -json prints, and writes the API of our packages.
func list(r io.Reader, w io.Writer) error {
	exports, ours := make(map[string]string), make(map[string]bool)
	for dec := json.NewDecoder(r); ; {
		var p struct {
			ImportPath, Export, Name string
			Module                   *struct{ Path string }
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		exports[p.ImportPath] = p.Export
		if p.Module != nil && strings.HasPrefix(p.Module.Path, module) && p.Name != "main" && !internal(p.ImportPath) {
			ours[p.ImportPath] = true
		}
	}
	imports := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
	for _, importPath := range slices.Sorted(maps.Keys(ours)) {
		p, err := imports.Import(importPath)
		if err != nil {
			return err
		}
		var lines []string
		for _, name := range p.Scope().Names() {
			if ast.IsExported(name) {
				lines = append(lines, describe(p.Scope().Lookup(name))...)
			}
		}
		slices.Sort(lines)
		for _, line := range slices.Compact(lines) {
			fmt.Fprintf(w, "%s: %s\n", short(importPath), line)
		}
	}
	return nil
}

func internal(path string) bool { return strings.Contains(path+"/", "/internal/") }

// short returns the path of a package in the repository.
func short(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
}

// describe returns the lines of a name.
func describe(o types.Object) []string {
	switch o := o.(type) {
	case *types.Const:
		return []string{fmt.Sprintf("const %s %s = %s", o.Name(), typeText(o.Type()), o.Val().ExactString())}
	case *types.Var:
		return []string{"var " + o.Name() + " " + typeText(o.Type())}
	case *types.Func:
		return []string{"func " + o.Name() + strings.TrimPrefix(typeText(o.Type()), "func")}
	}
	t := types.Unalias(o.Type())
	if named, ok := t.(*types.Named); o.(*types.TypeName).IsAlias() && !(ok && internal(named.Obj().Pkg().Path())) {
		return []string{"type " + o.Name() + " = " + typeText(t)}
	}
	return append(members(o.Name(), t), methods(o.Name(), t)...)
}

// members returns a line for the type, and for each field of a struct and each method of an interface.
func members(name string, t types.Type) []string {
	switch u := t.Underlying().(type) {
	case *types.Struct:
		lines := []string{"type " + name + " struct"}
		for f := range u.Fields() {
			if f.Exported() {
				line := fmt.Sprintf("field %s.%s %s %s", name, f.Name(), typeText(f.Type()), tag(u, f))
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		return lines
	case *types.Interface:
		lines := []string{"type " + name + " interface"}
		for m := range u.Methods() {
			if m.Exported() {
				lines = append(lines, required+name+"."+m.Name()+strings.TrimPrefix(typeText(m.Type()), "func"))
			}
		}
		return lines
	default:
		return []string{"type " + name + " " + typeText(u)}
	}
}

// required begins the line of a method of an interface: adding one breaks those who implement it.
const required = "required "

func tag(s *types.Struct, f *types.Var) string {
	for i := range s.NumFields() {
		if s.Field(i) == f {
			return s.Tag(i)
		}
	}
	return ""
}

// methods returns a line for each method.
func methods(name string, t types.Type) (lines []string) {
	if types.IsInterface(t) {
		return nil
	}
	values := types.NewMethodSet(t)
	for m := range types.NewMethodSet(types.NewPointer(t)).Methods() {
		if !m.Obj().Exported() {
			continue
		}
		receiver := "*" + name
		if values.Lookup(nil, m.Obj().Name()) != nil {
			receiver = name
		}
		lines = append(lines, fmt.Sprintf("method (%s) %s%s", receiver, m.Obj().Name(), strings.TrimPrefix(typeText(m.Type()), "func")))
	}
	return lines
}

// typeText returns a type without the names of parameters.
func typeText(t types.Type) string {
	if s, ok := t.(*types.Signature); ok {
		t = types.NewSignatureType(nil, nil, slices.Collect(s.TypeParams().TypeParams()), unnamed(s.Params()),
			unnamed(s.Results()), s.Variadic())
	}
	return types.TypeString(t, func(p *types.Package) string { return short(p.Path()) })
}

func unnamed(t *types.Tuple) *types.Tuple {
	var all []*types.Var
	for v := range t.Variables() {
		all = append(all, types.NewVar(token.NoPos, nil, "", v.Type()))
	}
	return types.NewTuple(all...)
}

// compare prints the difference of two lists, and checks that the changelog has it.
func compare(oldFile, newFile, changelog string) error {
	before, err := readLines(oldFile)
	if err != nil {
		return err
	}
	after, err := readLines(newFile)
	if err != nil {
		return err
	}
	notes, err := os.ReadFile(changelog)
	if err != nil {
		return err
	}
	_, unreleased, _ := strings.Cut(string(notes), "\n## [Unreleased]")
	unreleased, _, _ = strings.Cut(unreleased, "\n## ")
	breaking := sections(unreleased, "Changed", "Removed")
	missing := make(map[string]bool)
	note := func(sign, line string, breaks bool) {
		pkg, rest, _ := strings.Cut(line, ": ")
		where, in := "CHANGELOG.md, [Unreleased]", unreleased
		if m, ok := strings.CutPrefix(rest, required); ok { // a method of a new interface breaks nothing
			of, _, _ := strings.Cut(m, ".")
			breaks = breaks || before[pkg+": type "+of+" interface"]
		}
		if breaks {
			where, in = where+", Changed or Removed", breaking
		}
		fmt.Println(sign, line)
		if !strings.Contains(in, "`"+pkg+"`") && !strings.Contains(in, "`"+path.Base(pkg)+".") {
			missing[fmt.Sprintf("%s does not mention `%s`", where, pkg)] = true
		}
	}
	for _, line := range slices.Sorted(maps.Keys(before)) {
		if !after[line] {
			note("-", line, true)
		}
	}
	for _, line := range slices.Sorted(maps.Keys(after)) {
		if !before[line] {
			note("+", line, false)
		}
	}
	if len(missing) > 0 {
		return errors.New(strings.Join(slices.Sorted(maps.Keys(missing)), "\n"))
	}
	fmt.Printf("the API has %d lines; every change since the last release is in CHANGELOG.md\n", len(after))
	return nil
}

// sections returns the text below the headings with these names.
func sections(text string, names ...string) (all string) {
	for part := range strings.SplitSeq(text, "\n### ") {
		if name, rest, _ := strings.Cut(part, "\n"); slices.Contains(names, name) {
			all += rest
		}
	}
	return all
}

func readLines(path string) (map[string]bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := make(map[string]bool)
	scanner := bufio.NewScanner(f)
	for scanner.Scan() {
		lines[scanner.Text()] = true
	}
	return lines, scanner.Err()
}
