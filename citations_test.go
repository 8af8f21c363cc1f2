package cloudblue_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	// A citation is the path of the file from the root of the repository, as in commerce/WIRE.md#2.5.
	citation  = regexp.MustCompile(`((?:[\w.-]+/)*(?:WIRE|SAFETY)\.md)#([\w.-]*\w)`)
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	codeBlock = regexp.MustCompile("(?ms)^```.*?^```")
	anchor    = regexp.MustCompile(`<a id="([^"]+)"></a>`)
	heading   = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	// How sure a fact is, as the grades in WIRE.md say.
	grade = regexp.MustCompile(
		`(?i)documented|documents|documentation|inferred|unknown|not (known|published)|public (program|client)|\bcode\b`)
	notSlug = regexp.MustCompile(`[^\pL\pN _-]`)
	// The notes that WIRE.md and SAFETY.md were written from, which users do not have.
	oldCitation = regexp.MustCompile(`\bfacts` + `/|\b(?:commerce|connect|resubmission|peers)\.` + `md`)

	invariant    = regexp.MustCompile(`^(i\d+|invariants|history)$`)
	invariantRow = regexp.MustCompile(`(?m)^\| \[(I\d+)\]\(#i\d+\) \| (.+?) \| (.+?) \|(?: (.+))? \|$`)
	testName     = regexp.MustCompile("`(Test\\w+)`")
	testFunc     = regexp.MustCompile(`(?m)^func (Test\w+)\(t `)
)

// repository holds the text of every file that may cite another one, by its path.
func repository(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	root := os.DirFS(".")
	require.NoError(t, fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && name != "." {
			return fs.SkipDir
		}
		switch path.Ext(name) {
		case ".go", ".md", ".py":
			text, err := fs.ReadFile(root, name)
			files[name] = string(text)
			return err
		}
		return nil
	}))
	return files
}

// anchors are the targets of a Markdown file: its explicit anchors and its headings as GitHub names them.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, m := range anchor.FindAllStringSubmatch(text, -1) {
		found[m[1]] = true
	}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		slug := notSlug.ReplaceAllString(strings.ToLower(m[1]), "")
		found[strings.ReplaceAll(slug, " ", "-")] = true
	}
	return found
}

func TestCitations(t *testing.T) {
	t.Parallel()
	files := repository(t)
	targets := map[string]map[string]bool{}
	cited := 0
	for name, text := range files {
		number := 0
		for line := range strings.Lines(text) {
			number++
			if !strings.Contains(line, ".md") && !strings.Contains(line, "facts") {
				continue // the expressions are slow
			}
			for _, m := range citation.FindAllStringSubmatch(line, -1) {
				target := citedFile(files, name, m[1])
				if targets[target] == nil {
					targets[target] = anchors(files[target])
				}
				if !targets[target][m[2]] {
					t.Errorf("%s:%d cites %s: there is no such file or anchor", name, number, m[0])
				}
				cited++
			}
			if old := oldCitation.FindString(line); old != "" {
				t.Errorf("%s:%d cites %s, which is not in the repository", name, number, old)
			}
		}
	}
	require.Greater(t, cited, 200)
}

// citedFile is the file that a citation in the file called name means, or "".
func citedFile(files map[string]string, name, cited string) string {
	for _, target := range []string{cited, path.Join(path.Dir(name), cited)} { // a link is relative
		if files[target] != "" {
			return target
		}
	}
	return ""
}

// A reader of a public comment must see how sure a cited fact is.
func TestCitationsInDocComments(t *testing.T) {
	t.Parallel()
	for name, text := range repository(t) {
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "internal/") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(t, err)
		docs := []*ast.CommentGroup{file.Doc}
		ast.Inspect(file, func(n ast.Node) bool {
			docs = append(docs, exportedDoc(n))
			return true
		})
		for _, doc := range docs {
			doc := strings.Join(strings.Fields(doc.Text()), " ")
			cites := slices.ContainsFunc(citation.FindAllStringSubmatch(doc, -1), func(m []string) bool {
				return !invariant.MatchString(m[2]) // we set those ourselves
			})
			if cites && !grade.MatchString(doc) {
				t.Errorf("%s does not say whether this is documented or inferred: %s", name, doc)
			}
		}
	}
}

// exportedDoc is the comment of an exported name, or nil.
func exportedDoc(n ast.Node) *ast.CommentGroup {
	var doc *ast.CommentGroup
	var names []*ast.Ident
	switch n := n.(type) {
	case *ast.FuncDecl:
		doc, names = n.Doc, []*ast.Ident{n.Name}
	case *ast.GenDecl:
		doc = n.Doc
		for _, spec := range n.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, spec.Name)
			case *ast.ValueSpec:
				names = append(names, spec.Names...)
			}
		}
	case *ast.TypeSpec:
		doc, names = n.Doc, []*ast.Ident{n.Name}
	case *ast.ValueSpec:
		doc, names = n.Doc, n.Names
	case *ast.Field:
		doc, names = n.Doc, n.Names
	}
	if slices.ContainsFunc(names, (*ast.Ident).IsExported) {
		return doc
	}
	return nil
}

func TestLinks(t *testing.T) {
	t.Parallel()
	files := repository(t)
	for name, text := range files {
		if path.Ext(name) != ".md" {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(codeBlock.ReplaceAllString(text, ""), -1) {
			if strings.Contains(m[1], ":") {
				continue // another site
			}
			file, fragment, _ := strings.Cut(m[1], "#")
			target := name
			if file != "" {
				target = path.Join(path.Dir(name), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: there is no such file", name, m[1])
			} else if fragment != "" && !anchors(files[target])[fragment] {
				t.Errorf("%s links to %s: there is no such anchor", name, m[1])
			}
		}
	}
}

// The table in SAFETY.md says what checks each invariant.
func TestInvariants(t *testing.T) {
	t.Parallel()
	tests, simulator := map[string]bool{}, ""
	files := repository(t)
	for name, text := range files {
		if strings.HasSuffix(name, "_test.go") {
			for _, m := range testFunc.FindAllStringSubmatch(text, -1) {
				tests[m[1]] = true
			}
		} else if strings.HasPrefix(name, "resubmit/internal/sim/") {
			simulator += text
		}
	}
	mutants, err := os.ReadFile(".ci/mutants.txt")
	require.NoError(t, err)
	rows, noticed := map[string]bool{}, map[string]bool{}
	for _, m := range invariantRow.FindAllStringSubmatch(files["resubmit/SAFETY.md"], -1) {
		rows[m[1]] = true
		checks := strings.Contains(simulator, `"`+m[1]+`"`)
		assert.Equal(t, checks, m[2] == "yes", "%s: whether the simulator checks it", m[1])
		for _, name := range testName.FindAllStringSubmatch(m[3], -1) {
			assert.True(t, tests[name[1]], "%s: there is no test %s", m[1], name[1])
		}
		if m[4] != "" {
			noticed[m[1]] = true
			assert.Contains(t, string(mutants), m[4]+"\nfile ", "%s: there is no such edit", m[1])
		}
	}
	require.Len(t, rows, 20)
	require.Len(t, noticed, 20, "each invariant has an edit of the code that its checks notice")
}
