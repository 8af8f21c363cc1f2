package watch_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// notice is a window that the source announces for some time.
type notice struct {
	from, until time.Time // zero until: forever
	window      maintenance.Window
}

// site is Commerce, Connect and the announcements.
type site struct {
	*shop
	down    []maintenance.Span // when Connect does not answer
	notices []notice
	weekly  maintenance.WindowSource // nil: none

	mu      sync.Mutex
	broken  error // of the window source
	unready error // although Connect is up
	planErr error
	answers []watch.Approval // of Approve, then watch.Approved forever
	asked   []string         // digests
	asks    []time.Time
	readies []time.Time
	done    []watch.Episode
	runs    map[string]*state.Run // of closed episodes, with the last report
	items   []report.Item         // of reports that were read from files
	journal resubmit.Journal      // survives the processes
	anchor  state.Anchor          // survives the processes
	logged  []string
	hooked  map[string]int // how often each point was passed, of all processes
}

func newSite() *site {
	return &site{
		shop: &shop{orders: make(map[string]*order)}, runs: make(map[string]*state.Run),
		journal: new(resubmit.MemoryJournal), anchor: new(anchor), hooked: make(map[string]int),
	}
}

func (s *site) isDown(t time.Time) bool {
	return slices.ContainsFunc(s.down, func(d maintenance.Span) bool { return d.Contains(t) })
}

// breaks adds an order that fails at an instant.
func (s *site) breaks(at time.Time, reason string) *order { return s.add(at, reason) }

// Orders lists what has failed by now.
func (s *site) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		for _, o := range s.failed(q) {
			if ctx.Err() != nil || !yield(o, nil) {
				return
			}
		}
	}
}

func (s *site) Windows(ctx context.Context, from, to time.Time) ([]maintenance.Window, error) {
	s.mu.Lock()
	broken := s.broken
	s.mu.Unlock()
	if broken != nil {
		return nil, broken
	}
	var windows []maintenance.Window
	if s.weekly != nil {
		windows, _ = s.weekly.Windows(ctx, from, to)
	}
	now := time.Now()
	for _, n := range s.notices {
		if visible := (maintenance.Span{Start: n.from, End: n.until}); visible.Contains(now) {
			n.window.Source = "page"
			windows = append(windows, n.window)
		}
	}
	return windows, nil
}

// probe returns what a probe sees now.
func (s *site) probe() connect.Probe {
	p := connect.Probe{Class: connect.ClassUp, Version: "26.1", At: time.Now().UTC()}
	if s.isDown(time.Now()) {
		p = connect.Probe{Class: connect.ClassMaintenanceSuspected, At: time.Now().UTC(), Err: errors.New("502 Bad Gateway")}
	}
	return p
}

// process is one process of the service, which may be killed at any point.
type process struct {
	site    *site
	tracker *availability.Tracker
	watcher *watch.Watcher
	dir     string
	crash   func(point string) bool
	cancel  context.CancelFunc
	ended   chan struct{}
	err     error

	mu   sync.Mutex
	dead string // the directory as it was at the crash
}

var errDead = errors.New("the process was killed")

// start starts a process. crash reports the point at which it is killed; nil: never.
func (s *site) start(t *testing.T, dir string, remembered []byte, crash func(point string) bool) *process {
	return s.run(t, &process{site: s, dir: dir, crash: crash, ended: make(chan struct{})}, remembered,
		func(*watch.Config) {})
}

// run starts p. change may modify the configuration.
func (s *site) run(t *testing.T, p *process, remembered []byte, change func(*watch.Config)) *process {
	p.tracker = new(availability.Tracker)
	if remembered != nil {
		require.NoError(t, p.tracker.UnmarshalJSON(remembered))
	}
	cfg := p.config()
	change(&cfg)
	w, err := watch.New(t.Context(), cfg)
	require.NoError(t, err)
	p.watcher = w
	ctx, cancel := context.WithCancel(t.Context())
	p.cancel = cancel
	var probes sync.WaitGroup
	probes.Go(func() { p.probe(ctx) })
	go func() {
		defer close(p.ended)
		ended := w.Run(ctx)
		p.mu.Lock()
		p.err = errors.Join(p.err, ended)
		p.mu.Unlock()
		cancel()
		probes.Wait()
	}()
	return p
}

