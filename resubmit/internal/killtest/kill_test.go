package killtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

var (
	kills     = flag.Int("kills", 0, "how often each program is killed, with the default settings; 0: a short test")
	processes = flag.Int("processes", 4, "how many programs run at the same time")
	pause     = flag.Duration("pause", 2*time.Minute, "mean time between two kills of a program")
	seed      = flag.Uint64("seed", 1, "seed of the moments")
)

func TestMain(m *testing.M) {
	if settings := os.Getenv(programVariable); settings != "" {
		os.Exit(runProgram(settings))
	}
	flag.Parse()
	// The tests wait nearly all the time.
	if err := flag.Set("test.parallel", fmt.Sprint(max(*processes, 1))); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// counts are what happened.
type counts struct {
	mu         sync.Mutex
	moments    map[moment]int
	claims     int // kills with a claim in the journal whose result was not
	unanswered int // kills while an earlier push was being resolved
	verified   int // kills while an accepted push was being verified
	planning   int // kills before a plan was applied
	inFlight   int // orders with such a claim
	accepted   int // of them, those that Commerce had accepted by then
	runs       int // runs that were applied
	outcomes   map[protocol.Outcome]int
	starts     int
	longest    time.Duration
}

func (c *counts) String() string {
	var b bytes.Buffer
	total := 0
	for _, m := range slices.Sorted(maps.Keys(c.moments)) {
		fmt.Fprintf(&b, "  %d %s\n", c.moments[m], m)
		total += c.moments[m]
	}
	fmt.Fprintf(&b, "kills between claim and result: %d, while a push was resolved: %d, while one was verified: %d, "+
		"before a run: %d\n", c.claims, c.unanswered, c.verified, c.planning)
	fmt.Fprintf(&b, "orders with a claim and no result: %d, of which Commerce had accepted %d\n", c.inFlight, c.accepted)
	fmt.Fprintf(&b, "%d runs, %d starts of the program, the longest took %v; outcomes over all runs: %v", c.runs, c.starts,
		c.longest.Round(time.Second), c.outcomes)
	return fmt.Sprintf("%d kills:\n%s", total, &b)
}

// TestKills kills programs and repeats their commands until nothing is left to do.
func TestKills(t *testing.T) {
	quick := *kills == 0
	if quick && testing.Short() {
		t.Skip("it waits for a quarter of a minute")
	}
	c := &counts{moments: make(map[moment]int), outcomes: make(map[protocol.Outcome]int)}
	start := time.Now()
	t.Run("processes", func(t *testing.T) {
		for i := range *processes {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				newProcess(t, i, quick, c).test()
			})
		}
	})
	t.Logf("%d processes, seed %d, %v\n%v", *processes, *seed, time.Since(start).Round(time.Second), c)
}

// process is a program that is killed.
type process struct {
	*world
	t      *testing.T
	random *rand.Rand
	counts *counts
	quick  bool
	shots  []moment
	again  bool // it was killed at the second push of an order whose first one was lost
	start  time.Time
}

func newProcess(t *testing.T, i int, quick bool, c *counts) *process {
	p := &process{
		t: t, counts: c, quick: quick, random: testkit.Random(*seed, fmt.Sprint(i)), start: time.Now(),
	}
	for len(p.shots) < max(1, *kills) {
		p.shots = append(p.shots, moments[p.random.IntN(len(moments))])
	}
	switch { // an order whose push is lost twice is not moved, and completes with the next plan
	case quick && i == 0:
		p.shots = []moment{onWire, again}
	case *kills > 2 && i%3 == 0:
		p.shots[0], p.shots[len(p.shots)-1] = onWire, again
	}
	of := size{orders: 36, chain: 2, slow: 25 * time.Second}
	switch {
	case quick:
		of = size{quick: true, orders: 12, chain: 3, slow: 500 * time.Millisecond}
	case *kills > 1: // the last kill must find work too
		of = size{orders: 24 + 6**kills, chain: 5, slow: 80 * time.Second}
	}
	p.world = newWorld(t, *seed+uint64(i)<<32, of)
	return p
}

// test kills the program, and lets it finish.
func (p *process) test() {
	if !p.quick {
		time.Sleep(time.Duration(p.random.Int64N(int64(20 * time.Second)))) // not all at once
		p.start = time.Now()
	}
	for i := range p.shots {
		p.kill(i)
	}
	p.finish(nil)
	named, unproven := p.open()
	if len(named) > 0 {
		p.finish(named)
		named, unproven = p.open()
	}
	p.killer.later.Wait()
	require.Empty(p.t, named, "the server has not completed them")
	if !unproven {
		require.Empty(p.t, p.unfinished(), "the server has not completed them")
	}
	p.checkAll(unproven)
	p.count(func(c *counts) { c.longest = max(c.longest, time.Since(p.start)) })
}

// command is a program that was started.
type command struct {
	*exec.Cmd
	ended  chan struct{}
	stderr bytes.Buffer
}

