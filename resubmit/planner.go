package resubmit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/fields"
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

// PlanConfig says what to plan. Planning only reads. A Source, Reader, Requests or Filter
// that holds a nil pointer, map or function is an error. A panic in Reader, Requests or
// RequestType holds the orders that the call was about; one in Source or Filter ends the
// planning with an error.
type PlanConfig struct {
	// Systems are the clients. Lister is required.
	Systems
	// Policy has what the Runner must agree on.
	Policy
	// IgnoreConnect decides by the reason of the failure alone.
	IgnoreConnect bool

	// View is the failure view to list. The zero value is commerce.FailedOrders.
	View commerce.View
	// Filter selects among the orders of the view. Required: say Everything() for all.
	Filter filter.Filter
	// Calendar has the windows that failures are held against. Nil: none is known.
	Calendar *maintenance.Calendar
	// Margins widen the windows. Its Now is set by the planner.
	Margins failure.Margins
	// Rates, from a pass before, let the attribution tell what fails all the time from
	// what failed in a window, see [MeasureBaseline]. Nil: nobody counted.
	Baseline *failure.Baseline
	// Rules come before the default ones.
	Rules []rules.Rule
	// Explicit are the orders that the operator answers for, by number or id. They do not
	// select: Filter does. Planning fails with a *NotPlannedError if one of them is not in
	// the plan.
	Override []string
	// Vouched are like Explicit, but may be missing, such as the orders of an export that
	// is some hours old. Missing orders are logged.
	OverrideIfFound []string

	// Concurrency is the most calls at once, to Commerce and Connect together.
	// Default 4.
	Concurrency int
	// Rate is the limit of calls per second while planning, to both systems together. With
	// the clients of this library it covers every request: pages, reads, look-ups, sign-ins
	// and retries. With other sources, readers and finders it covers their calls only. Default
	// 5, -1 no limit. No call is made while a server asks for a pause
	// (Retry-After); a pause longer than a day ends planning with ErrPatience.
	RateLimit float64
	// Progress is called with the progress of planning once per second, never twice at the
	// same time. Planning waits for it to return. It is not called again after a panic,
	// which is logged. Nil: no progress is reported.
	Progress func(PlanProgress)
	// Logger gets what an operator must see. Nil: nothing is logged.
	Logger *slog.Logger
}

// WritePlan lists, judges and writes a plan to w, without holding it in memory:
// each order of the view that the filter selects becomes one entry, whatever is
// decided. An order that cannot be read, or that Connect cannot be asked for, is
// held with the reason. An order with Problems is held whatever the filter says. An
// order that would overtake an older one of its subscriptions, which waits, is held or
// needs a person, waits for that one, named by the operator or not. This takes memory
// for each such older order.
//
// Rows of the source that do not match the query are left out, counted and named, see
// Counts.Mismatched. It is an error if no row matches.
//
// It is also an error if the source fails, credentials are refused, an order of
// PlanConfig.Override is not in the plan, or look-ups in Connect are needed and all
// fail. Refused credentials for Connect end planning early. After an error the text in w
// is not a plan. An error of Connect comes with the counts of what was decided before,
// and wraps the error of the look-up, such as connect.ErrUnauthorized.
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

// begin returns the context of all calls.
func (p *planner) begin(ctx context.Context) context.Context {
	p.calls, ctx = newPacedCalls(ctx, p.RateLimit, p.Logger)
	return ctx
}

// WritePlanFile is [WritePlan] to a file that only its owner can read, since it names
// customers. The file appears, or is replaced, once the plan is whole and on disk. A
// symbolic link at the path is replaced too, and not followed. After an error the path
// is as it was, also after one that comes with counts, unless the last step failed,
// which brings the name of the file to disk.
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

