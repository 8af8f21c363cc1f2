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
	listerFunc func(ctx context.Context, q commerce.Query) sequence
)

func (f listerFunc) Orders(ctx context.Context, q commerce.Query) sequence { return f(ctx, q) }

// replaceLister wraps the lister in a broken one.
func replaceLister(wrap func(good resubmit.OrderLister) listerFunc) func(*resubmittest.System) {
	return func(system *resubmittest.System) {
		good := system.Lister
		system.Lister = func(t testing.TB, ids []string) resubmit.OrderLister { return wrap(good(t, ids)) }
	}
}

// changeQuery changes the query of lists.
func changeQuery(change func(*commerce.Query)) func(*resubmittest.System) {
	return replaceLister(func(good resubmit.OrderLister) listerFunc {
		return func(ctx context.Context, q commerce.Query) sequence {
			change(&q)
			return good.Orders(ctx, q)
		}
	})
}

// changeYield passes each pair of a list through a function.
func changeYield(pass func(n int, o *commerce.Order, err error,
	yield func(*commerce.Order, error) bool) bool) func(*resubmittest.System) {
	return replaceLister(func(good resubmit.OrderLister) listerFunc {
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

// changeListed changes the orders of lists.
func changeListed(change func(*commerce.Order)) func(*resubmittest.System) {
	return changeYield(func(_ int, o *commerce.Order, err error, yield func(*commerce.Order, error) bool) bool {
		if o != nil {
			change(o)
		}
		return yield(o, err)
	})
}

// changeListError changes the error of lists; nil drops it.
func changeListError(change func(error) error) func(*resubmittest.System) {
	return changeYield(func(_ int, o *commerce.Order, err error, yield func(*commerce.Order, error) bool) bool {
		if err != nil {
			if err = change(err); err == nil {
				return false
			}
		}
		return yield(o, err)
	})
}

func swallow(error) error { return nil }

func brokenListers() []broken {
	adapters := []broken{
		{name: "omits an order", promise: "lists every order", says: "is missing",
			breaks: changeYield(func(n int, o *commerce.Order, err error, yield func(*commerce.Order, error) bool) bool {
				return n == 8 || yield(o, err)
			})},
		{name: "lists the first page only", promise: "lists every order", says: "is missing; ",
			breaks: changeYield(func(n int, o *commerce.Order, err error, yield func(*commerce.Order, error) bool) bool {
				return n <= shopPage && yield(o, err)
			})},
		{name: "yields twice", promise: "lists every order", says: "N0003 is yielded twice",
			breaks: changeYield(func(n int, o *commerce.Order, err error, yield func(*commerce.Order, error) bool) bool {
				return yield(o, err) && (n != 3 || yield(o, err))
			})},
		{name: "yields neither an order nor an error", promise: "lists every order",
			says: "neither an order nor an error",
			breaks: changeYield(func(_ int, o *commerce.Order, err error, yield func(*commerce.Order, error) bool) bool {
				return yield(o, err) && yield(nil, nil)
			})},
		{name: "ignores the sort", promise: "sorts oldest first", says: "sorted newest first",
			breaks: changeQuery(func(q *commerce.Query) { q.Sort = commerce.OldestFirst })},
		{name: "sorts newest first", promise: "sorts oldest first", says: "sorted oldest first",
			breaks: changeQuery(func(q *commerce.Query) { q.Sort = commerce.NewestFirst })},
		{name: "loses orders of the same time", promise: "placed at the same time", says: "is missing", breaks: losesTies},
		{name: "exceeds the limit", promise: "the limit", says: "limit 1: N0003 is not wanted",
			breaks: changeQuery(func(q *commerce.Query) { q.Limit++ })},
		{name: "limits before it filters", promise: "the limit", says: "limit 3: N0005 is missing",
			breaks: replaceLister(func(good resubmit.OrderLister) listerFunc {
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
		{name: "ignores the account", promise: "orders of an account", says: `account "left": `,
			breaks: changeQuery(func(q *commerce.Query) { q.Account = "" })},
		{name: "ignores an unsupported account", poor: true, promise: "orders of an account", says: "must reject it",
			breaks: changeQuery(func(q *commerce.Query) { q.Account = "" })},
		{name: "needs ids without declaring it", promise: "the given ids", says: "is missing",
			breaks: func(system *resubmittest.System) {
				good := system.Lister
				system.Lister = func(t testing.TB, ids []string) resubmit.OrderLister {
					return listerFunc(func(ctx context.Context, q commerce.Query) sequence {
						q.IDs = append(ids, "none")
						return good(t, nil).Orders(ctx, q)
					})
				}
			}},
		{name: "lists more than the given ids", poor: true, promise: "the given ids", says: "is not wanted",
			breaks: func(system *resubmittest.System) {
				good, put := system.Lister, system.AddOrder
				var all []string
				system.AddOrder = func(t testing.TB, n resubmittest.OrderSpec) *commerce.Order {
					o := put(t, n)
					all = append(all, o.ID)
					return o
				}
				system.Lister = func(t testing.TB, _ []string) resubmit.OrderLister { return good(t, all) }
			}},
		{name: "lists a repeated id twice", poor: true, promise: "the given ids",
			says: "given twice: N0001 is yielded twice",
			breaks: func(system *resubmittest.System) {
				good := system.Lister
				system.Lister = func(t testing.TB, ids []string) resubmit.OrderLister {
					return listerFunc(func(ctx context.Context, q commerce.Query) sequence {
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
		{name: "omits an unknown id", poor: true, promise: "the given ids",
			says:   "the list must end with an error",
			breaks: changeListError(swallow)},
		{name: "pages by offset", promise: "while others change", says: "is missing", breaks: pagesByOffset},
		{name: "returns an error for an empty list", promise: "nothing matches", says: "ended with the error",
			breaks: replaceLister(func(good resubmit.OrderLister) listerFunc {
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
		{name: "rounds money", promise: "lists correct fields", says: `Total is "12 USD", not "12.50 USD"`,
			breaks: changeListed(func(o *commerce.Order) { o.Total.Amount = o.Total.Amount.Truncate(0) })},
		{name: "loses the currency", promise: "lists correct fields", says: `Total is "", not "USD"`,
			breaks: changeListed(func(o *commerce.Order) { o.Total.Currency = "" })},
		{name: "shifts times", promise: "lists correct fields", says: "PlacedAt is",
			breaks: changeListed(func(o *commerce.Order) { o.PlacedAt = o.PlacedAt.Add(time.Hour) })},
		{name: "cuts ids", promise: "lists correct fields", says: `with the id "a/b" is not in the list`,
			breaks: changeListed(func(o *commerce.Order) { o.ID, _, _ = strings.Cut(o.ID, "/") })},
		{name: "invents a failure", promise: "lists correct fields", says: "Failure is",
			breaks: changeListed(func(o *commerce.Order) { o.Failure.Messages = map[string]string{"en_US": "failed"} })},
		{name: "reports an undeclared failure", poor: true, promise: "lists declared fields only",
			says:   "reports a failure",
			breaks: changeListed(func(o *commerce.Order) { o.Failure.Messages = map[string]string{"en_US": "failed"} })},
		{name: "reports undeclared transitions", poor: true, promise: "lists declared fields only",
			says:   "reports transitions",
			breaks: changeListed(func(o *commerce.Order) { o.Transitions = []commerce.Transition{} })},
		{name: "continues after a break", promise: "the loop breaks", says: "it continues after the loop broke",
			breaks: changeYield(func(_ int, o *commerce.Order, err error, yield func(*commerce.Order, error) bool) bool {
				yield(o, err)
				return true
			})},
		{name: "ignores the context", promise: "error of a cancelled context", says: "must match context.Canceled",
			breaks: withoutContext},
		{name: "hangs on a slow system", hangs: true, promise: "system is slow", says: "did not return",
			breaks: withoutContext},
		{name: "hides the error of the context", promise: "system is slow",
			says:   "does not match context.DeadlineExceeded",
			breaks: changeListError(func(error) error { return errors.New("it took too long") })},
		{name: "ends a cancelled list without an error", promise: "cancelled half-way",
			says:   "ended after 7 of 40 orders without an error",
			breaks: changeListError(swallow)},
		{name: "ends an incomplete list without an error", promise: "fails half-way",
			says:   "ended after 7 of 40 orders without an error",
			breaks: changeListError(swallow)},
		{name: "shares the query between lists", promise: "concurrent lists", says: "is missing",
			breaks: replaceLister(func(good resubmit.OrderLister) listerFunc {
				var once sync.Once
				var first commerce.Query
				return func(ctx context.Context, q commerce.Query) sequence {
					once.Do(func() { first = q })
					return good.Orders(ctx, first)
				}
			})},
		{name: "continues after an error", promise: "system is unavailable", says: "it continues after an error",
			breaks: changeYield(func(_ int, o *commerce.Order, err error, yield func(*commerce.Order, error) bool) bool {
				return yield(o, err) && (err == nil || yield(o, err))
			})},
		{name: "yields an order with the error", promise: "system is unavailable", says: "an order together with an error",
			breaks: changeYield(func(_ int, o *commerce.Order, err error, yield func(*commerce.Order, error) bool) bool {
				if err != nil {
					o = &commerce.Order{}
				}
				return yield(o, err)
			})},
		{name: "takes an outage for an unknown order", promise: "system is unavailable", says: "matches ErrNotFound",
			breaks: changeListError(func(error) error { return commerce.ErrNotFound })},
		{name: "hides the reason", promise: "credentials are refused", says: "matches none of",
			breaks: changeListError(func(error) error { return errors.New("it failed") })},
		{name: "shows a secret", promise: "credentials are refused", says: "an error contains the secret",
			breaks: changeListError(func(err error) error { return fmt.Errorf("%w for %s", err, shopSecret) })},
		{name: "shows a secret in a field of the error", promise: "credentials are refused",
			says: "an error contains the secret",
			breaks: changeListError(func(error) error {
				return &commerce.Error{HTTPStatus: 401, Message: "no", Body: shopSecret}
			})},
	}
	for _, promise := range []string{"system is unavailable", "credentials are refused", "an HTML page", "a lost response",
		"a truncated response"} {
		adapters = append(adapters, broken{
			name: "drops the error: " + promise, promise: promise, says: "there is no error", breaks: changeListError(swallow),
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
			name: "ignores " + field, promise: "each field of the query", says: field + ": ", breaks: changeQuery(ignore),
		})
	}
	return adapters
}

var withoutContext = replaceLister(func(good resubmit.OrderLister) listerFunc {
	return func(ctx context.Context, q commerce.Query) sequence {
		return good.Orders(context.WithoutCancel(ctx), q)
	}
})

// losesTies continues behind the time of a page's last order, so that it misses further
// orders of that time.
var losesTies = replaceLister(func(good resubmit.OrderLister) listerFunc {
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
var pagesByOffset = replaceLister(func(good resubmit.OrderLister) listerFunc {
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

func TestListerFindsBrokenListers(t *testing.T) {
	t.Parallel()
	requireCaught(t, "lister", brokenListers())
}
