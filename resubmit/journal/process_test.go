package journal_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// childPath and childLimit tell a copy of this test program to be another process: where the
// journal is, and how large its file may become.
const (
	childPath  = "JOURNAL_TEST_PATH"
	childLimit = "JOURNAL_TEST_LIMIT"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		fmt.Println("error", child(path))
		return
	}
	goleak.VerifyTestMain(m)
}

// child writes orders until that fails. It reports each on its output when Put has returned.
func child(path string) error {
	if limit := os.Getenv(childLimit); limit != "" {
		n, err := strconv.ParseUint(limit, 10, 64)
		if err = errors.Join(err, limitFiles(n)); err != nil {
			return err
		}
	}
	j, err := journal.Open(path, journal.WithOwner("other"))
	if err != nil {
		return err
	}
	ctx := context.Background()
	l, err := j.Begin(ctx, resubmit.JournalUse{System: "ordermanager", Plan: "sha256:1"})
	if err != nil {
		return err
	}
	fmt.Println("open")
	errs := make(chan error)
	for g := range 8 {
		go func() {
			for n := 0; ; n++ {
				r := order(fmt.Sprintf("%d-%d-%d", l.Epoch, g, n))
				r.Order.Why = strings.Repeat("x", 100*g)
				durability := resubmit.Durability(n % 2)
				lane := protocol.Record{Key: protocol.Key{Kind: protocol.KindLane, ID: r.ID}, Lane: &protocol.Lane{Order: r.ID}}
				if _, err := j.Put(ctx, durability, r, lane); err != nil {
					errs <- err
					return
				}
				if durability == resubmit.Durable {
					fmt.Println("put", r.ID)
				}
			}
		}()
	}
	return errors.Join(<-errs, j.Close())
}

// start starts a child and returns it with its output.
func start(t *testing.T, path, limit string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childPath+"="+path, childLimit+"="+limit)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return cmd, bufio.NewScanner(out)
}

// requirePut checks that all orders are in the journal, and that each order has its lane.
func requirePut(t *testing.T, path string, ids map[string]bool) {
	t.Helper()
	j := open(t, path)
	defer func() { require.NoError(t, j.Close()) }()
	for id := range ids {
		require.NotZero(t, get(t, j, protocol.OrderKey(id)).Version, "order %s was put", id)
	}
	lanes := make(map[string]uint64)
	for r, err := range j.Records(t.Context()) {
		require.NoError(t, err)
		lanes[r.ID] += map[protocol.Kind]uint64{protocol.KindLane: r.Version, protocol.KindOrder: -r.Version}[r.Kind]
	}
	for id, difference := range lanes {
		require.Zero(t, difference, "half of a Put: %s", id)
	}
}

func TestKilledProcessLosesNoRecord(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	put := make(map[string]bool)
	for round := range 8 {
		cmd, lines := start(t, path, "")
		for n := 0; n < 20+37*round && lines.Scan(); n++ {
			if id, ok := strings.CutPrefix(lines.Text(), "put "); ok {
				put[id] = true
			}
		}
		if round == 0 {
			_, err := journal.Open(path, journal.WithLockTimeout(0))
			require.ErrorContains(t, err, "is held by other, process "+strconv.Itoa(cmd.Process.Pid)+" of ")
		}
		require.NoError(t, cmd.Process.Kill())
		for lines.Scan() {
			if id, ok := strings.CutPrefix(lines.Text(), "put "); ok {
				put[id] = true
			}
		}
		require.Error(t, cmd.Wait(), "it was killed")
		requirePut(t, path, put)
	}
	require.Greater(t, len(put), 300)
}

// TestFullDisk: the file reaches its limit in the middle of a frame.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	put := make(map[string]bool)
	for round := 1; round <= 3; round++ {
		cmd, lines := start(t, path, strconv.Itoa(50_001*round))
		full := ""
		for lines.Scan() {
			if id, ok := strings.CutPrefix(lines.Text(), "put "); ok {
				put[id] = true
			}
			full += strings.TrimPrefix(lines.Text()+"\n", "put ")
		}
		require.NoError(t, cmd.Wait())
		require.Contains(t, full, "error resubmit/journal: "+path+": write: ")
		require.Contains(t, full, "file too large; check the file and the space on its disk, then open the journal again")
		requirePut(t, path, put)
	}
	require.Greater(t, len(put), 50)
}
