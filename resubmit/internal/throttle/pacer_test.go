package throttle

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPushGoesBeforeACallThatWaitsAlready(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		rate       float64
		push, read time.Duration // when they go at the latest, and at the earliest
	}{
		"a call a second":       {1, 1100 * time.Millisecond, 2 * time.Second},
		"a call in 100 seconds": {0.01, 1100 * time.Millisecond, 200 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, start := NewPacer(tt.rate, 1, nil), time.Now()
				require.NoError(t, p.Wait(t.Context(), BeforePush))
				read := make(chan time.Duration, 1)
				go func() {
					_ = p.Wait(t.Context(), BeforePush) // the time is checked
					read <- time.Since(start)
				}()
				synctest.Wait()
				time.Sleep(10 * time.Millisecond)
				require.NoError(t, p.Wait(t.Context(), Push))
				require.LessOrEqual(t, time.Since(start), tt.push)
				require.GreaterOrEqual(t, <-read, tt.read)
			})
		})
	}
}

func TestLateCallCountsWhenItIsMade(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{1, 3, 50, 2000} {
		synctest.Test(t, func(t *testing.T) {
			p := NewPacer(rate, 1, nil)
			var made []time.Time
			for i := range 5 * int(rate) {
				require.NoError(t, p.Wait(t.Context(), Push))
				if allowed := time.Now(); i%7 == 0 {
					time.Sleep(200 * time.Millisecond)
					p.Late(allowed)
				}
				made = append(made, time.Now())
			}
			for i := int(rate); i < len(made); i++ {
				require.GreaterOrEqual(t, made[i].Sub(made[i-int(rate)]), time.Second, "call %d at %v per second", i, rate)
			}
		})
	}
}
