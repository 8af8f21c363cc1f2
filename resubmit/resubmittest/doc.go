// Package resubmittest tests adapters and journals, your own implementations of the interfaces of package resubmit, and
// simulates rules and limits.
//
// Run the suites in a test of your [resubmit.OrderLister], [resubmit.OrderReader] and [resubmit.Pusher]:
//
//	func TestAdapter(t *testing.T) {
//		fixture := resubmittest.Fixture{
//			New: newShop, MissingID: "4711", Capabilities: commerce.Capabilities{Failure: true},
//		}
//		t.Run("lister", func(t *testing.T) { resubmittest.TestLister(t, fixture) })
//		t.Run("reader", func(t *testing.T) { resubmittest.TestReader(t, fixture) })
//		t.Run("pusher", func(t *testing.T) { resubmittest.TestPusher(t, fixture) })
//	}
//
// Here newShop returns a [System]: an empty system, in memory or a sandbox, and the adapter. Each promise of the
// interfaces is a subtest. Results of pushes are compared with the [Ledger] of the system. Fields that the fixture does
// not declare in its capabilities must never be set. Promises that need faults which the system cannot inject are not
// checked, which the test log says. [FaultDriver] injects them into adapters without HTTP, such as those of a database.
//
// [TestJournal] does the same for a [resubmit.Journal], and [TestPlanStore] for a [plan.Store]. [CheckRunner] and
// [CheckWatcher] check the other direction: what the Runner and the Watcher promise to clients, consumers of events and
// functions that decide. [Simulate] checks rules, limits and adapters in simulated worlds, in which calls fail, the
// program crashes and others change the same orders.
//
// The guide examples/OWN-SYSTEM.md leads from an ordering system to a tested adapter, and examples/embed has a whole
// one.
//
// # Errors and concurrency
//
// A test fails once for each broken promise, at the line that calls the suite, and names the orders. The checks of a
// suite run one after the other, each with a new system; some call the adapter concurrently. Worlds run concurrently,
// one per processor, each in a testing/synctest bubble.
package resubmittest
