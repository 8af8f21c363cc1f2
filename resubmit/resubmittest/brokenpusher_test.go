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

// replacePusher wraps the pusher in a broken one.
func replacePusher(wrap func(good resubmit.Pusher) pusherFunc) func(*resubmittest.System) {
	return func(system *resubmittest.System) { system.Pusher = wrap(system.Pusher) }
}

// changeErrors changes the errors of pushes.
func changeErrors(change func(error) error) func(*resubmittest.System) {
	return replacePusher(func(good resubmit.Pusher) pusherFunc {
		return func(ctx context.Context, id string, to commerce.Status) error {
			err := good.Push(ctx, id, to)
			if err != nil {
				err = change(err)
			}
			return err
		}
	})
}

// setDelivery sets the delivery of each error.
func setDelivery(d commerce.Delivery) func(*resubmittest.System) {
	return changeErrors(func(err error) error {
		e, _ := errors.AsType[*commerce.Error](err)
		return &commerce.Error{Op: e.Op, HTTPStatus: e.HTTPStatus, RetryAfter: e.RetryAfter, Delivery: d, Err: e.Err}
	})
}

// retry repeats a push that failed.
func retry(again func(error) bool) func(*resubmittest.System) {
	return replacePusher(func(good resubmit.Pusher) pusherFunc {
		return func(ctx context.Context, id string, to commerce.Status) error {
			err := good.Push(ctx, id, to)
			if err != nil && again(err) {
				err = good.Push(ctx, id, to)
			}
			return err
		}
	})
}

// changePush changes what is pushed.
func changePush(change func(id string, to commerce.Status) (string, commerce.Status)) func(*resubmittest.System) {
	return replacePusher(func(good resubmit.Pusher) pusherFunc {
		return func(ctx context.Context, id string, to commerce.Status) error {
			id, to = change(id, to)
			return good.Push(ctx, id, to)
		}
	})
}

