package sim_test

import (
	"cmp"
	"flag"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/sim"
)

var seed = flag.Uint64("seed", 0, "seed of the first world")

func TestSimulation(t *testing.T) {
	t.Parallel()
	cfg := sim.Config{
		Seeds: testkit.Scale(100, 8), First: *seed,
		Command: "go test ./resubmit/internal/sim -run '^TestSimulation$' -seed ",
	}
	if *seed > 0 {
		cfg.Seeds = 1
	}
	cfg.Seeds = cmp.Or(*sim.Seeds, cfg.Seeds)
	failure, counts := sim.Run(t, cfg)
	if failure != nil {
		t.Error(failure)
	}
	t.Logf("events in %d worlds:\n%v", cfg.Seeds, counts)
	if cfg.Seeds < 2000 {
		return
	}
	for _, event := range mustHappen {
		require.NotZero(t, counts[event], event)
	}
}

// mustHappen are events without which the simulation would show little.
var mustHappen = []string{
	"401 (push)", "429 (push)", "503 (push)", "502 before the server (push)", "502 after the server acted (push)",
	"HTML page with 200 after the server acted (push)", "answer truncated (push)",
	"answer lost after the server acted (push)", "connection refused (push)", "delivered twice (push)",
	"lost before the server (push)", "slow answer (push)", "answered with the previous answer (read)",
	"disk full in a journal write", "journal write done by a killed process", "storm of 429", "storm of 503",
	"a lost push arrived late",
	"a push in flight arrived after the crash", "a person resubmits it in the panel", "another operator cancels it",
	"another operator marks it as failed", "an order failed again for the same reason",
	"another push after one without an answer", "crash while planning, before a call",
	"crash while applying, before a call", "crash while applying, while a call is in flight",
	"crash while applying, between an action of the server and its answer", "crash while applying, after a call",
	"crash while applying, before a journal write", "crash while applying, in a journal write",
	"crash while applying, after a journal write", "clock of the program jumped back", "the clock of Commerce jumps",
	"maintenance during the run", "window moved during the run", "failures that had to open the breaker",
	"intents without an outcome found after a restart", "plans compared with a full scan", "twins compared",
	"outcome completed", "outcome failedAgain", "outcome falseSuccess", "outcome progressing", "outcome skipped",
	"outcome unknown", "the operator drains the program", "the operator pauses", "the operator stops the program",
	"Retry-After that outlives the process", "order placed in the second of another",
	"request created in the second of another", "request without an asset", "request without a type",
	"request with an unknown status", "request as null", "status from a gateway after the server acted",
	"status from a gateway before the server", "runs ended by refused credentials",
	"malformed row: its date is a number (list)", "malformed row: its date is in RFC 1123 (list)",
	"malformed row: its date has no seconds (list)", "malformed row: its date is after the year 9999 (list)",
	"malformed row: its amount has the exponent 70 (list)", "malformed row: its amount has 100 digits (list)",
	"malformed row: its reason is an empty list (read)", "malformed row: its reason is very long (read)",
	"malformed row: its id is blank (list)", "malformed row: its status is missing (list)",
	"malformed row: its row is null (list)", "panic before the call (push)", "panic after the call (push)",
	"panic before the call (read)", "panic before the call (list)", "panic after the call (look-up in Connect)",
	"panic before the call (event)", "two runs at the same time", "process suspended", "leases lost",
	"write rejected because of another version: order", "write rejected because of another version: run",
	"write rejected because of another version: system", "slow journal write", "answer to a journal write lost",
	"deferred journal writes lost in a crash", "journal restored from an older copy", "journal replaced by a new one",
	"lost journal rejected", "intents of another plan without an outcome", "push without an answer: then pushed",
	"push without an answer: then open", "another push by another plan",
	"further plans of a program", "plans that were too early", "named orders to resubmit",
	"planned: hold because of history", "planned: hold because of newer-order-sent",
	"planned: wait because of lane-busy", "planned: wait because of order-in-progress", "outcome blocked",
	"outcome claimedElsewhere", "outcome notMoved", "plan replaced after its approval: a byte is changed",
	"plan replaced after its approval: by an unsigned plan",
	"plan replaced after its approval: by another plan with the same signature",
	"plan replaced after its approval: while it is applied", "a customer places an order",
	"a maintenance begins without an announcement", "crash while planning, before a journal write",
	"crash while applying, after some time", "action during a read: a maintenance begins without an announcement",
	"action during a read: a person resubmits it in the panel", "action during a read: another operator cancels it",
	"action during a read: another operator marks it as failed", "action during a read: the operator pauses",
}
