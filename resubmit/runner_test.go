package resubmit_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
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
		"a negative settle time": {func(c *resubmit.Config) { c.SettleDelay = -2 }, "Config.SettleDelay"},
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
			cfg := resubmit.Config{Systems: systemsOf(resubmit.Systems{Reader: s, Pusher: s})}
			tt.change(&cfg)
			r, err := resubmit.NewRunner(cfg)
			require.Nil(t, r)
			require.ErrorContains(t, err, tt.says)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestTargetsReplaceUnreportedTransitions(t *testing.T) {
	t.Parallel()
	s := newShop()
	systems := resubmit.Systems{Name: testSystem, Reader: s, Pusher: s}
	_, err := resubmit.NewRunner(resubmit.Config{
		Systems: systems, Policy: resubmit.Policy{Targets: resubmit.DefaultTargets()},
	})
	require.NoError(t, err)
}
