package resubmittest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

type (
	sequence   = iter.Seq2[*commerce.Order, error]
	sourceFunc func(ctx context.Context, q commerce.Query) sequence
)

func (f sourceFunc) Orders(ctx context.Context, q commerce.Query) sequence { return f(ctx, q) }

// overSource puts a broken source over the good one.
func overSource(over func(good resubmit.OrderLister) sourceFunc) func(*resubmittest.System) {
	return func(system *resubmittest.System) {
		good := system.Source
		system.Source = func(t testing.TB, ids []string) resubmit.OrderLister { return over(good(t, ids)) }
	}
}

// asking puts a source over it that asks for something else.
func asking(change func(*commerce.Query)) func(*resubmittest.System) {
	return overSource(func(good resubmit.OrderLister) sourceFunc {
		return func(ctx context.Context, q commerce.Query) sequence {
			change(&q)
			return good.Orders(ctx, q)
		}
	})
}

// yielding puts a source over it that passes each pair through a function.
func yielding(pass func(n int, o *commerce.Order, err error,
	yield func(*commerce.Order, error) bool) bool) func(*resubmittest.System) {
	return overSource(func(good resubmit.OrderLister) sourceFunc {
		return func(ctx context.Context, q commerce.Query) sequence {
			return func(yield func(*commerce.Order, error) bool) {
				n := 0
				for o, err := range good.Orders(ctx, q) {
					if n++; !pass(n, o, err, yield) {
						return
					}
				}
			}
		}
	})
}

// telling changes the orders of a list.
func telling(change func(*commerce.Order)) func(*resubmittest.System) {
	return yielding(func(_ int, o *commerce.Order, err error, yield func(*commerce.Order, error) bool) bool {
		if o != nil {
			change(o)
		}
		return yield(o, err)
	})
}

// failing changes the error of a list; nil swallows it.
func failing(change func(error) error) func(*resubmittest.System) {
	return yielding(func(_ int, o *commerce.Order, err error, yield func(*commerce.Order, error) bool) bool {
		if err != nil {
			if err = change(err); err == nil {
				return false
			}
		}
		return yield(o, err)
	})
}

func swallow(error) error { return nil }

