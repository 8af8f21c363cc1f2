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

// Condition is what a [Tracker] holds Connect to be in, from looks that agree and
// the calendar.
type Condition string

// The conditions.
const (
	// ConditionUnknown: there were too few looks, or none for a while.
	ConditionUnknown Condition = "unknown"
	// ConditionUp: Connect answers, and no window is announced.
	ConditionUp Condition = "up"
	// ConditionUpInWindow: Connect answers although a window is announced.
	ConditionUpInWindow Condition = "up inside a window"
	// ConditionMaintenance: Connect is not up, inside a window.
	ConditionMaintenance Condition = "maintenance"
	// ConditionOutage: Connect is not up, outside of every window.
	ConditionOutage Condition = "outage"
	// ConditionUnreachable: nothing answers. The cause may as well be the network
	// on this side, so it is neither a maintenance nor an outage of Connect.
	ConditionUnreachable Condition = "unreachable"
)

// TrackerConfig makes a [Tracker]. Zero fields take the defaults named.
type TrackerConfig struct {
	// Looks is how many looks in a row must agree before a change counts.
	// Default 3 (inferred).
	Looks int
	// Lasting makes a change count sooner than Looks, once at least two looks
	// that are as far apart agree, and none between disagrees. Default 2 min
	// (inferred); -1 never does.
	Lasting time.Duration
	// Gap is for how long nothing need be seen before an observation is taken to
	// be interrupted: what went on since then is not known, and looks are
	// counted anew. It must be longer than the time between looks. Default 15 min.
	Gap time.Duration
	// Retention is for how long an outage that is over is remembered, and Keep
	// how many of them, the newest. Defaults 400 days and 1000, which is about
	// half a megabyte.
	Retention time.Duration
	Keep      int
	// Calendar is asked for the announced windows, not the observed ones, each
	// time they are needed. It must be safe for concurrent use and must not call
	// the tracker. While it panics, no window is taken to be announced. Default: none are
	// announced.
	Calendar func() *maintenance.Calendar

	// WhenUp and WhenDown are the times between two looks of [Tracker.Run], which
	// vary by a fifth up and down: WhenDown also while looks disagree, and in an
	// announced window. Defaults 60 s and 20 s.
	WhenUp   time.Duration
	WhenDown time.Duration
	// LookTimeout bounds one look of [Tracker.Run]. Default 30 s.
	LookTimeout time.Duration

	// Logger is told of every change, at Info, and of a clock that is off, at
	// Warn. Its handler must not call the tracker. Default: nothing is logged.
	Logger *slog.Logger
}

func (c TrackerConfig) withDefaults() TrackerConfig {
	c.Looks = cmp.Or(c.Looks, 3)
	c.Lasting = cmp.Or(c.Lasting, 2*time.Minute)
	c.Gap = cmp.Or(c.Gap, 15*time.Minute)
	c.Retention = cmp.Or(c.Retention, 400*24*time.Hour)
	c.Keep = cmp.Or(c.Keep, 1000)
	c.WhenUp = cmp.Or(c.WhenUp, time.Minute)
	c.WhenDown = cmp.Or(c.WhenDown, 20*time.Second)
	c.LookTimeout = cmp.Or(c.LookTimeout, 30*time.Second)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	if c.Calendar == nil {
		c.Calendar = func() *maintenance.Calendar { return nil }
	}
	return c
}

// calendar is what is announced now.
func (t *Tracker) calendar() (c *maintenance.Calendar) {
	var err error
	defer func() { callback.Log(t.cfg.Logger, err) }()
	defer callback.Recover(&err)
	return t.cfg.Calendar()
}

func (c TrackerConfig) check() error {
	switch {
	case c.Looks < 1:
		return fmt.Errorf("a change cannot count after %d looks: use 1 or more", c.Looks)
	case c.Keep < 1 || c.Retention < 0:
		return errors.New("nothing would be remembered: Keep and Retention must be positive")
	case c.WhenUp < 0 || c.WhenDown < 0 || c.LookTimeout < 0:
		return errors.New("looks would never come: WhenUp, WhenDown and LookTimeout must be positive")
	case c.Gap <= c.WhenUp+c.WhenUp/jitterPart || c.Gap <= c.WhenDown+c.WhenDown/jitterPart:
		return fmt.Errorf("the gap of %s is not longer than the time between looks, so that none would count", c.Gap)
	default:
		return nil
	}
}

