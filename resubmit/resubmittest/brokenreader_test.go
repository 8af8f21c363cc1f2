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

// replaceReader wraps the reader in a broken one.
func replaceReader(wrap func(good resubmit.OrderReader) readerFunc) func(*resubmittest.System) {
	return func(system *resubmittest.System) { system.Reader = wrap(system.Reader) }
}

// changeRead changes the result of reads.
func changeRead(change func(o *commerce.Order, err error) (*commerce.Order, error)) func(*resubmittest.System) {
	return replaceReader(func(good resubmit.OrderReader) readerFunc {
		return func(ctx context.Context, id string) (*commerce.Order, error) { return change(good.Order(ctx, id)) }
	})
}

// changeOrders changes the orders that are read.
func changeOrders(change func(*commerce.Order)) func(*resubmittest.System) {
	return changeRead(func(o *commerce.Order, err error) (*commerce.Order, error) {
		if o != nil {
			change(o)
		}
		return o, err
	})
}

// changeReadErrors changes the errors of reads.
func changeReadErrors(change func(error) error) func(*resubmittest.System) {
	return changeRead(func(o *commerce.Order, err error) (*commerce.Order, error) {
		if err != nil {
			err = change(err)
		}
		return o, err
	})
}

// cacheReads returns the first order read under a key.
func cacheReads(key func(id string) string, give func(*commerce.Order) *commerce.Order) func(*resubmittest.System) {
	return replaceReader(func(good resubmit.OrderReader) readerFunc {
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

// changeID changes the id that is read.
func changeID(change func(id string) string) func(*resubmittest.System) {
	return replaceReader(func(good resubmit.OrderReader) readerFunc {
		return func(ctx context.Context, id string) (*commerce.Order, error) { return good.Order(ctx, change(id)) }
	})
}

func brokenReaders() []broken {
	itself := func(id string) string { return id }
	withoutContext := replaceReader(func(good resubmit.OrderReader) readerFunc {
		return func(ctx context.Context, id string) (*commerce.Order, error) {
			return good.Order(context.WithoutCancel(ctx), id)
		}
	})
	inventing := changeRead(func(o *commerce.Order, err error) (*commerce.Order, error) {
		if err != nil {
			o = &commerce.Order{}
		}
		return o, nil
	})
	adapters := []broken{
		{name: "returns nil and nil", promise: "returns ErrNotFound",
			says: "instead of one of them", breaks: changeReadErrors(swallow)},
		{name: "returns an order and an error", promise: "reads correct fields", says: "instead of one of them",
			breaks: changeRead(func(o *commerce.Order, _ error) (*commerce.Order, error) { return o, errors.New("but") })},
		{name: "returns another order", promise: "reads correct fields", says: `ID is "`,
			breaks: cacheReads(func(string) string { return "" }, func(o *commerce.Order) *commerce.Order { return new(*o) })},
		{name: "rounds money", promise: "reads correct fields", says: `Total is "12 USD", not "12.50 USD"`,
			breaks: changeOrders(func(o *commerce.Order) { o.Total.Amount = o.Total.Amount.Truncate(0) })},
		{name: "loses the customer", promise: "reads correct fields", says: "CustomerID is",
			breaks: changeOrders(func(o *commerce.Order) { o.CustomerID = "" })},
		{name: "invents a failure time", promise: "reads correct fields", says: "FailedAt is",
			breaks: changeOrders(func(o *commerce.Order) { o.FailedAt = o.PlacedAt })},
		{name: "takes seconds for minutes", promise: "reads correct fields", says: "PlacedAt is",
			breaks: changeOrders(func(o *commerce.Order) { o.PlacedAt = o.PlacedAt.Truncate(0).Add(-1) })},
		{name: "omits the declared failure", promise: "declared failure and transitions",
			says:   `failed with ""`,
			breaks: changeOrders(func(o *commerce.Order) { o.Failure = commerce.Failure{} })},
		{name: "omits the declared transitions", promise: "declared failure and transitions",
			says:   "an empty list, not nil",
			breaks: changeOrders(func(o *commerce.Order) { o.Transitions = nil })},
		{name: "reports no transitions", promise: "declared failure and transitions", says: "offers []",
			breaks: changeOrders(func(o *commerce.Order) { o.Transitions = []commerce.Transition{} })},
		{name: "invents transitions", promise: "declared failure and transitions", says: "is CP and offers [PD]",
			breaks: changeOrders(func(o *commerce.Order) { o.Transitions = []commerce.Transition{{To: "PD"}} })},
		{name: "reports an undeclared failure", poor: true, promise: "reads declared fields only",
			says:   "reports a failure",
			breaks: changeOrders(func(o *commerce.Order) { o.Failure.Messages = map[string]string{"en_US": "failed"} })},
		{name: "reports undeclared transitions", poor: true, promise: "reads declared fields only",
			says:   "reports transitions []",
			breaks: changeOrders(func(o *commerce.Order) { o.Transitions = []commerce.Transition{} })},
		{name: "returns an empty order for an unknown one", promise: "returns ErrNotFound",
			says: `the read of "no such order" returned the order`, breaks: inventing},
		{name: "returns its own error for an unknown order", promise: "returns ErrNotFound",
			says:   "and the error it is gone",
			breaks: changeReadErrors(func(error) error { return errors.New("it is gone") })},
		{name: "trims ids", promise: "treats ids as opaque", says: "which no order has, returned",
			breaks: changeID(strings.TrimSpace)},
		{name: "cuts ids at a query", promise: "treats ids as opaque", says: `?x=y", which no order has, returned`,
			breaks: changeID(func(id string) string { id, _, _ = strings.Cut(id, "?"); return id })},
		{name: "does not escape ids", promise: "treats ids as opaque",
			says: `the id "%69d N0001", which no order has, returned`,
			breaks: changeID(func(id string) string {
				if plain, err := url.PathUnescape(id); err == nil {
					return plain
				}
				return id
			})},
		{name: "cuts ids at a slash", promise: "treats ids as opaque", says: `cannot be read by its id "a/b"`,
			breaks: changeID(func(id string) string { id, _, _ = strings.Cut(id, "/"); return id })},
		{name: "caches orders", promise: "reads the current state", says: "after it was cancelled",
			breaks: cacheReads(itself, func(o *commerce.Order) *commerce.Order { return new(*o) })},
		{name: "shares orders", promise: "a new order for each read", says: "changes later reads",
			breaks: cacheReads(itself, func(o *commerce.Order) *commerce.Order { return o })},
		{name: "ignores the context", promise: "error of a cancelled context", says: "instead of one of them",
			breaks: replaceReader(func(good resubmit.OrderReader) readerFunc {
				return func(ctx context.Context, id string) (*commerce.Order, error) {
					o, err := good.Order(ctx, id)
					if ctx.Err() != nil {
						err = nil
					}
					return o, err
				}
			})},
		{name: "reads after the context ended", promise: "error of a cancelled context",
			says: "does not match context.Canceled", breaks: withoutContext},
		{name: "mixes up reads", promise: "concurrent reads", says: "ID is",
			breaks: cacheReads(func(string) string { return "" }, func(o *commerce.Order) *commerce.Order { return new(*o) })},
		{name: "takes an outage for an unknown order", promise: "system is unavailable",
			says:   "matches ErrNotFound",
			breaks: changeReadErrors(func(error) error { return commerce.ErrNotFound })},
		{name: "hides the reason", promise: "credentials are refused", says: "matches none of",
			breaks: changeReadErrors(func(error) error { return errors.New("it failed") })},
		{name: "shows a secret", promise: "credentials are refused", says: "an error contains the secret",
			breaks: changeReadErrors(func(err error) error { return fmt.Errorf("%w for %s", err, shopSecret) })},
		{name: "includes a long body", promise: "an HTML page", says: "at most 1024 bytes of Body",
			breaks: changeReadErrors(func(err error) error {
				return &commerce.Error{Op: "read", Err: err, Body: strings.Repeat("<p>", 1000)}
			})},
		{name: "omits the operation", promise: "an HTML page", says: "an error must have an Op",
			breaks: changeReadErrors(func(err error) error { return &commerce.Error{Err: err} })},
		{name: "hangs on a slow system", hangs: true, promise: "system is slow", says: "did not return",
			breaks: withoutContext},
		{name: "hides the error of the context", promise: "system is slow",
			says:   "does not match context.DeadlineExceeded",
			breaks: changeReadErrors(func(error) error { return errors.New("it took too long") })},
	}
	for _, promise := range []string{"system is unavailable", "credentials are refused", "an HTML page", "a lost response",
		"a truncated response", "a response about another order"} {
		adapters = append(adapters, broken{
			name: "invents an order: " + promise, promise: promise, says: "there is no error", breaks: inventing,
		})
	}
	return adapters
}

func TestReaderFindsBrokenReaders(t *testing.T) {
	t.Parallel()
	requireCaught(t, "reader", brokenReaders())
}
