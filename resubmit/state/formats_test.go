package state_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// Each directory of testdata/formats has a state directory and an anchor as a release wrote them. They are never
// changed: later releases must read them. A release that changes a format adds a directory.
const formats = "testdata/formats"

var writeFormats = flag.String("write-formats", "", "write a directory of testdata/formats with this name")

// formatConfig is the configuration with which the directories are written, in a synctest bubble.
func formatConfig(t *testing.T, dir string) (*busyShop, state.Config, ed25519.PrivateKey) {
	s, _, cfg := newBusyShop(t, time.Since(time.Date(1999, 12, 31, 22, 0, 0, 0, time.UTC)))
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	cfg.Approvers = []ed25519.PublicKey{key.Public().(ed25519.PublicKey)}
	cfg.Limits.MaxOrders = 1
	cfg.Program = "test"
	cfg.Anchor = state.FileAnchor(filepath.Join(dir, "anchor.json"))
	return s, cfg, key
}

// fail has an order fail again, for another reason.
func (s *busyShop) fail(id string) {
	s.shop[id].Status = commerce.StatusProvisioningFailed
	s.shop[id].Failure.Messages = map[string]string{"en": "504 Gateway Timeout"}
	s.shop[id].Transitions = []commerce.Transition{{To: commerce.StatusPaid}}
}

// TestWriteFormats writes a finished run, an approved plan that is paused before it begins, and an overview.
func TestWriteFormats(t *testing.T) {
	dir := filepath.Join(formats, *writeFormats)
	if *writeFormats == "" {
		dir = t.TempDir() // what is written is as complete as what was written before
	}
	require.NoError(t, os.MkdirAll(dir, 0o700))
	synctest.Test(t, func(t *testing.T) {
		s, cfg, key := formatConfig(t, dir)
		d := open(t, filepath.Join(dir, "state"), cfg)
		approved := func() {
			_, err := d.Once(t.Context(), state.OnceOptions{})
			need, ok := errors.AsType[*state.ApprovalError](err)
			require.True(t, ok, "%v", err)
			require.NoError(t, d.Approve(need.Run.Digest, "ana", key))
		}
		approved()
		_, err := d.Once(t.Context(), state.OnceOptions{})
		require.NoError(t, err)
		s.fail("1")
		s.fail("2")
		require.NoError(t, d.Read(t.Context()))
		approved()
		require.NoError(t, d.Control(state.Command{Action: state.ActionPause, By: "ben"}))
	})
	require.ElementsMatch(t, kinds(t, filepath.Join(formats, "v0.1.0")), kinds(t, dir))
}

// kinds returns the files of a directory, without what differs in their names.
func kinds(t *testing.T, dir string) (all []string) {
	variable := regexp.MustCompile(`(runs|control)/[^/]*`)
	eachFile(t, dir, func(path string) {
		all = append(all, variable.ReplaceAllString(filepath.ToSlash(path), "$1/*"))
	})
	return all
}

// eachFile calls f with the path of each file below dir that has content.
func eachFile(t *testing.T, dir string, f func(path string)) {
	t.Helper()
	fsys := os.DirFS(dir)
	require.NoError(t, fs.WalkDir(fsys, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if info, err := e.Info(); err != nil || info.Size() == 0 { // locks
			return err
		}
		f(path)
		return nil
	}))
}

// released calls f for a copy of each directory of testdata/formats, at the time when it was written.
func released(t *testing.T, f func(t *testing.T, dir string)) {
	all, err := os.ReadDir(formats)
	require.NoError(t, err)
	require.NotEmpty(t, all)
	for _, release := range all {
		t.Run(release.Name(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(formats, release.Name()))))
			for _, below := range []string{"state", "state/runs", "state/control"} { // git keeps no modes
				require.NoError(t, os.Chmod(filepath.Join(dir, below), 0o700))
			}
			eachFile(t, dir, func(path string) { require.NoError(t, os.Chmod(filepath.Join(dir, path), 0o600)) })
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Minute)
				f(t, dir)
			})
		})
	}
}

