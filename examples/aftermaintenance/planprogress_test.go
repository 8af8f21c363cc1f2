package main

import (
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
		show := new(planProgress).to(&program{stderr: newScreen(&out)})
		for i := range 35 {
			<-time.After(time.Second)
			show(resubmit.PlanProgress{Listed: i + 1})
		}
		require.Equal(t, "Planning: 10 listed, 0 read, 0 looked up, 0 decided\n"+
			"Planning: 20 listed, 0 read, 0 looked up, 0 decided\n"+
			"Planning: 30 listed, 0 read, 0 looked up, 0 decided\n", out.String())
	})
}

func TestPlanProgressOnTerminal(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	s := newScreen(&out)
	s.terminal = true
	show := new(planProgress).to(&program{stderr: s})
	show(resubmit.PlanProgress{Listed: 1})
	show(resubmit.PlanProgress{Listed: 2})
	_, err := s.Write([]byte("a warning\n"))
	require.NoError(t, err)
	s.clear()
	const line = "Planning: 2 listed, 0 read, 0 looked up, 0 decided"
	require.Equal(t, "Planning: 1 listed, 0 read, 0 looked up, 0 decided\r\x1b[K"+line+"\r\x1b[Ka "+
		"warning\n"+line+"\r\x1b[K",
		out.String())
}

func TestRateLimitsPlanning(t *testing.T) {
	t.Parallel()
	w, env, flags := through(t, viaSimpleAPI)
	args := with(flags, "plan", "-rate", "20/s")
	orders := 0
	for _, o := range w.Commerce.Orders() {
		if sandbox.Cause(o) == sandbox.Transient && orders < 20 {
			orders++
			args = append(args, "-order", o.Number)
		}
	}
	start := time.Now()
	done(t, env, args...)
	calls := orders + 1 // a read each, and the list
	require.GreaterOrEqual(t, time.Since(start), time.Duration(calls-1)*time.Second/20)
}
