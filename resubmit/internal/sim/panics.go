package sim

import (
	"context"
	"iter"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// strike panics when the scenario says so for this call, before or after its work.
func (p *process) strike(seed *panicSeed, after bool) {
	if seed == nil || seed.after != after || p.killed() {
		return
	}
	p.w.happened(seed.name())
	p.w.note("life %d: %s", p.life, seed)
	panic("simulated: " + seed.String()) //nolint:forbidigo // a callback that panics is what is simulated
}

// struck is the panic that the scenario has for a call; nil for none.
func (p *process) struck(kind callKind, order int) *panicSeed {
	if p.life >= mostLives {
		return nil
	}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	key := callKey{kind, order}
	n := p.w.panicCalls[key]
	p.w.panicCalls[key]++
	for i := range p.w.s.panics {
		if s := &p.w.s.panics[i]; s.call == kind && s.order == order && s.n == n {
			return s
		}
	}
	return nil
}

// panickyClient panics now and then.
type panickyClient struct {
	client
	p *process
}

func (c panickyClient) Order(ctx context.Context, id string) (*commerce.Order, error) {
	s := c.p.struck(callRead, c.p.w.index(id))
	c.p.strike(s, false)
	o, err := c.client.Order(ctx, id)
	c.p.strike(s, true)
	return o, err
}

func (c panickyClient) Push(ctx context.Context, id string, to commerce.Status) error {
	s := c.p.struck(callPush, c.p.w.index(id))
	c.p.strike(s, false)
	err := c.client.Push(ctx, id, to)
	c.p.strike(s, true)
	return err
}

// Capabilities returns those of the client.
func (c panickyClient) Capabilities() commerce.Capabilities { return commerce.CapabilitiesOf(c.client) }

// System names the system of the client.
func (c panickyClient) System() string {
	if s, ok := c.client.(interface{ System() string }); ok {
		return s.System()
	}
	return ""
}

// panickySource panics now and then.
type panickySource struct {
	resubmit.OrderLister
	p *process
}

func (c panickySource) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		s := c.p.struck(callList, -1)
		c.p.strike(s, false)
		for o, err := range c.OrderLister.Orders(ctx, q) {
			if !yield(o, err) {
				return
			}
			c.p.strike(s, true)
		}
	}
}

// panickyFinder panics now and then.
type panickyFinder struct {
	resubmit.RequestFinder
	p *process
}

func (f panickyFinder) LatestRequests(
	ctx context.Context, keys []connect.RequestKey,
) (map[connect.RequestKey][]connect.LatestRequest, error) {
	s := f.p.struck(callLookUp, -1)
	f.p.strike(s, false)
	found, err := f.RequestFinder.LatestRequests(ctx, keys)
	f.p.strike(s, true)
	return found, err
}

// panickyPlan lets what a plan is made with panic now and then.
func (p *process) panickyPlan(cfg *resubmit.PlanConfig, orders client) {
	if len(p.w.s.panics) == 0 {
		return
	}
	cfg.Lister, cfg.Reader = panickySource{cfg.Lister, p}, panickyClient{orders, p}
	cfg.Requests = panickyFinder{cfg.Requests, p}
}

// panickyRun lets what a plan is applied with panic now and then.
func (p *process) panickyRun(cfg *resubmit.Config, orders client) {
	if len(p.w.s.panics) == 0 {
		return
	}
	panicky := panickyClient{orders, p}
	cfg.Reader, cfg.Pusher, cfg.Requests = panicky, panicky, panickyFinder{cfg.Requests, p}
	cfg.OnEvent = func(resubmit.Event) { p.strike(p.struck(callEvent, -1), false) }
}