// BuildPlan is [WritePlan] into memory, for plans that are applied at once. After an
// error there is no plan; the text of an error about Connect has the counts.
func BuildPlan(ctx context.Context, cfg PlanConfig) (*plan.Plan, error) {
	var b bytes.Buffer
	if _, err := WritePlan(ctx, cfg, &b); err != nil {
		return nil, err
	}
	return plan.Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
}

type planner struct {
	PlanConfig
	header   plan.Header
	view     commerce.Query // what makes an order one of the view,
	query    commerce.Query // and what is asked for
	cheap    filter.Filter  // of what the query leaves: what a listed order tells,
	rest     filter.Filter  // and what needs its details
	causes   *failure.Attributor
	explicit map[string]bool
	untold   bool   // why orders failed
	unsettle string // why nothing may be resubmitted yet; "" when it may
	quiet    time.Time
	slots    chan struct{} // taken by each call
	calls    *pacedCalls
	counters planCounters
	lookUps  lookUps

	unmatched mismatch.Rows // listed although the query leaves them out; of the goroutine that lists

	readable  atomic.Bool  // an order could be read
	forbidden atomic.Int64 // orders that Commerce forbids to read

	named  map[string]bool // ids and numbers of the plan, where orders were named
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
	p.untold = !cfg.Capabilities.Failure
	p.view = cfg.View.Query()
	p.query, p.rest = filter.Pushdown(cfg.Filter, p.view)
	p.query.Sort = commerce.OldestFirst
	p.query.OnMismatch = func(o *commerce.Order) {
		p.unmatched.Add(o.Label(), cmp.Or(p.query.Mismatch(o), "not what was asked for"))
	}
	p.cheap, p.rest = filter.Split(p.rest)
	p.unsettle = unsettled(cfg.Calendar, now, cfg.SettleDelay)
	p.header = plan.Header{
		CreatedAt: now, System: cfg.Name, View: cfg.View.Name, Filter: cfg.Filter.String(),
		Windows: cfg.Calendar.Windows(), Recurring: cfg.Calendar.Rules(), Rules: cfg.Rules,
	}
	if p.Reader != nil {
		p.Reader = guardedReader{p.Reader, p.Logger}
	}
	if p.Requests != nil {
		p.Requests = guardedFinder{p.Requests, p.Logger}
	}
	return p, nil
}