// Tracker makes conditions and observed outages of looks at Connect. It is fed
// by [Tracker.Observe] or [Tracker.Run], and is a [maintenance.WindowSource] of what it saw.
//
// A Tracker as JSON is what it remembers, without its configuration: a service
// that starts again makes one with [NewTracker] and unmarshals into it.
//
// The zero Tracker is ready for use and has the defaults of [TrackerConfig]; do
// not copy it. Safe for concurrent use.
type Tracker struct {
	running atomic.Bool

	mu   sync.Mutex
	cfg  TrackerConfig
	made bool // cfg has its defaults
	seen memory
	// begun is the steady clock of the newest look. It does not outlive the process.
	begun time.Time
	skew  bool // a clock that is off has been logged
}

// memory is what a tracker remembers, as JSON, too.
type memory struct {
	Connect book `json:"connect"` // is Connect up? Only looks that were answered tell
	Network book `json:"network"` // is there an answer at all?
	// Outages are over, oldest first.
	Outages []Outage  `json:"outages"`
	Last    glimpse   `json:"last,omitzero"`
	Release string    `json:"connectVersion,omitempty"`
	Jump    clockJump `json:"clockJump,omitzero"`
}

// glimpse is what is kept of the newest look.
type glimpse struct {
	At    time.Time            `json:"at"`
	Class connect.Availability `json:"class"`
	Said  string               `json:"said,omitempty"`
	// Ahead is by how much the clock here is ahead of the one that answered.
	Ahead time.Duration `json:"ahead,omitempty"`
}

// clockJump is the newest time at which the clock here was set.
type clockJump struct {
	At time.Time     `json:"at"`
	By time.Duration `json:"by"`
}

// clockTolerance is how far clocks may be apart before it is worth a word, as
// are steps of the one here. Looks that are seconds out of order are not.
const clockTolerance = 2 * time.Minute

// NewTracker makes a tracker that has seen nothing. It starts nothing.
func NewTracker(cfg TrackerConfig) (*Tracker, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("connect: tracker: %w", err)
	}
	return &Tracker{cfg: cfg, made: true}, nil
}

// lock also gives the zero Tracker its defaults.
func (t *Tracker) lock() {
	t.mu.Lock()
	if !t.made {
		t.cfg, t.made = t.cfg.withDefaults(), true
	}
}

// Observe takes in a look at Connect. A look that learnt nothing, such as the
// zero Probe that comes with an error, is ignored. Looks come in the order of their
// times; a look that is earlier than the one before by more than two minutes,
// or that came much sooner or later than the steady clock of this process says,
// is taken for a clock that was set: what was going on is then closed where it
// was last seen, so that no window gets a wrong length.
func (t *Tracker) Observe(p connect.Probe) {
	if p.Class == "" || p.At.IsZero() {
		return
	}
	t.lock()
	defer t.mu.Unlock()
	l := look{at: p.At.UTC(), class: p.Class, version: p.Version}
	if p.Err != nil {
		l.said = text.Excerpt(p.Err.Error(), maxSaid)
	}
	if by := t.jumped(p); by != 0 {
		t.seen.Jump = clockJump{At: l.at, By: by}
		t.cfg.Logger.Warn("the clock was set", "by", by, "at", l.at)
		t.interrupt(&t.seen.Connect)
		t.interrupt(&t.seen.Network)
	} else if l.at.Before(t.seen.Last.At) {
		l.at = t.seen.Last.At // two looks at once, or a clock that is being slewed
	}
	t.seen.Last = glimpse{At: l.at, Class: l.class, Said: l.said, Ahead: p.ClockAhead()}
	t.begun = p.Begun
	t.warnOfSkew()
	t.note(&t.seen.Network, l, l.class == connect.Unreachable)
	if l.class != connect.Unreachable {
		t.note(&t.seen.Connect, l, l.class != connect.Up)
	}
	if l.version != "" {
		t.seen.Release = l.version
	}
	if t.seen.Last.Ahead.Abs() <= clockTolerance { // a clock that is years ahead must not empty the memory
		t.forget(l.at)
	}
}

