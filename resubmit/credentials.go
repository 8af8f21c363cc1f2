package resubmit

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
)

// Refused credentials end a run at once, since further calls would be refused too and might lock
// the account:
//
//   - 401 from either system ends the run, and so does 403 from Connect, from a list or from a
//     sign-in.
//   - 403 to a read or a push of one order is about that order. If forbiddenInRow orders in a
//     row get it, and no call of the same kind succeeds in between, it is about the credentials
//     and ends the run. Orders that an earlier run has begun count only when all others are
//     done, so that a few orders which are always forbidden cannot block the others.
//   - A client does not repeat a push, but has renewed the credentials when it returns. So the
//     first 401 or 403 to a push leads to one further attempt.
//
// None of this counts as a refusal of the order: its record allows another attempt.

// forbiddenInRow is the number of forbidden orders in a row that means that the credentials are
// refused.
const forbiddenInRow = 3

// unauthorized reports whether the credentials were refused as such.
func unauthorized(err error) bool {
	return errors.Is(err, commerce.ErrUnauthorized) || errors.Is(err, connect.ErrUnauthorized) ||
		forbidden(err) && notSent(err)
}

// forbidden reports whether the credentials are valid but do not permit the call.
func forbidden(err error) bool {
	return errors.Is(err, commerce.ErrForbidden) || errors.Is(err, connect.ErrForbidden)
}

// notSent reports whether the call itself was not sent, because its sign-in failed.
func notSent(err error) bool {
	e, ok := errors.AsType[*commerce.Error](err)
	return ok && e.Delivery == commerce.DeliveryNotSent
}

// access counts the orders in a row for which one kind of call was forbidden. The zero value is
// ready to use.
type access struct {
	mu sync.Mutex
	// orders were begun by this run, resumed by an earlier one.
	orders, resumed map[string]bool
	call            string // the last forbidden call
	err             error
}

func (a *access) succeeded() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.orders)
	clear(a.resumed)
}

// forbid counts an order and reports whether the run must end at once. Orders that an earlier run has pushed end it
// only when all others are done.
func (a *access) forbid(id string, resumed bool, call string, err error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.orders == nil {
		a.orders, a.resumed = make(map[string]bool), make(map[string]bool)
	}
	if a.call, a.err = call, err; resumed {
		a.resumed[id] = true
		return false
	}
	a.orders[id] = true
	return len(a.orders) >= forbiddenInRow
}

// end returns the last forbidden call and its error if the orders of this run and of earlier ones
// are too many together.
func (a *access) end() (call string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.orders)+len(a.resumed) < forbiddenInRow {
		return "", nil
	}
	return a.call, a.err
}

// checkAccess ends the run if the error of a call means that the credentials are refused.
func (c *caller) checkAccess(system, call string, err error) {
	if unauthorized(err) || forbidden(err) {
		c.denied(system, call, err)
	}
}

func (c *caller) denied(system, call string, err error) {
	c.stop(fmt.Errorf("resubmit: %s refused the credentials (%s), so the run ended: %w; renew them or have the "+
		"permission added, then run again with the same plan and journal", system, call, err))
}

// checkOrderAccess is checkAccess for a call about one order: 403 may be about that order alone.
func (c *caller) checkOrderAccess(o *order, a *access, call string, err error) {
	call += " " + o.item.Number
	if unauthorized(err) || forbidden(err) && a.forbid(o.entry.OrderID, o.resumed, call, err) {
		c.denied("Commerce", call, err)
	}
}

// endForbidden ends a run that has processed all orders with an error if the last ones were
// forbidden.
func (c *caller) endForbidden() {
	for _, a := range []*access{&c.readAccess, &c.pushAccess} {
		if call, err := a.end(); err != nil {
			c.denied("Commerce", call, err)
		}
	}
}
