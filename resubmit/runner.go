package resubmit

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Config makes a Runner. Zero fields take the defaults named; -1 disables where
// it says so. Only Reader and Pusher are required. A field that holds a nil pointer, map or
// function in an interface is an error, even if its methods could be called.
//
// A panic in one of these values is an error of that call, and its stack is logged. After
// a panic in Pusher the outcome of the push is unknown. While Calendar panics nothing is
// pushed. A panic in Journal or RequestType ends the run, one in Canary.Group selects the
// default group, and one in OnEvent removes it.
type Config struct {
	// Systems are the clients. Reader and Pusher are required.
	Systems
	// Policy has what the planner must agree on. Use that of the plan.
	Policy
	// Journal remembers what was done. nil: a MemoryJournal that the Runner keeps,
	// so that applying the same plan again goes on where it stopped, in this
	// process only.
	Journal Journal
	// Calendar returns the maintenance windows as they are known now; it is asked
	// before every push. nil: the calendar of the plan (see [plan.Header]). A nil
	// calendar is an empty one.
	Calendar func() *maintenance.Calendar
	// Require makes Apply refuse a plan that none of these keys has signed (see
	// plan.SignFile and LoadPublicKeys), with an error that matches ErrUnsigned or
	// ErrSignature. Empty: plans need no signature.
	Require []ed25519.PublicKey
	// MaxPlanAge is how old a plan may be when Apply begins with it; a stale one is
	// refused with ErrStalePlan. Default 24 h. At any age a plan is stale that was made
	// before a window that has begun since, or with other windows, in the 31 days before
	// it, than Calendar knows now. -1 begins with any plan, whatever came between. A plan
	// that the Journal has begun is never refused as stale, if the journal has a method
	// Plan() string that tells it, as those of this library have: to go on is always
	// right. A Watcher takes 0 for -1: what it applies was approved for its episode.
	MaxPlanAge time.Duration

	// Guard is the time before the next window in which nothing is pushed any more.
	// Default 5 min; -1 none.
	Guard time.Duration
	// Rate is the most calls in any second, of all that the Runner makes together:
	// reads, pushes, look-ups in Connect. One order takes about four. Default 5;
	// -1 no limit.
	RateLimit float64
	// SlowTo is the share of Rate that the pace goes down to when a server answers
	// 429 or 503, or when calls take more than twice as long as usual: by half each
	// time, and up again by a tenth of Rate every ten seconds without trouble.
	// Default 0.1; -1 keeps the pace. Without a Rate there is nothing to slow down.
	MinRateFraction float64
	// MaxHold is the longest time that a server may ask to be left alone (Retry-After)
	// without ending the run. Nothing is sent to any of the servers meanwhile; a
	// longer wish is not broken either: the run stops at once, with ErrPatience, and so
	// does the next one with the same journal. Should the server have asked by mistake,
	// put a zero Patience into the journal. Default 24 h; -1 waits for ever.
	MaxHold time.Duration
	// Concurrency is how many orders are being pushed at the same time. As many
	// reads for verification may go on besides. Default: the MaxConcurrency
	// that the Pusher declares, for reads and pushes together; else 2.
	Concurrency int
	// InHand is how many orders are held in memory: waiting for an older order of
	// their subscription, being pushed, or being verified. At most half of them wait,
	// so that the other subscriptions go on; what is left out is read from the plan
	// again later. Default 8192.
	MaxOpenOrders int
	// MaxRefusals is how often an order is tried again in one run after the server
	// was not reached or asked for a pause. Refused credentials do not count: see
	// [Runner.Apply]. Default 3; -1 never.
	MaxDeferrals int
	// Attempts says whether an order may be pushed again whose push got no answer.
	// Default: never.
	Retry RetryPolicy
	// Canary lets a few orders of each group go first. It is on unless its Steps are
	// empty and not nil.
	Canary CanaryConfig
	// Breaker stops all pushes when orders fail again for a transient reason.
	Breaker BreakerConfig
	// Verify is how the results are looked for.
	Verify VerifyConfig

	// DropItems keeps the single orders out of the report, for plans that do not
	// fit in memory: OnEvent gets each of them.
	OmitItems bool
	// OnEvent receives the events of a run in order, one at a time, through a queue, so that a slow
	// function does not delay a push; no further order is begun while 1 024 events wait. It may
	// call the methods of the Runner other than Apply. After a panic it is not called any more and
	// the run continues: the Logger and [Report].EventError say so. nil: nobody.
	OnEvent func(Event)
	// Audit receives each event at once, before the run continues; an error or a panic ends
	// the run. It must not call the Runner. nil: nobody. See package audit.
	Audit func(Event) error
	// Logger gets what an operator must see. nil: nothing is logged.
	Logger *slog.Logger
}

