package resubmit

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/internal/wait"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/throttle"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

const (
	// planBatch is how many orders are decided together: enough for one look-up in
	// Connect to serve many, few enough to hold several batches in memory.
	planBatch = 256
	// keysAtOnce is the most keys of one look-up in Connect.
	keysAtOnce = 500
)

// WritePlan lists orders, decides about them and writes a plan to w, without holding it in memory.
// Each order of the view that the filter selects becomes one entry. An order that cannot be read
// or looked up in Connect is held, with the reason, and one with Problems is held even if the
// filter does not select it.
//
// The decisions are based on the journal, whose position the plan records. An order waits while
// another run is working on it, and is held if it was resubmitted in vain and nothing has changed
// since, see PlanConfig.Override. It waits as well, even with an override, while an older order of
// its subscriptions waits, is held, needs a person, or is in the view and not selected; and while
// another order of its subscriptions that was resubmitted has not ended well. That one is read, and
// the journal releases its subscriptions once it is completed or cancelled. This needs memory for each such order.
//
// Listed rows that do not match the query are left out, counted and named, see
// plan.ActionCounts.Mismatched. It is an error if no row matches.
//
// It is also an error if the list or the journal fails, credentials are refused, an order of
// PlanConfig.Override is not in the plan, or look-ups in Connect are needed and all fail. After
// an error the text in w is not a plan. An error of Connect ends planning early, comes with the
// counts of the decisions so far, and wraps the error of the look-up, such as
// connect.ErrUnauthorized.
func WritePlan(ctx context.Context, cfg PlanConfig, w io.Writer) (plan.ActionCounts, error) {
	if err := cfg.setDefaults(); err != nil {
		return plan.ActionCounts{}, fmt.Errorf("resubmit: plan: %w", err)
	}
	ctx, end := tracing{cfg.Tracer, cfg.Logger}.plan(ctx)
	counts, digest, err := writePlan(ctx, cfg, w)
	end(digest, counts, err)
	return counts, err
}

func writePlan(ctx context.Context, cfg PlanConfig, w io.Writer) (plan.ActionCounts, string, error) {
	none := plan.ActionCounts{}
	p, ctx, err := newPlanner(ctx, cfg)
	if err != nil {
		return none, "", err
	}
	defer p.calls.stop(nil)
	if p.header.Journal, err = p.history.open(ctx); err != nil {
		return none, "", err
	}
	pw, err := plan.NewWriter(w, p.header)
	if err != nil {
		return none, "", err
	}
	if err := p.run(ctx, pw); err != nil {
		callback.Log(p.Logger, err)
		if cause := context.Cause(ctx); errors.Is(cause, ErrRetryAfterTooLong) || errors.Is(cause, errSharedRate) {
			err = cause
		}
		return none, "", err
	}
	pw.SetMismatched(p.list.unmatched.Count(), p.list.unmatched.Named())
	if err := p.lookUps.failed(pw.Counts()); err != nil {
		return pw.Counts(), "", err
	}
	if missing := p.named.missing(p.Override); len(missing) > 0 {
		return none, "", &NotPlannedError{Orders: missing, View: p.View.Name}
	}
	counts, digest, err := pw.Close()
	if err != nil {
		return none, "", err
	}
	p.report(counts, digest)
	return counts, digest, nil
}

// WritePlanFile writes a plan to a file, see [WritePlan]. Only its owner can read the file, since
// it names customers. The file appears, or is replaced, when the plan is complete and on disk. A
// symbolic link is replaced, not followed. After an error the path is unchanged, unless syncing
// the directory failed.
func WritePlanFile(ctx context.Context, cfg PlanConfig, path string) (plan.ActionCounts, error) {
	f, err := durable.Create(path, 0o600)
	if err != nil {
		return plan.ActionCounts{}, fmt.Errorf("resubmit: write plan: %w", err)
	}
	defer f.Abort()
	counts, err := WritePlan(ctx, cfg, f)
	if err != nil {
		return counts, err
	}
	if err := f.Commit(); err != nil {
		return plan.ActionCounts{}, fmt.Errorf("resubmit: write plan: %w", err)
	}
	return counts, nil
}

// BuildPlan returns a plan in memory, see [WritePlan]. The text of an error of Connect has the
// counts.
func BuildPlan(ctx context.Context, cfg PlanConfig) (*plan.Plan, error) {
	var b bytes.Buffer
	if _, err := WritePlan(ctx, cfg, &b); err != nil {
		return nil, err
	}
	return plan.Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
}

