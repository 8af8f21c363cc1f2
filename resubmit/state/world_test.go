package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// world replaces planner, Runner and journal files. Its failed orders are planned, and completed when they are sent.
type world struct {
	t      *testing.T
	dir    string
	cfg    Config
	log    *lines
	anchor *anchor

	mu       sync.Mutex
	failed   []*plan.Entry
	sent     map[string]int
	applied  []string // digests
	journals map[string]*resubmit.MemoryJournal
	step     func(string) error
	files    func(path string, readOnly bool) (resubmit.Journal, func() error, error) // journals; nil: in memory
	// beforePush is called before each push. An error of it ends the run.
	beforePush func(ctx context.Context, r *fakeRunner, e *plan.Entry) error
	planErr    error
	planned    resubmit.PlanConfig // the last one
	// whilePlanning is called while a plan is made, if it is set.
	whilePlanning func(ctx context.Context) error
	policy        json.RawMessage // in the header of plans
	ledger        string          // the file with the numbers of the orders that were sent; "": they are kept in memory
	rates         []float64
}

func newWorld(t *testing.T, orders ...*plan.Entry) *world {
	t.Helper()
	w := &world{
		t: t, dir: filepath.Join(t.TempDir(), "state"), log: new(lines), anchor: new(anchor), failed: orders,
		sent: make(map[string]int), journals: make(map[string]*resubmit.MemoryJournal),
		step: func(string) error { return nil },
	}
	w.cfg = Config{
		Systems: resubmit.Systems{Name: "commerce of " + t.Name(), Capabilities: commerce.Capabilities{Transitions: true}},
		Plan:    newPlanConfig(),
		Anchor:  w.anchor, Program: "nightly", Command: "am -state DIR",
		Logger: slog.New(slog.NewTextHandler(w.log, nil)),
	}
	return w
}

func newPlanConfig() resubmit.PlanConfig { return resubmit.PlanConfig{Filter: filter.Everything()} }

func order(n int) *plan.Entry {
	e := &plan.Entry{
		OrderID: fmt.Sprint(n), Number: fmt.Sprintf("SO%d", n), Type: commerce.TypeSales,
		Before:      plan.Snapshot{Status: commerce.StatusProvisioningFailed, Message: "Connect is down"},
		Attribution: failure.Attribution{Verdict: failure.Caused, Class: failure.Transient},
		Decision:    rules.Decision{Action: rules.Resubmit, RuleID: "r", Why: "w"},
		Total:       commerce.Money{Amount: decimal.NewFromInt(10), Currency: "EUR"},
	}
	e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
	return e
}

func someOrders(n int) (all []*plan.Entry) {
	for i := range n {
		all = append(all, order(i+1))
	}
	return all
}

func waiting(n int, due time.Time) *plan.Entry {
	e := order(n)
	e.Decision.Action, e.Due = rules.Wait, due
	return e
}

func (w *world) open() *Dir {
	w.t.Helper()
	d, err := w.tryOpen()
	require.NoError(w.t, err)
	return d
}

func (w *world) tryOpen() (*Dir, error) { return w.tryOpenWith(w.t.Context()) }

func (w *world) tryOpenWith(ctx context.Context) (*Dir, error) {
	d, err := open(w.dir, w.cfg)
	if err != nil {
		return nil, err
	}
	w.rig(d)
	_, closing, err := d.journals.use(ctx, true)
	if err != nil {
		return nil, err
	}
	return d, closing()
}

func (w *world) rig(d *Dir) {
	d.journals.open, d.writePlan = w.openJournal, w.writePlan
	if w.files != nil {
		d.journals.open = w.files
	}
	d.runs.step = func(name string) error { return w.step(name) }
	d.newRunner = func(c resubmit.Config) (runner, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.rates = append(w.rates, c.RateLimit)
		return &fakeRunner{w: w, cfg: c, wake: make(chan struct{})}, nil
	}
}

// fail replaces the failed orders.
func (w *world) fail(orders ...*plan.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = orders
}

// once calls Once with a Dir of its own, as a process would.
func (w *world) once() (*Result, error) { return w.open().Once(w.t.Context(), OnceOptions{}) }

func (w *world) openJournal(path string, readOnly bool) (resubmit.Journal, func() error, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && !readOnly {
		content = fmt.Appendf(nil, "journal %d", len(w.journals))
		err = durable.Replace(path, content, 0o600)
	}
	if err != nil {
		return nil, nil, err
	}
	j := w.journals[string(content)]
	if j == nil {
		j = new(resubmit.MemoryJournal)
		w.journals[string(content)] = j
	}
	return j, func() error { return nil }, nil
}