func (c *PlanConfig) setDefaults() error {
	if c.Lister == nil {
		return errors.New("PlanConfig.Lister is nil; give what lists the orders")
	}
	if err := cmp.Or(c.Systems.validate("PlanConfig"), c.Policy.validate("PlanConfig"),
		callback.RejectNil(callback.Field{Name: "PlanConfig.Filter", Value: c.Filter})); err != nil {
		return err
	}
	if err := filter.Validate(c.Filter); err != nil {
		return fmt.Errorf("PlanConfig.Filter: %w", err)
	}
	if c.View.Name == "" && len(c.View.Statuses) == 0 {
		c.View = commerce.FailedOrders()
	}
	if err := c.View.Validate(); err != nil {
		return fmt.Errorf("PlanConfig.View: %w", err)
	}
	if err := rules.Validate(c.Rules); err != nil {
		return fmt.Errorf("PlanConfig.Rules: %w", err)
	}
	if c.Concurrency < 0 {
		return fmt.Errorf("PlanConfig.Concurrency is %d; give at least 1, or 0 for the default", c.Concurrency)
	}
	if err := checkRate("PlanConfig.RateLimit", c.RateLimit); err != nil {
		return err
	}
	if c.Margins.Lookback < -1 {
		return fmt.Errorf("PlanConfig.Margins.Lookback is %v; give a duration, 0 for the default or -1 for none",
			c.Margins.Lookback)
	}
	for field, names := range map[string][]string{"Override": c.Override, "OverrideIfFound": c.OverrideIfFound} {
		if slices.Contains(names, "") { // it would be every order without a number
			return fmt.Errorf("PlanConfig.%s has an empty name; leave it out", field)
		}
	}
	c.RateLimit = cmp.Or(c.RateLimit, defaultRate)
	c.Concurrency = cmp.Or(c.Concurrency, 4)
	c.Policy = c.Policy.withDefaults()
	c.SettleDelay = max(0, c.SettleDelay)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// unsettled says why nothing may be resubmitted at all just now.
func unsettled(cal *maintenance.Calendar, now time.Time, settle time.Duration) string {
	if w, ok := cal.At(now); ok {
		return fmt.Sprintf("the maintenance window %s is open; plan again %s after its end", w.ID, settle)
	}
	if w, ok := cal.Last(now); ok {
		if calm := w.Span().End.Add(settle); calm.After(now) {
			return fmt.Sprintf("the maintenance window %s ended less than %s ago; plan again after %s",
				w.ID, settle, calm.UTC().Format(time.RFC3339))
		}
	}
	return ""
}

// batch is a run of orders on its way through the planner.
type batch struct {
	orders  []*commerce.Order
	entries []plan.Entry
	done    chan struct{} // closed when entries are there
}

var errNoOrder = errors.New("the source yielded neither an order nor an error")

// run lists in one goroutine, decides in several, and writes in the order of the list.
func (p *planner) run(ctx context.Context, w *plan.Writer) error {
	defer p.showProgress()()
	g, ctx := errgroup.WithContext(ctx)
	queue := make(chan *batch, 2)
	g.Go(func() error {
		defer close(queue)
		err := p.guardedList(ctx, func(orders []*commerce.Order) error {
			b := &batch{orders: orders, done: make(chan struct{})}
			select {
			case queue <- b: // full when enough batches are under way
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
		if p.unsettle == "" { // else nothing is sent that could overtake
			older.pass(e)
		}
		if err := w.Write(e); err != nil {
			return err
		}
		p.counters.decided.Add(1)
		p.note(e)
		if e.Decision.RuleID == rules.IDOrderUnread || e.Decision.RuleID == rules.IDUnreadableRow {
			p.unread++
		}
	}
	return nil
}

// listed yields what the source lists. It ends early, without an error, when Connect
// refuses its key, since there will be no plan then.
func (p *planner) listed(ctx context.Context) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		turn, err := p.calls.next(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		for o, err := range p.Lister.Orders(turn, p.query) {
			if err == nil && o == nil {
				err = errNoOrder
			}
			if err == nil {
				err = ctx.Err()
			}
			if p.lookUps.refused() != nil || !yield(o, err) || err != nil {
				return
			}
		}
	}
}

// guardedList is list, where a panic of the source or of the filter is an error.
func (p *planner) guardedList(ctx context.Context, pass func([]*commerce.Order) error) error {
	return callback.Do(func() error { return p.list(ctx, pass) })
}

// list passes on the orders that the query and the cheap terms select.
func (p *planner) list(ctx context.Context, pass func([]*commerce.Order) error) error {
	var orders []*commerce.Order
	var rows fields.RowIDs
	var last *commerce.Order // of those that tell when they were placed
	for o, err := range tiesByID(p.listed(ctx)) {
		if err != nil {
			return err
		}
		o = identified(withCode(readable(o)), &rows)
		if why := p.query.Mismatch(o); why != "" {
			p.unmatched.Add(o.Label(), why)
			continue
		}
		p.unmatched.Matched()
		if !selects(p.cheap, o) {
			continue
		}
		if last, err = youngest(last, o); err != nil {
			return err
		}
		p.counters.listed.Add(1)
		if orders == nil {
			orders = make([]*commerce.Order, 0, planBatch)
		}
		if orders = append(orders, o); len(orders) == planBatch {
			if err := pass(orders); err != nil {
				return err
			}
			orders = nil
		}
	}
	if err := p.unmatched.Err(); err != nil {
		return err
	}
	if len(orders) > 0 {
		return pass(orders)
	}
	return nil
}

// youngest returns the younger of the youngest order so far and the next one of a list, or
// an error if the list is not sorted by age. A nil order is none.
func youngest(last, o *commerce.Order) (*commerce.Order, error) {
	switch {
	case o.PlacedAt.IsZero():
		return last, nil
	case last != nil && o.PlacedAt.Before(last.PlacedAt):
		return nil, fmt.Errorf("the source is not sorted: order %s, placed %s, came after order %s, placed %s; wrap it "+
			"with Sorted",
			text.Short(o.Label()), o.PlacedAt.Format(time.RFC3339), text.Short(last.Label()), last.PlacedAt.Format(time.RFC3339))
	default:
		return o, nil
	}
}

// identified gives an order without a usable id one of its own, by which it can be
// neither read nor pushed.
func identified(o *commerce.Order, rows *fields.RowIDs) *commerce.Order {
	if strings.TrimSpace(o.ID) != "" {
		return o
	}
	odd := *o
	odd.ID = rows.Next(o.Raw)
	odd.Problems = append(slices.Clip(o.Problems), "it has no id by which it could be read")
	return &odd
}

// selects reports whether a filter selects an order, or may do: what a filter looks
// at may be what could not be read.
func selects(f filter.Filter, o *commerce.Order) bool { return len(o.Problems) > 0 || f.Match(o) }

func (p *planner) isExplicit(o *commerce.Order) bool {
	return len(p.explicit) > 0 && (p.explicit[o.ID] || p.explicit[o.Number])
}

func (p *planner) note(e *plan.Entry) {
	if p.explicit[e.OrderID] || p.explicit[e.Number] {
		p.named[e.OrderID], p.named[e.Number] = true, true
	}
}

// NotPlannedError says that orders of PlanConfig.Override are not in the plan: the view
// does not list them, or the filter leaves them out. There is no plan then.
type NotPlannedError struct {
	Orders []string // as they were named, sorted
	View   string
}

func (e *NotPlannedError) Error() string {
	return fmt.Sprintf("resubmit: plan: the view %s does not list the orders %s, or the filter leaves them out; leave "+
		"them out of PlanConfig.Override",
		text.Short(e.View), text.Sentence(strings.Join(e.Orders, ", ")))
}

// unplanned returns those of some names that are not in the plan, sorted.
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
		p.Logger.Warn("orders that were named are not in the view or not selected", "orders", strings.Join(missing, " "))
	}
	if p.unmatched.Count() > 0 {
		p.Logger.Warn("the source listed orders that it was asked to leave out; they are not in the plan",
			"orders", p.unmatched.Count(), "reason", p.unmatched.String())
	}
	if p.unread > 0 {
		p.Logger.Warn("orders could not be read and are held", "orders", p.unread)
	}
	p.Logger.Info("planned", "digest", digest, "total", counts.Total, "resubmit", counts.Resubmit, "wait", counts.Wait,
		"hold", counts.Hold, "quarantine", counts.Quarantine, "complete", counts.Complete, "manual", counts.Manual)
}

// candidate is one order while it is judged.
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
	if err := p.look(ctx, candidates); err != nil {
		return err
	}
	b.entries = make([]plan.Entry, len(candidates))
	for i := range candidates {
		p.entry(&candidates[i], &b.entries[i])
	}
	return nil
}

// read reads the orders whose details the list left out.
func (p *planner) read(ctx context.Context, candidates []candidate) error {
	if p.Reader == nil {
		return nil
	}
	var reads sync.WaitGroup
	for i := range candidates {
		c := &candidates[i]
		if c.order.Detailed() || len(c.order.Problems) > 0 || p.take(ctx) != nil {
			continue
		}
		turn, err := p.calls.next(ctx) // here, so that orders are read in their order
		if err != nil {
			c.err = err
			p.give()
			continue
		}
		reads.Go(func() {
			defer p.give()
			o, err := p.Reader.Order(turn, c.order.ID)
			p.calls.pauseFor(err)
			p.counters.read.Add(1)
			switch {
			case err != nil:
				if c.err = err; forbidden(err) {
					p.forbidden.Add(1)
				}
			case o == nil || o.ID != c.order.ID:
				c.err = errors.New("the answer was about another order")
			default:
				p.readable.Store(true)
				c.err = identityOf(c.order).check(identityOf(o))
				if c.err == nil {
					c.order = withCode(readable(completed(o, c.order)))
				}
			}
		})
	}
	reads.Wait()
	for i := range candidates {
		if err := candidates[i].err; unauthorized(err) || forbidden(err) && p.allForbidden() {
			// This is about us, not about the order: to go on would only lock us out.
			return fmt.Errorf("resubmit: plan: read order %s: %w", text.Short(candidates[i].order.Label()), err)
		}
	}
	return ctx.Err() // a reading that was cancelled says nothing about its order
}

// allForbidden reports whether Commerce forbids to read any order at all.
func (p *planner) allForbidden() bool {
	return !p.readable.Load() && p.forbidden.Load() >= forbiddenInRow
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

// completed is an order as it was read, with what only the list told.
func completed(read, listed *commerce.Order) *commerce.Order {
	o := *read
	if o.PlacedAt.IsZero() {
		o.PlacedAt = listed.PlacedAt
	}
	if o.FailedAt.IsZero() && o.Status == listed.Status {
		o.FailedAt = listed.FailedAt
	}
	if len(o.SubscriptionIDs) == 0 {
		o.SubscriptionIDs = listed.SubscriptionIDs
	}
	if o.TenantID == "" {
		o.TenantID = listed.TenantID
	}
	return &o
}

// gatherOne is gather, and holds the order if a function of the user panics.
func (p *planner) gatherOne(c *candidate) {
	err := func() (err error) {
		defer callback.Recover(&err)
		p.gather(c)
		return nil
	}()
	if err != nil {
		callback.Log(p.Logger, err)
		c.err, c.keys = err, nil
	}
}

// gather collects the facts that need no call, and the keys for the one that does.
func (p *planner) gather(c *candidate) {
	o := c.order
	c.cause = p.causes.Attribute(o)
	c.facts = rules.Facts{
		Order: o, Attribution: c.cause.Attribution,
		Override: p.isExplicit(o), NoReasons: p.untold && o.Failure.Message() == "", Now: p.Margins.Now,
	}
	if p.IgnoreConnect || c.err != nil || len(o.Problems) > 0 {
		return
	}
	kind, ok := p.RequestType(o.Type)
	if !ok || !rules.NeedsRequests(p.Rules, &c.facts) {
		return
	}
	c.facts.RequestsQueried = true
	switch {
	case p.Requests == nil:
		c.facts.RequestsErr = errors.New("nobody asked Connect; give PlanConfig.Requests, or set IgnoreConnect")
	case o.TenantID != "":
		c.keys = []connect.RequestKey{{Tenant: o.TenantID, Type: kind}}
	case len(o.SubscriptionIDs) > 0:
		for _, id := range o.SubscriptionIDs {
			c.keys = append(c.keys, connect.RequestKey{Subscription: id, Type: kind})
		}
	default:
		c.facts.RequestsErr = errors.New("the order tells neither its subscription nor its tenant, so that there is nothing to ask Connect for")
	}
}

// look asks Connect for the newest requests of all candidates.
func (p *planner) look(ctx context.Context, candidates []candidate) error {
	index := map[connect.RequestKey]bool{}
	for i := range candidates {
		for _, k := range candidates[i].keys {
			index[k] = true
		}
	}
	if len(index) == 0 {
		return nil
	}
	keys := slices.Collect(maps.Keys(index))
	found := make(map[connect.RequestKey][]connect.LatestRequest, len(keys))
	failed := map[connect.RequestKey]error{}
	for some := range slices.Chunk(keys, keysAtOnce) {
		newest, err := p.lookUp(ctx, some)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			err = errUnanswered
		}
		for _, k := range some {
			if requests, ok := newest[k]; ok {
				found[k] = requests
			} else {
				failed[k] = causeOf(err, k)
			}
		}
	}
	for i := range candidates {
		c := &candidates[i]
		for _, k := range c.keys {
			c.facts.Requests = append(c.facts.Requests, found[k]...)
			if err := failed[k]; err != nil {
				c.facts.RequestsErr = err
			}
		}
	}
	return nil
}

// causeOf is why a key is unknown, as far as the error of its look-up tells it apart from
// those of other keys.
func causeOf(err error, key connect.RequestKey) error {
	if e, ok := errors.AsType[interface {
		error
		KeyError(key connect.RequestKey) error
	}](err); ok {
		return cmp.Or(e.KeyError(key), err)
	}
	return err
}

// lookUp is one look-up in Connect.
func (p *planner) lookUp(ctx context.Context,
	keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
	if err := p.lookUps.refused(); err != nil {
		return nil, err
	}
	if err := p.take(ctx); err != nil {
		return nil, err
	}
	defer p.give()
	turn, err := p.calls.next(ctx)
	if err != nil {
		return nil, err
	}
	newest, err := p.Requests.LatestRequests(turn, keys)
	p.calls.pauseFor(err)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	p.counters.lookedUp.Add(int64(len(keys)))
	p.lookUps.note(len(newest) > 0, err)
	return newest, err
}

// lookUps remembers how the look-ups in Connect went.
type lookUps struct {
	mu       sync.Mutex
	answered bool  // some key has an answer
	err      error // of the first that failed
	denied   error // the credentials are refused, so that no further one is made
}

func (l *lookUps) note(answered bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Connect has answered if it returned an unclear request: that is about its keys only.
	answered = answered || errors.Is(err, connect.ErrUnclearRequest)
	l.answered = l.answered || answered
	if err == nil && !answered {
		err = errUnanswered
	}
	if l.err == nil {
		l.err = err
	}
	// A key that may read some things is not refused: that is about the others.
	if errors.Is(err, connect.ErrUnauthorized) || errors.Is(err, connect.ErrForbidden) && !l.answered {
		l.denied = err
	}
}

// refused is the error by which Connect refused the credentials, nil if it did not.
func (l *lookUps) refused() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.denied
}

