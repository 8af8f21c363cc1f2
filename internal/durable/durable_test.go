package durable

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReplace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kept.json")
	require.NoError(t, os.WriteFile(path, []byte("a long old content"), 0o644))
	require.NoError(t, Replace(path, []byte("new"), 0o600))
	requireFile(t, path, "new")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	requireAlone(t, path)
	require.NoError(t, Replace(path, []byte("readable"), 0o644))
	info, err = os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o644), info.Mode().Perm())
}

func TestReplaceErrorKeepsTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "taken")
	require.NoError(t, os.MkdirAll(filepath.Join(path, "by a directory"), 0o755))
	require.Error(t, Replace(path, []byte("new"), 0o600))
	requireAlone(t, path)

	require.ErrorIs(t, Replace(filepath.Join(path, "no such directory", "file"), nil, 0o600), fs.ErrNotExist)
	require.ErrorIs(t, SyncDir(filepath.Join(path, "no such directory")), fs.ErrNotExist)
}

func TestReplaceDoesNotFollowLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	victim, path := filepath.Join(t.TempDir(), "victim"), filepath.Join(dir, "kept.json")
	require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o644))
	for _, planted := range []string{path, path + ".new", filepath.Join(dir, ".kept.json.new")} {
		require.NoError(t, os.Symlink(victim, planted))
	}
	require.NoError(t, Replace(path, []byte("new"), 0o600))
	requireFile(t, path, "new")
	requireFile(t, victim, "precious")
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.True(t, info.Mode().IsRegular())
}

// watchedDisk is a disk that writes down what it does, and fails in one step.
type watchedDisk struct {
	mu    sync.Mutex
	steps []string
	fails string
}

func (w *watchedDisk) disk() disk {
	return disk{
		sync: func(f *os.File) error {
			what := "sync file"
			if info, err := f.Stat(); err == nil && info.IsDir() {
				what = "sync directory"
			}
			return w.step(what, f.Sync)
		},
		move: func(from, to string) error {
			return w.step("rename", func() error { return os.Rename(from, to) })
		},
	}
}

func (w *watchedDisk) step(what string, do func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps = append(w.steps, what)
	if w.fails == what {
		return fmt.Errorf("%s: %w", what, errDisk)
	}
	return do()
}

var errDisk = errors.New("the disk failed")

func TestCommit(t *testing.T) {
	t.Parallel()
	t.Run("syncs the file, renames it and syncs the directory", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "plan")
		var w watchedDisk
		f, err := w.disk().create(path, 0o600)
		require.NoError(t, err)
		_, err = f.Write([]byte("content"))
		require.NoError(t, err)
		require.Empty(t, w.steps)
		require.NoError(t, f.Commit())
		require.Equal(t, []string{"sync file", "rename", "sync directory"}, w.steps)
		requireFile(t, path, "content")
		f.Abort()
		requireFile(t, path, "content")
	})
	for _, fails := range []string{"sync file", "rename", "sync directory"} {
		t.Run("reports a failed "+fails, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "plan")
			require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
			w := watchedDisk{fails: fails}
			f, err := w.disk().create(path, 0o600)
			require.NoError(t, err)
			_, err = f.Write([]byte("new"))
			require.NoError(t, err)
			require.ErrorIs(t, f.Commit(), errDisk)
			requireFile(t, path, map[bool]string{true: "new", false: "old"}[fails == "sync directory"])
			requireAlone(t, path)
		})
	}
	t.Run("reports a write that failed in the background", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "plan")
		f, err := Create(path, 0o600)
		require.NoError(t, err)
		require.NoError(t, f.file.Close())
		_, err = f.Write([]byte("lost"))
		require.NoError(t, err)
		for range 2 {
			_, err = f.Write([]byte("not written"))
			require.ErrorIs(t, err, fs.ErrClosed)
		}
		require.ErrorIs(t, f.Commit(), fs.ErrClosed)
		left, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		require.Empty(t, left)
	})
	t.Run("writes what it was given, even if that changes later", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "plan")
		f, err := Create(path, 0o600)
		require.NoError(t, err)
		for _, block := range []string{"one ", "two ", "three"} {
			b := []byte(block)
			_, err = f.Write(b)
			require.NoError(t, err)
			clear(b)
		}
		require.NoError(t, f.Commit())
		requireFile(t, path, "one two three")
	})
	t.Run("reports a sync that failed while the file was written", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "plan")
		w := watchedDisk{fails: "sync file"}
		f, err := w.disk().create(path, 0o600)
		require.NoError(t, err)
		block := bytes.Repeat([]byte("x"), 1<<20)
		for err == nil && f.begun == nil {
			_, err = f.Write(block)
		}
		require.NoError(t, err)
		f.begun <- <-f.begun // it has ended
		w.mu.Lock()
		w.fails = "" // a disk reports an error only once
		w.mu.Unlock()
		require.ErrorIs(t, f.Commit(), errDisk)
		left, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		require.Empty(t, left)
	})
}

func TestAbortLeavesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plan")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	f, err := Create(path, 0o600)
	require.NoError(t, err)
	for range 40 { // so that a sync is under way
		_, err = f.Write(bytes.Repeat([]byte("x"), 1<<20))
		require.NoError(t, err)
	}
	f.Abort()
	f.Abort()
	requireFile(t, path, "old")
	requireAlone(t, path)
	require.Error(t, f.Commit())
	requireFile(t, path, "old")
}

func TestOpenFileRejectsIrregularFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link, dangling := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "dangling")
	require.NoError(t, os.WriteFile(file, []byte("content"), 0o600))
	require.NoError(t, os.Symlink(file, link))
	require.NoError(t, os.Symlink(filepath.Join(dir, "nothing"), dangling))
	for _, flag := range []int{os.O_RDONLY, os.O_RDWR | os.O_CREATE | os.O_APPEND} {
		for _, path := range []string{link, dangling} {
			_, err := OpenFile(path, flag, 0o600)
			require.ErrorContains(t, err, "this is a symbolic link")
			require.ErrorContains(t, err, path)
		}
		_, err := OpenFile(dir, flag, 0o600)
		require.ErrorContains(t, err, "this is a directory")
		f, err := OpenFile(file, flag, 0o600)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	require.NoFileExists(t, filepath.Join(dir, "nothing"))
	_, err := OpenFile(filepath.Join(dir, "no such file"), os.O_RDONLY, 0)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestAllFilesAreWrittenByDurable finds in the source of the library who writes files without
// this package.
func TestAllFilesAreWrittenByDurable(t *testing.T) {
	t.Parallel()
	allowed := []string{
		"internal/durable",                    // this package
		"internal/testkit", "examples", ".ci", // tests, and what shows how to use the library
		"resubmit/plan/key.go OpenFile",                                   // fails where something is, a link too
		"resubmit/plan/store.go",                                          // a copy that ends with the process
		"resubmit/resubmittest", "resubmit/internal/sim", "commercetest/", // test systems
	}
	var found []string
	fsys := os.DirFS("../..")
	require.NoError(t, fs.WalkDir(fsys, ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := fs.ReadFile(fsys, path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, source, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && writes(sel) {
				if use := path + " " + sel.Sel.Name; !slices.ContainsFunc(allowed,
					func(a string) bool { return strings.Contains(use, a) }) {
					found = append(found, use)
				}
			}
			return true
		})
		return nil
	}))
	require.Empty(t, found, "use durable.Replace, durable.Create, durable.Rename or durable.OpenFile")
}

func writes(sel *ast.SelectorExpr) bool {
	pkg, ok := sel.X.(*ast.Ident)
	return ok && pkg.Name == "os" &&
		slices.Contains([]string{"Create", "CreateTemp", "OpenFile", "Rename", "WriteFile"}, sel.Sel.Name)
}

func requireFile(t *testing.T, path, want string) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, want, string(content))
}

// requireAlone says that nothing was left beside a file.
func requireAlone(t *testing.T, path string) {
	t.Helper()
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1)
}
