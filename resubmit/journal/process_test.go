package journal_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

// childPath tells a copy of this test program to be the other process.
const childPath = "JOURNAL_TEST_PATH"

// child writes orders without end, each one told on its output when Put returned.
func child(path string) error {
	j, err := journal.Open(path, journal.Program("other"))
	if err != nil {
		return err
	}
	if err := j.Begin(plan); err != nil {
		return err
	}
	s, err := j.Summary()
	if err != nil {
		return err
	}
	fmt.Println("open", s.Records)
	var next atomic.Int64
	next.Store(int64(s.Records + 100)) // some were written and not told
	errs := make(chan error)
	for range 8 {
		go func() {
			for {
				id := strconv.FormatInt(next.Add(1), 10)
				if err := j.Put(record(id, resubmit.RecordPushed)); err != nil {
					errs <- err
				}
				fmt.Println("put", id)
			}
		}()
	}
	return <-errs
}

func TestKilledProcessLosesNoRecord(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	put := make(map[string]bool)
	for round := range 10 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childPath+"="+path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for n := 0; n < 20+37*round && lines.Scan(); n++ {
			if id, ok := strings.CutPrefix(lines.Text(), "put "); ok {
				put[id] = true
			}
		}
		if round == 0 {
			_, err := journal.Open(path, journal.Wait(0))
			require.ErrorContains(t, err, "in use by process "+strconv.Itoa(cmd.Process.Pid)+" (other) on ")
		}
		require.NoError(t, cmd.Process.Kill())
		for lines.Scan() {
			if id, ok := strings.CutPrefix(lines.Text(), "put "); ok {
				put[id] = true
			}
		}
		require.Error(t, cmd.Wait(), "it was killed")

		j, err := journal.Open(path)
		require.NoError(t, err)
		require.NoError(t, j.Check())
		for id := range put {
			_, found, err := j.Get(id)
			require.NoError(t, err)
			require.True(t, found, "order %s was put before the kill", id)
		}
		require.NoError(t, j.Close())
	}
	require.Greater(t, len(put), 500)
}
