package resubmit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// gatherOne is gather, but holds the order if a function of the configuration panics.
func (p *planner) gatherOne(c *candidate, m moment) {
	err := func() (err error) {
		defer callback.Recover(&err)
		p.gather(c, m)
		return nil
	}()
	if err != nil {
		callback.Log(p.Logger, err)
		c.err, c.keys = err, nil
	}
}

// gather collects the facts that need no call, and the keys to look up in Connect.
func (p *planner) gather(c *candidate, m moment) {
	o := c.order
	c.cause = p.causes.Attribute(o)
	c.facts = rules.Facts{
		Order: o, Attribution: c.cause.Attribution,
		Override: p.named.has(o), NoMessages: !p.Capabilities.Failure && o.Failure.Message() == "", Now: m.now,
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
		c.facts.RequestsErr = errors.New(
			"no request was looked up in Connect; give PlanConfig.Requests, or set IgnoreConnect")
	case o.TenantID != "":
		c.keys = []connect.RequestKey{{TenantID: o.TenantID, Type: kind}}
	case len(o.SubscriptionIDs) > 0:
		for _, id := range o.SubscriptionIDs {
			c.keys = append(c.keys, connect.RequestKey{SubscriptionID: id, Type: kind})
		}
	default:
		c.facts.RequestsErr = errors.New(
			"the order has neither a subscription nor a tenant to look up in Connect")
	}
}

// lookUps makes the look-ups in Connect, and knows whether they succeed.
type lookUps struct {
	finder   RequestFinder
	calls    *planCalls
	progress *planProgress

	mu       sync.Mutex
	answered bool  // some key has an answer
	err      error // of the first that failed
	denied   error // the credentials were refused, so no further look-up is made
}

// find looks up the newest requests of all candidates in Connect.
func (l *lookUps) find(ctx context.Context, candidates []candidate) error {
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
		newest, err := l.lookUp(ctx, some)
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

// keyError is the error of a look-up that knows the reasons of its keys, see RequestFinder.
type keyError interface {
	error
	KeyError(key connect.RequestKey) error
}

// causeOf returns why a key is unknown: its own reason in the error of the look-up, or the error.
func causeOf(err error, key connect.RequestKey) error {
	if e, ok := errors.AsType[keyError](err); ok {
		return cmp.Or(e.KeyError(key), err)
	}
	return err
}

// lookUp makes one look-up in Connect.
func (l *lookUps) lookUp(ctx context.Context,
	keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
	if err := l.refused(); err != nil {
		return nil, err
	}
	if err := l.calls.slots.Take(ctx); err != nil {
		return nil, err
	}
	defer l.calls.slots.Give()
	turn, err := l.calls.next(ctx)
	if err != nil {
		return nil, err
	}
	newest, err := l.finder.LatestRequests(turn, keys)
	l.calls.pauseFor(err)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	l.progress.lookedUp.Add(int64(len(keys)))
	l.note(len(newest) > 0, err)
	return newest, err
}

func (l *lookUps) note(answered bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Connect has answered if it returned an unclear request: that is about its keys only.
	answered = answered || errors.Is(err, connect.ErrAmbiguousRequest)
	l.answered = l.answered || answered
	if err == nil && !answered {
		err = errUnanswered
	}
	if l.err == nil {
		l.err = err
	}
	// Credentials that may read some requests are not refused.
	if errors.Is(err, connect.ErrUnauthorized) || errors.Is(err, connect.ErrForbidden) && !l.answered {
		l.denied = err
	}
}

// refused returns the error with which Connect refused the credentials; nil if it did not.
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

// oneLineError is an error with a short text on one line.
type oneLineError struct{ error }

func (e oneLineError) Error() string { return text.Short(e.error.Error()) }

func (e oneLineError) Unwrap() error { return e.error }

var errUnanswered = errors.New("there was no answer for its key")

// guardedFinder turns a panic of a finder into an error of the call.
type guardedFinder struct {
	to  RequestFinder
	log *slog.Logger
}

func (f guardedFinder) LatestRequests(ctx context.Context,
	keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
	found, err := callback.Call(func() (map[connect.RequestKey][]connect.LatestRequest, error) {
		return f.to.LatestRequests(ctx, keys)
	})
	callback.Log(f.log, err)
	return found, err
}
