package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// running returns the status of a run of 81 orders.
func running(done, verified int, rate float64) *resubmit.Status {
	return &resubmit.Status{State: resubmit.StateRunning, Total: 81, Done: done, Open: 3, Rate: rate,
		Result: resubmit.OutcomeCounts{Completed: verified, FailedAgain: done - verified}}
}

func TestProgressLineFits(t *testing.T) {
	t.Parallel()
	live := running(47, 42, 4)
	for width, want := range map[int]string{
		200: "47/81 done  42 verified  5 failed again  3 in flight  limit 4/s  about 4 min (05:31)",
		80:  "47/81 done  42 verified  5 failed again  3 in flight  limit 4/s",
		60:  "47/81 done  42 verified  5 failed again  3 in flight",
		40:  "47/81 done  42 verified  5 failed again",
		5:   "47/81 done",
	} {
		require.Equal(t, want, progressLine(live, "", "about 4 min (05:31)", width))
	}
	require.Equal(t, "47/81 done  42 verified  5 failed again  3 in flight  paused", progressLine(running(47, 42, -1),
		"paused", "about 4 min", 200), "what it waits for replaces the estimate")
}

func TestProgressWithoutTerminal(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	v := &progressView{site: &site{program: &program{stderr: newScreen(&out), location: time.UTC}}}
	run := &state.Run{Digest: "sha256:7f3a00112233445566"}
	at := time.Date(2026, 11, 21, 4, 21, 7, 0, time.UTC)
	for i := range 25 { // a line every ten seconds
		run.Live = running(i, i, 4)
		v.show(run, at.Add(time.Duration(i)*time.Second))
	}
	run.Live.Gate, run.Live.Until = "Connect is down", at.Add(time.Hour)
	v.show(run, at.Add(25*time.Second)) // and when the state changes
	require.Equal(t, `2026-11-21T04:21:07Z run=7f3a00112233 state=running done=0 total=81 verified=0 failed_again=0 `+
		`in_flight=3 limit=4 eta=- waiting=-
2026-11-21T04:21:17Z run=7f3a00112233 state=running done=10 total=81 verified=10 failed_again=0 in_flight=3 limit=4 `+
		`eta=04:22 waiting=-
2026-11-21T04:21:27Z run=7f3a00112233 state=running done=20 total=81 verified=20 failed_again=0 in_flight=3 limit=4 `+
		`eta=04:22 waiting=-
2026-11-21T04:21:32Z run=7f3a00112233 state=running done=24 total=81 verified=24 failed_again=0 in_flight=3 limit=4 `+
		`eta=05:21 waiting="Connect is down until 2026-11-21 05:21 UTC"
`, out.String())
}

func TestEstimate(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)
	var e estimate
	e.add(at, running(0, 0, 4))
	require.True(t, e.end(at, running(0, 0, 4)).IsZero(), "nothing is known yet")
	for i := range 120 {
		e.add(at.Add(time.Duration(i)*time.Second), running(i/4, i/4, 4))
	}
	now := at.Add(119 * time.Second)
	left := 81 - 29
	require.InDelta(t, float64(4*left), e.end(now, running(29, 29, 4)).Sub(now).Seconds(), 20, "as in the last minute")
	require.InDelta(t, float64(left)*2.2*2, e.end(now, running(29, 29, 0.5)).Sub(now).Seconds(), 60, "a lower limit")
	require.True(t, e.end(now, running(81, 81, 4)).IsZero())

	waits := running(29, 29, 4)
	waits.Gate = "Connect is down"
	require.True(t, e.end(now, waits).IsZero(), "the end of the wait is not known")
	waits.Until = now.Add(time.Hour)
	require.Greater(t, e.end(now, waits).Sub(now), time.Hour)
	for d, want := range map[time.Duration]string{
		10 * time.Second: "under a minute", 4 * time.Minute: "about 4 min", 3*time.Hour + 4*time.Minute: "about 3 h 05 min",
		30 * time.Hour: "over a day",
	} {
		require.Equal(t, want, roughly(d))
	}
}

func TestScreenRedrawsOnlyWhatHasChanged(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	s := newScreen(&out)
	s.show("one")
	s.show("one")
	s.show("two")
	s.clear()
	s.clear()
	require.Equal(t, "one\r\x1b[Ktwo\r\x1b[K", out.String())
	require.False(t, newScreen(io.Discard).terminal)
}
