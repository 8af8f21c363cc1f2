// Package sim simulates the planner, the Runner, the clients and a journal in small worlds in which anything can
// fail. One seed determines a world: both systems, their vendors, the network, other operators, crashes and clocks.
//
//	failure, counts := sim.Run(t, sim.Config{Seeds: 500})
//
// A world has a few failed orders, the causes of their failures, and the replies of their vendors. One or two programs
// plan and apply in it, also at the same time. They are killed before, during and after journal writes and calls, and
// between an action of a server and its answer, and suspended anywhere. The journal loses unsecured writes in a crash,
// is restored from an older copy, or replaced. Calls are lost before or after the server acted, delivered twice or
// late, and answered with an older answer, a part of one, slowly, or with a page, 401, 429, 502 or 503. Windows are
// announced, moved, overrun or never announced. Other operators push, cancel and fail the same orders, and replace
// approved plans. The programs are paused, drained and stopped, and clocks jump. A program is restarted with the same
// plan and journal until it has finished, and may make further plans.
//
// The checks compare the ledgers of both systems, and the durable records of the journal at each push, with the
// invariants: at most one accepted push per failure, an intent before it, no push in a window, and so on
// (resubmit/SAFETY.md#invariants). What the programs report is checked too, but is not evidence.
//
// A world that breaks an invariant is reduced while it still does, and reported as a history with the command that
// replays it. A replay is exact except for the order of events in the same nanosecond, and for how long a client
// waits before it retries a read.
//
// The files by subject:
//   - scenario.go, misbehavior.go and draw.go: the contents of a world, and how a seed determines them;
//   - world.go and events.go: the systems, and what others do;
//   - program.go, process.go and panics.go: the programs, their processes and their callbacks;
//   - store.go and journal.go: the journal, and what spoils it;
//   - network.go and rows.go: the calls and answers, and what spoils them;
//   - checker.go, checkplan.go, checkcalls.go, checkreport.go and twin.go: the checks;
//   - sim.go, shrink.go and failure.go: the search for a violation and its report.
package sim
