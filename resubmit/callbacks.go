package resubmit

import (
	"context"
	"fmt"
	"iter"
	"log/slog"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// guardedReader turns a panic of a reader into an error of the call.
type guardedReader struct {
	to  OrderReader
	log *slog.Logger
}

func (r guardedReader) Order(ctx context.Context, id string) (*commerce.Order, error) {
	o, err := callback.Call(func() (*commerce.Order, error) { return r.to.Order(ctx, id) })
	callback.Log(r.log, err)
	return o, err
}

// guardedFinder turns a panic of a finder into an error of the call.
type guardedFinder struct {
	to  RequestFinder
	log *slog.Logger
}

func (f guardedFinder) LatestRequests(ctx context.Context,
	keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
	found, err := callback.Call(func() (map[connect.RequestKey][]connect.LatestRequest, error) {
		return f.to.LatestRequests(ctx, keys)
	})
	callback.Log(f.log, err)
	return found, err
}

// guardedJournal turns a panic of a journal into an error of the call.
type guardedJournal struct{ Journal }

func (j guardedJournal) Begin(planDigest string) (err error) {
	defer callback.Recover(&err)
	return j.Journal.Begin(planDigest)
}

func (j guardedJournal) Put(r Record) (err error) {
	defer callback.Recover(&err)
	return j.Journal.Put(r)
}

func (j guardedJournal) Get(orderID string) (r Record, found bool, err error) {
	defer callback.Recover(&err)
	return j.Journal.Get(orderID)
}

// Unwrap returns the inner journal, which may have more methods.
func (j guardedJournal) Unwrap() Journal { return j.Journal }

// guardedHeads yields the heads of a journal, and a panic as an error.
func guardedHeads(j BulkJournal) iter.Seq2[RecordHead, error] {
	return func(yield func(RecordHead, error) bool) {
		stopped := false
		err := func() (err error) {
			defer callback.Recover(&err)
			for r, err := range j.Heads() {
				if stopped = !yield(r, err); stopped {
					break
				}
			}
			return nil
		}()
		if err != nil && !stopped {
			yield(RecordHead{}, err)
		}
	}
}

// guarded calls a function of the configuration that returns no error.
func guarded[T any](f func() T) (T, error) {
	return callback.Call(func() (T, error) { return f(), nil })
}

// groupOf returns the group of an order. If Canary.Group panics it is the default group, so that
// the canary still limits the orders.
func (x *run) groupOf(e *plan.Entry) string {
	c := &x.canary.cfg
	if c.Group == nil {
		return c.groupOf(e)
	}
	name, err := guarded(func() string { return c.groupOf(e) })
	if err != nil {
		callback.Log(x.cfg.Logger, err)
		return groupName(e.VendorAccountID, e.Attribution.Class)
	}
	return name
}

// learnKind sets the type of the request in Connect that an order leads to.
func (x *run) learnKind(j *job) error {
	kind, err := guarded(func() connect.RequestType { kind, _ := x.cfg.RequestType(j.entry.Type); return kind })
	if err != nil {
		callback.Log(x.cfg.Logger, err)
		return fmt.Errorf("resubmit: Config.RequestType for order %s: %w", j.item.Number, err)
	}
	j.kind = kind
	return nil
}
