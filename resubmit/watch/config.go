package watch

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// Config configures a [Watcher]. Dir, State, Windows and Ready are required.
type Config struct {
	// Dir is the state directory of the Commerce installation. It is created if missing. The watcher
	// adds watcher.json to it. Other processes may use it too, such as aftermaintenance -state DIR: they
	// see, approve, pause, slow down, drain and cancel what the watcher does, and continue it.
	Dir string
	// State configures Dir, and with it planning and applying. A plan within State.Limits is applied at
	// once. Calendar must be nil: the watcher sets it. The default of Plan.Filter is
	// [filter.FailedDuring] of the episode's windows. With a client that does not tell when orders failed, such as that of
	// Order Management, that leaves out orders that waited for Connect when a window began: to include them, let Plan use
	// [filter.AffectedBy]. The default of Observed are the Outages. The defaults of Plan.RateLimit
	// and Logger are Runner.RateLimit and the Logger of the watcher; that of Runner.MaxPlanAge is -1, because
	// a plan is for an episode, however long its approval takes. Policy.SettleDelay is also the time between a
	// maintenance and its plan, and a window that begins within Runner.Guard after another one joins the same episode.
	State state.Config
	// Windows returns the announced maintenance windows, for instance a *maintenance.Multi.
	// It is called every Refresh. If it fails, the windows of the last call stay in use.
	// The watcher waits for the first complete answer before it does anything.
	Windows maintenance.WindowSource
	// Outages returns the observed outages, which count as maintenance too, announced or
	// not. A window lasts as long as an outage that overlaps with it. Run the tracker
	// beside the watcher and save its state: an outage while the service is down is
	// otherwise not known. Optional.
	Outages OutageSource
	// Ready reports whether Connect is back after a maintenance that ended at since:
	// announced ends are often wrong.
	//
	//	func(ctx context.Context, since time.Time) availability.Readiness {
	//		return availability.CheckReadiness(ctx, client, availability.ReadinessConfig{Hub: hub, Since: since})
	//	}
	Ready func(ctx context.Context, since time.Time) availability.Readiness
	// Plan returns the configuration of the plan for an episode, with the defaults of State.Plan. Its
	// Systems, Policy, Journal and Calendar are not used. Nil: State.Plan.
	Plan func(ctx context.Context, e Episode) (resubmit.PlanConfig, error)
	// Approve decides about a plan beyond State.Limits; with State.Runner.Require that is every plan. It
	// should return soon: to ask a person, return Pending and call [Watcher.Wake] once there is a
	// decision. It is called again after a restart, and with a new plan after Limits.ApprovalTime. If the
	// next maintenance begins before the decision, one new plan is made for both. The plan is closed when
	// Approve returns, and only that plan is approved. Nil: the plan waits for [state.Dir.Approve], which
	// is possible in any case, also from another process. Nor is it called for a plan whose approval was
	// revoked, see [state.Dir.Revoke].
	Approve func(ctx context.Context, e Episode, plan *plan.Plan) (Approval, error)
	// ApprovalKey signs what Approve approves. It must be one of State.Approvers, and is the only one if
	// these are empty. Load it with [plan.ApprovalKey], from a file outside of Dir. Nil: the key of this
	// user, see [state.Dir.Approve].
	ApprovalKey ed25519.PrivateKey
	// OnClosed is called after each episode, at least once (it may repeat after a crash). The run is nil
	// if there was no plan; it has a Report if this process worked on it last. In any case [state.Dir.Document] has the
	// report. Optional.
	OnClosed func(e Episode, run *state.Run)

	// MaxAge is how long after its end a maintenance is still handled. Later, because the service
	// was down or nobody decided, the episode expires and is left to a person.
	// It is also how far a watcher without state looks back. A started run is always
	// completed. Default: 7 days, in which Microsoft lets seats be cancelled (documented,
	// resubmit/SAFETY.md#f14).
	MaxAge time.Duration
	// WarnAfter is how long after the announced end of a maintenance Connect may stay unready
	// before the watcher logs a warning. Default: 3 h, the limit of CloudBlue's own
	// runner (its code, connect/WIRE.md#0.2).
	WarnAfter time.Duration
	// Refresh is the time between two calls of Windows, and between two looks at a plan that waits for an
	// approval or at a paused run. Default: 5 min.
	Refresh time.Duration
	// Logger logs each step, with the attributes step, episode, until, error and detail.
	// Default: no log.
	Logger *slog.Logger
}