// probe updates the tracker at regular times, so that its windows are the same in each run.
func (p *process) probe(ctx context.Context) {
	tick := time.NewTimer(7 * time.Second)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		seen := p.site.probe()
		p.tracker.Observe(seen)
		pause := 4 * time.Minute
		if seen.Class != connect.ClassUp {
			pause = 20 * time.Second
		}
		tick.Reset(pause)
	}
}

// stop stops the process and returns the state of the tracker.
func (p *process) stop(t *testing.T) []byte {
	p.cancel()
	<-p.ended
	require.ErrorIs(t, p.err, context.Canceled)
	remembered, err := p.tracker.MarshalJSON()
	require.NoError(t, err)
	return remembered
}

// point is a point at which the process can be killed. It reports whether the process is dead.
func (p *process) point(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead != "" {
		return true
	}
	p.site.mu.Lock()
	p.site.hooked[name]++
	p.site.mu.Unlock()
	if p.crash == nil || !p.crash(name) {
		return false
	}
	p.dead, p.err = copyOf(p.dir)
	p.cancel()
	return true
}

// copyOf copies a directory in which other goroutines may be writing.
func copyOf(dir string) (string, error) {
	copied, err := os.MkdirTemp(filepath.Dir(dir), "crash")
	if err != nil {
		return "", err
	}
	return copied, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		var content []byte
		to := filepath.Join(copied, strings.TrimPrefix(path, dir))
		switch {
		case err == nil && e.IsDir():
			err = os.MkdirAll(to, 0o700)
		case err == nil:
			if content, err = os.ReadFile(path); err == nil {
				err = os.WriteFile(to, content, 0o600)
			}
		}
		if errors.Is(err, fs.ErrNotExist) { // a temporary file
			return nil
		}
		return err
	})
}

func (p *process) config() watch.Config {
	s := p.site
	return watch.Config{
		Dir: p.dir, Windows: s, Outages: p.tracker,
		Ready:   p.ready,
		Plan:    p.plan,
		Approve: p.approve,
		State: state.Config{
			Systems: systemsOf(p.site, s, p), Journal: mortalJournal{s.journal, p}, Anchor: mortalAnchor{s.anchor, p},
			Runner: resubmit.Config{
				RateLimit: -1, Concurrency: 1, Require: []ed25519.PublicKey{publicKey(approvalKey)}, // ask about each plan
			},
			Logger: slog.New(slog.DiscardHandler),
		},
		ApprovalKey: approvalKey,
		OnClosed:    p.doneWith,
		Refresh:     time.Hour,
		Logger:      slog.New(p),
	}
}

func (p *process) ready(context.Context, time.Time) availability.Readiness {
	p.point("ready")
	s := p.site
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readies = append(s.readies, time.Now())
	part := availability.Check{Name: availability.CheckAnswer, State: availability.StateReady,
		Why: "Connect itself answers."}
	switch {
	case s.unready != nil:
		part = availability.Check{Name: availability.CheckHub, State: availability.StateNotReady, Why: s.unready.Error()}
	case s.isDown(time.Now()):
		part = availability.Check{Name: availability.CheckAnswer, State: availability.StateNotReady,
			Why: "Connect itself does not answer."}
	}
	return availability.Readiness{At: time.Now(), Checks: []availability.Check{part}}
}

// plan leaves the filter to the watcher.
func (p *process) plan(context.Context, watch.Episode) (resubmit.PlanConfig, error) {
	if p.point("plan") {
		return resubmit.PlanConfig{}, errDead
	}
	p.site.mu.Lock()
	defer p.site.mu.Unlock()
	if p.site.planErr != nil {
		return resubmit.PlanConfig{}, p.site.planErr
	}
	return resubmit.PlanConfig{RateLimit: -1, IgnoreConnect: true}, nil
}

func (p *process) approve(_ context.Context, _ watch.Episode, plan *plan.Plan) (watch.Approval, error) {
	if p.point("approve") {
		return watch.Approval{}, errDead
	}
	s := p.site
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.asks = append(s.asked, plan.Digest()), append(s.asks, time.Now())
	if len(s.answers) == 0 {
		return watch.Approval{State: watch.Approved}, nil
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	return a, nil
}

// answer sets what Approve answers.
func (s *site) answer(answers []watch.Approval) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = answers
}

// episodes returns the closed episodes.
func (s *site) episodes() []watch.Episode {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.done)
}

// questions returns the digests of the plans that Approve was asked about.
func (s *site) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func (s *site) questionTimes() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asks)
}

