package sim

import (
	"context"
	"errors"
	"iter"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// panicIf panics if the spec is for this point: before or after the work of the call.
func (p *process) panicIf(spec *panicSpec, after bool) {
	if spec == nil || spec.after != after || p.killed() {
		return
	}
	p.w.count(spec.name())
	p.w.logf("process %s: %s", p, spec)
	if after && spec.call == callPush {
		p.w.checker.noteLostAnswer(p, spec.order)
	}
	panic("simulated: " + spec.String()) //nolint:forbidigo // simulates a callback that panics
}

// panicAfter panics if the spec is for the point after the work of a call. It does not if the credentials were
// refused: a program that cannot see that cannot end because of it.
func (p *process) panicAfter(spec *panicSpec, err error) {
	if !refused(err) {
		p.panicIf(spec, true)
	}
}

// refused reports whether an error means that the credentials were refused.
func refused(err error) bool {
	return errors.Is(err, commerce.ErrUnauthorized) || errors.Is(err, commerce.ErrForbidden) ||
		errors.Is(err, connect.ErrUnauthorized) || errors.Is(err, connect.ErrForbidden)
}

// nextPanic is the panic of the next call of a kind for an order; nil for none.
func (p *process) nextPanic(kind callKind, order int) *panicSpec {
	if p.number >= faultyProcesses {
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

// panickingClient is a client that panics in some calls.
type panickingClient struct {
	resubmit.Client
	p *process
}

func (c panickingClient) Order(ctx context.Context, id string) (*commerce.Order, error) {
	s := c.p.nextPanic(callRead, c.p.w.indexOf(id))
	c.p.panicIf(s, false)
	o, err := c.Client.Order(ctx, id)
	c.p.panicAfter(s, err)
	return o, err
}

func (c panickingClient) Push(ctx context.Context, id string, to commerce.Status) error {
	s := c.p.nextPanic(callPush, c.p.w.indexOf(id))
	c.p.panicIf(s, false)
	err := c.Client.Push(ctx, id, to)
	c.p.panicAfter(s, err)
	return err
}

// panickingLister is a lister that panics in some calls.
type panickingLister struct {
	resubmit.OrderLister
	p *process
}

func (c panickingLister) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		s := c.p.nextPanic(callList, -1)
		c.p.panicIf(s, false)
		for o, err := range c.OrderLister.Orders(ctx, q) {
			if !yield(o, err) {
				return
			}
			c.p.panicAfter(s, err)
		}
	}
}

// panickingFinder is a finder that panics in some calls.
type panickingFinder struct {
	resubmit.RequestFinder
	p *process
}

func (f panickingFinder) LatestRequests(
	ctx context.Context, keys []connect.RequestKey,
) (map[connect.RequestKey][]connect.LatestRequest, error) {
	s := f.p.nextPanic(callLookUp, -1)
	f.p.panicIf(s, false)
	found, err := f.RequestFinder.LatestRequests(ctx, keys)
	f.p.panicAfter(s, err)
	return found, err
}

// panicInCalls makes the clients panic in some calls.
func (p *process) panicInCalls(s *resubmit.Systems, orders resubmit.Client) {
	client := panickingClient{orders, p}
	s.Lister, s.Reader, s.Pusher = panickingLister{s.Lister, p}, client, client
	s.Requests = panickingFinder{s.Requests, p}
}
