package resubmittest_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

type readerFunc func(ctx context.Context, id string) (*commerce.Order, error)

func (f readerFunc) Order(ctx context.Context, id string) (*commerce.Order, error) { return f(ctx, id) }

// overReader puts a broken reader over the good one.
func overReader(over func(good resubmit.OrderReader) readerFunc) func(*resubmittest.System) {
	return func(system *resubmittest.System) { system.Reader = over(system.Reader) }
}

// reading changes what a read gives.
func reading(change func(o *commerce.Order, err error) (*commerce.Order, error)) func(*resubmittest.System) {
	return overReader(func(good resubmit.OrderReader) readerFunc {
		return func(ctx context.Context, id string) (*commerce.Order, error) { return change(good.Order(ctx, id)) }
	})
}

// altering changes the orders that are read.
func altering(change func(*commerce.Order)) func(*resubmittest.System) {
	return reading(func(o *commerce.Order, err error) (*commerce.Order, error) {
		if o != nil {
			change(o)
		}
		return o, err
	})
}

// excusing changes the errors of reads.
func excusing(change func(error) error) func(*resubmittest.System) {
	return reading(func(o *commerce.Order, err error) (*commerce.Order, error) {
		if err != nil {
			err = change(err)
		}
		return o, err
	})
}

// remembering keeps what was read first, under a key.
func remembering(key func(id string) string, give func(*commerce.Order) *commerce.Order) func(*resubmittest.System) {
	return overReader(func(good resubmit.OrderReader) readerFunc {
		var mu sync.Mutex
		memory := map[string]*commerce.Order{}
		return func(ctx context.Context, id string) (*commerce.Order, error) {
			mu.Lock()
			defer mu.Unlock()
			if o := memory[key(id)]; o != nil {
				return give(o), nil
			}
			o, err := good.Order(ctx, id)
			if err == nil {
				memory[key(id)] = o
			}
			return o, err
		}
	})
}

// knowing changes the id before it is read.
func knowing(change func(id string) string) func(*resubmittest.System) {
	return overReader(func(good resubmit.OrderReader) readerFunc {
		return func(ctx context.Context, id string) (*commerce.Order, error) { return good.Order(ctx, change(id)) }
	})
}