// sharePushes sends one push for all with the same key.
func sharePushes(key func(id string) string) func(*resubmittest.System) {
	return replacePusher(func(good resubmit.Pusher) pusherFunc {
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
	withoutContext := replacePusher(func(good resubmit.Pusher) pusherFunc {
		return func(ctx context.Context, id string, to commerce.Status) error {
			return good.Push(context.WithoutCancel(ctx), id, to)
		}
	})
	adapters := []broken{
		{name: "pushes the order that it read", promise: "reads another order first", says: `moved "id N0002"`,
			breaks: replacePusher(func(good resubmit.Pusher) pusherFunc {
				return func(ctx context.Context, _ string, to commerce.Status) error { return good.Push(ctx, "id N0002", to) }
			})},
		{name: "does nothing", promise: "moves the order to the status",
			says: "Push returned nil, but the system moved nothing",
			breaks: replacePusher(func(resubmit.Pusher) pusherFunc {
				return func(context.Context, string, commerce.Status) error { return nil }
			})},
		{name: "sends twice", promise: "moves the order to the status", says: "one call of Push sent 2 pushes",
			breaks: replacePusher(func(good resubmit.Pusher) pusherFunc {
				return func(ctx context.Context, id string, to commerce.Status) error {
					err := good.Push(ctx, id, to)
					_ = good.Push(ctx, id, to)
					return err
				}
			})},
		{name: "pushes another order", promise: "moves the order to the status",
			says:   `the push of "id N0002" to "PD" moved "id N0001" to "PD"`,
			breaks: changePush(func(_ string, to commerce.Status) (string, commerce.Status) { return "id N0001", to })},
		{name: "returns an error though it moved the order", promise: "moves the order to the status",
			says: "the error is but; the system received 1 pushes",
			breaks: replacePusher(func(good resubmit.Pusher) pusherFunc {
				return func(ctx context.Context, id string, to commerce.Status) error {
					return errors.Join(good.Push(ctx, id, to), errors.New("but"))
				}
			})},
		{name: "hides the delivery", promise: "does not offer as refused",
			says:   "does not say that the order was not moved",
			breaks: setDelivery("")},
		{name: "loses the type of its errors", promise: "does not offer as refused",
			says:   "does not say that the order was not moved",
			breaks: changeErrors(func(err error) error { return errors.New(err.Error()) })},
		{name: "claims a refusal without proof", poor: true, promise: "does not offer as refused",
			says:   "the fixture has AmbiguousRefusals",
			breaks: setDelivery(commerce.DeliveryRefused)},
		{name: "claims that it was not sent", promise: "does not offer as refused",
			says:   `says "not sent", but the system received the push`,
			breaks: setDelivery(commerce.DeliveryNotSent)},
		{name: "ignores an unknown order", promise: "an unknown order", says: "Push returned nil",
			breaks: changeErrors(swallow)},
		{name: "pushes its own status", promise: "an invalid status",
			says:   `the push of "id N0001" to "" moved "id N0001" to "PD"`,
			breaks: changePush(func(id string, _ commerce.Status) (string, commerce.Status) { return id, commerce.StatusPaid })},
		{name: "trims ids", promise: "treats ids as opaque", says: `moved "id N0001"`,
			breaks: changePush(func(id string, to commerce.Status) (string, commerce.Status) {
				return strings.TrimSpace(id), to
			})},
		{name: "cuts ids at a slash", promise: "treats ids as opaque", says: `with the id "a/b" was not moved`,
			breaks: changePush(func(id string, to commerce.Status) (string, commerce.Status) {
				id, _, _ = strings.Cut(id, "/")
				return id, to
			})},
		{name: "ignores a conflict", promise: "a second push",
			says:   "Push returned nil, but the system moved nothing",
			breaks: changeErrors(swallow)},
		{name: "ignores the context", promise: "sends nothing with a cancelled context",
			says:   "the system received 1 pushes",
			breaks: withoutContext},
		{name: "hides the error of the context", promise: "sends nothing with a cancelled context",
			says:   "must match context.Canceled",
			breaks: changeErrors(func(error) error { return errors.New("given up") })},
		{name: "sends one push for all", promise: "once each", says: "was moved 0 times",
			breaks: sharePushes(func(string) string { return "" })},
		{name: "sends concurrent pushes twice", promise: "once each", says: "16 calls sent 32 pushes",
			breaks: replacePusher(func(good resubmit.Pusher) pusherFunc {
				return func(ctx context.Context, id string, to commerce.Status) error {
					err := good.Push(ctx, id, to)
					_ = good.Push(ctx, id, to)
					return err
				}
			})},
		{name: "sends one push for all of an order", promise: "concurrent pushes moved one order",
			says:   "16 pushes returned nil, but the order was moved 1 times",
			breaks: sharePushes(func(id string) string { return id })},
		{name: "takes an outage for an unknown order", promise: "system is unavailable",
			says:   "matches ErrNotFound",
			breaks: changeErrors(func(error) error { return commerce.ErrNotFound })},
		{name: "loses Retry-After", promise: "if rate limited", says: "RetryAfter is not 7s",
			breaks: changeErrors(func(error) error {
				return &commerce.Error{HTTPStatus: 429,
					Delivery: commerce.DeliveryRefused}
			})},
		{name: "hides that the credentials were refused", promise: "credentials are refused", says: "matches none of",
			breaks: changeErrors(func(error) error { return errors.New("it failed") })},
		{name: "shows a secret", promise: "credentials are refused", says: "an error contains the secret",
			breaks: changeErrors(func(err error) error { return fmt.Errorf("%w for %s", err, shopSecret) })},
		{name: "takes a page for success", promise: "an HTML page", says: "Push returned nil, but the system moved nothing",
			breaks: changeErrors(swallow)},
		{name: "takes a lost response for success", promise: "a lost response",
			says: "there is no error", breaks: changeErrors(swallow)},
		{name: "hangs on a slow system", hangs: true, promise: "the caller gives up", says: "did not return",
			breaks: withoutContext},
		{name: "takes giving up for a refusal", promise: "the caller gives up",
			says: `says "refused", but the system moved the order`, breaks: setDelivery(commerce.DeliveryRefused)},
		{name: "hides that the caller gave up", promise: "the caller gives up", says: "does not match context.Canceled",
			breaks: changeErrors(func(error) error { return errors.New("it took too long") })},
	}
	for _, promise := range []string{"system is unavailable", "if rate limited", "credentials are refused", "an HTML page",
		"a lost response", "a 5xx response", "a truncated response"} {
		adapters = append(adapters, broken{
			name: "retries: " + promise, promise: promise, says: "one call of Push sent 2 pushes", breaks: retry(always),
		})
	}
	for _, promise := range []string{"a lost response", "a 5xx response", "a truncated response"} {
		adapters = append(adapters,
			broken{name: "claims a refusal: " + promise, promise: promise,
				says: `says "refused", but the system moved the order`, breaks: setDelivery(commerce.DeliveryRefused)},
			broken{name: "claims that it was not sent: " + promise, promise: promise,
				says: `says "not sent", but the system moved the order`, breaks: setDelivery(commerce.DeliveryNotSent)},
		)
	}
	return adapters
}

func TestPusherFindsBrokenPushers(t *testing.T) {
	t.Parallel()
	requireCaught(t, "pusher", brokenPushers())
}
