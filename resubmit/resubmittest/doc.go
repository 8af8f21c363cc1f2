// Package resubmittest proves that a way into a Commerce Management System keeps
// the promises that resubmission is built on. Whoever writes an own
// [resubmit.OrderSource], [resubmit.OrderReader] or [resubmit.Pusher] gives a
// [Fixture] and runs the suites:
//
//	func TestAdapter(t *testing.T) {
//		fixture := resubmittest.Fixture{New: newShop, Missing: "4711", Tells: commerce.Tells{Failure: true}}
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
// # Errors and concurrency
//
// A failure names the broken promise and the order. The checks of a suite run one after the
// other, each with a system of its own; some call the adapter from several goroutines.
package resubmittest
