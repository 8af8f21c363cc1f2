package report

import (
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// Document is the report of a plan, and of what applying it has done so far. [New] makes it, [Read] reads one that
// [Document.WriteJSON] wrote. It has everything that its methods need. It must not be changed while it is used; its
// methods are safe for concurrent use.
type Document struct {
	// Kind is "cloudblue-resubmit-report", Version is 1.
	Kind    string `json:"kind"`
	Version int    `json:"version"`
	// State is how far the plan was applied.
	State  State     `json:"state"`
	MadeAt time.Time `json:"madeAt"`
	// Zone is the time zone for people. All times in JSON are in UTC.
	Zone string `json:"zone"`
	// System is the Commerce installation, View and Filter say which orders the plan is about.
	System  string  `json:"system,omitempty"`
	View    string  `json:"view"`
	Filter  string  `json:"filter"`
	Digests Digests `json:"digests"`

	// Planned counts the orders of the plan by what to do with them. Outcomes counts those to resubmit by what became of
	// them. Open is how many of these have no outcome yet.
	Planned  plan.ActionCounts      `json:"planned"`
	Outcomes resubmit.OutcomeCounts `json:"outcomes"`
	Open     int                    `json:"open"`
	// Unlisted counts the outcomes that are not known by order, because the run kept no items. These orders are counted as
	// waiting unless all are completed.
	Unlisted int `json:"unlisted,omitempty"`
	// Earlier counts the outcomes that an earlier run of the plan has recorded, CommerceOnly the completed orders that
	// only Commerce confirms. ConnectAsked reports whether the results were looked up in Connect.
	Earlier      int  `json:"earlier,omitempty"`
	CommerceOnly int  `json:"commerceOnly,omitempty"`
	ConnectAsked bool `json:"connectAsked"`
	// Mismatched describes some of the rows that Commerce listed although they do not match the query.
	Mismatched []string `json:"mismatched,omitempty"`
	// Error is why the run ended early. EventError is why Config.OnEvent was removed.
	Error      string `json:"error,omitempty"`
	EventError string `json:"eventError,omitempty"`

	// All is about every order of the plan. Waiting is about those whose customers do not have what they ordered, as far
	// as is known. ByActor counts the orders that are not done, by who acts next.
	All     Tally         `json:"all"`
	Waiting Tally         `json:"waiting"`
	ByActor map[Actor]int `json:"byActor,omitempty"`
	// Next says what to do now.
	Next []Step `json:"next,omitempty"`

	// Reasons groups all orders by why they had failed, FailedAgain those that failed again by their new reason, the
	// largest groups first. Ungrouped counts the orders in none, because there were too many groups.
	Reasons     []Group `json:"reasons"`
	FailedAgain []Group `json:"failedAgain,omitempty"`
	Ungrouped   int     `json:"ungrouped,omitempty"`
	// Vendors, Channels, Types and Classes divide the orders, those with the most waiting orders first. A vendor is the
	// account that sold the order: the provider's own, or a reseller's.
	Vendors  []Share `json:"vendors"`
	Channels []Share `json:"channels"`
	Types    []Share `json:"types"`
	Classes  []Share `json:"classes"`
	// Blockers are the orders that block others, and Canary is the progress of the groups of the canary.
	Blockers []resubmit.Blocker      `json:"blockers,omitempty"`
	Canary   []resubmit.CanaryStatus `json:"canary,omitempty"`

	Windows   []Window  `json:"windows,omitempty"`
	Deadlines Deadlines `json:"deadlines"`
	Times     Times     `json:"times"`
	Timeline  Timeline  `json:"timeline"`
	Marks     []Mark    `json:"marks,omitempty"`
	// People are orders for which a person must act: the first of them in the plan. ByActor has the number of all.
	People []Item `json:"people,omitempty"`
	// Items are all orders of the plan, the oldest first; nil if they were omitted.
	Items []Item `json:"items,omitempty"`

	location *time.Location
}

// State is how far a plan was applied.
type State string

// The states.
const (
	StatePlanned  State = "planned"  // not applied yet
	StateRunning  State = "running"  // is being applied
	StateFinished State = "finished" // was applied
	StateStopped  State = "stopped"  // was applied in part, and ended early
)

// Digests identify what the document is based on.
type Digests struct {
	Plan   string `json:"plan"`
	Policy string `json:"policy,omitempty"`
	// Journal is the position of the journal when the plan was made.
	Journal plan.Position `json:"journal,omitzero"`
	Audit   string        `json:"audit,omitempty"`
}

// Actor says who has to act next so that a customer gets what was ordered.
type Actor string

// The actors.
const (
	ActorNone   Actor = ""       // it is done
	ActorRun    Actor = "run"    // the run, or applying the plan again
	ActorPlan   Actor = "plan"   // a later plan
	ActorVendor Actor = "vendor" // the vendor, in Connect
	ActorPerson Actor = "person" // an operator
)

// Step is one thing to do now.
type Step struct {
	// Actor says whose turn it is, Orders for how many orders.
	Actor  Actor `json:"actor"`
	Orders int   `json:"orders"`
	// Text is a sentence.
	Text string `json:"text"`
	// Command does it; "" if there is none.
	Command string `json:"command,omitempty"`
}

// Tally has the numbers of orders and of their customers, and the money.
type Tally struct {
	Orders int `json:"orders"`
	// Customers counts the different customers. NoCustomer counts the orders whose customer is unknown.
	Customers  int `json:"customers"`
	NoCustomer int `json:"noCustomer,omitempty"`
	// Money has one total per currency, ordered by currency. They cannot be added up. NoTotal counts the orders whose
	// total is unknown.
	Money   []commerce.Money `json:"money,omitempty"`
	NoTotal int              `json:"noTotal,omitempty"`
}

// Share has the numbers of the orders of one vendor, channel, type or class.
type Share struct {
	// Key is the vendor, channel, type or class; "" if it is unknown.
	Key     string `json:"key"`
	All     Tally  `json:"all"`
	Waiting Tally  `json:"waiting"`
	// Completed and FailedAgain count the outcomes.
	Completed   int `json:"completed"`
	FailedAgain int `json:"failedAgain"`
}

// Group is a group of orders of one class whose failure texts have the same template.
type Group struct {
	Class failure.Class `json:"class"`
	// Template is the common part of the texts, see failure.Template; "" if no reason was reported.
	Template string `json:"template"`
	Tally
	// Waiting counts those whose customers do not have what they ordered.
	Waiting int `json:"waiting"`
	// Vendors are the first few of the vendors, VendorCount is their number.
	Vendors     []string `json:"vendors,omitempty"`
	VendorCount int      `json:"vendorCount"`
	// Causes counts the orders by whether a maintenance caused their failure.
	Causes map[failure.Verdict]int `json:"causes,omitempty"`
	// First and Last are the times of the oldest and the newest failure, or of placing.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Example is the number of one of the orders, Text its failure text.
	Example string `json:"example"`
	Text    string `json:"text,omitempty"`
}

// Window is a maintenance of Connect.
type Window struct {
	ID     string `json:"id"`
	Title  string `json:"title,omitempty"`
	Source string `json:"source,omitempty"`
	// Announced is when it was to be, and Observed when it was seen to be; nil if it was not. An observed window without
	// an end is not over yet.
	Announced *maintenance.Span `json:"announced,omitempty"`
	Observed  *maintenance.Span `json:"observed,omitempty"`
	// Inside counts the orders that failed in it, or were placed in it if the time of the failure is unknown.
	Inside int `json:"inside"`
	// Attributed counts the orders whose failures it probably caused.
	Attributed int `json:"attributed"`
}

// Deadlines says from when the orders that wait can be planned again.
type Deadlines struct {
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Undated counts the orders that wait for something without a known time.
	Undated int `json:"undated,omitempty"`
}

// Times are the times of a run; zero if unknown.
type Times struct {
	PlannedAt  time.Time `json:"plannedAt"`
	StartedAt  time.Time `json:"startedAt,omitzero"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`
	// WindowClosedAt is the end of the last window that is over, LastVerifiedAt when the last order was verified.
	WindowClosedAt time.Time `json:"windowClosedAt,omitzero"`
	LastVerifiedAt time.Time `json:"lastVerifiedAt,omitzero"`
	// RunSeconds is how long the run took. CloseToVerifiedSeconds is the time from the end of the last window until all
	// orders to resubmit were verified; 0 if they are not, or if there is no window.
	RunSeconds             float64 `json:"runSeconds,omitempty"`
	CloseToVerifiedSeconds float64 `json:"closeToVerifiedSeconds,omitempty"`
}

// Item is one order of the plan.
type Item struct {
	Number string `json:"number"`
	ID     string `json:"id"`
	// Customer is "name (id)", or the part that is known.
	Customer   string             `json:"customer,omitempty"`
	CustomerID string             `json:"customerId,omitempty"`
	Vendor     string             `json:"vendor,omitempty"`
	Channel    commerce.Channel   `json:"channel,omitempty"`
	Type       commerce.OrderType `json:"type"`
	Total      commerce.Money     `json:"total,omitzero"`
	// FailedAt is when the order failed; zero if that is unknown, as with Order Management. PlacedAt is when it was
	// placed.
	FailedAt time.Time `json:"failedAt,omitzero"`
	PlacedAt time.Time `json:"placedAt,omitzero"`
	// Reason is the failure text when the plan was made, Class its class.
	Reason string          `json:"reason,omitempty"`
	Class  failure.Class   `json:"class"`
	Cause  failure.Verdict `json:"cause"`
	Window string          `json:"window,omitempty"`
	// Action, Rule and Decision are what the plan says, and why.
	Action   rules.Action `json:"action"`
	Rule     string       `json:"rule"`
	Decision string       `json:"decision"`
	Flagged  bool         `json:"flagged,omitempty"`
	Due      time.Time    `json:"due,omitzero"`
	// Target is the status that the order was pushed to, or is to be. Outcome is what became of it; "" if that is not
	// known yet, and for orders that are not to be resubmitted. Why is the reason.
	Target  commerce.Status  `json:"target,omitempty"`
	Outcome protocol.Outcome `json:"outcome,omitempty"`
	Why     string           `json:"why,omitempty"`
	// Actor says who has to act next. BlockedBy is the number of the order that has to be solved first.
	Actor     Actor  `json:"actor,omitempty"`
	BlockedBy string `json:"blockedBy,omitempty"`
	// ReasonAfter is the failure text of an order that failed again, ClassAfter its class.
	ReasonAfter string        `json:"reasonAfter,omitempty"`
	ClassAfter  failure.Class `json:"classAfter,omitempty"`
	// Attempts counts the pushes that were sent or refused. PushedAt is when the last one was answered. DoneAt is when the
	// outcome was known: for a completed order, when it was verified.
	Attempts      int       `json:"attempts,omitempty"`
	PushedAt      time.Time `json:"pushedAt,omitzero"`
	DoneAt        time.Time `json:"doneAt,omitzero"`
	CommerceOnly  bool      `json:"commerceOnly,omitempty"`
	CorrelationID string    `json:"correlationId,omitempty"`
	// Evidence is what decision and outcome are based on.
	Evidence []failure.Evidence `json:"evidence,omitempty"`
}

// At returns when the order failed, or when it was placed if that is unknown; zero if neither is known.
func (i *Item) At() time.Time {
	if i.FailedAt.IsZero() {
		return i.PlacedAt
	}
	return i.FailedAt
}

// Timeline counts orders over time. The orders of the bins, Earlier and Undated add up to those of the plan.
type Timeline struct {
	// From and To are the ends of the time axis; zero if there is nothing to draw.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// BinMinutes is the length of a bin. Bins are half-open. Empty ones are left out.
	BinMinutes int   `json:"binMinutes,omitempty"`
	Bins       []Bin `json:"bins,omitempty"`
	// ByPlaced counts the orders that are counted by when they were placed, because when they failed is unknown.
	ByPlaced int `json:"byPlaced,omitempty"`
	// InWindows counts the orders in any of Document.Windows, see Window.Inside.
	InWindows int `json:"inWindows,omitempty"`
	// Earlier counts the orders before From. Undated counts those without a time, or with one that cannot be right: before
	// 1970, or more than a day after the document was made.
	Earlier int `json:"earlier,omitempty"`
	Undated int `json:"undated,omitempty"`
	// First and Last are the times of the oldest and the newest of all orders.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Runs counts what was done, in steps of 1/332 of the time axis, without empty ones.
	Runs []RunBin `json:"runs,omitempty"`
}

// Bin counts the orders of a part of the time axis by class.
type Bin struct {
	Start              time.Time `json:"start"`
	Transient          int       `json:"transient,omitempty"`
	Unclassified       int       `json:"unclassified,omitempty"`
	Permanent          int       `json:"permanent,omitempty"`
	AlreadyProvisioned int       `json:"alreadyProvisioned,omitempty"`
}

// Total returns the number of orders.
func (b Bin) Total() int { return b.Transient + b.Unclassified + b.Permanent + b.AlreadyProvisioned }

// RunBin counts what a run did in a part of the time axis.
type RunBin struct {
	Start       time.Time `json:"start"`
	Sent        int       `json:"sent,omitempty"`
	Verified    int       `json:"verified,omitempty"`
	FailedAgain int       `json:"failedAgain,omitempty"`
}