// planner makes a plan: it lists orders, decides about them in batches, and writes the decisions in the order of the
// list.
type planner struct {
	PlanConfig
	header   plan.Header
	view     commerce.Query // the orders of the view
	rest     filter.Filter  // the terms of the filter that need details
	causes   *failure.Attributor
	clock    planClock
	calls    *planCalls
	list     orderList
	details  detailReader
	lookUps  lookUps
	history  history
	named    namedOrders
	progress planProgress
	windows  plan.WindowUse
	unread   int // entries of orders that could not be read
}

// newPlanner also returns the context for all calls, which ends with p.calls.stop.
func newPlanner(ctx context.Context, cfg PlanConfig) (*planner, context.Context, error) {
	policy, err := json.Marshal(cfg.Policy)
	if err != nil {
		return nil, nil, fmt.Errorf("resubmit: plan: policy: %w", err)
	}
	for _, w := range filter.Warnings(cfg.Filter, cfg.View) {
		cfg.Logger.Warn("the filter may not select what was meant", "filter", cfg.Filter.String(), "warning", w)
	}
	now := time.Now().Round(0).UTC()
	cfg.Margins.Now = now
	calls, ctx := newPlanCalls(ctx, &cfg)
	cheap, rest := filter.Split(cfg.Filter)
	p := &planner{
		PlanConfig: cfg, view: cfg.View.Query(), rest: rest, calls: calls, named: newNamedOrders(&cfg),
		header: plan.Header{
			CreatedAt: now, System: cfg.Name, View: cfg.View.Name, Filter: cfg.Filter.String(),
			Windows: cfg.Calendar.Windows(), Weekly: cfg.Calendar.Weekly(), Rules: cfg.Rules, Policy: policy,
		},
		causes: failure.NewAttributor(failure.AttributorConfig{
			Calendar: cfg.Calendar, Classifier: cfg.Classifier, Margins: cfg.Margins, Baseline: cfg.Baseline,
		}),
	}
	p.clock = planClock{baseURL: cfg.BaseURL, calls: calls}
	p.progress = planProgress{show: cfg.Progress, logger: cfg.Logger, pace: calls.pace}
	p.details = detailReader{reader: cfg.Reader, calls: calls, progress: &p.progress}
	p.lookUps = lookUps{finder: cfg.Requests, calls: calls, progress: &p.progress}
	p.history = history{PlanConfig: &p.PlanConfig, calls: calls}
	p.list = orderList{lister: cfg.Lister, calls: calls, cheap: cheap, lookUps: &p.lookUps, progress: &p.progress}
	p.list.query = planQuery(p.view, cfg.Filter)
	p.list.query.OnMismatch = func(o *commerce.Order) {
		p.list.unmatched.Add(o.Label(), cmp.Or(p.list.query.Mismatch(o), "not what was queried"))
	}
	return p, ctx, nil
}

// orderBatch is a number of consecutive orders of the list.
type orderBatch struct {
	items []item
	done  chan struct{} // closed when the items are decided, or err is set
	err   error
}

// item is an order of the list.
type item struct {
	order *commerce.Order
	// rejected means that the filter does not select it. Then it has no entry.
	rejected bool
	entry    *plan.Entry
	lanes    []string          // if it is to be resubmitted or rejected
	busy     []protocol.Record // those of its lanes that another order has
}

func newBatch() *orderBatch {
	return &orderBatch{items: make([]item, 0, planBatch), done: make(chan struct{})}
}