func brokenSources() []broken {
	adapters := []broken{
		{name: "drops a row", promise: "every order is listed", says: "is missing",
			breaks: yielding(func(n int, o *commerce.Order, err error, yield func(*commerce.Order, error) bool) bool {
				return n == 8 || yield(o, err)
			})},
		{name: "lists the first page only", promise: "every order is listed", says: "is missing; ",
			breaks: yielding(func(n int, o *commerce.Order, err error, yield func(*commerce.Order, error) bool) bool {
				return n <= shopPage && yield(o, err)
			})},
		{name: "yields twice", promise: "every order is listed", says: "N0003 was yielded twice",
			breaks: yielding(func(n int, o *commerce.Order, err error, yield func(*commerce.Order, error) bool) bool {
				return yield(o, err) && (n != 3 || yield(o, err))
			})},
		{name: "yields neither an order nor an error", promise: "every order is listed",
			says: "neither an order nor an error",
			breaks: yielding(func(_ int, o *commerce.Order, err error, yield func(*commerce.Order, error) bool) bool {
				return yield(o, err) && yield(nil, nil)
			})},
		{name: "ignores which comes first", promise: "the oldest first", says: "asked for the newest first",
			breaks: asking(func(q *commerce.Query) { q.Sort = commerce.OldestFirst })},
		{name: "puts the newest first", promise: "the oldest first", says: "asked for the oldest first",
			breaks: asking(func(q *commerce.Query) { q.Sort = commerce.NewestFirst })},
		{name: "loses orders of the same time", promise: "placed at the same time", says: "is missing", breaks: losesTies},
		{name: "gives one more than the limit", promise: "the limit", says: "limit 1: N0003 was not asked for",
			breaks: asking(func(q *commerce.Query) { q.Limit++ })},
		{name: "limits before it filters", promise: "the limit", says: "limit 3: N0005 is missing",
			breaks: overSource(func(good resubmit.OrderLister) sourceFunc {
				return func(ctx context.Context, q commerce.Query) sequence {
					return func(yield func(*commerce.Order, error) bool) {
						for o, err := range good.Orders(ctx, commerce.Query{Sort: q.Sort, Limit: q.Limit}) {
							if (o == nil || q.Match(o)) && !yield(o, err) {
								return
							}
						}
					}
				}
			})},
		{name: "ignores the account", promise: "an account's orders", says: `account "left": `,
			breaks: asking(func(q *commerce.Query) { q.Account = "" })},
		{name: "ignores an account that it cannot list by", poor: true, promise: "an account's orders", says: "must refuse",
			breaks: asking(func(q *commerce.Query) { q.Account = "" })},
		{name: "knows only what it was given without saying so", promise: "a source of given ids", says: "is missing",
			breaks: func(system *resubmittest.System) {
				good := system.Source
				system.Source = func(t testing.TB, ids []string) resubmit.OrderLister {
					return sourceFunc(func(ctx context.Context, q commerce.Query) sequence {
						q.IDs = append(ids, "none")
						return good(t, nil).Orders(ctx, q)
					})
				}
			}},
		{name: "lists more than it was given", poor: true, promise: "a source of given ids", says: "was not asked for",
			breaks: func(system *resubmittest.System) {
				good, put := system.Source, system.Put
				var all []string
				system.Put = func(t testing.TB, n resubmittest.NewOrder) *commerce.Order {
					o := put(t, n)
					all = append(all, o.ID)
					return o
				}
				system.Source = func(t testing.TB, _ []string) resubmit.OrderLister { return good(t, all) }
			}},
		{name: "lists an id twice that was given twice", poor: true, promise: "a source of given ids",
			says: "given twice: N0001 was yielded twice",
			breaks: func(system *resubmittest.System) {
				good := system.Source
				system.Source = func(t testing.TB, ids []string) resubmit.OrderLister {
					return sourceFunc(func(ctx context.Context, q commerce.Query) sequence {
						return func(yield func(*commerce.Order, error) bool) {
							for _, id := range ids {
								for o, err := range good(t, []string{id}).Orders(ctx, q) {
									if !yield(o, err) || err != nil {
										return
									}
								}
							}
						}
					})
				}
			}},
		{name: "leaves out a given id that is not there", poor: true, promise: "a source of given ids",
			says:   "must not be left out",
			breaks: failing(swallow)},
		{name: "pages by offset", promise: "while others come and go", says: "is missing", breaks: pagesByOffset},
		{name: "takes nothing for an error", promise: "nothing found", says: "ended with the error",
			breaks: overSource(func(good resubmit.OrderLister) sourceFunc {
				return func(ctx context.Context, q commerce.Query) sequence {
					return func(yield func(*commerce.Order, error) bool) {
						for o, err := range good.Orders(ctx, q) {
							if !yield(o, err) {
								return
							}
							q.Limit = -1
						}
						if q.Limit == 0 {
							yield(nil, commerce.ErrNotFound)
						}
					}
				}
			})},
		{name: "rounds money", promise: "a list tells of an order", says: `Total is "12 USD", not "12.50 USD"`,
			breaks: telling(func(o *commerce.Order) { o.Total.Amount = o.Total.Amount.Truncate(0) })},
		{name: "loses the currency", promise: "a list tells of an order", says: `Total is "", not "USD"`,
			breaks: telling(func(o *commerce.Order) { o.Total.Currency = "" })},
		{name: "takes times for local", promise: "a list tells of an order", says: "PlacedAt is",
			breaks: telling(func(o *commerce.Order) { o.PlacedAt = o.PlacedAt.Add(time.Hour) })},
		{name: "cuts ids", promise: "a list tells of an order", says: `with the id "a/b" is not in the list`,
			breaks: telling(func(o *commerce.Order) { o.ID, _, _ = strings.Cut(o.ID, "/") })},
		{name: "invents a failure", promise: "a list tells of an order", says: "Failure is",
			breaks: telling(func(o *commerce.Order) { o.Failure.Text = map[string]string{"en_US": "failed"} })},
		{name: "tells a failure without declaring it", poor: true, promise: "cannot tell is in no list",
			says:   "tells a failure",
			breaks: telling(func(o *commerce.Order) { o.Failure.Text = map[string]string{"en_US": "failed"} })},
		{name: "tells transitions without declaring it", poor: true, promise: "cannot tell is in no list",
			says:   "tells transitions",
			breaks: telling(func(o *commerce.Order) { o.Transitions = []commerce.Transition{} })},
		{name: "goes on after the loop broke off", promise: "breaks off", says: "it goes on after the loop broke off",
			breaks: yielding(func(_ int, o *commerce.Order, err error, yield func(*commerce.Order, error) bool) bool {
				yield(o, err)
				return true
			})},
		{name: "ignores the context", promise: "a cancelled context ends the list", says: "must match context.Canceled",
			breaks: withoutContext},
		{name: "hangs on a slow system", hangs: true, promise: "a list of a slow system", says: "did not come back",
			breaks: withoutContext},
		{name: "hides the error of the context", promise: "a list of a slow system",
			says:   "does not match context.DeadlineExceeded",
			breaks: failing(func(error) error { return errors.New("it took too long") })},
		{name: "ends a cancelled list as if it were whole", promise: "cancelled half-way",
			says:   "ended after 7 of 40 orders without an error",
			breaks: failing(swallow)},
		{name: "ends a broken list as if it were whole", promise: "breaks half-way",
			says:   "ended after 7 of 40 orders without an error",
			breaks: failing(swallow)},
		{name: "shares the query among lists", promise: "lists at the same time", says: "is missing",
			breaks: overSource(func(good resubmit.OrderLister) sourceFunc {
				var once sync.Once
				var first commerce.Query
				return func(ctx context.Context, q commerce.Query) sequence {
					once.Do(func() { first = q })
					return good.Orders(ctx, first)
				}
			})},
		{name: "goes on after an error", promise: "a system that is away", says: "it goes on after an error",
			breaks: yielding(func(_ int, o *commerce.Order, err error, yield func(*commerce.Order, error) bool) bool {
				return yield(o, err) && (err == nil || yield(o, err))
			})},
		{name: "yields an order with the error", promise: "a system that is away", says: "an order together with an error",
			breaks: yielding(func(_ int, o *commerce.Order, err error, yield func(*commerce.Order, error) bool) bool {
				if err != nil {
					o = &commerce.Order{}
				}
				return yield(o, err)
			})},
		{name: "takes an outage for nothing found", promise: "a system that is away", says: "matches ErrNotFound",
			breaks: failing(func(error) error { return commerce.ErrNotFound })},
		{name: "hides why it failed", promise: "refused credentials", says: "matches none of",
			breaks: failing(func(error) error { return errors.New("it failed") })},
		{name: "shows a secret", promise: "refused credentials", says: "an error holds a secret",
			breaks: failing(func(err error) error { return fmt.Errorf("%w for %s", err, shopSecret) })},
		{name: "shows a secret in a field of the error", promise: "refused credentials", says: "an error holds a secret",
			breaks: failing(func(error) error { return &commerce.Error{HTTPStatus: 401, Message: "no", Body: shopSecret} })},
	}
	for _, promise := range []string{"a system that is away", "refused credentials", "a page of HTML", "a lost answer",
		"half of an answer"} {
		adapters = append(adapters, broken{
			name: "swallows: " + promise, promise: promise, says: "there is no error", breaks: failing(swallow),
		})
	}
	for field, ignore := range map[string]func(*commerce.Query){
		"Statuses":                      func(q *commerce.Query) { q.Statuses = nil },
		"Types":                         func(q *commerce.Query) { q.Types = nil },
		"PlacedFrom":                    func(q *commerce.Query) { q.PlacedFrom = time.Time{} },
		"PlacedFrom, to the nanosecond": func(q *commerce.Query) { q.PlacedFrom = q.PlacedFrom.Truncate(time.Second) },
		"PlacedTo":                      func(q *commerce.Query) { q.PlacedTo = time.Time{} },
		"PlacedTo, to the nanosecond":   func(q *commerce.Query) { q.PlacedTo = q.PlacedTo.Truncate(time.Second) },
		"IDs":                           func(q *commerce.Query) { q.IDs = nil },
		"Numbers":                       func(q *commerce.Query) { q.Numbers = nil },
		"NumberLike":                    func(q *commerce.Query) { q.NumberLike = "" },
	} {
		adapters = append(adapters, broken{
			name: "ignores " + field, promise: "each field of the query", says: field + ": ", breaks: asking(ignore),
		})
	}
	return adapters
}