// failed returns why there must be no plan: Connect refused the credentials, or none of
// the look-ups succeeded.
func (l *lookUps) failed(counts plan.ActionCounts) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	const what = "resubmit: plan: %s, so there is no plan (until then %s): check the URL and the key of Connect, or " +
		"set IgnoreConnect: %w"
	switch {
	case l.denied != nil:
		return fmt.Errorf(what, "Connect refuses the key", counts, oneLineError{l.denied})
	case l.err != nil && !l.answered:
		return fmt.Errorf(what, "no look-up in Connect succeeded", counts, oneLineError{l.err})
	default:
		return nil
	}
}

// oneLineError is an error whose text is short and on one line.
type oneLineError struct{ error }

func (e oneLineError) Error() string { return text.Short(e.error.Error()) }
func (e oneLineError) Unwrap() error { return e.error }

var errUnanswered = errors.New("there was no answer for its key")

// entry decides and writes down why.
func (p *planner) entry(c *candidate, e *plan.Entry) {
	o := c.order
	p.weigh(c)
	*e = plan.Entry{
		OrderID: o.ID, Number: o.Number, Type: o.Type, VendorID: o.VendorID, Channel: o.Channel,
		Customer: customer(o), CustomerID: o.CustomerID, Subscriptions: o.SubscriptionIDs, TenantID: o.TenantID,
		Total:  o.Total,
		Before: plan.SnapshotOf(o), Attribution: c.facts.Attribution,
	}
	e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
	e.Decision, e.Target = p.decision(c)
	e.Decision.Why = text.Sentence(e.Decision.Why)
}

