package resubmit

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/throttle"
)

// Systems has the clients for one Commerce installation and for Connect. Build it once, for
// instance with SystemsOf, and give the same value to PlanConfig, CheckConfig and Config. A
// field that holds a nil pointer, map or function is an error.
type Systems struct {
	// Name identifies the Commerce installation that the ids of the orders belong to, for
	// example "ordermanager https://mn.example.net:6308". It is recorded in each plan, and a
	// plan that was made under another name, or none, is rejected with plan.ErrSystemMismatch.
	// Never use one name for two installations, nor for two clients with different ids of
	// the same orders. Required.
	Name string
	// BaseURL is that of the installation, and is recorded in the journal, which rejects another one.
	BaseURL string
	// Capabilities says what the clients report about orders. The zero value means: no
	// failures, no transitions, no lists.
	Capabilities commerce.Capabilities

	// Lister lists orders. Required by the planner. The Runner verifies many orders at once
	// with it if Capabilities.Lists is set: see VerifyConfig.
	Lister OrderLister
	// Reader reads one order. Required by CheckPlan and the Runner. The planner reads each
	// selected order that was listed without details (see commerce.Order.HasTransitions). Nil: it
	// uses them as listed.
	Reader OrderReader
	// Pusher moves an order along a transition. Required by the Runner.
	Pusher Pusher
	// Requests finds the newest requests in Connect. Nil: the planner holds the orders that
	// need a look-up, unless IgnoreConnect is set, and the Runner verifies in Commerce only,
	// which the report says.
	Requests RequestFinder
	// Prober reports whether Connect is up again after the breaker has opened. Nil: the
	// breaker uses time alone.
	Prober availability.Prober

	// SharedRate makes the rate limits of the planner, the Runner and CheckPlan those of all processes together that use
	// the same one; give all the same limit. Then up to five percent fewer calls are made. Nil: each has its own limit.
	SharedRate SharedRate

	// lastCall keeps the rate limit when a planner and a Runner follow each other; nil if the systems were made without
	// SystemsOf.
	lastCall *throttle.LastCall
}

// Client is a client for Commerce: *ordermanager.Client, *billing.Client, *simpleapi.Client or
// an adapter of your own.
type Client interface {
	OrderReader
	Pusher
	// System returns the name of the installation, see Systems.Name.
	System() string
	// BaseURL returns that of the installation, without credentials and query.
	BaseURL() string
	// Capabilities returns what the client reports about orders.
	Capabilities() commerce.Capabilities
}

// SystemsOf returns Systems with a client for Commerce, its name, base URL and capabilities. Planners and
// Runners that get copies of it, one after the other, keep to the rate limit together.
// The lister is usually the same client; Billing cannot list, and takes a *billing.Lister.
// Set Requests and Prober to a *connect.Client.
func SystemsOf(client Client, lister OrderLister) Systems {
	s := Systems{Lister: lister, Reader: client, Pusher: client, lastCall: new(throttle.LastCall)}
	if !callback.Nil(client) { // else the configuration is rejected
		s.Name, s.BaseURL, s.Capabilities = client.System(), client.BaseURL(), client.Capabilities()
	}
	return s
}

// validate checks the systems; config is the name of the configuration in errors.
func (s *Systems) validate(config string) error {
	err := callback.RejectNil(
		callback.Field{Name: config + ".Lister", Value: s.Lister},
		callback.Field{Name: config + ".Reader", Value: s.Reader},
		callback.Field{Name: config + ".Pusher", Value: s.Pusher},
		callback.Field{Name: config + ".Requests", Value: s.Requests},
		callback.Field{Name: config + ".Prober", Value: s.Prober},
		callback.Field{Name: config + ".SharedRate", Value: s.SharedRate})
	switch {
	case err != nil:
		return err
	case s.Name == "":
		return fmt.Errorf("%s.Systems.Name is empty; use SystemsOf, or name the Commerce installation of the clients", config)
	case text.Short(s.Name) != s.Name:
		return fmt.Errorf("%s.Systems.Name is %q; give a short text on one line", config, text.Short(s.Name))
	default:
		return nil
	}
}

// OrderLister lists the orders that match a query, each once, and oldest first if the query says
// so. An error ends the sequence. The planner sorts orders of the same time by their ids, and
// leaves out and counts those that do not match (see plan.ActionCounts.Mismatched). The clients
// for Order Management and Simple API are listers; for Billing use a *billing.Lister.
type OrderLister interface {
	Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error]
}

// OrderReader reads one order with its failure and the transitions that it offers, as every
// client for Commerce does. If there is no such order, the error matches commerce.ErrNotFound.
type OrderReader interface {
	Order(ctx context.Context, id string) (*commerce.Order, error)
}

// Pusher moves an order along one manual transition of its flow, as every client for Commerce
// does. It must send at most one request per call, whatever happens. Nil means that provisioning
// was requested, not that it is done. A *commerce.Error with Delivery DeliveryNotSent or
// DeliveryRefused means that the order was not moved, as far as the server says: it is read before
// it is pushed again. After any other error the order may have been moved: it is only read, unless
// Config.Retry allows another push.
type Pusher interface {
	Push(ctx context.Context, id string, to commerce.Status) error
}

// RequestFinder finds the newest Connect requests for many keys at once, as a *connect.Client
// does. A key that has no elements in the result has no request; a key that is not in the result
// is unknown, and the error says why. One subscription can have several assets, one per product.
// An error may have a method KeyError(connect.RequestKey) error that returns the reason for one
// key, or nil if the error itself is the reason.
type RequestFinder interface {
	LatestRequests(ctx context.Context, keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error)
}

// SharedRate lets several processes keep one rate limit together: it gives each its times to call, one after the other.
// A *sqljournal.Journal is one, for all processes with the same tables, and so is a *MemoryJournal, for one process. It
// is called concurrently, once for all calls of a tenth of a second. An error ends the run or the planning.
type SharedRate interface {
	// Reserve reserves times for calls of this process. The first is a time after the last one that any process has
	// reserved, and not before the lead from now; the others follow, a gap apart. The lead is how long the answer is
	// expected to take, at most 3 seconds; the last call is at most that long and a tenth of a second after the first.
	// Reserve returns how many times it has reserved, and the first of them by the clock of this process. If that is more
	// than a second and more than the lead ahead, it reserves none and returns when to ask again. Reserved times are never
	// given back, nor given to two processes: a call that is not made is lost. If the answers come too late for all calls
	// ten times in a row, the run or the planning ends.
	Reserve(ctx context.Context, calls int, first, gap, lead time.Duration) (reserved int, at time.Time, err error)
}

var errSharedRate = throttle.ErrShared

// reserve returns SharedRate for a throttle.Pacer; nil if there is none.
func (s *Systems) reserve() throttle.Reserve {
	if s.SharedRate == nil {
		return nil
	}
	return func(ctx context.Context, calls int, first, gap, lead time.Duration) (reserved int, at time.Time, err error) {
		err = protect(func() (err error) {
			reserved, at, err = s.SharedRate.Reserve(ctx, calls, first, gap, lead)
			return err
		})
		if err != nil {
			err = fmt.Errorf("resubmit: %w: %w", errSharedRate, err)
		}
		return reserved, at, err
	}
}
