//go:build unix

package sqljournal_test

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/sqljournal"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

var (
	orders = flag.Int("orders", 60, "how many orders the processes complete")
	kills  = flag.Int("kills", 12, "how many processes are killed")
	every  = flag.Duration("every", time.Second, "how often a process is killed")
	lease  = flag.Duration("lease", 10*time.Second, "how long leases last")
	outage = flag.Duration("outage", 3*time.Second, "how long the database cannot be reached")
)

const programVariable = "SQLJOURNAL_PROGRAM"

// program is a replica of a billing service, as a process. As JSON in the environment it makes a copy of this test one.
type program struct {
	Place             place
	Dir, Anchor       string
	Commerce, Connect string // URLs
	Window            maintenance.Window
	Plan              string // path of a plan to apply before the state directory makes its own; "" for none
	Lease             time.Duration
	Suspend           bool // it stops itself between its first claim and the push
}

// rate is the limit of calls per second, of all programs together.
const rate = 10

// settle is the settle delay. The time of a push and the age of a claim are shortened with it.
const settle = 4 * time.Second

// runProgram is the main function of the program.
func runProgram(settings string) int {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends
		os.Exit(1)
	}()
	var p program
	err := json.Unmarshal([]byte(settings), &p)
	if err == nil {
		err = p.run(context.Background())
	}
	if _, early := errors.AsType[*resubmit.TooEarlyError](err); err != nil && !early {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (p *program) run(ctx context.Context) error {
	db, err := sql.Open(p.Place.Driver, p.Place.DSN)
	if err != nil {
		return err
	}
	defer db.Close()
	cfg, err := p.config(ctx, db)
	if err != nil {
		return err
	}
	if p.Plan != "" {
		if err := apply(ctx, cfg, p.Plan); err != nil {
			return err
		}
	}
	d, err := state.Open(ctx, p.Dir, *cfg)
	if err != nil {
		return err
	}
	_, err = d.Once(ctx, state.OnceOptions{WaitUntil: time.Now().Add(time.Minute)})
	return err
}

// apply applies a plan.
func apply(ctx context.Context, cfg *state.Config, path string) error {
	r, err := resubmit.NewRunner(runnerConfig(cfg))
	if err != nil {
		return err
	}
	pl, err := plan.Open(path)
	if err != nil {
		return err
	}
	defer pl.Close()
	_, err = r.Apply(ctx, pl)
	return err
}

// runnerConfig returns the configuration of a Runner without a state directory.
func runnerConfig(cfg *state.Config) resubmit.Config {
	c := cfg.Runner
	c.Systems, c.Policy, c.Journal, c.Calendar = cfg.Systems, cfg.Policy, cfg.Journal, cfg.Calendar
	return c
}

// config opens the journal, and returns the configuration of a state directory.
func (p *program) config(ctx context.Context, db *sql.DB) (*state.Config, error) {
	prefix, lease := sqljournal.WithPrefix(p.Place.Prefix), sqljournal.WithLease(p.Lease)
	if err := sqljournal.Migrate(ctx, db, p.Place.Dialect, prefix); err != nil {
		return nil, err
	}
	journal, err := sqljournal.Open(ctx, db, p.Place.Dialect, prefix, lease)
	if err != nil {
		return nil, err
	}
	orders, err1 := ordermanager.New(p.Commerce, ordermanager.Token(commercetest.DefaultToken))
	requests, err2 := connect.New(p.Connect, connect.APIKey(connecttest.DefaultKey))
	calendar, err3 := maintenance.NewCalendar([]maintenance.Window{p.Window})
	if err := cmp.Or(err1, err2, err3); err != nil {
		return nil, err
	}
	cfg := &state.Config{
		Systems: resubmit.SystemsOf(orders, orders), Journal: journal, Anchor: state.FileAnchor(p.Anchor),
		Plan:     resubmit.PlanConfig{Filter: filter.Everything(), RateLimit: rate},
		Calendar: func() *maintenance.Calendar { return calendar }, Program: "replica",
	}
	cfg.Systems.Requests, cfg.Systems.Prober, cfg.Systems.SharedRate = requests, requests, journal
	cfg.Limits.MaxOrders = -1
	cfg.Policy.SettleDelay, cfg.Policy.Retry.Spacing, cfg.Runner.RateLimit = settle, -1, rate
	if p.Suspend {
		cfg.Journal, cfg.Runner.Concurrency = suspending{journal}, 1
	}
	cfg.Runner.MinRateFraction, cfg.Runner.Verify.InitialInterval = -1, time.Second
	return cfg, nil
}

// suspending is a journal that stops its process when a claim was written.
type suspending struct{ *sqljournal.Journal }

func (j suspending) Put(ctx context.Context, d resubmit.Durability, records ...protocol.Record) (uint64, error) {
	seq, err := j.Journal.Put(ctx, d, records...)
	if o := records[0].Order; err == nil && o != nil && o.Phase == protocol.Claimed {
		err = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		time.Sleep(time.Second) // this thread may run on for a moment
	}
	return seq, err
}

// meter counts the calls of the programs.
type meter struct {
	mu    sync.Mutex
	calls []time.Time
}

// count has the calls of a handler counted.
func (m *meter) count(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		m.calls = append(m.calls, time.Now())
		m.mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

// most returns how many calls there were, and the most in any second.
func (m *meter) most() (all, most int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	end := 0
	for i, first := range m.calls {
		for end < len(m.calls) && m.calls[end].Sub(first) < time.Second {
			end++
		}
		most = max(most, end-i)
	}
	return len(m.calls), most
}

// world is the two systems, with orders that failed in a maintenance that ended long ago, and the replicas.
type world struct {
	commerce *commercetest.System
	connect  *connecttest.System
	calls    meter
	program  program
}

func newWorld(t *testing.T, p place, orders int) *world {
	t.Helper()
	end := time.Now().Add(-2 * time.Hour).UTC().Truncate(time.Second)
	w := &world{program: program{
		Place: p, Dir: t.TempDir(), Lease: *lease,
		Window: maintenance.Window{ID: "W", Start: end.Add(-2 * time.Hour), End: end},
	}}
	w.program.Anchor = filepath.Join(w.program.Dir, "anchor.json")
	var clock testkit.Clock
	clock.Set(w.program.Window.Start)
	w.connect = connecttest.New(connecttest.Config{Seed: 1, Now: clock.Now})
	connectURL, err := w.connect.Start() // for Commerce, whose calls are not counted
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.connect.Close()) })
	counted := httptest.NewServer(w.calls.count(w.connect))
	t.Cleanup(counted.Close)
	w.program.Connect = counted.URL + "/public/v1"
	w.commerce, err = commercetest.New(commercetest.Config{
		Seed: 1, Now: clock.Now, ConnectURL: connectURL, ConnectKey: connecttest.DefaultKey,
		InMaintenance: w.connect.InMaintenance, PollInterval: 50 * time.Millisecond, StaleEventFor: settle,
		StaleReadsFor: settle / 4,
	})
	require.NoError(t, err)
	server := httptest.NewServer(w.calls.count(w.commerce))
	t.Cleanup(server.Close)
	w.program.Commerce = server.URL
	w.connect.SetMaintenance(true)
	for i := range orders {
		clock.Add(2 * time.Hour / time.Duration(orders+1))
		w.place(t, i)
	}
	clock.Set(w.program.Window.End)
	w.connect.SetMaintenance(false)
	clock.Set(time.Time{})
	w.live(t)
	return w
}

