// Package sim simulates the planner, the Runner, the clients and a journal in small worlds in which anything can
// fail. One seed determines a world: both systems, their vendors, the network, other operators, crashes and clocks.
//
//	failure, counts := sim.Run(t, sim.Config{Seeds: 500})
//
// A world has a few failed orders, the causes of their failures, and the replies of their vendors. The program plans
// and applies in it. It is killed before, during and after journal writes and calls, and between an action of a
// server and its answer. Journal writes are torn. Calls are lost before or after the server acted, delivered twice or
// late, and answered with an older answer, a part of one, slowly, or with a page, 401, 429, 502 or 503. Windows are
// announced, moved, overrun or never announced. Other operators push, cancel and fail the same orders. The program is
// paused, drained and stopped, and clocks jump. It is restarted with the same plan and journal until it has finished.
//
// The checks compare the ledgers of both systems, and the bytes of the journal at each push, with the invariants: at
// most one accepted push per failure, an intent before it, no push in a window, and so on
// (resubmit/SAFETY.md#invariants). What the program reports is checked too, but is not evidence.
//
// A world that breaks an invariant is reduced while it still does, and reported as a history with the command that
// replays it. A replay is exact except for the order of events in the same nanosecond, and for how long a client
// waits before it retries a read.
//
// The files by subject:
//   - scenario.go, misbehavior.go and draw.go: the contents of a world, and how a seed determines them;
//   - world.go and events.go: the systems, and what others do;
//   - process.go, journal.go, log.go and panics.go: the program, its journal and its callbacks;
//   - network.go and rows.go: the calls and answers, and what spoils them;
//   - checker.go, checkplan.go, checkcalls.go, checkreport.go and twin.go: the checks;
//   - sim.go, shrink.go and failure.go: the search for a violation and its report.
package sim
