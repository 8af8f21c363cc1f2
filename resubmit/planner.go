package resubmit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/mismatch"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
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
// filter does not select it. An order waits, even with an override, if an older one of its
// subscriptions waits, is held or needs a person. This needs memory for each such older order.
//
// Listed rows that do not match the query are left out, counted and named, see
// plan.ActionCounts.Mismatched. It is an error if no row matches.
//
// It is also an error if the list fails, credentials are refused, an order of
// PlanConfig.Override is not in the plan, or look-ups in Connect are needed and all fail. After
// an error the text in w is not a plan. An error of Connect ends planning early, comes with the
// counts of the decisions so far, and wraps the error of the look-up, such as
// connect.ErrUnauthorized.
func WritePlan(ctx context.Context, cfg PlanConfig, w io.Writer) (plan.ActionCounts, error) {
	p, err := newPlanner(cfg)
	if err != nil {
		return plan.ActionCounts{}, err
	}
	pw, err := plan.NewWriter(w, p.header)
	if err != nil {
		return plan.ActionCounts{}, err
	}
	ctx = p.begin(ctx)
	defer p.calls.stop(nil)
	if err := p.run(ctx, pw); err != nil {
		callback.Log(p.Logger, err)
		if cause := context.Cause(ctx); errors.Is(cause, ErrPatience) {
			err = cause
		}
		return plan.ActionCounts{}, err
	}
	pw.SetMismatched(p.unmatched.Count(), p.unmatched.Named())
	if err := p.lookUps.failed(pw.Counts()); err != nil {
		return pw.Counts(), err
	}
	if err := p.missing(); err != nil {
		return plan.ActionCounts{}, err
	}
	counts, digest, err := pw.Close()
	if err != nil {
		return plan.ActionCounts{}, err
	}
	p.report(counts, digest)
	return counts, nil
}

// begin returns the context for all calls.
func (p *planner) begin(ctx context.Context) context.Context {
	p.calls, ctx = newPacedCalls(ctx, p.RateLimit, p.Logger)
	return ctx
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

type planner struct {
	PlanConfig
	header    plan.Header
	view      commerce.Query // the orders of the view
	query     commerce.Query // the orders to list: the view and as much of the filter as possible
	cheap     filter.Filter  // the terms that are left and need no details
	rest      filter.Filter  // the terms that need details
	causes    *failure.Attributor
	explicit  map[string]bool
	noReasons bool          // the clients do not report why orders failed
	unsettle  string        // why nothing may be resubmitted yet; "" if it may
	quiet     time.Time     // an order that failed later is not settled
	slots     chan struct{} // taken by each call
	calls     *pacedCalls
	counters  planCounters
	lookUps   lookUps

	unmatched mismatch.Rows // listed although they do not match; used by the listing goroutine

	readable  atomic.Bool  // an order could be read
	forbidden atomic.Int64 // orders that may not be read

	named  map[string]bool // ids and numbers of the overridden orders in the plan
	unread int
}

func newPlanner(cfg PlanConfig) (*planner, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, fmt.Errorf("resubmit: plan: %w", err)
	}
	now := time.Now().Round(0).UTC()
	cfg.Margins.Now = now
	p := &planner{
		PlanConfig: cfg,
		causes: failure.NewAttributor(failure.AttributorConfig{
			Calendar: cfg.Calendar, Classifier: cfg.Classifier, Margins: cfg.Margins, Baseline: cfg.Baseline,
		}),
		explicit: make(map[string]bool, len(cfg.Override)+len(cfg.OverrideIfFound)),
		named:    make(map[string]bool),
		slots:    make(chan struct{}, cfg.Concurrency),
		quiet:    now.Add(-cfg.SettleDelay),
	}
	for _, name := range slices.Concat(cfg.Override, cfg.OverrideIfFound) {
		p.explicit[name] = true
	}
	for _, w := range filter.Warnings(cfg.Filter, cfg.View) {
		cfg.Logger.Warn("the filter may not select what was meant", "filter", cfg.Filter.String(), "warning", w)
	}
	p.noReasons = !cfg.Capabilities.Failure
	p.view = cfg.View.Query()
	p.query, p.rest = filter.ToQuery(cfg.Filter, p.view)
	p.query.Sort = commerce.OldestFirst
	p.query.OnMismatch = func(o *commerce.Order) {
		p.unmatched.Add(o.Label(), cmp.Or(p.query.Mismatch(o), "not what was queried"))
	}
	p.cheap, p.rest = filter.Split(p.rest)
	p.unsettle = unsettled(cfg.Calendar, now, cfg.SettleDelay)
	p.header = plan.Header{
		CreatedAt: now, System: cfg.Name, View: cfg.View.Name, Filter: cfg.Filter.String(),
		Windows: cfg.Calendar.Windows(), Weekly: cfg.Calendar.Weekly(), Rules: cfg.Rules,
	}
	if p.Reader != nil {
		p.Reader = guardedReader{p.Reader, p.Logger}
	}
	if p.Requests != nil {
		p.Requests = guardedFinder{p.Requests, p.Logger}
	}
	return p, nil
}