// place makes an order fail. Every third one changes the subscription of the order before.
func (w *world) place(t *testing.T, i int) {
	t.Helper()
	spec := commercetest.OrderSpec{Subscription: strconv.Itoa(2_000_000 + i), Customer: strconv.Itoa(3_000_000 + i)}
	if i%3 == 2 {
		spec.Type = commerce.TypeChange
		spec.Subscription, spec.Customer = strconv.Itoa(2_000_000+i-1), strconv.Itoa(3_000_000+i-1)
	}
	o := w.commerce.Place(spec)
	require.NoError(t, w.commerce.Step(t.Context()))
	o, _ = w.commerce.Order(o.ID)
	require.Equal(t, commerce.StatusProvisioningFailed, o.Status)
}

// live lets the orders proceed in real time until the test ends.
func (w *world) live(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- w.commerce.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

// left returns how many orders are not completed.
func (w *world) left() (n int) {
	for _, o := range w.commerce.Orders() {
		if o.Status != commerce.StatusCompleted {
			n++
		}
	}
	return n
}

// check checks that all orders are completed, and that no failure was pushed twice, by the ledgers of the systems.
func (w *world) check(t *testing.T) {
	t.Helper()
	require.Zero(t, w.left())
	require.Empty(t, w.commerce.Violations())
	require.Empty(t, w.connect.Violations())
	calls, most := w.calls.most()
	t.Logf("%d calls, at most %d in a second", calls, most)
	require.LessOrEqual(t, most, rate+1, "calls in a second, of all processes")
	type failure struct {
		order  string
		number int
	}
	accepted := make(map[failure]int)
	for _, c := range w.commerce.Pushes() {
		if f := (failure{c.Number, c.FailureNumber}); c.Accepted {
			accepted[f]++
			require.Equal(t, 1, accepted[f], "%v", f)
		}
	}
}

// replica is a process that is started again and again.
type replica struct {
	program program

	mu      sync.Mutex
	running *exec.Cmd
	stderr  bytes.Buffer
}

// start starts the program, and returns when it has ended.
func (r *replica) start(t *testing.T) (killed bool, err error) {
	settings, err := json.Marshal(r.program)
	if err != nil {
		return false, err
	}
	c := exec.CommandContext(t.Context(), os.Args[0])
	r.stderr.Reset()
	c.Env, c.Stderr = append(os.Environ(), programVariable+"="+string(settings)), &r.stderr
	if _, err := c.StdinPipe(); err != nil { // the program ends when the test ends
		return false, err
	}
	if err := c.Start(); err != nil {
		return false, err
	}
	r.set(c)
	err = c.Wait()
	r.set(nil)
	if c.ProcessState.ExitCode() == -1 {
		return true, nil
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, &r.stderr)
	}
	return false, err
}

