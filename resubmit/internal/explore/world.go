package explore

import (
	"slices"
	"strconv"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// world is a state: two orders of one lane in Commerce, the journal, and up to two processes.
type world struct {
	cfg *Config

	now    time.Time
	orders [2]order // the older one first
	wire   []push
	outage time.Time // when the last one ended

	journal *journal // shared with other states until it is changed
	backup  *journal
	// settled is the sequence that an anchor has by the rules. What was written since is less than a second old.
	settled uint64
	anchors [2]position // the anchor of each process, or the first one for both

	plans [2]plan
	procs [2]process

	left   Faults // that may still happen
	runs   int    // that there were, and leases
	epochs uint64
	broken []Breach
	trace  func(string)
}

// status is the state of an order in Commerce.
type status int8

const (
	failed status = iota
	processing
	completed
	cancelled
	replaced // the id is that of another order
)

func (s status) String() string {
	return [...]string{"failed", "processing", "completed", "cancelled", "another order"}[s]
}

// order is an order in Commerce and Connect, and what the ledger knows about it.
type order struct {
	status    status
	text      int8      // of the failure
	changedAt time.Time // by whomever
	requestAt time.Time // of the newest request in Connect

	// The ledger:
	ours   bool // a push of ours was accepted, and the order is not at rest since
	pushed bool // a push of ours was accepted at any time
	// template is that of the failure for which a push of ours was accepted last, if nothing has changed since that
	// allows another one; -1 otherwise.
	template int8
	repeated bool // the order failed again with it
	// sent counts the pushes of ours for this failure, and total those for all failures; without those that were
	// certainly refused or not sent.
	sent, total int8
	lastEnd     time.Time // of the last of these pushes
	forgotten   bool      // the journal lost what was done to the order
	settled     bool      // the operator has said that the customer has the service
}

func (o *order) atRest() bool { return o.status == completed || o.status == cancelled }

// template returns the template of a text of a failure. The last text differs from the first one in a number only.
func template(text int8) int8 {
	if text == 2 {
		return 0
	}
	return text
}

// push is a push that has not acted yet, or whose answer is awaited.
type push struct {
	order, proc int8 // proc is -1 if nobody waits for the answer
	run         string
	text        int8 // of the failure that it is for
	state       pushState
	deadline    time.Time
	lastEnd     time.Time // order.lastEnd before it
	counted     int8      // 1 if the order had still the failure that it is for
}

type pushState int8

const (
	onTheWire pushState = iota
	accepted
	refused
	deferred
	notOffered
)

// plan is a plan that was approved.
type plan struct {
	run      string // "" if there is none
	entries  [2]entry
	position position
}

// entry is the decision to resubmit an order.
type entry struct {
	planned, named bool
	text           int8
	version        uint64
	// The ledger: a push of ours was accepted since the plan was made; pushes by this plan; the older order of the
	// lane was failed when the plan was made, and has not changed since; the order was order.repeated then.
	accepted bool
	foreign  bool // that was a push of another run
	sent     int8
	older    bool
	repeated bool
}

// process is a process that applies a plan.
type process struct {
	running bool
	plan    int8
	epoch   uint64
	renewed time.Time // when the last renewal of the lease began
	lost    bool      // the journal has lost the lease
	slept   time.Duration
	orders  [2]turn
}

// turn is an order in a process.
type turn struct {
	machine *protocol.Machine // nil before its turn and after its end
	outcome protocol.Outcome
	waiting bool      // for the answer to a push
	readAt  time.Time // the last read before a claim
	claimAt time.Time
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newWorld(cfg *Config) *world {
	w := &world{cfg: cfg, now: epoch, left: cfg.Faults, journal: new(journal)}
	for i := range w.orders {
		w.orders[i].template = -1
		if i >= cfg.Orders {
			w.orders[i].status = completed
		}
	}
	for i := range w.procs {
		w.procs[i].plan = int8(i)
		if cfg.SamePlan {
			w.procs[i].plan = 0
		}
	}
	return w
}

func (w *world) clone() *world {
	c := *w
	c.wire = slices.Clone(w.wire)
	return &c
}

func (w *world) say(text string) {
	if w.trace != nil {
		w.trace(text)
	}
}

// breaks records that an invariant is broken.
func (w *world) breaks(invariant, why string) { w.broken = append(w.broken, Breach{invariant, why}) }

func (w *world) planOf(p int) *plan { return &w.plans[w.procs[p].plan] }

var orderNames = [2]string{"order 1", "order 2"}

func placed(o int) time.Time { return epoch.Add(time.Duration(o-10) * time.Hour) }

func laneKey() protocol.Key { return protocol.Key{Kind: protocol.KindLane, ID: "lane"} }

func (w *world) planned(p, o int) protocol.Planned {
	e := &w.planOf(p).entries[o]
	request, _ := w.cfg.Policy.RequestType(w.cfg.OrderType)
	return protocol.Planned{
		ID: orderNames[o], Number: orderNames[o], Type: w.cfg.OrderType, Request: request,
		Fingerprint: "f" + strconv.Itoa(int(e.text)), Template: "t" + strconv.Itoa(int(template(e.text))),
		Version: e.version, Lanes: []string{"lane"}, PlacedAt: placed(o), Named: e.named,
		Provable: true, Connect: true,
	}
}

// processName names a process for people.
func (w *world) processName(p int) string { return "process " + "AB"[p:p+1] }
