// Package cloudblue is the overview of a library for service providers who run CloudBlue Commerce with CloudBlue
// Connect. The package itself is empty.
//
// While Connect is down for maintenance, Commerce marks orders as failed and stops retrying them. The library finds
// these orders, determines which of them failed because of the maintenance, resubmits those that this can help, each
// at most once, and verifies in both systems that the customers have their service. Start with package resubmit, and
// run the examples:
//
//	go run ./examples/quickstart         # a short program: plan, apply, report
//	go run ./examples/aftermaintenance   # the command-line program
//
// # Packages
//
// Commerce, the ordering system:
//
//   - commerce: orders, failure views, queries, errors. No network.
//   - commerce/ordermanager: client for the Order Management REST interface, the default.
//   - commerce/billing: client for Billing XML-RPC.
//   - commerce/simpleapi: client for Simple API, for resellers.
//   - commerce/orderlist: orders from a CSV file or an SQL query.
//   - commerce/commercetest: an in-process Commerce for tests.
//
// Connect, where vendors fulfill the orders:
//
//   - connect: read-only client for requests, hubs and the version probe.
//   - connect/maintenance: windows and calendars. The packages statuspage and ical below it read them from status
//     pages and iCalendar feeds.
//   - connect/availability: whether Connect is up and ready, and its observed outages.
//   - connect/connecttest: an in-process Connect for tests, with a maintenance switch.
//
// Resubmission:
//
//   - resubmit: the entry point: makes and applies plans.
//   - resubmit/filter: selects orders, in code or in RQL.
//   - resubmit/failure: classifies and groups failures, and attributes them to maintenance windows.
//   - resubmit/rules: decides what to do with an order.
//   - resubmit/plan: the plan file: write, open, sign, compare.
//   - resubmit/protocol: decides what may follow what when one order is resubmitted.
//   - resubmit/journal: the journal on disk, the memory of all plans and runs.
//   - resubmit/otel: spans and metrics for OpenTelemetry; a module of its own.
//   - resubmit/sqljournal: the journal in a database, for several machines; a module of its own.
//   - resubmit/temporal: plans and watches as Temporal workflows; a module of its own.
//   - resubmit/audit: a tamper-evident audit log.
//   - resubmit/report: the report as text, JSON, CSV and HTML with a chart.
//   - resubmit/state: the state directory of one Commerce, and the nightly job: limits, approvals, control, history.
//   - resubmit/console: a web console to mount in a service.
//   - resubmit/doctor: checks an installation against what the library expects, and only reads.
//   - resubmit/watch: a watcher that resubmits after each maintenance, for months, inside a service.
//   - resubmit/resubmittest: conformance suites for your own adapters and journals, and a simulator.
//
// # From the view to the report
//
// The orders of a failure view (commerce.View) are listed and filtered. Each failure is classified by its text and
// compared with the maintenance windows. Rules turn that, the latest Connect request for the order, and what the
// journal knows of it, into a decision. The decisions and their evidence form a plan, which a person can review as a
// file. A runner applies the plan: it waits while a window is open, reads each order again, claims it in the journal,
// pushes it once, resolves a lost answer by reading, and verifies the result in Commerce and in Connect. The report
// counts the outcomes and names what is left.
//
// # Conventions
//
// Clients are immutable and safe for concurrent use. Reads are retried, pushes never. Lists are iter.Seq2 sequences
// that end at their first error. Times are half-open ranges in UTC. Amounts of money are exact. Errors and logs
// contain no secrets. Doc comments say which facts about the two systems are inferred rather than documented; options
// override these.
package cloudblue
