//go:build unix

package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// These tests are not parallel to others: until a new process executes its program, it has the locks of this one, and
// synctest does not wait for it.

// The environment of a copy of this test program that is another process.
const (
	childDir  = "STATE_TEST_DIR"
	childKill = "STATE_TEST_KILL" // at this step it kills itself; 0 never
	childHold = "STATE_TEST_HOLD" // it holds before the push of this order, until it is paused and resumed
)

const childOrders = 3

// OtherProgram runs another program in a copy of this test program, if the environment says so.
var OtherProgram func() (code int, isOther bool)

func TestMain(m *testing.M) {
	if code, isOther := OtherProgram(); isOther {
		os.Exit(code)
	}
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	testkit.Hurry()
	os.Exit(m.Run())
}

// child calls Once in another process.
func child(dir string) int {
	kill, _ := strconv.Atoi(os.Getenv(childKill))
	var steps atomic.Int64
	step := func() {
		if int(steps.Add(1)) == kill {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	w := processWorld(dir)
	w.step = func(string) error { step(); return nil }
	w.cfg.Anchor = stepAnchor{w.cfg.Anchor, step}
	files := w.files
	w.files = func(path string, readOnly bool) (resubmit.Journal, func() error, error) {
		j, closing, err := files(path, readOnly)
		return stepJournal{j, step}, closing, err
	}
	w.beforePush = func(ctx context.Context, r *fakeRunner, e *plan.Entry) error {
		step()
		if e.Number != os.Getenv(childHold) {
			return nil
		}
		fmt.Println("holding")
		for paused := false; !paused; {
			r.mu.Lock()
			paused = r.paused
			r.mu.Unlock()
			<-time.After(10 * time.Millisecond)
		}
		return r.gate(ctx)
	}
	d, err := w.tryOpenWith(context.Background())
	if err == nil {
		var r *Result
		r, err = d.Once(context.Background(), OnceOptions{})
		fmt.Printf("%v\nsteps: %d\n", r, steps.Load())
	}
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	return 0
}

// processWorld is the world that a process finds on the disk.
func processWorld(dir string) *world {
	w := &world{
		dir: filepath.Join(dir, "state"), log: new(lines), failed: someOrders(childOrders), sent: make(map[string]int),
		ledger: filepath.Join(dir, "ledger"),
	}
	w.step = func(string) error { return nil }
	w.files = func(path string, readOnly bool) (resubmit.Journal, func() error, error) {
		return openJournal(path, "nightly", readOnly)
	}
	w.cfg = Config{
		Systems: resubmit.Systems{Name: "commerce"}, Plan: newPlanConfig(), Command: "am -state DIR",
		Anchor: FileAnchor(filepath.Join(dir, "anchor.json")), Program: "nightly",
	}
	return w
}

// start starts another process, which is killed at the latest when the test ends.
func start(t *testing.T, dir string, env ...string) (cmd *exec.Cmd, out *lines) {
	t.Helper()
	self, err := os.Executable()
	out = new(lines)
	cmd = exec.CommandContext(t.Context(), self)
	cmd.Env = append(append(os.Environ(), childDir+"="+dir), env...)
	cmd.Stdout, cmd.Stderr = out, out
	if err = errors.Join(err, cmd.Start()); err != nil {
		t.Error(err)
	}
	return cmd, out
}

func run(t *testing.T, dir string, env ...string) (output string, killed bool) {
	t.Helper()
	cmd, out := start(t, dir, env...)
	_ = cmd.Wait() // its exit status is in cmd
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return out.String(), status.Signaled()
}

// requireSentOnce says that all orders were sent once and that everything in the directory is complete.
func requireSentOnce(t *testing.T, dir, output string) {
	t.Helper()
	w := processWorld(dir)
	w.t = t
	sent := w.sends()
	require.Len(t, sent, childOrders, output)
	for number, n := range sent {
		require.Equal(t, 1, n, "%s: %s", number, output)
	}
	d := w.open()
	runs, err := d.Runs()
	require.NoError(t, err)
	applied := 0
	for _, r := range runs {
		require.True(t, r.Ended(), r.String())
		if r.applied() {
			applied++
			require.Equal(t, EndFinished, r.End)
			require.FileExists(t, d.Path(&r, reportFile))
		}
	}
	require.Equal(t, 1, applied)
	_, err = d.VerifyAudit()
	require.NoError(t, err)
}

func TestKilledAnywhere(t *testing.T) {
	dir := t.TempDir()
	output, _ := run(t, dir)
	requireSentOnce(t, dir, output)
	_, count, _ := strings.Cut(output, "steps: ")
	steps, err := strconv.Atoi(strings.TrimSpace(count))
	require.NoError(t, err)
	require.Greater(t, steps, 25)
	dirs, outputs := make([]string, steps), make([]string, steps)
	var all errgroup.Group
	all.SetLimit(8) // they wait for the disk
	for n := range steps {
		dirs[n] = t.TempDir()
		all.Go(func() error {
			output, killed := run(t, dirs[n], childKill+"="+strconv.Itoa(n+1))
			if !killed {
				return fmt.Errorf("not killed at step %d: %s", n+1, output)
			}
			// Once more, somewhere else.
			if output, killed = run(t, dirs[n], childKill+"="+strconv.Itoa(steps-n)); killed {
				output, _ = run(t, dirs[n])
			}
			outputs[n] = output
			return nil
		})
	}
	require.NoError(t, all.Wait())
	for n := range steps {
		requireSentOnce(t, dirs[n], fmt.Sprintf("killed at step %d: %s", n+1, outputs[n]))
	}
}

func TestProcessesCompeteForTheLock(t *testing.T) {
	dir := t.TempDir()
	outputs := make([]string, 4)
	var all sync.WaitGroup
	for i := range outputs {
		all.Go(func() {
			cmd, out := start(t, dir)
			_ = cmd.Wait()
			outputs[i] = out.String()
		})
	}
	all.Wait()
	for _, out := range outputs {
		if !strings.Contains(out, "finished") && !strings.Contains(out, "nothing to do") {
			require.Contains(t, out, "is held by ")
		}
	}
	requireSentOnce(t, dir, strings.Join(outputs, "\n"))
}

func TestControlFromAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	cmd, out := start(t, dir, childHold+"=SO2")
	w := processWorld(dir)
	w.t = t
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "holding") }, time.Minute,
		10*time.Millisecond)
	d := w.open()
	s, err := d.Status()
	require.NoError(t, err)
	require.True(t, s.Busy)
	require.Equal(t, cmd.Process.Pid, s.Holder.PID)
	_, err = d.Once(t.Context(), OnceOptions{})
	locked, ok := errors.AsType[*LockedError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, cmd.Process.Pid, locked.Holder.PID)

	require.NoError(t, d.Control(Command{Action: ActionPause, By: "ben"}))
	require.Eventually(t, func() bool {
		s, err := d.Status()
		return err == nil && s.Run.Paused != nil && s.Run.Live != nil && s.Run.Live.State == resubmit.StatePaused
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())

	output, _ := run(t, dir)
	require.Contains(t, output, "error: state: the run is paused: by ben ")
	require.Contains(t, output, "am -state DIR resume")
	require.NoError(t, d.Control(Command{Action: ActionResume}))
	output, _ = run(t, dir)
	requireSentOnce(t, dir, output)
}

// stepAnchor counts the steps of an anchor.
type stepAnchor struct {
	Anchor
	step func()
}

func (a stepAnchor) Store(ctx context.Context, p plan.Position) error {
	a.step()
	defer a.step()
	return a.Anchor.Store(ctx, p)
}

// stepJournal counts the steps of a journal.
type stepJournal struct {
	resubmit.Journal
	step func()
}

func (j stepJournal) Begin(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
	j.step()
	defer j.step()
	return j.Journal.Begin(ctx, u)
}

func (j stepJournal) Put(ctx context.Context, d resubmit.Durability, records ...protocol.Record) (uint64, error) {
	j.step()
	defer j.step()
	return j.Journal.Put(ctx, d, records...)
}
