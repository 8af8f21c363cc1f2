package resubmit

import (
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// requests queries Connect for the requests of an order, as one of the reads of verifications.
func (x *run) requests(j *job, keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
	if err := x.reads.take(j.ctx); err != nil {
		return nil, err
	}
	defer x.reads.give()
	return x.queryConnect(j, keys)
}

// queryConnect queries Connect. A key without a result is an error.
func (x *run) queryConnect(j *job, keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
	if err := x.pace.wait(j.ctx); err != nil {
		return nil, err
	}
	found, err := x.cfg.Requests.LatestRequests(j.ctx, keys)
	if err != nil {
		x.noteErrors(j, err)
		x.checkAccess("Connect", "looking up the requests of order "+j.item.Number, err)
	}
	for _, k := range keys {
		if _, ok := found[k]; ok {
			continue
		}
		if err == nil {
			err = fmt.Errorf("it returned nothing for %s", keyName(k))
		}
		return nil, err
	}
	return found, nil
}

func requestWaits(r connect.Request) string {
	who := r.Status.NextActor()
	if who == "" {
		who = "somebody"
	}
	return fmt.Sprintf("%s is %s: %s must act", r.ID, r.Status, who)
}

// requestKeys returns the keys of the requests of an order: its tenant or, without one, its
// subscriptions.
func requestKeys(e *plan.Entry, kind connect.RequestType) []connect.RequestKey {
	if kind == "" {
		return nil
	}
	if e.TenantID != "" {
		return []connect.RequestKey{{TenantID: e.TenantID, Type: kind}}
	}
	keys := make([]connect.RequestKey, 0, len(e.Subscriptions))
	for _, id := range e.Subscriptions {
		keys = append(keys, connect.RequestKey{SubscriptionID: id, Type: kind})
	}
	return keys
}

func keyName(k connect.RequestKey) string {
	if k.TenantID != "" {
		return "tenant " + k.TenantID
	}
	return "subscription " + k.SubscriptionID
}

// ownRequests leaves out the requests that ended before the order was placed.
func ownRequests(all []connect.LatestRequest, placed time.Time) []connect.LatestRequest {
	var own []connect.LatestRequest
	for _, n := range all {
		if !failure.RequestPredatesOrder(&n.Request, placed) {
			own = append(own, n)
		}
	}
	return own
}

// requestKeys returns the keys of the requests of an order; none if Connect cannot be queried.
func (x *run) requestKeys(j *job) []connect.RequestKey {
	if x.cfg.Requests == nil {
		return nil
	}
	kind := j.kind
	return requestKeys(j.entry, kind)
}
