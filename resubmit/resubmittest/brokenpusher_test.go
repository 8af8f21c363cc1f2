package resubmittest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

type pusherFunc func(ctx context.Context, id string, to commerce.Status) error

func (f pusherFunc) Push(ctx context.Context, id string, to commerce.Status) error {
	return f(ctx, id, to)
}

// overPusher puts a broken pusher over the good one.
func overPusher(over func(good resubmit.Pusher) pusherFunc) func(*resubmittest.System) {
	return func(system *resubmittest.System) { system.Pusher = over(system.Pusher) }
}

// saying changes the errors of pushes.
func saying(change func(error) error) func(*resubmittest.System) {
	return overPusher(func(good resubmit.Pusher) pusherFunc {
		return func(ctx context.Context, id string, to commerce.Status) error {
			err := good.Push(ctx, id, to)
			if err != nil {
				err = change(err)
			}
			return err
		}
	})
}

// delivering says the same delivery in each error.
func delivering(d commerce.Delivery) func(*resubmittest.System) {
	return saying(func(err error) error {
		e, _ := errors.AsType[*commerce.Error](err)
		return &commerce.Error{Op: e.Op, HTTPStatus: e.HTTPStatus, RetryAfter: e.RetryAfter, Delivery: d, Err: e.Err}
	})
}

// retrying sends a push again when it failed.
func retrying(again func(error) bool) func(*resubmittest.System) {
	return overPusher(func(good resubmit.Pusher) pusherFunc {
		return func(ctx context.Context, id string, to commerce.Status) error {
			err := good.Push(ctx, id, to)
			if err != nil && again(err) {
				err = good.Push(ctx, id, to)
			}
			return err
		}
	})
}

// sending changes what is pushed.
func sending(change func(id string, to commerce.Status) (string, commerce.Status)) func(*resubmittest.System) {
	return overPusher(func(good resubmit.Pusher) pusherFunc {
		return func(ctx context.Context, id string, to commerce.Status) error {
			id, to = change(id, to)
			return good.Push(ctx, id, to)
		}
	})
}

// sharing lets one push answer for all with the same key.
func sharing(key func(id string) string) func(*resubmittest.System) {
	return overPusher(func(good resubmit.Pusher) pusherFunc {
		var mu sync.Mutex
		answers := map[string]error{}
		return func(ctx context.Context, id string, to commerce.Status) error {
			mu.Lock()
			defer mu.Unlock()
			if err, ok := answers[key(id)]; ok {
				return err
			}
			err := good.Push(ctx, id, to)
			answers[key(id)] = err
			return err
		}
	})
}

