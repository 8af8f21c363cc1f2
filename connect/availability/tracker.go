package availability

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Condition summarizes a [TrackerStatus] in one word: whether Connect is up, in maintenance or down.
type Condition string

// The conditions (inferred from probes; Connect reports none itself).
const (
	// ConditionUnknown: too few probes yet, or none for longer than TrackerConfig.MaxGap.
	ConditionUnknown Condition = "unknown"
	// ConditionUp: Connect answers, and no window is announced.
	ConditionUp Condition = "up"
	// ConditionUpInWindow: Connect answers inside an announced window.
	ConditionUpInWindow Condition = "up inside a window"
	// ConditionMaintenance: Connect is down inside an announced window.
	ConditionMaintenance Condition = "maintenance"
	// ConditionOutage: Connect is down outside every announced window.
	ConditionOutage Condition = "outage"
	// ConditionUnreachable: nothing answers. The cause may be the local network, so
	// this is neither a maintenance nor an outage of Connect.
	ConditionUnreachable Condition = "unreachable"
)

// TrackerConfig configures a [Tracker]. Zero fields take the defaults named.
type TrackerConfig struct {
	// Threshold is how many consecutive probes must agree before the condition
	// changes. Default 3 (inferred).
	Threshold int
	// ThresholdTime: probes, at least two, that agree for this long change the condition too, even if they are fewer than
	// Threshold. Default 2 min (inferred); -1 disables it.
	ThresholdTime time.Duration
	// MaxGap is the longest time without a probe. After it the condition is unknown,
	// an ongoing outage ends as interrupted, and counting starts again. It must be
	// longer than the intervals. Default 15 min.
	MaxGap time.Duration
	// Retention is how long an outage is kept after its end, and MaxOutages how many
	// are kept, the latest ones. Defaults 400 days and 1000 (about half a megabyte).
	Retention  time.Duration
	MaxOutages int
	// Calendar returns the announced windows, without observed ones. It is called
	// whenever they are needed, concurrently, and must not call the tracker. If it
	// panics, no window is assumed. Default: no windows.
	Calendar func() *maintenance.Calendar

	// IntervalUp and IntervalDown are the times between two probes of [Tracker.Run],
	// with 20 % jitter. IntervalDown also holds while probes disagree and in an
	// announced window. Defaults 60 s and 20 s.
	IntervalUp   time.Duration
	IntervalDown time.Duration
	// ProbeTimeout limits one probe of [Tracker.Run]. Default 30 s.
	ProbeTimeout time.Duration

	// Logger receives changes at Info and clock problems at Warn. Its handler must
	// not call the tracker. Default: no logs.
	Logger *slog.Logger
}

func (c TrackerConfig) withDefaults() TrackerConfig {
	c.Threshold = cmp.Or(c.Threshold, 3)
	c.ThresholdTime = cmp.Or(c.ThresholdTime, 2*time.Minute)
	c.MaxGap = cmp.Or(c.MaxGap, 15*time.Minute)
	c.Retention = cmp.Or(c.Retention, 400*24*time.Hour)
	c.MaxOutages = cmp.Or(c.MaxOutages, 1000)
	c.IntervalUp = cmp.Or(c.IntervalUp, time.Minute)
	c.IntervalDown = cmp.Or(c.IntervalDown, 20*time.Second)
	c.ProbeTimeout = cmp.Or(c.ProbeTimeout, 30*time.Second)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	if c.Calendar == nil {
		c.Calendar = func() *maintenance.Calendar { return nil }
	}
	return c
}

func (c TrackerConfig) validate() error {
	switch {
	case c.Threshold < 1:
		return fmt.Errorf("Threshold is %d: use 1 or more", c.Threshold) //nolint:staticcheck // the name of a field
	case c.MaxOutages < 1 || c.Retention < 0:
		return errors.New("MaxOutages and Retention must be positive")
	case c.IntervalUp < 0 || c.IntervalDown < 0 || c.ProbeTimeout < 0:
		return errors.New("IntervalUp, IntervalDown and ProbeTimeout must be positive")
	case c.MaxGap <= c.IntervalUp+c.IntervalUp/jitterPart || c.MaxGap <= c.IntervalDown+c.IntervalDown/jitterPart:
		return fmt.Errorf("MaxGap is %s: it must be longer than the intervals, with their jitter", c.MaxGap)
	default:
		return nil
	}
}