var withoutContext = overSource(func(good resubmit.OrderLister) sourceFunc {
	return func(ctx context.Context, q commerce.Query) sequence {
		return good.Orders(context.WithoutCancel(ctx), q)
	}
})

// losesTies continues behind the time of a page's last order, so that it misses further
// orders of that time.
var losesTies = overSource(func(good resubmit.OrderLister) sourceFunc {
	return func(ctx context.Context, q commerce.Query) sequence {
		return func(yield func(*commerce.Order, error) bool) {
			var last time.Time
			ties := 0
			for o, err := range good.Orders(ctx, q) {
				if ties++; o == nil || !o.PlacedAt.Equal(last) {
					ties = 0
				}
				if o != nil {
					last = o.PlacedAt
				}
				if ties < shopPage && !yield(o, err) {
					return
				}
			}
		}
	}
})

// pagesByOffset asks for each page anew by its offset, so that it misses what moves
// up while orders leave.
var pagesByOffset = overSource(func(good resubmit.OrderLister) sourceFunc {
	return func(ctx context.Context, q commerce.Query) sequence {
		return func(yield func(*commerce.Order, error) bool) {
			for offset := 0; ; offset += shopPage {
				var page []*commerce.Order
				i := 0
				for o, err := range good.Orders(ctx, q) {
					if err != nil {
						yield(nil, err)
						return
					}
					if i++; i > offset && len(page) < shopPage {
						page = append(page, o)
					}
				}
				for _, o := range page {
					if !yield(o, nil) {
						return
					}
				}
				if len(page) == 0 {
					return
				}
			}
		}
	}
})

func TestEveryBrokenSourceIsCaught(t *testing.T) {
	t.Parallel()
	requireCaught(t, "source", brokenSources())
}
