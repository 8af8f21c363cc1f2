package sizes

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a type may have at most.
const (
	maxMethods = 30
	maxFields  = 15
)

// typeSize is what is measured of a type: the methods that are declared for it, and the fields that hold its state. No
// state are exported fields, which are a configuration or a record, nor fields that a composite literal sets and that
// are never assigned.
type typeSize struct {
	name            string
	methods, fields int
}

// checkTypes keeps each type small enough to be understood.
func checkTypes(t *testing.T, packages []size) {
	t.Helper()
	var faults []string
	for _, s := range packages {
		for _, typ := range s.types {
			if typ.methods > maxMethods || typ.fields > maxFields {
				faults = append(faults, fmt.Sprintf("%s.%s: %d methods, at most %d, and %d fields that change, at most %d",
					s.path, typ.name, typ.methods, maxMethods, typ.fields, maxFields))
			}
		}
	}
	require.Empty(t, faults, "types are too large: split them")
}

// TestTypeSize measures a type with fields of each kind.
func TestTypeSize(t *testing.T) {
	t.Parallel()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "p.go", `package p
type T[E any] struct {
	Exported, config int
	set              int
	counted          int
	byKey            map[string]E
	nested           struct{ a int }
	neverGiven       int
	other            *T[E]
}
type I interface{ M() }
func New() *T[int] { return &T[int]{config: 1, set: 1, counted: 1, byKey: nil, nested: struct{ a int }{}, other: nil} }
func (t *T[E]) A() { t.set, t.other.Exported = 2, t.config; t.counted++ }
func (t T[E]) b(e E) { t.byKey["a"] = e; (t.nested).a = 1 }
`, parser.SkipObjectResolution)
	require.NoError(t, err)
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	pkg, err := new(types.Config).Check("p", fset, []*ast.File{f}, info)
	require.NoError(t, err)
	require.Equal(t, []typeSize{{name: "T", methods: 2, fields: 5}}, typesOf(pkg, []*ast.File{f}, info),
		"set, counted, byKey, nested and neverGiven change")
}

// typesOf measures the types of a package that are no interfaces.
func typesOf(pkg *types.Package, files []*ast.File, info *types.Info) []typeSize {
	given, assigned := fieldUses(files, info)
	var sizes []typeSize
	for _, name := range pkg.Scope().Names() {
		declared, ok := pkg.Scope().Lookup(name).(*types.TypeName)
		if !ok || declared.IsAlias() || types.IsInterface(declared.Type()) {
			continue
		}
		size := typeSize{name: name, methods: declared.Type().(*types.Named).NumMethods()}
		if fields, ok := declared.Type().Underlying().(*types.Struct); ok {
			for f := range fields.Fields() {
				if !f.Exported() && (assigned[f] || !given[f]) {
					size.fields++
				}
			}
		}
		sizes = append(sizes, size)
	}
	return sizes
}

// fieldUses returns the fields that composite literals set, and those that are assigned, as a whole or in part.
func fieldUses(files []*ast.File, info *types.Info) (given, assigned map[*types.Var]bool) {
	given, assigned = map[*types.Var]bool{}, map[*types.Var]bool{}
	field := func(e ast.Expr) *types.Var {
		if id, ok := e.(*ast.Ident); ok {
			if f, ok := info.Uses[id].(*types.Var); ok && f.IsField() {
				return f.Origin()
			}
		}
		return nil
	}
	assign := func(e ast.Expr) {
		for e != nil {
			switch x := e.(type) {
			case *ast.SelectorExpr:
				assigned[field(x.Sel)] = true
				if e = x.X; pointer(info, e) { // what it points to is another value
					return
				}
			case *ast.IndexExpr:
				e = x.X
			case *ast.ParenExpr:
				e = x.X
			default:
				return
			}
		}
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				for _, e := range n.Elts {
					if pair, ok := e.(*ast.KeyValueExpr); ok {
						given[field(pair.Key)] = true
					}
				}
			case *ast.AssignStmt:
				for _, e := range n.Lhs {
					assign(e)
				}
			case *ast.IncDecStmt:
				assign(n.X)
			}
			return true
		})
	}
	return given, assigned
}

func pointer(info *types.Info, e ast.Expr) bool {
	if x, ok := e.(*ast.SelectorExpr); ok {
		if f := info.Uses[x.Sel]; f != nil {
			_, ok := f.Type().Underlying().(*types.Pointer)
			return ok
		}
	}
	return false
}
