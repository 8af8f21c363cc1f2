// Package resubmittest proves that a way into a Commerce Management System keeps
// the promises that resubmission is built on. Whoever writes an own
// [resubmit.OrderLister], [resubmit.OrderReader] or [resubmit.Pusher] gives a
// [Fixture] and runs the suites:
//
//	func TestAdapter(t *testing.T) {
//		fixture := resubmittest.Fixture{New: newShop, Missing: "4711", Capabilities: commerce.Capabilities{Failure: true}}
//		t.Run("source", func(t *testing.T) { resubmittest.TestSource(t, fixture) })
//		t.Run("reader", func(t *testing.T) { resubmittest.TestReader(t, fixture) })
//		t.Run("pusher", func(t *testing.T) { resubmittest.TestPusher(t, fixture) })
//	}
//
// newShop makes an empty system, in memory or a sandbox, with the adapter before it:
// see [System]. Each promise is a subtest. What an adapter declares not to be able to
// do must be absent: an adapter that tells no failures must never tell one. Faults that
// the system cannot play leave promises unproved, and the log names them.
//
// What the adapter says about a push is judged by what the system behind it saw.
//
// [TestJournal] does the same for a [resubmit.Journal], which needs no fixture but a
// function that opens it.
//
// # The simulator
//
// [Simulate] runs the planner, the Runner, the clients and a journal in small worlds
// in which whatever can go wrong does: both systems, their vendors, the network, other
// operators, crashes and the clock follow from one seed.
//
//	func TestOurRules(t *testing.T) {
//		resubmittest.Simulate(t, resubmittest.Config{
//			Plan: func(_ *resubmittest.Process, c *resubmit.PlanConfig) { c.Rules = ourRules },
//		})
//	}
//
// A world is a few failed orders of some subscriptions and vendors, with the causes of
// their failures and what is to become of them. The program plans and applies in it. It
// is killed before, in and behind writes of the journal and calls, and between the act
// of a server and its answer; writes are torn; calls are lost, before or after the
// server acted, delivered twice or late, answered by an older answer, by a part of one,
// slowly, by a page, by 401, 429, 502 and 503; windows are announced, moved, overrun or
// kept secret; others push, cancel and fail the same orders; the program is paused,
// drained and stopped; clocks jump. It is started again, with the same plan and journal,
// until it has done its work.
//
// Then the books of both systems, and the bytes of the journal at the time of each push,
// are held against the invariants: per failure at most one push, an intent before it, no
// push in a window, and so on (resubmit/SAFETY.md#invariants). What the program says about itself
// is judged too, and is no evidence. A world that breaks an invariant is made smaller as long as it
// does, and is told as a history with the command that replays it. Replaying is exact but for what
// happens at the same nanosecond, and for how long a client waits before it tries a read again.
//
// # Errors and concurrency
//
// A failure names the broken promise and the order. The checks of a suite run one after the
// other, each with a system of its own; some call the adapter from several goroutines.
// Worlds run at the same time, one for each processor, each in a bubble of
// testing/synctest; the hooks of a [Config] are called from all of them.
package resubmittest
