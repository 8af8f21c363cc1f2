package main

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
)

// asProgram makes a copy of this test binary behave as the program itself.
const asProgram = "AFTERMAINTENANCE_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	flag.Parse()
	// The tests mostly wait for servers: more of them at once take less time.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(runTests(m))
}

// runTests keeps what belongs to the user, such as the anchors of state directories, in a directory of its own.
func runTests(m *testing.M) int {
	config, err := os.MkdirTemp("", "aftermaintenance")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(config) }() // nothing depends on it
	for _, name := range []string{"XDG_CONFIG_HOME", "HOME", "TMPDIR"} {
		if err := os.Setenv(name, config); err != nil {
			panic(err)
		}
	}
	return m.Run()
}

// settleDelay is so short that the orders which a kill left unknown are resolved at once, and long enough for the
// pushes
// of a busy machine: they time out after half of it.
const settleDelay = "1s"

// outage are test systems on real sockets with orders that failed during a maintenance.
type outage struct {
	*sandbox.World
	dir  string
	left map[string]bool // the orders that no resubmission can help
	env  []string
	args []string // without the command
}

// newOutage makes n orders fail because of the maintenance, many of them of the same subscription, and n/20 for a
// reason
// that no resubmission can help.
func newOutage(t *testing.T, n int) *outage {
	t.Helper()
	w := newWorld(t, 1)
	require.NoError(t, w.Live())
	start := time.Now().UTC().Add(-time.Minute)
	w.Connect.SetMaintenance(true)
	left := make(map[string]bool)
	for i := range n {
		order := commercetest.OrderSpec{Subscription: strconv.Itoa(2_000_000 + i),
			VendorAccount: []string{"", "", "1000101", "1000102"}[i%4]}
		if i%5 == 4 { // changes what was bought just before
			order.Type, order.Subscription, order.VendorAccount = commerce.TypeChange, strconv.Itoa(2_000_000+i-4), ""
		}
		w.Commerce.Place(order)
		if i%20 == 0 {
			placed := w.Commerce.Place(commercetest.OrderSpec{FailWith: testkit.FailInvalidValue})
			require.NoError(t, w.Commerce.ForbidPush(placed.ID, "no resubmission can help"))
			left[placed.Number] = true
		}
	}
	h := &outage{World: w, dir: t.TempDir(), left: left}
	require.Eventually(t, func() bool { return len(h.in(commerce.StatusProvisioningFailed)) == n+n/20 }, time.Minute,
		50*time.Millisecond)
	w.Connect.SetMaintenance(false)
	windows := filepath.Join(h.dir, "windows.json")
	require.NoError(t, os.WriteFile(windows, fmt.Appendf(nil, `{"windows":[{"id":"W","start":%q,"end":%q}]}`,
		start.Format(time.RFC3339), time.Now().UTC().Format(time.RFC3339Nano)), 0o600))
	h.env = append(os.Environ(), asProgram+"=1", "COMMERCE_TOKEN="+w.CommerceToken, "CONNECT_API_KEY="+w.ConnectKey)
	h.args = []string{"-commerce", w.CommerceURL, "-connect", w.ConnectURL, "-windows", windows, "-state",
		filepath.Join(h.dir, "state"), "-json"}
	configure(t, filepath.Join(h.dir, "state"), `{"policy": {"settleDelay": "`+settleDelay+`", "spacing": "200ms"},
		"run": {"verifyAfter": "20ms", "concurrency": 4}}`)
	return h
}

// flags are args for people.
func (h *outage) flags() []string { return h.args[: len(h.args)-1 : len(h.args)-1] }

// in returns the numbers of the orders in a status.
func (h *outage) in(s commerce.Status) map[string]bool {
	numbers := make(map[string]bool)
	for _, o := range h.Commerce.Orders() {
		if o.Status == s {
			numbers[o.Number] = true
		}
	}
	return numbers
}

func (h *outage) accepted() (total int, most map[string]int) {
	most = make(map[string]int)
	for _, call := range h.Commerce.Pushes() {
		if call.Accepted {
			total++
			most[call.Number]++
		}
	}
	return total, most
}