const (
	defaultMaxAge    = 7 * 24 * time.Hour
	defaultWarnAfter = 3 * time.Hour
	defaultRefresh   = 5 * time.Minute
	defaultAskAgain  = 15 * time.Minute
	// shortPause is the longest pause while a maintenance is being handled.
	shortPause = time.Minute
)

func (c Config) withDefaults() Config {
	c.MaxAge = cmp.Or(c.MaxAge, defaultMaxAge)
	c.WarnAfter = cmp.Or(c.WarnAfter, defaultWarnAfter)
	c.Refresh = cmp.Or(c.Refresh, defaultRefresh)
	c.State.Logger = cmp.Or(c.State.Logger, c.Logger)
	c.State.Runner.MaxPlanAge = cmp.Or(c.State.Runner.MaxPlanAge, -1)
	if c.ApprovalKey != nil && len(c.approvers()) == 0 {
		c.State.Approvers = []ed25519.PublicKey{publicOf(c.ApprovalKey)}
	}
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	if c.OnClosed == nil {
		c.OnClosed = func(Episode, *state.Run) {}
	}
	return c
}

// approvers are the keys that State accepts; none: that of this user.
func (c *Config) approvers() []ed25519.PublicKey {
	if len(c.State.Approvers) > 0 {
		return c.State.Approvers
	}
	return c.State.Runner.Require
}

func publicOf(key ed25519.PrivateKey) ed25519.PublicKey {
	return ed25519.PublicKey(key[ed25519.SeedSize:])
}

// runner returns the configuration of a Runner for checks.
func (c *Config) runner() resubmit.Config {
	r := c.State.Runner
	r.Systems, r.Policy, r.Journal = c.State.Systems, c.State.Policy, new(resubmit.MemoryJournal)
	return r
}

func (c Config) validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("watch: Config.Dir is empty; set a directory for the state"))
	}
	return errors.Join(append(errs, c.check()...)...)
}

// check returns what is wrong with the configuration but for Dir.
func (c Config) check() (errs []error) {
	for _, f := range []struct {
		invalid bool
		problem string
	}{
		{c.Windows == nil, "Windows is nil; set the source of the maintenance windows"},
		{c.Ready == nil, "Ready is nil; set a function that checks whether Connect is ready"},
		{c.ApprovalKey != nil && len(c.ApprovalKey) != ed25519.PrivateKeySize,
			"ApprovalKey is not an Ed25519 key; load one with plan.ApprovalKey"},
		{len(c.ApprovalKey) == ed25519.PrivateKeySize && len(c.approvers()) > 0 &&
			!slices.ContainsFunc(c.approvers(), func(k ed25519.PublicKey) bool { return k.Equal(publicOf(c.ApprovalKey)) }),
			"ApprovalKey is none of State.Approvers; add its public key to them"},
		{c.State.Calendar != nil, "State.Calendar is set; leave it nil, the watcher sets it"},
		{c.MaxAge < 0, "MaxAge is negative; use 0 for the default"},
		{c.WarnAfter < 0, "WarnAfter is negative; use 0 for the default"},
		{c.Refresh < 0, "Refresh is negative; use 0 for the default"},
	} {
		if f.invalid {
			errs = append(errs, errors.New("watch: Config."+f.problem))
		}
	}
	if err := callback.RejectNil(
		callback.Field{Name: "watch.Config.Windows", Value: c.Windows},
		callback.Field{Name: "watch.Config.Outages", Value: c.Outages},
	); err != nil {
		errs = append(errs, fmt.Errorf("watch: %w", err))
	}
	if _, err := resubmit.NewRunner(c.runner()); err != nil {
		errs = append(errs, err)
	}
	return errs
}