// keepAge holds an order that was read as older than the list, which sorts by age, let
// it come. after is when the order ahead of it was placed.
func keepAge(e *plan.Entry, after time.Time) {
	err := e.CheckOldestFirst(after)
	if err == nil {
		return
	}
	e.Before.PlacedAt = time.Time{}
	e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
	e.Attribution.Evidence = append(e.Attribution.Evidence, problemEvidence([]string{err.Error()})...)
	e.Decision, e.Target = holdUnreadable(err.Error()), ""
}

func holdUnreadable(problem string) rules.Decision {
	return rules.Decision{Action: rules.Hold, RuleID: rules.IDUnreadableRow, Why: "not all of the order could be read: " + text.Short(problem)}
}

// weigh adds to the attribution what only the planner knows.
func (p *planner) weigh(c *candidate) {
	c.cause.Evidence = append(c.cause.Evidence, problemEvidence(c.order.Problems)...)
	if c.facts.Override {
		c.cause.Evidence = append(c.cause.Evidence, failure.Evidence{Kind: "operator", Text: "the operator named this order"})
	}
	switch {
	case !c.facts.RequestsQueried:
	case c.facts.RequestsErr != nil: // the answer is not whole: it is written down, and nothing follows from it
		if len(c.facts.Requests) > 0 {
			c.cause.AddRequests(c.facts.Requests)
		}
	default:
		c.cause.WeighRequests(c.facts.Requests)
	}
	tidy(&c.cause.Attribution)
	c.facts.Attribution = c.cause.Attribution
}