func (p *process) command(named []string) *command {
	p.t.Helper()
	settings := p.program
	settings.Named = named
	text, err := json.Marshal(settings)
	require.NoError(p.t, err)
	c := &command{Cmd: exec.CommandContext(p.t.Context(), os.Args[0]), ended: make(chan struct{})}
	c.Env, c.Stderr = append(os.Environ(), programVariable+"="+string(text)), &c.stderr
	_, err = c.StdinPipe() // the program ends when the test ends
	require.NoError(p.t, err)
	require.NoError(p.t, c.Start())
	p.count(func(c *counts) { c.starts++ })
	go func() {
		defer close(c.ended)
		_ = c.Wait() // see ProcessState
	}()
	return c
}

// kill returns when the program has ended.
func (c *command) kill() {
	_ = c.Process.Kill() // it may have ended
	<-c.ended
}

// within returns a random time.
func (p *process) within(d time.Duration) time.Duration {
	return time.Duration(p.random.Int64N(int64(d)))
}

// scaled returns a duration for the settings of the test.
func (p *process) scaled(d, quick time.Duration) time.Duration {
	if p.quick {
		return quick
	}
	return d
}

// kill runs the program until it is killed.
func (p *process) kill(i int) {
	m := p.shots[i]
	wait, patience := p.within(p.scaled(20*time.Second, time.Second)), p.scaled(90*time.Second, 4*time.Second)
	switch {
	case i > 0 && !p.quick:
		wait = *pause/2 + p.within(*pause)
	case m != anytime:
		wait = 0
	}
	if m == again || slices.Contains(p.shots, again) && i == 0 {
		patience = p.scaled(15*time.Minute, 20*time.Second)
	}
	for {
		if m == again && !p.killer.hasLost() {
			m = onWire
		}
		c := p.command(nil)
		s := &shot{
			moment: m, delay: p.within(60 * time.Millisecond), skip: p.random.IntN(3), kill: c.kill,
			lag: p.scaled(20*time.Second, 200*time.Millisecond) + p.within(p.scaled(80*time.Second, 400*time.Millisecond)),
		}
		switch {
		case m == again || p.quick || slices.Contains(p.shots, again) && i == 0:
			s.skip = 0
		case m == nearClaim:
			s.skip = p.random.IntN(8)
			if p.newest() == nil {
				s.skip += len(p.commerce.Orders()) // the planner reads all
			}
		}
		if !waitFor(c.ended, wait) {
			p.killer.arm(s)
			over := m != anytime && waitFor(c.ended, patience)
			p.killer.arm(nil)
			if !over {
				s.moment = anytime
				c.kill()
			}
		}
		if c.ProcessState.ExitCode() == -1 {
			p.killed(s.moment)
			p.again = p.again || s.moment == again
			return
		}
		p.mustSucceed(c)
		if p.left() == "" { // it has nothing to do any more
			m, wait = anytime, p.within(p.scaled(4*time.Second, 100*time.Millisecond))
		}
	}
}

// waitFor reports whether the program has ended within a time.
func waitFor(ended <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ended:
		return true
	case <-timer.C:
		return false
	}
}

// finish repeats the command until nothing is left to do.
func (p *process) finish(named []string) {
	for range 20 {
		c := p.command(named)
		<-c.ended
		p.mustSucceed(c)
		if p.left() == "" {
			return
		}
	}
	require.Fail(p.t, "the command does not finish", p.left())
}

// mustSucceed requires that a program that was not killed was successful. If all orders wait, it waits for the first.
func (p *process) mustSucceed(c *command) {
	p.t.Helper()
	run := p.newest()
	if run != nil && run.End == state.EndTooEarly {
		time.Sleep(time.Until(run.Due))
		return
	}
	require.Zero(p.t, c.ProcessState.ExitCode(), "%s", &c.stderr)
}

func (p *process) runs() []state.Run {
	d, _, err := p.program.open(context.Background())
	require.NoError(p.t, err)
	runs, err := d.Runs()
	require.NoError(p.t, err)
	return runs
}

func (p *process) newest() *state.Run {
	runs := p.runs()
	if len(runs) == 0 {
		return nil
	}
	return &runs[len(runs)-1]
}

// left returns what is left to do; "" if nothing is left in the last plan but orders that an operator must decide about,
// and orders that wait for those.
func (p *process) left() string {
	run := p.newest()
	switch {
	case run == nil:
		return "there is no run"
	case run.End == state.EndNothing, run.End == state.EndTooEarly && run.Due.IsZero():
		return ""
	case run.End == state.EndFinished && run.Result.Total() > 0 &&
		run.Result.Total() == run.Result.Unknown+run.Result.Blocked: // the run before said the same of them
		return ""
	default:
		return run.String()
	}
}

func (p *process) count(f func(*counts)) {
	p.counts.mu.Lock()
	defer p.counts.mu.Unlock()
	f(p.counts)
}

