package eta_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/eta"
)

var start = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return start.Add(d) }

func TestNoEstimateBeforeEnoughIsKnown(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]eta.Progress{
		"few orders": {At: after(20 * time.Second), Total: 100, Done: 9, Verified: 9, Limit: 4},
		"no end of the wait": {At: after(time.Hour), Total: 100, Done: 50, Verified: 50, Limit: 4,
			Waiting: true},
		"all done": {At: after(time.Hour), Total: 100, Done: 100, Verified: 100, Limit: 4},
		"no rate":  {At: after(time.Hour), Total: 100, Done: 0},
	} {
		var e eta.Estimator
		e.Add(eta.Progress{At: start, Total: 100, Limit: 4})
		e.Add(p)
		_, ok := e.End()
		require.False(t, ok, name)
	}
}

func TestEstimateIsTheSlowerOfLimitAndRecentRate(t *testing.T) {
	t.Parallel()
	var e eta.Estimator
	e.Add(eta.Progress{At: start, Total: 1000, Limit: 4})
	e.Add(eta.Progress{At: after(100 * time.Second), Total: 1000, Done: 560, Verified: 560, Limit: 4})
	end, ok := e.End()
	require.True(t, ok)
	require.WithinDuration(t, after(342*time.Second), end, time.Millisecond, "440 orders of 2.2 calls at 4 per second")

	e.Add(eta.Progress{At: after(200 * time.Second), Total: 1000, Done: 600, Verified: 600, Limit: 4})
	end, ok = e.End()
	require.True(t, ok)
	require.WithinDuration(t, after(200*time.Second+1000*time.Second), end, time.Second, "0.4 orders per second lately")
}

func TestEstimateBeginsWhenAKnownWaitEnds(t *testing.T) {
	t.Parallel()
	var e eta.Estimator
	e.Add(eta.Progress{At: start, Total: 100, Limit: 4})
	e.Add(eta.Progress{At: after(time.Minute), Total: 100, Done: 60, Verified: 60, Limit: 4, Waiting: true,
		Until: after(time.Hour)})
	end, ok := e.End()
	require.True(t, ok)
	require.WithinDuration(t, after(time.Hour+22*time.Second), end, time.Millisecond)
}

func TestWords(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		59 * time.Second:               "under a minute",
		4*time.Minute + 10*time.Second: "about 4 min",
		83 * time.Minute:               "about 1 h 25 min",
		3 * time.Hour:                  "about 3 h 00 min",
		25 * time.Hour:                 "over a day",
	} {
		require.Equal(t, want, eta.Words(d))
	}
}

func TestAtLimit(t *testing.T) {
	t.Parallel()
	require.Equal(t, 55*time.Second, eta.AtLimit(100, 4))
}
