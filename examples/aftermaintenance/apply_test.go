package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

func TestApplyCompletesThePlan(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	orders := transient(w)
	requireRejected(t, env, with(flags, "apply"), exitError, "there is no plan to apply: make one")
	done(t, env, with(flags, "plan")...)
	requireRejected(t, env, with(flags, "apply"), exitUsage, "here is no terminal: pass -yes")
	require.Empty(t, w.Commerce.Pushes())
	requireRejected(t, env, with(flags, "apply", "0000", "-yes"), exitError, "0000")

	stdout, stderr := done(t, env, with(flags, "apply", "-yes")...)
	requireCompleted(t, w, orders)
	require.Contains(t, stdout, fmt.Sprintf("All %d orders are verified in Commerce and Connect", len(orders)))
	require.Regexp(t, `Next: aftermaintenance -state \S+ (show|report) .*\n$`, stderr)
	pushed := w.Commerce.Pushes()

	stdout, stderr = done(t, env, with(flags, "apply", "-yes")...)
	require.Regexp(t, fmt.Sprintf(`^Nothing was sent: the plan \S+ is done, and %d orders are completed.\n$`, len(orders)),
		stdout)
	require.Regexp(t, `Next: aftermaintenance -state \S+ report \S+\n$`, stderr)
	stdout, _ = done(t, env, with(flags, "apply", "-yes", "-json")...)
	require.Equal(t, len(orders), decode(t, stdout).Outcomes.Completed)
	require.Equal(t, pushed, w.Commerce.Pushes())
}

func TestApplyAfterAPauseThatHasEnded(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	orders := transient(w)
	done(t, env, with(flags, "plan")...)
	_, stderr := done(t, nil, stateOnly(flags, "pause")...)
	require.Regexp(t, `Next: aftermaintenance -state \S+ resume\n$`, stderr)
	requireRejected(t, env, with(flags, "apply", "-yes"), exitWait, "the run is paused")
	stdout, stderr := done(t, nil, stateOnly(flags, "resume")...)
	require.NotContains(t, stdout, "It is paused")
	require.Contains(t, stdout, "Not obeyed yet: resume")
	require.Regexp(t, `Next: aftermaintenance -state \S+ apply \S+\n$`, stderr)
	done(t, env, with(flags, "apply", "-yes")...)
	requireCompleted(t, w, orders)
}

func TestApplyIsDoneWhenNothingIsLeft(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	for _, o := range w.Commerce.Orders() {
		if o.Type == commerce.TypeSales && sandbox.Cause(o) == sandbox.Transient { // blocked by no older order
			done(t, env, with(flags, "plan", "-order", o.Number)...)
			break
		}
	}
	stdout, _ := done(t, env, with(flags, "apply", "-yes", "-detailed-exitcode")...)
	require.NotContains(t, stdout, "Left:")
	require.Contains(t, stdout, "The order is verified in Commerce and Connect")
}

func TestApplySaysThatACommandEndedTheRun(t *testing.T) {
	t.Parallel()
	for command, end := range map[string]string{"cancel": "cancelled", "drain": "drained"} {
		w, env, flags := live(t)
		done(t, env, with(flags, "plan")...)
		args := map[string][]string{"cancel": {"cancel", "-yes"}, "drain": {"drain"}}[command]
		done(t, nil, stateOnly(flags, append(args, "-reason", "the vendor asked")...)...)
		status, stdout, stderr := do(t, env, with(flags, "apply", "-yes", "-json")...)
		require.Equal(t, exitStopped, status, stderr)
		require.Positive(t, decode(t, stdout).Planned.Resubmit, "scripts get a document in any case")
		require.Regexp(t, "nothing was sent now, because the run has ended: run .*; "+end+" .*the vendor asked",
			errorLine(t, stderr))
		require.Regexp(t, `Next: aftermaintenance -state \S+ plan\n$`, stderr)
		require.Empty(t, w.Commerce.Pushes())
	}
}

func TestApplyReportsOrdersThatFailedAgain(t *testing.T) {
	t.Parallel()
	for flag, want := range map[string]int{"-json": exitDone, "-detailed-exitcode": exitLeft} {
		w, env, flags := live(t)
		number := failedForMaintenance(t, w, "PRD-100-200-302", 1)[0]
		done(t, env, with(flags, "plan", "-order", number)...)
		status, stdout, stderr := do(t, env, with(flags, "apply", "-yes", flag)...)
		require.Equal(t, want, status, stderr)
		if flag == "-json" {
			require.Equal(t, 1, decode(t, stdout).Outcomes.FailedAgain)
		} else {
			require.Contains(t, stdout, "failedAgain, 1: ")
			require.Contains(t, stdout, "  1 order failed again: look at the reasons")
		}
		require.Contains(t, stderr, "show "+number+"\n")
		require.Len(t, w.Commerce.Pushes(), 1)
	}
}