func brokenReaders() []broken {
	itself := func(id string) string { return id }
	withoutContext := overReader(func(good resubmit.OrderReader) readerFunc {
		return func(ctx context.Context, id string) (*commerce.Order, error) {
			return good.Order(context.WithoutCancel(ctx), id)
		}
	})
	guessing := reading(func(o *commerce.Order, err error) (*commerce.Order, error) {
		if err != nil {
			o = &commerce.Order{}
		}
		return o, nil
	})
	adapters := []broken{
		{name: "gives nil and nil", promise: "is ErrNotFound", says: "must give one of them", breaks: excusing(swallow)},
		{name: "gives an order and an error", promise: "read as it is", says: "must give one of them",
			breaks: reading(func(o *commerce.Order, _ error) (*commerce.Order, error) { return o, errors.New("but") })},
		{name: "gives another order", promise: "read as it is", says: `ID is "`,
			breaks: remembering(func(string) string { return "" }, func(o *commerce.Order) *commerce.Order { return new(*o) })},
		{name: "rounds money", promise: "read as it is", says: `Total is "12 USD", not "12.50 USD"`,
			breaks: altering(func(o *commerce.Order) { o.Total.Amount = o.Total.Amount.Truncate(0) })},
		{name: "loses the customer", promise: "read as it is", says: "CustomerID is",
			breaks: altering(func(o *commerce.Order) { o.CustomerID = "" })},
		{name: "says when an order failed though nobody knows", promise: "read as it is", says: "FailedAt is",
			breaks: altering(func(o *commerce.Order) { o.FailedAt = o.PlacedAt })},
		{name: "takes seconds for minutes", promise: "read as it is", says: "PlacedAt is",
			breaks: altering(func(o *commerce.Order) { o.PlacedAt = o.PlacedAt.Truncate(0).Add(-1) })},
		{name: "does not tell the failure that it declares", promise: "with its failure and the transitions",
			says:   `failed with ""`,
			breaks: altering(func(o *commerce.Order) { o.Failure = commerce.Failure{} })},
		{name: "does not tell the transitions that it declares", promise: "with its failure and the transitions",
			says:   "an empty list, not nil",
			breaks: altering(func(o *commerce.Order) { o.Transitions = nil })},
		{name: "tells no transitions", promise: "with its failure and the transitions", says: "offers []",
			breaks: altering(func(o *commerce.Order) { o.Transitions = []commerce.Transition{} })},
		{name: "makes transitions up", promise: "with its failure and the transitions", says: "is CP and offers [PD]",
			breaks: altering(func(o *commerce.Order) { o.Transitions = []commerce.Transition{{To: "PD"}} })},
		{name: "tells a failure without declaring it", poor: true, promise: "cannot tell is in no order",
			says:   "tells a failure",
			breaks: altering(func(o *commerce.Order) { o.Failure.Text = map[string]string{"en_US": "failed"} })},
		{name: "tells transitions without declaring it", poor: true, promise: "cannot tell is in no order",
			says:   "tells transitions []",
			breaks: altering(func(o *commerce.Order) { o.Transitions = []commerce.Transition{} })},
		{name: "gives an empty order for one that is not there", promise: "is ErrNotFound",
			says: `the read of "no such order" gave the order`, breaks: guessing},
		{name: "has its own error for one that is not there", promise: "is ErrNotFound", says: "and the error it is gone",
			breaks: excusing(func(error) error { return errors.New("it is gone") })},
		{name: "trims ids", promise: "taken as a whole", says: "which no order has, gave",
			breaks: knowing(strings.TrimSpace)},
		{name: "cuts ids at a query", promise: "taken as a whole", says: `?x=y", which no order has, gave`,
			breaks: knowing(func(id string) string { id, _, _ = strings.Cut(id, "?"); return id })},
		{name: "does not escape ids", promise: "taken as a whole", says: `the id "%69d N0001", which no order has, gave`,
			breaks: knowing(func(id string) string {
				if plain, err := url.PathUnescape(id); err == nil {
					return plain
				}
				return id
			})},
		{name: "cannot read ids with slashes", promise: "taken as a whole", says: `cannot be read by its id "a/b"`,
			breaks: knowing(func(id string) string { id, _, _ = strings.Cut(id, "/"); return id })},
		{name: "remembers orders", promise: "as it is now", says: "after somebody moved it",
			breaks: remembering(itself, func(o *commerce.Order) *commerce.Order { return new(*o) })},
		{name: "gives the same order to all", promise: "an order of its own", says: "changes what others read",
			breaks: remembering(itself, func(o *commerce.Order) *commerce.Order { return o })},
		{name: "ignores the context", promise: "a cancelled context ends the read", says: "must give one of them",
			breaks: overReader(func(good resubmit.OrderReader) readerFunc {
				return func(ctx context.Context, id string) (*commerce.Order, error) {
					o, err := good.Order(ctx, id)
					if ctx.Err() != nil {
						err = nil
					}
					return o, err
				}
			})},
		{name: "reads in spite of the context", promise: "a cancelled context ends the read",
			says: "does not match context.Canceled", breaks: withoutContext},
		{name: "mixes reads up", promise: "reads at the same time", says: "ID is",
			breaks: remembering(func(string) string { return "" }, func(o *commerce.Order) *commerce.Order { return new(*o) })},
		{name: "takes an outage for an order that is not there", promise: "a system that is away",
			says:   "matches ErrNotFound",
			breaks: excusing(func(error) error { return commerce.ErrNotFound })},
		{name: "hides why it failed", promise: "refused credentials", says: "matches none of",
			breaks: excusing(func(error) error { return errors.New("it failed") })},
		{name: "shows a secret", promise: "refused credentials", says: "an error holds a secret",
			breaks: excusing(func(err error) error { return fmt.Errorf("%w for %s", err, shopSecret) })},
		{name: "shows all of a long answer", promise: "a page of HTML", says: "at most 1024 bytes of Body",
			breaks: excusing(func(err error) error {
				return &commerce.Error{Op: "read", Err: err, Body: strings.Repeat("<p>", 1000)}
			})},
		{name: "does not say what was tried", promise: "a page of HTML", says: "an error must have an Op",
			breaks: excusing(func(err error) error { return &commerce.Error{Err: err} })},
		{name: "hangs on a slow system", hangs: true, promise: "a read of a slow system", says: "did not come back",
			breaks: withoutContext},
		{name: "hides the error of the context", promise: "a read of a slow system",
			says:   "does not match context.DeadlineExceeded",
			breaks: excusing(func(error) error { return errors.New("it took too long") })},
	}
	for _, promise := range []string{"a system that is away", "refused credentials", "a page of HTML", "a lost answer",
		"half of an answer", "an answer about another order"} {
		adapters = append(adapters, broken{
			name: "makes an order of: " + promise, promise: promise, says: "there is no error", breaks: guessing,
		})
	}
	return adapters
}

func TestEveryBrokenReaderIsCaught(t *testing.T) {
	t.Parallel()
	requireCaught(t, "reader", brokenReaders())
}
