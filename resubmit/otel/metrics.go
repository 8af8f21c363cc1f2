package otelresubmit

import (
	"context"
	"errors"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// The attributes. Each has few values.
const (
	outcomeKey   = attribute.Key("cloudblue.order.outcome")
	classKey     = attribute.Key("cloudblue.failure.class")
	actionKey    = attribute.Key("cloudblue.plan.action")
	answerKey    = attribute.Key("cloudblue.push.answer")
	systemKey    = attribute.Key("cloudblue.system")
	operationKey = attribute.Key("cloudblue.operation")
	canaryKey    = attribute.Key("cloudblue.canary.state")
	circuitKey   = attribute.Key("cloudblue.circuit.state")
	resultKey    = attribute.Key("cloudblue.run.result")
	errorKey     = attribute.Key("error.type")
)

// metrics are the instruments.
type metrics struct {
	orders, pushes, runs              metric.Int64Counter
	active, waiting                   metric.Int64UpDownCounter
	planned, groups, circuit          metric.Int64Gauge
	rate                              metric.Float64Gauge
	calls, waits, durations, recovery metric.Float64Histogram
}

// The values of cloudblue.push.answer. Pushes that are not sent, such as those that would be too late, are no attempts.
const (
	accepted   = "accepted"
	refused    = "refused"
	unanswered = "unanswered"
	notSent    = "notSent"
)

// zero lets each series of the counters begin at zero. Prometheus sees no increase in the first value of a series, so
// alerts would miss the first failure of a process.
func (m *metrics) zero(ctx context.Context) {
	for _, o := range protocol.Outcomes() {
		for _, c := range failure.Classes() {
			m.order(ctx, 0, o, c)
		}
		m.order(ctx, 0, o, "") // other
	}
	for _, answer := range []string{accepted, refused, unanswered, notSent} {
		m.push(ctx, 0, answer)
	}
	for _, result := range []string{runCompleted, runIncomplete, runStopped, runFailed} {
		m.run(ctx, 0, result)
	}
}

func (m *metrics) order(ctx context.Context, n int64, o protocol.Outcome, c failure.Class) {
	m.orders.Add(ctx, n, metric.WithAttributes(outcomeKey.String(string(o)), classKey.String(class(c))))
}

func (m *metrics) push(ctx context.Context, n int64, answer string) {
	m.pushes.Add(ctx, n, metric.WithAttributes(answerKey.String(answer)))
}

// refusal returns the answer to a push that was refused or not sent.
func refusal(err error) string {
	if e, ok := errors.AsType[*commerce.Error](err); ok && e.Delivery == commerce.DeliveryNotSent {
		return notSent
	}
	return refused
}

func (m *metrics) run(ctx context.Context, n int64, result string) {
	m.runs.Add(ctx, n, metric.WithAttributes(resultKey.String(result)))
}

// OnEvent returns a function for Config.OnEvent that counts events and then calls next, which may be nil. Each Runner
// needs one of its own.
func (t *Telemetry) OnEvent(next func(resubmit.Event)) func(resubmit.Event) {
	s := &runState{metrics: &t.metrics, canary: make(map[string]string)}
	return func(e resubmit.Event) {
		s.note(e)
		if next != nil {
			next(e)
		}
	}
}

// runState is what the metrics say about the run of a Runner.
type runState struct {
	*metrics
	mu     sync.Mutex
	waits  bool              // pushes wait
	canary map[string]string // the states of the groups, by name
}

func (s *runState) note(e resubmit.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx := context.Background()
	switch e := e.(type) {
	case resubmit.RunStarted:
		s.begin(ctx, &e)
	case resubmit.RateChange:
		s.rate.Record(ctx, e.Rate)
	case resubmit.GateClosed:
		s.wait(ctx, true)
	case resubmit.GateOpened:
		s.wait(ctx, false)
		s.metrics.waits.Record(ctx, e.Waited.Seconds())
	case resubmit.BreakerChange:
		s.breaker(ctx, e.State)
	case resubmit.CanaryChange:
		s.group(ctx, &e.CanaryStatus)
	case resubmit.PushAccepted:
		s.push(ctx, 1, accepted)
	case resubmit.PushUnanswered:
		s.push(ctx, 1, unanswered)
	case resubmit.PushRefused:
		s.push(ctx, 1, refusal(e.Err))
	case resubmit.OrderDone:
		if !e.Earlier {
			s.order(ctx, 1, e.Outcome, e.Class)
		}
	case resubmit.RunFinished:
		s.end(ctx, &e)
	}
}

func (s *runState) begin(ctx context.Context, e *resubmit.RunStarted) {
	s.zero(ctx) // again, because the global provider may have been set after New
	s.active.Add(ctx, 1)
	s.waiting.Add(ctx, 0)
	s.rate.Record(ctx, e.Rate)
	s.breaker(ctx, resubmit.BreakerClosed)
	for action, n := range actions(&e.Counts) {
		s.planned.Record(ctx, int64(n), metric.WithAttributes(actionKey.String(string(action))))
	}
	clear(s.canary)
	s.countGroups(ctx)
}

func (s *runState) end(ctx context.Context, e *resubmit.RunFinished) {
	s.wait(ctx, false)
	for i := range e.Canary {
		s.group(ctx, &e.Canary[i])
	}
	s.active.Add(ctx, -1)
}

// actions returns the orders of a plan by action.
func actions(c *plan.ActionCounts) map[rules.Action]int {
	return map[rules.Action]int{
		rules.Resubmit: c.Resubmit, rules.Wait: c.Wait, rules.Hold: c.Hold, rules.Quarantine: c.Quarantine,
		rules.Complete: c.Complete, rules.Manual: c.Manual,
	}
}

// wait notes whether pushes wait. The reason may change in between.
func (s *runState) wait(ctx context.Context, now bool) {
	if now == s.waits {
		return
	}
	s.waits = now
	change := int64(-1)
	if now {
		change = 1
	}
	s.waiting.Add(ctx, change)
}

func (s *runState) breaker(ctx context.Context, now resubmit.BreakerState) {
	for _, state := range []resubmit.BreakerState{
		resubmit.BreakerClosed, resubmit.BreakerOpen, resubmit.BreakerHalfOpen,
	} {
		is := int64(0)
		if state == now {
			is = 1
		}
		s.circuit.Record(ctx, is, metric.WithAttributes(circuitKey.String(string(state))))
	}
}

// The states of a canary group.
const (
	testing  = "testing"
	released = "released"
	stopped  = "stopped"
)

func (s *runState) group(ctx context.Context, g *resubmit.CanaryStatus) {
	state := testing
	switch {
	case g.Stopped != "":
		state = stopped
	case g.Limit < 0:
		state = released
	}
	s.canary[g.Group] = state
	s.countGroups(ctx)
}

func (s *runState) countGroups(ctx context.Context) {
	counts := map[string]int64{testing: 0, released: 0, stopped: 0}
	for _, state := range s.canary {
		counts[state]++
	}
	for state, n := range counts {
		s.groups.Record(ctx, n, metric.WithAttributes(canaryKey.String(state)))
	}
}

// class returns a class as an attribute. That of a plan that a program wrote itself may be any text.
func class(c failure.Class) string {
	if slices.Contains(failure.Classes(), c) {
		return string(c)
	}
	return "other"
}
