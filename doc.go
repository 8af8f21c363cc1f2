// Package cloudblue is the front page of a library for service providers who
// run CloudBlue Commerce with CloudBlue Connect. The package itself is empty.
//
// While Connect is down for maintenance its API does not answer; Commerce marks
// the orders that needed it as failed and stops retrying. This library finds
// those orders, says which of them failed because of the maintenance, resubmits
// only those that resubmitting can help, at most once each and at a pace that
// Commerce bears, and proves in both systems that the customers now have their
// service.
//
// # Packages
//
// The ways into Commerce:
//
//   - commerce: orders, failure views, queries, errors. No network.
//   - commerce/ordermanager: a client for the Order Management REST interface.
//   - commerce/billing: a client for Billing XML-RPC.
//   - commerce/simpleapi: a client for Simple API, for resellers.
//
// Connect and its maintenance:
//
//   - connect: a read-only client; windows, calendars and sources of windows;
//     observed outages (Tracker), and whether Connect is back (Readiness).
//   - connect/statuspage and connect/ical: windows as a status page or an
//     iCalendar announces them.
//
// The work:
//
//   - resubmit: filter, attribute, decide, plan, apply, verify, report; a Session
//     for one order at a time; a Watcher that does all of it, for months.
//   - resubmit/journal: the journal on disk, so that a run survives its process.
//   - resubmit/audit: who did what to which order, when and why.
//
// For tests:
//
//   - commerce/commercetest and connect/connecttest: both systems, small and
//     real, to run in your own tests.
//   - resubmit/resubmittest: conformance suites for adapters and journals of your
//     own, and a simulator of what can go wrong.
//
// Begin with go run ./examples/aftermaintenance, which shows the whole job on the
// two test systems, and with the documentation of resubmit.
//
// # The way of one order
//
// A [commerce.View] is listed from a [resubmit.OrderSource]. A [resubmit.Filter]
// narrows it. Each order's failure is held against the calendar of maintenance
// windows and the words of its reason; rules turn that, and the newest Connect
// request of the order's subscription, into a decision. The decisions are frozen
// in a plan, a file that a person can read. The [resubmit.Runner] carries the
// plan out: it waits while a window is open, reads every order again before it
// pushes it, pushes once, resolves a lost answer by reading, and verifies the
// result in Commerce and in Connect.
//
// # Conventions
//
// Clients are immutable and safe for concurrent use. Reads are retried, pushes
// never. Lists are iter.Seq2 sequences; an error ends them. Times are half-open
// ranges in UTC. Money is exact. No secret appears in an error, a log or a plan.
// Facts about the two systems that are inferred rather than documented are
// marked in the comments and can be overridden.
package cloudblue
