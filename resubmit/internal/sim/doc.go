// Package sim simulates the planner, the Runner, the clients and a journal in small worlds in which anything can
// fail. One seed determines a world: both systems, their vendors, the network, other operators, crashes and clocks.
//
//	failure, counts := sim.Run(t, sim.Config{Seeds: 500})
//
// A world has a few failed orders, the causes of their failures, and what their vendors do next. The program plans
// and applies in it. It is killed before, during and after journal writes and calls, and between an action of a server
// and its answer. Journal writes are torn. Calls are lost before or after the server acted, delivered twice or late,
// and answered with an older answer, part of one, slowly, or with a page, 401, 429, 502 or 503. Windows are announced,
// moved, overrun or kept secret. Other operators push, cancel and fail the same orders. The program is paused, drained
// and stopped, and clocks jump. It is restarted with the same plan and journal until it has finished.
//
// The checks compare the ledgers of both systems, and the bytes of the journal at each push, with the invariants:
// at most one accepted push per failure, an intent before it, no push in a window, and so on
// (resubmit/SAFETY.md#invariants). What the program reports is checked too, but is not evidence.
//
// A world that breaks an invariant is reduced while it still does, and reported as a history with the command that
// replays it. A replay is exact except for the order of events in the same nanosecond, and for how long a client waits
// before it retries a read.
//
// The files, in the order of a world: scenario.go and trouble.go draw it from a seed; world.go builds the systems;
// process.go runs the program, with journal.go and panics.go; network.go and rows.go carry and spoil the calls;
// events.go does what others do; checker.go and checkrows.go check; shrink.go and failure.go report.
package sim