// runOf returns the run of a closed episode.
func (s *site) runOf(episode string) *state.Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs[episode]
}

func (p *process) doneWith(e watch.Episode, run *state.Run) {
	if p.point("done") {
		return
	}
	p.site.mu.Lock()
	defer p.site.mu.Unlock()
	p.site.done = append(p.site.done, e)
	if run != nil && run.Report == nil { // another process, which was killed, has applied the plan
		p.site.items = append(p.site.items, itemsOf(filepath.Join(p.dir, "runs", run.ID, "report.json"))...)
	}
	if known := p.site.runs[e.ID]; run != nil && (known == nil || run.Report != nil) {
		p.site.runs[e.ID] = run
	}
}

// itemsOf returns the results of the orders in a report; nil if there is none.
func itemsOf(path string) []report.Item {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	doc, err := report.Read(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	return doc.Items
}

// approvalKey is the key of all watchers but those of other keys.
var approvalKey = ed25519.NewKeyFromSeed([]byte("the approval key of the watchers"))

// mortalJournal stores nothing after its process was killed.
type mortalJournal struct {
	resubmit.Journal
	process *process
}

func (j mortalJournal) Put(ctx context.Context, d resubmit.Durability, records ...protocol.Record) (uint64, error) {
	what := string(records[0].Kind)
	if o := records[0].Order; o != nil {
		what = string(o.Phase)
	}
	if j.process.point("before put " + what) {
		return 0, errDead
	}
	seq, err := j.Journal.Put(ctx, d, records...)
	if j.process.point("after put " + what) {
		return 0, errDead
	}
	return seq, err
}

// anchor is an anchor in memory.
type anchor struct {
	mu sync.Mutex
	at plan.Position
}

func (a *anchor) Load(context.Context) (plan.Position, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at, nil
}

func (a *anchor) Store(_ context.Context, at plan.Position) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = at
	return nil
}

// mortalAnchor stores nothing after its process was killed.
type mortalAnchor struct {
	state.Anchor
	process *process
}

func (a mortalAnchor) Store(ctx context.Context, at plan.Position) error {
	if a.process.point("before anchor") {
		return errDead
	}
	err := a.Anchor.Store(ctx, at)
	if a.process.point("after anchor") {
		return errDead
	}
	return err
}

// Push pushes, unless the process was killed.
func (p *process) Push(ctx context.Context, id string, to commerce.Status) error {
	if p.point("before push") {
		return errDead
	}
	err := p.site.Push(ctx, id, to)
	if p.point("after push") {
		return errDead
	}
	return err
}

// The process is also the handler of its log.

func (p *process) Enabled(context.Context, slog.Level) bool { return true }
func (p *process) WithAttrs([]slog.Attr) slog.Handler       { return p }
func (p *process) WithGroup(string) slog.Handler            { return p }

var digests = regexp.MustCompile(`sha256:[0-9a-f]{12}`)

func (p *process) Handle(_ context.Context, r slog.Record) error {
	step := ""
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "step" {
			step = a.Value.String()
		}
		return true
	})
	if step == "windows" || p.point("log "+step) { // the windows are another goroutine's
		if step != "windows" {
			return nil
		}
	}
	detail := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "detail" || a.Key == "window" {
			detail += ": " + a.Value.String()
		}
		return true
	})
	p.site.mu.Lock()
	defer p.site.mu.Unlock()
	p.site.logged = append(p.site.logged,
		time.Now().UTC().Format("2006-01-02 15:04 ")+digests.ReplaceAllString(detail, "sha256:…"))
	return nil
}

// left returns why an order was not resubmitted, "" if no report says so.
func (s *site) left(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.items {
		if i.ID == id && i.Outcome != protocol.Completed {
			return i.Why
		}
	}
	for _, run := range s.runs {
		if run.Report == nil {
			continue
		}
		for _, i := range run.Report.Items {
			if i.OrderID == id && i.Outcome != protocol.Completed {
				return i.Why
			}
		}
	}
	return ""
}

// log returns what was logged.
func (s *site) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.logged, "\n")
}

// systemsOf returns named systems without lists.
func systemsOf(l resubmit.OrderLister, r resubmit.OrderReader, p resubmit.Pusher) resubmit.Systems {
	return resubmit.Systems{
		Name: "test shop", Capabilities: commerce.Capabilities{Failure: true, Transitions: true},
		Lister: l, Reader: r, Pusher: p,
	}
}
