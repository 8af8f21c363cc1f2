package resubmit

import (
	"context"
	"fmt"
	"math/bits"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// Places is a set of orders of a plan by their number in [plan.Index], one bit each. The zero value is empty.
type Places []byte

// Add adds an order.
func (p *Places) Add(place int) {
	for len(*p) <= place/8 {
		*p = append(*p, 0)
	}
	(*p)[place/8] |= 1 << (place % 8)
}

// Has reports whether an order is in the set.
func (p Places) Has(place int) bool { return place/8 < len(p) && p[place/8]&(1<<(place%8)) != 0 }

// Len returns the number of orders in the set.
func (p Places) Len() (n int) {
	for _, b := range p {
		n += bits.OnesCount8(b)
	}
	return n
}

// NextChain is one or more orders of a chain, to be handled one after the other.
type NextChain struct {
	Places []int    `json:"places"`
	IDs    []string `json:"ids"`
	Vendor string   `json:"vendor,omitempty"` // of the first one
}

// Ready is what may be begun now, see [Session.Ready].
type Ready struct {
	Chains []NextChain `json:"chains,omitempty"`
	// Ended has the orders that are done by the journal, by outcome, as after an earlier run, and that were neither in done
	// nor tried.
	Ended map[protocol.Outcome]Places `json:"ended,omitempty"`
	// NotStarted are the orders whose group the canary has stopped.
	NotStarted Places `json:"notStarted,omitempty"`
	// Judging reports that some group is still in its steps. Until it is not, each chain has one order, which must be
	// judged with StepOptions.Judge, and Ready must be called again when one has another Health.
	Judging bool           `json:"judging,omitempty"`
	Canary  []CanaryStatus `json:"canary,omitempty"`
	// Left counts the chains that were neither begun before nor are in Chains.
	Left int `json:"left"`
}

// readyTogether is how many orders of a chain Ready returns at most.
const readyTogether = 20

// Ready returns the orders that may be begun now, for a program that handles each with [Session.Step]. The canary of
// the Runner decides, from the journal and from what the program knows: done has the orders that are done; tried those
// that were begun and are not done, and those that are done with a Health, by their place. It returns at most most
// chains. Nothing may begin when Chains is empty; when Left is 0 too, every order is done or begun.
func (s *Session) Ready(ctx context.Context, done Places, tried map[int]Health, most int) (Ready, error) {
	quiet := s.x.cfg
	quiet.OnEvent, quiet.Audit, quiet.Logger = nil, nil, Config{}.WithDefaults().Logger
	r := ready{
		scheduler: newScheduler(s.x.scheduler.index, &quiet, newEvents(ctx, &quiet, func(error) {})),
		index:     s.x.scheduler.index, begun: make(map[int]bool), ended: make(map[protocol.Outcome]Places),
		known: func(place int) bool {
			_, ok := tried[place]
			return ok || done.Has(place)
		},
	}
	if err := r.recall(ctx, s.x); err != nil {
		return Ready{}, err
	}
	r.count(done, tried)
	r.enqueue()
	return r.take(most)
}

// ready finds the orders that may be begun.
type ready struct {
	scheduler *scheduler
	index     *plan.Index
	begun     map[int]bool // orders that were begun and are not done
	ended     map[protocol.Outcome]Places
	known     func(place int) bool // to the program
}

// recall reads the journal.
func (r *ready) recall(ctx context.Context, x *run) error {
	for rec, err := range x.cfg.Journal.Records(ctx) {
		if err != nil {
			return fmt.Errorf("resubmit: the journal: read its records: %w", err)
		}
		if rec.Order == nil || rec.Order.Run != x.digest {
			continue
		}
		place, ok := r.index.Find(rec.ID)
		if !ok || !r.scheduler.recall(int32(place), rec.Order) || r.known(place) { //nolint:gosec // a plan has fewer orders
			continue
		}
		p := r.ended[rec.Order.Outcome]
		p.Add(place)
		r.ended[rec.Order.Outcome] = p
	}
	return nil
}

// count adds what the program knows.
func (r *ready) count(done Places, tried map[int]Health) {
	s := r.scheduler
	for i, health := range tried {
		if i < 0 || i >= r.index.Len() {
			continue
		}
		place := int32(i) //nolint:gosec // a plan has fewer orders
		if r.begun[i] = !done.Has(i); s.progress[place] != finished {
			s.recount(place, health)
		}
	}
	for i := range r.index.Len() {
		if done.Has(i) {
			s.progress[i] = finished
		}
	}
	s.recounted()
}

// enqueue queues the first order of each chain that is not done, unless it was begun.
func (r *ready) enqueue() {
	for i := range r.index.Len() {
		if !r.index.First(i) {
			continue
		}
		place, left := i, true
		for left && r.scheduler.progress[place] == finished {
			place, left = r.index.Next(place)
		}
		if left && !r.begun[place] {
			r.scheduler.enqueue(int32(place))
		}
	}
}

// take takes the orders that the canary allows.
func (r *ready) take(most int) (out Ready, err error) {
	s := r.scheduler
	out.Canary, out.Ended = s.canaryView(), r.ended
	for i := range s.canary.groups {
		out.Judging = out.Judging || s.canary.groups[i].climbs()
	}
	for len(out.Chains) < most {
		resumed := len(s.resumed) > 0
		place, ok := s.pick()
		if !ok {
			break
		}
		s.waiting--
		if !resumed && s.canaryStopped(place) != "" {
			out.NotStarted.Add(int(place))
			continue
		}
		next, err := r.chain(int(place), !out.Judging)
		if err != nil {
			return Ready{}, err
		}
		out.Chains = append(out.Chains, next)
	}
	out.Left = s.waiting
	return out, nil
}

// chain returns an order, and if all is set the next ones of its chain.
func (r *ready) chain(place int, all bool) (next NextChain, err error) {
	for ok := true; ok && len(next.IDs) < readyTogether; place, ok = r.index.Next(place) {
		e, err := r.index.Entry(place)
		if err != nil {
			return next, fmt.Errorf("resubmit: read the plan: %w", err)
		}
		if len(next.IDs) == 0 {
			next.Vendor = e.VendorAccountID
		}
		next.Places, next.IDs = append(next.Places, place), append(next.IDs, e.OrderID)
		if !all {
			break
		}
	}
	return next, nil
}

// recall counts what a record says about an order, and reports whether it has ended.
func (s *scheduler) recall(place int32, rec *protocol.Order) (ended bool) {
	switch rec.Phase {
	case protocol.Claimed, protocol.Unanswered:
		s.mark(place, inFlight)
		return false
	case protocol.Pushed:
		s.mark(place, accepted)
		return false
	case protocol.Open:
		return false
	case protocol.Ended:
	}
	s.mark(place, finished)
	switch rec.Outcome {
	case protocol.Completed:
		s.recount(place, good)
	case protocol.FailedAgain, protocol.FalseSuccess:
		s.recount(place, bad)
	case protocol.Skipped:
		if rec.Refused {
			s.recount(place, bad)
		}
	default:
	}
	return true
}
