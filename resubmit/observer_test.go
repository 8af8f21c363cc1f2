package resubmit_test

import (
	"bytes"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

func TestTheObserverIsToldEachStepInItsOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := []*shopOrder{outageOrder(1, "a"), outageOrder(2, "b"), outageOrder(3, "b"), outageOrder(4, "c")}
		orders[0].pushFaults = []fault{badToken}
		orders[1].pushFaults = []fault{lostIgnored}
		orders[3].onRead = moveTo(commerce.StatusCompleted)
		s := newShop(orders...)
		seen := new(diary)
		var log bytes.Buffer
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Observer, c.Concurrency = seen, 1
			c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		})
		var entries []*plan.Entry
		for _, o := range orders {
			entries = append(entries, entryFor(o))
		}
		plan := planWith(t, []maintenance.Window{windowAt(-time.Hour, 0)}, entries...)
		_, err := r.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, `started 4
gate closed
gate opened
SO000001 intent 1
SO000001 reread ""
SO000001 refused again=true
SO000001 intent 2
SO000001 reread ""
SO000001 pushed PD
SO000002 intent 1
SO000002 reread ""
SO000002 unknown
SO000004 intent 1
SO000004 reread "status PF → CP"
SO000004 done skipped
SO000001 done completed
SO000002 done unknown
SO000003 done skipped
finished 4`, seen.String())
		require.Contains(t, log.String(), `msg="the answer to a push was lost" order=SO000002`)
	})
}

// pauser pauses at the first push and resumes an hour later.
type pauser struct {
	resubmit.NopObserver
	runner *resubmit.Runner
}

func (p *pauser) OnPushed(e resubmit.Pushed) {
	if e.Number == "SO000001" {
		p.runner.Pause()
		time.AfterFunc(time.Hour, p.runner.Resume)
	}
	_ = p.runner.Status()
}

func TestAnObserverMayPauseTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := []*shopOrder{outageOrder(1, "a"), outageOrder(2, "b")}
		s := newShop(orders...)
		p := new(pauser)
		p.runner = runnerFor(t, s, func(c *resubmit.Config) { c.Observer, c.Concurrency = p, 1 })
		report, err := p.runner.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 2}, report.Result)
		require.Equal(t, time.Hour, s.ledger[1].at.Sub(start))
	})
}
