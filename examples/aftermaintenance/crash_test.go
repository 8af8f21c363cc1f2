package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
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
	os.Exit(m.Run())
}

// night is a maintenance in which orders failed, on real sockets.
type night struct {
	*sandbox.World
	dir    string
	env    []string
	args   []string // but for the files that the program keeps
	healed map[string]bool
}

// newNight lets n orders fail for the maintenance, many of them of the same
// subscriptions, and n/20 for something that no resubmission helps.
func newNight(t *testing.T, n int) *night {
	t.Helper()
	w, err := sandbox.New(t.Context(), "127.0.0.1:0", 1, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	require.NoError(t, w.Live())
	start := time.Now().UTC().Add(-time.Minute)
	w.Connect.SetMaintenance(true)
	for i := range n {
		order := commercetest.NewOrder{Subscription: strconv.Itoa(2_000_000 + i),
			Vendor: []string{"", "", "1000101", "1000102"}[i%4]}
		if i%5 == 4 { // changes what was bought just before
			order.Type, order.Subscription, order.Vendor = commerce.TypeChange, strconv.Itoa(2_000_000+i-4), ""
		}
		w.Commerce.Place(order)
		if i%20 == 0 {
			placed := w.Commerce.Place(commercetest.NewOrder{FailWith: testkit.FailInvalidValue})
			require.NoError(t, w.Commerce.Forbid(placed.ID, "no resubmission helps it"))
		}
	}
	h := &night{World: w, dir: t.TempDir(), healed: make(map[string]bool)}
	require.Eventually(t, func() bool { return len(h.in(commerce.StatusProvisioningFailed)) == n+n/20 }, time.Minute,
		50*time.Millisecond)
	w.Connect.SetMaintenance(false)
	windows := filepath.Join(h.dir, "windows.json")
	require.NoError(t, os.WriteFile(windows, fmt.Appendf(nil, `{"windows":[{"id":"W","start":%q,"end":%q}]}`,
		start.Format(time.RFC3339), time.Now().UTC().Format(time.RFC3339Nano)), 0o600))
	h.env = append(os.Environ(), asProgram+"=1", "COMMERCE_TOKEN="+w.CommerceToken, "CONNECT_API_KEY="+w.ConnectKey)
	h.args = []string{
		"-commerce", w.CommerceURL, "-connect", w.ConnectURL, "-windows", windows, "-apply", "-json",
		"-settle", "100ms", "-look", "20ms", "-at-once", "4",
		"-attempts", "100", "-spacing", "200ms",
	}
	return h
}

// in are the numbers of the orders in a status.
func (h *night) in(s commerce.Status) map[string]bool {
	numbers := make(map[string]bool)
	for _, o := range h.Commerce.Orders() {
		if o.Status == s {
			numbers[o.Number] = true
		}
	}
	return numbers
}

func (h *night) accepted() (total int, most map[string]int) {
	most = make(map[string]int)
	for _, call := range h.Commerce.Ledger() {
		if call.Accepted {
			total++
			most[call.Number]++
		}
	}
	return total, most
}

// life is the program as a process, from its start to its end.
type life struct {
	killed         bool
	status         int
	stdout, stderr bytes.Buffer
}

// moment is when a program is killed: a while after so many more pushes.
type moment struct {
	pushes int
	while  time.Duration
}

// patience is how long a program is let live that does not push.
const patience = 3 * time.Second

// live runs the program, and kills it if a moment is given.
func (h *night) live(t *testing.T, kill *moment, args ...string) *life {
	t.Helper()
	l := new(life)
	cmd := exec.CommandContext(t.Context(), os.Args[0], append(h.args[:len(h.args):len(h.args)], args...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = h.env, &l.stdout, &l.stderr
	before := len(h.Commerce.Ledger())
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if kill != nil {
		h.await(before, *kill, ended)
		_ = cmd.Process.Kill() // which an ended one does not mind
	}
	<-ended
	l.status, l.killed = cmd.ProcessState.ExitCode(), kill != nil && l.stdout.Len() == 0
	return l
}

// await returns when the moment has come, or the program has ended before.
func (h *night) await(before int, m moment, ended chan error) {
	look, end := time.NewTicker(5*time.Millisecond), time.NewTimer(patience)
	defer look.Stop()
	defer end.Stop()
	for {
		select {
		case err := <-ended:
			ended <- err
			return
		case <-end.C:
			return
		case <-look.C:
			if len(h.Commerce.Ledger())-before >= m.pushes {
				look.Stop()
				end.Reset(m.while)
			}
		}
	}
}

// plan makes the plan, if there is none. Planning takes longer at the rate of the lives that
// are killed than a program is let live that does not push.
func (h *night) plan(t *testing.T, path string) {
	t.Helper()
	planner := *h
	planner.args = slices.DeleteFunc(slices.Clone(h.args), func(arg string) bool { return arg == "-apply" })
	var l *life
	for range 20 { // the servers may break down, and the maintenance may just have ended
		if l = planner.live(t, nil, "-rate", "10000", "-plan", path); l.status != exitDone {
			continue
		}
		if l.summary(t).Plan.Wait == 0 {
			return
		}
		require.NoError(t, os.Remove(path))
	}
	require.Fail(t, "no plan", "%s", &l.stderr)
}

func (l *life) summary(t *testing.T) summary {
	t.Helper()
	var s summary
	require.NoError(t, json.Unmarshal(l.stdout.Bytes(), &s), "%s", &l.stderr)
	return s
}

// haunt kills the program over and over, at moments that nobody chose, starts it
// again with the same command, and lets it end.
func (h *night) haunt(t *testing.T, random *rand.Rand, kills, orders int, args ...string) *life {
	t.Helper()
	for left := kills; left > 0; left-- {
		pushed, _ := h.accepted()
		// A third are killed wherever they are, perhaps before they do anything. The
		// others get on, by as much as makes the orders last for all the kills.
		kill := moment{while: time.Duration(random.Int64N(int64(200 * time.Millisecond)))}
		if random.IntN(3) > 0 {
			kill = moment{pushes: 1 + random.IntN(max(1, (orders-pushed)/left)),
				while: time.Duration(random.Int64N(int64(20 * time.Millisecond)))}
		}
		l := h.live(t, &kill, args...)
		require.True(t, l.killed, "it ended with %d, and was to be killed %d times more: %s", l.status, left, &l.stderr)
	}
	pushed, _ := h.accepted()
	t.Logf("%d of %d orders were pushed when it was killed for the last time", pushed, orders)
	return h.live(t, nil, args...)
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
	kills = 20
	if testing.Short() {
		kills = 2
	}
	return setting(t, "CRASH_KILLS", kills), uint64(setting(t, "CRASH_SEED", 1))
}

// ordersPerKill are enough orders for the program to still have some when it is killed for the last time.
// A multiple of 20 keeps the orders that no resubmission helps countable.
const ordersPerKill = 20

// The faults of the servers come on top, and the answers to pushes that they lose.
func TestCrash_while_the_servers_break_down_ends_well(t *testing.T) {
	t.Parallel()
	kills, seed := crashes(t)
	kills = max(2, kills/10)
	orders := kills * ordersPerKill
	h := newNight(t, orders)
	require.NoError(t, h.BreakDown())
	plan := filepath.Join(h.dir, "plan.jsonl")
	h.plan(t, plan)
	l := h.haunt(t, rand.New(rand.NewPCG(seed, 1)), kills, orders, "-rate", "600", "-plan", plan)
	require.Equal(t, exitDone, l.status, "%s", &l.stderr)
	require.Equal(t, orders, l.summary(t).Result.Completed, "%s", &l.stderr)
	h.requireHealed(t, orders)
}

func TestCrash_ends_like_a_run_that_is_not_killed(t *testing.T) {
	t.Parallel()
	kills, seed := crashes(t)
	orders := kills * ordersPerKill
	h, twin := newNight(t, orders), newNight(t, orders)
	plan, log := filepath.Join(h.dir, "plan.jsonl"), filepath.Join(h.dir, "audit.jsonl")
	start := time.Now()
	random := rand.New(rand.NewPCG(seed, 0))
	planning := max(1, kills/20)
	for range planning {
		h.live(t, &moment{while: time.Duration(random.Int64N(int64(time.Second)))},
			"-rate", "600", "-unreviewed", "-plan", plan)
	}
	h.plan(t, plan)
	l := h.haunt(t, random, kills-planning, orders, "-rate", "600", "-plan", plan, "-audit", log)
	t.Logf("%d kills with seed %d took %v", kills, seed, time.Since(start).Round(time.Second))

	undisturbed := twin.live(t, nil, "-rate", "10000")
	require.Equal(t, undisturbed.status, l.status, "%s", &l.stderr)
	require.Equal(t, undisturbed.summary(t), l.summary(t), "%s", &l.stderr)
	h.requireHealed(t, orders)
	twin.requireHealed(t, orders)
	require.Equal(t, twin.in(commerce.StatusCompleted), h.in(commerce.StatusCompleted))

	j, err := journal.Open(plan+".journal", journal.ReadOnly())
	require.NoError(t, err)
	require.NoError(t, j.Check())
	require.NoError(t, j.Close())
	_, err = audit.VerifyFile(log)
	require.NoError(t, err)
}

// requireHealed looks into the books of the servers.
func (h *night) requireHealed(t *testing.T, orders int) {
	t.Helper()
	require.Empty(t, h.Violations())
	total, each := h.accepted()
	require.Equal(t, orders, total)
	require.Len(t, each, orders, "each order was pushed once")
	require.Len(t, h.in(commerce.StatusCompleted), orders)
	require.Len(t, h.in(commerce.StatusProvisioningFailed), orders/20, "the others were left alone")
}