func (r *replica) set(c *exec.Cmd) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running = c
}

// signal sends a signal to the process, and reports whether there was one.
func (r *replica) signal(s os.Signal) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.running != nil && r.running.Process.Signal(s) == nil
}

// suspended reports whether the process is stopped.
func (r *replica) suspended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running == nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.running.Process.Pid))
	return err == nil && bytes.Contains(stat, []byte(") T "))
}

// disturb kills and suspends processes for some time, or until all orders are completed.
func (w *world) disturb(t *testing.T, replicas []*replica, restart func(), database *proxy) (killed, stops int) {
	t.Helper()
	var suspended sync.WaitGroup
	defer suspended.Wait()
	for tick := time.NewTicker(*every); killed < *kills && w.left() > 0; {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			return killed, stops
		}
		r := replicas[rand.N(len(replicas))]
		switch {
		case killed%12 == 3 && stops == killed/12:
			if r.signal(syscall.SIGSTOP) {
				stops++
				suspended.Go(func() {
					time.Sleep(*lease + 2*time.Second)
					r.signal(syscall.SIGCONT)
				})
			}
		case r.signal(syscall.SIGKILL):
			switch killed++; {
			case killed%12 == 6:
				restart()
			case killed == *kills*3/4:
				database.disconnect(*outage)
			}
		}
	}
	return killed, stops
}