func (w *world) writePlan(ctx context.Context, cfg resubmit.PlanConfig, path string) (plan.ActionCounts, error) {
	w.mu.Lock()
	w.planned = cfg
	while := w.whilePlanning
	w.mu.Unlock()
	if while != nil {
		if err := while(ctx); err != nil {
			return plan.ActionCounts{}, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readLedger()
	if w.planErr != nil {
		return plan.ActionCounts{}, w.planErr
	}
	lease, err := cfg.Journal.Begin(ctx, resubmit.JournalUse{System: cfg.Name})
	if err != nil {
		return plan.ActionCounts{}, err
	}
	f, err := durable.Create(path, 0o600)
	if err != nil {
		return plan.ActionCounts{}, err
	}
	defer f.Abort()
	pw, err := plan.NewWriter(f, plan.Header{
		CreatedAt: time.Now(), System: cfg.Name, View: "v", Filter: cfg.Filter.String(),
		Journal: lease.Position, Policy: w.policy,
	})
	for _, e := range w.failed {
		if err == nil && (w.ledger == "" || w.sent[e.Number] == 0) {
			err = pw.Write(e)
		}
	}
	if err != nil {
		return plan.ActionCounts{}, err
	}
	counts, _, err := pw.Close()
	if err != nil {
		return plan.ActionCounts{}, err
	}
	return counts, f.Commit()
}

// sends returns how often each order was sent.
func (w *world) sends() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readLedger()
	return maps.Clone(w.sent)
}

type fakeRunner struct {
	w   *world
	cfg resubmit.Config

	mu                          sync.Mutex
	paused, draining, cancelled bool
	rate                        float64
	done                        int
	wake                        chan struct{}
}

func (r *fakeRunner) Apply(ctx context.Context, p *plan.Plan) (*resubmit.Report, error) {
	r.w.mu.Lock()
	r.w.applied = append(r.w.applied, p.Digest())
	r.w.mu.Unlock()
	j := r.cfg.Journal
	use := resubmit.JournalUse{System: r.cfg.Name, Plan: p.Digest(), After: p.Header().Journal}
	if _, err := j.Begin(ctx, use); err != nil {
		return nil, err
	}
	report := &resubmit.Report{PlanDigest: p.Digest(), StartedAt: time.Now()}
	for e, err := range p.Entries() {
		if err != nil {
			return nil, err
		}
		if e.Decision.Action != rules.Resubmit {
			continue
		}
		item, err := r.attempt(ctx, j, p.Digest(), e)
		if err != nil {
			return report, err
		}
		report.Items = append(report.Items, item)
		report.Result.Completed++
		r.mu.Lock()
		r.done++
		r.mu.Unlock()
	}
	report.FinishedAt = time.Now()
	return report, nil
}

func (r *fakeRunner) attempt(ctx context.Context, j resubmit.Journal, run string,
	e *plan.Entry) (resubmit.Item, error) {
	item := resubmit.Item{OrderID: e.OrderID, Number: e.Number, Outcome: protocol.Completed}
	known, err := j.Get(ctx, protocol.OrderKey(e.OrderID))
	if err != nil || known.Order != nil && known.Order.Phase == protocol.Ended {
		return item, err
	}
	put := func(version uint64, phase protocol.Phase, outcome protocol.Outcome) (uint64, error) {
		return j.Put(ctx, resubmit.Durable, protocol.Record{
			Key: protocol.OrderKey(e.OrderID), Version: version, At: time.Now(), Order: &protocol.Order{
				Number: e.Number, Run: run, Fingerprint: e.Fingerprint, Phase: phase, Outcome: outcome,
			},
		})
	}
	if known.Order != nil && r.w.sends()[e.Number] > 0 { // the process was killed after the push
		_, err = put(known.Version, protocol.Ended, protocol.Completed)
		return item, err
	}
	if err := r.gate(ctx); err != nil {
		return item, err
	}
	if r.w.beforePush != nil {
		if err := r.w.beforePush(ctx, r, e); err != nil {
			return item, err
		}
	}
	version, err := put(known.Version, protocol.Claimed, "")
	if err == nil {
		err = r.w.send(e)
	}
	if err == nil {
		_, err = put(version, protocol.Ended, protocol.Completed)
	}
	return item, err
}

// send sends an order, which completes.
func (w *world) send(e *plan.Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent[e.Number]++
	w.failed = slices.DeleteFunc(w.failed, func(o *plan.Entry) bool { return o.OrderID == e.OrderID })
	if w.ledger == "" {
		return nil
	}
	f, err := os.OpenFile(w.ledger, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, e.Number)
	return errors.Join(err, f.Close())
}

// readLedger counts what other processes have sent too.
func (w *world) readLedger() {
	if w.ledger == "" {
		return
	}
	text, err := os.ReadFile(w.ledger)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		panic(err)
	}
	clear(w.sent)
	for _, number := range strings.Fields(string(text)) {
		w.sent[number]++
	}
}

// gate waits while the run is paused.
func (r *fakeRunner) gate(ctx context.Context) error {
	for {
		r.mu.Lock()
		paused, draining, cancelled, wake := r.paused, r.draining, r.cancelled, r.wake
		r.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case cancelled:
			return resubmit.ErrCancelled
		case draining:
			return resubmit.ErrDrained
		case !paused:
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
		}
	}
}

func (r *fakeRunner) set(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	close(r.wake)
	r.wake = make(chan struct{})
}

func (r *fakeRunner) Pause()  { r.set(func() { r.paused = true }) }
func (r *fakeRunner) Resume() { r.set(func() { r.paused = false }) }
func (r *fakeRunner) Drain()  { r.set(func() { r.draining = true }) }
func (r *fakeRunner) Cancel() { r.set(func() { r.cancelled = true }) }
func (r *fakeRunner) SetLimits(rate float64, _ int) error {
	r.set(func() { r.rate = rate })
	return nil
}

func (r *fakeRunner) Status() resubmit.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := resubmit.Status{State: resubmit.StateRunning, Total: 100, Done: r.done}
	if r.paused {
		s.State = resubmit.StatePaused
	}
	return s
}

// anchor is an Anchor in memory.
type anchor struct {
	mu  sync.Mutex
	at  plan.Position
	err error
	n   int
}

func (a *anchor) Load(context.Context) (plan.Position, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at, nil
}

func (a *anchor) Store(_ context.Context, p plan.Position) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return a.err
	}
	a.at, a.n = p, a.n+1
	return nil
}

func (a *anchor) position() plan.Position {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func oneLine(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	require.NotContains(t, err.Error(), "\n")
}
