package temporal

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// watchActivities make the calls of the workflow that watches a system, with the code of a Watcher.
type watchActivities struct {
	timing  *watch.Timing
	plans   plan.Store
	journal resubmit.Journal
}

// newWatchActivities returns the activities for Options.Watch, and completes Options.Runner.
func newWatchActivities(o *Options) (*watchActivities, error) {
	if o.Watch == nil {
		return nil, nil //nolint:nilnil // the worker does not watch
	}
	cfg := *o.Watch
	if len(o.Runner.Require) > 0 && slices.ContainsFunc(cfg.State.Approvers, func(k ed25519.PublicKey) bool {
		return !slices.ContainsFunc(o.Runner.Require, func(r ed25519.PublicKey) bool { return r.Equal(k) })
	}) {
		return nil, errors.New("temporal: Options.Watch.State.Approvers has a key that is not in Options.Runner.Require; " +
			"the Runner would reject its plans")
	}
	for field, set := range map[string]bool{
		"Dir": cfg.Dir != "", "OnClosed": cfg.OnClosed != nil, "State.Journal": cfg.State.Journal != nil,
		"State.Anchor": cfg.State.Anchor != nil, "State.Audit": len(cfg.State.Audit) > 0,
		"State.Systems": cfg.State.Systems.Name != "", "State.Runner": !reflect.ValueOf(cfg.State.Runner).IsZero(),
		"State.Policy": !reflect.ValueOf(cfg.State.Policy).IsZero(),
	} {
		if set {
			return nil, fmt.Errorf("temporal: Options.Watch.%s is set; leave it empty: it is for a Watcher with a directory; "+
				"use Options.Runner", field)
		}
	}
	o.Runner.MaxPlanAge = cmp.Or(o.Runner.MaxPlanAge, -1) // a plan is for an episode, however long its approval takes
	cfg.State.Systems, cfg.State.Runner, cfg.State.Policy = o.Runner.Systems, o.Runner, o.Runner.Policy
	timing, err := watch.NewTiming(cfg)
	if err != nil {
		return nil, err
	}
	if o.Runner.Calendar == nil {
		o.Runner.Calendar = timing.Calendar
	}
	return &watchActivities{timing, o.Plans, o.Runner.Journal}, nil
}

