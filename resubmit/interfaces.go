package resubmit

import (
	"context"
	"iter"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
)

// OrderLister lists the orders that match a query. An error ends the sequence. Orders are
// yielded oldest first when the query says so, each once; a plan sorts those of the same
// time by their ids. It leaves out orders that do not match and counts them, see
// Counts.Mismatched. The clients for Order Management
// and Simple API are sources; that for Billing makes them of ids.
type OrderLister interface {
	Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error]
}

// OrderReader reads one order with its failure and the transitions it offers, as
// every client for Commerce does.
// An error that matches commerce.ErrNotFound says that there is none.
type OrderReader interface {
	Order(ctx context.Context, id string) (*commerce.Order, error)
}

// Pusher moves an order along one manual transition of its flow, as every client
// for Commerce does. It must send at most once per call, whatever happens. Provisioning
// has not happened when it returns nil; it has merely been asked for. A *commerce.Error
// with Delivery commerce.DeliveryNotSent or Refused means that the order was not moved, as far as the
// server says: it is read before it is pushed again. After any other error the order may
// have been moved, and it is only read, unless Config.Retry allows another push.
type Pusher interface {
	Push(ctx context.Context, id string, to commerce.Status) error
}

// RequestFinder finds the newest Connect requests for many keys at once: a
// *connect.Client does. A key
// that is in the result with no elements has no request; a key that is not in
// the result is unknown, and the error says why. One subscription can have
// several assets, one a product. An error may have a method
// KeyError(connect.RequestKey) error that returns the reason for one key, or nil if the
// error itself is the reason.
type RequestFinder interface {
	LatestRequests(ctx context.Context, keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error)
}