// Tracker derives the condition of Connect and its outages from probes, which it makes
// itself ([Tracker.Run]) or receives ([Tracker.Observe]). It is a
// [maintenance.WindowSource] of the observed outages.
//
// Its JSON form holds what it has observed, without the configuration. To continue
// after a restart, make one with [NewTracker] and unmarshal into it.
//
// The zero Tracker is ready for use, with the defaults of [TrackerConfig]. Do not copy
// it. It is safe for concurrent use.
type Tracker struct {
	running atomic.Bool

	mu         sync.Mutex
	cfg        TrackerConfig
	configured bool // cfg has its defaults
	state      trackerState
	// begun is the monotonic time of the latest probe. It is not saved.
	begun time.Time
	skew  bool // a clock difference has been logged
}

// trackerState is the saved state of a tracker.
type trackerState struct {
	Connect debouncer `json:"connect"` // whether Connect is up, by answered probes
	Network debouncer `json:"network"` // whether anything answers
	// Outages have ended; oldest first.
	Outages []Outage  `json:"outages"`
	Last    lastProbe `json:"last,omitzero"`
	Release string    `json:"connectVersion,omitempty"`
	Jump    clockJump `json:"clockJump,omitzero"`
}

// lastProbe is what is saved of the latest probe.
type lastProbe struct {
	At      time.Time          `json:"at"`
	Class   connect.ProbeClass `json:"class"`
	Message string             `json:"message,omitempty"`
	// Ahead is how far the local clock is ahead of the server's.
	Ahead time.Duration `json:"ahead,omitempty"`
}

// clockJump is the latest time the local clock was set.
type clockJump struct {
	At time.Time     `json:"at"`
	By time.Duration `json:"by"`
}

// clockTolerance is the clock difference, or step, that is ignored.
const clockTolerance = 2 * time.Minute

// NewTracker returns a tracker without observations. It starts nothing.
func NewTracker(cfg TrackerConfig) (*Tracker, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, trackerError(err)
	}
	return &Tracker{cfg: cfg, configured: true}, nil
}

func trackerError(err error) error { return fmt.Errorf("availability: tracker: %w", err) }

// lock locks mu and sets the defaults of a zero Tracker.
func (t *Tracker) lock() {
	t.mu.Lock()
	if !t.configured {
		t.cfg, t.configured = t.cfg.withDefaults(), true
	}
}

// calendar returns the announced windows.
func (t *Tracker) calendar() (c *maintenance.Calendar) {
	var err error
	defer func() { callback.Log(t.cfg.Logger, err) }()
	defer callback.Recover(&err)
	return t.cfg.Calendar()
}

// Observe adds a probe. A zero Probe, which comes with an error, is ignored. Probes must
// come in the order of their times. If the clock was set by more than two minutes since
// the last probe, an ongoing outage ends there as interrupted, so that no window gets
// a wrong length.
func (t *Tracker) Observe(p connect.Probe) {
	if p.Class == "" || p.At.IsZero() {
		return
	}
	t.lock()
	defer t.mu.Unlock()
	p.At = p.At.UTC()
	ahead := p.ClockAhead()
	if by := t.jumped(p); by != 0 {
		t.state.Jump = clockJump{At: p.At, By: by}
		t.cfg.Logger.Warn("local clock was set", "by", by, "at", p.At)
		t.interrupt(&t.state.Connect)
		t.interrupt(&t.state.Network)
	} else {
		p.At = laterOf(p.At, t.state.Last.At) // two concurrent probes, or a clock that is slewed
	}
	t.state.Last = lastProbe{At: p.At, Class: p.Class, Message: message(p), Ahead: ahead}
	t.begun = p.Monotonic
	t.warnOfSkew()
	t.update(&t.state.Network, p, p.Class == connect.ClassUnreachable)
	if p.Class != connect.ClassUnreachable {
		t.update(&t.state.Connect, p, p.Class != connect.ClassUp)
	}
	t.state.Release = cmp.Or(p.Version, t.state.Release)
	if ahead.Abs() <= clockTolerance { // a clock that is years ahead must not drop all outages
		t.prune(p.At)
	}
}

// message returns the start of the error of a probe.
func message(p connect.Probe) string {
	if p.Err == nil {
		return ""
	}
	return text.Excerpt(p.Err.Error(), maxMessage)
}

// jumped returns by how much the local clock was set between two probes, or 0.
func (t *Tracker) jumped(p connect.Probe) time.Duration {
	before := t.state.Last.At
	if before.IsZero() {
		return 0
	}
	passed := p.At.Sub(before)
	if !t.begun.IsZero() && !p.Monotonic.IsZero() {
		passed -= p.Monotonic.Sub(t.begun)
	} else {
		passed = min(passed, 0) // without a monotonic clock only a step back is noticed
	}
	if passed.Abs() <= clockTolerance {
		return 0
	}
	return passed
}