// A later release reads all files of an earlier one, and continues its run.
func TestFilesOfReleasesAreRead(t *testing.T) {
	t.Parallel()
	released(t, func(t *testing.T, dir string) {
		s, cfg, _ := formatConfig(t, dir)
		for _, o := range s.shop { // as when the directory was written
			o.Status, o.Failure, o.Transitions = commerce.StatusCompleted, commerce.Failure{}, nil
		}
		s.fail("1")
		s.fail("2")
		d := open(t, filepath.Join(dir, "state"), cfg)
		runs, err := d.Runs()
		require.NoError(t, err)
		require.Len(t, runs, 2)
		require.Equal(t, state.EndFinished, runs[0].End)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 3}, runs[0].Result)
		doc, err := d.Document(&runs[0])
		require.NoError(t, err)
		require.Equal(t, 3, doc.Outcomes.Completed)
		status, err := d.Status()
		require.NoError(t, err)
		require.NotNil(t, status.Reading)
		overview, err := d.Overview()
		require.NoError(t, err)
		require.Equal(t, 2, overview.Counts().Total)
		require.NoError(t, overview.Close())
		history, err := d.Order(t.Context(), "SO000001")
		require.NoError(t, err)
		require.NotNil(t, history.Record.Order)
		_, err = d.VerifyAudit()
		require.NoError(t, err)

		_, err = d.Once(t.Context(), state.OnceOptions{})
		require.ErrorIs(t, err, state.ErrPaused, "the command is read")
		require.NoError(t, d.Control(state.Command{Action: state.ActionResume}))
		_, err = d.Once(t.Context(), state.OnceOptions{})
		require.NoError(t, err, "the approval is read")
		require.Equal(t, map[string]int{"1": 1, "2": 1}, s.pushes)
	})
}

// readers read a file of a state directory, by its name.
var readers = map[string]func(d *state.Dir, path string) error{
	"journal":        func(_ *state.Dir, path string) error { _, err := journal.Check(path); return err },
	"plan.jsonl":     readPlan,
	"overview.jsonl": readPlan,
	"plan.jsonl.sig": func(_ *state.Dir, path string) error { return readWith(path, plan.ReadSignature) },
	"audit.jsonl":    func(_ *state.Dir, path string) error { _, err := audit.VerifyFiles(path); return err },
	"report.json":    func(_ *state.Dir, path string) error { return readWith(path, report.Read) },
	"control": func(d *state.Dir, _ string) error {
		_, err := d.Once(context.Background(), state.OnceOptions{})
		return err
	},
	"run.json":      func(d *state.Dir, _ string) error { _, err := d.Runs(); return err },
	"overview.json": func(d *state.Dir, _ string) error { _, err := d.Status(); return err },
	"anchor.json": func(_ *state.Dir, path string) error {
		_, err := state.FileAnchor(path).Load(context.Background())
		return err
	},
}

func readPlan(_ *state.Dir, path string) error {
	p, err := plan.Open(path)
	if err != nil {
		return err
	}
	return p.Close()
}

func readWith[T any](path string, read func(io.Reader) (T, error)) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	_, err = read(bytes.NewReader(content))
	return err
}

func TestFilesOfLaterVersionsAreRejected(t *testing.T) {
	t.Parallel()
	version := regexp.MustCompile(`"version": ?\d+`)
	released(t, func(t *testing.T, dir string) {
		_, cfg, _ := formatConfig(t, dir)
		d := open(t, filepath.Join(dir, "state"), cfg)
		eachFile(t, dir, func(path string) {
			name := filepath.Base(path)
			path = filepath.Join(dir, path)
			if filepath.Base(filepath.Dir(path)) == "control" {
				name = "control"
			}
			if slices.Contains([]string{"audit.jsonl.head", "report.csv", "report.html"}, name) {
				return // have no version: the first belongs to its log, the others are not read
			}
			read := readers[name]
			require.NotNil(t, read, name)
			if name != "control" {
				require.NoError(t, read(d, path), path)
			}
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			at := version.FindIndex(content)
			require.NotNil(t, at, "%s has no version", path)
			later := slices.Concat(content[:at[0]], []byte(`"version":99`), content[at[1]:])
			require.NoError(t, os.WriteFile(path, later, 0o600))
			require.ErrorContains(t, read(d, path), "version 99", path)
			require.FileExists(t, path)
			require.NoError(t, os.WriteFile(path, content, 0o600))
		})
	})
}
