package watch

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// Config configures a [Watcher]. Dir, Windows, Ready, Plan, Approve, ApprovalKey and Runner
// are required.
type Config struct {
	// Dir is the state directory: one JSON file, and a plan for each episode. It is created
	// with mode 0700 if missing. Each Watcher needs its own.
	Dir string
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
	// Plan returns the configuration of the plan for an episode. Defaults: Filter is
	// filter.FailedDuring(e.Windows...), Calendar all known maintenance; Systems and RateLimit
	// come from Runner. Policy and Journal are always those of Runner. If orders have no failure
	// time, set a filter that begins early enough: see [filter.FailedBetween].
	Plan func(ctx context.Context, e Episode) (resubmit.PlanConfig, error)
	// Approve decides about a plan that has orders to resubmit. It should return soon: to
	// ask a person, return Pending and call [Watcher.Wake] once there is a decision. It is
	// called again with the same plan after a restart. If the next maintenance begins
	// before the decision, one new plan is made for both. The plan is closed when Approve
	// returns.
	Approve func(ctx context.Context, e Episode, plan *plan.Plan) (Approval, error)
	// ApprovalKey signs each approval, so that whoever can edit Dir cannot approve a plan. Load
	// it with [plan.ApprovalKey], from a file outside of Dir.
	ApprovalKey ed25519.PrivateKey
	// Runner configures the plans and the runs. Its Journal is the one of the installation, the
	// same for all episodes: the watcher does nothing with another one, or an older copy. Its
	// Calendar must be nil: the watcher sets it. Its SettleDelay is also the time between a
	// maintenance and its plan, and a window that begins within its Guard after another one
	// joins the same episode.
	Runner resubmit.Config
	// OnClosed is called after each episode, at least once (it may repeat after a crash). The
	// report is nil if no plan was applied. Optional.
	OnClosed func(e Episode, r *resubmit.Report)

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
	// Refresh is the time between two calls of Windows. Default: 5 min.
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
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	if c.OnClosed == nil {
		c.OnClosed = func(Episode, *resubmit.Report) {}
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	for _, f := range []struct {
		invalid bool
		problem string
	}{
		{c.Dir == "", "Dir is empty; set a directory for the state"},
		{c.Windows == nil, "Windows is nil; set the source of the maintenance windows"},
		{c.Ready == nil, "Ready is nil; set a function that checks whether Connect is ready"},
		{c.Plan == nil, "Plan is nil; set a function that configures the plan"},
		{c.Approve == nil, "Approve is nil; set a function that decides about a plan"},
		{len(c.ApprovalKey) != ed25519.PrivateKeySize, "ApprovalKey is not an Ed25519 key; load one with plan.ApprovalKey"},
		{c.Runner.Calendar != nil, "Runner.Calendar is set; leave it nil, the watcher sets it"},
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
	if _, err := resubmit.NewRunner(c.Runner); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