func customer(o *commerce.Order) string {
	switch {
	case o.CustomerName == "":
		return o.CustomerID
	case o.CustomerID == "":
		return o.CustomerName
	default:
		return o.CustomerName + " (" + o.CustomerID + ")"
	}
}

// decision is Decide with what only the planner knows.
func (p *planner) decision(c *candidate) (rules.Decision, commerce.Status) {
	o := c.order
	switch {
	case errors.Is(c.err, commerce.ErrNotFound):
		return rules.Decision{Action: rules.Hold, RuleID: rules.IDOrderUnread, Why: "the order was listed, and then there was none: " + text.Short(c.err.Error())}, ""
	case c.err != nil:
		return rules.Decision{Action: rules.Hold, RuleID: rules.IDOrderUnread, Why: "the order could not be read: " + text.Short(c.err.Error())}, ""
	case len(o.Problems) > 0:
		return holdUnreadable(o.Problems[0]), ""
	case !p.view.Match(o):
		return rules.Decision{Action: rules.Wait, RuleID: rules.IDOrderNotFailed, Why: "the order is " + string(o.Status) + " by now and no longer in the view " + p.View.Name}, ""
	}
	d := rules.Decide(p.Rules, c.facts)
	if d.Action != rules.Resubmit {
		return d, ""
	}
	if why := p.unsettled(o); why != "" {
		return rules.Decision{Action: rules.Wait, RuleID: rules.IDOrderUnsettled, Why: why}, ""
	}
	if o.Transitions == nil {
		return d, ""
	}
	for _, t := range p.Targets {
		if o.Offers(t) {
			return d, t
		}
	}
	return rules.Decision{Action: rules.Manual, RuleID: rules.IDOrderNoTransition, Why: "the order offers no transition that resubmits it"}, ""
}

// unsettled says why an order must not be resubmitted yet.
func (p *planner) unsettled(o *commerce.Order) string {
	failed := o.FailedAt
	if failed.IsZero() {
		failed = o.PlacedAt // it failed later than that
	}
	switch {
	case p.unsettle != "":
		return p.unsettle
	case p.SettleDelay > 0 && failed.After(p.quiet):
		return "the order failed less than " + p.SettleDelay.String() + " ago; Commerce may still be trying"
	default:
		return ""
	}
}