// register registers the activities.
func (w *watchActivities) register(to worker.ActivityRegistry) {
	for name, f := range map[string]any{
		nextActivity: w.next, makeActivity: w.make, askActivity: w.ask, approveActivity: w.approve,
	} {
		to.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
}

// known returns an error as long as this worker has not read the maintenance windows.
func (w *watchActivities) known() error {
	if w.timing.Calendar() == nil {
		return errors.New("this worker does not know the maintenance windows yet")
	}
	return nil
}

// check returns an error if the workflow watches another system.
func (w *watchActivities) check(system string) error {
	if own := w.timing.Config().State.Systems.Name; own != system {
		return fmt.Errorf("the workflow watches %s, and this worker has %s; use another task queue for each system",
			system, own)
	}
	return nil
}

type nextInput struct {
	System  string        `json:"system"`
	History watch.History `json:"history"`
}

type nextOutput struct {
	History watch.History `json:"history"`
	Next    watch.Next    `json:"next"`
}

// next finds out what is to be done next.
func (w *watchActivities) next(ctx context.Context, in nextInput) (out nextOutput, err error) {
	defer heartbeats(ctx)()
	if err := w.check(in.System); err != nil {
		return out, err
	}
	out.History = in.History
	out.Next, err = w.timing.Next(ctx, &out.History)
	return out, err
}

type makeInput struct {
	System     string        `json:"system"`
	Episode    watch.Episode `json:"episode"`
	Queue      string        `json:"queue"`
	Attributes bool          `json:"attributes,omitempty"`
	Rate       float64       `json:"rate,omitempty"`
}

// madePlan is a plan that was made.
type madePlan struct {
	Input   planInput `json:"input"` // of its workflow
	Counts  string    `json:"counts"`
	Waits   bool      `json:"waits,omitempty"` // orders must wait
	Due     time.Time `json:"due,omitzero"`
	Reasons []string  `json:"reasons,omitempty"` // why it needs an approval
	// Asks means that the configuration decides about approvals. The others are of the configuration.
	Asks         bool          `json:"asks,omitempty"`
	ApprovalTime time.Duration `json:"approvalTime"`
	MaxAge       time.Duration `json:"maxAge"`
	Refresh      time.Duration `json:"refresh"`
}

// make makes a plan and stores it.
func (w *watchActivities) make(ctx context.Context, in makeInput) (out madePlan, err error) {
	defer heartbeats(ctx)()
	if err := w.check(in.System); err != nil {
		return out, err
	}
	dir, err := os.MkdirTemp("", "resubmit-plan-")
	if err != nil {
		return out, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // only the system's temporary directory
	cfg, err := w.timing.PlanConfig(ctx, in.Episode)
	if err != nil {
		return out, err
	}
	cfg.Journal = w.journal
	path := filepath.Join(dir, "plan.jsonl")
	if _, err := resubmit.WritePlanFile(ctx, cfg, path); err != nil {
		return out, err
	}
	p, err := plan.Open(path)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if out, err = w.made(p, &in); err == nil && out.Input.Total > 0 {
		err = w.plans.Put(ctx, p)
	}
	return out, err
}

// made returns what the workflow must know of a plan.
func (w *watchActivities) made(p *plan.Plan, in *makeInput) (out madePlan, err error) {
	cfg := w.timing.Config()
	out = madePlan{
		Counts: p.Counts().String(), Waits: p.Counts().Wait > 0, Due: p.Due(), Asks: cfg.Approve != nil,
		ApprovalTime: cfg.State.Limits.ApprovalTime, MaxAge: cfg.MaxAge, Refresh: cfg.Refresh,
	}
	if out.Input, err = newPlanInput(p, StartOptions{
		TaskQueue: in.Queue, Rate: in.Rate, OmitSearchAttributes: !in.Attributes,
	}); err != nil {
		return out, err
	}
	if out.Reasons, err = cfg.State.Limits.Exceeded(p); err != nil {
		return out, err
	}
	if len(cfg.State.Runner.Require) > 0 {
		out.Reasons = append(out.Reasons, "every plan must be signed")
	}
	return out, nil
}

type askInput struct {
	System  string        `json:"system"`
	Episode watch.Episode `json:"episode"`
	Digest  string        `json:"digest"`
}

type askOutput struct {
	Decision decision  `json:"decision"` // empty: there is none yet
	Again    time.Time `json:"again,omitzero"`
}

// ask asks Config.Approve about a plan.
func (w *watchActivities) ask(ctx context.Context, in askInput) (out askOutput, err error) {
	defer heartbeats(ctx)()
	if err := w.check(in.System); err != nil {
		return out, err
	}
	p, err := w.plans.Open(ctx, in.Digest)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	cfg := w.timing.Config()
	answer, err := callback.Call(func() (watch.Approval, error) { return cfg.Approve(ctx, in.Episode, p) })
	if err != nil {
		return out, err
	}
	d := decision{Digest: in.Digest, Why: answer.Why}
	d.By = cmp.Or(strings.TrimSpace(text.Excerpt(answer.By, 190)), "Config.Approve")
	switch answer.State {
	case watch.Approved:
		return askOutput{Decision: d}, nil
	case watch.Rejected:
		d.Rejected = true
		return askOutput{Decision: d}, nil
	case watch.Pending:
		return askOutput{Again: answer.AskAgainAt}, nil
	default:
		return out, fmt.Errorf("Config.Approve returned the decision %q", answer.State)
	}
}

type approveInput struct {
	System   string   `json:"system"`
	Decision decision `json:"decision"`
	Asked    bool     `json:"asked,omitempty"` // it is that of Config.Approve
}

// approve signs a plan that was approved, or checks its signature.
func (w *watchActivities) approve(ctx context.Context, in approveInput) (err error) {
	defer heartbeats(ctx)()
	if err := w.check(in.System); err != nil {
		return err
	}
	cfg := w.timing.Config()
	keys := cfg.State.Approvers
	if len(keys) == 0 {
		keys = cfg.State.Runner.Require
	}
	if len(keys) == 0 && in.Decision.Signature == "" {
		return nil
	}
	p, err := w.plans.Open(ctx, in.Decision.Digest)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	var key ed25519.PrivateKey
	if in.Asked { // whoever sends a signal may write any name
		key = cfg.ApprovalKey
	}
	signature, err := signatureOf(p, &in.Decision, key)
	if err != nil {
		return temporal.NewNonRetryableApplicationError(err.Error(), refusedType, nil)
	}
	signed := p.WithSignature(signature)
	if len(keys) > 0 {
		if _, err := signed.SignedBy(keys...); err != nil {
			return temporal.NewNonRetryableApplicationError(err.Error(), refusedType, nil)
		}
	}
	return w.plans.Put(ctx, signed)
}

// signatureOf returns the signature of an approval. key signs approvals without one; nil if that is not possible.
func signatureOf(p *plan.Plan, d *decision, key ed25519.PrivateKey) (*plan.Signature, error) {
	if d.Signature != "" {
		return plan.ReadSignature(strings.NewReader(d.Signature))
	}
	if key == nil {
		return nil, errors.New("the approval must have the signature of one of the Approvers")
	}
	return p.Sign(key, cmp.Or(d.By, "somebody"))
}