// batch is a number of consecutive orders in the planner.
type batch struct {
	orders  []*commerce.Order
	entries []plan.Entry
	done    chan struct{} // closed when entries are set
}

// run lists orders in one goroutine, decides in several, and writes in the order of the list.
func (p *planner) run(ctx context.Context, w *plan.Writer) error {
	defer p.showProgress()()
	g, ctx := errgroup.WithContext(ctx)
	queue := make(chan *batch, 2)
	g.Go(func() error {
		defer close(queue)
		err := p.guardedList(ctx, func(orders []*commerce.Order) error {
			b := &batch{orders: orders, done: make(chan struct{})}
			select {
			case queue <- b: // full while enough batches are in progress
			case <-ctx.Done():
				return ctx.Err()
			}
			g.Go(func() error {
				defer close(b.done)
				return callback.Do(func() error { return p.decide(ctx, b) })
			})
			return nil
		})
		if err != nil {
			return fmt.Errorf("resubmit: plan: list orders: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		older := newOvertaking()
		for b := range queue {
			select {
			case <-b.done:
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := p.write(b.entries, older, w); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	return g.Wait()
}

// write writes the entries of a batch, in their order.
func (p *planner) write(entries []plan.Entry, older *overtaking, w *plan.Writer) error {
	for i := range entries {
		e := &entries[i]
		keepAge(e, w.LastPlaced())
		if p.unsettle == "" { // otherwise no order is sent
			older.pass(e)
		}
		if err := w.Write(e); err != nil {
			return err
		}
		p.counters.decided.Add(1)
		p.note(e)
		if e.Decision.RuleID == rules.IDReadFailed || e.Decision.RuleID == rules.IDFieldUnreadable {
			p.unread++
		}
	}
	return nil
}

func (p *planner) isExplicit(o *commerce.Order) bool {
	return len(p.explicit) > 0 && (p.explicit[o.ID] || p.explicit[o.Number])
}

func (p *planner) note(e *plan.Entry) {
	if p.explicit[e.OrderID] || p.explicit[e.Number] {
		p.named[e.OrderID], p.named[e.Number] = true, true
	}
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

// unplanned returns the names that are not in the plan, sorted.
func (p *planner) unplanned(names []string) (missing []string) {
	for _, n := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if !p.named[n] {
			missing = append(missing, text.Short(n))
		}
	}
	return missing
}

func (p *planner) missing() error {
	if missing := p.unplanned(p.Override); len(missing) > 0 {
		return &NotPlannedError{Orders: missing, View: p.View.Name}
	}
	return nil
}

func (p *planner) report(counts plan.ActionCounts, digest string) {
	if missing := p.unplanned(p.OverrideIfFound); len(missing) > 0 {
		p.Logger.Warn("overridden orders are not in the view or not selected", "orders", strings.Join(missing, " "))
	}
	if p.unmatched.Count() > 0 {
		p.Logger.Warn("the list has orders that do not match the query; they are not in the plan",
			"orders", p.unmatched.Count(), "reason", p.unmatched.String())
	}
	if p.unread > 0 {
		p.Logger.Warn("orders could not be read and are held", "orders", p.unread)
	}
	p.Logger.Info("plan written", "digest", digest, "total", counts.Total, "resubmit", counts.Resubmit, "wait",
		counts.Wait,
		"hold", counts.Hold, "quarantine", counts.Quarantine, "complete", counts.Complete, "manual", counts.Manual)
}

// candidate is an order about which the planner decides.
type candidate struct {
	order *commerce.Order
	cause failure.Finding
	facts rules.Facts
	keys  []connect.RequestKey
	err   error // why it could not be read
}

func (p *planner) decide(ctx context.Context, b *batch) error {
	candidates := make([]candidate, len(b.orders))
	for i, o := range b.orders {
		candidates[i].order = o
	}
	if err := p.read(ctx, candidates); err != nil {
		return err
	}
	candidates = slices.DeleteFunc(candidates, func(c candidate) bool { return c.err == nil && !selects(p.rest, c.order) })
	for i := range candidates {
		p.gatherOne(&candidates[i])
	}
	if err := p.findRequests(ctx, candidates); err != nil {
		return err
	}
	b.entries = make([]plan.Entry, len(candidates))
	for i := range candidates {
		p.entry(&candidates[i], &b.entries[i])
	}
	return nil
}

func (p *planner) take(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *planner) give() { <-p.slots }
