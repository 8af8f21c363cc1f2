package sizes

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/stretchr/testify/require"
)

const module = "github.com/cloudblue-go/cloudblue"

// What a package may have at most.
const (
	maxFiles = 30
	maxNames = 90
	maxCycle = 10
)

// cyclic are the packages whose largest cycle of files may be larger, each with its reason.
var cyclic = map[string]string{
	"resubmit": "the run and its collaborators refer to each other, which makes a cycle of files",
}

// notLibrary are the test systems and what only tests use: not counted.
var notLibrary = []string{
	"commerce/commercetest", "connect/connecttest", "resubmit/resubmittest", "resubmit/internal/sim",
	"resubmit/internal/conformance", "resubmit/internal/journaltest", "resubmit/internal/explore",
	"resubmit/internal/killtest",
	"internal/faults", "internal/reports", "internal/sizes", "internal/testkit", "internal/tlstest",
	"internal/webtest", "internal/wiretest",
}

// size is what is measured of a package. Lines are those of its files without tests, names its exported top-level
// names (methods and fields do not count), and the cycle has the files that all refer to each other, if only
// through others.
type size struct {
	path                string
	files, lines, names int
	cycle               []string
	types               []typeSize
}

// TestPackageSizes keeps each package small enough to be understood from its listing, and each type small enough to be
// understood at all. Run with -v it prints the sizes of the packages.
func TestPackageSizes(t *testing.T) {
	t.Parallel()
	sizes := measure(t, "../..")
	table(t.Output(), sizes)
	for _, s := range sizes {
		var faults []string
		limit := func(what string, n, most int) {
			if n > most {
				faults = append(faults, fmt.Sprintf("%s: %d, at most %d", what, n, most))
			}
		}
		limit("files", s.files, maxFiles)
		limit("exported names", s.names, maxNames)
		if _, ok := cyclic[s.path]; ok {
			require.Greater(t, len(s.cycle), maxCycle, "%s is within the limits: remove its exception", s.path)
		} else {
			limit("largest cycle of files "+strings.Join(s.cycle, " "), len(s.cycle), maxCycle)
		}
		require.Empty(t, faults, "%s is too large: split it", s.path)
	}
	for path := range cyclic {
		require.True(t, slices.ContainsFunc(sizes, func(s size) bool { return s.path == path }), "no package %s", path)
	}
	checkTypes(t, sizes)
}

// TestLargestCycle measures a package of three files, two of which refer to each other.
func TestLargestCycle(t *testing.T) {
	t.Parallel()
	fset := token.NewFileSet()
	var files []*ast.File
	for name, text := range map[string]string{
		"a.go": "package p\ntype A struct{ b *B }\nfunc (A) M() {}",
		"b.go": "package p\ntype B struct{}\nfunc (B) M() { var a A; a.M() }",
		"c.go": "package p\nfunc C() { C(); A{}.M() }",
	} {
		f, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, f)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	_, err := new(types.Config).Check("p", fset, files, info)
	require.NoError(t, err)
	require.Equal(t, []string{"a.go", "b.go"}, largestCycle(fset, "p", info))
}

func table(w io.Writer, sizes []size) {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	defer func() { _ = tw.Flush() }()
	fmt.Fprintln(tw, "package\tfiles\tlines\tnames\tlargest cycle")
	var total size
	for _, s := range sizes {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\n", s.path, s.files, s.lines, s.names, len(s.cycle))
		total.files, total.lines, total.names = total.files+s.files, total.lines+s.lines, total.names+s.names
		if len(s.cycle) > len(total.cycle) {
			total.cycle = s.cycle
		}
	}
	fmt.Fprintf(tw, "total\t%d\t%d\t%d\t%d\n", total.files, total.lines, total.names, len(total.cycle))
}

// listed is what the go command reports of a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
}

func measure(t *testing.T, dir string) []size {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-export",
		"-json=ImportPath,Dir,Export,GoFiles", "./...")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var packages []listed
	exports := map[string]string{}
	for dec := json.NewDecoder(out); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		exports[p.ImportPath] = p.Export
		if isLibrary(p.ImportPath) {
			packages = append(packages, p)
		}
	}
	require.NoError(t, cmd.Wait())
	require.NotEmpty(t, packages)

	fset := token.NewFileSet()
	imp := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	var sizes []size
	for _, p := range packages {
		sizes = append(sizes, sizeOf(t, fset, imp, p))
	}
	slices.SortFunc(sizes, func(a, b size) int { return strings.Compare(a.path, b.path) })
	return sizes
}

func isLibrary(path string) bool {
	rel, ok := strings.CutPrefix(path+"/", module+"/")
	return ok && !slices.ContainsFunc(notLibrary, func(dir string) bool {
		return strings.HasPrefix(rel, strings.TrimSuffix(dir, "/")+"/")
	})
}

func sizeOf(t *testing.T, fset *token.FileSet, imp types.Importer, p listed) size {
	t.Helper()
	s := size{path: strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/"), files: len(p.GoFiles)}
	if s.path == "" {
		s.path = "."
	}
	var files []*ast.File
	for _, name := range p.GoFiles {
		path := filepath.Join(p.Dir, name)
		text, err := os.ReadFile(path) // #nosec G304 -- a file of this module
		require.NoError(t, err)
		s.lines += strings.Count(string(text), "\n")
		f, err := parser.ParseFile(fset, path, text, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, f)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	pkg, err := (&types.Config{Importer: imp}).Check(p.ImportPath, fset, files, info)
	require.NoError(t, err)
	for _, name := range pkg.Scope().Names() {
		if token.IsExported(name) {
			s.names++
		}
	}
	s.cycle, s.types = largestCycle(fset, p.ImportPath, info), typesOf(pkg, files, info)
	return s
}

// largestCycle returns the names of the most files that all reach each other through the names they use. A file alone
// is no cycle.
func largestCycle(fset *token.FileSet, path string, info *types.Info) []string {
	file := func(p token.Pos) string { return filepath.Base(fset.Position(p).Filename) }
	uses := map[string]map[string]bool{}
	for id, o := range info.Uses {
		if o.Pkg() == nil || o.Pkg().Path() != path || !o.Pos().IsValid() {
			continue
		}
		if from, to := file(id.Pos()), file(o.Pos()); from != to {
			if uses[from] == nil {
				uses[from] = map[string]bool{}
			}
			uses[from][to] = true
		}
	}
	reached := map[string]map[string]bool{}
	for from := range uses {
		reached[from] = map[string]bool{}
		reach(uses, from, reached[from])
	}
	var largest []string
	for from := range uses {
		var cycle []string
		for to := range reached[from] {
			if reached[to][from] {
				cycle = append(cycle, to)
			}
		}
		if len(cycle) > len(largest) {
			largest = cycle
		}
	}
	slices.Sort(largest)
	return largest
}

func reach(uses map[string]map[string]bool, from string, seen map[string]bool) {
	for to := range uses[from] {
		if !seen[to] {
			seen[to] = true
			reach(uses, to, seen)
		}
	}
}