func brokenPushers() []broken {
	always := func(error) bool { return true }
	withoutContext := overPusher(func(good resubmit.Pusher) pusherFunc {
		return func(ctx context.Context, id string, to commerce.Status) error {
			return good.Push(context.WithoutCancel(ctx), id, to)
		}
	})
	adapters := []broken{
		{name: "pushes what it read", promise: "reads another order first", says: `it pushed "id N0002"`,
			breaks: overPusher(func(good resubmit.Pusher) pusherFunc {
				return func(ctx context.Context, _ string, to commerce.Status) error { return good.Push(ctx, "id N0002", to) }
			})},
		{name: "does nothing", promise: "moves that order", says: "Push returned nil, and the system moved nothing",
			breaks: overPusher(func(resubmit.Pusher) pusherFunc {
				return func(context.Context, string, commerce.Status) error { return nil }
			})},
		{name: "sends twice", promise: "moves that order", says: "one call of Push sent 2 pushes",
			breaks: overPusher(func(good resubmit.Pusher) pusherFunc {
				return func(ctx context.Context, id string, to commerce.Status) error {
					err := good.Push(ctx, id, to)
					_ = good.Push(ctx, id, to)
					return err
				}
			})},
		{name: "pushes another order", promise: "moves that order",
			says:   `asked to push "id N0002" to "PD", it pushed "id N0001" to "PD"`,
			breaks: sending(func(_ string, to commerce.Status) (string, commerce.Status) { return "id N0001", to })},
		{name: "fails though it moved the order", promise: "moves that order", says: "the error is but; 1 pushes came in",
			breaks: overPusher(func(good resubmit.Pusher) pusherFunc {
				return func(ctx context.Context, id string, to commerce.Status) error {
					return errors.Join(good.Push(ctx, id, to), errors.New("but"))
				}
			})},
		{name: "does not say that it was refused", promise: "is refused for sure", says: "does not say in its Delivery",
			breaks: delivering("")},
		{name: "loses the type of its errors", promise: "is refused for sure", says: "does not say in its Delivery",
			breaks: saying(func(err error) error { return errors.New(err.Error()) })},
		{name: "says that it was refused without being able to know", poor: true, promise: "is refused for sure",
			says:   "the fixture has VagueRefusals",
			breaks: delivering(commerce.Refused)},
		{name: "says that it was not sent", promise: "is refused for sure", says: `says "not sent", and the push came in`,
			breaks: delivering(commerce.NotSent)},
		{name: "is content with an order that is not there", promise: "an order that is not there", says: "Push returned nil",
			breaks: saying(swallow)},
		{name: "has a status of its own", promise: "a status that is none",
			says:   `asked to push "id N0001" to "", it pushed "id N0001" to "PD"`,
			breaks: sending(func(id string, _ commerce.Status) (string, commerce.Status) { return id, commerce.StatusPaid })},
		{name: "trims ids", promise: "an id is pushed as a whole", says: `it pushed "id N0001"`,
			breaks: sending(func(id string, to commerce.Status) (string, commerce.Status) { return strings.TrimSpace(id), to })},
		{name: "cannot push ids with slashes", promise: "an id is pushed as a whole", says: `with the id "a/b" was not moved`,
			breaks: sending(func(id string, to commerce.Status) (string, commerce.Status) {
				id, _, _ = strings.Cut(id, "/")
				return id, to
			})},
		{name: "takes an order that somebody moved for one that it moved", promise: "a second push",
			says:   "Push returned nil, and the system moved nothing",
			breaks: saying(swallow)},
		{name: "ignores the context", promise: "a cancelled context is not sent", says: "1 pushes came in",
			breaks: withoutContext},
		{name: "hides the error of the context", promise: "a cancelled context is not sent",
			says:   "must match context.Canceled",
			breaks: saying(func(error) error { return errors.New("given up") })},
		{name: "lets one push answer for all", promise: "each sent once", says: "was moved 0 times",
			breaks: sharing(func(string) string { return "" })},
		{name: "sends each push twice when there are many", promise: "each sent once", says: "16 calls sent 32 pushes",
			breaks: overPusher(func(good resubmit.Pusher) pusherFunc {
				return func(ctx context.Context, id string, to commerce.Status) error {
					err := good.Push(ctx, id, to)
					_ = good.Push(ctx, id, to)
					return err
				}
			})},
		{name: "lets one push answer for all of an order", promise: "pushes of one order at the same time",
			says:   "16 pushes returned nil, and the order was moved 1 times",
			breaks: sharing(func(id string) string { return id })},
		{name: "takes an outage for an order that is not there", promise: "a system that is away",
			says:   "matches ErrNotFound",
			breaks: saying(func(error) error { return commerce.ErrNotFound })},
		{name: "loses how long to wait", promise: "busy system", says: "RetryAfter does not say so",
			breaks: saying(func(error) error { return &commerce.Error{HTTPStatus: 429, Delivery: commerce.Refused} })},
		{name: "hides that the credentials were refused", promise: "refused credentials", says: "matches none of",
			breaks: saying(func(error) error { return errors.New("it failed") })},
		{name: "shows a secret", promise: "refused credentials", says: "an error holds a secret",
			breaks: saying(func(err error) error { return fmt.Errorf("%w for %s", err, shopSecret) })},
		{name: "takes a page for a yes", promise: "a page of HTML", says: "Push returned nil, and the system moved nothing",
			breaks: saying(swallow)},
		{name: "takes a lost answer for a yes", promise: "a lost answer", says: "there is no error", breaks: saying(swallow)},
		{name: "hangs on a slow system", hangs: true, promise: "a caller who gives up", says: "did not come back",
			breaks: withoutContext},
		{name: "takes giving up for a no", promise: "a caller who gives up",
			says: `says "refused", and the system moved the order`, breaks: delivering(commerce.Refused)},
		{name: "does not tell who gave up", promise: "a caller who gives up", says: "does not match context.Canceled",
			breaks: saying(func(error) error { return errors.New("it took too long") })},
	}
	for _, promise := range []string{"a system that is away", "busy system", "refused credentials", "a page of HTML",
		"a lost answer", "an answer of 5xx", "half of an answer"} {
		adapters = append(adapters, broken{
			name: "sends again: " + promise, promise: promise, says: "one call of Push sent 2 pushes", breaks: retrying(always),
		})
	}
	for _, promise := range []string{"a lost answer", "an answer of 5xx", "half of an answer"} {
		adapters = append(adapters,
			broken{name: "says refused though it acted: " + promise, promise: promise,
				says: `says "refused", and the system moved the order`, breaks: delivering(commerce.Refused)},
			broken{name: "says not sent though it acted: " + promise, promise: promise,
				says: `says "not sent", and the system moved the order`, breaks: delivering(commerce.NotSent)},
		)
	}
	return adapters
}

func TestEveryBrokenPusherIsCaught(t *testing.T) {
	t.Parallel()
	requireCaught(t, "pusher", brokenPushers())
}