// jumped is by how much the clock here was set between two looks, or 0.
func (t *Tracker) jumped(p connect.Probe) time.Duration {
	before := t.seen.Last.At
	if before.IsZero() {
		return 0
	}
	passed := p.At.Sub(before)
	if !t.begun.IsZero() && !p.Begun.IsZero() {
		passed -= p.Begun.Sub(t.begun)
	} else {
		passed = min(passed, 0) // without a steady clock only a step back is seen
	}
	if passed.Abs() <= clockTolerance {
		return 0
	}
	return passed
}

func (t *Tracker) warnOfSkew() {
	off := t.seen.Last.Ahead.Abs() > clockTolerance
	if off && !t.skew {
		t.cfg.Logger.Warn("the clock here differs from the one that answered", "ahead", t.seen.Last.Ahead)
	}
	t.skew = off
}

// note writes a look into a book and keeps what has come to its end.
func (t *Tracker) note(b *book, l look, bad bool) {
	if !b.Last.IsZero() && l.at.Sub(b.Last) > t.cfg.Gap {
		t.interrupt(b)
	}
	counts := b.add(l, bad, t.cfg)
	b.Last = l.at
	if !counts {
		return
	}
	what := "Connect"
	if b == &t.seen.Network {
		what = "the way to Connect"
	}
	if !bad {
		t.close(b, b.Run.First)
		t.cfg.Logger.Info(what+" is up", "since", b.Run.First, "version", l.version)
	} else {
		b.Open = new(b.Run.outage(b == &t.seen.Network, t.seen.Release))
		b.Open.ID = t.freeID(b.Open)
		t.cfg.Logger.Info(what+" is not up", "since", b.Open.First, "outage", b.Open.ID, "class", l.class)
	}
	b.Settled, b.Since, b.Run = verdictOf(bad), b.Run.First, run{}
}

// interrupt forgets what a book holds to be so.
func (t *Tracker) interrupt(b *book) {
	if b.Open != nil {
		b.Open.Interrupted = true
		t.close(b, b.Open.Last)
	}
	*b = book{Last: b.Last}
}

// close ends the outage of a book that is going on, if one is.
func (t *Tracker) close(b *book, end time.Time) {
	if b.Open == nil {
		return
	}
	o := *b.Open
	b.Open = nil
	o.End = laterOf(end, o.First.Add(shortest))
	if !o.Interrupted {
		o.VersionAfter = b.Run.Version
	}
	t.seen.Outages = append(t.seen.Outages, o)
	slices.SortStableFunc(t.seen.Outages, func(a, b Outage) int { return a.First.Compare(b.First) })
}

// freeID names an outage by its begin. A clock that was set back may bring one again.
func (t *Tracker) freeID(o *Outage) string {
	name := "observed"
	if o.Unreachable {
		name = "unreachable"
	}
	name += "-" + o.First.UTC().Format("20060102T150405Z")
	id := name
	for n := 2; slices.ContainsFunc(t.seen.Outages, func(o Outage) bool { return o.ID == id }); n++ {
		id = fmt.Sprintf("%s-%d", name, n)
	}
	return id
}

// forget drops outages that are too old or too many.
func (t *Tracker) forget(now time.Time) {
	oldest := now.Add(-t.cfg.Retention)
	t.seen.Outages = slices.DeleteFunc(t.seen.Outages, func(o Outage) bool { return o.End.Before(oldest) })
	if more := len(t.seen.Outages) - t.cfg.Keep; more > 0 {
		t.seen.Outages = slices.Delete(t.seen.Outages, 0, more)
	}
}

// Outages are what was observed and is still remembered, oldest first, the
// ongoing ones included.
func (t *Tracker) Outages() []Outage {
	t.lock()
	defer t.mu.Unlock()
	all := make([]Outage, 0, len(t.seen.Outages)+2)
	for _, o := range t.seen.Outages {
		all = append(all, o.clone())
	}
	for _, b := range []*book{&t.seen.Network, &t.seen.Connect} {
		if b.Open != nil {
			all = append(all, b.Open.clone())
		}
	}
	slices.SortStableFunc(all, func(a, b Outage) int { return a.First.Compare(b.First) })
	return all
}

// Windows are the outages of Connect that held at some time in [from, to), oldest
// first, as windows with the Source [SourceObserved]; one that is going on has no
// ActualEnd. Times in which merely nothing answered are not among them: see
// [Tracker.Outages]. The error is that of ctx.
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
