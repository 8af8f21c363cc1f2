package main

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

func TestPlanProgressWithoutTerminal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := newPlanProgress(&out)
		for i := range 35 {
			<-time.After(time.Second)
			p.show(resubmit.PlanProgress{Listed: i + 1})
		}
		p.end()
		require.Equal(t, "Planning: 10 listed, 0 read, 0 looked up, 0 decided\n"+
			"Planning: 20 listed, 0 read, 0 looked up, 0 decided\n"+
			"Planning: 30 listed, 0 read, 0 looked up, 0 decided\n", out.String())
	})
}

func TestPlanProgressOnTerminal(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := &planProgress{out: &out, terminal: true}
	p.show(resubmit.PlanProgress{Listed: 1})
	p.show(resubmit.PlanProgress{Listed: 2})
	p.end()
	require.NotContains(t, out.String(), "\n")
	require.Equal(t, 2, strings.Count(out.String(), "\r\x1b[KPlanning: "))
	require.True(t, strings.HasSuffix(out.String(), "\r\x1b[K"))
}

func TestRateLimitsPlanning(t *testing.T) {
	t.Parallel()
	w, env, flags := through(t, viaSimpleAPI)
	var orders []string
	for _, o := range w.Commerce.Orders() {
		if sandbox.Cause(o) == sandbox.Transient && len(orders) < 20 {
			orders = append(orders, "-order", o.Number)
		}
	}
	start := time.Now()
	status, _, stderr := do(t, env,
		append(append(flags, "-rate", "20", "-plan", filepath.Join(t.TempDir(), "p")), orders...)...)
	require.Equal(t, exitDone, status, stderr)
	calls := len(orders)/2 + 1 // a read each, and the list
	require.GreaterOrEqual(t, time.Since(start), time.Duration(calls-1)*time.Second/20)
}
