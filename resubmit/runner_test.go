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
		"a guard time without a unit": {func(c *resubmit.Config) { c.Guard = 300 },
			"Config.Guard is 300ns; give 1ms to 8784h0m0s, 0 for the default or -1 to disable it"},
		"a settle delay without a unit": {func(c *resubmit.Config) { c.SettleDelay = 240 }, "Config.SettleDelay is 240ns; give 1ms"},
		"a timeout of verification that never ends": {func(c *resubmit.Config) { c.Verify.Timeout = 1 << 62 },
			"Config.Verify.Timeout is 1281023h53m38"},
		"a wait of the breaker without a unit": {func(c *resubmit.Config) { c.Breaker.Wait = 60 }, "Config.Breaker.Wait is 60ns"},
		"a spacing without a unit":             {func(c *resubmit.Config) { c.Retry.Spacing = 300 }, "Config.Retry.Spacing is 300ns"},
		"a pause that never ends":              {func(c *resubmit.Config) { c.MaxRetryAfter = 1 << 62 }, "Config.MaxRetryAfter is"},
		"a rate that no server bears":          {func(c *resubmit.Config) { c.RateLimit = 1e12 }, "Config.RateLimit is 1e+12; give 0.001 to"},
		"a rate that never makes a call":       {func(c *resubmit.Config) { c.RateLimit = 1e-9 }, "Config.RateLimit is 1e-09; give 0.001"},
		"an endless rate":                      {func(c *resubmit.Config) { c.RateLimit = math.Inf(1) }, "Config.RateLimit is +Inf"},
		"too many push slots":                  {func(c *resubmit.Config) { c.Concurrency = 10_001 }, "Config.Concurrency is 10001"},
		"too many open orders":                 {func(c *resubmit.Config) { c.MaxOpenOrders = 1e9 }, "Config.MaxOpenOrders is 1000000000"},
		"too many tries":                       {func(c *resubmit.Config) { c.MaxDeferrals = 1e9 }, "Config.MaxDeferrals is 1000000000"},
		"a sample of the breaker that fills the memory": {func(c *resubmit.Config) { c.Breaker.SampleSize = 1e9 },
			"Config.Breaker opens at 5 of 1000000000"},
		"a step of the canary that is no number of orders": {func(c *resubmit.Config) { c.Canary.Steps = []int{1 << 62} },
			"Config.Canary.Steps is [4611686018427387904]"},
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
