package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// Wrap returns a copy of a Runner's configuration whose runs are also recorded in the log. It sets
// Audit and wraps Lister, Reader, Pusher, Requests and Prober.
func (l *Log) Wrap(c resubmit.Config) resubmit.Config {
	if !callback.Nil(c.Lister) { // NewRunner rejects typed nils
		c.Lister = &lister{to: c.Lister, log: l}
	}
	if !callback.Nil(c.Reader) {
		c.Reader = &reader{to: c.Reader, log: l}
	}
	if !callback.Nil(c.Pusher) {
		c.Pusher = &pusher{to: c.Pusher, log: l}
	}
	if !callback.Nil(c.Requests) {
		c.Requests = &finder{to: c.Requests, log: l}
	}
	if !callback.Nil(c.Prober) {
		c.Prober = &prober{to: c.Prober, log: l}
	}
	c.Audit = both(c.Audit, l.record)
	return c
}

// both returns a function that calls first, if any, and second.
func both(first, second func(resubmit.Event) error) func(resubmit.Event) error {
	if first == nil {
		return second
	}
	return func(e resubmit.Event) error { return errors.Join(first(e), second(e)) }
}

type lister struct {
	to  resubmit.OrderLister
	log *Log
}

func (l *lister) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		start := time.Now()
		line := Line{Event: EventList}
		for order, err := range l.to.Orders(ctx, q) {
			if err != nil {
				line = line.answered(start, err)
			} else if order != nil {
				line.Found = append(line.Found, "order "+order.ID+": "+string(order.Status))
			}
			if !yield(order, err) {
				break
			}
		}
		line.TookMS = milliseconds(start)
		_ = l.log.add(line) // fails the next intent
	}
}

type reader struct {
	to  resubmit.OrderReader
	log *Log
}

func (r *reader) Order(ctx context.Context, id string) (*commerce.Order, error) {
	start := time.Now()
	order, err := r.to.Order(ctx, id)
	line := Line{Event: EventRead, Order: id}
	if order != nil {
		line.Number, line.After = order.Number, plan.SnapshotOf(order)
	}
	_ = r.log.add(line.answered(start, err)) // fails the next intent
	return order, err
}

type pusher struct {
	to  resubmit.Pusher
	log *Log
}

func (p *pusher) Push(ctx context.Context, id string, to commerce.Status) error {
	line := Line{Event: EventPush, Order: id, Target: to, Call: p.log.nextCall()}
	if err := p.log.add(line); err != nil {
		return &commerce.Error{Op: "push order", Delivery: commerce.DeliveryNotSent, Err: err}
	}
	start := time.Now()
	err := p.to.Push(ctx, id, to)
	line.Event, line.State = EventAnswer, "accepted"
	if err != nil {
		line.State = "failed"
	}
	_ = p.log.add(line.answered(start, err)) // fails the next intent
	return err
}

type finder struct {
	to  resubmit.RequestFinder
	log *Log
}

func (f *finder) LatestRequests(ctx context.Context,
	keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
	start := time.Now()
	found, err := f.to.LatestRequests(ctx, keys)
	line := Line{Event: EventLookup, Found: make([]string, 0, len(keys))}
	for _, k := range keys {
		line.Found = append(line.Found, describe(k, found)...)
	}
	_ = f.log.add(line.answered(start, err)) // fails the next intent
	return found, err
}

type prober struct {
	to  availability.Prober
	log *Log
}

func (p *prober) Probe(ctx context.Context) (connect.Probe, error) {
	start := time.Now()
	probe, err := p.to.Probe(ctx)
	line := Line{Event: EventProbe, State: string(probe.Class)}
	if probe.Err != nil {
		line.Why = probe.Err.Error()
	}
	_ = p.log.add(line.answered(start, err)) // fails the next intent
	return probe, err
}

// describe describes the requests that were found for a key.
func describe(k connect.RequestKey, found map[connect.RequestKey][]connect.LatestRequest) []string {
	name := "tenant " + k.TenantID
	if k.TenantID == "" {
		name = "subscription " + k.SubscriptionID
	}
	newest, answered := found[k]
	switch {
	case !answered:
		return []string{fmt.Sprintf("%s, %s: no answer", name, k.Type)}
	case len(newest) == 0:
		return []string{fmt.Sprintf("%s, %s: none", name, k.Type)}
	}
	all := make([]string, 0, len(newest))
	for _, n := range newest {
		all = append(all, fmt.Sprintf("%s, %s: %s %s", name, k.Type, n.Request.ID, n.Request.Status))
	}
	return all
}

// answered adds the duration and the error of a call.
func (l Line) answered(start time.Time, err error) Line {
	l.TookMS = milliseconds(start)
	if err == nil {
		return l
	}
	l.Error = err.Error()
	if e, ok := errors.AsType[*commerce.Error](err); ok {
		l.CorrelationID, l.Delivery = e.CorrelationID, e.Delivery
		if l.Delivery == commerce.DeliveryUnknown {
			l.Delivery = "unknown"
		}
	}
	return l
}

// milliseconds returns the time since start.
func milliseconds(start time.Time) float64 { return float64(time.Since(start).Microseconds()) / 1000 }

func (l *Log) nextCall() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	return l.calls
}