// process is one run of the program as a process.
type process struct {
	killed         bool
	status         int
	stdout, stderr bytes.Buffer
}

// killTime is when the program is killed: a delay after a number of further pushes.
type killTime struct {
	pushes int
	delay  time.Duration
}

// maxIdle is how long the program may run without a push before it is killed.
const maxIdle = 3 * time.Second

// command returns the program as a command.
func (h *outage) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], append(h.args[:len(h.args):len(h.args)], args...)...)
	cmd.Env = h.env
	return cmd
}

// start runs the program to its end, or kills it at the given time.
func (h *outage) start(t *testing.T, kill *killTime, args ...string) *process {
	t.Helper()
	l := new(process)
	cmd := h.command(t, args...)
	cmd.Stdout, cmd.Stderr = &l.stdout, &l.stderr
	before := len(h.Commerce.Pushes())
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if kill != nil {
		h.await(before, *kill, ended)
		_ = cmd.Process.Kill() // no error matters if it has ended
	}
	<-ended
	l.status, l.killed = cmd.ProcessState.ExitCode(), kill != nil && l.stdout.Len() == 0
	return l
}

// await returns when the time has come or the program has ended.
func (h *outage) await(before int, m killTime, ended chan error) {
	ticker, end := time.NewTicker(5*time.Millisecond), time.NewTimer(maxIdle)
	defer ticker.Stop()
	defer end.Stop()
	for {
		select {
		case err := <-ended:
			ended <- err
			return
		case <-end.C:
			return
		case <-ticker.C:
			if len(h.Commerce.Pushes())-before >= m.pushes {
				ticker.Stop()
				end.Reset(m.delay)
			}
		}
	}
}

// plan makes a plan, whose orders do not wait. At the rate of the processes that are killed, planning takes longer than
// maxIdle.
func (h *outage) plan(t *testing.T, args ...string) {
	t.Helper()
	for start := time.Now(); time.Since(start) < time.Minute; { // the maintenance has just ended
		l := h.start(t, nil, append([]string{"plan", "-rate", "10000/s"}, args...)...)
		if l.status == exitDone && l.document(t).Planned.Wait == 0 {
			return
		}
	}
	require.Fail(t, "no plan")
}

func (l *process) document(t *testing.T) *report.Document {
	t.Helper()
	return decode(t, l.stdout.String())
}

// killRepeatedly kills the program at random times, restarts it with the same command, and finally lets it end.
func (h *outage) killRepeatedly(t *testing.T, random *rand.Rand, kills, orders int, args ...string) *process {
	t.Helper()
	for left := kills; left > 0; left-- {
		pushed, _ := h.accepted()
		// A third are killed at any time, perhaps before they do anything. The others make progress, but not so
		// much that no orders are left for the last kill.
		kill := killTime{delay: time.Duration(random.Int64N(int64(200 * time.Millisecond)))}
		if random.IntN(3) > 0 {
			kill = killTime{pushes: 1 + random.IntN(max(1, (orders-pushed)/left)),
				delay: time.Duration(random.Int64N(int64(20 * time.Millisecond)))}
		}
		l := h.start(t, &kill, args...)
		require.True(t, l.killed, "the program ended with %d before the last %d kills: %s", l.status, left, &l.stderr)
	}
	pushed, _ := h.accepted()
	t.Logf("%d of %d orders were pushed before the last kill", pushed, orders)
	return h.start(t, nil, args...)
}

// finish completes the orders that are not moved because their pushes were killed twice, and those that they block, and
// returns how many there are. They must be named, since nothing has changed since.
func (h *outage) finish(t *testing.T) (left int) {
	t.Helper()
	args := []string{"run", "-rate", "600/s", "-wait-at-most", "30s", "-max-orders", "-1"}
	for number := range h.in(commerce.StatusProvisioningFailed) {
		if !h.left[number] {
			left++
			args = append(args, "-order", number)
		}
	}
	if left > 0 {
		l := h.start(t, nil, args...)
		require.Equal(t, exitDone, l.status, "%s", &l.stderr)
		require.Equal(t, left, l.document(t).Outcomes.Completed, "%s", &l.stderr)
	}
	t.Logf("%d orders were completed by the next plan", left)
	return left
}