func (t *Tracker) warnOfSkew() {
	off := t.state.Last.Ahead.Abs() > clockTolerance
	if off && !t.skew {
		t.cfg.Logger.Warn("local clock differs from the server's", "ahead", t.state.Last.Ahead)
	}
	t.skew = off
}

// update adds a probe to a debouncer, and opens or closes its outage when it settles.
func (t *Tracker) update(b *debouncer, p connect.Probe, down bool) {
	if !b.Last.IsZero() && p.At.Sub(b.Last) > t.cfg.MaxGap {
		t.interrupt(b)
	}
	settled := b.add(p, down, t.cfg)
	b.Last = p.At
	if !settled {
		return
	}
	what := "Connect"
	if b == &t.state.Network {
		what = "network to Connect"
	}
	if !down {
		t.close(b, b.Run.First)
		t.cfg.Logger.Info(what+" is up", "since", b.Run.First, "version", p.Version)
	} else {
		b.Open = new(b.Run.outage(b == &t.state.Network, t.state.Release))
		b.Open.ID = t.freeID(b.Open)
		t.cfg.Logger.Info(what+" is down", "since", b.Open.First, "outage", b.Open.ID, "class", p.Class)
	}
	b.Settled, b.Since, b.Run = verdictOf(down), b.Run.First, run{}
}

// interrupt resets a debouncer and closes its outage at the last probe.
func (t *Tracker) interrupt(b *debouncer) {
	if b.Open != nil {
		b.Open.Interrupted = true
		t.close(b, b.Open.Last)
	}
	*b = debouncer{Last: b.Last}
}

// close moves the ongoing outage of a debouncer, if any, to those that ended.
func (t *Tracker) close(b *debouncer, end time.Time) {
	if b.Open == nil {
		return
	}
	o := *b.Open
	b.Open = nil
	o.End = laterOf(end, o.First.Add(minOutage))
	if !o.Interrupted {
		o.VersionAfter = b.Run.Version
	}
	t.state.Outages = append(t.state.Outages, o)
	slices.SortStableFunc(t.state.Outages, byStart)
}

func byStart(a, b Outage) int { return a.First.Compare(b.First) }

// freeID returns an id from the start of the outage, unique even if the clock is set back.
func (t *Tracker) freeID(o *Outage) string {
	name := "observed"
	if o.Unreachable {
		name = "unreachable"
	}
	name += "-" + o.First.UTC().Format("20060102T150405Z")
	id := name
	for n := 2; slices.ContainsFunc(t.state.Outages, func(o Outage) bool { return o.ID == id }); n++ {
		id = fmt.Sprintf("%s-%d", name, n)
	}
	return id
}

// prune drops outages that are too old or too many.
func (t *Tracker) prune(now time.Time) {
	oldest := now.Add(-t.cfg.Retention)
	t.state.Outages = slices.DeleteFunc(t.state.Outages, func(o Outage) bool { return o.End.Before(oldest) })
	if more := len(t.state.Outages) - t.cfg.MaxOutages; more > 0 {
		t.state.Outages = slices.Delete(t.state.Outages, 0, more)
	}
}

// Outages returns the outages that are kept, oldest first, including ongoing ones.
func (t *Tracker) Outages() []Outage {
	t.lock()
	defer t.mu.Unlock()
	all := make([]Outage, 0, len(t.state.Outages)+2)
	for _, o := range t.state.Outages {
		all = append(all, o.clone())
	}
	for _, b := range []*debouncer{&t.state.Network, &t.state.Connect} {
		if b.Open != nil {
			all = append(all, b.Open.clone())
		}
	}
	slices.SortStableFunc(all, byStart)
	return all
}

// Windows returns the outages of Connect that overlap [from, to) as windows with the
// Source [maintenance.SourceObserved], oldest first. An ongoing one has no ActualEnd.
// Times in which nothing answered are not included: see [Tracker.Outages]. The error is
// that of ctx.
func (t *Tracker) Windows(ctx context.Context, from, to time.Time) ([]maintenance.Window, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	windows := []maintenance.Window{}
	for _, o := range t.Outages() {
		if w := o.Window(); !o.Unreachable && w.Span().Overlaps(from, to) {
			windows = append(windows, w)
		}
	}
	return windows, nil
}
