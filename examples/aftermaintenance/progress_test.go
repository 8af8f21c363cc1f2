package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/examples/aftermaintenance/internal/terminal"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// running returns the status of a run of 81 orders.
func running(done, verified int, rate float64) *resubmit.Status {
	return &resubmit.Status{State: resubmit.StateRunning, Total: 81, Done: done, Open: 3, Rate: rate, CallRate: 3.9,
		Result: resubmit.OutcomeCounts{Completed: verified, FailedAgain: done - verified}}
}

func TestProgressLineFits(t *testing.T) {
	t.Parallel()
	live := running(47, 42, 4)
	for width, want := range map[int]string{
		200: "47/81 done  42 verified  5 failed again  3 in flight  3.9 of 4 calls/s  about 4 min (05:31)",
		80:  "47/81 done  42 verified  5 failed again  3 in flight  3.9 of 4 calls/s",
		60:  "47/81 done  42 verified  5 failed again  3 in flight",
		40:  "47/81 done  42 verified  5 failed again",
		5:   "47/81 done",
	} {
		require.Equal(t, want, progressLine(live, "about 4 min (05:31)", width))
	}
	require.Equal(t, "47/81 done  42 verified  5 failed again  3 in flight  paused",
		progressLine(running(47, 42, -1), "paused", 200))
}

func TestProgressWithoutTerminal(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := &program{Terminal: terminal.Terminal{Stderr: terminal.NewScreen(&out)}, location: time.UTC}
	v := &progressView{site: &site{program: p}}
	run := &state.Run{Digest: "sha256:7f3a00112233445566"}
	at := time.Date(2026, 11, 21, 4, 21, 7, 0, time.UTC)
	for i := range 25 { // a line every ten seconds
		run.Live = running(i, i, 4)
		run.Live.End = time.Date(2026, 11, 21, 5, 31, 0, 0, time.UTC)
		v.show(run, at.Add(time.Duration(i)*time.Second))
	}
	run.Live.Gate, run.Live.Until = "Connect is down", at.Add(time.Hour)
	v.show(run, at.Add(25*time.Second)) // and when the state changes
	require.Equal(t, `2026-11-21T04:21:07Z run=7f3a00112233 state=running done=0 total=81 verified=0 failed_again=0 `+
		`in_flight=3 rate=3.9 limit=4 eta=05:31 waiting=-
2026-11-21T04:21:17Z run=7f3a00112233 state=running done=10 total=81 verified=10 failed_again=0 in_flight=3 `+
		`rate=3.9 limit=4 eta=05:31 waiting=-
2026-11-21T04:21:27Z run=7f3a00112233 state=running done=20 total=81 verified=20 failed_again=0 in_flight=3 `+
		`rate=3.9 limit=4 eta=05:31 waiting=-
2026-11-21T04:21:32Z run=7f3a00112233 state=running done=24 total=81 verified=24 failed_again=0 in_flight=3 `+
		`rate=3.9 limit=4 eta=05:31 waiting="Connect is down until 2026-11-21 05:21 UTC"
`, out.String())
}

func TestProgressOfTheCanary(t *testing.T) {
	t.Parallel()
	v := &progressView{site: &site{program: &program{location: time.UTC}}}
	at := time.Date(2026, 11, 21, 5, 27, 0, 0, time.UTC)
	live := running(2, 2, 4)
	live.Canary = []resubmit.CanaryStatus{
		{Group: "a", Limit: 3, Tried: 3, Good: 1, Bad: 1}, {Group: "b", Limit: 2, Tried: 2}, {Group: "small", Limit: -1},
		{Group: "free", Limit: 8, Tried: 3, Good: 3},
	}
	require.Equal(t, "canary 2 of 5", v.ends(live, at))
	live.End = at.Add(4 * time.Minute)
	require.Equal(t, "canary 2 of 5, about 4 min (05:31)", v.ends(live, at))
	require.Contains(t, v.plainLine(&state.Run{Live: live}, at), `waiting="canary 2 of 5"`)
	live.Canary[0].Stopped, live.Canary[0].Limit, live.Canary[1].Limit = "it stopped", -1, 10
	require.Equal(t, "about 4 min (05:31)", v.ends(live, at))
}

func TestPlanProgressWithoutTerminal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		show := (&program{Terminal: terminal.Terminal{Stderr: terminal.NewScreen(&out)}}).planProgress()
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
	s := terminal.NewScreen(&out)
	s.Terminal = true
	show := (&program{Terminal: terminal.Terminal{Stderr: s}}).planProgress()
	show(resubmit.PlanProgress{Listed: 1})
	show(resubmit.PlanProgress{Listed: 2})
	_, err := s.Write([]byte("a warning\n"))
	require.NoError(t, err)
	s.Clear()
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