func TestApplyStoppedByTheCanary(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	args := []string{"plan"}
	for _, number := range failedForMaintenance(t, w, "PRD-100-200-302", 6) {
		args = append(args, "-order", number)
	}
	done(t, env, with(flags, args...)...)
	status, stdout, stderr := do(t, env, with(flags, "apply", "-yes", "-detailed-exitcode")...)
	require.Equal(t, exitStopped, status, stdout)
	require.Contains(t, errorLine(t, stderr), "4 orders were not started, because the canary of")
	require.Contains(t, stdout, "  2 orders failed again: look at the reasons", "the other four are not left for a person")
	require.Len(t, w.Commerce.Pushes(), 2)
}

func TestInterruptedApplyIsContinued(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	orders := transient(w)
	done(t, env, with(flags, "plan")...)
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	go func() {
		pushed := func() bool { return len(w.Commerce.Pushes()) > 0 || ctx.Err() != nil }
		assert.Eventually(t, pushed, time.Minute, time.Millisecond)
		stop(signalError{syscall.SIGINT})
	}()
	status, stdout, stderr := call{env: env}.run(ctx, with(flags, "apply", "-yes", "-rate", "50/s")...)
	require.Equal(t, 130, status, stderr)
	require.Regexp(t, `Interrupted\. \d+ orders? (is|are) in flight and will be verified when you continue, `+
		`\d+ (is|are) not started\. Nothing is lost\.`, joinedLines(stdout))
	require.Regexp(t, `Next: aftermaintenance -state \S+ apply [0-9a-f]{12}\n$`, stderr)
	require.NotEmpty(t, w.Commerce.Pushes())

	_, stderr = done(t, env, with(flags, "apply")...) // it was approved before
	require.NotContains(t, stderr, "cannot be undone")
	requireCompleted(t, w, orders)
}

func TestPlanOfAnotherSystemIsRejected(t *testing.T) {
	t.Parallel()
	_, env, flags := live(t)
	done(t, env, with(flags, "plan")...)
	other, env, otherFlags := live(t) // the same orders, somewhere else
	args := with(otherFlags[:6], "-state", stateOf(flags), "apply", "-yes")
	status, stdout, stderr := do(t, env, args...)
	require.Equal(t, exitError, status, stdout)
	require.Contains(t, stderr, "ordermanager http://127.0.0.1:")
	require.Empty(t, stdout)
	require.Empty(t, other.Commerce.Pushes())
}

func TestUnwritableStateIsReportedBeforeThePush(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	shut := "/proc/self" // nothing can be made there, even by those who may write anywhere
	args := with(flags[:6], "-state", filepath.Join(shut, "state"), "-config", filepath.Join(stateOf(flags),
		"config.json"))
	for _, command := range []string{"plan", "run"} {
		status, _, stderr := do(t, env, with(args, command)...)
		require.Equal(t, exitError, status)
		require.Contains(t, errorLine(t, stderr), shut)
	}
	require.Empty(t, w.Commerce.Pushes())
}

func TestJournalInUseNamesItsOwner(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	orders := transient(w)
	done(t, env, with(flags, "plan")...)
	j, err := journal.Open(filepath.Join(stateOf(flags), "journal"), journal.WithOwner("night-shift"))
	require.NoError(t, err)
	status, _, stderr := do(t, env, with(flags, "apply", "-yes")...)
	require.Equal(t, exitError, status)
	require.Contains(t, errorLine(t, stderr), fmt.Sprintf("night-shift, process %d", os.Getpid()))
	require.Empty(t, w.Commerce.Pushes())
	require.NoError(t, j.Close())
	done(t, env, with(flags, "apply", "-yes")...)
	requireCompleted(t, w, orders)
}

func TestPlanKeepsItsPolicy(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	orders := transient(w)
	done(t, env, with(flags, "plan")...)
	configure(t, stateOf(flags), `{"policy": {"attempts": 3}, "run": {"rate": 10000, "verifyAfter": "150ms"}}`)
	done(t, env, with(flags, "apply", "-yes")...)
	requireCompleted(t, w, orders)
}