// setting returns a number for a longer test, given in the environment.
func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, name)
	return n
}

// crashes returns how often the program is killed, and the seed of the moments. CRASH_KILLS and CRASH_SEED try others.
func crashes(t *testing.T) (kills int, seed uint64) {
	t.Helper()
	return setting(t, "CRASH_KILLS", testkit.Scale(20, 2)), uint64(setting(t, "CRASH_SEED", 1))
}

// ordersPerKill are enough orders for some to be left at the last kill. It is a multiple of 20, see newOutage.
const ordersPerKill = 20

func TestCrashWithFaults(t *testing.T) {
	t.Parallel()
	kills, seed := crashes(t)
	kills = max(2, kills/10)
	orders := kills * ordersPerKill
	h := newOutage(t, orders)
	require.NoError(t, h.AddFaults())
	h.plan(t)
	l := h.killRepeatedly(t, rand.New(rand.NewPCG(seed, 1)), kills, orders, "apply", "-yes", "-rate", "600/s")
	require.Equal(t, exitDone, l.status, "%s", &l.stderr)
	h.finish(t)
	h.requireCompleted(t, orders)
}

func TestCrashEndsLikeAnUndisturbedRun(t *testing.T) {
	t.Parallel()
	kills, seed := crashes(t)
	orders := kills * ordersPerKill
	h, twin := newOutage(t, orders), newOutage(t, orders)
	start := time.Now()
	random := rand.New(rand.NewPCG(seed, 0))
	planning := max(1, kills/20)
	for range planning {
		h.start(t, &killTime{delay: time.Duration(random.Int64N(int64(time.Second)))}, "plan", "-rate", "600/s")
	}
	h.plan(t)
	l := h.killRepeatedly(t, random, kills-planning, orders, "apply", "-yes", "-rate", "600/s")
	t.Logf("%d kills with seed %d took %v", kills, seed, time.Since(start).Round(time.Second))

	twin.plan(t)
	undisturbed := twin.start(t, nil, "apply", "-yes", "-rate", "10000/s")
	require.Equal(t, undisturbed.status, l.status, "%s", &l.stderr)
	if h.finish(t) == 0 {
		require.Equal(t, undisturbed.document(t).Outcomes, l.document(t).Outcomes, "%s", &l.stderr)
	}
	h.requireCompleted(t, orders)
	twin.requireCompleted(t, orders)
	require.Equal(t, twin.in(commerce.StatusCompleted), h.in(commerce.StatusCompleted))
	h.requireIntact(t)
}

func TestKilledNightlyJobIsContinuedByTheSameCommand(t *testing.T) {
	t.Parallel()
	kills, seed := crashes(t)
	kills = max(2, kills/4)
	orders := kills * ordersPerKill
	h := newOutage(t, orders)
	h.plan(t) // so that no order waits any more; it needs an approval
	require.Equal(t, exitDone, h.start(t, nil, "cancel", "-yes").status)
	l := h.killRepeatedly(t, rand.New(rand.NewPCG(seed, 2)), kills, orders, "run", "-max-orders", "-1", "-rate", "600/s")
	require.Equal(t, exitDone, l.status, "%s", &l.stderr)
	for range 10 { // orders that were too early, or not moved
		if h.finish(t) == 0 {
			break
		}
	}
	h.requireCompleted(t, orders)
	h.requireIntact(t)
}

// requireIntact checks the files in the state directory.
func (h *outage) requireIntact(t *testing.T) {
	t.Helper()
	dir := filepath.Join(h.dir, "state")
	_, err := journal.Check(filepath.Join(dir, "journal"))
	require.NoError(t, err)
	done(t, nil, "-state", dir, "audit", "verify")
}

// requireCompleted checks the ledgers of the servers.
func (h *outage) requireCompleted(t *testing.T, orders int) {
	t.Helper()
	require.Empty(t, h.Violations())
	total, each := h.accepted()
	require.Equal(t, orders, total)
	require.Len(t, each, orders, "each order was pushed once")
	require.Len(t, h.in(commerce.StatusCompleted), orders)
	require.Len(t, h.in(commerce.StatusProvisioningFailed), orders/20, "the others were left alone")
}