// run lists orders in one goroutine, decides in several, and writes in the order of the list.
func (p *planner) run(ctx context.Context, w *plan.Writer) error {
	defer p.progress.start()()
	g, ctx := errgroup.WithContext(ctx)
	queue := make(chan *orderBatch, 4)
	g.Go(func() error {
		defer close(queue)
		pass := func(b *orderBatch) error {
			select {
			case queue <- b: // full while enough batches are in progress
			case <-ctx.Done():
				return ctx.Err()
			}
			g.Go(func() error {
				defer close(b.done)
				b.err = callback.Do(func() error { return p.decide(ctx, b) })
				return b.err
			})
			return nil
		}
		if err := callback.Do(func() error { return p.list.read(ctx, pass) }); err != nil {
			return fmt.Errorf("resubmit: plan: list orders: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		lanes := newLaneOrder(p)
		for b := range queue {
			select {
			case <-b.done:
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := cmp.Or(b.err, ctx.Err()); err != nil {
				return err
			}
			if err := p.write(ctx, b, lanes, w); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	return g.Wait()
}

// write writes the entries of a batch, in their order.
func (p *planner) write(ctx context.Context, b *orderBatch, lanes *laneOrder, w *plan.Writer) error {
	if err := lanes.settle(ctx, b); err != nil {
		return err
	}
	for i := range b.items {
		it := &b.items[i]
		if it.rejected {
			lanes.reject(it)
			continue
		}
		e := it.entry
		keepAge(e, w.LastPlaced())
		if err := lanes.pass(ctx, it); err != nil {
			return err
		}
		if err := w.Write(e); err != nil {
			return err
		}
		p.progress.decided.Add(1)
		p.named.note(e)
		p.windows.Add(e)
		if e.Decision.RuleID == rules.IDReadFailed || e.Decision.RuleID == rules.IDFieldUnreadable {
			p.unread++
		}
	}
	return nil
}

// NotPlannedError means that orders of PlanConfig.Override are not in the plan, because the view
// does not list them or the filter leaves them out. No plan is made.
type NotPlannedError struct {
	Orders []string // as in PlanConfig.Override, sorted
	View   string
}

func (e *NotPlannedError) Error() string {
	return fmt.Sprintf("resubmit: plan: the view %s does not list the orders %s, or the filter leaves them out; leave "+
		"them out of PlanConfig.Override",
		text.Short(e.View), text.Sentence(strings.Join(e.Orders, ", ")))
}

func (p *planner) report(counts plan.ActionCounts, digest string) {
	if missing := p.named.missing(p.OverrideIfFound); len(missing) > 0 {
		p.Logger.Warn("overridden orders are not in the view or not selected", "orders", strings.Join(missing, " "))
	}
	if p.list.unmatched.Count() > 0 {
		p.Logger.Warn("the list has orders that do not match the query; they are not in the plan",
			"orders", p.list.unmatched.Count(), "reason", p.list.unmatched.String())
	}
	if p.list.ties.count > 0 {
		p.Logger.Warn("the list has orders twice; the plan has them once", "orders", p.list.ties.count,
			"first", strings.Join(p.list.ties.twice, " "))
	}
	if ahead := time.Duration(p.clock.skew.Load()); ahead != 0 {
		p.Logger.Warn("the local clock differs from that of Commerce, whose time was used; set the local clock",
			"ahead", ahead)
	}
	for _, w := range p.windows.Unmatched(&p.header) {
		p.Logger.Warn("no order of the plan fits a window; are its times and its time zone right?", "window", w.String())
	}
	if p.unread > 0 {
		p.Logger.Warn("orders could not be read and are held", "orders", p.unread)
	}
	p.Logger.Info("plan written", "digest", digest, "total", counts.Total, "resubmit", counts.Resubmit, "wait",
		counts.Wait,
		"hold", counts.Hold, "quarantine", counts.Quarantine, "complete", counts.Complete, "manual", counts.Manual)
}

// planProgress counts and shows the progress of planning. The counters are those of PlanProgress.
type planProgress struct {
	show   func(PlanProgress) // nil: it is not shown
	logger *slog.Logger
	pace   *throttle.Pacer

	listed, read, lookedUp, decided atomic.Int64
}

// start shows the progress each second until the returned function is called.
func (p *planProgress) start() (end func()) {
	if p.show == nil {
		return func() {}
	}
	return wait.Every(time.Second, func() bool {
		err := p.showOnce()
		if err != nil {
			p.logger.Warn("PlanConfig.Progress panicked and is not called any more", "error", err)
		}
		return err == nil
	})
}

func (p *planProgress) showOnce() (err error) {
	defer callback.Recover(&err)
	now := PlanProgress{
		Listed: int(p.listed.Load()), Read: int(p.read.Load()), LookedUp: int(p.lookedUp.Load()),
		Decided: int(p.decided.Load()),
	}
	if rest := p.pace.Rest(); rest > 0 {
		now.Until = time.Now().Add(rest)
	}
	p.show(now)
	return nil
}