func TestTruncatedJournalIsRejected(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	orders := transient(w)
	journal := filepath.Join(stateOf(flags), "journal")
	done(t, env, with(flags, "plan")...)
	done(t, env, with(flags, "apply", "-yes")...)
	pushed := w.Commerce.Pushes()
	require.NotEmpty(t, pushed)
	kept, err := os.ReadFile(journal)
	require.NoError(t, err)
	for _, size := range []int{0, 1, 100} {
		require.NoError(t, os.WriteFile(journal, kept[:size], 0o600))
		status, _, stderr := do(t, env, with(flags, "run")...)
		require.Equal(t, exitError, status, size)
		line := errorLine(t, stderr)
		require.Contains(t, line, journal)
		require.Regexp(t, "corrupt|not a journal", line)
		requireRejected(t, nil, stateOnly(flags, "journal", "check"), exitError, journal)
		require.Equal(t, pushed, w.Commerce.Pushes())
	}
	require.NoError(t, os.WriteFile(journal, kept, 0o600))
	done(t, env, with(flags, "run")...)
	requireCompleted(t, w, orders)
	require.Equal(t, pushed, w.Commerce.Pushes(), "all was done before")
}

func TestClockSetBackDoesNotDelayTheRun(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	configure(t, stateOf(flags), `{"policy": {"settleDelay": "2s", "spacing": "1s"},
		"run": {"rate": 10000, "verifyAfter": "150ms"}}`)
	done(t, env, with(flags, "plan")...)
	paths, err := filepath.Glob(filepath.Join(stateOf(flags), "runs", "*", "plan.jsonl"))
	require.NoError(t, err)
	made, err := plan.Open(paths[0])
	require.NoError(t, err)
	j, err := journal.Open(filepath.Join(stateOf(flags), "journal"))
	require.NoError(t, err)
	tomorrow, claims := time.Now().Add(24*time.Hour), 0
	for e, err := range made.Entries() {
		require.NoError(t, err)
		if e.Decision.Action == rules.Resubmit && claims < 3 {
			claims++
			_, err := j.Put(t.Context(), resubmit.Durable, protocol.Record{
				Key: protocol.OrderKey(e.OrderID), Version: e.Version, At: tomorrow,
				Order: &protocol.Order{
					Number: e.Number, Run: made.Digest(), Epoch: 1, Fingerprint: e.Fingerprint, Phase: protocol.Claimed,
					Attempts: 1, Resubmissions: 1, Target: e.Target, ClaimedAt: tomorrow, FirstClaimAt: tomorrow,
				},
			})
			require.NoError(t, err)
		}
	}
	require.NoError(t, errors.Join(j.Close(), made.Close()))
	start := time.Now()
	status, stdout, stderr := do(t, env, with(flags, "apply", "-yes", "-json")...)
	require.Less(t, time.Since(start), time.Hour)
	require.Equal(t, exitError, status, stderr)
	unknown := decode(t, stdout).Outcomes.Unknown
	require.Positive(t, unknown, "nobody knows when they were pushed: %s", stderr)
	require.Contains(t, errorLine(t, stderr), countOf(unknown, "order was", "orders were")+" perhaps resubmitted, "+
		"without proof")
	require.Empty(t, w.Violations())
}

func TestInvalidAnswersPreventPushes(t *testing.T) {
	t.Parallel()
	t.Run("Connect", func(t *testing.T) {
		t.Parallel()
		w, env, flags := live(t)
		orders := inMaintenance(w)
		args := with(flags, append([]string{"run"}, inWindow(w)...)...)
		require.NoError(t, w.Connect.AddFault(connecttest.Fault{Kind: connecttest.FaultHTML}))
		status, _, stderr := do(t, env, with(args, "-wait-at-most", "0s")...)
		require.NotEqual(t, exitDone, status)
		require.Contains(t, errorLine(t, stderr), "connect")
		require.Empty(t, w.Commerce.Pushes())
		w.Connect.ClearFaults()
		done(t, env, args...)
		requireCompleted(t, w, orders)
	})
	t.Run("Commerce, after the plan", func(t *testing.T) {
		t.Parallel()
		w, env, flags := live(t)
		all := w.Commerce.Orders()
		i := slices.IndexFunc(all, func(o commercetest.Order) bool {
			return sandbox.Cause(o) == sandbox.Transient && o.Type == "SO"
		})
		done(t, env, with(flags, "plan", "-order", all[i].Number)...)
		require.NoError(t, w.Commerce.AddFault(commercetest.Fault{Kind: commercetest.FaultHTML}))
		status, stdout, stderr := do(t, env, with(flags, "apply", "-yes", "-json")...)
		require.Equal(t, exitError, status, stderr)
		require.Contains(t, errorLine(t, stderr), "1 order was not sent, because they could not be read")
		require.Equal(t, 1, decode(t, stdout).Outcomes.Skipped)
		require.Empty(t, w.Commerce.Pushes())

		w.Commerce.ClearFaults()
		done(t, env, with(flags, "plan", "-order", all[i].Number)...)
		stdout, _ = done(t, env, with(flags, "apply", "-yes", "-json")...)
		require.Equal(t, 1, decode(t, stdout).Outcomes.Completed)
		require.Len(t, w.Commerce.Pushes(), 1)
	})
}