// killed counts a kill, by what it left in the journal.
func (p *process) killed(m moment) {
	phases := make(map[protocol.Phase]int)
	accepted := 0
	for _, r := range p.records() {
		if r.Order == nil {
			continue
		}
		phases[r.Order.Phase]++
		if o, _ := p.commerce.Order(r.ID); r.Order.Phase == protocol.Claimed && o.Pushes > 0 {
			accepted++
		}
	}
	run := p.newest()
	p.count(func(c *counts) {
		c.moments[m]++
		switch {
		case phases[protocol.Claimed] > 0:
			c.claims++
		case phases[protocol.Unanswered] > 0:
			c.unanswered++
		case phases[protocol.Pushed] > 0:
			c.verified++
		case run == nil || run.StartedAt.IsZero():
			c.planning++
		}
		c.inFlight += phases[protocol.Claimed]
		c.accepted += accepted
	})
	p.t.Logf("%v: killed %s: %v", time.Since(p.start).Round(100*time.Millisecond), m, phases)
}

func (p *process) journal() string { return filepath.Join(p.program.Dir, "state", "journal") }

// records returns the records of the journal.
func (p *process) records() (records []protocol.Record) {
	j, err := journal.Open(p.journal(), journal.WithReadOnly())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	require.NoError(p.t, err)
	defer func() { require.NoError(p.t, j.Close()) }()
	for r, err := range j.Records(context.Background()) {
		require.NoError(p.t, err)
		records = append(records, r)
	}
	return records
}

// reports returns the orders of the reports of all runs that were to be resubmitted.
func (p *process) reports() (reports [][]report.Item) {
	d, _, err := p.program.open(context.Background())
	require.NoError(p.t, err)
	for _, run := range p.runs() {
		if _, err := os.Stat(d.Path(&run, "report.json")); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		doc, err := d.Document(&run)
		require.NoError(p.t, err)
		others := func(i report.Item) bool { return i.Action != rules.Resubmit }
		reports = append(reports, slices.DeleteFunc(doc.Items, others))
	}
	return reports
}

// last returns the last outcome of each order, by number.
func (p *process) last() map[string]*report.Item {
	last := make(map[string]*report.Item)
	for _, items := range p.reports() {
		for i := range items {
			last[items[i].Number] = &items[i]
		}
	}
	return last
}

// open returns the unfinished orders that the operator has to name, because they were not moved. unproven reports
// whether others have a push that may have been accepted. The rest are blocked by these.
func (p *process) open() (notMoved []string, unproven bool) {
	last := p.last()
	for _, number := range p.unfinished() {
		i := last[number]
		require.NotNil(p.t, i, number)
		switch i.Outcome {
		case protocol.NotMoved:
			notMoved = append(notMoved, number)
		case protocol.Unknown:
			unproven = true
			// Another order of the tenant was resubmitted shortly before: its request may be that of the push.
			require.Contains(p.t, i.Why, "so that a push may have been accepted")
		default:
			require.Equal(p.t, protocol.Blocked, i.Outcome, "%s: %s", number, i.Why)
		}
	}
	return notMoved, unproven
}

// checkAll checks the ledgers and what the program has recorded. unproven allows orders whose state is unknown.
func (p *process) checkAll(unproven bool) {
	notMoved := false
	require.NoError(p.t, p.check())
	require.NoError(p.t, p.halfDone())
	for _, items := range p.reports() {
		for _, i := range items {
			require.NotEmpty(p.t, i.Why)
			notMoved = notMoved || i.Outcome == protocol.NotMoved
			require.Contains(p.t, []protocol.Outcome{
				protocol.Completed, protocol.FailedAgain, protocol.NotMoved, protocol.Unknown,
				protocol.Blocked, protocol.NotStarted, // which the next plan has completed
			}, i.Outcome, "%s: %s", i.Number, i.Why)
			p.count(func(c *counts) { c.outcomes[i.Outcome]++ })
		}
		p.count(func(c *counts) { c.runs++ })
	}
	last := p.last()
	for _, o := range p.commerce.Orders() {
		i, ends := last[o.Number], []protocol.Outcome{protocol.Completed}
		if p.never[o.ID] {
			require.Nil(p.t, i)
			continue
		}
		if p.hopeless[o.ID] {
			ends = []protocol.Outcome{protocol.FailedAgain, protocol.NotMoved}
		}
		if unproven {
			ends = append(ends, protocol.Unknown, protocol.Blocked)
		}
		require.NotNil(p.t, i, o.Number)
		require.Contains(p.t, ends, i.Outcome, "%s: %s", o.Number, i.Why)
	}
	require.True(p.t, notMoved || unproven || !p.again)
	d, _, err := p.program.open(context.Background())
	require.NoError(p.t, err)
	_, err = d.VerifyAudit()
	require.NoError(p.t, err)
	_, err = journal.Check(p.journal())
	require.NoError(p.t, err)
}