// TestProcesses runs three processes with one journal, kills them and its server again and again, and once cuts the
// connection to it, until all orders are completed. A longer test:
//
//	go test -run TestProcesses -v -timeout 60m -orders 2000 -kills 60 -every 5s -lease 20s -outage 30s
func TestProcesses(t *testing.T) {
	t.Parallel()
	for what, onePlan := range map[string]bool{"state directories": false, "one plan": true} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for _, d := range dialects() {
				t.Run(string(d), func(t *testing.T) {
					t.Parallel()
					testProcesses(t, d, onePlan)
				})
			}
		})
	}
}

func testProcesses(t *testing.T, d sqljournal.Dialect, onePlan bool) {
	t.Helper()
	p, restart := placeFor(t, sqljournal.SQLite, t.TempDir()), func() {}
	var database *proxy
	if d != sqljournal.SQLite {
		s := servers[d].own(t)
		database = startProxy(t, s.dir, s.socket)
		p = place{d, s.driver, s.dsn(database.dir, s.root, s.database(t)), "cloudblue_"}
		restart = func() {
			s.kill(t)
			s.start(t)
		}
	}
	w := newWorld(t, p, *orders)
	cfg, err := w.program.config(t.Context(), p.open(t))
	require.NoError(t, err)
	lease, err := cfg.Journal.Begin(t.Context(), resubmit.JournalUse{
		System: cfg.Systems.Name, BaseURL: cfg.Systems.BaseURL, IDSpace: cfg.Systems.Capabilities.IDSpace,
	})
	require.NoError(t, err)
	require.NoError(t, cfg.Anchor.Store(t.Context(), lease.Position))
	if onePlan {
		w.program.Plan = filepath.Join(w.program.Dir, "plan")
		c := cfg.Plan
		c.Systems, c.Policy, c.Journal, c.Calendar = cfg.Systems, cfg.Policy, cfg.Journal, cfg.Calendar()
		_, err := resubmit.WritePlanFile(t.Context(), c, w.program.Plan)
		require.NoError(t, err)
	}
	replicas := make([]*replica, 3)
	var all sync.WaitGroup
	var failures atomic.Int32
	for i := range replicas {
		r := &replica{program: w.program}
		r.program.Dir = filepath.Join(w.program.Dir, strconv.Itoa(i))
		replicas[i] = r
		all.Go(func() {
			for deadline := time.Now().Add(50 * time.Minute); w.left() > 0 && time.Now().Before(deadline); {
				if _, err := r.start(t); err != nil {
					failures.Add(1) // it is started again, as after a kill
					t.Log(err)
					time.Sleep(time.Second)
				}
			}
		})
	}
	killed, stops := w.disturb(t, replicas, restart, database)
	all.Wait()
	t.Logf("%d kills, %d suspensions, %d restarts after an error, %d pushes",
		killed, stops, failures.Load(), len(w.commerce.Pushes()))
	w.check(t)
}

// TestSuspendedBeforeThePush stops a process between a claim and its push until its lease is over. It must send nothing
// when it continues; another process does.
func TestSuspendedBeforeThePush(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, p place) {
		w := newWorld(t, p, 3)
		r := &replica{program: w.program}
		r.program.Suspend = true
		ended := make(chan error, 1)
		go func() {
			_, err := r.start(t)
			ended <- err
		}()
		require.Eventually(t, r.suspended, time.Minute, 10*time.Millisecond)
		<-time.After(*lease + 2*time.Second)
		require.Empty(t, w.commerce.Pushes())
		require.True(t, r.signal(syscall.SIGCONT))
		require.ErrorContains(t, <-ended, "the lease of the journal is over")
		require.Empty(t, w.commerce.Pushes(), "it sent an order whose lease was over")
		other := &replica{program: w.program}
		for w.left() > 0 {
			_, err := other.start(t)
			require.NoError(t, err)
		}
		w.check(t)
	})
}
