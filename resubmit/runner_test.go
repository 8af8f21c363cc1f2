package resubmit_test

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

func TestNewRunnerRejectsInvalidConfigs(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*resubmit.Config)
		says   string
	}{
		"no reader":              {func(c *resubmit.Config) { c.Reader = nil }, "Config.Reader is nil"},
		"no pusher":              {func(c *resubmit.Config) { c.Pusher = nil }, "Config.Pusher is nil"},
		"a negative guard":       {func(c *resubmit.Config) { c.Guard = -time.Minute }, "Config.Guard is -1m0s"},
		"no journal":             {func(c *resubmit.Config) { c.Journal = nil }, "Config.Journal is nil; give the journal"},
		"a nil journal":          {func(c *resubmit.Config) { c.Journal = (*resubmit.MemoryJournal)(nil) }, "Config.Journal holds a nil"},
		"a negative settle time": {func(c *resubmit.Config) { c.SettleDelay = -1 }, "Config.SettleDelay is -1ns"},
		"a settle delay that a push can exceed": {func(c *resubmit.Config) { c.SettleDelay, c.PushTimeout = time.Minute, time.Minute },
			"Config.SettleDelay is 1m0s; it must be longer than PushTimeout (1m0s)"},
		"negative resubmissions": {func(c *resubmit.Config) { c.MaxResubmissions = -1 }, "Config.MaxResubmissions is -1"},
		"negative attempts":      {func(c *resubmit.Config) { c.Retry.MaxAttempts = -1 }, "Config.Retry.MaxAttempts is -1"},
		"Verify.InitialInterval is negative": {func(c *resubmit.Config) { c.Verify.InitialInterval = -2 },
			"Config.Verify.InitialInterval"},
		"Verify.MaxInterval is negative": {func(c *resubmit.Config) { c.Verify.MaxInterval = -2 },
			"Config.Verify.MaxInterval"},
		"a negative timeout":       {func(c *resubmit.Config) { c.Verify.Timeout = -2 }, "Config.Verify.Timeout"},
		"a negative rate":          {func(c *resubmit.Config) { c.RateLimit = -0.5 }, "Config.RateLimit is -0.5"},
		"a rate that is no number": {func(c *resubmit.Config) { c.RateLimit = math.NaN() }, "Config.RateLimit is NaN"},
		"negative tries":           {func(c *resubmit.Config) { c.MaxDeferrals = -2 }, "Config.MaxDeferrals is -2"},
		"no push slots":            {func(c *resubmit.Config) { c.Concurrency = -1 }, "Config.Concurrency is -1"},
		"no open order":            {func(c *resubmit.Config) { c.MaxOpenOrders = -1 }, "Config.MaxOpenOrders is -1"},
		"a target that cancels": {func(c *resubmit.Config) {
			c.Targets = []commerce.Status{"PD", commerce.StatusCancelled}
		}, `Config.Targets has "CL"`},
		"a target that declares a fraud": {func(c *resubmit.Config) {
			c.Targets = []commerce.Status{commerce.StatusFraud}
		}, `Config.Targets has "FR"`},
		"a target without a name": {func(c *resubmit.Config) { c.Targets = []commerce.Status{""} },
			`Config.Targets has ""`},
		"no target without known transitions": {func(c *resubmit.Config) { c.Capabilities = commerce.Capabilities{} },
			"does not report which transitions an order offers; say which ones"},
		"no target": {func(c *resubmit.Config) { c.Targets = []commerce.Status{} }, "Config.Targets is empty"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop()
			cfg := resubmit.Config{
				Systems: systemsOf(resubmit.Systems{Reader: s, Pusher: s}), Journal: new(resubmit.MemoryJournal),
			}
			tt.change(&cfg)
			r, err := resubmit.NewRunner(cfg)
			require.Nil(t, r)
			require.ErrorContains(t, err, tt.says)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestApplyCompletesAPlanInItsCanarySteps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := make([]*shopOrder, 20)
		for i := range orders {
			orders[i] = outageOrder(i, fmt.Sprint(i/2))
		}
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Canary.Steps = nil })
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 20}, report.Result)
		require.True(t, report.OK())
		require.Empty(t, report.Next)
		require.Equal(t, 20, s.pushes())
	})
}

func TestTargetsReplaceUnreportedTransitions(t *testing.T) {
	t.Parallel()
	s := newShop()
	systems := resubmit.Systems{Name: testSystem, Reader: s, Pusher: s}
	_, err := resubmit.NewRunner(resubmit.Config{
		Systems: systems, Journal: new(resubmit.MemoryJournal), Policy: resubmit.Policy{Targets: protocol.DefaultTargets()},
	})
	require.NoError(t, err)
}