// Verify is how the result of a push is looked for: Commerce is polled first
// after First, then at doubling intervals of at least a second and at most Max. An order that is not at an
// end after Timeout is progressing.
//
// With Capabilities.Lists, 20 or more orders that are due, or nearly, are listed instead of
// read, by their statuses, types and times of placing. An order that is listed in the same status is
// not read then; every other one is, and so is each at its last look and at least every
// 30 min. A list never proves that an order is done or has failed. A list that breaks off, or
// takes half as many calls as the reads would, counts for nothing, and none is made for
// the next 10 min.
type VerifyConfig struct {
	First   time.Duration // default 10 s; -1 at once
	Max     time.Duration // default 5 min; -1 no bound
	Timeout time.Duration // default 30 min; -1 one look and no waiting
	// GoodAfter is how long after its push an order that has left its failure, and that
	// is under way in Connect, does well as far as Canary and Breaker are concerned.
	// It is never more than Timeout. Default 10 min; -1 only when it has completed.
	GoodAfter time.Duration
	// ConnectGrace is how long Connect may disagree with Commerce about an order that
	// Commerce says is done, before that is a false success: what Connect shows may be
	// some minutes old. Then it is looked at for longer than Timeout if need be, unless
	// that is -1. It is never more than Timeout. Default 5 min; -1 none.
	ConnectGrace time.Duration
}

// The defaults that planner and runner share.
const (
	defaultRate    = 5
	defaultMaxHold = 24 * time.Hour
)

// WithDefaults returns the configuration with its defaults in the fields that are zero.
func (c Config) WithDefaults() Config {
	c.MaxPlanAge = cmp.Or(c.MaxPlanAge, 24*time.Hour)
	c.Guard = cmp.Or(c.Guard, 5*time.Minute)
	c.Policy = completePolicy(c.Policy)
	c.RateLimit = cmp.Or(c.RateLimit, defaultRate)
	if c.MinRateFraction = cmp.Or(c.MinRateFraction, 0.1); c.MinRateFraction == -1 {
		c.MinRateFraction = 1
	}
	c.MaxHold = cmp.Or(c.MaxHold, defaultMaxHold)
	c.Concurrency = cmp.Or(c.Concurrency, 2)
	c.MaxOpenOrders = cmp.Or(c.MaxOpenOrders, 8192)
	c.MaxDeferrals = cmp.Or(c.MaxDeferrals, 3)
	c.Verify.First = cmp.Or(c.Verify.First, 10*time.Second)
	c.Verify.Max = cmp.Or(c.Verify.Max, 5*time.Minute)
	c.Verify.Timeout = cmp.Or(c.Verify.Timeout, 30*time.Minute)
	c.Verify.GoodAfter = cmp.Or(c.Verify.GoodAfter, 10*time.Minute)
	c.Verify.ConnectGrace = cmp.Or(c.Verify.ConnectGrace, 5*time.Minute)
	c.Canary = c.Canary.withDefaults()
	c.Breaker = c.Breaker.withDefaults()
	if c.Journal == nil {
		c.Journal = new(MemoryJournal)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("resubmit: "+format, args...)) }
	if c.Reader == nil {
		bad("Config.Reader is nil; give the client that reads orders")
	}
	if c.Pusher == nil {
		bad("Config.Pusher is nil; give the client that pushes orders")
	}
	for _, err := range []error{
		c.Systems.validate("Config"), c.Policy.validate("Config"), checkRate("Config.RateLimit", c.RateLimit),
		callback.RejectNil(callback.Field{Name: "Config.Journal", Value: c.Journal}),
	} {
		if err != nil {
			bad("%w", err)
		}
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"MaxPlanAge", c.MaxPlanAge}, {"Guard", c.Guard}, {"Verify.First", c.Verify.First},
		{"Verify.Max", c.Verify.Max}, {"Verify.Timeout", c.Verify.Timeout}, {"Verify.GoodAfter", c.Verify.GoodAfter},
		{"Verify.ConnectGrace", c.Verify.ConnectGrace},
		{"MaxHold", c.MaxHold},
	} {
		if d.value < -1 {
			bad("Config.%s is %v; give a duration, 0 for the default or -1 to disable it", d.field, d.value)
		}
	}
	if c.MinRateFraction != -1 && !(c.MinRateFraction >= 0 && c.MinRateFraction <= 1) {
		bad("Config.MinRateFraction is %v; give a share of the rate up to 1, 0 for the default or -1 to keep the pace",
			c.MinRateFraction)
	}
	c.Retry.validate(bad)
	for _, k := range c.Require {
		if len(k) != ed25519.PublicKeySize {
			bad("Config.Require has a key of %d bytes; load the keys with LoadPublicKeys", len(k))
			break
		}
	}
	c.Canary.validate(bad)
	c.Breaker.validate(bad)
	if c.MaxDeferrals < -1 {
		bad("Config.MaxDeferrals is %d; give a count, 0 for the default or -1 for none", c.MaxDeferrals)
	}
	if c.Concurrency < 0 || c.MaxOpenOrders < 0 {
		bad("Config.Concurrency is %d and Config.MaxOpenOrders is %d; give counts, or 0 for the defaults",
			c.Concurrency, c.MaxOpenOrders)
	}
	if c.Targets == nil && !c.Capabilities.Transitions {
		bad("Config.Targets is nil, and Systems.Capabilities does not report which transitions an order offers; " +
			"say which ones resubmit it, for instance DefaultTargets()")
	}
	return errors.Join(errs...)
}

