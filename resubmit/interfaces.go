package resubmit

import (
	"context"
	"iter"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
)

// OrderLister lists the orders that match a query, each once, and oldest first if the query says
// so. An error ends the sequence. The planner sorts orders of the same time by their ids, and
// leaves out and counts those that do not match (see plan.ActionCounts.Mismatched). The clients
// for Order Management and Simple API are listers; for Billing use a *billing.Source.
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
