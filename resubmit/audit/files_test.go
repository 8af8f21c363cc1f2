package audit_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/audit"
)

func TestOpenFollowsNoLinks(t *testing.T) {
	t.Parallel()
	victim := filepath.Join(t.TempDir(), "victim")
	require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
	t.Run("side files", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit")
		require.NoError(t, os.Symlink(victim, path+".head.new"))
		log := open(t, path)
		require.NoError(t, log.Add(audit.Line{Event: audit.EventRead}))
		require.NoError(t, log.Close())
		_, err := audit.VerifyFile(path)
		require.NoError(t, err)
	})
	for name, linked := range map[string]string{"log": "", "head": ".head"} {
		t.Run(name, func(t *testing.T) {
			for _, to := range []string{victim, victim + ".gone"} {
				path := filepath.Join(t.TempDir(), "audit")
				require.NoError(t, os.Symlink(to, path+linked))
				_, err := audit.Open(path, ana)
				require.ErrorContains(t, err, "this is a symbolic link")
				require.NoFileExists(t, victim+".gone")
			}
		})
	}
	content, err := os.ReadFile(victim)
	require.NoError(t, err)
	require.Equal(t, "precious", string(content))
}

func TestOpenRepairsTornHead(t *testing.T) {
	t.Parallel()
	path := written(t, 3)
	head, err := os.ReadFile(path + ".head")
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	torn := [][]byte{{}, []byte("\n"), make([]byte, 64), append(head[:20:20], 0, 0, 0), []byte("{")}
	for size := 1; size < len(head)-1; size += 13 {
		torn = append(torn, head[:size])
	}
	for _, left := range torn {
		require.NoError(t, os.WriteFile(path, text, 0o600))
		require.NoError(t, os.WriteFile(path+".head", left, 0o600))
		_, err := audit.VerifyFile(path)
		require.ErrorContains(t, err, "open the log to repair it", "%q", left)
		require.NoError(t, open(t, path).Close(), "%q", left)
		_, err = audit.VerifyFile(path)
		require.NoError(t, err)
		lines := linesOf(t, path)
		require.Equal(t, []string{"opened", "recovered", "closed"}, events(lines)[len(lines)-3:])
		require.Contains(t, lines[len(lines)-2].Why, "the head file was empty or torn")
	}
	t.Run("rejects_an_edited_log", func(t *testing.T) {
		edited := append([]byte(nil), text...)
		edited[len(edited)/2] ^= 1
		require.NoError(t, os.WriteFile(path, edited, 0o600))
		require.NoError(t, os.WriteFile(path+".head", nil, 0o600))
		_, err := audit.Open(path, ana)
		require.Error(t, err)
	})
	t.Run("rejects_other_files", func(t *testing.T) {
		require.NoError(t, os.WriteFile(path, text, 0o600))
		for _, other := range []string{"other", `{"lines":0,"hash":""}`, `{"lin":3`, "{}"} {
			require.NoError(t, os.WriteFile(path+".head", []byte(other), 0o600))
			_, err := audit.Open(path, ana)
			require.ErrorContains(t, err, "is not a head file", other)
		}
	})
}

func TestVerifyFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var paths []string
	var head audit.Head
	for _, name := range []string{"a", "b", "c"} {
		path := filepath.Join(dir, name)
		log, err := audit.Open(path, ana, audit.WithPrevious(head))
		require.NoError(t, err)
		require.NoError(t, log.Add(audit.Line{Event: audit.EventRead}))
		require.NoError(t, log.Close())
		log, err = audit.Open(path, ana, audit.WithPrevious(audit.Head{Lines: 99, Hash: "it has begun already"}))
		require.NoError(t, err)
		require.NoError(t, log.Close())
		head = log.Head()
		paths = append(paths, path)
	}
	got, err := audit.VerifyFiles(paths...)
	require.NoError(t, err)
	require.Equal(t, head, got)
	_, err = audit.VerifyFiles(paths[1:]...)
	require.NoError(t, err, "the oldest ones may be removed")
	_, err = audit.VerifyFiles()
	require.NoError(t, err)

	_, err = audit.VerifyFiles(paths[0], paths[2])
	require.ErrorContains(t, err, "c does not begin with the head of")
	require.ErrorContains(t, err, "a log between them is missing")
	longer, err := audit.Open(paths[0], ana)
	require.NoError(t, err)
	require.NoError(t, longer.Close())
	_, err = audit.VerifyFiles(paths...)
	require.ErrorContains(t, err, "b does not begin with the head of")
	require.NoError(t, os.WriteFile(paths[1], []byte("edited\n"), 0o600))
	_, err = audit.VerifyFiles(paths[1:]...)
	require.ErrorContains(t, err, "line 1")
}