// Runner applies plans. It is safe for concurrent use, but runs one plan at a
// time.
type Runner struct {
	cfg             Config
	pace            *pacer
	fallbackTargets []commerce.Status // the targets where an order does not tell what it offers

	// together says that pushes and reads share Concurrency.
	together bool

	mu     sync.Mutex // guards cfg.Concurrency too
	paused bool
	run    *run // the one that is going on
	// beginning says that there will be a run soon.
	beginning bool
}

// NewRunner checks a configuration and makes a Runner of it.
func NewRunner(cfg Config) (*Runner, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	r := &Runner{}
	cfg.Targets = slices.Clone(cfg.Targets)
	r.fallbackTargets = cfg.Targets
	if cfg.Concurrency == 0 {
		cfg.Concurrency = max(0, cfg.Capabilities.MaxConcurrency)
		r.together = cfg.Concurrency > 0
	}
	if !cfg.Capabilities.Lists {
		cfg.Lister = nil
	}
	r.cfg = cfg.WithDefaults()
	r.cfg.Journal = guardedJournal{r.cfg.Journal}
	r.pace = newPacer(r.cfg.RateLimit, r.cfg.MinRateFraction)
	return r, nil
}

// Status is a snapshot of a Runner.
type Status struct {
	// State is what the run was told to do. Without a run it is StatePaused when the
	// next one will be, else StateIdle.
	State RunState
	// Rate is the pace in force, in calls a second; -1 is no limit. Slowed says why it
	// is lower than asked for, "" when it is not.
	Rate   float64
	Slowed string
	// Breaker is the state of the breaker, BreakerOpens how often it opened.
	Breaker      BreakerState
	BreakerOpens int
	// Canary is how far each group of orders was let go, by name.
	Canary []CanaryStatus
	// Gate says why pushes wait, "" when they do not; Until when that is known to
	// end, zero when it is not known. A server that asked for patience holds back
	// the reads as well.
	Gate  string
	Until time.Time
	// Digest is the plan's.
	Digest string
	// Total is how many orders the plan marks for resubmission. They are Done, or
	// InHand, or not begun.
	Total     int
	Done      int
	InHand    int
	Pushing   int
	Verifying int
	Result    OutcomeCounts
}

// String is one line, such as "running: 12 of 40 orders done, 3 in hand (12 completed)".
func (s Status) String() string {
	if s.State == StateIdle {
		return "no run"
	}
	line := string(s.State)
	if s.Total > 0 {
		line += fmt.Sprintf(": %d of %s done, %d in hand", s.Done, text.Orders(s.Total), s.InHand)
	}
	if s.Done > 0 {
		line += fmt.Sprintf(" (%s)", s.Result)
	}
	if s.Gate != "" {
		line += "; pushes wait: " + s.Gate
	}
	if s.Slowed != "" {
		line += "; the pace is slowed: " + s.Slowed
	}
	return text.OneLine(line)
}

// Status tells how the run stands. When none goes on it tells only whether the
// Runner is paused.
func (r *Runner) Status() Status {
	r.mu.Lock()
	x, paused := r.run, r.paused
	r.mu.Unlock()
	switch {
	case x != nil:
		return x.status()
	case paused:
		return Status{State: StatePaused}
	default:
		return Status{}
	}
}
