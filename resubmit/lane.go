package resubmit

import (
	"slices"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// lanes keep the orders of one subscription in a row: one at a time, in the order
// of the plan, which is oldest first (facts/resubmission.md F8, I5). An order
// stands in several lanes at once if it touches several subscriptions. Since all
// orders enter in the order of the plan, two can never wait for each other.
type lanes struct {
	queues map[string][]*job
	// stopped holds, for each lane that is over, the number of the order behind
	// which nothing may pass.
	stopped map[string]string
	// waiting counts the orders with another before them. When there are most, no
	// further one is to be added that would have to wait.
	waiting, most int
}

func newLanes(most int) *lanes {
	return &lanes{queues: make(map[string][]*job), stopped: make(map[string]string), most: most}
}

// laneKeys names the lanes of an order: its subscriptions and its tenant. Order
// Management does not surely tell the subscription (facts/commerce.md 2.4), so
// an order that is no purchase and names none shares a lane with the others of
// its customer. The order itself is a lane too: a plan that named it twice would
// still not push it twice at once.
func laneKeys(e *Entry) []string {
	keys := make([]string, 0, len(e.Subscriptions)+2)
	keys = append(keys, "order "+e.OrderID)
	for _, id := range e.Subscriptions {
		keys = append(keys, "subscription "+id)
	}
	if e.TenantID != "" {
		keys = append(keys, "tenant "+e.TenantID)
	}
	if len(keys) == 1 && e.Type != commerce.TypeSales && e.Customer != "" {
		keys = append(keys, "customer "+e.VendorID+" "+e.Customer)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// full reports whether an order would have to wait and too many do.
func (l *lanes) full(j *job) bool {
	if l.waiting < l.most {
		return false
	}
	waits := false
	for _, k := range j.lanes {
		if _, stopped := l.stopped[k]; stopped {
			return false
		}
		waits = waits || len(l.queues[k]) > 0
	}
	return waits
}

// add enters an order. It is ready if nothing is before it in any of its lanes;
// by is not empty if it can never run.
func (l *lanes) add(j *job) (ready bool, by string) {
	for _, k := range j.lanes {
		if number, ok := l.stopped[k]; ok {
			l.bar(j)
			return false, number
		}
	}
	j.before = 0
	for _, k := range j.lanes {
		if len(l.queues[k]) > 0 {
			j.before++
		}
		l.queues[k] = append(l.queues[k], j)
	}
	if j.before > 0 {
		l.waiting++
	}
	return j.before == 0, ""
}

// bar stops the lanes of an order that never entered them.
func (l *lanes) bar(j *job) {
	for _, k := range j.lanes {
		if _, ok := l.stopped[k]; !ok {
			l.stopped[k] = j.item.Number
		}
	}
}

// leave takes an order that is done out of its lanes and returns those that are
// ready now.
func (l *lanes) leave(j *job) (ready []*job) {
	for _, k := range j.lanes {
		q := l.queues[k][1:]
		if len(q) == 0 {
			delete(l.queues, k)
			continue
		}
		l.queues[k] = q
		q[0].before--
		if q[0].before == 0 {
			l.waiting--
			ready = append(ready, q[0])
		}
	}
	return ready
}

// stop ends the lanes of an order that must not be passed, and those of the
// orders behind it, and so on. It returns all of them, with blockedBy set.
func (l *lanes) stop(j *job) (blocked []*job) {
	work := []*job{j}
	for len(work) > 0 {
		j, work = work[0], work[1:]
		for _, k := range j.lanes {
			q := l.queues[k]
			at := slices.Index(q, j)
			if at < 0 {
				continue // an order that blocks this one has ended the lane
			}
			l.stopped[k] = j.item.Number
			for _, b := range q[at+1:] {
				if b.blockedBy == "" {
					b.blockedBy = j.item.Number
					l.waiting--
					blocked, work = append(blocked, b), append(work, b)
				}
			}
			if at == 0 {
				delete(l.queues, k)
			} else {
				l.queues[k] = q[:at]
			}
		}
	}
	return blocked
}
