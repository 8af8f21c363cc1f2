package resubmit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

const (
	// batchWindow is how long a call waits for others to be made together with it.
	batchWindow = 50 * time.Millisecond
	// stepWindow is the same for lists of a Session, whose orders are polled by calls that a program makes one by one.
	stepWindow = 500 * time.Millisecond
	// rowsAtOnce is the most orders of one list, as clients can name them in one URL; keysAtOnce the most keys of one
	// look-up in Connect.
	rowsAtOnce = 50
	// listPause is how long no list is made after one that failed.
	listPause = 10 * time.Minute
)

// verifier makes calls about many orders at once: lists of orders, and look-ups in Connect.
type verifier struct {
	caller *caller
	ctx    context.Context //nolint:containedctx // of the run: a call is about many orders
	rows   batcher[listed, *commerce.Order]
	found  batcher[connect.RequestKey, []connect.LatestRequest]

	mu       sync.Mutex
	nextList time.Time // no list is made before
}

func newVerifier(ctx context.Context, c *caller) *verifier {
	v := &verifier{caller: c, ctx: ctx}
	v.rows = batcher[listed, *commerce.Order]{most: rowsAtOnce, window: batchWindow, call: v.list}
	v.found = batcher[connect.RequestKey, []connect.LatestRequest]{most: keysAtOnce, window: batchWindow, call: v.lookUp}
	return v
}

// lists reports whether orders can be listed.
func (v *verifier) lists() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.caller.cfg.Lister != nil && !time.Now().Before(v.nextList)
}

// listed is what lists are filtered by to find an order.
type listed struct {
	id, number string
	placed     time.Time
}

// row returns an order as a list shows it; nil if it must be read.
func (v *verifier) row(ctx context.Context, e *plan.Entry) *commerce.Order {
	if !v.lists() || e.Number == "" || e.Before.PlacedAt.IsZero() {
		return nil
	}
	key := listed{e.OrderID, e.Number, e.Before.PlacedAt}
	rows, err := v.rows.get(ctx, key)
	if err != nil {
		return nil
	}
	return rows[key]
}

// list lists orders by their ids. Few servers can filter by these, but most can by numbers or times.
func (v *verifier) list(keys []listed) (map[listed]*commerce.Order, error) {
	if len(keys) == 1 {
		return nil, nil // to read it takes one call too
	}
	byID := make(map[string]listed, len(keys))
	q := commerce.Query{PlacedFrom: keys[0].placed, PlacedTo: keys[0].placed}
	for _, k := range keys {
		byID[k.id] = k
		q.IDs, q.Numbers = append(q.IDs, k.id), append(q.Numbers, k.number)
		if k.placed.Before(q.PlacedFrom) {
			q.PlacedFrom = k.placed
		}
		if k.placed.After(q.PlacedTo) {
			q.PlacedTo = k.placed
		}
	}
	q.PlacedTo = q.PlacedTo.Add(time.Second)
	if err := v.caller.reads.Take(v.ctx); err != nil {
		return nil, err
	}
	defer v.caller.reads.Give()
	rows := make(map[listed]*commerce.Order, len(keys))
	most := int64(len(keys)/2 + 1) // more would cost as much as to read the orders
	err := v.caller.list(v.ctx, q, most, func(o *commerce.Order) bool {
		if k, ok := byID[o.ID]; ok {
			rows[k] = o
		}
		return len(rows) < len(keys)
	})
	if err == nil && 2*len(rows) < len(keys) {
		err = fmt.Errorf("the list had %d of them", len(rows))
	}
	if err != nil && v.ctx.Err() == nil {
		v.mu.Lock()
		v.nextList = time.Now().Add(listPause)
		v.mu.Unlock()
		v.caller.cfg.Logger.Warn("orders could not be listed, so they are read one by one for now", "orders", len(keys),
			"pause", listPause, "error", err)
	}
	return rows, err
}

// requests returns the latest requests of keys. A key without a result is an error.
func (v *verifier) requests(ctx context.Context, keys []connect.RequestKey) (
	map[connect.RequestKey][]connect.LatestRequest, error,
) {
	found, err := v.found.get(ctx, keys...)
	for _, k := range keys {
		if _, ok := found[k]; ok {
			continue
		}
		if err == nil {
			err = fmt.Errorf("it returned nothing for %s", keyName(k))
		}
		return nil, causeOf(err, k)
	}
	return found, nil
}

// lookUp asks Connect for many keys.
func (v *verifier) lookUp(keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
	if err := v.caller.reads.Take(v.ctx); err != nil {
		return nil, err
	}
	defer v.caller.reads.Give()
	return v.caller.requests(v.ctx, keys)
}

// batcher makes one call for the keys of many callers that come at about the same time.
type batcher[K comparable, V any] struct {
	most   int
	window time.Duration // how long a call waits for more keys
	call   func([]K) (map[K]V, error)

	mu      sync.Mutex
	waiting *batchOf[K, V]
}

type batchOf[K comparable, V any] struct {
	keys  []K
	seen  map[K]bool
	done  chan struct{}
	found map[K]V
	err   error
}

// get returns what a call finds for the keys, and its error. Others may have asked for more keys.
func (b *batcher[K, V]) get(ctx context.Context, keys ...K) (map[K]V, error) {
	b.mu.Lock()
	batch, first := b.waiting, false
	if batch == nil {
		first = true
		batch = &batchOf[K, V]{seen: make(map[K]bool), done: make(chan struct{}), err: errors.New("the call did not return")}
		b.waiting = batch
	}
	for _, k := range keys {
		if !batch.seen[k] {
			batch.seen[k] = true
			batch.keys = append(batch.keys, k)
		}
	}
	if len(batch.keys) >= b.most {
		b.waiting = nil
	}
	b.mu.Unlock()
	if first {
		b.run(batch)
	}
	select {
	case <-batch.done:
		return batch.found, batch.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run makes the call of a batch.
func (b *batcher[K, V]) run(batch *batchOf[K, V]) {
	defer close(batch.done)
	<-time.After(b.window)
	b.mu.Lock()
	if b.waiting == batch {
		b.waiting = nil
	}
	b.mu.Unlock()
	batch.found, batch.err = b.call(batch.keys)
}
